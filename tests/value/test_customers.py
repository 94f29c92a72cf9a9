"""What customers are worth: contracts, buyers and flat studies by hand, blindness to the future,
odd customers, and sums by segment.
"""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from research.data import load
from research.errors import NotApplicable, StudyError
from research.evaluation import ground_truth
from research.models.clv.max_likelihood import Fit
from research.simulate import Company, outlook
from research.simulate.company import DISCOUNT_A_YEAR
from research.study import Study
from research.value import customers, contract_margins, report, subscribers, value_at_risk
from research.value.valuation import Valuation
from research.value.expected_value import discount

T = date(2024, 6, 30)
TERMS = {
    "currency": "EUR",
    "capacity": 5,
    "margin_share": 0.5,
    "fee_margin_share": 0.8,
    "discount_rate": 0.1,
    "value_days": 90,
}


def company(n: int = 900, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Contracts of a monthly fee of 30.4375 whose hazard depends on the plan, and add-ons."""
    rng = np.random.default_rng(seed)
    joined = pd.Timestamp("2023-06-01") + pd.to_timedelta(rng.integers(0, 500, n), unit="D")
    plan = rng.choice(["loose", "bound"], n)
    lasts = np.ceil(rng.exponential(np.where(plan == "loose", 150, 900)))
    ended = (
        (joined + pd.to_timedelta(lasts, unit="D"))
        .to_series()
        .where(lambda day: day <= pd.Timestamp("2024-12-31"))
        .to_numpy()
    )
    ids = [f"c{i:04d}" for i in range(n)]
    people = pd.DataFrame(
        {"customer_id": ids, "joined_at": joined, "town": rng.choice(["x", "y"], n)}
    )
    contracts = pd.DataFrame(
        {
            "customer_id": ids,
            "started_at": joined,
            "ended_at": ended,
            "plan": plan,
            "monthly_fee": 30.4375,
        }
    )
    return {"customers": people, "contracts": contracts}


def write_contracts(
    write_study, tables: dict, name: str = "tiny", **economics
) -> tuple[Study, dict]:
    study = write_study(
        "contractual",
        name=name,
        tables=tables,
        economics=TERMS | economics,
        churn={"horizon_days": 30, "lead_days": 0},
        data_start="2023-06-01",
    )
    return study, load.load_tables(study)


def buyers(n: int = 400, seed: int = 0) -> pd.DataFrame:
    rng, rows = np.random.default_rng(seed), []
    for number in range(n):
        first, rate = (
            pd.Timestamp("2024-01-01") + pd.Timedelta(days=int(rng.integers(0, 90))),
            rng.gamma(0.8, 0.03),
        )
        days = np.cumsum(1 + rng.exponential(1 / rate, 40))
        end = rng.exponential(250)
        times = [first, *(first + pd.to_timedelta(np.floor(days[days < end]), unit="D"))]
        rows += [
            (f"b{number:03d}", day, float(rng.gamma(4, 5)))
            for day in times
            if day < pd.Timestamp("2025-01-01")
        ]
    return pd.DataFrame(rows, columns=["customer_id", "ordered_at", "amount"]).astype(
        {"ordered_at": "datetime64[us]"}
    )


def write_buyers(write_study, orders: pd.DataFrame, **economics) -> tuple[Study, dict]:
    people = pd.DataFrame(
        {"customer_id": orders.customer_id.unique(), "joined_at": pd.Timestamp("2024-01-01")}
    )
    study = write_study(
        "non_contractual",
        tables={"customers": people, "orders": orders},
        economics=TERMS | economics,
    )
    return study, load.load_tables(study)


# terms


def test_a_fee_keeps_what_an_order_keeps_unless_study_yml_says_otherwise(write_study):
    study = write_study(
        "contractual", economics={"currency": "EUR", "capacity": 5, "margin_share": 0.4}
    )
    assert (
        study.economics.fee_margin == 0.4
        and study.economics.value_days == 365
        and study.economics.discount_rate == 0.1
    )
    assert write_study("contractual", economics=TERMS).economics.fee_margin == 0.8
    assert "value is turnover" in report.describe_assumptions(
        write_study("contractual").economics, "contractual"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"margin_share": 1.1},
        {"margin_share": -0.1},
        {"fee_margin_share": 2},
        {"discount_rate": -0.1},
        {"discount_rate": ".inf"},
        {"value_days": 0},
    ],
)
def test_terms_out_of_range_are_refused_by_name(wrong, write_study):
    with pytest.raises(StudyError, match=f"economics.{next(iter(wrong))}: expected"):
        write_study("contractual", economics={"currency": "EUR", "capacity": 5} | wrong)


# contracts


def test_curves_become_value_risk_and_value_if_kept_by_hand(write_study):
    study = write_study("contractual", economics=TERMS | {"discount_rate": 0})
    days, curve = np.array([0.0, 30, 60, 90]), np.array([[1, 0.8, 0.8, 0.4]])
    risk, value, kept = subscribers.weigh_survival(curve, days, np.array([2.0]), 30, study)
    assert risk[0] == pytest.approx(0.2)
    assert value[0] == pytest.approx(2 * 30 * (0.9 + 0.8 + 0.6))
    assert kept[0] == pytest.approx(
        2 * 30 * (1 + 1 + 0.75)
    )  # 1 to day 30, then S / 0.8: 1 at day 60, 0.5 at day 90
    study = study.model_copy(
        update={"economics": study.economics.model_copy(update={"discount_rate": 0.1})}
    )
    assert subscribers.weigh_survival(curve, days, np.array([2.0]), 30, study)[1][0] < value[0]


def test_fees_of_running_contracts_add_up_and_earnings_run_day_by_day(write_study):
    lines = [
        ("a", "2024-01-01", None, 30.4375),
        ("a", "2024-03-01", "2024-07-11", 60.875),
        ("b", "2024-01-01", "2024-06-30", 99.0),
        ("c", "2024-07-05", None, 5.0),
    ]
    contracts = pd.DataFrame(
        lines, columns=["customer_id", "started_at", "ended_at", "monthly_fee"]
    )
    contracts = contracts.astype({"started_at": "datetime64[us]", "ended_at": "datetime64[us]"})
    people = pd.DataFrame({"customer_id": ["a", "b", "c"], "joined_at": pd.Timestamp("2024-01-01")})
    study, tables = write_contracts(
        write_study, {"customers": people, "contracts": contracts}, fee_margin_share=1
    )
    customers = pd.Series(["a", "b", "c"])
    assert contract_margins.load_fees(tables, customers, T) == pytest.approx(
        [3, 0, 0]
    )  # b's last covered day was June 29
    earned = contract_margins.load_realised_margins(tables, study.economics, customers, T, date(2024, 7, 20))
    assert earned == pytest.approx(
        [20 * 1 + 10 * 2, 0, 16 * 5 / 30.4375]
    )  # July 1 to 20; to July 10; from July 5 on


def test_few_orders_are_drawn_to_the_rate_of_all():
    rng = np.random.default_rng(0)
    rates, watched = rng.gamma(2, 0.01, 4000), np.full(4000, 200.0)
    counts = rng.poisson(rates * watched)
    found = contract_margins.shrink_rates(counts, watched)
    assert found == pytest.approx(
        (2 + counts) / (100 + 200), rel=0.15
    )  # gamma of shape 2 and rate 100
    assert np.ptp(contract_margins.shrink_rates(np.full(50, 4), np.full(50, 100.0))) < 1e-6
    assert not contract_margins.shrink_rates(np.zeros(5), np.full(5, 100.0)).any()


@pytest.fixture(scope="module")
def contracts(write_shared):
    return write_contracts(write_shared, company())


def test_the_loose_plan_is_worth_less_and_costs_more_by_about_what_its_hazard_says(contracts):
    study, tables = contracts
    found = customers.value_customers(tables, study, T, 3, 2, 0)
    rows = (
        found.values.merge(
            tables["contracts"].select("customer_id", "plan").to_pandas(), on="customer_id"
        )
        .groupby("plan")
        .value.mean()
    )
    days = np.linspace(0, 90, 91)
    true = {
        plan: 0.8 * np.trapezoid(np.exp(-days / life) * discount(days, 0.1), days)
        for plan, life in {"loose": 150, "bound": 900}.items()
    }
    assert rows["loose"] == pytest.approx(true["loose"], rel=0.08) and rows[
        "bound"
    ] == pytest.approx(true["bound"], rel=0.05)
    assert (found.values.low <= found.values.value).all() and (
        found.values.value <= found.values.high
    ).all()
    assert (found.values.value <= found.values.value_if_kept + 1e-9).all()
    assert found.values.value_at_risk.to_numpy() == pytest.approx(
        (found.values.risk * found.values.value).to_numpy()
    )
    assert {*found.holdout.expected["margin"]} == {
        "zero",
        "as in the last period",
        "nobody leaves",
        "the same curve for all",
        found.model,
    }
    table = value_at_risk.tabulate_value_at_risk(
        found, value_at_risk.load_customer_segments(found, tables, study, T)
    ).set_index(["segment_by", "segment"])
    assert table.cost_share["plan", "loose"] > 3 * table.cost_share["plan", "bound"]
    for column in ("customers", "value", "cost_of_churn", "value_at_risk"):
        assert table[column]["plan"].sum() == pytest.approx(table[column]["all", "all"])
    assert "“loose” loses the largest part" in report.describe_value_at_risk(table.reset_index(), "EUR")


def test_values_are_blind_to_what_comes_after_the_snapshot(contracts, write_study):
    study, tables = contracts
    before = customers.load_values(tables, study, T, 0)
    later = company()
    day = pd.Timestamp(T) + pd.Timedelta(days=1)
    changed = (later["contracts"].ended_at >= day) & (later["contracts"].started_at < day)
    assert changed.sum() > 20
    later["contracts"]["ended_at"] = later["contracts"].ended_at.where(
        ~changed, day + pd.Timedelta(days=1)
    )
    other, theirs = write_contracts(write_study, later)
    pd.testing.assert_frame_equal(customers.load_values(theirs, other, T, 0), before)
    assert (
        before.columns.tolist() == ["customer_id", "value", "value_if_kept"]
        and not before.customer_id.duplicated().any()
    )


def test_contracts_without_a_fee_are_not_applicable_and_too_short_data_one_sentence(write_study):
    tables = company(60)
    study, loaded = write_contracts(
        write_study, tables | {"contracts": tables["contracts"].drop(columns="monthly_fee")}
    )
    with pytest.raises(NotApplicable, match="its contracts have no column monthly_fee"):
        customers.load_values(loaded, study, T, 0)
    study, loaded = write_contracts(
        write_study,
        tables | {"contracts": tables["contracts"].assign(monthly_fee=np.nan)},
        name="empty",
    )
    with pytest.raises(NotApplicable, match="monthly_fee is empty in all of its contracts"):
        customers.load_values(loaded, study, T, 0)
    study, loaded = write_contracts(write_study, tables, name="short")
    with pytest.raises(
        StudyError, match="expected data from 120 days before the snapshot 2023-07-10 on"
    ):
        customers.load_values(loaded, study, date(2023, 7, 10), 0)


# buyers


def test_buyers_are_valued_to_the_last_one_and_zero_margin_is_worth_nothing(write_study):
    orders = buyers()
    back = pd.DataFrame(
        {
            "customer_id": "back",
            "ordered_at": pd.to_datetime(["2024-02-01", "2024-03-01", "2024-03-09"]),
            "amount": [20.0, 10.0, -90.0],
        }
    )
    once = pd.DataFrame(
        {"customer_id": ["once"], "ordered_at": [pd.Timestamp("2024-02-01")], "amount": [20.0]}
    )
    late = pd.DataFrame(
        {"customer_id": ["late"], "ordered_at": [pd.Timestamp("2024-07-01")], "amount": [20.0]}
    )
    study, tables = write_buyers(
        write_study, pd.concat([orders, back, once, late], ignore_index=True)
    )
    found = customers.value_customers(tables, study, T, 3, 2, 0)
    rows = found.values.set_index("customer_id")
    assert len(rows) == 402 and "late" not in rows.index
    assert rows.value["back"] == 0 and rows.value["once"] > 0
    assert rows[["alive", "risk"]].stack().between(0, 1).all()
    assert (rows.value_if_kept + 1e-9 >= rows.value).all()
    assert "1 are worth nothing" in report.describe_values(
        found.values, *_sum_up(found, tables, study), pd.DataFrame(), found.model, "EUR", study.kind
    )
    free, loaded = write_buyers(write_study, orders, margin_share=0)
    nothing = customers.value_customers(loaded, free, T, 0, 2, 0)
    assert (nothing.values.value == 0).all() and (
        value_at_risk.compute_concentration(nothing.values).value_share == 0
    ).all()
    assert _sum_up(nothing, loaded, free)[0].cost_share.eq(0).all()


def _sum_up(found: Valuation, tables: dict, study: Study) -> tuple[pd.DataFrame, pd.DataFrame]:
    return value_at_risk.tabulate_value_at_risk(
        found, value_at_risk.load_customer_segments(found, tables, study, T)
    ), value_at_risk.compute_concentration(found.values)


def test_values_of_buyers_are_blind_to_the_future(write_study):
    orders = buyers(150)
    study, tables = write_buyers(write_study, orders)
    whole = customers.load_values(tables, study, T, 0)
    study, tables = write_buyers(
        write_study, orders[orders.ordered_at < pd.Timestamp(T) + pd.Timedelta(days=1)]
    )
    pd.testing.assert_frame_equal(customers.load_values(tables, study, T, 0), whole)


def test_a_company_in_which_nobody_comes_back_is_one_sentence(write_study):
    orders = buyers(30).drop_duplicates("customer_id")
    study, tables = write_buyers(write_study, orders)
    with pytest.raises(StudyError, match="expected some customers with a repeat purchase"):
        customers.load_values(tables, study, T, 0)


# flat studies


def write_flat(write_study, n: int = 600, **changes) -> tuple[Study, dict]:
    rng = np.random.default_rng(0)
    plan = rng.choice(["loose", "bound"], n)
    lasts, seen = rng.exponential(np.where(plan == "loose", 10, 80)), rng.uniform(0, 60, n)
    frame = pd.DataFrame(
        {
            "customer_id": [f"f{i}" for i in range(n)],
            "churned": lasts <= seen,
            "duration": np.ceil(np.minimum(lasts, seen)),
            "plan": plan,
        }
    )
    frame["fee"] = 10.0
    economics = TERMS | {"fee_column": "fee", "value_days": 365} | changes
    study = write_study(
        "flat", tables={"snapshot": frame}, economics=economics, duration_unit="months"
    )
    return study, load.load_tables(study)


def test_a_flat_study_values_those_still_there_from_where_they_are(write_study):
    study, tables = write_flat(write_study)
    found = customers.value_customers(tables, study, None, 3, 3, 0)
    frame = tables["snapshot"].to_pandas()
    assert {*found.values.customer_id} == {*frame.customer_id[~frame.churned]}
    rows = found.values.merge(frame, on="customer_id").groupby("plan").value.mean()
    days = np.linspace(0, 365, 366)
    for plan, months in {"loose": 10, "bound": 80}.items():
        true = (
            8
            * 12
            / 365.25
            * np.trapezoid(np.exp(-days / (months * 30.4375)) * discount(days, 0.1), days)
        )
        assert rows[plan] == pytest.approx(true, rel=0.12), plan
    assert found.holdout is None and np.isfinite(found.values.low).all()


def test_flat_studies_without_a_fee_are_not_applicable_and_wrong_ones_named(write_study):
    study, tables = write_flat(write_study, fee_column=None)
    with pytest.raises(NotApplicable, match="names no fee_column"):
        customers.load_values(tables, study, None, 0)
    study, tables = write_flat(write_study, fee_column="price")
    with pytest.raises(StudyError, match="expected a column of the snapshot, got 'price'"):
        customers.load_values(tables, study, None, 0)
    study, tables = write_flat(write_study, fee_column="plan")
    with pytest.raises(
        StudyError, match="expected a fee of 0 or more in every row, got 600 without"
    ):
        customers.load_values(tables, study, None, 0)


# the truth of a generated company


def test_the_value_along_a_path_by_hand():
    own = {
        "hazard": np.full((2, 30, 1), 0.05),
        "fee": np.full((30, 1), 10.0),
        "region": np.array([0]),
        "level": np.zeros((30, 1)),
    }
    own |= {"taste": np.array([0.0]), "quiet": np.array([False])}  # buys nothing
    falls = (1 + DISCOUNT_A_YEAR) ** (-1 / 12)
    assert outlook.find_value(own, 4, 3)[0] == pytest.approx(
        7 * (1 + 0.9 * falls + 0.81 * falls**2)
    )


def test_true_values_are_what_customers_bring_on_average():
    given = Company(2000, 24, 0)
    short, longer = outlook.expect_values(given, 21, 1, 4), outlook.expect_values(given, 21, 6, 4)
    assert (short > 0).all() and (longer.loc[short.index] > short).all()
    with pytest.raises(ValueError, match="expected 1 to 15 months from month 21 on, got 16"):
        outlook.expect_values(given, 21, 16, 4)


def test_the_truth_itself_explains_all_and_the_same_for_all_nothing():
    true = pd.Series(np.random.default_rng(0).gamma(2, 50, 500), [f"c{i}" for i in range(500)])
    table = ground_truth.grade_values(
        {"truth": true, "mean": true * 0 + true.mean()}, true[:400], 200, 0
    ).set_index(["model", "metric"])
    assert table.value["truth", "spread_explained_share"] == pytest.approx(1) and table.value[
        "truth", "rmse"
    ] == pytest.approx(0)
    assert table.value["mean", "spread_explained_share"] == pytest.approx(0, abs=0.01) and np.isnan(
        table.value["mean", "rank_correlation"]
    )
    assert (table.n == 400).all()


# words


def scores(low: float, high: float, verdict: str, total: tuple = (0.0, -0.1, 0.1)) -> pd.DataFrame:
    rows = [
        ("rule", "reference", "rmse", 2.0, 1.8, 2.2, "", *[np.nan] * 3, "", 9),
        ("model", "value", "rmse", 1.5, 1.4, 1.6, "rule", -0.5, low, high, verdict, 9),
    ]
    rows += [
        ("model", "value", "mae", 1.0, 0.9, 1.1, "rule", 0.1, -0.1, 0.3, "no difference shown", 9)
    ]
    rows += [
        (
            "model",
            "value",
            "total_error_share",
            *total,
            "rule",
            0.0,
            0.0,
            0.0,
            "no difference shown",
            9,
        )
    ]
    return pd.DataFrame(
        rows,
        columns=[
            "model",
            "family",
            "metric",
            "value",
            "low",
            "high",
            "reference",
            "difference",
            "difference_low",
            "difference_high",
            "verdict",
            "n",
        ],
    )


def test_verdicts_can_say_that_a_rule_does_as_well_and_that_a_total_is_off():
    def say(table: pd.DataFrame) -> str:
        return report.describe_holdout(table, "purchases", "model", "EUR", 90)

    assert "Model foretells purchases better than the best rule" in say(
        scores(-0.7, -0.3, "better")
    )
    assert "is not shown to foretell purchases better than the rule “rule”" in say(
        scores(-1.2, 0.2, "no difference shown")
    )
    assert "use the rule" in say(scores(0.1, 0.3, "worse"))
    assert "Its total is off**: less was expected than came" in say(
        scores(-0.7, -0.3, "better", (-0.2, -0.3, -0.1))
    )
    assert "not shown to be off" in say(scores(-0.7, -0.3, "better"))


def test_a_total_that_was_off_is_said_beside_the_value():
    stake = pd.DataFrame(
        [
            {
                "value": 100.0,
                "low": 99,
                "high": 101,
                "cost_of_churn": 5.0,
                "cost_low": 4,
                "cost_high": 6,
                "cost_share": 0.05,
                "value_at_risk": 9,
            }
        ]
    )
    shares = pd.DataFrame({"customers_share": [0, 1.0], "value_share": [0, 1.0]})
    values = pd.DataFrame({"value": [50.0, 50]})
    told = [
        report.describe_values(
            values,
            stake,
            shares,
            scores(-0.7, -0.3, "better", total).assign(outcome="amount"),
            "model",
            "EUR",
            "flat",
        )
        for total in ((-0.4, -0.5, -0.3), (0.0, -0.1, 0.1))
    ]
    assert "the money expected was off by −40.0 %" in told[0] and "off by" not in told[1]
    assert "worth 100 EUR (99 to 101)" in told[0]


def test_segments_that_lose_alike_are_not_told_apart():
    rows = pd.DataFrame(
        {
            "segment_by": ["all", "plan", "plan"],
            "segment": ["all", "a", "b"],
            "value": [200.0, 100, 100],
            "cost_of_churn": [22.0, 12, 10],
        }
    )
    rows["cost_share"] = rows.cost_of_churn / (rows.value + rows.cost_of_churn)
    rows["cost_low"], rows["cost_high"] = rows.cost_of_churn - 3, rows.cost_of_churn + 3
    assert (
        report.describe_value_at_risk(rows, "EUR")
        == "No segment by plan is shown to lose a larger part of its value than another."
    )
    assert "the model sees nobody drop out" in report.describe_value_at_risk(
        rows.assign(cost_share=0.0, cost_of_churn=0.0), "EUR"
    )
    clear = rows.assign(cost_low=rows.cost_of_churn - 0.1, cost_high=rows.cost_of_churn + 0.1)
    assert (
        "by plan, “a” loses the largest part (10.7%, 12 EUR), “b” the smallest"
        in report.describe_value_at_risk(clear, "EUR")
    )


def test_what_no_purchase_tells_is_said():
    fit = Fit(
        np.array([0.7, 65.0, 1e-5, 5e5]),
        np.full((4, 4), np.nan),
        -100.0,
        9,
        ("r", "alpha", "s", "beta"),
    )
    table = fit.tabulate().assign(model="Pareto/NBD", aic=208.0)
    assert "The histories don't tell how customers drop out" in report.describe_purchase_model(
        table, "Pareto/NBD", 0.02
    )

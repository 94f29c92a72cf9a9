"""Indicators: worked by hand at the borders of their windows, blind to the future, honest about
what is not measured.
"""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds, slow
from dated_rows import customers
from subscribers import OLD, START, T, frame, measure_at, people, subscribers

from research.data import load
from research.errors import StudyError
from research.lifecycle import indicators
from research.lifecycle.indicator_definitions import DEFINITIONS
from research.panel import segments
from research.study import load_study

PAIRS = {  # numerator, denominator, customers
    "customer_churn_rate": (2, 4, 4),  # b and c of a, b, c, e
    "revenue_churn_rate": (
        65,
        110,
        4,
    ),  # 20 + 30 of the leavers, 50 - 35 of e; of 10 + 20 + 30 + 50
    "net_revenue_retention": (50, 110, 4),  # 15 of a and 35 of e
    "retention_rate": (2, 5, 5),  # on 1 July 2023: a to e; left over: a and e
    "repeat_purchase_rate": (1, 4, 4),  # a of a, b, e, f
    "purchase_frequency": (2, 4, 4),  # two days of a
    "csat": (2, 3, 2),  # three answers of two customers
    "nps": (-1, 6, 6),  # 2 promoters, 3 detractors
    "complaint_rate": (1, 4, 4),  # a
    "resolved_within_72h": (3, 4, 3),  # contacts of 29 May to 27 June: of b, twice a, c
    "referral_rate": (1, 4, 4),  # a; d is no customer at the start
    "revenue_lost_per_customer": (600, 4, 4),  # 12 * (20 + 30)
    "reasons_recorded": (2, 2, 2),  # b and c
    "involuntary_share": (1, 2, 2),  # c
}


def test_a_company_worked_by_hand(write_study):
    table = measure_at(write_study, subscribers()).set_index("indicator")
    assert list(table.index) == list(DEFINITIONS)
    assert list(table.worse) == [
        1 if spec.better == "lower" else -1 for spec in DEFINITIONS.values()
    ]
    ratios = table.loc[list(PAIRS)]
    assert {
        row.Index: (row.numerator, row.denominator, row.n) for row in ratios.itertuples()
    } == PAIRS
    assert list(ratios.value) == pytest.approx(
        [y / x * (100 if name == "nps" else 1) for name, (y, x, _) in PAIRS.items()]
    )
    assert ((ratios.low <= ratios.value) & (ratios.value <= ratios.high)).all()
    check_total(table.loc["revenue_lost"])
    check_durations(table)


def check_total(row):
    # y = 0, 240, 360, 0; mean 150; squares 22500 + 8100 + 44100 + 22500 = 97200; times 4/3: 129600,
    # whose root is 360
    assert (row.value, row.se) == (600, pytest.approx(360))
    assert (row.low, row.high) == (
        0,
        pytest.approx(600 + 3.182446 * 360),
    )  # t with 3 degrees of freedom; a cost is never negative
    assert row.unit == "EUR a year"


def check_durations(table):
    # at risk on day 516 (d): 5, on 517 (b): 4, on 546 (c): 3: the curve falls to 4/5, 3/5, 2/5;
    # within a year nobody leaves
    assert table.value["retention_time"] == 365
    assert np.isnan(table.low["retention_time"])
    assert table.value["retention_time_median"] == 546
    assert (table.numerator["retention_time"], table.denominator["retention_time"]) == (3, 6)
    # contacts of the window and known: 2, 10, open from 48, 64, 72 h 1 min; the curve: 4/5 at 2,
    # 3/5 at 10, then of 2 at risk 3/10 at 64
    row = table.loc["resolution_time"]
    assert (row.value, row.numerator, row.denominator, row.n) == (64, 4, 5, 3)


def measure_cases(write_study, cases: dict[str, list[tuple]], columns: str) -> pd.DataFrame:
    """Return the indicators of companies that are the regions of one, by indicator and region."""
    rows = {
        f"{at}{name}": (region, *row)
        for at, (region, case) in enumerate(cases.items())
        for name, *row in case
    }
    people_of = people(rows, region=[region for region, *_ in rows.values()])
    contracts = frame(f"customer_id {columns}", *((name, *row[1:]) for name, row in rows.items()))
    tables = {"customers": people_of, "contracts": contracts}
    return measure_at(write_study, tables, segment_by="region").set_index(["indicator", "segment"])


def test_churn_counts_the_window_from_the_day_after_the_start_to_the_snapshot(write_study):
    counts = {
        "2024-05-31": (0, 0),  # gone on the start
        "2024-06-01": (1, 1),  # the first day of the window
        "2024-06-30 18:00": (1, 1),  # the last
        "2024-07-01": (1, 0),  # the day after
    }
    cases = {ended: [("a", OLD, ended), ("b", OLD, None)] for ended in counts}
    table = measure_cases(write_study, cases, "started_at ended_at").loc["customer_churn_rate"]
    for ended, (customer, left) in counts.items():
        assert (table.numerator[ended], table.denominator[ended]) == (left, 1 + customer), ended


def test_a_customer_at_the_start_began_by_its_end(write_study):
    counts = {"2024-05-31 23:00": 1, "2024-06-01": 0}
    cases = {started: [("a", started, None), ("b", OLD, None)] for started in counts}
    table = measure_cases(write_study, cases, "started_at ended_at").loc["customer_churn_rate"]
    assert table.denominator.to_dict() == {started: 1 + n for started, n in counts.items()}


def test_who_left_and_came_back_has_left_but_is_retained(write_study):
    contracts = frame(
        "customer_id started_at ended_at",
        ("a", OLD, "2024-06-05"),
        ("a", "2024-06-20", None),
        ("b", OLD, None),
    )
    table = measure_at(write_study, {"customers": people("ab"), "contracts": contracts}).set_index(
        "indicator"
    )
    assert table.numerator["customer_churn_rate"] == 1
    assert table.value["retention_rate"] == 1


def test_customers_without_a_recorded_fee_leave_the_indicators_of_money(write_study):
    contracts = frame(
        "customer_id started_at ended_at monthly_fee",
        ("a", OLD, None, 10.0),
        ("b", OLD, "2024-06-10", None),  # left, fee unknown
        ("c", OLD, "2024-06-10", 30.0),  # stays, and the new fee is unknown
        ("c", "2024-06-10", None, None),
        ("d", OLD, "2024-06-10", 50.0),
        ("d", "2024-06-20", None, None),  # left, and came back at an unknown fee
    )
    table = measure_at(
        write_study, {"customers": people("abcd"), "contracts": contracts}
    ).set_index("indicator")
    pairs = {
        name: (table.numerator[name], table.denominator[name])
        for name in ("revenue_churn_rate", "net_revenue_retention", "revenue_lost")
    }
    assert pairs == {
        "revenue_churn_rate": (50, 60),
        "net_revenue_retention": (10, 10),
        "revenue_lost": (600, 3),
    }


def test_a_contract_known_late_makes_no_customer_of_the_days_before(write_study):
    late = (
        "b",
        OLD,
        None,
        "2024-06-15",
    )  # known within the window: b can't have left before, so b would only ever hide churn
    contracts = frame(
        "customer_id started_at ended_at known_at",
        ("a", OLD, "2024-06-10", OLD),
        late,
        ("c", OLD, None, "2024-05-31 20:00"),
    )
    table = measure_at(write_study, {"customers": people("abc"), "contracts": contracts}).set_index(
        "indicator"
    )
    assert (table.numerator["customer_churn_rate"], table.denominator["customer_churn_rate"]) == (
        1,
        2,
    )
    assert (table.numerator["retention_rate"], table.denominator["retention_rate"]) == (
        0,
        1,
    )  # on 1 July 2023 only a was known


# non-contractual


def buyers() -> dict[str, pd.DataFrame]:
    """Silence of 60 days ends a spell: a buys on, b lapses on the first day of June, c on the last,
    d the day before, e the day after.
    """
    orders = frame(
        "customer_id ordered_at amount",
        ("z", "2022-01-01", 1.0),  # the first day observed
        ("a", "2023-05-20", 100.0),
        ("a", "2024-05-31", 40.0),
        ("a", "2024-06-30", 10.0),
        ("b", "2024-04-02", 30.0),  # + 60 days: 1 June
        ("b", "2024-04-03", -10.0),  # takes goods back
        ("c", "2024-05-01", 50.0),  # + 60 days: 30 June
        ("d", "2024-04-01", 70.0),  # + 60 days: 31 May
        ("e", "2024-05-02", 80.0),  # + 60 days: 1 July
        (
            "e",
            "2023-06-01",
            500.0,
        ),  # a year before the start (the year has a 29 February): no longer counted
        ("e", "2023-06-02", 20.0),  # the first day counted
    )
    return {"customers": people("abcdez", joined_at=pd.Timestamp("2022-01-01")), "orders": orders}


BUYER_PAIRS = {
    "customer_churn_rate": (2, 4),  # b and c of a, b, c, e
    "revenue_churn_rate": (70, 210),  # b 30 - 10, c 50; a 40, e 80 + 20
    "revenue_lost_per_customer": (70, 4),
    "net_revenue_retention": (
        130,
        620,
    ),  # bought in (1 July 2022, 1 July 2023]: a 100, e 520; spent since: 40 + 10 and 80
    "purchase_frequency": (1, 4),
    "repeat_purchase_rate": (1, 5),  # a; b to e bought on one day
    "retention_rate": (2, 2),  # on 1 July 2023 and on T: a and e
}


def test_buyers_worked_by_hand(write_study):
    table = measure_at(write_study, buyers(), kind="non_contractual").set_index("indicator")
    rows = table.loc[list(BUYER_PAIRS)]
    assert list(zip(rows.numerator.round(9), rows.denominator.round(9), strict=True)) == list(
        BUYER_PAIRS.values()
    )
    assert table.value["revenue_lost"] == pytest.approx(70)


def test_yearly_spend_is_scaled_up_where_less_than_a_year_was_observed(write_study):
    # observed from 1 March to 31 May: 92 days; b spent 46 and lapses on 8 June:
    # 46 * 365 / 92 = 182.5 a year
    orders = frame(
        "customer_id ordered_at amount",
        ("a", "2024-03-01", 1.0),
        ("b", "2024-04-09", 46.0),
        ("a", "2024-05-20", 9.0),
        ("a", "2024-06-20", 9.0),
    )
    table = measure_at(
        write_study, {"customers": people("ab"), "orders": orders}, kind="non_contractual"
    ).set_index("indicator")
    assert table.value["revenue_lost"] == pytest.approx(182.5)


# durations


def test_customers_of_before_observation_began_enter_late(write_study):
    """20 new ones of 1 January, of whom 5 leave after 10 days; 20 of a year before, of whom all who
    had left within that year are unknown.
    """
    new = [(f"n{i}", "2024-01-01", "2024-01-11" if i < 5 else None) for i in range(20)]
    old = [(f"o{i}", "2023-01-01", "2024-02-15" if i < 10 else None) for i in range(20)]
    tables = {
        "customers": people([name for name, *_ in new + old]),
        "contracts": frame("customer_id started_at ended_at", *new, *old),
    }
    table = measure_at(write_study, tables, data_start="2024-01-02").set_index("indicator")
    # the curve: 15/20 from day 10 on; nobody is observed from day 181 (30 June) to day 365: no year
    # is known; observed from 1 January on, that day included, the old ones would be on day 365
    assert table.note["retention_time"] == "nobody has been observed for 365 days"
    early = measure_at(write_study, tables).set_index("indicator")
    assert early.value["retention_time"] == pytest.approx(
        10 + 355 * 35 / 40
    )  # without data_start the old ones count as observed all along
    young = [(f"y{i}", "2023-06-01", None) for i in range(10)]  # observed from day 214 to day 395
    more = {
        "customers": people([name for name, *_ in new + old + young]),
        "contracts": frame("customer_id started_at ended_at", *new, *old, *young),
    }
    longer = measure_at(
        write_study,
        more | {},
        data_start="2023-12-15",
        data_end="2024-12-31",
        days=(date(2024, 8, 1),),
    ).set_index("indicator")
    assert longer.value["retention_time"] == pytest.approx(10 + 355 * 15 / 20)


def test_a_spell_known_late_is_observed_from_then_on(write_study):
    expected = {
        "2023-03-02": (365, "of customers who stayed 60 days: too few were observed before"),
        # 183 days: more than half a year
        "2023-07-03": (np.nan, "too few customers were observed from their first days on"),
    }
    cases = {known: [(f"c{i}", OLD, None, known) for i in range(12)] for known in expected}
    table = measure_cases(write_study, cases, "started_at ended_at known_at").loc["retention_time"]
    for known, (value, note) in expected.items():
        assert table.value[known] == pytest.approx(value, nan_ok=True)
        assert table.note[known] == note


def test_a_year_is_known_once_somebody_was_observed_for_it(write_study):
    expected = {"2023-07-01": 365, "2023-07-02": np.nan}
    cases = {day: [("a", day, None), ("b", "2024-01-01", None)] for day in expected}
    table = measure_cases(write_study, cases, "started_at ended_at").loc["retention_time"]
    for started, value in expected.items():
        assert table.value[started] == pytest.approx(value, nan_ok=True)


# what isn't measured


def test_feedback_without_kinds_counts_as_csat(write_study):
    tables = subscribers()
    tables["feedback"] = tables["feedback"].drop(columns="kind").query("score_max == 5")
    table = measure_at(write_study, tables).set_index("indicator")
    assert (table.numerator["csat"], table.denominator["csat"]) == (
        3,
        5,
    )  # a 4 and e 5, b 5; a 3.9, e 3
    assert "nps" not in table.index


def test_a_window_without_answers_has_a_note(write_study):
    tables = subscribers() | {
        "feedback": frame("customer_id given_at score score_max", ("b", START, 5.0, 5.0))
    }
    row = measure_at(write_study, tables).set_index("indicator").loc["csat"]
    assert (row.denominator, row.note) == (0, "nobody to count")
    assert np.isnan(row.value)


def test_retention_needs_a_year_before(write_study):
    days = (date(2023, 12, 31), date(2024, 1, 1))
    table = measure_at(write_study, subscribers(), days).query("indicator == 'retention_rate'")
    assert list(table.value) == pytest.approx([np.nan, 1.0], nan_ok=True)


# targets and change


# segments


def test_periods_end_on_the_last_day_and_stay_within_the_data(write_study):
    study = write_study(tables=subscribers(), lifecycle={"last": "2023-04-05"})
    snapshots = indicators.list_snapshots(load.load_tables(study), study, 12)
    assert snapshots == [
        date(2023, 2, 4),
        date(2023, 3, 6),
        date(2023, 4, 5),
    ]  # the window before that would begin on 6 December 2022
    begun = write_study(
        tables=subscribers(), lifecycle={"last": "2023-04-05"}, data_start="2023-02-04"
    )
    assert indicators.list_snapshots(load.load_tables(begun), begun, 12) == [
        date(2023, 3, 6),
        date(2023, 4, 5),
    ]


@pytest.mark.parametrize(
    ("last", "sentence"),
    [
        (
            "2025-01-01",
            (
                "expected indicators up to the data end 2024-12-31, got the day 2025-01-01; use"
                " lifecycle.last on or before 2024-12-31"
            ),
        ),
        (
            "2023-01-30",
            (
                "expected a window of 30 days within the data, which begin 2023-01-01, got the"
                " last day 2023-01-30; use lifecycle.last on or after"
            ),
        ),
    ],
)
def test_periods_outside_the_data_are_refused(write_study, last, sentence):
    study = write_study(tables=subscribers(), lifecycle={"last": last})
    with pytest.raises(StudyError, match=sentence):
        indicators.list_snapshots(load.load_tables(study), study, 12)


def test_charted_rows_are_of_enough_customers_and_events():
    rows = pd.DataFrame(
        {
            "indicator": "customer_churn_rate",
            "segment_by": "plan",
            "segment": [*"aaabbbccc"],
            "value": 0.1,
        }
    )
    rows = rows.assign(
        n=[29, 30, 31, 29, 29, 31, 90, 90, 90],
        denominator=lambda t: t.n,
        numerator=[5, 5, 9, 9, 9, 9, 4, 4, 9],
    )
    study = load_study("demo")
    assert {*indicators.select_charted(rows, study).segment} == {
        "a"
    }  # medians: n 30, 29, 90 and events 5, 9, 4
    few_stayers = rows.assign(numerator=rows.denominator - rows.numerator)
    assert {*indicators.select_charted(few_stayers, study).segment} == {"a"}


def test_charted_rows_are_known_and_of_windows_that_do_not_overlap(write_study, monkeypatch):
    monkeypatch.setattr(indicators, "LEAST_CHARTED", 0)
    monkeypatch.setattr(indicators, "LEAST_EVENTS", 0)
    study = write_study(tables=subscribers())
    charted = indicators.select_charted(
        indicators.compute_indicators(load.load_tables(study), study, [date(2023, 2, 4), T]), study
    )
    assert charted.value.notna().all()
    assert not {"retention_rate", "retention_time", "repeat_purchase_rate", "revenue_lost"} & {
        *charted.indicator
    }
    assert {"customer_churn_rate", "nps", "revenue_lost_per_customer"} <= {*charted.indicator}


def test_a_flat_study_has_no_indicators(write_study):
    study = write_study(
        "flat",
        tables={"snapshot": pd.DataFrame({"customer_id": ["a", "b"], "churned": [True, False]})},
    )
    with pytest.raises(
        StudyError,
        match="expected dated tables, without which there are no indicators over",
    ):
        indicators.compute_indicators(load.load_tables(study), study, [T])
    assert load_study("tiny").kind == "flat"


@pytest.mark.parametrize("column", [slow("region"), "plan"])
def test_segments_add_up_to_the_whole(write_study, column):
    study = write_study(tables=subscribers())
    loaded = load.load_tables(study)
    whole = indicators.compute_indicators(loaded, study, [T]).set_index("indicator")
    parts = indicators.compute_indicators(loaded, study, [T], column)
    assert set(parts.segment_by) == {column}
    for name in (name for name in DEFINITIONS if name not in ("resolution_time",)):
        own = parts[parts.indicator == name]
        assert (own.numerator.sum(), own.denominator.sum(), own.n.sum()) == tuple(
            whole.loc[name, ["numerator", "denominator", "n"]]
        ), name


def test_a_customer_belongs_to_the_plan_of_the_start(write_study):
    churn = (
        measure_at(write_study, subscribers(), segment_by="plan")
        .query("indicator == 'customer_churn_rate'")
        .set_index("segment")
    )
    assert churn[["numerator", "denominator"]].to_dict("index") == {
        "basic": {"numerator": 1, "denominator": 2},  # a and b
        "pro": {"numerator": 1, "denominator": 2},  # c and e, who has moved to basic since
    }


def test_missing_and_hostile_segments_are_harmless(write_study):
    tables = subscribers()
    tables["customers"]["region"] = [
        "'; DROP TABLE customers; --",
        "<script>alert(1)</script>",
        "",
        None,
        "'; DROP TABLE customers; --",
        "ü\n",
    ]
    churn = (
        measure_at(write_study, tables, segment_by="region")
        .query("indicator == 'customer_churn_rate'")
        .set_index("segment")
    )
    assert churn.denominator.to_dict() == {
        "'; DROP TABLE customers; --": 2,
        "<script>alert(1)</script>": 1,
        "not known": 1,
    }


def test_segments_are_texts_of_few_values_never_sensitive_ones_and_the_plan(write_study):
    tables = subscribers()
    tables["customers"] = tables["customers"].assign(
        gender=list("mfmfmf"), name=list("uvwxyz"), only="one", age=range(6), city=list("ppqqrr")
    )
    study = write_study(tables=tables, sensitive=["gender"])
    assert segments.list_segment_columns(load.load_tables(study), study) == [
        "region",
        "name",
        "city",
        "plan",
    ]


def test_misspelt_and_sensitive_segments_are_refused_in_one_sentence(write_study):
    tables = subscribers()
    tables["customers"]["gender"] = list("mfmfmf")
    study = write_study(
        tables=tables,
        sensitive=["gender"],
        lifecycle={"segments": ["region", "regoin", "gender", "tariff"]},
    )
    with pytest.raises(
        StudyError,
        match=(
            r"key lifecycle\.segments: expected columns among region, plan .*, got 'regoin',"
            r" 'gender', 'tariff'; correct"
        ),
    ) as error:
        segments.list_segment_columns(load.load_tables(study), study)
    assert len(error.value.faults) == 1
    with pytest.raises(
        StudyError, match="expected a segment column among region, plan, got 'gender'"
    ):
        measure_at(write_study, tables, sensitive=["gender"], segment_by="gender")


@pytest.mark.parametrize("seed", list_seeds(2))
def test_the_future_never_matters(write_study, seed):
    before = measure_at(write_study, subscribers(), (date(2024, 5, 31), T))
    tables, rng = subscribers(), np.random.default_rng(seed)
    late = tables["contracts"].ended_at > "2024-06-30"
    tables["contracts"].loc[late, ["ended_at", "end_reason", "voluntary"]] = [
        pd.Timestamp("2024-07-05"),
        "scrambled",
        False,
    ]
    dated = {
        "contracts": "started_at",
        "orders": "ordered_at",
        "feedback": "given_at",
        "contacts": "contacted_at",
        "referrals": "referred_at",
    }
    for name, column in dated.items():
        invented = (
            tables[name]
            .sample(6, replace=True, random_state=seed)
            .assign(
                **{column: pd.Timestamp("2024-07-01") + pd.Timedelta(days=int(rng.integers(99)))}
            )
        )
        for later in {"ended_at", "resolved_at", "known_at"} & {*invented}:
            invented[later] = invented[column]
        tables[name] = pd.concat([tables[name], invented])
    open_ones = tables["contacts"].resolved_at > "2024-06-30 23:59"
    tables["contacts"].loc[open_ones, "resolved_at"] = pd.Timestamp("2024-12-30")
    pd.testing.assert_frame_equal(before, measure_at(write_study, tables, (date(2024, 5, 31), T)))


def test_many_snapshots_at_once_equal_each_alone(write_study):
    days = [date(2024, 5, 31), T]
    together = measure_at(write_study, subscribers(), days)
    alone = pd.concat([measure_at(write_study, subscribers(), [day]) for day in days])
    keys = ["indicator", "snapshot"]
    pd.testing.assert_frame_equal(
        together.sort_values(keys, ignore_index=True),
        alone.sort_values(keys, ignore_index=True),
        check_dtype=False,
    )


def test_batches_of_snapshots_change_nothing(write_study, monkeypatch):
    days = [date(2024, 5, 31), T]
    at_once = measure_at(write_study, subscribers(), days)
    monkeypatch.setattr(indicators, "MOST_TERM_ROWS", 6)  # six customers at one snapshot
    pd.testing.assert_frame_equal(at_once, measure_at(write_study, subscribers(), days))


def test_a_constant_churn_at_the_turn_of_months_is_constant_by_months(write_study):
    """One of 20 leaves on each first of a month; 30 days up to the 31st would hold none."""
    names = [f"c{number:03}" for number in range(200)]
    ended, staying = {}, names
    for month in pd.date_range("2024-02-01", "2024-08-01", freq="MS"):
        leavers, staying = staying[: len(staying) // 20], staying[len(staying) // 20 :]
        ended |= dict.fromkeys(leavers, month)
    table = pd.DataFrame({"customer_id": names, "started_at": pd.Timestamp("2023-06-01")})
    table["ended_at"] = pd.to_datetime(table.customer_id.map(ended))
    tables = {"customers": customers(*names), "contracts": table}
    plan = {"last": "2024-08-31", "train": 1, "test": 1}
    shares = {}
    for name, more in (("months", {"every": "month"}), ("days", {"every_days": 30})):
        study = write_study("contractual", name=name, tables=tables, snapshots=plan | more)
        loaded = load.load_tables(study)
        days = indicators.list_snapshots(loaded, study, 3)
        found = indicators.compute_indicators(loaded, study, days)
        shares[name] = found[found.indicator == "customer_churn_rate"].value.to_list()
        if name == "months":
            assert days == [date(2024, 6, 30), date(2024, 7, 31), date(2024, 8, 31)]
    assert shares["months"] == pytest.approx([0.05] * 3, abs=0.006)
    assert shares["days"][-1] == 0


def test_a_month_outside_the_data_is_refused_with_the_first_day_that_has_one(write_study):
    study = write_study(
        tables=subscribers(),
        lifecycle={"last": "2023-02-04"},
        snapshots={"last": "2024-06-30", "every": "month"},
        data_start="2023-01-05",
    )
    sentence = (
        "expected a window of a month within the data, which begin 2023-01-05, got the last day"
        " 2023-02-04; use lifecycle.last on or after 2023-02-05,"
    )
    with pytest.raises(StudyError, match=sentence):
        indicators.list_snapshots(load.load_tables(study), study, 3)
    later = study.model_copy(
        update={"lifecycle": study.lifecycle.model_copy(update={"last": date(2023, 2, 5)})}
    )
    found = indicators.list_snapshots(load.load_tables(later), later, 3)
    assert found == [date(2023, 2, 5)]

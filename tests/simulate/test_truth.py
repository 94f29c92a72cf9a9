"""What was drawn is what the truth says: hazards, stages, values, effects."""

import numpy as np
import pandas as pd
import pytest
from simulated_companies import NO_END, RARE

from research.simulate.company import CAMPAIGNS, DISCOUNT_A_YEAR
from research.simulate.draws import Clock
from research.simulate.truth import find_stages, quarter_risk, remaining_value

ARMS = ("discount", "call")
RANDOMISED = [name for name, shares in CAMPAIGNS.items() if shares is not None]


@pytest.fixture(scope="module")
def company(large_company) -> dict[str, pd.DataFrame]:
    return large_company


@pytest.fixture(scope="module")
def months(company) -> pd.DataFrame:
    """Months under contract at their start, with true hazards and ends by cause."""
    rows, ends = company["truth/hazards"].dropna(subset="voluntary"), company["contracts"]
    ends = ends[ends.ended_at.notna() & ~ends.end_reason.isin(NO_END)]
    ends = pd.DataFrame(
        {
            "customer_id": ends.customer_id,
            "month": ends.ended_at.dt.to_period("M").dt.start_time,
            "by_choice": ends.voluntary.astype(bool),
        }
    )
    joined = rows.merge(
        ends.astype({"month": "datetime64[us]"}), how="left", on=["customer_id", "month"]
    )
    chose = joined.by_choice.astype("boolean")
    return joined.assign(
        left_voluntary=chose.fillna(False).astype(bool),
        left_involuntary=(~chose).fillna(False).astype(bool),
    )


@pytest.mark.parametrize("cause", ["voluntary", "involuntary"])
def test_in_every_tenth_of_the_true_hazard_as_many_leave_as_expected(months, cause):
    tenth = pd.qcut(months[cause], 10, labels=False)
    counts = months.groupby(tenth).agg(left=(f"left_{cause}", "sum"), expected=(cause, "sum"))
    variance = (months[cause] * (1 - months[cause])).groupby(tenth).sum()
    assert (np.abs(counts.left - counts.expected) < RARE * np.sqrt(variance)).all()


def test_the_true_hazard_includes_the_effects_of_campaigns(months, company):
    """Without the effects of campaigns, the truth would be too high for treated customers."""
    arms = company["campaigns"].rename(columns={"assigned_at": "month"})[
        ["customer_id", "month", "arm"]
    ]
    treated = months.merge(arms[arms.arm != "control"], on=["customer_id", "month"])
    gap = treated.left_voluntary.sum() - treated.voluntary.sum()
    assert abs(gap) < RARE * np.sqrt((treated.voluntary * (1 - treated.voluntary)).sum())


def test_2_to_4_percent_leave_in_a_month_and_more_only_when_prices_rise(months):
    share = months.groupby("month")[["left_voluntary", "left_involuntary"]].mean().sum(axis=1)
    assert 0.025 < (months.left_voluntary | months.left_involuntary).mean() < 0.04
    assert share.drop(pd.Timestamp("2025-08-01")).between(0.015, 0.045).all()
    assert 0.035 < share[pd.Timestamp("2025-08-01")] < 0.06


def test_as_many_leave_within_three_months_as_the_risk_of_three_months_expects(company):
    rows, ends = company["truth/hazards"].dropna(subset="risk_3_months"), company["contracts"]
    rows = rows[rows.month == "2025-04-01"]
    left = ends[
        ends.ended_at.between("2025-04-01", "2025-06-30") & ~ends.end_reason.isin(NO_END)
    ].customer_id
    risk, happened = rows.risk_3_months, rows.customer_id.isin(left)
    assert abs(happened.sum() - risk.sum()) < RARE * np.sqrt((risk * (1 - risk)).sum())


def test_the_risk_of_three_months_is_one_less_the_product_of_the_chances_to_stay():
    hazard = np.array(
        [[[0.1], [0.2], [0.5], [0.0]], [[0.0], [0.05], [0.0], [0.0]]]
    )  # cause, month, life
    assert quarter_risk(hazard, 2)[:, 0] == pytest.approx(
        [1 - 0.9 * 0.75 * 0.5, 1 - 0.75 * 0.5 * 1.0]
    )


def test_the_hazard_has_a_row_for_every_month_from_the_first_under_contract_on(company):
    rows = company["truth/hazards"]
    first = rows.groupby("customer_id").month.min()
    joined = company["customers"].set_index("customer_id").joined_at.loc[first.index]
    opens = (joined.dt.to_period("M") + 1).dt.start_time.clip(lower=pd.Timestamp("2024-01-01"))
    assert (first == opens).all()
    assert not rows.duplicated(["customer_id", "month"]).any()
    assert (rows.voluntary.isna() == (rows.stage == "gone")).all()


def _life(began: int, **changes) -> dict[str, np.ndarray]:
    shape = (12 + 12, 1)
    return {
        "began": np.array([began]),
        "sinking": np.zeros(shape, dtype=bool),
        "recovering": np.zeros(shape, dtype=bool),
    } | changes


def test_stages_follow_the_age_of_the_contract_then_engagement():
    # starts within month 0, so that month 1 is the first whole one
    first = find_stages(_life(0), False, Clock(12))[:, 0]
    # three of introduction, three of growth, then maturity
    assert first[1:].tolist() == [0] * 3 + [1] * 3 + [2] * 5
    second = find_stages(_life(0), True, Clock(12))[:, 0]
    assert second[1:].tolist() == [5] * 6 + [2] * 5
    sinking, recovering = np.zeros((24, 1), dtype=bool), np.zeros((24, 1), dtype=bool)
    sinking[2:9], recovering[9:11] = True, True
    third = find_stages(_life(0, sinking=sinking, recovering=recovering), False, Clock(12))[:, 0]
    assert third[1:].tolist() == [0, 0, 0, 3, 3, 3, 3, 3, 1, 1, 2]


def test_customers_leave_most_in_decline_and_least_at_maturity(months):
    risk = (months.voluntary + months.involuntary).groupby(months.stage).mean()
    assert risk.idxmax() == "decline" and risk.idxmin() == "maturity"
    assert risk["decline"] > 4 * risk["maturity"]


def test_the_value_of_a_constant_margin_and_hazard_is_a_geometric_series():
    value = remaining_value(np.full((2, 20, 1), 0.05), np.full((20, 1), 10.0))
    survival = 0.9 / (1 + DISCOUNT_A_YEAR) ** (1 / 12)
    assert value == pytest.approx(np.full((20, 1), 10 / (1 - survival)))


def test_the_value_before_a_certain_end_is_the_margin_of_the_month():
    hazard = np.zeros((2, 20, 1))
    hazard[0, 4], hazard[:, -12:] = 1.0, 0.01
    value = remaining_value(hazard, np.full((20, 1), 10.0))[:, 0]
    assert value[4] == pytest.approx(10)
    assert value[3] == pytest.approx(10 + 10 * 1.1 ** (-1 / 12))


def test_the_value_of_loyal_customers_is_higher_and_of_gone_ones_empty(company):
    rows = company["truth/hazards"].merge(
        company["truth/people"][["customer_id", "loyalty"]], on="customer_id"
    )
    running = rows.dropna(subset="remaining_value_eur")
    assert (running.remaining_value_eur > 0).all()
    half = running.loyalty > running.loyalty.median()
    assert (
        running.remaining_value_eur[half].mean() > 1.1 * running.remaining_value_eur[~half].mean()
    )
    assert rows.remaining_value_eur[rows.stage == "gone"].isna().all()


def leaves_in_three_months(company: dict[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """Return the assignments of a campaign, and who left in the three months from its day."""
    rows, ends = company["campaigns"], company["contracts"]
    rows = rows[rows.campaign == name]
    opens = rows.assigned_at.iloc[0]
    closes = opens + pd.DateOffset(months=3)
    left = ends[
        (ends.ended_at >= opens) & (ends.ended_at < closes) & ~ends.end_reason.isin(NO_END)
    ].customer_id
    return rows.assign(left=rows.customer_id.isin(left))


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("name", RANDOMISED)
def test_the_difference_between_arms_is_the_mean_true_effect_within_its_interval(
    company, name, arm
):
    rows, truth = leaves_in_three_months(company, name), company["truth/effects"]
    truth = truth[(truth.campaign == name) & (truth.arm == arm)].set_index("customer_id").effect
    assert set(rows.customer_id) == set(truth.index)
    # each arm stands for everyone: Horvitz-Thompson
    weighted = rows.left / rows.propensity / len(rows)
    treated, control = rows.arm == arm, rows.arm == "control"
    difference = weighted[treated].sum() - weighted[control].sum()
    error = np.sqrt((weighted[treated] ** 2).sum() + (weighted[control] ** 2).sum())
    assert abs(difference - truth.mean()) < RARE * error
    assert truth.mean() < -0.01


def test_the_mean_effect_is_2_to_4_points_of_a_three_month_risk_of_6_to_12_percent(company):
    truth = company["truth/effects"]
    assert truth.groupby(["campaign", "arm"]).risk_control.mean().between(0.06, 0.12).all()
    assert truth.groupby("arm").effect.mean().between(-0.04, -0.018).all()


def test_contact_provokes_churn_of_some_customers_and_they_are_the_quiet_ones(company):
    truth = company["truth/effects"].merge(
        company["truth/people"][["customer_id", "quiet"]], on="customer_id"
    )
    away, quiet = truth.effect > 0, truth.quiet.astype(bool)
    assert 0.05 < away.mean() < 0.2
    assert quiet[away].mean() > 0.9 and away[quiet].mean() > 0.9
    assert truth.effect[quiet].mean() > 0.015


def test_the_effect_is_not_the_risk_in_another_unit(company):
    """Many of the tenth with the highest risk are not in the tenth that an arm helps most."""
    truth = company["truth/effects"].query("risk_control > 0.02")
    for arm in ARMS:
        rows = truth[truth.arm == arm]
        riskiest = rows.risk_control.rank(pct=True) > 0.9
        most_helped = rows.effect.rank(pct=True) <= 0.1
        assert 0.1 < most_helped[riskiest].mean() < 0.7


def test_each_arm_helps_other_customers_most(company):
    truth = company["truth/effects"].pivot(
        index=["customer_id", "campaign"], columns="arm", values="effect"
    )
    helped = truth[(truth < -0.05).any(axis=1)]
    assert 0.3 < (helped["discount"] < helped["call"]).mean() < 0.9


def test_the_chosen_campaign_reaches_the_troubled_and_would_mislead(company):
    rows, truth = leaves_in_three_months(company, "agent calls"), company["truth/effects"]
    truth = truth[(truth.campaign == "agent calls") & (truth.arm == "call")]
    difference = rows.left[rows.arm == "call"].mean() - rows.left[rows.arm == "control"].mean()
    error = np.sqrt(
        sum(
            rows.left[rows.arm == arm].var() / (rows.arm == arm).sum()
            for arm in ("call", "control")
        )
    )
    assert rows.propensity.isna().all()
    assert difference - truth.effect.mean() > RARE * error

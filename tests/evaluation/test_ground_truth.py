"""The truth beside the generated company: what was drawn is what the truth says, and nothing but
the truth knows it as well.
"""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from research.data import fetch, load
from research.evaluation import ground_truth as truth
from research.features import build
from research.simulate import Company, run_paths, simulate_company
from research.simulate.campaigns import arm_shares, draw_assignments
from research.simulate.company import CAMPAIGNS, DISCOUNT_A_YEAR
from research.simulate.draws import Clock, Draws
from research.simulate.outlook import Future, expect_effects, expect_risks
from research.simulate.people import draw_people
from research.simulate.truth import find_stages, quarter_risk, remaining_value
from research.study import Study, adjust, load_study
from research.study_schema import TRAPS

NO_END = ("renewed", "price changed", "plan changed")
RARE = 3.3  # standard errors; by chance one comparison in a thousand is farther off
OFFERS = ("discount", "call")
RANDOMISED = [name for name, shares in CAMPAIGNS.items() if shares is not None]


@pytest.fixture(scope="module")
def company() -> dict[str, pd.DataFrame]:
    return simulate_company(Company(20_000, 24, 0))


@pytest.fixture(scope="module")
def months(company) -> pd.DataFrame:
    """Months under contract at their start, with the true chances and whether the customer left in
    them, by cause.
    """
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


# hazards


@pytest.mark.parametrize("cause", ["voluntary", "involuntary"])
def test_in_every_tenth_of_the_true_hazard_as_many_leave_as_it_says(months, cause):
    tenth = pd.qcut(months[cause], 10, labels=False)
    found = months.groupby(tenth).agg(left=(f"left_{cause}", "sum"), expected=(cause, "sum"))
    variance = (months[cause] * (1 - months[cause])).groupby(tenth).sum()
    assert (np.abs(found.left - found.expected) < RARE * np.sqrt(variance)).all()


def test_the_true_hazard_in_campaigns_is_the_one_in_force(months, company):
    """With the offers left out of the truth, treated customers would leave less often than it
    says.
    """
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


def test_who_left_within_three_months_is_what_the_risk_of_three_months_says(company):
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


# stages


def _life(began: int, **changes) -> dict[str, np.ndarray]:
    shape = (12 + 12, 1)
    return {
        "began": np.array([began]),
        "sinking": np.zeros(shape, dtype=bool),
        "recovering": np.zeros(shape, dtype=bool),
    } | changes


def test_stages_follow_the_age_of_the_contract_then_engagement():
    first = find_stages(_life(0), False, Clock(12))[
        :, 0
    ]  # starts within month 0, so that month 1 is the first whole one
    assert first[1:].tolist() == [
        0,
        0,
        0,
        1,
        1,
        1,
        2,
        2,
        2,
        2,
        2,
    ]  # three of introduction, three of growth, then maturity
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


# value


def test_the_value_of_a_constant_margin_and_hazard_is_a_geometric_series():
    value = remaining_value(np.full((2, 20, 1), 0.05), np.full((20, 1), 10.0))
    stay = 0.9 / (1 + DISCOUNT_A_YEAR) ** (1 / 12)
    assert value == pytest.approx(np.full((20, 1), 10 / (1 - stay)))


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


# effects


def leaves_in_three_months(company: dict[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """Return the assignments of a campaign with whether the customer left in the three months from
    its day.
    """
    rows, ends = company["campaigns"], company["contracts"]
    rows = rows[rows.campaign == name]
    opens = rows.assigned_at.iloc[0]
    closes = opens + pd.DateOffset(months=3)
    left = ends[
        (ends.ended_at >= opens) & (ends.ended_at < closes) & ~ends.end_reason.isin(NO_END)
    ].customer_id
    return rows.assign(left=rows.customer_id.isin(left))


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("name", RANDOMISED)
def test_the_difference_between_arms_is_the_mean_true_effect_within_its_interval(
    company, name, offer
):
    rows, truth = leaves_in_three_months(company, name), company["truth/effects"]
    truth = truth[(truth.campaign == name) & (truth.arm == offer)].set_index("customer_id").effect
    assert set(rows.customer_id) == set(truth.index)
    weighed = (
        rows.left / rows.propensity / len(rows)
    )  # each arm stands for everyone: Horvitz-Thompson
    treated, control = rows.arm == offer, rows.arm == "control"
    found = weighed[treated].sum() - weighed[control].sum()
    error = np.sqrt((weighed[treated] ** 2).sum() + (weighed[control] ** 2).sum())
    assert abs(found - truth.mean()) < RARE * error
    assert truth.mean() < -0.01


def test_the_mean_effect_is_2_to_4_points_of_a_three_month_risk_of_6_to_12_percent(company):
    truth = company["truth/effects"]
    assert truth.groupby(["campaign", "arm"]).risk_control.mean().between(0.06, 0.12).all()
    assert truth.groupby("arm").effect.mean().between(-0.04, -0.018).all()


def test_contact_drives_some_customers_away_and_they_are_the_quiet_ones(company):
    truth = company["truth/effects"].merge(
        company["truth/people"][["customer_id", "quiet"]], on="customer_id"
    )
    away, quiet = truth.effect > 0, truth.quiet.astype(bool)
    assert 0.05 < away.mean() < 0.2
    assert quiet[away].mean() > 0.9 and away[quiet].mean() > 0.9
    assert truth.effect[quiet].mean() > 0.015


def test_the_effect_is_not_the_risk_in_another_unit(company):
    """Of the tenth with the highest risk, a good part is not in the tenth that an offer helps
    most.
    """
    truth = company["truth/effects"].query("risk_control > 0.02")
    for offer in OFFERS:
        rows = truth[truth.arm == offer]
        riskiest = rows.risk_control.rank(pct=True) > 0.9
        most_helped = rows.effect.rank(pct=True) <= 0.1
        assert 0.1 < most_helped[riskiest].mean() < 0.7


def test_each_offer_helps_others_most(company):
    truth = company["truth/effects"].pivot(
        index=["customer_id", "campaign"], columns="arm", values="effect"
    )
    helped = truth[(truth < -0.05).any(axis=1)]
    assert 0.3 < (helped["discount"] < helped["call"]).mean() < 0.9


def test_the_chosen_campaign_reaches_the_troubled_and_would_mislead(company):
    rows, truth = leaves_in_three_months(company, "agent calls"), company["truth/effects"]
    truth = truth[(truth.campaign == "agent calls") & (truth.arm == "call")]
    found = rows.left[rows.arm == "call"].mean() - rows.left[rows.arm == "control"].mean()
    error = np.sqrt(
        sum(
            rows.left[rows.arm == arm].var() / (rows.arm == arm).sum()
            for arm in ("call", "control")
        )
    )
    assert rows.propensity.isna().all()
    assert found - truth.effect.mean() > RARE * error


def test_agents_choose_by_grievance_fall_and_price():
    drivers = {
        name: np.array(values)
        for name, values in {
            "base": [1, 1, 1.0],
            "grievance": [0, 2, 0.0],
            "fall": [0, 1, 0.0],
            "dear": [0, 0, 1.0],
        }.items()
    }
    shares = arm_shares("agent calls", np.zeros(3, dtype=np.int8), drivers)
    assert shares.sum(axis=0) == pytest.approx(np.ones(3))
    assert shares[2, 1] > 0.9 and shares[1, 2] > 2 * shares[1, 0] and shares[0, 0] > 0.6


# no column knows more than the truth


@pytest.fixture(scope="module")
def panel(tmp_path_factory) -> tuple[pd.DataFrame, pd.DataFrame, list[str], Study]:
    """Features and labels at the end of June 2025 of a demo of 5,000 customers without the knowing
    attribute, and the true hazards.
    """
    source, home = load_study("demo").folder, tmp_path_factory.mktemp("home")
    folder = home / "data" / "demo"
    folder.mkdir(parents=True)
    for path in (*source.glob("*.sql"), source / "study.yml"):
        text = path.read_text(encoding="utf-8").replace(", retention_offer_code", "")
        honest = [name for name in TRAPS if name != "knowing_attribute"]
        text = text.replace(
            "customers: 6000, months: 24, seed: 0",
            f"customers: 5000, months: 24, seed: 0, traps: [{', '.join(honest)}]",
        )
        (folder / path.name).write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESEARCH_HOME", str(home))
        study = adjust(
            load_study("demo"), snapshot="2025-06-30", lead_days=0, horizon_days=92
        )  # July to September
        fetch.fetch(study)
        frame = build.load_panel(load.adapt(study), study, [study.snapshots.last])
        return (
            frame,
            pd.read_parquet(study.raw / "truth" / "hazards"),
            build.list_features(frame, study),
            study,
        )


def test_no_contract_column_predicts_the_outcome_better_than_the_true_hazard(panel):
    frame, hazards, columns, _ = panel
    hazards = hazards[hazards.month == "2025-07-01"].set_index("customer_id")
    assert set(frame.customer_id) == set(hazards.index[hazards.voluntary.notna()])
    best = roc_auc_score(frame.churned, hazards.risk_3_months[frame.customer_id])
    columns = [
        name for name in columns if name != "name"
    ]  # nearly one value for each customer: its rates would be the labels themselves
    shares = {
        name: frame.churned.groupby(frame[name].fillna("")).transform("mean")
        for name in columns
        if frame[name].dtype == object
    }
    rates = {name: shares.get(name, frame[name]) for name in columns}
    areas = {
        name: roc_auc_score(frame.churned, values.fillna(values.median()))
        for name, values in rates.items()
    }
    areas = pd.Series({name: max(area, 1 - area) for name, area in areas.items()})
    assert 0.8 < best < 0.95
    assert areas.max() < best - 0.05
    assert areas.max() > 0.6


def test_beside_the_true_hazard_no_column_says_anything_of_the_outcome(panel):
    """Who leaves is drawn from the hazard alone, so that what is left of the outcome when the risk
    is taken off goes with no column.

    For every column, the sum of (left - risk) times its centred rank has the mean 0 and the
    variance of the draws.
    """
    frame, hazards, columns, _ = panel
    risk = (
        hazards[hazards.month == "2025-07-01"]
        .set_index("customer_id")
        .risk_3_months[frame.customer_id]
        .to_numpy()
    )
    ranks = (
        pd.get_dummies(frame[[name for name in columns if name != "name"]], dummy_na=True).rank(
            pct=True
        )
        - 0.5
    )
    ranks = ranks.fillna(0).loc[:, lambda table: table.nunique() > 1]
    surprise = (frame.churned - risk).to_numpy() @ ranks / np.sqrt((risk * (1 - risk)) @ ranks**2)
    assert len(ranks.columns) > 60
    assert surprise.abs().max() < 4


# the risk before the window


def test_all_futures_share_the_past_and_part_from_the_month_on():
    company, clock = Company(300, 24, 0), Clock(24)
    draws = Draws(0, 0)
    people, assignments = draw_people(draws, 300, clock), draw_assignments(draws, 300)
    streams = Draws(0, 0), Future(0, 0, 0, 18, 1), Future(0, 0, 0, 18, 2)
    lives = [
        run_paths(stream, company, people, assignments, np.arange(300), people["joined"], clock)[0]
        for stream in streams
    ]
    for path in ("level", "sinking", "failed", "plan", "hazard"):
        assert all(
            (lives[0][path][..., :18, :] == one[path][..., :18, :]).all() for one in lives[1:]
        )
    for one, other in combinations(lives, 2):
        assert (one["hazard"][:, 18:] != other["hazard"][:, 18:]).mean() > 0.9


def test_the_risk_before_the_window_is_what_happens_on_average_and_surer_knowledge_spreads_wider(
    company,
):
    risk = expect_risks(Company(20_000, 24, 0), 15, futures=10)  # April 2025
    rows, ends = company["truth/hazards"], company["contracts"]
    path = rows[rows.month == "2025-04-01"].set_index("customer_id").risk_3_months.dropna()
    left = ends[
        ends.ended_at.between("2025-04-01", "2025-06-30") & ~ends.end_reason.isin(NO_END)
    ].customer_id
    assert set(risk.index) == {name for name in path.index if name <= "C010000"}
    happened = risk.index.isin(left)
    for third in range(3):
        inside = pd.qcut(risk, 3, labels=False) == third
        assert abs(happened[inside].sum() - risk[inside].sum()) < RARE * np.sqrt(
            (path[risk.index][inside] * (1 - path[risk.index][inside])).sum() + 1
        )
    assert risk.var() < path[risk.index].var()


# what models miss of it


def test_the_truth_itself_closes_the_whole_gap_and_the_base_rate_none_of_it():
    rng = np.random.default_rng(0)
    risk = pd.Series(rng.beta(1, 9, 5000), [f"c{i}" for i in range(5000)])
    rows = pd.DataFrame(
        {
            "customer_id": risk.index,
            "truth": risk.to_numpy(),
            "base": risk.mean(),
            "half": (risk.to_numpy() + risk.mean()) / 2,
        }
    )
    table = truth.grade(
        rows, risk[:4000], dict.fromkeys(["truth", "base", "half"], "any"), "base", 100, 0
    ).set_index("model")
    assert table.gap_closed_share[["truth", "base"]].tolist() == pytest.approx([1, 0])
    assert (
        0.6 < table.low["half"] < table.gap_closed_share["half"] < table.high["half"] < 0.9
    )  # the loss is about quadratic: a half way closes three quarters
    assert table.miss_points["half"] == pytest.approx(
        100 * (risk[:4000] - risk.mean()).pow(2).mean() ** 0.5 / 2
    )
    assert (table.n == 4000).all()


def test_the_true_risks_fit_what_happened_in_the_window(panel):
    frame, _, _, study = panel
    rows = frame.set_index("customer_id").join(
        truth.load_risks(study, study.snapshots.last), how="inner"
    )
    assert len(rows) == len(frame)
    assert abs(rows.churned.sum() - rows.true_risk.sum()) < RARE * np.sqrt(
        (rows.true_risk * (1 - rows.true_risk)).sum()
    )


@pytest.mark.parametrize("changes", [{"horizon_days": 60}, {"lead_days": 14}])
def test_where_the_window_is_no_quarter_nobody_knows_the_truth(panel, changes):
    study = adjust(panel[3], **changes)
    assert truth.load_risks(study, study.snapshots.last).empty


def test_effects_over_many_futures_are_those_of_the_path_on_average_and_lie_closer_together():
    company = Company(600, 24, 3)
    path = simulate_company(company)["truth/effects"].astype({"campaign": str, "arm": str})
    expected = expect_effects(company, ["summer test"], 20)
    both = expected.merge(path, on=["campaign", "customer_id", "arm"], suffixes=("", "_path"))
    assert len(both) == len(expected) == (path.campaign == "summer test").sum()
    assert both.effect.mean() == pytest.approx(both.effect_path.mean(), abs=0.01)
    assert both.effect.std() < both.effect_path.std()
    assert both.effect.corr(both.effect_path) > 0.8

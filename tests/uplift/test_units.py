"""Arms drawn for another unit than the customer: everything random goes by the unit."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from cases import slow
from households import CORRELATION, WIDER, make_households
from scipy.stats import ttest_ind
from trial_maker import DAY

from research.data.load import load_tables
from research.errors import StudyError
from research.features.build import describe_features, load_flat
from research.features.leakage.gate import check_panel
from research.features.leakage.post_outcome import (
    find_after_treatment,
    load_reference_population,
)
from research.uplift import balance, doubly_robust
from research.uplift.average_effects import (
    ADJUSTED,
    DIFFERENCE_OF_MEANS,
    ScoredOutcome,
    tabulate_effects,
)
from research.uplift.heterogeneity import permute_arms
from research.uplift.metrics import resample_uplift
from research.uplift.power import plan_test
from research.uplift.report import describe_trial
from research.uplift.trials import CUSTOMER, join_units, load_trials

EFFECT = 0.2


def by_row(trial):
    return replace(trial, unit=CUSTOMER)


def score(trial):
    """Return the outcome with scores whose predictions are 0, which are unbiased as well."""
    sample = doubly_robust.make_sample(trial, "outcome")
    none = np.zeros((sample.size, 2))
    return ScoredOutcome(
        "outcome", trial.rows, sample, none, doubly_robust.compute_scores(sample, none)
    )


def tabulate(trial):
    return tabulate_effects(trial, [score(trial)]).set_index("method")


def test_intervals_by_household_are_as_much_wider_as_the_design_effect_says():
    trials = [make_households(200, seed, EFFECT) for seed in range(8)]
    tables = [[tabulate(one).loc[DIFFERENCE_OF_MEANS] for one in (t, by_row(t))] for t in trials]
    wide = np.mean([[one.high - one.low for one in pair] for pair in tables], axis=0)
    assert wide[0] / wide[1] == pytest.approx(WIDER, rel=0.06)
    assert np.mean([pair[0].low <= EFFECT <= pair[0].high for pair in tables]) >= 0.75


@pytest.mark.slow
def test_intervals_by_household_hold_the_truth_and_those_by_row_too_rarely():
    """160 trials: the share has a standard error of 1.7 points at 95 %, of 2.5 at 88 %.

    By row the interval is 1 / 1.25 as wide as it should be: 1.96 / 1.25 standard errors hold the
    truth in 88.3 %.
    """
    covered, widths = [], []
    for seed in range(160):
        trial = make_households(200, seed, EFFECT)
        tables = [tabulate(one).loc[DIFFERENCE_OF_MEANS] for one in (trial, by_row(trial))]
        covered.append([table.low <= EFFECT <= table.high for table in tables])
        widths.append([table.high - table.low for table in tables])
    by_household, by_customer = np.mean(covered, axis=0)
    assert by_household == pytest.approx(0.95, abs=0.035)
    assert by_customer == pytest.approx(0.883, abs=0.05)
    assert by_household > by_customer + 0.03
    wide = np.mean(widths, axis=0)
    assert wide[0] / wide[1] == pytest.approx(WIDER, rel=0.03)


def test_the_error_by_household_is_that_of_statsmodels_clustered():
    import statsmodels.api as sm

    trial = make_households(300, 0, EFFECT)
    rows, table = trial.rows, tabulate(trial).loc[DIFFERENCE_OF_MEANS]
    design = sm.add_constant((rows.arm == "mail").astype(float))
    groups = {"groups": pd.factorize(rows.household)[0], "use_correction": False}
    fit = sm.OLS(rows.outcome, design).fit(cov_type="cluster", cov_kwds=groups)
    assert table.effect == pytest.approx(fit.params["arm"])
    assert (table.high - table.low) / 2 / 1.959964 == pytest.approx(fit.bse["arm"], rel=1e-6)


def test_the_sample_ratio_is_that_of_households(write_study):
    """Of 400 households 220 are in control, 180 are not: (20^2 + 20^2) / 200 = 4, p = 0.0455. The
    larger ones are in one arm, so that by customer the ratio is far from the plan.
    """
    study = write_study("flat", experiment={"shares": {"control": 1, "mail": 1}})
    household = [f"h{number}" for number in range(400)]
    size = [1] * 220 + [3] * 180
    arms = ["control"] * 220 + ["mail"] * 180
    trial = make_households(400, 0)
    rows = pd.DataFrame({"household": household, "arm": arms, "trial": "test"})
    rows = rows.loc[np.repeat(rows.index, size)].reset_index(drop=True)
    rows = rows.assign(customer_id=range(len(rows)), propensity=0.5)
    table = balance.check_sample_ratio(replace(trial, rows=rows), study)
    assert table.p_value.iloc[0] == pytest.approx(0.0455, abs=1e-4)
    assert table.units.tolist() == [220, 180] and table.customers.tolist() == [220, 540]
    by_customer = balance.check_sample_ratio(by_row(replace(trial, rows=rows)), study)
    assert by_customer.p_value.iloc[0] < 1e-20


@pytest.mark.parametrize(("trials", "near"), [(20, 0.45), slow(100, 0.15)])
def test_household_size_differs_by_no_more_than_chance_of_households(trials, near):
    """Size is the same for all of a household: its difference has the error of a mean weighted by
    size; its standard deviation of 100 trials has a standard error of 7 %, of 20 one of 16 %.
    """
    z = [
        [(table.difference_sd / table.error_sd).iloc[0] for table in map(compare_size, pair)]
        for trial in (make_households(300, seed) for seed in range(trials))
        for pair in [(trial, by_row(trial))]
    ]
    by_household, by_customer = np.std(z, axis=0)
    assert by_household == pytest.approx(1, abs=near)
    assert by_customer > 1.4


def compare_size(trial):
    return balance.compare_features(replace(trial, features=["size"]))


def test_the_error_of_a_difference_before_the_assignment_is_that_of_equal_households():
    """Of households of one size the clustered error is that of the means of households."""
    trial = make_households(300, 1)
    rows = trial.rows[trial.rows["size"] == 3].reset_index(drop=True)
    table = balance.compare_features(replace(trial, rows=rows, features=["age"])).iloc[0]
    means = rows.groupby("household").agg(age=("age", "mean"), arm=("arm", "first"))
    control, mail = (means.age[means.arm == arm] for arm in ("control", "mail"))
    known = np.sqrt(control.var(ddof=0) / len(control) + mail.var(ddof=0) / len(mail))
    assert ttest_ind(control, mail).pvalue > 0  # both arms have households
    spread = (table.mean_arm - table.mean_control) / table.difference_sd
    assert table.error_sd * spread == pytest.approx(known, rel=1e-6)


def test_a_column_that_names_the_arm_is_found_whatever_the_unit(write_study):
    trial = make_households(200, 0)
    rows = trial.rows.assign(arm_code=(trial.rows.arm == "mail").astype(float))
    checks = balance.check_trial(
        replace(trial, rows=rows, features=["size", "age", "arm_code"]), write_study("flat")
    )
    assert checks.summary.feature.tolist() == ["arm_code"] and checks.left_out == ["arm_code"]
    assert not checks.refuted


@pytest.mark.parametrize(("trials", "most", "least"), [(50, 3, 1), slow(150, 5, 10)])
def test_outcomes_missing_by_household_are_not_called_uneven_more_often_than_promised(
    trials, most, least
):
    """Whole households miss their outcome; of the trials 1 % are called uneven."""
    found = {True: 0, False: 0}
    for seed in range(trials):
        trial = make_households(200, seed)
        gone = np.random.default_rng(seed).random(200) < 0.3
        outcome = trial.rows.outcome.where(~gone[trial.rows.household.astype(int)])
        trial = replace(trial, rows=trial.rows.assign(outcome=outcome))
        for one in (trial, by_row(trial)):
            p = balance.check_attrition(one).p_value.iloc[0]
            found[one.by_customer] += p < balance.CHECK_LEVEL
    assert found[False] <= most
    assert found[True] >= least


def test_folds_resamples_and_placebos_keep_a_household_together():
    trial = make_households(200, 0)
    sample = doubly_robust.make_sample(trial, "outcome")
    together = pd.Series(sample.clusters)
    folds = pd.Series(doubly_robust.assign_folds(sample, 3, 0))
    assert (folds.groupby(together).nunique() == 1).all() and folds.nunique() == 3
    permuted = permute_arms(sample, 0)
    arms = pd.Series(permuted.arm)
    assert (arms.groupby(together).nunique() == 1).all()
    assert (permuted.arm != sample.arm).any()
    assert arms.groupby(together).first().sum() == 100  # as many households as before
    # one that is drawn is drawn with all its customers: households of their own are as good as rows
    scores = doubly_robust.compute_scores(sample, np.zeros((sample.size, 2)))
    fit = [type("Fit", (), {"effects": {"size": trial.rows[["size"]].to_numpy()}, "strata": folds})]
    widths = [
        np.std(resample_uplift(fit, one, scores, 300, 0)["mail", "size"]["uplift_at_30"])
        for one in (sample, replace(sample, clusters=sample.customers))
    ]
    assert widths[0] > 1.1 * widths[1]


def test_a_next_test_needs_as_many_more_customers_as_the_design_effect_says():
    trial = make_households(3000, 0, EFFECT)
    plans = [
        plan_test([score(one)], tabulate_effects(one, [score(one)]), 1000).iloc[0]
        for one in (trial, by_row(trial))
    ]
    design_effect = 1 + 2 * CORRELATION
    assert plans[0].n_per_arm / plans[1].n_per_arm == pytest.approx(design_effect, rel=0.06)
    assert plans[0].smallest_effect / plans[1].smallest_effect == pytest.approx(WIDER, rel=0.03)


def test_units_that_share_a_customer_are_one_cluster():
    units = pd.Series(["a", "b", "b", "c", "d"])
    customers = pd.Series([1, 1, 2, 3, 4])  # the first was in a, then in b
    joined = join_units(units, customers)
    assert joined[0] == joined[1] == joined[2]
    assert joined[[0, 3, 4]].nunique() == 3


def write_flat(write_study, trial, **experiment):
    rows = trial.rows
    frame = rows[["customer_id", "household", "arm", "outcome", "size", "age"]]
    churned = np.random.default_rng(0).random(len(rows)) < 0.3
    study = write_study(
        "flat",
        tables={"snapshot": frame.assign(churned=churned)},
        experiment={"assignment": "randomised", "unit": "household", "primary": "outcome"}
        | experiment,
    )
    return study, load_tables(study)


def make_uneven_households():
    """Return a trial of 2,000 single customers and 60 households of 50, of which 35 got a mail."""
    trial = make_households(2060, 0)
    size = [1] * 2000 + [50] * 60
    arm = ["control", "mail"] * 1000 + ["mail"] * 35 + ["control"] * 25
    households = pd.DataFrame({"household": map(str, range(2060)), "size": size, "arm": arm})
    rows = households.loc[np.repeat(households.index, size)].reset_index(drop=True)
    rng = np.random.default_rng(0)
    rows = rows.assign(customer_id=[f"c{number}" for number in range(len(rows))])
    rows = rows.assign(outcome=rng.normal(size=len(rows)), age=rng.normal(50, 15, len(rows)))
    return replace(trial, rows=rows)


def test_the_household_is_no_feature_and_its_size_is_no_leak(write_study):
    """Of 60 large households 35 got a mail, as many or more of one kind in 25 % of draws (binomial,
    two-sided); of their customers 1,750 of 3,000, which is 9.1 standard errors from one half.
    """
    study, tables = write_flat(write_study, make_uneven_households())
    frame = load_flat(tables, study)
    checked = check_panel(tables, study, frame)
    assert "household" not in checked.columns and "size" in checked.allowed
    assert "household" not in describe_features(tables, study).feature.tolist()
    loaded = load_trials(tables, study)["randomised"]
    assert loaded.unit == "household" and "size" in loaded.features
    checks = balance.check_trial(loaded, study)
    assert "by household: 2,060 for 5,000 customers" in describe_trial(checks)
    assert "Before the assignment no feature differs" in describe_trial(checks)
    assert checks.left_out == []


def test_without_its_unit_the_size_is_called_a_leak():
    rows, columns = make_uneven_households().rows, ["size", "age"]
    assert [*find_after_treatment(rows, columns, ["arm"])] == ["size"]
    assert find_after_treatment(rows, columns, ["arm"], "household") == {}


def test_a_household_in_two_arms_is_refused_with_its_name(write_study):
    trial = make_households(200, 0)
    rows = trial.rows.copy()
    pair = rows.index[rows["size"] == 4][:2]
    rows.loc[pair[0], "arm"], rows.loc[pair[1], "arm"] = "control", "mail"
    name = rows.household[pair[0]]
    study, tables = write_flat(write_study, replace(trial, rows=rows))
    with pytest.raises(StudyError, match=rf"one arm for each .* got 1 of 200 .*{name} of"):
        load_trials(tables, study)


def test_customers_without_a_household_and_arms_of_few_are_refused(write_study):
    trial = make_households(200, 0)
    rows = trial.rows.assign(household=trial.rows.household.where(trial.rows["size"] > 1, None))
    study, tables = write_flat(write_study, replace(trial, rows=rows))
    with pytest.raises(StudyError, match="household of every customer in a trial, got 50 rows"):
        load_trials(tables, study)
    regions = (trial.rows.household.astype(int) % 30).astype(str)
    arm = np.where(regions.astype(int) < 15, "mail", "control")
    study, tables = write_flat(
        write_study, replace(trial, rows=trial.rows.assign(household=regions, arm=arm))
    )
    with pytest.raises(StudyError, match="at least 20 units .household. in every arm, got 15 in"):
        load_trials(tables, study)


@pytest.mark.parametrize(
    ("unit", "fault"),
    [("houshold", "did you mean 'household'"), ("arm", "has its own meaning in snapshot")],
)
def test_a_unit_must_be_a_column_of_its_own(write_study, unit, fault):
    with pytest.raises(StudyError, match=fault):
        write_flat(write_study, make_households(40, 0), unit=unit)


def test_adjusted_effects_go_by_household_too():
    table = tabulate(make_households(400, 0)), tabulate(by_row(make_households(400, 0)))
    wide = [(one.high - one.low)[ADJUSTED] for one in table]
    assert wide[0] / wide[1] == pytest.approx(WIDER, rel=0.1)


def write_dated(write_study, of: str, **more):
    """Write 120 households of two, all under contract; every other one got a letter. The table
    ``of`` has the households.
    """
    ids = [f"c{number:03d}" for number in range(240)]
    households = [f"h{number // 2}" for number in range(240)]
    arm = np.where(np.arange(240) // 2 % 2 == 0, "control", "letter")
    people = pd.DataFrame({"customer_id": ids, "joined_at": pd.Timestamp("2024-01-01")})
    contracts = people.rename(columns={"joined_at": "started_at"})
    campaigns = people[["customer_id"]].assign(
        campaign="letter", assigned_at=DAY, arm=arm, propensity=0.5
    )
    tables = {"customers": people, "contracts": contracts, "campaigns": campaigns}
    tables[of] = tables[of].assign(household=households)
    study = write_study(
        "contractual",
        tables=tables,
        experiment={"assignment": "randomised", "unit": "household"} | more,
    )
    return study, load_tables(study)


@pytest.mark.parametrize("of", ["customers", "campaigns"])
def test_dated_studies_have_the_unit_among_customers_or_campaigns(write_study, of):
    study, tables = write_dated(write_study, of)
    trial = load_trials(tables, study)["randomised"]
    assert trial.rows.groupby("household").customer_id.size().tolist() == [2] * 120
    assert trial.clusters.nunique() == 120 and "household" not in trial.features
    assert "household" not in describe_features(tables, study).feature.tolist()
    reference = load_reference_population(tables, study, date(2024, 7, 2))
    column = "household" if of == "customers" else "unit of letter"
    assert reference[column].nunique() == 120


def test_dated_history_is_told_from_what_has_no_date(write_study):
    study, tables = write_dated(write_study, "customers")
    trial = load_trials(tables, study)["randomised"]
    assert {"tenure_days", "n_contracts"} <= {*trial.history} and trial.dated
    assert "household" not in trial.history

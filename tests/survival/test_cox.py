"""Cox regression, proportional hazards and log-rank: by hand, against R, and invariants."""

import lifelines.datasets
import numpy as np
import pandas as pd
import pytest
from cases import list_seeds
from lifelines.fitters.coxph_fitter import CoxPHFitter
from lifelines.statistics import multivariate_logrank_test
from lifelines.utils.concordance import _concordance_summary_statistics

from research.errors import StudyError
from research.survival.cox import (
    check_proportionality,
    fit_cox,
    log_rank_test,
    tabulate_hazard_ratios,
)

GBSG = [
    "horTh: yes",
    "age",
    "menostat: Post",
    "tsize",
    "tgrade.L",
    "tgrade.Q",
    "pnodes",
    "progrec",
    "estrec",
]


def tenures_of(duration, ended, entry=0.0) -> pd.DataFrame:
    return pd.DataFrame(
        {"duration": np.asarray(duration, float), "ended": np.asarray(ended, bool)}
    ).assign(entry=entry)


def draw(seed: int, n: int = 200, late: bool = True) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Whole days with many ties, late entries, and one column that matters."""
    rng = np.random.default_rng(seed)
    columns = pd.DataFrame({"x": rng.normal(size=n), "z": (rng.random(n) < 0.4).astype(float)})
    duration = np.ceil(rng.exponential(12 * np.exp(-0.7 * columns.x)))
    entry = np.floor(rng.random(n) * 8) * (rng.random(n) < 0.5) * late
    tenures = tenures_of(np.minimum(duration, 25), duration <= 25, entry)
    kept = tenures.duration > tenures.entry
    return tenures[kept].reset_index(drop=True), columns[kept].reset_index(drop=True)


def likelihood_by_loops(
    tenures: pd.DataFrame, columns: np.ndarray, beta: np.ndarray, clock=None
) -> float:
    """Efron's partial likelihood, day by day.

    With a clock the columns are followed by themselves times the clock.
    """
    total = 0.0
    for day in sorted(tenures.duration[tenures.ended].unique()):
        x = columns if clock is None else np.hstack([columns, columns * clock(day)])
        log_ratio = x @ beta
        at_risk = ((tenures.entry < day) & (tenures.duration >= day)).to_numpy()
        died = ((tenures.duration == day) & tenures.ended).to_numpy()
        below = [
            np.exp(log_ratio[at_risk]).sum() - k / died.sum() * np.exp(log_ratio[died]).sum()
            for k in range(died.sum())
        ]
        total += log_ratio[died].sum() - np.log(below).sum()
    return total


def test_partial_likelihood_of_four_tenures_is_that_worked_by_hand():
    # ends on day 1 (x = 1) and day 2 (x = 0), the third is censored: with r = exp(b), L = r / (r +
    # 2) * 1 / 2 for x = 1, 0, 0;
    # it rises in b without bound, so a fourth with x = 1, censored, is added: L = r / (2 r + 2) * 1
    # / (r + 2), highest where r^2 = 2
    fit = fit_cox(tenures_of([1, 2, 3, 3], [1, 1, 0, 0]), pd.DataFrame({"x": [1.0, 0, 0, 1]}))
    assert np.exp(fit.coefficients[0]) == pytest.approx(np.sqrt(2), rel=1e-6)
    r = np.sqrt(2)
    assert fit.log_likelihood == pytest.approx(np.log(r / (2 * r + 2) / (r + 2)))
    assert fit.null_log_likelihood == pytest.approx(np.log(1 / 4 / 3))


def test_rossi_agrees_with_r():
    # R: summary(coxph(Surv(week, arrest) ~ fin + age + race + wexp + mar + paro + prio, data =
    # Rossi)); printed in Fox, J. and Weisberg, S. (2011),
    # Cox Proportional-CoxFit Regression for Survival Data in R, appendix to An R Companion to
    # Applied Regression, 2nd ed., section 3.2
    rossi = lifelines.datasets.load_rossi()
    columns = ["fin", "age", "race", "wexp", "mar", "paro", "prio"]
    fit = fit_cox(tenures_of(rossi.week, rossi.arrest), rossi[columns])
    assert fit.coefficients == pytest.approx(
        [-0.37942, -0.05744, 0.31390, -0.14980, -0.43370, -0.08487, 0.09150], abs=6e-6
    )
    assert np.sqrt(np.diag(fit.variance)) == pytest.approx(
        [0.19138, 0.02200, 0.30799, 0.21222, 0.38187, 0.19576, 0.02865], abs=6e-6
    )
    assert 2 * (fit.log_likelihood - fit.null_log_likelihood) == pytest.approx(
        33.27, abs=0.005
    )  # likelihood ratio test on 7 df
    table = tabulate_hazard_ratios(fit).set_index("column")
    assert table.loc["fin", ["hazard_ratio", "low", "high", "p_value"]].tolist() == pytest.approx(
        [0.6843, 0.4702, 0.9957, 0.0474], abs=6e-5
    )


def gbsg2() -> tuple[pd.DataFrame, pd.DataFrame]:
    data = lifelines.datasets.load_gbsg2()
    grade = data.tgrade.map({"I": -1, "II": 0, "III": 1})
    linear, square = (
        grade / np.sqrt(2),
        grade.map({-1: 1, 0: -2, 1: 1}) / np.sqrt(6),
    )  # contr.poly(3), as R codes an ordered factor
    columns = [
        data.horTh == "yes",
        data.age,
        data.menostat == "Post",
        data.tsize,
        linear,
        square,
        data.pnodes,
        data.progrec,
        data.estrec,
    ]
    return tenures_of(data.time, data.cens), pd.DataFrame(
        dict(zip(GBSG, columns, strict=True))
    ).astype(float)


def test_gbsg2_agrees_with_r():
    # R: summary(coxph(Surv(time, cens) ~ ., data = GBSG2)), data of TH.data; printed in Hothorn, T.
    # and Everitt, B. S. (2014),
    # A Handbook of Statistical Analyses Using R, 3rd ed., chapter Survival Analysis: n = 686, 299
    # events
    tenures, columns = gbsg2()
    fit = fit_cox(tenures, columns)
    expected = [
        -0.3462784,
        -0.0094592,
        0.2584448,
        0.0077961,
        0.5512988,
        -0.2010905,
        0.0487886,
        -0.0022172,
        0.0001973,
    ]
    errors = [
        0.1290747,
        0.0093006,
        0.1834765,
        0.0039390,
        0.1898441,
        0.1219654,
        0.0074471,
        0.0005735,
        0.0004504,
    ]
    assert (len(tenures), tenures.ended.sum()) == (686, 299)
    assert fit.coefficients == pytest.approx(expected, abs=6e-8)
    assert np.sqrt(np.diag(fit.variance)) == pytest.approx(errors, abs=6e-8)


def test_the_test_of_proportional_hazards_agrees_with_r():
    # R, survival 3: cox.zph(coxph(Surv(time, cens) ~ ., data = GBSG2)), which tests tgrade on two
    # degrees of freedom
    tenures, columns = gbsg2()
    table = check_proportionality(
        fit_cox(tenures, columns), [name.split(".")[0].split(":")[0] for name in columns]
    ).set_index("term")
    assert table.chi2[:-1].tolist() == pytest.approx(
        [0.239, 10.44, 5.41, 0.191, 10.71, 0.808, 4.39, 5.89], abs=0.006
    )
    assert table.df.to_dict() == {
        "horTh": 1,
        "age": 1,
        "menostat": 1,
        "tsize": 1,
        "tgrade": 2,
        "pnodes": 1,
        "progrec": 1,
        "estrec": 1,
        "all": 9,
    }


def test_telco_by_strata_agrees_with_the_published_likelihood_and_concordance(mirror):
    # lifelines 0.19, examples/Customer Churn.ipynb: CoxPHFitter().fit(df, 'tenure', 'Churn_Yes',
    # strata=[...]), 7043 customers, 1869 events
    data = pd.read_csv(mirror / "telco" / "Telco-Customer-Churn.csv").drop(
        columns=["customerID", "TotalCharges"]
    )
    data = data.map(lambda value: "No" if str(value).startswith("No ") else value)
    strata_by = ["InternetService", "StreamingMovies", "StreamingTV", "PhoneService"]
    texts = [name for name in data if name not in (*strata_by, "tenure", "MonthlyCharges", "Churn")]
    matrix = pd.get_dummies(
        data[[*texts, "MonthlyCharges"]], columns=texts, drop_first=True, dtype=float
    )
    tenures, strata = (
        tenures_of(data.tenure, data.Churn == "Yes"),
        data[strata_by].agg("|".join, axis=1),
    )
    fit = fit_cox(tenures, matrix, strata)
    assert fit.log_likelihood == pytest.approx(-10106.05, abs=0.005)
    risk, sums = fit.matrix @ fit.coefficients, np.zeros(3)
    for _, rows in tenures.assign(risk=risk).groupby(strata.to_numpy()):
        sums += _concordance_summary_statistics(
            rows.duration.to_numpy(), -rows.risk.to_numpy(), rows.ended.to_numpy()
        )
    assert (sums[0] + sums[1] / 2) / sums[2] == pytest.approx(0.832, abs=0.0005)


@pytest.mark.parametrize("seed", list_seeds(3))
def test_late_entries_agree_with_lifelines_and_with_the_likelihood_written_in_loops(seed):
    tenures, columns = draw(seed)
    fit = fit_cox(tenures, columns)
    assert likelihood_by_loops(tenures, fit.matrix, fit.coefficients) == pytest.approx(
        fit.log_likelihood
    )
    other = CoxPHFitter().fit(columns.join(tenures), "duration", "ended", entry_col="entry")
    assert fit.coefficients == pytest.approx(other.params_.to_numpy(), abs=1e-5)
    assert np.diag(fit.variance) == pytest.approx(np.diag(other.variance_matrix_), rel=1e-4)


@pytest.mark.parametrize("seed", list_seeds(3))
def test_splitting_tenures_in_two_changes_nothing(seed):
    tenures, columns = draw(seed)
    whole, longer = fit_cox(tenures, columns), tenures.duration > 6
    begun = tenures.entry < 6
    parts = [
        tenures[begun].assign(
            duration=tenures.duration.clip(upper=6), ended=tenures.ended & ~longer
        ),
        tenures[longer].assign(entry=tenures.entry.clip(lower=6)),
    ]
    cut = fit_cox(
        pd.concat(parts, ignore_index=True),
        pd.concat([columns[begun], columns[longer]], ignore_index=True),
    )
    assert cut.log_likelihood == pytest.approx(whole.log_likelihood)
    assert cut.coefficients == pytest.approx(whole.coefficients, abs=1e-6)


def test_ignoring_late_entry_biases_what_accounting_for_it_recovers():
    rng = np.random.default_rng(5)
    x, observed_from = rng.normal(size=20_000), rng.random(20_000) * 30
    life = rng.exponential(20 * np.exp(-x))
    seen = life > observed_from
    tenures, columns = (
        tenures_of(np.ceil(life[seen]), np.ones(seen.sum()), np.floor(observed_from[seen])),
        pd.DataFrame({"x": x[seen]}),
    )
    adjusted, ignored = (
        fit_cox(rows, columns).coefficients[0] for rows in (tenures, tenures.assign(entry=0.0))
    )
    assert adjusted == pytest.approx(1, abs=0.03)
    assert abs(ignored - 1) > 0.05


def test_a_column_that_each_stratum_fixes_has_no_ratio():
    tenures, columns = draw(0)
    strata = np.where(columns.z > 0, "a", "b")
    ratios = tabulate_hazard_ratios(fit_cox(tenures, columns, strata)).set_index("column")
    assert np.isnan(ratios.hazard_ratio["z"])
    assert ratios.hazard_ratio["x"] == pytest.approx(
        np.exp(fit_cox(tenures, columns[["x"]], strata).coefficients[0])
    )


def test_tenures_without_an_end_are_refused_in_one_sentence():
    with pytest.raises(
        StudyError, match="expected tenures of which some ended.*got no end; choose"
    ):
        fit_cox(tenures_of([1, 2], [0, 0]), pd.DataFrame({"x": [1.0, 2.0]}))


def test_proportionality_is_the_score_test_of_the_columns_times_the_clock():
    tenures, columns = draw(1, 60)
    fit = fit_cox(tenures, columns)
    days = sorted(tenures.duration[tenures.ended].unique())
    at_risk = [((tenures.entry < day) & (tenures.duration >= day)).sum() for day in days]
    left = [((tenures.duration == day) & tenures.ended).sum() for day in days]
    before = dict(
        zip(
            days, 1 - np.r_[1, np.cumprod(1 - np.array(left) / np.array(at_risk))[:-1]], strict=True
        )
    )
    start, step = np.r_[fit.coefficients, 0, 0], 1e-4

    def likelihood(moves):
        return likelihood_by_loops(tenures, fit.matrix, start + moves, before.get)

    unit = np.eye(4) * step
    score = np.array([(likelihood(u) - likelihood(-u)) / (2 * step) for u in unit])
    information = -np.array(
        [
            [
                likelihood(u + v) - likelihood(u - v) - likelihood(v - u) + likelihood(-u - v)
                for v in unit
            ]
            for u in unit
        ]
    ) / (4 * step**2)
    keep = [0, 1, 2]
    first = score[keep] @ np.linalg.solve(information[np.ix_(keep, keep)], score[keep])
    tests = check_proportionality(fit).set_index("term")
    assert tests.chi2["x"] == pytest.approx(first, rel=1e-3)
    assert tests.chi2["all"] == pytest.approx(score @ np.linalg.solve(information, score), rel=1e-3)
    assert tests.df.tolist() == [1, 1, 2]
    smaller, larger = sorted(tests.p_value[:2])
    assert sorted(tests.p_adjusted[:2]) == pytest.approx(
        sorted([min(2 * smaller, 1), max(2 * smaller, larger)])
    )


def test_proportionality_rejects_a_ratio_that_turns_and_not_constant_ones():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, 4000).astype(float)
    steady = np.ceil(10 * rng.exponential(10 * np.exp(-x)))
    early = rng.exponential(10 * np.exp(-x))
    turning = np.ceil(10 * np.where(early < 5, early, 5 + rng.exponential(10 * np.exp(x))))
    turning_p, steady_p = (
        check_proportionality(
            fit_cox(tenures_of(days, np.ones(4000)), pd.DataFrame({"x": x}))
        ).p_value[0]
        for days in (turning, steady)
    )
    assert turning_p < 1e-6
    assert steady_p > 0.05


def test_log_rank_of_four_tenures_is_that_worked_by_hand():
    # a: 1, 3; b: 2, 4; all end. Expected ends of a: day 1: 2/4, day 2: 1/3, day 3: 1/2, day 4: 0:
    # together 4/3.
    # Variance: 1/4 + 2/9 + 1/4 = 13/18. chi2 = (2 - 4/3)^2 / (13/18) = 8/13.
    value, free, _ = log_rank_test(tenures_of([1, 3, 2, 4], [1, 1, 1, 1]), ["a", "a", "b", "b"])
    assert (value, free) == (pytest.approx(8 / 13), 1)


def test_log_rank_counts_who_enters_late_from_then_on_only():
    # as above, but the second of a is observed from day 1 on: at risk on day 1 are one of a and
    # two of b. Expected: 1/3 + 1/3 + 1/2 = 7/6.
    # Variance: 2/9 + 2/9 + 1/4 = 25/36. chi2 = (2 - 7/6)^2 / (25/36) = 1.
    value, _, _ = log_rank_test(
        tenures_of([1, 3, 2, 4], [1, 1, 1, 1], [0, 1, 0, 0]), ["a", "a", "b", "b"]
    )
    assert value == pytest.approx(1)


def test_log_rank_agrees_with_lifelines_on_three_groups_with_ties():
    tenures, columns = draw(2, late=False)
    groups = np.array(["a", "b", "c"])[np.arange(len(tenures)) % 3]
    other = multivariate_logrank_test(tenures.duration, groups, tenures.ended)
    value, free, p = log_rank_test(tenures, groups)
    assert (value, free, p) == (
        pytest.approx(other.test_statistic),
        2,
        pytest.approx(other.p_value),
    )
    counted = (
        tenures.assign(group=groups)
        .groupby(["entry", "duration", "ended", "group"])
        .size()
        .rename("rows")
        .reset_index()
    )
    assert log_rank_test(counted, counted.group, counted.rows)[0] == pytest.approx(value)


def test_the_mirrored_reference_files_contain_the_same_customers(mirror):
    """So the golden values above are theirs too."""
    rossi = pd.read_csv(mirror / "survival_reference" / "rossi.csv")
    pd.testing.assert_frame_equal(
        rossi, lifelines.datasets.load_rossi(), check_like=True, check_dtype=False
    )
    mirrored, ours = (
        pd.read_csv(mirror / "survival_reference" / "gbsg2.csv"),
        lifelines.datasets.load_gbsg2(),
    )
    pd.testing.assert_frame_equal(mirrored[ours.columns], ours, check_dtype=False)

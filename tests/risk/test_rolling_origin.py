"""Models fitted again at earlier origins, and how far the windows lie apart."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp
from small_models import few_models

from research.errors import StudyError
from research.models.registry import Model
from research.panel.learning import Panel
from research.panel.splits import Split
from research.risk import comparison, rolling_origin
from research.risk.comparison import ModelComparison
from research.risk.predict import predict
from research.risk.rolling_origin import choose_contenders, find_stand_in, summarise_windows

DAYS = pd.to_datetime(["2024-03-01", "2024-06-01", "2024-09-01", "2024-12-01"])
LATEST = DAYS[-1]
AGE = "rule on age"


def customers(day: pd.Timestamp, sign: int, seed: int, n: int = 250) -> pd.DataFrame:
    """Return customers of whom those of a higher age leave more, or with the sign -1 less."""
    rng = np.random.default_rng(seed)
    age = rng.normal(size=n)
    churned = rng.random(n) < 1 / (1 + np.exp(1 - 2 * sign * age))
    return pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "snapshot": day,
            "churned": churned,
            "left_in_lead": np.arange(n) < 10,
            "age": age,
            "event_observed": churned,
            "time_to_event_days": np.where(churned, 10.0, 60.0),
        }
    )


def list_four(seed: int) -> dict[str, Model]:
    names = ("base rate", AGE, "logistic regression", "gradient boosting")
    return {name: few_models("age", seed)[name] for name in names}


def make_panel(split: Split, sign: int) -> Panel:
    """Return a panel whose training rows have the day of their test snapshot's origin."""
    day = pd.Timestamp(split.origin)
    return Panel(customers(day, sign, 1), customers(day, sign, 2), split, {})


def make_splits(days: pd.DatetimeIndex = DAYS) -> list[Split]:
    return [Split((), (day.date(),)) for day in days[::-1]]


@pytest.fixture
def judge(monkeypatch, write_study):
    """Judge the latest window and those before it, in each of which age has a sign."""

    def run(signs: dict[pd.Timestamp, int], origins: int = 3, best: str = "gradient boosting"):
        def list_few(study, features, seed, descriptions, tuning_trials) -> dict[str, Model]:
            assert tuning_trials == 0
            return list_four(seed)

        def plan(tables, study, number):
            return make_splits(DAYS[:-1])[:number], "" if number else "None was asked for."

        def load(split, most):
            assert most == rolling_origin.MAX_ROWS
            return make_panel(split, signs[pd.Timestamp(split.origin)])

        monkeypatch.setattr(comparison, "list_classifiers", list_few)
        monkeypatch.setattr(rolling_origin, "plan_origins", plan)
        latest = load(make_splits()[0], rolling_origin.MAX_ROWS)
        models, study = list_four(0), write_study("contractual")
        predictions = predict(
            latest.train, latest.test, ["age"], models, folds=2, repeats=1, seed=0
        )
        return rolling_origin.judge_origins(
            ModelComparison(models, {}, predictions),
            latest,
            best,
            load,
            study,
            {},
            ["age", "not there then"],
            {},
            origins,
            0,
        )

    return run


def test_each_origin_has_models_of_its_own_that_learned_what_held_then(judge):
    # in one window the older leave less: a model of another window would rank the wrong way there
    signs = dict.fromkeys(DAYS, 1) | {DAYS[1]: -1}
    windows = judge(signs)
    assert sorted(windows.predictions) == [*DAYS]
    scores, _ = windows.judge({"auc": "base rate"}, 50, 0)
    areas = scores[(scores.model == "gradient boosting") & (scores.metric == "auc")]
    assert areas.origin.tolist() == [*DAYS]
    assert (areas.low > 0.6).all()
    table = scores.drop_duplicates("origin")
    assert (table.customers == 240).all()  # those who leave within the lead aren't judged
    assert (table.rows == 240).all()
    assert table.churned_rows.tolist() == [
        int(customers(day, signs[day], 2).iloc[10:].churned.sum()) for day in DAYS
    ]


def test_differences_are_paired_with_the_baseline_of_each_score(judge):
    windows = judge(dict.fromkeys(DAYS, 1), 1)
    references = {"auc": AGE, "log_loss": "base rate"}
    scores, differences = windows.judge(references, 50, 0)
    assert [*differences.metric.unique()] == ["auc", "log_loss"]
    wide = scores.pivot(index=["origin", "metric"], columns="model", values="value")
    for row in differences.itertuples():
        assert row.reference == references[row.metric]
        ours = wide.loc[(row.origin, row.metric)]
        assert row.value == pytest.approx(ours[row.model] - ours[row.reference], abs=1e-12)


def test_an_origin_that_cant_be_judged_ends_the_walk_with_its_reason(judge, monkeypatch):
    def refuse(*args, **options):
        raise StudyError("expected churners, got none; look at the label")

    monkeypatch.setattr(rolling_origin, "predict", refuse)
    windows = judge(dict.fromkeys(DAYS, 1))
    assert [*windows.predictions] == [LATEST]
    assert windows.reason == (
        "At the origin 2024-09-01: expected churners, got none; look at the label."
    )


def test_a_flat_study_has_no_windows(write_study):
    rows = customers(LATEST, 1, 0).drop(columns=["snapshot", "left_in_lead"])
    compared = ModelComparison(few_models("age", 0), {}, rows)
    panel = Panel(rows, rows, None, {})
    windows = rolling_origin.judge_origins(
        compared, panel, "random forest", None, None, {}, [], {}, 3, 0
    )
    scores, differences = windows.judge({"auc": "base rate"}, 50, 0)
    assert scores.empty
    assert summarise_windows(differences).empty


def test_models_are_followed_by_rule_and_the_best_unless_it_was_searched():
    models = few_models("age", 0)  # of the trees, gradient boosting is the one that is stacked
    followed = ["base rate", AGE, "logistic regression", "gradient boosting"]
    assert choose_contenders(models, "gradient boosting") == followed
    with_best = choose_contenders(models, "random forest")
    assert {*with_best} == {*followed, "random forest"}
    tuned = Model(
        name="tuned boosting",
        family="trees",
        task="churn",
        estimator=models["gradient boosting"].estimator,
        words="searched",
        needs=("groups",),
    )
    searched = models | {"tuned boosting": tuned}
    assert choose_contenders(searched, "tuned boosting") == followed
    assert find_stand_in(searched, followed, "tuned boosting") == "gradient boosting"
    assert find_stand_in(searched, followed, "logistic regression") == "logistic regression"


def gains(values: list[float], metric: str = "auc") -> pd.DataFrame:
    names = {"model": "forest", "family": "trees", "reference": "base rate", "metric": metric}
    return pd.DataFrame({"origin": DAYS[: len(values)], "value": values}).assign(**names)


def test_the_interval_over_windows_is_students():
    values = [0.1, 0.06, -0.01, 0.09]
    row = summarise_windows(gains(values)).iloc[0]
    low, high = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (row.value, row.low, row.high) == pytest.approx((0.06, low, high))
    assert (row.windows, row.better, row.least, row.most) == (4, 3, -0.01, 0.1)
    assert row.sd == pytest.approx(np.std(values, ddof=1))
    assert summarise_windows(gains(values, "log_loss")).better.tolist() == [1]  # less is better


def test_fewer_than_three_windows_have_no_interval():
    two, one = summarise_windows(gains([0.1, 0.2])).iloc[0], summarise_windows(gains([0.1])).iloc[0]
    assert np.isnan([two.low, two.high, one.low, one.sd]).all()
    assert two.sd == pytest.approx(0.1 / np.sqrt(2))
    assert (one.value, one.windows) == (0.1, 1)


def test_the_interval_over_windows_covers_what_windows_differ_by():
    # the true gain of a window is normal around 0.05 with sd 0.03, its estimate has an error of
    # 0.01: the interval of a single window (1.96 errors) covers the mean over windows in
    # P(|Z| < 1.96 * 0.01 / sqrt(0.03² + 0.01²)) = 46 %, that over four windows in 95 %
    rng = np.random.default_rng(0)
    draws = 0.05 + rng.normal(0, 0.03, (200, 4)) + rng.normal(0, 0.01, (200, 4))
    rows = [summarise_windows(gains([*values])).iloc[0] for values in draws]
    over = np.mean([row.low < 0.05 < row.high for row in rows])
    single = np.mean(np.abs(draws[:, 0] - 0.05) < 1.96 * 0.01)
    assert over == pytest.approx(0.95, abs=0.03)
    assert single == pytest.approx(0.46, abs=0.07)

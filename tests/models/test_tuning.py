"""The search for settings: on training customers only, the same again from the same seed."""

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from optuna.distributions import FloatDistribution
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from research.errors import StudyError
from research.models import tuning
from research.models.tuning import Tuned, tune

SPACE = {"C": FloatDistribution(1e-4, 10.0, log=True)}
SEEN: list[tuple[np.ndarray, str]] = []


class Spy(LogisticRegression):
    """A logistic regression that writes down which rows it met, and how."""

    def fit(self, columns, churned):
        SEEN.append((columns.index.to_numpy(), "fit"))
        return super().fit(columns, churned)

    def predict_proba(self, columns):
        SEEN.append((columns.index.to_numpy(), "predict"))
        return super().predict_proba(columns)


def customers(n: int = 400, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    columns = pd.DataFrame(rng.normal(size=(n, 12)), columns=[f"x{i}" for i in range(12)])
    return columns, rng.random(n) < 1 / (1 + np.exp(1 - columns.x0))


def test_the_same_seed_finds_the_same_settings_and_another_tries_others():
    columns, churned = customers()
    one, again, other = (
        tune(LogisticRegression(), SPACE, columns, churned, np.arange(400), seed, trials=6)
        for seed in (1, 1, 2)
    )
    assert one[0] == again[0]
    pd.testing.assert_frame_equal(one[1], again[1])
    assert one[1].C.tolist()[1:] != other[1].C.tolist()[1:]


def test_the_first_trial_is_the_model_as_it_came_and_nothing_worse_is_returned():
    columns, churned = customers()
    settings, trials = tune(
        LogisticRegression(C=1e-4), SPACE, columns, churned, np.arange(400), 0, trials=8
    )
    assert (trials.trial[0], trials.C[0]) == (0, 1e-4)
    assert settings["C"] == trials.C[trials.log_loss.idxmin()]
    assert trials.log_loss.min() < trials.log_loss[0]


def test_one_trial_is_the_model_with_its_own_settings():
    columns, churned = customers()
    settings, trials = tune(
        LogisticRegression(), SPACE, columns, churned, np.arange(400), 0, trials=1
    )
    assert settings == {}
    assert len(trials) == 1


def test_settings_tried_on_a_sample_are_judged_again_on_all_rows():
    columns, churned = customers()
    people = np.arange(400) // 4
    SEEN.clear()
    settings, trials = tune(
        Spy(C=1e-4), SPACE, columns, churned, people, 0, trials=5, folds=2, most=120
    )
    tried, judged = SEEN[: 5 * 4], SEEN[5 * 4 :]
    sample = {*np.concatenate([rows for rows, _ in tried])}
    assert 100 < len(sample) <= 120 and len({*people[[*sample]]}) == len(sample) / 4
    assert {*np.concatenate([rows for rows, _ in judged])} == {*range(400)}
    finals = trials.dropna(subset="final_log_loss")
    assert finals.trial.tolist() == sorted([0, *trials[1:].nsmallest(2, "log_loss").trial])
    assert settings == {"C": finals.C[finals.final_log_loss.idxmin()]}


def test_a_customer_never_stands_on_both_sides_of_an_inner_fold():
    columns, churned = customers()
    people = np.arange(400) // 4
    SEEN.clear()
    tune(Spy(), SPACE, columns, churned, people, 0, trials=2)
    pairs = [*zip(SEEN[::2], SEEN[1::2], strict=True)]
    assert len(pairs) == 6
    for (learned, first), (judged, second) in pairs:
        assert (first, second) == ("fit", "predict")
        assert not {*people[learned]} & {*people[judged]}


def test_nested_in_a_cross_validation_the_search_sees_the_training_part_only():
    columns, churned = customers()
    SEEN.clear()
    model = Tuned(Spy(), SPACE, trials=2)
    learn, rest = np.arange(300), np.arange(300, 400)
    model.fit(columns.iloc[learn], churned[learn])
    assert {*np.concatenate([rows for rows, _ in SEEN])} <= {*learn}
    assert model.predict_proba(columns.iloc[rest]).sum(axis=1) == pytest.approx(np.ones(100))


def test_it_clones_inside_pipelines_and_cross_validation_and_reaches_settings_by_prefix():
    columns, churned = customers()
    space = tuning.prefix_space(SPACE, "logisticregression")
    risks = cross_val_predict(
        Tuned(make_pipeline(StandardScaler(), LogisticRegression()), space, trials=2),
        columns,
        churned,
        cv=2,
        method="predict_proba",
    )
    assert risks.shape == (400, 2)


def test_a_tuned_boosting_is_better_than_a_badly_set_one():
    columns, churned = customers(400)
    bad = LGBMClassifier(
        n_estimators=200,
        learning_rate=0.1,
        min_child_samples=5,
        n_jobs=1,
        verbosity=-1,
        random_state=0,
    )
    model = Tuned(bad, tuning.BOOSTING, trials=4, folds=2).fit(columns, churned)
    assert model.trials_.log_loss.min() < model.trials_.log_loss[0] - 0.05
    assert model.settings_.keys() == tuning.BOOSTING.keys()


def test_too_few_churners_for_the_folds_are_refused():
    columns, _ = customers()
    with pytest.raises(
        StudyError, match="at least 3 training rows of each class to tune on 3 folds, got 2"
    ):
        tune(LogisticRegression(), SPACE, columns, np.arange(400) < 2, np.arange(400), 0)

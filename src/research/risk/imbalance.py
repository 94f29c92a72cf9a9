"""Class imbalance: whether weighting or resampling the rarer class helps.

Each method is compared with none, before and after recalibration, on the same rows. Methods act
inside the training part only. A quarter of its customers is set aside before, for the map that
recalibrates; it keeps the real share of churners.
"""

import numpy as np
import pandas as pd
from imblearn.ensemble import BalancedRandomForestClassifier, EasyEnsembleClassifier
from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from joblib import delayed
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import AdaBoostClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline

from research.evaluation.bootstrap import (
    judge_difference,
    percentile_interval,
    resample_scores,
    subtract,
)
from research.evaluation.metrics import METRICS
from research.evaluation.predictions import KEYS
from research.models.calibration import Sigmoid
from research.models.preprocessing import prepare_for_trees
from research.models.registry import RECALIBRATED
from research.models.side_by_side import run_side_by_side
from research.models.trees import make_boosting, make_forest
from research.reporting.metric import select_metrics
from research.store.keep import keep

NONE = "none"
FOREST, BOOSTED_STUMPS = "random forest", "AdaBoost"
# the learner that an ensemble balances, which it is compared with
UNBALANCED = {"balanced forest": FOREST, "easy ensemble": BOOSTED_STUMPS}
ASIDE = 0.25  # of the training customers, for the map
MAX_ROWS = 10_000  # learned from, of customers drawn at random
# verdicts that the summary reads for each method: ranking, and log-loss before and after the map
VERDICTS = 3
COMPARED = select_metrics(METRICS, "auc", "log_loss", "calibration_slope", "calibration_intercept")
COLUMNS = [
    "remedy",
    "recalibrated",
    "metric",
    "value",
    "low",
    "high",
    "reference",
    "difference",
    "difference_low",
    "difference_high",
    "verdict",
]


class Resampled(ClassifierMixin, BaseEstimator):
    """A classifier that learns from resampled rows.

    Parameters
    ----------
    sampler : of imbalanced-learn
    model : classifier
    fill : whether empty numbers become medians first, as samplers that draw new points need it
    """

    def __init__(self, sampler: BaseEstimator, model: ClassifierMixin, fill: bool = False):
        self.sampler = sampler
        self.model = model
        self.fill = fill

    def fit(self, columns: pd.DataFrame, churned: np.ndarray) -> "Resampled":
        """Prepare, resample, fit."""
        self.prepare_ = _prepare_filled() if self.fill else prepare_for_trees()
        rows, labels = clone(self.sampler).fit_resample(
            self.prepare_.fit_transform(columns), np.asarray(churned, bool)
        )
        self.model_ = clone(self.model).fit(rows, labels)
        self.classes_ = np.array([False, True])
        return self

    def predict_proba(self, columns: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of both classes."""
        return self.model_.predict_proba(self.prepare_.transform(columns))


def _prepare_filled() -> Pipeline:
    return make_pipeline(
        prepare_for_trees(), SimpleImputer(strategy="median", keep_empty_features=True)
    )


class Smote(BaseEstimator):
    """SMOTE for numbers and categories alike: synthetic churners between neighbouring ones.

    Chawla et al. (2002), doi:10.1613/jair.953. Fewer neighbours where there are fewer churners; a
    single churner is left alone.

    Parameters
    ----------
    numbers : how many columns are numbers, which come first; the others are categories
    seed : of the draws
    """

    def __init__(self, numbers: int, seed: int = 0):
        self.numbers = numbers
        self.seed = seed

    def fit_resample(self, rows: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows and labels, the synthetic ones last."""
        neighbours = int(min(5, labels.sum() - 1, (~labels).sum() - 1))
        if neighbours < 1:
            return rows, labels
        categories = [*range(self.numbers, rows.shape[1])]
        settings = {"k_neighbors": neighbours, "random_state": self.seed}
        if not categories:
            return SMOTE(**settings).fit_resample(rows, labels)
        if not self.numbers:
            return SMOTEN(**settings).fit_resample(rows, labels)
        return SMOTENC(categories, **settings).fit_resample(rows, labels)


def list_methods(columns: pd.DataFrame, seed: int) -> dict[str, ClassifierMixin]:
    """Return a classifier for each method, by name.

    All learn by gradient boosting, but for the ensembles of their own, each of which comes after
    the learner that it balances.
    """
    numbers, boosting = columns.select_dtypes("number").shape[1], make_boosting(seed)
    balanced = BalancedRandomForestClassifier(
        100,
        min_samples_leaf=10,
        sampling_strategy="all",
        replacement=True,
        bootstrap=False,
        random_state=seed,
    )
    stumps = AdaBoostClassifier(random_state=seed)
    easy = EasyEnsembleClassifier(10, random_state=seed)
    return {
        NONE: make_pipeline(prepare_for_trees(), boosting),
        "class weights": make_pipeline(
            prepare_for_trees(), clone(boosting).set_params(class_weight="balanced")
        ),
        "random over-sampling": Resampled(RandomOverSampler(random_state=seed), boosting),
        "random under-sampling": Resampled(RandomUnderSampler(random_state=seed), boosting),
        "SMOTE-NC": Resampled(Smote(numbers, seed), boosting, fill=True),
        FOREST: make_pipeline(_prepare_filled(), make_forest(seed)),
        "balanced forest": make_pipeline(_prepare_filled(), balanced),
        BOOSTED_STUMPS: make_pipeline(_prepare_filled(), stumps),
        "easy ensemble": make_pipeline(_prepare_filled(), easy),
    }


@keep
def predict_by_method(
    train: pd.DataFrame, test: pd.DataFrame, features: list[str], seed: int
) -> pd.DataFrame:
    """Return every method's probabilities for ``test``, before and after recalibration.

    Parameters
    ----------
    train, test : rows with customer_id, churned and the features; of ``train`` at most
        ``MAX_ROWS`` rows are learned from

    Returns
    -------
    DataFrame with the keys of ``test``, repeat, and one column per method and one named "<method>,
    recalibrated"
    """
    learn, aside = _set_aside(train, seed)
    methods = list_methods(train[features], seed)
    tasks = [delayed(_predict)(model, learn, aside, test, features) for model in methods.values()]
    pairs = run_side_by_side(tasks, "methods fitted")
    columns, churned = {}, aside.churned.to_numpy(bool)
    for method, (scores, aside_scores) in zip(methods, pairs, strict=True):
        columns[method] = scores
        columns[method + RECALIBRATED] = Sigmoid().fit(aside_scores, churned).predict(scores)
    keys = test[test.columns.intersection(KEYS)].reset_index(drop=True)
    return pd.concat([keys.assign(repeat=0), pd.DataFrame(columns)], axis=1)


def _set_aside(train: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows to learn from and those for the map, of different customers."""
    train = train[~train.left_in_lead] if "left_in_lead" in train else train
    if len(train) > MAX_ROWS:
        train = _split_customers(train, MAX_ROWS / len(train), seed)[0]
    aside, learn = _split_customers(train, ASIDE, seed)
    return learn, aside


def _split_customers(
    rows: pd.DataFrame, share: float, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of a random share of the customers, and the rest.

    The draw is stratified by whether a customer ever churns.
    """
    ever = rows.groupby("customer_id").churned.any()
    chosen = train_test_split(ever.index, train_size=share, stratify=ever, random_state=seed)[0]
    inside = rows.customer_id.isin(chosen)
    return rows[inside], rows[~inside]


def _predict(
    model: ClassifierMixin,
    learn: pd.DataFrame,
    aside: pd.DataFrame,
    test: pd.DataFrame,
    features: list[str],
) -> tuple[np.ndarray, np.ndarray]:
    fitted = clone(model).fit(learn[features], learn.churned.to_numpy(bool))
    scores, aside_scores = (fitted.predict_proba(rows[features])[:, 1] for rows in (test, aside))
    return scores, aside_scores


@keep
def tabulate_methods(predictions: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """Return how every method ranks and is calibrated, and its paired difference to none.

    Parameters
    ----------
    predictions : see ``predict_by_method``
    resamples, seed : bootstrap of customers behind the 95 % intervals

    Returns
    -------
    DataFrame with columns remedy, recalibrated, metric, value, low, high, reference, difference,
    difference_low, difference_high, verdict
        One row per method (``remedy``), before or after recalibration, and score. Ensembles are
        compared with the learner that they balance (``UNBALANCED``), all others with ``NONE``, both
        recalibrated or neither. For the calibration the differences are of distances from the
        ideal. Verdicts hold together at 95 % (Bonferroni).
    """
    resampled = resample_scores(predictions, resamples, seed)
    methods = [name for name in resampled if not name.endswith(RECALIBRATED)]
    comparisons = VERDICTS * (len(methods) - 1)
    rows = []
    for name, scores in resampled.items():
        method = name.removesuffix(RECALIBRATED)
        reference = UNBALANCED.get(method, NONE)
        other = reference + name[len(method) :]
        for metric in (METRICS[score] for score in COMPARED):
            difference = subtract(
                metric.compare(scores[metric.name]), metric.compare(resampled[other][metric.name])
            )
            *interval, verdict = judge_difference(difference, metric.more_is_better, comparisons)
            judged = (*interval, "" if name == other else verdict)
            rows.append(
                (
                    method,
                    name != method,
                    metric.name,
                    *percentile_interval(scores[metric.name]),
                    reference,
                    *judged,
                )
            )
    return pd.DataFrame(rows, columns=COLUMNS)

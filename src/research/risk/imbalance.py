"""Does it help to weight or resample the rarer class? Each remedy beside none, before and after
recalibration, on the same rows.

Remedies act inside the training part only. A quarter of its customers is set aside before, for the
map that recalibrates; it keeps the real share of churners.
"""

import numpy as np
import pandas as pd
from imblearn.ensemble import BalancedRandomForestClassifier, EasyEnsembleClassifier
from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import AdaBoostClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from research.evaluation.bootstrap import GAINS, find_interval, judge, resample_scores
from research.evaluation.predictions import KEYS
from research.models.calibration import Sigmoid
from research.models.preprocessing import prepare_for_trees
from research.models.trees import make_boosting, make_forest

NONE = "none"
AFTER = ", recalibrated"
FOREST, BOOSTED_STUMPS = "random forest", "AdaBoost"
UNBALANCED = {
    "balanced forest": FOREST,
    "easy ensemble": BOOSTED_STUMPS,
}  # the learner that an ensemble balances, which it is compared with
ASIDE = 0.25  # of the training customers, for the map
MOST = 10_000  # rows learned from, of customers drawn by lot
# that the sentence looks at for each remedy: ranking, and log-loss before and after recalibration
VERDICTS = 3
COMPARED = ("auc", "log_loss", "calibration_slope", "calibration_intercept")


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
        self.prepare_ = _fill() if self.fill else prepare_for_trees()
        rows, labels = clone(self.sampler).fit_resample(
            self.prepare_.fit_transform(columns), np.asarray(churned, bool)
        )
        self.model_ = clone(self.model).fit(rows, labels)
        self.classes_ = np.array([False, True])
        return self

    def predict_proba(self, columns: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of both classes."""
        return self.model_.predict_proba(self.prepare_.transform(columns))


def _fill():
    return make_pipeline(prepare_for_trees(), SimpleImputer(strategy="median", keep_empty_features=True))


class NewChurners(BaseEstimator):
    """SMOTE for numbers and categories alike: new churners between near ones (Chawla et al. 2002,
    doi:10.1613/jair.953).

    Columns after the first ``numbers`` are categories. Fewer neighbours where there are fewer
    churners.
    """

    def __init__(self, numbers: int, seed: int = 0):
        self.numbers = numbers
        self.seed = seed

    def fit_resample(self, rows: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows with the new ones."""
        near = int(min(5, labels.sum() - 1, (~labels).sum() - 1))
        texts = [*range(self.numbers, rows.shape[1])]
        if near < 1:
            return rows, labels
        if not texts:
            return SMOTE(k_neighbors=near, random_state=self.seed).fit_resample(rows, labels)
        if not self.numbers:
            return SMOTEN(k_neighbors=near, random_state=self.seed).fit_resample(rows, labels)
        return SMOTENC(texts, k_neighbors=near, random_state=self.seed).fit_resample(rows, labels)


def list_remedies(columns: pd.DataFrame, seed: int) -> dict[str, ClassifierMixin]:
    """Return the remedies by name, each with gradient boosting unless it is an ensemble of its own,
    which stands behind the learner that it balances.
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
    return {
        NONE: make_pipeline(prepare_for_trees(), boosting),
        "class weights": make_pipeline(
            prepare_for_trees(), clone(boosting).set_params(class_weight="balanced")
        ),
        "random over-sampling": Resampled(RandomOverSampler(random_state=seed), boosting),
        "random under-sampling": Resampled(RandomUnderSampler(random_state=seed), boosting),
        "SMOTE-NC": Resampled(NewChurners(numbers, seed), boosting, fill=True),
        FOREST: make_pipeline(_fill(), make_forest(seed)),
        "balanced forest": make_pipeline(_fill(), balanced),
        BOOSTED_STUMPS: make_pipeline(_fill(), AdaBoostClassifier(random_state=seed)),
        "easy ensemble": make_pipeline(_fill(), EasyEnsembleClassifier(10, random_state=seed)),
    }


def compare_remedies(
    train: pd.DataFrame, test: pd.DataFrame, features: list[str], seed: int
) -> pd.DataFrame:
    """Return every remedy's probabilities for ``test``, as they come and recalibrated.

    Parameters
    ----------
    train, test : rows with customer_id, churned and the features; of ``train`` at most ``MOST``
        rows are learned from

    Returns
    -------
    DataFrame with the keys of ``test``, repeat, and one column per remedy and one named "<remedy>,
    recalibrated"
    """
    learn, aside = _set_aside(train, seed)
    remedies = list_remedies(train[features], seed)
    found = Parallel(n_jobs=2)(
        delayed(_predict)(model, learn, aside, test, features) for model in remedies.values()
    )
    columns = {
        name: scores[place]
        for name, scores in zip(remedies, found, strict=True)
        for name, place in ((name, 0), (name + AFTER, 1))
    }
    keys = test[test.columns.intersection(KEYS)].reset_index(drop=True)
    return pd.concat([keys.assign(repeat=0), pd.DataFrame(columns)], axis=1)


def _set_aside(train: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows to learn from and those for the map, of different customers."""
    train = train[~train.left_in_lead] if "left_in_lead" in train else train
    if len(train) > MOST:
        train = _part(train, MOST / len(train), seed)[0]
    aside, learn = _part(train, ASIDE, seed)
    return learn, aside


def _part(rows: pd.DataFrame, share: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of a share of the customers, drawn apart among those who ever churn and the
    others, and the rest.
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
    scores = fitted.predict_proba(test[features])[:, 1]
    return scores, Sigmoid().fit(
        fitted.predict_proba(aside[features])[:, 1], aside.churned.to_numpy(bool)
    ).predict(scores)


def tabulate_remedies(predictions: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """Return how every remedy ranks and how it is calibrated, and its difference to no remedy on
    the same resamples of customers.

    Returns
    -------
    DataFrame with columns remedy, recalibrated, metric, value, low, high, reference, difference,
    difference_low, difference_high, verdict
        Ensembles are compared with the learner that they balance (``UNBALANCED``), all others with
        ``NONE``, each treated alike (recalibrated or not). For the calibration the differences are
        of distances from the ideal. Verdicts hold together at 95 % (Bonferroni).
    """
    resampled = resample_scores(predictions, resamples, seed)
    remedies = [name for name in resampled if not name.endswith(AFTER)]
    rows = []
    for name in resampled:
        remedy = name.removesuffix(AFTER)
        reference = UNBALANCED.get(remedy, NONE)
        other = reference + name[len(remedy) :]
        for metric in COMPARED:
            gain, more = GAINS[metric]
            difference = gain(resampled[name][metric]) - gain(resampled[other][metric])
            verdict = (
                "" if name == other else judge(difference, more, VERDICTS * (len(remedies) - 1))
            )
            rows.append(
                (
                    remedy,
                    name != remedy,
                    metric,
                    *find_interval(resampled[name][metric]),
                    reference,
                    *find_interval(difference),
                    verdict,
                )
            )
    columns = [
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
    return pd.DataFrame(rows, columns=columns)


def judge_remedies(table: pd.DataFrame) -> str:
    """Say in a sentence or two whether any remedy helped to rank, or to give probabilities, and
    what they did to the probabilities.
    """
    remedies = table[~table.remedy.isin([NONE, *UNBALANCED.values()])]
    proper = remedies[remedies.metric.isin(["auc", "log_loss"])]
    helped = _name(proper[proper.verdict == "better"])
    nothing = "**No remedy is shown to rank or to predict better than none.**"
    start = (
        f"**Shown to help, to rank or to give better probabilities: {helped}.**"
        if helped
        else nothing
    )
    worse = proper[(proper.verdict == "worse") & (proper.metric == "log_loss")]
    if not (bent := _name(worse[~worse.recalibrated])):
        return start
    left = _name(worse[worse.recalibrated])
    return (
        f"{start} Worse in log-loss as they come: {bent}; after recalibration"
        f" {f'still {left}' if left else 'none of them is shown to be'}."
    )


def _name(rows: pd.DataFrame) -> str:
    return ", ".join(
        f"{name} (against {UNBALANCED[name]})" if name in UNBALANCED else name
        for name in rows.remedy.unique()
    )

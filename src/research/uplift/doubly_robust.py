"""Predicted outcomes in every arm, out of fold, and doubly robust scores made from them.

A doubly robust score is the predicted outcome of an arm plus the weighted residual of the customers
who were in it: its mean is the mean outcome of the arm if either the prediction or the propensity
is right (Robins, Rotnitzky & Zhao 1994, doi:10.1080/01621459.1994.10476818). In a randomised trial
the propensity is.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from research.errors import StudyError
from research.models.preprocessing import prepare_for_trees, prepare_scaled
from research.study_schema import CONTROL
from research.uplift.boosting import (
    BinnedFeatures,
    Boosted,
    Features,
    bin_features,
    fit_boosting,
    predict_boosting,
)
from research.uplift.trials import Trial

MIN_ARM_CUSTOMERS = 50  # of each arm, for models of its outcome
MAX_ARM_ROWS = 25_000  # of each arm that models learn from, drawn at random; all are scored
SCORE_FOLDS = 5  # of the cross-fitting behind doubly robust scores
INNER_FOLDS = 2  # within a training part, so that no residual is that of a customer the model saw


@dataclass(frozen=True)
class Sample:
    """Rows of a trial as models take them.

    Attributes
    ----------
    tree_features : (rows, columns), numbers as they are and categories numbered; with bins where
        many models are fitted, see ``share_features``
    linear_features : (rows, columns), numbers in standard deviations, a column for each category
    arm : (rows,), 0 for control, then the arms in order
    outcome : (rows,), more is better
    propensity : (rows,), the probability of the arm that the customer got
    customers : (rows,)
    clusters : (rows,), what intervals and folds keep together: the customer, or the unit of
        randomisation
    trial : (rows,), the number of the trial; of several, differences between them are no
        differences between customers
    arms : names, control first
    """

    tree_features: Features
    linear_features: np.ndarray
    arm: np.ndarray
    outcome: np.ndarray
    propensity: np.ndarray
    customers: np.ndarray
    clusters: np.ndarray
    trial: np.ndarray
    arms: tuple[str, ...]

    def take(self, rows: np.ndarray) -> "Sample":
        """Return some of the rows."""
        columns = (
            self.tree_features,
            self.linear_features,
            self.arm,
            self.outcome,
            self.propensity,
            self.customers,
            self.clusters,
            self.trial,
        )
        return Sample(*(column[rows] for column in columns), self.arms)

    @property
    def size(self) -> int:
        """Rows."""
        return len(self.arm)


def make_sample(trial: Trial, outcome: str) -> Sample:
    """Return the rows of a trial whose outcome is known.

    The features are prepared without a look at arms or outcomes.

    Raises
    ------
    StudyError
        If an arm has fewer than 50 customers with an outcome.
    """
    rows = trial.rows[trial.rows[outcome].notna()]
    arms = (CONTROL, *trial.arms)
    _require_arm_sizes(rows, outcome, arms)
    columns = rows[trial.features]
    columns = columns.assign(_trial=rows.trial) if rows.trial.nunique() > 1 else columns
    return Sample(
        tree_features=_transform(prepare_for_trees(), columns),
        linear_features=_transform(prepare_scaled(), columns),
        arm=pd.Categorical(rows.arm, arms).codes.astype(int),
        outcome=rows[outcome].to_numpy(float),
        propensity=rows.propensity.to_numpy(float),
        customers=rows.customer_id.to_numpy(),
        clusters=trial.clusters[rows.index].to_numpy(),
        trial=pd.factorize(rows.trial)[0],
        arms=arms,
    )


def _require_arm_sizes(rows: pd.DataFrame, outcome: str, arms: tuple[str, ...]) -> None:
    counts = rows.arm.value_counts().reindex(arms, fill_value=0)
    small = counts[counts < MIN_ARM_CUSTOMERS]
    if len(small):
        sizes = ", ".join(f"{n} in {arm}" for arm, n in small.items())
        raise StudyError(
            f"expected at least {MIN_ARM_CUSTOMERS} customers with the outcome '{outcome}' in every"
            f" arm, got {sizes}; leave the arm out, or pool it"
        )


def _transform(transformer, columns: pd.DataFrame) -> np.ndarray:
    if not columns.shape[1]:
        return np.empty((len(columns), 0))
    return np.asarray(transformer.fit_transform(columns), float)


def bin_sample(sample: Sample) -> Sample:
    """Return a sample whose tree features are binned, once for all models of parts of it."""
    return replace(sample, tree_features=bin_features(sample.tree_features))


def share_features(sample: Sample) -> Sample:
    """Return a sample whose features suit many models: binned once, and along their principal axes.

    Neither looks at an outcome. A ridge doesn't depend on the axes, but is found in fewer steps. A
    sample that has them keeps them.
    """
    if isinstance(sample.tree_features, BinnedFeatures):
        return sample
    features = sample.linear_features
    centred = features - features.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1]
    return replace(bin_sample(sample), linear_features=features @ axes)


def draw_training(train: Sample, seed: int) -> Sample:
    """Return the rows that models learn from: at most ``MAX_ARM_ROWS`` of each arm, at random.

    Without features, where a mean is learned, all of them.
    """
    if not train.tree_features.shape[1] or np.bincount(train.arm).max() <= MAX_ARM_ROWS:
        return train
    order = np.random.default_rng(seed).permutation(train.size)
    place = pd.Series(order).groupby(train.arm[order]).cumcount().to_numpy()
    return train.take(np.sort(order[place < MAX_ARM_ROWS]))


def describe_training(largest: int) -> str:
    """Return from how many customers models learn, where they are fewer than there are.

    Parameters
    ----------
    largest : customers of the largest arm
    """
    if largest <= MAX_ARM_ROWS:
        return ""
    return (
        f"Models learn from at most {MAX_ARM_ROWS:,} customers of each arm, drawn at random, and"
        " all customers are scored."
    )


def fit_outcomes(train: Sample, seed: int) -> list[Boosted]:
    """Return a model of the outcome for each arm, see ``boosting.fit_boosting``."""
    parts = [train.arm == arm for arm in range(len(train.arms))]
    features = bin_features(train.tree_features)
    return [fit_boosting(features[part], train.outcome[part], seed) for part in parts]


def predict_arms(models: list[Boosted], features: Features) -> np.ndarray:
    """Return the outcome of each row in every arm: (rows, arms)."""
    values = np.asarray(features)
    return np.column_stack([predict_boosting(model, values) for model in models])


def predict_outcomes(train: Sample, new_features: Features, seed: int) -> np.ndarray:
    """Return the predicted outcome of each new row in every arm, one model per arm: (rows, arms).

    Models learn from at most ``MAX_ARM_ROWS`` of each arm.

    Parameters
    ----------
    new_features : (rows, columns), tree features of the new rows
    """
    return predict_arms(fit_outcomes(draw_training(train, seed), seed), new_features)


def assign_folds(sample: Sample, folds: int, seed: int) -> np.ndarray:
    """Return the fold of each row, drawn at random.

    Arms have equal shares in every fold, and the rows of a customer, or of a unit of randomisation,
    are in one fold.
    """
    codes, first = np.unique(sample.clusters, return_index=True)
    order = np.lexsort((np.random.default_rng(seed).random(len(codes)), sample.arm[first]))
    fold = np.empty(len(codes), dtype=int)
    fold[order] = np.arange(len(codes)) % folds
    return fold[np.searchsorted(codes, sample.clusters)]


def predict_out_of_fold(sample: Sample, folds: int, seed: int) -> np.ndarray:
    """Return the predicted outcome in every arm, by models of other customers: (rows, arms)."""
    fold, sample = assign_folds(sample, folds, seed), bin_sample(sample)
    predicted = np.empty((sample.size, len(sample.arms)))
    for number in range(folds):
        inside = fold == number
        predicted[inside] = predict_outcomes(
            sample.take(~inside), sample.tree_features[inside], seed
        )
    return predicted


def compute_scores(sample: Sample, predicted: np.ndarray) -> np.ndarray:
    """Return the doubly robust score of each row in every arm: (rows, arms).

    Parameters
    ----------
    predicted : (rows, arms), outcomes by models that did not see the row
    """
    inside = sample.arm[:, None] == np.arange(len(sample.arms))
    residual = (sample.outcome - predicted[np.arange(sample.size), sample.arm]) / sample.propensity
    return predicted + inside * residual[:, None]


def subtract_control(scores: np.ndarray) -> np.ndarray:
    """Return the score of each arm less that of control: (rows, arms other than control)."""
    return scores[:, 1:] - scores[:, :1]


def centre(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return values less the mean of their group: (rows,) or (rows, columns)."""
    codes = np.unique(groups, return_inverse=True)[1]
    size = np.bincount(codes)
    columns = values.reshape(len(values), -1).astype(float)
    means = np.column_stack([np.bincount(codes, column) / size for column in columns.T])
    return (columns - means[codes]).reshape(values.shape)

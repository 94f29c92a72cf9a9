"""Predicted outcomes in every arm, out of fold, and doubly robust scores made from them.

A doubly robust score is the predicted outcome of an arm plus the weighted residual of the customers
who were in it: its mean is the mean outcome of the arm if either the prediction or the propensity
is right (Robins, Rotnitzky & Zhao 1994, doi:10.1080/01621459.1994.10476818). In a randomised trial
the propensity is.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from lightgbm import LGBMRegressor

from research.errors import StudyError
from research.models.preprocessing import prepare_for_trees, prepare_scaled
from research.study_schema import CONTROL
from research.uplift.trials import Trial

MIN_ARM_CUSTOMERS = 50  # of each arm, for models of its outcome
SCORE_FOLDS = 5  # of the cross-fitting behind doubly robust scores
INNER_FOLDS = 2  # within a training part, so that no residual is that of a customer the model saw


@dataclass(frozen=True)
class Sample:
    """Rows of a trial as models take them.

    Attributes
    ----------
    tree_features : (rows, columns), numbers as they are and categories numbered
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

    tree_features: np.ndarray
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


def make_outcome_model(rows: int, columns: int, seed: int) -> LGBMRegressor:
    """Return cautious gradient boosting: effects are small, and noise is large."""
    return LGBMRegressor(
        n_estimators=50,
        learning_rate=0.07,
        num_leaves=8,
        min_child_samples=max(20, rows // 100),
        colsample_bytree=min(1.0, max(0.2, 30 / max(columns, 1))),
        max_bin=63,
        reg_lambda=10.0,
        n_jobs=1,
        random_state=seed,
        deterministic=True,
        force_row_wise=True,
        verbosity=-1,
    )


def fit_predict(
    features: np.ndarray,
    target: np.ndarray,
    new_features: np.ndarray,
    seed: int,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Return predictions of gradient boosting for new rows; without columns the (weighted) mean."""
    if not features.shape[1] or np.ptp(target) == 0:
        return np.full(len(new_features), np.average(target, weights=weights))
    model = make_outcome_model(*features.shape, seed)
    return model.fit(features, target, sample_weight=weights).predict(new_features)


def predict_outcomes(train: Sample, new_features: np.ndarray, seed: int) -> np.ndarray:
    """Return the predicted outcome of each new row in every arm, one model per arm: (rows, arms).

    Parameters
    ----------
    new_features : (rows, columns), tree features of the new rows
    """
    parts = [train.arm == arm for arm in range(len(train.arms))]
    return np.column_stack(
        [
            fit_predict(train.tree_features[part], train.outcome[part], new_features, seed)
            for part in parts
        ]
    )


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
    fold = assign_folds(sample, folds, seed)
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

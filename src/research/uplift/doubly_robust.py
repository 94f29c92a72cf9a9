"""What customers would have done in every arm: outcome models that never saw the customer, and
scores that stay right where the models are wrong.

A doubly robust score is the expectation of an arm plus the weighted residual of those who were in
it: its mean is the mean outcome of the arm if either the expectation or the propensity is right
(Robins, Rotnitzky & Zhao 1994, doi:10.1080/01621459.1994.10476818). In a randomised trial the
propensity is.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from lightgbm import LGBMRegressor

from research.errors import StudyError
from research.models.preprocessing import pass_on, scale
from research.study_schema import CONTROL
from research.uplift.trials import Trial

LEAST_IN_ARM = 50  # customers of each arm, for models of what customers would have done
INNER = 2  # parts within a training part, so that no residual is that of a customer the model knows


@dataclass(frozen=True)
class Sample:
    """Rows of a trial as models take them.

    Attributes
    ----------
    trees : (rows, columns), numbers as they are and categories numbered
    lines : (rows, columns), numbers in standard deviations, a column for each category
    arm : (rows,), 0 for control, then the arms in order
    outcome : (rows,), more is better
    propensity : (rows,), the chance of the arm that the customer got
    customers : (rows,)
    trial : (rows,), the number of the trial; of several, differences between them are no
        differences between customers
    arms : names, control first
    """

    trees: np.ndarray
    lines: np.ndarray
    arm: np.ndarray
    outcome: np.ndarray
    propensity: np.ndarray
    customers: np.ndarray
    trial: np.ndarray
    arms: tuple[str, ...]

    def take(self, rows: np.ndarray) -> "Sample":
        """Return some of the rows."""
        parts = (
            getattr(self, name)[rows]
            for name in ("trees", "lines", "arm", "outcome", "propensity", "customers", "trial")
        )
        return Sample(*parts, self.arms)

    @property
    def size(self) -> int:
        """Rows."""
        return len(self.arm)


def lay_out(trial: Trial, outcome: str) -> Sample:
    """Return the rows of a trial whose outcome is known; the columns are prepared without a look at
    arms or outcomes.

    Raises
    ------
    StudyError
        If an arm has fewer than 50 customers with an outcome.
    """
    rows = trial.rows[trial.rows[outcome].notna()]
    arms = (CONTROL, *trial.arms)
    counts = rows.arm.value_counts().reindex(arms, fill_value=0)
    if (counts < LEAST_IN_ARM).any():
        few = ", ".join(f"{n} in {arm}" for arm, n in counts[counts < LEAST_IN_ARM].items())
        raise StudyError(
            f"expected at least {LEAST_IN_ARM} customers with the outcome '{outcome}' in every arm,"
            f" got {few}; leave the arm out, or pool it"
        )
    columns = (
        rows[trial.features].assign(_trial=rows.trial)
        if rows.trial.nunique() > 1
        else rows[trial.features]
    )
    trees, lines = (
        (
            np.asarray(make().fit_transform(columns), float)
            if columns.shape[1]
            else np.empty((len(rows), 0))
        )
        for make in (pass_on, scale)
    )
    codes = pd.Categorical(rows.arm, arms).codes.astype(int)
    numbers = (rows[name].to_numpy(float) for name in (outcome, "propensity"))
    return Sample(
        trees,
        lines,
        codes,
        *numbers,
        rows.customer_id.to_numpy(),
        pd.factorize(rows.trial)[0],
        arms,
    )


def make_regression(rows: int, columns: int, seed: int) -> LGBMRegressor:
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


def regress(
    columns: np.ndarray,
    target: np.ndarray,
    new: np.ndarray,
    seed: int,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Return what gradient boosting expects of new rows; without columns the (weighted) mean."""
    if not columns.shape[1] or np.ptp(target) == 0:
        return np.full(len(new), np.average(target, weights=weights))
    return (
        make_regression(*columns.shape, seed)
        .fit(columns, target, sample_weight=weights)
        .predict(new)
    )


def expect_outcomes(learn: Sample, new: np.ndarray, seed: int) -> np.ndarray:
    """Return the outcome that each new row would have in every arm: (rows, arms), one model per
    arm.
    """
    parts = (learn.arm == arm for arm in range(len(learn.arms)))
    return np.column_stack(
        [regress(learn.trees[part], learn.outcome[part], new, seed) for part in parts]
    )


def divide(sample: Sample, folds: int, seed: int) -> np.ndarray:
    """Return the fold of each row, drawn by lot: arms in equal shares, a customer's rows
    together.
    """
    codes, first = np.unique(sample.customers, return_index=True)
    dealt = np.lexsort((np.random.default_rng(seed).random(len(codes)), sample.arm[first]))
    fold = np.empty(len(codes), dtype=int)
    fold[dealt] = np.arange(len(codes)) % folds
    return fold[np.searchsorted(codes, sample.customers)]


def expect_unseen(sample: Sample, folds: int, seed: int) -> np.ndarray:
    """Return the outcome expected in every arm, by models fitted on other customers: (rows,
    arms).
    """
    fold, expected = divide(sample, folds, seed), np.empty((sample.size, len(sample.arms)))
    for number in range(folds):
        expected[fold == number] = expect_outcomes(
            sample.take(fold != number), sample.trees[fold == number], seed
        )
    return expected


def score_arms(sample: Sample, expected: np.ndarray) -> np.ndarray:
    """Return the doubly robust score of each row in every arm: (rows, arms).

    Parameters
    ----------
    expected : (rows, arms), by models that did not see the row
    """
    inside = sample.arm[:, None] == np.arange(len(sample.arms))
    residual = (sample.outcome - expected[np.arange(sample.size), sample.arm]) / sample.propensity
    return expected + inside * residual[:, None]


def contrast(scores: np.ndarray) -> np.ndarray:
    """Return the score of each arm less that of control: (rows, arms other than control)."""
    return scores[:, 1:] - scores[:, :1]


def centre(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return values less the mean of their group: (rows,) or (rows, columns)."""
    codes = np.unique(groups, return_inverse=True)[1]
    size = np.bincount(codes)
    columns = values.reshape(len(values), -1).astype(float)
    means = np.column_stack([np.bincount(codes, column) / size for column in columns.T])
    return (columns - means[codes]).reshape(values.shape)

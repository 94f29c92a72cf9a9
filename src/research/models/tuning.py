"""Settings of a model, searched on the training customers only and within a time budget.

Where the budget ends the search, its result depends on the speed of the machine, and two equal runs
may differ. Where all trials fit into the budget, or the budget is 0 (the model's own settings), the
seed alone decides.
"""

import time

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold

from research.errors import StudyError

BOOSTING = {  # of LightGBM, around the usual settings
    "n_estimators": IntDistribution(50, 400, log=True),
    "learning_rate": FloatDistribution(0.01, 0.1, log=True),
    "num_leaves": IntDistribution(4, 63, log=True),
    "min_child_samples": IntDistribution(10, 200, log=True),
    "reg_lambda": FloatDistribution(1e-3, 100.0, log=True),
    "colsample_bytree": FloatDistribution(0.3, 1.0),
}


def prefix_space(space: dict[str, BaseDistribution], step: str) -> dict[str, BaseDistribution]:
    """Return a search space for a step of a pipeline: ``<step>__num_leaves`` for ``num_leaves``."""
    return {f"{step}__{name}": values for name, values in space.items()}


def tune(
    model: ClassifierMixin,
    space: dict[str, BaseDistribution],
    columns: pd.DataFrame,
    churned: np.ndarray,
    customers: np.ndarray,
    seconds: float,
    seed: int,
    trials: int = 25,
    folds: int = 3,
) -> tuple[dict[str, float], pd.DataFrame]:
    """Return the settings with the least out-of-fold log-loss, and every trial.

    The first trial is the model's own settings, so the search never ends worse than it began on its
    folds; the rest are drawn by a tree of Parzen estimators (Bergstra et al. 2011; Optuna: Akiba et
    al. 2019, doi:10.1145/3292500.3330701). No trial begins once the seconds are over, but one that
    has begun ends. So a budget in seconds bounds the time and not the number of trials: where all
    of them fit, the seed alone decides the result; where they don't, so does the speed of the
    machine, and what else runs on it. Runs that must be equal to the byte leave the search out, or
    give it more time than all trials take.

    Parameters
    ----------
    model : classifier with ``set_params``
    space : distributions by parameter
    columns, churned : training rows; nothing else is used
    customers : the customer of each row; a customer's rows stay in one fold
    seconds : time budget
    trials : at most so many
    folds : of the inner cross-validation

    Returns
    -------
    settings : by parameter; none where no trial beat the model's own
    trials : DataFrame with columns trial, log_loss, seconds and one per parameter

    Raises
    ------
    StudyError
        If a class has fewer rows than there are folds.
    """
    churned = np.asarray(churned, bool)
    splits = _split(columns, churned, customers, folds, seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    started, rows = time.monotonic(), []
    while len(rows) < trials and (not rows or time.monotonic() - started < seconds):
        trial, began = search.ask(space) if rows else None, time.monotonic()
        settings = trial.params if trial else {}
        loss = _cross_validate(clone(model).set_params(**settings), columns, churned, splits)
        if trial:
            search.tell(trial, loss)
        rows.append(
            {
                "trial": len(rows),
                "log_loss": loss,
                "seconds": time.monotonic() - began,
                "settings": settings,
            }
        )
    best = min(rows, key=lambda row: row["log_loss"])
    own = {name: value for name, value in model.get_params().items() if name in space}
    trials_table = pd.DataFrame([row | own | row["settings"] for row in rows])
    return best["settings"], trials_table.drop(columns="settings")


def _split(
    columns: pd.DataFrame, churned: np.ndarray, customers: np.ndarray, folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    smallest = int(min(churned.sum(), (~churned).sum()))
    if smallest < folds:
        raise StudyError(
            f"expected at least {folds} training rows of each class to tune on {folds} folds,"
            f" got {smallest}; use an untuned model"
        )
    return [
        *StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(
            columns, churned, customers
        )
    ]


def _cross_validate(
    model: ClassifierMixin,
    columns: pd.DataFrame,
    churned: np.ndarray,
    splits: list[tuple[np.ndarray, np.ndarray]],
) -> float:
    """Return the mean log-loss of the folds, in nats."""
    losses = []
    for learn, rest in splits:
        fitted = clone(model).fit(columns.iloc[learn], churned[learn])
        predicted = fitted.predict_proba(columns.iloc[rest])[:, 1]
        losses.append(log_loss(churned[rest], predicted, labels=[False, True]))
    return float(np.mean(losses))


class Tuned(ClassifierMixin, BaseEstimator):
    """A model that searches its settings each time it is fitted.

    So cross-validation nests the search.

    Parameters
    ----------
    model, space, seconds, seed, trials, folds : see ``tune``
    """

    def __init__(
        self,
        model: ClassifierMixin,
        space: dict[str, BaseDistribution],
        seconds: float = 60,
        seed: int = 0,
        trials: int = 25,
        folds: int = 3,
    ):
        self.model = model
        self.space = space
        self.seconds = seconds
        self.seed = seed
        self.trials = trials
        self.folds = folds

    def fit(
        self, columns: pd.DataFrame, churned: np.ndarray, groups: np.ndarray | None = None
    ) -> "Tuned":
        """Search on the rows, then fit on all of them.

        Parameters
        ----------
        groups : the customer of each row; a customer's rows stay in one fold
        """
        customers = np.arange(len(columns)) if groups is None else np.asarray(groups)
        self.settings_, self.trials_ = tune(
            self.model,
            self.space,
            columns,
            churned,
            customers,
            self.seconds,
            self.seed,
            trials=self.trials,
            folds=self.folds,
        )
        self.model_ = (
            clone(self.model).set_params(**self.settings_).fit(columns, np.asarray(churned, bool))
        )
        self.classes_ = np.array([False, True])
        return self

    def predict_proba(self, columns: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of both classes."""
        return self.model_.predict_proba(columns)

    def predict(self, columns: pd.DataFrame) -> np.ndarray:
        """Return the likelier class."""
        return self.predict_proba(columns)[:, 1] > 0.5

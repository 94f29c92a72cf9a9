"""Settings of a model, searched on a sample of the training customers, in so many trials."""

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold

from research.errors import StudyError
from research.panel.customer_sample import draw_rows

TRIALS = 12
MAX_ROWS = 6_000  # on which settings are tried
FINALISTS = 2  # besides the own settings, that are judged again on all rows
JUDGED_IN_TRIAL, JUDGED_IN_FINAL = 1_500, 4_000  # rows, at least

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
    seed: int,
    trials: int = TRIALS,
    folds: int = 3,
    most: int = MAX_ROWS,
) -> tuple[dict[str, float], pd.DataFrame]:
    """Return the settings with the least out-of-fold log-loss, and every trial.

    The first trial is the model's own settings; the rest are drawn by a tree of Parzen estimators
    (Bergstra et al. 2011; Optuna: Akiba et al. 2019, doi:10.1145/3292500.3330701) and judged on a
    sample. What is best for few rows needn't be best for many: where there are more than the
    sample, the own settings and the best ``FINALISTS`` others are judged again on all rows
    (successive halving: Jamieson & Talwalkar 2016). So the search never ends worse than it began on
    its folds. The seed alone decides the result: no clock is read.

    Parameters
    ----------
    model : classifier with ``set_params``
    space : distributions by parameter
    columns, churned : training rows; nothing else is used
    customers : the customer of each row; a customer's rows stay in one fold
    trials : how many
    folds : of the inner cross-validation, as many of which judge as it takes for
        ``JUDGED_IN_TRIAL`` rows, ``JUDGED_IN_FINAL`` of the finalists
    most : rows of the sample, of customers drawn at random

    Returns
    -------
    settings : by parameter; none where no trial beat the model's own
    trials : DataFrame with columns trial, log_loss, final_log_loss (empty but for finalists) and
        one per parameter

    Raises
    ------
    StudyError
        If a class has fewer rows than there are folds.
    """
    churned, drawn = np.asarray(churned, bool), draw_rows(customers, most, seed)
    sample = columns[drawn], churned[drawn]
    splits = _split(*sample, customers[drawn], folds, seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    tried, losses = [], []
    for number in range(trials):
        trial = search.ask(space) if number else None
        tried.append(trial.params if trial else {})
        candidate = clone(model).set_params(**tried[-1])
        losses.append(_cross_validate(candidate, *sample, splits, JUDGED_IN_TRIAL))
        if trial:
            search.tell(trial, losses[-1])
    final = np.array(losses)
    if not drawn.all():
        splits = _split(columns, churned, customers, folds, seed)
        final = np.full(trials, np.nan)
        for number in [0, *(1 + np.argsort(losses[1:], kind="stable")[:FINALISTS])]:
            candidate = clone(model).set_params(**tried[number])
            final[number] = _cross_validate(candidate, columns, churned, splits, JUDGED_IN_FINAL)
    own = {name: value for name, value in model.get_params().items() if name in space}
    table = pd.DataFrame([own | settings for settings in tried])
    table.insert(0, "trial", range(trials))
    table.insert(1, "log_loss", losses)
    table.insert(2, "final_log_loss", final)
    return tried[int(np.nanargmin(final))], table


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
    enough: int,
) -> float:
    """Return the mean log-loss of the folds, in nats, once enough rows are judged."""
    losses, judged = [], 0
    for learn, rest in splits:
        fitted = clone(model).fit(columns.iloc[learn], churned[learn])
        predicted = fitted.predict_proba(columns.iloc[rest])[:, 1]
        losses.append(log_loss(churned[rest], predicted, labels=[False, True]))
        judged += len(rest)
        if judged >= enough:
            break
    return float(np.mean(losses))


class Tuned(ClassifierMixin, BaseEstimator):
    """A model that searches its settings each time it is fitted.

    So cross-validation nests the search.

    Parameters
    ----------
    model, space, seed, trials, folds, most : see ``tune``
    """

    def __init__(
        self,
        model: ClassifierMixin,
        space: dict[str, BaseDistribution],
        seed: int = 0,
        trials: int = TRIALS,
        folds: int = 3,
        most: int = MAX_ROWS,
    ):
        self.model = model
        self.space = space
        self.seed = seed
        self.trials = trials
        self.folds = folds
        self.most = most

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
            self.seed,
            trials=self.trials,
            folds=self.folds,
            most=self.most,
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

"""Survival models behind one interface: ``fit(columns, outcome)`` and ``predict_survival(columns,
days)``; see ``research.horizon``.

Each holds its own preparation of columns, so that nothing is learned outside a training part.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sksurv.ensemble import RandomSurvivalForest
from sksurv.linear_model import CoxnetSurvivalAnalysis

from research.models.log_odds import LOG_ODDS_SD
from research.models.survival_at_horizon import LEAST_DAYS

# a column ten times as large is penalised a hundredth: the hazard of an interval is nobody's effect
FREE = 10.0
LEAST_EVENTS = 20  # for a forest to learn from


class Cox(BaseEstimator):
    """Proportional hazards (Cox 1972, doi:10.1111/j.2517-6161.1972.tb00899.x) with a ridge penalty;
    baseline by Breslow.

    Parameters
    ----------
    prepare : transformer of columns
    spread : standard deviation of the customers' log hazards before the data are seen, however many
        columns there are; the penalty follows from it
    """

    def __init__(self, prepare: TransformerMixin, spread: float = LOG_ODDS_SD):
        self.prepare = prepare
        self.spread = spread

    def fit(self, columns: pd.DataFrame, outcome: np.ndarray) -> "Cox":
        """Fit coefficients, then the cumulative hazard of the baseline."""
        self.prepare_ = clone(self.prepare)
        matrix, target = self.prepare_.fit_transform(columns), _to_scikit_survival(outcome)
        penalty = matrix.shape[1] / (len(matrix) * self.spread**2)  # per row, as in glmnet
        self.model_ = CoxnetSurvivalAnalysis(alphas=[penalty], l1_ratio=1e-3).fit(matrix, target)
        self.days_, self.hazard_ = accumulate_hazard(outcome, self._lean(matrix))
        return self

    def _lean(self, matrix: np.ndarray) -> np.ndarray:
        return np.exp(np.clip(self.model_.predict(matrix), -30, 30))

    def predict_survival(self, columns: pd.DataFrame, days: Sequence[float]) -> np.ndarray:
        """Return the probability that the event has not come after so many days, shape (rows,
        days).
        """
        lean = self._lean(self.prepare_.transform(columns))
        place = np.searchsorted(self.days_, days, side="right")
        return np.exp(-np.outer(lean, np.r_[0.0, self.hazard_][place]))


def accumulate_hazard(outcome: np.ndarray, lean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the days with events and the baseline's cumulative hazard there (Breslow 1974,
    doi:10.2307/2529620).
    """
    order = np.argsort(outcome["days"], kind="stable")
    days, events = outcome["days"][order], outcome["event"][order]
    at_risk = np.cumsum(lean[order][::-1])[::-1]
    found, first = np.unique(days, return_index=True)
    steps = np.add.reduceat(events.astype(float), first) / at_risk[first]
    return found, np.cumsum(steps)


def _to_scikit_survival(outcome: np.ndarray) -> np.ndarray:
    target = np.empty(len(outcome), [("event", bool), ("time", float)])
    target["event"], target["time"] = outcome["event"], np.maximum(outcome["days"], LEAST_DAYS)
    return target


class DiscreteHazard(BaseEstimator):
    """The chance of the event in each interval, given that it hasn't come before, by any classifier
    (Singer & Willett 1993, doi:10.3102/10769986018002155).

    Intervals hold about equally many events of the training part, and one ends on each of ``at``.
    Within an interval the hazard is constant, and who was lost from sight in it counts for the
    share that was watched.

    Parameters
    ----------
    prepare : transformer of columns
    classifier : learns from one row per customer and interval lived through, weighed where one was
        watched in part; the last columns tell the interval
    at : days on which an interval ends, say the horizon
    intervals : how many there are at most, those that ``at`` asks for aside; what comes after the
        last of ``at`` is not looked at
    as_number : whether the interval is one number (for trees) instead of one column each
    """

    def __init__(
        self,
        prepare: TransformerMixin,
        classifier: ClassifierMixin,
        at: Sequence[int],
        intervals: int = 4,
        as_number: bool = False,
    ):
        self.prepare = prepare
        self.classifier = classifier
        self.at = at
        self.intervals = intervals
        self.as_number = as_number

    def fit(self, columns: pd.DataFrame, outcome: np.ndarray) -> "DiscreteHazard":
        """Lay out the intervals and fit the classifier."""
        self.edges_ = _cut_time(outcome, sorted(self.at), self.intervals)
        self.prepare_ = clone(self.prepare)
        matrix = np.asarray(self.prepare_.fit_transform(columns), dtype="float32")
        rows, interval, event, share = expand(outcome, self.edges_)
        weights = {"sample_weight": share} if (share < 1).any() else {}
        self.classifier_ = clone(self.classifier).fit(
            self._join(matrix[rows], interval), event, **weights
        )
        return self

    def _join(self, matrix: np.ndarray, interval: np.ndarray) -> np.ndarray:
        told = interval[:, None] if self.as_number else FREE * np.eye(len(self.edges_))[interval]
        return np.hstack([matrix, told.astype("float32")])

    def predict_survival(self, columns: pd.DataFrame, days: Sequence[float]) -> np.ndarray:
        """Return the probability that the event has not come after so many days, shape (rows,
        days); beyond the last interval its hazard goes on.
        """
        matrix, starts = (
            np.asarray(self.prepare_.transform(columns), dtype="float32"),
            np.r_[0, self.edges_[:-1]],
        )
        lengths = self.edges_ - starts
        needed = int(np.searchsorted(self.edges_, max(days))) + 1
        total = np.zeros((len(matrix), len(days)))
        for number in range(min(needed, len(self.edges_))):
            at = np.full(len(matrix), number)
            hazard = (
                -np.log1p(
                    -np.clip(
                        self.classifier_.predict_proba(self._join(matrix, at))[:, 1], 0, 1 - 1e-12
                    )
                )
                / lengths[number]
            )
            longest = np.inf if number == len(self.edges_) - 1 else lengths[number]
            total += np.outer(hazard, np.clip(np.asarray(days) - starts[number], 0, longest))
        return np.exp(-total)


def _cut_time(outcome: np.ndarray, at: Sequence[int], intervals: int) -> np.ndarray:
    """Return the ends of the intervals: quantiles of the events' days up to the last of ``at``, and
    ``at`` itself.
    """
    days = outcome["days"][outcome["event"] & (outcome["days"] <= max(at))]
    cuts = (
        np.ceil(np.quantile(days, np.linspace(0, 1, intervals + 1)[1:-1]))
        if len(days) >= 10 * intervals
        else []
    )
    return np.unique(np.maximum(np.r_[cuts, np.asarray(at, float)], 1))


def expand(
    outcome: np.ndarray, edges: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the person-period table: for each customer one entry per interval that was lived
    through, in part or whole, or that the event came in.

    Returns
    -------
    rows, interval, event, share : arrays
        Place of the customer, number of the interval, whether the event came in it, and which share
        of it was watched: below 1 for the last interval of who was lost from sight within it. Left
        out, such customers would be missed among those who stayed and not among those who left.
    """
    days, event = np.maximum(outcome["days"], LEAST_DAYS), outcome["event"]
    reached = np.searchsorted(
        edges, days, side="left"
    )  # the interval in which time ends: (edge before, edge]
    inside = event & (reached < len(edges))
    whole = np.minimum(
        np.where(event, reached, np.searchsorted(edges, days, side="right")), len(edges)
    )
    part = _measure_part(outcome, edges, whole)
    lived = whole + (inside | (part > 0))
    rows = np.repeat(np.arange(len(days)), lived)
    interval = np.arange(len(rows)) - np.repeat(np.cumsum(lived) - lived, lived)
    last = interval == lived[rows] - 1
    return rows, interval, inside[rows] & last, np.where(last & (part[rows] > 0), part[rows], 1.0)


def _measure_part(outcome: np.ndarray, edges: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return the share that was watched of the interval in which a customer was lost from sight, 0
    for all others.
    """
    lost = ~outcome["event"] & (whole < len(edges))
    place, starts = np.minimum(whole, len(edges) - 1), np.r_[0.0, edges[:-1]]
    return np.where(lost, (outcome["days"] - starts[place]) / (edges - starts)[place], 0.0)


class SurvivalForest(BaseEstimator):
    """Random survival forest (Ishwaran et al. 2008, doi:10.1214/08-AOAS169) on at most ``most``
    rows drawn by lot, time in ``steps`` up to the last of ``at``.

    Time is bounded because a leaf of the forest keeps a curve: what comes after the last day of
    interest is censored there.
    """

    def __init__(
        self,
        prepare: TransformerMixin,
        at: Sequence[int],
        most: int = 4000,
        steps: int = 10,
        trees: int = 100,
        seed: int = 0,
    ):
        self.prepare = prepare
        self.at = at
        self.most = most
        self.steps = steps
        self.trees = trees
        self.seed = seed

    def fit(self, columns: pd.DataFrame, outcome: np.ndarray) -> "SurvivalForest":
        """Fit the forest."""
        drawn = self._draw_rows(outcome)
        self.prepare_ = clone(self.prepare)
        matrix = np.nan_to_num(
            np.asarray(self.prepare_.fit_transform(columns), dtype="float32"), nan=-1e9
        )[drawn]
        forest = RandomSurvivalForest(
            n_estimators=self.trees,
            min_samples_leaf=15,
            max_features="sqrt",
            n_jobs=1,
            random_state=self.seed,
        )
        self.model_ = forest.fit(matrix, _to_scikit_survival(self._coarsen(outcome[drawn])))
        return self

    def _draw_rows(self, outcome: np.ndarray) -> np.ndarray:
        """Return the places of ``most`` rows drawn by lot, or of as many more as it takes to hold
        ``LEAST_EVENTS`` events.
        """
        order = np.random.default_rng(self.seed).permutation(len(outcome))
        events = np.cumsum(outcome["event"][order] & (outcome["days"][order] <= max(self.at)))
        return np.sort(order[: max(self.most, np.searchsorted(events, LEAST_EVENTS) + 1)])

    def _coarsen(self, outcome: np.ndarray) -> np.ndarray:
        """Move days to the end of their step, of which one ends on each of ``at``; sight ends with
        the last.
        """
        last = float(max(self.at))
        edges = np.unique(np.r_[np.linspace(0, last, self.steps + 1)[1:], self.at])
        coarse = outcome.copy()
        coarse["event"] = outcome["event"] & (outcome["days"] <= last)
        coarse["days"] = edges[
            np.searchsorted(edges, np.clip(outcome["days"], LEAST_DAYS, last), side="left")
        ]
        return coarse

    def predict_survival(self, columns: pd.DataFrame, days: Sequence[float]) -> np.ndarray:
        """Return the probability that the event has not come after so many days, shape (rows,
        days), none beyond the last of ``at``.
        """
        matrix = np.nan_to_num(
            np.asarray(self.prepare_.transform(columns), dtype="float32"), nan=-1e9
        )
        curves = self.model_.predict_survival_function(matrix, return_array=True)
        place = np.searchsorted(self.model_.unique_times_, days, side="right")
        return np.column_stack([np.ones(len(matrix)), curves])[:, place]


class WeibullAFT(BaseEstimator):
    """Weibull regression of times, S(t) = exp(-(t / exp(b x))^k), with a ridge penalty on b; by its
    gradient, so that hundreds of columns take a second.

    Parameters
    ----------
    prepare : transformer of columns
    spread : standard deviation of the customers' log times before the data are seen, however many
        columns there are; the penalty follows from it. The mean
        time and the shape k are free

    References
    ----------
    Kalbfleisch, J. D. and Prentice, R. L. (2002), The Statistical Analysis of Failure Time Data,
    2nd ed., ch. 3, doi:10.1002/9781118032985.
    """

    def __init__(self, prepare: TransformerMixin, spread: float = LOG_ODDS_SD):
        self.prepare = prepare
        self.spread = spread

    def fit(self, columns: pd.DataFrame, outcome: np.ndarray) -> "WeibullAFT":
        """Fit by maximum penalised likelihood."""
        self.prepare_ = clone(self.prepare)
        matrix = np.asarray(self.prepare_.fit_transform(columns), float)
        times, event = (
            np.log(np.maximum(outcome["days"], LEAST_DAYS)),
            outcome["event"].astype(float),
        )
        start = np.r_[
            np.zeros(matrix.shape[1]), np.log(np.exp(times).sum() / max(event.sum(), 1)), 0.0
        ]
        penalty = matrix.shape[1] / (len(matrix) * self.spread**2)
        found = minimize(
            _lose,
            start,
            (matrix, times, event, penalty),
            method="L-BFGS-B",
            jac=True,
            options={"maxiter": 1000},
        )
        self.coefficients_, self.intercept_, self.shape_ = (
            found.x[:-2],
            found.x[-2],
            np.exp(found.x[-1]),
        )
        return self

    def predict_survival(self, columns: pd.DataFrame, days: Sequence[float]) -> np.ndarray:
        """Return the probability that the event has not come after so many days, shape (rows,
        days).
        """
        centre = (
            np.asarray(self.prepare_.transform(columns), float) @ self.coefficients_
            + self.intercept_
        )
        with np.errstate(divide="ignore"):
            distance = np.log(np.asarray(days, float)) - centre[:, None]
        return np.exp(-np.exp(np.clip(self.shape_ * distance, -700, 700)))


def _lose(
    numbers: np.ndarray, matrix: np.ndarray, times: np.ndarray, event: np.ndarray, penalty: float
) -> tuple[float, np.ndarray]:
    """Return the mean negative log-likelihood with its penalty, and the gradient; the last numbers
    are the intercept and the log of the shape.
    """
    slopes, shape = numbers[:-2], np.exp(numbers[-1])
    distance = times - matrix @ slopes - numbers[-2]
    hazard = np.exp(np.clip(shape * distance, -700, 50))
    loss = (
        hazard - event * (np.log(shape) - times + shape * distance)
    ).mean() + penalty / 2 * slopes @ slopes
    pull = shape * (event - hazard) / len(times)  # of the centre
    bend = (hazard * shape * distance - event * (1 + shape * distance)).mean()
    return loss, np.r_[matrix.T @ pull + penalty * slopes, pull.sum(), bend]

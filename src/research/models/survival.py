"""Survival models: ``fit(columns, outcome)`` and ``predict_survival(columns, days)``.

Proportional hazards, accelerated failure times, hazards in discrete time, and a survival forest, in
this order. ``outcome`` is made by ``survival_at_horizon.frame_outcome``. Each model contains its
own preparation of columns, so that nothing is learned outside a training part.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sksurv.ensemble import RandomSurvivalForest
from sksurv.linear_model import CoxnetSurvivalAnalysis

from research.models.log_odds import LOG_ODDS_SD
from research.models.preprocessing import EMPTY_NUMBER
from research.models.survival_at_horizon import LEAST_DAYS

# a column ten times as large is penalised a hundredth as much: the hazard of an interval is no
# effect of a feature, and should be nearly free
INTERVAL_SCALE = 10.0
LEAST_EVENTS = 20  # for a forest to learn from


class Cox(BaseEstimator):
    """Proportional hazards with a ridge penalty; baseline hazard by Breslow.

    Cox (1972), doi:10.1111/j.2517-6161.1972.tb00899.x.

    Parameters
    ----------
    prepare : transformer of columns
    spread : prior standard deviation of the customers' log hazards, however many columns there are;
        the penalty follows from it
    """

    def __init__(self, prepare: TransformerMixin, spread: float = LOG_ODDS_SD):
        self.prepare = prepare
        self.spread = spread

    def fit(self, columns: pd.DataFrame, outcome: np.ndarray) -> "Cox":
        """Fit the coefficients, then the cumulative baseline hazard."""
        self.prepare_ = clone(self.prepare)
        matrix, target = self.prepare_.fit_transform(columns), _to_scikit_survival(outcome)
        penalty = matrix.shape[1] / (len(matrix) * self.spread**2)  # per row, as in glmnet
        self.model_ = CoxnetSurvivalAnalysis(alphas=[penalty], l1_ratio=1e-3).fit(matrix, target)
        relative = self._relative_hazard(matrix)
        self.days_, self.hazard_ = cumulate_breslow_hazard(outcome, relative)
        return self

    def _relative_hazard(self, matrix: np.ndarray) -> np.ndarray:
        return np.exp(np.clip(self.model_.predict(matrix), -30, 30))

    def predict_survival(self, columns: pd.DataFrame, days: Sequence[float]) -> np.ndarray:
        """Return the probability of no event after so many days: (rows, days)."""
        relative = self._relative_hazard(self.prepare_.transform(columns))
        place = np.searchsorted(self.days_, days, side="right")
        return np.exp(-np.outer(relative, np.r_[0.0, self.hazard_][place]))


def cumulate_breslow_hazard(
    outcome: np.ndarray, relative: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the days and the cumulative baseline hazard on them.

    Breslow (1974), doi:10.2307/2529620.

    Parameters
    ----------
    relative : (rows,), hazard of each customer as a multiple of the baseline
    """
    order = np.argsort(outcome["days"], kind="stable")
    days, events = outcome["days"][order], outcome["event"][order]
    at_risk = np.cumsum(relative[order][::-1])[::-1]
    different, first = np.unique(days, return_index=True)
    steps = np.add.reduceat(events.astype(float), first) / at_risk[first]
    return different, np.cumsum(steps)


def _to_scikit_survival(outcome: np.ndarray) -> np.ndarray:
    target = np.empty(len(outcome), [("event", bool), ("time", float)])
    target["event"], target["time"] = outcome["event"], np.maximum(outcome["days"], LEAST_DAYS)
    return target


class WeibullAFT(BaseEstimator):
    """Weibull accelerated failure times, S(t) = exp(-(t / exp(b x))^k), with a ridge penalty on b.

    Fitted by its gradient, so that hundreds of columns take a second.

    Parameters
    ----------
    prepare : transformer of columns
    spread : prior standard deviation of the customers' log times, however many columns there are;
        the penalty follows from it. The mean time and the shape k are free

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
        fitted = minimize(
            penalised_loss,
            start,
            (matrix, times, event, penalty),
            method="L-BFGS-B",
            jac=True,
            options={"maxiter": 1000},
        )
        self.coefficients_, self.intercept_, self.shape_ = (
            fitted.x[:-2],
            fitted.x[-2],
            np.exp(fitted.x[-1]),
        )
        return self

    def predict_survival(self, columns: pd.DataFrame, days: Sequence[float]) -> np.ndarray:
        """Return the probability of no event after so many days: (rows, days)."""
        centre = (
            np.asarray(self.prepare_.transform(columns), float) @ self.coefficients_
            + self.intercept_
        )
        with np.errstate(divide="ignore"):
            distance = np.log(np.asarray(days, float)) - centre[:, None]
        return np.exp(-np.exp(np.clip(self.shape_ * distance, -700, 700)))


def penalised_loss(
    parameters: np.ndarray, matrix: np.ndarray, times: np.ndarray, event: np.ndarray, penalty: float
) -> tuple[float, np.ndarray]:
    """Return the mean negative log-likelihood with its penalty, and the gradient.

    The last parameters are the intercept and the log of the shape.
    """
    slopes, shape = parameters[:-2], np.exp(parameters[-1])
    distance = times - matrix @ slopes - parameters[-2]
    hazard = np.exp(np.clip(shape * distance, -700, 50))
    loss = (
        hazard - event * (np.log(shape) - times + shape * distance)
    ).mean() + penalty / 2 * slopes @ slopes
    of_centre = shape * (event - hazard) / len(times)
    of_shape = (hazard * shape * distance - event * (1 + shape * distance)).mean()
    return loss, np.r_[matrix.T @ of_centre + penalty * slopes, of_centre.sum(), of_shape]


class DiscreteHazard(BaseEstimator):
    """Hazard in discrete time: the event in each interval, given none before, by any classifier.

    Singer & Willett (1993), doi:10.3102/10769986018002155. Intervals contain about equally many
    events of the training part, and one ends on each of ``at``. Within an interval the hazard is
    constant, and a customer censored in it counts for the share that was observed.

    Parameters
    ----------
    prepare : transformer of columns
    classifier : learns from one row per customer and interval survived, weighted where one was
        observed in part; the last columns are the interval
    at : days on which an interval ends, say the horizon
    intervals : how many there are at most, besides those that ``at`` asks for; what comes after the
        last of ``at`` is ignored
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
        self.edges_ = _make_edges(outcome, sorted(self.at), self.intervals)
        self.prepare_ = clone(self.prepare)
        matrix = np.asarray(self.prepare_.fit_transform(columns), dtype="float32")
        rows, interval, event, share = make_person_periods(outcome, self.edges_)
        weights = {"sample_weight": share} if (share < 1).any() else {}
        self.classifier_ = clone(self.classifier).fit(
            self._join(matrix[rows], interval), event, **weights
        )
        return self

    def _join(self, matrix: np.ndarray, interval: np.ndarray) -> np.ndarray:
        columns = (
            interval[:, None]
            if self.as_number
            else INTERVAL_SCALE * np.eye(len(self.edges_))[interval]
        )
        return np.hstack([matrix, columns.astype("float32")])

    def predict_survival(self, columns: pd.DataFrame, days: Sequence[float]) -> np.ndarray:
        """Return the probability of no event after so many days: (rows, days).

        Beyond the last interval its hazard goes on.
        """
        matrix = np.asarray(self.prepare_.transform(columns), dtype="float32")
        starts = np.r_[0, self.edges_[:-1]]
        lengths = self.edges_ - starts
        needed = int(np.searchsorted(self.edges_, max(days))) + 1
        total = np.zeros((len(matrix), len(days)))
        for number in range(min(needed, len(self.edges_))):
            rows = self._join(matrix, np.full(len(matrix), number))
            risk = np.clip(self.classifier_.predict_proba(rows)[:, 1], 0, 1 - 1e-12)
            hazard = -np.log1p(-risk) / lengths[number]
            longest = np.inf if number == len(self.edges_) - 1 else lengths[number]
            total += np.outer(hazard, np.clip(np.asarray(days) - starts[number], 0, longest))
        return np.exp(-total)


def _make_edges(outcome: np.ndarray, at: Sequence[int], intervals: int) -> np.ndarray:
    """Return the ends of the intervals: quantiles of the days of events, and ``at`` itself."""
    days = outcome["days"][outcome["event"] & (outcome["days"] <= max(at))]
    cuts = (
        np.ceil(np.quantile(days, np.linspace(0, 1, intervals + 1)[1:-1]))
        if len(days) >= 10 * intervals
        else []
    )
    return np.unique(np.maximum(np.r_[cuts, np.asarray(at, float)], 1))


def make_person_periods(
    outcome: np.ndarray, edges: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the person-period table: an entry for each customer and interval at risk.

    At risk is an interval that was survived, in part or whole, or that the event came in.

    Returns
    -------
    rows, interval, event, share : arrays
        Place of the customer, number of the interval, whether the event came in it, and the share
        of it that was observed: below 1 for the last interval of customers censored within it. Left
        out, they would be missing among those who stayed and not among those who left.
    """
    days, event = np.maximum(outcome["days"], LEAST_DAYS), outcome["event"]
    # the interval in which time ends: (edge before, edge]
    reached = np.searchsorted(edges, days, side="left")
    inside = event & (reached < len(edges))
    whole = np.minimum(
        np.where(event, reached, np.searchsorted(edges, days, side="right")), len(edges)
    )
    part = _find_observed_share(outcome, edges, whole)
    survived = whole + (inside | (part > 0))
    rows = np.repeat(np.arange(len(days)), survived)
    interval = np.arange(len(rows)) - np.repeat(np.cumsum(survived) - survived, survived)
    last = interval == survived[rows] - 1
    return rows, interval, inside[rows] & last, np.where(last & (part[rows] > 0), part[rows], 1.0)


def _find_observed_share(outcome: np.ndarray, edges: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return the observed share of the interval of censoring, 0 for customers not censored."""
    censored = ~outcome["event"] & (whole < len(edges))
    place, starts = np.minimum(whole, len(edges) - 1), np.r_[0.0, edges[:-1]]
    return np.where(censored, (outcome["days"] - starts[place]) / (edges - starts)[place], 0.0)


class SurvivalForest(BaseEstimator):
    """Random survival forest on at most ``most`` random rows (Ishwaran et al. 2008).

    doi:10.1214/08-AOAS169. Time is in ``steps`` up to the last of ``at``, since a leaf of the
    forest keeps a curve: what comes after the last day of interest is censored there.

    Parameters
    ----------
    prepare : transformer of columns
    at : days for which survival is asked; a step ends on each
    most : rows to learn from, more where these contain fewer than ``LEAST_EVENTS`` events
    steps, trees : how many
    seed : of all draws
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
        matrix = _fill(self.prepare_.fit_transform(columns))[drawn]
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
        """Return the places of ``most`` random rows, or of more, up to ``LEAST_EVENTS`` events."""
        order = np.random.default_rng(self.seed).permutation(len(outcome))
        events = np.cumsum(outcome["event"][order] & (outcome["days"][order] <= max(self.at)))
        return np.sort(order[: max(self.most, np.searchsorted(events, LEAST_EVENTS) + 1)])

    def _coarsen(self, outcome: np.ndarray) -> np.ndarray:
        """Move days to the end of their step, and censor after the last of ``at``."""
        last = float(max(self.at))
        edges = np.unique(np.r_[np.linspace(0, last, self.steps + 1)[1:], self.at])
        coarse = outcome.copy()
        coarse["event"] = outcome["event"] & (outcome["days"] <= last)
        coarse["days"] = edges[
            np.searchsorted(edges, np.clip(outcome["days"], LEAST_DAYS, last), side="left")
        ]
        return coarse

    def predict_survival(self, columns: pd.DataFrame, days: Sequence[float]) -> np.ndarray:
        """Return the probability of no event after so many days: (rows, days).

        Days beyond the last of ``at`` get its probability.
        """
        matrix = _fill(self.prepare_.transform(columns))
        curves = self.model_.predict_survival_function(matrix, return_array=True)
        place = np.searchsorted(self.model_.unique_times_, days, side="right")
        return np.column_stack([np.ones(len(matrix)), curves])[:, place]


def _fill(columns: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.asarray(columns, dtype="float32"), nan=EMPTY_NUMBER)

"""Scores of predicted probabilities: ranking, proper scores, calibration, lift.

``METRICS`` lists them; a new one is one function of ``JudgedRows`` and one record. Every score is
computed for a matrix of weights (resamples by rows): a resample of customers is a weight per row,
so a thousand resamples of a score are a few operations on arrays.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

from research.reporting.metric import Metric, register_metrics

BINS = 10  # of the calibration error
LEAST_LIKELIHOOD = 1e-15  # of an outcome, so that its log-loss stays finite
# scores that span less are one score, as the base rates of several folds are: they have no slope
FLAT_LOGITS = 0.05


@dataclass(frozen=True, eq=False)
class JudgedRows:
    """Outcomes and probabilities of the rows that judge a model.

    Attributes
    ----------
    y : booleans (rows,), the outcomes
    p : (rows,), the probabilities
    weights : (resamples, rows), how often each row counts
    folds : (rows,), the fold of a cross-validation in which a row was judged; None without folds
    """

    y: np.ndarray
    p: np.ndarray
    weights: np.ndarray
    folds: np.ndarray | None = None

    @cached_property
    def parts(self) -> list["JudgedRows"]:
        """The rows of each fold; all rows where there are no folds."""
        if self.folds is None:
            return [self]
        inside = [self.folds == fold for fold in np.unique(self.folds)]
        return [JudgedRows(self.y[own], self.p[own], self.weights[:, own]) for own in inside]

    @cached_property
    def tied_groups(self) -> tuple[np.ndarray, np.ndarray]:
        """The weight of churners and of others at each distinct probability, highest first."""
        order = np.argsort(-self.p, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(self.p[order]) != 0])
        churners = np.add.reduceat(self.weights[:, order] * self.y[order], starts, axis=1)
        return churners, np.add.reduceat(self.weights[:, order], starts, axis=1) - churners


Score = Callable[[JudgedRows], np.ndarray]


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(
        numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0
    )


def _average_over_folds(score: Score) -> Score:
    """Return a score of rankings within folds, averaged over them in proportion to churners.

    Risks of different folds come from different models, and one that is a little higher throughout
    says nothing of its customers. A fold in which the score isn't defined is left out.
    """

    @wraps(score)
    def average(rows: JudgedRows) -> np.ndarray:
        if len(rows.parts) == 1:
            return score(rows.parts[0])
        values = np.stack([score(part) for part in rows.parts])
        churners = np.stack([part.weights @ part.y.astype(float) for part in rows.parts])
        known = np.isfinite(values)
        total = np.where(known, values * churners, 0).sum(axis=0)
        return _ratio(total, (known * churners).sum(axis=0))

    return average


@_average_over_folds
def compute_auc(rows: JudgedRows) -> np.ndarray:
    """Area under the ROC curve, ties counted half.

    It is the chance that a churner ranks above a customer who stays.
    """
    churners, others = rows.tied_groups
    above = np.cumsum(churners, axis=1) - churners / 2
    return _ratio((above * others).sum(axis=1), churners.sum(axis=1) * others.sum(axis=1))


@_average_over_folds
def _average_precision(rows: JudgedRows) -> np.ndarray:
    """Precision averaged over the churners found, threshold by threshold, without interpolation."""
    churners, others = rows.tied_groups
    found = np.cumsum(churners, axis=1)
    precision = np.nan_to_num(_ratio(found, found + np.cumsum(others, axis=1)))
    return _ratio((churners * precision).sum(axis=1), churners.sum(axis=1))


@_average_over_folds
def _top_decile_lift(rows: JudgedRows) -> np.ndarray:
    """Churn rate among the 10 % with the highest probabilities over the churn rate of all.

    Ties at the border count in proportion.
    """
    churners, others = rows.tied_groups
    share = churners + others
    total = share.sum(axis=1)
    room = 0.1 * total[:, None] - (np.cumsum(share, axis=1) - share)
    taken = np.nan_to_num(np.clip(_ratio(room, share), 0, 1))
    return _ratio((churners * taken).sum(axis=1) / 0.1, churners.sum(axis=1))


def compute_row_losses(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the log-loss of each row in nats: (rows,)."""
    return -np.log(np.clip(np.where(y, p, 1 - p), LEAST_LIKELIHOOD, 1))


def clip_likelihoods(p: np.ndarray) -> np.ndarray:
    """Return probabilities no nearer to 0 and 1 than ``LEAST_LIKELIHOOD``."""
    return np.clip(p, LEAST_LIKELIHOOD, 1 - LEAST_LIKELIHOOD)


def _log_loss(rows: JudgedRows) -> np.ndarray:
    """Mean negative log-likelihood in nats."""
    p = clip_likelihoods(rows.p)
    losses = -np.where(rows.y, np.log(p), np.log1p(-p))
    return _ratio(rows.weights @ losses, rows.weights.sum(axis=1))


def _brier(rows: JudgedRows) -> np.ndarray:
    """Mean squared distance of probability and outcome."""
    return _ratio(rows.weights @ (rows.y - rows.p) ** 2, rows.weights.sum(axis=1))


def _logit(p: np.ndarray) -> np.ndarray:
    p = clip_likelihoods(p)
    return np.log(p) - np.log1p(-p)


def _calibration_slope(rows: JudgedRows) -> np.ndarray:
    """Slope of the logistic regression of the outcome on the log-odds of the probability.

    1 is ideal; below 1 the probabilities are too extreme. Empty where they hardly differ
    (``FLAT_LOGITS``) or only one class is present. Cox (1958), Biometrika 45:562-565,
    doi:10.1093/biomet/45.3-4.562.
    """
    x = _logit(rows.p)
    if np.ptp(x) < FLAT_LOGITS:
        return np.full(len(rows.weights), np.nan)
    return _recalibrate(rows.y, x, rows.weights)


def _calibration_intercept(rows: JudgedRows) -> np.ndarray:
    """Intercept of the same regression with the slope held at 1.

    0 is ideal; below 0 the probabilities are too high on average. Van Calster et al. (2019), BMC
    Medicine 17:230, doi:10.1186/s12916-019-1466-7.
    """
    y, x, weights = rows.y, _logit(rows.p), rows.weights
    start = (
        np.array([[brentq(lambda a: (y - expit(a + x)).sum(), -60, 60)]])
        if 0 < y.sum() < len(y)
        else np.zeros((1, 1))
    )
    fit = _newton(y, x, weights, np.repeat(start, len(weights), axis=0), _steps(y))
    return _blank_single_class(y, weights, fit[:, 0])


def _calibration_error(rows: JudgedRows) -> np.ndarray:
    """Expected calibration error: mean distance of predicted and observed share over ten bins.

    Naeini, Cooper and Hauskrecht (2015), doi:10.1609/aaai.v29i1.9602, with bins of equally many
    rows. Sampling error alone keeps it above 0.
    """
    bins = np.ceil(rankdata(rows.p) / len(rows.p) * BINS).astype(int) - 1
    off = np.zeros((len(rows.p), BINS))
    off[np.arange(len(rows.p)), bins] = rows.y - rows.p
    return _ratio(np.abs(rows.weights @ off).sum(axis=1), rows.weights.sum(axis=1))


def _remove_resampling_bias(values: np.ndarray) -> np.ndarray:
    """Bring the resamples of a calibration error down to the sample's.

    Drawing with replacement adds an unevenness that is no error of the model.
    """
    rise = max(values[1:].mean() - values[0], 0) if len(values) > 1 else 0
    return np.r_[values[:1], np.maximum(values[1:] - rise, 0)]


def _recalibrate(y: np.ndarray, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the slope, by a few steps of Newton's method for every resample.

    They start from the fit on all rows.
    """
    if y.all() or not y.any():
        return np.full(len(weights), np.nan)
    whole = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x[:, None], y)
    start = np.array([[whole.intercept_[0], whole.coef_[0, 0]]])
    fit = _newton(y, x, weights, np.repeat(start, len(weights), axis=0), _steps(y))
    return _blank_single_class(y, weights, fit[:, 1])


def _steps(y: np.ndarray) -> int:
    """Return how many steps of Newton's method are enough.

    Two leave an error of the order of n to the -2; few rows need more, and afford it.
    """
    return 2 if len(y) >= 1000 else 15


def _newton(
    y: np.ndarray, x: np.ndarray, weights: np.ndarray, fit: np.ndarray, steps: int
) -> np.ndarray:
    """Maximise the weighted logistic likelihood of ``a + b x`` for each row of ``weights``.

    One column in ``fit`` holds b at 1. All fits start together, so the first step is a product of
    matrices.
    """
    for step in range(steps):
        a, b = fit[:, 0], fit[:, 1] if fit.shape[1] == 2 else np.ones(len(fit))
        same = step == 0
        p = expit(a[:1, None] + b[:1, None] * x if same else a[:, None] + b[:, None] * x)
        fit = fit + _newton_step(weights, p[0] if same else p, y, x, fit.shape[1])
    return fit


def _newton_step(
    weights: np.ndarray, p: np.ndarray, y: np.ndarray, x: np.ndarray, parameters: int
) -> np.ndarray:
    curve, pull = p * (1 - p), y - p
    if parameters == 1:
        return np.clip(np.nan_to_num(_ratio(*_weighted_sums(weights, [pull, curve]))), -2, 2)[
            :, None
        ]
    g0, g1, h00, h01, h11 = _weighted_sums(
        weights, [pull, pull * x, curve, curve * x, curve * x**2]
    )
    determinant = h00 * h11 - h01**2
    step = np.column_stack(
        [_ratio(h11 * g0 - h01 * g1, determinant), _ratio(h00 * g1 - h01 * g0, determinant)]
    )
    return np.clip(np.nan_to_num(step), -2, 2)


def _weighted_sums(weights: np.ndarray, terms: list[np.ndarray]) -> np.ndarray:
    """Return the weighted sum of each term, one row per term.

    Terms that are the same in all resamples take one product.
    """
    return (
        (weights @ np.stack(terms, axis=1)).T
        if terms[0].ndim == 1
        else np.stack([np.einsum("ij,ij->i", weights, term) for term in terms])
    )


def _blank_single_class(y: np.ndarray, weights: np.ndarray, value: np.ndarray) -> np.ndarray:
    churners = weights @ y.astype(float)
    return np.where((churners > 0) & (churners < weights.sum(axis=1)), value, np.nan)


METRICS = register_metrics(
    Metric(
        name="auc",
        words="AUC",
        better="more",
        function=compute_auc,
        judges="ranking",
    ),
    Metric(
        name="average_precision",
        words="Average precision",
        better="more",
        function=_average_precision,
        judges="ranking",
    ),
    Metric(
        name="log_loss",
        words="Log-loss",
        better="less",
        function=_log_loss,
        judges="probabilities",
    ),
    Metric(
        name="brier",
        words="Brier",
        better="less",
        function=_brier,
        judges="probabilities",
    ),
    Metric(
        name="calibration_slope",
        words="Calibration slope",
        better="ideal",
        ideal=1.0,
        function=_calibration_slope,
        digits=2,
        judges="calibration",
        tolerated=(0.75, 1.33),
    ),
    Metric(
        name="calibration_intercept",
        words="Calibration intercept",
        better="ideal",
        ideal=0.0,
        function=_calibration_intercept,
        digits=2,
        judges="calibration",
        tolerated=(-0.25, 0.25),  # in log-odds
    ),
    Metric(
        name="calibration_error",
        words="Calibration error",
        better="less",
        function=_calibration_error,
        judges="calibration",
        adjust_resamples=_remove_resampling_bias,
    ),
    Metric(
        name="top_decile_lift",
        words="Lift in the top 10 %",
        better="more",
        function=_top_decile_lift,
        digits=2,
        judges="ranking",
    ),
)
CALIBRATION = tuple(name for name, metric in METRICS.items() if metric.judges == "calibration")


def score_rows(
    y: np.ndarray,
    p: np.ndarray,
    weights: np.ndarray | None = None,
    folds: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return every score of probabilities ``p`` for outcomes ``y``, for each row of ``weights``.

    Parameters
    ----------
    y : booleans (rows,)
    p : probabilities (rows,); hard labels are refused
    weights : (resamples, rows), optional
        How often each row counts; every row once unless given.
    folds : (rows,), optional
        Of a cross-validation: rankings are scored within each and averaged.

    Returns
    -------
    dict by score of arrays (resamples,)

    Raises
    ------
    ValueError
        If a probability is missing or outside 0 to 1, or if ``p`` contains labels and not
        probabilities.
    """
    _require_probabilities(np.asarray(p))
    y, p = np.asarray(y, bool), np.asarray(p, float)
    weights = np.ones((1, len(y))) if weights is None else weights
    rows = JudgedRows(y, p, weights, None if folds is None else np.asarray(folds))
    return {name: metric.function(rows) for name, metric in METRICS.items()}


def _require_probabilities(p: np.ndarray) -> None:
    if p.dtype.kind in "biu":
        raise ValueError("expected probabilities, got labels; score predict_proba, not hard labels")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(
            "expected probabilities between 0 and 1, got values outside or missing; predict"
            " with predict_proba"
        )

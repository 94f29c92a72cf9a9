"""Scores of predicted probabilities: ranking, proper scores, calibration, lift.

Every score is written for a matrix of weights (resamples by rows): a resample of customers is a
weight per row, so a thousand resamples of a score are a few operations on arrays.
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

BINS = 10  # of the calibration error
# scores that span less are one score, as the base rates of several folds are: they have no slope
FLAT_LOGITS = 0.05


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(
        numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0
    )


def _tied_groups(
    y: np.ndarray, p: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of churners and of others at each distinct score, highest score first."""
    order = np.argsort(-p, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(p[order]) != 0])
    churners = np.add.reduceat(weights[:, order] * y[order], starts, axis=1)
    return churners, np.add.reduceat(weights[:, order], starts, axis=1) - churners


def _auc(churners: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Area under the ROC curve, ties counted half: the chance that a churner ranks above a customer
    who stays.
    """
    above = np.cumsum(churners, axis=1) - churners / 2
    return _ratio((above * others).sum(axis=1), churners.sum(axis=1) * others.sum(axis=1))


def measure_auc(y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve alone, once for each row of ``weights``; see
    ``score_rows``.
    """
    return _auc(*_tied_groups(y, p, weights))


def _average_precision(churners: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Precision averaged over the churners found, threshold by threshold, without interpolation."""
    found = np.cumsum(churners, axis=1)
    precision = np.nan_to_num(_ratio(found, found + np.cumsum(others, axis=1)))
    return _ratio((churners * precision).sum(axis=1), churners.sum(axis=1))


def _top_decile_lift(churners: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Churn rate among the 10 % with the highest scores over the churn rate of all; ties at the
    border count in proportion.
    """
    share = churners + others
    total = share.sum(axis=1)
    room = 0.1 * total[:, None] - (np.cumsum(share, axis=1) - share)
    taken = np.nan_to_num(np.clip(_ratio(room, share), 0, 1))
    return _ratio((churners * taken).sum(axis=1) / 0.1, churners.sum(axis=1))


def _log_loss(y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean negative log-likelihood in nats; probabilities are kept off 0 and 1 by 1e-15."""
    p = np.clip(p, 1e-15, 1 - 1e-15)
    return _ratio(weights @ -np.where(y, np.log(p), np.log1p(-p)), weights.sum(axis=1))


def _brier(y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean squared distance of probability and outcome."""
    return _ratio(weights @ (y - p) ** 2, weights.sum(axis=1))


def _logit(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, 1e-15, 1 - 1e-15)
    return np.log(p) - np.log1p(-p)


def _calibration_slope(y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Slope of the logistic regression of the outcome on the logit of the score; 1 is ideal, below
    1 the scores are too extreme.

    Cox (1958), Biometrika 45:562-565, doi:10.1093/biomet/45.3-4.562. Empty where the scores hardly
    differ (``FLAT_LOGITS``) or only one class is present.
    """
    x = _logit(p)
    if np.ptp(x) < FLAT_LOGITS:
        return np.full(len(weights), np.nan)
    return _recalibrate(y, x, weights)


def _calibration_intercept(y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Intercept of the same regression with the slope held at 1; 0 is ideal, below 0 the scores are
    too high on average.

    Van Calster et al. (2019), BMC Medicine 17:230, doi:10.1186/s12916-019-1466-7.
    """
    x = _logit(p)
    start = (
        np.array([[brentq(lambda a: (y - expit(a + x)).sum(), -60, 60)]])
        if 0 < y.sum() < len(y)
        else np.zeros((1, 1))
    )
    return _blank_single_class(
        y, weights, _newton(y, x, weights, np.repeat(start, len(weights), axis=0), _steps(y))[:, 0]
    )


def _calibration_error(y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Expected calibration error: mean distance of predicted and observed share over ten bins of
    equally many rows.

    Naeini, Cooper and Hauskrecht (2015), doi:10.1609/aaai.v29i1.9602, with bins of equal size. Luck
    alone keeps it above 0.
    """
    bins = np.ceil(rankdata(p) / len(p) * BINS).astype(int) - 1
    off = np.zeros((len(p), BINS))
    off[np.arange(len(p)), bins] = y - p
    return _ratio(np.abs(weights @ off).sum(axis=1), weights.sum(axis=1))


def _recalibrate(y: np.ndarray, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the slope: the fit on all rows first, then a few steps of Newton's method from there
    for every resample.
    """
    if y.all() or not y.any():
        return np.full(len(weights), np.nan)
    whole = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x[:, None], y)
    start = np.array([[whole.intercept_[0], whole.coef_[0, 0]]])
    return _blank_single_class(
        y, weights, _newton(y, x, weights, np.repeat(start, len(weights), axis=0), _steps(y))[:, 1]
    )


def _steps(y: np.ndarray) -> int:
    """Two steps from the fit on all rows leave an error of the order of n to the -2; few rows need
    more, and afford it.
    """
    return 2 if len(y) >= 1000 else 15


def _newton(
    y: np.ndarray, x: np.ndarray, weights: np.ndarray, fit: np.ndarray, steps: int
) -> np.ndarray:
    """Maximise the weighted logistic likelihood of ``a + b x`` for each row of ``weights``; one
    column in ``fit`` holds b at 1.

    All fits start together, so the first step is a product of matrices.
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
        return np.clip(np.nan_to_num(_ratio(*_weigh(weights, [pull, curve]))), -2, 2)[:, None]
    g0, g1, h00, h01, h11 = _weigh(weights, [pull, pull * x, curve, curve * x, curve * x**2])
    determinant = h00 * h11 - h01**2
    step = np.column_stack(
        [_ratio(h11 * g0 - h01 * g1, determinant), _ratio(h00 * g1 - h01 * g0, determinant)]
    )
    return np.clip(np.nan_to_num(step), -2, 2)


def _weigh(weights: np.ndarray, terms: list[np.ndarray]) -> np.ndarray:
    """Return the weighted sum of each term, one row per term: terms of the rows alone by one
    product, others resample by resample.
    """
    return (
        (weights @ np.stack(terms, axis=1)).T
        if terms[0].ndim == 1
        else np.stack([np.einsum("ij,ij->i", weights, term) for term in terms])
    )


def _blank_single_class(y: np.ndarray, weights: np.ndarray, value: np.ndarray) -> np.ndarray:
    churners = weights @ y.astype(float)
    return np.where((churners > 0) & (churners < weights.sum(axis=1)), value, np.nan)


def score_rows(
    y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Return every score of probabilities ``p`` for outcomes ``y``, once for each row of
    ``weights``.

    Parameters
    ----------
    y : booleans (rows,)
    p : probabilities (rows,); hard labels are refused
    weights : (resamples, rows), optional
        How often each row counts; every row once unless given.

    Returns
    -------
    dict by score of arrays (resamples,)

    Raises
    ------
    ValueError
        If a probability is missing or outside 0 to 1, or if ``p`` holds labels and not
        probabilities.
    """
    _require_probabilities(np.asarray(p))
    y, p = np.asarray(y, bool), np.asarray(p, float)
    weights = np.ones((1, len(y))) if weights is None else weights
    groups = _tied_groups(y, p, weights)
    ranking = {name: score(*groups) for name, score in RANKING.items()}
    return {
        name: ranking[name] if name in ranking else PROPER[name](y, p, weights) for name in METRICS
    }


def _require_probabilities(p: np.ndarray) -> None:
    if p.dtype.kind in "biu":
        raise ValueError("expected probabilities, got labels; score predict_proba, not hard labels")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(
            "expected probabilities between 0 and 1, got values outside or missing; predict"
            " with predict_proba"
        )


METRICS = (
    "auc",
    "average_precision",
    "log_loss",
    "brier",
    "calibration_slope",
    "calibration_intercept",
    "calibration_error",
    "top_decile_lift",
)
RANKING = {
    "auc": _auc,
    "average_precision": _average_precision,
    "top_decile_lift": _top_decile_lift,
}
PROPER = {
    "log_loss": _log_loss,
    "brier": _brier,
    "calibration_slope": _calibration_slope,
    "calibration_intercept": _calibration_intercept,
    "calibration_error": _calibration_error,
}

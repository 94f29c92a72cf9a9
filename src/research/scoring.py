"""Scores of predicted probabilities with bootstrap intervals clustered by customer, and paired differences to a reference.

Every score is written for a matrix of weights (resamples by rows): a resample of customers is a weight per row, so a thousand resamples
of a score are a few operations on arrays, and models share the resamples, which pairs them.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

KEYS = ["repeat", "fold", "snapshot", "customer_id", "churned"]  # columns of predictions that are no model
CHUNK = 4_000_000  # cells of the weight matrix held at once
FLAT_LOGITS = 0.05  # scores that span less are one score, as the base rates of several folds are: they have no slope
TAIL = 2.5  # percent of the resamples on either side of a 95 % interval

Array = np.ndarray


def _ratio(numerator: Array, denominator: Array) -> Array:
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0)


def _tied_groups(y: Array, p: Array, weights: Array) -> tuple[Array, Array]:
    """Return the weight of churners and of others at each distinct score, highest score first."""
    order = np.argsort(-p, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(p[order]) != 0])
    churners = np.add.reduceat(weights[:, order] * y[order], starts, axis=1)
    return churners, np.add.reduceat(weights[:, order], starts, axis=1) - churners


def _auc(churners: Array, others: Array) -> Array:
    """Area under the ROC curve, ties counted half: the chance that a churner ranks above a customer who stays."""
    above = np.cumsum(churners, axis=1) - churners / 2
    return _ratio((above * others).sum(axis=1), churners.sum(axis=1) * others.sum(axis=1))


def _average_precision(churners: Array, others: Array) -> Array:
    """Precision averaged over the churners found, threshold by threshold, without interpolation."""
    found = np.cumsum(churners, axis=1)
    precision = np.nan_to_num(_ratio(found, found + np.cumsum(others, axis=1)))
    return _ratio((churners * precision).sum(axis=1), churners.sum(axis=1))


def _top_decile_lift(churners: Array, others: Array) -> Array:
    """Churn rate among the 10 % with the highest scores over the churn rate of all; ties at the border count in proportion."""
    share = churners + others
    total = share.sum(axis=1)
    room = 0.1 * total[:, None] - (np.cumsum(share, axis=1) - share)
    taken = np.nan_to_num(np.clip(_ratio(room, share), 0, 1))
    return _ratio((churners * taken).sum(axis=1) / 0.1, churners.sum(axis=1))


def _log_loss(y: Array, p: Array, weights: Array) -> Array:
    """Mean negative log-likelihood in nats; probabilities are kept off 0 and 1 by 1e-15."""
    p = np.clip(p, 1e-15, 1 - 1e-15)
    return _ratio(weights @ -np.where(y, np.log(p), np.log1p(-p)), weights.sum(axis=1))


def _brier(y: Array, p: Array, weights: Array) -> Array:
    """Mean squared distance of probability and outcome."""
    return _ratio(weights @ (y - p) ** 2, weights.sum(axis=1))


def _logit(p: Array) -> Array:
    p = np.clip(p, 1e-15, 1 - 1e-15)
    return np.log(p) - np.log1p(-p)


def _calibration_slope(y: Array, p: Array, weights: Array) -> Array:
    """Slope of the logistic regression of the outcome on the logit of the score; 1 is ideal, below 1 the scores are too extreme.

    Cox (1958), Biometrika 45:562-565, doi:10.1093/biomet/45.3-4.562. Empty where the scores hardly differ (``FLAT_LOGITS``) or only one class is present.
    """
    x = _logit(p)
    if np.ptp(x) < FLAT_LOGITS:
        return np.full(len(weights), np.nan)
    return _recalibrate(y, x, weights)


def _calibration_intercept(y: Array, p: Array, weights: Array) -> Array:
    """Intercept of the same regression with the slope held at 1; 0 is ideal, below 0 the scores are too high on average.

    Van Calster et al. (2019), BMC Medicine 17:230, doi:10.1186/s12916-019-1466-7.
    """
    x = _logit(p)
    start = np.array([[brentq(lambda a: (y - expit(a + x)).sum(), -60, 60)]]) if 0 < y.sum() < len(y) else np.zeros((1, 1))
    return _blank_single_class(y, weights, _newton(y, x, weights, np.repeat(start, len(weights), axis=0), 2)[:, 0])


def _recalibrate(y: Array, x: Array, weights: Array) -> Array:
    """Return the slope: the fit on all rows first, then two steps of Newton's method from there for every resample."""
    if y.all() or not y.any():
        return np.full(len(weights), np.nan)
    whole = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x[:, None], y)
    start = np.array([[whole.intercept_[0], whole.coef_[0, 0]]])
    return _blank_single_class(y, weights, _newton(y, x, weights, np.repeat(start, len(weights), axis=0), 2)[:, 1])


def _newton(y: Array, x: Array, weights: Array, fit: Array, steps: int) -> Array:
    """Maximise the weighted logistic likelihood of ``a + b x`` for each row of ``weights``; one column in ``fit`` holds b at 1.

    All fits start together, so the first step is a product of matrices; the second leaves an error of the order of n to the -2.
    """
    for step in range(steps):
        a, b = fit[:, 0], fit[:, 1] if fit.shape[1] == 2 else np.ones(len(fit))
        same = step == 0
        p = expit(a[:1, None] + b[:1, None] * x if same else a[:, None] + b[:, None] * x)
        fit = fit + _newton_step(weights, p[0] if same else p, y, x, fit.shape[1])
    return fit


def _newton_step(weights: Array, p: Array, y: Array, x: Array, parameters: int) -> Array:
    curve, pull = p * (1 - p), y - p
    if parameters == 1:
        return np.clip(np.nan_to_num(_ratio(*_weigh(weights, [pull, curve]))), -2, 2)[:, None]
    g0, g1, h00, h01, h11 = _weigh(weights, [pull, pull * x, curve, curve * x, curve * x**2])
    determinant = h00 * h11 - h01**2
    step = np.column_stack([_ratio(h11 * g0 - h01 * g1, determinant), _ratio(h00 * g1 - h01 * g0, determinant)])
    return np.clip(np.nan_to_num(step), -2, 2)


def _weigh(weights: Array, terms: list[Array]) -> Array:
    """Return the weighted sum of each term, one row per term: terms of the rows alone by one product, others resample by resample."""
    return (weights @ np.stack(terms, axis=1)).T if terms[0].ndim == 1 else np.stack([np.einsum("ij,ij->i", weights, term) for term in terms])


def _blank_single_class(y: Array, weights: Array, value: Array) -> Array:
    churners = weights @ y.astype(float)
    return np.where((churners > 0) & (churners < weights.sum(axis=1)), value, np.nan)


def score_rows(y: Array, p: Array, weights: Array | None = None) -> dict[str, Array]:
    """Return every score of probabilities ``p`` for outcomes ``y``, once for each row of ``weights``.

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
        If a probability is missing or outside 0 to 1, or if ``p`` holds labels and not probabilities.
    """
    y, p = np.asarray(y, bool), np.asarray(p, float)
    _require_probabilities(p)
    weights = np.ones((1, len(y))) if weights is None else weights
    groups = _tied_groups(y, p, weights)
    ranking = {name: score(*groups) for name, score in RANKING.items()}
    return {name: ranking[name] if name in ranking else PROPER[name](y, p, weights) for name in GAINS}


def _require_probabilities(p: Array) -> None:
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("required probabilities between 0 and 1, arrived values outside or missing; predict with predict_proba")
    if len(p) > 2 and np.isin(p, (0, 1)).all():
        raise ValueError("required probabilities, arrived only 0 and 1; score predict_proba, not hard labels")


RANKING = {"auc": _auc, "average_precision": _average_precision, "top_decile_lift": _top_decile_lift}
PROPER = {"log_loss": _log_loss, "brier": _brier, "calibration_slope": _calibration_slope, "calibration_intercept": _calibration_intercept}
# what is compared between models, and whether more is better: distances to the ideal for calibration, the score itself otherwise
GAINS: dict[str, tuple[Callable[[Array], Array], bool]] = {
    "auc": (np.asarray, True),
    "average_precision": (np.asarray, True),
    "log_loss": (np.asarray, False),
    "brier": (np.asarray, False),
    "calibration_slope": (lambda slope: np.abs(slope - 1), False),
    "calibration_intercept": (np.abs, False),
    "top_decile_lift": (np.asarray, True),
}


def draw_weights(customers: Sequence, resamples: int, seed: int) -> Iterator[Array]:
    """Yield weights of rows, in chunks of resamples: customers are drawn with replacement, a customer's rows together.

    The first row of the first chunk is all ones, the sample itself. The draws don't depend on the chunk size.
    """
    codes, uniques = pd.factorize(np.asarray(customers))
    rng = np.random.default_rng(seed)
    yield np.ones((1, len(codes)))
    size = max(1, CHUNK // max(len(codes), 1))
    for start in range(0, resamples, size):
        count = min(size, resamples - start)
        yield np.stack([np.bincount(rng.integers(len(uniques), size=len(uniques)), minlength=len(uniques))[codes] for _ in range(count)]).astype(float)


def resample_scores(predictions: pd.DataFrame, resamples: int, seed: int) -> dict[str, dict[str, Array]]:
    """Return every score of every model on the sample (first entry) and on each resample of its customers.

    Parameters
    ----------
    predictions : DataFrame with columns repeat, customer_id, churned, optionally fold and snapshot, and one column of risks per model
        One row per row judged; ``repeat`` numbers the repetitions of a cross-validation, over which a score is averaged.

    Returns
    -------
    dict by model of dicts by score of arrays of length ``1 + resamples``
    """
    models = [column for column in predictions if column not in KEYS]
    pieces = {model: {score: [] for score in GAINS} for model in models}
    repeats = [part for _, part in predictions.groupby("repeat", sort=True)]
    for chunks in zip(*(draw_weights(part.customer_id, resamples, seed) for part in repeats), strict=True):
        for model in models:
            for score, values in _score_repeats(repeats, chunks, model).items():
                pieces[model][score].append(values)
    return {model: {score: np.concatenate(parts) for score, parts in scores.items()} for model, scores in pieces.items()}


def _score_repeats(repeats: list[pd.DataFrame], chunks: tuple[Array, ...], model: str) -> dict[str, Array]:
    scored = [score_rows(part.churned, part[model], weights) for part, weights in zip(repeats, chunks, strict=True)]
    return {name: np.mean([scores[name] for scores in scored], axis=0) for name in GAINS}


def _interval(values: Array, comparisons: int = 1) -> tuple[float, float, float]:
    """Return the sample's value and the percentile interval of the resamples (Efron & Tibshirani 1993, ch. 13)."""
    rest = values[1:][np.isfinite(values[1:])]
    tail = TAIL / comparisons
    low, high = np.percentile(rest, (tail, 100 - tail)) if len(rest) else (np.nan, np.nan)
    return float(values[0]), float(low), float(high)


def tabulate_scores(resampled: dict[str, dict[str, Array]], families: dict[str, str], n: int) -> pd.DataFrame:
    """Return the long score table: model, family, metric, value, low, high, n (95 % interval, customers judged)."""
    rows = [(model, families[model], score, *_interval(values), n) for model, scores in resampled.items() for score, values in scores.items()]
    return pd.DataFrame(rows, columns=["model", "family", "metric", "value", "low", "high", "n"])


def tabulate_differences(resampled: dict[str, dict[str, Array]], references: Sequence[str], families: dict[str, str], n: int) -> pd.DataFrame:
    """Return paired differences of every model to each reference, on the same resamples.

    Returns
    -------
    DataFrame with columns model, family, reference, metric, value, low, high, n, verdict
        ``value`` is the model's score minus the reference's (for calibration: of the distances from the ideal 1 and 0), ``low`` and
        ``high`` its 95 % interval. ``verdict`` is better or worse only where an interval widened for the number of models compared
        (Bonferroni: all verdicts of one score against one reference hold together at 95 %) excludes 0, else "no difference shown".
    """
    rows = [
        (model, families[model], reference, score, *_interval(values), n, _judge(values, GAINS[score][1], len(resampled) - 1))
        for reference in references
        for model in resampled
        if model != reference
        for score in GAINS
        for values in [_gain(score, resampled[model]) - _gain(score, resampled[reference])]
    ]
    return pd.DataFrame(rows, columns=["model", "family", "reference", "metric", "value", "low", "high", "n", "verdict"])


def _gain(score: str, scores: dict[str, Array]) -> Array:
    return GAINS[score][0](scores[score])


def _judge(values: Array, more_is_better: bool, comparisons: int) -> str:
    value, low, high = _interval(values, comparisons)
    if not np.isfinite([value, low, high]).all():
        return "not defined"
    if low <= 0 <= high:
        return "no difference shown"
    return "better" if (value > 0) == more_is_better else "worse"


def bin_reliability(predictions: pd.DataFrame, models: Sequence[str], bins: int = 10) -> pd.DataFrame:
    """Return predicted against observed churn in bins of equally many rows, with Wilson intervals of the observed share.

    Only the first repeat is binned: one row per customer and snapshot.

    Returns
    -------
    DataFrame with columns model, bin, predicted, observed, low, high, n
    """
    first = predictions[predictions.repeat == predictions.repeat.min()]
    tables = [_bin_one(first.churned.to_numpy(bool), first[model].to_numpy(float), bins).assign(model=model) for model in models]
    return pd.concat(tables, ignore_index=True)[["model", "bin", "predicted", "observed", "low", "high", "n"]]


def _bin_one(y: Array, p: Array, bins: int) -> pd.DataFrame:
    rank = pd.Series(p).rank(method="average")
    frame = pd.DataFrame({"p": p, "y": y, "bin": np.ceil(rank / len(p) * bins).astype(int)})
    table = frame.groupby("bin").agg(predicted=("p", "mean"), observed=("y", "mean"), n=("y", "size")).reset_index()
    low, high = wilson(table.observed, table.n)
    return table.assign(low=low, high=high)


def wilson(share, n):
    """Return the 95 % interval of a share of ``n`` independent customers (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    z = 1.959963984540054
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return centre - half, centre + half


def count_found(predictions: pd.DataFrame, capacity: int) -> pd.DataFrame:
    """Count the churners among the ``capacity`` customers that each model ranks highest.

    Only the first repeat and the last snapshot count: the list of one cycle. Ties at the border are broken at random by customer, the
    same way for every model.

    Returns
    -------
    DataFrame with columns model, listed, churners_found, found_share, low_share, high_share, random_churners
        ``found_share`` with its Wilson interval; ``random_churners`` is what a list drawn by lot finds on average.
    """
    rows = predictions[predictions.repeat == predictions.repeat.min()]
    rows = rows[rows.snapshot == rows.snapshot.max()] if "snapshot" in rows else rows
    lot = pd.util.hash_array(rows.customer_id.astype(str).to_numpy(object))
    listed, churned = min(capacity, len(rows)), rows.churned.to_numpy(float)
    found = {model: churned[np.lexsort((lot, -rows[model].to_numpy(float)))[:listed]].sum() for model in predictions if model not in KEYS}
    table = pd.DataFrame({"model": found.keys(), "listed": listed, "churners_found": pd.Series(found.values(), dtype="int64")})
    table["found_share"] = table.churners_found / listed
    table["low_share"], table["high_share"] = wilson(table.found_share, listed)
    return table.assign(random_churners=listed * churned.mean())

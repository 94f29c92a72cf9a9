"""Models compared on the same rows: bootstrap intervals clustered by customer, paired differences, reliability, contact lists.

All models share the resamples of customers, which pairs them: the luck of the sample cancels in a difference.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from research.intervals import wilson
from research.lists import fill_list, pick_cycle
from research.scoring import METRICS, score_rows

KEYS = ["repeat", "fold", "snapshot", "customer_id", "churned", "left_in_lead"]  # columns of predictions that are no model
CHUNK = 4_000_000  # cells of the weight matrix held at once
TAIL = 2.5  # percent of the resamples on either side of a 95 % interval

Array = np.ndarray

# what is compared between models, and whether more is better: distances to the ideal for calibration, the score itself otherwise
GAINS: dict[str, tuple[Callable[[Array], Array], bool]] = {
    "auc": (np.asarray, True),
    "average_precision": (np.asarray, True),
    "log_loss": (np.asarray, False),
    "brier": (np.asarray, False),
    "calibration_slope": (lambda slope: np.abs(slope - 1), False),
    "calibration_intercept": (np.abs, False),
    "calibration_error": (np.asarray, False),
    "top_decile_lift": (np.asarray, True),
}


CALIBRATION = ("log_loss", "calibration_slope", "calibration_intercept", "calibration_error")  # scores that a recalibration may better


def find_keys(predictions: pd.DataFrame) -> list[str]:
    """Return the columns of predictions that are no model."""
    return [column for column in KEYS if column in predictions]


def draw_weights(customers: Sequence, resamples: int, seed: int) -> Iterator[Array]:
    """Yield weights of rows, in chunks of resamples: customers are drawn with replacement, a customer's rows together.

    The first row of the first chunk is all ones, the sample itself. The draws depend neither on the chunk size nor on the order of rows,
    so the repeats of a cross-validation resample the same customers.
    """
    codes, uniques = pd.factorize(np.asarray(customers), sort=True)  # a customer has one number, whatever the order of rows
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
    pieces = {model: {score: [] for score in METRICS} for model in models}
    repeats = [part for _, part in predictions.groupby("repeat", sort=True)]
    for chunks in zip(*(draw_weights(part.customer_id, resamples, seed) for part in repeats), strict=True):
        for model in models:
            for score, values in _score_repeats(repeats, chunks, model).items():
                pieces[model][score].append(values)
    found = {model: {score: np.concatenate(parts) for score, parts in scores.items()} for model, scores in pieces.items()}
    return {model: scores | {"calibration_error": _level(scores["calibration_error"])} for model, scores in found.items()}


def _level(values: Array) -> Array:
    """Bring the resamples of a calibration error down to the sample's: drawing with replacement adds an unevenness that is no error of the model."""
    rise = max(values[1:].mean() - values[0], 0) if len(values) > 1 else 0
    return np.r_[values[:1], np.maximum(values[1:] - rise, 0)]


def _score_repeats(repeats: list[pd.DataFrame], chunks: tuple[Array, ...], model: str) -> dict[str, Array]:
    scored = [score_rows(part.churned, part[model], weights) for part, weights in zip(repeats, chunks, strict=True)]
    return {name: np.mean([scores[name] for scores in scored], axis=0) for name in METRICS}


def find_interval(values: Array) -> tuple[float, float, float]:
    """Return the sample's value and the percentile interval of the resamples (Efron & Tibshirani 1993, ch. 13)."""
    rest = values[1:][np.isfinite(values[1:])]
    low, high = np.percentile(rest, (TAIL, 100 - TAIL)) if len(rest) else (np.nan, np.nan)
    return float(values[0]), float(low), float(high)


def tabulate_scores(resampled: dict[str, dict[str, Array]], families: dict[str, str], n: int) -> pd.DataFrame:
    """Return the long score table: model, family, metric, value, low, high, n (95 % interval, customers judged)."""
    rows = [(model, families[model], score, *find_interval(values), n) for model, scores in resampled.items() for score, values in scores.items()]
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
        (model, families[model], reference, score, *find_interval(values), n, judge(values, GAINS[score][1], len(resampled) - 1))
        for reference in references
        for model in resampled
        if model != reference
        for score in METRICS
        for values in [_gain(score, resampled[model]) - _gain(score, resampled[reference])]
    ]
    return pd.DataFrame(rows, columns=["model", "family", "reference", "metric", "value", "low", "high", "n", "verdict"])


def _gain(score: str, scores: dict[str, Array]) -> Array:
    return GAINS[score][0](scores[score])


def judge(values: Array, more_is_better: bool, comparisons: int) -> str:
    """Return better or worse where the interval of a difference, and the one widened for so many comparisons, exclude 0.

    The wide one is that of the normal distribution: its ends lie farther out than resamples reach.
    """
    value, low, high = find_interval(values)
    if not np.isfinite([value, low, high]).all():
        return "not defined"
    reach = norm.isf(TAIL / 100 / comparisons) * np.nanstd(values[1:], ddof=1)
    if low <= 0 <= high or abs(value) <= reach:
        return "no difference shown"
    return "better" if (value > 0) == more_is_better else "worse"


def bin_reliability(predictions: pd.DataFrame, models: Sequence[str], bins: int = 10) -> pd.DataFrame:
    """Return predicted against observed churn in bins of equally many rows, with Wilson intervals of the observed share.

    Only the first repeat is binned: one row per customer and snapshot. The intervals take the rows as independent.

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


def count_found(predictions: pd.DataFrame, capacity: int) -> pd.DataFrame:
    """Count the churners among the ``capacity`` customers that each model ranks highest.

    Only the first repeat and the last snapshot count: the list of one cycle. Customers who go on to leave within the lead stand on it too,
    since nobody knows of them at the snapshot; they are not found in time. Ties at the border are broken at random by customer, the same
    way for every model.

    Returns
    -------
    DataFrame with columns model, active, listed, churners_found, found_share, low_share, high_share, random_churners
        ``active`` is how many there are to choose from, ``found_share`` comes with its Wilson interval, ``random_churners`` is what a list
        drawn by lot finds on average.
    """
    rows = pick_cycle(predictions)
    listed, churned = min(capacity, len(rows)), rows.churned.to_numpy(float)
    found = {model: (fill_list(rows[model], rows.customer_id, listed) @ churned).item() for model in predictions if model not in KEYS}
    counts = pd.Series(found.values(), dtype="int64")
    table = pd.DataFrame({"model": found.keys(), "active": len(rows), "listed": listed, "churners_found": counts})
    table["found_share"] = table.churners_found / listed
    table["low_share"], table["high_share"] = wilson(table.found_share, listed)
    return table.assign(random_churners=listed * churned.mean())

"""Models compared on the same rows: bootstrap intervals clustered by customer, paired differences,
reliability, contact lists.

All models share the resamples of customers, which pairs them: the luck of the sample cancels in a
difference.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from research.evaluation.metrics import METRICS, score_rows
from research.evaluation.predictions import KEYS

CHUNK = 4_000_000  # cells of the weight matrix held at once
TAIL = 2.5  # percent of the resamples on either side of a 95 % interval
# what is compared between models, and whether more is better: distances to the ideal for
# calibration, the score itself otherwise
GAINS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], bool]] = {
    "auc": (np.asarray, True),
    "average_precision": (np.asarray, True),
    "log_loss": (np.asarray, False),
    "brier": (np.asarray, False),
    "calibration_slope": (lambda slope: np.abs(slope - 1), False),
    "calibration_intercept": (np.abs, False),
    "calibration_error": (np.asarray, False),
    "top_decile_lift": (np.asarray, True),
}
CALIBRATION = (
    "log_loss",
    "calibration_slope",
    "calibration_intercept",
    "calibration_error",
)  # scores that a recalibration may better


def draw_weights(customers: Sequence, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield weights of rows, in chunks of resamples: customers are drawn with replacement, a
    customer's rows together.

    The first row of the first chunk is all ones, the sample itself. The draws depend neither on the
    chunk size nor on the order of rows, so the repeats of a cross-validation resample the same
    customers.
    """
    codes, uniques = pd.factorize(
        np.asarray(customers), sort=True
    )  # a customer has one number, whatever the order of rows
    rng = np.random.default_rng(seed)
    yield np.ones((1, len(codes)))
    size = max(1, CHUNK // max(len(codes), 1))
    for start in range(0, resamples, size):
        count = min(size, resamples - start)
        yield np.stack(
            [
                np.bincount(rng.integers(len(uniques), size=len(uniques)), minlength=len(uniques))[
                    codes
                ]
                for _ in range(count)
            ]
        ).astype(float)


def resample_scores(
    predictions: pd.DataFrame, resamples: int, seed: int
) -> dict[str, dict[str, np.ndarray]]:
    """Return every score of every model on the sample (first entry) and on each resample of its
    customers.

    Parameters
    ----------
    predictions : DataFrame with columns repeat, customer_id, churned, optionally fold and snapshot,
        and one column of risks per model
        One row per row judged; ``repeat`` numbers the repetitions of a cross-validation, over which
        a score is averaged.

    Returns
    -------
    dict by model of dicts by score of arrays of length ``1 + resamples``
    """
    models = [column for column in predictions if column not in KEYS]
    pieces = {model: {score: [] for score in METRICS} for model in models}
    repeats = [part for _, part in predictions.groupby("repeat", sort=True)]
    for chunks in zip(
        *(draw_weights(part.customer_id, resamples, seed) for part in repeats), strict=True
    ):
        for model in models:
            for score, values in _score_repeats(repeats, chunks, model).items():
                pieces[model][score].append(values)
    found = {
        model: {score: np.concatenate(parts) for score, parts in scores.items()}
        for model, scores in pieces.items()
    }
    return {
        model: scores | {"calibration_error": _level(scores["calibration_error"])}
        for model, scores in found.items()
    }


def _level(values: np.ndarray) -> np.ndarray:
    """Bring the resamples of a calibration error down to the sample's: drawing with replacement
    adds an unevenness that is no error of the model.
    """
    rise = max(values[1:].mean() - values[0], 0) if len(values) > 1 else 0
    return np.r_[values[:1], np.maximum(values[1:] - rise, 0)]


def _score_repeats(
    repeats: list[pd.DataFrame], chunks: tuple[np.ndarray, ...], model: str
) -> dict[str, np.ndarray]:
    scored = [
        score_rows(part.churned, part[model], weights)
        for part, weights in zip(repeats, chunks, strict=True)
    ]
    return {name: np.mean([scores[name] for scores in scored], axis=0) for name in METRICS}


def find_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the sample's value and the percentile interval of the resamples (Efron & Tibshirani
    1993, ch. 13).
    """
    rest = values[1:][np.isfinite(values[1:])]
    low, high = np.percentile(rest, (TAIL, 100 - TAIL)) if len(rest) else (np.nan, np.nan)
    return float(values[0]), float(low), float(high)


def tabulate_scores(
    resampled: dict[str, dict[str, np.ndarray]], families: dict[str, str], n: int
) -> pd.DataFrame:
    """Return the long score table: model, family, metric, value, low, high, n (95 % interval,
    customers judged).
    """
    rows = [
        (model, families[model], score, *find_interval(values), n)
        for model, scores in resampled.items()
        for score, values in scores.items()
    ]
    return pd.DataFrame(rows, columns=["model", "family", "metric", "value", "low", "high", "n"])


def tabulate_differences(
    resampled: dict[str, dict[str, np.ndarray]],
    references: Sequence[str],
    families: dict[str, str],
    n: int,
) -> pd.DataFrame:
    """Return paired differences of every model to each reference, on the same resamples.

    Returns
    -------
    DataFrame with columns model, family, reference, metric, value, low, high, n, verdict
        ``value`` is the model's score minus the reference's (for calibration: of the distances from
        the ideal 1 and 0), ``low`` and ``high`` its 95 % interval. ``verdict`` is better or worse
        only where an interval widened for the number of models compared (Bonferroni: all verdicts
        of one score against one reference hold together at 95 %) excludes 0, else "no difference
        shown".
    """
    rows = [
        (
            model,
            families[model],
            reference,
            score,
            *find_interval(values),
            n,
            judge(values, GAINS[score][1], len(resampled) - 1),
        )
        for reference in references
        for model in resampled
        if model != reference
        for score in METRICS
        for values in [_gain(score, resampled[model]) - _gain(score, resampled[reference])]
    ]
    return pd.DataFrame(
        rows,
        columns=["model", "family", "reference", "metric", "value", "low", "high", "n", "verdict"],
    )


def _gain(score: str, scores: dict[str, np.ndarray]) -> np.ndarray:
    return GAINS[score][0](scores[score])


def judge(values: np.ndarray, more_is_better: bool, comparisons: int) -> str:
    """Return better or worse where the interval of a difference, and the one widened for so many
    comparisons, exclude 0.

    The wide one is that of the normal distribution: its ends lie farther out than resamples reach.
    """
    value, low, high = find_interval(values)
    if not np.isfinite([value, low, high]).all():
        return "not defined"
    reach = norm.isf(TAIL / 100 / comparisons) * np.nanstd(values[1:], ddof=1)
    if low <= 0 <= high or abs(value) <= reach:
        return "no difference shown"
    return "better" if (value > 0) == more_is_better else "worse"

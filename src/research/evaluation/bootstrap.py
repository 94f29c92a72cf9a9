"""Models compared on the same rows: bootstrap intervals clustered by customer, paired differences.

All models share the resamples of customers, which pairs them: sampling error that they have in
common cancels in a difference.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from research.evaluation.intervals import TAIL
from research.evaluation.metrics import METRICS, score_rows
from research.evaluation.predictions import KEYS
from research.evaluation.verdicts import BETTER, NO_DIFFERENCE, UNDEFINED, WORSE
from research.store.keep import keep

ROUNDING = 1e-9  # share of two numbers by which they may differ and be the same
CHUNK = 1_000_000  # cells of the weight matrix in memory at once; larger ones are slower


def draw_weights(customers: Sequence, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield weights of rows, in chunks of resamples.

    Customers are drawn with replacement, a customer's rows together. The first chunk is one row of
    ones, the sample itself. The draws depend neither on the chunk size nor on the order of rows, so
    the repeats of a cross-validation resample the same customers.

    Parameters
    ----------
    customers : (rows,)
    resamples : how many
    seed : the draws derive from it
    """
    # sorted, so that a customer has one number, whatever the order of rows
    codes, uniques = pd.factorize(np.asarray(customers), sort=True)
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


@keep
def resample_scores(
    predictions: pd.DataFrame, resamples: int, seed: int
) -> dict[str, dict[str, np.ndarray]]:
    """Return every score of every model on the sample (first entry) and on each resample.

    Parameters
    ----------
    predictions : DataFrame with columns repeat, customer_id, churned, optionally fold and snapshot,
        and one column of risks per model
        One row per row judged; ``repeat`` numbers the repetitions of a cross-validation, over which
        a score is averaged. Rankings are scored within each ``fold``.

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
    return {
        model: {score: _join(score, parts) for score, parts in scores.items()}
        for model, scores in pieces.items()
    }


def _join(score: str, pieces: list[np.ndarray]) -> np.ndarray:
    values, adjust = np.concatenate(pieces), METRICS[score].adjust_resamples
    return adjust(values) if adjust else values


def _score_repeats(
    repeats: list[pd.DataFrame], chunks: tuple[np.ndarray, ...], model: str
) -> dict[str, np.ndarray]:
    scored = [
        score_rows(part.churned, part[model], weights, part.get("fold"))
        for part, weights in zip(repeats, chunks, strict=True)
    ]
    return {name: np.mean([scores[name] for scores in scored], axis=0) for name in METRICS}


def percentile_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the sample's value and the 95 % percentile interval of the resamples.

    Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 13.
    """
    rest = values[1:][np.isfinite(values[1:])]
    percents = (100 * TAIL, 100 - 100 * TAIL)
    low, high = np.percentile(rest, percents) if len(rest) else (np.nan, np.nan)
    return float(values[0]), float(low), float(high)


def tabulate_scores(
    resampled: dict[str, dict[str, np.ndarray]], families: dict[str, str], n: int
) -> pd.DataFrame:
    """Return the long table of scores.

    Parameters
    ----------
    resampled : see ``resample_scores``
    families : by model
    n : customers judged

    Returns
    -------
    DataFrame with columns model, family, metric, value, low, high, n
        ``low`` and ``high``: 95 % confidence interval.
    """
    rows = [
        (model, families[model], score, *percentile_interval(values), n)
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

    Parameters
    ----------
    references : models that the others are compared with, such as the best baseline

    Returns
    -------
    DataFrame with columns model, family, reference, metric, value, low, high, n, verdict
        ``value`` is the model's score minus the reference's (for calibration: of the distances from
        the ideal 1 and 0), ``low`` and ``high`` its interval adjusted for the number of models
        compared (Bonferroni: all intervals of one score against one reference hold together at
        95 %), ``verdict`` whether it excludes 0, see ``judge_difference``.
    """
    rows = [
        (
            model,
            families[model],
            reference,
            score,
            *interval,
            n,
            verdict,
        )
        for reference in references
        for model in resampled
        if model != reference
        for score, metric in METRICS.items()
        for values in [
            subtract(
                metric.compare(resampled[model][score]), metric.compare(resampled[reference][score])
            )
        ]
        for *interval, verdict in [
            judge_difference(values, metric.more_is_better, len(resampled) - 1)
        ]
    ]
    return pd.DataFrame(
        rows,
        columns=["model", "family", "reference", "metric", "value", "low", "high", "n", "verdict"],
    )


def subtract(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return paired differences, of which those that rounding explains are 0.

    The same customers in another order add up to sums that differ in the last digit, always in the
    same direction: an interval of such differences would leave out 0.
    """
    size = np.maximum(np.abs(values), np.abs(reference))
    difference = values - reference
    return np.where(np.abs(difference) <= ROUNDING * size, 0.0, difference)


def judge_difference(
    values: np.ndarray, more_is_better: bool, comparisons: int
) -> tuple[float, float, float, str]:
    """Return a difference, its adjusted interval, and the verdict that the interval gives.

    ``BETTER`` or ``WORSE`` where the interval excludes 0; else ``NO_DIFFERENCE``, or ``UNDEFINED``
    where a value is missing. The interval reaches as far as the 95 % percentile interval and as one
    of the normal distribution, widened for so many comparisons: its ends lie farther out than
    resamples reach.

    Parameters
    ----------
    values : the difference on the sample (first entry) and on each resample
    comparisons : that are judged together (Bonferroni)
    """
    value, low, high = percentile_interval(values)
    if not np.isfinite([value, low, high]).all():
        return value, low, high, UNDEFINED
    reach = norm.isf(TAIL / comparisons) * np.nanstd(values[1:], ddof=1)
    low, high = min(low, value - reach), max(high, value + reach)
    if low <= 0 <= high:
        return value, low, high, NO_DIFFERENCE
    return value, low, high, BETTER if (value > 0) == more_is_better else WORSE

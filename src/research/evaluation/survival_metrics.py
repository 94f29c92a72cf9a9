"""Scores of predicted survival where not everybody's event was seen, with intervals and paired
differences over resamples of customers.

Whom sight was lost of early tells nothing of later days; those who were watched longer stand in for
them, by the inverse of the chance of being watched that long. That chance is taken to be the same
for everybody: censoring doesn't depend on features.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from research.errors import StudyError
from research.evaluation.bootstrap import draw_weights, find_interval, judge
from research.evaluation.concordance import count_rows, score_areas, score_concordance

Resampled = dict[str, dict[tuple[str, float], np.ndarray]]
SCORES = [
    "model",
    "family",
    "metric",
    "days",
    "value",
    "low",
    "high",
    "n",
    "reference",
    "difference",
    "difference_low",
    "difference_high",
    "verdict",
]
# what is compared between models, and whether more is better
GAINS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], bool]] = {
    "brier": (np.asarray, False),
    "integrated_brier": (np.asarray, False),
    "uno_c": (np.asarray, True),
    "harrell_c": (np.asarray, True),
    "dynamic_auc": (np.asarray, True),
    "calibration": (np.abs, False),
}


def score_models(
    train_outcome: np.ndarray,
    test_outcome: np.ndarray,
    curves: dict[str, np.ndarray],
    families: dict[str, str],
    reference: str,
    days: Sequence[float],
    customers: Sequence,
    resamples: int,
    seed: int,
    **options,
) -> pd.DataFrame:
    """Score every model, and compare it with a reference on the same resamples of customers;
    parameters as in ``resample_curves``.

    Parameters
    ----------
    families : of every model
    reference : the model that the others are compared with

    Returns
    -------
    DataFrame with columns model, family, metric, days, value, low, high, n, reference, difference,
    difference_low, difference_high, verdict
        ``days`` is empty for scores of the whole curve; ``n`` counts customers. A score that can't
        be computed, such as a concordance without events, is empty. Differences are the model's
        score minus the reference's, of calibration those of the distances from 0. ``verdict`` is
        better or worse only where an interval widened for the number of models excludes 0
        (Bonferroni), as in ``comparison.tabulate_differences``.

    Raises
    ------
    StudyError
        If the reference is not among the curves.
    """
    if reference not in curves:
        raise StudyError(
            f"expected a reference among {', '.join(curves)}, got '{reference}'; name one of them"
        )
    resampled = resample_curves(
        train_outcome, test_outcome, curves, days, customers, resamples, seed, **options
    )
    n = pd.Series(customers).nunique()
    rows = [
        (
            model,
            families[model],
            metric,
            day,
            *find_interval(values),
            n,
            *_compare(
                model, reference, metric, values, resampled[reference][metric, day], len(curves)
            ),
        )
        for model, scores in resampled.items()
        for (metric, day), values in scores.items()
    ]
    return pd.DataFrame(rows, columns=SCORES)


def _compare(
    model: str, reference: str, metric: str, values: np.ndarray, base: np.ndarray, models: int
) -> tuple:
    if model == reference:
        return "", np.nan, np.nan, np.nan, ""
    gain, more = GAINS[metric]
    gap = gain(values) - gain(base)
    return reference, *find_interval(gap), judge(gap, more, models - 1)


def resample_curves(
    train_outcome: np.ndarray,
    test_outcome: np.ndarray,
    curves: dict[str, np.ndarray],
    days: Sequence[float],
    customers: Sequence,
    resamples: int,
    seed: int,
    whole_days: bool = True,
) -> Resampled:
    """Return every score of every model on the sample (first entry) and on each resample of its
    customers.

    Parameters
    ----------
    train_outcome : structured array with fields event and days
        Rows that are lost from sight as the test rows are; only the distribution of censoring is
        taken from them, by Kaplan-Meier. Out of time, training rows may be watched for other
        lengths than test rows: from the day on which that begins to matter, hand over the test rows
        here too. The distribution stays the same in all resamples: the intervals are those of the
        test customers' luck alone.
    test_outcome : structured array (rows,)
    curves : by model, the predicted probability that the event has not come after so many days
        (rows, days)
    days : rising; the last one is where concordances are cut off and where their risk, one minus
        the survival, is taken
    customers : (rows,), drawn with replacement, a customer's rows together
    resamples : how many
    seed : the draws derive from it
    whole_days : whether a censored customer was watched to the end of its last day, as labels made
        from dates are
        Then it is known to have had no event by that day, and an event of that day was seen in
        spite of it. Else sight was lost within the day, and nothing is known of the customer at the
        day's end: the reading of scikit-survival.

    Returns
    -------
    dict by model of dicts by (score, day) of arrays of length ``1 + resamples``
        brier: squared distance at a day; integrated_brier: its mean over the days by trapezoids,
        only of two days or more; uno_c and harrell_c: concordance of events up to the last day, and
        of all events; dynamic_auc: the chance that who had the event by the day had a higher risk
        of it than who had not; calibration: mean predicted share with the event minus the one
        observed (Kaplan-Meier).

    Raises
    ------
    StudyError
        If days, curves and outcomes don't fit, or if nobody was watched to the last day.

    References
    ----------
    Graf, E. et al. (1999),
    doi:10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5: the Brier score.
    Uno, H. et al. (2011), doi:10.1002/sim.4154: C. Hung, H. and Chiang, C. T. (2010),
    doi:10.1002/cjs.10046: the dynamic AUC.
    """
    days = np.asarray(days, float)
    train, test = (
        _end_day(outcome) if whole_days else outcome for outcome in (train_outcome, test_outcome)
    )
    _require_fit(test, curves, days, customers)
    seen = weigh_censoring(train, test, days)
    until = np.nextafter(days[-1], np.inf) if whole_days else days[-1]
    pieces: dict[str, dict] = {model: {} for model in curves}
    for weights in draw_weights(customers, resamples, seed):
        observed = observe_share(test, days, weights)
        for model, curve in curves.items():
            for key, values in _score_curve(
                test, np.asarray(curve, float), days, until, seen, observed, weights
            ).items():
                pieces[model].setdefault(key, []).append(values)
    return {
        model: {key: np.concatenate(parts) for key, parts in scores.items()}
        for model, scores in pieces.items()
    }


def _end_day(outcome: np.ndarray) -> np.ndarray:
    """Move censoring behind the events of its day."""
    moved = outcome.copy()
    moved["days"] = np.where(
        outcome["event"], outcome["days"], np.nextafter(outcome["days"], np.inf)
    )
    return moved


def _require_fit(
    test: np.ndarray, curves: dict[str, np.ndarray], days: np.ndarray, customers: Sequence
) -> None:
    if not (len(days) and (np.diff(days) > 0).all() and days[0] >= 0):
        raise StudyError(
            "expected rising days of 0 or more, got"
            f" {', '.join(f'{day:g}' for day in days) or 'none'}; sort them"
        )
    if len(customers) != len(test):
        raise StudyError(
            f"expected a customer for each of {len(test)} outcomes, got {len(customers)}; take"
            " both from the same rows"
        )
    for model, curve in curves.items():
        if np.shape(curve) != (len(test), len(days)):
            raise StudyError(
                f"expected survival of {model} for {len(test)} rows and {len(days)} days, got"
                f" the shape {np.shape(curve)}; predict at these days"
            )
        if not ((np.asarray(curve) >= 0) & (np.asarray(curve) <= 1)).all():
            raise StudyError(
                f"expected survival of {model} between 0 and 1, got values outside or missing;"
                " predict probabilities"
            )


def weigh_censoring(
    train: np.ndarray, test: np.ndarray, days: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the inverse of the chance of not being censored by each test row's own day (rows,),
    and by each of ``days``.

    The chance is the Kaplan-Meier curve of censoring in the training rows, after events of the same
    day, which are no longer at risk of it. Rows beyond the last day weigh 0.

    Raises
    ------
    StudyError
        If that chance is 0 at the last day, or nobody was watched so long.
    """
    times = np.unique(train["days"])
    at_risk = len(train) - np.searchsorted(np.sort(train["days"]), times)
    ended, lost = (
        np.bincount(
            np.searchsorted(times, train["days"][train["event"] == kind]), minlength=len(times)
        )
        for kind in (True, False)
    )
    watched = np.r_[1.0, np.cumprod(1 - lost / np.maximum(at_risk - ended, 1))]
    if days[-1] > times[-1] or watched[np.searchsorted(times, days[-1], side="right")] <= 0:
        raise StudyError(
            f"expected training rows watched beyond day {days[-1]:g}, got none beyond day"
            f" {times[-1]:g}; use earlier days"
        )
    if days[-1] > test["days"].max():
        raise StudyError(
            f"expected test rows watched to day {days[-1]:g}, got none beyond day"
            f" {test['days'].max():g}; use earlier days"
        )
    inside = test["days"] <= days[-1]
    own = watched[np.searchsorted(times, np.where(inside, test["days"], 0), side="right")]
    return (
        np.divide(inside, own, out=np.zeros(len(test)), where=own > 0),
        1 / watched[np.searchsorted(times, days, side="right")],
    )


def observe_share(test: np.ndarray, days: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the share with the event by each day, one minus Kaplan-Meier (1958,
    doi:10.1080/01621459.1958.10501452): (resamples, days).
    """
    order = np.lexsort((~test["event"], test["days"]))
    times, first = np.unique(test["days"][order], return_index=True)
    drawn = weights[:, order]
    at_risk = np.cumsum(np.add.reduceat(drawn, first, axis=1)[:, ::-1], axis=1)[:, ::-1]
    ended = np.add.reduceat(drawn * test["event"][order], first, axis=1)
    left = np.cumprod(
        1 - np.divide(ended, at_risk, out=np.zeros_like(ended), where=at_risk > 0), axis=1
    )
    return (
        1
        - np.column_stack([np.ones(len(weights)), left])[
            :, np.searchsorted(times, days, side="right")
        ]
    )


def _score_curve(
    test: np.ndarray,
    curve: np.ndarray,
    days: np.ndarray,
    until: float,
    seen: tuple[np.ndarray, np.ndarray],
    observed: np.ndarray,
    weights: np.ndarray,
) -> dict:
    """Return the scores of one model by (score, day), each once for each row of ``weights``."""
    (gone, there), counts = _tell_apart(test, days), count_rows(weights)
    losses = gone * seen[0][:, None] * curve**2 + there * seen[1] * (1 - curve) ** 2
    brier = _mean(weights, losses)
    scores = {("brier", day): brier[:, place] for place, day in enumerate(days)}
    if len(days) > 1:
        scores["integrated_brier", np.nan] = np.trapezoid(brier, days, axis=1) / (
            days[-1] - days[0]
        )
    uno = np.where(test["days"] < until, seen[0] ** 2, 0)
    pairs = score_concordance(
        test, 1 - curve[:, -1], {"uno_c": uno, "harrell_c": np.ones(len(test))}, counts
    )
    scores |= {(name, np.nan): values for name, values in pairs.items()}
    for place, day in enumerate(days):
        scores["dynamic_auc", day] = score_areas(
            1 - curve[:, place], gone[:, place] * seen[0], there[:, place], counts
        )
    drift = _mean(weights, 1 - curve) - observed
    return scores | {("calibration", day): drift[:, place] for place, day in enumerate(days)}


def _tell_apart(test: np.ndarray, days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Say who is known to have had the event by each day, and who to have had none: two arrays
    (rows, days).
    """
    own = test["days"][:, None]
    return (own <= days) & test["event"][:, None], own > days


def _mean(weights: np.ndarray, terms: np.ndarray) -> np.ndarray:
    return weights @ terms / weights.sum(axis=1, keepdims=True)

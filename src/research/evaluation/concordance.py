"""Concordance: how often the customer with the higher risk leaves first, over all comparable pairs.

Computed in O(n log n) per resample. Of two customers it is known who outlived whom where the
shorter of the two durations ended with an event. Events of one day are not comparable; a censored
customer outlives the events of the day of censoring.
"""

import numpy as np

# risks that differ by less are tied: the same survival computed in another order of sums
RISK_DECIMALS = 9


def score_concordance(
    outcome: np.ndarray, risk: np.ndarray, gains: dict[str, np.ndarray], counts: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the share of comparable pairs in which the higher risk left first; ties count half.

    Parameters
    ----------
    outcome : structured array (rows,) with fields event and days
    risk : (rows,), higher for customers who are predicted to leave sooner
    gains : by name, what a pair counts by its first event (rows,), the same for events of one day:
        ones for Harrell's C, the squared inverse probability of censoring weight for Uno's
    counts : (rows, resamples), how often each row counts, see ``count_draws``

    Returns
    -------
    dict by name of arrays (resamples,), empty (nan) where no pair can be compared

    References
    ----------
    Harrell, F. E., Lee, K. L. and Mark, D. B. (1996),
    doi:10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4. Uno, H. et al. (2011),
    doi:10.1002/sim.4154, eq. 6.
    """
    risk = np.round(risk, RISK_DECIMALS)
    order = np.lexsort((risk, ~outcome["event"], outcome["days"]))
    sorted_outcome, sorted_risk = outcome[order], risk[order]
    new_moment = np.r_[True, sorted_outcome[1:] != sorted_outcome[:-1]]
    # rows of the same moment and risk are one row
    starts = np.flatnonzero(new_moment | np.r_[True, np.diff(sorted_risk) != 0])
    merged = (
        np.add.reduceat(counts[order], starts, axis=0)
        if len(starts) < len(order)
        else counts[order]
    )
    events = np.flatnonzero(sorted_outcome["event"][starts])
    below = sum_below(np.unique(sorted_risk[starts], return_inverse=True)[1], merged, events)
    outlived = _sum_later(np.cumsum(new_moment)[starts], merged)[events]
    won, compared = (np.multiply(merged[events], pairs, dtype=float) for pairs in (below, outlived))
    return {
        name: divide(gain[order][starts][events] @ won, gain[order][starts][events] @ compared)
        for name, gain in gains.items()
    }


def score_areas(
    risk: np.ndarray, cases: np.ndarray, controls: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Return the chance that a case has a higher risk than a control, ties counted half.

    Parameters
    ----------
    risk : (rows,)
    cases : (rows,), how much a row counts as a case, 0 for who is none
    controls : booleans (rows,)
    counts : (rows, resamples), how often each row counts, see ``count_draws``

    Returns
    -------
    array (resamples,), empty (nan) without cases or controls
    """
    risk, named = np.round(risk, RISK_DECIMALS), np.flatnonzero(cases)
    against = np.flatnonzero(controls)[np.argsort(risk[controls], kind="stable")]
    sums = _accumulate(counts[against])
    below = _read(
        sums, *(np.searchsorted(risk[against], risk[named], side) for side in ("left", "right"))
    )
    won = cases[named] @ np.multiply(counts[named], below, dtype=float)
    return divide(won, cases[named] @ counts[named].astype(float) * sums[-1])


def count_draws(weights: np.ndarray) -> np.ndarray:
    """Return weights (resamples, rows) as counts (rows, resamples) in single precision.

    That is exact for sums of whole numbers to 16 million.
    """
    return np.ascontiguousarray(weights.T, dtype=np.float32)


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return a ratio, empty (nan) where there is nothing to divide by."""
    return np.divide(
        numerator, denominator, out=np.full(len(numerator), np.nan), where=denominator > 0
    )


def _accumulate(counts: np.ndarray) -> np.ndarray:
    """Return the sums of the first 0, 1, 2, ... rows."""
    sums = np.zeros((len(counts) + 1, counts.shape[1]), counts.dtype)
    np.cumsum(counts, axis=0, out=sums[1:])
    return sums


def _read(sums: np.ndarray, lower: np.ndarray, upto: np.ndarray) -> np.ndarray:
    """Return the mean of the sums at both ends of a run of ties."""
    found, tied = sums[lower], np.flatnonzero(upto > lower)
    found[tied] += (sums[upto[tied]] - found[tied]) / 2
    return found


def _sum_later(moment: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return for each row the count of all rows of later moments; rows are in the order of time."""
    sums = _accumulate(counts)
    return sums[-1] - sums[np.searchsorted(moment, moment, side="right")]


def sum_below(rank: np.ndarray, counts: np.ndarray, asking: np.ndarray) -> np.ndarray:
    """Return for some rows the count of all later rows of lower rank; equal ranks count half.

    Rows are halved again and again, as in sorting by merging: two rows lie in different halves of
    one block exactly once, and there the sums over the sorted second half answer all rows of the
    first.

    Parameters
    ----------
    rank : integers (rows,)
    counts : (rows, resamples)
    asking : places of the rows to answer

    Returns
    -------
    array (len(asking), resamples)
    """
    found = np.zeros((len(asking), counts.shape[1]), counts.dtype)
    places, ranks = np.arange(len(rank)), rank.max() + 1
    for level in range((len(rank) - 1).bit_length()):
        block = (places >> level + 1) * ranks
        second = np.flatnonzero(places >> level & 1)
        second = second[np.argsort((block + rank)[second], kind="stable")]
        keys, sums = (block + rank)[second], _accumulate(counts[second])
        rows = np.flatnonzero(~(asking >> level) & 1)
        first = asking[rows]
        lower, upto = (
            np.searchsorted(keys, (block + rank)[first], side) for side in ("left", "right")
        )
        found[rows] += _read(sums, lower, upto) - sums[np.searchsorted(keys, block[first])]
    return found

"""Which kinds of reasons announce that customers leave, and which only confirm it.

A theme is a signal of a customer on a day where it lifts the odds of churn by half or more above
those of customers who stay.
"""

import numpy as np
import pandas as pd

from research.evaluation.bootstrap import percentile_interval
from research.evaluation.intervals import wilson_interval
from research.watchlist.backtest import divide, resample_sums
from research.watchlist.reasons import Moves

LEAST_LIFT = np.log(1.5)  # log-odds of a theme
LEADS, CONFIRMS, OPEN = "leads", "confirms", "inconclusive"
LEAST_LEAVERS = 10  # with a signal, below which nothing is said of it
SIGNALS = [
    "theme",
    "present_share",
    "lift",
    "lift_low",
    "lift_high",
    "leavers",
    "covered_share",
    "median_days",
    "early_share",
    "early_low",
    "early_high",
    "kind",
]


def mark_signals(moves: Moves, themes: pd.Series) -> pd.DataFrame:
    """Return which themes are a signal of which customer: (customers, themes), booleans.

    Parameters
    ----------
    themes : of each feature, see ``reasons.find_themes``
    """
    names, sums = moves.sum_groups(themes)
    return pd.DataFrame(sums >= LEAST_LIFT, columns=names)


def register_signals(
    rows: pd.DataFrame,
    present: pd.DataFrame,
    left_at: pd.Series,
    lead_days: int,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return what each theme has been worth as a warning.

    Parameters
    ----------
    rows : one row per snapshot and customer, with snapshot, customer_id and left (in the label
        window)
    present : of the same rows, see ``mark_signals``
    left_at : day of leaving, by customer_id
    lead_days : that a team needs to act

    Returns
    -------
    DataFrame with columns theme, present_share, lift, lift_low, lift_high, leavers, covered_share,
    median_days, early_share, early_low, early_high, kind
        ``lift``: churn of rows with the signal over that of all, with a 95 % interval by bootstrap
        of customers. ``covered_share``: of the customers who left, those with the signal before;
        ``median_days`` from its first day to leaving; ``early_share``: of those, with at least
        ``lead_days``, with its 95 % interval (Wilson). ``kind``: ``leads`` where this is shown to
        be more than half, ``confirms`` where less, else inconclusive.
    """
    left = rows.left.to_numpy(float)
    parts = {"left": left, "rows": np.ones(len(rows))}
    for theme, flags in present.items():
        marked = flags.to_numpy(float)
        parts |= {(theme, "rows"): marked, (theme, "left"): marked * left}
    sums = resample_sums(rows.customer_id, parts, resamples, seed)
    lines = [
        (
            theme,
            float(flags.mean()),
            *percentile_interval(_lift(sums, theme)),
            *_time(rows[flags.to_numpy()], rows, left_at, lead_days),
        )
        for theme, flags in present.items()
    ]
    table = pd.DataFrame(lines, columns=SIGNALS)
    return table.sort_values("lift", ascending=False, kind="stable", ignore_index=True)


def _lift(sums: dict, theme: str) -> np.ndarray:
    rate = divide(sums[theme, "left"], sums[theme, "rows"])
    return divide(rate, divide(sums["left"], sums["rows"]))


def _time(
    flagged: pd.DataFrame, rows: pd.DataFrame, left_at: pd.Series, lead_days: int
) -> tuple[int, float, float, float, float, float, str]:
    """Return how many left with the signal before, how long before, and what kind it is."""
    leavers = rows.groupby("customer_id").snapshot.min().to_frame("seen")
    leavers["left_at"] = left_at.reindex(leavers.index)
    leavers = leavers[leavers.left_at.notna() & (leavers.seen < leavers.left_at)]
    days = flagged.assign(left_at=left_at.reindex(flagged.customer_id).to_numpy())
    first = days[days.snapshot < days.left_at].groupby("customer_id").snapshot.min()
    ahead = (leavers.left_at - first.reindex(leavers.index)).dropna().dt.days
    count, total = len(ahead), len(leavers)
    if count < LEAST_LEAVERS:
        return count, count / total if total else np.nan, *[np.nan] * 4, OPEN
    early = float((ahead >= max(lead_days, 1)).mean())
    low, high = wilson_interval(early, count)
    kind = LEADS if low > 0.5 else CONFIRMS if high < 0.5 else OPEN
    return count, count / total, float(ahead.median()), early, float(low), float(high), kind

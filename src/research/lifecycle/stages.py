"""Customers in each stage of their life, moves between stages, and time in a stage.

``research.features.stage`` assigns the stages; here they are counted.
"""

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from lifelines import KaplanMeierFitter
from lifelines.utils import median_survival_times

from research.evaluation.intervals import SUMS, estimate_ratio
from research.panel.periods import Span, add_span
from research.panel.windows import join
from research.study_schema import STAGES

NEW = "not yet a customer"
TRANSITION_COLUMNS = ["origin", "stage", "customers", "moves", "share", "low", "high"]
TIME_COLUMNS = ["stage", "stays", "finished", "median_days", "low_days", "high_days"]
TIME_COLUMNS += ["longest_days"]


def count_stages(stages: ir.Table) -> pd.DataFrame:
    """Count the customers in each stage at each snapshot.

    Returns
    -------
    DataFrame with columns snapshot, stage, customers, share, low, high
        One row per snapshot and stage, 0 where nobody is in it. ``share`` is of those who are
        customers at the snapshot, with its 95 % interval (Wilson), and empty for who is gone.
    """
    keys = ["snapshot", "stage"]
    sizes = stages.group_by(keys).agg(customers=stages.count()).to_pandas()
    grid = pd.MultiIndex.from_product([sorted(sizes.snapshot.unique()), STAGES], names=keys)
    table = sizes.set_index(keys).customers.reindex(grid, fill_value=0).reset_index()
    present = table.customers.where(table.stage != "gone")
    active = present.groupby(table.snapshot).transform("sum")
    sums = pd.DataFrame(
        {"n": active, "x": active, "y": present, "xx": active, "xy": present, "yy": present}
    )
    shares = estimate_ratio(sums, share=True).rename(columns={"value": "share"})
    return table.join(shares[["share", "low", "high"]])


def _pair_snapshots(stages: ir.Table) -> ir.Table:
    """Return each customer's stage at two consecutive snapshots: ``origin`` and ``stage``.

    Who joined in between comes from ``NEW``.
    """
    days = stages.select("snapshot").distinct()
    days = days.mutate(following=days.snapshot.lead().over(ibis.window(order_by="snapshot")))
    earlier = stages.join(days, "snapshot").select(
        "customer_id", snapshot="following", origin="stage"
    )
    first = stages.agg(first=stages.snapshot.min())
    pairs = join(stages, earlier).cross_join(first)
    return (
        pairs.filter(pairs.snapshot > pairs["first"])
        .mutate(origin=pairs.origin.fill_null(NEW))
        .drop("first")
    )


def count_transitions(stages: ir.Table) -> pd.DataFrame:
    """Count the moves between stages from each snapshot to the next, over all of them.

    Parameters
    ----------
    stages : table, see ``features.stage.assign_stages``

    Returns
    -------
    DataFrame with columns origin, stage, customers, moves, share, low, high
        One row per pair of stages that occurs. ``share`` is of all moves out of ``origin``, staying
        included, with its 95 % interval, which counts customers and not moves; it is empty where
        the rule puts all new customers into one stage, so that nothing is estimated. ``customers``
        is how many different ones were observed in ``origin``.
    """
    sums = _sum_moves(_pair_snapshots(stages))
    table = sums.join(estimate_ratio(sums[list(SUMS)], share=True))
    table = table.assign(
        customers=table.n.astype("int64"), moves=table.y.astype("int64"), share=table.value
    )
    only = table.origin.map(table.origin.value_counts()) == 1
    table.loc[only & (table.origin == NEW), ["low", "high"]] = np.nan
    rank = {name: i for i, name in enumerate((NEW, *STAGES))}
    ranks = table[["origin", "stage"]].apply(lambda names: names.map(rank))
    order = ranks.sort_values(["origin", "stage"]).index
    return table.loc[order, TRANSITION_COLUMNS].reset_index(drop=True)


def _sum_moves(pairs: ir.Table) -> pd.DataFrame:
    """Return the sums of ``estimate_ratio`` over customers, per pair of stages."""
    keys = ["customer_id", "origin"]
    per_pair = pairs.group_by([*keys, "stage"]).agg(y=pairs.count().cast("float64"))
    per_origin = per_pair.group_by(keys).agg(x=per_pair.y.sum())
    totals = (
        per_origin.group_by("origin")
        .agg(n=per_origin.count(), x=per_origin.x.sum(), xx=(per_origin.x * per_origin.x).sum())
        .to_pandas()
    )
    both = per_pair.join(per_origin, keys)
    moves = (
        both.group_by(["origin", "stage"])
        .agg(y=both.y.sum(), yy=(both.y * both.y).sum(), xy=(both.x * both.y).sum())
        .to_pandas()
    )
    return moves.merge(totals, on="origin")


def compute_time_in_stage(stages: ir.Table, step: Span) -> pd.DataFrame:
    """Return how long customers stay in a stage, by Kaplan-Meier.

    Stays that begin within the snapshots count; those that still last are censored.

    Parameters
    ----------
    step : how far apart the snapshots are, see ``periods.find_step``

    Returns
    -------
    DataFrame with columns stage, stays, finished, median_days, low_days, high_days, longest_days
        Time in a stage is known to a step: it lasts from the first snapshot at which it was
        observed to a step after the last one. The median (Kaplan and Meier 1958,
        doi:10.1080/01621459.1958.10501452) is empty where fewer than half of the stays have ended;
        low and high bound its 95 % interval (Greenwood, log-log), which takes stays as independent,
        and are empty where the band doesn't cross one half.
    """
    counts = _count_stays(stages, step).to_pandas()
    rows = [
        (stage, *_summarise_stays(rows))
        for stage in STAGES
        if len(rows := counts[counts.stage == stage])
    ]
    return pd.DataFrame(rows, columns=TIME_COLUMNS)


def _count_stays(stages: ir.Table, step: Span) -> ir.Table:
    """Return stage, days, finished and the number of such stays.

    Stays that were under way at the first snapshot are left out.
    """
    own = ibis.window(group_by="customer_id", order_by="snapshot")
    until = ibis.window(group_by="customer_id", order_by="snapshot", preceding=None, following=0)
    bounds = stages.agg(first=stages.snapshot.min(), last=stages.snapshot.max())
    entered = (stages.stage != stages.stage.lag().over(own)).fill_null(True)
    runs = stages.mutate(entered=entered.ifelse(1, 0))
    runs = runs.mutate(run=runs.entered.sum().over(until))
    stays = (
        runs.group_by(["customer_id", "run", "stage"])
        .agg(opened=runs.snapshot.min(), closed=runs.snapshot.max())
        .cross_join(bounds)
    )
    stays = stays.filter(stays.opened > stays["first"])
    stays = stays.mutate(
        days=add_span(stays.closed, step).delta(stays.opened, unit="day"),
        finished=stays.closed < stays["last"],
    )
    return stays.group_by(["stage", "days", "finished"]).agg(stays=stays.count())


def _summarise_stays(counts: pd.DataFrame) -> tuple:
    fitter = KaplanMeierFitter().fit(counts.days, counts.finished, weights=counts.stays)
    bounds = median_survival_times(fitter.confidence_interval_)
    estimates = [float(fitter.median_survival_time_), *map(float, bounds.to_numpy().ravel())]
    median_and_bounds = [value if np.isfinite(value) else np.nan for value in estimates]
    finished = int(counts.stays[counts.finished].sum())
    return int(counts.stays.sum()), finished, *median_and_bounds, int(counts.days.max())

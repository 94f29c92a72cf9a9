"""How many customers are in each stage of ``research.lifecycle``, how they move between stages, and
how long they stay.
"""

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from lifelines import KaplanMeierFitter
from lifelines.utils import median_survival_times

from research.evaluation.intervals import SUMS, estimate_ratio
from research.panel.windows import join
from research.study_schema import STAGES

NEW = "not yet a customer"


def count_stages(stages: ir.Table) -> pd.DataFrame:
    """Count the customers in each stage at each snapshot.

    Returns
    -------
    DataFrame with columns snapshot, stage, customers, share, low, high
        One row per snapshot and stage, 0 where nobody is in it. ``share`` is of those who are
        customers at the snapshot, with its 95 % interval (Wilson), and empty for who is gone.
    """
    found = stages.group_by(["snapshot", "stage"]).agg(customers=stages.count()).to_pandas()
    grid = pd.MultiIndex.from_product(
        [sorted(found.snapshot.unique()), STAGES], names=["snapshot", "stage"]
    )
    table = (
        found.set_index(["snapshot", "stage"]).customers.reindex(grid, fill_value=0).reset_index()
    )
    present = table.customers.where(table.stage != "gone")
    active = present.groupby(table.snapshot).transform("sum")
    sums = pd.DataFrame(
        {"n": active, "x": active, "y": present, "xx": active, "xy": present, "yy": present}
    )
    return table.join(
        estimate_ratio(sums, share=True).rename(columns={"value": "share"})[
            ["share", "low", "high"]
        ]
    )


def _pair_snapshots(stages: ir.Table, every_days: int) -> ir.Table:
    """Return each customer's stage at two consecutive snapshots: ``origin`` and ``stage``; who
    joined in between comes from ``NEW``.
    """
    earlier = stages.select(
        snapshot=stages.snapshot + ibis.interval(days=every_days),
        customer_id="customer_id",
        origin="stage",
    )
    first = stages.agg(first=stages.snapshot.min())
    pairs = join(stages, earlier).cross_join(first)
    return (
        pairs.filter(pairs.snapshot > pairs["first"])
        .mutate(origin=pairs.origin.fill_null(NEW))
        .drop("first")
    )


def count_transitions(stages: ir.Table, every_days: int) -> pd.DataFrame:
    """Count the moves between stages from each snapshot to the next, over all of them.

    Parameters
    ----------
    stages : table, see ``lifecycle.assign_stages``, at snapshots ``every_days`` apart

    Returns
    -------
    DataFrame with columns origin, stage, customers, moves, share, low, high
        One row per pair of stages that occurs. ``share`` is of all moves out of ``origin``, staying
        included, with its 95 % interval, which counts customers and not moves; ``customers`` is how
        many different ones were seen in ``origin``.
    """
    pairs = _pair_snapshots(stages, every_days)
    per_pair = pairs.group_by(["customer_id", "origin", "stage"]).agg(
        y=pairs.count().cast("float64")
    )
    per_origin = per_pair.group_by(["customer_id", "origin"]).agg(x=per_pair.y.sum())
    totals = (
        per_origin.group_by("origin")
        .agg(n=per_origin.count(), x=per_origin.x.sum(), xx=(per_origin.x * per_origin.x).sum())
        .to_pandas()
    )
    both = per_pair.join(per_origin, ["customer_id", "origin"])
    moves = (
        both.group_by(["origin", "stage"])
        .agg(y=both.y.sum(), yy=(both.y * both.y).sum(), xy=(both.x * both.y).sum())
        .to_pandas()
    )
    sums = moves.merge(totals, on="origin")
    table = sums.join(estimate_ratio(sums[list(SUMS)], share=True))
    table = table.assign(
        customers=table.n.astype("int64"), moves=table.y.astype("int64"), share=table.value
    )
    rank = table[["origin", "stage"]].apply(
        lambda names: names.map({name: i for i, name in enumerate((NEW, *STAGES))})
    )
    order = rank.sort_values(["origin", "stage"]).index
    return table.loc[
        order, ["origin", "stage", "customers", "moves", "share", "low", "high"]
    ].reset_index(drop=True)


def measure_stays(stages: ir.Table, every_days: int) -> pd.DataFrame:
    """Return how long customers stay in a stage: Kaplan-Meier on stays that begin within the
    snapshots, those that still last censored.

    Returns
    -------
    DataFrame with columns stage, stays, finished, median_days, low_days, high_days, longest_days
        A stay is known to ``every_days``: it counts the snapshots at which it was seen. The median
        (Kaplan and Meier 1958, doi:10.1080/01621459.1958.10501452) is empty where fewer than half
        of the stays have ended; low and high bound its 95 % interval (Greenwood, log-log), which
        takes stays as independent, and are empty where the band doesn't cross one half.
    """
    counts = _count_stays(stages, every_days).to_pandas()
    rows = [
        (stage, *_summarise_stays(rows))
        for stage in STAGES
        if len(rows := counts[counts.stage == stage])
    ]
    return pd.DataFrame(
        rows,
        columns=[
            "stage",
            "stays",
            "finished",
            "median_days",
            "low_days",
            "high_days",
            "longest_days",
        ],
    )


def _count_stays(stages: ir.Table, every_days: int) -> ir.Table:
    """Return stage, days, finished and the number of such stays, without those that were under way
    at the first snapshot.
    """
    own = ibis.window(group_by="customer_id", order_by="snapshot")
    bounds = stages.agg(first=stages.snapshot.min(), last=stages.snapshot.max())
    runs = stages.mutate(
        opens=(stages.stage != stages.stage.lag().over(own)).fill_null(True).ifelse(1, 0)
    )
    runs = runs.mutate(
        run=runs.opens.sum().over(
            ibis.window(group_by="customer_id", order_by="snapshot", preceding=None, following=0)
        )
    )
    stays = (
        runs.group_by(["customer_id", "run", "stage"])
        .agg(opened=runs.snapshot.min(), closed=runs.snapshot.max())
        .cross_join(bounds)
    )
    stays = stays.filter(stays.opened > stays["first"])
    stays = stays.mutate(
        days=stays.closed.delta(stays.opened, unit="day") + every_days,
        finished=stays.closed < stays["last"],
    )
    return stays.group_by(["stage", "days", "finished"]).agg(stays=stays.count())


def _summarise_stays(counts: pd.DataFrame) -> tuple:
    fitter = KaplanMeierFitter().fit(counts.days, counts.finished, weights=counts.stays)
    bounds = median_survival_times(fitter.confidence_interval_)
    spread = [float(fitter.median_survival_time_), *map(float, bounds.to_numpy().ravel())]
    median, low, high = (value if np.isfinite(value) else np.nan for value in spread)
    return (
        int(counts.stays.sum()),
        int(counts.stays[counts.finished].sum()),
        median,
        low,
        high,
        int(counts.days.max()),
    )

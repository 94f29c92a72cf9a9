"""Reasons for leaving, as recorded when cover by contracts ended."""

import ibis
import pandas as pd

from research.data.contracts import Tables
from research.evaluation.intervals import wilson
from research.lifecycle.coverage import observe
from research.panel.periods import YEAR_DAYS
from research.panel.spells import find_leavers
from research.study import Study

MOST_REASONS = 20
OTHER, UNRECORDED = "other reasons", "not recorded"
COLUMNS = [
    "snapshot",
    "window_days",
    "reason",
    "voluntary",
    "leavers",
    "all_leavers",
    "share",
    "low",
    "high",
]


def tabulate_reasons(evidence: Tables, study: Study) -> pd.DataFrame:
    """Return the reasons recorded for leaving, at each snapshot over its window, and over the last
    year at the last snapshot.

    Parameters
    ----------
    evidence : see ``snapshots.cut_evidence``

    Returns
    -------
    DataFrame with columns snapshot, window_days, reason, voluntary, leavers, all_leavers, share,
    low, high
        One row per snapshot, window and reason, "not recorded" included; ``leavers`` counts spells
        of cover that ended in the window. ``voluntary`` is yes, no, both or empty, as the table
        says; ``low`` and ``high`` are Wilson's 95 % interval. At each snapshot the reasons beyond
        the 20 most frequent are put together. Windows that begin before observation did are left
        out; empty for studies that record no reasons.
    """
    if study.kind != "contractual" or not {"ended_at", "end_reason"} <= {
        *evidence["contracts"].columns
    }:
        return pd.DataFrame(columns=COLUMNS)
    first = observe(evidence, study).first_spells
    counts = [
        _count_reasons(evidence, study, study.snapshots.every_days),
        _count_reasons(evidence, study, YEAR_DAYS),
    ]
    counts[1] = counts[1][counts[1].snapshot == first.index.max()]
    table = pd.concat(counts, ignore_index=True)
    table = table[
        table.snapshot - pd.to_timedelta(table.window_days, unit="D") >= table.snapshot.map(first)
    ]
    table["all_leavers"] = table.groupby(["snapshot", "window_days"]).leavers.transform("sum")
    table["share"] = table.leavers / table.all_leavers
    table["low"], table["high"] = wilson(table.share, table.all_leavers)
    order = ["snapshot", "window_days", "leavers", "reason"]
    return table.sort_values(order, ascending=[True, True, False, True], ignore_index=True)[COLUMNS]


def _count_reasons(evidence: Tables, study: Study, days: int) -> pd.DataFrame:
    """Return snapshot, window_days, reason, voluntary and leavers, the most frequent reasons of
    each snapshot by name.
    """
    found = find_leavers(evidence, study, days).semi_join(
        evidence["customers"], ["snapshot", "customer_id"]
    )
    yes, no = (found.count(where=found.voluntary == flag) for flag in (True, False))
    counts = found.group_by(["snapshot", "reason"]).agg(leavers=found.count(), yes=yes, no=no)
    ranks = ibis.window(
        group_by=["snapshot", counts.reason.isnull()], order_by=[ibis.desc("leavers"), "reason"]
    )
    counts = counts.mutate(place=ibis.row_number().over(ranks))
    named = (counts.place < MOST_REASONS).ifelse(counts.reason, OTHER)
    counts = counts.mutate(reason=counts.reason.isnull().ifelse(UNRECORDED, named))
    table = (
        counts.group_by(["snapshot", "reason"])
        .agg(**{name: counts[name].sum() for name in ("leavers", "yes", "no")})
        .to_pandas()
    )
    words = {(True, True): "both", (True, False): "yes", (False, True): "no", (False, False): ""}
    table["voluntary"] = [
        words[yes > 0, no > 0] for yes, no in zip(table.yes, table.no, strict=True)
    ]
    return table.assign(window_days=days)

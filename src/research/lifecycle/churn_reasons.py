"""Reasons for leaving, as recorded with the end of a contract."""

import ibis
import pandas as pd

from research.data.contracts import Tables
from research.evaluation.intervals import wilson_interval
from research.lifecycle.coverage import compute_coverage, open_windows
from research.panel.periods import YEAR_DAYS, Span, find_step
from research.panel.spells import find_leavers
from research.study import Study

MOST_REASONS = 20
OTHER, UNRECORDED = "other reasons", "not recorded"
REASON_COLUMNS = ["snapshot", "window_days", "reason", "voluntary", "leavers", "all_leavers"]
REASON_COLUMNS += ["share", "low", "high"]
VOLUNTARY = {(True, True): "both", (True, False): "yes", (False, True): "no", (False, False): ""}


def tabulate_reasons(evidence: Tables, study: Study) -> pd.DataFrame:
    """Return the reasons recorded for leaving, in the window of each snapshot and in the last year.

    The last year is that before the last snapshot.

    Parameters
    ----------
    evidence : see ``evidence.evidence_as_of``

    Returns
    -------
    DataFrame with columns snapshot, window_days, reason, voluntary, leavers, all_leavers, share,
    low, high
        One row per snapshot, window and reason, "not recorded" included; ``window_days`` of a
        month are those of the calendar. ``leavers`` counts spells that ended in the window.
        ``voluntary`` is yes, no, both or empty, as recorded; ``low`` and ``high`` are Wilson's 95 %
        interval. At each snapshot the reasons beyond the 20 most frequent are one row. Windows that
        begin before observation did are left out; no rows for studies that record no reasons.
    """
    recorded = {*evidence["contracts"].columns} if study.kind == "contractual" else set()
    if not {"ended_at", "end_reason"} <= recorded:
        return pd.DataFrame(columns=REASON_COLUMNS)
    first = compute_coverage(evidence, study).first_spells
    per_window = _count_reasons(evidence, study, find_step(study))
    per_year = _count_reasons(evidence, study, YEAR_DAYS)
    last_year = per_year[per_year.snapshot == first.index.max()]
    table = pd.concat([per_window, last_year], ignore_index=True)
    begin = table.snapshot - pd.to_timedelta(table.window_days, unit="D")
    table = table[begin >= table.snapshot.map(first)]
    table["all_leavers"] = table.groupby(["snapshot", "window_days"]).leavers.transform("sum")
    table["share"] = table.leavers / table.all_leavers
    table["low"], table["high"] = wilson_interval(table.share, table.all_leavers)
    order = ["snapshot", "window_days", "leavers", "reason"]
    table = table.sort_values(order, ascending=[True, True, False, True], ignore_index=True)
    return table[REASON_COLUMNS]


def _count_reasons(evidence: Tables, study: Study, span: Span) -> pd.DataFrame:
    """Return snapshot, window_days, reason, voluntary and leavers.

    The most frequent reasons of each snapshot by name, the others as one.
    """
    leavers = find_leavers(evidence, study, span)
    leavers = leavers.semi_join(evidence["customers"], ["snapshot", "customer_id"])
    yes, no = (leavers.count(where=leavers.voluntary == flag) for flag in (True, False))
    counts = leavers.group_by(["snapshot", "reason"]).agg(leavers=leavers.count(), yes=yes, no=no)
    by_frequency = ibis.window(
        group_by=["snapshot", counts.reason.isnull()], order_by=[ibis.desc("leavers"), "reason"]
    )
    counts = counts.mutate(rank=ibis.row_number().over(by_frequency))
    named = (counts["rank"] < MOST_REASONS).ifelse(counts.reason, OTHER)
    counts = counts.mutate(reason=counts.reason.isnull().ifelse(UNRECORDED, named))
    table = (
        counts.group_by(["snapshot", "reason"])
        .agg(**{name: counts[name].sum() for name in ("leavers", "yes", "no")})
        .to_pandas()
    )
    table["voluntary"] = [
        VOLUNTARY[yes > 0, no > 0] for yes, no in zip(table.yes, table.no, strict=True)
    ]
    opens = open_windows(pd.DatetimeIndex(table.snapshot), span)
    return table.assign(window_days=(table.snapshot - opens).dt.days)


def select_last_year(reasons: pd.DataFrame) -> pd.DataFrame:
    """Return the reasons of the last year at the last snapshot: reason, leavers, share, interval.

    Parameters
    ----------
    reasons : see ``tabulate_reasons``
    """
    rows = reasons[reasons.window_days == YEAR_DAYS]
    return rows.drop(columns=["snapshot", "window_days", "all_leavers"])

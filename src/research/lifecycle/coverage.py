"""Since when and until when each source was recorded.

So that missing records are not taken for inactive customers.
"""

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from research.data.contracts import CONTRACTS, Tables
from research.lifecycle.indicator_definitions import DEFINITIONS
from research.lifecycle.indicator_terms import is_csat, is_nps
from research.panel.periods import Span, find_opening, name_spans, write_span
from research.panel.spells import is_purchase
from research.study import Study

SOURCE_NAMES = {  # what an indicator looks into, in words
    "spells": "customers",
    "revenue": "revenue",
    "orders": "purchases",
    "csat": "answers of kind csat",
    "nps": "answers of kind nps",
    "complaints": "contacts that say whether they are complaints",
    "contacts": "contacts",
    "referrals": "referrals",
}
# sources without a row where nobody records them any more; contracts go on without new rows
CAN_BE_STALE = {"orders", "csat", "nps", "complaints", "contacts", "referrals"}


def compute_coverage(evidence: Tables, study: Study) -> pd.DataFrame:
    """Return since when and until when each source is recorded, as known at each snapshot.

    Who is a non-contractual customer is known only once ``inactive_days`` have been observed;
    before ``data_start`` nothing counts as observed.

    Returns
    -------
    DataFrame with columns first_<source> and last_<source>, by snapshot
        Empty where the source has no row by then.
    """
    snapshots = evidence["customers"].select("snapshot").distinct().order_by("snapshot")
    coverage = snapshots.to_pandas().set_index("snapshot")
    for name, events in _list_sources(evidence, study).items():
        day = events[CONTRACTS[_table_of(name, study)].dated].truncate("D")
        days = events.group_by("snapshot").agg(first=day.min(), last=day.max()).to_pandas()
        days = days.set_index("snapshot").reindex(coverage.index)
        coverage[[f"first_{name}", f"last_{name}"]] = days
    if study.data_start:
        coverage = _begin_at(coverage, pd.Timestamp(study.data_start))
    coverage["first_spend"] = coverage["first_revenue"] = coverage["first_spells"]
    if study.kind == "non_contractual":
        coverage["first_spells"] += pd.Timedelta(days=study.churn.inactive_days - 1)
    return coverage


def _begin_at(coverage: pd.DataFrame, begin: pd.Timestamp) -> pd.DataFrame:
    """Return the coverage with nothing before a day; of spells, all since exactly that day."""
    for column in (column for column in coverage if column.startswith("first_")):
        first = coverage[column]
        moved = first.notna() & ((first < begin) | (column == "first_spells"))
        coverage[column] = first.mask(moved, begin)
    return coverage


def _table_of(source: str, study: Study) -> str:
    tables = {
        "spells": "contracts" if study.kind == "contractual" else "orders",
        "csat": "feedback",
        "nps": "feedback",
        "complaints": "contacts",
    }
    return tables.get(source, source)


def _list_sources(evidence: Tables, study: Study) -> dict[str, ir.Table]:
    sources = (
        {"spells": evidence["contracts"]}
        if study.kind == "contractual"
        else {"spells": evidence["orders"].filter(is_purchase(evidence["orders"]))}
    )
    if "orders" in evidence:
        sources["orders"] = evidence["orders"].filter(is_purchase(evidence["orders"]))
    if "feedback" in evidence:
        feedback = evidence["feedback"]
        sources["csat"] = feedback.filter(is_csat(feedback))
        sources["nps"] = feedback.filter(is_nps(feedback))
    if "contacts" in evidence:
        contacts = evidence["contacts"]
        sources["contacts"] = contacts
        if "complaint" in contacts.columns:
            sources["complaints"] = contacts.filter(contacts.complaint.notnull())
    return sources | ({"referrals": evidence["referrals"]} if "referrals" in evidence else {})


def open_windows(snapshots: pd.DatetimeIndex, span: Span) -> pd.DatetimeIndex:
    """Return the day a span before each snapshot."""
    return pd.DatetimeIndex([find_opening(day.date(), span) for day in snapshots])


def explain_unobserved(name: str, coverage: pd.DataFrame, study: Study) -> pd.Series:
    """Return why an indicator can't be known at each snapshot; empty where it can."""
    spans, reasons = name_spans(study), pd.Series("", index=coverage.index)
    for source, span in DEFINITIONS[name].lookback:
        missing = _explain_source(source, spans.get(span, span), coverage, study)
        reasons = reasons.where(reasons != "", pd.Series(missing, index=reasons.index))
    return reasons


def _explain_source(source: str, days: Span, coverage: pd.DataFrame, study: Study) -> np.ndarray:
    """Return why a source is not observed over the days before each snapshot; empty where it is."""
    rows, first, snapshots = SOURCE_NAMES[source], coverage[f"first_{source}"], coverage.index
    since = first.dt.strftime("%Y-%m-%d").fillna("")
    short = f"needs {rows} observed for {write_span(days)}; they are since " + since
    late = first > open_windows(snapshots, days)
    stale, stopped = pd.Series(False, index=snapshots), ""
    if source in CAN_BE_STALE:
        last = coverage[f"last_{source}"]
        stale = last < open_windows(snapshots, name_spans(study)["window"])
        stopped = f"stale: no {rows} recorded since " + last.dt.strftime("%Y-%m-%d").fillna("")
    never = f"no {rows} recorded by then"
    return np.select([first.isna(), late, stale], [never, short, stopped], "")

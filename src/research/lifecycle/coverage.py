"""Observation: since when and until when the tables tell of what happened, so that silence of the
data isn't taken for silence of the customers.
"""

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from research.data.contracts import CONTRACTS, Tables
from research.lifecycle.indicator_definitions import DEFINITIONS
from research.lifecycle.indicator_terms import is_csat, is_nps
from research.panel.periods import name_spans
from research.panel.spells import is_purchase
from research.study import Study

SOURCES = {  # what an indicator looks into, in words
    "spells": "customers",
    "revenue": "revenue",
    "orders": "purchases",
    "csat": "answers of kind csat",
    "nps": "answers of kind nps",
    "complaints": "contacts that say whether they are complaints",
    "contacts": "contacts",
    "referrals": "referrals",
}
FRESH = {
    "orders",
    "csat",
    "nps",
    "complaints",
    "contacts",
    "referrals",
}  # falls silent when nobody records it any more


def observe(evidence: Tables, study: Study) -> pd.DataFrame:
    """Return since when and until when each source tells of what happened, as known at each
    snapshot.

    Who is a non-contractual customer can be said only once ``inactive_days`` have been seen; before
    ``data_start`` nothing counts as observed.

    Returns
    -------
    DataFrame with columns first_<source> and last_<source>, by snapshot
        Empty where the source holds no row by then.
    """
    found = (
        evidence["customers"]
        .select("snapshot")
        .distinct()
        .order_by("snapshot")
        .to_pandas()
        .set_index("snapshot")
    )
    for name, events in _list_sources(evidence, study).items():
        day = events[CONTRACTS[_table_of(name, study)].dated].truncate("D")
        days = (
            events.group_by("snapshot")
            .agg(first=day.min(), last=day.max())
            .to_pandas()
            .set_index("snapshot")
        )
        found[[f"first_{name}", f"last_{name}"]] = days.reindex(found.index)
    begin = pd.Timestamp(study.data_start) if study.data_start else None
    for column in (column for column in found if column.startswith("first_") and begin is not None):
        found[column] = found[column].mask(
            found[column].notna() & ((found[column] < begin) | (column == "first_spells")), begin
        )
    found["first_spend"] = found["first_revenue"] = found["first_spells"]
    if study.kind == "non_contractual":
        found["first_spells"] += pd.Timedelta(days=study.churn.inactive_days - 1)
    return found


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
        sources |= {
            "csat": evidence["feedback"].filter(is_csat(evidence["feedback"])),
            "nps": evidence["feedback"].filter(is_nps(evidence["feedback"])),
        }
    if "contacts" in evidence:
        sources["contacts"] = evidence["contacts"]
        if "complaint" in evidence["contacts"].columns:
            sources["complaints"] = evidence["contacts"].filter(
                evidence["contacts"].complaint.notnull()
            )
    return sources | ({"referrals": evidence["referrals"]} if "referrals" in evidence else {})


def explain(name: str, observed: pd.DataFrame, study: Study) -> pd.Series:
    """Return why an indicator can't be known at each snapshot; empty where it can."""
    spans, window = name_spans(study), pd.Timedelta(days=study.snapshots.every_days)
    notes = pd.Series("", index=observed.index)
    for source, look in DEFINITIONS[name].looks:
        days, words = spans.get(look, look), SOURCES[source]
        first = observed[f"first_{source}"]
        early = f"needs {words} observed for {days} days; they are since " + first.dt.strftime(
            "%Y-%m-%d"
        ).fillna("")
        late = (
            f"stale: no {words} recorded since "
            + observed[f"last_{source}"].dt.strftime("%Y-%m-%d").fillna("")
            if source in FRESH
            else ""
        )
        silent = (
            (observed[f"last_{source}"] < observed.index - window)
            if source in FRESH
            else pd.Series(False, index=notes.index)
        )
        new = np.select(
            [first.isna(), first > observed.index - pd.Timedelta(days=days), silent],
            [f"no {words} recorded by then", early, late],
            "",
        )
        notes = notes.where(notes != "", pd.Series(new, index=notes.index))
    return notes

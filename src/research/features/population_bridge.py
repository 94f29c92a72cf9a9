"""How the population of one notebook comes from that of another, in customers.

Notebooks ask of different customers on different days; here each step is counted, and every
notebook shows the same table.
"""

from datetime import date, timedelta
from typing import Any

import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end
from research.features.stage import assign_stages
from research.panel.evidence import Evidence, evidence_as_of
from research.panel.labels import find_population, label_churn
from research.panel.spells import is_purchase
from research.reporting.tables import show
from research.store.keep import keep
from research.study import Study

GONE = "gone"
BRIDGE = ["from", "to", "customers", "change", "reason"]
Step = tuple[str, set, str]  # whom it reaches, their ids, and why others are left out


@keep
def bridge_populations(tables: Tables, study: Study) -> pd.DataFrame:
    """Return the populations of the notebooks, each with what parts it from the one before.

    Returns
    -------
    DataFrame with columns from, to, customers, change, reason
        ``customers`` are those of ``to``, ``change`` how many more they are than those of ``from``.
        Empty in a flat study, in which every notebook asks of the same rows.
    """
    if study.kind == "flat":
        return pd.DataFrame(columns=BRIDGE)
    day, snapshot = study.lifecycle.last or study.snapshots.last, study.snapshots.last
    evidence = evidence_as_of(tables, (snapshot,))
    first = (f"20: customers on {day}", _find_customers(tables, study, day), "any stage but gone")
    scored = _reach_scored_day(tables, study, day)
    steps = [first, *scored]
    steps += _reach_snapshot(evidence, study, steps[-1][1], bool(scored))
    steps += _split_population(tables, evidence, study)
    rows, before = [], ("", len(first[1]))
    for name, members, reason in steps:
        rows.append((before[0], name, len(members), len(members) - before[1], reason))
        before = (name, len(members))
    return pd.DataFrame(rows, columns=BRIDGE)


def show_bridge(bridge: pd.DataFrame) -> Any:
    """Show the bridge; the numbers are those of notebooks."""
    empty = "All notebooks ask of the same rows: one per customer."
    note = "Each line counts whom the pages speak of, and what parts them from the line above."
    named = {"to": "who, on which page", "change": "more than above", "reason": "because"}
    return show(bridge.drop(columns="from").rename(columns=named), note=note, empty=empty)


def _find_customers(tables: Tables, study: Study, day: date) -> set:
    stages = assign_stages(evidence_as_of(tables, (day,)), study)
    return _list_ids(stages.filter(stages.stage != GONE))


def _list_ids(table) -> set:
    return {*table.select("customer_id").distinct().to_pandas().customer_id}


def _reach_scored_day(tables: Tables, study: Study, day: date) -> list[Step]:
    """Return the step to those whom lists name, where a day after the snapshot is scored."""
    scored = study.snapshots.scored or find_data_end(tables, study)
    if scored <= study.snapshots.last:
        return []
    listed = _list_ids(find_population(evidence_as_of(tables, (scored,)), study))
    if study.kind == "non_contractual":
        reason = f"others bought nothing in the last {study.churn.active_days} days"
        return [(f"lists of 50, 65, 66: active on {scored}", listed, reason)]
    reason = "a contract runs, whatever the stage" if day == scored else "of another day"
    return [(f"lists of 50, 65, 66: under contract on {scored}", listed, reason)]


def _reach_snapshot(evidence: Evidence, study: Study, customers: set, listed: bool) -> list[Step]:
    """Return the steps from the customers of another day to those on whom values are judged.

    Parameters
    ----------
    listed : whether lists name customers of a later day
    """
    if study.kind == "contractual":
        pages = "40, and judged in 50" if listed else "40, 50, 65"
        valued, what = _list_ids(find_population(evidence, study)), f"{pages}: under contract"
    else:
        orders, pages = evidence["orders"], "judged in 50" if listed else "50"
        valued, what = _list_ids(orders.filter(is_purchase(orders))), f"{pages}: have bought"
    day = study.snapshots.last
    return [
        (f"of these, {what} on {day} too", customers & valued, f"others came after {day}"),
        (f"{what} on {day}", valued, "were gone by the other day"),
    ]


def _split_population(tables: Tables, evidence: Evidence, study: Study) -> list[Step]:
    """Return the steps from there to those whom ``30_risk`` judges."""
    population, snapshot = find_population(evidence, study), study.snapshots.last
    if study.kind == "non_contractual":
        reason = f"others bought nothing in the last {study.churn.active_days} days"
        return [(f"30: active on {snapshot}", _list_ids(population), reason)]
    lead = timedelta(days=study.churn.lead_days + (study.churn.grace_days or 0))
    if snapshot + lead > find_data_end(tables, study):
        return []
    labels = label_churn(tables, population, study)
    judged = _list_ids(labels.filter(~labels.left_in_lead))
    return [("30: judged", judged, "others left before the team could act, within the lead")]

"""Each buyer's history in the form that models of repeat purchases read."""

from datetime import date

import ibis.expr.types as ir

from research.data.contracts import Tables
from research.errors import StudyError
from research.panel.evidence import evidence_as_of
from research.panel.spells import is_purchase
from research.panel.windows import KEYS
from research.study import Study

HISTORY = ["n_repeat", "recency_days", "age_days"]


def summarise_orders(tables: Tables, study: Study, snapshots: list[date]) -> ir.Table:
    """Return everybody's history of purchases as known at each snapshot.

    Days with a purchase count once. Whoever bought is in it, also who has long been inactive: a
    model fitted on the active alone would not see anybody drop out. Purchases before the data begin
    are unknown; a history then begins with the first one observed.

    Returns
    -------
    table with columns snapshot, customer_id, n_repeat, recency_days, age_days
        One row per snapshot and customer: days with a purchase after the first, days from the first
        to the last, days from the first to T.

    Raises
    ------
    StudyError
        If the study has no orders.
    """
    if "orders" not in tables:
        raise StudyError(
            f"expected the table orders, got {', '.join(tables)}; add orders.sql to the study"
            f" {study.name}"
        )
    orders = evidence_as_of(tables, snapshots)["orders"]
    days = (
        orders.filter(is_purchase(orders))
        .select(*KEYS, day=lambda t: t.ordered_at.truncate("D"))
        .distinct()
    )
    counted = days.group_by(KEYS).agg(
        bought=days.count(), first=days.day.min(), last=days.day.max()
    )
    return counted.select(
        *KEYS,
        n_repeat=counted.bought - 1,
        recency_days=counted["last"].delta(counted["first"], unit="day"),
        age_days=counted.snapshot.delta(counted["first"], unit="day"),
    )

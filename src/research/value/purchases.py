"""Purchases and spending of each customer: the history up to a snapshot, and sums over a window."""

from datetime import date, datetime, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from research.data.contracts import Tables
from research.errors import StudyError
from research.models.clv.mbg_cnbd import LOG_GAPS
from research.panel.evidence import evidence_as_of, filter_as_of
from research.panel.purchase_history import HISTORY, summarise_orders
from research.panel.spells import is_purchase, net_amount
from research.panel.windows import KEYS
from research.study import Study


def summarise_spending(tables: Tables, study: Study, snapshots: list[date]) -> ir.Table:
    """Return everybody's purchase history as known at each snapshot, with amounts.

    Returns
    -------
    table with the columns of ``purchase_history.summarise_orders``, log_gaps_days, mean_amount and
    first_amount
        ``log_gaps_days``: the sum of the natural logarithms of the days between two purchases.
        ``first_amount``: spending on the day of the first purchase. ``mean_amount``: spending after
        the first day, net of returns, per day with a repeat purchase; empty for customers without
        one. It can be 0 or negative.
    """
    orders = evidence_as_of(tables, snapshots)["orders"]
    lines = orders.mutate(
        day=orders.ordered_at.truncate("D"), bought=is_purchase(orders), net=net_amount(orders)
    )
    bought = lines.filter(lines.bought)
    first = bought.group_by(KEYS).agg(first=lambda t: t.day.min())
    began = bought.join(first, KEYS).filter(lambda t: t.day == t["first"])
    began = began.group_by(KEYS).agg(first_amount=lambda t: t.net.sum())
    later = lines.join(first, KEYS).filter(lambda t: t.day > t["first"])
    spent = later.group_by(KEYS).agg(spent=lambda t: t.net.sum())
    histories = summarise_orders(tables, study, snapshots).left_join(spent, KEYS)
    histories = histories.select(*KEYS, *HISTORY, "spent").left_join(_sum_gaps(bought), KEYS)
    histories = histories.select(
        *KEYS,
        *HISTORY,
        log_gaps_days=histories.log_gaps_days.fill_null(0.0),
        mean_amount=(histories.spent.cast("float64") / histories.n_repeat.nullif(0)),
    )
    return histories.left_join(began, KEYS).select(
        *KEYS, *HISTORY, LOG_GAPS, "mean_amount", first_amount=began.first_amount.cast("float64")
    )


def _sum_gaps(bought: ir.Table) -> ir.Table:
    days = bought.select(*KEYS, "day").distinct()
    before = days.day.lag().over(ibis.window(group_by=KEYS, order_by="day"))
    gaps = days.mutate(gap=days.day.delta(before, unit="day")).filter(lambda t: t.gap.notnull())
    return gaps.group_by(KEYS).agg(log_gaps_days=gaps.gap.cast("float64").ln().sum())


def load_histories(tables: Tables, study: Study, snapshot: date) -> pd.DataFrame:
    """Return everybody's purchase history at one snapshot as floats, in the order of customers.

    See ``summarise_spending`` for the columns.

    Raises
    ------
    StudyError
        If nobody has bought by the snapshot.
    """
    rows = (
        summarise_spending(tables, study, [snapshot])
        .to_pandas()
        .sort_values("customer_id", ignore_index=True)
        .drop(columns="snapshot")
    )
    if rows.empty:
        raise StudyError(
            f"expected purchases on or before {snapshot}, got none; use a later snapshot"
        )
    return rows.astype({name: float for name in rows if name != "customer_id"})


def sum_window(orders: ir.Table, opens: date, closes: date) -> ir.Table:
    """Return what each customer bought in ``(opens, closes]``.

    Returns
    -------
    table with columns customer_id, purchases, amount
        Days with a purchase, and spending on all days, net of returns. Customers without a line in
        the window have no row.
    """
    low, high = (start_after(day) for day in (opens, closes))
    lines = orders.filter(orders.ordered_at >= low, orders.ordered_at < high)
    lines = lines.mutate(
        day=is_purchase(lines).ifelse(lines.ordered_at.truncate("D"), None), net=net_amount(lines)
    )
    return lines.group_by("customer_id").agg(
        purchases=lines.day.nunique(), amount=lines.net.sum().cast("float64")
    )


def start_after(day: date) -> datetime:
    """Return the moment at which the day after ``day`` begins."""
    return datetime(day.year, day.month, day.day) + timedelta(days=1)


def load_window(tables: Tables, customers: pd.Series, opens: date, closes: date) -> pd.DataFrame:
    """Return purchases and amount of ``(opens, closes]``, in the order of ``customers``.

    See ``sum_window``; 0 for customers without a line.
    """
    return _align(sum_window(tables["orders"], opens, closes), customers)


def load_last_period(
    tables: Tables, customers: pd.Series, snapshot: date, span: int
) -> pd.DataFrame:
    """Return purchases and amount of the ``span`` days up to the snapshot, as known at it.

    In the order of ``customers``.
    """
    orders = filter_as_of(tables["orders"], "orders", [snapshot])
    return _align(sum_window(orders, snapshot - timedelta(days=span), snapshot), customers)


def _align(table: ir.Table, customers: pd.Series) -> pd.DataFrame:
    rows = table.to_pandas().set_index("customer_id").reindex(customers).fillna(0.0).astype(float)
    return rows.reset_index(drop=True)


def count_repeats(
    tables: Tables, histories: pd.DataFrame, snapshot: date, until: date
) -> pd.Series:
    """Return by day how many customers with a history bought again on it, up to ``until``."""
    first = pd.Series(
        pd.Timestamp(snapshot) - pd.to_timedelta(histories.age_days, unit="D")
    ).set_axis(histories.customer_id)
    orders = tables["orders"]
    lines = orders.filter(is_purchase(orders), orders.ordered_at < start_after(until))
    days = lines.select("customer_id", day=lines.ordered_at.truncate("D")).distinct().to_pandas()
    days = days[days.day > days.customer_id.map(first)]
    return days.groupby("day").size()

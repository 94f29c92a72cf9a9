"""Orders that were cancelled or returned soon after: they net out against their cancellation."""

from collections.abc import Iterator

import ibis
import ibis.expr.types as ir

from research.data import engines
from research.data.contracts import Tables
from research.data.remark import Remark
from research.errors import StudyError
from research.study import Study, show_path

MILLIONTHS = 1_000_000  # of an amount: what is finer is rounded, as in sums
DETAILS = ("step", "moment", "size", "depth", "level", "other", "apart")
SOON_HOURS, LEAST_SHARE = 24, 0.02  # of purchases cancelled so soon, from which on it is said
NAMES = {name: ibis.util.gen_name(name) for name in DETAILS}  # as no company names a column


def settle_orders(tables: Tables, study: Study) -> Tables:
    """Return the tables without the orders that were cancelled within the hours of study.yml.

    Raises
    ------
    StudyError
        If the study gives the hours and has no orders.
    """
    hours = study.orders.cancelled_within_hours
    if not hours:
        return tables
    if "orders" not in tables:
        raise StudyError(
            f"{show_path(study.folder / 'study.yml')}, key orders.cancelled_within_hours: expected"
            " a table orders, got none; write orders.sql or remove the key"
        )
    if "amount" not in tables["orders"].columns:
        raise StudyError(
            f"{show_path(study.folder / 'study.yml')}, key orders.cancelled_within_hours: expected"
            " orders with amounts, by which a cancellation is known, got none; select amount in"
            " orders.sql or remove the key"
        )
    standing = drop_cancelled(tables["orders"], hours)
    return tables | {"orders": engines.keep(standing, "orders", packed=True)}


def drop_cancelled(orders: ir.Table, hours: int) -> ir.Table:
    """Return order lines without those that were cancelled, and without what cancelled them.

    A line with a negative amount or marked ``returned`` cancels a purchase of the same customer,
    the same amount and, where the table has it, the same product that was made at most ``hours``
    before: the latest one that nothing else cancels.
    """
    step, moment, size, depth, level, other, apart = NAMES.values()
    back = _takes_back(orders)
    steps = orders.mutate(
        **{
            step: ibis.cases((orders.amount == 0, 0), (back, -1), else_=1).cast("int64"),
            moment: orders.ordered_at.epoch_seconds(),
            size: (orders.amount.abs() * MILLIONTHS).round(),  # -0.30000000000000004 is -0.3
        }
    )
    # purchases go up a step and cancellations down one: between two heights they alternate, and
    # what goes up is cancelled by what next comes down there
    like = ["customer_id", size, *(["product"] if "product" in orders.columns else [])]
    order = ["ordered_at", ibis.desc(step)]
    so_far = ibis.window(group_by=like, order_by=order, preceding=None, following=0)
    steps = steps.mutate(**{depth: steps[step].sum().over(so_far)})
    steps = steps.mutate(**{level: steps[depth] + (steps[step] < 0).ifelse(1, 0)})
    near = ibis.window(group_by=[*like, level], order_by=order)
    up = steps[step] > 0
    steps = steps.mutate(
        **{
            other: up.ifelse(steps[step].lead().over(near), steps[step].lag().over(near)),
            apart: up.ifelse(
                steps[moment].lead().over(near) - steps[moment],
                steps[moment] - steps[moment].lag().over(near),
            ),
        }
    )
    cancelled = (steps[other] == -steps[step]) & (steps[apart] <= hours * 3600)
    stands = (steps[step] == 0) | ~cancelled.fill_null(False)
    return steps.filter(stands).select(orders.columns)


def _takes_back(orders: ir.Table) -> ir.BooleanValue:
    """Return whether a line cancels or returns, by its sign or the mark ``returned``."""
    back = orders.amount < 0
    return back | orders.returned.fill_null(False) if "returned" in orders.columns else back


def find_quick_cancellations(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield a remark where many purchases are cancelled within a day and the study nets none."""
    orders = tables.get("orders")
    if orders is None or "amount" not in orders.columns or study.orders.cancelled_within_hours:
        return
    back = _takes_back(orders)
    counts = orders.agg(back=back.sum(), bought=(~back & (orders.amount > 0)).sum()).to_pandas()
    back, bought = (int(number or 0) for number in counts.fillna(0).iloc[0])
    if not back or back < LEAST_SHARE * bought:  # the search itself passes all lines
        return
    cancelled = back + bought - _count_moved(drop_cancelled(orders, SOON_HOURS))
    if cancelled // 2 >= LEAST_SHARE * bought:
        yield Remark(
            "table orders",
            f"{cancelled // 2:,} of {bought:,} purchases are cancelled within {SOON_HOURS} hours by"
            " a line of the same amount",
            f"if they were no sales, write 'orders: {{cancelled_within_hours: {SOON_HOURS}}}' in"
            " study.yml, or each counts as a purchase",
        )


def _count_moved(orders: ir.Table) -> int:
    """Return the lines that move an amount."""
    return int(orders.filter(orders.amount != 0).count().execute())

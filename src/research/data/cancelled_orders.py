"""Orders that were cancelled or returned soon after: they net out against their cancellation."""

import ibis
import ibis.expr.types as ir

from research.data import engines
from research.data.contracts import Tables
from research.errors import StudyError
from research.study import Study, show_path

MILLIONTHS = 1_000_000  # of an amount: what is finer is rounded, as in sums
DETAILS = ("step", "moment", "size", "depth", "level", "other", "apart")
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
    standing = drop_cancelled(tables["orders"], hours)
    return tables | {"orders": engines.keep(standing, "orders", packed=True)}


def drop_cancelled(orders: ir.Table, hours: int) -> ir.Table:
    """Return order lines without those that were cancelled, and without what cancelled them.

    A line with a negative amount or marked ``returned`` cancels a purchase of the same customer,
    the same amount and, where the table has it, the same product that was made at most ``hours``
    before: the latest one that nothing else cancels.
    """
    step, moment, size, depth, level, other, apart = NAMES.values()
    back = orders.amount < 0
    if "returned" in orders.columns:
        back = back | orders.returned.fill_null(False)
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

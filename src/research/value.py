"""What customers are worth from a day on: the purchases, or the months under contract, that are to be expected, times their margin, discounted.

Buyers without a contract: a model of the rhythm of purchases (``alive``, ``pareto``) times one of their amounts (``spend``). Contracts: a curve of survival
times the margin of a day. Both look ahead for a stated span, and no further.
"""

from collections.abc import Sequence
from datetime import date
from types import ModuleType

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from research import alive, pareto
from research.alive import HISTORY, summarise_orders
from research.intervals import Z
from research.likelihood import Fit
from research.snapshots import Tables, cut_evidence
from research.spells import is_purchase, net_amount
from research.spend import predict_spend
from research.studies import Study, StudyError

Array = np.ndarray
MODELS: dict[str, ModuleType] = {"BG/NBD": alive, "Pareto/NBD": pareto}
YEAR = 365.25
STEPS = 24  # parts of the span within which money is discounted alike
VALUES = ["alive", "purchases", "amount", "value"]


def summarise_spending(tables: Tables, study: Study, snapshots: list[date]) -> ir.Table:
    """Return everybody's history of purchases as known at each snapshot, with what a repeat purchase brought.

    Returns
    -------
    table with the columns of ``alive.summarise_orders`` and mean_amount
        ``mean_amount``: what was spent after the first day, returns taken off, per day with a repeat purchase; empty for who never came back. It
        can be 0 or negative.
    """
    orders = cut_evidence(tables, snapshots)["orders"]
    lines = orders.mutate(day=orders.ordered_at.truncate("D"), bought=is_purchase(orders), net=net_amount(orders))
    first = lines.filter(lines.bought).group_by(["snapshot", "customer_id"]).agg(first=lambda t: t.day.min())
    later = lines.join(first, ["snapshot", "customer_id"]).filter(lambda t: t.day > t["first"])
    spent = later.group_by(["snapshot", "customer_id"]).agg(spent=lambda t: t.net.sum())
    found = summarise_orders(tables, study, snapshots).left_join(spent, ["snapshot", "customer_id"])
    columns = ["snapshot", "customer_id", *HISTORY]
    return found.select(*columns, mean_amount=(found.spent.cast("float64") / found.n_repeat.nullif(0)))


def value_buyers(histories: pd.DataFrame, model: ModuleType, rhythm: Fit, spend: Fit, span: float, margin: float, rate: float) -> pd.DataFrame:
    """Return what each buyer is worth over the span after T.

    Parameters
    ----------
    histories : DataFrame with the columns of ``summarise_spending``, in days
    model : one of ``MODELS``, by which ``rhythm`` was fitted
    span : days looked ahead
    margin : share of an amount that remains, 0 to 1
    rate : yearly rate at which money is discounted

    Returns
    -------
    DataFrame with columns alive, purchases, amount, value, in the order of ``histories``
        ``purchases`` are those expected within the span, undiscounted; ``value`` is in the currency of the amounts, and 0 where the amount is.

    Raises
    ------
    StudyError
        If span, margin or rate are out of their range, or the amounts have no mean.
    """
    _require_terms(span, margin, rate)
    edges = np.linspace(0, span, STEPS + 1)
    counts = np.stack([np.zeros(len(histories)), *(model.predict_purchases(histories, rhythm, edge) for edge in edges[1:])])
    amount = predict_spend(histories, spend)
    if np.isinf(amount).any():
        raise StudyError("required amounts with a mean, arrived a Gamma-Gamma fit whose q is 1 or less; use a later snapshot, or leave out the largest orders")
    discounted = discount((edges[1:] + edges[:-1]) / 2, rate) @ np.diff(counts, axis=0)
    columns = (model.predict_alive(histories, rhythm), counts[-1], amount, margin * amount * discounted)
    return pd.DataFrame(dict(zip(VALUES, columns, strict=True)), index=histories.index)


def value_contracts(curves: Array, days: Sequence[float], margin_per_day: Array, rate: float) -> Array:
    """Return the discounted margin of each contract up to the last of ``days``: (rows,).

    Parameters
    ----------
    curves : (rows, days), the probability that the contract still runs
    days : rising from 0 on, fine enough that the straight line between two is the curve
    margin_per_day : (rows,), what remains of the fee of a day; 0 is worth nothing
    rate : yearly rate at which money is discounted
    """
    days = np.asarray(days, float)
    _require_terms(days[-1], 1.0, rate)
    if days[0] != 0 or (np.diff(days) <= 0).any():
        raise StudyError(f"required days that rise from 0, arrived {', '.join(f'{day:g}' for day in days[:5])}; begin with 0")
    return np.asarray(margin_per_day) * np.trapezoid(curves * discount(days, rate), days, axis=1)


def discount(days: Array, rate: float) -> Array:
    """Return what money of so many days ahead is worth today."""
    return (1 + rate) ** (-np.asarray(days) / YEAR)


def _require_terms(span: float, margin: float, rate: float) -> None:
    faults = [
        (span > 0 and np.isfinite(span), f"required a span above 0 days, arrived {span:g}; look ahead"),
        (0 <= margin <= 1, f"required a margin from 0 to 1, arrived {margin:g}; give the share of an amount that remains"),
        (0 <= rate < 10, f"required a yearly rate of discount of 0 or more, arrived {rate:g}; 0.1 is ten percent"),
    ]
    if broken := [words for holds, words in faults if not holds]:
        raise StudyError(*broken)


def hold_out(expected: dict[str, Array], later: Array, groups: int = 10) -> pd.DataFrame:
    """Return expected against actual purchases after T, in equal groups by what a model expects, for each model.

    Parameters
    ----------
    expected : by model, (rows,), purchases expected in the holdout
    later : (rows,), those that came

    Returns
    -------
    DataFrame with columns model, group, expected, actual, low, high, n
        Group 0 holds all customers. Expected and actual are means per customer; ``low`` and ``high`` the 95 % interval of the actual mean (normal).
    """
    tables = []
    for model, values in expected.items():
        tenth = np.ceil(pd.Series(values).rank(method="first") / len(values) * groups).astype(int)
        rows = pd.DataFrame({"group": tenth, "expected": values, "actual": later})
        counted = pd.concat([rows.assign(group=0), rows]).groupby("group").agg(expected=("expected", "mean"), actual=("actual", "mean"), n=("actual", "size"))
        counted["error"] = pd.concat([rows.assign(group=0), rows]).groupby("group").actual.sem()
        tables.append(counted.reset_index().assign(model=model))
    found = pd.concat(tables, ignore_index=True)
    found["low"], found["high"] = found.actual - Z * found.error, found.actual + Z * found.error
    return found[["model", "group", "expected", "actual", "low", "high", "n"]]


def score_holdout(expected: dict[str, Array], later: Array) -> pd.DataFrame:
    """Return how far each model is from what came: per customer, and in total.

    Returns
    -------
    DataFrame with columns model, rmse, mae, correlation, total_error_share, n
        ``total_error_share``: how much more was expected than came, as a share of what came.
    """
    later = np.asarray(later, float)
    rows = [
        (
            model,
            np.sqrt(((values - later) ** 2).mean()),
            np.abs(values - later).mean(),
            np.corrcoef(values, later)[0, 1] if np.ptp(values) > 0 else np.nan,
            values.sum() / later.sum() - 1 if later.sum() else np.nan,
            len(later),
        )
        for model, values in expected.items()
    ]
    return pd.DataFrame(rows, columns=["model", "rmse", "mae", "correlation", "total_error_share", "n"])


def expect_naively(histories: pd.DataFrame, span: float) -> dict[str, Array]:
    """Return what rules without a model expect over a span: no purchase, and as many as in the time before, at the customer's own rate."""
    age = np.maximum(histories.age_days.to_numpy(float), 1.0)
    return {"zero": np.zeros(len(histories)), "as before": histories.n_repeat.to_numpy(float) * span / age}

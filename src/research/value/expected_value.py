"""What customers are worth from a day on: the purchases, or the months under contract, that are to
be expected, times their margin, discounted.

Buyers without a contract: a model of the rhythm of purchases (``alive``, ``pareto``) times one of
their amounts (``spend``). Contracts: a curve of survival times the margin of a day. Both look ahead
for a stated span, and no further.
"""

from collections.abc import Sequence
from datetime import date
from types import ModuleType

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.errors import StudyError
from research.models.clv import beta_geo, pareto_nbd, pareto_nbd_first_amount
from research.models.clv.gamma_gamma import predict_spend
from research.models.clv.max_likelihood import Fit
from research.panel.evidence import cut_evidence
from research.panel.purchase_history import HISTORY, summarise_orders
from research.panel.spells import is_purchase, net_amount
from research.study import Study
from research.study_schema import Economics

MODELS: dict[str, ModuleType] = {
    "BG/NBD": beta_geo,
    "Pareto/NBD": pareto_nbd,
    "Pareto/NBD, first amount": pareto_nbd_first_amount,
}
SPENDING = "Gamma-Gamma"
YEAR = 365.25
STEPS = 24  # parts of the span within which money is discounted alike
PART = 20_000  # customers valued at once
VALUES = ["alive", "purchases", "amount", "value"]


def summarise_spending(tables: Tables, study: Study, snapshots: list[date]) -> ir.Table:
    """Return everybody's history of purchases as known at each snapshot, with what a repeat
    purchase brought.

    Returns
    -------
    table with the columns of ``alive.summarise_orders``, mean_amount and first_amount
        ``first_amount``: what the purchases of the first day brought. ``mean_amount``: what was
        spent after the first day, returns taken off, per day with a repeat purchase; empty for who
        never came back. It can be 0 or negative.
    """
    orders = cut_evidence(tables, snapshots)["orders"]
    lines = orders.mutate(
        day=orders.ordered_at.truncate("D"), bought=is_purchase(orders), net=net_amount(orders)
    )
    bought = lines.filter(lines.bought)
    first = bought.group_by(["snapshot", "customer_id"]).agg(first=lambda t: t.day.min())
    began = bought.join(first, ["snapshot", "customer_id"]).filter(lambda t: t.day == t["first"])
    began = began.group_by(["snapshot", "customer_id"]).agg(first_amount=lambda t: t.net.sum())
    later = lines.join(first, ["snapshot", "customer_id"]).filter(lambda t: t.day > t["first"])
    spent = later.group_by(["snapshot", "customer_id"]).agg(spent=lambda t: t.net.sum())
    found = summarise_orders(tables, study, snapshots).left_join(spent, ["snapshot", "customer_id"])
    columns = ["snapshot", "customer_id", *HISTORY]
    found = found.select(
        *columns, mean_amount=(found.spent.cast("float64") / found.n_repeat.nullif(0))
    )
    keys = ["snapshot", "customer_id"]
    return found.left_join(began, keys).select(
        *columns, "mean_amount", first_amount=began.first_amount.cast("float64")
    )


def load_histories(tables: Tables, study: Study, snapshot: date) -> pd.DataFrame:
    """Return everybody's history of purchases at one snapshot as floats, in the order of customers;
    see ``summarise_spending``.

    Raises
    ------
    StudyError
        If the study has no orders, or nobody has bought by the snapshot.
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


def fit_purchase_models(histories: pd.DataFrame) -> dict[str, Fit]:
    """Fit every model of ``MODELS`` by name; one that the histories don't allow (first amounts that
    are all equal) is left out.
    """
    told = (
        np.ptp(pareto_nbd_first_amount.read_first(histories)) > 0
        if "first_amount" in histories
        else False
    )
    return {
        name: model.fit_rhythm(histories)
        for name, model in MODELS.items()
        if model is not pareto_nbd_first_amount or told
    }


def choose_purchase_model(rhythms: dict[str, Fit]) -> str:
    """Return the model with the least AIC (Akaike 1974, doi:10.1109/TAC.1974.1100705): it asks the
    history alone, never the holdout.
    """
    return min(rhythms, key=lambda name: compute_aic(rhythms[name]))


def compute_aic(fit: Fit) -> float:
    """Return twice the number of parameters less twice the log-likelihood."""
    return 2 * len(fit.parameters) - 2 * fit.log_likelihood


def tabulate_parameters(rhythms: dict[str, Fit], spend: Fit | None) -> pd.DataFrame:
    """Return the parameters of all models with their 95 % intervals.

    Returns
    -------
    DataFrame with columns model, parameter, unit, value, low, high, se, log_likelihood, aic, n
        Intervals on the logarithmic scale from the curvature of the likelihood; empty where a
        parameter isn't told by the data.
    """
    fits = rhythms | ({SPENDING: spend} if spend else {})
    tables = [
        fit.tabulate().assign(model=name, log_likelihood=fit.log_likelihood, aic=compute_aic(fit))
        for name, fit in fits.items()
    ]
    found = pd.concat(tables, ignore_index=True)
    unit = {
        "alpha": "days",
        "beta": "days",
        "v": "currency",
        "buys_more": "ratio",
        "leaves_sooner": "ratio",
    }
    found["unit"] = found.parameter.map(unit).fillna("shape")
    return found[
        ["model", "parameter", "unit", "value", "low", "high", "se", "log_likelihood", "aic", "n"]
    ]


def tabulate_assumptions(economics: Economics) -> pd.DataFrame:
    """Return what value rests on that study.yml states, as rows of ``tabulate_parameters``: the model is
    "assumed", and there are no intervals.
    """
    terms = {
        "margin_share": "share",
        "fee_margin": "share",
        "discount_rate": "share a year",
        "value_days": "days",
    }
    rows = [
        ("assumed", name, unit, float(getattr(economics, name))) for name, unit in terms.items()
    ]
    return pd.DataFrame(rows, columns=["model", "parameter", "unit", "value"])


def value_buyers(
    histories: pd.DataFrame,
    model: ModuleType,
    rhythm: Fit,
    spend: Fit,
    span: float,
    margin: float,
    rate: float,
) -> pd.DataFrame:
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
        ``purchases`` are those expected within the span, undiscounted; ``value`` is in the currency
        of the amounts, and 0 where the amount is.

    Raises
    ------
    StudyError
        If span, margin or rate are out of their range, or the amounts have no mean.
    """
    _require_terms(span, margin, rate)
    amount = predict_spend(histories, spend)
    if np.isinf(amount).any():
        raise StudyError(
            "expected amounts with a mean, got a Gamma-Gamma fit whose q is 1 or less; use a"
            " later snapshot, or leave out the largest orders"
        )
    parts = [histories.iloc[at : at + PART] for at in range(0, len(histories), PART)]
    counts, discounted = np.hstack(
        [_count_purchases(part, model, rhythm, span, rate) for part in parts]
    )
    columns = (model.predict_alive(histories, rhythm), counts, amount, margin * amount * discounted)
    return pd.DataFrame(dict(zip(VALUES, columns, strict=True)), index=histories.index)


def _count_purchases(
    histories: pd.DataFrame, model: ModuleType, rhythm: Fit, span: float, rate: float
) -> np.ndarray:
    """Return the purchases expected within the span, as they come and discounted: (2, rows)."""
    edges = np.linspace(0, span, STEPS + 1)
    counts = model.predict_purchases(histories, rhythm, edges[1:, None])
    steps = np.diff(counts, axis=0, prepend=0)
    return np.stack([counts[-1], discount((edges[1:] + edges[:-1]) / 2, rate) @ steps])


def value_contracts(
    curves: np.ndarray, days: Sequence[float], margin_per_day: np.ndarray, rate: float
) -> np.ndarray:
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
        raise StudyError(
            f"expected days that rise from 0, got {', '.join(f'{day:g}' for day in days[:5])};"
            " begin with 0"
        )
    return np.asarray(margin_per_day) * np.trapezoid(curves * discount(days, rate), days, axis=1)


def discount(days: np.ndarray, rate: float) -> np.ndarray:
    """Return what money of so many days ahead is worth today."""
    return (1 + rate) ** (-np.asarray(days) / YEAR)


def _require_terms(span: float, margin: float, rate: float) -> None:
    faults = [
        (
            span > 0 and np.isfinite(span),
            f"expected a span above 0 days, got {span:g}; look ahead",
        ),
        (
            0 <= margin <= 1,
            (
                f"expected a margin from 0 to 1, got {margin:g}; give the share of an amount"
                " that remains"
            ),
        ),
        (
            0 <= rate < 10,
            (f"expected a yearly rate of discount of 0 or more, got {rate:g}; 0.1 is ten percent"),
        ),
    ]
    if broken := [words for holds, words in faults if not holds]:
        raise StudyError(*broken)

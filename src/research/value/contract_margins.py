"""Margins under contract: fee and add-ons of a day at a snapshot, and what was earned later."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end
from research.data.terms import covered_until, end_day
from research.errors import NotApplicable
from research.panel.evidence import filter_as_of
from research.panel.periods import MEAN_MONTH_DAYS, YEAR_DAYS
from research.panel.spells import has_amounts, runs_on
from research.study import Study
from research.study_schema import Economics
from research.value.purchases import load_window, start_after


def require_fees(tables: Tables, study: Study) -> None:
    """Pass a contractual study whose contracts have fees.

    Raises
    ------
    NotApplicable
        If they don't.
    """
    if "monthly_fee" not in tables["contracts"].columns:
        raise NotApplicable(
            f"the study {study.name} has no prices: its contracts have no column monthly_fee"
        )
    if not tables["contracts"].monthly_fee.count().execute():
        raise NotApplicable(
            f"the study {study.name} has no prices: monthly_fee is empty in all of its contracts"
        )


def load_fees(tables: Tables, customers: pd.Series, snapshot: date) -> np.ndarray:
    """Return the fee of a day, summed over the contracts that run at the end of the snapshot.

    In the order of ``customers``.
    """
    terms = filter_as_of(tables["contracts"], "contracts", [snapshot])
    running = terms.filter(runs_on(terms.started_at.truncate("D"), end_day(terms), terms.snapshot))
    return _sum_by_customer(running, running.monthly_fee, customers) / MEAN_MONTH_DAYS


def _sum_by_customer(table: ir.Table, amount: ir.Value, customers: pd.Series) -> np.ndarray:
    """Return the sum of an amount in the order of ``customers``, 0 for those without a row."""
    sums = table.group_by("customer_id").agg(total=amount.sum().cast("float64"))
    totals = sums.to_pandas().set_index("customer_id").total
    return totals.reindex(customers).fillna(0.0).to_numpy(float)


def load_add_ons(tables: Tables, study: Study, present: pd.DataFrame, snapshot: date) -> np.ndarray:
    """Return the expected spending of each customer on a day, net of returns.

    0 where the study has no orders with amounts. The number of orders is shrunk towards the mean of
    all by a gamma-Poisson mixture of the last year, by moments (Marshall 1991,
    doi:10.2307/2347593), and multiplied by the mean spending of a day with an order.

    Parameters
    ----------
    present : DataFrame with columns customer_id, tenure_days
    """
    if not has_amounts(tables):
        return np.zeros(len(present))
    reach = _find_order_days(tables, snapshot)
    observed = np.clip(present.tenure_days.to_numpy(float), 1, reach)
    last_year = load_window(
        {"orders": filter_as_of(tables["orders"], "orders", [snapshot])},
        present.customer_id,
        snapshot - timedelta(days=YEAR_DAYS),
        snapshot,
    )
    counts = last_year.purchases.to_numpy()
    spending = last_year.amount.sum() / max(counts.sum(), 1)
    return shrink_rates(counts, observed) * spending


def _find_order_days(tables: Tables, snapshot: date) -> float:
    """Return how many days before the snapshot have orders, at most a year."""
    first = tables["orders"].ordered_at.min().execute().date()
    return float(max(min(YEAR_DAYS, (snapshot - first).days), 1))


def shrink_rates(counts: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return each customer's rate of a day, shrunk towards the mean rate of all: (rows,).

    The more, the more of the differences chance alone explains.

    Parameters
    ----------
    counts, observed : (rows,), events, and the days in which they were counted
    """
    mean = counts.sum() / observed.sum()
    if mean == 0:
        return np.zeros(len(counts))
    variance = max(
        (((counts - mean * observed) ** 2).sum() - mean * observed.sum()) / (observed**2).sum(),
        mean**2 * 1e-6,
    )
    return (mean**2 / variance + counts) / (mean / variance + observed)


def compute_margins(
    tables: Tables, study: Study, present: pd.DataFrame, snapshot: date
) -> np.ndarray:
    """Return the margin of a day under contract, in the order of ``present``.

    The shares of fee and add-ons that study.yml states.
    """
    economics = study.economics
    return economics.fee_margin * load_fees(
        tables, present.customer_id, snapshot
    ) + economics.margin_share * load_add_ons(tables, study, present, snapshot)


def load_realised_margins(
    tables: Tables, economics: Economics, customers: pd.Series, opens: date, closes: date
) -> np.ndarray:
    """Return the margin of fees and orders on the days ``(opens, closes]``, undiscounted.

    In the order of ``customers``. A fee is earned day by day while its contract runs, and not in
    the days of grace after it.
    """
    low, high = (ibis.literal(start_after(day)) for day in (opens, closes))
    terms = tables["contracts"]
    starts = ibis.greatest(terms.started_at.truncate("D"), low)
    ends = ibis.least(covered_until(terms).fill_null(high), high)
    days = ibis.greatest(ends.delta(starts, unit="day"), 0)
    paid = terms.mutate(earned=days * terms.monthly_fee / MEAN_MONTH_DAYS)
    margin = economics.fee_margin * _sum_by_customer(paid, paid.earned, customers)
    if not has_amounts(tables):
        return margin
    orders = load_window(tables, customers, opens, closes)
    return margin + economics.margin_share * orders.amount.to_numpy()


def find_last_day(tables: Tables, study: Study, snapshot: date) -> date:
    """Return where a holdout ends: with the data, at most the span of value after the snapshot."""
    return min(find_data_end(tables, study), snapshot + timedelta(days=study.economics.value_days))

"""What contracts hold: the fee and the add-ons of a day at a snapshot, the snapshots from which
survival is learned, and what was earned after them.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import ibis
import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end, find_data_start
from research.errors import NotApplicable, StudyError
from research.features.build import load_features
from research.features.leakage.gate import check_panel
from research.panel.evidence import cut, cut_evidence
from research.panel.labels import find_population, label
from research.panel.spells import end_day, runs_on
from research.study import Study
from research.study_schema import Economics
from research.survival.follow_up import frame_durations, require_leavers
from research.value.holdout import load_later

MONTH_DAYS = 365.25 / 12
LEAST_HISTORY = 90  # days of evidence before the first snapshot that is learned from
WATCHED = 365  # days over which add-ons are counted


@dataclass(frozen=True)
class Panel:
    """Rows to learn survival from and rows to value, the features that may be used, and what the
    leak gate found.
    """

    train: pd.DataFrame
    present: pd.DataFrame
    outcome: np.ndarray
    honest: list[str]
    leaks: pd.DataFrame


def require_fees(tables: Tables, study: Study) -> None:
    """Pass a contractual study whose contracts tell a fee.

    Raises
    ------
    NotApplicable
        If they don't.
    """
    if "monthly_fee" not in tables["contracts"].columns:
        raise NotApplicable(
            f"the study {study.name} tells no prices: its contracts have no column monthly_fee"
        )
    if not tables["contracts"].monthly_fee.count().execute():
        raise NotApplicable(
            f"the study {study.name} tells no prices: monthly_fee is empty in all of its contracts"
        )


def plan_landmarks(tables: Tables, study: Study, snapshot: date) -> tuple[date, ...]:
    """Return snapshots to learn from: the span of value, half of it, and lead and horizon before
    ``snapshot``, as far as the data reach back.

    The first tells how customers fare over the whole span, the last how they have fared of late;
    each is followed to ``snapshot`` and no further.

    Raises
    ------
    StudyError
        If the data begin too late for any of them.
    """
    span, near = study.economics.value_days, study.churn.lead_days + study.churn.horizon_days
    first = (study.data_start or find_data_start(tables, study)) + timedelta(days=LEAST_HISTORY)
    days = sorted(
        {snapshot - timedelta(days=back) for back in (span, span // 2, near) if back >= near}
    )
    if not (known := tuple(day for day in days if day >= first)):
        raise StudyError(
            f"expected data from {LEAST_HISTORY + near} days before the snapshot {snapshot} on to"
            f" learn who stays, got data from {first - timedelta(days=LEAST_HISTORY)}; use a"
            " later snapshot or a shorter horizon"
        )
    return known


def load_subscribers(tables: Tables, study: Study, snapshot: date) -> Panel:
    """Return who is under contract at the snapshot, and earlier customers to learn from, all known
    by it.
    """
    train = _load_rows(tables, study, plan_landmarks(tables, study, snapshot), snapshot)
    present = _load_rows(tables, study, (snapshot,), snapshot)
    leakage = check_panel(tables, study, train, first_judged_day=snapshot)
    outcome = frame_durations(train)
    require_leavers(outcome, "training")
    if present.empty:
        raise StudyError(
            f"expected customers under contract on {snapshot}, got none; use another snapshot"
        )
    return Panel(train, present, outcome, leakage.allowed, leakage.findings)


def _load_rows(
    tables: Tables, study: Study, days: tuple[date, ...], known_by: date
) -> pd.DataFrame:
    evidence = cut_evidence(tables, days)
    return load_features(
        evidence, label(tables, find_population(evidence, study), study, known_by), study
    )


def load_fees(tables: Tables, customers: pd.Series, snapshot: date) -> np.ndarray:
    """Return the fee of a day under the contracts that run at the end of the snapshot, added up, in
    the order of ``customers``.
    """
    terms = cut(tables["contracts"], "contracts", [snapshot])
    running = terms.filter(runs_on(terms.started_at.truncate("D"), end_day(terms), terms.snapshot))
    fees = (
        running.group_by("customer_id")
        .agg(fee=running.monthly_fee.sum().cast("float64"))
        .to_pandas()
        .set_index("customer_id")
        .fee
    )
    return fees.reindex(customers).fillna(0.0).to_numpy(float) / MONTH_DAYS


def load_add_ons(tables: Tables, study: Study, present: pd.DataFrame, snapshot: date) -> np.ndarray:
    """Return what the orders of each customer are expected to bring on a day, returns taken off; 0
    where the study has no orders.

    Few orders are drawn towards the mean of all: a gamma-Poisson mixture by moments over the last
    year (Marshall 1991, doi:10.2307/2347593), times the mean of what a day with an order brings.
    """
    if "orders" not in tables:
        return np.zeros(len(present))
    watched = np.clip(present.tenure_days.to_numpy(float), 1, _reach_back(tables, study, snapshot))
    last = _load_year(tables, present.customer_id, snapshot)
    counts = last.purchases.to_numpy()
    brought = last.amount.sum() / max(counts.sum(), 1)
    return shrink_rates(counts, watched) * brought


def _reach_back(tables: Tables, study: Study, snapshot: date) -> float:
    first = tables["orders"].ordered_at.min().execute().date()
    return float(max(min(WATCHED, (snapshot - first).days), 1))


def _load_year(tables: Tables, customers: pd.Series, snapshot: date) -> pd.DataFrame:
    return load_later(
        {"orders": cut(tables["orders"], "orders", [snapshot])},
        customers,
        snapshot - timedelta(days=WATCHED),
        snapshot,
    )


def shrink_rates(counts: np.ndarray, watched: np.ndarray) -> np.ndarray:
    """Return each customer's rate of a day, drawn towards that of all by as much as chance alone
    explains the differences: (rows,).
    """
    mean = counts.sum() / watched.sum()
    if mean == 0:
        return np.zeros(len(counts))
    spread = max(
        (((counts - mean * watched) ** 2).sum() - mean * watched.sum()) / (watched**2).sum(),
        mean**2 * 1e-6,
    )
    return (mean**2 / spread + counts) / (mean / spread + watched)


def compute_margins(tables: Tables, study: Study, present: pd.DataFrame, snapshot: date) -> np.ndarray:
    """Return what remains of a day under contract: the shares of fee and add-ons that the study
    states; in the order of ``present``.
    """
    economics = study.economics
    return economics.fee_margin * load_fees(
        tables, present.customer_id, snapshot
    ) + economics.margin_share * load_add_ons(tables, study, present, snapshot)


def load_realised_margins(
    tables: Tables, economics: Economics, customers: pd.Series, opens: date, closes: date
) -> np.ndarray:
    """Return what remained of fees and orders on the days ``(opens, closes]``, undiscounted, in the
    order of ``customers``.

    A fee is earned day by day while its contract runs.
    """
    low, high = (
        ibis.literal(datetime(day.year, day.month, day.day) + timedelta(days=1))
        for day in (opens, closes)
    )
    terms = tables["contracts"]
    ended = end_day(terms).fill_null(high)
    begins, ends = ibis.greatest(terms.started_at.truncate("D"), low), ibis.least(ended, high)
    paid = terms.mutate(
        earned=ibis.greatest(ends.delta(begins, unit="day"), 0) * terms.monthly_fee / MONTH_DAYS
    )
    fees = (
        paid.group_by("customer_id")
        .agg(earned=lambda t: t.earned.sum().cast("float64"))
        .to_pandas()
        .set_index("customer_id")
        .earned
    )
    found = economics.fee_margin * fees.reindex(customers).fillna(0.0).to_numpy(float)
    return found + (
        economics.margin_share * load_later(tables, customers, opens, closes).amount.to_numpy()
        if "orders" in tables
        else 0
    )


def find_last_day(tables: Tables, study: Study, snapshot: date) -> date:
    """Return where a holdout ends: with the data, at most the span of value after the snapshot."""
    return min(find_data_end(tables, study), snapshot + timedelta(days=study.economics.value_days))

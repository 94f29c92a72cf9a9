"""RFM: who bought lately (recency), often (frequency) and for much (monetary), in quintile scores
and named segments.

The scores compare customers with one another at one snapshot; they describe and don't predict.
"""

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from research.data.contracts import CONTRACTS, Tables
from research.evaluation.intervals import wilson
from research.panel.spells import find_spells, is_purchase, net_amount
from research.panel.windows import KEYS, join
from research.study import Study

WINDOW_DAYS = 365
MEASURES = {"orders": "purchases", "usage": "uses"}
SCORES = [
    "customer_id",
    "recency_days",
    "frequency_days",
    "monetary",
    "r_score",
    "f_score",
    "m_score",
    "segment",
    "measured",
]
TEXTS = ("customer_id", "segment", "measured")
TABLE = [
    "segment",
    "customers",
    "share",
    "low",
    "high",
    "recency_days",
    "frequency_days",
    "monetary",
    "unit",
    "monetary_share",
    "measured",
]
# a table whose newest row of all customers is older than this has stopped: nobody's recency says
# anything
SILENT_DAYS = 90
# the grid: least R, least mean of F and M, name; the first line that fits names the customer
GRID = (
    (4, 4.0, "champions"),
    (4, 2.5, "promising"),
    (4, 0.0, "new or rare"),
    (3, 4.0, "loyal"),
    (3, 2.5, "needs attention"),
    (3, 0.0, "about to sleep"),
    (1, 2.5, "at risk"),
    (1, 0.0, "hibernating"),
)
SEGMENTS = tuple(name for *_, name in GRID)


def find_customers(evidence: Tables, study: Study) -> ir.Table:
    """Return who is a customer at each snapshot: under cover by a contract, or not gone (see
    ``spells.find_spells``).

    Returns
    -------
    table with columns snapshot, customer_id
        One row per snapshot and customer.
    """
    spells = find_spells(evidence, study)
    return (
        spells.filter(spells.ended.isnull())
        .select(KEYS)
        .distinct()
        .semi_join(evidence["customers"], KEYS)
    )


def find_measure(evidence: Tables) -> tuple[str | None, str]:
    """Return the table that R and F are measured on, orders where the study has them, else usage;
    or None, with the reason.
    """
    ages = {name: _find_silence(evidence[name], name) for name in MEASURES if name in evidence}
    alive = [name for name, age in ages.items() if age <= SILENT_DAYS]
    if alive:
        return alive[0], ""
    stopped = " and ".join(
        (
            f"the last row of {name} is {age:,.0f} days old"
            if np.isfinite(age)
            else f"{name} has no row yet"
        )
        for name, age in ages.items()
    )
    return None, f"not applicable: {stopped or 'RFM needs the table orders or usage'}"


def _find_silence(events: ir.Table, name: str) -> float:
    days = events.agg(age=_age(events, name).min()).to_pandas().age.iloc[0]
    return np.inf if pd.isna(days) else float(days)


def _age(events: ir.Table, name: str) -> ir.Value:
    return events.snapshot.delta(events[CONTRACTS[name].dated].truncate("D"), unit="day")


def score_rfm(evidence: Tables, study: Study) -> pd.DataFrame:
    """Score everybody who is a customer at one snapshot.

    Parameters
    ----------
    evidence : of one snapshot, see ``snapshots.cut_evidence``
    study : a contractual or non-contractual study

    Returns
    -------
    DataFrame with columns customer_id, recency_days, frequency_days, monetary, r_score, f_score,
    m_score, segment, measured
        One row per customer, in the order of customers. ``recency_days``: days since the last
        purchase, empty where there was none; ``frequency_days``: days with a purchase in the last
        365 days; ``monetary``: the sum of all order lines of the last 365 days, returns included,
        in the study's currency. Scores run from 1 to 5 (best), see ``score_quintiles``; the
        segments are those of ``GRID``. Without orders R and F are of usage and M is empty
        (``measured`` is "uses"); without either, or where they have stopped, the frame has no rows,
        and ``find_measure`` says why.

    References
    ----------
    Hughes, A. M. (1994). Strategic Database Marketing, Probus: quintile scores. Fader, P. S.,
    Hardie, B. G. S. and Lee, K. L. (2005). doi:10.1509/jmkr.2005.42.4.415: what recency, frequency
    and monetary value tell together.
    """
    name, _ = find_measure(evidence)
    if name is None:
        return pd.DataFrame(
            {column: pd.Series(dtype=object if column in TEXTS else float) for column in SCORES}
        )
    frame = _measure(evidence, study, name).order_by(KEYS).to_pandas()
    _require_one_snapshot(frame)
    frame["monetary"] = frame.monetary.astype(float)
    frame["r_score"] = score_quintiles(-frame.recency_days.fillna(np.inf))
    frame["f_score"] = score_quintiles(frame.frequency_days)
    frame["m_score"] = score_quintiles(frame.monetary) if name == "orders" else np.nan
    return frame.assign(
        segment=name_segments(frame.r_score, frame.f_score, frame.m_score), measured=MEASURES[name]
    )[SCORES]


def _measure(evidence: Tables, study: Study, name: str) -> ir.Table:
    events = evidence[name]
    events = events.mutate(age=_age(events, name))
    real = is_purchase(events) if name == "orders" else ibis.literal(True)
    recent = events.age < WINDOW_DAYS
    spent = (
        net_amount(events).sum(where=recent).round(6) if name == "orders" else ibis.null("float64")
    )
    sums = events.group_by(KEYS).agg(
        recency_days=events.age.min(where=real),
        frequency_days=events.age.nunique(where=real & recent),
        monetary=spent,
    )
    customers = join(find_customers(evidence, study), sums)
    return customers.fill_null(
        {"frequency_days": 0} | ({"monetary": 0.0} if name == "orders" else {})
    )


def _require_one_snapshot(frame: pd.DataFrame) -> None:
    if frame.snapshot.nunique() > 1:
        raise ValueError(
            f"expected evidence at one snapshot, got {frame.snapshot.nunique()}; cut the"
            " evidence at one day"
        )


def score_quintiles(values: pd.Series) -> pd.Series:
    """Return scores from 1 to 5, 5 for the highest fifth.

    Equal values get the same score: that of the quintile in which the middle of their ranks lies.
    So the half of all customers who bought once share the score 2 (their middle is at 25 %), and
    values that are all equal score 3. Without ties every score holds a fifth.
    """
    middle = (2 * values.rank(method="average")).astype(
        "int64"
    )  # twice the mean rank is whole, so no rounding moves a border
    return 5 * (middle - 1) // (2 * max(len(values), 1)) + 1


def name_segments(r_score: pd.Series, f_score: pd.Series, m_score: pd.Series) -> pd.Series:
    """Return each customer's segment by the grid of R and the mean of F and M; of F alone where M
    is not measured.
    """
    worth = pd.concat([f_score, m_score], axis=1).astype(float).mean(axis=1)
    fits = [(r_score >= least_r) & (worth >= least_worth) for least_r, least_worth, _ in GRID]
    return pd.Series(np.select(fits, SEGMENTS, default=SEGMENTS[-1]), index=r_score.index)


def tabulate_rfm(scores: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return the segments' sizes and medians, in the order of the grid; segments without customers
    are left out.

    Parameters
    ----------
    scores : see ``score_rfm``

    Returns
    -------
    DataFrame with columns segment, customers, share, low, high, recency_days, frequency_days,
    monetary, unit, monetary_share, measured
        ``low`` and ``high`` are Wilson's 95 % interval of the share; ``recency_days``,
        ``frequency_days`` and ``monetary`` are medians, the last in ``unit``; ``monetary_share`` is
        the segment's part of the sum over all customers, empty where that isn't positive.
        ``measured`` says whether days are of purchases or of uses.
    """
    grouped = scores.groupby("segment")
    table = grouped[["recency_days", "frequency_days", "monetary"]].median()
    table.insert(0, "customers", grouped.size())
    total = scores.monetary.sum()
    table["monetary_share"] = grouped.monetary.sum() / total if total > 0 else np.nan
    table = (
        table.reindex([name for name in SEGMENTS if name in table.index])
        .rename_axis("segment")
        .reset_index()
    )
    table = add_shares(table)
    measured = scores.measured.iloc[0] if len(scores) else ""
    table["unit"] = study.economics.currency if measured == MEASURES["orders"] else "not measured"
    return table.assign(measured=measured)[TABLE]


def add_shares(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with each row's share of all customers and its Wilson interval."""
    total = max(table.customers.sum(), 1)
    share = table.customers / total
    low, high = wilson(share, total)
    return table.assign(share=share, low=low, high=high)

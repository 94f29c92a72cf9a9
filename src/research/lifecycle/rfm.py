"""RFM: recency, frequency and monetary value of customers, in quintile scores and named segments.

The scores compare customers with one another at one snapshot; they describe and don't predict.
"""

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from research.data.contracts import CONTRACTS, Tables
from research.evaluation.intervals import wilson_interval
from research.panel.spells import find_spells, has_amounts, is_purchase, net_amount
from research.panel.windows import KEYS, join
from research.study import Study

WINDOW_DAYS = 365
MEASURES = {"orders": "purchases", "usage": "uses"}  # what R and F count, by table
TEXT_COLUMNS = ("customer_id", "segment", "measured")
SCORE_COLUMNS = ["customer_id", "recency_days", "frequency_days", "monetary"]
SCORE_COLUMNS += ["r_score", "f_score", "m_score", "segment", "measured"]
RFM_COLUMNS = ["segment", "customers", "share", "low", "high", "recency_days", "frequency_days"]
RFM_COLUMNS += ["monetary", "unit", "monetary_share", "measured"]
# a table whose newest row of all customers is older than this has stopped: nobody's recency means
# anything
STALE_DAYS = 90
# least R, least mean of F and M, segment; a customer is in the first segment that fits
SEGMENT_RULES = (
    (4, 4.0, "champions"),
    (4, 2.5, "promising"),
    (4, 0.0, "new or rare"),
    (3, 4.0, "loyal"),
    (3, 2.5, "needs attention"),
    (3, 0.0, "about to sleep"),
    (1, 2.5, "at risk"),
    (1, 0.0, "hibernating"),
)
SEGMENTS = tuple(name for *_, name in SEGMENT_RULES)


def find_customers(evidence: Tables, study: Study) -> ir.Table:
    """Return who is a customer at each snapshot: whose spell has not ended, see ``find_spells``.

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


def find_measured_table(evidence: Tables) -> str | None:
    """Return the table that R and F are measured on: orders, else usage, unless it is stale."""
    ages = _find_ages(evidence)
    return next((name for name, age in ages.items() if age <= STALE_DAYS), None)


def explain_unmeasured(evidence: Tables) -> str:
    """Return why RFM is not measured; empty where it is."""
    if find_measured_table(evidence):
        return ""
    stopped = " and ".join(
        f"the last row of {name} is {age:,.0f} days old"
        if np.isfinite(age)
        else f"{name} has no row yet"
        for name, age in _find_ages(evidence).items()
    )
    return f"not applicable: {stopped or 'RFM needs the table orders or usage'}"


def _find_ages(evidence: Tables) -> dict[str, float]:
    """Return the age in days of the newest row of each table, infinite without a row."""
    ages = {}
    for name in (name for name in MEASURES if name in evidence):
        events = evidence[name]
        age = events.agg(age=_age(events, name).min()).to_pandas().age.iloc[0]
        ages[name] = np.inf if pd.isna(age) else float(age)
    return ages


def _age(events: ir.Table, name: str) -> ir.Value:
    return events.snapshot.delta(events[CONTRACTS[name].dated].truncate("D"), unit="day")


def score_rfm(evidence: Tables, study: Study) -> pd.DataFrame:
    """Score everybody who is a customer at one snapshot.

    Parameters
    ----------
    evidence : of one snapshot, see ``snapshots.evidence_as_of``
    study : a contractual or non-contractual study

    Returns
    -------
    DataFrame with columns customer_id, recency_days, frequency_days, monetary, r_score, f_score,
    m_score, segment, measured
        One row per customer, in the order of customers. ``recency_days``: days since the last
        purchase, empty where there was none; ``frequency_days``: days with a purchase in the last
        365 days; ``monetary``: the sum of all order lines of the last 365 days, returns included,
        in the study's currency. Scores run from 1 to 5 (best), see ``score_quintiles``; the
        segments are those of ``SEGMENT_RULES``. Without orders R and F are of usage and M is empty
        (``measured`` is "uses"); without either, or where they have stopped, the frame has no rows,
        and ``explain_unmeasured`` gives the reason.

    References
    ----------
    Hughes, A. M. (1994). Strategic Database Marketing, Probus: quintile scores. Fader, P. S.,
    Hardie, B. G. S. and Lee, K. L. (2005). doi:10.1509/jmkr.2005.42.4.415: what recency, frequency
    and monetary value predict together.
    """
    name = find_measured_table(evidence)
    if name is None:
        kinds = {name: object if name in TEXT_COLUMNS else float for name in SCORE_COLUMNS}
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
    frame = _measure(evidence, study, name).order_by(KEYS).to_pandas()
    _require_one_snapshot(frame)
    frame["monetary"] = frame.monetary.astype(float)
    frame["r_score"] = score_quintiles(-frame.recency_days.fillna(np.inf))
    frame["f_score"] = score_quintiles(frame.frequency_days)
    spent = name == "orders" and has_amounts(evidence)
    frame["m_score"] = score_quintiles(frame.monetary) if spent else np.nan
    segment = name_segments(frame.r_score, frame.f_score, frame.m_score)
    return frame.assign(segment=segment, measured=MEASURES[name])[SCORE_COLUMNS]


def _measure(evidence: Tables, study: Study, name: str) -> ir.Table:
    events = evidence[name]
    events = events.mutate(age=_age(events, name))
    recent, counted, spent = events.age < WINDOW_DAYS, ibis.literal(True), ibis.null("float64")
    zeros = {"frequency_days": 0}
    if name == "orders":
        counted = is_purchase(events)
    if name == "orders" and has_amounts(evidence):
        spent, zeros["monetary"] = net_amount(events).sum(where=recent).round(6), 0.0
    sums = events.group_by(KEYS).agg(
        recency_days=events.age.min(where=counted),
        frequency_days=events.age.nunique(where=counted & recent),
        monetary=spent,
    )
    return join(find_customers(evidence, study), sums).fill_null(zeros)


def _require_one_snapshot(frame: pd.DataFrame) -> None:
    if frame.snapshot.nunique() > 1:
        raise ValueError(
            f"expected point-in-time data of one snapshot, got {frame.snapshot.nunique()}"
            " snapshots; pass those of one"
        )


def score_quintiles(values: pd.Series) -> pd.Series:
    """Return scores from 1 to 5, 5 for the highest fifth.

    Equal values get the same score: that of the quintile in which the middle of their ranks lies.
    So the half of all customers who bought once share the score 2 (their middle is at 25 %), and
    values that are all equal score 3. Without ties every score has a fifth of the values.
    """
    # twice the mean rank is whole, so no rounding moves a border
    middle = (2 * values.rank(method="average")).astype("int64")
    return 5 * (middle - 1) // (2 * max(len(values), 1)) + 1


def name_segments(r_score: pd.Series, f_score: pd.Series, m_score: pd.Series) -> pd.Series:
    """Return each customer's segment by ``SEGMENT_RULES``; of F alone where M is not measured."""
    mean_fm = pd.concat([f_score, m_score], axis=1).astype(float).mean(axis=1)
    fits = [(r_score >= r) & (mean_fm >= fm) for r, fm, _ in SEGMENT_RULES]
    return pd.Series(np.select(fits, SEGMENTS, default=SEGMENTS[-1]), index=r_score.index)


def tabulate_rfm(scores: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return sizes and medians of the segments that have customers, in the order of the rules.

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
    occurring = [name for name in SEGMENTS if name in table.index]
    table = add_shares(table.reindex(occurring).rename_axis("segment").reset_index())
    measured = scores.measured.iloc[0] if len(scores) else ""
    spent = measured == MEASURES["orders"] and scores.monetary.notna().any()
    table["unit"] = study.economics.currency if spent else "not measured"
    return table.assign(measured=measured)[RFM_COLUMNS]


def add_shares(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with each row's share of all customers and its Wilson interval."""
    total = max(table.customers.sum(), 1)
    share = table.customers / total
    low, high = wilson_interval(share, total)
    return table.assign(share=share, low=low, high=high)

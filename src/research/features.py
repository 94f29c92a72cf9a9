"""Features: one row per snapshot and customer, made from cut evidence only.

No function here takes an uncut table, so a feature cannot see past its snapshot. A count of what never happened is 0; the days since
something that never happened are empty.
"""

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd

from research.contracts import CONTRACTS
from research.snapshots import Tables, label_panel
from research.spells import is_purchase, join_terms
from research.studies import Study, StudyError

WINDOWS = (30, 90, 365)
KEYS = ["snapshot", "customer_id"]
LABELS = ["churned", "left_in_lead", "duration_days", "event"]
FLAT_ROLES = ("customer_id", "churned", "duration", "event", "arm", "outcome", "value")


def load_panel(tables: Tables, study: Study, snapshots: Sequence[date], known_by: date | None = None) -> pd.DataFrame:
    """Return labels and features of every population member at every snapshot, in the order of snapshot and customer.

    Parameters
    ----------
    tables, study, snapshots, known_by : see ``snapshots.label_panel``

    Returns
    -------
    DataFrame with columns snapshot, customer_id, churned, left_in_lead, duration_days, event and the features
        One row per snapshot and customer.
    """
    evidence, labels = label_panel(tables, study, snapshots, known_by)
    return tidy(build_features(evidence, labels, study).order_by(KEYS).to_pandas())


def load_flat(tables: Tables, study: Study) -> pd.DataFrame:
    """Return the snapshot table of a flat study, in the order of customers; see ``list_features`` for what may enter a model."""
    return tidy(tables["snapshot"].order_by("customer_id").to_pandas())


def tidy(frame: pd.DataFrame) -> pd.DataFrame:
    """Give columns the types that models expect: numbers as float or integer, everything else as text, nothing as a date."""
    dates = [column for column in frame.select_dtypes(["datetime", "datetimetz"]) if column != "snapshot"]
    frame = frame.drop(columns=dates)
    texts = [column for column in frame if frame[column].dtype == object or isinstance(frame[column].dtype, pd.StringDtype)]
    return frame.astype(dict.fromkeys(texts, "object"))


def list_features(frame: pd.DataFrame, study: Study) -> list[str]:
    """Return the columns that may enter a model: no key, no label, no other role, nothing that the study calls sensitive."""
    closed = {*KEYS, *LABELS, *FLAT_ROLES, *study.sensitive}
    return [column for column in frame.columns if column not in closed]


def build_features(evidence: Tables, labels: ir.Table, study: Study) -> ir.Table:
    """Join every table's features to the labelled population.

    Parameters
    ----------
    evidence : dict of cut tables, see ``snapshots.cut_evidence``
    labels : table with columns snapshot, customer_id and the labels
    """
    blocks = [_attributes(evidence["customers"], study)]
    if "contracts" in evidence:
        blocks.append(_terms(evidence["contracts"]))
    blocks += [_activity(evidence[name], name) for name in ("orders", "usage", "contacts", "feedback", "referrals", "campaigns") if name in evidence]
    features = labels
    for block in blocks:
        _require_new_names(features, block)
        features = features.left_join(block, KEYS).drop("snapshot_right", "customer_id_right")
    counts = [column for block in blocks[1:] for column in block.columns if column.startswith(("n_", "sum_"))]
    return features.fill_null(dict.fromkeys(counts, 0))


def _require_new_names(features: ir.Table, block: ir.Table) -> None:
    taken = [column for column in block.columns if column in features.columns and column not in KEYS]
    if taken:
        raise StudyError(
            f"table customers: required attributes named unlike the features of other tables, arrived {', '.join(taken)}; rename them in customers.sql"
        )


def _age(table: ir.Table, column: str) -> ir.Value:
    """Return whole days from the event's day to the snapshot."""
    return table.snapshot.delta(table[column].truncate("D"), unit="day")


def _attributes(customers: ir.Table, study: Study) -> ir.Table:
    """Return tenure in days and the customer's own attributes; a date becomes the days since it, empty while it lies ahead."""
    attributes = [column for column in customers.columns if column not in {*KEYS, "joined_at", "known_at", *study.sensitive}]
    dates = [column for column in attributes if customers[column].type().is_timestamp() or customers[column].type().is_date()]
    customers = customers.cast(dict.fromkeys(dates, "timestamp(6)"))
    ages = {f"days_since_{column}": _age(customers, column) for column in dates}
    past = {name: (age >= 0).ifelse(age, ibis.null("int64")) for name, age in ages.items()}
    others = [column for column in attributes if column not in dates]
    return customers.select(*KEYS, *others, tenure_days=_age(customers, "joined_at"), **past)


def _terms(contracts: ir.Table) -> ir.Table:
    """Return the terms of the latest running contract, its age, how many contracts there were, and how often the customer had left and come back."""
    terms = [column for column in ("plan", "monthly_fee") if column in contracts.columns]
    running = contracts.ended_at.isnull() if "ended_at" in contracts.columns else ibis.literal(True)
    latest = {column: contracts[column].last(where=running, order_by=[contracts.started_at, contracts[column]]) for column in terms}
    running_now = contracts.group_by(KEYS).agg(**latest, contract_age_days=_age(contracts, "started_at").min(where=running), n_contracts=contracts.count())
    earlier = join_terms(contracts, KEYS).group_by(KEYS).agg(n_earlier_spells=lambda t: t.ended.notnull().cast("int64").sum())
    return running_now.join(earlier, KEYS)


def _activity(events: ir.Table, name: str) -> ir.Table:
    """Return counts over the windows, days since the first and the last event, and what the table's own columns tell.

    Of the order lines, only purchases are counted and dated; amounts are summed over all lines, returns included.
    """
    events = events.mutate(age=_age(events, CONTRACTS[name].dated))
    real = is_purchase(events) if name == "orders" else ibis.literal(True)
    counts = {f"n_{name}_{days}d": events.count(where=real & (events.age < days)) for days in WINDOWS}
    active = {f"n_{name}_days_{days}d": events.age.nunique(where=real & (events.age < days)) for days in WINDOWS} if name in ("orders", "usage") else {}
    ages = {f"days_since_last_{name}": events.age.min(where=real), f"days_since_first_{name}": events.age.max(where=real)}
    return events.group_by(KEYS).agg(**counts, **active, **ages, **_details(events, name))


def _details(events: ir.Table, name: str) -> dict[str, ir.Value]:
    columns = events.columns
    details: dict[str, ir.Value] = {}
    if name == "orders":
        details |= {f"sum_amount_{days}d": events.amount.sum(where=events.age < days).round(6) for days in WINDOWS}
        details |= {"n_returns_365d": events.count(where=~is_purchase(events) & (events.amount != 0) & (events.age < 365))}
    if name == "contacts" and "complaint" in columns:
        details |= {f"n_complaints_{days}d": events.count(where=events.complaint & (events.age < days)) for days in WINDOWS}
    if name == "contacts" and "resolved_at" in columns:
        details |= {"n_unresolved": events.count(where=events.resolved_at.isnull())}
    if name == "feedback" and "score" in columns:
        details |= {
            "mean_score_365d": events.score.mean(where=events.age < 365).round(6),
            "last_score": events.score.last(order_by=[events.given_at, events.score]),
        }
    return details

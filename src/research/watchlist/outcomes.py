"""What came of customers who were scored, joined beside the scores once their window has closed."""

from datetime import date

import ibis
import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end
from research.panel.labels import label_churn
from research.panel.periods import complete_labels
from research.panel.windows import KEYS
from research.study import Study
from research.watchlist.history import OUTCOMES, REPLAYED, SENT, History
from research.watchlist.model_store import hash_inputs

COLUMNS = [*KEYS, "churned", "left_in_lead", "duration_days", "event", "in_data", "known_by"]


def append_outcomes(tables: Tables, study: Study, history: History) -> list[str]:
    """Append the outcomes of each scored day whose label window has closed since, once.

    Returns
    -------
    list of str
        One sentence for each day that was added.
    """
    known = {entry.snapshot for entry in history.find(OUTCOMES)}
    scored = {entry.snapshot for kind in (SENT, REPLAYED) for entry in history.find(kind)}
    end = find_data_end(tables, study)
    days = [date.fromisoformat(day) for day in sorted(scored - known)]
    return [
        _append_one(tables, study, history, day, end)
        for day in days
        if complete_labels(study.churn, day) <= end
    ]


def _append_one(tables: Tables, study: Study, history: History, day: date, end: date) -> str:
    parts = [history.read(kind, day) for kind in (SENT, REPLAYED)]
    people = pd.concat([part[KEYS] for part in parts if len(part)]).drop_duplicates()
    rows = find_outcomes(tables, study, people).assign(known_by=pd.Timestamp(end))
    history.append(OUTCOMES, day, rows[COLUMNS], hash_inputs(study, OUTCOMES, day))
    left = int((rows.churned | rows.left_in_lead).sum())
    gone = int((~rows.in_data).sum())
    lost = f"; {gone:,} are no longer in the data, and have no outcome" if gone else ""
    return f"outcomes of {day} joined: {left:,} of {len(rows):,} scored then have left{lost}"


def find_outcomes(tables: Tables, study: Study, people: pd.DataFrame) -> pd.DataFrame:
    """Return what came of customers who were scored on a day.

    Parameters
    ----------
    people : columns snapshot, customer_id

    Returns
    -------
    DataFrame with columns snapshot, customer_id, churned, left_in_lead, duration_days, event,
    in_data
        A customer of whom the data know no longer has no outcome: ``in_data`` is false.
    """
    keys = ibis.memtable(people.astype({"snapshot": "datetime64[us]"}))
    labels = label_churn(tables, keys, study).to_pandas()
    labels = labels.drop_duplicates("customer_id").set_index("customer_id")
    present = {*tables["customers"].select("customer_id").to_pandas().customer_id}
    known = people.customer_id.isin(present) & people.customer_id.isin(labels.index)
    rows = people.assign(in_data=known.to_numpy()).reset_index(drop=True)
    for name in ("churned", "left_in_lead", "duration_days", "event"):
        rows[name] = rows.customer_id.map(labels[name]).where(rows.in_data)
    kinds = {"churned": "boolean", "left_in_lead": "boolean", "event": "boolean"}
    return rows.astype(kinds)


def read_outcomes(history: History, kind: str) -> pd.DataFrame:
    """Return scores of one kind with the outcomes that have matured, side by side."""
    scores, outcomes = history.read(kind), history.read(OUTCOMES)
    if scores.empty or outcomes.empty:
        return pd.DataFrame()
    return scores.merge(outcomes.drop(columns="known_by"), on=KEYS, how="inner")

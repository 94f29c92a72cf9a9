"""The list in files for those who work with it: spreadsheet, Parquet, JSON for a CRM, assignments.

They are made anew from what the history holds, each by rename, so that a reader sees whole files.
"""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from research.files import publish
from research.reporting.spreadsheets import write_csv
from research.study import Study
from research.watchlist.history import ASSIGNED, History
from research.watchlist.holdout import ASSIGNMENTS
from research.watchlist.listing import COLUMN_WORDS

LISTED_COLUMNS = [*COLUMN_WORDS]
DIGITS = 4  # of shares and money in the files; the history has all


def locate_exports(history: History, kind: str, day: date) -> Path:
    """Return the folder of the files of one list."""
    return history.folder / "exports" / f"{kind}-{day}"


def export_list(history: History, kind: str, day: date, study: Study) -> Path:
    """Write the files of one list, and return their folder.

    ``watchlist.csv`` (no text in it is run as a formula) and ``.parquet``: one row per customer
    listed; ``campaigns.csv`` and ``.parquet``: who was drawn for which arm, in the form of a
    ``campaigns`` table; ``run.json``: the list with its day, model and playbook, for a program.
    """
    rows, folder = history.read(kind, day), locate_exports(history, kind, day)
    folder.mkdir(parents=True, exist_ok=True)
    listed = rows[rows["rank"].notna()].sort_values("rank", ignore_index=True)
    table = listed.reindex(columns=LISTED_COLUMNS).round(DIGITS)
    _write_both(table, folder / "watchlist")
    assigned = history.read(ASSIGNED, day) if kind != "replayed" else pd.DataFrame()
    if len(assigned):
        _write_both(assigned[ASSIGNMENTS], folder / "campaigns")
    text = json.dumps(_describe_run(listed, table, kind, day, study), indent=1, ensure_ascii=False)
    publish(folder / "run.json", lambda path: path.write_text(text + "\n", encoding="utf-8"))
    return folder


def _write_both(table: pd.DataFrame, stem: Path) -> None:
    publish(stem.with_suffix(".csv"), lambda path: write_csv(table, path))
    publish(stem.with_suffix(".parquet"), lambda path: table.to_parquet(path, index=False))


def _describe_run(
    listed: pd.DataFrame, table: pd.DataFrame, kind: str, day: date, study: Study
) -> dict[str, Any]:
    first = listed.iloc[0] if len(listed) else {}
    return {
        "study": study.name,
        "day": str(day),
        "kind": kind,
        "currency": study.economics.currency,
        "model": first.get("model", ""),
        "playbook": first.get("playbook", ""),
        "columns": COLUMN_WORDS,
        "customers": json.loads(table.to_json(orient="records", date_format="iso")),
    }

"""A small contractual company written in days before its last day."""

import pandas as pd

from research.data import load
from research.features import stage
from research.panel.evidence import evidence_as_of

LAST = pd.Timestamp("2024-06-30")


def ago(days: int) -> pd.Timestamp:
    return LAST - pd.Timedelta(days=days)


def write_company(
    write_study, spells: list[tuple], uses: dict[str, list[int]] | None = None, **changes
):
    """Write a contractual study: spells (customer, started days ago, ended days ago or None) and
    uses in days ago.
    """
    contracts = pd.DataFrame(
        [(name, ago(start), pd.NaT if end is None else ago(end)) for name, start, end in spells],
        columns=["customer_id", "started_at", "ended_at"],
    ).astype({"ended_at": "datetime64[us]"})
    joined = (
        contracts.groupby("customer_id", as_index=False)
        .started_at.min()
        .rename(columns={"started_at": "joined_at"})
    )
    usage = pd.DataFrame(
        [(name, ago(day)) for name, days in (uses or {}).items() for day in days],
        columns=["customer_id", "used_at"],
    )
    tables = {"customers": joined, "contracts": contracts} | ({"usage": usage} if uses else {})
    return write_study(
        tables=tables,
        data_end="2024-06-30",
        snapshots={"last": "2024-05-31", "train": 1, "test": 1},
        **changes,
    )


def write_moving_company(write_study):
    """Three customers at four snapshots 30 days apart, 90 to 0 days ago.

    a: introduction until 89 days old: I I M M; b joins 45 days ago: - - I I; c: M M G G (left 40
    days ago).
    """
    study = write_company(write_study, [("a", 120, None), ("b", 45, None), ("c", 400, 40)])
    days = [ago(days).date() for days in (90, 60, 30, 0)]
    return study, stage.assign_stages(evidence_as_of(load.load_tables(study), days), study)

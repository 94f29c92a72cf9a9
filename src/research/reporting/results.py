"""Result tables: what a notebook finds, left as named tables of its run."""

import os
from pathlib import Path

import pandas as pd


def save_table(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Leave ``table`` as ``<name>.csv`` and ``<name>.parquet`` among the tables of the run, and
    return it.

    A batch names the folder in the environment variable RESEARCH_TABLES. In an interactive
    notebook, where it is not set, nothing is written: the table is at hand.
    """
    folder = os.environ.get("RESEARCH_TABLES")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        table.to_csv(Path(folder) / f"{name}.csv", index=False)
        table.to_parquet(Path(folder) / f"{name}.parquet", index=False)
    return table

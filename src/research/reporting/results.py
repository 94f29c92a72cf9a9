"""Results of a notebook: tables saved with its run, and sentences shown below its cells."""

import os
from pathlib import Path

import pandas as pd
from IPython.display import Markdown

from research.reporting.spreadsheets import write_csv


def save_table(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Write ``<name>.csv`` and ``<name>.parquet`` to the tables of the run; return the table.

    In the CSV, texts that a spreadsheet would run begin with an apostrophe; Parquet has them as
    they are.

    A batch names the folder in the environment variable RESEARCH_TABLES. In an interactive
    notebook, where it is not set, nothing is written; neither is a table without columns, as of a
    step that does not apply.
    """
    folder = os.environ.get("RESEARCH_TABLES")
    if folder and len(table.columns):
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_csv(table, Path(folder) / f"{name}.csv")
        table.to_parquet(Path(folder) / f"{name}.parquet", index=False)
    return table


def concat_tables(tables: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """Return tables below one another; of none an empty one with the given columns."""
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def text(*sentences: str) -> Markdown | None:
    """Return the sentences that are not empty as paragraphs; None, which shows nothing, if all are.

    Parameters
    ----------
    sentences : Markdown, each shown as a paragraph of its own
    """
    paragraphs = [sentence for sentence in sentences if sentence]
    return Markdown("\n\n".join(paragraphs)) if paragraphs else None

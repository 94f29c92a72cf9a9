"""What the tests of contract tables share: two customers, their contracts, and how they load."""

import ibis
import pandas as pd

from research.data import contracts, load


def days(*texts: str | None) -> pd.Series:
    """Return times in microseconds."""
    return pd.Series(pd.to_datetime(texts, format="ISO8601")).astype("datetime64[us]")


def customers(**changes) -> pd.DataFrame:
    """Return two customers."""
    return pd.DataFrame(
        {"customer_id": ["a", "b"], "joined_at": days("2023-01-01", "2023-02-01")} | changes
    )


def running(**changes) -> pd.DataFrame:
    """Return a contract for each of them, of which one has ended."""
    return pd.DataFrame(
        {
            "customer_id": ["a", "b"],
            "started_at": days("2023-01-01", "2023-02-01"),
            "ended_at": days("2024-07-10", None),
        }
        | changes
    )


def register(backend, **frames: pd.DataFrame) -> dict[str, ibis.Table]:
    """Return the tables of frames, in the types of the contract tables."""
    for name, frame in frames.items():
        backend.con.register(f"raw_{name}", frame)
    return {
        name: backend.create_table(name, contracts.conform(backend.table(f"raw_{name}"), name))
        for name in frames
    }


def adapted(write_study, sql: str, frame: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the customers that a study's SQL gives, once all checks passed."""
    study = write_study(
        "flat",
        tables={
            "snapshot": pd.DataFrame({"customer_id": ["a"], "churned": [True]}),
            "customers": frame if frame is not None else customers(),
        },
    )
    (study.folder / "customers.sql").write_text(sql)
    return load.load_tables(study)["customers"].order_by("customer_id").execute()

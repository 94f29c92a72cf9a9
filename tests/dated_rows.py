"""Rows of contracts and orders by their dates, and small companies of them."""

import numpy as np
import pandas as pd

from research.data import load


def days(*texts: str) -> list[pd.Timestamp]:
    """Return times."""
    return [pd.Timestamp(text) for text in texts]


def customers(*names: str, joined: str = "2023-01-01") -> pd.DataFrame:
    """Return customers without attributes."""
    return pd.DataFrame({"customer_id": names, "joined_at": days(joined) * len(names)})


def contract(customer: str, started: str, ended: str | None, **more) -> pd.DataFrame:
    """Return one contract term."""
    return pd.DataFrame(
        {
            "customer_id": [customer],
            "started_at": days(started),
            "ended_at": [pd.Timestamp(ended) if ended else pd.NaT],
            **more,
        }
    )


def order(customer: str, *ordered: str, amount: float = 10.0) -> pd.DataFrame:
    """Return orders of one customer."""
    return pd.DataFrame({"customer_id": customer, "ordered_at": days(*ordered), "amount": amount})


def random_company(write_study, seed: int, **changes):
    """Return a contractual study of 60 customers, and its tables."""
    rng = np.random.default_rng(seed)
    ids = [f"c{i}" for i in range(60)]
    started = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 150, 60), unit="D")
    ended = started + pd.to_timedelta(rng.integers(5, 300, 60), unit="D")
    table = pd.DataFrame(
        {"customer_id": ids, "started_at": started, "ended_at": ended.where(ended < "2024-12-31")}
    )
    study = write_study(
        "contractual", tables={"customers": customers(*ids), "contracts": table}, **changes
    )
    return study, load.load_tables(study)


def company_with_gaps(write_study):
    """Return a study with ten days of grace, and its tables: late renews after 7 days, back after
    60, gone never. A day earns 1.
    """
    rows = pd.concat(
        [
            contract("late", "2024-01-01", "2024-03-01", monthly_fee=30.4375),
            contract("late", "2024-03-08", None, monthly_fee=30.4375),
            contract("gone", "2024-01-01", "2024-03-01", monthly_fee=30.4375, end_reason="price"),
            contract("back", "2024-01-01", "2024-02-01", monthly_fee=30.4375),
            contract("back", "2024-04-01", None, monthly_fee=30.4375),
        ],
        ignore_index=True,
    )
    people = customers("late", "gone", "back", joined="2024-01-01")
    churn = {"horizon_days": 30, "lead_days": 0, "grace_days": 10}
    study = write_study("contractual", tables={"customers": people, "contracts": rows}, churn=churn)
    return study, load.load_tables(study)

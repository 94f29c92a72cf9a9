"""Small companies for the tests of features: tables of contracts and events drawn at random."""

from datetime import date

import numpy as np
import pandas as pd

T = date(2024, 6, 30)


def company(seed: int = 0, people: int = 40) -> dict[str, pd.DataFrame]:
    """A company with every kind of event before and after the snapshot."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"c{i:02d}" for i in range(people)])

    def when(rows: int) -> pd.DatetimeIndex:
        return pd.Timestamp("2024-01-01") + pd.to_timedelta(
            rng.integers(0, 365 * 24, rows), unit="h"
        )

    def rows(count: int, column: str) -> dict:
        return {"customer_id": rng.choice(ids, count), column: when(count)}

    contacts = pd.DataFrame(rows(150, "contacted_at") | {"complaint": rng.random(150) < 0.3})
    return {
        "customers": pd.DataFrame(
            {
                "customer_id": ids,
                "joined_at": pd.Timestamp("2023-05-01"),
                "region": rng.choice(["north", "south"], people),
            }
        ),
        "contracts": pd.DataFrame(
            {
                "customer_id": ids,
                "started_at": pd.Timestamp("2024-01-01"),
                "ended_at": when(people),
                "monthly_fee": 10.0,
                "plan": "basic",
            }
        ),
        "orders": pd.DataFrame(
            rows(300, "ordered_at") | {"amount": rng.normal(20, 15, 300).round(2)}
        ),
        "usage": pd.DataFrame(rows(600, "used_at")),
        "contacts": contacts.assign(
            resolved_at=contacts.contacted_at + pd.to_timedelta(rng.integers(1, 40, 150), unit="D")
        ),
        "feedback": pd.DataFrame(
            rows(100, "given_at") | {"score": rng.integers(1, 6, 100).astype(float)}
        ),
    }


def customers(n: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Return customers with a column that predicts churn, and two that don't."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=n)
    churned = rng.random(n) < 1 / (1 + np.exp(2 - 1.2 * signal))
    return pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "churned": churned,
            "signal": signal,
            "noise": rng.normal(size=n),
            "plan": rng.choice(["a", "b"], n),
        }
    )

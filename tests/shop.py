"""A shop whose customers buy 16 products, with or without pairs that go together."""

from datetime import date

import numpy as np
import pandas as pd

from research.data import load

T = date(2024, 6, 30)


def write_shop(write_study, orders: pd.DataFrame, **changes):
    people = pd.DataFrame(
        {"customer_id": orders.customer_id.unique(), "joined_at": pd.Timestamp("2024-01-01")}
    )
    study = write_study(
        "non_contractual",
        tables={"customers": people, "orders": orders.astype({"ordered_at": "datetime64[us]"})},
        **changes,
    )
    return study, load.load_tables(study)


def draw_shop(pairs: bool, seed: int = 0, n: int = 1500) -> pd.DataFrame:
    """Customers who buy 16 products of different popularity.

    With ``pairs``, half of the later purchases are the neighbour of an earlier one.
    """
    rng, rows = np.random.default_rng(seed), []
    share = np.linspace(2, 1, 16) / np.linspace(2, 1, 16).sum()
    first = rng.choice(16, (n, 2), p=share)
    later = rng.choice(16, (n, 2), p=share)
    if pairs:
        later = np.where(rng.random((n, 2)) < 0.5, first ^ 1, later)
    for day, products in (
        ("2024-02-01", first[:, 0]),
        ("2024-04-15", first[:, 1]),
        ("2024-06-20", later[:, 0]),
        ("2024-07-10", later[:, 1]),
    ):
        rows.append(
            pd.DataFrame(
                {
                    "customer_id": [f"c{i:04d}" for i in range(n)],
                    "ordered_at": day,
                    "amount": 5.0,
                    "product": [f"p{i:02d}" for i in products],
                }
            )
        )
    return pd.concat(rows, ignore_index=True)

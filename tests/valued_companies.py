"""Studies whose customers can be valued: contracts, buyers and one flat table."""

from datetime import date

import numpy as np
import pandas as pd

from research.data import load
from research.study import Study

T = date(2024, 6, 30)
TERMS = {
    "currency": "EUR",
    "capacity": 5,
    "margin_share": 0.5,
    "fee_margin_share": 0.8,
    "discount_rate": 0.1,
    "value_days": 90,
}


def draw_contracts(n: int = 900, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Contracts of a monthly fee of 30.4375 whose hazard depends on the plan, and add-ons."""
    rng = np.random.default_rng(seed)
    joined = pd.Timestamp("2023-06-01") + pd.to_timedelta(rng.integers(0, 500, n), unit="D")
    plan = rng.choice(["loose", "bound"], n)
    lasts = np.ceil(rng.exponential(np.where(plan == "loose", 150, 900)))
    ended = (
        (joined + pd.to_timedelta(lasts, unit="D"))
        .to_series()
        .where(lambda day: day <= pd.Timestamp("2024-12-31"))
        .to_numpy()
    )
    ids = [f"c{i:04d}" for i in range(n)]
    people = pd.DataFrame(
        {"customer_id": ids, "joined_at": joined, "town": rng.choice(["x", "y"], n)}
    )
    contracts = pd.DataFrame(
        {
            "customer_id": ids,
            "started_at": joined,
            "ended_at": ended,
            "plan": plan,
            "monthly_fee": 30.4375,
        }
    )
    return {"customers": people, "contracts": contracts}


def write_contracts(
    write_study, tables: dict, name: str = "tiny", experiment: dict | None = None, **economics
) -> tuple[Study, dict]:
    study = write_study(
        "contractual",
        name=name,
        tables=tables,
        economics=TERMS | economics,
        experiment=experiment or {},
        churn={"horizon_days": 30, "lead_days": 0},
        data_start="2023-06-01",
    )
    return study, load.load_tables(study)


def draw_orders(n: int = 400, seed: int = 0) -> pd.DataFrame:
    rng, rows = np.random.default_rng(seed), []
    for number in range(n):
        first, rate = (
            pd.Timestamp("2024-01-01") + pd.Timedelta(days=int(rng.integers(0, 90))),
            rng.gamma(0.8, 0.03),
        )
        days = np.cumsum(1 + rng.exponential(1 / rate, 40))
        end = rng.exponential(250)
        times = [first, *(first + pd.to_timedelta(np.floor(days[days < end]), unit="D"))]
        rows += [
            (f"b{number:03d}", day, float(rng.gamma(4, 5)))
            for day in times
            if day < pd.Timestamp("2025-01-01")
        ]
    return pd.DataFrame(rows, columns=["customer_id", "ordered_at", "amount"]).astype(
        {"ordered_at": "datetime64[us]"}
    )


def write_orders(write_study, orders: pd.DataFrame, **economics) -> tuple[Study, dict]:
    people = pd.DataFrame(
        {"customer_id": orders.customer_id.unique(), "joined_at": pd.Timestamp("2024-01-01")}
    )
    study = write_study(
        "non_contractual",
        tables={"customers": people, "orders": orders},
        economics=TERMS | economics,
    )
    return study, load.load_tables(study)


def write_flat(write_study, n: int = 600, **changes) -> tuple[Study, dict]:
    rng = np.random.default_rng(0)
    plan = rng.choice(["loose", "bound"], n)
    lasts, censored = rng.exponential(np.where(plan == "loose", 10, 80)), rng.uniform(0, 60, n)
    frame = pd.DataFrame(
        {
            "customer_id": [f"f{i}" for i in range(n)],
            "churned": lasts <= censored,
            "duration": np.ceil(np.minimum(lasts, censored)),
            "plan": plan,
        }
    )
    frame["fee"] = 10.0
    economics = TERMS | {"fee_column": "fee", "value_days": 365} | changes
    study = write_study(
        "flat", tables={"snapshot": frame}, economics=economics, duration_unit="months"
    )
    return study, load.load_tables(study)

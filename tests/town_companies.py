"""Companies whose leavers a column knows, for the tests of kept models and scores."""

from datetime import date

import numpy as np
import pandas as pd

from research.data import load
from research.study import Study

START, END = pd.Timestamp("2023-06-01"), pd.Timestamp("2024-12-31")
DAY = date(2024, 12, 31)
CHURN = {"horizon_days": 60, "lead_days": 10}
PLAN = {"last": "2024-06-30", "train": 2, "test": 1, "every_days": 30}


def draw(people: int = 1200, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Contracts whose hazard depends on the town alone, which no rule of thumb looks at."""
    rng = np.random.default_rng(seed)
    joined = START + pd.to_timedelta(rng.integers(0, 500, people), unit="D")
    joined = joined.to_series(index=range(people))
    joined[0] = START
    town = rng.choice(["calm", "busy", "wild"], people)
    life = pd.Series(town).map({"calm": 3000, "busy": 400, "wild": 90}).to_numpy()
    ended = joined + pd.to_timedelta(np.ceil(rng.exponential(life)), unit="D")
    ids = [f"c{number:04d}" for number in range(people)]
    contracts = {
        "customer_id": ids,
        "started_at": joined,
        "ended_at": ended.where(ended <= END),
        "monthly_fee": 10.0,
    }
    attributes = {"customer_id": ids, "joined_at": joined, "town": town}
    return {"customers": pd.DataFrame(attributes), "contracts": pd.DataFrame(contracts)}


def write(write_study, tables: dict[str, pd.DataFrame] | None = None, **changes):
    """Write the company as a study, and load its tables."""
    given = {
        "churn": CHURN,
        "snapshots": PLAN,
        "data_start": str(START.date()),
        "features": {"windows": [30, 60]},
    }
    study: Study = write_study("contractual", tables=tables or draw(), **given | changes)
    return study, load.load_tables(study)

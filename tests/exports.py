"""Customers of a company as an export shows them: attributes known from the start, and some that
were written until customers left or the table was exported.
"""

import numpy as np
import pandas as pd

EXPORT = pd.Timestamp("2024-12-31")


def lives(
    seed: int = 0, n: int = 3_000, days: int = 1_500, yearly: float = 0.3, effect: float = 0.7
) -> pd.DataFrame:
    """Return customers who joined over ``days`` days, with attributes that were known from the
    start; some of these make customers leave sooner.

    Parameters
    ----------
    yearly : hazard of leaving in a year, of the average customer
    effect : change of its logarithm with a standard deviation of ``engaged``, and between plans
    """
    rng = np.random.default_rng(seed)
    engaged, plan = rng.normal(size=n), rng.choice(["month", "year", "two years"], n)
    hazard = yearly * np.exp(-effect * engaged + effect * (plan == "month"))
    life = np.ceil(rng.exponential(365 / hazard)).clip(1)
    age = np.ceil(rng.uniform(1, days, n))
    left = life < age
    return pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "joined_at": EXPORT - pd.to_timedelta(age, unit="D"),
            "left": left,
            "stay_days": np.where(left, life, age),
            "age_days": age,
            "monthly_fee": rng.choice([20.0, 35, 50, 80], n) * rng.uniform(0.95, 1.05, n),
            "plan": plan,
            "spend_before": np.exp(engaged),
            "region": rng.choice([*"nsew"], n),
            "year_of_joining": 2024 - age // 365,
            "noise": rng.lognormal(size=n),
        }
    )


def list_attributes(frame: pd.DataFrame) -> list[str]:
    """Return the names of the features that the attributes of customers become."""
    own = ("customer_id", "joined_at", "left", "stay_days", "age_days", "monthly_fee", "ended_at")
    dates = {*frame.select_dtypes("datetime")}
    columns = [column for column in frame if column not in own]
    return [f"days_since_{name}" if name in dates else name for name in columns]


def draw(frame: pd.DataFrame, seed: int) -> np.random.Generator:
    """Return random numbers for one more attribute."""
    return np.random.default_rng([seed, len(frame.columns)])


def draw_lives(seed: int, hazard, share, n: int = 3_000, days: int = 1_500) -> pd.DataFrame:
    """Return customers some of whom have a flag from the start, which changes their hazard.

    Parameters
    ----------
    hazard : of leaving in a year, of who has the flag, the day before the export (below 0) and the
        days since joining
    share : who have the flag, a number or by the days since joining
    """
    rng, step = np.random.default_rng(seed), 10
    age = np.ceil(rng.uniform(1, days, n))
    flag = rng.random(n) < (share(age) if callable(share) else share)
    stay, left = age.copy(), np.zeros(n, bool)
    for tenure in range(0, days, step):
        chance = 1 - np.exp(-hazard(flag, tenure - age, tenure) * step / 365)
        end = tenure + np.ceil(rng.uniform(0, step, n))
        leaves = (rng.random(n) < chance) & ~left & (end < age)
        stay[leaves] = end[leaves]
        left |= leaves
    return pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "joined_at": EXPORT - pd.to_timedelta(age, unit="D"),
            "left": left,
            "stay_days": stay,
            "age_days": age,
            "flag": flag,
        }
    )

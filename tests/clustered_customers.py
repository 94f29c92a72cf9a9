"""Customers with three clusters."""

import numpy as np
import pandas as pd


def planted(seed: int = 0, people: int = 300) -> pd.DataFrame:
    """Return three groups: heavy users on a dear plan, light users who complain, and frequent
    buyers.
    """
    rng = np.random.default_rng(seed)
    group = np.arange(people) % 3
    return pd.DataFrame(
        {
            "customer_id": [f"c{i:04d}" for i in range(people)],
            "n_usage_90d": rng.poisson(np.array([60, 5, 20])[group]),
            "n_usage_365d": rng.poisson(np.array([240, 20, 80])[group]),
            "n_contacts_90d": rng.poisson(np.array([1, 12, 1])[group]),
            "n_orders_days_365d": rng.poisson(np.array([2, 2, 30])[group]),
            "monthly_fee": np.array([30.0, 10.0, 10.0])[group] + rng.normal(0, 1, people).round(2),
            "plan": np.where(
                rng.random(people) < np.array([0.9, 0.1, 0.1])[group], "pro", "basic"
            ).astype(object),
            "group": group,
        }
    )


COLUMNS = [
    "n_usage_90d",
    "n_usage_365d",
    "n_contacts_90d",
    "n_orders_days_365d",
    "monthly_fee",
    "plan",
]

"""Who is in the population of a snapshot, and who is left out."""

import ibis
import pandas as pd
from dated_rows import days

from research.panel import population


def test_everyone_known_at_a_snapshot_is_judged_or_left_out_with_a_reason():
    snapshot = pd.Timestamp("2024-06-30")
    panel = pd.DataFrame(
        {
            "snapshot": snapshot,
            "customer_id": ["a", "b", "c"],
            "churned": [True, False, False],
            "left_in_lead": [False, False, True],
        },
    )
    backend = ibis.duckdb.connect()
    known = pd.DataFrame(
        {
            "customer_id": [*"abcdef"],
            "joined_at": days(*["2023-01-01"] * 4, "2024-06-30 23:00", "2024-07-01"),
        }
    )
    backend.con.register("customers", known)
    (row,) = population.count_population(panel, {"customers": backend.table("customers")}).to_dict(
        "records"
    )
    assert (
        row
        # f joined after the snapshot; d and e are known but not active; c leaves before the team
        # can act
        == {
            "snapshot": snapshot,
            "customers_known": 5,
            "not_active": 2,
            "left_in_lead": 1,
            "judged": 2,
            "churned": 1,
            "churn_share": 0.5,
        }
    )

"""Who is in the population of a snapshot, and who is left out."""

from datetime import date

import ibis
import pandas as pd
import pytest
from dated_rows import contract, customers, days

from research.data import load
from research.panel import population, splits


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


TERMS = {  # at the snapshot of 30 June, with ten days of grace: end of cover, and next term
    "runs": (None, None),
    "certain": ("2024-06-20", None),  # no term has begun by 30 June, the last day of grace
    "on the last day": ("2024-06-20", "2024-06-30"),
    "a day late": ("2024-06-20", "2024-07-01"),
    "renews": ("2024-06-21", "2024-07-01"),  # in grace at T, on its last day
    "never": ("2024-06-21", None),  # in grace at T
    "too late": ("2024-06-21", "2024-07-02"),  # in grace at T, and a day after it
    "gap to come": ("2024-07-10", "2024-07-20"),
    "leaves": ("2024-07-10", "2024-07-21"),
    "leaves at once": ("2024-07-03", None),
}


@pytest.mark.parametrize(
    ("lead", "flow"), [(0, ("never", "too late")), (5, ("never", "too late", "leaves at once"))]
)
def test_who_is_in_grace_is_judged_where_the_gap_closes_and_counted_apart_where_not(
    write_study, lead, flow
):
    rows = [contract(name, "2024-01-01", ended) for name, (ended, _) in TERMS.items()]
    rows += [contract(name, begins, None) for name, (_, begins) in TERMS.items() if begins]
    study = write_study(
        tables={"customers": customers(*TERMS), "contracts": pd.concat(rows, ignore_index=True)},
        churn={"horizon_days": 30, "lead_days": lead, "grace_days": 10},
    )
    tables = load.load_tables(study)
    panel = splits.label_panel(tables, study, [date(2024, 6, 30)])[1].to_pandas()
    assert {*panel.customer_id} == {*TERMS} - {"certain", "a day late"}
    assert {*panel.customer_id[panel.left_in_lead]} == {*flow}
    churned = {"leaves", "leaves at once"} - {*flow}
    assert {*panel.customer_id[panel.churned]} == churned
    counts = population.count_population(panel, tables).iloc[0]
    assert dict(counts[["customers_known", "not_active", "left_in_lead", "judged", "churned"]]) == {
        "customers_known": 10,
        "not_active": 2,
        "left_in_lead": len(flow),
        "judged": 8 - len(flow),
        "churned": len(churned),
    }

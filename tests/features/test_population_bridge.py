"""The bridge between populations, counted by hand."""

import pandas as pd
from valued_companies import TERMS

from research.data import load
from research.features.population_bridge import bridge_populations


def contracts_of(*rows: tuple) -> dict[str, pd.DataFrame]:
    frame = pd.DataFrame(rows, columns=["customer_id", "started_at", "ended_at"])
    frame["started_at"] = pd.to_datetime(frame.started_at).astype("datetime64[us]")
    frame["ended_at"] = pd.to_datetime(frame.ended_at).astype("datetime64[us]")
    people = frame[["customer_id"]].assign(joined_at=frame.started_at)
    return {"customers": people, "contracts": frame.assign(monthly_fee=10.0)}


def test_every_step_is_counted_under_contract(write_study):
    tables = contracts_of(
        ("stays", "2024-01-01", None),
        ("lead", "2024-01-01", "2024-07-03"),
        ("leaves", "2024-01-01", "2024-07-20"),
        ("later", "2024-08-01", None),
        ("also later", "2024-08-01", None),
        ("before", "2024-01-01", "2024-02-01"),
    )
    study = write_study(
        tables=tables,
        economics=TERMS,
        churn={"horizon_days": 30, "lead_days": 7},
        lifecycle={"last": "2024-12-31"},
        data_start="2024-01-01",
    )
    bridge = bridge_populations(load.load_tables(study), study)
    # on 31 December three are customers, all listed; two came after 30 June, when three were there
    assert bridge.customers.tolist() == [3, 3, 1, 3, 2]
    assert bridge.change.tolist() == [0, 0, -2, 2, -1]
    assert bridge.to.iloc[1] == "lists of 50, 65, 66: under contract on 2024-12-31"
    assert bridge["from"].tolist() == ["", *bridge.to[:-1]]
    assert "30: judged" in bridge.to.tolist()


def test_of_buyers_who_were_not_active_are_left_out(write_study):
    orders = pd.DataFrame(
        {
            "customer_id": ["active", "idle", "later"],
            "ordered_at": pd.to_datetime(["2024-06-01", "2024-01-01", "2024-09-01"]).astype(
                "datetime64[us]"
            ),
            "amount": 5.0,
        }
    )
    people = orders[["customer_id"]].assign(joined_at=orders.ordered_at)
    study = write_study("non_contractual", tables={"customers": people, "orders": orders})
    bridge = bridge_populations(load.load_tables(study), study)
    assert bridge.customers.tolist()[-2:] == [2, 1]  # have bought by the snapshot; in 90 days
    assert "nothing in the last 90 days" in bridge.reason.iloc[-1]


def test_a_flat_study_has_one_population(write_study):
    assert bridge_populations({}, write_study("flat")).empty

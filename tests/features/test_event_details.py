"""Features that single event tables have of their own, and the registry of their builders."""

from dataclasses import replace
from datetime import date

import ibis
import pandas as pd
import pytest

from research.data.contracts import CONTRACTS
from research.features.context import BuildContext
from research.features.event_details import BUILDERS, Details, build_details, require_builders
from research.panel.evidence import evidence_as_of
from research.study import Study

T = date(2024, 6, 30)


def context(**tables: pd.DataFrame) -> BuildContext:
    study = Study.model_validate(
        {
            "title": "Tiny",
            "kind": "contractual",
            "economics": {"currency": "EUR", "capacity": 5},
            "features": {"windows": [30, 90]},
            "churn": {"horizon_days": 30},
            "snapshots": {"last": "2024-06-30", "train": 1, "test": 1},
        }
    )
    frames = {name: ibis.memtable(frame) for name, frame in tables.items()}
    return BuildContext(evidence_as_of(frames, [T]), study)


def test_every_record_that_promises_features_has_a_builder():
    require_builders(CONTRACTS, BUILDERS)
    promised = {name for name, table in CONTRACTS.items() if table.own_features}
    assert promised == {*BUILDERS}


def test_a_record_whose_builder_is_forgotten_is_refused():
    tables = CONTRACTS | {"referrals": replace(CONTRACTS["referrals"], own_features=True)}
    with pytest.raises(ValueError) as refusal:
        require_builders(tables, BUILDERS)
    assert str(refusal.value) == (
        "contract table referrals: expected a builder of its own features (own_features), got none"
        f" among {', '.join(BUILDERS)}; register one in features/event_details.py"
    )


@pytest.mark.parametrize("name", ["referrals", "visits"])
def test_a_builder_that_no_record_asks_for_is_refused(name):
    builders = BUILDERS | {name: lambda rows, context: Details()}
    with pytest.raises(ValueError) as refusal:
        require_builders(CONTRACTS, builders)
    assert str(refusal.value) == (
        "features/event_details.py: expected builders for contract tables with own_features, got"
        f" one for {name}; set it in the table's record"
    )


def test_a_table_without_features_of_its_own_has_no_details():
    given = context(
        referrals=pd.DataFrame({"customer_id": ["a"], "referred_at": [pd.Timestamp("2024-06-01")]})
    )
    assert build_details(given.evidence.find_rows("referrals"), "referrals", given) == Details()


def test_an_optional_column_that_is_missing_gives_no_features():
    given = context(
        usage=pd.DataFrame({"customer_id": ["a"], "used_at": [pd.Timestamp("2024-06-01")]})
    )
    assert build_details(given.evidence.find_rows("usage"), "usage", given) == Details()


def test_of_orders_purchases_are_counted_and_returns_taken_off():
    orders = pd.DataFrame(
        {
            "customer_id": "a",
            "ordered_at": pd.Timestamp("2024-06-01"),
            "amount": [10.0, 4.0, -3.0, 0.0],
            "returned": [False, True, None, False],
        }
    )
    given = context(orders=orders.astype({"returned": "boolean"}))
    rows = given.evidence.find_rows("orders")
    details = build_details(rows, "orders", given)
    measured = rows.select("amount", counted=details.counted, **_rename(details.measures))
    measured = measured.order_by(measured.amount).to_pandas()
    assert [*measured.amount] == [-3.0, 0.0, 4.0, 10.0]
    assert [*measured.counted] == [False, False, False, True]
    assert [*measured.the_amount] == [-3_000_000, 0, -4_000_000, 10_000_000]
    assert [*measured.the_paid] == [0, 0, 0, 10_000_000]
    assert [*measured.the_returns] == [True, False, True, False]


def _rename(measures: dict) -> dict:
    return {f"the_{name}": value for name, value in measures.items()}

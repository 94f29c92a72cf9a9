"""Features put beside labelled rows: who has none, who is no row, order, parts."""

from datetime import date, datetime

import ibis
import numpy as np
import pandas as pd
import pytest

from research.features import assembly
from research.features.dictionary import Block, Feature
from research.panel.evidence import NUMBER

DAYS = [date(2024, 5, 31), date(2024, 6, 30)]
MAY, JUNE = (datetime(day.year, day.month, day.day) for day in DAYS)


def table(**columns) -> ibis.Table:
    return ibis.memtable(
        pd.DataFrame(columns).assign(snapshot=lambda t: t.snapshot.astype("datetime64[us]"))
    )


def rows_of(snapshots: list, numbers: list[int], ids: list[str], people: int) -> assembly.Rows:
    labels = table(
        snapshot=snapshots, customer_id=ids, churned=[number % 2 == 0 for number in numbers]
    ).mutate(**{NUMBER: ibis.row_number()})
    frame = labels.drop(NUMBER).to_pandas().assign(**{NUMBER: np.array(numbers, "int32")})
    return assembly.load_rows(ibis.memtable(frame), DAYS, people)


def block(snapshots: list, numbers: list[int]) -> Block:
    values = [10.0 * number + day.month for day, number in zip(snapshots, numbers, strict=True)]
    features = (
        Feature("amount", "", "", "orders", zero=True),
        Feature("mean", "", "", "orders"),
        Feature("plan", "", "", "contracts"),
    )
    columns = {"amount": values, "mean": values, "plan": [f"plan {value:g}" for value in values]}
    return Block(
        table(snapshot=snapshots, customer_id=np.array(numbers, "int32"), **columns), features
    )


def test_each_row_gets_its_own_and_nothing_where_it_has_none():
    rows = rows_of([JUNE, MAY, JUNE], [0, 1, 2], ["a", "b", "c"], people=3)
    panel = assembly.assemble(
        rows, [block([MAY, JUNE, JUNE, MAY], [1, 2, 1, 0])]
    ).to_pandas()  # b in June and a in May are no rows
    assert panel.customer_id.tolist() == ["b", "a", "c"]
    assert panel.amount.tolist() == [15, 0, 26]
    assert panel["mean"].tolist() == pytest.approx([15, np.nan, 26], nan_ok=True)
    assert panel.plan.tolist() == ["plan 15", None, "plan 26"]


def test_rows_come_in_the_order_of_ids_even_where_an_engine_sorts_texts_otherwise():
    rows = rows_of(
        [MAY] * 3, [0, 1, 2], ["a", "B", "c"], people=3
    )  # numbered as a language sorts them
    panel = assembly.assemble(rows, [block([MAY] * 3, [2, 1, 0])]).to_pandas()
    assert panel.set_index("customer_id").amount.to_dict() == {"B": 15, "a": 5, "c": 25}
    assert panel.customer_id.tolist() == ["B", "a", "c"]


@pytest.mark.parametrize("part", [1, 2, 3, 100])
def test_parts_together_are_the_whole(monkeypatch, part):
    monkeypatch.setattr(assembly, "PART", part)
    rows = rows_of([MAY, JUNE, JUNE, JUNE], [3, 0, 1, 3], ["d", "a", "b", "d"], people=4)
    blocks = [block([MAY, MAY, JUNE, JUNE], [3, 0, 3, 1])]
    parts = [
        assembly.assemble(*pieces).to_pandas() for pieces in assembly.divide_parts(rows, blocks)
    ]
    pd.testing.assert_frame_equal(
        pd.concat(parts, ignore_index=True), assembly.assemble(rows, blocks).to_pandas()
    )


def test_nobody_makes_an_empty_panel_with_all_columns():
    rows = rows_of([], [], [], people=0)
    parts = [assembly.assemble(*pieces) for pieces in assembly.divide_parts(rows, [block([], [])])]
    assert [part.shape for part in parts] == [(0, 6)] * 2


def test_rows_of_a_day_that_the_evidence_does_not_have_are_refused():
    with pytest.raises(
        ValueError,
        match=(
            "expected rows of the evidence's snapshots 2024-05-31, 2024-06-30, got 2024-06-01;"
            " make the evidence as of those days"
        ),
    ):
        rows_of([datetime(2024, 6, 1)], [0], ["a"], people=1)


def test_several_rows_of_a_source_for_one_customer_are_refused():
    rows = rows_of([MAY], [0], ["a"], people=1)
    with pytest.raises(ValueError, match="one row per snapshot and customer, got 1 more"):
        assembly.assemble(rows, [block([MAY, MAY], [0, 0])])

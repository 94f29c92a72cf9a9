"""A panel parts rows to learn from and rows to be judged on, with and without snapshots."""

from datetime import date

import pandas as pd
import pytest

from research.panel.learning import Panel
from research.panel.splits import Split

MAY, JUNE = pd.Timestamp("2024-05-31"), pd.Timestamp("2024-06-30")


def rows(day: pd.Timestamp, left_in_lead: list[bool]) -> pd.DataFrame:
    ids = [f"c{number}" for number in range(len(left_in_lead))]
    return pd.DataFrame(
        {"snapshot": day, "customer_id": ids, "churned": False, "left_in_lead": left_in_lead}
    )


@pytest.fixture
def dated() -> Panel:
    split = Split((date(2024, 5, 31),), (date(2024, 6, 30),))
    return Panel(rows(MAY, [False, True]), rows(JUNE, [True, False, False]), split, {})


@pytest.fixture
def flat() -> Panel:
    ids = [f"c{number:03}" for number in range(100)]
    table = pd.DataFrame({"customer_id": ids, "churned": [True] * 20 + [False] * 80})
    return Panel(table, table, None, {})


def test_who_leaves_before_the_team_could_act_is_neither_learned_from_nor_judged(dated):
    assert [*dated.learned.customer_id] == ["c0"]
    assert [*dated.judged.customer_id] == ["c1", "c2"]


def test_all_rows_tell_their_part_and_each_stands_once(dated):
    assert [*dated.all.part] == ["train"] * 2 + ["test"] * 3
    assert not dated.all.duplicated(["snapshot", "customer_id"]).any()


def test_a_dated_panel_knows_its_days_and_its_validation(dated):
    assert dated.first_learned_day == date(2024, 5, 31)
    assert dated.first_judged_day == dated.last_judged_day == date(2024, 6, 30)
    assert dated.validation == "out of time" and dated.keys == ["snapshot", "customer_id"]


def test_rows_held_out_of_a_dated_panel_are_those_of_the_test(dated):
    learned, judged = dated.hold_out(seed=0)
    assert {*learned.snapshot} == {MAY} and {*judged.snapshot} == {JUNE}


def test_a_flat_panel_has_no_days_and_is_judged_by_cross_validation(flat):
    assert flat.first_judged_day is None and flat.first_learned_day is None
    assert flat.validation == "cross-validation" and flat.keys == ["customer_id"]
    assert len(flat.all) == len(flat.learned) == len(flat.judged) == 100


def test_rows_held_out_of_a_flat_panel_share_no_customer_and_keep_the_churn_share(flat):
    learned, judged = flat.hold_out(seed=0)
    assert len(learned) == 70 and len(judged) == 30
    assert not {*learned.customer_id} & {*judged.customer_id}
    assert judged.churned.mean() == pytest.approx(0.2)
    assert [*flat.hold_out(seed=0)[1].customer_id] == [*judged.customer_id]
    assert [*flat.hold_out(seed=1)[1].customer_id] != [*judged.customer_id]


def test_a_flat_panel_counts_its_customers(flat):
    assert flat.counts.to_dict("records") == [{"customers": 100, "churned": 20, "churn_share": 0.2}]

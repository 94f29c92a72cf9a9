"""What the blocks of features in one build share."""

from datetime import date

import ibis
import pandas as pd
import pytest

from research.features import build, context
from research.features.context import BuildContext
from research.panel.evidence import NUMBER, evidence_as_of
from research.study import Study

T = date(2024, 6, 30)
TEXT = {"score": 1.0, "score_max": 5.0, "text": "fine"}


def make_study(**changes) -> Study:
    return Study.model_validate(
        {
            "title": "Tiny",
            "kind": "contractual",
            "economics": {"currency": "EUR", "capacity": 5},
            "features": {"windows": [30, 365]},
            "lifecycle": {"recent_days": 60},
            "churn": {"horizon_days": 30},
            "snapshots": {"last": "2024-06-30", "every_days": 30, "train": 2, "test": 1},
        }
        | changes
    )


def tables() -> dict[str, ibis.Table]:
    day = pd.Timestamp("2024-01-01")
    rows = {
        "customers": {"joined_at": day},
        "contracts": {"started_at": day},
        "usage": {"used_at": day},
        "orders": {"ordered_at": day, "amount": 1.0},
        "feedback": {"given_at": day} | TEXT,
    }
    return {
        name: ibis.memtable(pd.DataFrame({"customer_id": ["a", "b"]} | columns))
        for name, columns in rows.items()
    }


def make(days: list[date], **parts) -> BuildContext:
    return BuildContext(evidence_as_of(tables(), days), make_study(), **parts)


def test_windows_are_those_of_features_of_the_stage_and_of_both():
    made = make([T])
    assert made.windows.days == (30, 365)
    assert made.stage_windows.days == (60, 120)  # the recent days, and with those before
    assert made.rhythm_windows.days == (30, 60, 120, 365)


@pytest.mark.parametrize(
    ("days", "last"),
    [
        ([T], date(2024, 5, 1)),  # the first training snapshot: 30 June - 30 - 30 days
        ([date(2024, 4, 30), T], date(2024, 4, 30)),  # a snapshot before it
        ([date(2024, 5, 1)], date(2024, 5, 1)),
    ],
)
def test_sentiment_is_learned_up_to_the_first_snapshot_of_training_or_evidence(days, last):
    assert make(days).sentiment_day == last


def test_customers_are_numbered_where_people_are_given():
    people = ibis.memtable({"customer_id": ["b"], NUMBER: [0]})
    assert make([T], people=people).evidence["usage"].to_pandas().customer_id.tolist() == [0]
    made = make([T])
    assert made.evidence is made.given


def test_a_table_that_several_blocks_need_is_kept_once():
    kept = []

    def keep(table: ibis.Table, name: str) -> ibis.Table:
        kept.append(name)
        return table

    made = make([T], keep=keep)
    assert made.spells is made.spells
    assert made.roll_rhythm("usage") is made.roll_rhythm("usage")
    assert kept == ["spells", "days", "rhythm"]


def test_one_build_plans_its_windows_and_the_split_once_each(monkeypatch, tmp_path):
    planned = []
    plan_windows, plan_split = context.plan_windows, context.plan_split
    monkeypatch.setattr(
        context,
        "plan_windows",
        lambda days, windows: planned.append(tuple(windows)) or plan_windows(days, windows),
    )
    monkeypatch.setattr(
        context, "plan_split", lambda study: planned.append("split") or plan_split(study)
    )
    study = make_study()
    study._folder = tmp_path  # without a file of SQL
    evidence = evidence_as_of(tables(), [T])
    labels = evidence["customers"].select("snapshot", "customer_id")
    build.load_features(evidence, labels, study)
    assert len(planned) == len({*planned}) == 4  # of features, stage, rhythm, and the split

"""Reasons for leaving, counted by hand."""

from datetime import date

import pytest
from subscribers import OLD, T, frame, people

from research.data import load
from research.lifecycle import churn_reasons
from research.panel import evidence


def test_reasons_are_those_of_the_term_with_which_cover_ended(write_study):
    contracts = frame(
        "customer_id started_at ended_at end_reason voluntary",
        ("a", OLD, "2024-06-10", "renewed", None),  # no leave
        ("a", "2024-06-10", "2024-06-20", "price", True),
        (
            "b",
            OLD,
            "2024-06-20",
            "renewed",
            None,
        ),  # renewed and cancelled on the same day: the term begun last counts
        ("b", "2024-06-20", "2024-06-20", "price", True),
        ("c", OLD, "2024-06-20", " ", None),  # blank
        ("d", OLD, "2024-06-20", "payment failed", False),
        ("e", OLD, "2024-06-20", "price", False),  # the same reason, not by own will
        ("f", OLD, "2023-07-10", "moved", True),  # within the year only
        ("f", "2024-01-01", None, None, None),
    )
    study = write_study(tables={"customers": people(), "contracts": contracts})
    reasons = churn_reasons.tabulate_reasons(
        evidence.evidence_as_of(load.load_tables(study), [T]), study
    )
    month = reasons[reasons.window_days == 30]
    assert [
        (row.reason, row.voluntary, row.leavers, row.all_leavers) for row in month.itertuples()
    ] == [
        ("price", "both", 3, 5),
        ("not recorded", "", 1, 5),
        ("payment failed", "no", 1, 5),
    ]
    assert month.share.sum() == pytest.approx(1)
    assert dict(reasons[reasons.window_days == 365].set_index("reason").leavers) == {
        "price": 3,
        "moved": 1,
        "not recorded": 1,
        "payment failed": 1,
    }


def test_rare_reasons_are_put_together(write_study):
    ids = [f"c{i:02d}" for i in range(30)]
    contracts = frame(
        "customer_id started_at ended_at end_reason",
        *((name, OLD, "2024-06-20", f"because {i:02d}") for i, name in enumerate(ids)),
    )
    study = write_study(tables={"customers": people(ids), "contracts": contracts})
    reasons = churn_reasons.tabulate_reasons(
        evidence.evidence_as_of(load.load_tables(study), [T]), study
    ).query("window_days == 30")
    assert (
        reasons.reason.iloc[0],
        reasons.leavers.iloc[0],
        len(reasons),
        reasons.leavers.sum(),
    ) == (
        "other reasons",
        10,
        21,
        30,
    )


def test_a_window_of_a_month_has_the_days_of_the_calendar(write_study):
    contracts = frame(
        "customer_id started_at ended_at end_reason",
        ("a", OLD, "2024-07-01", "price"),  # the first day of (30 June, 31 July]
        ("b", OLD, "2024-06-30", "moved"),  # the last day of the month before
    )
    study = write_study(
        tables={"customers": people("ab"), "contracts": contracts},
        snapshots={"last": "2024-07-31", "every": "month"},
        data_start="2024-06-30",  # the window begins with what is observed
    )
    day = date(2024, 7, 31)
    reasons = churn_reasons.tabulate_reasons(
        evidence.evidence_as_of(load.load_tables(study), [day]), study
    )
    assert reasons[["window_days", "reason", "leavers"]].values.tolist() == [[31, "price", 1]]

"""Indicators: segments and reasons add up to the whole, and neither the future nor the way of
computing matters.
"""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from test_indicators import OLD, T, frame, measure_at, people, subscribers

from research.data import load
from research.errors import StudyError
from research.lifecycle import churn_reasons, indicators
from research.lifecycle.indicator_definitions import DEFINITIONS
from research.panel import evidence, segments


@pytest.mark.parametrize("column", ["region", "plan"])
def test_segments_add_up_to_the_whole(write_study, column):
    study = write_study(tables=subscribers())
    loaded = load.load_tables(study)
    whole = indicators.measure(loaded, study, [T]).set_index("indicator")
    parts = indicators.measure(loaded, study, [T], column)
    assert set(parts.segment_by) == {column}
    for name in (name for name in DEFINITIONS if name not in ("resolution_time",)):
        own = parts[parts.indicator == name]
        assert (own.numerator.sum(), own.denominator.sum(), own.n.sum()) == tuple(
            whole.loc[name, ["numerator", "denominator", "n"]]
        ), name


def test_a_customer_belongs_to_the_plan_of_the_start(write_study):
    churn = (
        measure_at(write_study, subscribers(), segment_by="plan")
        .query("indicator == 'customer_churn_rate'")
        .set_index("segment")
    )
    assert churn[["numerator", "denominator"]].to_dict("index") == {
        "basic": {"numerator": 1, "denominator": 2},  # a and b
        "pro": {"numerator": 1, "denominator": 2},  # c and e, who has moved to basic since
    }


def test_missing_and_hostile_segments_are_harmless(write_study):
    tables = subscribers()
    tables["customers"]["region"] = [
        "'; DROP TABLE customers; --",
        "<script>alert(1)</script>",
        "",
        None,
        "'; DROP TABLE customers; --",
        "ü\n",
    ]
    churn = (
        measure_at(write_study, tables, segment_by="region")
        .query("indicator == 'customer_churn_rate'")
        .set_index("segment")
    )
    assert churn.denominator.to_dict() == {
        "'; DROP TABLE customers; --": 2,
        "<script>alert(1)</script>": 1,
        "not known": 1,
    }


def test_segments_are_texts_of_few_values_never_sensitive_ones_and_the_plan(write_study):
    tables = subscribers()
    tables["customers"] = tables["customers"].assign(
        gender=list("mfmfmf"), name=list("uvwxyz"), only="one", age=range(6), city=list("ppqqrr")
    )
    study = write_study(tables=tables, sensitive=["gender"])
    assert segments.list_segment_columns(load.load_tables(study), study) == [
        "region",
        "name",
        "city",
        "plan",
    ]


def test_misspelt_and_sensitive_segments_are_refused_in_one_sentence(write_study):
    tables = subscribers()
    tables["customers"]["gender"] = list("mfmfmf")
    study = write_study(
        tables=tables,
        sensitive=["gender"],
        lifecycle={"segments": ["region", "regoin", "gender", "tariff"]},
    )
    with pytest.raises(
        StudyError,
        match=(
            r"key lifecycle\.segments: expected columns among region, plan .*; got 'regoin',"
            r" 'gender', 'tariff'; correct"
        ),
    ) as error:
        segments.list_segment_columns(load.load_tables(study), study)
    assert len(error.value.faults) == 1
    with pytest.raises(
        StudyError, match="expected a segment column among region, plan, got 'gender'"
    ):
        measure_at(write_study, tables, sensitive=["gender"], segment_by="gender")


# reasons


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
    found = churn_reasons.tabulate_reasons(
        evidence.cut_evidence(load.load_tables(study), [T]), study
    )
    month = found[found.window_days == 30]
    assert [
        (row.reason, row.voluntary, row.leavers, row.all_leavers) for row in month.itertuples()
    ] == [
        ("price", "both", 3, 5),
        ("not recorded", "", 1, 5),
        ("payment failed", "no", 1, 5),
    ]
    assert month.share.sum() == pytest.approx(1)
    assert dict(found[found.window_days == 365].set_index("reason").leavers) == {
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
    found = churn_reasons.tabulate_reasons(
        evidence.cut_evidence(load.load_tables(study), [T]), study
    ).query("window_days == 30")
    assert (found.reason.iloc[0], found.leavers.iloc[0], len(found), found.leavers.sum()) == (
        "other reasons",
        10,
        21,
        30,
    )


# time


@pytest.mark.parametrize("seed", range(2))
def test_the_future_never_matters(write_study, seed):
    before = measure_at(write_study, subscribers(), (date(2024, 5, 31), T))
    tables, rng = subscribers(), np.random.default_rng(seed)
    late = tables["contracts"].ended_at > "2024-06-30"
    tables["contracts"].loc[late, ["ended_at", "end_reason", "voluntary"]] = [
        pd.Timestamp("2024-07-05"),
        "scrambled",
        False,
    ]
    dated = {
        "contracts": "started_at",
        "orders": "ordered_at",
        "feedback": "given_at",
        "contacts": "contacted_at",
        "referrals": "referred_at",
    }
    for name, column in dated.items():
        invented = (
            tables[name]
            .sample(6, replace=True, random_state=seed)
            .assign(
                **{column: pd.Timestamp("2024-07-01") + pd.Timedelta(days=int(rng.integers(99)))}
            )
        )
        for later in {"ended_at", "resolved_at", "known_at"} & {*invented}:
            invented[later] = invented[column]
        tables[name] = pd.concat([tables[name], invented])
    open_ones = tables["contacts"].resolved_at > "2024-06-30 23:59"
    tables["contacts"].loc[open_ones, "resolved_at"] = pd.Timestamp("2024-12-30")
    pd.testing.assert_frame_equal(before, measure_at(write_study, tables, (date(2024, 5, 31), T)))


def test_many_snapshots_at_once_equal_each_alone(write_study):
    days = [date(2024, 5, 1), date(2024, 5, 31), T]
    together = measure_at(write_study, subscribers(), days)
    alone = pd.concat([measure_at(write_study, subscribers(), [day]) for day in days])
    keys = ["indicator", "snapshot"]
    pd.testing.assert_frame_equal(
        together.sort_values(keys, ignore_index=True),
        alone.sort_values(keys, ignore_index=True),
        check_dtype=False,
    )


def test_portions_change_nothing(write_study, monkeypatch):
    days = [date(2024, 5, 1), date(2024, 5, 31), T]
    at_once = measure_at(write_study, subscribers(), days)
    monkeypatch.setattr(indicators, "LEDGER_ROWS", 12)  # six customers at two snapshots
    pd.testing.assert_frame_equal(at_once, measure_at(write_study, subscribers(), days))

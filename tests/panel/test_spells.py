"""Spells: unbroken cover, and purchases without a long inactivity between, worked by hand."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest
from cases import list_seeds

from research.panel import spells

T = pd.Timestamp("2024-06-30")
INACTIVE = 10


def join_contracts(*terms: tuple, ends_at=None) -> list[tuple]:
    rows = [
        {
            "customer_id": "a",
            "started_at": pd.Timestamp(first),
            "ended_at": pd.Timestamp(last) if last else pd.NaT,
        }
        for first, last in terms
    ]
    found = (
        spells.join_terms(ibis.memtable(pd.DataFrame(rows)), ["customer_id"], ends_at)
        .to_pandas()
        .sort_values("started")
    )
    return [
        (f"{row.started:%m-%d}", f"{row.ended:%m-%d}" if pd.notna(row.ended) else None)
        for row in found.itertuples()
    ]


def join_days(*days: str) -> list[tuple]:
    rows = pd.DataFrame(
        {"snapshot": T, "customer_id": "a", "ordered_at": pd.to_datetime(list(days)), "amount": 5.0}
    )
    found = spells.join_purchases(ibis.memtable(rows), INACTIVE).to_pandas().sort_values("started")
    return [
        (f"{row.started:%m-%d}", f"{row.ended:%m-%d}" if pd.notna(row.ended) else None)
        for row in found.itertuples()
    ]


@pytest.mark.parametrize(
    ("terms", "found"),
    [
        (
            [("2024-01-01", "2024-02-01"), ("2024-02-01", "2024-03-01")],
            [("01-01", "03-01")],
        ),  # touching
        (
            [("2024-01-01", "2024-02-01"), ("2024-02-02", "2024-03-01")],
            [("01-01", "02-01"), ("02-02", "03-01")],
        ),  # a day between
        (
            [("2024-01-01", "2024-03-01"), ("2024-01-10", "2024-01-20")],
            [("01-01", "03-01")],
        ),  # one inside the other
        (
            [("2024-01-01", None), ("2024-02-01", "2024-02-10")],
            [("01-01", None)],
        ),  # one that runs on covers what follows
        (
            [("2024-01-01", "2024-01-20"), ("2024-01-05", "2024-01-08"), ("2024-01-20", None)],
            [("01-01", None)],
        ),  # reach is the farthest end so far
        (
            [("2024-01-01", "2024-01-01"), ("2024-01-01", "2024-02-01")],
            [("01-01", "02-01")],
        ),  # a term of no day
        (
            [("2024-01-01 18:00", "2024-02-01 23:59"), ("2024-02-01 00:30", None)],
            [("01-01", None)],
        ),  # days count, not hours
    ],
)
def test_terms_that_touch_or_overlap_are_one_spell(terms, found):
    assert join_contracts(*terms) == found


def test_ends_after_the_last_known_day_are_unknown():
    assert join_contracts(("2024-01-01", "2024-03-01"), ends_at=date(2024, 2, 29)) == [
        ("01-01", None)
    ]
    assert join_contracts(("2024-01-01", "2024-03-01"), ends_at=date(2024, 3, 1)) == [
        ("01-01", "03-01")
    ]


@pytest.mark.parametrize("seed", list_seeds(5))
def test_repeated_rows_change_no_spell(seed):
    rng = np.random.default_rng(seed)
    started = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, 400), unit="D")
    terms = pd.DataFrame({"customer_id": rng.choice(list("abcdefgh"), 400), "started_at": started})
    terms["ended_at"] = started + pd.to_timedelta(rng.integers(0, 6, 400), unit="D")
    keys = ["customer_id", "started", "ended"]
    found = [
        spells.join_terms(ibis.memtable(table), ["customer_id"]).to_pandas()[keys]
        for table in (terms, pd.concat([terms] * 3))
    ]
    once, thrice = (table.sort_values(keys, ignore_index=True) for table in found)
    pd.testing.assert_frame_equal(once, thrice)


@pytest.mark.parametrize("seed", list_seeds(3))
def test_a_day_is_covered_by_a_spell_if_and_only_if_by_a_term(seed):
    rng = np.random.default_rng(seed)
    started = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 60, 12), unit="D")
    terms = pd.DataFrame(
        {
            "customer_id": "a",
            "started_at": started,
            "ended_at": started + pd.to_timedelta(rng.integers(0, 9, 12), unit="D"),
        }
    )
    found = spells.join_terms(ibis.memtable(terms), ["customer_id"]).to_pandas()
    for day in pd.date_range("2024-01-01", "2024-03-15"):
        by_term = ((terms.started_at <= day) & (terms.ended_at > day)).any()
        assert ((found.started <= day) & (found.ended > day)).sum() == by_term


@pytest.mark.parametrize(
    ("days", "found"),
    [
        (
            ["2024-06-01", "2024-06-11"],
            [("06-01", "06-21")],
        ),  # ten days apart: one spell, over ten days after the last
        (["2024-06-01", "2024-06-12"], [("06-01", "06-11"), ("06-12", "06-22")]),
        (["2024-06-20"], [("06-20", "06-30")]),  # the inactivity is complete on the snapshot
        (["2024-06-21"], [("06-21", None)]),  # one day short
        (["2024-06-01 23:59", "2024-06-11 00:01"], [("06-01", "06-21")]),
    ],
)
def test_purchases_join_until_the_inactivity_is_complete(days, found):
    assert join_days(*days) == found


def test_a_return_opens_no_spell():
    rows = pd.DataFrame(
        {
            "snapshot": T,
            "customer_id": list("ab"),
            "ordered_at": T,
            "amount": [5.0, 5.0],
            "returned": [True, None],
        }
    )
    assert list(spells.join_purchases(ibis.memtable(rows), INACTIVE).to_pandas().customer_id) == [
        "b"
    ]


@pytest.mark.parametrize(
    ("day", "runs"),
    [("2024-05-31", False), ("2024-06-01", True), ("2024-06-09", True), ("2024-06-10", False)],
)
def test_a_spell_runs_from_its_first_day_to_the_day_before_its_end(day, runs):
    started, ended = (
        ibis.literal(pd.Timestamp(text).to_pydatetime()) for text in ("2024-06-01", "2024-06-10")
    )
    assert (
        spells.runs_on(started, ended, ibis.literal(pd.Timestamp(day).to_pydatetime())).execute()
        == runs
    )


def draw_company(rng, kind: str) -> dict[str, ibis.Table]:
    rows = 400
    ids, began = (
        rng.integers(0, 40, rows).astype(str),
        pd.Timestamp("2023-06-01") + pd.to_timedelta(rng.integers(0, 395, rows), unit="D"),
    )
    if kind == "non_contractual":
        return {
            "orders": ibis.memtable(
                pd.DataFrame(
                    {
                        "snapshot": T,
                        "customer_id": ids,
                        "ordered_at": began,
                        "amount": rng.choice([-5.0, 5.0], rows),
                    }
                )
            )
        }
    ended = pd.Series(began + pd.to_timedelta(rng.integers(0, 30, rows), unit="D"))
    return {
        "contracts": ibis.memtable(
            pd.DataFrame(
                {
                    "snapshot": T,
                    "customer_id": ids,
                    "started_at": began,
                    "ended_at": ended.where(ended <= T),
                }
            )
        )
    }


@pytest.mark.parametrize("kind", ["contractual", "non_contractual"])
@pytest.mark.parametrize("seed", list_seeds(3))
@pytest.mark.parametrize("days", [30, 1000])
def test_the_ends_of_the_last_days_are_those_of_all_spells(write_study, kind, seed, days):
    evidence, study = draw_company(np.random.default_rng(seed), kind), write_study(kind)
    every = spells.find_spells(evidence, study).to_pandas()
    late = every[(every.ended > every.started) & (every.ended > T - pd.Timedelta(days=days))]
    found = spells.find_ends(evidence, study, days).to_pandas()
    assert len(late) > 3
    assert sorted(zip(found.customer_id, found.ended, strict=True)) == sorted(
        zip(late.customer_id, late.ended, strict=True)
    )

"""Point-in-time data: what was known by the end of a snapshot."""

from datetime import date, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest
from dated_rows import company_with_gaps, contract, customers, days, random_company

from research.data import load
from research.panel.evidence import NUMBER, evidence_as_of, filter_as_of, find_known_rows
from research.panel.labels import find_population

T = date(2024, 6, 30)


@pytest.mark.parametrize("column", ["ended_at", "end_reason", "voluntary"])
def test_evidence_hides_an_end_with_its_reason_until_the_day_it_happens(write_study, column):
    ends = [
        contract("before", "2024-01-01", "2024-06-30"),
        contract("after", "2024-01-01", "2024-07-01"),
    ]
    table = pd.concat(ends, ignore_index=True).assign(end_reason="price", voluntary=True)
    study = write_study(
        "contractual", tables={"customers": customers("before", "after"), "contracts": table}
    )
    seen = (
        evidence_as_of(load.load_tables(study), [T])["contracts"]
        .to_pandas()
        .set_index("customer_id")[column]
    )
    assert seen.notna().to_dict() == {"before": True, "after": False}


def test_evidence_hides_a_resolution_until_the_day_it_happens():
    contacts = ibis.memtable(
        pd.DataFrame(
            {
                "customer_id": ["a", "b"],
                "contacted_at": days("2024-06-01", "2024-06-01"),
                "resolved_at": days("2024-06-30 18:00", "2024-07-01"),
            }
        )
    )
    seen = filter_as_of(contacts, "contacts", [T]).to_pandas().set_index("customer_id").resolved_at
    assert seen.notna().to_dict() == {"a": True, "b": False}


@pytest.mark.parametrize(
    ("used", "known", "seen"),
    [
        ("2024-06-30 23:59", "2024-06-30 23:59", True),
        ("2024-07-01", "2024-07-01", False),
        ("2024-06-01", "2024-07-01", False),  # happened before, arrived after
        ("2024-06-01", None, False),  # never arrived
    ],
)
def test_a_row_is_known_from_its_day_and_its_arrival_on(used, known, seen):
    usage = ibis.memtable(
        pd.DataFrame(
            {
                "customer_id": ["a"],
                "used_at": days(used),
                "known_at": [pd.Timestamp(known) if known else pd.NaT],
            }
        )
    )
    assert (filter_as_of(usage, "usage", [T]).count().execute() == 1) == seen


@pytest.mark.parametrize("noise_seed", range(3))
def test_the_future_never_matters_to_evidence_and_population(write_study, noise_seed):
    study, tables = random_company(write_study, seed=7)
    before = evidence_and_population(study, tables)
    rng = np.random.default_rng(noise_seed)
    table = tables["contracts"].to_pandas()
    later = table.ended_at > pd.Timestamp(T) + timedelta(days=1)
    table.loc[later, "ended_at"] = pd.Timestamp("2024-07-02") + pd.to_timedelta(
        rng.integers(0, 150, later.sum()), unit="D"
    )
    invented = table.assign(started_at=pd.Timestamp("2024-07-01"), ended_at=pd.NaT)
    scrambled = write_study(
        "contractual",
        tables={
            "customers": tables["customers"].to_pandas(),
            "contracts": pd.concat([table, invented]),
        },
    )
    after = evidence_and_population(scrambled, load.load_tables(scrambled))
    for first, second in zip(before, after, strict=True):
        pd.testing.assert_frame_equal(first, second)


def evidence_and_population(study, tables) -> list[pd.DataFrame]:
    evidence = evidence_as_of(tables, [T])
    found = [evidence["contracts"], find_population(evidence, study)]
    return [table.to_pandas().sort_values("customer_id", ignore_index=True) for table in found]


def test_rows_are_known_once_with_the_day_on_which_they_arrived():
    usage = pd.DataFrame(
        {
            "customer_id": ["a", "b", "c"],
            "used_at": days("2024-06-01 10:00", "2024-06-01", "2024-07-01"),
            "known_at": days("2024-06-03 12:00", "2024-07-01", "2024-07-01"),
        }
    )
    rows = find_known_rows(ibis.memtable(usage), "usage", T).to_pandas()
    assert rows.customer_id.tolist() == ["a"]
    assert (rows.day[0], rows.known[0]) == (*days("2024-06-01", "2024-06-03"),)
    assert "known_at" not in rows


def test_active_days_are_days_with_a_purchase_each_once():
    orders = pd.DataFrame(
        {
            "customer_id": "a",
            "ordered_at": days("2024-06-01 10:00", "2024-06-01 12:00", "2024-06-02", "2024-06-03"),
            "amount": [1.0, 2.0, -1.0, 4.0],
        }
    )
    evidence = evidence_as_of({"orders": ibis.memtable(orders)}, [T])
    found = evidence.find_active_days("orders").order_by("day").to_pandas()
    assert found.day.tolist() == days("2024-06-01", "2024-06-03")


def test_evidence_at_one_of_its_snapshots_knows_no_later_row():
    usage = pd.DataFrame({"customer_id": "a", "used_at": days("2024-05-31", "2024-06-30")})
    evidence = evidence_as_of({"usage": ibis.memtable(usage)}, [T, date(2024, 5, 31)])
    assert evidence.at(date(2024, 5, 31))["usage"].count().execute() == 1
    assert evidence.at(T)["usage"].count().execute() == 2
    with pytest.raises(ValueError, match="got 2024-06-15; make the evidence as of that day"):
        evidence.at(date(2024, 6, 15))


def test_evidence_of_some_customers_has_their_numbers_and_keeps_that_of_all():
    usage = pd.DataFrame({"customer_id": [*"abc"], "used_at": days("2024-06-01") * 3})
    people = ibis.memtable({"customer_id": ["a", "c"], NUMBER: [0, 1]})
    evidence = evidence_as_of({"usage": ibis.memtable(usage)}, [T])
    some = evidence.number_customers(people)
    assert sorted(some["usage"].to_pandas().customer_id) == [0, 1]
    assert some.all_customers is evidence


def test_nothing_known_inside_a_gap_tells_whether_a_term_follows(write_study):
    study, tables = company_with_gaps(write_study)
    evidence = evidence_as_of(tables, [date(2024, 3, 5)])
    rows = evidence["contracts"].to_pandas().set_index("customer_id")
    inside = rows.loc[["late", "gone"]]
    assert inside[["ended_at", "covered_until", "end_reason"]].isna().all(axis=None)

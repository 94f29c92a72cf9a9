"""Ends of contract terms in one form: the late evening, the last covered day, days of grace."""

from datetime import date

import pandas as pd
import pytest
from dated_rows import contract, customers, days

from research.data import coverage, load, terms
from research.errors import StudyError

CHURN = {"horizon_days": 30, "lead_days": 0}


def settle(write_study, *contracts: pd.DataFrame, **changes) -> pd.DataFrame:
    """Return the settled terms, in the order of their starts."""
    table = pd.concat(contracts, ignore_index=True)
    tables = {"customers": customers(*table.customer_id.unique()), "contracts": table}
    study = write_study("contractual", tables=tables, **changes)
    return load.load_tables(study)["contracts"].order_by("started_at").to_pandas()


def ends_of(frame: pd.DataFrame) -> list[str]:
    return ["" if pd.isna(end) else str(end) for end in frame.ended_at]


@pytest.mark.parametrize(
    ("recorded", "settled"),
    [
        ("2024-03-31 23:58:59", "2024-03-31 23:58:59"),
        ("2024-03-31 23:59:00", "2024-04-01 00:00:00"),
        ("2024-03-31 23:59:59.999999", "2024-04-01 00:00:00"),
        ("2024-03-31 00:00:00", "2024-03-31 00:00:00"),
    ],
)
def test_an_end_in_the_last_minute_of_a_day_counts_as_the_next_midnight(
    write_study, recorded, settled
):
    assert ends_of(settle(write_study, contract("a", "2024-03-01", recorded))) == [settled]


@pytest.mark.parametrize("recorded", ["2024-03-31", "2024-03-31 12:00", "2024-03-31 23:59:59"])
def test_the_last_covered_day_is_covered(write_study, recorded):
    churn = CHURN | {"ends": "last_covered_day"}
    found = settle(write_study, contract("a", "2024-03-01", recorded), churn=churn)
    assert ends_of(found) == ["2024-04-01 00:00:00"]


def test_ends_on_the_last_day_of_the_data_are_not_known_where_it_is_still_covered(write_study):
    """A renewal on the day after could not be in the data yet."""
    rows = [contract("a", "2024-03-01", "2024-03-31"), contract("b", "2024-03-01", "2024-03-30")]
    churn = CHURN | {"ends": "last_covered_day"}
    found = settle(write_study, *rows, churn=churn, data_end=None)
    assert sorted(ends_of(found)) == ["", "2024-03-31 00:00:00"]


@pytest.mark.parametrize(
    ("renewed", "ended"),
    [
        ("2024-03-02", "2024-03-02"),  # on the day itself, or with no gap
        ("2024-03-05", "2024-03-05"),  # 3 days later: the gap is closed
        ("2024-03-12", "2024-03-12"),  # 10 days later: the last day of grace
        ("2024-03-13", "2024-03-12"),  # 11 days later: certain on the tenth
        (None, "2024-03-12"),
    ],
)
def test_an_end_is_certain_when_grace_is_over_or_the_next_term_begins(write_study, renewed, ended):
    rows = [contract("a", "2024-02-01", "2024-03-02")]
    rows += [contract("a", renewed, None)] if renewed else []
    found = settle(write_study, *rows, churn=CHURN | {"grace_days": 10})
    assert ends_of(found)[0] == f"{ended} 00:00:00"
    assert str(found.covered_until[0].date()) == "2024-03-02"


def test_grace_is_for_ends_of_cover_alone(write_study):
    """A term that ends while another runs, and one of no day, are not prolonged."""
    rows = [
        contract("a", "2024-01-01", "2024-03-02"),
        contract("a", "2024-01-15", "2024-02-01"),
        contract("a", "2024-03-02", "2024-03-02"),
    ]
    found = settle(write_study, *rows, churn=CHURN | {"grace_days": 10})
    assert [end[:10] for end in ends_of(found)] == ["2024-03-12", "2024-02-01", "2024-03-02"]


def test_a_renewal_that_is_known_late_closes_a_gap_from_then_on(write_study):
    rows = [
        contract("a", "2024-02-01", "2024-03-02", known_at=days("2024-02-01")),
        contract("a", "2024-03-03", None, known_at=days("2024-03-08")),
    ]
    found = settle(write_study, *rows, churn=CHURN | {"grace_days": 10})
    assert ends_of(found) == ["2024-03-08 00:00:00", ""]


def test_an_end_whose_grace_reaches_beyond_the_data_is_not_known(write_study):
    rows = [contract("a", "2024-02-01", "2024-12-21"), contract("b", "2024-02-01", "2024-12-22")]
    found = settle(write_study, *rows, churn=CHURN | {"grace_days": 10})
    assert sorted(ends_of(found)) == ["", "2024-12-31 00:00:00"]


def test_without_any_of_the_keys_the_ends_stay_as_they_are(write_study):
    rows = [contract("a", "2024-01-01", "2024-03-02 18:30"), contract("b", "2024-01-01", None)]
    found = settle(write_study, *rows)
    assert sorted(ends_of(found)) == ["", "2024-03-02 18:30:00"]
    assert "covered_until" not in found


def test_ends_of_terms_are_no_matter_of_orders(write_study):
    churn = CHURN | {"active_days": 90, "inactive_days": 60}
    expected = r"expected no key 'churn.grace_days' in a non_contractual study, got 10; remove it"
    with pytest.raises(StudyError, match=expected):
        write_study("non_contractual", churn=churn | {"grace_days": 10})
    expected = r"expected no key 'churn.ends' in a non_contractual study, got last_covered_day"
    with pytest.raises(StudyError, match=expected):
        write_study("non_contractual", churn=churn | {"ends": "last_covered_day"})


def test_the_data_end_is_that_of_the_study_whatever_the_grace(write_study):
    study = write_study(
        "contractual",
        tables={"customers": customers("a"), "contracts": contract("a", "2024-01-01", None)},
        churn=CHURN | {"grace_days": 10},
    )
    tables = load.load_tables(study)
    assert coverage.find_data_end(tables, study) == date(2024, 12, 31)
    assert terms.find_grace(study) == 10

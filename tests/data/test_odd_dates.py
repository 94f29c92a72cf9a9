"""Remarks on dates that mislead: placeholders, late joins, ends by the export."""

import pandas as pd
import pytest
from dated_rows import customers

from research.data import load
from research.data.odd_dates import (
    find_ends_by_export,
    find_late_joins,
    find_placeholders,
    find_shifted_midnights,
)

STARTED = pd.date_range("2024-01-01", periods=60, freq="5D")


@pytest.fixture
def found(write_study):
    """Return a function that gives what a finder says about 60 contracts and their customers."""

    def find(finder, joined=STARTED, ended=pd.NaT, started=STARTED, **keys) -> list[str]:
        ids = [f"c{i}" for i in range(60)]
        terms = pd.DataFrame({"customer_id": ids, "started_at": started, "ended_at": ended})
        terms["ended_at"] = pd.to_datetime(terms.ended_at)
        known = customers(*ids).assign(joined_at=joined)
        study = write_study(tables={"customers": known, "contracts": terms}, **keys)
        return [str(remark) for remark in finder(load.load_tables(study), study)]

    return find


def test_a_placeholder_of_programs_is_named_with_its_rows(found):
    joined = [*STARTED[:58], pd.Timestamp("1900-01-01"), pd.Timestamp("1970-01-01")]
    first, second = found(find_placeholders, joined=joined)
    assert first.startswith("table customers, column joined_at: 1 row is of 1900-01-01, which")
    assert "write NULLIF(joined_at, DATE '1970-01-01') in customers.sql" in second
    assert found(find_placeholders) == []


def test_customers_who_joined_after_their_contract_began_are_counted(found):
    (sentence,) = found(find_late_joins, joined=STARTED + pd.Timedelta(days=40))
    assert sentence.startswith(
        "table customers, column joined_at: 60 of 60 customers joined after their first row in"
        " contracts, by 40 days in the median, and are in no snapshot before; "
    )
    assert found(find_late_joins) == []
    assert found(find_late_joins, joined=STARTED + pd.Timedelta(days=1)) == []
    assert found(find_late_joins, joined=STARTED - pd.Timedelta(days=40)) == []


def test_contracts_that_the_export_ended_are_counted(found):
    earlier = [*pd.date_range("2024-11-05", periods=30), *[pd.Timestamp("2024-12-31")] * 30]
    (sentence,) = found(find_ends_by_export, ended=earlier)
    assert "30 of 60 ends are of 2024-12-31, the data end" in sentence
    few = [*pd.date_range("2024-11-05", periods=30), *[pd.Timestamp("2024-12-31")] * 4]
    assert found(find_ends_by_export, ended=[*few, *[pd.NaT] * 26]) == []


def test_local_midnights_in_utc_are_named_with_the_key(found):
    local = STARTED.tz_localize("Europe/Berlin")
    (sentence,) = found(find_shifted_midnights, started=local.tz_convert("UTC").tz_localize(None))
    assert "60 of 60 terms begin at 22:00 or 23:00, as midnights of a time zone" in sentence
    assert found(find_shifted_midnights, started=local, time_zone="Europe/Berlin") == []
    assert found(find_shifted_midnights) == []
    assert found(find_shifted_midnights, started=STARTED + pd.Timedelta(hours=10)) == []

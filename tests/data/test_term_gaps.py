"""Remarks on the gaps between a customer's terms."""

import pandas as pd
import pytest
from dated_rows import customers

from research.data import load
from research.data.term_gaps import find_term_gaps

CHURN = {"horizon_days": 30, "lead_days": 0}


def remarks_on(write_study, gap_days: list[int], **churn) -> list[str]:
    """Return the remarks on customers with two terms each, so many days apart."""
    first = pd.Timestamp("2024-01-01")
    people = [f"c{i}" for i in range(len(gap_days))]
    ended = first + pd.Timedelta(days=30)
    again = [ended + pd.Timedelta(days=gap) for gap in gap_days]
    table = pd.DataFrame(
        {
            "customer_id": people * 2,
            "started_at": [first] * len(people) + again,
            "ended_at": [ended] * len(people) + [pd.NaT] * len(people),
        }
    )
    study = write_study(
        "contractual",
        tables={"customers": customers(*people), "contracts": table},
        churn=CHURN | churn,
    )
    return [str(remark) for remark in find_term_gaps(load.load_tables(study), study)]


def test_terms_that_begin_the_day_after_another_ended_are_said(write_study):
    gaps = [1] * 60 + [0] * 40
    (sentence,) = remarks_on(write_study, gaps)
    assert sentence == (
        "table contracts, column ended_at: 60 of 100 terms that follow another one begin on the day"
        " after it ended; if ended_at is the last covered day, write 'ends: last_covered_day' under"
        " churn in study.yml, or each renewal counts as churn"
    )
    assert remarks_on(write_study, gaps[:60], ends="last_covered_day") == []


def test_renewals_that_come_late_are_said_with_the_grace_that_covers_most(write_study):
    gaps = [0] * 75 + [3] * 19 + [9] * 5 + [40] + [200] * 20
    (sentence,) = remarks_on(write_study, gaps)
    assert sentence == (
        "table contracts, column ended_at: 25 of 120 terms that follow another one begin 3 to 40"
        " days after it ended, which counts as churn; if these are renewals that came late, write"
        " 'grace_days: 9' under churn in study.yml (95% of them come within so many)"
    )
    assert remarks_on(write_study, gaps, grace_days=9) == []


@pytest.mark.parametrize("gaps", [[0] * 90 + [5] * 10, [5] * 19, [200] * 100])
def test_few_gaps_and_long_ones_are_no_remark(write_study, gaps):
    """10 of 100 are fewer than 20 in number; who comes back after 200 days had left."""
    assert remarks_on(write_study, gaps) == []

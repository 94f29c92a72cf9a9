"""The verdict on the data, sentence by sentence."""

import pandas as pd
import pytest

from research.data import profile, report
from research.data.remark import Remark
from research.data.remarks import list_remarks

COUNTS = pd.DataFrame({"rows": [1000, 500], "duplicates": [2, 1]})
CHECKED = pd.DataFrame({"rows_failing": [0, 0, 7]})
LEAKS = pd.DataFrame({"column": ["a", "b"], "decision": ["excluded", "kept"]})
NO_LEAKS = LEAKS.head(0)


def freshness(at_data_end: str = profile.FRESH_NOW, **verdicts: str) -> pd.DataFrame:
    rows = pd.DataFrame({"table": verdicts.keys(), "verdict": verdicts.values()})
    return rows.assign(at_data_end=at_data_end).reindex(columns=profile.FRESHNESS)


@pytest.mark.parametrize(
    ("leaks", "dated", "text"),
    [
        (
            LEAKS,
            freshness(orders=profile.FRESH, usage=profile.STALE),
            "**2 of 3 checks passed.** 3 of 1,500 rows are exact duplicates. Stale at the last"
            " snapshot: usage. Excluded from every model for target leakage: a.",
        ),
        (
            NO_LEAKS,
            freshness(orders=profile.FRESH),
            "**2 of 3 checks passed.** 3 of 1,500 rows are exact duplicates. No dated table is"
            " stale, at the last snapshot or at the data end. The leakage checks exclude no"
            " feature.",
        ),
        (
            NO_LEAKS,
            freshness(),
            "**2 of 3 checks passed.** 3 of 1,500 rows are exact duplicates. The leakage checks"
            " exclude no feature.",
        ),
    ],
    ids=["stale and leaking", "fresh and clean", "flat"],
)
def test_the_verdict_counts_checks_and_names_what_is_stale_or_leaks(leaks, dated, text):
    assert report.describe_data(COUNTS, CHECKED, dated, leaks, list_remarks([])) == text


def test_a_table_that_ended_after_the_snapshot_is_told_as_stale_at_the_data_end():
    dated = freshness(
        profile.STALE_NOW,
        usage=profile.STALE,
        orders=profile.FRESH,
        campaigns=profile.BY_COMPANY,
    ).assign(at_data_end=[profile.STALE_NOW, profile.STALE_NOW, profile.BY_COMPANY])
    text = report.describe_data(COUNTS, CHECKED, dated, NO_LEAKS, list_remarks([]))
    assert "Stale at the last snapshot: usage. Stale at the data end: orders. The leak" in text


def test_the_verdict_tells_the_first_remarks_and_counts_the_others():
    told = [Remark(f"table {name}", "3 rows are odd", "look at them") for name in "abcde"]
    remarks = list_remarks([Remark("feature x", "excluded", "leaks"), *told])
    text = report.describe_data(COUNTS, CHECKED, freshness(), NO_LEAKS, remarks)
    assert text.endswith(
        "**May mislead:** table a: 3 rows are odd; look at them. table b: 3 rows are odd; look at"
        " them. table c: 3 rows are odd; look at them. 2 more remarks are listed above."
    )

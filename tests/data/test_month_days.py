"""Remarks on ends that fall on few days of the month."""

import pandas as pd
import pytest
from dated_rows import customers

from research.data import load
from research.data.remarks import find_data_remarks

CHURN = {"horizon_days": 60, "lead_days": 0}
PLAN = {"last": "2024-06-30", "train": 1, "test": 1}


def remarks_on(write_study, days: list[int], **changes) -> list[str]:
    """Return the remarks on contracts that end on these days of months, 20 on each."""
    months = [month for month in range(1, 11) for _ in range(2)]
    ended = [pd.Timestamp(2024, month, day) for day in days for month in months]
    names = [f"c{number}" for number in range(len(ended))]
    table = pd.DataFrame({"customer_id": names, "started_at": pd.Timestamp("2023-12-01")})
    table["ended_at"] = ended
    study = write_study(
        tables={"customers": customers(*names), "contracts": table},
        **({"churn": CHURN, "snapshots": PLAN} | changes),
    )
    return [str(remark) for remark in find_data_remarks(load.load_tables(study), study)]


def test_ends_on_few_days_of_the_month_are_said_unless_windows_are_months(write_study):
    (sentence,) = remarks_on(write_study, [1, 1, 1, 15])
    assert sentence == (
        "table contracts, column ended_at: 80 of 80 ends fall on 2 days of the month (1, 15), which"
        " windows of days hold sometimes once more and sometimes once less; write 'horizon: 2"
        " months' under churn and 'every: month' under snapshots in study.yml in place of the days,"
        " so that windows are whole months"
    )
    months = {"horizon": "2 months", "lead_days": 0}
    (sentence,) = remarks_on(write_study, [1, 1, 1, 15], churn=months)
    assert "write 'every: month' under snapshots in study.yml" in sentence
    whole = {"churn": months, "snapshots": PLAN | {"every": "month"}}
    assert remarks_on(write_study, [1, 1, 1, 15], **whole) == []


@pytest.mark.parametrize("days", [[*range(2, 28, 3)], [1, 15]])
def test_ends_on_many_days_and_few_ends_are_no_remark(write_study, days):
    assert remarks_on(write_study, days) == []

"""Features of event tables: a new table has them by its record alone."""

import pandas as pd
import pytest
from small_companies import T, company

from research.data import checks, contracts, load
from research.data.contracts import CONTRACTS, Column, ContractTable, Resolution, Words
from research.errors import StudyError
from research.features import build, dictionary
from research.features.leakage import time_travel

VISITS = ContractTable(
    "visits",
    grain="event",
    columns={
        "customer_id": Column("key"),
        "visited_at": Column("time"),
        "left_at": Column("time", required=False),
        "spent": Column("number", required=False, low=0, high=contracts.MOST),
        "known_at": Column("time", required=False),
    },
    dated="visited_at",
    resolved=Resolution("left_at"),
    summed=("spent",),
    words=Words("visits", "visit", "never came", "days with a visit"),
    timed=True,
)


@pytest.fixture
def study(write_study, monkeypatch):
    """A company with a made-up table: c00 came on 30 June, twice on 1 June and on 31 May, c01 the
    day after the snapshot.
    """
    monkeypatch.setitem(CONTRACTS, "visits", VISITS)
    came = ["2024-06-30 20:00", "2024-06-01 09:00", "2024-06-01", "2024-05-31", "2024-07-01"]
    came = pd.to_datetime(came, format="mixed")
    rows = {"customer_id": ["c00"] * 4 + ["c01"], "visited_at": came}
    rows["left_at"] = came + pd.Timedelta(hours=1)
    tables = company()
    tables["contracts"]["ended_at"] = pd.NaT
    return write_study(
        tables=tables | {"visits": pd.DataFrame(rows)},
        data_end="2024-12-31",
        features={"windows": [30, 90], "words": {"visits": "calls at the shop"}},
    )


def test_a_new_table_has_counts_recency_and_words_by_its_record_alone(study):
    tables = load.load_tables(study)
    panel = build.load_panel(tables, study, [T]).set_index("customer_id")
    came, never = panel.loc["c00"], panel.loc["c01"]
    assert (came.n_visits_30d, came.n_visits_90d) == (3, 4)  # 31 May is 30 days old and outside
    assert (came.n_visits_days_30d, came.n_visits_days_90d) == (2, 3)
    assert (came.days_since_last_visits, came.days_since_first_visits) == (0, 30)
    assert came.mean_gap_visits_90d == 15  # 1 and 29 days
    assert came.share_morning_visits_90d == 0.5  # of two with a time of day
    assert never.n_visits_90d == 0
    assert pd.isna(never.days_since_last_visits)
    described = build.describe_features(tables, study)
    assert [*described.feature] == build.list_features(panel.reset_index(), study)
    described = described.set_index("feature")
    assert described.source["n_visits_30d"] == "visits"
    assert described.unit["n_visits_30d"] == "calls at the shop"
    assert described.description["n_visits_30d"] == "calls at the shop in the last 30 days"
    assert described.description["days_since_last_visits"] == "days since the last visit"
    assert described.description["n_visits_days_30d"] == "days with a visit in the last 30 days"
    assert dictionary.describe_never("visits") == "never came"
    assert dictionary.is_tenure(dictionary.Feature("days_since_first_visits", "", "", "visits"))


def test_a_new_table_is_checked_by_its_record_alone(study):
    raw = study.folder / "raw" / "visits.parquet"
    rows = pd.read_parquet(raw)
    early = rows.visited_at.dt.normalize() - pd.Timedelta(days=1)
    rows.assign(left_at=early, spent=-1.0, customer_id="nobody").to_parquet(raw)
    with pytest.raises(StudyError) as refusal:
        load.load_tables(study)
    places = [fault.split(":")[0] for fault in refusal.value.faults]
    assert places == [
        "table visits, column spent",
        "table visits, column left_at",
        "table visits, column customer_id",
    ]


def test_checks_name_a_new_table(study):
    checked = checks.check(load.adapt(study))
    assert "visits" in {*checked.table}


def test_a_new_table_has_other_futures_by_its_record_alone(study):
    table = time_travel.compare_futures(load.load_tables(study), study)
    assert [*time_travel.list_faults(table, study)] == []
    assert "n_visits_30d" in {*table.feature}

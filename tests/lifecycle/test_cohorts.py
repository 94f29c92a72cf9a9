"""Cohorts: worked by hand, with cells only where everybody has been observed."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds
from dated_rows import company_with_gaps

from research.data import load
from research.lifecycle import cohorts
from research.panel.evidence import evidence_as_of


def retention_of(
    write_study,
    tables: dict,
    kind: str,
    at: date,
    name: str = "tiny",
    run_in_days: int | None = None,
    **changes,
):
    study = write_study(kind, name=name, tables=tables, **changes)
    evidence = evidence_as_of(load.load_tables(study), [at])
    return (
        cohorts.compute_retention(evidence, study, at, run_in_days),
        cohorts.count_exclusions(evidence, study, at, run_in_days)
        .set_index("reason")
        .customers.to_dict(),
    )


def terms(rows: list[tuple], **columns) -> dict[str, pd.DataFrame]:
    contracts = pd.DataFrame(rows, columns=["customer_id", "started_at", "ended_at"])
    contracts = contracts.assign(
        started_at=pd.to_datetime(contracts.started_at),
        ended_at=pd.to_datetime(contracts.ended_at),
        **columns,
    )
    people = (
        contracts.groupby("customer_id", as_index=False)
        .started_at.min()
        .rename(columns={"started_at": "joined_at"})
    )
    return {"customers": people, "contracts": contracts}


def shop(rows: list[tuple]) -> dict[str, pd.DataFrame]:
    orders = pd.DataFrame(rows, columns=["customer_id", "ordered_at"]).assign(
        amount=5.0, ordered_at=lambda t: pd.to_datetime(t.ordered_at)
    )
    people = (
        orders.groupby("customer_id", as_index=False)
        .ordered_at.min()
        .rename(columns={"ordered_at": "joined_at"})
    )
    return {"customers": people, "orders": orders}


def row(cells: pd.DataFrame, month: str, column: str = "retained") -> list:
    return cells[cells.cohort == pd.Timestamp(month)][column].to_list()


def test_retention_is_measured_by_months_from_the_own_start(write_study):
    # start 10 January: age 1 is 10 February; an end is the first day without cover
    ends = [
        ("before", "2024-01-10", "2024-02-09"),
        ("on", "2024-01-10", "2024-02-10"),
        ("after", "2024-01-10", "2024-02-11"),
        ("stays", "2024-01-10", None),
    ]
    cells, _ = retention_of(write_study, terms(ends), "contractual", date(2024, 3, 31))
    assert row(cells, "2024-01", "customers") == [
        4,
        4,
        4,
    ]  # 31 January + 2 months is 31 March, so ages 0, 1, 2
    assert row(cells, "2024-01") == [4, 2, 1]


def test_monthly_plans_are_retained_alike_whatever_the_length_of_their_month(write_study):
    """Three of ten leave when their first month is over."""
    rows = []
    for month in range(1, 10):
        month_start = pd.Timestamp(2023, month, 1)
        ends = month_start + pd.offsets.MonthEnd(1)
        for first in (month_start, month_start + pd.Timedelta(days=14), ends):
            second = first + pd.DateOffset(months=1)
            names = [f"{first:%m%d}-{number}" for number in range(10)]
            rows += [(name, f"{first:%Y-%m-%d}", f"{second:%Y-%m-%d}") for name in names[:3]]
            rows += [(name, f"{first:%Y-%m-%d}", None) for name in names[3:]]
    cells, _ = retention_of(write_study, terms(rows), "contractual", date(2024, 6, 30))
    assert (cells[cells.age_months == 1].share == 0.7).all()
    assert (cells[cells.age_months > 1].share == 0.7).all()


def test_who_came_back_counts_and_who_was_away_between_two_ages_never_left(write_study):
    rows = [
        ("back", "2024-01-01", "2024-01-20"),
        ("back", "2024-02-15", None),
    ]  # away on 1 February (age 1), there on 1 March (age 2)
    rows += [
        ("blink", "2024-01-01", "2024-02-05"),
        ("blink", "2024-02-10", None),
        ("gone", "2024-01-01", "2024-01-02"),
    ]
    cells, _ = retention_of(write_study, terms(rows), "contractual", date(2024, 3, 31))
    assert row(cells, "2024-01") == [3, 1, 2]


def test_a_purchase_counts_in_the_window_of_its_own_age(write_study):
    # start 1 January; age 1 is 31 January to 29 February, age 2 is 1 to 30 March
    bought = {
        "first": ["2024-01-31"],
        "last": ["2024-02-29"],
        "next": ["2024-03-01"],
        "twice": ["2024-02-01", "2024-02-02"],
        "never": [],
    }
    rows = [(name, day) for name, days in bought.items() for day in ["2024-01-01", *days]]
    cells, _ = retention_of(
        write_study, shop(rows), "non_contractual", date(2024, 4, 29), run_in_days=0
    )
    # the window of age 2 of somebody who joined on 31 January ends on 31 January + 89 days, 29
    # April
    assert row(cells, "2024-01") == [5, 3, 1]
    shorter, _ = retention_of(
        write_study, shop(rows), "non_contractual", date(2024, 4, 28), name="shorter", run_in_days=0
    )
    assert row(shorter, "2024-01") == [5, 3]


@pytest.mark.parametrize(
    ("at", "ages"),
    [
        (date(2024, 1, 30), 0),
        (date(2024, 1, 31), 1),
        (date(2024, 2, 28), 1),
        (date(2024, 2, 29), 2),
    ],
)
def test_there_is_a_cell_from_the_day_on_which_the_last_possible_joiner_is_observed(
    write_study, at, ages
):
    # the last possible joiner joins on 31 January and renews on 29 February, the month's last day
    cells, counts = retention_of(
        write_study,
        terms([("a", "2024-01-01", None), ("b", "2024-01-02", None)]),
        "contractual",
        at,
    )
    assert len(cells) == ages
    assert counts["in a cohort"] == (2 if ages else 0)
    assert counts["joined in a month not complete yet"] == (0 if ages else 2)


def test_an_observed_cell_without_anybody_is_zero_and_an_unobserved_one_is_absent(write_study):
    rows = [("a", "2024-01-05", "2024-01-20"), ("b", "2024-03-05", None)]
    cells, _ = retention_of(write_study, terms(rows), "contractual", date(2024, 5, 1))
    assert row(cells, "2024-01") == [1, 0, 0, 0]  # 31 January + 3 months is 30 April
    assert row(cells, "2024-03") == [1, 1]  # 31 March + 1 month is 30 April
    assert row(cells, "2024-02") == []


def test_at_age_zero_everybody_is_there_even_who_left_on_the_first_day(write_study):
    cells, _ = retention_of(
        write_study,
        terms([("a", "2024-01-05", "2024-01-05"), ("b", "2024-01-05", None)]),
        "contractual",
        date(2024, 3, 1),
    )
    assert row(cells, "2024-01") == [2, 1]
    # everybody is there by definition: nothing is estimated
    assert cells.loc[cells.age_months == 0, ["low", "high"]].isna().all(axis=None)
    assert cells.loc[cells.age_months > 0, ["low", "high"]].notna().all(axis=None)


def test_a_late_joiner_is_counted_in_the_month_of_the_first_spell(write_study):
    rows = [("a", "2024-01-31", "2024-02-15"), ("a", "2024-03-20", None), ("b", "2024-02-01", None)]
    cells, _ = retention_of(write_study, terms(rows), "contractual", date(2024, 4, 30))
    assert row(cells, "2024-01", "customers") == [1, 1, 1, 1]
    assert row(cells, "2024-01") == [
        1,
        0,
        1,
        1,
    ]  # away on 1 March, under cover again on 31 January + 60 days, 31 March
    assert row(cells, "2024-02") == [1, 1, 1]


def test_customers_from_before_the_observation_are_left_out_and_counted(write_study):
    rows = [("old", "2023-12-31", None), ("new", "2024-01-01", None), ("late", "2024-04-02", None)]
    cells, counts = retention_of(
        write_study, terms(rows), "contractual", date(2024, 4, 29), data_start="2024-01-01"
    )
    assert row(cells, "2023-12") == []
    assert row(cells, "2024-01", "customers") == [1, 1, 1]
    assert counts == {
        "in a cohort": 1,
        "joined before observation began": 1,
        "first observed in the run-in": 0,
        "joined in a month not complete yet": 1,
    }


def test_a_first_purchase_within_the_run_in_proves_no_start(write_study):
    # the data begin on 1 January with "a"; 60 inactive days end a spell, so a first purchase from 1
    # March (day 60) on opens one whatever went before
    rows = [("a", "2024-01-01"), ("b", "2024-02-29"), ("c", "2024-03-01"), ("known", "2024-03-02")]
    tables = shop(rows)
    tables["customers"].loc[tables["customers"].customer_id == "known", "joined_at"] = pd.Timestamp(
        "2023-05-01"
    )
    cells, counts = retention_of(write_study, tables, "non_contractual", date(2024, 4, 30))
    assert {*cells.cohort} == {pd.Timestamp("2024-03-01")}
    assert row(cells, "2024-03", "customers") == [1]
    assert counts["joined before observation began"] == 1
    assert counts["first observed in the run-in"] == 2


def test_a_month_is_complete_only_when_late_rows_have_arrived(write_study):
    tables = terms([(f"c{i}", f"2024-01-{1 + i:02d}", None) for i in range(10)])
    tables["contracts"]["known_at"] = tables["contracts"].started_at + pd.Timedelta(days=40)
    for at, ages in (
        (date(2024, 3, 10), 0),
        (date(2024, 3, 11), 1),
        (date(2024, 4, 8), 1),
        (date(2024, 4, 9), 2),
    ):
        cells, _ = retention_of(write_study, tables, "contractual", at, name=f"at{at:%m%d}")
        assert len(cells) == ages  # 31 January + 40 days is 11 March; 29 February + 40 is 9 April


def random_terms(seed: int, people: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    started = pd.Timestamp("2023-06-01") + pd.to_timedelta(rng.integers(0, 500, people), unit="D")
    ended = pd.Series(started + pd.to_timedelta(rng.integers(1, 300, people), unit="D")).where(
        rng.random(people) < 0.8
    )
    return pd.DataFrame(
        {
            "customer_id": rng.choice([f"c{i}" for i in range(40)], people),
            "started_at": started,
            "ended_at": ended,
        }
    )


@pytest.mark.parametrize("seed", list_seeds(3))
def test_counting_by_changes_equals_counting_every_customer_at_every_age(write_study, seed):
    contracts, at = random_terms(seed), pd.Timestamp("2024-08-31")
    known = contracts[contracts.started_at <= at]
    tables = terms(list(contracts.itertuples(index=False)))
    cells, _ = retention_of(write_study, tables, "contractual", at.date(), data_end="2025-12-31")
    starts = known.groupby("customer_id").started_at.min()
    for cell in cells.itertuples():
        members = starts[starts.dt.to_period("M").dt.start_time == cell.cohort]
        days = members + pd.DateOffset(months=cell.age_months)
        covered = [
            (
                (known.customer_id == name)
                & (known.started_at <= day)
                & ~((known.ended_at <= day) & (known.ended_at <= at))
            ).any()
            for name, day in days.items()
        ]
        assert (cell.customers, cell.retained) == (len(members), sum(covered))


@pytest.mark.parametrize("seed", list_seeds(2))
def test_what_happens_or_arrives_after_the_snapshot_never_matters(write_study, seed):
    contracts, at = random_terms(seed).assign(known_at=lambda t: t.started_at), date(2024, 6, 30)
    here, counts = retention_of(
        write_study, with_people(contracts), "contractual", at, data_end="2025-12-31"
    )
    changed = contracts[contracts.started_at <= "2024-06-30"].copy()
    changed["ended_at"] = changed.ended_at.where(changed.ended_at <= "2024-06-30")
    late = changed.head(10).assign(
        customer_id="c0",
        started_at=pd.Timestamp("2024-01-01"),
        ended_at=pd.NaT,
        known_at=pd.Timestamp("2024-07-01"),
    )
    there, others = retention_of(
        write_study,
        with_people(pd.concat([changed, late])),
        "contractual",
        at,
        name="changed",
        data_end="2025-12-31",
    )
    pd.testing.assert_frame_equal(here, there, check_exact=True)
    assert counts == others


def with_people(contracts: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {
        "customers": pd.DataFrame(
            {"customer_id": [f"c{i}" for i in range(40)], "joined_at": pd.Timestamp("2023-01-01")}
        ),
        "contracts": contracts,
    }


def test_nobody_yet_leaves_an_empty_table(write_study):
    cells, counts = retention_of(
        write_study, terms([("a", "2024-05-01", None)]), "contractual", date(2024, 4, 30)
    )
    assert cells.empty
    assert list(cells.columns) == cohorts.COHORT_COLUMNS
    assert sum(counts.values()) == 0
    assert cohorts.summarise_cohorts(cells).empty


def cells_of(retained: list[int], customers: int = 100, age: int = 3) -> pd.DataFrame:
    months = pd.date_range("2024-01-01", periods=len(retained), freq="MS")
    return pd.DataFrame(
        {"cohort": months, "age_months": age, "customers": customers, "retained": retained}
    )


def test_the_summary_pools_the_cohorts_observed_at_an_age():
    table = cohorts.summarise_cohorts(
        pd.concat([cells_of([80, 60]), cells_of([50], age=6), cells_of([10], age=4)])
    )
    assert list(table.age_months) == [3, 6]
    assert table.share.to_list() == [0.7, 0.5]  # 140 of 200, 50 of 100
    # Wilson for 140 of 200: centre (0.7 + 3.8415 / 400) / (1 + 3.8415 / 200) = 0.69623, half width
    # 0.06302
    assert table.loc[0, ["low", "high"]].to_list() == pytest.approx([0.6332, 0.7593], abs=1e-4)
    assert set(table.verdict) == {"too few cohorts"}
    assert table.difference.isna().all()


def test_later_cohorts_are_compared_with_earlier_ones_of_equal_number():
    table = cohorts.summarise_cohorts(cells_of([50, 50, 99, 70, 70])).iloc[0]
    assert (table.early_share, table.late_share, table.difference) == (
        0.5,
        0.7,
        pytest.approx(0.2),
    )  # the middle one is in neither half


def test_the_interval_of_the_difference_is_newcombes_when_cohorts_are_not_overdispersed(
    monkeypatch,
):
    monkeypatch.setattr(cohorts, "_compute_overdispersion", lambda halves, comparisons: 1.0)
    halves = [pd.DataFrame({"customers": [n], "retained": [y]}) for y, n in ((48, 80), (56, 70))]
    # Newcombe 1998, table II: 56/70 - 48/80 = 0.2000, method 10: 0.0524 to 0.3339
    assert cohorts._compare(*halves, 1) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_seasons_that_move_whole_months_are_no_trend():
    steady, moved = (
        cohorts.summarise_cohorts(cells_of([500, 500, 500, 560, 560, 560], 1000)),
        cohorts.summarise_cohorts(cells_of([300, 700, 500, 360, 760, 560], 1000)),
    )
    assert steady.verdict[0] == "later cohorts are retained better"
    assert moved.verdict[0] == "no significant difference"
    assert moved.difference[0] == pytest.approx(steady.difference[0])


@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_equal_halves_rarely_differ_significantly(spread):
    rng = np.random.default_rng(1)
    shares = np.clip(0.5 + spread * rng.normal(size=(200, 8)), 0, 1)
    verdicts = [
        cohorts.summarise_cohorts(cells_of(list(rng.binomial(300, share)), 300)).verdict[0]
        for share in shares
    ]
    assert np.mean([verdict != "no significant difference" for verdict in verdicts]) < 0.05


def test_cohorts_count_who_is_covered_or_in_a_gap_that_closed(write_study):
    study, tables = company_with_gaps(write_study)
    evidence = evidence_as_of(tables, [date(2024, 4, 15)])
    cells = cohorts.compute_retention(evidence, study, date(2024, 4, 15))
    # observed to 5 April; back is gone from day 31 to 91, gone from day 60 on; late is never gone
    assert cells.age_months.to_list() == [0, 1, 2]
    assert cells.retained.to_list()[::2] == [3, 1]


def test_where_everybody_is_retained_nothing_is_estimated():
    months = pd.date_range("2024-01-01", periods=4, freq="MS")
    cells = pd.DataFrame({"cohort": months, "age_months": 1, "customers": 40, "retained": 40})
    (row,) = cohorts.summarise_cohorts(cells).itertuples()
    assert row.share == 1
    assert np.isnan([row.low, row.high, row.difference, row.difference_low]).all()
    assert row.verdict == "all retained in every cohort: nothing is estimated"
    (row,) = cohorts.summarise_cohorts(cells.assign(retained=[40, 40, 40, 39])).itertuples()
    assert row.low < row.share < row.high

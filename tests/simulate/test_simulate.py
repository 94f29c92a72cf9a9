"""The generated company as a whole: reproducible, complete, and as the demo study reads it."""

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from simulated_companies import EVENTS, LAST

from research.data import fetch, load
from research.data.checks import check
from research.simulate import EVENTS as EVENT_TABLES
from research.simulate import TRUTH, Company, simulate, simulate_company, simulate_truth
from research.study import load_study
from research.study_schema import TRAPS


def test_the_same_seed_gives_the_same_tables_to_the_bit():
    first, second = (simulate_company(Company(300, 12, 7)) for _ in range(2))
    for name in first:
        assert_frame_equal(first[name], second[name], check_exact=True)


def test_another_seed_gives_other_tables():
    first, second = simulate(300, 12, 7), simulate(300, 12, 8)
    assert [name for name in first if first[name].equals(second[name])] == []


def test_a_block_is_the_same_whatever_comes_after_it():
    few, many = (simulate_company(Company(size, 12, 0, TRAPS, block=100)) for size in (100, 250))
    for name, table in few.items():
        same = many[name][many[name].customer_id <= "C000100"]
        assert_frame_equal(table, same, check_exact=True)


def test_a_year_of_a_hundred_customers_works_for_any_seed():
    for seed in range(20):
        company = simulate(100, 12, seed)
        assert len(company["customers"]) == 100
        assert all(len(table) for name, table in company.items() if name != "referrals")


def test_a_table_keeps_its_types_when_a_small_company_leaves_a_column_empty(company):
    small = simulate(100, 12, 0)
    for name, table in company.items():
        assert small[name].dtypes.equals(table.dtypes), name


def test_the_types_are_those_that_every_version_of_pandas_knows(company):
    types = {str(dtype) for table in company.values() for dtype in table.dtypes}
    assert types == {"string", "datetime64[us]", "float64", "Int64", "boolean"}


def test_there_are_as_many_customers_as_asked_for_and_each_has_a_contract(any_company):
    assert any_company["customers"].customer_id.is_unique
    assert len(any_company["customers"]) == 1500
    assert set(any_company["contracts"].customer_id) == set(any_company["customers"].customer_id)


@pytest.mark.parametrize("months", [12, 30])
def test_the_history_covers_as_many_months_as_asked_for(months):
    company = simulate(500, months, 0)
    first = LAST.to_period("M").start_time - pd.DateOffset(months=months - 1)
    assert company["usage"].used_at.min().to_period("M") == first.to_period("M")
    assert min(company[name][column].min() for name, column in EVENTS.items()) >= first


def test_nothing_is_dated_after_the_last_day(company):
    assert company["usage"].used_at.max().normalize() == LAST
    dates = pd.concat(
        [table[column] for table in company.values() for column in table.select_dtypes("datetime")]
    )
    assert dates.max() < LAST + pd.Timedelta(days=1)


@pytest.fixture(scope="module")
def small_demo(tmp_path_factory):
    """The demo study's SQL over a company of 300, in a project folder of its own."""
    source, home = load_study("demo").folder, tmp_path_factory.mktemp("home")
    folder = home / "data" / "demo"
    folder.mkdir(parents=True)
    for path in (*source.glob("*.sql"), source / "study.yml"):
        (folder / path.name).write_text(
            path.read_text(encoding="utf-8").replace(
                "customers: 6000, months: 24", "customers: 300, months: 12"
            ),
            encoding="utf-8",
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESEARCH_HOME", str(home))
        study = load_study("demo")
        fetch.fetch(study)
        return study, load.adapt(study)


def test_the_demo_study_passes_every_check_of_the_contract_tables(small_demo):
    _, tables = small_demo
    checks = check(tables)
    assert set(tables) == {"customers", "contracts", *EVENTS}
    assert checks[checks.rows_failing > 0].empty


def test_the_demo_study_reads_every_column_and_row_that_the_simulator_writes(small_demo):
    study, tables = small_demo
    for name, frame in simulate(**study.simulate.model_dump()).items():
        assert set(tables[name].columns) == set(frame.columns), name
        assert tables[name].count().execute() == len(frame)


def test_nothing_of_the_truth_is_reachable_from_the_contract_tables(small_demo):
    study, tables = small_demo
    assert not [source.file for source in study.sources.values() if "truth" in source.file]
    hidden = {
        column
        for table in simulate_truth(**study.simulate.model_dump()).values()
        for column in table.columns
    }
    keys = {"customer_id", "campaign", "assigned_at", "arm", "given_at"}
    shared = {*keys, "voluntary"}  # the flag of a real end
    assert not (hidden - shared) & {column for table in tables.values() for column in table.columns}
    assert not [name for name in TRUTH if name in tables]


def test_the_last_label_window_of_the_demo_study_closes_on_the_last_day():
    study = load_study("demo")
    assert (
        pd.Timestamp(study.snapshots.last)
        + pd.Timedelta(days=study.churn.lead_days + study.churn.horizon_days)
        == LAST
    )
    assert pd.Timestamp(study.data_end) == LAST
    assert pd.Timestamp(study.data_start) == pd.Timestamp("2024-01-01")


def test_the_demo_company_has_55_to_65_events_per_customer():
    company = simulate(**load_study("demo").simulate.model_dump())
    assert 55 < sum(len(company[name]) for name in (*EVENT_TABLES, "campaigns")) / 6000 < 65

"""What a study computes is the same with the store off, empty and warm, and follows its files."""

import os
from datetime import date, timedelta

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from small_companies import company

import research as rs
from research.data import checks
from research.features import build
from research.store import entries, keep, keys
from research.survival import tenure


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    """A store in a folder of its own, closed after the test; the style of figures is left too."""
    monkeypatch.setenv(keep.SWITCH, str(tmp_path / "store"))
    monkeypatch.setattr(keys, "_require_unchanged", lambda: None)  # whoever edits them meanwhile
    monkeypatch.setattr(keep, "_opened", {"folder": None, "limit": 0})
    monkeypatch.setenv("RESEARCH_TABLES", str(tmp_path / "tables"))
    with plt.rc_context():
        yield tmp_path / "store"


def compute(**parameters) -> dict[str, pd.DataFrame]:
    """Return what a notebook computes of a small study, all kept by the store."""
    run = rs.open("tiny", **parameters)
    panel = run.panel()
    features = run.features(panel)
    tenures = tenure.load_tenures(run.tables, run.study)
    return {
        "train": panel.train,
        "test": panel.test,
        "leaks": features.leaks,
        "dictionary": features.dictionary,
        "tenures": tenures,
        "tests": tenure.compare_segments(tenures, []),
    }


def write_bytes(tables: dict[str, pd.DataFrame], folder) -> dict[str, bytes]:
    """Return each table as a notebook would leave it."""
    folder.mkdir(exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet")
    return {name: (folder / f"{name}.parquet").read_bytes() for name in tables}


def count_misses(monkeypatch) -> list[str]:
    """Return a list that grows by the name of each entry that is written."""
    written, write = [], entries.write

    def note(path, *rest):
        written.append(path.name.rpartition("-")[0].rpartition(".")[2])
        return write(path, *rest)

    monkeypatch.setattr(entries, "write", note)
    return written


def test_tables_are_equal_to_the_byte_with_the_store_off_empty_and_warm(
    write_study, tmp_path, monkeypatch
):
    write_study("contractual", tables=company())
    written = count_misses(monkeypatch)
    empty = write_bytes(compute(), tmp_path / "frames")
    assert {"_check_on", "load_panel", "check_panel", "load_tenures"} <= {*written}
    written.clear()
    warm = write_bytes(compute(), tmp_path / "frames")
    assert written == []
    monkeypatch.setenv(keep.SWITCH, keep.OFF)
    monkeypatch.setattr(entries, "read", lambda *_: pytest.fail("the store was read"))
    assert write_bytes(compute(), tmp_path / "frames") == warm == empty


def test_another_parameter_and_another_file_are_computed_anew(write_study, monkeypatch):
    tables = company()
    study = write_study("contractual", tables=tables)
    compute()
    written = count_misses(monkeypatch)
    longer = compute(horizon_days=31)
    assert "load_panel" in written
    written.clear()
    first = tables["customers"].iloc[1:]
    first.to_parquet(study.raw / "customers.parquet", index=False)
    tables["contracts"] = tables["contracts"].merge(first[["customer_id"]])
    for name in tables:
        kept = tables[name][tables[name].customer_id.isin(first.customer_id)]
        kept.to_parquet(study.raw / f"{name}.parquet", index=False)
    assert len(compute(horizon_days=31)["tenures"]) == len(longer["tenures"]) - 1
    assert {"_check_on", "load_panel", "check_panel", "load_tenures"} <= {*written}


def test_a_changed_query_is_computed_anew(write_study, monkeypatch):
    study = write_study("contractual", tables=company())
    compute()
    written = count_misses(monkeypatch)
    path = study.folder / "customers.sql"
    path.write_text(path.read_text() + " WHERE customer_id IS NOT NULL")
    compute()
    assert "load_panel" in written


def test_a_changed_module_is_computed_anew(write_study, monkeypatch):
    write_study("contractual", tables=company())
    compute()
    written = count_misses(monkeypatch)
    read = keys._read_source.__wrapped__
    monkeypatch.setattr(
        keys, "_read_source", lambda name: read(name) + "#" * (name == "research.panel.labels")
    )
    keys.hash_code.cache_clear()
    try:
        compute()
    finally:
        keys.hash_code.cache_clear()
    assert "load_panel" in written and "_check_on" not in written


def test_tables_that_no_file_stands_for_are_computed_each_time(write_study, monkeypatch):
    study = write_study("contractual", tables=company())
    run = rs.open("tiny")
    written = count_misses(monkeypatch)
    plain = dict(run.tables)
    for _ in range(2):
        build.load_panel(plain, run.study, [study.snapshots.last])
    assert written == []


def test_a_store_that_is_off_leaves_no_folder(write_study, own_store, monkeypatch):
    monkeypatch.setenv(keep.SWITCH, keep.OFF)
    write_study("contractual", tables=company())
    compute()
    assert not own_store.exists() and not (own_store.parent / keep.FOLDER).exists()
    assert os.environ[keep.SWITCH] == keep.OFF


def test_a_check_of_the_present_day_is_made_anew_on_the_next_one(write_study, monkeypatch):
    class Tomorrow(date):
        """The day after."""

        @classmethod
        def today(cls):
            """Return it."""
            return date.today() + timedelta(days=1)

    write_study("contractual", tables=company())
    run = rs.open("tiny")
    checks.check(run.tables)
    written = count_misses(monkeypatch)
    checks.check(run.tables)
    assert written == []
    monkeypatch.setattr(checks, "date", Tomorrow)
    checks.check(run.tables)
    assert written == ["_check_on"]

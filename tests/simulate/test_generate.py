"""The generated company as files: the bytes depend on nothing but the request."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from research.errors import UsageError
from research.simulate import TABLES, Company, generate, simulate_block
from research.study_schema import TRAPS

COMPANY = Company(230, 12, 3, TRAPS, block=50)


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    """Files of two blocks: the company of 230 in blocks of 50 has five blocks and three files."""
    monkeypatch.setattr(generate, "FILE_BLOCKS", 2)


def write(folder: Path, chunk: int, company: Company = COMPANY) -> dict[str, bytes]:
    folder.mkdir()
    generate.write_company(company, folder, chunk)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.parquet")}


@pytest.mark.parametrize("chunk", [1, 51, 100, 149, 100_000])
def test_the_bytes_do_not_depend_on_how_many_customers_are_held_at_once(tmp_path, chunk):
    assert write(tmp_path / "first", 50) == write(tmp_path / "second", chunk)


def test_a_file_holds_two_blocks_and_a_row_group_one(tmp_path):
    files = write(tmp_path / "company", 50)
    assert set(files) == {f"{name}/part-0000{part}.parquet" for name in TABLES for part in range(3)}
    groups = pq.ParquetFile(tmp_path / "company" / "customers" / "part-00000.parquet").metadata
    assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [
        50,
        50,
    ]
    assert pq.read_table(tmp_path / "company" / "customers" / "part-00002.parquet").num_rows == 30


def test_the_files_hold_what_is_made_in_memory(tmp_path):
    write(tmp_path / "company", 50)
    blocks = [simulate_block(COMPANY, block) for block in COMPANY.blocks]
    for name in TABLES:
        assert pq.read_table(tmp_path / "company" / name).equals(
            pa.concat_tables([block[name] for block in blocks])
        ), name


def test_every_row_is_counted(tmp_path):
    (tmp_path / "company").mkdir()
    rows = generate.write_company(COMPANY, tmp_path / "company")
    assert rows == {name: pq.read_table(tmp_path / "company" / name).num_rows for name in TABLES}
    assert rows["customers"] == 230


def test_a_company_of_whole_blocks_has_no_empty_one(tmp_path):
    assert list(Company(100, 12, 0, block=50).blocks) == [0, 1]
    assert {Company(101, 12, 0, block=50).count(block) for block in range(3)} == {50, 1}


def test_a_block_of_one_customer_can_be_made():
    for seed in range(10):
        tables = simulate_block(Company(101, 12, seed, block=100), 1)
        assert tables["customers"].column("customer_id").to_pylist() == ["C000101"]


def test_identifiers_of_a_million_customers_are_distinct_and_long_enough():
    ids = (
        simulate_block(Company(1_000_100, 12, 0, block=100), 10_000)["customers"]
        .column("customer_id")
        .to_pylist()
    )
    assert (ids[0], ids[-1], len(set(ids))) == ("C1000001", "C1000100", 100)


def test_an_empty_folder_is_filled_and_one_that_is_missing_is_made_with_its_parents(tmp_path):
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "empty", tmp_path / "a" / "b"):
        generate.generate(100, 12, 0, out, ())
        assert (out / "customers" / "part-00000.parquet").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "a"}


def test_a_stop_in_the_middle_leaves_nothing(tmp_path, monkeypatch):
    def stop(company, block):
        raise KeyboardInterrupt

    monkeypatch.setattr(generate, "simulate_block", stop)
    with pytest.raises(KeyboardInterrupt):
        generate.generate(100, 12, 0, tmp_path / "company", ())
    assert list(tmp_path.iterdir()) == []


def test_a_trap_that_nobody_knows_is_refused(tmp_path):
    with pytest.raises(UsageError, match="traps"):
        generate.generate(100, 12, 0, tmp_path / "company", ("luck",))


def test_a_company_lives_on_under_assignments_from_a_file(tmp_path):
    rows = pd.DataFrame(
        {"customer_id": ["C000001", "C000002"], "assigned_at": "2025-07-01", "arm": "call"}
    )
    rows.to_csv(tmp_path / "list.csv", index=False)
    generate.generate(100, 12, 0, tmp_path / "company", (), assignments=tmp_path / "list.csv")
    listed = pd.read_parquet(tmp_path / "company" / "campaigns")
    assert {*listed.customer_id[listed.campaign == "assigned"]} <= {"C000001", "C000002"}
    assert (listed.campaign == "assigned").any()

"""Parts of Parquet with other types are unified without loss, or refused."""

from datetime import date, datetime

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from raw_files import faults_of

from research.data.readers import describe_reader


@pytest.fixture
def parts(flat):
    """Return a function that writes a file for each array of the column x."""

    def write(*arrays: pa.Array | None, **options):
        study = flat("part-*.parquet", None, options=options)
        for number, array in enumerate(arrays):
            columns = {"id": [number]} | ({} if array is None else {"x": array})
            pq.write_table(pa.table(columns), study.raw / f"part-{number}.parquet")
        return study

    return write


def read(study) -> list:
    relation = describe_reader(study, "raw_x", study.sources["raw_x"])
    return [row[0] for row in duckdb.sql(f"SELECT x FROM {relation} ORDER BY id").fetchall()]


@pytest.mark.parametrize(
    ("first", "second", "values"),
    [
        (pa.array([20]), pa.array([20.75]), [20.0, 20.75]),
        (pa.array([20], pa.int8()), pa.array([2**40]), [20, 2**40]),
        (
            pa.array([date(2024, 1, 1)]),
            pa.array([datetime(2024, 1, 1, 9, 30)]),
            [datetime(2024, 1, 1), datetime(2024, 1, 1, 9, 30)],
        ),
        (pa.array([None], pa.null()), pa.array(["a"]), [None, "a"]),
    ],
)
def test_types_that_differ_are_unified_without_loss(parts, first, second, values):
    assert read(parts(first, second)) == values


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (pa.array(["007"]), pa.array([7]), "string in part-0.parquet and int64 in part-1.parquet"),
        (pa.array([2**53 + 1]), pa.array([0.5]), "int64 in part-0.parquet and double in part-1"),
        (
            pa.array([datetime(2024, 1, 1)], pa.timestamp("us")),
            pa.array([datetime(2024, 1, 1)], pa.timestamp("us", "UTC")),
            "timestamp[us] in part-0.parquet and timestamp[us, tz=UTC] in part-1.parquet",
        ),
    ],
)
def test_types_that_would_lose_something_are_refused_with_the_files(parts, first, second, found):
    study = parts(first, second)
    (fault,) = faults_of(describe_reader, study, "raw_x", study.sources["raw_x"])
    assert "column x: expected one type in all files, got " + found in fault


def test_a_column_that_one_file_lacks_is_refused_or_empty_by_the_option(parts):
    study = parts(None, pa.array([1]))
    (fault,) = faults_of(describe_reader, study, "raw_x", study.sources["raw_x"])
    assert fault.endswith(
        "expected the column x in every file, got none in part-0.parquet; correct the files, or"
        " read it as empty there by options: {union_by_name: true}"
    )
    assert read(parts(None, pa.array([1]), union_by_name=True)) == [None, 1]


def test_lengths_of_time_are_refused_since_their_unit_would_be_lost(parts):
    study = parts(pa.array([1_000_000], pa.duration("us")))
    assert faults_of(describe_reader, study, "raw_x", study.sources["raw_x"]) == (
        "data/tiny/study.yml, key sources.raw_x, column x: expected numbers, texts, flags, dates or"
        " times, got lengths of time (duration[us]) in part-0.parquet; write them as numbers of one"
        " unit",
    )

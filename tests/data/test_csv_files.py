"""CSV files: a column's type follows from all of its values, and loses nothing of any."""

from datetime import date, datetime

import duckdb
import pytest
from raw_files import faults_of

from research.data.readers import describe_reader

BEYOND = 25_000  # rows, more than the sample that proposes a type


@pytest.fixture
def column(flat):
    """Return a function that reads one column of a CSV file, as DuckDB's type and its values."""

    def read(*values: str, delim: str = ";", **options):
        content = f"id{delim}x\n" + "".join(f"{i}{delim}{v}\n" for i, v in enumerate(values))
        study = flat(content=content, options=options)
        relation = duckdb.sql(
            f"SELECT x FROM {describe_reader(study, 'raw_x', study.sources['raw_x'])} ORDER BY id"
        )
        return str(relation.types[0]), [row[0] for row in relation.fetchall()]

    return read


@pytest.fixture
def fault(flat):
    """Return a function that gives the fault of reading one column."""

    def read(*values: str, **options) -> str:
        content = "id;x\n" + "".join(f"{i};{v}\n" for i, v in enumerate(values))
        study = flat(content=content, options=options)
        (sentence,) = faults_of(describe_reader, study, "raw_x", study.sources["raw_x"])
        return sentence.removeprefix("data/tiny/study.yml, key sources.raw_x")

    return read


@pytest.mark.parametrize(
    ("late", "kind", "first", "last"),
    [
        ("20.75", "DOUBLE", 1.0, 20.75),
        ("01000", "VARCHAR", "1", "01000"),
        ("12345678901234567890", "VARCHAR", "1", "12345678901234567890"),
        ("A7", "VARCHAR", "1", "A7"),
    ],
)
def test_a_value_beyond_the_sample_decides_as_much_as_the_first(column, late, kind, first, last):
    found, values = column(*["1"] * BEYOND, late)
    assert (found, values[0], values[-1]) == (kind, first, last)


@pytest.mark.parametrize(
    ("values", "kind", "last"),
    [
        (["1", "-20", "0"], "BIGINT", 0),
        (["1.5", "-.25", "1e-05"], "DOUBLE", 1e-05),
        (["1E5", "2E3"], "VARCHAR", "2E3"),  # codes
        (["+4915112345", "+4930123"], "VARCHAR", "+4930123"),  # telephone numbers
        (["007", "010"], "VARCHAR", "010"),
        (["true", "False"], "BOOLEAN", False),
        (["Y", "N"], "VARCHAR", "N"),
        (["2024-01-31", "2024-12-01"], "DATE", date(2024, 12, 1)),
        (["2024-01-31", "2024-12-01 23:59:59"], "TIMESTAMP", datetime(2024, 12, 1, 23, 59, 59)),
        (["2024-01-31 10:00", "2024-02-30 10:00"], "VARCHAR", "2024-02-30 10:00"),
        (["2024-01-31", "0000-00-00"], "VARCHAR", "0000-00-00"),
        (["2024-01-31", "NULL"], "VARCHAR", "NULL"),
        (["2024-01-31 10:00:00", "2024-01-31 10:00:00+02"], "VARCHAR", "2024-01-31 10:00:00+02"),
        (["31/12/2024", "1/2/2024"], "DATE", date(2024, 2, 1)),
        (["12/31/2024", "1/2/2024"], "DATE", date(2024, 1, 2)),
        (["31.12.2024 18:30", "01.02.2024 07:05"], "TIMESTAMP", datetime(2024, 2, 1, 7, 5)),
        (["12/31/2024 1:05 PM", "1/2/2024 1:05 AM"], "TIMESTAMP", datetime(2024, 1, 2, 1, 5)),
        (["31/12/2024", "12/31/2024"], "VARCHAR", "12/31/2024"),
        (["1.234", "12.5"], "DOUBLE", 12.5),
        (["1.234", "1234"], "DOUBLE", 1234.0),
        (["0.125", "0.250"], "DOUBLE", 0.25),
        (["$60.12", "$1.00"], "VARCHAR", "$1.00"),
        (["1,5", "2,25"], "VARCHAR", "2,25"),
        (["5", " "], "VARCHAR", " "),
        (["", "3"], "BIGINT", 3),
        (["", ""], "VARCHAR", None),
    ],
)
def test_a_column_has_the_narrowest_type_that_loses_nothing(column, values, kind, last):
    found, read = column(*values)
    assert (found, read[-1]) == (kind, last)


def test_a_time_with_an_offset_keeps_its_moment(column):
    kind, (moment, _) = column("2024-01-01 00:30:00+02:00", "2024-01-01T00:30:00Z")
    assert kind == "TIMESTAMP WITH TIME ZONE"
    assert moment.timestamp() == datetime.fromisoformat("2023-12-31T22:30:00+00:00").timestamp()


def test_dates_whose_day_and_month_cannot_be_told_apart_are_refused_with_the_option(fault, column):
    assert fault("01/01/2024", "03/01/2024") == (
        ", column x: expected dates that show which number is the day, got no day above 12, for"
        " example 01/01/2024; add options: {dateformat: '%d/%m/%Y'} or {dateformat: '%m/%d/%Y'}, or"
        " read it as text by options: {types: {x: VARCHAR}}"
    )
    assert column("01/01/2024", "03/01/2024", dateformat="%m/%d/%Y")[1][-1] == date(2024, 3, 1)
    assert column("03/01/2024", types={"x": "VARCHAR"}) == ("VARCHAR", ["03/01/2024"])


def test_a_point_that_may_part_thousands_is_refused_with_the_option(fault, column):
    assert fault("1.234", "999", "0") == (
        ", column x: expected numbers whose point is that of decimals or of thousands beyond doubt,"
        " got only numbers such as 1.234; add options: {decimal_separator: '.'} or"
        " {decimal_separator: ',', thousands: '.'}"
    )
    assert column("1.234", decimal_separator=".") == ("DOUBLE", [1.234])
    german = {"decimal_separator": ",", "thousands": "."}
    assert column("1.234", "1.234.567", **german) == ("BIGINT", [1234, 1234567])
    assert column("1.234,50", "-7,25", "12", **german) == ("DOUBLE", [1234.5, -7.25, 12.0])


def test_a_type_that_is_given_is_cast_strictly_and_the_line_is_named(column, fault):
    assert column("007", "1", types={"x": "BIGINT"}) == ("BIGINT", [7, 1])
    assert fault("1", types={"y": "BIGINT"}) == (
        ", options.types: expected columns of x.csv (id, x), got y; correct the spelling"
    )


def test_a_quote_after_the_sample_is_a_quote(column):
    assert column(*["a"] * BEYOND, '"b;c ""d"""')[1][-1] == 'b;c "d"'


def test_files_of_a_glob_have_one_type_for_each_column(flat):
    study = flat("part-*.csv", None)
    (study.raw / "part-0.csv").write_text("id,zip\n1,1000\n")
    (study.raw / "part-1.csv").write_text("zip,id\n01000,2\n")  # in another order
    relation = describe_reader(study, "raw_x", study.sources["raw_x"])
    assert duckdb.sql(f"SELECT id, zip FROM {relation} ORDER BY id").fetchall() == [
        (1, "1000"),
        (2, "01000"),
    ]


def test_types_are_found_once_for_each_version_of_a_file(flat):
    study = flat(content="id,x\n1,1\n")
    source = study.sources["raw_x"]
    first = describe_reader(study, "raw_x", source)
    assert len([*study.raw.glob(".raw_x-*.sql")]) == 1
    assert describe_reader(study, "raw_x", source) == first
    (study.raw / "x.csv").write_text("id,x\n1,01\n")
    assert describe_reader(study, "raw_x", source) != first


ROWS = "".join(f"{i},{i % 7}.5,north\n" for i in range(60))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            f"id,fee,region\n{ROWS}(60 rows)\n",
            "expected 3 values in each row of x.csv, as in its header, got 1 in line 62"
            " ('(60 rows)'); correct or delete that line",
        ),
        (
            f"id,fee,region\n{ROWS}60,1.5,nor,th\n{ROWS}",
            "expected 3 values in each row of x.csv, as in its header, got 4 in line 62"
            " ('60,1.5,nor,th'); correct or delete that line",
        ),
        (
            f"id,fee,region\n{ROWS}60,1.",
            "expected 3 values in each row of x.csv, as in its header, got 2 in line 62"
            " ('60,1.'); correct or delete that line",
        ),
        (
            f"id,fee,region\n{ROWS}" + ROWS.replace("\n", "\r\n"),
            "expected one kind of line ends in x.csv, got 60 lines that end as in Windows and"
            " others that don't; save it with one kind",
        ),
        ("", "expected rows in x.csv, got an empty file; restore it"),
    ],
    ids=["footer", "delimiter in a value", "cut", "line ends", "empty"],
)
def test_rows_of_another_length_than_the_header_are_named_with_the_line(flat, text, sentence):
    study = flat(content=text.encode())
    assert faults_of(describe_reader, study, "raw_x", study.sources["raw_x"]) == (
        f"data/tiny/study.yml, key sources.raw_x: {sentence}",
    )


@pytest.mark.parametrize("text", ["id\na\nb\n", 'id,x\n1,"a,\nb"\n2,c\n', "id,x\n1,a\n\n2,b\n"])
def test_one_column_quoted_delimiters_and_blank_lines_are_no_fault(flat, text):
    study = flat(content=text.encode())
    relation = describe_reader(study, "raw_x", study.sources["raw_x"])
    assert duckdb.sql(f"SELECT count(*) FROM {relation} WHERE id IS NOT NULL").fetchall() == [(2,)]


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (
            "id,zip,x\n2,3,4\n",
            "expected the columns of part-0.csv in every file, got x beyond them in part-1.csv;"
            " correct the files, or read them as empty where they are missing by options:"
            " {union_by_name: true}",
        ),
        (
            "id,x\n2,3\n",
            "expected the columns of part-0.csv in every file, got no zip in part-1.csv; correct"
            " the files, or read them as empty where they are missing by options: {union_by_name:"
            " true}",
        ),
        (
            "id;zip\n2;3\n",
            "expected the header of part-0.csv (id, zip) in every file, got id;zip in part-1.csv;"
            " give it the header and the delimiter of the others",
        ),
    ],
    ids=["more", "fewer", "another delimiter"],
)
def test_files_of_a_glob_with_other_columns_are_refused(flat, part, sentence):
    study = flat("part-*.csv", None)
    (study.raw / "part-0.csv").write_text("id,zip\n1,1000\n")
    (study.raw / "part-1.csv").write_text(part)
    assert faults_of(describe_reader, study, "raw_x", study.sources["raw_x"]) == (
        f"data/tiny/study.yml, key sources.raw_x: {sentence}",
    )

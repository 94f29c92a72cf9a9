"""Raw files in every format, under any name, and each fault as one sentence."""

import os

import pandas as pd
import pyreadr
import pytest
from raw_files import faults_of, read, write_xlsx

from research.data import fetch, load


@pytest.mark.parametrize(
    "file",
    [
        "x.csv",
        "X.CSV",
        'it\'s a "file".csv',
        "größe ☃.csv",
        "a[1].csv",
        "two\nlines.csv",
        "x;y -- z.csv",
    ],
)
def test_a_csv_file_of_any_name_is_read(flat, file):
    assert read(flat(file)).customer_id.tolist() == ["a", "b"]


def test_a_study_in_a_folder_with_wildcards_in_its_name_is_read(write_study):
    study = write_study(
        "flat",
        name="a[1] *",
        tables={"snapshot": pd.DataFrame({"customer_id": ["a"], "churned": [True]})},
    )
    assert fetch.fetch(study).origin.tolist() == ["local"]
    assert read(study).customer_id.tolist() == ["a"]


def test_options_of_a_csv_file_reach_the_reader(flat):
    study = flat(
        content="customer_id;x\n007;1,5\n008;2\n",
        sql="SELECT customer_id, x = '2' AS churned FROM raw_x",
        options={"delim": ";", "all_varchar": True},
    )
    assert read(study).customer_id.tolist() == ["007", "008"]


def test_a_csv_file_in_another_encoding_needs_and_takes_the_option(flat):
    content = "customer_id,city\na,Zürich\nb,Bern\n".encode("latin-1")
    (fault,) = faults_of(load.adapt, flat(content=content))
    assert fault == (
        "data/tiny/study.yml, key sources.raw_x: expected x.csv in UTF-8, got the byte 0xFC in line"
        " 2; name its encoding, for example options: {encoding: windows-1252}, or latin-1 or utf-16"
    )
    assert len(read(flat(content=content, options={"encoding": "latin-1"}))) == 2


def test_a_glob_of_parquet_files_is_one_source(flat):
    study = flat("part-*.parquet", None)
    for number, customer in enumerate("ab"):
        pd.DataFrame({"customer_id": [customer]}).to_parquet(study.raw / f"part-{number}.parquet")
    assert read(study).customer_id.tolist() == ["a", "b"]


def test_a_glob_does_not_catch_the_copies_that_the_package_keeps(flat):
    study = flat("*.parquet", None)
    pd.DataFrame({"customer_id": ["a"]}).to_parquet(study.raw / "part.parquet")
    pd.DataFrame({"customer_id": ["hidden"]}).to_parquet(study.raw / ".raw_y-0123.parquet")
    assert read(study).customer_id.tolist() == ["a"]


def test_the_named_sheet_of_an_xlsx_file_is_read_and_a_mixed_column_becomes_text(flat):
    study = flat(
        "x.xlsx",
        None,
        "SELECT customer_id, mixed = '1' AS churned, mixed FROM raw_x",
        sheet="People",
    )
    write_xlsx(
        study.raw / "x.xlsx",
        Notes=[["nothing"], ["here"]],
        People=[["customer_id", "mixed"], ["a", 1], ["b", "two"]],
    )
    assert read(study).mixed.tolist() == ["1", "two"]


def test_a_changed_xlsx_file_is_read_anew(flat):
    study = flat("x.xlsx", None)
    for customer in ("a", "z"):
        write_xlsx(study.raw / "x.xlsx", People=[["customer_id"], [customer]])
        assert read(study).customer_id.tolist() == [customer]


def test_the_only_object_of_an_rdata_file_needs_no_name(flat):
    study = flat("x.rda", None)
    pyreadr.write_rdata(
        os.fspath(study.raw / "x.rda"), pd.DataFrame({"customer_id": ["a", "b"]}), df_name="people"
    )
    assert read(study).customer_id.tolist() == ["a", "b"]


def test_an_object_that_the_rdata_file_does_not_hold_is_named_with_those_it_holds(flat):
    study = flat("x.rda", None, object="persons")
    pyreadr.write_rdata(
        os.fspath(study.raw / "x.rda"), pd.DataFrame({"customer_id": ["a"]}), df_name="people"
    )
    assert faults_of(load.adapt, study) == (
        (
            "data/tiny/study.yml, key sources.raw_x: expected 'object' to be one of people, got"
            " persons; name one of them"
        ),
    )


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (
            "x.parquet",
            (
                "expected a file x.parquet that DuckDB can read with its options, got this error:"
                " Parquet magic bytes not found in footer"
            ),
        ),
        (
            "x.csv.gz",
            (
                "expected a file x.csv.gz that DuckDB can read with its options, got this error:"
                " Not a gzipped file"
            ),
        ),
        (
            "x.xlsx",
            (
                "expected a readable XLSX sheet in x.xlsx, got this error: File is not a zip"
                " file; correct 'sheet' or the file"
            ),
        ),
        ("x.rda", "expected a readable RData file x.rda, got this error: "),
        (
            "x.json",
            (
                "expected a CSV, Parquet, XLSX or RData file, got 'x.json'; convert it to one of"
                " these formats"
            ),
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(flat, file, sentence):
    (fault,) = faults_of(load.adapt, flat(file, "this is no such file"))
    assert fault.startswith(f"data/tiny/study.yml, key sources.raw_x: {sentence}")


def test_a_sheet_that_is_not_there_or_is_empty_is_one_sentence(flat):
    for sheet, sentence in (
        (
            "Persons",
            ", key sheet: expected one of People, Empty, got Persons; name a sheet of x.xlsx",
        ),
        (
            "Empty",
            (
                ": expected a sheet with a header row in x.xlsx, got an empty row; correct 'sheet',"
                " options.skip or the file"
            ),
        ),
    ):
        study = flat("x.xlsx", None, sheet=sheet)
        write_xlsx(study.raw / "x.xlsx", People=[["customer_id"], ["a"]], Empty=[])
        assert faults_of(load.adapt, study) == (
            f"data/tiny/study.yml, key sources.raw_x{sentence}",
        )


def test_a_glob_of_several_xlsx_files_is_refused_instead_of_reading_the_first(flat):
    study = flat("*.xlsx", None)
    for name in ("one.xlsx", "two.xlsx"):
        write_xlsx(study.raw / name, People=[["customer_id"], ["a"]])
    assert faults_of(load.adapt, study) == (
        (
            "data/tiny/study.yml, key sources.raw_x: expected one XLSX or RData file per source,"
            " got 2 for '*.xlsx'; write a source for each"
        ),
    )


@pytest.mark.parametrize(
    "file", ["x.csv", "x.xlsx", "x.rda", "", ".", "/", "a**b.csv", "[", "a" * 300 + ".csv"]
)
@pytest.mark.parametrize("call", [load.adapt, fetch.fetch, fetch.data_hash])
def test_what_is_no_file_is_one_sentence_wherever_it_is_read(flat, file, call):
    study = flat(file, None)
    (study.raw / "x.csv").mkdir()
    (fault,) = faults_of(call, study)
    assert fault.startswith("data/tiny/study.yml, key sources.raw_x: expected the file ")
    assert fault.endswith(", but it does not exist; run 'research fetch tiny' or put it there")


def test_an_unknown_option_is_one_sentence(flat):
    (fault,) = faults_of(load.adapt, flat(options={"nonsense": 1}))
    assert (
        'got this error: Binder Error: Invalid named parameter "nonsense" for function sniff_csv'
    ) in fault

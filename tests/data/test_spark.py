"""Spark: its options, names of files and errors; its tables are tested in test_engines."""

import sys
from pathlib import Path

import pytest

from research.data import engines, spark
from research.errors import StudyError
from research.study_schema import Engine


def test_spark_without_its_package_or_without_java_is_one_sentence(
    write_study, monkeypatch, tmp_path
):
    study = write_study("flat", engine="spark")
    monkeypatch.setattr(spark, "_LAUNCHED", [])
    monkeypatch.setattr(spark, "_find_running", lambda place: None)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(
        StudyError,
        match=(
            "key engine: expected Java 17 or later for the engine spark, found none on JAVA_HOME"
            " .*; install a Java"
        ),
    ):
        engines.connect(study)
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(
        StudyError,
        match=(
            "expected pyspark for the engine spark, but it is not installed; install it with 'pip"
            r" install research\[spark\]'"
        ),
    ):
        spark.open_session(study.engine, "data/tiny/study.yml, key engine")


def test_a_name_of_a_file_keeps_its_wildcards_for_spark():
    assert spark.name_path(Path("/data/a[1]*?{x}.parquet")) == (
        r"file:///data/a\[1\]\*\?\{x\}.parquet"
    )


def test_options_of_a_study_come_on_top_of_the_quiet_ones():
    engine = Engine(kind="spark", master="local[2]", options={"spark.ui.enabled": True, "x": 3})
    options = spark._list_options(engine)
    assert options["spark.master"] == "local[2]"
    assert (options["spark.ui.enabled"], options["x"]) == ("true", "3")
    assert options["spark.sql.session.timeZone"] == "UTC"


def test_an_error_of_spark_is_its_first_line():
    assert spark.describe_error(ValueError("first  line\nsecond")) == "first line"
    assert spark.describe_error(ValueError("")) == "ValueError"

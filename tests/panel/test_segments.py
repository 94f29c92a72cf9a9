"""Segments: which columns divide customers, and to which segment each belongs."""

from datetime import date

import pandas as pd
import pytest
from dated_rows import contract, customers

from research.data import load
from research.errors import StudyError
from research.panel import segments
from research.panel.evidence import evidence_as_of

T = date(2024, 6, 30)


def write(write_study, people: pd.DataFrame, terms: pd.DataFrame | None = None, **changes):
    tables = {"customers": people, "contracts": contract("a", "2024-01-01", None)}
    study = write_study(tables=tables | ({} if terms is None else {"contracts": terms}), **changes)
    return load.load_tables(study), study


def test_texts_of_two_to_eight_values_and_the_plan_divide_customers(write_study):
    people = customers(*"abcdefghi").assign(
        one="x", two=[*"xy"] * 4 + ["x"], nine=[*"abcdefghi"], age=30.0, gender=[*"fm"] * 4 + ["f"]
    )
    terms = contract("a", "2024-01-01", None, plan="basic")
    tables, study = write(write_study, people, terms, sensitive=["gender"])
    assert segments.list_segment_columns(tables, study) == ["two", "plan"]


def test_at_most_four_attributes_are_chosen(write_study):
    people = customers("a", "b").assign(**{f"x{i}": ["u", "v"] for i in range(6)})
    tables, study = write(write_study, people)
    assert segments.list_segment_columns(tables, study) == ["x0", "x1", "x2", "x3"]


def test_columns_that_are_not_there_or_have_too_many_values_are_refused_together(write_study):
    ids = [f"c{number}" for number in range(60)]
    people = customers(*ids).assign(code=ids, gender="f")
    terms = contract("c0", "2024-01-01", None)
    tables, study = write(
        write_study,
        people,
        terms,
        sensitive=["gender"],
        lifecycle={"segments": ["code", "gender", "planet"]},
    )
    with pytest.raises(StudyError) as refusal:
        segments.list_segment_columns(tables, study)
    assert [fault.partition(": ")[2] for fault in refusal.value.faults] == [
        "expected columns among code (never a sensitive one), got 'gender', 'planet'; correct or"
        " remove them",
        "expected columns of at most 50 values, got code with 60; group their values in"
        " customers.sql or remove them",
    ]


def test_a_plan_is_that_of_a_term_that_runs_before_the_window_else_the_latest(write_study):
    terms = pd.concat(
        [
            contract("a", "2024-01-01", "2024-06-20", plan="old"),
            contract("a", "2024-06-20", None, plan="new"),
            contract("b", "2024-06-10", None, plan="late"),
            contract("c", "2024-01-01", None, plan=" "),
        ]
    )
    tables, study = write(write_study, customers(*"abcd"), terms)
    found = segments.find_segments(evidence_as_of(tables, [T]), study, "plan").to_pandas()
    assert found.set_index("customer_id").segment.to_dict() == {
        "a": "old",  # it ran on 31 May, 30 days before
        "b": "late",
        "c": "not known",
        "d": "not known",
    }


def test_without_a_column_everybody_is_in_one_segment(write_study):
    tables, study = write(write_study, customers("a", "b"))
    found = segments.find_segments(evidence_as_of(tables, [T]), study).to_pandas()
    assert found.segment.tolist() == ["all", "all"]

"""Values of every kind of study: terms of study.yml, and blindness to the future."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from valued_companies import (
    TERMS,
    T,
    draw_contracts,
    draw_orders,
    write_contracts,
    write_orders,
)

from research.errors import StudyError
from research.value import customers

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def contracts(write_shared):
    return write_contracts(write_shared, draw_contracts())


def test_a_fee_keeps_what_an_order_keeps_unless_study_yml_says_otherwise(write_study):
    study = write_study(
        "contractual", economics={"currency": "EUR", "capacity": 5, "margin_share": 0.4}
    )
    assert study.economics.fee_margin == 0.4
    assert study.economics.value_days == 365
    assert study.economics.discount_rate == 0.1
    assert write_study("contractual", economics=TERMS).economics.fee_margin == 0.8


@pytest.mark.parametrize(
    "wrong",
    [
        {"margin_share": 1.1},
        {"margin_share": -0.1},
        {"fee_margin_share": 2},
        {"discount_rate": -0.1},
        {"discount_rate": ".inf"},
        {"value_days": 0},
    ],
)
def test_terms_out_of_range_are_refused_by_name(wrong, write_study):
    with pytest.raises(StudyError, match=f"economics.{next(iter(wrong))}: expected"):
        write_study("contractual", economics={"currency": "EUR", "capacity": 5} | wrong)


def test_values_of_contracts_are_blind_to_what_comes_after_the_snapshot(contracts, write_study):
    study, tables = contracts
    before = customers.load_values(tables, study, T, 0)
    later = draw_contracts()
    day = pd.Timestamp(T) + pd.Timedelta(days=1)
    changed = (later["contracts"].ended_at >= day) & (later["contracts"].started_at < day)
    assert changed.sum() > 20
    later["contracts"]["ended_at"] = later["contracts"].ended_at.where(
        ~changed, day + pd.Timedelta(days=1)
    )
    other, theirs = write_contracts(write_study, later)
    pd.testing.assert_frame_equal(customers.load_values(theirs, other, T, 0), before)
    assert before.columns.tolist() == ["customer_id", "risk", "value", "value_of_keeping"]
    assert not before.customer_id.duplicated().any()


def test_values_of_buyers_are_blind_to_what_comes_after_the_snapshot(write_study):
    orders = draw_orders(150)
    study, tables = write_orders(write_study, orders)
    whole = customers.load_values(tables, study, T, 0)
    study, tables = write_orders(
        write_study, orders[orders.ordered_at < pd.Timestamp(T) + pd.Timedelta(days=1)]
    )
    pd.testing.assert_frame_equal(customers.load_values(tables, study, T, 0), whole)


def test_values_over_another_span_are_valued_again_and_over_the_same_one_are_not(contracts):
    study, tables = contracts
    valuation = customers.value_customers(tables, study, T, 0, 2, 0)
    same = customers.value_over_days(tables, study, valuation, 90.4, 0)
    assert [*same] == [valuation.model, "one curve for all"]
    assert (same[valuation.model].to_numpy() == valuation.values.value.to_numpy()).all()
    shorter = customers.value_over_days(tables, study, valuation, 30, 0)
    assert (shorter[valuation.model] < same[valuation.model]).all()


def test_a_flat_study_is_valued_by_the_same_models_on_every_page():
    notebook = json.loads((PROJECT / "notebooks" / "50_value.ipynb").read_text("utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"]]
    (folds,) = re.findall(r"^folds: int = (\d+)", "\n".join(cells), re.MULTILINE)
    assert int(folds) == customers.FOLDS

"""One column alone that knows the outcome, or that identifies customers: what must be found, and
what must pass.
"""

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds
from small_companies import customers

from research.features.leakage.findings import Finding
from research.features.leakage.single_column import check_column, prepare_rows

ROLES = ("customer_id", "churned", "leaves_in_data", "left_in_lead")


def check(frame: pd.DataFrame) -> dict[str, Finding]:
    """Return the findings by column."""
    rows = prepare_rows(frame)
    columns = [column for column in frame if column not in ROLES]
    return {column: finding for column in columns if (finding := check_column(rows, column))}


@pytest.mark.parametrize("seed", list_seeds(3))
def test_columns_without_leakage_pass(seed):
    assert check(customers(seed=seed)) == {}


def test_a_column_that_separates_churners_is_found():
    frame = customers()
    frame["score"] = (
        frame.churned * 50
        + np.random.default_rng(1).uniform(0, 70, len(frame)) * ~frame.churned
        + frame.churned * 40
    )
    assert "separation" in check(frame)["score"].reason


def test_a_text_present_only_for_churners_is_found():
    frame = customers()
    frame["reason"] = np.where(frame.churned & (np.arange(len(frame)) % 2 == 0), "price", None)
    assert check(frame)["reason"].evidence.startswith("all ")
    assert "only for churners" in check(frame)["reason"].reason


def test_a_value_that_only_later_leavers_have_is_found():
    frame = customers()
    rng = np.random.default_rng(2)
    frame["leaves_in_data"] = frame.churned | (rng.random(len(frame)) < 0.15)
    frame["code"] = np.where(frame.leaves_in_data & (rng.random(len(frame)) < 0.5), "KEEP", None)
    assert "leave before the data end" in check(frame)["code"].evidence


def test_an_identifier_is_found():
    frame = customers()
    frame["phone"] = [f"+48 {i:09d}" for i in range(len(frame))]
    assert check(frame)["phone"].reason.startswith("identifier")


def test_an_account_number_is_found_and_an_income_to_the_cent_is_not():
    frame, rng = customers(), np.random.default_rng(4)
    frame["account"] = rng.permutation(len(frame)) + 700_000
    frame["income"] = np.round(rng.lognormal(15, 0.5, len(frame)))
    assert [*check(frame)] == ["account"]


def test_a_number_that_changes_from_snapshot_to_snapshot_names_nobody():
    frame = customers()
    frame["days_lived"] = np.arange(len(frame)) + 100
    later = frame.assign(days_lived=frame.days_lived + 30)
    assert [*check(frame)] == ["days_lived"]
    assert check(pd.concat([frame, later], ignore_index=True)) == {}


def test_a_small_group_that_happens_to_leave_is_no_leakage():
    frame = customers()
    frame["rare"] = np.where(frame.index.isin(frame.index[frame.churned][:8]), "x", "y")
    assert check(frame) == {}


@pytest.mark.parametrize(
    "kind", ["many codes", "a number for churners only", "an amount for churners only"]
)
def test_leakage_in_small_pieces_is_found_as_a_whole(kind):
    frame, rng = customers(), np.random.default_rng(3)
    chosen = frame.churned & (rng.random(len(frame)) < 0.6)
    if kind == "many codes":
        frame["leak"] = pd.Series(
            [f"code {i % 40}" for i in range(len(frame))], dtype=object
        ).where(chosen, None)
    else:
        frame["leak"] = pd.Series(rng.uniform(1, 9, len(frame))).where(
            chosen, np.nan if "number" in kind else 0.0
        )
    assert "only for churners" in check(frame)["leak"].reason


def test_leakage_is_found_where_most_customers_churn():
    frame = customers()
    frame["churned"] = ~frame.churned
    frame["code"] = np.where(frame.churned & (np.arange(len(frame)) % 3 == 0), "GONE", None)
    assert "code" in check(frame)


def test_a_value_written_at_leaving_is_found_though_some_left_within_the_lead():
    frame = customers()
    frame["left_in_lead"] = frame.churned & (np.arange(len(frame)) % 5 == 0)
    frame["code"] = np.where(frame.churned, "GONE", None)
    frame["churned"] &= ~frame.left_in_lead
    assert "code" in check(frame)


@pytest.mark.parametrize("seed", list_seeds(5))
def test_a_small_group_really_at_very_high_risk_passes(seed):
    rng = np.random.default_rng(seed)
    group = np.arange(5000) < 40
    churned = rng.random(5000) < np.where(group, 0.97, 0.1)
    frame = pd.DataFrame(
        {"customer_id": range(5000), "churned": churned, "late payer": np.where(group, "yes", "no")}
    )
    assert check(frame) == {}


@pytest.mark.filterwarnings("error")
def test_a_population_that_is_empty_or_has_only_returned_is_checked_without_a_warning():
    assert check(customers().assign(n_earlier_spells=1)[["customer_id", "churned", "noise"]]) == {}
    assert check(customers().assign(n_earlier_spells=1)) == {}
    assert check(customers()[:0]) == {}

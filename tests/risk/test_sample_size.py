"""Sample sizes for prediction models, as published."""

import pandas as pd
import pytest

from research.risk.sample_size import compute_sample_size, tabulate_sample_size


def test_sizes_are_those_of_pmsampsize():
    # R: pmsampsize(type = "b", csrsquared = 0.288, parameters = 24, prevalence = 0.174) prints
    # 623, 662 and 221, so 662 customers with 116 events
    sizes = compute_sample_size(24, 0.174, 0.288)
    assert sizes.tolist() == [623, 662, 221]


def test_without_an_expected_r2_it_is_15_percent_of_the_largest():
    # rate 0.5: the largest R² of Cox and Snell is 1 - 0.5² = 0.75, 15 % of it 0.1125, and
    # 10 / (0.1 x -ln(1 - 0.1125 / 0.9)) = 10 / (0.1 x 0.13353) = 748.9
    assert compute_sample_size(10, 0.5)["shrinkage"] == 749


def test_customers_count_once_and_a_text_for_its_categories_but_one():
    learned = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b", "c"],
            "churned": [False, True, False, False],
            "fee": [1.0, 2.0, 3.0, 4.0],
            "plan": ["x", "x", "y", "z"],
        }
    )
    table = tabulate_sample_size(learned, ["fee", "plan"])
    row = table.iloc[0]
    assert (row.customers, row.churners, row["columns"]) == (3, 1, 3)
    assert table.needed.tolist() == compute_sample_size(3, 0.25).tolist()
    assert row.churners_needed == pytest.approx(row.needed / 4, abs=1)

"""Numbers, intervals and lists as readers see them."""

import numpy as np
import pandas as pd
import pytest

from research.reporting import format


def test_an_interval_stands_behind_its_value_and_a_dash_for_none():
    assert format.write_interval(0.85, 0.841, 0.8594) == "0.850 (0.841 to 0.859)"
    assert format.write_interval(-0.5, -1, 0, digits=1) == "−0.5 (−1.0 to 0.0)"
    assert format.write_interval(np.nan, 0, 1) == "–"


def test_zero_has_no_sign():
    assert format.write_number(-0.0001, 2) == "0.00"


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (0.0304, "share", "3.0 %"),
        (-0.012, "points", "−1.2 pp"),
        (1234.5, "EUR", "1,234"),
        (12.34, "days", "12.3"),
        (1.234, "days", "1.23"),
        (-0.001, "share", "−0.1 %"),
        (-0.0001, "share", "0.0 %"),
        (np.nan, "days", "–"),
    ],
)
def test_a_quantity_has_about_three_digits_and_a_share_is_a_percentage(value, unit, written):
    assert format.write_quantity(value, unit) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("<b>R & D</b>\n2", "b R and D /b 2"),
        ("__", "no text"),
        ("x" * 31, "x" * 29 + "…"),
        (None, "None"),
    ],
)
def test_a_value_of_the_data_becomes_one_short_line_without_markup(value, written):
    assert format.write_plain(value) == written


def test_words_are_joined_by_commas_and_one_and():
    assert format.join_words(["a"]) == "a"
    assert format.join_words(["a", "b"]) == "a and b"
    assert format.join_words(["a", "b", "c"]) == "a, b and c"


def test_a_cell_has_its_interval_below_unless_that_has_no_width():
    assert format.write_range("3", "2", "4") == "3<br><small>2 to 4</small>"
    assert format.write_range("3", "3", "3") == "3"
    assert format.write_range("3", "", "") == "3"


def test_a_share_stands_with_its_interval_under_whatever_name_it_has():
    row = pd.Series({"value": 0.85, "share": 0.5, "low": 0.841, "high": 0.8594})
    assert format.write_share(row) == "85.0 % (84.1 % to 85.9 %)"
    assert format.write_share(row, "share") == "50.0 % (84.1 % to 85.9 %)"


def test_a_name_is_cut_to_what_fits_beside_an_axis():
    assert format.write_name("x" * 28) == "x" * 28
    assert format.write_name("x" * 29) == "x" * 27 + "…"
    assert format.write_name(2025) == "2025"

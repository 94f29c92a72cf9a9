"""The picture of rows per month: one line per table, marks at their days, gaps for no rows."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from research.data import plots

MONTHS = pd.DataFrame(
    {
        "table": ["orders", "orders", "orders", "usage"],
        "month": pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01", "2024-02-01"]),
        "rows": [10, 0, 1000, 5],
    }
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_every_table_is_a_line_and_a_month_without_rows_is_a_gap():
    ax = plots.plot_months(MONTHS)
    lines = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    assert [*lines] == ["orders", "usage"]
    np.testing.assert_array_equal(lines["orders"], [10, np.nan, 1000])
    assert (ax.get_yscale(), ax.get_ylabel()) == ("log", "rows per month (log scale)")


def test_no_two_tables_look_alike_and_no_label_is_a_formula():
    months = pd.date_range("2024-01-01", periods=9, freq="MS")
    tables = [
        pd.DataFrame({"table": f"table_{at}", "month": months, "rows": 10.0**at}) for at in range(8)
    ]
    ax = plots.plot_months(pd.concat(tables))
    lines = ax.get_lines()
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(lines)
    assert len({line.get_color() for line in lines}) == len(lines)
    ax.figure.canvas.draw()
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert "1,000" in labels
    assert not any("$" in label or "\\" in label for label in labels)


def test_a_mark_is_a_line_at_its_day_with_its_name():
    day = pd.Timestamp("2024-02-15")
    ax = plots.plot_months(MONTHS, marks={"last snapshot": day})
    assert ax.get_lines()[-1].get_xdata()[0] == day
    assert [text.get_text() for text in ax.texts] == ["last snapshot"]


def test_a_study_without_dates_has_no_picture():
    assert plots.plot_months(MONTHS.head(0)) is None

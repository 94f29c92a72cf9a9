"""What every plot function needs."""

import re
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from research.reporting import style


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def test_given_axes_are_used_and_others_made_in_the_given_size(ax):
    assert style.get_axes(ax) is ax
    made = style.get_axes(None, (3, 2))
    assert tuple(made.figure.get_size_inches()) == (3, 2)
    plt.close(made.figure)


def test_intervals_are_those_given(ax):
    value, low, high = (pd.Series(numbers) for numbers in ([0.5, 0.6], [0.4, 0.6], [0.9, 0.7]))
    (_, _, (bars,)) = style.draw_intervals(ax, [1, 2], value, low, high)
    ends = [[tuple(point) for point in segment] for segment in bars.get_segments()]
    assert np.allclose(ends, [[(1, 0.4), (1, 0.9)], [(2, 0.6), (2, 0.7)]])


def test_a_band_has_the_colour_of_its_line(ax):
    style.draw_band(ax, [1, 2], [0.5, 0.6], [0.4, 0.5], [0.9, 0.7], color="#0072B2")
    (band,) = ax.collections
    assert band.get_paths()[0].get_extents().ymax == 0.9
    assert np.allclose(band.get_facecolor()[0][:3], plt.matplotlib.colors.to_rgb("#0072B2"))


def test_a_sentence_takes_the_place_of_a_picture(ax):
    assert style.draw_sentence("Nothing to draw.", ax) is ax
    assert [text.get_text() for text in ax.texts] == ["Nothing to draw."]
    assert not ax.axison


@pytest.mark.parametrize("most", [7, 9])
@pytest.mark.parametrize("days", [1, 40, 95, 200, 700, 900, 1400])
def test_months_of_any_span_are_labelled_without_a_warning(ax, days, most):
    first = pd.Timestamp("2011-05-03")
    ax.plot([first, first + pd.Timedelta(days=days)], [0, 1])
    style.show_months(ax, most)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert 2 <= len(ax.get_xticks()) <= most


def test_a_family_without_a_colour_of_its_own_gets_one_that_no_other_has():
    colours = style.find_family_colours(["trees", "neighbours", "kernels"])
    assert colours["trees"] == style.FAMILY_COLOURS["trees"]
    assert len({*colours.values(), *style.FAMILY_COLOURS.values()}) == len(style.FAMILY_COLOURS) + 2


def test_the_first_lines_of_a_picture_all_look_different():
    looks = [tuple(style.find_line(number).values()) for number in range(32)]
    assert len({*looks}) == 32
    assert len({colour for colour, _ in looks[:8]}) == 8


def test_a_logarithmic_axis_has_plain_numbers(ax):
    ax.plot([0.01, 1, 20], [1, 1_000, 1e6])
    style.use_log(ax.xaxis, ax.yaxis)
    ax.figure.canvas.draw()
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    labels = [tick.get_text() for axis in (ax.xaxis, ax.yaxis) for tick in axis.get_ticklabels()]
    assert {"0.1", "1,000", "100,000"} <= {*labels}
    assert not any("$" in label for label in labels)


def test_every_logarithmic_axis_of_the_package_has_plain_numbers():
    # matplotlib's own labels are formulas, which the style shows as they are written
    scales = re.compile(r"""scale=["']log|set_[xy]scale|loglog\(|semilog[xy]\(""")
    package = Path(style.__file__).parents[1]
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name != "style.py":
            assert not scales.search(text), f"{path}: use style.use_log"
        if "log_scale=" in text:
            assert "use_log(" in text, path


def test_a_dollar_sign_of_the_data_is_no_formula():
    with plt.style.context(Path(style.__file__).with_name("research.mplstyle")):
        ax = style.draw_sentence("price_in_$ and $x_2$")
        assert not ax.texts[0].get_parse_math()
        plt.close(ax.figure)

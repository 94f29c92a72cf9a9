"""The one style of all pictures, and what every plot function needs.

A plot function draws one result table and neither fits nor writes anything. Colours are those of
Okabe and Ito (2008), which survive colour blindness; markers differ too, so greyscale print does.
Intervals are those of the table, drawn as they are.
"""

from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.container import ErrorbarContainer
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib_inline.backend_inline import set_matplotlib_formats
from numpy.typing import ArrayLike

FAMILY_COLOURS = {
    "reference": "#6b7280",
    "logistic": "#0072B2",
    "trees": "#D55E00",
    "survival": "#009E73",
    "stacked": "#CC79A7",
}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#6b7280")
INK, GREY = "#30343b", "#6b7280"  # reference lines; what is compared with
REFERENCE_LINE = {"color": INK, "linestyle": ":", "linewidth": 1.2}
DASHES = ("-", "--", "-.", ":")
MARKERS = "osD^vPX"
BOUNDS = {"estimator": "median", "errorbar": ("pi", 100)}  # see ``stack_bounds``


def find_family_colours(families: Iterable[str]) -> dict[str, str]:
    """Return the colour of each family of models; one without its own gets a spare one."""
    spare = (colour for colour in COLOURS if colour not in FAMILY_COLOURS.values())
    return {
        family: FAMILY_COLOURS.get(family) or next(spare, INK) for family in dict.fromkeys(families)
    }


def find_line(number: int) -> dict[str, str]:
    """Return colour and dashes of the ``number``-th line of a picture; the first 32 all differ."""
    again = number // len(COLOURS)
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": DASHES[(number + again) % len(DASHES)],
    }


def repeat_to(looks: Sequence[str], number: int) -> list[str]:
    """Return so many colours or markers, from the first again where there are more."""
    return [*islice(cycle(looks), number)]


def use_style() -> None:
    """Give every figure of a notebook the project's style, as SVG."""
    plt.style.use(Path(__file__).with_name("research.mplstyle"))
    set_matplotlib_formats("svg")


def get_axes(ax: Axes | None, figsize: tuple[float, float] | None = None) -> Axes:
    """Return the given axes, or those of a new figure of the given size in inches."""
    return plt.subplots(figsize=figsize)[1] if ax is None else ax


def draw_sentence(sentence: str, ax: Axes | None = None) -> Axes:
    """Draw a sentence in place of a picture that has nothing to show."""
    ax = get_axes(ax, (8, 0.6))
    ax.set_axis_off()
    ax.text(0, 0.5, sentence, transform=ax.transAxes, va="center", color=INK)
    return ax


def draw_intervals(
    ax: Axes, x: ArrayLike, value: ArrayLike, low: ArrayLike, high: ArrayLike, **line
) -> ErrorbarContainer:
    """Draw values with their given intervals as vertical lines; ``line`` styles the values."""
    return ax.errorbar(x, value, yerr=[value - low, high - value], **line)


def draw_band(
    ax: Axes, x: ArrayLike, value: ArrayLike, low: ArrayLike, high: ArrayLike, **line
) -> None:
    """Draw a line of values in the band of their given intervals; ``line`` styles the values."""
    (drawn,) = ax.plot(x, value, **line)
    ax.fill_between(x, low, high, color=drawn.get_color(), alpha=0.18, linewidth=0)


def stack_bounds(table: pd.DataFrame, value: str = "value") -> pd.DataFrame:
    """Return each row three times, with ``low``, ``value`` and ``high`` in the column ``value``.

    seaborn draws the given intervals from it with ``**BOUNDS``: the median of the three is the
    value, and their range is the interval. A missing bound draws no interval.
    """
    bounds = ("low", value, "high")
    return pd.concat([table.assign(**{value: table[name]}) for name in bounds], ignore_index=True)


def show_months(ax: Axes, most: int = 9) -> None:
    """Label the x axis with months and years, at most ``most`` of them, at least 7."""
    ax.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=most))
    ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))


def use_log(*axes: Axis) -> None:
    """Give axes a logarithmic scale with plain numbers.

    matplotlib's own labels are formulas, which this style doesn't read (``text.parse_math``): a
    dollar sign of the data is no formula.
    """
    for axis in axes:
        name = axis.axis_name
        axis.axes.set(**{f"{name}scale": "log"})
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(write_tick))
        axis.set_minor_formatter(NullFormatter())


def write_tick(value: float, _: int) -> str:
    """Return the label of a tick: whole from 10 on."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:g}"

"""Pictures of result tables: each function draws one table on one Axes, and neither fits nor writes
anything.

Colours are those of Okabe and Ito (2008), which survive colour blindness; markers differ too, so
greyscale print does.
"""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib_inline.backend_inline import set_matplotlib_formats

FAMILY_COLOURS = {
    "reference": "#6b7280",
    "logistic": "#0072B2",
    "trees": "#D55E00",
    "survival": "#009E73",
    "stacked": "#CC79A7",
}
MARKERS = "osD^vPX"


def use_style() -> None:
    """Give every figure of a notebook the project's style, as SVG."""
    plt.style.use(Path(__file__).with_name("research.mplstyle"))
    set_matplotlib_formats("svg")


def get_axes(ax: Axes | None) -> Axes:
    return plt.subplots()[1] if ax is None else ax


def show_months(ax: Axes, most: int = 9) -> None:
    ax.xaxis.set_major_locator(AutoDateLocator(maxticks=most))
    ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#6b7280")
DASHES = ("-", "--", "-.", ":")

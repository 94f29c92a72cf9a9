"""The picture of the profit curve of ``65_targeting``; it neither fits nor writes anything."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from research.reporting.style import COLOURS, INK, REFERENCE_LINE, get_axes, repeat_to


def plot_profit(
    curve: pd.DataFrame, currency: str, budget: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the profit of every policy over the budget, or over the contacts where they cost
    nothing; of the first also its 95 % intervals: at each budget, and, lighter, at all together.

    Parameters
    ----------
    curve : see ``policies.trace_profit``
    budget : that is marked by a dashed line
    """
    ax, free = get_axes(ax, (8.5, 4.2)), curve.budget.max() == 0
    x = "contacted" if free else "budget"
    policies = [*curve.policy.unique()]
    first = curve[curve.policy == policies[0]]
    for low, high in ((first.low, first.high), (first.band_low, first.band_high)):
        ax.fill_between(first[x], low, high, color=COLOURS[0], alpha=0.12, linewidth=0)
    sns.lineplot(
        curve,
        x=x,
        y="profit",
        hue="policy",
        style="policy",
        palette=repeat_to(COLOURS, len(policies)),
        estimator=None,
        ax=ax,
    )
    ax.axhline(0, **REFERENCE_LINE)
    if budget is not None and not free:
        ax.axvline(budget, color=INK, linestyle="--", linewidth=0.8)
    ax.set(
        xlabel="contacts, which cost nothing" if free else f"budget, {currency}",
        ylabel=f"profit compared with contacting nobody, {currency}",
        xlim=(0, None),
    )
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return ax

"""Draw the README's picture from the demo's result tables: ``python docs/draw_overview.py``.

It reads ``reports/demo/default/tables``, which ``make reports`` writes, or the folder given.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, MonthLocator
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from research.reporting.style import use_style
from research.uplift.policy.policies import EVERYBODY, HIGHEST_RISK, NET_GAIN, RANDOM_SELECTION

ROOT = Path(__file__).parents[1]
TABLES = ROOT / "reports" / "demo" / "default" / "tables"
PICTURE = ROOT / "docs" / "images" / "overview.png"
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#6b7280"
MODELS = (  # of the table of scores, best last
    "base rate",
    "rule on days since the last use",
    "single tree",
    "Cox",
    "logistic regression",
    "random forest",
    "gradient boosting",
    "stacked average",
)
POLICIES = {  # of the table of policies, with their words here
    EVERYBODY: "contact everyone",
    RANDOM_SELECTION: "random list",
    HIGHEST_RISK: "highest churn risk",
    NET_GAIN: "effect × value − cost",
}


def draw(tables: Path) -> None:
    """Draw the four panels from the tables of one run."""
    use_style()
    figure, axes = plt.subplots(2, 2, figsize=(11, 7.2))
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.15)
    plot_churn(pd.read_csv(tables / "charts.csv", parse_dates=["snapshot"]), axes[0, 0])
    plot_scores(pd.read_csv(tables / "risk_scores.csv"), axes[0, 1])
    plot_survival(pd.read_csv(tables / "survival_curves.csv"), axes[1, 0])
    plot_policies(pd.read_csv(tables / "policy_value.csv"), axes[1, 1])
    figure.savefig(PICTURE, dpi=100)


def plot_churn(charts: pd.DataFrame, ax: Axes) -> None:
    """Plot churn per 30 days with 95 % intervals, and the periods with an alarm."""
    rows = charts[(charts.indicator == "customer_churn_rate") & (charts.segment == "all")]
    ax.fill_between(rows.snapshot, rows.low, rows.high, color=BLUE, alpha=0.18, linewidth=0)
    ax.plot(rows.snapshot, rows.value, color=BLUE)
    alarms = rows[rows.alarm]
    ax.plot(alarms.snapshot, alarms.value, "o", color=ORANGE, label="alarm of the control chart")
    ax.xaxis.set_major_locator(MonthLocator((1, 7)))
    ax.xaxis.set_major_formatter(DateFormatter("%b %Y"))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(title="Where do customers stand? Churn per 30 days", ylim=(0, None))
    ax.legend(loc="lower right", frameon=False)


def plot_scores(scores: pd.DataFrame, ax: Axes) -> None:
    """Plot the AUC of baselines and models with 95 % intervals."""
    rows = scores[scores.metric == "auc"].set_index("model").loc[list(MODELS)]
    for place, row in enumerate(rows.itertuples()):
        colour, marker = (GREY, "s") if row.family == "reference" else (BLUE, "o")
        ax.plot([row.low, row.high], [place, place], color=colour)
        ax.plot(row.value, place, marker, color=colour)
    ax.axvline(rows.value[rows.family == "reference"].max(), color=GREY, linestyle=":")
    ax.set_yticks(range(len(rows)), list(rows.index))
    ax.set(title="Who will leave? AUC, baselines in grey")


def plot_survival(curves: pd.DataFrame, ax: Axes) -> None:
    """Plot Kaplan-Meier curves by income band with 95 % bands."""
    rows = curves[curves.segment_by == "income_band"]
    styles = {"high": (GREEN, "-"), "middle": (BLUE, "--"), "low": (ORANGE, "-.")}
    for segment, (colour, line) in styles.items():
        curve = rows[rows.segment == segment]
        years = curve.days / 365.25
        ax.step(years, curve.survival, line, where="post", color=colour, label=segment)
        ax.fill_between(years, curve.low, curve.high, step="post", color=colour, alpha=0.15, lw=0)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(title="When? Customers still there", xlabel="years since joining", ylim=(0, 1))
    ax.legend(title="income band", frameon=False)


def plot_policies(policies: pd.DataFrame, ax: Axes) -> None:
    """Plot the profit of targeting policies with adjusted 95 % intervals, against nobody."""
    rows = policies.set_index("policy").loc[list(POLICIES)]
    for place, row in enumerate(rows.itertuples()):
        ax.plot([row.band_low, row.band_high], [place, place], color=BLUE)
        ax.plot(row.profit, place, "o", color=BLUE)
        ax.plot(row.true_profit, place, "D", color=ORANGE, label="truth" if not place else None)
    ax.axvline(0, color=GREY, linestyle=":")
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.locator_params(axis="x", nbins=4)
    ax.set_yticks(range(len(rows)), list(POLICIES.values()))
    ax.set(
        title="What to do? Profit of a campaign", xlabel="EUR a cycle, against contacting nobody"
    )
    ax.legend(loc="center left", frameon=False)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else TABLES)

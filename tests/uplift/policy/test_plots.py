"""The profit curve draws the numbers of its table."""

import matplotlib.pyplot as plt
import pandas as pd

from research.uplift.policy.plots import plot_profit
from research.uplift.policy.policies import HIGHEST_RISK, NET_GAIN


def curve(budgets: list[int]) -> pd.DataFrame:
    rows = [
        (policy, budget, number, float(number), *(number + off for off in (-1.0, 1.0, -2.0, 2.0)))
        for policy in (NET_GAIN, HIGHEST_RISK)
        for number, budget in enumerate(budgets)
    ]
    columns = ["policy", "budget", "contacted", "profit", "low", "high", "band_low", "band_high"]
    return pd.DataFrame(rows, columns=columns)


def test_a_line_for_each_policy_and_two_bands_for_the_first():
    ax = plot_profit(curve([0, 50, 100]), "EUR", budget=60)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [NET_GAIN, HIGHEST_RISK]
    drawn = [line.get_xydata().tolist() for line in ax.lines]
    assert drawn[:2] == [[[0, 0], [50, 1], [100, 2]]] * 2
    assert [60, 0] in drawn[-1]  # the budget that is marked
    assert len(ax.collections) == 2  # each budget by itself, and all together
    plt.close("all")


def test_offers_that_cost_nothing_are_drawn_over_contacts():
    ax = plot_profit(curve([0, 0, 0]), "EUR", budget=0)
    assert ax.get_xlabel() == "contacts, which cost nothing"
    assert ax.lines[0].get_xdata().tolist() == [0, 1, 2]
    plt.close("all")

"""Pictures draw the numbers of their tables, and a sentence where there are none."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from trial_maker import make_arms

from research.uplift import plots
from research.uplift.average_effects import ADJUSTED
from research.uplift.heterogeneity import GROUPS, PLACEBOS
from research.uplift.metrics import SCORES

TRIAL = make_arms(4, kept=[0.0, 1.0, 1.0, 0.0])


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_effects_are_drawn_with_the_intervals_of_the_table():
    rows = pd.DataFrame(
        {
            "outcome": "kept",
            "method": ADJUSTED,
            "segment_by": "",
            "segment": "all",
            "trial": "t",
            "arm": ["call", "mail"],
            "effect": [0.02, 0.05],
            "adjusted_low": [0.01, 0.02],
            "adjusted_high": [0.03, 0.09],
        }
    )
    ax = plots.plot_effects(rows, TRIAL)
    ends = [container.lines[2][0].get_segments()[0][:, 0] for container in ax.containers]
    assert np.array(ends) == pytest.approx(np.array([[1, 3], [2, 9]]))  # percentage points
    assert ax.get_xlabel() == "effect on “stays”, percentage points"


def test_scores_have_a_panel_for_each_arm_with_the_intervals_of_the_table():
    rows = [
        ("kept", arm, model, family, "auuc", 0.01, 0.0, 0.03, 9, 1, 0.01, 0.01)
        for arm in ("call", "mail")
        for model, family in (("random", "reference"), ("X-learner", "learner"))
    ]
    grid = plots.plot_uplift_scores(pd.DataFrame(rows, columns=SCORES), TRIAL)
    assert [ax.get_title() for ax in grid.axes.flat] == ["call", "mail"]
    lines = [line for part in grid.axes.flat[0].collections[-2:] for line in part.get_segments()]
    assert [line[:, 0].tolist() for line in lines] == [[0, 3], [0, 3]]
    labels = [label.get_text() for label in grid.axes.flat[0].get_yticklabels()]
    assert labels == ["X-learner", "random"]  # the first stands on top
    grid.figure.canvas.draw()


def test_groups_are_drawn_in_percentage_points():
    rows = [
        ("kept", "call", "m", group, 0.01 * group, 0.02 * group, 0.01, 0.2, 9)
        for group in range(1, 6)
    ]
    grid = plots.plot_groups(pd.DataFrame(rows, columns=GROUPS), TRIAL)
    line = grid.axes.flat[0].lines[0]
    assert line.get_ydata() == pytest.approx([1, 2, 3, 4, 5])
    grid.figure.canvas.draw()


def test_the_placebo_test_shows_every_placebo_and_the_real_arms():
    placebos = pd.DataFrame(
        [("kept", number, "call", 0.0, 0.1 * number, 3.0) for number in range(6)], columns=PLACEBOS
    )
    ax = plots.plot_placebos(placebos)
    ax.figure.canvas.draw()
    points = np.vstack([part.get_offsets() for part in ax.collections])[:, 0]
    assert sorted(points) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 3.0])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "permuted arms",
        "real arms",
    ]


@pytest.mark.parametrize(
    ("draw", "columns"),
    [(plots.plot_uplift_scores, SCORES), (plots.plot_groups, GROUPS)],
)
def test_an_empty_table_is_drawn_as_a_sentence(draw, columns):
    ax = draw(pd.DataFrame(columns=columns), TRIAL)
    assert [text.get_text() for text in ax.texts] == [plots.NO_PICTURE]

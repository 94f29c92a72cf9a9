"""What holdouts say of actions, and which of them a playbook drops."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from research.study_schema import CONTROL
from research.watchlist.learning import describe_learned, learn_playbook, measure_actions
from research.watchlist.playbook import Playbook

PLAY = {"owner": "service", "channel": "phone", "deadline_days": 3}
PLAYS = [
    PLAY | {"themes": ["service"], "action": "call", "arm": "call"},
    PLAY | {"themes": ["usage"], "action": "message", "arm": "reminder"},
    PLAY | {"action": "offer", "arm": "discount"},
]


def assign(action: str, contacted: tuple[int, int], held: tuple[int, int], share: float = 0.5):
    """Rows of one action: (customers, of whom stayed) contacted and held out."""
    rows = [
        pd.DataFrame(
            {
                "arm": arm,
                "stayed": np.arange(n) < stayed,
                "propensity": share if arm == CONTROL else 1 - share,
            }
        )
        for arm, (n, stayed) in {action: contacted, CONTROL: held}.items()
    ]
    return pd.concat(rows, ignore_index=True).assign(action=action, campaign=f"list {action}")


def test_the_effect_is_the_difference_of_shares_with_newcombes_interval():
    row = measure_actions(assign("call", (70, 56), (80, 48))).iloc[0]
    # Newcombe (1998), table II, first example: 56/70 - 48/80, method 10: 0.0524 to 0.3339
    assert (row.contacted, row.held_out, row.cycles) == (70, 80, 1)
    assert row.effect_points == pytest.approx(20)
    assert [row.effect_low, row.effect_high] == pytest.approx([5.24, 33.39], abs=0.005)


def test_cycles_that_held_out_different_shares_are_weighted_by_their_propensities():
    # in one cycle everybody stays, in the other nobody does: contact changes nothing
    first = assign("call", (90, 90), (10, 10), 0.1)
    second = assign("call", (50, 0), (50, 0), 0.5).assign(campaign="list 2")
    row = measure_actions(pd.concat([first, second])).iloc[0]
    assert row.effect_points == pytest.approx(0, abs=1e-9)
    assert row.cycles == 2


def test_intervals_hold_for_all_actions_together():
    one = assign("call", (70, 56), (80, 48))
    alone, together = measure_actions(one), measure_actions(one, comparisons=3)
    assert together.effect_low.iloc[0] < alone.effect_low.iloc[0]


def test_the_interval_covers_the_truth_though_few_are_held_out():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(400):
        rows = assign("call", (180, rng.binomial(180, 0.85)), (20, rng.binomial(20, 0.8)), 0.1)
        row = measure_actions(rows).iloc[0]
        covered += row.effect_low <= 5 <= row.effect_high
    assert covered >= binom.ppf(0.001, 400, 0.95)


def test_an_action_whose_interval_lies_below_0_is_dropped_and_the_next_play_takes_its_place():
    playbook = Playbook(plays=PLAYS)
    rows = pd.concat(
        [assign("reminder", (500, 350), (500, 425)), assign("call", (500, 425), (500, 410))]
    )
    learned = learn_playbook(playbook, rows)
    assert learned.dropped == ("reminder",)
    assert playbook.choose("usage", "high").arm == "reminder"
    assert learned.playbook.choose("usage", "high").arm == "discount"
    assert learned.playbook.choose("service", "high").arm == "call"
    assert learned.playbook.version != playbook.version  # history tells one from the other
    said = describe_learned(learned)
    assert "reminder −15.0 points" in said and "**dropped" in said.split("reminder")[1]


def test_what_may_be_chance_is_not_dropped():
    learned = learn_playbook(Playbook(plays=PLAYS), assign("reminder", (50, 38), (50, 40)))
    assert learned.dropped == () and len(learned.playbook.plays) == 3


def test_before_a_window_has_closed_nothing_is_learned():
    rows = assign("call", (0, 0), (0, 0))
    learned = learn_playbook(Playbook(plays=PLAYS), rows)
    assert learned.dropped == () and "No label window" in describe_learned(learned)
    untested = learn_playbook(Playbook(plays=PLAYS), assign("call", (20, 10), (0, 0)))
    assert "call, not tested" in describe_learned(untested)


def test_where_every_action_harms_there_is_no_playbook():
    playbook = Playbook(plays=[PLAYS[2]])
    assert learn_playbook(playbook, assign("discount", (500, 300), (500, 450))).playbook is None

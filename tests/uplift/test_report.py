"""Verdicts on effects: each of the four kinds, trials that aren't what they say, and tables as
people read them.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from trial_maker import make_trial

from research.data import load
from research.data.fetch import fetch
from research.study import load_study
from research.uplift import average_effects, balance, doubly_robust, plots, report, trials
from research.uplift.average_effects import ADJUSTED, PLAIN
from research.uplift.learners import AVERAGED

OUTCOMES, SHARES = {"kept": "stays"}, {"kept": True}


def average(p: float, effect: float = 0.02) -> pd.DataFrame:
    row = {
        "trial": "t",
        "outcome": "kept",
        "arm": "call",
        "segment_by": "",
        "segment": "all",
        "mean_control": 0.5,
        "effect": effect,
    }
    row |= {
        "low": effect - 0.01,
        "high": effect + 0.01,
        "p_value": p,
        "n_control": 100,
        "n_arm": 100,
        "p_adjusted": p,
    }
    return pd.DataFrame([row | {"method": method} for method in (PLAIN, ADJUSTED)])


def differences(p: float) -> pd.DataFrame:
    return pd.DataFrame(
        [("kept", "call", 1.0, p, p, 200, 3)],
        columns=["outcome", "arm", "z", "p_value", "p_adjusted", "n", "divisions"],
    )


def against(verdict: str) -> pd.DataFrame:
    return pd.DataFrame(
        [("call", AVERAGED, "churn risk", "auuc", verdict)],
        columns=["arm", "model", "reference", "metric", "verdict"],
    )


@pytest.mark.parametrize(
    ("effect", "tests", "kind", "words"),
    [
        (0.5, differences(0.5), "nothing", "**No evidence of an effect.**"),
        (0.001, differences(0.5), "same", "An effect, but none is shown to differ"),
        (0.5, differences(0.001), "differs", "**The effect differs between customers"),
        (0.001, differences(0.5).head(0), "unknown", "an arm is for everybody or for nobody"),
        (0.5, differences(0.5).head(0), "nothing", "**No evidence of an effect.**"),
    ],
)
def test_the_verdict_follows_from_the_average_effects_and_the_test_of_differences(
    effect, tests, kind, words
):
    assert report.decide(average(effect), tests)[0] == kind
    assert words in report.judge(
        average(effect), tests, OUTCOMES, SHARES, against("better"), "churn risk"
    )


def test_only_where_effects_differ_is_targeting_by_effect_recommended():
    said = {
        p: report.judge(
            average(0.001), differences(p), OUTCOMES, SHARES, against("better"), "churn risk"
        )
        for p in (0.5, 0.001)
    }
    assert "don't target by effect" in said[0.5]
    assert (
        "(call, on “stays”; at 2.5 %, Holm)" in said[0.001]
        and "rank better than churn risk (call). `65_targeting` says" in said[0.001]
    )
    level = report.judge(
        average(0.001),
        differences(0.001),
        OUTCOMES,
        SHARES,
        against("no difference shown"),
        "churn risk",
    )
    assert "aren't shown to rank better than churn risk, by which a list may do as well" in level


def test_an_average_effect_needs_half_of_the_level_after_holm():
    assert report.decide(average(0.026), differences(0.5))[0] == "nothing"
    assert report.decide(average(0.024), differences(0.5))[0] == "same"


def test_effects_on_shares_are_told_in_points():
    table = report.lay_out_effects(average(0.5), OUTCOMES, SHARES)
    assert table[ADJUSTED].tolist() == ["2.00<br><small>1.00 to 3.00</small>"]
    assert table.in_control.tolist() == ["50.0%"]
    assert report.write_effect(-1.5, -2, -1, False, "EUR") == "−1.50 (−2.00 to −1.00) EUR"


def test_a_trial_whose_arms_are_off_balance_is_said_to_be(copy, mirror):
    study = load_study("cookie_cats")
    fetch(study)
    trial = trials.load_trials(load.load_tables(study), study)[trials.BY_LOT]
    sizes, missing = balance.check_shares(trial, study), balance.check_attrition(trial)
    words = report.say_trial(sizes, pd.DataFrame(), missing)
    assert (
        "**Cookie cats: the arms are off balance.** Sizes so unlike the plan come about by luck in"
        " 0.9% of fair draws" in words
    )
    table = average_effects.tabulate_effects(trial, [average_effects.score_trial(trial, "kept", 0)])
    # published: 19.02 % against 18.20 % play on the seventh day
    assert table.effect.to_numpy() == pytest.approx([-0.0082] * 2, abs=5e-5)
    assert report.decide(table, pd.DataFrame())[0] == "unknown"


def test_a_sound_trial_is_called_sound(write_study):
    trial, _ = make_trial(1000, 0)
    study = write_study("flat", experiment={"shares": {"control": 1, "call": 1}})
    words = report.say_trial(
        balance.check_shares(trial, study),
        balance.judge_balance(balance.compare_features(trial), trial),
        balance.check_attrition(trial),
    )
    assert words.startswith("**The arms have the sizes that were planned**")
    assert "no feature differs by more than luck explains" in words
    assert "No outcome is missing" in words


def test_uneven_attrition_is_said_to_mislead(write_study):
    trial, _ = make_trial(2000, 0)
    lost = (trial.rows.arm == "call") & (np.arange(2000) % 5 == 0)
    trial.rows.loc[lost, "kept"] = np.nan
    words = report.say_trial(
        balance.check_shares(trial, write_study("flat")),
        pd.DataFrame(),
        balance.check_attrition(trial),
    )
    assert "**Outcomes are missing more often in one arm than in another** (Test, kept)" in words
    assert doubly_robust.lay_out(trial, "kept").size == 2000 - lost.sum()


def test_hostile_names_of_arms_and_trials_are_told_and_drawn_plain():
    table = average(0.001).assign(arm="$x_{ & **<b>call</b>** $", trial="<script>$\\frac$")
    words = report.say_effects(table, OUTCOMES, SHARES)
    assert "<" not in words and "$" not in words and "**x and b call" in words
    fig, ax = plt.subplots()
    plots.plot_effects(table, "kept", "points", ax=ax)
    fig.canvas.draw()


def test_a_plan_that_is_too_small_is_said_to_be():
    plan = pd.DataFrame(
        {
            "outcome": "kept",
            "arm": ["call", "mail"],
            "planned_per_arm": 100,
            "n_per_arm_adjusted": [90.0, 900.0],
        }
    )
    assert "the effect of call on “stays”, and no other" in report.say_plan(plan, OUTCOMES)
    assert "too small to show any" in report.say_plan(plan.assign(planned_per_arm=10), OUTCOMES)


def test_scores_of_everybody_in_the_best_arm_are_gains_alone_and_zeros_have_no_sign():
    columns = ["arm", "model", "metric", "value", "low", "high", "lowest", "highest"]
    rows = [
        ("call", "one", "auuc", -0.00001, -0.01, 0.01, -0.00004, 0.002),
        ("best arm", "one", "gain", 0.001, -0.01, 0.02, 0.0, 0.002),
    ]
    scores = pd.DataFrame(rows, columns=columns)
    assert report.lay_out_scores(scores, "call", True).iloc[0].tolist() == [
        "one",
        "0.00<br><small>−1.00 to 1.00</small>",
        "<small>0.00 to 0.20</small>",
    ]
    assert report.lay_out_scores(scores, "best arm", True).iloc[0].tolist() == [
        "one",
        "0.10 (−1.00 to 2.00)",
    ]

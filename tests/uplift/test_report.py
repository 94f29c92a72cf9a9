"""Sentences and tables: each kind of verdict, trials that aren't sound, and hostile names."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from trial_maker import make_arms, make_chosen, make_trial

from research.data.fetch import fetch
from research.data.load import load_tables
from research.evaluation.bootstrap import BETTER, NO_DIFFERENCE, WORSE
from research.study import load_study
from research.uplift import doubly_robust, plots, report
from research.uplift.average_effects import (
    ADJUSTED,
    DIFFERENCE_OF_MEANS,
    score_outcome,
    tabulate_effects,
)
from research.uplift.balance import check_trial
from research.uplift.doubly_robust import make_sample
from research.uplift.heterogeneity import PLACEBOS
from research.uplift.learners.families import AVERAGED, RANDOM
from research.uplift.observational import ASSOCIATIONS, compare_campaign
from research.uplift.trials import load_randomised
from research.uplift.verdict import (
    EFFECTS_DIFFER,
    NO_EFFECT,
    NOT_TESTED,
    SAME_EFFECT,
    decide,
)

TRIAL = make_arms(4, kept=[0.0, 1.0, 1.0, 0.0])


def average(p: float, effect: float = 0.02) -> pd.DataFrame:
    row = {
        "trial": "t",
        "outcome": "kept",
        "arm": "call",
        "segment_by": "",
        "segment": "all",
        "mean_control": 0.5,
        "effect": effect,
        "low": effect - 0.01,
        "high": effect + 0.01,
        "p_value": p,
        "n_control": 100,
        "n_arm": 100,
        "p_adjusted": p,
        "adjusted_low": effect - 0.012,
        "adjusted_high": effect + 0.012,
    }
    return pd.DataFrame([row | {"method": method} for method in (DIFFERENCE_OF_MEANS, ADJUSTED)])


def differences(p: float) -> pd.DataFrame:
    return pd.DataFrame(
        [("kept", "call", 1.0, p, p, 200, 3)],
        columns=["outcome", "arm", "z", "p_value", "p_adjusted", "n", "divisions"],
    )


def against(verdict: str, reference: str = "churn risk", model: str = AVERAGED) -> pd.DataFrame:
    return pd.DataFrame(
        [("kept", "call", model, reference, "auuc", verdict)],
        columns=["outcome", "arm", "model", "reference", "metric", "verdict"],
    )


@pytest.mark.parametrize(
    ("effect", "tests", "kind", "words"),
    [
        (0.5, differences(0.5), NO_EFFECT, "**No significant effect.**"),
        (
            0.001,
            differences(0.5),
            SAME_EFFECT,
            "an average effect; whether it differs between customers is inconclusive",
        ),
        (0.001, differences(0.001), EFFECTS_DIFFER, "**The effect differs between customers"),
        (0.5, differences(0.001), EFFECTS_DIFFER, "changes “stays” for some customers and not"),
        (0.001, differences(0.5).head(0), NOT_TESTED, "an arm is for everybody or for nobody"),
        (0.5, differences(0.5).head(0), NO_EFFECT, "**No significant effect.**"),
    ],
)
def test_the_verdict_follows_from_the_average_effects_and_the_test_of_differences(
    effect, tests, kind, words
):
    assert decide(average(effect), tests)[0] == kind
    assert words in report.describe_verdict(average(effect), tests, TRIAL, against(BETTER))


def test_where_effects_differ_targeting_by_effect_is_recommended():
    text = report.describe_verdict(average(0.001), differences(0.001), TRIAL, against(BETTER))
    assert "(call, on “stays”; significant at 2.5 %, Holm)" in text
    assert "rank significantly better than churn risk (call)" in text
    assert "`65_targeting`" in text
    equal = report.describe_verdict(
        average(0.001), differences(0.001), TRIAL, against(NO_DIFFERENCE)
    )
    assert "don't rank significantly better than churn risk: a list by it may do" in equal
    assert "Single learners" not in equal
    single = pd.concat([against(NO_DIFFERENCE), against(BETTER, model="T-learner")])
    text = report.describe_verdict(average(0.001), differences(0.001), TRIAL, single)
    assert "Single learners that do: T-learner for call, on “stays”." in text


def test_choices_that_are_significantly_worse_than_one_arm_for_all_are_named():
    rows = [
        ("T-learner", "womens", -0.27, -0.52, -0.02),
        ("DR-learner", "womens", -0.26, -0.44, -0.08),
        ("T-learner", "best arm", -0.1, -0.5, 0.3),
        ("forest", "mens", 0.0, -2e-16, -1e-16),  # rounding
    ]
    scores = pd.DataFrame(rows, columns=["model", "arm", "value", "low", "high"])
    told = report._describe_gain(scores.assign(metric="gain"))
    assert "no model's choice of whom to contact does significantly better" in told
    assert told.endswith("Significantly worse than it: T-learner and DR-learner (womens).")


def test_differences_around_an_average_of_zero_are_told_in_one_sentence_without_a_contradiction():
    text = report.describe_verdict(average(0.5), differences(0.001), TRIAL, against(BETTER))
    first = text.split(" Averaged effects")[0]
    assert first == (
        "**call changes “stays” for some customers and not for others, or in opposite"
        " directions, so that over all of them no change is left to see on average**: 2.00 (0.80 to"
        " 3.20) points; models predict for whom it is larger (significant at 2.5 %, Holm)."
    )
    assert "no significant effect" not in text.lower()
    assert "The effect differs" not in text


def test_an_average_of_another_outcome_is_still_told_beside_differences_around_zero():
    two = pd.concat([average(0.5), average(0.5).assign(outcome="value")], ignore_index=True)
    trial = replace(TRIAL, outcomes=TRIAL.outcomes | {"value": "fees paid"})
    trial.rows["value"] = 1.5
    text = report.describe_verdict(two, differences(0.001), trial, against(BETTER))
    assert "no significant effect of call on “fees paid”" in text
    assert "no significant effect of call on “stays”" not in text


@pytest.mark.parametrize("p", [0.5, 0.001], ids=["no effect", "an average effect"])
@pytest.mark.parametrize("verdict", [BETTER, NO_DIFFERENCE])
def test_what_was_not_found_is_never_an_instruction(p, verdict):
    text = report.describe_verdict(average(p), differences(0.5), TRIAL, against(verdict, RANDOM))
    assert "Don't" not in text
    assert "don't" not in text
    assert "everybody or nobody" not in text


@pytest.mark.parametrize("p", [0.5, 0.001], ids=["no effect", "an average effect"])
def test_the_verdict_names_the_rankings_that_the_table_shows_to_be_better_than_random(p):
    by = [against(BETTER, RANDOM, "churn risk"), against(NO_DIFFERENCE, RANDOM, "T-learner")]
    by += [against(BETTER, RANDOM, "risk modelling"), against(BETTER, "churn risk", "S-learner")]
    text = report.describe_verdict(average(p), differences(0.5), TRIAL, pd.concat(by))
    assert (
        "significantly better than random lists are churn risk and risk modelling for call, on"
        " “stays” (corrected for the number of rankings)." in text
    )
    assert "can be ranked by it" in text
    assert "T-learner" not in text


@pytest.mark.parametrize("p", [0.5, 0.001], ids=["no effect", "an average effect"])
@pytest.mark.parametrize("first", [BETTER, NO_DIFFERENCE])
def test_a_ranking_worse_than_random_lists_is_told(p, first):
    by = [against(first, RANDOM, "churn risk"), against(WORSE, RANDOM, "S-learner")]
    text = report.describe_verdict(average(p), differences(0.5), TRIAL, pd.concat(by))
    assert "Significantly worse than random lists: S-learner for call, on “stays”." in text


def test_the_headline_counts_the_average_effects():
    two = pd.concat([average(0.001), average(0.8).assign(arm="letter")])
    text = report.describe_verdict(two, differences(0.5), TRIAL, against(BETTER, RANDOM))
    assert text.startswith("**There is an average effect in 1 of 2 pairs of arm and outcome, and")


def test_without_a_better_ranking_the_verdict_rules_nothing_out():
    by = against(NO_DIFFERENCE, RANDOM)
    text = report.describe_verdict(average(0.001), differences(0.5), TRIAL, by)
    assert "shows neither that contact does nothing nor that its effect is the same" in text


def test_effects_on_shares_are_in_percentage_points():
    table = report.effects_table(average(0.5), TRIAL)
    assert table[ADJUSTED].tolist() == ["2.00<br><small>0.80 to 3.20</small>"]
    assert table.in_control.tolist() == ["50.0%"]
    assert report.write_effect(-1.5, -2, -1, False, "EUR") == "−1.50 (−2.00 to −1.00) EUR"


def test_a_trial_with_a_sample_ratio_mismatch_is_reported_as_such(copy, mirror):
    study = load_study("cookie_cats")
    fetch(study)
    trial = load_randomised(load_tables(study), study)
    words = report.describe_trial(check_trial(trial, study))
    assert (
        "**Cookie cats: sample ratio mismatch.** In 0.9% of fair randomisations the sizes differ"
        in words
    )
    table = tabulate_effects(trial, [score_outcome(trial, "kept", 0)])
    # published: 19.02 % against 18.20 % play on the seventh day
    assert table.effect.to_numpy() == pytest.approx([-0.0082] * 2, abs=5e-5)
    assert decide(table, pd.DataFrame())[0] == NOT_TESTED


def test_a_sound_trial_is_called_sound(write_study):
    study = write_study("flat", experiment={"shares": {"control": 1, "call": 1}})
    words = report.describe_trial(check_trial(make_trial(1000, 0)[0], study))
    assert words.startswith("**The arms have the planned sizes**")
    assert "no feature differs by more than chance explains" in words
    assert "No outcome is missing" in words


def test_uneven_attrition_is_reported_as_misleading(write_study):
    trial, _ = make_trial(2000, 0)
    lost = (trial.rows.arm == "call") & (np.arange(2000) % 5 == 0)
    trial.rows.loc[lost, "kept"] = np.nan
    checks = check_trial(trial, write_study("flat"))
    sentence = "**Outcomes are missing more often in one arm than in another** (Test, kept)"
    assert sentence in report.describe_trial(checks)
    assert "outcomes of test are missing more often in one arm" in report.describe_doubts(checks)
    assert make_sample(trial, "kept").size == 2000 - lost.sum()


def test_hostile_names_of_arms_and_trials_are_written_and_drawn_plain():
    table = average(0.001).assign(arm="$x_{ & **<b>call</b>** $", trial="<script>$\\frac$")
    words = report.describe_effects(table, TRIAL)
    assert "<" not in words and "$" not in words and "**x and b call" in words
    fig, ax = plt.subplots()
    plots.plot_effects(table, TRIAL, ax)
    fig.canvas.draw()


def test_a_plan_that_is_too_small_is_reported_as_such():
    plan = pd.DataFrame(
        {
            "outcome": "kept",
            "arm": ["call", "mail"],
            "planned_per_arm": 100,
            "n_per_arm_adjusted": [90.0, 900.0],
        }
    )
    assert "for call on “stays”, and no other" in report.describe_plan(plan, TRIAL)
    small = plan.assign(planned_per_arm=10)
    assert "too small to detect any" in report.describe_plan(small, TRIAL)


def test_scores_of_everybody_in_the_best_arm_are_gains_alone_and_zeros_have_no_sign():
    columns = ["arm", "model", "metric", "value", "low", "high", "lowest", "highest"]
    rows = [
        ("call", "one", "auuc", -0.00001, -0.01, 0.01, -0.00004, 0.002),
        ("best arm", "one", "gain", 0.001, -0.01, 0.02, 0.0, 0.002),
    ]
    scores = pd.DataFrame(rows, columns=columns)
    assert report.uplift_scores_table(scores, "call", True).iloc[0].tolist() == [
        "one",
        "0.00<br><small>−1.00 to 1.00</small>",
        "<small>0.00 to 0.20</small>",
    ]
    assert report.uplift_scores_table(scores, "best arm", True).iloc[0].tolist() == [
        "one",
        "0.10 (−1.00 to 2.00)",
    ]


def test_outcomes_are_described_with_their_means(monkeypatch):
    assert report.describe_outcomes(TRIAL) == "Outcomes: **kept**: stays (50.0% on average)."
    monkeypatch.setattr(doubly_robust, "MAX_ARM_ROWS", 1)
    known = replace(TRIAL, features=["x"])
    assert report.describe_outcomes(known).endswith("all customers are scored.")


def test_an_association_is_never_called_an_effect():
    associations = compare_campaign(make_chosen(3000, 0), "kept", 0)[0]
    words = report.describe_associations(associations, True)
    assert words.startswith("**An association, not an effect**")
    assert "unobserved confounder that explains" in words
    assert "No association can be estimated" in report.describe_associations(
        pd.DataFrame(columns=ASSOCIATIONS), True
    )


def draw_placebos(number: int, reached: int) -> pd.DataFrame:
    z = np.where(np.arange(number) < reached, 3.0, 0.0)
    rows = [("kept", at, "call", 0.0, each, 2.0) for at, each in enumerate(z)]
    return pd.DataFrame(rows, columns=PLACEBOS)


def test_placebos_that_cant_reach_the_level_are_an_illustration():
    told = report.describe_placebos(draw_placebos(6, 0))
    assert "call: z 2.00, reached by 0 of 6 placebos. An illustration" in told
    assert "(p " not in told
    told = report.describe_placebos(draw_placebos(39, 1))
    assert "call: z 2.00, reached by 1 of 39 (p 0.05) placebos." in told
    assert "An illustration" not in told
    assert report.describe_placebos(draw_placebos(0, 0)) == ""

"""Sentences of 40_survival: each says what its table says, and can say that nothing was found."""

import json
from dataclasses import replace
from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from exponential_lives import TrueRate, score_by_name

from research.study import project_root
from research.survival.follow_up import SurvivalPanel
from research.survival.predict import KAPLAN_MEIER, KaplanMeier
from research.survival.report import (
    describe_attributes,
    describe_judged,
    describe_lifetimes,
    describe_proportionality,
    describe_proxies,
    describe_reasons,
    describe_scores,
    describe_segments,
    describe_separation,
    describe_tenures,
    rename_units,
    survival_score_table,
)
from research.survival.tenure import summarise_tenures, tabulate_curves


def test_the_verdict_names_a_model_that_beats_kaplan_meier():
    scores = score_by_name({KAPLAN_MEIER: KaplanMeier(), "truth": TrueRate()})
    verdict = describe_scores(scores)
    assert verdict.startswith("**Truth predicts survival better than Kaplan-Meier**")
    assert "doesn't differ significantly from the observed one at any" in verdict


def test_the_verdict_is_not_significant_where_a_model_knows_nothing():
    verdict = describe_scores(score_by_name({KAPLAN_MEIER: KaplanMeier(), "copy": KaplanMeier()}))
    assert verdict.startswith("**No model is significantly better than Kaplan-Meier")


def test_the_verdict_says_on_which_side_probabilities_are_off():
    verdict = describe_scores(score_by_name({KAPLAN_MEIER: KaplanMeier(), "off": TrueRate(1.3)}))
    assert "It predicts too many leavers by" in verdict


def test_where_censoring_depends_on_the_risk_the_mean_is_not_judged():
    scores = score_by_name({KAPLAN_MEIER: KaplanMeier(), "truth": TrueRate()})
    verdict = describe_scores(scores, censoring=1e-7)
    assert "isn't judged" in verdict
    assert "any of the judged times" not in verdict


def test_segments_name_the_slowest_and_the_fastest_and_how_many_were_tested():
    tests = pd.DataFrame({"segment_by": ["tier", "colour"], "p_adjusted": [0.001, 0.8]})
    columns = [
        "segment_by",
        "segment",
        "given_days",
        "until_days",
        "mean_days",
        "mean_low",
        "mean_high",
    ]
    summary = pd.DataFrame(
        [("tier", "gold", 0, 100, 80.0, 78, 82), ("tier", "tin", 0, 100, 40.0, 37, 43)],
        columns=columns,
    )
    sentences = describe_segments(tests, summary)
    assert "by tier** (1 of 2 attributes tested" in sentences
    assert "first 100 days is gold 80 (78 to 82); tin 40 (37 to 43)" in sentences
    assert describe_segments(tests.assign(p_adjusted=1.0), summary).startswith(
        "**Survival doesn't differ significantly by any attribute**: 2 tested"
    )
    assert describe_segments(tests[:0], summary) == ""


def test_proportionality_names_a_change_with_its_alternatives_or_that_none_is_significant():
    tests = pd.DataFrame(
        {"term": ["plan", "all"], "chi2": [20.0, 21.0], "df": [1, 2], "p_value": [1e-5, 1e-4]}
    ).assign(p_adjusted=lambda table: table.p_value)
    columns = ["remedy", "gain", "df", "p_value", "still_changing"]
    alternatives = pd.DataFrame(
        [
            ("none", np.nan, 0, np.nan, 0.01),
            ("periods", 18.2, 2, 1e-4, np.nan),
            ("strata", np.nan, 0, np.nan, 0.6),
        ],
        columns=columns,
    )
    sentences = describe_proportionality(tests, "plan", alternatives)
    assert "Proportional hazards are rejected for 1 of 1 attributes**, most clearly for plan" in (
        sentences
    )
    assert "(likelihood-ratio χ² 18.2, 2 df, p = 0.0001): read its ratios by period" in sentences
    assert "are not rejected (jointly p = 0.6, before p = 0.01)" in sentences
    weak = alternatives.assign(p_value=0.3)
    assert "don't fit significantly better" in describe_proportionality(tests, "plan", weak)
    failed = alternatives.assign(gain=np.nan, p_value=np.nan)
    sentences = describe_proportionality(tests, "plan", failed)
    assert "separate ratios for three periods can't be estimated: it is not known" in sentences
    assert "nan" not in sentences
    assert "significantly better" not in sentences


def test_hazards_that_are_not_rejected_are_not_called_constant():
    tests = pd.DataFrame({"term": ["plan", "all"], "p_value": [0.12, 0.099]})
    sentences = describe_proportionality(tests, None, pd.DataFrame())
    assert "Proportional hazards are not rejected for any attribute" in sentences
    assert "That doesn't show that they hold" in sentences
    assert "can be read as constant" not in sentences


def test_reasons_are_those_of_the_last_day_with_fifty_at_risk():
    columns = ["reason", "days", "share", "low", "high", "at_risk"]
    table = pd.DataFrame(
        [("a", 5, 0.1, 0.05, 0.2, 80), ("b", 5, 0.3, 0.2, 0.4, 80), ("a", 9, 0.9, 0.1, 1, 3)],
        columns=columns,
    )
    assert (
        describe_reasons(table)
        == "Share that has left by day 5 since joining: b 30.0 % (20.0 % to 40.0 %); a 10.0 % (5.0"
        " % to 20.0 %)."
    )
    assert describe_reasons(table[:0]) == "The study doesn't record who left voluntarily."


def test_lifetimes_count_the_medians_and_those_beyond_the_longest_follow_up():
    columns = [
        "restricted_mean_days",
        "low_mean_days",
        "high_mean_days",
        "until_days",
        "median_days",
    ]
    table = pd.DataFrame(
        [(10.0, 8, 12, 90, 7), (50.0, 45, 55, 90, 60), (88.0, 86, 90, 90, np.nan), (np.nan,) * 5],
        columns=columns,
    )
    sentences = describe_lifetimes(table)
    assert "half of the 3 customers are expected to stay more than 50.0" in sentences
    assert "For 2 the median" in sentences
    assert "1 have lasted as long" in sentences
    assert "No remaining lifetime" in describe_lifetimes(table[3:])


def test_lifetimes_in_years_have_two_decimals():
    table = pd.DataFrame({"restricted_mean_days": [1.93, 1.96, 1.98], "until_days": 2.0})
    table = table.assign(low_mean_days=1.94, high_mean_days=1.97, median_days=np.nan)
    sentences = describe_lifetimes(table, "years")
    assert "stay more than 1.96; a tenth less than 1.94, a tenth more than 1.98" in sentences
    assert "typically 0.03 wide" in sentences


def test_columns_that_separate_are_named_and_others_are_not():
    ratios = pd.DataFrame({"column": ["plan: pro", "fee"], "separated": [True, False]})
    assert "can be estimated for plan pro:" in describe_separation(ratios)
    assert describe_separation(ratios[1:]) == ""


def test_proxies_of_the_duration_are_named():
    assert describe_proxies([]) == ""
    assert describe_proxies(["tenure", "total"]).endswith("itself: tenure and total.")


def test_days_of_a_flat_study_are_headed_by_its_unit():
    table = pd.DataFrame({"mean_days": [1.0], "part": ["a"]})
    assert list(rename_units(table, "months")) == ["mean months", "part"]
    assert list(rename_units(table, "days")) == ["mean_days", "part"]


def test_differences_leave_out_the_baseline():
    scores = score_by_name({KAPLAN_MEIER: KaplanMeier(), "truth": TrueRate()})
    assert survival_score_table(scores).model.tolist() == [KAPLAN_MEIER, "truth"]
    differences = survival_score_table(scores, differences=True)
    assert differences.model.tolist() == ["truth"]
    assert differences["integrated Brier score"][0].startswith("−0.")


def test_concordances_that_are_the_same_are_one_column():
    scores = score_by_name({KAPLAN_MEIER: KaplanMeier(), "truth": TrueRate()})
    assert {"concordance (Uno)", "concordance (Harrell)"} <= {*survival_score_table(scores)}
    numbers = ["value", "low", "high", "difference", "difference_low", "difference_high"]
    uno = scores[scores.metric == "uno_c"].set_index("model")[numbers]
    at = scores.metric == "harrell_c"
    scores.loc[at, numbers] = uno.loc[scores.model[at]].to_numpy()
    for differences in (False, True):
        table = survival_score_table(scores, differences=differences)
        assert [*table][1:] == [
            "integrated Brier score",
            "concordance (Uno and Harrell: the same)",
        ]


def lives(median: float, **curve) -> tuple[pd.DataFrame, pd.DataFrame]:
    summary = {"segment_by": ["all", "plan"], "median_days": [median, 1.0]}
    summary |= {"low_days": [585.0, 1.0], "high_days": [673.0, 1.0]}
    summary |= {"given_days": 0.0, "entered_later": 0}
    points = {"segment_by": "all", "days": [0.0, 1_000], "survival": [1.0, 0.6], "low": [1.0, 0.58]}
    points |= {"high": [1.0, 0.62], "at_risk": [6_000, 80], "given_days": 0.0}
    return pd.DataFrame(summary), pd.DataFrame(points | curve)


STEP = {"from_days": 364, "until_days": 394, "left_share": 0.137, "low": 0.123, "high": 0.151}
STEP |= {"before_share": 0.03, "after_share": 0.022, "p_value": 1e-9, "windows": 2_500}
STEP |= {"term_months": 12.0}


def test_the_answer_to_when_is_the_median_and_the_largest_step():
    assert describe_tenures(*lives(622), pd.DataFrame([STEP])) == (
        "**Half of the customers leave within 622 (585 to 673) days.** **The largest step of the"
        " curve**, where a term of 12 months ends for the first time: of those still there after"
        " 364 days 13.7 % (12.3 % to 15.1 %) leave within 30 days, against 3.0 % in the 30 days"
        " before and 2.2 % in the 30 days after (p below 0.001, corrected for 2,500 windows)."
    )


def test_a_median_without_an_upper_bound_is_not_shown():
    summary, curves = lives(10, high=[1.0, 0.516])
    summary = summary.assign(low_days=10.0, high_days=np.nan)
    assert describe_tenures(summary, curves, pd.DataFrame(), "years") == (
        "**Half of the customers are estimated to leave within 10 years** (95 % interval from 10"
        " on, without an upper bound): that half leave at all is not shown, up to 51.6 % may stay"
        " beyond the follow-up."
    )


def test_a_median_that_leaves_out_who_entered_later_says_so():
    # 440 from day 0 on, of whom 20 a day leave until day 20; 100 are observed from day 365 on only
    durations = np.r_[np.repeat(np.arange(1.0, 21), 20), np.full(140, 400.0)]
    entry = np.repeat([0.0, 365.0], [440, 100])
    tenures = pd.DataFrame({"entry": entry, "duration": durations, "ended": durations < 400})
    summary = summarise_tenures(tenures)
    assert summary.entered_later.tolist() == [100]
    summary, curves = lives(78, given_days=21.0)
    summary = summary.assign(given_days=21.0, customers=1_101, entered_later=[584, 0])
    assert describe_tenures(summary, curves, pd.DataFrame()).endswith(
        " That is day 99 since joining. 584 of the 1,101 customers are observed only from later on"
        " and don't count in it: it is the median of the others."
    )
    sentence = describe_tenures(summary.assign(entered_later=0), curves, pd.DataFrame())
    assert sentence.endswith("since joining.")


def test_where_half_never_leave_the_share_of_the_longest_follow_up_is_told():
    sentence = describe_tenures(*lives(np.nan), pd.DataFrame([STEP])[:0])
    assert sentence == (
        "**Fewer than half of the customers leave within 1,000 days**, as far as enough are"
        " followed: 40.0 % (38.0 % to 42.0 %)."
    )


def test_a_step_that_is_not_significant_is_none():
    sentence = describe_tenures(*lives(622), pd.DataFrame([STEP | {"p_value": 0.2}]))
    assert sentence.endswith(
        "No step of the curve stands out: in no 30 days do significantly more leave than in the 30"
        " days before and after (2,500 tried)."
    )


def test_a_unit_without_a_name_is_written_as_one_and_as_many():
    step = pd.DataFrame([STEP | {"until_days": 365, "p_value": 0.2}])
    sentence = describe_tenures(*lives(622), step, "units of duration")
    assert "in no unit of duration do significantly more leave than in the unit" in sentence


@pytest.mark.parametrize("kind", ["flat", "contractual"])
def test_a_flat_study_does_not_say_what_was_known_at_the_start(write_study, kind):
    sentence = describe_attributes(write_study(kind), 33, 33)
    assert ("are known at the start" in sentence) == (kind == "contractual")
    assert ("on the day on which the data were drawn" in sentence) == (kind == "flat")


def test_the_judged_customers_are_counted_by_day(write_study):
    days = pd.to_datetime(["2024-05-01", "2024-05-01", "2024-06-01"])
    test = pd.DataFrame({"customer_id": ["a", "b", "a"], "snapshot": days})
    panel = SurvivalPanel(test, test, np.array([]), np.array([]), (10, 40), date(2024, 5, 1))
    counted = "Test rows are of 2 customers: 2 on 2024-05-01 and 1 on 2024-06-01."
    assert describe_judged(panel, write_study()) == counted
    sentence = describe_judged(panel, write_study("non_contractual", name="shop"))
    assert sentence.startswith(f"{counted} These are active then")
    assert "known only 60 days later, to be followed for 40 days" in sentence
    assert describe_judged(replace(panel, first_judged_day=None), write_study()) == ""


def test_a_step_at_the_beginning_has_nothing_before_it_and_a_unit_of_its_own():
    first = {"from_days": 0, "until_days": 1, "before_share": np.nan, "term_months": np.nan}
    sentence = describe_tenures(*lives(622), pd.DataFrame([STEP | first]), "months")
    assert "at the very beginning 13.7 % (12.3 % to 15.1 %) leave" in sentence
    assert "leave within a month, against 2.2 % in the month after" in sentence


def test_the_verdict_says_when_before_it_speaks_of_scores():
    cells = json.loads((project_root() / "notebooks" / "40_survival.ipynb").read_text())["cells"]
    verdict = next(
        "".join(later["source"])
        for cell, later in pairwise(cells)
        if "".join(cell["source"]).startswith("## Verdict")
    )
    assert verdict.index("stayed") < verdict.index("describe_scores")


@pytest.mark.parametrize(
    ("unit", "when"), [("days", "on their first day"), ("years", "with a duration of 0 years")]
)
def test_a_median_of_0_is_told_as_the_share_that_leaves_at_once(unit, when):
    durations = np.repeat([0.0, 20, 100], [70, 20, 10])
    tenures = pd.DataFrame({"entry": 0.0, "duration": durations, "ended": durations < 100})
    summary, curves = summarise_tenures(tenures), tabulate_curves(tenures)
    sentence = describe_tenures(summary, curves, pd.DataFrame(), unit)
    assert sentence.startswith("**70.0 % (")
    assert sentence.endswith(f"of the customers leave {when}**: the median stay is 0.")

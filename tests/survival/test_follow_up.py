"""The models' clock: which snapshots, which reference, which scores; and what the words say of
them.
"""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from research.data import load
from research.errors import StudyError
from research.evaluation.survival_metrics import score_models
from research.models.survival_at_horizon import frame_outcome
from research.survival.follow_up import (
    KAPLAN_MEIER,
    KaplanMeier,
    bin_calibration,
    check_independent_censoring,
    choose_restriction_time,
    find_duration_proxies,
    find_longest_follow_up,
    plan_follow_up,
    predict_curves_out_of_fold,
    predict_curves,
    require_leavers,
    choose_evaluation_days,
)
from research.survival.report import (
    find_best,
    describe_scores,
    describe_lifetimes,
    describe_proportionality,
    describe_reasons,
    describe_segments,
)

DAYS = (10, 20, 30, 40, 50)


class Known:
    """Survival by the true rate in a column, times a factor."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, columns, outcome):
        return self

    def predict_survival(self, columns, days):
        return np.exp(-np.outer(columns.rate * self.factor, days))

    def __sklearn_clone__(self):
        return self


def company(seed: int = 0, n: int = 2000) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    columns = pd.DataFrame({"rate": rng.choice([0.005, 0.04], n), "noise": rng.normal(size=n)})
    life = np.ceil(rng.exponential(1 / columns.rate))
    return columns, frame_outcome(life <= 60, np.minimum(life, 60))


def scores_of(models: dict, seed: int = 0) -> pd.DataFrame:
    columns, outcome = company(seed)
    curves = {
        name: predict_curves(model.fit(columns, outcome), columns, DAYS)
        for name, model in models.items()
    }
    families = {name: "reference" if name == KAPLAN_MEIER else "survival" for name in models}
    return score_models(
        outcome, outcome, curves, families, KAPLAN_MEIER, DAYS, range(len(columns)), 200, 0
    )


def write_orders(write_study, end: str, **changes):
    people = pd.DataFrame({"customer_id": ["a"], "joined_at": pd.to_datetime(["2024-01-01"])})
    orders = pd.DataFrame(
        {"customer_id": "a", "ordered_at": pd.to_datetime(["2024-01-01", end]), "amount": 1.0}
    )
    snapshots = {"last": "2024-06-01", "train": 1, "test": 1} | changes
    return write_study(
        "non_contractual",
        tables={"customers": people, "orders": orders},
        data_end=end,
        snapshots=snapshots,
    )


def test_lapses_can_be_followed_on_both_sides_of_the_test_snapshot(write_study):
    # horizon 30, active 90, inactive 60; orders 2024-01-01 to 2024-07-01, snapshot 2024-06-01:
    # lapses are known to begin until 2024-05-02.
    # Of the 122 days before it, 60 pass until the lapses of the training rows are known and 90 are
    # history: nothing is left
    study = write_orders(write_study, "2024-07-01")
    with pytest.raises(
        StudyError, match="expected 224 days of orders to follow lapses of 7 days, got 182; use"
    ):
        plan_follow_up(load.load_tables(study), study)


def test_the_snapshots_of_lapses_leave_room_for_the_silence(write_study):
    study = write_orders(write_study, "2024-12-31", last="2024-12-01")
    plan = plan_follow_up(load.load_tables(study), study)
    # known until 2024-11-01; 30 days to follow: test on 2024-10-02; its training rows were known 60
    # days before that to 2024-08-03: 30 days earlier
    assert plan.test == (date(2024, 10, 2),)
    assert plan.train == (date(2024, 7, 4),)
    assert plan.days == (6, 12, 18, 24, 30)


def test_a_contract_study_keeps_its_test_snapshots_and_learns_from_some_a_horizon_apart(
    write_study,
):
    people = pd.DataFrame({"customer_id": ["a"], "joined_at": pd.to_datetime(["2023-01-01"])})
    contracts = pd.DataFrame({"customer_id": ["a"], "started_at": pd.to_datetime(["2023-01-01"])})
    study = write_study(
        tables={"customers": people, "contracts": contracts},
        snapshots={"last": "2024-06-30", "every_days": 10, "train": 8, "test": 2},
    )
    plan = plan_follow_up(load.load_tables(study), study)
    assert plan.test == (date(2024, 6, 20), date(2024, 6, 30))
    assert plan.train == (date(2024, 3, 22), date(2024, 4, 21), date(2024, 5, 21))
    assert plan.days == (6, 12, 18, 24, 30)


def test_kaplan_meier_is_that_worked_by_hand_and_the_same_for_everybody():
    # day 1: 1 of 4 leaves: 3/4; day 2: one is lost; day 3: 1 of 2: 3/8
    model = KaplanMeier().fit(
        pd.DataFrame(index=range(4)), frame_outcome([True, False, True, False], [1, 2, 3, 4])
    )
    assert (
        model.predict_survival(pd.DataFrame(index=range(2)), [0, 1, 2.5, 3, 9]).tolist()
        == [[1, 0.75, 0.75, 0.375, 0.375]] * 2
    )


def test_a_column_that_grows_with_the_duration_is_a_clock_and_an_attribute_is_none():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "duration": rng.integers(1, 73, 500).astype(float),
            "fee": rng.uniform(20, 100, 500),
            "plan": "x",
            "same": 1,
        }
    )
    frame = frame.assign(
        tenure=frame.duration, paid=frame.duration * frame.fee, remaining=72 - frame.duration
    )
    assert find_duration_proxies(frame, ["fee", "plan", "same", "tenure", "paid", "remaining"]) == [
        "tenure",
        "paid",
        "remaining",
    ]


def test_times_of_a_flat_study_end_where_four_in_five_durations_have():
    assert choose_evaluation_days(pd.DataFrame({"duration": np.arange(1.0, 101)})) == (17, 33, 49, 65, 80)
    assert choose_evaluation_days(pd.DataFrame({"duration": [0, 1, 2, 3, 3.0]})) == (1, 2, 3)


def test_lifetimes_are_told_no_further_than_rows_were_watched(write_study):
    outcome = frame_outcome(np.zeros(100, bool), np.arange(1, 101))
    assert find_longest_follow_up(outcome) == 81  # 81 to 100 are twenty
    rows = pd.DataFrame({"customer_id": ["a"], "churned": [True], "duration": [1.0]})
    assert choose_restriction_time(outcome, write_study("flat", tables={"snapshot": rows})) == 20
    with pytest.raises(StudyError, match="expected more than 20 training rows, got 3"):
        find_longest_follow_up(outcome[:3])


def test_many_rows_are_predicted_in_parts_as_at_once():
    columns = pd.DataFrame({"rate": np.random.default_rng(0).uniform(0.001, 0.1, 120_001)})
    assert np.array_equal(
        predict_curves(Known(), columns, DAYS), Known().predict_survival(columns, DAYS)
    )


def test_a_row_is_predicted_by_a_model_that_never_saw_it():
    class Memory(Known):
        def fit(self, columns, outcome):
            self.seen = {*columns.index}
            return self

        def predict_survival(self, columns, days):
            assert not self.seen & {*columns.index}
            return np.full((len(columns), len(days)), 0.5)

        def __sklearn_clone__(self):
            return Memory()

    columns, outcome = company(n=50)
    found = predict_curves_out_of_fold(
        columns, outcome, {"memory": ("survival", Memory())}, DAYS, 5, 0
    )
    assert (found["memory"] == 0.5).all()


def test_the_truth_beats_kaplan_meier_and_kaplan_meier_beats_what_is_off():
    scores = scores_of({KAPLAN_MEIER: KaplanMeier(), "truth": Known(), "off": Known(4.0)})
    whole = scores[scores.metric == "integrated_brier"].set_index("model")
    assert whole.verdict.to_dict() == {KAPLAN_MEIER: "", "truth": "better", "off": "worse"}
    assert whole.difference["truth"] == pytest.approx(
        whole.value["truth"] - whole.value[KAPLAN_MEIER]
    )
    assert (
        whole.difference_low["truth"]
        < whole.difference["truth"]
        < whole.difference_high["truth"]
        < 0
    )
    assert find_best(scores) == "truth"
    words = describe_scores(scores)
    assert words.startswith("**Truth gives better survival probabilities than Kaplan-Meier**")
    assert "At none of the judged times" in words


def test_words_say_that_nothing_was_found_where_a_model_knows_nothing():
    words = describe_scores(scores_of({KAPLAN_MEIER: KaplanMeier(), "copy": KaplanMeier()}))
    assert words.startswith("**No model is shown to be better than Kaplan-Meier")


def test_words_say_on_which_side_probabilities_are_off():
    words = describe_scores(scores_of({KAPLAN_MEIER: KaplanMeier(), "off": Known(1.3)}))
    assert "It predicts too many leavers by" in words


def test_calibration_bins_of_the_truth_lie_on_the_diagonal():
    columns, outcome = company(1, 4000)
    bins = bin_calibration(outcome, {"truth": Known().predict_survival(columns, DAYS)}, DAYS)
    assert bins.groupby("days").n.sum().eq(4000).all()
    assert bins.predicted.to_numpy() == pytest.approx(bins.observed.to_numpy(), abs=0.03)
    assert ((bins.low <= bins.observed) & (bins.observed <= bins.high)).all()


def test_words_on_segments_name_the_slowest_and_the_fastest_and_how_many_were_tried():
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
    words = describe_segments(tests, summary)
    assert "by tier** (1 of 2 attributes tried" in words
    assert "gold: 80 (78 to 82); tin: 40 (37 to 43)" in words
    assert describe_segments(tests.assign(p_adjusted=1.0), summary).startswith(
        "**No attribute tells who leaves sooner**: of 2 tried"
    )


def test_words_on_proportionality_tell_a_change_with_its_remedies_or_that_none_is_shown():
    tests = pd.DataFrame(
        {"term": ["plan", "all"], "chi2": [20.0, 21.0], "df": [1, 2], "p_value": [1e-5, 1e-4]}
    )
    columns = ["remedy", "gain", "df", "p_value", "still_changing"]
    remedies = pd.DataFrame(
        [
            ("none", np.nan, 0, np.nan, 0.01),
            ("periods", 18.2, 2, 1e-4, np.nan),
            ("strata", np.nan, 0, np.nan, 0.6),
        ],
        columns=columns,
    )
    words = describe_proportionality(tests, "plan", remedies)
    assert "The hazard ratios of plan change over time" in words
    assert "gains 18.2" in words
    assert "are not shown to change (jointly p = 0.6, before p = 0.01)" in words
    assert "No hazard ratio is shown to change" in describe_proportionality(tests, None, pd.DataFrame())


def test_words_on_reasons_speak_of_the_last_day_on_which_fifty_were_watched():
    columns = ["reason", "days", "share", "low", "high", "at_risk"]
    table = pd.DataFrame(
        [("a", 5, 0.1, 0.05, 0.2, 80), ("b", 5, 0.3, 0.2, 0.4, 80), ("a", 9, 0.9, 0.1, 1, 3)],
        columns=columns,
    )
    assert (
        describe_reasons(table)
        == "By day 5 of a stay, so many have left: b 30.0 % (20.0 % to 40.0 %); a 10.0 % (5.0 % to"
        " 20.0 %)."
    )


def test_words_on_lifetimes_count_the_medians_and_those_of_whom_nothing_is_known():
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
    words = describe_lifetimes(table)
    assert "half of the 3 customers are expected to stay more than 50.0" in words
    assert "For 2 the median" in words
    assert "1 have lasted so long" in words


def test_censoring_that_goes_with_the_risk_is_found_and_the_mean_is_then_not_judged():
    columns, outcome = company()
    curve = Known().predict_survival(columns, DAYS)
    assert check_independent_censoring(outcome, curve) > 0.001 or np.isnan(
        check_independent_censoring(outcome, curve)
    )  # all are lost on day 60
    lost = np.where(columns.rate > 0.01, 15, 60)
    apart = frame_outcome(
        outcome["event"] & (outcome["days"] <= lost), np.minimum(outcome["days"], lost)
    )
    p = check_independent_censoring(apart, curve)
    assert p < 1e-6
    words = describe_scores(scores_of({KAPLAN_MEIER: KaplanMeier(), "truth": Known()}), censoring=p)
    assert "isn't judged" in words
    assert "none of the judged times" not in words


def test_too_few_who_are_seen_leaving_are_one_sentence():
    outcome = frame_outcome(np.arange(500) < 19, np.full(500, 30.0))
    with pytest.raises(
        StudyError,
        match=(
            "expected at least 20 customers who are seen leaving among the training rows, got"
            " 19 of 500"
        ),
    ):
        require_leavers(outcome, "training")


def test_a_total_over_the_duration_is_a_clock_and_what_is_paid_each_month_is_none():
    rng = np.random.default_rng(0)
    months, paid = rng.integers(1, 72, 2000), rng.uniform(10, 100, 2000)
    frame = pd.DataFrame(
        {
            "duration": months,
            "paid": paid,
            "total": paid * months * rng.uniform(0.97, 1.03, 2000),
            "calls": rng.poisson(0.02 * months),
        }
    )
    frame.loc[rng.random(2000) < 0.3, ["paid", "total"]] = 0.0
    assert find_duration_proxies(frame, ["paid", "total", "calls"]) == ["total"]
    assert find_duration_proxies(frame, ["total", "calls"]) == []  # alone it is as good as any other hint

"""Scores of survival curves under censoring: by hand, and compared with scikit-survival."""

from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds

from research.errors import StudyError
from research.evaluation import survival_metrics
from research.evaluation.bootstrap import NO_DIFFERENCE, draw_weights

OUTCOME = np.dtype([("event", bool), ("days", float)])
FIVE = np.array([(True, 1), (False, 2), (True, 3), (False, 4), (True, 5)], OUTCOME)
CURVE = np.array(
    [[0.9, 0.5], [0.9, 0.2], [0.9, 0.6], [0.9, 0.7], [0.9, 0.55]]
)  # risks by day 3: .5 .8 .4 .3 .45
DAYS = [10, 20, 35, 50]

ANY = defaultdict(lambda: "survival")


def outcome(event, days) -> np.ndarray:
    found = np.empty(len(days), OUTCOME)
    found["event"], found["days"] = event, days
    return found


def draw(n: int, seed: int, whole: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Durations in whole days, so that many are tied with one another, and curves with tied risks:
    one of some use, and one that is noise.
    """
    rng = np.random.default_rng(seed)
    rate = rng.choice([0.01, 0.02, 0.05], n)
    days, lost = (np.ceil(rng.exponential(scale, n)) for scale in (1 / rate, 60))
    lost = np.minimum(lost, rng.choice([55, 60, 80], n))
    curves = np.exp(-np.outer(rate * rng.choice([0.8, 1, 1.3], n), DAYS))
    return outcome(days <= lost, np.minimum(days, lost)), curves


def score(train, test, curves, days=DAYS, **options) -> pd.DataFrame:
    table = survival_metrics.score_models(
        train, test, {"m": curves}, ANY, "m", days, np.arange(len(test)), 1, 0, **options
    )
    return table.set_index(["metric", "days"]).value


def test_scores_of_five_rows_worked_by_hand():
    # uncensored: 3/4 beyond day 2 (one of four is not); the second row is censored before day 3
    # and counts nothing there
    found = score(FIVE, FIVE, CURVE, [1, 3])
    assert found["brier", 1] == pytest.approx((0.81 + 4 * 0.01) / 5)
    assert found["brier", 3] == pytest.approx((0.5**2 + (0.6**2 + 0.3**2 + 0.45**2) / 0.75) / 5)
    assert found["integrated_brier"].item() == pytest.approx((0.17 + 0.224) / 2)
    assert found["harrell_c"].item() == pytest.approx(
        (3 + 1) / (4 + 2)
    )  # row 1 (.5) is beaten by .8 only, row 3 (.4) by .45
    assert found["uno_c"].item() == pytest.approx(
        (3 + 16 / 9) / (4 + 2 * 16 / 9)
    )  # row 3 counts 1 / .75²
    assert found["dynamic_auc", 3] == pytest.approx(
        (2 + 4 / 3) / (2 + 2 * 4 / 3)
    )  # row 3 counts 1 / .75, and beats one of two
    assert found["calibration", 3] == pytest.approx(0.49 - (1 - 4 / 5 * 2 / 3))


@pytest.mark.parametrize("seed", list_seeds(4))
@pytest.mark.parametrize("whole_days", [True, False])
def test_scores_equal_scikit_survival_on_tied_days_and_tied_risks(seed, whole_days):
    metrics = pytest.importorskip("sksurv.metrics")
    (train, _), (test, curves) = draw(300, seed), draw(200, seed + 100)
    train = np.r_[
        train, np.array([(True, 81)], OUTCOME)
    ]  # scikit-survival wants every test row within the range of training
    found = score(train, test, curves, whole_days=whole_days)
    if whole_days:  # what ends with its day, ends half a day later than the events of the day
        train, test = (
            outcome(part["event"], part["days"] + 0.5 * ~part["event"]) for part in (train, test)
        )
    assert found["brier"].tolist() == pytest.approx(
        metrics.brier_score(train, test, curves, DAYS)[1].tolist(), abs=1e-9
    )
    assert found["integrated_brier"].item() == pytest.approx(
        metrics.integrated_brier_score(train, test, curves, DAYS), abs=1e-9
    )
    risk = 1 - curves[:, -1]
    tau = DAYS[-1] + 0.25 * whole_days  # cut off before events of the last day, or behind them
    assert found["uno_c"].item() == pytest.approx(
        metrics.concordance_index_ipcw(train, test, risk, tau)[0], abs=1e-9
    )
    assert found["harrell_c"].item() == pytest.approx(
        metrics.concordance_index_censored(test["event"], test["days"], risk)[0], abs=1e-9
    )
    assert found["dynamic_auc"].tolist() == pytest.approx(
        metrics.cumulative_dynamic_auc(train, test, 1 - curves, DAYS)[0].tolist(), abs=1e-9
    )


def test_calibration_compares_with_kaplan_meier():
    from lifelines import KaplanMeierFitter

    test, curves = draw(200, 5)
    observed = 1 - KaplanMeierFitter().fit(test["days"], test["event"]).predict(DAYS)
    assert score(test, test, curves)["calibration"].tolist() == pytest.approx(
        (1 - curves.mean(axis=0) - observed).tolist()
    )


@pytest.mark.parametrize("seed", list_seeds(3))
def test_a_resample_is_scored_as_its_rows_written_out(seed):
    (train, _), (test, curves) = draw(150, seed), draw(60, seed + 50)
    customers = np.random.default_rng(seed).integers(25, size=60)
    sample, drawn = (part[0] for part in draw_weights(customers, 1, seed))
    table = survival_metrics.resample_curves(train, test, {"m": curves}, DAYS, customers, 1, seed)[
        "m"
    ]
    rows = np.repeat(np.arange(60), drawn.astype(int))
    written = survival_metrics.resample_curves(
        train, test[rows], {"m": curves[rows]}, DAYS, rows, 0, seed
    )["m"]
    assert sample.sum() == 60
    assert {key: values[1] for key, values in table.items()} == pytest.approx(
        {key: values[0] for key, values in written.items()}
    )


def test_a_customer_observed_to_the_end_of_the_last_day_has_no_event_by_then():
    # all are observed for 90 days, as at the last snapshot that the data allow: nobody is censored,
    # the scores are the plain ones
    test = outcome([True, True, False, False], [30, 90, 90, 90])
    found = score(test, test, np.array([[0.4], [0.5], [0.9], [0.6]]), [90])
    assert found["brier", 90] == pytest.approx((0.4**2 + 0.5**2 + 0.1**2 + 0.4**2) / 4)
    assert found["dynamic_auc", 90] == pytest.approx(1)
    assert found["calibration", 90] == pytest.approx(0.4 - 0.5)


def test_the_order_of_rows_does_not_matter():
    (train, _), (test, curves) = draw(100, 1), draw(80, 2)
    order = np.random.default_rng(0).permutation(80)
    first = survival_metrics.score_models(
        train, test, {"m": curves}, ANY, "m", DAYS, np.arange(80), 20, 0
    )
    again = survival_metrics.score_models(
        train, test[order], {"m": curves[order]}, ANY, "m", DAYS, np.arange(80)[order], 20, 0
    )
    pd.testing.assert_frame_equal(first, again)


def test_scores_of_censored_rows_are_near_those_of_complete_ones():
    rng = np.random.default_rng(3)
    rate = rng.gamma(2, 0.01, 20_000)
    days, lost = rng.exponential(1 / rate), rng.exponential(50, 20_000)
    complete, seen = outcome(True, days), outcome(days <= lost, np.minimum(days, lost))
    curves = np.exp(-np.outer(rate, [20, 40]))
    whole, part = (score(rows, rows, curves, [20, 40]) for rows in (complete, seen))
    # of Harrell's C it isn't true: it judges earlier events
    names = ["brier", "integrated_brier", "uno_c", "dynamic_auc", "calibration"]
    # three standard errors are 0.012 or less
    assert part[names].to_numpy() == pytest.approx(whole[names].to_numpy(), abs=0.015)
    # counting the censored as loyal would be far off
    assert abs(((~seen["event"])[:, None] - curves).mean()) > 0.05


def test_intervals_of_the_calibration_hold_for_all_days_together():
    _, off = draw(400, 10)
    together, *alone = (score_with_intervals({"model": off[:, days]}, days) for days in PLACES)
    for table in alone:
        day = table.days.iloc[0]
        both = together[together.days == day].iloc[0]
        assert both.value == pytest.approx(table.value.iloc[0])
        assert both.low < table.low.iloc[0] and both.high > table.high.iloc[0]


PLACES = [[*range(len(DAYS))], *([place] for place in range(len(DAYS)))]


def score_with_intervals(curves: dict, places: list[int]) -> pd.DataFrame:
    train, test = draw(400, 0)[0], draw(400, 10)[0]
    days = [DAYS[place] for place in places]
    table = survival_metrics.score_models(
        train, test, curves, ANY, "model", days, np.arange(400), 200, 0
    )
    return table[table.metric == "calibration"]


def compare(seed: int, n: int = 400, **more) -> pd.DataFrame:
    (train, _), (test, curves) = draw(n, seed), draw(n, seed + 10)
    flat = np.broadcast_to(curves.mean(axis=0), curves.shape)
    table = survival_metrics.score_models(
        train,
        test,
        {"flat": flat, "model": curves, **more},
        ANY,
        "flat",
        DAYS,
        np.arange(n),
        200,
        0,
    )
    own = {"difference": "value", "difference_low": "low", "difference_high": "high"}
    return table[table.reference == "flat"].drop(columns=own.values()).rename(columns=own)


def test_a_model_that_knows_the_rates_is_better_than_one_curve_for_all():
    table = compare(0, 2_000).set_index(["metric", "days"])
    assert set(
        table.verdict[["brier", "integrated_brier", "uno_c", "harrell_c", "dynamic_auc"]]
    ) == {"better"}
    assert (table.value["brier"] < 0).all()
    assert (table.value["dynamic_auc"] > 0).all()


def test_a_copy_does_not_differ_and_verdicts_are_corrected_for_the_number_of_models():
    (_, curves), rng = draw(400, 10), np.random.default_rng(0)
    copy = np.broadcast_to(curves.mean(axis=0), curves.shape)
    table = compare(0, copy=copy).set_index("model")
    assert (table.loc["copy", ["value", "low", "high"]] == 0).all(axis=None)
    assert set(table.verdict["copy"]) == {NO_DIFFERENCE}
    shaken = {f"shaken {k}": np.clip(copy + rng.normal(0, 0.02, (400, 1)), 0, 1) for k in range(12)}
    many = compare(0, **shaken).query("model == 'model'")
    # the interval in the table is the one that decides: wider with thirteen models than with one
    assert (many.low.to_numpy() < compare(0).low.to_numpy()).all()
    assert (many.verdict == "better").sum() <= (compare(0).verdict == "better").sum()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"days": [10, 80]}, "beyond day 80, got none beyond day 60"),
        ({"days": [20, 10]}, "expected rising days"),
        ({"curves": {"m": np.ones((3, 2))}}, r"for 2 rows and 2 days, got the shape \(3, 2\)"),
        ({"curves": {"m": np.full((2, 2), np.nan)}}, "between 0 and 1"),
        ({"customers": [1]}, "a customer for each of 2 outcomes, got 1"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(change, sentence):
    rows = outcome([True, False], [5, 60])
    given = {
        "curves": {"m": np.ones((2, 2))},
        "days": [10, 20],
        "customers": [1, 2],
        "resamples": 1,
        "seed": 0,
    } | change
    with pytest.raises(StudyError, match=sentence):
        survival_metrics.score_models(rows, rows, families=ANY, reference="m", **given)


def test_a_day_at_which_all_are_censored_is_refused():
    rows = outcome([True, False, False], [5, 60, 60])
    # censored within the day: nothing is known of its end
    with pytest.raises(StudyError, match="followed up beyond day 60"):
        survival_metrics.score_models(
            rows, rows, {"m": np.ones((3, 1))}, ANY, "m", [60], [1, 2, 3], 1, 0, whole_days=False
        )


def test_without_events_a_concordance_is_empty():
    rows = outcome([False, False, False], [60, 70, 80])
    found = score(rows, rows, np.full((3, 1), 0.9), [50])
    assert np.isnan(
        [found["uno_c"].item(), found["harrell_c"].item(), found["dynamic_auc", 50]]
    ).all()
    assert found["brier", 50] == pytest.approx(0.01)

"""Tables and sentences of ``30_risk`` for readers."""

import numpy as np
import pandas as pd
import pytest

from research.data.remark import Remark
from research.data.remarks import list_remarks
from research.evaluation.bootstrap import NO_DIFFERENCE
from research.risk import profit, report
from research.risk.explain_agreement import ODDS, PERMUTATION, SHAP
from research.risk.fairness import SIGNIFICANT_GAP
from research.risk.rolling_origin import summarise_windows
from research.risk.sample_size import tabulate_sample_size
from research.study_schema import ImportantDifference


def driver(
    feature: str, family: str, measure: str, value: float, rank: int, direction: int = 1
) -> dict:
    names = {
        "feature": feature,
        "description": f"what {feature} is",
        "together_with": "b; c" if feature == "use" else "",
        "family": family,
    }
    return names | {
        "measure": measure,
        "value": value,
        "low": value - 0.01,
        "high": value + 0.01,
        "rank": rank,
        "direction": direction,
        "change": "",
        "share_of_gain": 10 * value if measure == PERMUTATION else np.nan,
    }


@pytest.fixture
def drivers() -> pd.DataFrame:
    rows = [
        driver("use", "trees", PERMUTATION, 0.05, 1, -1),
        driver("fee", "trees", PERMUTATION, 0.02, 2),
        driver("age", "trees", PERMUTATION, 0.0, 3, 0),
    ]
    rows += [
        driver("fee", "logistic", PERMUTATION, 0.04, 1),
        driver("use", "trees", SHAP, 0.6, 1, -1),
        driver("fee", "logistic", ODDS, 2.0, 1),
    ]
    return pd.DataFrame(rows)


def test_drivers_that_lead_in_any_family_come_first(drivers):
    # both lead once; fee is second elsewhere
    assert report.rank_drivers(drivers, 2) == ["use", "fee"]


def test_each_driver_is_one_row_with_a_column_for_each_family_and_measure(drivers):
    table = report.drivers_table(drivers, 2).set_index("feature")
    assert [*table.index] == ["what use is (with 2 like it)", "what fee is"]
    assert table["permutation importance, trees"].tolist() == [
        "0.050 (0.040 to 0.060) ↓",
        "0.020 (0.010 to 0.030) ↑",
    ]
    assert table["permutation importance, logistic"].tolist() == ["", "0.040 (0.030 to 0.050) ↑"]
    assert table["SHAP, trees"].tolist() == ["0.60 (0.59 to 0.61) ↓", ""]


def test_the_odds_ratio_of_a_text_names_its_category(drivers):
    rows = pd.DataFrame(
        [driver("fee", "logistic", ODDS, 2.0, 1, 0) | {"change": "high against low"}]
    )
    drivers = pd.concat([drivers[drivers.measure != ODDS], rows])
    table = report.drivers_table(drivers, 2).set_index("feature")
    assert table["odds ratio"].tolist() == ["", "2.00 (1.99 to 2.01), high against low"]


def test_money_is_whole_and_a_certain_profit_has_no_interval():
    rows = {
        "policy": ["contact nobody", "list by a"],
        "contacted": [0, 5],
        "profit_per_cycle": [0.0, -12.6],
        "adjusted_low": [0.0, -20.2],
        "adjusted_high": [0.0, 1234.4],
    }
    rows |= dict.fromkeys(
        ["gain_over_lot", "gain_low", "gain_high", "empc", "empc_low", "empc_high"], np.nan
    ) | {"currency": "EUR", "against_lot": ""}
    table = report.profit_table(pd.DataFrame(rows))
    assert table["profit a cycle, EUR"].tolist() == ["0", "−13 (−20 to 1,234)"]
    assert table["more than a random list"].tolist() == ["–", "–"]


def test_what_matters_is_said_with_and_without_prices():
    scores = pd.DataFrame(
        [
            (model, family, metric, value)
            for model, family, value in (("rule", "reference", 0.6), ("forest", "trees", 0.7))
            for metric in ("auc", "log_loss")
        ],
        columns=["model", "family", "metric", "value"],
    )
    scores.loc[scores.metric == "log_loss", "value"] = [0.3, 0.2]
    differences = pd.DataFrame(
        [("forest", "rule", metric, 0.05, 0.15) for metric in ("auc", "log_loss")],
        columns=["model", "reference", "metric", "low", "high"],
    )
    important = ImportantDifference(auc=0.01, profit=100)
    without = report.describe_important(
        important, scores, differences, pd.DataFrame(columns=profit.COLUMNS)
    )
    assert without == (
        "In AUC between forest and the rule a difference of 0.010 would matter: it is at least that"
        " (0.050 to 0.150)."
    )
    priced = pd.DataFrame(
        [("forest", "list by forest", 50.0, -20.0, 120.0, "EUR")],
        columns=[
            "model",
            "policy",
            "profit_per_cycle",
            "adjusted_low",
            "adjusted_high",
            "currency",
        ],
    )
    told = report.describe_important(important, scores, differences, priced)
    assert "In the profit of a list by forest a difference of 100 EUR would matter: whether" in told


def test_the_table_of_odds_leaves_out_what_was_not_estimated():
    row = {
        "description": "fee",
        "change": "more",
        "odds_ratio": 2.0,
        "low": 1.5,
        "high": 2.7,
        "effect_points": 3.0,
        "effect_low": 1.0,
        "effect_high": 5.0,
    }
    table = report.odds_table(
        pd.DataFrame(
            [
                row | {"inflation": 1.24, "left_out": ""},
                row | {"inflation": np.nan, "left_out": "constant"},
            ]
        )
    )
    assert table["odds ratio"].tolist() == ["2.00 (1.50 to 2.70)"]
    assert table["variance inflation"].tolist() == [1.2]


IDEAL = {"calibration_intercept": (0.0, -0.1, 0.1), "calibration_slope": (1.0, 0.9, 1.1)}


def scores(**losses: float) -> pd.DataFrame:
    families = {"base rate": "reference", "rule on days": "reference"}
    rows = [
        (model.replace("_", " "), families.get(model, "trees"), metric, value, low, high)
        for model, loss in losses.items()
        for metric, (value, low, high) in {
            "log_loss": (loss, loss - 0.01, loss + 0.01),
            "auc": (1 - loss, 0, 1),
            **IDEAL,
        }.items()
    ]
    return pd.DataFrame(rows, columns=["model", "family", "metric", "value", "low", "high"])


def table(rows: dict[tuple[str, str, str], tuple[float, float, float, str]]) -> pd.DataFrame:
    return pd.DataFrame(
        [(*key, "trees", *row) for key, row in rows.items()],
        columns=["model", "reference", "metric", "family", "value", "low", "high", "verdict"],
    )


def example(
    loss: str,
    area: str,
    rival: str = NO_DIFFERENCE,
    boosting: str = NO_DIFFERENCE,
    gains: pd.DataFrame | None = None,
    where: str = "",
    smallest: float | None = None,
    **calibration,
) -> str:
    found = scores(base=0.6, forest=0.5, boosting=0.51).replace({"model": {"base": "base rate"}})
    found.loc[found.model == "base rate", "family"] = "reference"
    for metric, values in calibration.items():
        found.loc[
            (found.model == "forest") & (found.metric == metric), ["value", "low", "high"]
        ] = values
    differences = table(
        {
            ("forest", "base rate", "log_loss"): (-0.1, -0.12, -0.08, loss),
            ("forest", "base rate", "auc"): (0.2, 0.15, 0.25, area),
            ("boosting", "base rate", "log_loss"): (-0.09, -0.1, -0.08, boosting),
            ("boosting", "base rate", "auc"): (0.19, 0.1, 0.2, boosting),
            ("boosting", "forest", "log_loss"): (0.01, -0.01, 0.03, rival),
        }
    )
    return report.describe_models(found, differences, gains, where, smallest)


def test_a_clear_winner_is_named_with_its_intervals():
    summary = example("better", "better")
    assert summary.startswith(
        "**Forest ranks customers significantly better and gives significantly better probabilities"
        " than the base rate**: AUC differs by 0.200 (0.150 to 0.250)"
    )
    assert "log-loss (less is better) by −0.100 (−0.120 to −0.080)." in summary


def test_models_that_do_not_differ_significantly_are_named():
    assert "does not differ significantly from that of boosting" in example("better", "better")
    assert "better than that of every other model" in example("better", "better", rival="worse")


def test_models_are_called_as_good_only_where_a_difference_that_matters_is_ruled_out():
    open_ = example("better", "better")  # boosting less forest: 0.010 (-0.010 to 0.030)
    assert "doesn't show that they are as good: to be worse by up to 0.030 is not" in open_
    assert "easiest to explain" not in open_ + example("better", "better", smallest=0.02)
    alike = example("better", "better", smallest=0.04)
    assert (
        "that of boosting is worse by less than 0.04, which would matter: of these, choo" in alike
    )


def test_no_significant_difference_is_a_verdict():
    summary = example(NO_DIFFERENCE, NO_DIFFERENCE)
    assert summary.startswith("**No model is significantly better than the base rate.**")
    assert "inconclusive: a gain of up to 0.25 in AUC is not ruled out" in summary


def test_a_better_ranking_without_better_probabilities_is_described_so():
    summary = example(NO_DIFFERENCE, "better")
    assert "ranks customers significantly better than the base rate" in summary
    assert "probabilities are not significantly better" in summary


@pytest.mark.parametrize(
    ("metric", "values", "fault"),
    [
        ("calibration_slope", (0.7, 0.6, 0.8), "too extreme (calibration slope 0.70"),
        ("calibration_slope", (1.3, 1.2, 1.4), "too cautious"),
        ("calibration_intercept", (-0.5, -0.6, -0.4), "too high on average"),
        ("calibration_intercept", (0.5, 0.4, 0.6), "too low on average"),
    ],
)
def test_miscalibration_is_described_in_its_direction(metric, values, fault):
    assert fault in example("better", "better", **{metric: values})


def recalibrated(**verdicts: str) -> pd.DataFrame:
    rows = [
        (f"{model}, recalibrated", model, metric, verdict if metric == "log_loss" else other)
        for model, (verdict, other) in verdicts.items()
        for metric in ("auc", "log_loss", "calibration_slope")
    ]
    return pd.DataFrame(rows, columns=["model", "reference", "metric", "verdict"])


@pytest.mark.parametrize(
    ("gains", "advice"),
    [
        (recalibrated(forest=("better", NO_DIFFERENCE)), "Recalibrate them before multiplying"),
        (recalibrated(forest=(NO_DIFFERENCE, "better")), "doesn't improve their log-loss"),
        (recalibrated(forest=("better", "worse")), "doesn't improve their log-loss"),
        (
            recalibrated(forest=(NO_DIFFERENCE, "worse")),
            "doesn't improve their log-loss",
        ),
        (
            recalibrated(boosting=(NO_DIFFERENCE, "worse"), tree=(NO_DIFFERENCE, NO_DIFFERENCE)),
            "significantly improves the log-loss of none of the models tried (boosting and tree)",
        ),
        (
            recalibrated(boosting=("better", NO_DIFFERENCE), tree=(NO_DIFFERENCE, "worse")),
            "improves the log-loss of boosting; it was not tried on this model: try it before",
        ),
        (recalibrated(boosting=(NO_DIFFERENCE, "better")), "the log-loss of none of the models"),
        (None, "Whether recalibration would help was not tried"),
    ],
)
def test_recalibration_is_advised_only_where_the_table_shows_that_it_helps(gains, advice):
    summary = example("better", "better", gains=gains, calibration_slope=(1.3, 1.2, 1.4))
    assert advice in summary
    assert ("ecalibrate them" in summary) == (advice.startswith("Recalibrate"))


def test_good_probabilities_are_called_well_calibrated():
    assert "Its probabilities are well calibrated" in example("better", "better")


def test_probabilities_of_too_few_customers_are_not_called_well_calibrated():
    summary = example("better", "better", calibration_slope=(0.8, -0.6, 1.7))
    assert "too few customers to say whether its probabilities are well calibrated" in summary


def test_a_worse_model_is_called_worse():
    assert "worse in its ranking. Use the baseline." in example(NO_DIFFERENCE, "worse")
    assert "Its probabilities are significantly worse." in example("worse", "better")


def test_another_model_that_is_better_is_named_though_its_log_loss_is_not_the_lowest():
    summary = example(NO_DIFFERENCE, NO_DIFFERENCE, boosting="better")
    assert summary.startswith("**The model with the lowest log-loss is not significantly better")
    assert "Boosting ranks better than the base rate, by 0.190 (0.100 to 0.200)." in summary


def test_the_baseline_to_beat_is_the_best_in_the_score_at_hand():
    found = scores(**{"base rate": 0.6, "rule on days": 0.65, "forest": 0.5})
    found.loc[found.metric == "auc", "value"] = [0.5, 0.55, 0.7]
    assert report.find_baseline(found, "log_loss") == "base rate"
    assert report.find_baseline(found, "auc") == "rule on days"
    assert report.find_best(found) == "forest"


def test_a_contact_list_is_compared_with_a_random_one():
    found = pd.DataFrame(
        {
            "model": ["forest"],
            "active": [1000],
            "listed": [300],
            "churners_found": [90],
            "found_share": [0.3],
            "low_share": [0.25],
            "high_share": [0.35],
            "random_churners": [25.2],
        }
    )
    assert (
        report.describe_contact_list(found, "forest")
        == "Of the 300 customers whom forest ranks highest, 90 left (30%, 95 % confidence interval"
        " 25% to 35%); a random list would have contained about 25."
    )


def test_a_capacity_for_everyone_makes_a_ranking_pointless():
    found = pd.DataFrame({"model": ["forest"], "active": [21], "listed": [21]})
    assert report.describe_contact_list(found, "forest").startswith(
        "The capacity covers all 21 customers"
    )


def perfect(area: float) -> pd.DataFrame:
    found = scores(**{"base rate": 0.6, "forest": 0.1, "boosting": 0.2})
    found.loc[(found.model == "forest") & (found.metric == "auc"), "value"] = area
    return found.assign(low=found.value - 0.003, high=found.value + 0.003)


def test_a_model_that_is_almost_perfect_is_called_too_good_to_be_a_forecast():
    told = report.describe_perfection(perfect(0.991), ["total_trans_ct", "score"], flat=True)
    assert told.startswith(
        "**Too good to be a forecast: forest has an AUC of 0.991 (0.988 to 0.994).**"
    )
    assert "The table probably contains columns measured at or after leaving" in told
    assert "When was each of the leading features measured: total_trans_ct, score?" in told
    assert "The study probably" in report.describe_perfection(perfect(0.991), [], flat=False)


def test_a_good_model_is_no_suspect():
    assert report.describe_perfection(perfect(0.93), ["score"], flat=True) == ""


def failing(verdict: str, area: float, outside: dict[str, float] | None = None, **calibration):
    """Return what is said of a boosting with this verdict on its log-loss, and this AUC."""
    found = scores(**{"base rate": 0.26, "forest": 0.2, "boosting": 3.96})
    rows = found.model == "boosting"
    found.loc[rows & (found.metric == "auc"), "value"] = area
    for metric, values in calibration.items():
        found.loc[rows & (found.metric == metric), ["value", "low", "high"]] = values
    differences = table(
        {
            ("forest", "base rate", "log_loss"): (-0.06, -0.08, -0.04, "better"),
            ("boosting", "base rate", "log_loss"): (3.7, 3.5, 3.9, verdict),
        }
    )
    return report.describe_failures(found, differences, pd.Series(outside or {}, dtype=float))


def test_a_model_worse_than_the_base_rate_has_failed_and_the_likely_cause_is_named():
    told = failing("worse", 0.591, calibration_slope=(0.1, 0.0, 0.2))
    assert told.startswith(
        "**Failed, so not to be used: boosting** (boosting: AUC 0.591, log-loss 3.960, where the"
        " base rate has 0.260)."
    )
    assert "too extreme, as of a model that learned chance from too few churners" in told
    rate = failing("worse", 0.7, calibration_intercept=(-2.0, -2.2, -1.8))
    assert "the churn rate is another where it learned than where it is judged" in rate


def test_columns_beyond_the_training_range_are_named_as_a_cause():
    assert failing("worse", 0.4, {"total": 0.3, "age": 0.06}).endswith(
        "What boosting learned doesn't hold for the judged customers: likely a column changed its"
        " meaning between them, or holds what was written later. Look at columns that lie beyond"
        " the range learned from: total (30% of the rows) and age (6% of the rows)."
    )


def test_a_model_that_ranks_like_chance_has_failed():
    assert failing(NO_DIFFERENCE, 0.498).endswith(
        "Likely the features that boosting used say nothing of who leaves."
    )


@pytest.mark.parametrize("verdict", ["worse", NO_DIFFERENCE])
def test_a_model_that_gives_all_the_same_risk_has_failed_for_that_reason(verdict):
    assert failing(verdict, 0.5, {"total": 0.3}).endswith(
        "By boosting every customer has the same risk: nothing in what it looks at distinguishes"
        " customers here."
    )


def test_a_model_that_is_not_significantly_worse_has_not_failed():
    assert failing(NO_DIFFERENCE, 0.591) == ""


def test_remarks_on_labels_are_told_and_none_is_not():
    remark = Remark("labels", "the churn rate jumps", "look at data_end")
    told = report.describe_labels(list_remarks([remark]))
    assert told == "**The labels may mislead:** labels: the churn rate jumps; look at data_end."
    assert report.describe_labels(list_remarks([])) == ""


def over_windows(values: list[float], losses: list[float]) -> pd.DataFrame:
    days = pd.date_range("2024-01-01", periods=len(values), freq="90D")
    names = {"model": "forest", "family": "trees", "reference": "base rate"}
    tables = [
        pd.DataFrame({"origin": days, "value": part, "low": 0.0, "high": 1.0}).assign(
            metric=metric, **names
        )
        for metric, part in (("auc", values), ("log_loss", losses))
    ]
    return summarise_windows(pd.concat(tables))


def test_with_few_windows_the_verdict_is_one_on_this_window():
    summary = over_windows([0.2, 0.1], [-0.1, -0.2])
    assert report.name_windows(summary) == " in this window"
    told = report.describe_windows(summary, "forest", "forest", "Data begin too late.")
    assert told == (
        "**2 windows are judged, too few to say how much another one would differ**: AUC differs"
        " from the base rate by 0.100 to 0.200, log-loss from the base rate by −0.200 to −0.100."
        " Data begin too late."
    )
    one = report.describe_windows(over_windows([0.2], [-0.1]), "forest", "forest", "Why.")
    assert one == "**One window is judged**: how much another one would differ isn't known. Why."
    assert "than the base rate in this window**: " in example(
        "better", "better", where=" in this window"
    )
    assert "better than the base rate in this window.**" in example(
        NO_DIFFERENCE, NO_DIFFERENCE, where=" in this window"
    )


def test_from_three_windows_on_the_spread_between_them_is_told():
    summary = over_windows([0.1, 0.2, 0.3], [-0.1, 0.1, 0.3])
    assert report.name_windows(summary) == ""
    told = report.describe_windows(summary, "forest", "tuned forest", "")
    assert told.startswith("Forest stands for tuned forest, whose search of settings isn't")
    # mean 0.2, standard deviation 0.1, t of 2 degrees of freedom 4.303: 0.2 ± 4.303 * 0.1 / √3
    assert (
        "**In 3 of 3 windows forest ranks better than the base rate**: AUC differs by 0.200"
        " (−0.048 to 0.448) on average, with a 95 % interval over windows; by 0.100 to 0.300 in"
        " single windows, standard deviation 0.100. Over windows the difference in AUC is"
        " inconclusive."
    ) in told
    assert "**In 1 of 3 windows forest has better probabilities than the base rate**" in told


def test_a_study_without_windows_says_nothing_of_them():
    empty = pd.DataFrame()
    assert (
        report.name_windows(empty) == report.describe_windows(empty, "forest", "forest", "") == ""
    )
    assert report.windows_table(empty, empty, "forest").empty


def test_windows_count_rows_beside_customers_and_the_share_of_rows_that_churned():
    day, names = pd.Timestamp("2022-08-31"), {"model": "forest", "metric": "auc"}
    values = {"origin": day, "value": 0.7, "low": 0.6, "high": 0.8}
    counts = {"customers": 222, "rows": 419, "churned_rows": 189}
    judged = pd.DataFrame([names | values | counts])
    row = report.windows_table(
        judged, pd.DataFrame([names | values | {"reference": "base rate"}]), "forest"
    ).iloc[0]
    assert row["first test snapshot"] == day
    assert (row.customers, row.rows, row["rows that churned"]) == (222, 419, 189)
    assert row["churned_share"] == pytest.approx(0.451, abs=0.0005)


def test_importances_are_set_beside_the_whole_gain_of_the_model(drivers):
    # trees: 10 x (0.05 + 0.02 + 0.0) = 70 % of the gain, logistic 40 %
    told = report.describe_drivers(drivers)
    assert (
        "Of what the models gain over the base rate in log-loss, the importances sum to 70 % in"
        " trees and 40 % in logistic. In trees and logistic the rest is said by several features at"
        " once, so that none is missed."
    ).replace(" %", "%") in told
    larger = drivers.assign(share_of_gain=drivers.share_of_gain * 3)
    told = report.describe_drivers(larger)
    assert "More than 100% in trees and logistic: features matter in combination" in told
    assert "the rest is said" not in told
    assert "Without what use is the rest of the model of trees misleads" in told
    unsure = report.describe_drivers(larger.assign(low=larger.low / 10))
    assert "misleads" not in unsure  # that it would lose more than its gain isn't shown
    idle = report.describe_drivers(drivers.assign(low=drivers.low.where(drivers.family != "trees")))
    assert "sum to 40% in logistic" in idle  # in trees nothing matters significantly
    none = report.describe_drivers(drivers.assign(share_of_gain=np.nan))
    assert "gain over the base rate" not in none


def test_the_thresholds_at_which_a_list_is_worth_making_are_told():
    curve = pd.DataFrame(
        {"policy": "forest", "threshold": [0.05, 0.2, 0.25, 0.6], "band_low": [-0.1, 0.1, 0.2, 0]}
    )
    told = report.describe_decision_curve(curve, "forest")
    assert "at thresholds from 20% to 25%, of those up to 60%, judged together: where" in told
    assert told.endswith("a churner contacted is worth 4.0 down to 3.0 contacts in vain.")
    holes = report.describe_decision_curve(curve.assign(band_low=[0.1, 0, 0.1, 0.1]), "forest")
    assert "from 5% to 60% (not at all of them), of" in holes
    assert holes.endswith("is worth 19 down to 0.67 contacts in vain.")  # 0.4 of 0.6, and not 1
    one = report.describe_decision_curve(curve.assign(band_low=[0, 0, 0, 0.1]), "forest")
    assert "at the threshold of 60% alone, of" in one and "is worth 0.67 contacts" in one
    none = report.describe_decision_curve(curve.assign(band_low=0.0), "forest")
    assert none.startswith("At no threshold up to 60% has a list by forest significantly more net")


def test_groups_whose_probabilities_are_off_are_told_beside_the_calibration_of_all():
    names = ["by", "metric", "group", "reference", "gap", "low", "high", "verdict"]
    row = ("gender", "calibration", "Female", "Male", 0.053, 0.036, 0.069, SIGNIFICANT_GAP)
    told = report.describe_calibration_gaps(pd.DataFrame([row], columns=names))
    assert "gender, Female compared with Male: 0.053 (0.036 to 0.069)): the probabilities" in told
    for other in ((*row[:-1], "no significant gap"), ("gender", "auc", *row[2:])):
        assert report.describe_calibration_gaps(pd.DataFrame([other], columns=names)) == ""


def test_directions_agree_only_where_the_arrows_of_all_features_shown_do(drivers):
    assert "they agree on it" in report.describe_drivers(drivers)
    weak = [
        driver("age", "trees", PERMUTATION, 0.005, 3, 1),
        driver("age", "trees", SHAP, 1, 2, -1),
    ]
    shown = pd.concat([drivers[drivers.feature != "age"], pd.DataFrame(weak)])
    assert "what age is" in report.drivers_table(shown).feature.tolist()
    assert "disagree on the direction of**: what age is" in report.describe_drivers(shown)


def test_too_few_customers_to_learn_from_are_told_and_enough_are_not():
    learned = pd.DataFrame({"customer_id": range(400), "churned": np.arange(400) < 200})
    columns = {f"x{number}": np.arange(400.0) + number for number in range(10)}
    sizes = tabulate_sample_size(learned.assign(**columns), [*columns])
    # 749 for ten columns at a rate of one half, see test_sample_size
    told = report.describe_sample_size(sizes)
    assert "on all 10 would need 749 customers with 375 churners (by shrinkage;" in told
    assert "there are 400 with 200." in told
    assert report.describe_sample_size(sizes.assign(customers=749)) == ""


def test_the_page_says_what_learns_from_fewer_rows_and_nothing_where_nothing_does():
    assert report.describe_bounds(1_500, 12) == ""
    few = report.describe_bounds(5_000, 12)
    assert "the survival forest learns from 4,000" in few and "settings" not in few
    many = report.describe_bounds(20_000, 12)
    assert "settings are tried on 6,000 (the best again on all)" in many
    assert "each tree of the random forest learns from 10,000" in many
    assert "settings" not in report.describe_bounds(20_000, 0)

"""Groups of customers: the scores of a model for each, and which gaps are significant."""

import numpy as np
import pandas as pd
import pytest

from research.errors import StudyError
from research.evaluation.metrics import score_rows
from research.risk import fairness, report


def judged(
    n: int = 2000, seed: int = 0, blind: str | None = None, shift: float = 0.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Customers of two groups with the same risks; for one of them the model may know nothing, or
    be biased.
    """
    rng = np.random.default_rng(seed)
    risk, group = rng.beta(1, 3, n), rng.choice(["a", "b"], n, p=[0.6, 0.4])
    model = np.where(group == blind, rng.permutation(risk), risk)
    model = np.clip(np.where(group == "b", model + shift, model), 0.001, 0.999)
    keys = {"repeat": 0, "snapshot": pd.Timestamp("2024-01-31"), "customer_id": np.arange(n)}
    predictions = pd.DataFrame(
        keys | {"churned": rng.random(n) < risk, "left_in_lead": False, "model": model}
    )
    return predictions, predictions[["snapshot", "customer_id"]].assign(gender=group)


def verdicts(gaps: pd.DataFrame) -> dict[str, str]:
    return gaps.set_index("metric").verdict.to_dict()


def test_similar_groups_have_no_significant_gap_and_the_summary_says_that_this_is_no_proof():
    _, gaps = fairness.score_groups(*spread(judged(seed=1)), ["gender"], 200, 200, 0)
    assert set(gaps.verdict) == {fairness.NO_GAP}
    assert report.describe_gaps(gaps, "model").startswith(
        "**No significant gap** between groups for model: 4 differences were tested"
    )


def spread(pair: tuple[pd.DataFrame, pd.DataFrame]) -> tuple[pd.DataFrame, str, pd.DataFrame]:
    return pair[0], "model", pair[1]


def test_a_model_that_is_blind_for_one_group_has_a_gap_in_auc_and_churners_found():
    _, gaps = fairness.score_groups(*spread(judged(blind="b")), ["gender"], 400, 200, 0)
    found = gaps.set_index("metric")
    assert found.verdict["auc"] == fairness.SIGNIFICANT_GAP
    assert found.gap["auc"] < -0.1
    assert found.high["auc"] < 0
    assert found.reference.unique().tolist() == ["a"]
    assert "gender: b compared with a, AUC" in report.describe_gaps(gaps, "model")


def test_a_model_that_is_biased_for_one_group_has_a_gap_in_calibration_and_lists_it_more():
    _, gaps = fairness.score_groups(*spread(judged(shift=0.2)), ["gender"], 400, 200, 0)
    found = gaps.set_index("metric")
    assert found.gap["calibration"] == pytest.approx(-0.2, abs=0.05)
    assert (
        verdicts(gaps)["calibration"] == verdicts(gaps)["listed_share"] == fairness.SIGNIFICANT_GAP
    )
    assert found.gap["listed_share"] > 0


def test_numbers_by_hand():
    # 60 customers of each group; "a" has its 20 churners on top, "b" its 15 at the bottom; 30
    # places: the 30 highest scores, all of them in "a"
    a = pd.DataFrame(
        {"group": "a", "churned": [True] * 20 + [False] * 40, "model": np.linspace(0.99, 0.51, 60)}
    )
    b = pd.DataFrame(
        {"group": "b", "churned": [False] * 45 + [True] * 15, "model": np.linspace(0.49, 0.01, 60)}
    )
    rows = pd.concat([a, b], ignore_index=True).assign(repeat=0, customer_id=range(120))
    scores, gaps = fairness.score_groups(
        rows[["repeat", "customer_id", "churned", "model"]],
        "model",
        rows[["customer_id", "group"]],
        ["group"],
        30,
        50,
        0,
    )
    value = scores.set_index(["group", "metric"]).value
    assert [
        value["a", name]
        for name in ("auc", "mean_observed", "mean_predicted", "listed_share", "found_share")
    ] == pytest.approx([1, 1 / 3, 0.75, 0.5, 1])
    assert [
        value["b", name]
        for name in ("auc", "mean_observed", "mean_predicted", "listed_share", "found_share")
    ] == pytest.approx([0, 0.25, 0.25, 0, 0])
    assert gaps.set_index("metric").gap.to_dict() == pytest.approx(
        {
            "auc": -1,
            "calibration": 0.25 - 0.25 - (1 / 3 - 0.75),
            "listed_share": -0.5,
            "found_share": -1,
        }
    )
    assert value["a", "log_loss"] == pytest.approx(score_rows(a.churned, a.model)["log_loss"][0])
    assert scores.groupby("group").n.first().to_dict() == {"a": 60, "b": 60}


def test_the_auc_of_a_group_compares_customers_of_the_same_fold_only():
    predictions, groups = judged()
    fold = np.arange(len(predictions)) % 2
    levels = predictions.drop(columns="snapshot").assign(
        fold=fold, model=predictions.model / 2 + 0.5 * fold
    )
    scores, _ = fairness.score_groups(levels, "model", groups, ["gender"], 200, 10, 0)
    own = (groups.gender == "a").to_numpy()
    expected = score_rows(levels.churned[own], levels.model[own], folds=fold[own])["auc"][0]
    found = scores[(scores.group == "a") & (scores.metric == "auc")].value.iloc[0]
    assert found == pytest.approx(expected)
    assert found > score_rows(levels.churned[own], levels.model[own])["auc"][0] + 0.02


def test_customers_who_left_within_the_lead_are_in_no_score_but_take_a_place_on_the_list():
    predictions, groups = judged(400)
    first = predictions.model.idxmax()
    gone = predictions.assign(
        left_in_lead=predictions.index == first,
        churned=predictions.churned & (predictions.index != first),
    )
    scores, _ = fairness.score_groups(gone, "model", groups.assign(all="x"), ["all"], 1, 20, 0)
    value = scores.set_index("metric")
    assert value.n.unique().tolist() == [399]
    assert value.value["listed_share"] == pytest.approx(1 / 400)
    assert value.value["found_share"] == 0


def test_a_group_with_too_few_churners_has_no_auc_and_no_verdict_on_it():
    predictions, groups = judged(400)
    quiet = predictions.assign(churned=predictions.churned & (groups.gender == "a").to_numpy())
    scores, gaps = fairness.score_groups(quiet, "model", groups, ["gender"], 50, 50, 0)
    value = scores.set_index(["group", "metric"]).value
    assert np.isnan([value["b", "auc"], value["b", "found_share"]]).all()
    assert [verdicts(gaps)[name] for name in ("auc", "found_share")] == ["too few customers"] * 2


def test_equal_groups_have_significant_gaps_in_few_of_many_samples():
    shown = [
        (
            fairness.score_groups(*spread(judged(600, seed)), ["gender"], 60, 50, seed)[1].verdict
            == fairness.SIGNIFICANT_GAP
        ).any()
        for seed in range(20)
    ]
    assert (
        sum(shown) <= 4
    )  # each errs in at most one of twenty: five or more of twenty happen once in 400 times


def test_attributes_and_customers_that_are_missing_are_named():
    predictions, groups = judged(100)
    with pytest.raises(StudyError, match="got none called income"):
        fairness.score_groups(predictions, "model", groups, ["income"], 5, 10, 0)
    with pytest.raises(StudyError, match="got 50 rows without one"):
        fairness.score_groups(predictions, "model", groups.head(50), ["gender"], 5, 10, 0)


def test_without_attributes_there_are_no_groups_and_the_sentence_says_so():
    rows = pd.DataFrame(
        {"repeat": 0, "customer_id": ["a", "b"], "churned": [True, False], "m": [0.9, 0.1]}
    )
    scores, gaps = fairness.score_groups(rows, "m", rows[["customer_id"]], [], 1, 200, 0)
    assert scores.empty and gaps.empty
    assert report.describe_gaps(gaps, "m").startswith("No attribute splits these customers")

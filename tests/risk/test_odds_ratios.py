"""Odds ratios of a plain logistic regression, and which features it has to leave out."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from research.errors import StudyError
from research.risk.odds_ratios import MORE, explain_logistic
from research.risk.report import describe_odds


def customers(n: int = 800, seed: int = 0, noise: int = 0) -> pd.DataFrame:
    """Customers of whom more churn with age and on plan b; ``late`` is mostly empty; and columns of
    pure noise.
    """
    rng = np.random.default_rng(seed)
    age, plan = rng.normal(50, 10, n), rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
    risk = 1 / (1 + np.exp(1 - 0.8 * (age - 50) / 10 - 1.0 * (plan == "b")))
    frame = {
        "customer_id": np.arange(n),
        "churned": rng.random(n) < risk,
        "left_in_lead": False,
        "age": age,
        "plan": plan,
    }
    late = np.where(rng.random(n) < 0.6, np.nan, rng.exponential(10, n))
    return pd.DataFrame(
        frame | {"late": late} | {f"noise_{i}": rng.normal(size=n) for i in range(noise)}
    )


def test_odds_ratio_interval_and_effect_of_a_two_by_two_table_by_hand():
    # 30 of 100 with the option churn, 10 of 101 without: odds ratio (30 x 91) / (70 x 10). The
    # model is saturated, so the sandwich is Woolf's
    # variance, 1/30 + 1/70 + 1/10 + 1/91, times 201 / 199 for two parameters
    rows = pd.DataFrame(
        {"customer_id": range(201), "option": ["no"] * 101 + ["yes"] * 100, "churned": False}
    )
    rows.loc[[*range(10), *range(101, 131)], "churned"] = True
    row = explain_logistic(rows, ["option"], {"option": "an option"}).iloc[0]
    assert row.odds_ratio == pytest.approx(30 * 91 / (70 * 10))
    error = np.sqrt((1 / 30 + 1 / 70 + 1 / 10 + 1 / 91) * 201 / 199)
    assert (row.low, row.high) == pytest.approx(
        tuple(row.odds_ratio * np.exp([-1.959964 * error, 1.959964 * error])), rel=1e-5
    )
    assert row.effect_points == pytest.approx(100 * (30 / 100 - 10 / 101))
    spread = 100 * np.sqrt((0.3 * 0.7 / 100 + 10 / 101 * 91 / 101 / 101) * 201 / 199)
    assert row.effect_high - row.effect_points == pytest.approx(1.959964 * spread, rel=1e-4)
    assert (row.change, row.description, row.inflation) == (
        "yes against no",
        "an option",
        pytest.approx(1),
    )


def test_effects_of_a_flag_equal_those_of_statsmodels():
    rows = customers(500).assign(flag=lambda frame: np.where(frame.plan == "b", "yes", "no"))
    found = explain_logistic(rows, ["age", "flag"], {}).set_index("feature")
    matrix = sm.add_constant(
        np.column_stack(
            [(rows.age - rows.age.mean()) / rows.age.std(ddof=0), rows.flag == "yes"]
        ).astype(float)
    )
    fit = sm.Logit(rows.churned.astype(float), matrix).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": rows.customer_id}
    )
    # the intervals of two columns hold together: 97.5 % each
    effects = fit.get_margeff(dummy=True).summary_frame(alpha=0.025)
    low, _ = fit.conf_int(alpha=0.025).iloc[1]
    assert found.effect_points["flag"] == pytest.approx(100 * effects["dy/dx"].iloc[1], rel=1e-4)
    assert found.effect_low["flag"] == pytest.approx(
        100 * effects["Conf. Int. Low"].iloc[1], rel=1e-3
    )
    assert found.odds_ratio["age"] == pytest.approx(np.exp(fit.params.iloc[1]), rel=1e-5)
    assert found.low["age"] == pytest.approx(np.exp(low), rel=1e-4)
    assert found.p_adjusted["age"] == pytest.approx(2 * fit.pvalues.iloc[1], rel=1e-4)


def test_planted_odds_ratios_lie_in_their_intervals():
    found = explain_logistic(customers(20_000), ["age", "plan", "late"], {}).set_index("change")
    assert found.low[MORE].iloc[0] < np.exp(0.8) < found.high[MORE].iloc[0]
    assert found.low["b against a"] < np.exp(1.0) < found.high["b against a"]
    assert found.low["c against a"] < 1 < found.high["c against a"]
    assert found.low["empty against filled"] < 1 < found.high["empty against filled"]


def test_a_duplicated_row_is_no_second_customer():
    rows = customers()
    once, twice = (
        explain_logistic(frame, ["age"], {}).iloc[0]
        for frame in (rows, pd.concat([rows, rows], ignore_index=True))
    )
    assert twice.odds_ratio == pytest.approx(once.odds_ratio)
    assert np.log(twice.high / twice.low) == pytest.approx(np.log(once.high / once.low), rel=0.01)


def test_choosing_among_many_columns_of_noise_does_not_narrow_the_intervals():
    tables = [
        explain_logistic(
            customers(400, seed, noise=40), [f"noise_{i}" for i in range(40)], {}, seed
        )
        for seed in range(8)
    ]
    estimated = pd.concat([table[table.left_out == ""] for table in tables])
    assert len(estimated) >= 40
    assert (
        estimated.p_adjusted < 0.05
    ).mean() < 0.02  # chosen and estimated on the same rows, many more are
    significant = (estimated.low > 1) | (estimated.high < 1)
    assert (significant == (estimated.p_adjusted < 0.05)).all()


def test_predictive_features_are_chosen_before_noise_and_the_rest_is_listed_with_its_reason():
    found = explain_logistic(
        customers(3000, noise=40), ["age", "plan", *(f"noise_{i}" for i in range(40))], {}
    )
    assert {*found.feature[:2]} == {"age", "plan"}
    assert (found.left_out == "not among the 15 most predictive features").sum() == 42 - 15
    assert (found.n + found.n_choosing).unique().tolist() == [3000]
    assert "chosen on another half of the customers (1,500 rows)" in describe_odds(found)


def test_a_copy_is_left_out_as_collinear_and_the_reason_says_with_what():
    rows = customers().assign(
        months=lambda frame: 12 * frame.age + np.random.default_rng(1).normal(size=len(frame))
    )
    found = explain_logistic(rows, ["age", "months", "plan"], {"age": "age in years"}).set_index(
        "feature"
    )
    assert (
        found.left_out["months"]
        == "collinear: predicted by the features chosen, most of all age in years"
    )
    assert found.inflation["age"] < 1.1


def test_a_separating_feature_is_left_out_and_named_and_the_others_are_still_estimated():
    rows = customers().assign(
        leak=lambda frame: (
            np.where(frame.churned, 1.0, 0.0) + np.random.default_rng(0).uniform(0, 0.5, len(frame))
        )
    )
    found = explain_logistic(rows, ["age", "leak", "plan"], {"leak": "a leaking number"})
    assert (
        found.set_index("feature")
        .left_out["leak"]
        .startswith("separated: it predicts some or all churners without error")
    )
    assert {*found.feature[found.odds_ratio.notna()]} == {"age", "plan"}
    assert "**Separated**: a leaking number" in describe_odds(found)


def test_a_category_in_which_everybody_churns_is_quasi_separated():
    rows = customers()
    rows.loc[rows.plan == "c", "churned"] = True
    found = explain_logistic(rows, ["age", "plan"], {}).set_index("feature")
    assert found.left_out["plan"].startswith("separated")
    assert found.low["age"] > 1


def test_constant_columns_and_customers_who_left_within_the_lead_stay_out():
    rows = customers().assign(same=1.0, left_in_lead=lambda frame: frame.index < 100)
    found = explain_logistic(rows, ["same", "age"], {}).set_index("feature")
    assert found.left_out["same"] == "hardly varies"
    assert found.n.unique().tolist() == [700]


def test_too_few_churners_are_refused():
    rows = customers().assign(churned=lambda frame: frame.index < 9)
    with pytest.raises(StudyError, match="got 9 churners in 800 rows"):
        explain_logistic(rows, ["age"], {})


def test_the_summary_says_that_nothing_is_significant():
    odds = explain_logistic(customers(400, noise=2), ["noise_0", "noise_1"], {})
    assert "**none of 2 odds ratios differs significantly from 1**" in describe_odds(odds)

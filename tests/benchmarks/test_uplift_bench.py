"""The benchmark of effects: scores and intervals by hand, companies whose truth is known, and
bounds judged from numbers.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from research.uplift.doubly_robust import Sample
from research.uplift.policy.case import Case
from research.uplift.policy.policies import HIGHEST_RISK, NET_GAIN, RISK_TIMES_VALUE


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))


def make_sample(arm, outcome, propensity) -> Sample:
    none = np.empty((len(arm), 0))
    return Sample(
        none,
        none,
        np.array(arm),
        np.array(outcome, float),
        np.array(propensity, float),
        np.arange(len(arm)),
        np.arange(len(arm)),
        np.zeros(len(arm), int),
        ("control", "mens", "womens"),
    )


def test_the_value_of_a_policy_is_weighted_by_the_inverse_of_the_propensity():
    import uplift_halves

    sample = make_sample([0, 1, 1, 2], [1, 2, 3, 4], [0.5, 0.25, 0.25, 0.25])
    # rows 1, 2 and 4 got what the policy wants: (1 / 0.5 + 2 / 0.25 + 4 / 0.25) / 4 = 6.5
    assert uplift_halves.value_policy(np.array([0, 1, 2, 2]), sample) == 6.5


def test_the_best_arm_is_that_of_the_largest_effect_and_none_where_all_do_harm():
    import uplift_halves

    effects = np.array([[0.1, 0.3], [0.2, -0.1], [-0.1, -0.2], [0.0, 0.0]])
    assert uplift_halves.choose_best(effects).tolist() == [2, 1, 0, 0]


def test_the_top_share_is_contacted_even_where_effects_are_negative_and_ties_are_broken_at_random():
    import uplift_halves

    effects, random = (
        np.array([[-0.3, -0.1], [-0.2, -0.3], [-0.2, -0.5], [-0.9, -0.8]]),
        np.array([0.5, 0.9, 0.1, 0.2]),
    )
    assert uplift_halves.choose_top(effects, 0.5, random).tolist() == [2, 0, 1, 0]


def test_models_are_paired_on_the_splits_that_both_have():
    import uplift_halves

    own = pd.DataFrame(
        {
            "split": [0, 1, 2],
            "model": uplift_halves.AVERAGED,
            "whose": "ours",
            **dict.fromkeys(uplift_halves.SCORES, [5.0, 7.0, 100.0]),
        }
    )
    peer = pd.DataFrame(
        {
            "split": [0, 1],
            "model": "other",
            "whose": "peer",
            **dict.fromkeys(uplift_halves.SCORES, [4.0, 4.0]),
        }
    )
    _, (mean, low, _), splits = next(uplift_halves.pair(pd.concat([own, peer]), "other"))
    assert (mean, splits) == (2.0, 2)  # differences 1 and 3; the third split has no peer
    assert low == pytest.approx(2 - 12.7062 * np.sqrt(1.5 * 2))  # t of one degree, variance 2


def test_means_over_fewer_splits_are_compared_with_the_averaged_effects():
    import uplift_halves

    own = pd.DataFrame(
        {
            "split": [0, 1, 2],
            "model": uplift_halves.AVERAGED,
            "whose": "ours",
            **dict.fromkeys(uplift_halves.SCORES, [5.0, 7.0, 9.0]),
        }
    )
    peer = pd.DataFrame(
        {
            "split": [2],
            "model": "other",
            "whose": "peer",
            **dict.fromkeys(uplift_halves.SCORES, [8.0]),
        }
    )
    means = uplift_halves.compute_means(pd.concat([own, peer], ignore_index=True))[
        uplift_halves.SCORES[0]
    ]
    assert means.to_dict() == {
        (uplift_halves.AVERAGED, "ours"): 7.0,
        ("other", "peer"): 6.0,
    }  # 1 below on the split of both


@pytest.mark.parametrize(
    ("own", "word"),
    [
        (1.0, "on visit: met; met with 1, inconclusive with 0, missed with 0 of 1 peers"),
        (0.995, "on visit: met; met with 1"),  # worse in every split, by less than 1 %
        (0.9, "on visit: **missed**; met with 0, inconclusive with 0, missed with 1 of 1 peers"),
    ],
)
def test_level_is_judged_by_a_margin_of_the_peers_score(own, word):
    import uplift_halves

    scores = {score: [1.0, 1.1, 0.9, 1.0, 1.0] for score in uplift_halves.SCORES}
    split = {"split": range(5)}
    frame = pd.concat(
        [
            pd.DataFrame(split | {"model": uplift_halves.AVERAGED, "whose": "ours"} | scores),
            pd.DataFrame(split | {"model": "x", "whose": "peer"} | scores),
        ],
        ignore_index=True,
    )
    ours = frame.model == uplift_halves.AVERAGED
    frame.loc[ours, uplift_halves.SCORES[-1]] += own - 1
    assert word in uplift_halves.differences_section(frame, "visit").remarks[0]
    # a difference of 0 on average whose interval is wider than the margin shows nothing
    frame.loc[ours, uplift_halves.SCORES[-1]] = [1.1, 0.9, 1.0, 1.0, 1.0]
    assert "inconclusive with 1" in uplift_halves.differences_section(frame, "visit").remarks[0]


def test_a_peer_with_few_splits_is_not_judged():
    import uplift_halves

    parts = [
        pd.DataFrame(
            {"split": range(2), "model": model, "whose": whose}
            | dict.fromkeys(uplift_halves.SCORES, 1.0)
        )
        for model, whose in (("x", "peer"),)
    ]
    own = pd.DataFrame(
        {"split": range(2), "model": uplift_halves.AVERAGED, "whose": "ours"}
        | dict.fromkeys(uplift_halves.SCORES, 1.0)
    )
    section = uplift_halves.differences_section(pd.concat([own, *parts]), "visit")
    assert section.rows[0][-1] == "too few splits"
    assert "not judged" in section.remarks[0]


def test_what_a_trial_of_a_drawn_company_shows_is_its_true_effect():
    import uplift_companies

    for kind in (uplift_companies.DIFFERING, uplift_companies.PROPORTIONAL):
        trial, true, _ = uplift_companies.draw_company(60_000, kind, 0)
        means = trial.rows.groupby("arm").kept.mean()
        seen = [means[arm] - means["control"] for arm in trial.arms]
        assert seen == pytest.approx(
            true.mean(axis=0), abs=0.015
        )  # an error is sqrt(2 * 0.19 / 20,000) = 0.0044


def test_effects_go_with_risk_in_one_kind_of_company_and_harm_some_in_the_other():
    import uplift_companies

    correlations = {}
    for kind in (uplift_companies.DIFFERING, uplift_companies.PROPORTIONAL):
        trial, true, worth = uplift_companies.draw_company(5000, kind, 1)
        risk = expit(uplift_companies.find_leaving(trial.rows))
        correlations[kind] = np.corrcoef(risk, true[:, 0])[0, 1]
        assert ((true < 0).mean() > 0.2) == (kind == uplift_companies.DIFFERING)
        assert worth.std() > 0.3 * worth.mean()
    assert correlations[uplift_companies.PROPORTIONAL] > 0.8
    assert abs(correlations[uplift_companies.DIFFERING]) < 0.4


def test_a_drawn_company_is_the_same_for_the_same_seed_and_another_for_another():
    import uplift_companies

    first, again, other = (
        uplift_companies.draw_company(300, uplift_companies.DIFFERING, seed)[0].rows
        for seed in (3, 3, 4)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first.use.equals(other.use)


def test_parts_of_a_company_keep_all_assignments_of_a_customer_with_its_truth():
    import uplift_companies

    trial, true, _ = uplift_companies.draw_company(200, uplift_companies.DIFFERING, 0)
    rows = trial.rows.assign(customer_id=np.arange(200) // 2, monthly_fee=10.0)
    part, effects, worth = uplift_companies.take_company(
        (uplift_companies.Trial(rows, [], {}, "", None), true), 50, 0
    )
    assert len(part.rows) == 50
    assert (part.rows.groupby("customer_id").size() == 2).all()
    assert effects == pytest.approx(
        true[[*rows.index[rows.customer_id.isin(part.rows.customer_id)]]]
    )
    assert worth[0] == pytest.approx(10 * 0.7 * 12 * 0.85 + 15)


def make_case(effect, true) -> Case:
    true, n = np.asarray(true, float), len(true)
    cost = np.ones((n, 1))
    effect = np.asarray(effect, float)[None, :, None]
    return Case(
        cycle=np.zeros(n),
        customers=np.arange(n),
        clusters=np.arange(n),
        risk=np.arange(n, dtype=float)[None],
        outcome_value=np.full(n, 10.0),
        effect=effect,
        gain=10 * effect,
        usual=np.ones((1, n), int),
        cost=cost,
        net=true,
        kept=true,
        arms=("call",),
        true=true,
    )


def test_lists_by_the_true_effects_earn_all_and_others_their_share(monkeypatch):
    import uplift_profit

    monkeypatch.setattr(uplift_profit, "ROOM", 0.5)
    true = [[9.0], [4.0], [-1.0], [1.0]]  # of effects 1, 0.5, 0 and 0.2, worth 10 each, less 1
    assert uplift_profit.share_oracle(make_case([1.0, 0.5, 0.0, 0.2], true), 0)[NET_GAIN] == 1
    shares = uplift_profit.share_oracle(make_case([0.2, 0.5, 0.0, 0.4], true), 0)
    assert shares[NET_GAIN] == pytest.approx(5 / 13)  # 4 and 1 instead of 9 and 4
    assert shares[HIGHEST_RISK] == pytest.approx(0)  # the last two: -1 and 1


def test_shares_are_judged_by_rise_size_and_baselines():
    import uplift_profit

    shares = pd.DataFrame(
        {
            "kind": "k",
            "size": [2000, 2000, 50_000, 50_000],
            "seed": [0, 1, 0, 1],
            NET_GAIN: [0.399, 0.401, 0.649, 0.651],
            RISK_TIMES_VALUE: 0.5,
            HIGHEST_RISK: 0.2,
        }
    )
    rises, large, better = uplift_profit.shares_section(shares, "", "", ("k",)).remarks
    assert "met; 40.0 %, 65.0 %" in rises
    assert "met; 65.0 %" in large
    assert "**missed**; by −10.0 (−11.3 to −8.7), 15.0 (13.7 to 16.3) points" in better
    noisy = shares.assign(**{NET_GAIN: [0.3, 0.5, 0.6, 0.7]})
    remarks = uplift_profit.shares_section(noisy, "", "", ("k",)).remarks
    assert all("inconclusive" in remark for remark in remarks)  # of two draws of each size
    single = uplift_profit.shares_section(shares.iloc[[0, 1, 2]], "", "", ()).remarks
    assert "inconclusive; 64.9 %, 1 draw." in single[1]
    assert (
        "at least 60% at 50,000: not measured"
        in uplift_profit.shares_section(shares[:2], "", "", ()).remarks[1]
    )


def test_what_is_stored_is_not_measured_again(tmp_path):
    import uplift_profit

    calls = []
    for stored_only, expected in ((True, {}), (False, {"x": 1.0}), (True, {"x": 1.0})):
        assert (
            uplift_profit.remember(
                tmp_path / "a" / "b.json", lambda: calls.append(1) or {"x": 1.0}, stored_only
            )
            == expected
        )
    assert len(calls) == 1


def test_coverage_is_the_share_of_trials_whose_interval_covers_the_truth():
    import uplift_profit

    trials = pd.DataFrame(
        {"profit": 50.0, "low": [0.0, 0.0, 0.0, 9.0] * 10, "high": 10.0, "true_profit": 5.0}
    )
    section = uplift_profit.coverage_section({"k": trials})
    assert section.rows[0][2] == "75.0% (58.8% to 87.3%)"  # tables of Clopper & Pearson
    assert "**missed**" in section.remarks[0]
    few = uplift_profit.coverage_section({"k": trials.assign(low=0.0)[:20]})
    assert "inconclusive" in few.remarks[0]  # 20 of 20 may be 83 %


def test_the_interval_of_a_rise_is_that_of_welch():
    import uplift_profit
    from scipy.stats import ttest_ind

    small, large = np.array([0.3, 0.4, 0.2, 0.35]), np.array([0.5, 0.7, 0.6])
    interval = uplift_profit.welch_interval(
        small.mean(), small.std(ddof=1) / 2, 4, large.mean(), large.std(ddof=1) / 3**0.5, 3
    )
    expected = ttest_ind(large, small, equal_var=False).confidence_interval()
    assert interval[1:] == pytest.approx(tuple(expected))


def test_choices_are_judged_by_what_was_promised():
    import uplift_profit

    trials = pd.DataFrame(
        {"together": [0.0] * 19 + [1.0], "alone": 0.5, "inside": 1.0, "highest_off": 9.0}
    ).assign(best_off=[-1.0, 1.0] * 10)
    section = uplift_profit.choice_section({"no effect, 2 offers": trials})
    assert section.rows[0][1:4] == ("20", "5.0 % (5.0)", "50.0 % (0.0)")
    # one of 20 may be 25 % by its exact interval; the mean of best_off is 0
    verdicts = [remark.rsplit(": ", 1)[1] for remark in section.remarks]
    assert verdicts == ["inconclusive.", "inconclusive."]


def test_customers_who_are_alike_have_the_same_effect_of_every_offer():
    import uplift_companies

    trial, true, value = uplift_companies.draw_alike(6000, 2, 0.1, 0)
    kept = trial.rows.groupby("arm").kept.mean()
    assert (kept - kept["control"]).drop("control").tolist() == pytest.approx([0.1] * 2, abs=0.05)
    assert (true == 0.1).all() and len(value) == 6000


def test_permuting_keeps_the_arms_sizes_and_every_customers_own_outcome():
    import uplift_companies
    import uplift_placebo

    trial = uplift_companies.draw_company(600, uplift_companies.DIFFERING, 0)[0]
    permuted = uplift_placebo.permute_share(trial, 0.5, 0).rows
    before = trial.rows.set_index("customer_id").loc[permuted.customer_id]
    assert len(permuted) == 300
    assert permuted.arm.value_counts().to_dict() == before.arm.value_counts().to_dict()
    assert (permuted.kept.to_numpy() == before.kept.to_numpy()).all()
    assert (
        0.5 < (permuted.arm.to_numpy() != before.arm.to_numpy()).mean() < 0.8
    )  # two of three by chance
    assert permuted.propensity.to_numpy() == pytest.approx(
        permuted.arm.map(permuted.arm.value_counts() / 300).to_numpy()
    )


def test_placebos_are_counted_and_judged():
    import uplift_placebo

    section = uplift_placebo.placebo_section(["nothing"] * 38 + ["same", "differs"])
    assert "at least 95%: inconclusive; 72 draws are needed" in section.remarks[0]
    assert section.rows[0] == ("40", "38", "1", "1", "95.0% (83.1% to 99.4%)")  # exact
    section = uplift_placebo.placebo_section(["nothing"] * 72)
    assert "at least 95%: met" in section.remarks[0]
    section = uplift_placebo.placebo_section(["nothing"] * 30 + ["same"] * 10)
    assert "**missed**" in section.remarks[0]


def test_sections_are_written_in_order_and_whole(tmp_path):
    import uplift

    kept = {
        name: {
            "title": name,
            "words": "w",
            "head": ["a"],
            "rows": [["1"]],
            "remarks": [],
            "facts": "f",
        }
        for name in ("coverage", "visit")
    }
    uplift.write_uplift(tmp_path / "UPLIFT.md", kept)
    text = (tmp_path / "UPLIFT.md").read_text()
    assert text.index("## visit") < text.index("## coverage")
    assert "| 1 |" in text

"""What effects and policies promise, simulated: levels of tests, coverage, and policies that can't
earn anything.

Customers of ``draw_trial`` stay with a probability of 0.5 + 0.2 x1 without contact, x1 to x3
uniform between -1 and 1; the effect is added to it.
"""

from collections.abc import Callable, Sequence

import joblib
import numpy as np
import pandas as pd
from scipy.stats import norm

from research.evaluation.bootstrap import BETTER, WORSE
from research.evaluation.holm import adjust_holm
from research.uplift.average_effects import ADJUSTED, score_outcome, tabulate_effects
from research.uplift.cross_fitting import cross_fit
from research.uplift.doubly_robust import make_sample, predict_out_of_fold
from research.uplift.heterogeneity import run_test
from research.uplift.policy.case import Case, build_case
from research.uplift.policy.policies import (
    NET_GAIN,
    NOBODY,
    ORACLE,
    RANDOM_SELECTION,
    evaluate_policies,
    is_profitable,
    resample_profit,
    tabulate_policies,
    tabulate_policy_differences,
)
from research.uplift.significance import FAMILY_LEVEL
from research.uplift.trials import RANDOMISED, Trial

Effect = Callable[[np.ndarray], np.ndarray]
ARMS = ("control", "call", "letter", "mail", "visit")
VALUE, COST, PARTS, RESAMPLES = 20.0, 1.0, 3, 200
TESTED, ESTIMATED, LISTED = 1_200, 2_000, 1_200  # customers of a trial
ONE_ARM, TWO_ARMS = "one arm, the same effect for all", "two arms without any effect"
ALIKE, DIFFERING, UNEVEN = "the same effect for all", "effects differ", "one in five treated"
FREE_ARMS = {1: "one arm", 4: "four arms"}
FAMILY = 5  # tests of a family
FAMILIES = {
    "independent tests": (0.0, 0),
    "correlated tests (0.5)": (0.5, 0),
    "two of five false": (0.0, 2),
}


def _same(x: np.ndarray) -> np.ndarray:
    return 0.1 + 0 * x


def _varying(x: np.ndarray) -> np.ndarray:
    return 0.1 + 0.1 * x


def _none(x: np.ndarray) -> np.ndarray:
    return 0 * x


def draw_trial(n: int, seed: int, effect: Effect, shares: Sequence[float] = (0.5, 0.5)) -> Trial:
    """Return a randomised trial; every arm has the same effect, a function of x2."""
    rng = np.random.default_rng(seed)
    columns, arm = rng.uniform(-1, 1, (n, 3)), rng.choice(len(shares), n, p=shares)
    stays = 0.5 + 0.2 * columns[:, 0] + np.where(arm > 0, effect(columns[:, 1]), 0)
    rows = pd.DataFrame(columns, columns=["x1", "x2", "x3"]).assign(
        customer_id=np.arange(n),
        trial="trial",
        arm=np.array(ARMS)[arm],
        propensity=np.array(shares)[arm],
        cost=0.0,
        varies=False,
        kept=(rng.random(n) < stays).astype(float),
    )
    return Trial(rows, ["x1", "x2", "x3"], {"kept": "stays"}, RANDOMISED, pd.DataFrame())


def draw_heterogeneity(seed: int) -> dict[str, float]:
    """Return whether differences between customers are found where there are none."""
    trials = {
        ONE_ARM: draw_trial(TESTED, seed, _same),
        TWO_ARMS: draw_trial(TESTED, seed, _none, (1 / 3,) * 3),
    }
    with joblib.parallel_config(backend="sequential"):
        tests = {
            name: run_test(make_sample(trial, "kept"), "kept", 1, seed)
            for name, trial in trials.items()
        }
    return {name: test.p_adjusted.min() <= FAMILY_LEVEL for name, test in tests.items()}


def draw_adjusted(seed: int) -> dict[str, float]:
    """Return whether the interval of the adjusted effect covers the true mean effect, 0.1."""
    trials = {
        ALIKE: draw_trial(ESTIMATED, seed, _same),
        DIFFERING: draw_trial(ESTIMATED, seed, _varying),
        UNEVEN: draw_trial(ESTIMATED, seed, _varying, (0.8, 0.2)),
    }
    covered = {}
    for name, trial in trials.items():
        table = tabulate_effects(trial, [score_outcome(trial, "kept", seed)])
        row = table.set_index("method").loc[ADJUSTED]
        covered[name] = row.low <= 0.1 <= row.high
    return covered


def estimate_case(trial: Trial, effect: Effect, cost: float, seed: int) -> Case:
    """Return the case of a trial whose customers are worth ``VALUE`` each, effects cross-fitted."""
    sample = make_sample(trial, "kept")
    n, arms = sample.size, len(sample.arms) - 1
    predicted = predict_out_of_fold(sample, PARTS, seed)
    costs = np.full((n, arms), cost)
    true = np.tile(effect(trial.rows.x2.to_numpy())[:, None], (1, arms))
    with joblib.parallel_config(backend="sequential"):
        fits = cross_fit(sample, PARTS, 1, seed)
    return build_case(
        sample,
        fits,
        priced=None,
        outcome_value=np.full(n, VALUE),
        money=trial.rows.kept.to_numpy() * VALUE,
        paid=np.where(sample.arm > 0, cost, 0),
        cost=costs,
        predicted=(predicted, predicted * VALUE),
        cycle=np.zeros(n),
        true=true * VALUE - costs,
    )


def judge_policies(
    case: Case, budget: float, capacity: float, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the table of policies and that of their differences, as ``65_targeting`` has them."""
    contributions = evaluate_policies(case, budget, capacity)
    resampled = resample_profit(case, contributions, RESAMPLES, seed)
    return (
        tabulate_policies(case, contributions, resampled, budget),
        tabulate_policy_differences(resampled, (NOBODY, RANDOM_SELECTION)),
    )


def draw_free_offers(seed: int) -> dict[str, float]:
    """Return whether a policy is shown to earn where no offer has any effect or cost."""
    shown = {}
    for arms, name in FREE_ARMS.items():
        trial = draw_trial(LISTED, seed, _none, (1 / (arms + 1),) * (arms + 1))
        case = estimate_case(trial, _none, 0.0, seed)
        table, differences = judge_policies(case, np.inf, LISTED // 10, seed)
        earning = differences[(differences.reference == NOBODY) & (differences.policy != ORACLE)]
        shown[f"any policy, {name}"] = (earning.verdict == BETTER).any()
        shown[f"the list by effect, {name}"] = is_profitable(table)
    return shown


def draw_same_effect(seed: int) -> dict[str, float]:
    """Return estimate, truth and verdict of the list by effect where the effect is the same for
    all: a contact costs 1 and brings 2.
    """
    case = estimate_case(draw_trial(ESTIMATED, seed, _same), _same, COST, seed)
    capacity = ESTIMATED // 4
    table, differences = judge_policies(case, capacity * COST, capacity, seed)
    row = table.set_index("policy").loc[NET_GAIN]
    against = differences[differences.policy == NET_GAIN].set_index("reference").verdict
    return {
        "error": row.profit - row.true_profit,
        "half_width": (row.high - row.low) / 2,
        "covered": row.low <= row.true_profit <= row.high,
        "worse": against[RANDOM_SELECTION] == WORSE,
    }


def draw_families(seed: int) -> dict[str, float]:
    """Return whether a true null hypothesis is rejected in a family of five tests."""
    rng, rejected = np.random.default_rng(seed), {}
    for name, (correlation, false) in FAMILIES.items():
        common, own = rng.normal(), rng.normal(size=FAMILY)
        z = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
        z[:false] += 4
        adjusted = adjust_holm(2 * norm.sf(np.abs(z)))
        rejected[name] = (adjusted[false:] <= FAMILY_LEVEL).any()
    return rejected

"""What lists by effect, value and cost earn on companies whose true effects are known: shares of
the oracle's true profit, and the coverage of intervals.
"""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from lightgbm import LGBMRegressor
from scipy.stats import t as student
from sections import Section
from uplift_companies import (
    DIFFERING,
    GENERATED,
    PROPORTIONAL,
    draw_alike,
    draw_company,
    load_generated,
    make_company_sample,
    take_company,
)
from verdicts import (
    compute_mean_interval,
    compute_share_interval,
    join_verdicts,
    judge_least,
    judge_most,
    write_share,
)

from research.uplift.cross_fitting import cross_fit
from research.uplift.doubly_robust import SCORE_FOLDS, Sample, assign_folds, predict_out_of_fold
from research.uplift.policy.best_budget import judge_best_budget
from research.uplift.policy.case import Case, build_case, choose_usual
from research.uplift.policy.policies import (
    HIGHEST_RISK,
    NET_GAIN,
    NOBODY,
    ORACLE,
    RISK_TIMES_VALUE,
    evaluate_budgets,
    evaluate_policies,
    resample_profit,
    tabulate_policies,
    trace_profit,
)
from research.uplift.trials import Trial

Array = np.ndarray
Company = tuple[Trial, Array, Array]
SEEDS = {2_000: 12, 10_000: 6, 50_000: 2}  # drawn companies of each size
DRAWS = {2_000: 12, 10_000: 6, 50_000: 1}  # parts of the generated company
FIRST = 100  # seeds below it were used to choose a setting, see ``uplift.ABOUT``
LARGEST = max(SEEDS)
ROOM, LEAST, PARTS = 0.085, 0.6, 3
COVERED, TRIAL_SIZE, TRIALS, RESAMPLES = 0.9, 3_000, 60, 500
ALIKE = {  # companies whose customers don't differ: offers, and their effect
    "no effect, 1 offer": (1, 0.0),
    "no effect, 2 offers": (2, 0.0),
    "no effect, 4 offers": (4, 0.0),
    "the same effect for all": (2, 0.03),
}
PROMISED = 0.05  # of trials without effect in which some policy may be shown to earn
POLICIES = (NET_GAIN, RISK_TIMES_VALUE, HIGHEST_RISK)
CEILING = "true effects, as far as the features predict them"


def build(company: Company, seed: int) -> Case:
    """Return the case of a company, with effects cross-fitted once in three parts."""
    trial, true, value = company
    sample, cost, paid = make_company_sample(trial)
    predicted = predict_out_of_fold(sample, SCORE_FOLDS, seed)
    return build_case(
        sample,
        cross_fit(sample, PARTS, 1, seed),
        priced=None,
        outcome_value=value,
        money=trial.rows.kept.to_numpy() * value,
        paid=paid,
        cost=cost,
        predicted=(predicted, predicted * value[:, None]),
        cycle=trial.rows.trial.to_numpy(),
        true=true * value[:, None] - cost,
    )


def set_terms(case: Case) -> tuple[float, float]:
    """Return the budget and the capacity of a cycle: 8.5 % of its customers, at what the first
    offer costs on average.
    """
    capacity = round(ROOM * case.cycle_size)
    return capacity * float(case.cost[:, 0].mean()), capacity


def share_oracle(case: Case, seed: int) -> dict[str, float]:
    """Return the share of the oracle's true profit that each policy earns."""
    contributions = evaluate_policies(case, *set_terms(case))
    profit = {name: parts["true_profit"].sum() for name, parts in contributions.items()}
    return {name: float(profit[name] / profit[ORACLE]) for name in POLICIES}


def regress_truth(sample: Sample, true: Array, seed: int) -> Array:
    """Return the true effects as a large regression on the features predicts them out of fold: the
    ceiling of what can be learned.
    """
    fold, effects = assign_folds(sample, PARTS, seed), np.empty_like(true)
    for number in range(PARTS):
        rest = fold == number
        for arm in range(true.shape[1]):
            model = LGBMRegressor(
                n_estimators=600, num_leaves=63, n_jobs=1, random_state=seed, verbosity=-1
            )
            effects[rest, arm] = model.fit(sample.tree_features[~rest], true[~rest, arm]).predict(
                sample.tree_features[rest]
            )
    return effects


def measure_share(company: Company, seed: int) -> dict[str, float]:
    """Return the shares of one company."""
    return share_oracle(build(company, seed), seed)


def measure_ceiling(company: Company, seed: int) -> dict[str, float]:
    """Return the share that a list by effect, value and cost would earn with the effects of
    ``regress_truth``.
    """
    trial, true, value = company
    sample, cost, _ = make_company_sample(trial)
    gain = regress_truth(sample, true, seed)[None] * value[None, :, None]
    net = true * value[:, None] - cost
    case = Case(
        cycle=trial.rows.trial.to_numpy(),
        customers=sample.customers,
        clusters=sample.clusters,
        risk=np.zeros((1, sample.size)),
        outcome_value=value,
        effect=gain,
        gain=gain,
        usual=choose_usual(gain, cost, np.zeros((1, sample.size))),
        cost=cost,
        net=net,
        kept=net,
        arms=sample.arms[1:],
        true=net,
    )
    return {CEILING: share_oracle(case, seed)[NET_GAIN]}


def measure_coverage(kind: str, seed: int) -> dict[str, float]:
    """Return the estimated profit of the list by effect, value and cost with its interval, and the
    true profit.
    """
    case = build(draw_company(TRIAL_SIZE, kind, 1000 + seed), seed)
    budget, capacity = set_terms(case)
    policies = evaluate_policies(case, budget, capacity)
    contributions = {name: policies[name] for name in policies if name in (NET_GAIN, ORACLE)}
    resampled = resample_profit(case, contributions, RESAMPLES, seed)
    table = tabulate_policies(case, contributions, resampled, budget).set_index("policy")
    columns = ["profit", "low", "high", "true_profit"]
    return {name: float(table.loc[NET_GAIN, name]) for name in columns}


def measure_choice(offers: int, effect: float, seed: int) -> dict[str, float]:
    """Return whether some policy is shown to earn, in one trial of customers who don't differ, by
    the intervals of all together and by each alone, and by how much the highest point of the curve
    and the profit of the best budget exceed the truth.
    """
    case = build(draw_alike(TRIAL_SIZE, offers, effect, 1000 + seed), seed)
    budget, capacity = set_terms(case)
    contributions = evaluate_policies(case, budget, capacity)
    resampled = resample_profit(case, contributions, RESAMPLES, seed)
    table = tabulate_policies(case, contributions, resampled, budget).set_index("policy")
    steps = evaluate_budgets(case)
    curve = trace_profit(case, steps, RESAMPLES, seed)
    best = judge_best_budget(case, steps, curve, seed).iloc[0]
    rivals = table.drop([NOBODY, ORACLE])
    return {
        "together": float((rivals.band_low > 0).any()),
        "alone": float((rivals.low > 0).any()),
        "highest_off": float(best.highest - best.true_profit),
        "best_off": float(best.profit - best.true_profit),
        "inside": float(best.band_low <= best.true_profit <= best.band_high),
    }


def remember(
    path: Path, measure: Callable[[], dict[str, float]], stored_only: bool = False
) -> dict[str, float]:
    """Return what is measured, from its file where it is there; nothing where it isn't and
    ``stored_only`` forbids to measure.
    """
    if stored_only and not path.exists():
        return {}
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(measure()))
    return json.loads(path.read_text())


def measure_drawn(scratch: Path, sizes: dict[int, int], stored_only: bool = False) -> pd.DataFrame:
    """Return kind, size, seed and the policies' shares of the oracle, of the drawn companies."""
    rows = []
    for size, kind in ((size, kind) for size in sizes for kind in (DIFFERING, PROPORTIONAL)):
        for seed in range(FIRST, FIRST + sizes[size]):
            path = scratch / "uplift-profit" / f"{kind.replace(' ', '-')}-{size}-{seed}.json"
            shares = remember(
                path,
                lambda size=size, kind=kind, seed=seed: measure_share(
                    draw_company(size, kind, seed), seed
                ),
                stored_only,
            )
            rows.append((kind, size, seed, shares))
    return _frame_shares(rows)


def measure_generated(
    scratch: Path, draws: dict[int, int], stored_only: bool = False
) -> pd.DataFrame:
    """Return the same of the simulated company, and the ceiling of its largest part."""
    rows, generated, folder = [], load_generated(scratch), scratch / "uplift-profit"
    for size, seeds in draws.items():
        for seed in range(FIRST, FIRST + seeds):
            company, path = (
                take_company(generated, size, seed),
                folder / f"generated-{size}-{seed}.json",
            )
            shares = remember(
                path, lambda company=company, seed=seed: measure_share(company, seed), stored_only
            )
            if size == max(draws):
                shares |= remember(
                    folder / f"ceiling-{size}-{seed}.json",
                    lambda company=company, seed=seed: measure_ceiling(company, seed),
                    stored_only,
                )
            rows.append((GENERATED, size, seed, shares))
    return _frame_shares(rows)


def _frame_shares(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"kind": kind, "size": size, "seed": seed} | shares
            for kind, size, seed, shares in rows
            if shares
        ]
    )


def run_trials(scratch: Path, kind: str, trials: int, stored_only: bool = False) -> pd.DataFrame:
    """Return ``measure_coverage`` of many trials, one row each."""
    names = (
        scratch / "uplift-coverage" / f"{kind.replace(' ', '-')}-{seed}.json"
        for seed in range(trials)
    )
    with joblib.parallel_config(backend="sequential"):
        measured = [
            remember(path, lambda seed=seed: measure_coverage(kind, seed), stored_only)
            for seed, path in enumerate(names)
        ]
    return pd.DataFrame([one for one in measured if one])


def run_choices(scratch: Path, trials: int, stored_only: bool = False) -> dict[str, pd.DataFrame]:
    """Return ``measure_choice`` of many trials of each kind, one row each."""
    tables = {}
    with joblib.parallel_config(backend="sequential"):
        for kind, (offers, effect) in ALIKE.items():
            folder = scratch / "uplift-choice"
            name = kind.replace(" ", "-").replace(",", "")
            measured = [
                remember(
                    folder / f"{name}-{seed}.json",
                    lambda offers=offers, effect=effect, seed=seed: measure_choice(
                        offers, effect, seed
                    ),
                    stored_only,
                )
                for seed in range(trials)
            ]
            tables[kind] = pd.DataFrame([one for one in measured if one])
    return {kind: table for kind, table in tables.items() if len(table)}


def choice_section(by_kind: dict[str, pd.DataFrame]) -> Section:
    """Return how often some policy is shown to earn, and how far the best budget is off."""
    rows, bounds = [], []
    for kind, trials in by_kind.items():
        means, errors = trials.mean(), trials.sem()
        rates = (
            f"{_percent(means[name])} ({100 * errors[name]:.1f})"
            for name in ("together", "alone", "inside")
        )
        money = (
            f"{means[name]:,.0f} ({errors[name]:,.0f})".replace("-", "−")
            for name in ("highest_off", "best_off")
        )
        rows.append((kind, str(len(trials)), *rates, *money))
        if not ALIKE[kind][1]:
            rate = compute_share_interval(int(trials.together.sum()), len(trials))
            verdict = judge_most(rate, PROMISED)
            bounds.append(f"{kind}: some policy shown to earn in at most 5 %: {verdict}.")
        off = compute_mean_interval(means.best_off, errors.best_off, len(trials))
        verdict = "significant" if off[1] > 0 else "inconclusive"
        bounds.append(f"{kind}: the best budget is estimated too high: {verdict}.")
    words = (
        f"Drawn companies of {TRIAL_SIZE:,} assignments whose offers cost next to nothing and have"
        " the same effect on everybody; budget and capacity as above. How often some policy's"
        " interval of profit lies above 0, by the intervals that hold for all policies together and"
        " by each one's own; and the profit at the best of all budgets, by the highest point of the"
        " curve and as chosen on other customers, less the truth. With standard errors."
    )
    head = (
        "company",
        "trials",
        "shown to earn, together",
        "each alone",
        "best budget's truth inside",
        "highest point less truth",
        "best budget less truth",
    )
    return Section(
        "Policies and budgets, picked and judged", words, head, tuple(rows), tuple(bounds)
    )


def shares_section(
    shares: pd.DataFrame, title: str, words: str, better: tuple[str, ...]
) -> Section:
    """Return the mean shares by kind and size, and the bounds.

    Parameters
    ----------
    better : kinds of which the list by effect must earn more than those by risk, at every size
    """
    by = shares.assign(
        gap=shares[NET_GAIN] - shares[[RISK_TIMES_VALUE, HIGHEST_RISK]].max(axis=1)
    ).groupby(["kind", "size"], sort=False)
    means = by[[name for name in (*POLICIES, CEILING) if name in shares]].mean()
    facts = pd.DataFrame(
        {
            "n": by.seed.size(),
            "mean": means[NET_GAIN],
            "error": by[NET_GAIN].sem(),
            "gap": by.gap.mean(),
            "gap_error": by.gap.sem(),
        }
    )
    cells = [
        (_write(row.iloc[0], facts.error[at]), *(_percent(value) for value in row.iloc[1:]))
        for at, row in means.iterrows()
    ]
    rows = [
        (kind, f"{size:,}", str(facts.n[kind, size]), *more)
        for (kind, size), more in zip(means.index, cells, strict=True)
    ]
    head = ("company", "assignments", "seeds", f"{NET_GAIN} (standard error)", *means.columns[1:])
    return Section(title, words, head, tuple(rows), tuple(describe_bounds(facts, better)))


def describe_bounds(facts: pd.DataFrame, better: tuple[str, ...]) -> Iterator[str]:
    """Yield a sentence for every bound on the shares.

    Parameters
    ----------
    facts : DataFrame indexed by kind and size, with columns n, mean, error, gap, gap_error
        Draws, the mean share of the list by effect and its standard error, and the same of its lead
        on the better list by risk.
    better : kinds of which the list by effect must earn more than those by risk
    """
    for kind in facts.index.unique("kind"):
        of_kind = facts.loc[kind]
        yield _describe_rise(of_kind, kind)
        yield _describe_largest(of_kind, kind)
        if kind in better:
            yield _describe_lead(of_kind, kind)


def _describe_rise(facts: pd.DataFrame, kind: str) -> str:
    """Every step is the difference of two independent means, by Welch's t."""
    steps = [
        welch_interval(*before, *after)
        for before, after in pairwise(facts[["mean", "error", "n"]].to_numpy().tolist())
    ]
    return (
        f"{kind}: the share of “{NET_GAIN}” rises with size:"
        f" {join_verdicts(judge_least(step, 0) for step in steps)};"
        f" {', '.join(_percent(value) for value in facts['mean'])}."
    )


def welch_interval(
    mean: float, error: float, n: int, other: float, other_error: float, m: int
) -> tuple[float, float, float]:
    """Return by how much the other mean is larger, with the 95 % interval of Welch (1947)."""
    if min(n, m) < 2:
        return other - mean, np.nan, np.nan
    both = error**2 + other_error**2
    freedom = both**2 / (error**4 / (n - 1) + other_error**4 / (m - 1))
    half = student.ppf(0.975, freedom) * np.sqrt(both)
    return other - mean, other - mean - half, other - mean + half


def _describe_largest(facts: pd.DataFrame, kind: str) -> str:
    largest = facts.iloc[-1]
    bound = f"{kind}: at least {LEAST:.0%} at {LARGEST:,}"
    if facts.index[-1] < LARGEST:
        return f"{bound}: not measured."
    interval = compute_mean_interval(largest["mean"], largest.error, int(largest.n))
    seeds = f"{int(largest.n)} draw{'s' if largest.n > 1 else ''}"
    return f"{bound}: {judge_least(interval, LEAST)}; {_percent(largest['mean'])}, {seeds}."


def _describe_lead(facts: pd.DataFrame, kind: str) -> str:
    leads = [
        compute_mean_interval(row.gap, row.gap_error, int(row.n)) for row in facts.itertuples()
    ]
    gaps = ", ".join(map(_write_gap, leads))
    return (
        f"{kind}: better than both lists by risk at every size:"
        f" {join_verdicts(judge_least(lead, 0) for lead in leads)}; by {gaps} points."
    )


def _write_gap(lead: tuple[float, float, float]) -> str:
    mean, low, high = (100 * value for value in lead)
    interval = "" if np.isnan(low) else f" ({low:.1f} to {high:.1f})"
    return f"{mean:.1f}{interval}".replace("-", "−")


def _percent(value: float) -> str:
    return "" if np.isnan(value) else f"{100 * value:.1f} %".replace("-", "−")


def _write(value: float, error: float) -> str:
    return _percent(value) if np.isnan(error) else f"{_percent(value)} ({100 * error:.1f})"


def coverage_section(by_kind: dict[str, pd.DataFrame]) -> Section:
    """Return how often the interval of profit covers the true profit, by kind of company."""
    rows, bounds = [], []
    for kind, trials in by_kind.items():
        inside, n = trials.true_profit.between(trials.low, trials.high), len(trials)
        interval = compute_share_interval(int(inside.sum()), n)
        off = (trials.profit - trials.true_profit).mean()
        width = (trials.high - trials.low).mean()
        money = (
            f"{value:,.0f}".replace("-", "−") for value in (trials.true_profit.mean(), off, width)
        )
        rows.append((kind, str(n), write_share(interval), *money))
        bounds.append(describe_coverage(kind, interval))
    words = (
        f"Drawn companies of {TRIAL_SIZE:,} assignments, each another; budget and capacity as"
        f" above. The 95 % interval of the profit of “{NET_GAIN}”, from {RESAMPLES} resamples of"
        " customers, and the true profit of the same list: how often it lies within, and by how"
        " much the estimate is off on average."
    )
    head = (
        "company",
        "trials",
        "true profit inside (95 % interval, exact)",
        "true profit, mean",
        "estimate less truth, mean",
        "width of the interval, mean",
    )
    return Section("Coverage of the interval of profit", words, head, tuple(rows), tuple(bounds))


def describe_coverage(kind: str, interval: tuple[float, float, float]) -> str:
    """Return whether the intervals cover the truth often enough."""
    return (
        f"{kind}: the interval covers the true profit in at least {COVERED:.0%}:"
        f" {judge_least(interval, COVERED)}."
    )

"""Tables for readers and sentences of ``65_targeting`` and ``66_break_even``.

"Contact nobody" and "not significantly better than random selection" are verdicts that they can
reach.
"""

import numpy as np
import pandas as pd

from research.evaluation.bootstrap import BETTER, WORSE
from research.evaluation.importance import Difference, describe_importance
from research.reporting.format import join_words, write_plain, write_quantity
from research.reporting.tables import stack
from research.study import Study
from research.study_schema import Economics, ImportantDifference
from research.uplift.doubly_robust import describe_training
from research.uplift.policy.break_even import find_cost, plan_first_test
from research.uplift.policy.case import Case
from research.uplift.policy.contact_list import CONTACT, INCONCLUSIVE, LEAVE_ALONE
from research.uplift.policy.policies import (
    EVERYBODY,
    HIGHEST_RISK,
    LARGEST_EFFECT,
    NET_GAIN,
    NOBODY,
    ORACLE,
    RANDOM_SELECTION,
    RISK_TIMES_VALUE,
    SAME_BUDGET,
)
from research.uplift.power import POWER
from research.uplift.significance import FAMILY_LEVEL

UNTOLD = "can't be told"
ADJUSTED_INTERVALS = "95 % intervals, adjusted"
POLICY_WORDS = {
    NOBODY: "contacting nobody",
    EVERYBODY: "contacting everybody",
    RANDOM_SELECTION: "random selection",
    HIGHEST_RISK: "selection by risk",
    RISK_TIMES_VALUE: "selection by risk times value",
    LARGEST_EFFECT: "selection by effect",
}


def write_money(value: float, low: float, high: float) -> str:
    """Return an amount with its interval, whole from 100 on."""
    if not np.isfinite(value):
        return "–"
    digits = 0 if max(abs(value), abs(low), abs(high)) >= 100 else 2
    texts = [
        f"{round(number, digits) + 0.0:,.{digits}f}".replace("-", "−")
        for number in (value, low, high)
    ]
    return texts[0] if len({*texts}) == 1 else f"{texts[0]} ({texts[1]} to {texts[2]})"


def policies_table(policies: pd.DataFrame, currency: str, outcome: str) -> pd.DataFrame:
    """Return for each policy how many it contacts, and what that costs, earns and keeps.

    Parameters
    ----------
    policies : see ``policies.tabulate_policies``
    outcome : the primary outcome, in words
    """
    rows = [*policies.itertuples()]
    table = pd.DataFrame(
        {
            "policy": policies.policy,
            "contacted": policies.contacted,
            f"cost, {currency}": policies.cost.round(0),
            f"profit, {currency}": [
                stack(write_money(row.profit, *_find_band(row))) for row in rows
            ],
            f"more of “{outcome}”": [
                stack(write_money(row.kept_extra, row.kept_low, row.kept_high)) for row in rows
            ],
            "cost of each": [
                f"{row.cost_per_kept:,.2f}" if np.isfinite(row.cost_per_kept) else ""
                for row in rows
            ],
            "return on cost": [
                f"{row.return_on_cost:.2f}".replace("-", "−")
                if np.isfinite(row.return_on_cost)
                else ""
                for row in rows
            ],
        }
    )
    if "true_profit" in policies:
        table[f"true profit, {currency}"] = policies.true_profit.round(0)
        table["of the oracle's, share"] = policies.share_of_oracle
    return table


def _find_band(row) -> tuple[float, float]:
    """Return the interval that holds for all policies together; that of the oracle, which is no
    policy that one could choose, is its own.
    """
    return (row.low, row.high) if np.isnan(row.band_low) else (row.band_low, row.band_high)


def find_stacked(table: pd.DataFrame) -> list[str]:
    """Return the columns of ``policies_table`` and ``deciding_sum_table`` with an interval in a
    cell.
    """
    starts = ("profit", "more of", "effect on", "cost per one more", "breaks even")
    return [name for name in table if name.startswith(starts)]


def describe_budget(spending: float, economics: Economics, budget: float) -> str:
    """Return at which budget and capacity policies are compared.

    Parameters
    ----------
    spending : the budget, see ``policies.choose_budget``
    budget : as it was asked for
    """
    source = ""
    if budget < 0 and economics.budget is None:
        source = " (what so many contacts with the usual offer cost)"
    return (
        f"Per cycle, at a budget of {spending:,.0f} {economics.currency}{source} and"
        f" {economics.capacity:,} contacts. Profit: {ADJUSTED_INTERVALS} for all policies together"
        " (the oracle's by itself); of what is kept, each on its own."
    )


def describe_differences(currency: str) -> str:
    """Return the note below ``differences_table``."""
    return (
        f"Profit of “{NET_GAIN}” less that of the baseline, {currency} a cycle, on the same"
        f" resamples; {ADJUSTED_INTERVALS} for all these comparisons together, by which the verdict"
        " goes."
    )


def differences_table(differences: pd.DataFrame) -> pd.DataFrame:
    """Return what the policy by net gain earns more than each baseline."""
    rows = differences[differences.policy == NET_GAIN]
    return rows.drop(columns="policy").round(0)


def count_decisions(targets: pd.DataFrame) -> pd.DataFrame:
    """Return how many customers each decision and arm has, with the mean of what is expected.

    Returns
    -------
    DataFrame with columns decision, arm, customers, mean_effect_points, mean_worth, mean_cost,
    mean_net_gain
    """
    table = targets.groupby(["decision", "arm"], sort=False).agg(
        customers=("rank", "size"),
        mean_effect_points=("effect_points", "mean"),
        mean_worth=("worth", "mean"),
        mean_cost=("cost", "mean"),
        mean_net_gain=("net_gain", "mean"),
    )
    return table.reset_index().round(2).assign(arm=lambda rows: rows.arm.map(write_plain))


def first_contacts_table(targets: pd.DataFrame, n: int = 10) -> pd.DataFrame:
    """Return the first customers of the list."""
    return targets[targets.decision.isin([CONTACT, INCONCLUSIVE])].head(n).round(2)


def describe_costs(case: Case, currency: str, outcome: str) -> str:
    """Return what the arms cost on average, and the value of a unit of the outcome; and from how
    many customers models learn, where not from all.

    Parameters
    ----------
    outcome : that money is counted by, in words
    """
    means = zip(map(write_plain, case.arms), case.cost.mean(axis=0), strict=True)
    costs = "; ".join(f"{arm}: {cost:,.2f}" for arm, cost in means)
    low, high = np.quantile(case.outcome_value, (0.1, 0.9))
    spread = ""
    if high > low:
        spread = f", {low:,.2f} to {high:,.2f} among the middle 80 % of the customers"
    bound = describe_training(case.largest_arm)
    return (
        f"Cost per customer assigned, {currency}: {costs}. One more of “{outcome}” is worth"
        f" {case.outcome_value.mean():,.2f} on average{spread}. {bound}"
    ).strip()


def deciding_sum_table(table: pd.DataFrame, currency: str, outcome: str) -> pd.DataFrame:
    """Return what each offer costs per one more of the outcome, what one is worth, and where the
    offer breaks even.

    Parameters
    ----------
    table : see ``deciding_sum.tabulate_deciding_sum``
    outcome : that money is counted by, in words
    """
    rows = [*table.itertuples()]
    return pd.DataFrame(
        {
            "offer": table.arm.map(write_plain),
            f"cost a customer, {currency}": table.cost.round(2),
            f"effect on “{outcome}”, hundredths": [
                stack(write_money(row.effect_points, row.effect_low, row.effect_high))
                for row in rows
            ],
            "pays from, hundredths": table.break_even_points.round(2),
            f"cost per one more, {currency}": [
                stack(_write_cost_of_one(row)) if np.isfinite(row.cost_per_kept) else UNTOLD
                for row in rows
            ],
            f"worth of one more, {currency}": table.mean_worth.round(2),
            f"breaks even at a cost of, {currency}": [
                stack(_write_break_even(row)) for row in rows
            ],
        }
    )


def describe_deciding_sum_terms() -> str:
    """Return the note below ``deciding_sum_table``."""
    return (
        "Were each offer given to everybody; 95 % intervals of the effect, each offer by itself."
        f" “{UNTOLD}”: the interval of the effect includes 0 (or lies below it). Worth is a mean"
        " over the customers, and a prediction; policies count each customer's own."
    )


def _write_cost_of_one(row) -> str:
    return write_money(row.cost_per_kept, row.cost_per_kept_low, row.cost_per_kept_high)


def _write_break_even(row) -> str:
    return write_money(row.break_even_cost, row.break_even_low, row.break_even_high)


def describe_deciding_sum(table: pd.DataFrame, currency: str, outcome: str) -> str:
    """Return the deciding sum in one sentence.

    Parameters
    ----------
    table : see ``deciding_sum.tabulate_deciding_sum``
    outcome : that money is counted by, in words
    """
    offers = []
    for row in table.itertuples():
        start = f"{write_plain(row.arm)} costs {row.cost:,.2f} {currency} a customer"
        one = f" and {_write_cost_of_one(row)} per one more"
        if not np.isfinite(row.cost_per_kept):
            one = f"; per one more its cost {UNTOLD}, as its effect may be 0"
        ends = f", and would break even at {_write_break_even(row)} a customer"
        offers.append(start + one + ends)
    return (
        f"One more of “{outcome}” is worth {table.mean_worth.iloc[0]:,.2f} {currency} on average;"
        f" {'; '.join(offers)} (95 % intervals, each offer by itself)."
    )


def describe_policies(
    policies: pd.DataFrame,
    differences: pd.DataFrame,
    curve: pd.DataFrame,
    best: pd.DataFrame,
    targets: pd.DataFrame,
    currency: str,
) -> str:
    """Return what the policy by net gain earns, against the baselines, at which budget most, and
    how many customers to leave alone.

    Parameters
    ----------
    curve : see ``policies.trace_profit``
    best : see ``best_budget.judge_best_budget``
    """
    row = policies[policies.policy == NET_GAIN].iloc[0]
    sentences = [
        _describe_profit(row, policies, currency),
        *_describe_baselines(differences),
        *_describe_budget(curve[curve.policy == NET_GAIN], best.iloc[0], currency),
        _describe_targets(targets),
        _describe_true_profit(row),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def describe_important(
    important: ImportantDifference, policies: pd.DataFrame, currency: str
) -> str:
    """Return whether what the choice by effect, value and cost earns matters.

    Parameters
    ----------
    policies : see ``policies.tabulate_policies``
    """
    row = policies[policies.policy == NET_GAIN].iloc[0]
    bounds = row.band_low, row.band_high
    found = Difference("profit", "the profit of this choice", *bounds, currency)
    return describe_importance(important, [found])


def _describe_profit(row: pd.Series, policies: pd.DataFrame, currency: str) -> str:
    profit = write_money(row.profit, row.band_low, row.band_high)
    if row.band_low > 0:
        return (
            f"**Choosing by effect, value and cost earns {profit} {currency} a cycle** at a budget"
            f" of {row.budget:,.0f} {currency}, for {row.cost:,.0f} spent on {row.contacted:,}"
            f" contacts ({ADJUSTED_INTERVALS} for all policies together)."
        )
    text = (
        "**Choosing by effect, value and cost does not earn significantly more than contacting"
        f" nobody**: {profit} {currency} a cycle ({ADJUSTED_INTERVALS} for all policies together)."
    )
    others = policies[~policies.policy.isin([NET_GAIN, ORACLE, NOBODY])]
    earning = [
        f"{one.policy} ({write_money(one.profit, one.band_low, one.band_high)})"
        for one in others[others.band_low > 0].itertuples()
    ]
    return text + (f" With a significant profit: {join_words(earning)}." if earning else "")


def _describe_baselines(differences: pd.DataFrame) -> list[str]:
    """Return a sentence each for the baselines that are beaten, not beaten, and inconclusive."""
    verdicts = differences[differences.policy == NET_GAIN].set_index("reference").verdict
    verdicts = verdicts.drop(NOBODY, errors="ignore")
    sentences = [
        (f"It earns {direction} than", verdicts.index[verdicts == verdict])
        for direction, verdict in (("more", BETTER), ("less", WORSE))
    ]
    decided = verdicts.isin([BETTER, WORSE])
    inconclusive = [name for name in SAME_BUDGET if name in verdicts.index[~decided]]
    sentences.append(("It does not earn significantly more than", inconclusive))
    return [
        f"{start} {join_words([POLICY_WORDS[name] for name in names])}."
        for start, names in sentences
        if len(names)
    ]


def _describe_budget(curve: pd.DataFrame, best: pd.Series, currency: str) -> list[str]:
    """Return at which budgets the policy is shown to earn, and what the choice of one would."""
    by = "budget" if curve.budget.max() else "contacted"
    unit = f" {currency}" if by == "budget" else " contacts"
    points = len(curve) - 1  # the first one is nothing
    over = f"(95 % band over its {points} points together; the profit above: over all policies)."
    shown = f"At no point of its curve of profit is it shown to earn {over}"
    if (curve.band_low > 0).any():
        spans = join_words(_list_spans(curve[by], curve.band_low > 0))
        shown = f"Along its curve of profit it is shown to earn at {spans}{unit} {over}"
    if best[by] == 0:
        return [shown, "No budget above 0 has an estimated profit."]
    highest = write_money(best.highest, best.band_low, best.band_high)
    profit = write_money(best.profit, best.profit, best.profit)
    return [
        shown,
        f"The curve is highest at {best[by]:,.0f}{unit}, whatever the capacity: {highest}"
        f" {currency} a cycle (95 % band there), too high by its sampling error. A budget that"
        f" is chosen so on some customers and judged on others earns {profit} {currency}.",
    ]


def _list_spans(values: pd.Series, holds: pd.Series) -> list[str]:
    """Return the values where something holds, those beside each other as a span."""
    run = (holds != holds.shift()).cumsum()
    ends = values[holds].groupby(run[holds]).agg(["first", "last"])
    return [
        f"{first:,.0f}" if first == last else f"{first:,.0f} to {last:,.0f}"
        for first, last in ends.itertuples(index=False)
    ]


def _describe_targets(targets: pd.DataFrame) -> str:
    counts = targets.decision.value_counts()
    alone, undecided = counts.get(LEAVE_ALONE, 0), counts.get(INCONCLUSIVE, 0)
    none = "For no customer every offer has a negative estimated effect."
    if undecided:
        caution = (
            f"For {alone:,} customers every offer has a negative estimated effect (not"
            " significant); leave them out as a precaution."
        )
        return (
            f"This cycle's list is empty: the {undecided:,} customers who would be on it are marked"
            f" “{INCONCLUSIVE}”, for a further test. {caution if alone else none}"
        )
    leave = f"**Leave {alone:,} alone**: every offer has a negative estimated effect on them."
    return (
        f"This cycle's list: {counts.get(CONTACT, 0):,} of {len(targets):,} customers to contact."
        f" {leave if alone else none}"
    )


def _describe_true_profit(row: pd.Series) -> str:
    if not np.isfinite(row.get("share_of_oracle", np.nan)):
        return ""
    inside = "inside" if row.band_low <= row.true_profit <= row.band_high else "outside"
    return (
        f"The true profit of this choice is {row.true_profit:,.0f}, {inside} the interval, and"
        f" {row.share_of_oracle:.0%} of what an oracle would earn."
    )


def describe_customers(values: pd.DataFrame, study: Study) -> str:
    """Return how many customers there are, with their mean risk and value.

    Parameters
    ----------
    values : see ``break_even.load_customers``
    """
    value = write_quantity(values.value_of_keeping.mean(), study.economics.currency)
    return (
        f"{len(values):,} customers, with a mean risk to leave of {values.risk.mean():.1%} and a"
        f" mean value of keeping one of {value} {study.economics.currency}."
    )


def count_test_arms(test: pd.DataFrame) -> pd.DataFrame:
    """Return how many customers each arm of the first test has, with mean risk and value.

    Parameters
    ----------
    test : see ``break_even.draw_test``
    """
    table = test.groupby(["decision", "arm"], sort=False).agg(
        customers=("rank", "size"),
        mean_risk_share=("risk", "mean"),
        mean_value=("worth", "mean"),
        mean_expected_loss=("expected_loss", "mean"),
    )
    return table.reset_index().round(3)


def describe_break_even(table: pd.DataFrame, values: pd.DataFrame, study: Study, why: str) -> str:
    """Return what contact must change to pay, and how small an effect the first test can detect.

    Parameters
    ----------
    table : see ``break_even.tabulate_break_even``
    values : customers with their value, see ``break_even.load_customers``
    why : reason why there is no trial
    """
    first, currency = table.iloc[0], study.economics.currency
    test = plan_first_test(values, study)
    return (
        f"**The effect of contact is not known here**: {why}. A contact with its offer costs"
        f" {write_quantity(find_cost(study), currency)} {currency} a customer. Among the fifth with"
        " the largest expected loss a customer kept is worth"
        f" {write_quantity(first.mean_worth, currency)} {currency}, so that it pays from an effect"
        f" of {first.break_even_points:.1f} percentage points on the probability to stay, of a mean"
        f" risk of {first.mean_risk_share:.1%}. A test of {test.per_arm:,} contacted and"
        f" {test.per_arm:,} left alone detects an effect of {test.smallest:.1f} points (power"
        f" {POWER:.0%}, level {FAMILY_LEVEL:.1%}): contact is significantly profitable where it"
        f" raises staying by about {test.pays + test.smallest:.1f} points; smaller gains take"
        " several cycles. The table `first_test` randomises it. A high risk is no evidence that"
        " contact helps."
    )

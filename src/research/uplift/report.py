"""Tables of ``60_uplift`` as people read them, and its verdicts in words; "no effect" and "the same
for all" are verdicts that it can reach.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from research.reporting.format import join_words, write_interval, write_plain
from research.reporting.tables import stack
from research.uplift.average_effects import ADJUSTED
from research.uplift.learners import AVERAGED, RANDOM
from research.uplift.metrics import BEST_ARM
from research.uplift.observational import UNLIKE

# of average effects, and once more of differences between customers: 5 % in all (Holm over arms and
# outcomes)
LEVEL = 0.025
PLANNED = ("effect_seen", "smallest_effect")
SHOWN = ("auuc", "qini", "uplift_at_10", "uplift_at_30", "autoc", "slope", "gain")
ALONE = "single divisions"
HEADS = {
    "auuc": "AUUC",
    "qini": "Qini",
    "uplift_at_10": "effect, top 10 %",
    "uplift_at_30": "effect, top 30 %",
    "autoc": "AUTOC",
    "slope": "slope",
    "gain": "gain",
}


def is_share(values: pd.Series) -> bool:
    """Say whether an outcome is a share (between 0 and 1, and no money), whose effects are told in
    percentage points.
    """
    return values.name != "value" and bool(values.dropna().between(0, 1).all())


def write_effect(value: float, low: float, high: float, share: bool, unit: str = "") -> str:
    """Return an effect with its interval, in percentage points or in its own unit."""
    if share:
        return f"{write_interval(100 * value, 100 * low, 100 * high, 2)} points"
    return f"{write_interval(value, low, high, 2)}{' ' + unit if unit else ''}"


def lay_out_effects(
    effects: pd.DataFrame, outcomes: dict[str, str], shares: dict[str, bool]
) -> pd.DataFrame:
    """Return effects as a reader takes them in: an outcome, an arm and its effect by either method
    in a row; those on shares in percentage points.

    Parameters
    ----------
    outcomes : in words
    shares : whether an outcome is a share
    """
    rows = effects[effects.segment_by == ""]
    scale = rows.outcome.map(lambda name: 100 if shares[name] else 1)
    cells = [
        stack(write_interval(*numbers, 2))
        for numbers in zip(rows.effect * scale, rows.low * scale, rows.high * scale, strict=True)
    ]
    control = [
        f"{row.mean_control:.1%}" if shares[row.outcome] else f"{row.mean_control:,.2f}"
        for row in rows.itertuples()
    ]
    counts = [f"{row.n_arm:,} / {row.n_control:,}" for row in rows.itertuples()]
    keys = ["outcome", "trial", "arm"]
    table = rows.assign(
        cell=cells,
        outcome=rows.outcome.map(outcomes),
        in_control=control,
        **{"in arm / control": counts},
    )
    first = table[table.method == ADJUSTED].drop_duplicates(keys).set_index(keys)
    wide = table.pivot_table(
        index=keys, columns="method", values="cell", aggfunc="first", sort=False
    )
    wide = wide.join(first[["in_control", "p_adjusted", "in arm / control"]])
    order = [
        "in_control",
        *sorted(wide.columns.intersection(effects.method.unique()), reverse=True),
        "p_adjusted",
        "in arm / control",
    ]
    return (
        wide[order]
        .reset_index()
        .drop(columns=["trial"] if first.index.unique("trial").size == 1 else [])
    )


def lay_out_scores(scores: pd.DataFrame, arm: str, share: bool) -> pd.DataFrame:
    """Return models as rows and scores as columns with their intervals, and the range of AUUC over
    single divisions; those of shares in points.
    """
    rows = scores[(scores.arm == arm) & scores.metric.isin(SHOWN)]
    scale, digits = np.where(share & (rows.metric != "slope"), 100, 1), 2
    cells = [
        stack(write_interval(*numbers, 2))
        for numbers in zip(rows.value * scale, rows.low * scale, rows.high * scale, strict=True)
    ]
    wide = (
        rows.assign(cell=cells)
        .pivot(index="model", columns="metric", values="cell")
        .reindex(rows.model.unique())
    )
    if (rows.metric == "gain").all():
        return (
            wide[["gain"]]
            .replace({"<br><small>": " (", "</small>": ")"}, regex=True)
            .rename(columns=HEADS)
            .reset_index()
        )
    areas = rows[rows.metric == "auuc"].set_index("model")
    ends = (areas[["lowest", "highest"]] * (100 if share else 1)).round(
        digits
    ) + 0.0  # no zero has a sign
    ranges = [
        f"<small>{low:.{digits}f} to {high:.{digits}f}</small>".replace("-", "−")
        for low, high in ends.to_numpy()
    ]
    wide[ALONE] = pd.Series(ranges, areas.index)
    columns = [name for name in ("auuc", ALONE, *SHOWN[1:]) if name in wide]
    return wide[columns].rename(columns=HEADS).fillna("").reset_index()


def lay_out_plan(
    plan: pd.DataFrame, outcomes: dict[str, str], shares: dict[str, bool]
) -> pd.DataFrame:
    """Return what the next test needs and can show, see ``planning.plan_test``, with effects in
    points where they are shares.
    """
    scale = plan.outcome.map(lambda name: 100 if shares[name] else 1)
    unit = plan.outcome.map(lambda name: " points" if shares[name] else "")
    told = {
        name: [
            f"{value:.2f}{words}".replace("-", "−")
            for value, words in zip(plan[name] * scale, unit, strict=True)
        ]
        for name in PLANNED
    }
    columns = {
        "outcome": plan.outcome.map(outcomes),
        "arm": plan.arm,
        "effect seen": told["effect_seen"],
    }
    columns |= {
        "customers per arm": plan.n_per_arm,
        "the same, adjusted": plan.n_per_arm_adjusted,
        "planned per arm": plan.planned_per_arm,
    }
    return pd.DataFrame(
        columns
        | {
            "smallest effect": told["smallest_effect"],
            "of the mean in control, share": plan.smallest_share,
        }
    )


def say_plan(plan: pd.DataFrame, outcomes: dict[str, str]) -> str:
    """Say for which arms and outcomes the planned campaign is large enough to show what was
    seen.
    """
    enough = plan[plan.planned_per_arm >= plan.n_per_arm_adjusted]
    if enough.empty:
        return "**The planned campaign is too small to show any of these effects.**"
    names = join_words(
        [f"{write_plain(row.arm)} on “{outcomes[row.outcome]}”" for row in enough.itertuples()]
    )
    others = "" if len(enough) == len(plan) else ", and no other"
    return (
        "The planned campaign is large enough to show, if it is what was seen here, the effect of"
        f" {names}{others}."
    )


def say_trial(shares: pd.DataFrame, balance: pd.DataFrame, attrition: pd.DataFrame) -> str:
    """Say whether the arms have the planned sizes, were alike before, and were followed alike
    after.
    """
    words = []
    off = shares[shares.verdict == "off balance"].drop_duplicates("trial")
    if (shares.verdict == "no plan stated").any():
        words.append(
            "How large the arms were planned to be nobody says (experiment.shares in study.yml):"
            " the sample ratio can't be tested."
        )
    elif off.empty:
        words.append("**The arms have the sizes that were planned** (test of the sample ratio).")
    for row in off.itertuples():
        words.append(
            f"**{_name(row.trial)}: the arms are off balance.** Sizes so unlike the plan come about"
            f" by luck in {_chance(row.p_value)} of fair draws: somebody was lost or added on the"
            " way, and whoever it was may differ. Read its effects with suspicion until the reason"
            " is known."
        )
    if len(balance):
        large = balance[balance.largest_sd > balance.luck_sd]
        least = (
            "no feature differs by more than luck explains (largest:"
            f" {balance.largest_sd.max():.2f} standard deviations)"
        )
        most = "; ".join(
            f"{_name(row.trial)}, {write_plain(row.arm)}: {write_plain(row.feature)} by"
            f" {row.largest_sd:.2f} standard deviations"
            for row in large.itertuples()
        )
        words.append(
            "Before the assignment"
            f" {least if large.empty else f'arms differ by more than luck explains: {most}'}."
        )
    else:
        words.append(
            "Nothing is known of the customers before the assignment, so whether the arms were"
            " alike can't be seen."
        )
    uneven = attrition[attrition.verdict == "more missing in one arm"].drop_duplicates(
        ["trial", "outcome"]
    )
    if len(uneven):
        names = "; ".join(f"{_name(row.trial)}, {row.outcome}" for row in uneven.itertuples())
        words.append(
            f"**Outcomes are missing more often in one arm than in another** ({names}): the effects"
            " below are those on who was seen, and may mislead."
        )
    else:
        missing = int(attrition.missing.sum())
        words.append(
            "No outcome is missing."
            if not missing
            else f"{missing:,} outcomes are missing; no difference between the arms is shown."
        )
    return " ".join(words)


def say_doubts(shares: pd.DataFrame, attrition: pd.DataFrame, aside: Sequence[str]) -> str:
    """Say before a verdict what makes the trial doubtful: sizes off balance, outcomes missing
    unevenly, features written after the assignment.
    """
    off = [
        f"the arms of {write_plain(name)} are off balance"
        for name in shares.trial[shares.verdict == "off balance"].unique()
    ]
    uneven = attrition.trial[attrition.verdict == "more missing in one arm"].unique()
    off += [f"outcomes of {write_plain(name)} are missing more often in one arm" for name in uneven]
    if len(aside):
        off.append(
            f"{join_words([write_plain(name) for name in aside])} left out of all models: the arms"
            " can't have differed so before the assignment"
        )
    return f"**Read this with suspicion**: {'; '.join(off)}. " if off else ""


def _name(trial: str) -> str:
    words = write_plain(trial)
    return words[:1].upper() + words[1:]


def _chance(p: float) -> str:
    return "fewer than 1 in 1,000" if p < 0.001 else f"{p:.1%}"


def adjust_overall(effects: pd.DataFrame) -> pd.DataFrame:
    """Return the adjusted effects on all customers with ``p_family``: Holm's over all arms and
    outcomes.
    """
    rows = effects[(effects.segment_by == "") & (effects.method == ADJUSTED)]
    rows = rows.drop_duplicates(["outcome", "arm"])  # all trials stand first
    return rows.assign(p_family=multipletests(rows.p_value.fillna(1), method="holm")[1])


def say_effects(effects: pd.DataFrame, outcomes: dict[str, str], shares: dict[str, bool]) -> str:
    """Say which arms change which outcome, all customers together."""
    words = []
    for row in adjust_overall(effects).itertuples():
        effect = write_effect(row.effect, row.low, row.high, shares[row.outcome])
        if row.p_family < LEVEL:
            words.append(
                f"**{write_plain(row.arm)} {'raises' if row.effect > 0 else 'lowers'}"
                f" “{outcomes[row.outcome]}”**: {effect}"
            )
        else:
            words.append(
                f"no effect of {write_plain(row.arm)} on “{outcomes[row.outcome]}” is shown:"
                f" {effect}"
            )
    return (
        f"Per customer assigned: {'; '.join(words)}. Shown is what lies beyond luck for all arms"
        " and outcomes together (Holm, 2.5 %)."
    )


def judge(
    effects: pd.DataFrame,
    tests: pd.DataFrame,
    outcomes: dict[str, str],
    shares: dict[str, bool],
    against: pd.DataFrame,
    rival: str,
) -> str:
    """Return the verdict of ``decide`` in words.

    Parameters
    ----------
    effects : see ``effects.tabulate_effects``
    tests : see ``heterogeneity.judge_differences``, of all outcomes tested; empty where nothing was
        known before the assignment
    against : see ``ranking.tabulate_uplift_differences``
    rival : the ranking that everyone uses
    """
    kind, found = decide(effects, tests)
    told = say_effects(effects, outcomes, shares)
    if kind == "nothing":
        nor = (
            "Nor is it shown that the effect differs between customers. Don't target by effect, and"
            " don't contact for the effect's sake."
        )
        return f"**No evidence of an effect.** {told} {nor}"
    if kind == "same":
        return (
            f"**An effect, but none is shown to differ between customers.** {told} Nothing is shown"
            " to foretell who gains more than others: contact everybody or nobody, as the average"
            " effect and the cost decide, and don't target by effect."
        )
    if kind == "unknown":
        return (
            f"{told} Nothing is known of the customers before the assignment, so nobody can be told"
            " from another: an arm is for everybody or for nobody."
        )
    where = join_words([f"{write_plain(arm)}, on “{outcomes[outcome]}”" for arm, outcome in found])
    return (
        f"**The effect differs between customers, and that can be foretold** ({where}; at 2.5 %,"
        f" Holm). {told} {_say_rival(against, rival)} `65_targeting` says what a list by effect"
        " earns."
    )


def _say_rival(against: pd.DataFrame, rival: str) -> str:
    rows = against[
        (against.metric == "auuc") & (against.model == AVERAGED) & (against.reference == rival)
    ]
    if better := [write_plain(arm) for arm in rows.arm[rows.verdict == "better"].unique()]:
        return f"Averaged effects are shown to rank better than {rival} ({join_words(better)})."
    return (
        f"Averaged effects aren't shown to rank better than {rival}, by which a list may do as"
        " well."
    )


def decide(effects: pd.DataFrame, tests: pd.DataFrame) -> tuple[str, list[tuple[str, str]]]:
    """Return the kind of the verdict, nothing, same, differs, or unknown where no differences could
    be tested, and the arms and outcomes with any.
    """
    shown = (adjust_overall(effects).p_family < LEVEL).any()
    if tests.empty:
        return ("unknown" if shown else "nothing"), []
    family = multipletests(tests.p_value, method="holm")[1]
    arms = [
        *dict.fromkeys(
            (row.arm, row.outcome)
            for row, p in zip(tests.itertuples(), family, strict=True)
            if p < LEVEL
        )
    ]
    return ("differs" if arms else "same" if shown else "nothing"), arms


def say_placebos(placebos: pd.DataFrame, tests: pd.DataFrame) -> str:
    """Say how the real test compares with trials whose arms were dealt out anew."""
    n, words = placebos.placebo.nunique(), []
    for row in tests[tests.outcome == placebos.outcome.iloc[0]].itertuples():
        as_much = int((placebos[placebos.arm == row.arm].z_differences >= row.z).sum())
        words.append(
            f"{write_plain(row.arm)}: z {row.z:.2f}, reached by {as_much} of {n}".replace("-", "−")
        )
    return (
        "With the arms dealt out anew among the same customers, where nothing can be found:"
        f" {'; '.join(words)} placebos."
    )


def say_leaders(
    scores: pd.DataFrame, differences: pd.DataFrame, rival: str, arms: Sequence[str]
) -> str:
    """Say, by area below the uplift curve, which models rank better than by lot, and than the rival
    that everyone uses.
    """
    words = []
    for arm in arms:
        rows = scores[
            (scores.arm == arm) & (scores.metric == "auuc") & (scores.family != "reference")
        ]
        best = rows.loc[rows.value.idxmax()]
        against = differences[
            (differences.arm == arm)
            & (differences.metric == "auuc")
            & (differences.verdict == "better")
        ]
        lot, rivals = ([*against.model[against.reference == name]] for name in (RANDOM, rival))
        beaten = (
            f"better than by lot: {join_words(lot)}"
            if lot
            else "none is shown to rank better than by lot"
        )
        beaten += (
            f"; better than {rival}: {join_words(rivals)}"
            if rivals
            else f"; none better than {rival}"
        )
        words.append(f"**{write_plain(arm)}**: largest area {best.model}; {beaten}")
    return ". ".join(words) + "." + _say_gain(scores)


def _say_gain(scores: pd.DataFrame) -> str:
    arm = BEST_ARM if (scores.arm == BEST_ARM).any() else scores.arm.iloc[0]
    rows = scores[(scores.metric == "gain") & (scores.arm == arm)]
    sure = [*rows.model[rows.low > 0]]
    if not sure:
        return (
            " No model's choice of whom to contact, cost aside, is shown to do better than the best"
            " that is the same for everybody."
        )
    return (
        f" Cost aside, choosing by {join_words(sure)} does better than the best that is the same"
        " for everybody (interval above 0, each model on its own)."
    )


def say_associations(found: pd.DataFrame, share: bool) -> str:
    """Say what differs between chosen arms, and how strong an unseen cause would have to be; never
    as an effect.
    """
    words = []
    for row in found.itertuples():
        plain = (
            f"{100 * row.plain_difference:.2f} points".replace("-", "−")
            if share
            else f"{row.plain_difference:.2f}".replace("-", "−")
        )
        adjusted = write_effect(row.adjusted_difference, row.low, row.high, share)
        unsure = row.low <= 0 <= row.high
        hidden = (
            "the interval includes 0, so no association is shown in the first place"
            if unsure
            else (
                f"an unseen cause of {row.robustness_interval:.1%} of what is left of both, who was"
                " chosen and the outcome, would bring the interval to 0"
            )
        )
        words.append(
            f"{write_plain(row.trial)}, {write_plain(row.arm)}: customers differ from control by"
            f" {plain}, after adjustment by {adjusted}; {hidden} (the strongest known feature,"
            f" {write_plain(row.strongest)}, explains {row.strongest_arm:.1%} and"
            f" {row.strongest_outcome:.1%})"
            + (
                f"; after weighting the arms still differ by up to {row.unlike_sd:.2f} standard"
                f" deviations (beyond {UNLIKE:g} is called large)" * (row.unlike_sd > UNLIKE)
            )
        )
    return (
        "**An association, not an effect**: "
        + ". ".join(words)
        + ". Whether everything that decided about the arm is among the features, no table can"
        " show."
    )

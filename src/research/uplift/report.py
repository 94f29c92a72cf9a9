"""Tables for readers and sentences of ``60_uplift`` and ``62_observational``.

"No significant effect" and "no significant difference between customers" are verdicts that they can
reach.
"""

from collections.abc import Sequence

import pandas as pd

from research.evaluation.bootstrap import BETTER, WORSE
from research.evaluation.importance import Difference, describe_importance
from research.models.registry import BASELINE
from research.reporting.format import join_words, write_interval, write_number, write_plain
from research.reporting.metric import select_metrics
from research.reporting.tables import stack
from research.study_schema import ImportantDifference
from research.uplift.average_effects import ADJUSTED, DIFFERENCE_OF_MEANS
from research.uplift.balance import (
    LARGE_DIFFERENCE_SD,
    MISSING_UNEVENLY,
    NO_PLAN,
    RATIO_MISMATCH,
    TrialChecks,
)
from research.uplift.comparison import Comparison
from research.uplift.doubly_robust import describe_training
from research.uplift.heterogeneity import LEAST_PLACEBOS, compute_placebo_p
from research.uplift.learners.families import AVERAGED, RANDOM, find_heuristic
from research.uplift.metrics import BEST_ARM, METRICS
from research.uplift.randomisation import NOT_TESTED, REFUTED
from research.uplift.significance import FAMILY_LEVEL
from research.uplift.trials import Trial
from research.uplift.verdict import (
    EFFECTS_DIFFER,
    NO_EFFECT,
    SAME_EFFECT,
    adjust_overall,
    decide,
)

METHODS = (DIFFERENCE_OF_MEANS, ADJUSTED)  # columns with an interval in a cell
DIVISIONS = "single divisions"
DIGITS = 9  # of scores; what is smaller is rounding
METRIC_HEADINGS = {
    name: METRICS[name].words
    for name in select_metrics(
        METRICS, "auuc", "qini", "uplift_at_10", "uplift_at_30", "autoc", "slope", "gain"
    )
}
NOTHING_KNOWN = (
    "Nothing is known of these customers before the assignment: differences between them can't be"
    " learned."
)


def effect_scale(share: bool) -> float:
    """Return what effects are multiplied by: 100 for shares, which are given in points."""
    return 100 if share else 1


def write_effect(value: float, low: float, high: float, share: bool, unit: str = "") -> str:
    """Return an effect with its interval, in percentage points or in its own unit."""
    scale = effect_scale(share)
    text = write_interval(scale * value, scale * low, scale * high, 2)
    unit = "points" if share else unit
    return f"{text} {unit}" if unit else text


def describe_overlap(counts: pd.DataFrame) -> str:
    """Return how many outcomes are those of a next campaign, too; nothing where none is.

    Parameters
    ----------
    counts : see ``trials.Trial``
    """
    shared, analysed = int(counts.next_campaign.sum()), int(counts.analysed.sum())
    if not shared:
        return ""
    return (
        f"Of {analysed:,} outcomes {shared:,} ({shared / analysed:.0%}) came after the customer was"
        " in another campaign, too: effects are those of an assignment with what followed it."
    )


def describe_left_out(reasons: dict[str, str]) -> str:
    """Return which campaigns are left out, and why: each reason once; see ``find_left_out``."""
    parts = "; ".join(f"{names} ({reason})" for names, reason in reasons.items())
    return f"Left out: {parts}." if parts else ""


def describe_outcomes(trial: Trial) -> str:
    """Return what each outcome means, and its mean; and from how many customers models learn, where
    not from all.
    """
    parts = []
    for name, words in trial.outcomes.items():
        mean = trial.rows[name].mean()
        average = f"{mean:.1%}" if trial.shares[name] else f"{mean:,.2f}"
        parts.append(f"**{name}**: {words} ({average} on average)")
    largest = trial.rows.arm.value_counts().max() if trial.features else 0
    bound = describe_training(int(largest))
    return f"Outcomes: {'; '.join(parts)}. {bound}".strip()


def effects_table(effects: pd.DataFrame, trial: Trial) -> pd.DataFrame:
    """Return an outcome, an arm and its effect by either method in a row; effects on shares in
    percentage points.

    Parameters
    ----------
    effects : see ``average_effects.tabulate_effects``
    """
    rows = effects[effects.segment_by == ""]
    shares = trial.shares
    scale = rows.outcome.map(lambda name: effect_scale(shares[name]))
    cells = [
        stack(write_interval(*numbers, 2))
        for numbers in zip(
            *(rows[name] * scale for name in ("effect", "adjusted_low", "adjusted_high")),
            strict=True,
        )
    ]
    control = [
        f"{row.mean_control:.1%}" if shares[row.outcome] else f"{row.mean_control:,.2f}"
        for row in rows.itertuples()
    ]
    counts = [f"{row.n_arm:,} / {row.n_control:,}" for row in rows.itertuples()]
    table = rows.assign(
        cell=cells,
        outcome=rows.outcome.map(trial.outcomes),
        in_control=control,
        **{"in arm / control": counts},
    )
    keys = ["outcome", "trial", "arm"]
    adjusted = table[table.method == ADJUSTED].drop_duplicates(keys).set_index(keys)
    wide = table.pivot_table(
        index=keys, columns="method", values="cell", aggfunc="first", sort=False
    ).join(adjusted[["in_control", "p_adjusted", "in arm / control"]])
    methods = [method for method in METHODS if method in wide]
    wide = wide[["in_control", *methods, "p_adjusted", "in arm / control"]].reset_index()
    return wide.drop(columns=["trial"] if wide.trial.nunique() == 1 else [])


def uplift_scores_table(scores: pd.DataFrame, arm: str, share: bool) -> pd.DataFrame:
    """Return models as rows and scores as columns with their intervals, and the range of AUUC over
    single divisions; scores of shares in percentage points.

    Parameters
    ----------
    scores : of one outcome, see ``metrics.tabulate_uplift``
    """
    rows = scores[(scores.arm == arm) & scores.metric.isin(METRIC_HEADINGS)]
    if (rows.metric == "gain").all():
        cells = [_write_score(row, share) for row in rows.itertuples()]
        return pd.DataFrame({"model": rows.model, METRIC_HEADINGS["gain"]: cells}).reset_index(
            drop=True
        )
    cells = [stack(_write_score(row, share)) for row in rows.itertuples()]
    wide = (
        rows.assign(cell=cells)
        .pivot(index="model", columns="metric", values="cell")
        .reindex(rows.model.unique())
    )
    areas = rows[rows.metric == "auuc"].set_index("model")
    wide[DIVISIONS] = pd.Series(
        [_write_range(row.lowest, row.highest, share) for row in areas.itertuples()], areas.index
    )
    first, *others = METRIC_HEADINGS
    columns = [name for name in (first, DIVISIONS, *others) if name in wide]
    return wide[columns].rename(columns=METRIC_HEADINGS).fillna("").reset_index()


def describe_ranking(arm: str, trial: Trial, comparison: Comparison, resamples: int) -> str:
    """Return the note below the scores of one arm."""
    start = "Each in the arm with the largest predicted effect" if arm == BEST_ARM else f"Arm {arm}"
    customers = comparison.outcomes[0].customers
    return (
        f"{start}, outcome “{trial.outcomes[trial.primary]}”: {customers:,} customers,"
        f" {comparison.repeats} cross-fittings, {resamples} resamples of {trial.drawn}."
    )


def _write_score(row, share: bool) -> str:
    scale = effect_scale(share and row.metric != "slope")
    return write_interval(scale * row.value, scale * row.low, scale * row.high, 2)


def _write_range(lowest: float, highest: float, share: bool) -> str:
    scale = effect_scale(share)
    ends = [round(scale * value, 2) + 0.0 for value in (lowest, highest)]  # no zero has a sign
    return f"<small>{ends[0]:.2f} to {ends[1]:.2f}</small>".replace("-", "−")


def plan_table(plan: pd.DataFrame, trial: Trial) -> pd.DataFrame:
    """Return what the next test needs and can detect, see ``power.plan_test``, with effects in
    percentage points where they are shares.
    """
    shares = plan.outcome.map(trial.shares)

    def write(values: pd.Series) -> list[str]:
        return [
            f"{effect_scale(share) * value:.2f}{' points' if share else ''}".replace("-", "−")
            for value, share in zip(values, shares, strict=True)
        ]

    return pd.DataFrame(
        {
            "outcome": plan.outcome.map(trial.outcomes),
            "arm": plan.arm,
            "effect seen": write(plan.effect_seen),
            "customers per arm": plan.n_per_arm,
            "the same, adjusted": plan.n_per_arm_adjusted,
            "planned per arm": plan.planned_per_arm,
            "smallest effect": write(plan.smallest_effect),
            "of the mean in control, share": plan.smallest_share,
        }
    )


def describe_plan(plan: pd.DataFrame, trial: Trial) -> str:
    """Return for which arms and outcomes the planned campaign is large enough."""
    enough = plan[plan.planned_per_arm >= plan.n_per_arm_adjusted]
    if enough.empty:
        return "**The planned campaign is too small to detect any of these effects.**"
    names = join_words(
        [
            f"{write_plain(row.arm)} on “{trial.outcomes[row.outcome]}”"
            for row in enough.itertuples()
        ]
    )
    others = "" if len(enough) == len(plan) else ", and no other"
    return (
        "The planned campaign is large enough to detect an effect as large as that seen here for"
        f" {names}{others}."
    )


def describe_trial(checks: TrialChecks) -> str:
    """Return whether the arms have the planned sizes, were balanced before the assignment, and were
    followed up equally after it.
    """
    return " ".join(
        [
            *([_describe_refuted(checks)] if checks.refuted else []),
            *_describe_unit(checks.trial),
            *_describe_sample_ratio(checks.sample_ratio),
            _describe_balance(checks.summary),
            *_describe_randomisation(checks),
            _describe_attrition(checks.attrition),
            *_describe_dropped(checks.left_out),
        ]
    )


def _describe_unit(trial: Trial) -> list[str]:
    """Return what arms were drawn for, where it isn't the customer."""
    if trial.by_customer:
        return []
    units, rows = trial.rows.drop_duplicates(["trial", trial.unit]), trial.rows
    return [
        f"Arms were drawn by {write_plain(trial.unit)}: {len(units):,} for {len(rows):,} customers."
        " The tests of sizes, balance and missing outcomes, all intervals, the parts of a"
        " cross-fitting and the placebos go by it; effects are per customer."
    ]


def _describe_randomisation(checks: TrialChecks) -> list[str]:
    """Return that what was known before can be that of arms that were drawn; nothing where it isn't
    tested, or refuted.
    """
    tested = checks.randomisation[checks.randomisation.verdict != NOT_TESTED]
    if tested.empty or checks.refuted:
        return []
    chances = join_words([_write_probability(p) for p in tested.p_value])
    each = " (of the trials in their order)" if len(tested) > 1 else ""
    return [
        "What was known before doesn't refute that arms were drawn (permutation test: in"
        f" {chances}{each} of fair randomisations the largest difference is as large)."
    ]


def _describe_refuted(checks: TrialChecks) -> str:
    """Return what refutes the randomisation, and what to do."""
    rows = checks.randomisation[checks.randomisation.verdict == REFUTED]
    found = "; ".join(
        f"of {write_plain(row.trial)} {write_plain(row.feature)} differs between the arms by"
        f" {row.largest_z:.1f} standard errors, the largest difference of {row.features} features"
        for row in rows.itertuples()
    )
    return (
        f"**The arms can't have been drawn at random**: before the assignment, {found}, which fewer"
        " than 1 in 1,000 fair randomisations reach. So what follows are differences, adjusted for"
        f" what is known, and no effects. {_advise(checks.trial)}"
    )


def _advise(trial: Trial) -> str:
    """Return what to do with a trial that wasn't randomised, or not by this unit."""
    without = ", and leave its propensity empty" if trial.dated else ""
    written = "" if trial.dated else " a column that was written later belongs in leaks.drop;"
    unit = (
        ""
        if not trial.by_customer
        else (
            " if they were drawn for households, stores or regions, name the column"
            " (experiment.unit);"
        )
    )
    return (
        "If the arms were chosen, write experiment: {assignment: observational} into study.yml"
        f"{without}, and read 62_observational;{unit}{written} else ask who was lost between the"
        " draw and these tables."
    )


def soften(text: str, checks: TrialChecks) -> str:
    """Return a text about effects without anything in bold where the randomisation is refuted."""
    return text.replace("**", "") if checks.refuted else text


def _describe_sample_ratio(ratio: pd.DataFrame) -> list[str]:
    mismatched = ratio[ratio.verdict == RATIO_MISMATCH].drop_duplicates("trial")
    sentences = []
    if (ratio.verdict == NO_PLAN).any():
        sentences.append(
            "The planned sizes of the arms are not stated (experiment.shares in study.yml): the"
            " sample ratio can't be tested."
        )
    elif mismatched.empty:
        sentences.append("**The arms have the planned sizes** (test of the sample ratio).")
    if len(mismatched):
        several = len(mismatched) > 1
        names = join_words([_start_sentence(name) for name in mismatched.trial])
        chances = join_words([_write_probability(p) for p in mismatched.p_value])
        sentences.append(
            f"**{names}: sample ratio mismatch.** In {chances}"
            f" {'(in this order) ' if several else ''}of fair randomisations the sizes differ from"
            " the plan by as much: customers were lost or added on the way, and they may differ"
            f" from the others. Treat {'their' if several else 'its'} effects with caution until"
            " the reason is known."
        )
    return sentences


def _describe_balance(summary: pd.DataFrame) -> str:
    if summary.empty:
        return (
            "Nothing is known of the customers before the assignment: the balance of the arms can't"
            " be tested."
        )
    large = summary[summary.largest_sd > summary.chance_sd]
    if large.empty:
        return (
            "Before the assignment no feature differs by more than chance explains (largest:"
            f" {summary.largest_sd.max():.2f} standard deviations)."
        )
    differences = "; ".join(
        f"{_start_sentence(row.trial)}, {write_plain(row.arm)}: {write_plain(row.feature)} by"
        f" {row.largest_sd:.2f} standard deviations"
        for row in large.itertuples()
    )
    return f"Before the assignment arms differ by more than chance explains: {differences}."


def _describe_attrition(attrition: pd.DataFrame) -> str:
    uneven = attrition[attrition.verdict == MISSING_UNEVENLY].drop_duplicates(["trial", "outcome"])
    if len(uneven):
        names = "; ".join(
            f"{_start_sentence(row.trial)}, {row.outcome}" for row in uneven.itertuples()
        )
        return (
            f"**Outcomes are missing more often in one arm than in another** ({names}): the effects"
            " below are those on the customers observed, and may mislead."
        )
    missing = int(attrition.missing.sum())
    if not missing:
        return "No outcome is missing."
    return f"{missing:,} outcomes are missing, without a significant difference between the arms."


def _describe_dropped(left_out: Sequence[str]) -> list[str]:
    if not left_out:
        return []
    names = join_words([write_plain(name) for name in left_out])
    return [
        f"**{names} left out of all models**: before the assignment the arms can't have differed so"
        " much, so it was written after it."
    ]


def describe_doubts(checks: TrialChecks) -> str:
    """Return what makes the trial doubtful, as the beginning of a verdict; empty where nothing
    does.

    It is a randomisation that is refuted, a sample ratio mismatch, outcomes missing unevenly, or
    features written after the assignment.
    """
    refuted = f"{_describe_refuted(checks)} " if checks.refuted else ""
    ratio, attrition = checks.sample_ratio, checks.attrition
    mismatched = [*map(write_plain, ratio.trial[ratio.verdict == RATIO_MISMATCH].unique())]
    uneven = [*map(write_plain, attrition.trial[attrition.verdict == MISSING_UNEVENLY].unique())]
    doubts = []
    if mismatched:
        have = "has" if len(mismatched) == 1 else "have"
        doubts.append(f"{join_words(mismatched)} {have} a sample ratio mismatch")
    if uneven:
        doubts.append(f"outcomes of {join_words(uneven)} are missing more often in one arm")
    if checks.left_out:
        names = join_words([write_plain(name) for name in checks.left_out])
        doubts.append(
            f"{names} left out of all models: before the assignment the arms can't have differed"
            " so much"
        )
    doubts = f"**Read this with caution**: {'; '.join(doubts)}. " if doubts else ""
    return refuted + doubts


def _start_sentence(trial: str) -> str:
    words = write_plain(trial)
    return words[:1].upper() + words[1:]


def _write_probability(p: float) -> str:
    return "fewer than 1 in 1,000" if p < 0.001 else f"{p:.1%}"


def describe_effects(
    effects: pd.DataFrame, trial: Trial, told: Sequence[tuple[str, str]] = ()
) -> str:
    """Return which arms change which outcome, all customers together.

    Parameters
    ----------
    effects : see ``average_effects.tabulate_effects``
    told : arms and outcomes of which the sentence before has spoken
    """
    parts = []
    for row in adjust_overall(effects).itertuples():
        if (row.arm, row.outcome) in told:
            continue
        bounds = row.adjusted_low, row.adjusted_high
        effect = write_effect(row.effect, *bounds, trial.shares[row.outcome])
        arm, outcome = write_plain(row.arm), trial.outcomes[row.outcome]
        if row.p_family < FAMILY_LEVEL:
            direction = "raises" if row.effect > 0 else "lowers"
            parts.append(f"**{arm} {direction} “{outcome}”**: {effect}")
        else:
            parts.append(f"no significant effect of {arm} on “{outcome}”: {effect}")
    if not parts:
        return ""
    return (
        f"Per customer assigned: {'; '.join(parts)}. The level is 2.5 % for all arms and outcomes"
        " together (Holm)."
    )


def describe_important(important: ImportantDifference, effects: pd.DataFrame, trial: Trial) -> str:
    """Return whether the effects on the primary outcome matter; see ``describe_importance``."""
    rows = adjust_overall(effects)
    unit = "points" if trial.shares[trial.primary] else ""
    found = [
        Difference(
            "effect",
            f"the effect of {write_plain(row.arm)}",
            row.adjusted_low,
            row.adjusted_high,
            unit,
        )
        for row in rows[rows.outcome == trial.primary].itertuples()
    ]
    return describe_importance(important, found)


def describe_verdict(
    effects: pd.DataFrame, tests: pd.DataFrame, trial: Trial, differences: pd.DataFrame
) -> str:
    """Return the verdict of ``verdict.decide`` in words.

    Parameters
    ----------
    effects : see ``average_effects.tabulate_effects``
    tests : see ``heterogeneity.run_test``, of all outcomes tested; empty where nothing was known
        before the assignment
    differences : see ``metrics.tabulate_uplift_differences``
    """
    kind, pairs = decide(effects, tests)
    average = describe_effects(effects, trial)
    rankings = _describe_rankings(differences, trial)
    worse = _describe_worse(differences, trial)
    if kind == EFFECTS_DIFFER:
        sentences = (
            _describe_differing(effects, pairs, trial),
            describe_effects(effects, trial, told=_find_cancelling(effects, pairs)),
            _describe_heuristic(differences, find_heuristic(trial.primary), trial),
            "`65_targeting` estimates what a list by effect earns.",
        )
        return " ".join(sentence for sentence in sentences if sentence)
    if rankings:
        start = (
            "No significant effect on all customers together, but some can be ranked by it"
            if kind == NO_EFFECT
            else f"There is {_count_effects(effects)}, and customers can be ranked by it"
        )
        return (
            f"**{start}**: {rankings} {average} The test of effect heterogeneity isn't"
            " significant, so how far effects lie apart is uncertain. `65_targeting` estimates what"
            " a list earns."
        )
    if kind == NO_EFFECT:
        return f"**No significant effect.** {average} {_describe_undecided(tests)}{worse}"
    if kind == SAME_EFFECT:
        return (
            f"**There is {_count_effects(effects)}; whether it differs between customers is"
            f" inconclusive.** {average} {_describe_undecided(tests)}{worse} As long as"
            " nothing distinguishes customers, the average effect and the cost say whether contact"
            " pays."
        )
    return f"{average} {NOTHING_KNOWN} So an arm is for everybody or for nobody."


def _count_effects(effects: pd.DataFrame) -> str:
    """Say of how many arms and outcomes the average effect is significant."""
    p_values = adjust_overall(effects).p_family
    count = int((p_values < FAMILY_LEVEL).sum())
    effect = "an average effect" if count == 1 else "average effects"
    if count == len(p_values):
        return effect
    return f"{effect} in {count} of {len(p_values)} pairs of arm and outcome"


def _find_cancelling(
    effects: pd.DataFrame, pairs: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return those arms and outcomes whose average effect isn't significant though it differs."""
    rows = adjust_overall(effects)
    significant = rows[rows.p_family < FAMILY_LEVEL]
    known = {*zip(significant.arm, significant.outcome, strict=True)}
    return [pair for pair in pairs if pair not in known]


def _describe_differing(
    effects: pd.DataFrame, pairs: Sequence[tuple[str, str]], trial: Trial
) -> str:
    """Return where effects differ; of an average near zero in the same sentence why it is none."""
    cancelling = _find_cancelling(effects, pairs)
    plain = [_name_pair(*pair, trial) for pair in pairs if pair not in cancelling]
    level = "significant at 2.5 %, Holm"
    sentences = []
    if plain:
        sentences.append(
            "**The effect differs between customers, and models predict for whom it is larger**"
            f" ({join_words(plain)}; {level})."
        )
    rows = adjust_overall(effects).set_index(["arm", "outcome"])
    for arm, outcome in cancelling:
        row = rows.loc[(arm, outcome)]
        bounds = row.adjusted_low, row.adjusted_high
        effect = write_effect(row.effect, *bounds, trial.shares[outcome])
        sentences.append(
            f"**{write_plain(arm)} changes “{trial.outcomes[outcome]}” for some customers and not"
            " for others, or in opposite directions, so that over all of them no change is left to"
            f" see on average**: {effect}; models predict for whom it is larger ({level})."
        )
    return " ".join(sentences)


def _describe_undecided(tests: pd.DataFrame) -> str:
    """Say that neither differences nor their absence are shown: not found is not absent."""
    if tests.empty:
        return f"{NOTHING_KNOWN} Effects within these intervals are not ruled out."
    return (
        "The test of differences between customers isn't significant, and no ranking is better than"
        " random lists. That"
        " shows neither that contact does nothing nor that its effect is the same for all: what the"
        " intervals contain is not ruled out, and a larger trial may show it."
    )


def _describe_rankings(differences: pd.DataFrame, trial: Trial) -> str:
    """Return which rankings are significantly better than random lists; empty where none is."""
    better = _list_rankings(differences, trial, BETTER)
    return (
        "by the area below the uplift curve, significantly better than random lists are"
        f" {better} (corrected for the number of rankings).{_describe_worse(differences, trial)}"
        if better
        else ""
    )


def _describe_worse(differences: pd.DataFrame, trial: Trial) -> str:
    """Return which rankings are significantly worse than random lists; empty where none is."""
    worse = _list_rankings(differences, trial, WORSE)
    return f" Significantly worse than random lists: {worse}." if worse else ""


def _list_rankings(
    differences: pd.DataFrame, trial: Trial, verdict: str, reference: str = RANDOM
) -> str:
    """Return the rankings of one verdict against random lists, or another reference, by arm and
    outcome.
    """
    rows = differences[
        (differences.metric == "auuc")
        & (differences.reference == reference)
        & (differences.verdict == verdict)
    ]
    return "; ".join(
        f"{join_words([*part.model])} for {_name_pair(arm, outcome, trial)}"
        for (arm, outcome), part in rows.groupby(["arm", "outcome"], sort=False)
    )


def _name_pair(arm: str, outcome: str, trial: Trial) -> str:
    return f"{write_plain(arm)}, on “{trial.outcomes[outcome]}”"


def _describe_heuristic(differences: pd.DataFrame, heuristic: str, trial: Trial) -> str:
    rows = differences[
        (differences.metric == "auuc")
        & (differences.model == AVERAGED)
        & (differences.reference == heuristic)
        & (differences.verdict == BETTER)
    ]
    if len(rows):
        arms = join_words([write_plain(arm) for arm in rows.arm.unique()])
        return f"Averaged effects rank significantly better than {heuristic} ({arms})."
    others = _list_rankings(differences, trial, BETTER, heuristic)
    return (
        f"Averaged effects don't rank significantly better than {heuristic}: a list by it may do"
        " as well."
    ) + (f" Single learners that do: {others}." if others else "")


def describe_placebos(placebos: pd.DataFrame) -> str:
    """Return how the test compares with the same test on permuted arms; empty without placebos.

    Too few placebos to reach the level of the verdict, 0.025, are called an illustration.

    Parameters
    ----------
    placebos : see ``heterogeneity.run_placebos``
    """
    if placebos.empty:
        return ""
    rows = compute_placebo_p(placebos)
    few = rows.placebos.max() < LEAST_PLACEBOS
    parts = [
        f"{write_plain(row.arm)}: z {write_number(row.z, 2)}, reached by {row.reached} of"
        f" {row.placebos}" + ("" if few else f" (p {row.p_value:.2f})")
        for row in rows.itertuples()
    ]
    limits = (
        f" An illustration: so few can't tell a z from chance, {LEAST_PLACEBOS} could."
        if few
        else " p is one-sided, of a permutation, and not adjusted for the arms."
    )
    return (
        "Placebo test with permuted arms among the same customers, where effects can't differ, one"
        f" division into halves each: {'; '.join(parts)} placebos.{limits} The verdict rests on the"
        " test above, which sees more: several divisions, and five parts."
    )


def describe_score_note(comparison: Comparison) -> str:
    """Return how the score tables are to be read, or why there are none."""
    if not comparison.outcomes:
        return NOTHING_KNOWN
    return (
        "A learner whose interval includes 0 doesn't rank significantly better than at random."
        " Intervals, but those of the slope, hold for all learners of an arm together at 95 %"
        " (Bonferroni)."
    )


def describe_leaders(comparison: Comparison) -> str:
    """Return, by area below the uplift curve, which models rank better than at random, and than the
    heuristic in common use; empty where nothing is compared.
    """
    if not comparison.outcomes:
        return ""
    scores, heuristic = comparison.primary_scores, comparison.outcomes[0].heuristic
    better = comparison.primary_differences
    better = better[(better.metric == "auuc") & (better.verdict == BETTER)]
    parts = []
    for arm in comparison.arms:
        areas = scores[(scores.arm == arm) & (scores.metric == "auuc")]
        areas = areas[areas.family != BASELINE]
        best = areas.model[areas.value.idxmax()]
        than_random, than_heuristic = (
            [*better.model[(better.arm == arm) & (better.reference == name)]]
            for name in (RANDOM, heuristic)
        )
        parts.append(
            f"**{write_plain(arm)}**: largest area {best}; significantly better than at random:"
            f" {_join_or_none(than_random)}; than {heuristic}: {_join_or_none(than_heuristic)}"
        )
    return f"{'. '.join(parts)}. {_describe_gain(scores)}"


def _join_or_none(names: list[str]) -> str:
    return join_words(names) if names else "none"


def _describe_gain(scores: pd.DataFrame) -> str:
    gains = scores[scores.metric == "gain"].round({"low": DIGITS, "high": DIGITS})
    arm = BEST_ARM if (gains.arm == BEST_ARM).any() else scores.arm.iloc[0]
    significant = [*gains.model[(gains.low > 0) & (gains.arm == arm)]]
    text = (
        f"Cost aside, choosing by {join_words(significant)} does significantly better than the best"
        " uniform policy (each model on its own)."
        if significant
        else "Cost aside, no model's choice of whom to contact does significantly better than the"
        " best uniform policy."
    )
    worse = "; ".join(
        f"{join_words([*part.model])} ({write_plain(name)})"
        for name, part in gains[gains.high < 0].groupby("arm", sort=False)
    )
    return text + (f" Significantly worse than it: {worse}." if worse else "")


def associations_table(associations: pd.DataFrame, trial: Trial) -> pd.DataFrame:
    """Return the plain and the adjusted difference of each arm to control, with the robustness
    value; differences of shares in percentage points.

    Parameters
    ----------
    associations : see ``observational.compare_campaign``
    """
    share = trial.shares[trial.primary]
    rows = [*associations.itertuples()]
    return pd.DataFrame(
        {
            "trial": associations.trial,
            "arm": associations.arm,
            "plain": [f"{effect_scale(share) * row.plain_difference:.2f}" for row in rows],
            "adjusted": [
                write_effect(row.adjusted_difference, row.low, row.high, share) for row in rows
            ],
            "customers": associations.n,
            "left out": associations.left_out,
            "robustness value, share": associations.robustness,
            "of the interval, share": associations.robustness_interval,
        }
    ).replace({"plain": {"-": "−"}}, regex=True)


def describe_associations(associations: pd.DataFrame, share: bool) -> str:
    """Return what differs between chosen arms, and how strong an unobserved confounder would have
    to be; never as an effect.
    """
    if associations.empty:
        return "**No association can be estimated.**"
    parts = [_describe_association(row, share) for row in associations.itertuples()]
    return (
        f"**An association, not an effect**: {'. '.join(parts)}. Whether every cause of the arm is"
        " among the features, no table can show."
    )


def _describe_association(row, share: bool) -> str:
    plain = f"{effect_scale(share) * row.plain_difference:.2f}{' points' if share else ''}"
    adjusted = write_effect(row.adjusted_difference, row.low, row.high, share)
    if row.low <= 0 <= row.high:
        confounder = "no significant association"
    else:
        confounder = (
            f"an unobserved confounder that explains {row.robustness_interval:.1%} of the residual"
            " variance of both, the arm and the outcome, would bring the interval to 0"
        )
    text = (
        f"{write_plain(row.trial)}, {write_plain(row.arm)}: customers differ from control by"
        f" {plain.replace('-', '−')}, after adjustment by {adjusted}; {confounder} (the strongest"
        f" feature, {write_plain(row.strongest)}, explains {row.strongest_arm:.1%} and"
        f" {row.strongest_outcome:.1%})"
    )
    if row.unlike_sd > LARGE_DIFFERENCE_SD:
        text += (
            f"; after weighting the arms still differ by up to {row.unlike_sd:.2f} standard"
            f" deviations (large: beyond {LARGE_DIFFERENCE_SD:g})"
        )
    return text


def describe_no_overlap(faults: Sequence[str]) -> str:
    """Return why no campaign is compared."""
    return " ".join(faults) or "No campaign can be compared."

"""Sentences and tables of ``40_survival`` for its readers, computed from the result tables.

Each verdict can be that nothing significant was found.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from research.evaluation.importance import Difference, describe_importance
from research.evaluation.intervals import SIGNIFICANCE_LEVEL
from research.models.registry import BASELINE
from research.reporting.format import (
    join_words,
    write_interval,
    write_plain,
    write_quantity,
    write_share,
)
from research.study import Study
from research.study_schema import ImportantDifference
from research.survival.evaluate import find_best_model
from research.survival.follow_up import SurvivalPanel
from research.survival.non_proportional import BY_PERIOD, NONE, STRATIFIED
from research.survival.tenure import ALL

CERTAIN = 0.001  # p-value of dependent censoring below which the mean prediction is not judged
MAX_NAMED = 4
MIN_OBSERVED = 50  # customers at risk on the day of which a sentence speaks
DEPENDENT_CENSORING = (
    "But censoring depends on the predicted risk: customers who are censored early differ from"
    " those followed for long. Kaplan-Meier, and the weights behind the Brier score and Uno's"
    " concordance, assume that it doesn't: these scores are biased by an unknown amount, and the"
    " mean prediction isn't judged. Groups of similar predictions (pictures of predicted against"
    " observed) suffer less."
)
SCORE_WORDS = {
    "integrated_brier": "integrated Brier score",
    "uno_c": "concordance (Uno)",
    "harrell_c": "concordance (Harrell)",
}
SHORT_UNITS = 20  # units of a restriction time below which lifetimes need two decimals
UNIT_HEADS = {
    "given_days": "given {}",
    "median_days": "median, {}",
    "until_days": "until {}",
    "mean_days": "mean {}",
    "longest_days": "longest observed, {}",
}


def rename_units(table: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Return a table whose columns of days are headed by the unit that a flat study counts in."""
    if unit == "days":
        return table
    return table.rename(columns={name: head.format(unit) for name, head in UNIT_HEADS.items()})


def describe_judged(panel: SurvivalPanel, study: Study) -> str:
    """Return on which days how many customers are judged, and why on those; empty if flat."""
    if not panel.dated:
        return ""
    counts = panel.test.groupby("snapshot").customer_id.nunique()
    named = [f"{n:,} on {pd.Timestamp(day):%Y-%m-%d}" for day, n in counts.items()]
    customers = f"Test rows are of {panel.test.customer_id.nunique():,} customers"
    sentence = f"{customers}: {join_words(named)}."
    if study.kind == "contractual":
        return sentence
    return (
        f"{sentence} These are active then, as those whom `30_risk` judges are on"
        f" {study.snapshots.last}; here the day leaves room for lapses, which are known only"
        f" {study.churn.inactive_days} days later, to be followed for {max(panel.days)} days in"
        " training and again in test."
    )


def survival_score_table(scores: pd.DataFrame, differences: bool = False) -> pd.DataFrame:
    """Return the scores of the whole curve, one row per model, as "value (low to high)".

    Parameters
    ----------
    scores : see ``survival_metrics.score_models``
    differences : to the baseline, in place of the scores
    """
    prefix = "difference_" if differences else ""
    names = ["difference" if differences else "value", f"{prefix}low", f"{prefix}high"]
    rows = scores[scores.days.isna() & ((scores.family != BASELINE) | (not differences))]
    words = _name_scores(rows, names)
    cells = rows.assign(
        cell=[write_interval(*numbers) for numbers in rows[names].itertuples(index=False)]
    )
    table = cells.pivot(index="model", columns="metric", values="cell").loc[
        rows.model.unique(), list(words)
    ]
    return table.rename(columns=words).rename_axis(columns=None).reset_index()


def _name_scores(rows: pd.DataFrame, names: Sequence[str]) -> dict[str, str]:
    """Return the scores to show; two concordances are one where nobody's censoring parts them."""
    uno, harrell = (
        rows[rows.metric == metric].set_index("model")[[*names]]
        for metric in ("uno_c", "harrell_c")
    )
    if not uno.equals(harrell):
        return SCORE_WORDS
    return {
        "integrated_brier": SCORE_WORDS["integrated_brier"],
        "uno_c": "concordance (Uno and Harrell: the same)",
    }


def describe_tenures(
    summary: pd.DataFrame, curves: pd.DataFrame, step: pd.DataFrame, unit: str = "days"
) -> str:
    """Return when half have left, and where the curve of all customers has its largest step.

    Parameters
    ----------
    summary : see ``tenure.summarise_tenures``
    curves : see ``tenure.tabulate_curves``
    step : see ``largest_step.find_largest_step``; nothing is said of an empty one
    """
    sentences = [_describe_median(summary, curves, unit)]
    sentences += [_describe_step(row, unit) for row in step.itertuples()]
    return " ".join(sentence for sentence in sentences if sentence)


def _describe_median(summary: pd.DataFrame, curves: pd.DataFrame, unit: str) -> str:
    """Return when half have left; else how many by the last time at which enough are followed."""
    rows, curve = summary[summary.segment_by == ALL], curves[curves.segment_by == ALL]
    if curve.empty:
        return ""
    given = curve.given_days.iloc[0]
    whom = f"customers still there after {given:,.0f} {unit}" if given > 0 else "customers"
    if len(rows) and np.isfinite(rows.median_days.iloc[0]):
        row = rows.iloc[0]
        if row.median_days == given == 0:
            return _describe_start(curve.iloc[0], unit)
        if pd.isna(row.high_days):
            return _describe_open_median(row, whom, curve.high.min(), unit)
        between = f" ({row.low_days:,.0f} to {row.high_days:,.0f})"
        half = f"**Half of the {whom} leave within {row.median_days:,.0f}{between} {unit}.**"
        return half + _describe_later(row, unit)
    followed = curve[curve.at_risk >= MIN_OBSERVED]
    row = (followed if len(followed) else curve).iloc[-1]
    left = (write_quantity(1 - value, "share") for value in (row.survival, row.high, row.low))
    share, low, high = left
    return (
        f"**Fewer than half of the {whom} leave within {row.days:,.0f} {unit}**, as far as enough"
        f" are followed: {share} ({low} to {high})."
    )


def _describe_later(row: pd.Series, unit: str) -> str:
    """Return on which day the median lies, and how many customers are observed only after it."""
    if not row.given_days:
        return ""
    day = row.given_days + row.median_days
    name = "day" if unit == "days" else _write_one(unit)
    since = f" That is {name} {day:,.0f} since joining."
    if not row.entered_later:
        return since
    return (
        f"{since} {row.entered_later:,.0f} of the {row.customers:,.0f} customers are observed only"
        " from later on and don't count in it: it is the median of the others."
    )


def _describe_open_median(row, whom: str, most: float, unit: str) -> str:
    """Return a median whose interval has no upper bound: half is not shown to leave."""
    return (
        f"**Half of the {whom} are estimated to leave within {row.median_days:,.0f} {unit}** (95 %"
        f" interval from {row.low_days:,.0f} on, without an upper bound): that half leave at all is"
        f" not shown, up to {write_quantity(most, 'share')} may stay beyond the follow-up."
    )


def _describe_start(row: pd.Series, unit: str) -> str:
    """Return how many have a duration of 0, where they are at least half."""
    left = (write_quantity(1 - value, "share") for value in (row.survival, row.high, row.low))
    share, low, high = left
    when = "on their first day" if unit == "days" else f"with a duration of 0 {unit}"
    return f"**{share} ({low} to {high}) of the customers leave {when}**: the median stay is 0."


def _describe_step(row, unit: str) -> str:
    """Return the largest step of a curve, or that none stands out."""
    width = row.until_days - row.from_days
    window = f"{width:,.0f} {unit}" if width > 1 else _write_one(unit)
    around = [
        f"{write_quantity(share, 'share')} in the {window} {place}"
        for share, place in ((row.before_share, "before"), (row.after_share, "after"))
        if np.isfinite(share)
    ]
    if row.p_value >= SIGNIFICANCE_LEVEL:
        return (
            f"No step of the curve stands out: in no {window} do significantly more leave than in"
            f" the {window} before and after ({row.windows:,} tried)."
        )
    there = (
        f"of those still there after {row.from_days:,.0f} {unit}"
        if row.from_days
        else "at the very beginning"
    )
    length = window if width > 1 else f"a {window}"
    left = write_quantity(row.left_share, "share")
    low, high = (write_quantity(bound, "share") for bound in (row.low, row.high))
    cause = (
        f", where a term of {row.term_months:.0f} months ends for the first time"
        if np.isfinite(row.term_months)
        else ""
    )
    return (
        f"**The largest step of the curve**{cause}: {there} {left} ({low} to {high}) leave within"
        f" {length}, against {join_words(around)} (p {_write_chance(row.p_value)}, corrected for"
        f" {row.windows:,} windows)."
    )


def _write_one(unit: str) -> str:
    """Return the singular of "months" or "units of duration"."""
    first, *rest = unit.split(" ")
    return " ".join([first.removesuffix("s"), *rest])


def _write_chance(p: float) -> str:
    return "below 0.001" if p < 0.001 else f"{p:.3f}"


def describe_proxies(proxies: Sequence[str]) -> str:
    """Name the columns of a flat study that stand for the duration; see ``find_duration_proxies``.

    Empty where there are none.
    """
    if not proxies:
        return ""
    return f"Left out, because they stand for the duration itself: {join_words(proxies)}."


def describe_attributes(study: Study, allowed: int, attributes: int) -> str:
    """Return how many of the features were known at the start of a tenure."""
    counted = f"Of the {allowed} features, {attributes}"
    if study.kind != "flat":
        return f"{counted} are known at the start of a tenure."
    return (
        f"{counted} are compared below, as they were on the day on which the data were drawn: a"
        " flat study doesn't say which were known at the start of a tenure, and what adds up over"
        " one, such as calls or refunds, can follow from its length."
    )


def describe_segments(tests: pd.DataFrame, summary: pd.DataFrame, unit: str = "days") -> str:
    """Return which attributes go with a different survival, and the ends of the clearest one.

    Parameters
    ----------
    tests : see ``tenure.compare_segments``
    summary : see ``tenure.summarise_tenures``
    """
    if tests.empty:
        return ""
    significant = tests[tests.p_adjusted < SIGNIFICANCE_LEVEL]
    if significant.empty:
        return (
            f"**Survival doesn't differ significantly by any attribute**: {len(tests)} tested"
            " (log-rank, p-values after Holm's correction)."
        )
    names = [_space(name) for name in significant.segment_by[:MAX_NAMED]]
    more = len(significant) - MAX_NAMED
    named = ", ".join(names) + (f" and {more} more" if more > 0 else "")
    start = (
        f"**Survival differs significantly by {named}** ({len(significant)} of {len(tests)}"
        " attributes tested, log-rank, p below 5 % after Holm's correction)."
    )
    return f"{start}{_describe_ends(summary, significant.segment_by.iloc[0], unit)}"


def _describe_ends(summary: pd.DataFrame, by: str, unit: str) -> str:
    """Return the longest and the shortest mean tenure of the segments of one attribute."""
    rows = summary[(summary.segment_by == by) & summary.mean_low.notna()].sort_values("mean_days")
    # means that are conditional on a longer tenure can't be compared with the others
    rows = rows[rows.given_days == rows.given_days.min()]
    if len(rows) < 2:
        return ""
    given = rows.given_days.iloc[0]
    after = f" after day {given:.0f}" if given > 0 else ""
    ends = [
        f"{write_plain(row.segment)} {_write_days(row.mean_days, row.mean_low, row.mean_high)}"
        for row in (rows.iloc[-1], rows.iloc[0])
    ]
    return (
        f" By {_space(by)}, the restricted mean tenure over the first"
        f" {rows.until_days.iloc[0]:,.0f} {unit}{after} is {'; '.join(ends)}."
    )


def _write_days(value: float, low: float, high: float) -> str:
    return write_interval(value, low, high, 0 if value >= 20 else 1)


def _space(name: str) -> str:
    return str(name).replace("_", " ")


def proportionality_table(tests: pd.DataFrame) -> pd.DataFrame:
    """Return the tests of proportional hazards, the clearest rejection first."""
    return tests if tests.empty else tests.sort_values("p_value")


def describe_separation(ratios: pd.DataFrame) -> str:
    """Name the columns without a hazard ratio; see ``cox.tabulate_hazard_ratios``."""
    if ratios.empty:
        return ""
    names = [write_plain(name, 60) for name in ratios.column[ratios.separated]]
    if not names:
        return ""
    return (
        f"No hazard ratio can be estimated for {join_words(names)}: all of those customers, or none"
        " of them, left before the others."
    )


def describe_proportionality(
    tests: pd.DataFrame, changing: str | None, alternatives: pd.DataFrame
) -> str:
    """Return whether hazard ratios may be constant over time, and what the alternatives gain.

    Parameters
    ----------
    tests : see ``cox.check_proportionality``
    changing : see ``non_proportional.find_least_proportional``
    alternatives : see ``non_proportional.compare_alternatives``; empty where there is none
    """
    if tests.empty:
        return ""
    tested, joint = int((tests.term != "all").sum()), tests[tests.term == "all"].iloc[0]
    if changing is None:
        return (
            f"**Proportional hazards are not rejected for any attribute** ({tested} tested, jointly"
            f" p = {joint.p_value:.2g}). That doesn't show that they hold: each ratio is an average"
            " over the follow-up, and may change within it."
        )
    row, by_model = tests.set_index("term").loc[changing], alternatives.set_index("remedy")
    rejected = int((tests.p_adjusted[tests.term != "all"] < SIGNIFICANCE_LEVEL).sum())
    sentences = [
        f"**Proportional hazards are rejected for {rejected} of {tested} attributes**, most clearly"
        f" for {_space(changing)} (χ² {row.chi2:.1f}, {row.df:.0f} df, p = {row.p_adjusted:.1g}"
        " after Holm's correction): one ratio for all times misleads.",
        _describe_periods(by_model.loc[BY_PERIOD], changing),
    ]
    if STRATIFIED in by_model.index and np.isfinite(by_model.still_changing[STRATIFIED]):
        before, after = by_model.still_changing[NONE], by_model.still_changing[STRATIFIED]
        constant = "rejected" if after < SIGNIFICANCE_LEVEL else "not rejected"
        sentences.append(
            f"With {_space(changing)} as strata, proportional hazards of the other attributes are"
            f" {constant} (jointly p = {after:.1g}, before p = {before:.1g})."
        )
    return " ".join(sentences)


def _describe_periods(gain: pd.Series, term: str) -> str:
    start = f"For {_space(term)}, separate ratios for three periods"
    if not np.isfinite(gain.p_value):
        return f"{start} can't be estimated: it is not known whether they fit better."
    numbers = f"(likelihood-ratio χ² {gain.gain:.1f}, {gain.df:.0f} df, p = {gain.p_value:.1g})"
    if gain.p_value < SIGNIFICANCE_LEVEL:
        return f"{start} fit better {numbers}: read its ratios by period."
    return f"{start} don't fit significantly better {numbers}."


def describe_reasons(reasons: pd.DataFrame) -> str:
    """Return the share that left by reason, by the last day with at least 50 at risk.

    Parameters
    ----------
    reasons : see ``cumulative_incidence.compute_cumulative_incidence``
    """
    if reasons.empty:
        return "The study doesn't record who left voluntarily."
    followed = reasons[reasons.at_risk >= MIN_OBSERVED]
    followed = followed if len(followed) else reasons
    rows = followed[followed.days == followed.days.max()].sort_values("share", ascending=False)
    parts = [f"{row.reason} {write_share(row, 'share')}" for row in rows.itertuples()]
    return f"Share that has left by day {rows.days.iloc[0]:,.0f} since joining: {'; '.join(parts)}."


def describe_scores(scores: pd.DataFrame, unit: str = "days", censoring: float = np.nan) -> str:
    """Return whether the best model beats Kaplan-Meier, and whether it is calibrated.

    Parameters
    ----------
    scores : see ``survival_metrics.score_models``
    censoring : p-value of ``evaluate.check_independent_censoring``; below 0.1 % the mean prediction
        is not compared with Kaplan-Meier
    """
    best = find_best_model(scores)
    name, rows = best[:1].upper() + best[1:], scores[scores.model == best].set_index("metric")
    brier, rank = rows.loc["integrated_brier"], rows.loc["uno_c"]
    change = write_interval(brier.difference, brier.difference_low, brier.difference_high, 4)
    order = f"its concordance (Uno) is {write_interval(rank.value, rank.low, rank.high)}"
    if brier.verdict == "better":
        verdict = (
            f"**{name} predicts survival better than Kaplan-Meier**: the integrated Brier score"
            f" (lower is better) differs by {change}; {order}."
        )
    elif rank.verdict == "better":
        verdict = (
            f"**{name} ranks who leaves sooner, but its probabilities are not significantly better"
            f" than Kaplan-Meier's**: {order}; the integrated Brier score differs by {change}."
        )
    else:
        verdict = (
            "**No model is significantly better than Kaplan-Meier, the same curve for everybody**:"
            f" {best}, with the lowest integrated Brier score, differs by {change}; {order}. These"
            " features don't predict when customers leave, or there are too few customers to show"
            " it."
        )
    if censoring < CERTAIN:
        return f"{verdict} {DEPENDENT_CENSORING}"
    means = scores[(scores.model == best) & (scores.metric == "calibration")]
    return f"{verdict} {_describe_calibration(means, unit)}"


def describe_important(important: ImportantDifference, scores: pd.DataFrame) -> str:
    """Return whether the lead on Kaplan-Meier matters; see ``describe_importance``."""
    best = find_best_model(scores)
    row = scores[(scores.model == best) & (scores.metric == "integrated_brier")].iloc[0]
    words = f"the integrated Brier score between {best} and Kaplan-Meier"
    found = [Difference("brier", words, row.difference_low, row.difference_high)]
    return describe_importance(important, found)


def _describe_calibration(rows: pd.DataFrame, unit: str) -> str:
    """Return on which side the mean prediction is off, by intervals for all days together."""
    off = rows[(rows.low > 0) | (rows.high < 0)]
    if off.empty:
        return (
            "The mean predicted share of leavers doesn't differ significantly from the observed one"
            " at any of the judged times."
        )
    worst = off.loc[off.value.abs().idxmax()]
    side = "too many" if worst.value > 0 else "too few"
    points = write_quantity(abs(worst.value), "share").replace(" %", " points")
    return (
        f"It predicts {side} leavers by {worst.days:g} {unit}, by {points} of all (significant at"
        f" {len(off)} of {len(rows)} times): read its curves as a ranking first."
    )


def describe_lifetimes(lifetimes: pd.DataFrame, unit: str = "days") -> str:
    """Return how long customers are expected to stay, and for how many a median is reached.

    Parameters
    ----------
    lifetimes : see ``remaining_lifetime.predict_remaining_lifetimes``
    """
    estimated = lifetimes[lifetimes.restricted_mean_days.notna()]
    if estimated.empty:
        return (
            "**No remaining lifetime can be estimated**: every tenure is already as long as the"
            " longest follow-up."
        )
    low, middle, high = estimated.restricted_mean_days.quantile([0.1, 0.5, 0.9])
    width = (estimated.high_mean_days - estimated.low_mean_days).median()
    digits = 1 if estimated.until_days.iloc[0] >= SHORT_UNITS else 2
    typical = (f"{number:,.{digits}f}" for number in (middle, low, high, width))
    middle, low, high, width = typical
    beyond = len(lifetimes) - len(estimated)
    left_out = (
        f" {beyond:,} have lasted as long as the longest follow-up already: empty."
        if beyond
        else ""
    )
    return (
        f"Of the next {estimated.until_days.iloc[0]:,.0f} {unit}, half of the"
        f" {len(estimated):,} customers are expected to stay more than {middle}; a tenth less"
        f" than {low}, a tenth more than {high}. The 95 % interval of a single"
        f" expectation is typically {width} wide. For"
        f" {estimated.median_days.notna().sum():,} the median lies within that time; for the others"
        f" it is not reached, and empty.{left_out}"
    )

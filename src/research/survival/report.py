"""Verdicts of ``40_survival`` in words, computed from its tables; "nothing found" is one that each
of them can reach.
"""

import numpy as np
import pandas as pd
from scipy.stats import norm

from research.evaluation.intervals import Z
from research.reporting.format import join_words, write_interval, write_plain, write_quantity

LEVEL = 0.05
SURE = 0.001
RELATED = (
    "But who is lost from sight early differs from who is watched long in what the model sees."
    " Kaplan-Meier, and the weights behind the Brier score and Uno's concordance, take them as"
    " alike: these scores are off by an amount that the data don't tell, and the mean prediction"
    " isn't judged. Groups of like predictions (pictures of predicted against observed) suffer"
    " less."
)
MOST_NAMED = 4
WHOLE = {
    "integrated_brier": "integrated Brier score",
    "uno_c": "concordance (Uno)",
    "harrell_c": "concordance (Harrell)",
}


def describe_segments(tests: pd.DataFrame, summary: pd.DataFrame, unit: str = "days") -> str:
    """Say which segments leave at another pace, with the longest and the shortest stay of the
    clearest attribute.

    Parameters
    ----------
    tests : see ``stays.compare_segments``
    summary : see ``stays.summarise_tenures``
    """
    found = tests[tests.p_adjusted < LEVEL]
    if found.empty:
        return (
            f"**No attribute tells who leaves sooner**: of {len(tests)} tried, the log-rank test"
            " shows no difference between the segments of any."
        )
    first = found.iloc[0]
    rows = summary[(summary.segment_by == first.segment_by) & summary.mean_low.notna()].sort_values(
        "mean_days"
    )
    rows = rows[
        rows.given_days == rows.given_days.min()
    ]  # what has lasted longer is not to be compared
    names = ", ".join(_plain(name) for name in found.segment_by[:MOST_NAMED])
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    start = (
        f"**Customers leave at another pace by {names}{more}** ({len(found)} of {len(tests)}"
        " attributes tried, log-rank, p below 5 % after Holm's correction)."
    )
    if len(rows) < 2:
        return start
    ends = [
        f"{write_plain(row.segment)}: {_say(row, 'mean_days', 'mean_low', 'mean_high')}"
        for row in (rows.iloc[-1], rows.iloc[0])
    ]
    return (
        f"{start} By {_plain(first.segment_by)}, of the first {rows.until_days.iloc[0]:,.0f}"
        f" {unit}{_given(rows)} they stay on average {'; '.join(ends)}."
    )


def _given(rows: pd.DataFrame) -> str:
    return f" after day {rows.given_days.iloc[0]:.0f}" if rows.given_days.iloc[0] > 0 else ""


def _say(row: pd.Series, value: str, low: str, high: str) -> str:
    return write_interval(row[value], row[low], row[high], 0 if row[value] >= 20 else 1)


def _plain(name: str) -> str:
    return str(name).replace("_", " ")


def describe_proportionality(tests: pd.DataFrame, worst: str | None, remedies: pd.DataFrame) -> str:
    """Say whether hazard ratios stay the same over time, and what the remedies gain.

    Parameters
    ----------
    tests : see ``proportional.check_proportionality``
    worst : the term whose ratio changes most surely, or none
    remedies : see ``remedies.compare_alternatives``, empty where there is none
    """
    tried, joint = int((tests.term != "all").sum()), tests[tests.term == "all"].iloc[0]
    if worst is None:
        return (
            f"**No hazard ratio is shown to change over time** ({tried}"
            f" attribute{'s' if tried > 1 else ''} tested, jointly p = {joint.p_value:.2g}): the"
            " ratios above can be read as they stand, as far as these data tell."
        )
    row, by = tests.set_index("term").loc[worst], remedies.set_index("remedy")
    beyond = int((tests.p_value[tests.term != "all"] * tried < LEVEL).sum())
    words = [
        f"**The hazard ratios of {_plain(worst)} change over time** (chi² {row.chi2:.1f} on"
        f" {row.df:.0f}, p = {row.p_value:.1g}): one ratio for all times misleads. So surely do"
        f" those of {beyond} of {tried} attributes; the clearest is taken here."
    ]
    gain = by.loc["periods"]
    judged = (
        "so do read it by period"
        if gain.p_value < LEVEL
        else "which is not more than chance would give"
    )
    words.append(
        f"Told apart in periods, it gains {gain.gain:.1f} in twice the log-likelihood for"
        f" {gain.df:.0f} more coefficients (p = {gain.p_value:.1g}), {judged}."
    )
    if "strata" in by.index and np.isfinite(by.still_changing["strata"]):
        still = "still change" if by.still_changing["strata"] < LEVEL else "are not shown to change"
        before, after = by.still_changing["none"], by.still_changing["strata"]
        words.append(
            f"With {_plain(worst)} as strata, the ratios of the other attributes {still} (jointly p"
            f" = {after:.1g}, before p = {before:.1g})."
        )
    return " ".join(words)


def describe_reasons(reasons: pd.DataFrame) -> str:
    """Say which share leaves for which reason by the last day on which at least 50 were watched."""
    watched = reasons[reasons.at_risk >= 50]
    watched = watched if len(watched) else reasons
    rows = watched[watched.days == watched.days.max()].sort_values("share", ascending=False)
    parts = [f"{row.reason} {_range(row)}" for row in rows.itertuples()]
    return f"By day {rows.days.iloc[0]:,.0f} of a stay, so many have left: {'; '.join(parts)}."


def _range(row) -> str:
    return (
        f"{write_quantity(row.share, 'share')} ({write_quantity(row.low, 'share')} to"
        f" {write_quantity(row.high, 'share')})"
    )


def survival_score_table(scores: pd.DataFrame, differences: bool = False) -> pd.DataFrame:
    """Return the scores of the whole curve, or their differences to the reference, with models as
    rows, each as "value (low to high)".
    """
    names = (
        ("difference", "difference_low", "difference_high")
        if differences
        else ("value", "low", "high")
    )
    rows = scores[scores.days.isna() & ((scores.family != "reference") | (not differences))]
    cells = rows.assign(
        cell=[write_interval(*numbers) for numbers in rows[list(names)].itertuples(index=False)]
    )
    table = cells.pivot(index="model", columns="metric", values="cell").loc[
        rows.model.unique(), list(WHOLE)
    ]
    return table.rename(columns=WHOLE).rename_axis(columns=None).reset_index()


def find_best(scores: pd.DataFrame) -> str:
    """Return the model, no reference, with the lowest integrated Brier score."""
    rows = scores[(scores.metric == "integrated_brier") & (scores.family != "reference")]
    return rows.model[rows.value.idxmin()]


def describe_separation(ratios: pd.DataFrame) -> str:
    """Name the columns for which no hazard ratio can be told; see
    ``proportional.tabulate_hazard_ratios``.
    """
    names = [write_plain(name, 60) for name in ratios.column[ratios.separated]]
    return (
        f"No ratio can be told for {join_words(names)}: all of those customers, or none of them,"
        " left before the others."
        if names
        else ""
    )


def rename_units(table: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Return a table whose columns of days are headed by the unit that a flat study counts in."""
    heads = {
        "given_days": "given {}",
        "median_days": "median, {}",
        "until_days": "until {}",
        "mean_days": "mean {}",
        "longest_days": "longest seen, {}",
    }
    return (
        table
        if unit == "days"
        else table.rename(columns={name: head.format(unit) for name, head in heads.items()})
    )


def describe_scores(scores: pd.DataFrame, unit: str = "days", censoring: float = np.nan) -> str:
    """Say whether the best model beats Kaplan-Meier in probabilities and in ranking, and whether
    its probabilities hold at each day.

    Parameters
    ----------
    scores : see ``censored.score_models``
    censoring : p-value of ``survival.check_independent_censoring``; below 0.1 % the mean is not compared with
        Kaplan-Meier
    """
    best = find_best(scores)
    name, rows = best[:1].upper() + best[1:], scores[scores.model == best].set_index("metric")
    brier, rank = rows.loc["integrated_brier"], rows.loc["uno_c"]
    change = write_interval(brier.difference, brier.difference_low, brier.difference_high, 4)
    order = f"its concordance (Uno) is {write_interval(rank.value, rank.low, rank.high)}"
    if brier.verdict == "better":
        words = (
            f"**{name} gives better survival probabilities than Kaplan-Meier**: the integrated"
            f" Brier score (less is better) differs by {change}; {order}."
        )
    elif rank.verdict == "better":
        words = (
            f"**{name} ranks who leaves sooner, but its probabilities are not shown to be better"
            f" than Kaplan-Meier's**: {order}; the integrated Brier score differs by {change}."
        )
    else:
        words = (
            "**No model is shown to be better than Kaplan-Meier, the same curve for everybody**:"
            f" {best}, with the lowest integrated Brier score, differs by {change}; {order}. These"
            " features don't tell when customers leave, or there are too few to show it."
        )
    if censoring < SURE:
        return f"{words} {RELATED}"
    return (
        f"{words}"
        f" {_say_calibration(scores[(scores.model == best) & (scores.metric == 'calibration')], unit)}"
    )


def _say_calibration(rows: pd.DataFrame, unit: str) -> str:
    wide = (
        float(norm.ppf(1 - LEVEL / (2 * max(len(rows), 1)))) / Z
    )  # the times are judged together (Bonferroni)
    off = rows[
        (rows.value > wide * (rows.value - rows.low))
        | (rows.value < -wide * (rows.high - rows.value))
    ]
    if off.empty:
        return (
            "At none of the judged times does the mean predicted share of leavers differ from the"
            " observed one by more than chance would give."
        )
    worst = off.loc[off.value.abs().idxmax()]
    side = "too many" if worst.value > 0 else "too few"
    return (
        f"It predicts {side} leavers by {worst.days:g} {unit}, by"
        f" {write_quantity(abs(worst.value), 'share').replace(' %', ' points')} of all ({len(off)}"
        f" of {len(rows)} times are off by more than chance): read its curves as a ranking first."
    )


def describe_lifetimes(lifetimes: pd.DataFrame, unit: str = "days") -> str:
    """Say how long customers are expected to stay, how far apart they are, and for how many a
    median is reached.
    """
    known = lifetimes[lifetimes.restricted_mean_days.notna()]
    if known.empty:
        return (
            "**No remaining lifetime can be told**: everybody has lasted so long that nobody was"
            " watched beyond."
        )
    low, middle, high = known.restricted_mean_days.quantile([0.1, 0.5, 0.9])
    width = (known.high_mean_days - known.low_mean_days).median()
    left_out = (
        f" {len(lifetimes) - len(known):,} have lasted so long that nobody was watched beyond:"
        " empty."
        if len(known) < len(lifetimes)
        else ""
    )
    return (
        f"Of the next {known.until_days.iloc[0]:,.0f} {unit}, half of the {len(known):,} customers"
        f" are expected to stay more than {middle:,.1f}; a tenth less than {low:,.1f}, a tenth more"
        f" than {high:,.1f}. The interval of a single expectation is typically {width:,.1f} wide."
        f" For {known.median_days.notna().sum():,} the median lies within that time; for the others"
        f" it is empty, not infinite.{left_out}"
    )

"""The section of a task: a table of all contenders, and for each bound whether it is met.

Which model of the package is compared was fixed beforehand: the stacked average, and for the bounds
on interpretable models logistic with pairs. The best on the judged rows would flatter the package.
"""

import numpy as np
import pandas as pd
from sections import Section
from tasks import PAIRS, PLAIN, TUNED, Task
from verdicts import (
    MARGIN,
    Interval,
    compute_corrected_interval,
    join_verdicts,
    judge_least,
    judge_level,
    judge_most,
)

from research.evaluation import bootstrap
from research.evaluation.metrics import score_rows

OWN, INTERPRETABLE, BOOSTING = "stacked average", PAIRS, TUNED[1]
HAZARD_FEATURES = 30
NAMED = {"auc": "AUC", "log_loss": "log-loss", "integrated_brier": "integrated Brier"}
MORE_IS_BETTER = {"auc"}
HEAD = (
    "model",
    "whose",
    "AUC (95 % interval)",
    "log-loss (95 % interval)",
    "log-loss minus the best peer's, paired",
    "seconds per part",
)
Scores = dict[str, dict[str, np.ndarray]]


def build_section(
    task: Task,
    predictions: pd.DataFrame,
    rows: int,
    seconds: dict[str, float],
    settings: dict[str, dict],
    resamples: int,
) -> Section:
    """Score all contenders on the same resamples of customers; compare them with the bounds.

    Parameters
    ----------
    rows : of the study; those of a part are judged, the others learned from
    """
    scores, parts = (
        bootstrap.resample_scores(predictions, resamples, seed=0),
        score_parts(predictions),
    )
    judged = len(predictions) / predictions.repeat.nunique()
    ratio = judged / (rows - judged)
    best = min(task.peers, key=lambda name: scores[name]["log_loss"][0])
    table = [
        _describe(name, scores, parts, ratio, best, task.peers, seconds)
        for name in sorted(scores, key=lambda name: scores[name]["log_loss"][0])
    ]
    bounds = describe_bounds(task, parts, ratio)
    chosen = [f"{name} was tuned to {settings[name]}." for name in task.peers if settings.get(name)]
    return Section(
        task.title, _describe_rows(task, predictions), HEAD, tuple(table), (*bounds, *chosen)
    )


def score_parts(predictions: pd.DataFrame) -> Scores:
    """Return AUC and log-loss of every model on each part: arrays (parts,) by model and score."""
    parts = [part for _, part in predictions.groupby("repeat", sort=True)]
    models = predictions.columns.drop(["repeat", "customer_id", "churned"])
    scored = {
        model: [score_rows(part.churned, part[model], np.ones((1, len(part)))) for part in parts]
        for model in models
    }
    return {
        model: {
            score: np.array([float(one[score][0]) for one in by_part])
            for score in ("auc", "log_loss")
        }
        for model, by_part in scored.items()
    }


def _describe_rows(task: Task, predictions: pd.DataFrame) -> str:
    rows, parts = len(predictions), predictions.repeat.nunique()
    return (
        f"{rows:,} rows judged in {parts} parts, each by models that learned from the study's other"
        " rows; a score is the mean over the parts. All contenders get the same columns of"
        f" `data/{task.study}`, without what the study calls sensitive; peers run with their own"
        " defaults unless tuned. Intervals of scores are percentiles of resamples of the judged"
        " customers within each part, the same for all. Those of differences and bounds are"
        " corrected resampled t intervals over the parts (Nadeau & Bengio 2003), which carry the"
        " noise of training, too."
    )


def _describe(
    name: str,
    scores: Scores,
    parts: Scores,
    ratio: float,
    best: str,
    peers: tuple[str, ...],
    seconds: dict[str, float],
) -> tuple[str, ...]:
    whose = (
        "peer"
        if name in peers
        else "reference"
        if name in (PLAIN, "base rate") or name.startswith("rule on")
        else "ours"
    )
    difference = (
        ""
        if name == best
        else write_estimate(
            compute_corrected_interval(parts[name]["log_loss"] - parts[best]["log_loss"], ratio)
        )
    )
    return (
        name,
        whose,
        write_interval(scores[name]["auc"]),
        write_interval(scores[name]["log_loss"]),
        difference,
        f"{seconds.get(name, np.nan):.1f}",
    )


def write_interval(values: np.ndarray) -> str:
    """Write a score or difference with its interval; the sample's value is the first."""
    low, high = np.percentile(values[1:], (2.5, 97.5))
    return f"{values[0]:.4f} ({low:.4f} to {high:.4f})".replace("-", "−")


def write_estimate(interval: Interval) -> str:
    """Write an estimate with its interval, where it has one."""
    value, low, high = interval
    text = f"{value:.4f}" if np.isnan(low) else f"{value:.4f} ({low:.4f} to {high:.4f})"
    return text.replace("-", "−")


def describe_bounds(task: Task, parts: Scores, ratio: float) -> list[str]:
    """Return a sentence for every bound of a task.

    Parameters
    ----------
    parts : see ``score_parts``
    ratio : rows judged for each row learned from
    """
    sentences = [
        describe_peer(
            OWN,
            peer,
            {
                score: compute_corrected_interval(parts[OWN][score] - parts[peer][score], ratio)
                for score in parts[peer]
            },
            {score: float(values.mean()) for score, values in parts[peer].items()},
        )
        for peer in task.peers
    ]
    if task.auc:
        own = parts[INTERPRETABLE]
        intervals = {name: compute_corrected_interval(own[name], ratio) for name in own}
        return [*sentences, describe_published_bound(task, intervals)]
    return [*sentences, describe_gap(parts, ratio)]


def describe_peer(
    own: str, peer: str, differences: dict[str, Interval], theirs: dict[str, float]
) -> str:
    """Return whether a model is on par with a peer or better, in every score.

    Parameters
    ----------
    differences : own score less the peer's, by score
    theirs : the peer's scores
    """
    verdict = join_verdicts(
        judge_level(interval, theirs[score], score in MORE_IS_BETTER)
        for score, interval in differences.items()
    )
    parts = ", ".join(
        f"{write_estimate(interval)} in {NAMED[score]} (margin {MARGIN * theirs[score]:.4f})"
        for score, interval in differences.items()
    )
    return f"“{own}” on par with “{peer}” or better: {verdict}; the difference is {parts}."


def describe_published_bound(task: Task, intervals: dict[str, Interval]) -> str:
    """Return whether the interpretable model is on par with the published scores or better."""
    bounds = {"auc": task.auc, "log_loss": task.log_loss}
    verdict = join_verdicts(
        judge_level(
            tuple(value - bounds[score] for value in interval),
            bounds[score],
            score in MORE_IS_BETTER,
        )
        for score, interval in intervals.items()
    )
    return (
        f"{INTERPRETABLE}, which is interpretable, on par with the published AUC of {task.auc:.4g}"
        f" and log-loss of {task.log_loss:.4g} or better: {verdict}; it has"
        f" {write_estimate(intervals['auc'])} and {write_estimate(intervals['log_loss'])}."
    )


def describe_gap(parts: Scores, ratio: float) -> str:
    """Return whether the interpretable model closes at least half the gap from plain logistic
    regression to tuned boosting.

    Half the gap is closed where its lead on the plain model less half that of boosting is at least
    0, a difference like any other.
    """
    lead = {
        name: {score: parts[name][score] - parts[PLAIN][score] for score in parts[name]}
        for name in (INTERPRETABLE, BOOSTING)
    }
    over = {
        score: compute_corrected_interval(values - lead[BOOSTING][score] / 2, ratio)
        for score, values in lead[INTERPRETABLE].items()
    }
    verdict = join_verdicts([judge_least(over["auc"], 0), judge_most(over["log_loss"], 0)])
    shares = {
        score: float(values.mean() / lead[BOOSTING][score].mean())
        for score, values in lead[INTERPRETABLE].items()
    }
    return (
        f"{INTERPRETABLE} closes at least half the gap from {PLAIN} to {BOOSTING}: {verdict}; it"
        f" goes {shares['auc']:.0%} of the way in AUC, {shares['log_loss']:.0%} in log-loss, and"
        f" its lead less half that of {BOOSTING} is {write_estimate(over['auc'])} and"
        f" {write_estimate(over['log_loss'])}."
    )

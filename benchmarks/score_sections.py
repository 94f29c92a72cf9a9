"""The section of a task: a table of all contenders, and for each bound whether it is met."""

import numpy as np
import pandas as pd
from sections import Section, judge
from tasks import PLAIN, Task

from research.evaluation import bootstrap

# sums of curves and surfaces, or a few rules
INTERPRETABLE = ("logistic regression", "elastic net", "logistic with pairs", "single tree")
LOGISTIC = INTERPRETABLE[:3]
HAZARD_FEATURES = 30
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
    seconds: dict[str, float],
    settings: dict[str, dict],
    resamples: int,
) -> Section:
    """Score all contenders on the same resamples of customers; compare them with the bounds."""
    scores = bootstrap.resample_scores(predictions, resamples, seed=0)
    best = min(task.peers, key=lambda name: scores[name]["log_loss"][0])
    rows = [
        _describe(name, scores, best, task.peers, seconds)
        for name in sorted(scores, key=lambda name: scores[name]["log_loss"][0])
    ]
    bounds = (
        describe_published_bound(task, scores)
        if task.auc
        else [*describe_tuned_peers(task, scores), *describe_gap(task, scores)]
    )
    chosen = [f"{name} was tuned to {settings[name]}." for name in task.peers if settings.get(name)]
    return Section(
        task.title, _describe_rows(task, predictions), HEAD, tuple(rows), (*bounds, *chosen)
    )


def _describe_rows(task: Task, predictions: pd.DataFrame) -> str:
    rows, parts = len(predictions), predictions.repeat.nunique()
    return (
        f"{rows:,} rows judged in {parts} parts, each by models that learned from the study's other"
        " rows; a score is the mean over the parts. All contenders get the same columns of"
        f" `data/{task.study}`, without what the study calls sensitive; peers run with their own"
        " defaults unless tuned. Intervals are percentiles of resamples of the judged customers"
        " within each part, the same for all; they don't include the sampling error of the"
        " training rows."
    )


def _describe(
    name: str, scores: Scores, best: str, peers: tuple[str, ...], seconds: dict[str, float]
) -> tuple[str, ...]:
    whose = (
        "peer"
        if name in peers
        else "reference"
        if name in (PLAIN, "base rate") or name.startswith("rule on")
        else "ours"
    )
    difference = (
        "" if name == best else write_interval(scores[name]["log_loss"] - scores[best]["log_loss"])
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


def describe_published_bound(task: Task, scores: Scores) -> list[str]:
    """Return whether an interpretable model reaches both scores, and its lead on the first peer."""
    own = [name for name in INTERPRETABLE if name in scores]
    reaches = [
        name
        for name in own
        if scores[name]["auc"][0] >= task.auc and scores[name]["log_loss"][0] <= task.log_loss
    ]
    name = min(reaches or own, key=lambda name: scores[name]["log_loss"][0])
    peer = task.peers[0]
    difference = {
        score: write_interval(scores[name][score] - scores[peer][score])
        for score in ("auc", "log_loss")
    }
    return [
        (
            f"An interpretable model with AUC at least {task.auc:.4g} and log-loss at most"
            f" {task.log_loss:.4g}: {judge(bool(reaches))}; {name} has {scores[name]['auc'][0]:.4f}"
            f" and {scores[name]['log_loss'][0]:.4f}, {peer} here {scores[peer]['auc'][0]:.4f} and"
            f" {scores[peer]['log_loss'][0]:.4f}."
        ),
        f"{name} minus {peer}: {difference['auc']} in AUC, {difference['log_loss']} in log-loss.",
    ]


def describe_tuned_peers(task: Task, scores: Scores) -> list[str]:
    """Return for each tuned peer whether our best model is not significantly worse."""
    own = min(
        (name for name in scores if name not in task.peers),
        key=lambda name: scores[name]["log_loss"][0],
    )
    sentences = []
    for peer in (name for name in task.peers if name.startswith("tuned")):
        difference = {
            score: scores[own][score] - scores[peer][score] for score in ("auc", "log_loss")
        }
        worse = (
            np.percentile(difference["auc"][1:], 97.5) < 0
            or np.percentile(difference["log_loss"][1:], 2.5) > 0
        )
        gain = (
            f"the difference is {write_interval(difference['auc'])} in AUC,"
            f" {write_interval(difference['log_loss'])} in log-loss"
        )
        sentences.append(
            f"{own}, the best of ours, not significantly worse than {peer}: {judge(not worse)};"
            f" {gain}."
        )
    return sentences


def describe_gap(task: Task, scores: Scores) -> list[str]:
    """Return the share of the gap from plain logistic regression to boosting that is closed.

    It is that of the best logistic model, to the best tuned boosting.
    """
    logistic = min(
        (name for name in LOGISTIC if name in scores), key=lambda name: scores[name]["log_loss"][0]
    )
    boosting = min(
        (name for name in task.peers if name.startswith("tuned")),
        key=lambda name: scores[name]["log_loss"][0],
    )
    shares = {
        score: (scores[logistic][score] - scores[PLAIN][score])
        / (scores[boosting][score] - scores[PLAIN][score])
        for score in ("auc", "log_loss")
    }
    return [
        f"{logistic} closes at least half the gap from {PLAIN} to {boosting}:"
        f" {judge(all(share[0] >= 0.5 for share in shares.values()))}; it goes"
        f" {write_interval(shares['auc'])} of the way in AUC,"
        f" {write_interval(shares['log_loss'])} in log-loss."
    ]

"""What the scores of a task say: a table of all contenders, and of each bound whether it is met."""

import numpy as np
import pandas as pd
from sections import Section, judge
from tasks import PLAIN, Task

from research.evaluation import bootstrap

INTERPRETABLE = (
    "logistic regression",
    "elastic net",
    "logistic with pairs",
    "single tree",
)  # sums of curves and surfaces, or a few rules
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


def tell(
    task: Task,
    predictions: pd.DataFrame,
    seconds: dict[str, float],
    settings: dict[str, dict],
    resamples: int,
) -> Section:
    """Score all contenders on the same resamples of customers and hold them against the task's
    bounds.
    """
    scores = bootstrap.resample_scores(predictions, resamples, seed=0)
    best = min(task.peers, key=lambda name: scores[name]["log_loss"][0])
    rows = [
        _describe(name, scores, best, task.peers, seconds)
        for name in sorted(scores, key=lambda name: scores[name]["log_loss"][0])
    ]
    bounds = (
        judge_published(task, scores)
        if task.auc
        else [*judge_level(task, scores), *judge_gap(task, scores)]
    )
    chosen = [f"{name} was tuned to {settings[name]}." for name in task.peers if settings.get(name)]
    return Section(task.title, _say_rows(task, predictions), HEAD, tuple(rows), (*bounds, *chosen))


def _say_rows(task: Task, predictions: pd.DataFrame) -> str:
    rows, parts = len(predictions), predictions.repeat.nunique()
    return (
        f"{rows:,} rows judged in {parts} parts, each by models that learned from the study's other"
        " rows; a score is the mean over the parts. All contenders get the same columns of"
        f" `data/{task.study}`, without what the study calls sensitive; peers run with their own"
        " defaults unless tuned. Intervals are percentiles of resamples of the judged customers"
        " within each part, the same for all; they don't carry the luck of who was learned from."
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
    apart = "" if name == best else write(scores[name]["log_loss"] - scores[best]["log_loss"])
    return (
        name,
        whose,
        write(scores[name]["auc"]),
        write(scores[name]["log_loss"]),
        apart,
        f"{seconds.get(name, np.nan):.1f}",
    )


def write(values: np.ndarray) -> str:
    """Write a score or difference with its interval: the sample's value first, the resamples
    after.
    """
    low, high = np.percentile(values[1:], (2.5, 97.5))
    return f"{values[0]:.4f} ({low:.4f} to {high:.4f})".replace("-", "−")


def judge_published(task: Task, scores: Scores) -> list[str]:
    """Say whether an interpretable model reaches both scores, and by how much it differs from the
    first peer.
    """
    own = [name for name in INTERPRETABLE if name in scores]
    reaches = [
        name
        for name in own
        if scores[name]["auc"][0] >= task.auc and scores[name]["log_loss"][0] <= task.log_loss
    ]
    name = min(reaches or own, key=lambda name: scores[name]["log_loss"][0])
    peer = task.peers[0]
    apart = {
        score: write(scores[name][score] - scores[peer][score]) for score in ("auc", "log_loss")
    }
    return [
        (
            f"An interpretable model with AUC at least {task.auc:.4g} and log-loss at most"
            f" {task.log_loss:.4g}: {judge(bool(reaches))}; {name} has {scores[name]['auc'][0]:.4f}"
            f" and {scores[name]['log_loss'][0]:.4f}, {peer} here {scores[peer]['auc'][0]:.4f} and"
            f" {scores[peer]['log_loss'][0]:.4f}."
        ),
        f"{name} minus {peer}: {apart['auc']} in AUC, {apart['log_loss']} in log-loss.",
    ]


def judge_level(task: Task, scores: Scores) -> list[str]:
    """Say of each tuned peer whether our best model is at least level with it: no interval says
    that it is worse.
    """
    own = min(
        (name for name in scores if name not in task.peers),
        key=lambda name: scores[name]["log_loss"][0],
    )
    said = []
    for peer in (name for name in task.peers if name.startswith("tuned")):
        apart = {score: scores[own][score] - scores[peer][score] for score in ("auc", "log_loss")}
        worse = (
            np.percentile(apart["auc"][1:], 97.5) < 0
            or np.percentile(apart["log_loss"][1:], 2.5) > 0
        )
        gain = (
            f"the difference is {write(apart['auc'])} in AUC, {write(apart['log_loss'])} in"
            " log-loss"
        )
        said.append(
            f"{own}, the best of ours, at least level with {peer}: {judge(not worse)}; {gain}."
        )
    return said


def judge_gap(task: Task, scores: Scores) -> list[str]:
    """Say how much of the way from plain logistic regression to the best tuned boosting the best
    logistic model goes.
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
        f" {write(shares['auc'])} of the way in AUC, {write(shares['log_loss'])} in log-loss."
    ]

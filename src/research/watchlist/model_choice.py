"""Which classifier is kept: better than the strongest rule, and as easy to explain as may be."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from research.evaluation.bootstrap import draw_weights, judge_difference, subtract
from research.evaluation.metrics import compute_row_losses
from research.evaluation.verdicts import BETTER, WORSE
from research.models.registry import (
    BASE_RATE,
    Model,
    list_classifiers,
    order_by_ease,
    require_name,
)
from research.study import Study

RESAMPLES = 1_000
TOO_SLOW = ("random survival forest",)  # to score everybody, unless it is asked for by name
COLUMNS = [
    "model",
    "family",
    "log_loss",
    "difference_to_rule",
    "rule_low",
    "rule_high",
    "verdict",
    "difference_to_best",
    "best_low",
    "best_high",
    "significantly_worse",
]


@dataclass(frozen=True)
class Choice:
    """The classifier that is kept, and what it was compared with.

    Attributes
    ----------
    model : the name of the one that is kept
    rule : the strongest rule; the base rate where the study has none
    table : see ``compare_candidates``
    reason : one sentence
    """

    model: str
    rule: str
    table: pd.DataFrame
    reason: str

    @property
    def is_rule(self) -> bool:
        """Whether no classifier was shown to be better than the strongest rule."""
        return self.model == self.rule


def list_candidates(
    study: Study, features: list[str], words: dict[str, str], seed: int, named: str = ""
) -> dict[str, Model]:
    """Return the classifiers that may be kept, the baselines first.

    Parameters
    ----------
    words : what each feature is, by its name
    named : the one that a user asks for; only it and the baselines then, with what it averages

    Raises
    ------
    UsageError
        If no classifier has the name.
    """
    models = list_classifiers(study, features, seed, words)
    if not named:
        return {name: model for name, model in models.items() if name not in TOO_SLOW}
    require_name(named, models, "model to keep")
    kept = {named, *models[named].members}
    return {name: model for name, model in models.items() if model.is_baseline or name in kept}


def compare_candidates(
    predictions: pd.DataFrame, models: dict[str, Model], seed: int, named: str = ""
) -> Choice:
    """Return the classifier to keep.

    Of those with less log-loss than the strongest rule, and not significantly worse than the best,
    it is the easiest to explain; where there is none, the rule.

    Parameters
    ----------
    predictions : judged rows with columns customer_id, churned and one column of risks per model
    seed : draws the resamples of customers behind the intervals
    named : the one that a user asks for; kept if it is a baseline or better than the strongest rule

    Returns
    -------
    Choice, with a ``table`` of one row per model: log-loss, and its difference to that of the
    strongest rule and of the best model with intervals adjusted for the number of models
    """
    losses = resample_losses(predictions, [*models], seed)
    mean = losses.iloc[0]
    rule = find_strongest_rule(mean, models)
    best = mean.idxmin()
    table = pd.DataFrame(
        [_compare(name, models[name].family, losses, rule, best) for name in models],
        columns=COLUMNS,
    )
    won = {*table.model[table.verdict == BETTER]}
    if named:
        kept = named if named in won or models[named].is_baseline else rule
        return Choice(kept, rule, table, _describe_named(named, kept, rule))
    level = won - {*table.model[table.significantly_worse]}
    kept = next((name for name in order_by_ease(models) if name in level), rule)
    return Choice(kept, rule, table, _describe(kept, rule, best, len(level)))


def resample_losses(predictions: pd.DataFrame, names: list[str], seed: int) -> pd.DataFrame:
    """Return the mean log-loss of models on the sample (first row) and on resampled customers."""
    churned = predictions.churned.to_numpy(bool)
    rows = np.column_stack(
        [compute_row_losses(churned, predictions[name].to_numpy(float)) for name in names]
    )
    means = [
        weights @ rows / weights.sum(axis=1, keepdims=True)
        for weights in draw_weights(predictions.customer_id, RESAMPLES, seed)
    ]
    return pd.DataFrame(np.vstack(means), columns=names)


def find_strongest_rule(log_loss: pd.Series, models: dict[str, Model]) -> str:
    """Return the baseline of least log-loss; the base rate, which ranks nobody, only if alone."""
    rules = [name for name, model in models.items() if model.is_baseline]
    ranking = [name for name in rules if name != BASE_RATE]
    return log_loss[ranking or rules].idxmin()


def _compare(name: str, family: str, losses: pd.DataFrame, rule: str, best: str) -> tuple:
    others = max(losses.shape[1] - 1, 1)
    to_rule, to_best = (
        judge_difference(subtract(losses[name].to_numpy(), losses[other].to_numpy()), False, others)
        for other in (rule, best)
    )
    return name, family, losses[name].iloc[0], *to_rule, *to_best[:3], to_best[3] == WORSE


def _describe(kept: str, rule: str, best: str, better: int) -> str:
    if kept == rule:
        return (
            f"no classifier was shown to be better than {rule}, the strongest rule, which is kept"
        )
    if kept == best and better == 1:
        return f"significantly better than {rule}, the strongest rule, and than every other model"
    return (
        f"the easiest to explain of the {better} models that are better than {rule}, the strongest"
        f" rule, and not significantly different from the best ({best})"
    )


def _describe_named(named: str, kept: str, rule: str) -> str:
    if kept == named:
        return f"asked for by name; the strongest rule is {rule}"
    return (
        f"{named} was asked for, but isn't significantly better than {rule}, the strongest rule,"
        " which is kept"
    )

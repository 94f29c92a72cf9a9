"""The survival tasks: training and judged rows, evaluation days, the package's predictions."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from score_sections import describe_peer, write_interval
from sections import Section
from sklearn.base import clone
from sklearn.model_selection import KFold
from verdicts import INCONCLUSIVE, compute_corrected_interval

from research.data import fetch, load
from research.data.contracts import Tables
from research.evaluation import survival_metrics
from research.features import build
from research.features.leakage import gate
from research.models.preprocessing import prepare_scaled
from research.models.survival_at_horizon import frame_outcome
from research.study import Study, load_study
from research.survival import follow_up, predict, tenure
from research.value.survival_value import BOOSTED

STUDIES = ("learning_platform", "demo", "telco")
FOLDS, SEED = 5, 0
PEERS = (
    "lifelines Cox",
    "lifelines Cox, penalizer 0.1",
    "lifelines Weibull AFT",
    "lifelines Weibull AFT, penalizer 0.1",
    "scikit-survival Coxnet",
    "scikit-survival forest",
    "scikit-survival boosting",
)
HEAD = (
    "model",
    "whose",
    "integrated Brier (95 % interval)",
    "minus the best peer's, paired",
    "C of Uno (95 % interval)",
    "seconds",
)
SINGLE = "inconclusive, as a single part doesn't show the noise of training"
Array = np.ndarray
INTEGRATED, UNO = ("integrated_brier", np.nan), ("uno_c", np.nan)


@dataclass(frozen=True)
class SurvivalTask:
    """Rows with their outcome; ``parts`` has the places of training rows and of judged rows."""

    rows: pd.DataFrame
    outcome: Array
    parts: list[tuple[Array, Array]]
    columns: list[str]
    days: tuple[int, ...]


def load_task(name: str) -> SurvivalTask:
    """Return the training and judged rows of the notebook 40_survival, for any kind of study."""
    study = load_study(name)
    fetch.fetch(study)
    tables = load.load_tables(study)
    return _load_flat(tables, study) if study.kind == "flat" else _load_dated(tables, study)


def _load_dated(tables: Tables, study: Study) -> SurvivalTask:
    plan = follow_up.plan_follow_up(tables, study)
    train, test = (
        build.load_panel(tables, study, plan.train, known_by=min(plan.test)),
        build.load_panel(tables, study, plan.test),
    )
    leakage = gate.check_panel(tables, study, train, first_judged_day=min(plan.test))
    rows = pd.concat([train, test], ignore_index=True)
    places = np.arange(len(rows))
    return SurvivalTask(
        rows,
        follow_up.frame_durations(rows),
        [(places[: len(train)], places[len(train) :])],
        leakage.allowed,
        plan.days,
    )


def _load_flat(tables: Tables, study: Study) -> SurvivalTask:
    rows = build.load_flat(tables, study).dropna(subset=["duration"]).reset_index(drop=True)
    everyone, leakage = tenure.load_tenures(tables, study), gate.check_panel(tables, study, rows)
    clocks = follow_up.find_duration_proxies(rows, leakage.columns)
    allowed = [name for name in leakage.allowed if name not in clocks]
    parts = [*KFold(FOLDS, shuffle=True, random_state=SEED).split(rows)]
    return SurvivalTask(
        rows,
        frame_outcome(everyone.ended, everyone.duration),
        parts,
        allowed,
        follow_up.choose_evaluation_days(everyone),
    )


def predict_own(task: SurvivalTask) -> tuple[dict[str, Array], dict[str, float]]:
    """Return by model the survival curves of all judged rows, part after part, and seconds."""
    curves, seconds = {}, {}
    for name, model in predict.list_models(task.days, SEED).items():
        began, predicted = time.monotonic(), []
        for learn, judged in task.parts:
            fitted = clone(model.estimator).fit(
                task.rows.iloc[learn][task.columns], task.outcome[learn]
            )
            predicted.append(
                predict.predict_curves(fitted, task.rows.iloc[judged][task.columns], task.days)
            )
        curves[name], seconds[name] = np.vstack(predicted), time.monotonic() - began
    return curves, seconds


def write_parts(task: SurvivalTask, scratch: Path) -> dict[str, object]:
    """Write the columns of the package's Cox model for others' models; return the paths.

    They are scaled by the training rows.
    """
    paths = []
    for number, (learn, judged) in enumerate(task.parts):
        prepare = prepare_scaled().fit(task.rows.iloc[learn][task.columns])
        learned, asked = (
            np.asarray(prepare.transform(task.rows.iloc[place][task.columns]), "float32")
            for place in (learn, judged)
        )
        paths.append(str(scratch / f"survival-{number}.npz"))
        np.savez(
            paths[-1],
            learned=learned,
            asked=asked,
            days=np.maximum(task.outcome["days"][learn], 0.5),
            event=task.outcome["event"][learn],
        )
    return {"parts": paths, "days": list(task.days), "models": list(PEERS)}


def build_section(
    name: str,
    task: SurvivalTask,
    curves: dict[str, Array],
    seconds: dict[str, float],
    failed: dict[str, str],
    resamples: int,
) -> Section:
    """Score all models on the same resamples of customers, and compare the best of both sides."""
    judged = np.concatenate([part for _, part in task.parts])
    learned = task.parts[0][0] if len(task.parts) == 1 else judged
    customers = task.rows.customer_id.iloc[judged]
    scores = survival_metrics.resample_curves(
        task.outcome[learned], task.outcome[judged], curves, task.days, customers, resamples, SEED
    )
    order = sorted(scores, key=lambda model: scores[model][INTEGRATED][0])
    best = next(model for model in order if model in PEERS)
    rows = [_describe(model, scores, best, seconds) for model in order]
    remarks = describe_peers(score_parts(task, curves), scores, 1 / (len(task.parts) - 1 or np.nan))
    remarks += [f"{model} did not finish: {reason}" for model, reason in failed.items()]
    words = (
        f"Integrated Brier score up to {task.days[-1]}"
        f" {'units of duration' if len(task.parts) > 1 else 'days'} of {len(judged):,} rows of"
        f" {customers.nunique():,} customers of `data/{name}`, weighted for censoring, as the"
        " notebook 40_survival judges its models. Others' models run with their own defaults, on"
        " the columns that the package's Cox model gets (numbers scaled, categories as columns)."
        " Less is better. Intervals are percentiles of resamples of customers; those of verdicts"
        " are corrected resampled t intervals over the parts (Nadeau & Bengio 2003), and a single"
        " part has none."
    )
    return Section(f"Survival, {name}", words, HEAD, tuple(rows), tuple(remarks))


def score_parts(task: SurvivalTask, curves: dict[str, Array]) -> dict[str, Array]:
    """Return by model the integrated Brier score of each part: (parts,)."""
    ends = np.cumsum([len(judged) for _, judged in task.parts])[:-1]
    split = {model: np.split(curve, ends) for model, curve in curves.items()}
    scored = [
        survival_metrics.resample_curves(
            task.outcome[learned],
            task.outcome[judged],
            {model: parts[number] for model, parts in split.items()},
            task.days,
            task.rows.customer_id.iloc[judged],
            0,
            SEED,
        )
        for number, (learned, judged) in enumerate(task.parts)
    ]
    return {model: np.array([one[model][INTEGRATED][0] for one in scored]) for model in curves}


def describe_peers(parts: dict[str, Array], scores: dict, ratio: float) -> list[str]:
    """Return whether the model that other notebooks reckon with is on par with each peer.

    One part, as of a dated study, has no interval that carries the noise of training.
    """
    told = [
        describe_peer(
            BOOSTED,
            peer,
            {INTEGRATED[0]: compute_corrected_interval(parts[BOOSTED] - parts[peer], ratio)},
            {INTEGRATED[0]: float(scores[peer][INTEGRATED][0])},
        )
        for peer in PEERS
        if peer in parts
    ]
    return [one.replace(INCONCLUSIVE, SINGLE) for one in told] if np.isnan(ratio) else told


def _describe(model: str, scores: dict, best: str, seconds: dict[str, float]) -> tuple[str, ...]:
    whose = "peer" if model in PEERS else "reference" if model == predict.KAPLAN_MEIER else "ours"
    difference = (
        ""
        if model == best
        else write_interval(scores[model][INTEGRATED] - scores[best][INTEGRATED])
    )
    return (
        model,
        whose,
        write_interval(scores[model][INTEGRATED]),
        difference,
        write_interval(scores[model][UNO]),
        f"{seconds[model]:.1f}",
    )

"""The survival tasks: which rows are learned from and which are judged, over which days; and what
the package's own models say of them.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from judgements import write
from sections import Section
from sklearn.base import clone
from sklearn.model_selection import KFold

from research.data import fetch, load
from research.data.contracts import Tables
from research.evaluation import survival_metrics
from research.features import build
from research.features.leakage import gate
from research.models.preprocessing import prepare_scaled
from research.models.survival_at_horizon import frame_outcome
from research.study import Study, load_study
from research.survival import follow_up, tenure

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
Array = np.ndarray
INTEGRATED, UNO = ("integrated_brier", np.nan), ("uno_c", np.nan)


@dataclass(frozen=True)
class Waits:
    """Rows with their outcome: ``parts`` holds the places that are learned from and those that are
    judged.
    """

    rows: pd.DataFrame
    outcome: Array
    parts: list[tuple[Array, Array]]
    columns: list[str]
    days: tuple[int, ...]


def load_waits(name: str) -> Waits:
    """Return what the notebook 40_survival learns from and judges, in a dated or a flat study."""
    study = load_study(name)
    fetch.fetch(study)
    tables = load.load_tables(study)
    return _load_flat(tables, study) if study.kind == "flat" else _load_dated(tables, study)


def _load_dated(tables: Tables, study: Study) -> Waits:
    plan = follow_up.plan_follow_up(tables, study)
    train, test = (
        build.load_panel(tables, study, plan.train, known_by=min(plan.test)),
        build.load_panel(tables, study, plan.test),
    )
    leakage = gate.check_panel(tables, study, train, first_judged_day=min(plan.test))
    rows = pd.concat([train, test], ignore_index=True)
    places = np.arange(len(rows))
    return Waits(
        rows,
        follow_up.frame_durations(rows),
        [(places[: len(train)], places[len(train) :])],
        leakage.allowed,
        plan.days,
    )


def _load_flat(tables: Tables, study: Study) -> Waits:
    rows = build.load_flat(tables, study).dropna(subset=["duration"]).reset_index(drop=True)
    everyone, leakage = tenure.load_tenures(tables, study), gate.check_panel(tables, study, rows)
    clocks = follow_up.find_duration_proxies(rows, leakage.columns)
    honest = [name for name in leakage.allowed if name not in clocks]
    parts = [*KFold(FOLDS, shuffle=True, random_state=SEED).split(rows)]
    return Waits(
        rows,
        frame_outcome(everyone.ended, everyone.duration),
        parts,
        honest,
        follow_up.choose_evaluation_days(everyone),
    )


def predict_own(waits: Waits) -> tuple[dict[str, Array], dict[str, float]]:
    """Return by model the survival of all judged rows, part after part, and the seconds that it
    took.
    """
    curves, seconds = {}, {}
    for name, model in follow_up.list_models(waits.days, SEED).items():
        began, found = time.monotonic(), []
        for learn, judged in waits.parts:
            fitted = clone(model.estimator).fit(
                waits.rows.iloc[learn][waits.columns], waits.outcome[learn]
            )
            found.append(
                follow_up.predict_curves(fitted, waits.rows.iloc[judged][waits.columns], waits.days)
            )
        curves[name], seconds[name] = np.vstack(found), time.monotonic() - began
    return curves, seconds


def write_parts(waits: Waits, scratch: Path) -> dict[str, object]:
    """Write for others' models what the package's Cox model learns from, scaled by the rows learned
    from, and return where it lies.
    """
    paths = []
    for number, (learn, judged) in enumerate(waits.parts):
        prepare = prepare_scaled().fit(waits.rows.iloc[learn][waits.columns])
        learned, asked = (
            np.asarray(prepare.transform(waits.rows.iloc[place][waits.columns]), "float32")
            for place in (learn, judged)
        )
        paths.append(str(scratch / f"waits-{number}.npz"))
        np.savez(
            paths[-1],
            learned=learned,
            asked=asked,
            days=np.maximum(waits.outcome["days"][learn], 0.5),
            event=waits.outcome["event"][learn],
        )
    return {"parts": paths, "days": list(waits.days), "models": list(PEERS)}


def tell(
    name: str,
    waits: Waits,
    curves: dict[str, Array],
    seconds: dict[str, float],
    failed: dict[str, str],
    resamples: int,
) -> Section:
    """Score all models on the same resamples of customers and hold the best of the package's
    against the best of the others'.
    """
    judged = np.concatenate([part for _, part in waits.parts])
    learned = waits.parts[0][0] if len(waits.parts) == 1 else judged
    who = waits.rows.customer_id.iloc[judged]
    scores = survival_metrics.resample_curves(
        waits.outcome[learned], waits.outcome[judged], curves, waits.days, who, resamples, SEED
    )
    order = sorted(scores, key=lambda model: scores[model][INTEGRATED][0])
    best = next(model for model in order if model in PEERS)
    own = next(model for model in order if model not in PEERS)
    apart = scores[own][INTEGRATED] - scores[best][INTEGRATED]
    met = "met" if np.percentile(apart[1:], 2.5) <= 0 else "**missed**"
    rows = [_describe(model, scores, best, seconds) for model in order]
    remarks = [
        f"{own}, the best of ours, at least level with {best}: {met}; the difference is"
        f" {write(apart)}."
    ]
    remarks += [f"{model} did not finish: {reason}" for model, reason in failed.items()]
    words = (
        f"Integrated Brier score up to {waits.days[-1]}"
        f" {'units of duration' if len(waits.parts) > 1 else 'days'} of {len(judged):,} rows of"
        f" {who.nunique():,} customers of `data/{name}`, weighed for censoring, as the notebook"
        " 40_survival judges its models. Others' models run with their own defaults, on the"
        " columns that the package's Cox model gets (numbers scaled, categories as columns). Less"
        " is better."
    )
    return Section(f"Survival, {name}", words, HEAD, tuple(rows), tuple(remarks))


def _describe(model: str, scores: dict, best: str, seconds: dict[str, float]) -> tuple[str, ...]:
    whose = "peer" if model in PEERS else "reference" if model == follow_up.KAPLAN_MEIER else "ours"
    apart = "" if model == best else write(scores[model][INTEGRATED] - scores[best][INTEGRATED])
    return (
        model,
        whose,
        write(scores[model][INTEGRATED]),
        apart,
        write(scores[model][UNO]),
        f"{seconds[model]:.1f}",
    )

"""The model that is kept: trained on what was known by a day, calibrated on the past, with a card.

It is chosen on the latest label window that had closed by the day, by models that knew what was
known when that window's snapshot was taken; then it learns again on all windows closed by the day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.data.fetch import data_hash
from research.errors import StudyError
from research.evaluation.bootstrap import resample_scores, tabulate_differences, tabulate_scores
from research.evaluation.calibration_bins import bin_reliability
from research.features.build import describe_features, load_features
from research.features.leakage.gate import Leakage, check_panel
from research.models.registry import BASE_RATE, Model
from research.panel.splits import label_panel
from research.risk.predict import LEAST_OF_CLASS, predict
from research.risk.window_risk import compare_lead
from research.study import Study
from research.watchlist.fitted import Fitted, fit_kept
from research.watchlist.model_choice import Choice, compare_candidates, list_candidates
from research.watchlist.model_store import (
    KeptModel,
    define_churn,
    find_versions,
    hash_code,
    hash_inputs,
    hash_study,
)
from research.watchlist.reason_base import make_base
from research.watchlist.scored_day import Outlook, find_scored_day, look_from, require_training
from research.watchlist.situation import list_effects

KEPT = "kept model"
MOST_ROWS = 200_000  # that a model learns from or is judged on; of more, customers are drawn
RESAMPLES = 500
CARD_METRICS = ("auc", "log_loss", "brier", "calibration_slope", "calibration_intercept")
MOST_CATEGORIES = 100  # of a text that a card lists


@dataclass(frozen=True)
class Judged:
    """How the candidates did in the latest closed window, out of time.

    Attributes
    ----------
    choice : the classifier that is kept
    predictions : judged rows with the risks of the kept model, the strongest rule and the base rate
    train : snapshots that the candidates learned from
    """

    choice: Choice
    predictions: pd.DataFrame
    train: tuple[date, ...]


def train_model(
    tables: Tables, study: Study, at: date | str | None = None, seed: int = 0, named: str = ""
) -> KeptModel:
    """Train the model that is kept, on what was known by the end of a day.

    Parameters
    ----------
    tables : contract tables, unfiltered
    at : see ``scored_day.find_scored_day``
    seed : every random draw derives from it
    named : the classifier to keep; that of study.yml unless given, else the comparison chooses

    Returns
    -------
    KeptModel, not yet saved; its card says what the model learned from, how it was chosen, what it
    is worth out of time, and what each risk has come to (``tenths``)

    Raises
    ------
    StudyError
        If too few left to learn from, no window had closed, or no classifier has the name.
    """
    day, named = find_scored_day(tables, study, at), named or study.model or ""
    outlook = look_from(tables, study, day)
    require_training(outlook)
    judged = judge_candidates(tables, outlook, study, named, seed)
    whole = restore_end(outlook.study, study)
    train = load_rows(tables, whole, outlook.train, day, seed)
    leakage = check_panel(tables, whole, train, first_judged_day=day)
    learned = train[~train.left_in_lead]
    _require_enough(learned, day)
    models = _list_models(outlook, leakage.allowed, seed)
    model = _find_model(models, judged.choice.model, day)
    fitted = fit_kept(model, models, learned, leakage.allowed, seed)
    dictionary = describe_features(outlook.tables, outlook.study)
    base = make_base(model, models, learned, fitted, dictionary, seed)
    card = _write_card(outlook, study, judged, model, fitted, train, leakage, seed, named)
    card["effects"] = list_effects(outlook.tables, outlook.study, seed)
    return KeptModel(card, fitted, base)


def name_model(study: Study, day: date, seed: int, named: str) -> str:
    """Return the id of the model that these inputs make: its day and a short hash."""
    return f"{day}-{hash_inputs(study, day, seed, named or study.model or '')[:8]}"


def judge_candidates(
    tables: Tables, outlook: Outlook, study: Study, named: str, seed: int
) -> Judged:
    """Compare the candidates in the latest closed window.

    They learn on what was known by that window's snapshot. The leakage checks alone see all tables:
    an attribute has no history, and one that was written later knows the future at an earlier day.

    Raises
    ------
    StudyError
        If no window had closed by then, or too few left.
    """
    before = look_from(outlook.tables, study, outlook.judged)
    if not before.train:
        raise StudyError(
            f"expected two closed label windows by {outlook.day}, one to learn from and one to"
            f" judge, got that after {outlook.judged} alone; choose a later day, or a shorter"
            " horizon or lead"
        )
    whole = restore_end(before.study, study)
    train = load_rows(tables, whole, before.train, outlook.judged, seed)
    _require_enough(train[~train.left_in_lead], outlook.judged)
    test = load_rows(tables, whole, (outlook.judged,), outlook.day, seed)
    allowed = check_panel(tables, whole, train, outlook.judged).allowed
    words = describe_words(before)
    models = list_candidates(before.study, allowed, words, seed, named)
    predictions = predict(train, test, allowed, models, 2, 1, seed)
    predictions = predictions[~predictions.left_in_lead]
    choice = compare_candidates(predictions, models, seed, named)
    learned, shown = train[~train.left_in_lead], test[~test.left_in_lead]
    fitted = fit_kept(models[choice.model], models, learned, allowed, seed)
    kept = predictions.assign(**{KEPT: fitted.predict(shown)})
    shown = [*dict.fromkeys([KEPT, choice.rule, BASE_RATE])]
    keys = ["repeat", "snapshot", "customer_id", "churned", "left_in_lead"]
    return Judged(choice, kept[[*keys, *shown]].reset_index(drop=True), before.train)


def restore_end(placed: Study, study: Study) -> Study:
    """Return a study placed on an earlier day, whose data end as they do, for ``load_rows``."""
    return placed.model_copy(update={"data_end": study.data_end})


def load_rows(
    tables: Tables, study: Study, snapshots: Sequence[date], known_by: date, seed: int
) -> pd.DataFrame:
    """Return labels and features of at most about ``MOST_ROWS`` rows, all those of a customer.

    Labels and durations are those known by a day; ``leaves_in_data``, for the leakage checks
    alone, looks at all tables.
    """
    evidence, labels = label_panel(tables, study, snapshots, known_by)
    return load_features(evidence, draw_customers(labels, seed), study)


def draw_customers(labels: ir.Table, seed: int) -> ir.Table:
    """Return the rows of so many customers, drawn at random, that they are about ``MOST_ROWS``."""
    rows = labels.count().execute()
    if rows <= MOST_ROWS:
        return labels
    people = labels.select("customer_id").distinct().order_by("customer_id").to_pandas()
    number = round(len(people) * MOST_ROWS / rows)
    chosen = np.random.default_rng(seed).choice(len(people), number, replace=False)
    return labels.semi_join(ibis.memtable(people.iloc[np.sort(chosen)]), "customer_id")


def _require_enough(learned: pd.DataFrame, day: date) -> None:
    churners = int(learned.churned.sum())
    if min(churners, len(learned) - churners) < LEAST_OF_CLASS:
        raise StudyError(
            f"expected at least {LEAST_OF_CLASS} customers who left and as many who stayed, to"
            f" learn from by {day}, got {churners} and {len(learned) - churners}; no model can be"
            " trained: choose a later day, more training snapshots (snapshots.train) or a longer"
            " horizon"
        )


def describe_words(outlook: Outlook) -> dict[str, str]:
    """Return what each feature is, by its name."""
    dictionary = describe_features(outlook.tables, outlook.study)
    return dictionary.set_index("feature").description.to_dict()


def _list_models(outlook: Outlook, features: list[str], seed: int) -> dict[str, Model]:
    return list_candidates(outlook.study, features, describe_words(outlook), seed)


def _find_model(models: dict[str, Model], name: str, day: date) -> Model:
    if name in models:
        return models[name]
    raise StudyError(
        f"expected the features of {name} to pass the leakage checks by {day} too, but they don't;"
        " look at the table 'leaks' of 30_risk, or name another model (--model)"
    )


# The card


def _write_card(
    outlook: Outlook,
    study: Study,
    judged: Judged,
    model: Model,
    fitted: Fitted,
    train: pd.DataFrame,
    leakage: Leakage,
    seed: int,
    named: str,
) -> dict[str, Any]:
    choice = judged.choice
    return {
        "id": name_model(study, outlook.day, seed, named),
        "study": study.name,
        "title": study.title,
        "day": str(outlook.day),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": model.name,
        "family": model.family,
        "words": model.words,
        "source": model.source,
        "calibration": fitted.map_name,
        "chosen": choice.reason,
        "is_rule": choice.is_rule,
        "strongest_rule": choice.rule,
        "asked_for": named,
        "definition": define_churn(study),
        "train": _describe_rows(train),
        "lead_ratio": compare_lead(train),
        "allowed": leakage.allowed,
        "features": describe_inputs(outlook, train, fitted.features),
        "leaks": leakage.findings.to_dict("records"),
        "judged": _describe_judged(judged, outlook),
        "scores": score_kept(judged, seed),
        "candidates": choice.table.to_dict("records"),
        "tenths": bin_tenths(judged.predictions),
        "seed": seed,
        "versions": find_versions(),
        "data_hash": data_hash(study),
        "study_hash": hash_study(study),
        "code_hash": hash_code(),
    }


def _describe_rows(train: pd.DataFrame) -> dict[str, Any]:
    learned = train[~train.left_in_lead]
    return {
        "snapshots": [str(day.date()) for day in sorted(train.snapshot.unique())],
        "rows": len(learned),
        "customers": int(learned.customer_id.nunique()),
        "churners": int(learned.customer_id[learned.churned].nunique()),
        "churned_share": float(learned.churned.mean()),
        "left_in_lead": int(train.left_in_lead.sum()),
    }


def _describe_judged(judged: Judged, outlook: Outlook) -> dict[str, Any]:
    rows = judged.predictions
    window = Outlook(outlook.judged, outlook.tables, outlook.study, judged.train)
    return {
        "snapshot": str(outlook.judged),
        "opens": str(window.opens),
        "closes": str(window.closes),
        "learned_from": [str(day) for day in judged.train],
        "customers": int(rows.customer_id.nunique()),
        "churners": int(rows.churned.sum()),
    }


def describe_inputs(
    outlook: Outlook, train: pd.DataFrame, features: list[str]
) -> list[dict[str, Any]]:
    """Return what each feature of a model is, and what values it has taken.

    A text has its ``categories`` where they are few.
    """
    dictionary = describe_features(outlook.tables, outlook.study).set_index("feature")
    words = dictionary.reindex(features).astype(object)
    words = words.where(words.notna(), None).to_dict("index")
    numbers = {*train[features].select_dtypes("number")}
    return [
        {
            "feature": name,
            **words[name],
            "kind": "number" if name in numbers else "text",
            "categories": [] if name in numbers else list_categories(train[name]),
        }
        for name in features
    ]


def list_categories(values: pd.Series) -> list[str]:
    """Return the categories of a text, sorted; none where they are too many to be listed."""
    found = sorted({str(value) for value in values.dropna().unique()})
    return found if len(found) <= MOST_CATEGORIES else []


def score_kept(judged: Judged, seed: int) -> list[dict[str, Any]]:
    """Return the scores of the kept model, the strongest rule and the base rate out of time.

    With 95 % intervals by customer; and the differences of the kept model to the rule.
    """
    rows = judged.predictions.drop(columns="left_in_lead")
    customers = int(rows.customer_id.nunique())
    families = dict.fromkeys((KEPT, judged.choice.rule, BASE_RATE), "")
    resampled = resample_scores(rows, RESAMPLES, seed)
    scores = tabulate_scores(resampled, families, customers).assign(reference="")
    differences = tabulate_differences(resampled, [judged.choice.rule], families, customers)
    table = pd.concat([scores, differences[differences.model == KEPT]], ignore_index=True)
    table = table[table.metric.isin(CARD_METRICS)]
    kept = table[["model", "reference", "metric", "value", "low", "high"]].astype(object)
    return kept.where(kept.notna(), None).to_dict("records")


def bin_tenths(predictions: pd.DataFrame) -> list[dict[str, Any]]:
    """Return for each tenth of the judged customers what their risk was, and how many left.

    ``low`` and ``high``: 95 % interval of the observed share (Wilson). Equal risks stay together.
    """
    table = bin_reliability(predictions, [KEPT])
    risk = predictions[KEPT]
    tenth = np.ceil(risk.rank(method="average") / len(risk) * 10).astype(int)
    edges = risk.groupby(tenth).agg(["min", "max"])
    return [
        {
            "tenth": int(row.bin),
            "risk_from": float(edges.loc[row.bin, "min"]),
            "risk_to": float(edges.loc[row.bin, "max"]),
            "customers": int(row.n),
            "predicted": float(row.predicted),
            "observed": float(row.observed),
            "low": float(row.low),
            "high": float(row.high),
        }
        for row in table.itertuples()
    ]

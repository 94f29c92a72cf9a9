"""What ``research train`` and ``research score`` do, and the sentences that they print."""

from datetime import date
from pathlib import Path

import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end
from research.data.load import load_tables
from research.study import Study, show_path
from research.watchlist.forecast import describe_replay, forecast, read_drift, replay_forecast
from research.watchlist.history import REPLAYED, SENT, History, locate_history
from research.watchlist.kept_model import name_model, train_model
from research.watchlist.model_store import (
    CARD,
    KeptModel,
    find_kept,
    hash_inputs,
    load_model,
    locate_models,
    save_model,
)
from research.watchlist.scored_day import find_scored_day
from research.watchlist.scoring import Scores, score_day

SEED = 0


def train(study: Study, at: str = "", named: str = "") -> list[str]:
    """Train and keep a model of what was known by a day; nothing is done where it is there already.

    Returns
    -------
    list of str
        Sentences to print.
    """
    tables = load_tables(study)
    day = find_scored_day(tables, study, at)
    folder = locate_models(study) / name_model(study, day, SEED, named)
    if (folder / CARD).exists():
        kept = load_model(folder)
        return [f"kept already, from the same inputs: {show_path(folder)}", describe_model(kept)]
    kept, folder = keep_model(tables, study, day, named)
    replayed = pd.DataFrame(kept.card["replay"])
    replay = [describe_replay(replayed)] if len(replayed) else []
    return [describe_model(kept), *replay, f"written to {show_path(folder)}"]


def keep_model(tables: Tables, study: Study, day: date, named: str = "") -> tuple[KeptModel, Path]:
    """Train a model, replay its forecast on earlier windows, and write both to its folder."""
    kept = train_model(tables, study, day, SEED, named)
    replayed = replay_forecast(tables, study, kept, day, SEED)
    kept.card["replay"] = replayed.astype({"snapshot": str, "after": str, "until": str}).to_dict(
        "records"
    )
    return kept, save_model(study, kept)


def describe_model(kept: KeptModel) -> str:
    """Return which model was kept, from what, why, and what it is worth."""
    card, learned = kept.card, kept.card["train"]
    loss = next(row for row in card["scores"] if row["metric"] == "log_loss" and row["reference"])
    against = f"log-loss {loss['value']:+.4f} ({loss['low']:+.4f} to {loss['high']:+.4f})"
    return (
        f"model {kept.id}: {card['model']}, learned from {learned['customers']:,} customers"
        f" ({learned['churners']:,} left) at {len(learned['snapshots'])} snapshots up to"
        f" {learned['snapshots'][-1]}; {card['chosen']}; {against} to {card['strongest_rule']} in"
        f" the window after {card['judged']['snapshot']}"
    )


def score(study: Study, at: str = "", revise: str = "") -> list[str]:
    """Score everybody on a day, and append the scores to the history; train first without a model.

    Parameters
    ----------
    at : the day; without it, or on the last day of the data, the scores are those that are sent,
        else they are marked as replayed
    revise : why scores of a day that is in the history already are given again from other inputs

    Returns
    -------
    list of str
        Sentences to print.
    """
    tables = load_tables(study)
    day = find_scored_day(tables, study, at)
    model, lines = _find_model(tables, study, day)
    scores = score_day(tables, study, model, day)
    append_scores(study, scores, model, _name_kind(tables, study, day, at), revise)
    lines += [describe_scores(study, scores, model), *(f"note: {each}" for each in scores.remarks)]
    return [*lines, f"history: {show_path(locate_history(study.name))}"]


def _find_model(tables: Tables, study: Study, day: date) -> tuple[KeptModel, list[str]]:
    folder, unfit = find_kept(study, day)
    if folder is not None:
        return load_model(folder), []
    reason = f"no kept model may score {day} ({unfit})" if unfit else "no model is kept yet"
    kept, _ = keep_model(tables, study, day)
    return kept, [f"{reason}: one was trained", describe_model(kept)]


def _name_kind(tables: Tables, study: Study, day: date, at: str) -> str:
    return SENT if not at or day == find_data_end(tables, study) else REPLAYED


def append_scores(study: Study, scores: Scores, model: KeptModel, kind: str, revise: str) -> None:
    """Append scores to the history, with the model and the day by which everything was known.

    Raises
    ------
    StudyError
        If the history has other scores of that day, and there is no reason to revise them.
    """
    frame = scores.rows.assign(model=model.id, known_by=pd.Timestamp(scores.day))
    inputs = hash_inputs(study, scores.day, model.id)
    History(locate_history(study.name)).append(kind, scores.day, frame, inputs, revise)


def describe_scores(study: Study, scores: Scores, model: KeptModel) -> str:
    """Return how many were scored, and how many of them are expected to leave by when."""
    row = forecast(scores, model, study, read_drift(model)).iloc[0]
    interval = (
        f" (95 % prediction interval {row.low:,.0f} to {row.high:,.0f})"
        if pd.notna(row.high)
        else " (no earlier window shows how far off that may be)"
    )
    amount = (
        f", with {row.monthly_amount:,.0f} {study.economics.currency} a month"
        if pd.notna(row.monthly_amount)
        else ""
    )
    what = "leave" if study.kind == "contractual" else "buy nothing"
    return (
        f"{row.customers:,} customers of {scores.day} scored by {model.card['model']} ({model.id});"
        f" {row.expected:,.0f}{interval} are expected to {what} by {row.until}{amount}"
    )

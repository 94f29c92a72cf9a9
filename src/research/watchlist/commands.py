"""What ``research train`` and ``research score`` do, and the sentences that they print."""

from datetime import date
from pathlib import Path

import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end
from research.data.load import load_tables
from research.study import Study, show_path
from research.watchlist.exports import export_list
from research.watchlist.forecast import describe_replay, forecast, read_drift, replay_forecast
from research.watchlist.history import ASSIGNED, REPLAYED, SENT, History, locate_history
from research.watchlist.kept_model import name_model, train_model
from research.watchlist.listing import Watchlist, describe_list, make_watchlist
from research.watchlist.model_store import (
    CARD,
    KeptModel,
    find_kept,
    hash_inputs,
    load_model,
    locate_models,
    save_model,
)
from research.watchlist.outcomes import append_outcomes
from research.watchlist.playbook import Playbook, load_playbook
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
    playbook = load_playbook(study)
    tables = load_tables(study)
    day = find_scored_day(tables, study, at)
    history = History(locate_history(study.name))
    lines = append_outcomes(tables, study, history)
    model, trained = _find_model(tables, study, day)
    scores = score_day(tables, study, model, day, study.economics.capacity)
    kind = _name_kind(tables, study, day, at)
    watchlist = list_customers(scores, model, study, playbook, history, kind)
    append_scores(study, scores, model, watchlist, kind, revise)
    folder = export_list(history, kind, day, study)
    lines += [*trained, describe_scores(study, scores, model)]
    lines += [*describe_list(watchlist, study), *(f"note: {each}" for each in scores.remarks)]
    return [*lines, f"history: {show_path(history.folder)}; files: {show_path(folder)}"]


def list_customers(
    scores: Scores,
    model: KeptModel,
    study: Study,
    playbook: Playbook | None,
    history: History,
    kind: str,
) -> Watchlist:
    """Return the list of a day, compared with the last one of its kind before it."""
    earlier = find_earlier(history, kind, scores.day)
    assigned = history.read(ASSIGNED) if kind == SENT else pd.DataFrame()
    return make_watchlist(scores, model, study, playbook, earlier, assigned, SEED)


def find_earlier(history: History, kind: str, day: date) -> pd.DataFrame:
    """Return the list of the last day of its kind before a day; empty without one."""
    days = [entry.snapshot for entry in history.find(kind) if entry.snapshot < day.isoformat()]
    if not days:
        return pd.DataFrame(columns=["customer_id", "rank", "lists_in_a_row"])
    rows = history.read(kind, date.fromisoformat(days[-1]))
    columns = ["customer_id", "rank", "lists_in_a_row"]
    return rows.reindex(columns=columns).dropna(subset=["rank"]).astype({"rank": int})


def _find_model(tables: Tables, study: Study, day: date) -> tuple[KeptModel, list[str]]:
    folder, unfit = find_kept(study, day)
    if folder is not None:
        return load_model(folder), []
    reason = f"no kept model may score {day} ({unfit})" if unfit else "no model is kept yet"
    kept, _ = keep_model(tables, study, day)
    return kept, [f"{reason}: one was trained", describe_model(kept)]


def _name_kind(tables: Tables, study: Study, day: date, at: str) -> str:
    return SENT if not at or day == find_data_end(tables, study) else REPLAYED


def append_scores(
    study: Study, scores: Scores, model: KeptModel, watchlist: Watchlist, kind: str, revise: str
) -> None:
    """Append scores and list to the history, with the model and the day by which all was known.

    What was drawn for the listed is appended beside them, unless they are replayed.

    Raises
    ------
    StudyError
        If the history has other scores of that day, and there is no reason to revise them.
    """
    frame = add_list(scores, watchlist).assign(model=model.id, known_by=pd.Timestamp(scores.day))
    inputs = hash_inputs(study, scores.day, model.id, watchlist.version)
    history = History(locate_history(study.name))
    history.append(kind, scores.day, frame, inputs, revise)
    if kind == SENT and watchlist.playbook is not None:
        history.append(ASSIGNED, scores.day, watchlist.assigned, inputs, revise)


def add_list(scores: Scores, watchlist: Watchlist) -> pd.DataFrame:
    """Return everybody's scores with what the list says of those on it; empty of all others."""
    known = {*scores.rows} - {"customer_id"}
    listed = watchlist.rows.drop(columns=[name for name in watchlist.rows if name in known])
    rows = scores.rows.merge(listed, on="customer_id", how="left", validate="one_to_one")
    whole = dict.fromkeys(("rank", "earlier_rank", "lists_in_a_row"), "Int64")
    return rows.astype(whole | {"stable_reason": "boolean"}).assign(playbook=watchlist.version)


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

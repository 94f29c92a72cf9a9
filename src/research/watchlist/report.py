"""Tables for readers and sentences of ``70_watchlist``.

"No list: not shown to be better than …" is a verdict that they can reach.
"""

import hashlib
import html
from typing import Any

import numpy as np
import pandas as pd
from great_tables import GT
from IPython.display import Markdown

from research.panel.periods import find_horizon, write_span
from research.reporting.format import join_words, write_plain, write_quantity, write_range
from research.reporting.tables import show, stack
from research.study import Study
from research.study_schema import CONTROL
from research.survival.tenure import ALL
from research.watchlist.backtest import SCORES
from research.watchlist.cycle import Cycle
from research.watchlist.forecast import describe_replay
from research.watchlist.listing import describe_holdout, describe_list, price_holdout
from research.watchlist.lists import CONTACT, NO_PLAY
from research.watchlist.replay import BY_CHANCE, BY_LIST, BY_RULE
from research.watchlist.verdict import (
    BY_VALUE,
    GROUPS,
    Backtest,
    compare_missed,
    find_deciding,
    find_timely,
)

FIRST = 20  # of the list, on the page
NO_BACKTEST = "No earlier window has closed with enough before it to learn from: nothing is judged."
LIFTS = ("lift", "value_lift")
SCORE_WORDS = {
    "precision": "precision",
    "recall": "recall",
    "lift": "lift",
    "valuable_precision": "precision, most valuable fifth",
    "value_lift": "lift by value",
}


# The verdict


def describe_verdict(cycle: Cycle, study: Study) -> list[str]:
    """Return the answer: whom to contact, how good lists like it were, and by which rule."""
    return [
        *_describe_quality(cycle),
        *_describe_total(cycle, study),
        _describe_length(cycle, study),
        *_describe_timeliness(cycle, study),
    ]


def _describe_quality(cycle: Cycle):
    test, rule = cycle.backtest, cycle.rule
    if not test.judged:
        yield f"**Not judged.** {NO_BACKTEST}"
    elif test.passed:
        yield f"**{test.quality.capitalize()}.** {_compare_lists(cycle)}"
    elif cycle.kept.card["is_rule"]:
        yield (
            f"**No list by a model: not shown to be better than the {rule}.** No classifier was"
            f" ({cycle.kept.card['chosen']}). The list below is that of the rule."
            f" {_describe_rule_list(test)}"
        )
    else:
        yield (
            f"**No list by a model: {cycle.kept.card['model']} is not shown to be better than the"
            f" {rule}.** {_compare_lists(cycle)} The list below is that of the rule."
        )
        if cycle.day is not None:
            yield f"To have `research score` write the same, put `model: {rule}` into study.yml."


def _describe_rule_list(test: Backtest) -> str:
    precision, lift = (_find_score(test, BY_RULE, score) for score in ("precision", "lift"))
    return (
        f"Of those on replayed lists of it {_share(precision.value)} ({_share(precision.low)} to"
        f" {_share(precision.high)}) left by the end of the window, {lift.value:.1f} times"
        f" ({lift.low:.1f} to {lift.high:.1f}) the share of all customers."
    )


def _compare_lists(cycle: Cycle) -> str:
    """Return how the list did, beside that of the strongest rule, by the score that decides."""
    test = cycle.backtest
    score = find_deciding(test.scores)
    own, rule = (_find_score(test, name, score) for name in (BY_LIST, BY_RULE))
    precision = _find_score(test, BY_LIST, "precision")
    rows = test.differences[test.differences.score == score].set_index("reference")
    where, left = f"{int(own.lists)} replayed lists", "left by the end of the window"
    if cycle.day is None:
        where, left = "a list scored out of fold", "have left"
    counted = "Counted by what they paid, that is" if score == BY_VALUE else "That is"
    return (
        f"Of those on {where} ({test.capacity:,} customers each), {_share(precision.value)}"
        f" ({_share(precision.low)} to {_share(precision.high)}) {left}. {counted}"
        f" {own.value:.1f} times ({own.low:.1f} to {own.high:.1f}) what random lists find on"
        f" average; lists of the strongest rule ({cycle.rule}) {rule.value:.1f} times: a difference"
        f" of {_write_gap(rows.loc[BY_RULE])}, and of {_write_gap(rows.loc[BY_CHANCE])} to a random"
        " list (95 %, paired by customer, adjusted for the number of lists compared)."
    )


def _write_gap(row: Any) -> str:
    return f"{row.value:+.2f} ({row.low:+.2f} to {row.high:+.2f})"


def _describe_total(cycle: Cycle, study: Study):
    if cycle.scores is None:
        yield "The study has no days: a one-off list, without forecast, replay or history."
        return
    row = cycle.forecast(study).iloc[0]
    interval = f" ({row.low:,.0f} to {row.high:,.0f})" if pd.notna(row.high) else ""
    amount = (
        f", with {row.monthly_amount:,.0f} {study.economics.currency} a month"
        if pd.notna(row.monthly_amount)
        else ""
    )
    what = "leave" if study.kind == "contractual" else "buy nothing"
    yield (
        f"Of {row.customers:,} customers of {cycle.day}, {row.expected:,.0f}{interval} are expected"
        f" to {what} by {row.until}{amount}."
    )


def _describe_length(cycle: Cycle, study: Study) -> str:
    rows = cycle.watchlist.rows
    due = int((rows.decision == CONTACT).sum())
    held = int((rows.assigned_arm == CONTROL).sum())
    known = rows.value_at_risk.notna().any()
    at_risk = (
        f", with {rows.value_at_risk.sum():,.0f} {study.economics.currency} at risk"
        if known
        else ""
    )
    acts = (
        f" {due - held:,} are to be contacted, {held:,} held out at random."
        if cycle.watchlist.playbook
        else ""
    )
    return f"The list names {len(rows):,} customers{at_risk}.{acts}"


def _describe_timeliness(cycle: Cycle, study: Study):
    test = cycle.backtest
    if test.leavers.empty:
        return
    lead, days = test.lead.iloc[0], max(study.churn.lead_days, 1)
    share, low, high = find_timely(test.lead)
    if not lead.listed:
        yield f"None of the {int(lead.left):,} who left was on a replayed list before."
        return
    yield (
        f"Of {int(lead.left):,} who left in the time replayed, {int(lead.listed):,}"
        f" ({_share(lead.listed_share)}) had been listed before, half of them at least"
        f" {lead.median_days:,.0f} days before they left; {_share(share)}"
        f" ({_share(low)} to {_share(high)}) of these at least {days} days ahead, the time that the"
        " team needs."
    )


def _find_score(test: Backtest, ranking: str, score: str) -> Any:
    rows = test.scores[(test.scores.ranking == ranking) & (test.scores.score == score)]
    return rows.iloc[0]


def _share(value: float) -> str:
    return write_quantity(value, "share")


def _points(value: float) -> str:
    return write_quantity(value, "points")


# The forecast


def forecast_table(cycle: Cycle, study: Study) -> pd.DataFrame:
    """Return how many are expected to leave, in all and by segment, and what goes with them."""
    if cycle.scores is None:
        return pd.DataFrame()
    table = cycle.forecast(study)
    rows = [*table.itertuples()]
    return pd.DataFrame(
        {
            "by": table.segment_by.where(table.segment_by != ALL, "").str.replace("_", " "),
            "segment": ["all" if row.segment == ALL else write_plain(row.segment) for row in rows],
            "customers": table.customers,
            "expected to leave": [_count(row.expected, row.low, row.high) for row in rows],
            "expected share": table.expected_share,
            f"a month, {study.economics.currency}": [
                _count(row.monthly_amount, row.amount_low, row.amount_high) for row in rows
            ],
        }
    )


FORECAST_RANGES = ("expected to leave", "a month, ")


def find_ranges(table: pd.DataFrame) -> list[str]:
    """Return the columns with an interval in a cell."""
    return [name for name in table if name.startswith(FORECAST_RANGES)]


def _count(value: float, low: float, high: float) -> str:
    if not np.isfinite(value):
        return "–"
    if not np.isfinite(high):
        return f"{value:,.0f}"
    return write_range(f"{value:,.0f}", f"{low:,.0f}", f"{high:,.0f}")


def describe_forecast(cycle: Cycle) -> str:
    """Return how forecasts of earlier windows did."""
    if cycle.scores is None:
        return ""
    return describe_replay(cycle.windows)


# The list


def name_customers(customers: pd.Series, identify: bool, study: Study) -> pd.Series:
    """Return the ids, or for each a pseudonym that depends on the id and the study alone."""
    if identify:
        return customers.map(write_plain)
    return customers.map(
        lambda name: hashlib.sha256(f"{study.name} {name}".encode()).hexdigest()[:8]
    )


def list_table(cycle: Cycle, study: Study, identify: bool, n: int = FIRST) -> pd.DataFrame:
    """Return the first customers of the list as a team reads it: whom, why, what to do, by when."""
    rows, currency = cycle.watchlist.rows.head(n), study.economics.currency
    ranks = [f"{row.rank}<br><small>{row.tier}</small>" for row in rows.itertuples()]
    table = pd.DataFrame({"rank": pd.Series(ranks, rows.index, dtype=object)})
    table["customer"] = name_customers(rows.customer_id, identify, study)
    table["why"] = [_write_reasons(row) for row in rows.itertuples()]
    if cycle.watchlist.playbook:
        table["what to do"] = [_write_action(row) for row in rows.itertuples()]
    table["risk"] = [_write_risk(row) for row in rows.itertuples()]
    if rows.value_at_risk.notna().any():
        table[f"at risk, {currency}"] = rows.value_at_risk.round(0)
    if cycle.day is not None:
        table["known of the customer"] = [_write_time(row) for row in rows.itertuples()]
        table["since the list before"] = [_write_change(row) for row in rows.itertuples()]
    return table


def show_list(table: pd.DataFrame, note: str) -> GT | Markdown:
    """Return the first customers of the list for a page; see ``list_table``."""
    cells = [name for name in LIST_CELLS if name in table]
    shown = show(table, note=note, empty="Nobody is on the list.")
    return shown.fmt(lambda cell: cell, columns=cells) if len(table) else shown


def rename_ranges(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the list with the range of similar customers under its own name.

    It is what came of customers with such a risk, and no interval of the one customer's, which may
    lie outside it.
    """
    return rows.rename(columns={"risk_low": "similar_low", "risk_high": "similar_high"})


LIST_CELLS = ("rank", "risk", "why", "what to do", "since the list before", "known of the customer")


def _write_risk(row) -> str:
    if not np.isfinite(row.risk_low):
        return _share(row.risk)
    return stack(f"{_share(row.risk)} ({_share(row.risk_low)} to {_share(row.risk_high)})")


def _write_reasons(row) -> str:
    texts = [text for text in (row.reason_1, row.reason_2, row.reason_3) if text]
    lines = [html.escape(text) for text in texts] or ["no single reason"]
    unsure = "" if row.stable_reason or not texts else " <small>(unstable)</small>"
    lines[0] += unsure
    return "<br>".join([lines[0], *(f"<small>{line}</small>" for line in lines[1:])])


def _write_action(row) -> str:
    if row.decision != CONTACT:
        return html.escape("–" if row.decision == NO_PLAY else row.decision)
    if row.assigned_arm == CONTROL:
        return "<b>held out</b>: no contact"
    offer = f" Next offer: {write_plain(row.next_offer)}." if row.next_offer else ""
    by = f"{row.owner}, {row.channel}, by {row.deadline:%Y-%m-%d}; {_write_evidence(row)}"
    return f"<b>{html.escape(row.action)}</b>: {html.escape(row.say + offer)}<br><small>" + (
        f"{html.escape(by)}</small>"
    )


def _write_evidence(row) -> str:
    if np.isfinite(row.effect_points):
        return (
            f"effect on staying {row.effect_points:+.1f} points ({row.effect_low:+.1f} to"
            f" {row.effect_high:+.1f})"
        )
    return "effect assumed" if row.evidence == "assumption" else "effect not tested"


def _write_change(row) -> str:
    if not np.isfinite(row.earlier_rank):
        return "new"
    times = f"<small>list {row.lists_in_a_row} in a row</small>"
    return f"{row.change}, was {int(row.earlier_rank)}<br>{times}"


def _write_time(row) -> str:
    parts = []
    if np.isfinite(row.days_to_renewal):
        days = int(row.days_to_renewal)
        parts.append(f"renews in {days} day{'s' if days != 1 else ''}")
    if np.isfinite(row.overdue_ratio):
        parts.append(f"silent {row.overdue_ratio:.1f} times the usual gap")
    if pd.notna(row.last_contact):
        parts.append(f"contacted {row.last_contact:%Y-%m-%d}")
    return "<br>".join(parts)


def describe_columns(cycle: Cycle, study: Study, identify: bool) -> str:
    """Return the note below the list."""
    total, names = len(cycle.watchlist.rows), "names" if identify else "pseudonyms"
    others = f"the first {FIRST} of {total:,}" if total > FIRST else f"all {total:,}"
    churn = study.churn
    window = (
        f" Risk: of leaving in {write_span(find_horizon(churn))} from {churn.lead_days} days after"
        f" {cycle.day} on, with the 95 % range of what came of customers with such a risk."
        if cycle.day
        else " Risk: by models fitted without the customer."
    )
    return (
        f"Shown are {others}, by {names}; the table `watchlist` has all, with their ids.{window} A"
        " reason says what the model goes by, not what would keep the customer; “unstable”: models"
        " fitted on resampled customers name others."
    )


def describe_decisions(cycle: Cycle, study: Study) -> str:
    """Return who is on the list and what is done, in sentences."""
    if cycle.day is None:
        return "Without days there is no list before, no deadline and nobody to spare."
    lines = describe_list(cycle.watchlist, study)
    before = _name_earlier(cycle)
    holdout = {*describe_holdout(cycle.watchlist, study.economics.currency)}
    told = [line for line in lines if line not in holdout]
    return " ".join(f"{line[0].upper()}{line[1:]}." for line in told) + before


def _name_earlier(cycle: Cycle) -> str:
    if cycle.earlier_day is None:
        return ""
    kind = "sent" if cycle.earlier_sent else "replayed"
    return f" The list before is that of {cycle.earlier_day}, which was {kind}."


def decisions_table(cycle: Cycle) -> pd.DataFrame:
    """Return by decision and action how many, and what is at risk with them."""
    rows = cycle.watchlist.rows
    held = rows.assigned_arm == CONTROL
    done = rows.decision.where(~held, "held out")
    parts = rows.assign(decision=done, action=rows.action.replace("", "–"))
    table = parts.groupby(["decision", "action", "arm", "owner"], sort=False)
    return table.agg(
        customers=("rank", "size"),
        mean_risk_share=("risk", "mean"),
        value_at_risk=("value_at_risk", "sum"),
        cost=("cost", "sum"),
    ).reset_index()


def holdout_table(cycle: Cycle) -> pd.DataFrame:
    """Return what holding out costs by action; see ``listing.price_holdout``."""
    return price_holdout(cycle.watchlist.rows).round(2)


def describe_held_out(cycle: Cycle, study: Study) -> str:
    """Return the holdout in sentences."""
    lines = [*describe_holdout(cycle.watchlist, study.economics.currency)]
    return " ".join(f"{line[0].upper()}{line[1:]}." for line in lines)


# Reasons


def reasons_table(cycle: Cycle) -> pd.DataFrame:
    """Return how often each theme is a reason, and whether it is stable."""
    reasons = cycle.watchlist.reasons
    if reasons.empty:
        return pd.DataFrame()
    listed = len(cycle.watchlist.rows)
    table = reasons.groupby("theme", sort=False).agg(
        customers=("customer_id", "nunique"),
        first=("order", lambda order: int((order == 1).sum())),
        stable_share=("stable", "mean"),
        example=("text", "first"),
    )
    table.insert(1, "listed_share", table.customers / listed)
    table["example"] = table.example.map(_shorten)
    names = {"first": "as first reason"}
    return table.sort_values("customers", ascending=False).reset_index().rename(columns=names)


def _shorten(text: str, width: int = 100) -> str:
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


# Did it warn in time?


def scores_table(test: Backtest) -> pd.DataFrame:
    """Return the scores of each ranking, with their intervals."""
    if test.scores.empty:
        return pd.DataFrame()
    cells = test.scores.assign(cell=[_write_cell(row) for row in test.scores.itertuples()])
    table = cells.pivot(index="ranking", columns="score", values="cell")
    order = [*dict.fromkeys(test.scores.ranking)]
    return table.loc[order, [*SCORES]].rename(columns=SCORE_WORDS).reset_index()


def _write_cell(row) -> str:
    if not np.isfinite(row.value):
        return "–"
    if row.score in LIFTS:
        return write_range(*(f"{value:.2f}" for value in (row.value, row.low, row.high)))
    return write_range(*(_share(value) for value in (row.value, row.low, row.high)))


def differences_table(test: Backtest) -> pd.DataFrame:
    """Return what the list gains on each other ranking."""
    if test.differences.empty:
        return pd.DataFrame()
    rows = [*test.differences.itertuples()]
    return pd.DataFrame(
        {
            "less": test.differences.reference,
            "score": test.differences.score.map(SCORE_WORDS),
            "difference": [_write_difference(row) for row in rows],
            "verdict": test.differences.verdict,
        }
    )


def _write_difference(row) -> str:
    if not np.isfinite(row.value):
        return "–"
    write = (lambda value: f"{value:+.2f}") if row.score in LIFTS else _points
    return write_range(*(write(value) for value in (row.value, row.low, row.high)))


def describe_rankings(cycle: Cycle, study: Study) -> str:
    """Return what the backtest compares."""
    test = cycle.backtest
    if cycle.day is None:
        return (
            f"Everybody of the snapshot, {test.capacity:,} on each list, scored by models that were"
            " fitted without them."
        )
    windows = cycle.replay.windows
    if windows.empty:
        return NO_BACKTEST
    sample = "" if cycle.replay.share == 1 else f", of {cycle.replay.share:.0%} of the customers"
    every = study.snapshots.every or f"{study.snapshots.every_days} days"
    return (
        f"{len(windows)} lists from {windows.snapshot.iloc[0]} to {windows.snapshot.iloc[-1]}, one"
        f" every {every}, {test.capacity:,} customers each{sample}. At each day"
        f" {cycle.kept.card['model']} learned again, from windows that had closed by then. None of"
        " these lists was sent."
    )


def describe_turnover(test: Backtest) -> str:
    """Return how much the list changes from one to the next."""
    if test.turnover.empty:
        return ""
    share = test.turnover.kept_share.mean()
    return f"From one list to the next, {_share(share)} of those still customers stay on it."


def describe_missed(test: Backtest) -> str:
    """Return how many left without having been listed."""
    if not len(test.missed) or test.leavers.empty:
        return ""
    near = int((test.missed.best_rank <= 2 * test.capacity).sum())
    return (
        f"{len(test.missed):,} of {len(test.leavers):,} who left were on no replayed list before;"
        f" {near:,} of them had come within twice the length of the list."
    )


def missed_table(cycle: Cycle) -> pd.DataFrame:
    """Return what those who left unlisted looked like, in words; see ``verdict.compare_missed``."""
    if cycle.backtest.leavers.empty:
        return pd.DataFrame()
    table = compare_missed(cycle.replay, cycle.backtest)
    words = {each["feature"]: each["description"] for each in cycle.kept.card["features"]}
    cells = {name: [_write_middle(value) for value in table[name]] for name in GROUPS}
    return table.assign(feature=table.feature.map(lambda name: words.get(name, name)), **cells)


def _write_middle(value: Any) -> str:
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "–"
    return write_quantity(value, "") if isinstance(value, float) else write_plain(value)


def signals_table(test: Backtest) -> pd.DataFrame:
    """Return the signal register: what each theme has been worth as a warning."""
    if test.signals.empty:
        return pd.DataFrame()
    rows = [*test.signals.itertuples()]
    return pd.DataFrame(
        {
            "theme": test.signals.theme,
            "customers with it, share": [_share(row.present_share) for row in rows],
            "lift": [
                write_range(*(f"{value:.2f}" for value in (row.lift, row.lift_low, row.lift_high)))
                for row in rows
            ],
            "leavers with it before, share": [_share(row.covered_share) for row in rows],
            "days ahead, median": test.signals.median_days,
            "in time, share": [
                write_range(
                    *(_share(value) for value in (row.early_share, row.early_low, row.early_high))
                )
                for row in rows
            ],
            "": test.signals.kind,
        }
    )


# The model


def tabulate_card(cycle: Cycle) -> pd.DataFrame:
    """Return the card of the kept model as one row per item."""
    card = cycle.kept.card
    learned = card["train"]
    leaks = [row["column"] for row in card.get("leaks", []) if row["decision"] != "kept"]
    items = {
        "id": card["id"],
        "model": f"{card['model']}: {card['words']}",
        "why": card["chosen"],
        "learned from": f"{learned['rows']:,} rows of {learned['customers']:,} customers, of whom"
        f" {learned['churners']:,} left",
        "snapshots": ", ".join(learned["snapshots"]),
        "known by": card.get("day", ""),
        "calibration": card.get("calibration", ""),
        "features": f"{len(card['features']):,}",
        "excluded for target leakage": join_words([*map(write_plain, leaks)]) if leaks else "",
        **{_name_score(row): _write_card_score(row) for row in card["scores"]},
        "seed": str(card.get("seed", "")),
        "data": str(card.get("data_hash", ""))[:12],
        "code": str(card.get("code_hash", ""))[:12],
    }
    return pd.DataFrame(
        [(name, text) for name, text in items.items() if text], columns=["item", "what"]
    )


def _name_score(row: dict[str, Any]) -> str:
    against = f" less that of {row['reference']}" if row["reference"] else f" of {row['model']}"
    return f"{row['metric'].replace('_', ' ')}{against}"


def _write_card_score(row: dict[str, Any]) -> str:
    if row["value"] is None:
        return ""
    ends = [row["value"], row["low"], row["high"]]
    return "{} ({} to {})".format(*("–" if one is None else f"{one:.4f}" for one in ends))

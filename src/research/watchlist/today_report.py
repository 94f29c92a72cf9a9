"""Sentences and tables on the scored day, for the pages that list anybody."""

from typing import Any

import pandas as pd

from research.reporting.format import write_quantity
from research.reporting.results import save_table
from research.reporting.tables import show
from research.study import Study
from research.watchlist.forecast import COSTS, describe_replay
from research.watchlist.today import Today

MONEY = ("monthly_amount", "amount_low", "amount_high", *COSTS)
CUSTOMERS = {"expected": 1, "low": 1, "high": 1}


def describe_day(today: Today, judged: str = "") -> str:
    """Return which day is judged, and of which day lists and sums speak, by which model.

    Parameters
    ----------
    judged : a sentence on what is judged by what; models on the judged day unless given
    """
    if today.risk is None:
        instead = f" Lists and sums are of the judged day, {today.judged}." if today.judged else ""
        return f"{today.missing}{instead}"
    card = today.card
    judged = judged or f"Models are judged on {today.judged}, whose label window has closed."
    learned = f"{card['train']['customers']:,} customers at {len(card['train']['snapshots'])}"
    return (
        f"{judged} Lists and sums are as of **{today.day}**: its {len(today.rows):,} customers are"
        f" scored by {card['model']} (model {card['id']}), which learned from {learned} snapshots"
        " whose windows had closed by that day. The same risks as those of `research score`."
    )


def describe_promise(today: Today, study: Study) -> str:
    """Return what the judged windows promise for the scored day: the forecast, and how far off
    earlier ones were; nothing of a flat study.
    """
    if today.risk is None:
        return today.missing if today.judged else ""
    row = today.forecast().iloc[0]
    what = "leave" if study.kind == "contractual" else "buy nothing"
    return (
        f"As of {today.day}: {row.expected:,.0f}{_write_interval(row)} of {row.customers:,}"
        f" customers ({write_quantity(row.expected_share, 'share')}) are expected to {what} by"
        f" {row.until}, by {today.card['model']}. {describe_replay(today.replay)}"
    )


def _write_interval(row: pd.Series) -> str:
    if pd.isna(row.high):
        return ""
    return f" (95 % prediction interval {row.low:,.0f} to {row.high:,.0f})"


def describe_cost(forecast: pd.DataFrame, today: Today, currency: str) -> str:
    """Return what the customers expected to leave cost.

    Empty where nobody was scored.

    Parameters
    ----------
    forecast : see ``Today.forecast``, with the value of keeping
    """
    if forecast.empty:
        return ""
    row = forecast.iloc[0]
    interval = (
        f" (95 % prediction interval {row.keeping_low:,.0f} to {row.keeping_high:,.0f})"
        if pd.notna(row.keeping_high)
        else ""
    )
    return (
        f"Those expected to leave by {row.until} take with them a value of"
        f" {row.value_of_keeping:,.0f}{interval} {currency}: the risk as of {today.day} times the"
        " value of keeping. This interval is of what will come, with the drift of earlier windows;"
        " those of the expected cost of churn by segment are narrower, as they are of the mean."
    )


def show_forecast(forecast: pd.DataFrame, today: Today, currency: str) -> Any:
    """Show the forecast, and leave the table ``forecast``, whose money carries the currency."""
    named = {name: f"{name}_{currency.lower()}" for name in MONEY}
    table = save_table(forecast.rename(columns=named), "forecast")
    money = dict.fromkeys((name for name in named.values() if name in table), 0)
    note = (
        f"As of {today.day}: expected to leave by the end of the window, with 95 % prediction"
        " intervals (sampling, the level of the risks, and how far off earlier windows were)."
        " Monthly amount: fee, or mean spend in 30 days. Money is of those expected to leave."
    )
    return show(table.round(CUSTOMERS | money), note=note, empty=today.missing)


def show_replay(today: Today) -> Any:
    """Show forecasts of earlier windows beside what came; leave the table ``forecast_replay``."""
    replay = save_table(today.replay, "forecast_replay")
    note = (
        "Each by a model that knew what was known on its day; inside: whether the interval, which"
        " rests on windows closed by that day, held the actual number."
    )
    shown = replay.drop(columns=["after", "churners_learned"]).round(CUSTOMERS | {"ratio": 2})
    return show(shown, note=note, empty="No earlier window can judge the forecast.")

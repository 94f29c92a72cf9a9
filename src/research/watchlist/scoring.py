"""Everybody scored by a kept model on one day, a part of the customers at a time."""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.errors import StudyError
from research.panel.periods import MONTH_OF_30_DAYS
from research.study import Study
from research.watchlist.inputs import Differences, conform
from research.watchlist.model_store import KeptModel
from research.watchlist.scored_day import Outlook, describe_short_history, look_from, place_last
from research.watchlist.worth import add_worth

FEE = "monthly_fee"
COLUMNS = [
    "customer_id",
    "snapshot",
    "risk",
    "risk_low",
    "risk_high",
    "lead_risk",
    "risk_by_end",
    "monthly_amount",
    "worth_of_keeping",
    "value_at_risk",
    "days_left",
]
RANKED_BY = ["value_at_risk", "risk", "customer_id"]  # the highest first; customers in their order
RENEWAL, OVERDUE = "days_to_renewal", "silence_ratio_"  # features that a list shows


@dataclass(frozen=True)
class Scores:
    """Risks of everybody in the population of a day.

    Attributes
    ----------
    rows : one row per customer, in their order, with columns customer_id, snapshot, risk (of churn
        in the label window of one who is still there after the lead), risk_low, risk_high (the
        calibrated range of the group: 95 % interval of the share that left among judged customers
        with similar risk), lead_risk (of leaving by the end of the lead), risk_by_end (of leaving
        by the end of the window, lead included), monthly_amount (fee, or mean spend in 30 days;
        empty where the study knows none), and those of ``worth.add_worth``
    outlook : what was known of the day
    model : id of the kept model
    remarks : sentences on features that differ from those the model learned
    listed : features of those whom a list has room for, the first one first, see
        ``rank_rows``
    """

    rows: pd.DataFrame
    outlook: Outlook
    model: str
    remarks: list[str]
    listed: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def day(self) -> date:
        """Return the scored day."""
        return self.outlook.day


def score_day(
    tables: Tables, study: Study, model: KeptModel, day: date, capacity: int = 0
) -> Scores:
    """Score everybody who is a customer on a day.

    Features are built once, and put together and scored ``assembly.PART`` customers at a time, so
    that memory doesn't grow with them.

    Parameters
    ----------
    tables : contract tables, unfiltered
    day : see ``scored_day.find_scored_day``
    capacity : customers whose features are kept, for a list

    Raises
    ------
    StudyError
        If the model learned from later days, nobody is a customer, or the data lack all features
        of the model.
    """
    if model.day > day:
        raise StudyError(
            f"expected a model that learned from what was known by {day}, got {model.id}, which"
            f" knows the days up to {model.day}; train one with --at {day}"
        )
    outlook = prepare_outlook(tables, study, model, day)
    differences, parts, listed = Differences(), [], pd.DataFrame()
    for part in outlook.load_parts():
        inputs = conform(part, model.card["features"], differences)
        parts.append(_score_part(part, inputs, model, outlook))
        listed = _keep_first(listed, parts[-1], _add_shown(inputs, part), capacity)
    rows = pd.concat(parts, ignore_index=True)
    if rows.empty:
        raise StudyError(
            f"{study.name}: expected customers on {day}, got none; choose another day, or look at"
            " the population in 10_data"
        )
    short = describe_short_history(tables, study, day)
    remarks = [*([short] if short else []), *differences.describe()]
    return Scores(rows, outlook, model.id, remarks, listed)


def rank_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows as a list ranks them: by value at risk, then by risk; without values by risk."""
    return rows.sort_values(RANKED_BY, ascending=[False, False, True], ignore_index=True)


def _keep_first(
    first: pd.DataFrame, scored: pd.DataFrame, inputs: pd.DataFrame, capacity: int
) -> pd.DataFrame:
    """Return the features of the first customers of all parts so far, by the order of a list."""
    if scored.empty or not capacity:
        return first
    part = scored[RANKED_BY].join(inputs.drop(columns=RANKED_BY, errors="ignore"))
    both = pd.concat([first, part], ignore_index=True) if len(first) else part
    return rank_rows(both).head(capacity)


def _add_shown(inputs: pd.DataFrame, part: pd.DataFrame) -> pd.DataFrame:
    """Return the inputs of a model with the features that a list shows of every customer."""
    shown = [name for name in part if name == RENEWAL or name.startswith(OVERDUE)]
    return inputs.assign(**{name: part[name] for name in shown if name not in inputs})


def prepare_outlook(tables: Tables, study: Study, model: KeptModel, day: date) -> Outlook:
    """Return what was known of a day, with features that are made as those of the model were.

    What features learn themselves, as the sentiment of texts, they learn up to the model's first
    training snapshot, whatever day is scored.
    """
    outlook = look_from(tables, study, day)
    trained = place_last(outlook.study, model.day, len(model.card["train"]["snapshots"]))
    return Outlook(day, outlook.tables, trained, outlook.train)


def _score_part(
    part: pd.DataFrame, inputs: pd.DataFrame, model: KeptModel, outlook: Outlook
) -> pd.DataFrame:
    card = model.card
    if part.empty:
        return pd.DataFrame(columns=COLUMNS)
    risk = model.fitted.predict(inputs)
    lead = 1 - (1 - risk) ** card["lead_ratio"]
    low, high = find_ranges(risk, card["tenths"])
    scored = {
        "customer_id": part.customer_id,
        "snapshot": part.snapshot,
        "risk": risk,
        "risk_low": low,
        "risk_high": high,
        "lead_risk": lead,
        "risk_by_end": 1 - (1 - lead) * (1 - risk),
        "monthly_amount": find_monthly_amount(part, outlook.study),
    }
    return add_worth(pd.DataFrame(scored), outlook.study, outlook.day, outlook.closes)


def find_ranges(risk: np.ndarray, tenths: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the calibrated range of each customer's group: that of judged customers nearest in
    risk.

    Parameters
    ----------
    tenths : of a model's card, by rising risk
    """
    table = pd.DataFrame(tenths)
    # between two groups the edge lies halfway
    edges = (table.risk_to.to_numpy()[:-1] + table.risk_from.to_numpy()[1:]) / 2
    group = np.searchsorted(edges, risk, side="right")
    return table.low.to_numpy()[group], table.high.to_numpy()[group]


def find_monthly_amount(frame: pd.DataFrame, study: Study) -> np.ndarray:
    """Return what each customer pays: the monthly fee, or the mean spend in 30 days.

    That is of the longest window; empty where neither is known.
    """
    longest = study.features.windows[-1]
    spend = f"sum_amount_{longest}d"
    if study.kind == "contractual":
        values = frame[FEE] if FEE in frame else np.full(len(frame), np.nan)
    elif spend in frame:
        values = frame[spend] * MONTH_OF_30_DAYS / longest
    else:
        values = np.full(len(frame), np.nan)
    return np.asarray(values, float)

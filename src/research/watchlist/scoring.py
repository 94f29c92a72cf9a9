"""Everybody scored by a kept model on one day, a part of the customers at a time."""

from dataclasses import dataclass
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
]


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
        empty where the study knows none)
    outlook : what was known of the day
    model : id of the kept model
    remarks : sentences on features that differ from those the model learned
    """

    rows: pd.DataFrame
    outlook: Outlook
    model: str
    remarks: list[str]

    @property
    def day(self) -> date:
        """Return the scored day."""
        return self.outlook.day


def score_day(tables: Tables, study: Study, model: KeptModel, day: date) -> Scores:
    """Score everybody who is a customer on a day.

    Features are built once, and put together and scored ``assembly.PART`` customers at a time, so
    that memory doesn't grow with them.

    Parameters
    ----------
    tables : contract tables, unfiltered
    day : see ``scored_day.find_scored_day``

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
    differences = Differences()
    parts = [_score_part(part, model, differences, study) for part in outlook.load_parts()]
    rows = pd.concat(parts, ignore_index=True)
    if rows.empty:
        raise StudyError(
            f"{study.name}: expected customers on {day}, got none; choose another day, or look at"
            " the population in 10_data"
        )
    short = describe_short_history(tables, study, day)
    return Scores(rows, outlook, model.id, [*([short] if short else []), *differences.describe()])


def prepare_outlook(tables: Tables, study: Study, model: KeptModel, day: date) -> Outlook:
    """Return what was known of a day, with features that are made as those of the model were.

    What features learn themselves, as the sentiment of texts, they learn up to the model's first
    training snapshot, whatever day is scored.
    """
    outlook = look_from(tables, study, day)
    trained = place_last(outlook.study, model.day, len(model.card["train"]["snapshots"]))
    return Outlook(day, outlook.tables, trained, outlook.train)


def _score_part(
    part: pd.DataFrame, model: KeptModel, differences: Differences, study: Study
) -> pd.DataFrame:
    card = model.card
    if part.empty:
        return pd.DataFrame(columns=COLUMNS)
    risk = model.fitted.predict(conform(part, card["features"], differences))
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
        "monthly_amount": find_monthly_amount(part, study),
    }
    return pd.DataFrame(scored)


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

"""Scorecards: every indicator against its target, what is not measured and why, and how each
changed.
"""

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.lifecycle.indicator_definitions import DEFINITIONS
from research.lifecycle.indicator_glossary import (
    describe_needs,
    list_missing,
    require_targets,
    word,
)
from research.panel.periods import YEAR_DAYS
from research.study import Study


def list_indicators(measured: pd.DataFrame, study: Study, tables: Tables) -> pd.DataFrame:
    """Return the report's table: every defined indicator of the whole company at every snapshot,
    against its target.

    Parameters
    ----------
    measured : DataFrame, see ``measure``, of the whole company

    Returns
    -------
    DataFrame with columns indicator, title, snapshot, value, low, high, numerator, denominator, n,
    unit, target, verdict, status, needs, note
        ``verdict`` is met or missed where the whole interval lies on one side of the target, else
        "not shown"; empty without a target. ``status`` is measured or "not measured"; an indicator
        that is measured at no snapshot has one row without a snapshot, whose ``needs`` names the
        tables that it takes.

    Raises
    ------
    StudyError
        If a target is set for an indicator that doesn't exist.
    """
    require_targets(study)
    whole = measured[measured.segment_by == ""]
    rows = [_list_one(name, whole[whole.indicator == name], study, tables) for name in DEFINITIONS]
    table = pd.concat(rows, ignore_index=True)
    table["title"] = table.indicator.map(
        {name: word(study, spec.title) for name, spec in DEFINITIONS.items()}
    )
    table["target"] = table.indicator.map(study.lifecycle.targets).astype(float)
    table["verdict"] = _judge(table)
    columns = [
        "indicator",
        "title",
        "snapshot",
        "value",
        "low",
        "high",
        "numerator",
        "denominator",
        "n",
    ]
    return table[[*columns, "unit", "target", "verdict", "status", "needs", "note"]]


def _list_one(name: str, rows: pd.DataFrame, study: Study, tables: Tables) -> pd.DataFrame:
    unit, missing = word(study, DEFINITIONS[name].unit), list_missing(name, study, tables)
    known = rows.value.notna()
    if known.any():
        return rows.assign(status=np.where(known, "measured", "not measured"), needs="")
    note = (
        f"the study lacks {', '.join(missing)}"
        if missing
        else (rows.note.iloc[-1] if len(rows) else "nobody to count")
    )
    needs = describe_needs(name, study) if missing or note.startswith("no ") else ""
    empty = dict.fromkeys(["value", "low", "high", "se", "numerator", "denominator", "n"], np.nan)
    row = {
        "indicator": name,
        "snapshot": pd.NaT,
        "unit": unit,
        "status": "not measured",
        "needs": needs,
        "note": note,
    } | empty
    return pd.DataFrame([row]).astype({"snapshot": "datetime64[us]"})


def _judge(table: pd.DataFrame) -> np.ndarray:
    """Return met, missed or "not shown" by the interval; nothing where there is no target or no
    value.
    """
    lower = table.indicator.map(
        {name: spec.better == "lower" for name, spec in DEFINITIONS.items()}
    ).astype(bool)
    met = np.where(lower, table.high <= table.target, table.low >= table.target)
    missed = np.where(lower, table.low > table.target, table.high < table.target)
    return np.select(
        [table.target.isna() | table.value.isna(), met, missed], ["", "met", "missed"], "not shown"
    )


def summarise(indicators: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return one row per indicator: where it stands at the last snapshot, and how it changed.

    Parameters
    ----------
    indicators : DataFrame, see ``list_indicators``

    Returns
    -------
    DataFrame with columns indicator, title, unit, snapshot, value, low, high, change, change_low,
    change_high, change_year, change_year_low, change_year_high, target, verdict, status, needs,
    note
        ``change`` is against the snapshot ``every_days`` before, ``change_year`` against the one
        closest to a year before, at most half a step off; empty where that isn't known. The two
        values are taken as independent (for windows that overlap the interval is too wide).

    References
    ----------
    Newcombe, R. G. (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I,
    method 10; Zou, G. Y. and Donner, A. (2008), doi:10.1002/sim.3095: the interval of a difference
    from the intervals of its parts.
    """
    last, step = indicators.snapshot.max(), pd.Timedelta(days=study.snapshots.every_days)
    rows = []
    for _, part in indicators.groupby("indicator", sort=False):
        known = part.set_index("snapshot")
        now = part[part.snapshot == last].iloc[0] if (part.snapshot == last).any() else part.iloc[0]
        before = _compare(now, known, last - step, pd.Timedelta(0))
        year = _compare(now, known, last - pd.Timedelta(days=YEAR_DAYS), step / 2)
        rows.append(
            now.to_dict()
            | dict(zip(["change", "change_low", "change_high"], before, strict=True))
            | _name_year(year)
        )
    own = [
        "indicator",
        "title",
        "unit",
        "snapshot",
        "value",
        "low",
        "high",
        "change",
        "change_low",
        "change_high",
    ]
    return pd.DataFrame(rows)[
        [
            *own,
            "change_year",
            "change_year_low",
            "change_year_high",
            "target",
            "verdict",
            "status",
            "needs",
            "note",
        ]
    ]


def _name_year(year: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip(["change_year", "change_year_low", "change_year_high"], year, strict=True))


def _compare(
    now: pd.Series, known: pd.DataFrame, day: pd.Timestamp, slack: pd.Timedelta
) -> tuple[float, float, float]:
    """Return the change since the snapshot closest to a day, with its interval."""
    away = pd.Series(abs(known.index - day), index=range(len(known)))
    if pd.isna(now.snapshot) or not len(away) or away.min() > slack:
        return np.nan, np.nan, np.nan
    then = known.iloc[int(away.argmin())]
    change = now.value - then.value
    down = np.hypot(now.value - now.low, then.high - then.value)
    up = np.hypot(now.high - now.value, then.value - then.low)
    return change, change - down, change + up

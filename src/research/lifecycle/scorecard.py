"""Scorecards: every indicator against its target, its changes, and why it is not measured."""

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.lifecycle.indicator_definitions import DEFINITIONS
from research.lifecycle.indicator_glossary import (
    describe_needs,
    fill_in,
    list_missing,
    require_targets,
)
from research.lifecycle.indicators import FIGURES
from research.panel.periods import find_opening, find_step, find_year
from research.study import Study

MEASURED, NOT_MEASURED = "measured", "not measured"  # status
MET, MISSED, INCONCLUSIVE = "met", "missed", "inconclusive"  # verdict on a target
CHANGES = ["change", "change_low", "change_high"]
YEAR_CHANGES = ["change_year", "change_year_low", "change_year_high"]
SCORE_COLUMNS = ["indicator", "title", "snapshot", "value", "low", "high", "numerator"]
SCORE_COLUMNS += ["denominator", "n", "unit", "target", "verdict", "status", "needs", "note"]
SUMMARY_COLUMNS = ["indicator", "title", "unit", "snapshot", "value", "low", "high", *CHANGES]
SUMMARY_COLUMNS += [*YEAR_CHANGES, "target", "verdict", "status", "needs", "note"]


def indicators_table(measured: pd.DataFrame, study: Study, tables: Tables) -> pd.DataFrame:
    """Return every defined indicator of the whole company at every snapshot, with its target.

    Parameters
    ----------
    measured : DataFrame, see ``compute_indicators``; rows of segments are left out

    Returns
    -------
    DataFrame with columns indicator, title, snapshot, value, low, high, numerator, denominator, n,
    unit, target, verdict, status, needs, note
        ``verdict`` is met or missed where the whole interval lies on one side of the target, else
        inconclusive; empty without a target. ``status`` is measured or "not measured"; an indicator
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
        {name: fill_in(study, spec.title) for name, spec in DEFINITIONS.items()}
    )
    table["target"] = table.indicator.map(study.lifecycle.targets).astype(float)
    table["verdict"] = _compare_with_target(table)
    return table[SCORE_COLUMNS]


def _list_one(name: str, rows: pd.DataFrame, study: Study, tables: Tables) -> pd.DataFrame:
    """Return the rows of one indicator; one row without a snapshot where it is never measured."""
    known = rows.value.notna()
    if known.any():
        return rows.assign(status=np.where(known, MEASURED, NOT_MEASURED), needs="")
    missing = list_missing(name, study, tables)
    note = (
        f"the study lacks {', '.join(missing)}"
        if missing
        else (rows.note.iloc[-1] if len(rows) else "nobody to count")
    )
    needs = describe_needs(name, study) if missing or note.startswith("no ") else ""
    row = {"indicator": name, "snapshot": pd.NaT, "unit": fill_in(study, DEFINITIONS[name].unit)}
    row |= {"status": NOT_MEASURED, "needs": needs, "note": note} | dict.fromkeys(FIGURES, np.nan)
    return pd.DataFrame([row]).astype({"snapshot": "datetime64[us]"})


def _compare_with_target(table: pd.DataFrame) -> np.ndarray:
    """Return the verdict by the interval; nothing where there is no target or no value."""
    lower = table.indicator.map(
        {name: spec.better == "lower" for name, spec in DEFINITIONS.items()}
    ).astype(bool)
    met = np.where(lower, table.high <= table.target, table.low >= table.target)
    missed = np.where(lower, table.low > table.target, table.high < table.target)
    without = table.target.isna() | table.value.isna()
    return np.select([without, met, missed], ["", MET, MISSED], INCONCLUSIVE)


def summarise_indicators(indicators: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return one row per indicator: its value at the last snapshot, and its changes.

    Parameters
    ----------
    indicators : DataFrame, see ``indicators_table``

    Returns
    -------
    DataFrame with columns indicator, title, unit, snapshot, value, low, high, change, change_low,
    change_high, change_year, change_year_low, change_year_high, target, verdict, status, needs,
    note
        ``change`` is against the snapshot a step before, ``change_year`` against the one closest
        to a year before, at most half a step off; empty where that isn't known. The two values
        are taken as independent (for windows that overlap the interval is too wide).

    References
    ----------
    Newcombe, R. G. (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I,
    method 10; Zou, G. Y. and Donner, A. (2008), doi:10.1002/sim.3095: the interval of a difference
    from the intervals of its parts.
    """
    last, step = indicators.snapshot.max(), pd.Timedelta(days=study.snapshots.every_days)
    before, year_ago = (
        pd.Timestamp(find_opening(last.date(), span)) if pd.notna(last) else last
        for span in (find_step(study), find_year(study))
    )
    rows = []
    for _, part in indicators.groupby("indicator", sort=False):
        by_snapshot = part.set_index("snapshot")
        at_last = part[part.snapshot == last]
        now = (at_last if len(at_last) else part).iloc[0]
        step_change = _compute_change(now, by_snapshot, before, pd.Timedelta(0))
        year_change = _compute_change(now, by_snapshot, year_ago, step / 2)
        changes = zip([*CHANGES, *YEAR_CHANGES], [*step_change, *year_change], strict=True)
        rows.append(now.to_dict() | dict(changes))
    return pd.DataFrame(rows)[SUMMARY_COLUMNS]


def _compute_change(
    now: pd.Series, by_snapshot: pd.DataFrame, day: pd.Timestamp, tolerance: pd.Timedelta
) -> tuple[float, float, float]:
    """Return the change since the snapshot closest to a day, with its interval."""
    distance = pd.Series(abs(by_snapshot.index - day), index=range(len(by_snapshot)))
    if pd.isna(now.snapshot) or not len(distance) or distance.min() > tolerance:
        return np.nan, np.nan, np.nan
    then = by_snapshot.iloc[int(distance.argmin())]
    change = now.value - then.value
    if change == 0 and pd.isna([now.low, now.high, then.low, then.high]).all():
        return np.nan, np.nan, np.nan  # both are what they must be: no change is estimated
    down = np.hypot(now.value - now.low, then.high - then.value)
    up = np.hypot(now.high - now.value, then.value - then.low)
    return change, change - down, change + up

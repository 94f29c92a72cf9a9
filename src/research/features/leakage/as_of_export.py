"""Attributes as of the export: values without a date that were written until customers left, or
until the table was exported.

The one value of a customer stands at every snapshot. A total of fees then says how long the
customer will stay, a date of the last login when, a flag that is switched at leaving that. Nothing
that was written by the snapshot can know that: what predicts churn makes customers leave more or
less often, but it doesn't grow with every day that they stay.
"""

from collections.abc import Iterator, Sequence

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import stats

from research.data.contracts import Tables
from research.data.coverage import find_data_end
from research.features.leakage.binning import list_groupings
from research.features.leakage.cells import estimate_error, find_folds
from research.features.leakage.findings import (
    FALSE_ALARM,
    MIN_CUSTOMERS,
    PURE_CUSTOMERS,
    Finding,
)
from research.features.leakage.post_outcome import band_dates, measure_separation
from research.features.leakage.switches import Exposure, find_switched, follow_lives
from research.panel.evidence import Evidence, evidence_as_of
from research.panel.spells import find_spells
from research.study import Study

FEE = "monthly_fee"
OWN = ("left", "stay_days", "age_days", "spells", "ended")  # no attribute of these is checked
AGE = "days_since_"  # begins the name of the feature that a date among the attributes becomes
LEAST_GROWTH = 0.5  # percent by which a total grows at least while the stay grows by one percent
STEADY = 2  # times that growth exceeds what depends on the date of joining alone
LEVEL = 4  # ... and by which leavers differ from those who stay as long
SPREAD_SHARE = 0.5  # of its spread, by which customers that leave late may differ from the others
LEAST_SLOPE = 0.75  # days by which a last date moves per day of stay; a date that comes once: 0.5
LATE = 0.75  # share of the stay after which at least half of all last dates lie
FILLED = 0.5  # share of customers, at least, who have a date that is overwritten
LEAVERS_PER_STAYER = 0.25  # at most: of more, the common values of those who leave early vanish
EXPORT_AUC = 0.85  # of an attribute alone, which it exceeds significantly


def load_lives(tables: Tables, study: Study) -> pd.DataFrame | None:
    """Return everybody who was a customer once, with how long the data show them.

    Parameters
    ----------
    tables : contract tables, unfiltered
    study : a flat study has no dates, and gets None

    Returns
    -------
    DataFrame with columns customer_id, joined_at, left, stay_days, age_days, the attributes, and
    the fee of the contract begun last
        One row per customer with one spell. ``stay_days`` run from joining until leaving, or until
        the data end for those who stay; ``age_days`` until the data end for all.
    """
    if study.kind == "flat":
        return None
    end = find_data_end(tables, study)
    evidence = evidence_as_of(tables, [end])
    spells = find_spells(evidence, study).group_by("customer_id")
    once = spells.agg(spells=lambda t: t.count(), ended=lambda t: t.ended.max())
    people = _cast_dates(evidence["customers"]).join(once.filter(once.spells == 1), "customer_id")
    if (fees := _find_last_fees(evidence)) is not None:
        people = people.left_join(fees, "customer_id").drop("customer_id_right")
    known = {"known_at"} & {*people.columns}
    frame = people.drop("spells", *known).order_by("customer_id").to_pandas()
    return _measure_stays(frame, pd.Timestamp(end), study)


def _cast_dates(customers: ir.Table) -> ir.Table:
    """Return customers with dates as times, without attributes that are named like our columns."""
    dates = [name for name in customers.columns if customers[name].type().is_date()]
    taken = {*OWN} & {*customers.columns}
    return customers.drop(*taken, "snapshot").cast(
        dict.fromkeys(set(dates) - taken, "timestamp(6)")
    )


def _find_last_fees(evidence: Evidence) -> ir.Table | None:
    """Return each customer's fee of the contract begun last, the dearest of several."""
    terms = evidence.get("contracts")
    if terms is None or FEE not in terms.columns:
        return None
    order = [ibis.desc("started_at"), ibis.desc(FEE)]
    place = ibis.row_number().over(ibis.window(group_by="customer_id", order_by=order))
    last = terms.select("customer_id", "started_at", FEE).mutate(place=place)
    return last.filter(last.place == 0).select("customer_id", FEE)


def _measure_stays(frame: pd.DataFrame, end: pd.Timestamp, study: Study) -> pd.DataFrame:
    """Add who left, and for how long customers stayed; a lapse begins with the last purchase."""
    joined, ended = frame.joined_at.dt.normalize(), frame.ended
    if study.kind == "non_contractual":
        ended = ended - pd.Timedelta(days=study.churn.inactive_days)
    stays = {
        "left": frame.ended.notna(),
        "stay_days": (ended.fillna(end) - joined).dt.days,
        "age_days": (end - joined).dt.days,
    }
    return frame.drop(columns="ended").assign(**stays)


def find_as_of_export(lives: pd.DataFrame | None, columns: Sequence[str]) -> dict[str, Finding]:
    """Return the attributes that were written until customers left or the table was exported.

    Parameters
    ----------
    lives : see ``load_lives``
    columns : features to check; only attributes of ``lives`` are
    """
    if lives is None or min(lives.left.sum(), (~lives.left).sum()) < MIN_CUSTOMERS:
        return {}
    recent, exposure = _select_recent(lives), follow_lives(lives)
    findings = _find_totals(lives, columns)
    findings |= {
        column: found
        for column in columns
        if column not in findings and (found := _check_other(lives, recent, exposure, column))
    }
    return findings


def _check_other(
    lives: pd.DataFrame, recent: pd.DataFrame, exposure: Exposure, column: str
) -> Finding | None:
    """Look for a date that was overwritten, or a value that was written when customers left."""
    if column in {FEE, *OWN}:
        return None
    if column in lives:
        return (
            _find_switch(recent, column)
            or _find_never_left(lives, column)
            or find_switched(exposure, column)
        )
    date = column.removeprefix(AGE)
    if date in lives and pd.api.types.is_datetime64_any_dtype(lives[date]):
        return _find_last_date(lives, date)
    return None


def _is_number(lives: pd.DataFrame, column: str) -> bool:
    return (
        column in lives
        and pd.api.types.is_numeric_dtype(lives[column])
        and not pd.api.types.is_bool_dtype(lives[column])
    )


# Totals


def _find_totals(lives: pd.DataFrame, columns: Sequence[str]) -> dict[str, Finding]:
    """Return the totals among attributes; what is found explains no other one."""
    numbers = [column for column in columns if _is_number(lives, column)]
    numbers = [column for column in numbers if column not in {FEE, *OWN}]
    findings: dict[str, Finding] = {}
    while True:
        rest = [column for column in numbers if column not in findings]
        controls = [*({FEE} & {*lives}), *rest]
        more = {column: _find_growth(lives, column, controls) for column in rest}
        if not any(more.values()):
            return findings
        findings |= {column: found for column, found in more.items() if found}


def _find_growth(lives: pd.DataFrame, column: str, controls: list[str]) -> Finding | None:
    """Look for a total: it grows with the stay until leaving, and not with the date of joining.

    Of customers who joined at the same time it then knows who leaves first. What makes customers
    leave is related to the stay as well, but more weakly, and those who leave then differ from
    those who have stayed as long.
    """
    rows = lives[(lives[column] > 0) & (lives.stay_days > 0)]
    if min(rows.left.sum(), (~rows.left).sum()) < MIN_CUSTOMERS:
        return None
    fee = _choose_control(rows, column, [name for name in controls if name != column])
    rows = rows[rows[fee] > 0] if fee else rows
    growth = _fit_growth(rows, column, fee)
    if growth is None or not growth.is_total():
        return None
    given = f", given {fee}" if fee else ""
    return Finding(
        f"grows by {growth.stay:.2f} % while the stay until leaving or the data end grows by 1 %,"
        f" and by {round(growth.age, 2) + 0:.2f} % with the time since joining{given}",
        "as of the export: it grew until customers left or the table was exported, so at a"
        " snapshot it knows how long they will stay",
    )


def _choose_control(rows: pd.DataFrame, column: str, controls: list[str]) -> str | None:
    """Return the number, such as a fee, that explains most of a total of those who stay."""
    stayers = rows[~rows.left]
    total = np.log(stayers[column]) - np.log(stayers.stay_days)
    logs = pd.DataFrame({name: np.log(stayers[name].where(stayers[name] > 0)) for name in controls})
    usable = logs.columns[(logs.notna().mean() > FILLED) & (logs.std() > 0)]
    if not len(usable) or not total.std() > 0:
        return None
    return logs[usable].corrwith(total).abs().fillna(0).idxmax()


class _Growth:
    """How a total grows with the stay, the time since joining, and by leaving, in logarithms."""

    def __init__(self, estimates: np.ndarray, covariance: np.ndarray, spread: float, rows: int):
        self.stay, self.age, self.leaving = estimates[:3]
        self._estimates, self._covariance = estimates, covariance
        self._spread, self._least = spread, stats.t.isf(FALSE_ALARM, rows)

    def is_total(self) -> bool:
        """Say whether it surely grows with the stay, and neither with the time since joining nor
        only as far as leavers differ from those who stay as long.
        """
        steady = self._exceeds(STEADY, 0) and self._exceeds(-STEADY, 0)
        level = self._exceeds(0, LEVEL) and self._exceeds(0, -LEVEL)
        beyond = self._exceeds(0, 0, LEAST_GROWTH + SPREAD_SHARE * self._spread)
        return self._exceeds(0, 0, LEAST_GROWTH) and steady and (level or beyond)

    def _exceeds(self, age: float, leaving: float, least: float = 0) -> bool:
        """Say whether the growth with the stay and so many times the others are surely more."""
        weights = np.zeros(len(self._estimates))
        weights[:3] = 1, age, leaving
        error = np.sqrt(weights @ self._covariance @ weights)
        return bool(weights @ self._estimates - least > self._least * error)


def _fit_growth(rows: pd.DataFrame, column: str, fee: str | None) -> _Growth | None:
    """Fit the logarithm of a total to those of the stay and of the time since joining.

    Least squares with errors that may differ by row (White 1980, doi:10.2307/1912934).
    """
    few = min(rows.left.sum(), (~rows.left).sum()) - 6
    if few < MIN_CUSTOMERS - 6:
        return None
    stay, age = (np.log(rows[name].to_numpy(float)) for name in ("stay_days", "age_days"))
    stay, age = stay - stay.mean(), age - age.mean()
    logs = [np.log(rows[fee].to_numpy(float))] if fee else []
    left = rows.left.to_numpy(float)
    matrix = np.column_stack([stay, age, left, stay**2, np.ones(len(rows)), *logs])
    total, inverse = np.log(rows[column].to_numpy(float)), np.linalg.pinv(matrix.T @ matrix)
    estimates = inverse @ (matrix.T @ total)
    rest = total - matrix @ estimates
    covariance = inverse @ ((matrix * rest[:, None] ** 2).T @ matrix) @ inverse
    return _Growth(estimates, covariance, float(rest.std()), int(few))


# Dates


def _find_last_date(lives: pd.DataFrame, column: str) -> Finding | None:
    """Look for a date that is overwritten until the end: it moves with the last day of the stay.

    A date that comes once, such as an upgrade, lies anywhere before that day and moves half as
    much; one that leavers alone have was written for them, and is empty until then.
    """
    joined = lives.joined_at.dt.normalize()
    days = (lives[column].dt.normalize() - joined).dt.days
    share = (days / lives.stay_days.where(lives.stay_days > 0)).groupby(lives.left)
    if share.count().min() < MIN_CUSTOMERS or (share.count() / share.size()).min() < FILLED:
        return None
    if share.median().min() < LATE:
        return None
    slope, error, rows = _fit_slope(lives.assign(moved=days)[days.notna()])
    if slope - LEAST_SLOPE <= stats.t.isf(FALSE_ALARM, rows) * error:
        return None
    return Finding(
        f"the date moves by {slope:.2f} days with every day that customers stay longer",
        "as of the export: it was overwritten until customers left or the table was exported, so"
        " at a snapshot it knows when they will leave",
    )


def _fit_slope(rows: pd.DataFrame) -> tuple[float, float, int]:
    """Return by how many days a date moves with a day of stay, given the time since joining and
    who left; with its standard error, and the degrees of freedom.
    """
    left = rows.left.to_numpy(float)
    others = np.column_stack([rows.age_days.to_numpy(float), left, np.ones(len(rows))])
    stay, moved = (
        values - others @ np.linalg.lstsq(others, values, rcond=None)[0]
        for values in (rows.stay_days.to_numpy(float), rows.moved.to_numpy(float))
    )
    square = max((stay**2).sum(), 1e-9)
    slope = (stay * moved).sum() / square
    error = np.sqrt((stay**2 * (moved - slope * stay) ** 2).sum()) / square
    return slope, error, max(int(left.sum()) - 4, 1)


# Flags


def _select_recent(lives: pd.DataFrame) -> pd.DataFrame:
    """Return those who stay and those who left last, few enough that the others are still like
    those whom they left.
    """
    stayers, leavers = lives[~lives.left], lives[lives.left]
    lost = (leavers.age_days - leavers.stay_days).sort_values(kind="stable")
    most = max(int(LEAVERS_PER_STAYER * len(stayers)), MIN_CUSTOMERS)
    return pd.concat([stayers, leavers.loc[lost.index[:most]]])


def _find_switch(recent: pd.DataFrame, column: str) -> Finding | None:
    """Look for a value that separates those who left last from those who stay, of one time of
    joining, more clearly than what is known before does.
    """
    left, bands = recent.left.to_numpy(bool), band_dates(recent.joined_at)
    area = measure_separation(recent[column], left, bands, find_folds(recent.customer_id))
    error = estimate_error(np.array(area), int(left.sum()), int((~left).sum()))
    if area - stats.norm.isf(FALSE_ALARM) * error <= EXPORT_AUC:
        return None
    return Finding(
        f"AUC {area:.3f} alone between the {left.sum():,} customers who left last and those still"
        " there at the data end who joined at about the same time",
        "as of the export: the value was written or changed when customers left",
    )


def _find_never_left(lives: pd.DataFrame, column: str) -> Finding | None:
    """Look for a value that most of those still there have, and nobody who has left."""
    left = lives.left.to_numpy(bool)
    if left.sum() < PURE_CUSTOMERS:
        return None
    for codes, words in _list_groups(lives[column], column):
        inside = codes & ~left
        if not (codes & left).any() and inside.sum() >= FILLED * (~left).sum():
            return Finding(
                f"none of the {left.sum():,} customers who have left has {words}, which"
                f" {inside.sum():,} of the {(~left).sum():,} still there have",
                "as of the export: the value was written or changed when customers left",
            )
    return None


def _list_groups(values: pd.Series, column: str) -> Iterator[tuple[np.ndarray, str]]:
    for grouping in list_groupings(values, column):
        for number, words in enumerate(grouping.labels):
            yield grouping.codes == number, words

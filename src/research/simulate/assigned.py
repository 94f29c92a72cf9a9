"""Assignments from outside, say those of a list: the company lives on under them.

A company is decided by its request and by what was assigned: with the same seed and more
assignments the same customers live on, and only what contact changes is different, from the month
after the assignment on.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from research.errors import UsageError, shorten
from research.simulate.company import ARM_EFFECTS, ARMS, EFFECT_MONTHS
from research.simulate.draws import SECONDS, Clock, Columns

# what an action adds to the voluntary logit; a reminder tells everybody that they pay, and harms;
# so does advice on another plan (Ascarza, Iyengar and Schleicher 2016: 10 % left instead of 6 %)
ACTIONS = ARM_EFFECTS | {"reminder": {"base": 0.4}, "advice": {"base": 0.55}}
CONTROL = ARMS[0]
COLUMNS = ("customer_id", "campaign", "assigned_at", "arm", "cost", "propensity")
NEEDED = ("customer_id", "assigned_at", "arm")


def read_assignments(path: Path, customers: int, months: int) -> pd.DataFrame:
    """Read assignments in the form of a ``campaigns`` table, from CSV or Parquet.

    Returns
    -------
    DataFrame with the columns of ``campaigns``, customer (position) and month
        ``month``, counted from 0: the first whole one from the day of the assignment on, in which
        contact begins to act.

    Raises
    ------
    UsageError
        One sentence for each fault: a column is missing, an arm, a day or a customer is unknown.
    """
    try:
        text = {"dtype": {"customer_id": str}}
        rows = pd.read_csv(path, **text) if path.suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"expected a readable CSV or Parquet file of assignments in {path}, but reading it"
            f" failed: {getattr(error, 'strerror', None) or error}; correct the path or the file"
        ) from None
    if missing := [name for name in NEEDED if name not in rows]:
        raise UsageError(
            f"{path}: expected the columns {', '.join(NEEDED)}, got none named"
            f" {', '.join(missing)}; add them"
        )
    return place_assignments(rows, customers, months)


def place_assignments(rows: pd.DataFrame, customers: int, months: int) -> pd.DataFrame:
    """Return assignments with the position of each customer and the month in which they act.

    Raises
    ------
    UsageError
        See ``read_assignments``.
    """
    clock = Clock(months)
    day = pd.to_datetime(rows.assigned_at, errors="coerce").to_numpy().astype("datetime64[D]")
    number = pd.to_numeric(rows.customer_id.astype(str).str.removeprefix("C"), errors="coerce")
    month = clock.month_of(day.astype(np.int64)) + (day != day.astype("datetime64[M]"))
    faults = [
        ("an arm of " + ", ".join((CONTROL, *ACTIONS)), ~rows.arm.isin([CONTROL, *ACTIONS]), "arm"),
        ("a customer of the company", ~number.between(1, customers), "customer_id"),
        (
            "a day within the history",
            np.isnat(day) | (month < 0) | (month > months),
            "assigned_at",
        ),
    ]
    told = [
        f"assignments: expected {what}, got {shorten(rows[column][wrong].iloc[0])} in"
        f" {int(wrong.sum()):,} of {len(rows):,} rows; correct the rows"
        for what, mask, column in faults
        if (wrong := pd.Series(mask, index=rows.index)).any()
    ]
    if told:
        raise UsageError(*told)
    filled = {"campaign": "assigned", "cost": 0.0, "propensity": np.nan}
    rows = rows.assign(**{name: value for name, value in filled.items() if name not in rows})
    return rows.assign(customer=number.astype(int) - 1, month=month)


def add_assigned_shift(
    logits: np.ndarray,
    lives: Columns,
    drivers: Columns,
    assigned: pd.DataFrame | None,
    before: int,
    clock: Clock,
) -> np.ndarray:
    """Return the logits with what assigned contacts add to the voluntary one.

    Parameters
    ----------
    before : customers in the blocks before this one
    """
    if assigned is None:
        return logits
    acting = assigned[(assigned.arm != CONTROL) & (assigned.month < clock.months)]
    shift = np.zeros(lives["level"].shape)
    for (month, arm), part in acting.groupby(["month", "arm"], sort=True):
        reached = np.isin(lives["customer"], part.customer.to_numpy() - before)
        reached &= lives["start"] <= clock.edges[month]
        shift[month : month + EFFECT_MONTHS] += reached * weigh_action(arm, lives, drivers, month)
    return np.stack([logits[0] + shift, logits[1]])


def weigh_action(arm: str, lives: Columns, drivers: Columns, month: int) -> np.ndarray:
    """Return what an action on the first day of a month adds to the logit of each life."""
    then = {name: path[month] for name, path in drivers.items()} | {"quiet": lives["quiet"]}
    return sum(coefficient * then[name] for name, coefficient in ACTIONS[arm].items())


def list_assigned(
    assigned: pd.DataFrame | None, lives: tuple[Columns, ...], before: int, table: pa.Table
) -> pa.Table:
    """Return the table campaigns with the assignments of customers under contract on their day.

    Parameters
    ----------
    lives : first and second, with customer, start and end
    before : customers in the blocks before this one
    table : campaigns of the company itself
    """
    if assigned is None:
        return table
    day = pd.to_datetime(assigned.assigned_at).to_numpy().astype("datetime64[D]").astype(np.int64)
    runs = np.zeros(len(assigned), bool)
    for life in lives:
        place = pd.Index(life["customer"]).get_indexer(assigned.customer - before)
        start, end = life["start"][place], life["end"][place]
        runs |= (place >= 0) & (start <= day) & (end > day)
    rows = assigned[runs].assign(assigned_at=(day[runs] * SECONDS).astype("datetime64[s]"))
    extra = pa.Table.from_pandas(rows[[*COLUMNS]], preserve_index=False).cast(table.schema)
    return pa.concat_tables([table, extra]).sort_by(
        [("customer_id", "ascending"), ("assigned_at", "ascending")]
    )

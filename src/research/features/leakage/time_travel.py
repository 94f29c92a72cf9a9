"""The point-in-time test: proof on a study's own tables that no feature sees past its snapshot.

The tables are given other futures, in the engine: what no snapshot may know is deleted, scrambled,
or joined by invented rows. The features of the snapshot must stay equal to the bit. The reverse is
checked too: with less of the past they do change, or the proof would be empty.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from research.data.contracts import CONTRACTS, Tables
from research.data.engines import Workbench
from research.errors import StudyError
from research.features import build
from research.panel.evidence import evidence_as_of
from research.panel.labels import find_population
from research.panel.splits import plan_split
from research.panel.windows import KEYS
from research.study import Study

POPULATION = "population"  # who can churn, in the place of a feature
AGAIN = "again"  # built once more from the same rows in another order
SPREAD_DAYS = 400  # over which days after the snapshot rows are moved
STEP = timedelta(days=1)


def compare_futures(tables: Tables, study: Study) -> pd.DataFrame:
    """Compare the features of a study with those of the same past under other futures.

    The snapshots are the study's first training one and its first and last test ones. Their
    features are built together from the tables as they are, and then at each alone from tables with
    another future. To distinguish chance from knowledge of the future, they are built once more
    from the same rows in another order. The past is changed for the last snapshot: each third row
    is deleted from every table of events.

    Parameters
    ----------
    tables : contract tables, unfiltered
    study : a study with snapshots

    Returns
    -------
    DataFrame with columns feature, source, snapshots, rows, again, deleted, scrambled, invented,
    moved
        One row per feature, and one for the population. ``rows`` were compared per future,
        ``again`` to ``invented`` count those that differ; ``moved`` counts the rows that differ
        when the past is changed.

    Raises
    ------
    StudyError
        If nobody is there to be compared, or the study is flat, see ``explain_flat``.
    """
    days = choose_days(study)
    base = _build(tables, study, days)
    if base.empty:
        raise StudyError(
            f"{study.name}: expected customers at the snapshots {', '.join(map(str, days))},"
            " got none; choose other snapshots"
        )
    counts = {
        AGAIN: _count_differences(base, _rebuild(tables, study, days, _reorder)),
        "moved": _count_moved(base, tables, study, days[-1]),
    }
    for name, change in FUTURES.items():
        differences = [
            _count_differences(_at(base, day), _rebuild(tables, study, [day], change))
            for day in days
        ]
        counts[name] = pd.concat(differences, axis=1).sum(axis=1)
    table = pd.DataFrame(counts).fillna(0).astype("int64").rename_axis("feature").reset_index()
    sources = build.describe_features(tables, study).set_index("feature").source
    table = table.assign(
        source=table.feature.map(sources).fillna(""), snapshots=len(days), rows=len(base)
    )
    return table[["feature", "source", "snapshots", "rows", AGAIN, *FUTURES, "moved"]]


def choose_days(study: Study) -> list[date]:
    """Return the snapshots at which a study is tested: the first training one, and the first and
    last test ones.
    """
    if study.kind == "flat":
        raise StudyError(explain_flat(study))
    split = plan_split(study)
    return sorted({split.train[0], split.test[0], split.test[-1]})


def explain_flat(study: Study) -> str:
    """Return why a flat study can't be tested."""
    return (
        f"{study.name}: no point-in-time test: the one table of a flat study has no dates, and only"
        " the leakage checks apply to it"
    )


def _build(tables: Tables, study: Study, days: Sequence[date]) -> pd.DataFrame:
    evidence = evidence_as_of(tables, days)
    return (
        build.load_features(evidence, find_population(evidence, study), study)
        .assign(**{POPULATION: True})
        .set_index(KEYS)
    )


def _at(frame: pd.DataFrame, day: date) -> pd.DataFrame:
    return frame[frame.index.get_level_values("snapshot") == pd.Timestamp(day)]


def _rebuild(
    tables: Tables,
    study: Study,
    days: Sequence[date],
    change: Callable[[ir.Table, str, date], ir.Table],
) -> pd.DataFrame:
    """Return the features made from changed tables; each is computed once, in the engine."""
    with Workbench() as bench:
        changed = {
            name: bench.keep(change(table, name, days[-1]), f"travel_{name}")
            for name, table in tables.items()
            if CONTRACTS[name].dated
        }
        return _build(changed, study, days)


def _count_moved(base: pd.DataFrame, tables: Tables, study: Study, day: date) -> pd.Series:
    """Count what moves when the past is changed, among the customers whom both pasts know."""
    here, there = _at(base, day), _rebuild(tables, study, [day], _thin_past)
    both = here.index.intersection(there.index)
    return _count_differences(here.loc[both], there.loc[both]).drop(POPULATION)


def _count_differences(here: pd.DataFrame, there: pd.DataFrame) -> pd.Series:
    """Count for each column the rows that differ by a bit.

    A row or column that one of them lacks differs too.
    """
    rows = here.index.union(there.index)
    columns = [*here.columns, *(column for column in there if column not in here)]
    here, there = (frame.reindex(index=rows, columns=columns) for frame in (here, there))
    return pd.Series(
        {column: int(_differ(here[column], there[column]).sum()) for column in columns}
    )


def _differ(one: pd.Series, other: pd.Series) -> np.ndarray:
    empty = one.isna().to_numpy() & other.isna().to_numpy()
    if one.dtype.kind == other.dtype.kind == "f":
        return (
            one.to_numpy("float64").view("int64") != other.to_numpy("float64").view("int64")
        ) & ~empty
    return (one.astype(object).to_numpy() != other.astype(object).to_numpy()) & ~empty


def _split(table: ir.Table, name: str, day: date) -> tuple[ir.Table, ir.Table]:
    """Return the rows known by the end of a day, and the rest."""
    after = _literal(day + STEP)
    known = table[CONTRACTS[name].dated] < after
    if "known_at" in table.columns:
        known = known & (table.known_at < after).fill_null(False)
    return table.filter(known), table.filter(~known)


def _literal(day: date) -> ir.Value:
    return ibis.literal(datetime(day.year, day.month, day.day))


def _draw(table: ir.Table, salt: str, below: int) -> ir.IntegerValue:
    """Return a pseudo-random whole number from 0 for each row, the same in every run."""
    texts = [table[column].cast("string").fill_null("") for column in table.columns]
    mixed = (
        ibis.literal(salt)
        .concat(*[part for text in texts for part in (ibis.literal("|"), text)])
        .hash()
        % below
    )
    return ((mixed + below) % below).cast("int64")


def _delete(table: ir.Table, name: str, day: date) -> ir.Table:
    """Leave out what is not known by the end of the day."""
    return _change_later(
        _split(table, name, day)[0], name, day, lambda past, column: ibis.null(past[column].type())
    )


def _scramble(table: ir.Table, name: str, day: date) -> ir.Table:
    """Give other customers, dates, numbers and texts to what is not known by the end of the day."""
    past, later = _split(table, name, day)
    swapped = (
        later.customer_id.lead()
        .over(ibis.window(order_by=[_draw(later, "order", 2**30), "customer_id"]))
        .fill_null(later.customer_id)
    )
    ids = {} if CONTRACTS[name].unique else {"customer_id": swapped}
    changed = later.mutate(**_alter(later, name), **_move(later, name, day), **ids)
    return _change_later(past, name, day, _replace_later(day)).union(
        changed.select(past.columns).cast(past.schema())
    )


def _invent(table: ir.Table, name: str, day: date) -> ir.Table:
    """Add rows that look like the past: of later days with other values and other customers, and of
    past days, but known later.
    """
    past, _ = _split(table, name, day)
    stranger = past.customer_id.concat(" of the future")
    rows = past.mutate(**_alter(past, name), **_move(past, name, day), customer_id=stranger)
    more = (
        [rows]
        if CONTRACTS[name].unique
        else [rows, past.mutate(**_alter(past, name), **_move(past, name, day))]
    )
    if "known_at" in past.columns:
        late = past.mutate(**_alter(past, name), known_at=_later(past, day))
        more.append(
            late.mutate(customer_id=late.customer_id.concat(" known late"))
            if CONTRACTS[name].unique
            else late
        )
    return ibis.union(table, *(part.select(table.columns).cast(table.schema()) for part in more))


FUTURES = {"deleted": _delete, "scrambled": _scramble, "invented": _invent}


def _reorder(table: ir.Table, name: str, day: date) -> ir.Table:
    return table.order_by(_draw(table, "again", 2**30))


def _thin_past(table: ir.Table, name: str, day: date) -> ir.Table:
    """Leave out each third row of events and contracts, pseudo-randomly."""
    return table if name == "customers" else table.filter(_draw(table, "past", 3) > 0)


def _change_later(
    past: ir.Table, name: str, day: date, later: Callable[[ir.Table, str], ir.Value]
) -> ir.Table:
    """Change what past rows say of the days after.

    Ends and resolutions with their details, and dates among the attributes of customers.
    """
    resolution = CONTRACTS[name].later
    resolved = resolution[0] if resolution and resolution[0] in past.columns else None
    dates = {
        column: (column,)
        for column in past.columns
        if column not in CONTRACTS[name].columns and _is_time(past[column])
    }
    hidden = {resolved: resolution} if resolved else dates
    known = {
        first: (past[first] < _literal(day + STEP)).fill_null(first != resolved) for first in hidden
    }
    columns = [
        (column, first)
        for first, group in hidden.items()
        for column in group
        if column in past.columns
    ]
    return past.mutate(
        **{
            column: known[first].ifelse(past[column], later(past, column).cast(past[column].type()))
            for column, first in columns
        }
    )


def _replace_later(day: date) -> Callable[[ir.Table, str], ir.Value]:
    return lambda table, column: (
        _later(table, day) if _is_time(table[column]) else _other(table, column)
    )


def _later(table: ir.Table, day: date) -> ir.TimestampValue:
    return _literal(day + STEP) + _draw(table, "later", SPREAD_DAYS).as_interval("D")


def _move(table: ir.Table, name: str, day: date) -> dict[str, ir.Value]:
    """Return dates after the snapshot, from when the row is known and resolved too."""
    columns = [
        CONTRACTS[name].dated,
        *(column for column in ("known_at", *CONTRACTS[name].later[:1]) if column in table.columns),
    ]
    return dict.fromkeys(columns, _later(table, day))


def _alter(table: ir.Table, name: str) -> dict[str, ir.Value]:
    """Return other numbers, flags and texts; dates stay."""
    kept = {"customer_id", "known_at"}
    return {
        column: _other(table, column)
        for column in table.columns
        if column not in kept and not _is_time(table[column])
    }


def _is_time(column: ir.Value) -> bool:
    return column.type().is_timestamp() or column.type().is_date()


def _other(table: ir.Table, column: str) -> ir.Value:
    """Return another value of a column's kind; an empty one gets one too."""
    value, draw = table[column], _draw(table, column, 1000)
    if value.type().is_boolean():
        return draw % 2 == 0
    if value.type().is_numeric():
        return (draw * 7.5 - 999).cast(value.type())
    return (
        ibis.literal("future ").concat(draw.cast("string")).cast(value.type())
        if value.type().is_string()
        else value
    )


def list_faults(table: pd.DataFrame, study: Study) -> Iterator[str]:
    """Yield one sentence for each feature that saw the future or changed with the order of rows."""
    ways = [AGAIN, *FUTURES]
    for row in table[(table[ways] > 0).any(axis=1)].to_dict("records"):
        name = row["feature"] if not row["source"] else f"{row['feature']} (of {row['source']})"
        if row[AGAIN]:
            yield (
                f"{study.name}: feature {name}: expected the same from the same evidence, got"
                f" different values in {row[AGAIN]:,} of {row['rows']:,} rows when the rows are in"
                " another order; break ties in its ORDER BY, or leave it out"
            )
        else:
            counts = ", ".join(f"{row[way]:,} when it was {way}" for way in FUTURES if row[way])
            yield (
                f"{study.name}: feature {name}: expected nothing of the days after a snapshot,"
                f" got rows that differ with the future ({counts}); leave it out"
            )


def describe_result(table: pd.DataFrame, study: Study) -> str:
    """Return what was proved in one line, and what can't be."""
    own = table[table.feature != POPULATION]
    days = table.snapshots.iloc[0]
    proved = (
        f"{len(own)} features at {days} snapshot{'s' if days > 1 else ''} unchanged to the bit by"
        f" {len(FUTURES)} futures"
    )
    undated = sorted(
        own.feature[
            (own.source == "customers")
            & (own.feature != "tenure_days")
            & ~own.feature.str.startswith("days_since_")
        ]
    )
    limits = (
        f"; {', '.join(undated)}: without a history, subject to the leakage checks alone"
        if undated
        else ""
    )
    return (
        f"{study.name}: {proved}; {(own.moved > 0).sum()} of them moved when the past was"
        f" changed{limits}"
    )

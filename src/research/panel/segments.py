"""Segments: customers divided by an attribute of theirs, or by their plan."""

import ibis
import ibis.expr.types as ir

from research.data.contracts import CONTRACTS, Tables
from research.data.terms import end_day
from research.errors import StudyError
from research.panel.periods import name_spans
from research.panel.spells import days_before, runs_on
from research.panel.windows import KEYS
from research.study import Study, show_path

UNKNOWN = "not known"
PLAN = "plan"
MAX_COLUMNS = 4  # attributes chosen where the study names none
MIN_VALUES, MAX_VALUES = 2, 8  # of an attribute chosen where the study names none
MAX_NAMED_VALUES = 50  # of an attribute that the study names


def list_segment_columns(tables: Tables, study: Study) -> list[str]:
    """Return the columns that segment customers.

    Those of study.yml, else text attributes of few values, and the plan; never a sensitive one.

    Raises
    ------
    StudyError
        One sentence for all columns of ``lifecycle.segments`` that aren't there, and one for those
        with too many values.
    """
    attributes = [
        name
        for name in tables["customers"].columns
        if name not in {*CONTRACTS["customers"].columns, *study.sensitive, "snapshot"}
    ]
    plan = (
        [PLAN]
        if PLAN not in attributes and PLAN in getattr(tables.get("contracts"), "columns", ())
        else []
    )
    if study.lifecycle.segments is not None:
        return _require_segments(tables, study, [*attributes, *plan])
    texts = [name for name in attributes if tables["customers"][name].type().is_string()]
    counts = _count_values(tables, texts)
    chosen = [name for name in texts if MIN_VALUES <= counts[name] <= MAX_VALUES]
    return chosen[:MAX_COLUMNS] + plan


def _count_values(tables: Tables, columns: list[str]) -> dict[str, int]:
    people = tables["customers"]
    counts = {f"n{i}": people[name].nunique() for i, name in enumerate(columns)}
    values = people.agg(**counts).execute().iloc[0] if counts else ()
    return dict(zip(columns, map(int, values), strict=True))


def _require_segments(tables: Tables, study: Study, available: list[str]) -> list[str]:
    place = f"{show_path(study.folder / 'study.yml')}, key lifecycle.segments"
    named, faults = list(dict.fromkeys(study.lifecycle.segments)), []
    wrong = [name for name in named if name not in available]
    if wrong:
        known = ", ".join(available) or "none"
        faults.append(
            f"{place}: expected columns among {known} (never a sensitive one), got"
            f" {', '.join(map(repr, wrong))}; correct or remove them"
        )
    columns = tables["customers"].columns
    counts = _count_values(tables, [name for name in named if name in {*available} & {*columns}])
    wide = [f"{name} with {count}" for name, count in counts.items() if count > MAX_NAMED_VALUES]
    if wide:
        faults.append(
            f"{place}: expected columns of at most {MAX_NAMED_VALUES} values, got"
            f" {', '.join(wide)}; group their values in customers.sql or remove them"
        )
    if faults:
        raise StudyError(*faults)
    return named


def find_segments(evidence: Tables, study: Study, segment_by: str = "") -> ir.Table:
    """Return the customers known at each snapshot with the segment to which they belong.

    Parameters
    ----------
    segment_by : an attribute of customers, or ``plan``; empty: everybody in the one segment "all"
        A customer's plan is that of a term that runs on T − w, else of any; of several the one
        begun last. What is missing or blank is "not known".

    Returns
    -------
    table with columns snapshot, customer_id, segment
    """
    people = evidence["customers"]
    if segment_by == PLAN and PLAN not in people.columns:
        plans = _find_plans(evidence["contracts"], study)
        joined = people.left_join(plans, KEYS)
        return joined.select(
            people.snapshot, people.customer_id, segment=plans.segment.fill_null(UNKNOWN)
        )
    segment = name_segment(people[segment_by]) if segment_by else ibis.literal("all")
    return people.select(*KEYS, segment=segment)


def name_segment(column: ir.Value) -> ir.StringValue:
    """Return a column's values as names of segments; what is missing or blank is "not known"."""
    return column.cast("string").strip().nullif("").fill_null(UNKNOWN)


def _find_plans(contracts: ir.Table, study: Study) -> ir.Table:
    started = contracts.started_at.truncate("D")
    runs = (
        runs_on(started, end_day(contracts), days_before(contracts, name_spans(study)["window"]))
        .ifelse(1, 0)
        .cast("int64")
    )
    plans = contracts.select(
        *KEYS, segment=name_segment(contracts.plan), runs=runs, started=started
    )
    order = [ibis.desc("runs"), ibis.desc("started"), ibis.desc("segment")]
    plans = plans.mutate(place=ibis.row_number().over(ibis.window(group_by=KEYS, order_by=order)))
    return plans.filter(plans.place == 0).select(*KEYS, "segment")

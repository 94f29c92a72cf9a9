"""Remarks on labels that can't be: nobody there, nobody or everybody churned, rates that jump.

Each says what was found with its counts, and the likely causes in order, with the column or the key
of study.yml to look at.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd
from scipy import stats

from research.data.contracts import CONTRACTS, Tables
from research.data.coverage import find_data_end
from research.data.remark import Remark
from research.errors import StudyError
from research.panel.learning import Panel
from research.panel.periods import close_window
from research.panel.spells import is_purchase
from research.panel.splits import Split, label_panel, plan_split
from research.study import Study

JUMP_CHANCE = 1e-6  # at most, of rates that differ so by sampling alone
JUMP_RATIO = 2  # least times that the highest rate is the lowest
MOST_LOST = 0.1  # share of rows that a step may lose before it is named as a likely cause
LABELLED = ("snapshot", "churned", "left_in_lead")


def find_label_remarks(tables: Tables, study: Study, train: pd.DataFrame) -> Iterator[Remark]:
    """Yield the remarks on who can churn and who did, at training and test snapshots."""
    if study.kind == "flat":
        if "churned" in train:  # an experiment may have an outcome of its own instead
            yield from _find_one_class(tables, study, _count_rows(train), "rows")
        return
    split = plan_split(study)
    test = label_panel(tables, study, split.test)[1]
    counts = count_labels(train, test.select(*LABELLED).to_pandas(), split)
    yield from find_impossible(tables, study, counts)
    yield from _find_gaps(tables, study, counts)
    yield from _find_jumps(tables, study, counts)


def require_labels(tables: Tables, study: Study, panel: Panel) -> None:
    """Refuse labels from which nothing can be learned, or on which nothing can be judged.

    Raises
    ------
    StudyError
        One sentence for each: nobody in the population, nobody or everybody churned.
    """
    if panel.dated:
        counts = count_labels(panel.train, panel.test, panel.split)
        remarks = [*find_impossible(tables, study, counts)]
    else:
        remarks = [*_find_one_class(tables, study, _count_rows(panel.train), "rows")]
    if remarks:
        raise StudyError(*(f"{study.name}: {remark}" for remark in remarks))


def count_labels(train: pd.DataFrame, test: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Return customers and churners of every training and test snapshot, also where nobody is.

    Those who leave within the lead are left out.

    Parameters
    ----------
    train, test : rows with columns snapshot, churned, left_in_lead

    Returns
    -------
    DataFrame with columns snapshot, part, customers, churned
    """
    parts = {"training": (train, split.train), "test": (test, split.test)}
    return pd.concat(
        [_count_part(rows, days).assign(part=part) for part, (rows, days) in parts.items()],
        ignore_index=True,
    )


def _count_part(rows: pd.DataFrame, days: Sequence[date]) -> pd.DataFrame:
    counts = rows[~rows.left_in_lead.astype(bool)].groupby("snapshot").churned.agg(["size", "sum"])
    known = pd.DatetimeIndex(days).union(pd.DatetimeIndex(counts.index))
    counts = counts.set_axis(["customers", "churned"], axis=1).reindex(known, fill_value=0)
    return counts.astype("int64").rename_axis("snapshot").reset_index()


def _count_rows(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"customers": [len(frame)], "churned": [int(frame.churned.sum())]})


def find_impossible(tables: Tables, study: Study, counts: pd.DataFrame) -> Iterator[Remark]:
    """Yield what no model can learn from or be judged on.

    Parameters
    ----------
    counts : see ``count_labels``
    """
    for part, rows in counts.groupby("part", sort=False):
        empty = rows[rows.customers == 0]
        if len(empty):
            yield _remark_empty(tables, study, part, empty)
        if len(empty) < len(rows):
            yield from _find_one_class(tables, study, rows, f"customers of the {part} snapshots")


# Nobody is there


def _remark_empty(tables: Tables, study: Study, part: str, empty: pd.DataFrame) -> Remark:
    days = _list_days(empty.snapshot)
    return Remark(
        "population",
        f"nobody can churn after the {part} snapshots {days}",
        explain_empty(tables, study, empty.snapshot.max().date()),
    )


def explain_empty(tables: Tables, study: Study, day: date) -> str:
    """Return why nobody is in the population of a day: the likely causes in order."""
    causes = [*_describe_losses(tables, study, day)]
    return _list_causes(causes or ["the snapshots lie outside the data (snapshots in study.yml)"])


def _describe_losses(tables: Tables, study: Study, day: date) -> Iterator[str]:
    """Yield the steps from all rows to the population that lose the most, with what to look at."""
    steps = [*_list_steps(tables, study, day)]
    kept, lost = [steps[0][1].count().execute()], []
    for words, table in steps[1:]:
        kept.append(table.count().execute())
        lost.append((1 - kept[-1] / max(kept[-2], 1), words, kept[-2] - kept[-1], kept[-2]))
    for share, words, rows, before in sorted(lost, key=lambda row: -row[0]):
        if share > MOST_LOST and before:
            yield f"{rows:,} of {before:,} {words}"


def _list_steps(tables: Tables, study: Study, day: date) -> Iterator[tuple[str, ir.Table]]:
    """Yield what is left of the rows that define the population after each of its conditions."""
    name = "contracts" if study.kind == "contractual" else "orders"
    after, dated = _start_after(day), CONTRACTS[name].dated
    rows = tables[name]
    yield name, rows
    rows = rows.filter(rows[dated] < after)
    yield f"{name} begin after {day} (snapshots in study.yml, {dated} in {name}.sql)", rows
    if "known_at" in rows.columns:
        rows = rows.filter(rows.known_at < after)
        yield f"{name} became known later or never (known_at in {name}.sql)", rows
    for words, condition in _list_conditions(rows, study, day):
        rows = rows.filter(condition)
        yield words, rows
    people = tables["customers"]
    people = people.filter(people.joined_at < after)
    words = "belong to customers who joined later (joined_at and customer_id in customers.sql)"
    yield words, rows.semi_join(people, "customer_id")


def _list_conditions(
    rows: ir.Table, study: Study, day: date
) -> Iterator[tuple[str, ir.BooleanValue]]:
    if study.kind == "contractual":
        if "ended_at" in rows.columns:
            words = "contracts have ended by then (ended_at in contracts.sql, empty while they run)"
            yield words, rows.ended_at.isnull() | (rows.ended_at >= _start_after(day))
        return
    words = "orders have no positive amount (the cast and the sign of amount in orders.sql)"
    yield words, is_purchase(rows).fill_null(False)
    opens = _start_after(day) - timedelta(days=study.churn.active_days)
    yield "orders are older than active_days (churn in study.yml)", rows.ordered_at >= opens


def _start_after(day: date) -> datetime:
    return datetime(day.year, day.month, day.day) + timedelta(days=1)


# Nobody or everybody churned


def _find_one_class(
    tables: Tables, study: Study, counts: pd.DataFrame, who: str
) -> Iterator[Remark]:
    customers, churned = int(counts.customers.sum()), int(counts.churned.sum())
    if not 0 < churned < customers:
        told = "nobody" if not churned else "everybody"
        causes = _explain_nobody if not churned else _explain_everybody
        yield Remark(
            "labels",
            f"{told} churned among the {customers:,} {who}",
            _list_causes([*causes(tables, study, counts)]),
        )


def _explain_nobody(tables: Tables, study: Study, counts: pd.DataFrame) -> Iterator[str]:
    if study.kind == "flat":
        yield "a text or number that isn't cast as meant (churned in snapshot.sql)"
    elif study.kind == "contractual":
        yield from _explain_missing_ends(tables["contracts"], study, counts)
    else:
        yield (
            f"everybody buys so often ({_name_horizon(study)} and active_days under churn in"
            " study.yml)"
        )
        yield "returns or fees count as purchases (amount and returned in orders.sql)"


def _explain_missing_ends(contracts: ir.Table, study: Study, counts: pd.DataFrame) -> Iterator[str]:
    ends = contracts.ended_at if "ended_at" in contracts.columns else ibis.null("timestamp(6)")
    ends = contracts.select(ended=ends).filter(lambda t: t.ended.notnull())
    first, last, number = (
        ends.agg(first=ends.ended.min(), last=ends.ended.max(), rows=ends.count()).execute().iloc[0]
    )
    if not number:
        yield "no contract has an end (the column and the cast of ended_at in contracts.sql)"
        return
    opens, closes = _find_windows(study, counts)
    inside = ends.filter(ends.ended > opens, ends.ended < closes).count().execute()
    if inside:
        yield (
            f"{inside:,} contracts end in the label windows, but another one goes on from that day"
            " (started_at and ended_at in contracts.sql)"
        )
        if "known_at" in contracts.columns:
            yield "their ends became known later or never (known_at in contracts.sql)"
        return
    yield (
        f"all {number:,} ends lie between {first.date()} and {last.date()}, outside the label"
        " windows (snapshots and data_start in study.yml, the cast of ended_at in contracts.sql)"
    )


def _find_windows(study: Study, counts: pd.DataFrame) -> tuple[datetime, datetime]:
    """Return the first snapshot, and the day after the last label window."""
    last = close_window(study.churn, counts.snapshot.max().date())
    return counts.snapshot.min().to_pydatetime(), _start_after(last)


def _explain_everybody(tables: Tables, study: Study, counts: pd.DataFrame) -> Iterator[str]:
    if study.kind == "flat":
        yield "a text or number that isn't cast as meant (churned in snapshot.sql)"
    elif study.kind == "contractual":
        running = tables["contracts"].ended_at.isnull().sum().execute()
        if not running:
            yield "every contract has an end (ended_at in contracts.sql, empty while they run)"
        yield "the end is the last covered day, before that on which the next contract begins"
        yield "ends of terms that are renewed are given as ends (ended_at in contracts.sql)"
    else:
        last = tables["orders"].ordered_at.max().execute().date()
        yield (
            f"orders end on {last} and the data on {find_data_end(tables, study)} (data_end in"
            " study.yml)"
        )
        key = _name_horizon(study)
        yield f"customers buy more rarely than that ({key} under churn in study.yml)"


def _name_horizon(study: Study) -> str:
    """Return the key by which the study gives the label window."""
    return "horizon" if study.churn.horizon else "horizon_days"


# Rates that jump


def _find_gaps(tables: Tables, study: Study, counts: pd.DataFrame) -> Iterator[Remark]:
    """Look for training snapshots after which nobody churned, beside others."""
    rows = counts[(counts.part == "training") & (counts.customers > 0)]
    none = rows[rows.churned == 0]
    if 0 < len(none) < len(rows):
        others = rows.churned.sum() / rows.customers[rows.churned > 0].sum()
        yield Remark(
            "labels",
            f"nobody churned after the training snapshots {_list_days(none.snapshot)}, among"
            f" {none.customers.sum():,} customers, and {others:.1%} after the others",
            _list_causes([*_explain_jump(tables, study)]),
        )


def _find_jumps(tables: Tables, study: Study, counts: pd.DataFrame) -> Iterator[Remark]:
    """Look for rates of churn that differ more between snapshots than sampling allows."""
    rows = counts[(counts.customers > 0) & (counts.churned > 0)]
    stayed = rows.customers - rows.churned
    if len(rows) < 2 or not stayed.sum():
        return
    rates = rows.churned / rows.customers
    chance = stats.chi2_contingency([rows.churned, stayed], correction=False).pvalue
    if chance < JUMP_CHANCE and rates.max() >= JUMP_RATIO * rates.min():
        low, high = (rows.snapshot[place].date() for place in (rates.idxmin(), rates.idxmax()))
        yield Remark(
            "labels",
            f"the churn rate jumps between snapshots, from {rates.min():.1%} after {low} to"
            f" {rates.max():.1%} after {high}, more than sampling allows",
            _list_causes([*_explain_jump(tables, study)]),
        )


def _explain_jump(tables: Tables, study: Study) -> Iterator[str]:
    if study.kind == "contractual" and "ended_at" in tables["contracts"].columns:
        contracts = tables["contracts"]
        ends = contracts.filter(contracts.ended_at.notnull()).mutate(day=contracts.ended_at.date())
        days = ends.group_by("day").agg(ends=ends.count())
        top = days.order_by([ibis.desc("ends"), "day"]).limit(1).execute().iloc[0]
        total, first = ends.count().execute(), ends.ended_at.min().execute().date()
        yield f"ends were not recorded before {first} (data_start and snapshots in study.yml)"
        yield (
            f"many were recorded in one batch: {top.ends:,} of {total:,} ends are of"
            f" {pd.Timestamp(top.day).date()} (ended_at in contracts.sql)"
        )
    else:
        yield "orders are missing for some time (ordered_at in orders.sql)"
    if any("known_at" in table.columns for table in tables.values()):
        yield "what happened became known late (known_at)"
    yield (
        f"the data end before {find_data_end(tables, study)}, and the last windows are incomplete"
        " (data_end in study.yml)"
    )
    yield "a season or an event, which a model can't foresee"


def _list_days(days: pd.Series) -> str:
    return ", ".join(str(day.date()) for day in days)


def _list_causes(causes: list[str]) -> str:
    """Return likely causes as one clause, in order."""
    if len(causes) == 1:
        return f"likely cause: {causes[0]}"
    numbered = ", ".join(f"({number}) {cause}" for number, cause in enumerate(causes, 1))
    return f"likely causes, in order: {numbered}"

"""What single event tables have beyond counts, recency and rhythm: amounts, returns, complaints,
scores, treatments.

A table whose record has ``own_features`` has one builder here, registered under its name.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import ibis
import ibis.expr.types as ir

from research.data.contracts import CONTRACTS, ContractTable
from research.features.context import BuildContext
from research.features.dictionary import Feature, name_rows
from research.panel.spells import is_purchase, net_amount
from research.panel.windows import KEYS, MICRO, count_age, in_micros
from research.study_schema import CONTROL

Columns = Iterator[tuple[Feature, ir.Value]]
State = tuple[ir.Table, list[Feature]]


def _no_columns(sums: ir.Table) -> Columns:
    return iter(())


@dataclass(frozen=True)
class Details:
    """Features of one event table beyond those that every event table has.

    Attributes
    ----------
    measures : what is added up of each row over the windows: a whole number or a flag, by name
    columns : makes features of the sums; of measure x over w days the sum is ``x_<w>``, and the
        number of rows counted ``n_<w>``
    counted : which rows are counted; all unless given
    qualifier : what feature descriptions add to the rows that are counted
    compared : measures whose recent daily rate is compared with the earlier one, with the name and
        the words that the features get
    state : a table with columns snapshot, customer_id and features of the state at T, say of open
        contacts, with these features; made from the evidence
    """

    measures: Mapping[str, ir.Value] = field(default_factory=dict)
    columns: Callable[[ir.Table], Columns] = _no_columns
    counted: ir.BooleanValue | None = None
    qualifier: str = ""
    compared: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    state: State | None = None


Builder = Callable[[ir.Table, BuildContext], Details]
BUILDERS: dict[str, Builder] = {}


def builds(name: str) -> Callable[[Builder], Builder]:
    """Register a builder of details: of the rows of a table (``Evidence.find_rows``) and a
    context.
    """

    def register(builder: Builder) -> Builder:
        BUILDERS[name] = builder
        return builder

    return register


def build_details(rows: ir.Table, name: str, context: BuildContext) -> Details:
    """Return the details of an event table; none where its record has no features of its own."""
    return BUILDERS[name](rows, context) if CONTRACTS[name].own_features else Details()


def require_builders(tables: Mapping[str, ContractTable], builders: Mapping[str, Builder]) -> None:
    """Refuse records and builders that don't fit one another.

    Raises
    ------
    ValueError
        One sentence for the first table whose record promises features without a builder, or whose
        builder no record knows of.
    """
    for name, table in tables.items():
        if table.own_features and name not in builders:
            raise ValueError(
                f"contract table {name}: expected a builder of its own features (own_features), got"
                f" none among {', '.join(builders)}; register one in features/event_details.py"
            )
    for name in builders:
        if name not in tables or not tables[name].own_features:
            raise ValueError(
                f"features/event_details.py: expected builders for contract tables with"
                f" own_features, got one for {name}; set it in the table's record"
            )


@builds("orders")
def _detail_orders(rows: ir.Table, context: BuildContext) -> Details:
    bought = is_purchase(rows)
    if "amount" not in rows.columns:
        return Details(
            {"returns": ~bought},
            lambda sums: _list_returns(sums, context),
            counted=bought,
            qualifier=" without returns",
        )
    measures = {
        "amount": in_micros(net_amount(rows)),
        "paid": in_micros(bought.ifelse(rows.amount, 0.0)),
        "returns": ~bought & (rows.amount != 0),
    }
    return Details(
        measures,
        lambda sums: _list_amounts(sums, context),
        counted=bought,
        qualifier=" without returns",
        compared={"paid": ("amount", "amount spent without returns")},
    )


def _list_amounts(sums: ir.Table, context: BuildContext) -> Columns:
    things, money = name_rows(context.study, "orders"), context.study.economics.currency
    for days in context.windows.days:
        span = f"in the last {days} days"
        words = f"amount spent {span}, returns taken off"
        spent = sums[f"amount_{days}"] / MICRO
        yield Feature(f"sum_amount_{days}d", words, money, "orders", days, True), spent
        words = f"mean amount of the {things} {span}, without returns"
        mean = sums[f"paid_{days}"] / sums[f"n_{days}"].nullif(0) / MICRO
        yield Feature(f"mean_amount_{days}d", words, money, "orders", days), mean
        yield _describe_returns(sums, days, things)


def _list_returns(sums: ir.Table, context: BuildContext) -> Columns:
    things = name_rows(context.study, "orders")
    for days in context.windows.days:
        yield _describe_returns(sums, days, things)


def _describe_returns(sums: ir.Table, days: int, things: str) -> tuple[Feature, ir.Value]:
    words, returned = f"returned {things} in the last {days} days", sums[f"returns_{days}"]
    return Feature(f"n_returns_{days}d", words, things, "orders", days, True), returned


@builds("usage")
def _detail_usage(rows: ir.Table, context: BuildContext) -> Details:
    if "amount" not in rows.columns:
        return Details()
    measures = {"amount": in_micros(rows.amount), "measured": rows.amount.notnull()}
    return Details(measures, lambda sums: _list_usage_amounts(sums, context))


def _list_usage_amounts(sums: ir.Table, context: BuildContext) -> Columns:
    for days in context.windows.days:
        total = sums[f"amount_{days}"] / MICRO
        span = f"of the {name_rows(context.study, 'usage')} in the last {days} days"
        words = f"sum of the amounts {span}"
        yield Feature(f"sum_usage_amount_{days}d", words, "amount", "usage", days, True), total
        words, mean = f"mean amount {span}", total / sums[f"measured_{days}"].nullif(0)
        yield Feature(f"mean_usage_amount_{days}d", words, "amount", "usage", days), mean


@builds("contacts")
def _detail_contacts(rows: ir.Table, context: BuildContext) -> Details:
    contacts = context.evidence["contacts"]
    state = _read_open_contacts(contacts, context) if "resolved_at" in contacts.columns else None
    if "complaint" not in rows.columns:
        return Details(state=state)
    measures = {"complaints": rows.complaint}
    return Details(measures, lambda sums: _count_complaints(sums, context), state=state)


def _count_complaints(sums: ir.Table, context: BuildContext) -> Columns:
    unit = "complaints"
    for days in context.windows.days:
        words = f"complaints in the last {days} days"
        feature = Feature(f"n_complaints_{days}d", words, unit, "contacts", days, True)
        yield feature, sums[f"complaints_{days}"]


def _read_open_contacts(contacts: ir.Table, context: BuildContext) -> State:
    """Return which contacts are open at T, for how long, and how long recent resolutions took."""
    contacts = contacts.mutate(
        age=count_age(contacts, "contacted_at"),
        closed=count_age(contacts, "resolved_at"),
        open=contacts.resolved_at.isnull(),
    )
    seconds = contacts.resolved_at.epoch_seconds() - contacts.contacted_at.epoch_seconds()
    seconds = seconds.cast("int64")
    columns = {
        "n_unresolved": contacts.count(where=contacts.open),
        "days_unresolved": contacts.age.max(where=contacts.open),
    }
    things = name_rows(context.study, "contacts")
    oldest = f"days for which the oldest of the open {things} has been open"
    features = [
        Feature("n_unresolved", f"{things} still open", things, "contacts", zero=True),
        Feature("days_unresolved", oldest, "days", "contacts"),
    ]
    for days in context.windows.days:
        name, recent = f"mean_resolution_hours_{days}d", contacts.closed < days
        taken, closed = seconds.sum(where=recent).cast("int64"), contacts.count(where=recent)
        columns[name] = taken / closed.nullif(0) / 3600
        words = f"mean hours to resolve the {things} that were resolved in the last {days} days"
        features.append(Feature(name, words, "hours", "contacts", days))
    return contacts.group_by(KEYS).agg(**columns), features


@builds("feedback")
def _detail_feedback(rows: ir.Table, context: BuildContext) -> Details:
    if "score" not in rows.columns:
        return Details()
    score = read_score(rows)
    measures = {"score": in_micros(score), "scored": score.notnull()}
    unit = "share of the highest score" if "score_max" in rows.columns else "points"
    state = _read_last_score(context.evidence["feedback"], unit)
    return Details(measures, lambda sums: _list_scores(sums, unit, context), state=state)


def read_score(feedback: ir.Table) -> ir.NumericValue:
    """Return scores as shares of the highest where the table has it, else as they are.

    Shares of different scales can be averaged.
    """
    if "score_max" not in feedback.columns:
        return feedback.score
    return feedback.score / feedback.score_max.nullif(0)


def _list_scores(sums: ir.Table, unit: str, context: BuildContext) -> Columns:
    totals = {
        days: (sums[f"score_{days}"].fill_null(0), sums[f"scored_{days}"].fill_null(0))
        for days in context.windows.days
    }
    for days, (total, n) in totals.items():
        words, mean = f"mean score in the last {days} days", total / n.nullif(0) / MICRO
        yield Feature(f"mean_score_{days}d", words, unit, "feedback", days), mean
    for (recent, (total, n)), (days, (whole, number)) in pairwise(totals.items()):
        words = f"mean score in the last {recent} days minus that in days {recent + 1} to {days}"
        change = (total / n.nullif(0) - (whole - total) / (number - n).nullif(0)) / MICRO
        yield Feature(f"trend_score_{recent}d_{days}d", words, unit, "feedback", days), change


def _read_last_score(feedback: ir.Table, unit: str) -> State:
    """Return the latest score; of several given at the same time, the highest."""
    scored = feedback.select(*KEYS, "given_at", share=read_score(feedback))
    scored = scored.filter(scored.share.notnull())
    order = [ibis.desc("given_at"), ibis.desc("share")]
    latest = ibis.row_number().over(ibis.window(group_by=KEYS, order_by=order))
    last = scored.mutate(place=latest).filter(lambda t: t.place == 0)
    words = "score of the latest answer that has one"
    return last.select(*KEYS, last_score="share"), [Feature("last_score", words, unit, "feedback")]


@builds("campaigns")
def _detail_campaigns(rows: ir.Table, context: BuildContext) -> Details:
    measures = {"treated": rows.arm != CONTROL}
    if "cost" in rows.columns:
        measures["cost"] = in_micros(rows.cost)
    return Details(measures, lambda sums: _count_treatments(sums, "cost" in measures, context))


def _count_treatments(sums: ir.Table, priced: bool, context: BuildContext) -> Columns:
    money, table = context.study.economics.currency, "campaigns"
    for days in context.windows.days:
        words = (
            f"campaigns in the last {days} days in which the customer was treated, not in the"
            f" {CONTROL} arm"
        )
        treated = sums[f"treated_{days}"]
        yield Feature(f"n_treated_{days}d", words, table, table, days, True), treated
        if priced:
            words = f"cost of the campaigns in the last {days} days"
            cost = sums[f"cost_{days}"] / MICRO
            yield Feature(f"sum_campaign_cost_{days}d", words, money, table, days, True), cost


require_builders(CONTRACTS, BUILDERS)

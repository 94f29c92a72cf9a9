"""Features of what customers do: orders, usage, contacts, feedback, referrals and campaigns, over
windows at every snapshot.

Sums are rolled (see ``research.rolling``); what only the state at T can tell, say which contacts
are open, is read off the cut evidence.
"""

from collections.abc import Iterator
from itertools import pairwise

import ibis
import ibis.expr.types as ir

from research.data.contracts import CONTRACTS
from research.features.dictionary import ACTIVE_DAYS, Block, Feature, name_things
from research.features.stage import list_rhythm_windows
from research.panel.evidence import Evidence
from research.panel.spells import is_purchase, net_amount
from research.panel.windows import (
    KEYS,
    MICRO,
    Marks,
    Measure,
    count_age,
    in_micros,
    join,
    place_marks,
    roll,
    roll_days,
)
from research.study import Study

ACTIVITIES = ("orders", "usage", "contacts", "feedback", "referrals", "campaigns")
RHYTHMIC = ("orders", "usage")  # tables whose days and gaps tell a rhythm
TIMED = ("orders", "usage", "contacts")  # tables whose times of day tell something
HOURS = {
    "morning": (6, 11, "6:00 to 12:00"),
    "afternoon": (12, 17, "12:00 to 18:00"),
    "evening": (18, 23, "18:00 to 24:00"),
}
SATURDAY = 5
Columns = Iterator[tuple[Feature, ir.Value]]


def build_activity(
    evidence: Evidence, name: str, study: Study, marks: Marks, rhythm: ir.Table | None = None
) -> Block:
    """Return the features of one event table.

    Parameters
    ----------
    evidence : see ``snapshots.cut_evidence``
    name : one of ``ACTIVITIES``
    marks : see ``rolling.place_marks``
    rhythm : what ``roll_rhythm`` gives, if it has been computed already
    """
    rows = evidence.follow(name)
    counted = is_purchase(rows) if name == "orders" else None
    if name in RHYTHMIC and rhythm is None:
        rhythm = roll_rhythm(evidence, name, study)
    rolled = roll(rows, marks, counted, _list_measures(rows, name, counted, marks), rhythm)
    columns = [
        *_count(rolled, name, study, marks),
        *DETAILS[name](rolled, rows.columns, study, marks),
        *_share_times(rolled, name, study, marks),
    ]
    columns += [*_measure_rhythm(rolled, name, marks)] if name in RHYTHMIC else []
    columns += [*_compare_windows(rolled, name, study, marks), *_date(rolled, name)]
    table = rolled.select(*KEYS, **{feature.name: value for feature, value in columns})
    features = [feature for feature, _ in columns]
    if name in STANDING:
        standing, more = STANDING[name](evidence[name], study, marks)
        table = join(table, standing)
        features += more
    return Block(table, tuple(features))


def roll_rhythm(evidence: Evidence, name: str, study: Study) -> ir.Table:
    """Return the active days of a table over the windows of features and of the lifecycle stage,
    with the gaps; see ``rolling.roll_days``.
    """
    windows = {*study.features.windows, *list_rhythm_windows(study)}
    return roll_days(
        evidence.list_days(name),
        place_marks(evidence.snapshots, [*windows]),
        max(study.features.windows),
    )


def _list_measures(
    rows: ir.Table, name: str, counted: ir.BooleanValue | None, marks: Marks
) -> dict[str, Measure]:
    """Return what is added up of each row, by name."""
    measures = {column: Measure(value) for column, value in _read_details(rows, name)}
    if name in TIMED:
        times = _tell_times(rows, name)
        measures |= {
            part: Measure(inside if counted is None else counted & inside, (marks.longest,))
            for part, inside in times
        }
    return measures


def _read_details(rows: ir.Table, name: str) -> Columns:
    has = rows.columns
    if name == "orders":
        yield from (
            ("amount", in_micros(net_amount(rows))),
            ("paid", in_micros(is_purchase(rows).ifelse(rows.amount, 0.0))),
        )
        yield "returns", ~is_purchase(rows) & (rows.amount != 0)
    if name == "usage" and "amount" in has:
        yield from (("amount", in_micros(rows.amount)), ("measured", rows.amount.notnull()))
    if name == "contacts" and "complaint" in has:
        yield "complaints", rows.complaint
    if name == "feedback" and "score" in has:
        yield from (("score", in_micros(read_score(rows))), ("scored", read_score(rows).notnull()))
    if name == "campaigns":
        yield "treated", rows.arm != "control"
        if "cost" in has:
            yield "cost", in_micros(rows.cost)


def read_score(feedback: ir.Table) -> ir.NumericValue:
    """Return scores as shares of the highest where the table says what that is, so that scales can
    be put together; else as they are.
    """
    return (
        feedback.score / feedback.score_max.nullif(0)
        if "score_max" in feedback.columns
        else feedback.score
    )


def _tell_times(rows: ir.Table, name: str) -> Iterator[tuple[str, ir.BooleanValue]]:
    """Return which rows fell into which part of the day and week; a row at midnight exactly has a
    date only, and isn't timed.
    """
    at = rows[CONTRACTS[name].dated]
    yield from (("timed", at != rows.day), ("weekend", at.day_of_week.index() >= SATURDAY))
    yield from ((part, at.hour().between(first, last)) for part, (first, last, _) in HOURS.items())


def _count(rolled: ir.Table, name: str, study: Study, marks: Marks) -> Columns:
    things = _name_counted(study, name)
    for days in marks.windows:
        yield (
            Feature(
                f"n_{name}_{days}d",
                f"{things} in the last {days} days",
                name_things(study, name),
                name,
                days,
                True,
            ),
            rolled[f"n_{days}"],
        )
    for days in marks.windows if name in RHYTHMIC else ():
        yield (
            Feature(
                f"n_{name}_days_{days}d",
                f"{ACTIVE_DAYS[name]} in the last {days} days",
                "days",
                name,
                days,
                True,
            ),
            rolled[f"active_{days}"],
        )


def _detail_orders(rolled: ir.Table, has: tuple[str, ...], study: Study, marks: Marks) -> Columns:
    things, money = name_things(study, "orders"), study.economics.currency
    for days in marks.windows:
        span = f"in the last {days} days"
        yield (
            Feature(
                f"sum_amount_{days}d",
                f"amount spent {span}, returns taken off",
                money,
                "orders",
                days,
                True,
            ),
            rolled[f"amount_{days}"] / MICRO,
        )
        mean = rolled[f"paid_{days}"] / rolled[f"n_{days}"].nullif(0) / MICRO
        yield (
            Feature(
                f"mean_amount_{days}d",
                f"mean amount of the {things} {span}, without returns",
                money,
                "orders",
                days,
            ),
            mean,
        )
        yield (
            Feature(
                f"n_returns_{days}d", f"returned {things} {span}", things, "orders", days, True
            ),
            rolled[f"returns_{days}"],
        )


def _detail_usage(rolled: ir.Table, has: tuple[str, ...], study: Study, marks: Marks) -> Columns:
    for days in marks.windows if "amount" in has else ():
        total, span = (
            rolled[f"amount_{days}"] / MICRO,
            f"of the {name_things(study, 'usage')} in the last {days} days",
        )
        yield (
            Feature(
                f"sum_usage_amount_{days}d",
                f"sum of the amounts {span}",
                "amount",
                "usage",
                days,
                True,
            ),
            total,
        )
        yield (
            Feature(f"mean_usage_amount_{days}d", f"mean amount {span}", "amount", "usage", days),
            total / rolled[f"measured_{days}"].nullif(0),
        )


def _detail_contacts(rolled: ir.Table, has: tuple[str, ...], study: Study, marks: Marks) -> Columns:
    for days in marks.windows if "complaint" in has else ():
        yield (
            Feature(
                f"n_complaints_{days}d",
                f"complaints in the last {days} days",
                "complaints",
                "contacts",
                days,
                True,
            ),
            rolled[f"complaints_{days}"],
        )


def _detail_feedback(rolled: ir.Table, has: tuple[str, ...], study: Study, marks: Marks) -> Columns:
    if "score" not in has:
        return
    unit = _unit_of_score(has)
    sums = {
        days: (rolled[f"score_{days}"].fill_null(0), rolled[f"scored_{days}"].fill_null(0))
        for days in marks.windows
    }
    for days, (total, n) in sums.items():
        yield (
            Feature(
                f"mean_score_{days}d", f"mean score in the last {days} days", unit, "feedback", days
            ),
            total / n.nullif(0) / MICRO,
        )
    for (recent, (total, n)), (days, (whole, number)) in pairwise(sums.items()):
        words = f"mean score in the last {recent} days minus that in days {recent + 1} to {days}"
        change = (total / n.nullif(0) - (whole - total) / (number - n).nullif(0)) / MICRO
        yield Feature(f"trend_score_{recent}d_{days}d", words, unit, "feedback", days), change


def _unit_of_score(has: tuple[str, ...]) -> str:
    return "share of the highest score" if "score_max" in has else "points"


def _detail_referrals(
    rolled: ir.Table, has: tuple[str, ...], study: Study, marks: Marks
) -> Columns:
    return iter(())


def _detail_campaigns(
    rolled: ir.Table, has: tuple[str, ...], study: Study, marks: Marks
) -> Columns:
    money = study.economics.currency
    for days in marks.windows:
        words = (
            f"campaigns in the last {days} days in which the customer was treated, not in the"
            " control arm"
        )
        yield (
            Feature(f"n_treated_{days}d", words, "campaigns", "campaigns", days, True),
            rolled[f"treated_{days}"],
        )
        if "cost" in has:
            words = f"cost of the campaigns in the last {days} days"
            yield (
                Feature(f"sum_campaign_cost_{days}d", words, money, "campaigns", days, True),
                rolled[f"cost_{days}"] / MICRO,
            )


def _share_times(rolled: ir.Table, name: str, study: Study, marks: Marks) -> Columns:
    if name not in TIMED:
        return
    days, things, span = (
        marks.longest,
        f"share of the {_name_counted(study, name)}",
        f"in the last {marks.longest} days that fell",
    )
    parts = {"weekend": (f"{things} {span} on a Saturday or Sunday", "n")}
    parts |= {
        part: (f"{things} with a time of day {span} from {hours} UTC", "timed")
        for part, (*_, hours) in HOURS.items()
    }
    for part, (words, of) in parts.items():
        share = rolled[f"{part}_{days}"] / rolled[f"{of}_{days}"].nullif(0)
        yield Feature(f"share_{part}_{name}_{days}d", words, "share", name, days), share


def _measure_rhythm(rolled: ir.Table, name: str, marks: Marks) -> Columns:
    """Return mean, standard deviation and coefficient of variation of the gaps, and the present
    silence in multiples of the mean gap.
    """
    days, gaps, total = marks.longest, rolled.n_gaps.cast("float64"), rolled.gap.cast("float64")
    mean = total / gaps.nullif(0)
    spread = ((rolled.gap_squared * gaps - total * total) / (gaps * (gaps - 1)).nullif(0)).sqrt()
    words = f"between {ACTIVE_DAYS[name]} that ended in the last {days} days"
    yield Feature(f"mean_gap_{name}_{days}d", f"mean gap {words}", "days", name, days), mean
    yield (
        Feature(
            f"sd_gap_{name}_{days}d", f"standard deviation of the gaps {words}", "days", name, days
        ),
        spread,
    )
    regular = (
        f"irregularity of the gaps {words}: 0 is like clockwork, 1 as by chance, measured by"
        " standard deviation over mean"
    )
    yield (
        Feature(f"variation_gap_{name}_{days}d", regular, "ratio", name, days),
        spread / mean.nullif(0),
    )
    silence = (
        f"days since the last {ONE[name]}, in multiples of the customer's own mean gap of the last"
        f" {days} days"
    )
    yield (
        Feature(f"silence_ratio_{name}", silence, "ratio", name),
        count_age(rolled, "last_day") / mean.nullif(0),
    )


def _compare_windows(rolled: ir.Table, name: str, study: Study, marks: Marks) -> Columns:
    """Return changes of daily rates, recent against earlier, as (recent - earlier) / (recent +
    earlier).
    """
    counted = {"n": (f"n_{name}", _name_counted(study, name))} if name in TIMED else {}
    counted |= {"paid": ("amount", "amount spent without returns")} if name == "orders" else {}
    for column, (label, things) in counted.items():
        for recent, days in pairwise(marks.windows):
            late, early = (
                rolled[f"{column}_{recent}"].fill_null(0),
                rolled[f"{column}_{days}"].fill_null(0) - rolled[f"{column}_{recent}"].fill_null(0),
            )
            late, early = late.cast("float64") * (days - recent), early.cast("float64") * recent
            words = (
                f"{things} a day, last {recent} days against days {recent + 1} to {days}: -1 is"
                " stopped, 0 as before, 1 newly begun"
            )
            yield (
                Feature(f"trend_{label}_{recent}d_{days}d", words, "-1 to 1", name, days),
                (late - early) / (late + early).nullif(0),
            )


def _date(rolled: ir.Table, name: str) -> Columns:
    one = ONE[name]
    yield (
        Feature(f"days_since_last_{name}", f"days since the last {one}", "days", name),
        count_age(rolled, "last_day"),
    )
    yield (
        Feature(f"days_since_first_{name}", f"days since the first {one}", "days", name),
        count_age(rolled, "first_day"),
    )


def _name_counted(study: Study, name: str) -> str:
    return name_things(study, name) + (" without returns" if name == "orders" else "")


def _stand_contacts(
    contacts: ir.Table, study: Study, marks: Marks
) -> tuple[ir.Table, list[Feature]]:
    """Return which contacts are open at T, for how long, and how long those resolved of late
    took.
    """
    if "resolved_at" not in contacts.columns:
        return contacts.select(KEYS).distinct(), []
    contacts = contacts.mutate(
        age=count_age(contacts, "contacted_at"),
        closed=count_age(contacts, "resolved_at"),
        open=contacts.resolved_at.isnull(),
    )
    seconds = (contacts.resolved_at.epoch_seconds() - contacts.contacted_at.epoch_seconds()).cast(
        "int64"
    )
    columns = {
        "n_unresolved": contacts.count(where=contacts.open),
        "days_unresolved": contacts.age.max(where=contacts.open),
    }
    things = name_things(study, "contacts")
    features = [Feature("n_unresolved", f"{things} still open", things, "contacts", zero=True)]
    features += [
        Feature(
            "days_unresolved",
            f"days for which the oldest of the open {things} has waited",
            "days",
            "contacts",
        )
    ]
    for days in marks.windows:
        name, recent = f"mean_resolution_hours_{days}d", contacts.closed < days
        columns[name] = (
            seconds.sum(where=recent).cast("int64") / contacts.count(where=recent).nullif(0) / 3600
        )
        features += [
            Feature(
                name,
                f"mean hours to resolve the {things} that were resolved in the last {days} days",
                "hours",
                "contacts",
                days,
            )
        ]
    return contacts.group_by(KEYS).agg(**columns), features


def _stand_feedback(
    feedback: ir.Table, study: Study, marks: Marks
) -> tuple[ir.Table, list[Feature]]:
    """Return the latest score; of several given at the same time, the highest."""
    if "score" not in feedback.columns:
        return feedback.select(KEYS).distinct(), []
    scored = feedback.select(*KEYS, "given_at", share=read_score(feedback)).filter(
        lambda t: t.share.notnull()
    )
    latest = ibis.row_number().over(
        ibis.window(group_by=KEYS, order_by=[ibis.desc("given_at"), ibis.desc("share")])
    )
    last = (
        scored.mutate(place=latest).filter(lambda t: t.place == 0).select(*KEYS, last_score="share")
    )
    return last, [
        Feature(
            "last_score",
            "score of the latest answer that has one",
            _unit_of_score(feedback.columns),
            "feedback",
        )
    ]


ONE = {
    "orders": "purchase",
    "usage": "use",
    "contacts": "contact with service",
    "feedback": "answer",
    "referrals": "referral",
    "campaigns": "campaign",
}
DETAILS = {
    "orders": _detail_orders,
    "usage": _detail_usage,
    "contacts": _detail_contacts,
    "feedback": _detail_feedback,
    "referrals": _detail_referrals,
    "campaigns": _detail_campaigns,
}
STANDING = {"contacts": _stand_contacts, "feedback": _stand_feedback}

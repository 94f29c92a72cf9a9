"""Features of who customers are and on which terms: their own attributes, tenure, contracts, price
changes, renewal and stage.
"""

from collections.abc import Iterator

import ibis
import ibis.expr.types as ir

from research.errors import StudyError
from research.features.dictionary import Block, Feature
from research.features.stage import assign_stages
from research.panel.evidence import Evidence
from research.panel.spells import join_terms
from research.panel.windows import KEYS, Marks, count_age, join
from research.study import Study


def build_attributes(evidence: Evidence, study: Study) -> Block:
    """Return tenure in days and the customer's own attributes; a date becomes the days since it,
    empty while it lies ahead.
    """
    customers = evidence["customers"]
    attributes = [
        column
        for column in customers.columns
        if column not in {*KEYS, "joined_at", "known_at", *study.sensitive}
    ]
    dates = [
        column
        for column in attributes
        if customers[column].type().is_timestamp() or customers[column].type().is_date()
    ]
    customers = customers.cast(dict.fromkeys(dates, "timestamp(6)"))
    ages = {f"days_since_{column}": count_age(customers, column) for column in dates}
    past = {name: (age >= 0).ifelse(age, ibis.null("int64")) for name, age in ages.items()}
    others = [column for column in attributes if column not in dates]
    if taken := [column for column in others if column.lower() in {name.lower() for name in ages}]:
        required = "table customers: expected attributes named unlike the days since others"
        raise StudyError(f"{required}, got {', '.join(taken)}; rename them in customers.sql")
    features = [
        Feature(column, column.replace("_", " "), _unit(customers[column]), "customers")
        for column in others
    ]
    features += [Feature("tenure_days", "days since joining", "days", "customers")]
    features += [
        Feature(
            f"days_since_{column}", f"days since {column.replace('_', ' ')}", "days", "customers"
        )
        for column in dates
    ]
    return Block(
        customers.select(*KEYS, *others, tenure_days=count_age(customers, "joined_at"), **past),
        tuple(features),
    )


def _unit(column: ir.Value) -> str:
    return "number" if column.type().is_numeric() else "text"


def build_terms(
    evidence: Evidence, study: Study, marks: Marks, spells: ir.Table | None = None
) -> Block:
    """Return the terms of the latest running contract and the days to its renewal, how many
    contracts there were, and changes of fee and plan.

    Parameters
    ----------
    marks : see ``rolling.place_marks``
    spells : what ``spells.find_spells`` returns, if it has been computed already
    """
    spells = join_terms(evidence["contracts"], KEYS) if spells is None else spells
    wanted = [*KEYS, "started_at", "ended_at", "monthly_fee", "plan", "term_months"]
    contracts = evidence["contracts"].select(
        [column for column in wanted if column in evidence["contracts"].columns]
    )
    parts = [
        _count_terms(contracts, spells),
        _read_running(contracts, study),
        _follow_changes(contracts, marks),
    ]
    table, features = parts[0]
    for part, more in parts[1:]:
        table, features = join(table, part), [*features, *more]
    return Block(table, tuple(features))


def _count_terms(contracts: ir.Table, spells: ir.Table) -> tuple[ir.Table, list[Feature]]:
    counts = contracts.group_by(KEYS).agg(n_contracts=contracts.count())
    earlier = spells.group_by(KEYS).agg(n_earlier_spells=spells.ended.count())
    features = [
        Feature(
            "n_contracts",
            "contracts so far, the running one included",
            "contracts",
            "contracts",
            zero=True,
        )
    ]
    features += [
        Feature(
            "n_earlier_spells",
            "earlier times as a customer, which ended with leaving",
            "times",
            "contracts",
            zero=True,
        )
    ]
    return join(counts, earlier), features


def _read_running(contracts: ir.Table, study: Study) -> tuple[ir.Table, list[Feature]]:
    """Return the terms of the running contract begun last; of several begun at the same time, the
    dearest.
    """
    running = (
        contracts.filter(contracts.ended_at.isnull())
        if "ended_at" in contracts.columns
        else contracts
    )
    terms = [
        column for column in ("monthly_fee", "plan", "term_months") if column in contracts.columns
    ]
    order = [ibis.desc("started_at"), *map(ibis.desc, terms)]
    latest = running.mutate(
        place=ibis.row_number().over(ibis.window(group_by=KEYS, order_by=order))
    ).filter(lambda t: t.place == 0)
    latest = latest.mutate(contract_age_days=count_age(latest, "started_at"))
    words = {
        "plan": ("plan of the running contract", "text"),
        "monthly_fee": ("monthly fee of the running contract", study.economics.currency),
    }
    words |= {"term_months": ("months for which the running contract binds at a time", "months")}
    features = [
        Feature("contract_age_days", "days since the running contract began", "days", "contracts")
    ]
    features += [Feature(column, *words[column], "contracts") for column in terms]
    renewal = {"days_to_renewal": _wait_for_renewal(latest)} if "term_months" in terms else {}
    features += [
        Feature(
            "days_to_renewal", "days until the running contract's next renewal", "days", "contracts"
        )
        for _ in renewal
    ]
    return latest.select(*KEYS, "contract_age_days", *terms, **renewal), features


def _wait_for_renewal(contracts: ir.Table) -> ir.IntegerValue:
    """Return the days from T to the next day on which a whole number of terms has passed; a month
    without that day renews on its last day.
    """
    start, now, term = (
        contracts.started_at.truncate("D"),
        contracts.snapshot,
        contracts.term_months.round().cast("int64").nullif(0),
    )
    months = (now.year() - start.year()) * 12 + now.month() - start.month()
    passed = (months // term) * term
    due = start + passed.cast("int64").as_interval("M")
    later = start + (passed + term).cast("int64").as_interval("M")
    return (due > now).ifelse(due, later).delta(now, unit="day")


def _follow_changes(contracts: ir.Table, marks: Marks) -> tuple[ir.Table, list[Feature]]:
    """Return how often, when and by how much the fee changed from one contract to the next, and how
    often the plan did.
    """
    columns = [column for column in ("monthly_fee", "plan") if column in contracts.columns]
    terms = _look_back(contracts, columns)
    found = [
        *(_count_fee_changes(terms, marks) if "monthly_fee" in columns else ()),
        *(_count_plan_changes(terms, marks) if "plan" in columns else ()),
    ]
    table = terms.group_by(KEYS).agg(**{feature.name: value for feature, value in found})
    features = [feature for feature, _ in found]
    if "monthly_fee" not in columns:
        return table, features
    change = Feature(
        "last_fee_change",
        "latest change of the monthly fee, as a share of the fee before",
        "share",
        "contracts",
    )
    return join(table, _read_last_change(terms)), [*features, change]


def _look_back(contracts: ir.Table, columns: list[str]) -> ir.Table:
    """Add the fee and plan of the contract begun before, empty where that still ran: two side by
    side are no change from one to the other.
    """
    own = ibis.window(group_by=KEYS, order_by=["started_at", *columns])
    seen = [*columns, *(["ended_at"] if "ended_at" in contracts.columns else [])]
    before = {f"{column}_before": contracts[column].lag().over(own) for column in seen}
    terms = contracts.mutate(
        age=count_age(contracts, "started_at"), place=ibis.row_number().over(own), **before
    )
    if "ended_at" not in contracts.columns:
        return terms
    over = (terms.ended_at_before.truncate("D") <= terms.started_at.truncate("D")).fill_null(False)
    return terms.mutate(
        **{
            f"{column}_before": over.ifelse(
                terms[f"{column}_before"], ibis.null(terms[column].type())
            )
            for column in columns
        }
    )


def _count_fee_changes(terms: ir.Table, marks: Marks) -> Iterator[tuple[Feature, ir.Value]]:
    ways = {
        "rises": terms.monthly_fee > terms.monthly_fee_before,
        "cuts": terms.monthly_fee < terms.monthly_fee_before,
    }
    for days in marks.windows:
        for way, happened in ways.items():
            words = f"{way} of the monthly fee in the last {days} days"
            yield (
                Feature(f"n_fee_{way}_{days}d", words, way, "contracts", days, True),
                terms.count(where=happened.fill_null(False) & (terms.age < days)),
            )
    yield (
        Feature(
            "days_since_fee_change", "days since the monthly fee last changed", "days", "contracts"
        ),
        terms.age.min(where=_fee_changed(terms)),
    )


def _fee_changed(terms: ir.Table) -> ir.BooleanValue:
    return (terms.monthly_fee != terms.monthly_fee_before).fill_null(False)


def _count_plan_changes(terms: ir.Table, marks: Marks) -> Iterator[tuple[Feature, ir.Value]]:
    changed = (terms.plan != terms.plan_before).fill_null(False)
    for days in marks.windows:
        words = f"changes of plan in the last {days} days"
        yield (
            Feature(f"n_plan_changes_{days}d", words, "changes", "contracts", days, True),
            terms.count(where=changed & (terms.age < days)),
        )


def _read_last_change(terms: ir.Table) -> ir.Table:
    changes = terms.filter(_fee_changed(terms))
    place = ibis.row_number().over(ibis.window(group_by=KEYS, order_by=ibis.desc("place")))
    latest = changes.mutate(rank=place).filter(lambda t: t.rank == 0)
    return latest.select(
        *KEYS, last_fee_change=latest.monthly_fee / latest.monthly_fee_before.nullif(0) - 1
    )


def build_stage(
    evidence: Evidence, study: Study, spells: ir.Table | None = None, rhythm: ir.Table | None = None
) -> Block:
    """Return the lifecycle stage at each snapshot; see ``lifecycle.assign_stages``."""
    stages = assign_stages(evidence, study, spells, rhythm)
    feature = Feature(
        "lifecycle_stage",
        "stage of the customer's life with the company",
        "text",
        "contracts" if study.kind == "contractual" else "orders",
    )
    return Block(stages.select(*KEYS, lifecycle_stage="stage"), (feature,))

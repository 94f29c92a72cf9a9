"""Features of who customers are and on which terms: their own attributes, tenure, contracts, price
changes, renewal and stage.
"""

from collections.abc import Iterator

import ibis
import ibis.expr.types as ir

from research.data.terms import join_terms
from research.errors import StudyError
from research.features.context import BuildContext
from research.features.dictionary import Block, Feature
from research.features.stage import assign_stages
from research.panel.windows import KEYS, WindowPlan, count_age, join
from research.study import Study

Part = tuple[ir.Table, list[Feature]]


def build_attributes(context: BuildContext) -> Block:
    """Return tenure in days and the customer's own attributes.

    A date becomes the days since it, empty while it lies ahead. The unit of randomisation is no
    feature.
    """
    customers = context.evidence["customers"]
    study = context.study
    closed = {*KEYS, "joined_at", "known_at", *study.sensitive, study.experiment.unit}
    attributes = [column for column in customers.columns if column not in closed]
    dates = [column for column in attributes if _is_date(customers[column])]
    others = [column for column in attributes if column not in dates]
    customers = customers.cast(dict.fromkeys(dates, "timestamp(6)"))
    ages = {f"days_since_{column}": count_age(customers, column) for column in dates}
    past = {name: (age >= 0).ifelse(age, ibis.null("int64")) for name, age in ages.items()}
    _require_other_names(others, [*ages])
    features = [
        Feature(column, column.replace("_", " "), _unit(customers[column]), "customers")
        for column in others
    ]
    features.append(Feature("tenure_days", "days since joining", "days", "customers"))
    for column in dates:
        words = f"days since {column.replace('_', ' ')}"
        features.append(Feature(f"days_since_{column}", words, "days", "customers"))
    tenure = count_age(customers, "joined_at")
    return Block(customers.select(*KEYS, *others, tenure_days=tenure, **past), tuple(features))


def _is_date(column: ir.Value) -> bool:
    return column.type().is_timestamp() or column.type().is_date()


def _require_other_names(attributes: list[str], ages: list[str]) -> None:
    lower = {name.lower() for name in ages}
    if taken := [column for column in attributes if column.lower() in lower]:
        raise StudyError(
            "table customers: expected attributes whose names differ from those of the features"
            f" made of dates, got {', '.join(taken)}; rename them in customers.sql"
        )


def _unit(column: ir.Value) -> str:
    return "number" if column.type().is_numeric() else "text"


def build_terms(context: BuildContext) -> Block:
    """Return the terms of the latest running contract and the days to its renewal, how many
    contracts there were, and changes of fee and plan.
    """
    contracts, study = context.evidence["contracts"], context.study
    spells = context.spells if study.kind == "contractual" else join_terms(contracts, KEYS)
    wanted = [*KEYS, "started_at", "ended_at", "monthly_fee", "plan", "term_months"]
    contracts = contracts.select([column for column in wanted if column in contracts.columns])
    table, features = _count_terms(contracts, spells)
    running = _read_running(contracts, study)
    for part, more in (running, _follow_changes(contracts, context.windows)):
        table, features = join(table, part), [*features, *more]
    return Block(table, tuple(features))


def _count_terms(contracts: ir.Table, spells: ir.Table) -> Part:
    counts = contracts.group_by(KEYS).agg(n_contracts=contracts.count())
    earlier = spells.group_by(KEYS).agg(n_earlier_spells=spells.ended.count())
    so_far = "contracts so far, the running one included"
    before = "earlier times as a customer, which ended with leaving"
    features = [
        Feature("n_contracts", so_far, "contracts", "contracts", zero=True),
        Feature("n_earlier_spells", before, "times", "contracts", zero=True),
    ]
    return join(counts, earlier), features


def _read_running(contracts: ir.Table, study: Study) -> Part:
    """Return the terms of the running contract begun last.

    Of several begun at the same time, those of the dearest.
    """
    running = contracts
    if "ended_at" in contracts.columns:
        running = contracts.filter(contracts.ended_at.isnull())
    words = {
        "monthly_fee": ("monthly fee of the running contract", study.economics.currency),
        "plan": ("plan of the running contract", "text"),
        "term_months": ("months for which the running contract binds at a time", "months"),
    }
    terms = [column for column in words if column in contracts.columns]
    order = [ibis.desc("started_at"), *map(ibis.desc, terms)]
    place = ibis.row_number().over(ibis.window(group_by=KEYS, order_by=order))
    latest = running.mutate(place=place).filter(lambda t: t.place == 0)
    latest = latest.mutate(contract_age_days=count_age(latest, "started_at"))
    age = "days since the running contract began"
    features = [Feature("contract_age_days", age, "days", "contracts")]
    features += [Feature(column, *words[column], "contracts") for column in terms]
    renewal = {}
    if "term_months" in terms:
        renewal["days_to_renewal"] = _count_days_to_renewal(latest)
        due = "days until the running contract's next renewal"
        features.append(Feature("days_to_renewal", due, "days", "contracts"))
    return latest.select(*KEYS, "contract_age_days", *terms, **renewal), features


def _count_days_to_renewal(contracts: ir.Table) -> ir.IntegerValue:
    """Return the days from T to the next day on which a whole number of terms has passed.

    A month without that day renews on its last day.
    """
    start, now = contracts.started_at.truncate("D"), contracts.snapshot
    term = contracts.term_months.round().cast("int64").nullif(0)
    months = (now.year() - start.year()) * 12 + now.month() - start.month()
    passed = (months // term) * term
    due = start + passed.cast("int64").as_interval("M")
    later = start + (passed + term).cast("int64").as_interval("M")
    return (due > now).ifelse(due, later).delta(now, unit="day")


def _follow_changes(contracts: ir.Table, windows: WindowPlan) -> Part:
    """Return how often, when and by how much the fee changed from one contract to the next, and how
    often the plan did.
    """
    columns = [column for column in ("monthly_fee", "plan") if column in contracts.columns]
    terms = _add_previous(contracts, columns)
    counted = [
        *(_count_fee_changes(terms, windows) if "monthly_fee" in columns else ()),
        *(_count_plan_changes(terms, windows) if "plan" in columns else ()),
    ]
    table = terms.group_by(KEYS).agg(**{feature.name: value for feature, value in counted})
    features = [feature for feature, _ in counted]
    if "monthly_fee" not in columns:
        return table, features
    words = "latest change of the monthly fee, as a share of the fee before"
    change = Feature("last_fee_change", words, "share", "contracts")
    return join(table, _read_last_change(terms)), [*features, change]


def _add_previous(contracts: ir.Table, columns: list[str]) -> ir.Table:
    """Add the fee and plan of the contract begun before, empty where that still ran.

    Two contracts side by side are no change from one to the other.
    """
    own = ibis.window(group_by=KEYS, order_by=["started_at", *columns])
    previous = [*columns, *(["ended_at"] if "ended_at" in contracts.columns else [])]
    before = {f"{column}_before": contracts[column].lag().over(own) for column in previous}
    age, place = count_age(contracts, "started_at"), ibis.row_number().over(own)
    terms = contracts.mutate(age=age, place=place, **before)
    if "ended_at" not in contracts.columns:
        return terms
    over = terms.ended_at_before.truncate("D") <= terms.started_at.truncate("D")
    over = over.fill_null(False)
    return terms.mutate(
        **{
            f"{column}_before": over.ifelse(
                terms[f"{column}_before"], ibis.null(terms[column].type())
            )
            for column in columns
        }
    )


def _count_fee_changes(terms: ir.Table, windows: WindowPlan) -> Iterator[tuple[Feature, ir.Value]]:
    ways = {
        "rises": terms.monthly_fee > terms.monthly_fee_before,
        "cuts": terms.monthly_fee < terms.monthly_fee_before,
    }
    for days in windows.days:
        for way, happened in ways.items():
            words = f"{way} of the monthly fee in the last {days} days"
            feature = Feature(f"n_fee_{way}_{days}d", words, way, "contracts", days, True)
            yield feature, terms.count(where=happened.fill_null(False) & (terms.age < days))
    words = "days since the monthly fee last changed"
    feature = Feature("days_since_fee_change", words, "days", "contracts")
    yield feature, terms.age.min(where=_fee_changed(terms))


def _fee_changed(terms: ir.Table) -> ir.BooleanValue:
    return (terms.monthly_fee != terms.monthly_fee_before).fill_null(False)


def _count_plan_changes(terms: ir.Table, windows: WindowPlan) -> Iterator[tuple[Feature, ir.Value]]:
    changed = (terms.plan != terms.plan_before).fill_null(False)
    for days in windows.days:
        words = f"changes of plan in the last {days} days"
        feature = Feature(f"n_plan_changes_{days}d", words, "changes", "contracts", days, True)
        yield feature, terms.count(where=changed & (terms.age < days))


def _read_last_change(terms: ir.Table) -> ir.Table:
    changes = terms.filter(_fee_changed(terms))
    place = ibis.row_number().over(ibis.window(group_by=KEYS, order_by=ibis.desc("place")))
    latest = changes.mutate(rank=place).filter(lambda t: t.rank == 0)
    return latest.select(
        *KEYS, last_fee_change=latest.monthly_fee / latest.monthly_fee_before.nullif(0) - 1
    )


def build_stage(context: BuildContext) -> Block:
    """Return the lifecycle stage at each snapshot; see ``stage.assign_stages``."""
    name, study = context.activity_table, context.study
    rhythm = context.roll_rhythm(name) if name else None
    stages = assign_stages(context.evidence, study, context.spells, rhythm, context.stage_windows)
    source = "contracts" if study.kind == "contractual" else "orders"
    words = "stage of the customer's life with the company"
    feature = Feature("lifecycle_stage", words, "text", source)
    return Block(stages.select(*KEYS, lifecycle_stage="stage"), (feature,))

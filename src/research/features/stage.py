"""Where customers stand: the stage of each at every snapshot.

The rule is written in ``describe_rule`` and sees evidence only. Its thresholds stand under
``lifecycle`` in study.yml.
"""

import ibis
import ibis.expr.types as ir
import pandas as pd

from research.data.contracts import CONTRACTS
from research.errors import StudyError
from research.panel.evidence import Evidence
from research.panel.spells import find_spells
from research.panel.windows import (
    KEYS,
    WindowPlan,
    add_up,
    join,
    place_in_buckets,
    plan_windows,
    roll_days,
)
from research.study import Study
from research.study_schema import ACTIVITY_TABLES

RHYTHM_DAYS = 3  # active days from which a customer has a rhythm of their own


def find_activity_table(evidence: Evidence, study: Study) -> str | None:
    """Return the table that shows how active a customer is: the one that study.yml names, else
    usage, else orders, else none.
    """
    wanted = [study.lifecycle.activity] if study.lifecycle.activity else ACTIVITY_TABLES
    if study.lifecycle.activity and study.lifecycle.activity not in evidence:
        raise StudyError(
            f"study.yml of {study.name}, key lifecycle.activity: expected a table that the study"
            f" has, got {study.lifecycle.activity}; write {study.lifecycle.activity}.sql or"
            " remove the key"
        )
    return next((name for name in wanted if name in evidence), None)


def find_silence_days(study: Study) -> int | None:
    """Return the inactivity in days that is decline whatever a customer's rhythm, or none."""
    if study.lifecycle.silence_days or study.kind == "contractual":
        return study.lifecycle.silence_days
    return round(study.churn.inactive_days * 2 / 3)


def describe_rule(evidence: Evidence, study: Study) -> pd.DataFrame:
    """Return the rule in words, with the study's thresholds.

    The first stage whose words fit is the customer's.

    Returns
    -------
    DataFrame with columns stage, rule
    """
    own, name = study.lifecycle, find_activity_table(evidence, study)
    gone = (
        "no contract runs"
        if study.kind == "contractual"
        else f"no purchase for {study.churn.inactive_days} days"
    )
    words = {
        "gone": gone,
        "won back": f"came back after being gone, at most {own.won_back_days} days ago",
        "introduction": f"first became a customer less than {own.introduction_days} days ago",
    }
    words |= _describe_activity_rules(CONTRACTS[name].words.active_days, study) if name else {}
    words["maturity"] = "everyone else"
    return pd.DataFrame(words.items(), columns=["stage", "rule"])


def _describe_activity_rules(active_days: str, study: Study) -> dict[str, str]:
    own, silence = study.lifecycle, find_silence_days(study)
    change = (
        f"{active_days} in the last {own.recent_days} days as in the {own.recent_days} before,"
        f" beyond most chance (z above {own.noise:g})"
    )
    inactive = (
        f"inactive for more than {own.silence_gaps:g} of their own usual gaps and at least"
        f" {own.recent_days // 3} days"
    )
    longest = f", or inactive for {silence} days" if silence else ""
    return {
        "decline": f"at most {own.decline_ratio:g} times as many {change}; or {inactive}{longest}",
        "growth": f"at least {own.growth_ratio:g} times as many {change}",
    }


def assign_stages(
    evidence: Evidence,
    study: Study,
    spells: ir.Table | None = None,
    rhythm: ir.Table | None = None,
    windows: WindowPlan | None = None,
) -> ir.Table:
    """Return the stage of everyone who has ever been a customer, at each snapshot of the evidence.

    See ``describe_rule``. What has been made already may be given.

    Parameters
    ----------
    evidence : see ``evidence_as_of``
    study : a contractual or non-contractual study
    spells : see ``spells.find_spells``
    rhythm : the active days of ``find_activity_table`` over ``windows``, and others; see
        ``windows.roll_days``
    windows : those of ``list_rhythm_windows``

    Returns
    -------
    table with columns snapshot, customer_id, stage
        One row per snapshot and customer.
    """
    people = _find_latest_spells(find_spells(evidence, study) if spells is None else spells)
    rules, name = _list_tenure_rules(people, study), find_activity_table(evidence, study)
    if name is not None:
        windows = windows or plan_windows(evidence.snapshots, list_rhythm_windows(study))
        people = join(people, _measure_rhythm(evidence, name, people, windows, rhythm))
        rules = [*_list_tenure_rules(people, study), *_list_activity_rules(people, study)]
    return people.select(*KEYS, stage=ibis.cases(*rules, else_="maturity"))


def _find_latest_spells(spells: ir.Table) -> ir.Table:
    """Return everybody's latest spell with its number, counted from 0, and the days since it
    started.

    None but the latest may last.
    """
    latest = spells.group_by(KEYS).agg(
        spell=spells.count() - 1,
        started=spells.started.max(),
        over=spells.ended.count(),
        ended=spells.ended.max(),
    )
    latest = latest.mutate(
        ended=(latest.over > latest.spell).ifelse(latest.ended, ibis.null("timestamp(6)"))
    ).drop("over")
    return latest.mutate(age=latest.snapshot.delta(latest.started, unit="day"))


def _list_tenure_rules(people: ir.Table, study: Study) -> list[tuple[ir.BooleanValue, str]]:
    own = study.lifecycle
    return [
        (people.ended.notnull(), "gone"),
        ((people.spell > 0) & (people.age < own.won_back_days), "won back"),
        ((people.spell == 0) & (people.age < own.introduction_days), "introduction"),
    ]


def list_rhythm_windows(study: Study) -> tuple[int, int]:
    """Return the windows in days whose active days show decline and growth.

    The recent one, and both together.
    """
    return study.lifecycle.recent_days, 2 * study.lifecycle.recent_days


def _measure_rhythm(
    evidence: Evidence,
    name: str,
    people: ir.Table,
    windows: WindowPlan,
    rhythm: ir.Table | None,
) -> ir.Table:
    """Return each customer's active days in the latest spell: in the recent window, in the one
    before, the last one, and the mean gap.

    Returns
    -------
    table with columns snapshot, customer_id, recent, before, active_days, inactive_days, gap_days,
    observed_days
        ``observed_days``: how long the customer could have been observed active, from the spell's
        start or the table's first row, to the snapshot.
    """
    days, spells = evidence.find_active_days(name), people.select(*KEYS, "started")
    sums = _sum_spells(days, spells, windows, rhythm)
    sums = sums.join(_find_first_days(evidence.all_customers, name, windows), "snapshot")
    inactive, first = (
        sums.snapshot.delta(sums[day], unit="day") for day in ("last_day", "first_day")
    )
    recent, both = (sums[f"active_{length}"].fill_null(0) for length in windows.days)
    begins = ibis.greatest(sums.started, sums.table_starts)
    return sums.select(
        *KEYS,
        recent=recent,
        before=both - recent,
        active_days="active_ever",
        inactive_days=inactive,
        gap_days=(first - inactive) / (sums.active_ever - 1).nullif(0),
        observed_days=sums.snapshot.delta(begins, unit="day") + 1,
    )


def _sum_spells(
    days: ir.Table, spells: ir.Table, windows: WindowPlan, rhythm: ir.Table | None
) -> ir.Table:
    """Return the active days of each latest spell.

    Those of all the history, but for who was active before it began, whose days are added up anew.
    """
    columns = [
        *KEYS,
        "started",
        *(f"active_{length}" for length in windows.days),
        "active_ever",
        "first_day",
        "last_day",
    ]
    rhythm = roll_days(days, windows) if rhythm is None else rhythm
    history = spells.join(rhythm, KEYS).select(columns)
    longer = history.filter(history.first_day < history.started).select(*KEYS, "started")
    inside = days.join(longer.select("customer_id", "started").distinct(), "customer_id").filter(
        lambda t: t.day >= t.started
    )
    sums = add_up(
        inside.mutate(active=ibis.literal(1, "int64")),
        windows,
        {"active": windows.days},
        ["started"],
    )
    anew = sums.semi_join(longer, [*KEYS, "started"]).select(columns).cast(history.schema())
    return history.filter(history.first_day >= history.started).union(anew)


def _find_first_days(evidence: Evidence, name: str, windows: WindowPlan) -> ir.Table:
    """Return the first active day of anybody that each snapshot knows: snapshot, table_starts."""
    days = place_in_buckets(evidence.find_active_rows(name), windows)
    if not windows.several:
        return days.agg(table_starts=days.day.min()).mutate(
            snapshot=ibis.literal(windows.last, type="timestamp(6)")
        )
    firsts = days.group_by("known").agg(day=days.day.min())
    return (
        firsts.join(windows.snapshots, firsts.known <= windows.snapshots.number)
        .group_by("snapshot")
        .agg(table_starts=lambda t: t.day.min())
    )


def _list_activity_rules(people: ir.Table, study: Study) -> list[tuple[ir.BooleanValue, str]]:
    """Return when a customer declines or grows: fewer or more active days per day observed than
    before, beyond noise, or inactivity.

    Given their sum, recent active days would be binomial if nothing had changed; z is their
    distance from its mean in standard deviations.
    """
    own = study.lifecycle
    now = own.recent_days  # days observed in the recent window, and in the one before it
    before = ibis.least(people.observed_days - own.recent_days, own.recent_days)
    share, both = now / (now + before), people.recent + people.before
    z = (people.recent - both * share) / (both * share * (1 - share)).sqrt().nullif(0)
    comparable = before * 2 >= own.recent_days
    change = (people.recent / now) / (people.before / before).nullif(0)
    inactive = _is_inactive(people, study)
    fell = comparable & (change <= own.decline_ratio) & (z < -own.noise)
    grew = comparable & ((change >= own.growth_ratio) | (people.before == 0)) & (z > own.noise)
    return [((fell | inactive).fill_null(False), "decline"), (grew.fill_null(False), "growth")]


def _is_inactive(people: ir.Table, study: Study) -> ir.BooleanValue:
    """Return who is inactive for longer than their own rhythm, or the study's limit, allows."""
    own, silence = study.lifecycle, find_silence_days(study)
    inactive = (
        (people.active_days >= RHYTHM_DAYS)
        & (people.inactive_days > own.silence_gaps * people.gap_days)
        & (people.inactive_days >= own.recent_days // 3)
    )
    return inactive if silence is None else inactive | (people.inactive_days >= silence)

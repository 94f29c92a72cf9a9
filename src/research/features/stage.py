"""Where customers stand: the stage of each at every snapshot.

The rule is written in ``describe_rule`` and sees evidence only. Its thresholds stand under
``lifecycle`` in study.yml.
"""

import ibis
import ibis.expr.types as ir
import pandas as pd

from research.errors import StudyError
from research.panel.evidence import Evidence
from research.panel.spells import find_spells
from research.panel.windows import KEYS, Marks, add_up, join, place, place_marks, roll_days
from research.study import Study

RHYTHM_DAYS = 3  # active days from which a customer has a rhythm of their own


def find_activity(evidence: Evidence, study: Study) -> str | None:
    """Return the table that tells how alive a customer is: the one that study.yml names, else
    usage, else orders, else none.
    """
    wanted = [study.lifecycle.activity] if study.lifecycle.activity else ["usage", "orders"]
    if study.lifecycle.activity and study.lifecycle.activity not in evidence:
        raise StudyError(
            f"study.yml of {study.name}, key lifecycle.activity: expected a table that the study"
            f" has, got {study.lifecycle.activity}; write {study.lifecycle.activity}.sql or"
            " remove the key"
        )
    return next((name for name in wanted if name in evidence), None)


def find_silence_days(study: Study) -> int | None:
    """Return the silence that is decline whatever a customer's rhythm, in days, or none."""
    if study.lifecycle.silence_days or study.kind == "contractual":
        return study.lifecycle.silence_days
    return round(study.churn.inactive_days * 2 / 3)


def describe_rule(evidence: Evidence, study: Study) -> pd.DataFrame:
    """Return the rule in words, with the study's thresholds: the first stage whose words fit is the
    customer's.

    Returns
    -------
    DataFrame with columns stage, rule
    """
    own, name = study.lifecycle, find_activity(evidence, study)
    gone = (
        "no contract runs"
        if study.kind == "contractual"
        else f"no purchase for {study.churn.inactive_days} days"
    )
    words = {
        "gone": gone,
        "won back": f"came back after being gone, at most {own.won_back_days} days ago",
    }
    words |= {"introduction": f"first became a customer less than {own.introduction_days} days ago"}
    if name:
        change = (
            f"in the last {own.recent_days} days as in the {own.recent_days} before, beyond most"
            f" chance (z above {own.noise:g})"
        )
        longest = f", or silent for {silence} days" if (silence := find_silence_days(study)) else ""
        unit = "days with use" if name == "usage" else "days with a purchase"
        silent = (
            f"silent for more than {own.silence_gaps:g} of their own usual gaps and at least"
            f" {own.recent_days // 3} days{longest}"
        )
        words |= {
            "decline": f"at most {own.decline_ratio:g} times as many {unit} {change}; or {silent}"
        }
        words |= {"growth": f"at least {own.growth_ratio:g} times as many {unit} {change}"}
    words |= {"maturity": "everyone else"}
    return pd.DataFrame(words.items(), columns=["stage", "rule"])


def assign_stages(
    evidence: Evidence, study: Study, spells: ir.Table | None = None, rhythm: ir.Table | None = None
) -> ir.Table:
    """Return the stage of everyone who has ever been a customer, at each snapshot of the evidence;
    see ``describe_rule``.

    Parameters
    ----------
    evidence : see ``snapshots.cut_evidence``
    study : a contractual or non-contractual study
    spells : what ``spells.find_spells`` returns, if it has been computed already
    rhythm : the active days of ``find_activity``'s table over the windows of
        ``list_rhythm_windows``, if they have been added up already;
        see ``rolling.roll_days``

    Returns
    -------
    table with columns snapshot, customer_id, stage
        One row per snapshot and customer.
    """
    people, name = (
        _latest_spells(find_spells(evidence, study) if spells is None else spells),
        find_activity(evidence, study),
    )
    rules = _tenure_rules(people, study)
    if name is not None:
        rhythm = _measure_rhythm(evidence, name, people, study, rhythm)
        people = join(people, rhythm)
        rules = [*_tenure_rules(people, study), *_activity_rules(people, study)]
    return people.select(*KEYS, stage=ibis.cases(*rules, else_="maturity"))


def _latest_spells(spells: ir.Table) -> ir.Table:
    """Return everybody's latest spell with its number, counted from 0, and the days since it
    started; none but the latest may last.
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


def _tenure_rules(people: ir.Table, study: Study) -> list[tuple[ir.BooleanValue, str]]:
    own = study.lifecycle
    return [
        (people.ended.notnull(), "gone"),
        ((people.spell > 0) & (people.age < own.won_back_days), "won back"),
        ((people.spell == 0) & (people.age < own.introduction_days), "introduction"),
    ]


def list_rhythm_windows(study: Study) -> tuple[int, int]:
    """Return the windows in days whose active days tell decline and growth: the recent one, and
    both together.
    """
    return study.lifecycle.recent_days, 2 * study.lifecycle.recent_days


def _measure_rhythm(
    evidence: Evidence, name: str, people: ir.Table, study: Study, rhythm: ir.Table | None
) -> ir.Table:
    """Return each customer's active days in the latest spell: in the recent window, in the one
    before, the last one, and the mean gap.

    Returns
    -------
    table with columns snapshot, customer_id, recent, before, active_days, silent_days, gap_days,
    seen_days
        ``seen_days``: how long the customer could have been seen active, from the spell's start or
        the table's first row, to the snapshot.
    """
    marks = place_marks(evidence.snapshots, list_rhythm_windows(study))
    sums = _sum_up_spells(evidence.list_days(name), people.select(*KEYS, "started"), marks, rhythm)
    seen = sums.join(_find_first(evidence.whole, name, marks), "snapshot")
    silent, first = (
        seen.snapshot.delta(seen[day], unit="day") for day in ("last_day", "first_day")
    )
    recent, both = (seen[f"active_{days}"].fill_null(0) for days in marks.windows)
    gap_days = (first - silent) / (seen.active_ever - 1).nullif(0)
    seen_days = seen.snapshot.delta(ibis.greatest(seen.started, seen.table_starts), unit="day") + 1
    return seen.select(
        *KEYS,
        recent=recent,
        before=both - recent,
        active_days="active_ever",
        silent_days=silent,
        gap_days=gap_days,
        seen_days=seen_days,
    )


def _sum_up_spells(
    days: ir.Table, spells: ir.Table, marks: Marks, rhythm: ir.Table | None
) -> ir.Table:
    """Return the active days of each latest spell: those of all the history, but for who was active
    before it began, whose days are added up anew.
    """
    columns = [
        *KEYS,
        "started",
        *(f"active_{days}" for days in marks.windows),
        "active_ever",
        "first_day",
        "last_day",
    ]
    history = spells.join(roll_days(days, marks) if rhythm is None else rhythm, KEYS).select(
        columns
    )
    longer = history.filter(history.first_day < history.started).select(*KEYS, "started")
    inside = days.join(longer.select("customer_id", "started").distinct(), "customer_id").filter(
        lambda t: t.day >= t.started
    )
    sums = add_up(
        inside.mutate(active=ibis.literal(1, "int64")),
        marks,
        {"active": marks.windows},
        ["started"],
    )
    anew = sums.semi_join(longer, [*KEYS, "started"]).select(columns).cast(history.schema())
    return history.filter(history.first_day >= history.started).union(anew)


def _find_first(evidence: Evidence, name: str, marks: Marks) -> ir.Table:
    """Return the first active day of anybody that each snapshot knows: snapshot, table_starts."""
    days = place(evidence.follow_active(name), marks)
    if not marks.several:
        return days.agg(table_starts=days.day.min()).mutate(
            snapshot=ibis.literal(marks.last, type="timestamp(6)")
        )
    firsts = days.group_by("known").agg(day=days.day.min())
    return (
        firsts.join(marks.snapshots, firsts.known <= marks.snapshots.number)
        .group_by("snapshot")
        .agg(table_starts=lambda t: t.day.min())
    )


def _activity_rules(people: ir.Table, study: Study) -> list[tuple[ir.BooleanValue, str]]:
    """Return when a customer declines or grows: fewer or more active days per day seen than before,
    beyond noise, or silence.

    Given their sum, recent active days would be binomial if nothing had changed; z is their
    distance from its mean in standard deviations.
    """
    own, silence = study.lifecycle, find_silence_days(study)
    recent_seen, before_seen = (
        own.recent_days,
        ibis.least(people.seen_days - own.recent_days, own.recent_days),
    )
    share, both = recent_seen / (recent_seen + before_seen), people.recent + people.before
    z = (people.recent - both * share) / (both * share * (1 - share)).sqrt().nullif(0)
    comparable = before_seen * 2 >= own.recent_days
    change = (people.recent / recent_seen) / (people.before / before_seen).nullif(0)
    rhythm = people.active_days >= RHYTHM_DAYS
    silent = (
        rhythm
        & (people.silent_days > own.silence_gaps * people.gap_days)
        & (people.silent_days >= own.recent_days // 3)
    )
    if silence is not None:
        silent = silent | (people.silent_days >= silence)
    fell = comparable & (change <= own.decline_ratio) & (z < -own.noise)
    grew = comparable & ((change >= own.growth_ratio) | (people.before == 0)) & (z > own.noise)
    return [((fell | silent).fill_null(False), "decline"), (grew.fill_null(False), "growth")]

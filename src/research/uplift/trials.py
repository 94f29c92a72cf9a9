"""Trials: who was assigned to which arm, what was known of them the evening before, and what came
after.

A campaign of a dated study, or the whole of a flat study with arms. Evidence ends on the day before
the assignment; the outcome lies in the ``horizon_days`` from the day of assignment on. Whoever was
assigned counts with that arm, reached or not (intention to treat).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end, find_data_start
from research.errors import NotApplicable, StudyError
from research.features.build import list_features, load_flat, load_panel
from research.features.leakage.gate import allowed_features, check_leakage
from research.features.leakage.post_outcome import load_reference_population
from research.panel.spells import is_purchase, net_amount
from research.study import Study
from research.study_schema import CONTROL, OUTCOMES

MONTH_DAYS = 365.25 / 12
LEAST_CHANCE, ROUNDED = 0.001, 0.02  # of an arm; and by how much the chances of all may miss 1
MOST_DAYS = 60  # on which the customers of all campaigns were assigned; each is a snapshot
WORDS = {"kept": "stays", "outcome": "outcome", "value": "value"}
BY_LOT, BY_CHOICE = "randomised", "observational"
OWN = (
    "trial",
    "assigned_at",
    "arm",
    "propensity",
    "planned",
    "varies",
    "cost",
    "kept",
    *OUTCOMES[1:],
)  # columns of a trial that are no features
COUNTS = ["trial", "arm", "assigned", "no_customer", "assigned_later", "beyond_data", "analysed"]


@dataclass(frozen=True)
class Trial:
    """Assignments and what came of them.

    Attributes
    ----------
    rows : DataFrame with columns customer_id, trial, assigned_at, arm, propensity, cost, the
        outcomes and the features
        One row per trial and customer. ``propensity``: the chance of the arm that the customer got;
        empty where nobody knows it. More is better for every outcome: ``kept`` (0 or 1),
        ``outcome``, ``value`` (money).
    features : columns that were known before the assignment
    outcomes : what each outcome means, in words, the primary one first
    assignment : randomised, or observational
    counts : DataFrame with columns trial, arm, assigned, no_customer, assigned_later, beyond_data,
        analysed
        ``no_customer``: not under contract, or not active, on the evening before;
        ``assigned_later``: to the same trial once more; ``beyond_data``: the outcome was due after
        the end of the data.
    """

    rows: pd.DataFrame
    features: list[str]
    outcomes: dict[str, str]
    assignment: str
    counts: pd.DataFrame

    @property
    def arms(self) -> list[str]:
        """The arms other than control, in order."""
        return sorted({*self.rows.arm} - {CONTROL})

    @property
    def primary(self) -> str:
        """The outcome that rankings are about."""
        return next(iter(self.outcomes))

    def only(self, trial: str) -> "Trial":
        """Return one of the trials alone."""
        return replace(
            self,
            rows=self.rows[self.rows.trial == trial].reset_index(drop=True),
            counts=self.counts[self.counts.trial == trial],
        )


def load_trials(tables: Tables, study: Study) -> dict[str, Trial]:
    """Return the trials of a study by how their arms were assigned: randomised, observational, or
    both.

    A campaign is randomised where every row has its propensity. The others are refused: they come
    with ``assignment: observational`` in study.yml alone.

    Raises
    ------
    NotApplicable
        If the study has no campaigns or arms, or none that may be read as this study says.
    StudyError
        One sentence for every fault: no control arm, an arm without customers, a customer in two
        arms, propensities of 0 or 1.
    """
    rows, counts, features = (
        _load_flat_rows(tables, study)
        if study.kind == "flat"
        else _load_campaign_rows(tables, study)
    )
    chosen, trials = (
        {
            assignment: _keep_alike(rows, names)
            for assignment, names in _sort_out(rows, study).items()
        },
        {},
    )
    for assignment, names in chosen.items():
        part = rows[rows.trial.isin(names)].reset_index(drop=True)
        if len(part):
            _require_arms(part, study)
            outcomes = _name_outcomes(part, study)
            part = _fill_propensity(part) if assignment == BY_LOT else part
            trials[assignment] = Trial(
                part,
                features,
                outcomes,
                assignment,
                counts[counts.trial.isin(names)].reset_index(drop=True),
            )
    if not trials:
        raise NotApplicable(_refuse(study, rows))
    return trials


def _sort_out(rows: pd.DataFrame, study: Study) -> dict[str, list[str]]:
    """Return the names of the trials by how their arms came about; those that were chosen only
    where study.yml asks for them.
    """
    by_lot = _find_by_lot(rows, study)
    others = [name for name in rows.trial.unique() if name not in by_lot]
    return {BY_LOT: by_lot, BY_CHOICE: others if study.experiment.assignment == BY_CHOICE else []}


def _keep_alike(rows: pd.DataFrame, names: list[str]) -> list[str]:
    """Return the trials that have the same arms, of several such groups the one with most
    customers: an arm is compared only where it could be drawn.
    """
    if not names:
        return []
    part = rows[rows.trial.isin(names)]
    arms = part.groupby("trial").arm.agg(lambda values: " / ".join(sorted({*values.astype(str)})))
    alike = part.trial.map(arms).value_counts().index[0]
    return [*arms.index[arms == alike]]


def list_refused(tables: Tables, study: Study) -> dict[str, str]:
    """Return the campaigns that are left out, with the reason."""
    if study.kind == "flat":
        return {}
    rows = tables["campaigns"].to_pandas().rename(columns={"campaign": "trial"})
    sorted_out = _sort_out(rows, study)
    reasons = {
        name: _say_unknown(rows[rows.trial == name])
        for name in sorted({*rows.trial} - {*sorted_out[BY_LOT], *sorted_out[BY_CHOICE]})
    }
    others = [
        name
        for names in sorted_out.values()
        for name in names
        if name not in _keep_alike(rows, names)
    ]
    return reasons | dict.fromkeys(
        others, "it has other arms than the campaigns that count; give it a study of its own"
    )


def _say_unknown(rows: pd.DataFrame) -> str:
    missing = int(rows.propensity.isna().sum()) if "propensity" in rows else len(rows)
    return (
        "its arms were not drawn by lot"
        if missing == len(rows)
        else f"{missing:,} of its {len(rows):,} rows have no propensity; add it"
    )


def _refuse(study: Study, rows: pd.DataFrame) -> str:
    if study.kind == "flat":
        told, remedy = (
            "doesn't say that its arms were drawn by lot",
            "if they were, write experiment: {assignment: randomised} into study.yml",
        )
        return f"the study {study.name} {told}: no effect can be read from them; {remedy}"
    remedy = (
        "give the propensity of every arm that was drawn; with experiment: {assignment:"
        " observational} in study.yml they are read as associations"
    )
    names = "; ".join(f"{name}: {_say_unknown(part)}" for name, part in rows.groupby("trial"))
    return (
        f"no campaign of the study {study.name} was drawn by lot (a propensity in every row): no"
        f" effect can be read from them ({names}); {remedy}"
    )


def _load_flat_rows(tables: Tables, study: Study) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    if "arm" not in tables["snapshot"].columns:
        raise NotApplicable(f"the study {study.name} has no arms: its snapshot has no column arm")
    frame = load_flat(tables, study)
    if frame.arm.isna().any():
        raise StudyError(
            "snapshot.sql: expected an arm for every customer, got"
            f" {int(frame.arm.isna().sum()):,} rows without; leave out who was not assigned"
        )
    rows = frame.assign(
        trial=study.name,
        kept=1.0 - frame.churned.astype(float),
        propensity=float("nan"),
        cost=float("nan"),
    )
    counts = (
        rows.groupby(["trial", "arm"])
        .size()
        .rename("assigned")
        .reset_index()
        .assign(no_customer=0, assigned_later=0, beyond_data=0)
    )
    features = list_features(frame, study)
    _require_own_names(features)
    return (
        rows,
        counts.assign(analysed=counts.assigned)[COUNTS],
        allowed_features(features, check_leakage(frame, features, study)),
    )


def _load_campaign_rows(
    tables: Tables, study: Study
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    if "campaigns" not in tables:
        raise NotApplicable(f"the study {study.name} has no table campaigns")
    campaigns = tables["campaigns"].to_pandas().rename(columns={"campaign": "trial"})
    campaigns = campaigns.reindex(
        columns=[*{**dict.fromkeys(campaigns), "propensity": 0, "cost": 0}]
    )
    _require_one_arm(campaigns)
    campaigns["snapshot"] = campaigns.assigned_at.dt.normalize() - pd.Timedelta(days=1)
    first = campaigns.sort_values("assigned_at", kind="stable").drop_duplicates(
        ["trial", "customer_id"]
    )
    every, first = first, first[_find_whole(first, tables, study)]
    if first.empty:
        raise NotApplicable(
            f"no campaign of the study {study.name} lies within the data with"
            f" {study.churn.horizon_days} days after it"
        )
    panel = _load_evening_before(tables, study, first)
    _require_own_names([*panel.columns])
    features = list_features(panel, study)
    features = allowed_features(
        features,
        check_leakage(
            panel, features, study, load_reference_population(tables, study, study.snapshots.last)
        ),
    )
    rows = first.merge(panel, on=["snapshot", "customer_id"])
    if rows.empty:
        raise NotApplicable(
            f"none of the {len(first):,} customers assigned in study {study.name} was a customer on"
            " the evening before"
        )
    rows = rows.assign(kept=1.0 - rows.churned.astype(float), **_count_money(tables, study, rows))
    return rows.drop(columns="snapshot"), _count(campaigns, every, first, rows), features


def _require_own_names(features: list[str]) -> None:
    if taken := [name for name in features if name in OWN]:
        raise StudyError(
            "expected features and attributes named unlike the columns of a trial"
            f" ({', '.join(OWN)}), got {', '.join(taken)}; rename them in the SQL"
        )


def _require_one_arm(campaigns: pd.DataFrame) -> None:
    arms = campaigns.groupby(["trial", "customer_id"]).arm.nunique()
    if (both := arms[arms > 1]).any():
        some = ", ".join(str(customer) for _, customer in both.index[:3])
        raise StudyError(
            "table campaigns: expected one arm for each customer of a campaign, got"
            f" {len(both):,} customers in two arms ({some}); give the arm that was drawn, or name"
            " the campaigns differently"
        )


def _find_whole(rows: pd.DataFrame, tables: Tables, study: Study) -> pd.Series:
    """Say which assignments lie within the data, the horizon included."""
    last = pd.Timestamp(find_data_end(tables, study)) - pd.Timedelta(days=study.churn.horizon_days)
    return (rows.snapshot <= last) & (rows.snapshot >= pd.Timestamp(find_data_start(tables, study)))


def _load_evening_before(tables: Tables, study: Study, rows: pd.DataFrame) -> pd.DataFrame:
    days = sorted(day.date() for day in rows.snapshot.unique())
    if len(days) > MOST_DAYS:
        raise StudyError(
            f"table campaigns: expected assignments on at most {MOST_DAYS} days, got"
            f" {len(days)}; give the day on which a campaign was drawn as assigned_at"
        )
    at_once = study.model_copy(
        update={"churn": study.churn.model_copy(update={"lead_days": 0})}
    )  # an effect begins with the assignment
    return load_panel(tables, at_once, days)


def _count_money(tables: Tables, study: Study, rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Return what customers paid within the horizon: fees while they stayed, or orders less
    returns.
    """
    if study.kind == "contractual":
        if "monthly_fee" not in rows:
            return {}
        days = rows.duration_days.clip(0, study.churn.horizon_days)
        return {"value": rows.monthly_fee.fillna(0) * days / MONTH_DAYS}
    orders, spent = tables["orders"], []
    lines = orders.mutate(net=net_amount(orders), bought=is_purchase(orders))
    for day, part in rows.groupby("snapshot"):
        opens, closes = (day + timedelta(days=days) for days in (1, study.churn.horizon_days + 1))
        inside = lines.filter(
            lines.ordered_at >= opens.to_pydatetime(), lines.ordered_at < closes.to_pydatetime()
        )
        paid = (
            inside.group_by("customer_id")
            .agg(net=inside.net.sum())
            .to_pandas()
            .set_index("customer_id")
            .net
        )
        spent.append(part.customer_id.map(paid).fillna(0.0))
    return {"value": pd.concat(spent).reindex(rows.index)}


def _count(
    campaigns: pd.DataFrame, every: pd.DataFrame, whole: pd.DataFrame, rows: pd.DataFrame
) -> pd.DataFrame:
    """Count all assignments, the first of each customer, those whose horizon lies within the data,
    and those of customers.
    """
    parts = {
        "assigned": campaigns[campaigns.trial.isin(whole.trial)],
        "every": every[every.trial.isin(whole.trial)],
        "whole": whole,
        "analysed": rows,
    }
    counts = (
        pd.DataFrame({name: part.groupby(["trial", "arm"]).size() for name, part in parts.items()})
        .fillna(0)
        .astype(int)
    )
    later, beyond = counts.assigned - counts.every, counts.every - counts.whole
    return counts.assign(
        no_customer=counts.whole - counts.analysed, assigned_later=later, beyond_data=beyond
    ).reset_index()[COUNTS]


def _require_arms(rows: pd.DataFrame, study: Study) -> None:
    faults = []
    for trial, part in rows.groupby("trial"):
        arms = [*part.arm.value_counts().index]
        if any(not str(arm).strip() for arm in arms):
            faults.append(
                f"{trial}: expected a name for every arm, got an empty one; name it, or leave"
                " out who was in none"
            )
        elif CONTROL not in arms:
            faults.append(
                f"{trial}: expected an arm called '{CONTROL}' to compare with, got"
                f" {', '.join(map(str, arms))}; give that name to who was left alone"
            )
        elif len(arms) < 2:
            faults.append(
                f"{trial}: expected an arm beside '{CONTROL}', got none; an effect needs two"
            )
        unknown = (
            [arm for arm in study.experiment.shares if arm not in arms]
            if study.kind == "flat"
            else []
        )
        faults += [
            f"{trial}: expected customers in the arm '{arm}' of study.yml, got none; remove its"
            " share or correct its name"
            for arm in unknown
        ]
    if faults := [*faults, *_judge_propensities(rows)]:
        raise StudyError(*faults)


def _judge_propensities(rows: pd.DataFrame) -> Iterator[str]:
    given = rows.propensity.dropna()
    if (wrong := (given < LEAST_CHANCE) | (given > 1 - LEAST_CHANCE)).any():
        yield (
            f"expected propensities from {LEAST_CHANCE} to {1 - LEAST_CHANCE}, got"
            f" {int(wrong.sum()):,} outside, such as {given[wrong].iloc[0]:g}; leave out customers"
            " whose arm was all but certain: hardly anybody like them is in another arm"
        )
    for trial, part in rows.groupby("trial"):
        chances = part.groupby("arm").propensity
        if (
            part.propensity.notna().all()
            and (chances.nunique() == 1).all()
            and abs((total := chances.first().sum()) - 1) > ROUNDED
        ):
            yield (
                f"{trial}: expected propensities of all arms that add up to 1, got {total:g};"
                " give the chance of the arm that was drawn"
            )


def _name_outcomes(rows: pd.DataFrame, study: Study) -> dict[str, str]:
    """Return the outcomes that rows have, the primary one first."""
    there = [name for name in OUTCOMES if name in rows and rows[name].notna().any()]
    primary = study.experiment.primary or "kept"
    if primary not in there:
        raise StudyError(
            f"study.yml, key experiment.primary: expected one of the outcomes {', '.join(there)};"
            f" got '{primary}'; correct it"
        )
    words = {
        name: study.experiment.outcomes.get(
            name, f"{WORDS[name]}, {study.economics.currency}" if name == "value" else WORDS[name]
        )
        for name in there
    }
    words = {
        name: told.replace("{horizon_days}", str(study.churn.horizon_days)) if study.churn else told
        for name, told in words.items()
    }
    return {primary: words[primary]} | words


def _find_by_lot(rows: pd.DataFrame, study: Study) -> list[str]:
    """Return the trials whose arms were drawn by lot: a propensity in every row, or the word of a
    flat study.
    """
    if study.kind == "flat":
        return [study.name] if study.experiment.assignment == BY_LOT else []
    if "propensity" not in rows:
        return []
    known = rows.groupby("trial").propensity.agg(lambda chances: chances.notna().all())
    return [*known.index[known]]


def _fill_propensity(rows: pd.DataFrame) -> pd.DataFrame:
    """Give equal chances their realised shares, which is more precise; chances that differ stay as
    they were written down.
    """
    return pd.concat(
        [_fill_one(part) for _, part in rows.groupby("trial", sort=False)]
    ).sort_index()


def _fill_one(rows: pd.DataFrame) -> pd.DataFrame:
    varies = bool((rows.groupby("arm").propensity.nunique() > 1).any())
    rows = rows.assign(planned=rows.propensity, varies=varies)
    return (
        rows
        if varies
        else rows.assign(propensity=rows.arm.map(rows.arm.value_counts(normalize=True)))
    )


def iterate(trial: Trial) -> Iterator[tuple[str, Trial]]:
    """Yield the single trials by name."""
    for name in trial.rows.trial.unique():
        yield name, trial.only(name)

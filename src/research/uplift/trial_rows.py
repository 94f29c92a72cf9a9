"""The rows of trials: the customers assigned, what was known on the day before, and outcomes."""

from dataclasses import dataclass
from datetime import timedelta

import pandas as pd

from research.data.contracts import Tables
from research.data.coverage import find_data_end, find_observed_start
from research.data.units import load_units
from research.errors import NotApplicable, StudyError
from research.features.build import describe_features, list_features, load_flat, load_panel
from research.features.leakage.gate import EXCLUDED, check_panel
from research.features.leakage.post_outcome import AFTER_TREATMENT
from research.panel.periods import (
    MEAN_MONTH_DAYS,
    find_end,
    find_horizon,
    find_latest_snapshot,
    write_span,
)
from research.panel.spells import has_amounts, is_purchase, net_amount
from research.study import Study
from research.uplift.trial_checks import require_one_arm_each, require_unreserved_names

MAX_ASSIGNMENT_DAYS = 60  # on which the customers of all campaigns were assigned; each a snapshot
COUNTS = ["trial", "arm", "assigned", "no_customer", "assigned_later", "beyond_data", "analysed"]
COUNTS += ["next_campaign"]
MOST_IN_NEXT = 0.5  # of the customers of a campaign may be in another one before their outcome is
KEYS = ["trial", "arm"]
UNDATED = (
    "customers",
    "features.sql",
)  # sources of features that may have been written at any time


@dataclass(frozen=True)
class TrialRows:
    """What was read of a study's trials.

    Attributes
    ----------
    rows, counts, features, history, suspects : see ``trials.Trial``
    value_words : what value means, where it is no money
    constant : whether the propensities of all campaigns are one number, see ``is_constant``
    """

    rows: pd.DataFrame
    counts: pd.DataFrame
    features: list[str]
    history: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()
    constant: bool = False
    value_words: str = ""


def load_flat_rows(tables: Tables, study: Study) -> TrialRows:
    """Return the customers of a flat study as one trial, its counts, and the allowed features.

    Raises
    ------
    NotApplicable
        If the snapshot has no column arm.
    StudyError
        If an arm is missing, or a feature is named like a column of a trial.
    """
    if "arm" not in tables["snapshot"].columns:
        raise NotApplicable(f"the study {study.name} has no arms: its snapshot has no column arm")
    frame = load_flat(tables, study)
    if missing := int(frame.arm.isna().sum()):
        raise StudyError(
            f"snapshot.sql: expected an arm for every customer, got {missing:,} rows without one;"
            " leave out the customers who were not assigned"
        )
    kept = {"kept": 1.0 - frame.churned.astype(float)} if "churned" in frame else {}
    unknown = float("nan")
    rows = frame.assign(trial=study.name, **kept, propensity=unknown, cost=unknown)
    assigned = rows.groupby(KEYS).size().rename("assigned").reset_index()
    counts = assigned.assign(
        no_customer=0,
        assigned_later=0,
        beyond_data=0,
        analysed=assigned.assigned,
        next_campaign=0,
    )
    require_unreserved_names([*list_features(frame, study), study.experiment.unit])
    leakage, rows = check_panel(tables, study, frame), _add_units(rows, tables, study)
    suspects = _find_suspects(leakage.findings)
    return TrialRows(rows, counts[COUNTS], leakage.allowed, suspects=suspects)


def _find_suspects(findings: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns that the leakage checks excluded because they differ between the arms."""
    excluded = findings[(findings.reason == AFTER_TREATMENT) & (findings.decision == EXCLUDED)]
    return (*excluded.column,)


def load_campaign_rows(tables: Tables, study: Study) -> TrialRows:
    """Return the first assignment of each customer to each campaign, the counts of those left out,
    and the allowed features.

    Raises
    ------
    NotApplicable
        If the study has no campaigns, or none whose outcome lies within the data.
    StudyError
        If a customer is in two arms, assignments were made on too many days, most customers of a
        campaign are in another one before their outcome is known, or a feature is named like a
        column of a trial.
    """
    if "campaigns" not in tables:
        raise NotApplicable(f"the study {study.name} has no table campaigns")
    campaigns = _load_campaigns(tables)
    first = campaigns.sort_values("assigned_at", kind="stable").drop_duplicates(
        ["trial", "customer_id"]
    )
    complete = first[_is_within_data(first, tables, study)]
    if complete.empty:
        raise NotApplicable(
            f"no campaign of the study {study.name} lies within the data with"
            f" {write_span(find_horizon(study.churn))} after it"
        )
    panel = _load_day_before(tables, study, complete)
    require_unreserved_names([*panel.columns, study.experiment.unit])
    leakage = check_panel(tables, study, panel)
    rows = complete.merge(panel, on=["snapshot", "customer_id"])
    if rows.empty:
        raise NotApplicable(
            f"none of the {len(complete):,} customers assigned in study {study.name} was a"
            " customer on the day before"
        )
    rows = rows.assign(kept=1.0 - rows.churned.astype(float), **_compute_value(tables, study, rows))
    rows = rows.assign(next_campaign=_find_next(rows, campaigns, study))
    _require_own_window(rows, study)
    counts = _count_assignments(campaigns, first, complete, rows)
    rows = _add_units(rows.drop(columns=["snapshot", "next_campaign"]), tables, study)
    suspects = _find_suspects(leakage.findings)
    history, constant = _find_history(tables, study), is_constant(campaigns)
    words = _describe_count(tables, study)
    return TrialRows(rows, counts, leakage.allowed, history, suspects, constant, words)


def _describe_count(tables: Tables, study: Study) -> str:
    """Return what value is a count of, where purchases have no amounts; else nothing."""
    if study.kind == "contractual" or has_amounts(tables):
        return ""
    return f"order lines within {write_span(find_horizon(study.churn))}, a count"


def is_constant(campaigns: pd.DataFrame) -> bool:
    """Return whether every row has the same propensity, as a default would be."""
    return "propensity" in campaigns and campaigns.propensity.nunique(dropna=False) == 1


def _find_history(tables: Tables, study: Study) -> tuple[str, ...]:
    """Return the features made of dated rows, and the time since joining."""
    dictionary = describe_features(tables, study)
    dated = ~dictionary.source.isin(UNDATED) | (dictionary.feature == "tenure_days")
    return (*dictionary.feature[dated],)


def _add_units(rows: pd.DataFrame, tables: Tables, study: Study) -> pd.DataFrame:
    """Return rows with the unit of randomisation of each, in the column of its name."""
    units = load_units(tables, study)
    if units is None:
        return rows
    units = units.rename(columns={"campaign": "trial"})
    keys = [name for name in ("customer_id", "trial") if name in units]
    rows = rows.drop(columns=[study.experiment.unit], errors="ignore")
    return rows.merge(units, on=keys, how="left")


def _load_campaigns(tables: Tables) -> pd.DataFrame:
    campaigns = tables["campaigns"].to_pandas().rename(columns={"campaign": "trial"})
    wanted = ("customer_id", "trial", "assigned_at", "arm", "propensity", "cost")
    campaigns = campaigns.reindex(columns=[*wanted])
    require_one_arm_each(campaigns)
    day = campaigns.assigned_at.dt.normalize()
    return campaigns.assign(snapshot=day - pd.Timedelta(days=1))


def _is_within_data(rows: pd.DataFrame, tables: Tables, study: Study) -> pd.Series:
    """Return which assignments lie within the data, the horizon and the grace included."""
    churn = study.churn.model_copy(update={"lead_days": 0})
    last = pd.Timestamp(find_latest_snapshot(churn, find_data_end(tables, study)))
    first = pd.Timestamp(find_observed_start(tables, study))
    return rows.snapshot.between(first, last)


def _load_day_before(tables: Tables, study: Study, rows: pd.DataFrame) -> pd.DataFrame:
    """Return labels and features as of the day before each assignment; the label window begins
    with the assignment, without a lead.
    """
    days = sorted(day.date() for day in rows.snapshot.unique())
    if len(days) > MAX_ASSIGNMENT_DAYS:
        raise StudyError(
            f"table campaigns: expected assignments on at most {MAX_ASSIGNMENT_DAYS} days, got"
            f" {len(days)}; give the day on which a campaign was drawn as assigned_at"
        )
    without_lead = study.churn.model_copy(update={"lead_days": 0})
    return load_panel(tables, study.model_copy(update={"churn": without_lead}), days)


def _compute_value(tables: Tables, study: Study, rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Return what customers paid within the horizon: fees while they stayed, or orders less
    returns, which are counted where amounts aren't recorded.
    """
    if study.kind == "contractual":
        if "monthly_fee" not in rows:
            return {}
        spans = {day: (_close_window(study, day) - day).days for day in rows.snapshot.unique()}
        days = rows.duration_days.clip(0, rows.snapshot.map(spans))
        return {"value": rows.monthly_fee.fillna(0) * days / MEAN_MONTH_DAYS}
    orders, spent = tables["orders"], []
    lines = orders.mutate(net=net_amount(orders), bought=is_purchase(orders))
    for day, part in rows.groupby("snapshot"):
        opens, closes = (start + timedelta(days=1) for start in (day, _close_window(study, day)))
        inside = lines.filter(
            lines.ordered_at >= opens.to_pydatetime(), lines.ordered_at < closes.to_pydatetime()
        )
        by_customer = inside.group_by("customer_id").agg(net=inside.net.sum()).to_pandas()
        paid = by_customer.set_index("customer_id").net
        spent.append(part.customer_id.map(paid).fillna(0.0))
    return {"value": pd.concat(spent).reindex(rows.index)}


def _close_window(study: Study, day: pd.Timestamp) -> pd.Timestamp:
    """Return the last day of the horizon, which begins with the assignment, without a lead."""
    return pd.Timestamp(find_end(day.date(), find_horizon(study.churn)))


def _count_assignments(
    campaigns: pd.DataFrame, first: pd.DataFrame, complete: pd.DataFrame, rows: pd.DataFrame
) -> pd.DataFrame:
    """Count all assignments, the first of each customer, those whose horizon lies within the data,
    and those of customers.
    """
    parts = {
        "assigned": campaigns[campaigns.trial.isin(complete.trial)],
        "first": first[first.trial.isin(complete.trial)],
        "complete": complete,
        "analysed": rows,
    }
    sizes = {name: part.groupby(KEYS).size() for name, part in parts.items()}
    counts = pd.DataFrame(sizes).fillna(0).astype(int)
    return counts.assign(
        no_customer=counts.complete - counts.analysed,
        assigned_later=counts.assigned - counts["first"],
        beyond_data=counts["first"] - counts.complete,
        next_campaign=rows.groupby(KEYS).next_campaign.sum().reindex(counts.index, fill_value=0),
    ).reset_index()[COUNTS]


def _find_next(rows: pd.DataFrame, campaigns: pd.DataFrame, study: Study) -> pd.Series:
    """Return whether a later campaign has a customer before the outcome is known."""
    days = rows.snapshot.drop_duplicates()
    ends = {day: pd.Timestamp(find_end(day.date(), find_horizon(study.churn))) for day in days}
    other = campaigns[["customer_id", "trial", "assigned_at"]]
    pairs = rows[["customer_id", "trial", "snapshot"]].reset_index()
    pairs = pairs.merge(other, on="customer_id", suffixes=("", "_other"))
    day, own = pairs.assigned_at.dt.normalize(), pairs.snapshot + pd.Timedelta(days=1)
    inside = (day > own) & (day <= pairs.snapshot.map(ends))
    reached = pairs["index"][inside & (pairs.trial != pairs.trial_other)]
    return pd.Series(rows.index.isin(reached), rows.index)


def _require_own_window(rows: pd.DataFrame, study: Study) -> None:
    """Refuse campaigns whose outcomes are mostly those of the next one, too."""
    shares = rows.groupby("trial").next_campaign.mean()
    horizon = write_span(find_horizon(study.churn))
    faults = [
        f"campaign {trial}: expected outcomes before most customers are in another campaign, got"
        f" {share:.0%} of them in one within {horizon}; give a shorter horizon, or"
        " leave the campaign out of campaigns.sql"
        for trial, share in shares[shares > MOST_IN_NEXT].items()
    ]
    if faults:
        raise StudyError(*faults)

"""The features of one snapshot of a contractual study by vectorised pandas group-bys.

The same columns as ``by_hand.sql``, from the same tables as frames. ``numbered`` gives customers
numbers first, which pandas groups faster than texts.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

WINDOWS = (30, 90, 180, 365)
FOREVER = 10**6
READ = {
    "customers": [
        "customer_id",
        "joined_at",
        "name",
        "age",
        "income_band",
        "region",
        "acquisition_channel",
        "payment_method",
        "retention_offer_code",
    ],
    "contracts": ["customer_id", "started_at", "ended_at", "plan", "monthly_fee", "term_months"],
    "orders": ["customer_id", "ordered_at", "amount", "returned", "known_at"],
    "usage": ["customer_id", "used_at", "amount"],
    "contacts": ["customer_id", "contacted_at", "complaint", "resolved_at", "known_at"],
    "feedback": ["customer_id", "given_at", "score", "score_max", "known_at"],
    "referrals": ["customer_id", "referred_at"],
    "campaigns": ["customer_id", "assigned_at", "arm", "cost"],
}
DATED = {
    "contracts": "started_at",
    "orders": "ordered_at",
    "usage": "used_at",
    "contacts": "contacted_at",
    "feedback": "given_at",
    "referrals": "referred_at",
    "campaigns": "assigned_at",
}


def read_tables(company: Path) -> dict[str, pd.DataFrame]:
    """Return the tables of a company, only the columns that features need."""
    return {
        name: pd.read_parquet(company / name, columns=columns) for name, columns in READ.items()
    }


def build_features(
    tables: dict[str, pd.DataFrame], labels: pd.DataFrame, snapshot: np.datetime64, numbered: bool
) -> pd.DataFrame:
    """Return ``labels`` with the features of its customers, in the order of customers."""
    labels = labels.sort_values("customer_id", ignore_index=True)
    people, day = pd.Index(labels.customer_id), snapshot.astype("datetime64[D]")
    labels = (
        labels if numbered else labels.set_index("customer_id", drop=False).rename_axis("customer")
    )
    seen = {
        name: _cut(tables[name], column, people, day, numbered) for name, column in DATED.items()
    }
    terms, spells = _build_terms(seen["contracts"], day)
    usage, stage = _build_usage(seen["usage"], spells, _age(tables["usage"].used_at.min(), day))
    parts = [
        _build_attributes(tables["customers"], people, day).set_index(labels.index),
        terms,
        stage,
        _build_orders(seen["orders"]),
        usage,
    ]
    parts += [
        _build_contacts(seen["contacts"], day),
        _build_feedback(seen["feedback"]),
        _build_referrals(seen["referrals"]),
    ]
    table = pd.concat(
        [
            labels,
            *(part.reindex(labels.index) for part in [*parts, _build_campaigns(seen["campaigns"])]),
        ],
        axis=1,
    )
    counts = [column for column in table if column.startswith("n_")]
    filled = [*counts, *(column for column in table if column.startswith("sum_"))]
    return (
        table.fillna(dict.fromkeys(filled, 0))
        .astype(dict.fromkeys(counts, "int64"))
        .reset_index(drop=True)
    )


def _age(times: pd.Series | pd.Timestamp, day: np.datetime64) -> np.ndarray:
    return (day - np.asarray(times, dtype="datetime64[D]")).astype("int64")


def _cut(
    table: pd.DataFrame, column: str, people: pd.Index, day: np.datetime64, numbered: bool
) -> pd.DataFrame:
    """Return the rows known by the end of the day, with ``customer`` and the age in days."""
    after = pd.Timestamp(day + 1)
    known = table[column] < after
    if "known_at" in table:
        known &= table.known_at < after
    rows = (
        table[known]
        .drop(columns="known_at", errors="ignore")
        .rename(columns={"customer_id": "customer"})
    )
    if numbered:
        rows["customer"] = people.get_indexer(rows.customer)
    rows = rows[rows.customer >= 0] if numbered else rows[rows.customer.isin(people)]
    return rows.assign(age=_age(rows[column], day))


def _divide(above: pd.Series, below: pd.Series) -> pd.Series:
    return above / below.where(below != 0)


def _build_attributes(
    customers: pd.DataFrame, people: pd.Index, day: np.datetime64
) -> pd.DataFrame:
    own = customers.set_index("customer_id").reindex(people).reset_index(drop=True)
    return own.drop(columns="joined_at").assign(tenure_days=_age(own.joined_at, day))


def _build_terms(terms: pd.DataFrame, day: np.datetime64) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the features of contracts, and of spells the number of earlier ones and the age."""
    terms = terms.assign(ended_at=terms.ended_at.where(terms.ended_at < pd.Timestamp(day + 1)))
    terms = terms.sort_values(["customer", "started_at", "monthly_fee", "plan"], ignore_index=True)
    own = terms.groupby("customer")
    fee, plan = own.monthly_fee.shift(), own.plan.shift()
    ended = terms.ended_at.dt.normalize()
    until = pd.Series(np.where(ended.isna(), FOREVER, -_age(ended.fillna(terms.started_at), day)))
    reach = until.groupby(terms.customer).cummax().groupby(terms.customer).shift()
    opens = reach.isna() | (-terms.age > reach)
    spells = pd.DataFrame(
        {
            "earlier": opens.groupby(terms.customer).sum() - 1,
            "spell_age": terms.age[opens].groupby(terms.customer[opens]).min(),
        }
    )
    changed = terms.monthly_fee.ne(fee) & fee.notna() & terms.monthly_fee.notna()
    flags = {
        "fee_rises": terms.monthly_fee > fee,
        "fee_cuts": terms.monthly_fee < fee,
        "plan_changes": terms.plan.ne(plan) & plan.notna() & terms.plan.notna(),
    }
    counts = {
        f"n_{name}_{days}d": (flag & (terms.age < days)).groupby(terms.customer).sum()
        for name, flag in flags.items()
        for days in WINDOWS
    }
    fees = [name for days in WINDOWS for name in (f"n_fee_rises_{days}d", f"n_fee_cuts_{days}d")]
    moved = pd.DataFrame(
        {"customer": terms.customer, "age": terms.age, "change": terms.monthly_fee / fee - 1}
    )[changed].groupby("customer")
    features = pd.DataFrame({"n_contracts": own.size(), "n_earlier_spells": spells.earlier})
    features = features.join(_read_running(terms, day)).assign(
        **{name: counts[name] for name in fees}, days_since_fee_change=moved.age.min()
    )
    features = features.assign(
        **{f"n_plan_changes_{days}d": counts[f"n_plan_changes_{days}d"] for days in WINDOWS},
        last_fee_change=moved.change.last(),
    )
    return features, spells


def _read_running(terms: pd.DataFrame, day: np.datetime64) -> pd.DataFrame:
    running = (
        terms[terms.ended_at.isna()]
        .sort_values(["customer", "started_at", "monthly_fee", "plan", "term_months"])
        .drop_duplicates("customer", keep="last")
    )
    started = running.started_at.to_numpy().astype("datetime64[D]")
    month, term = (
        started.astype("datetime64[M]"),
        running.term_months.round().astype("int64").to_numpy(),
    )
    passed = (day.astype("datetime64[M]") - month).astype("int64") // term * term
    due, later = (_add_months(started, month + months) for months in (passed, passed + term))
    features = running.set_index("customer")[["age", "monthly_fee", "plan", "term_months"]].rename(
        columns={"age": "contract_age_days"}
    )
    return features.assign(days_to_renewal=(np.where(due > day, due, later) - day).astype("int64"))


def _add_months(started: np.ndarray, month: np.ndarray) -> np.ndarray:
    """Return the same day in another month, or its last where the month is too short."""
    last = (month + 1).astype("datetime64[D]") - 1
    return np.minimum(
        month.astype("datetime64[D]")
        + (started - started.astype("datetime64[M]").astype("datetime64[D]")),
        last,
    )


def _count(rows: pd.DataFrame, name: str, counted: pd.Series | None = None) -> dict[str, pd.Series]:
    chosen = rows if counted is None else rows[counted]
    return {
        f"n_{name}_{days}d": chosen.customer[chosen.age < days].value_counts(sort=False)
        for days in WINDOWS
    }


def _sum(rows: pd.DataFrame, column: str, days: int, how: str = "sum") -> pd.Series:
    return rows[rows.age < days].groupby("customer")[column].agg(how)


def _share_times(rows: pd.DataFrame, column: str, name: str) -> dict[str, pd.Series]:
    recent = rows[rows.age < 365]
    at, n = recent[column], recent.customer.value_counts(sort=False)
    hour, timed = at.dt.hour, at != at.dt.normalize()
    of = recent.customer[timed].value_counts(sort=False)
    parts = {"weekend": (at.dt.dayofweek >= 5, n)}
    parts |= {
        part: (timed & (hour >= start) & (hour < start + 6), of)
        for part, start in (("morning", 6), ("afternoon", 12), ("evening", 18))
    }
    return {
        f"share_{part}_{name}_365d": (inside.groupby(recent.customer).sum() / whole)
        for part, (inside, whole) in parts.items()
    }


def _build_days(rows: pd.DataFrame) -> pd.DataFrame:
    """Return active days with the gap before each."""
    days = (
        rows[["customer", "age"]]
        .drop_duplicates()
        .sort_values(["customer", "age"], ascending=[True, False], ignore_index=True)
    )
    return days.assign(gap=-days.groupby("customer").age.diff())


def _rhythm(days: pd.DataFrame, name: str) -> dict[str, pd.Series]:
    gaps = days[days.age < 365].groupby("customer").gap
    mean, spread = gaps.mean(), gaps.std()
    silence = _divide(days.groupby("customer").age.min(), mean)
    names = ("mean_gap", "sd_gap", "variation_gap")
    return dict(
        zip(
            (f"{part}_{name}_365d" for part in names),
            (mean, spread, _divide(spread, mean)),
            strict=True,
        )
    ) | {f"silence_ratio_{name}": silence}


def _trends(sums: list[pd.Series], label: str) -> dict[str, pd.Series]:
    features = {}
    for (recent, late), (days, whole) in pairwise(
        zip(WINDOWS, (series.astype("float64") for series in sums), strict=True)
    ):
        late = late.reindex(whole.index, fill_value=0)
        early = (whole - late) * recent
        features[f"trend_{label}_{recent}d_{days}d"] = _divide(
            late * (days - recent) - early, late * (days - recent) + early
        )
    return features


def _dates(rows: pd.DataFrame, name: str) -> dict[str, pd.Series]:
    ages = rows.groupby("customer").age
    return {f"days_since_last_{name}": ages.min(), f"days_since_first_{name}": ages.max()}


def _build_orders(orders: pd.DataFrame) -> pd.DataFrame:
    bought = (orders.amount > 0) & ~orders.returned.fillna(False).astype(bool)
    returns, purchases = (
        orders[~bought & orders.amount.ne(0) & orders.amount.notna()],
        orders[bought],
    )
    counts, days = _count(purchases, "orders"), _build_days(purchases)
    features = counts | _count(days, "orders_days")
    paid = [_sum(purchases, "amount", window) for window in WINDOWS]
    for window, amounts in zip(WINDOWS, paid, strict=True):
        features[f"sum_amount_{window}d"] = _sum(orders, "amount", window)
        features[f"mean_amount_{window}d"] = amounts / counts[f"n_orders_{window}d"]
        features[f"n_returns_{window}d"] = returns.customer[returns.age < window].value_counts(
            sort=False
        )
    features |= _share_times(purchases, "ordered_at", "orders") | _rhythm(days, "orders")
    return pd.DataFrame(
        features
        | _trends([*counts.values()], "n_orders")
        | _trends(paid, "amount")
        | _dates(days, "orders")
    )


def _build_usage(
    usage: pd.DataFrame, spells: pd.DataFrame, opened: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame]:
    counts, days = _count(usage, "usage"), _build_days(usage)
    features = counts | _count(days, "usage_days")
    for window in WINDOWS:
        features[f"sum_usage_amount_{window}d"] = _sum(usage, "amount", window)
        features[f"mean_usage_amount_{window}d"] = _sum(usage, "amount", window, "mean")
    features |= (
        _share_times(usage, "used_at", "usage")
        | _rhythm(days, "usage")
        | _trends([*counts.values()], "n_usage")
        | _dates(days, "usage")
    )
    return pd.DataFrame(features), _assign_stages(days, spells, int(opened))


def _assign_stages(days: pd.DataFrame, spells: pd.DataFrame, opened: int) -> pd.DataFrame:
    days = days[days.age.to_numpy() <= spells.spell_age.reindex(days.customer).to_numpy()]
    customer, age = days.customer, days.age
    recent, before = (
        inside.groupby(customer).sum().reindex(spells.index, fill_value=0)
        for inside in (age < 90, (age >= 90) & (age < 180))
    )
    ages = age.groupby(customer).agg(["size", "min", "max"]).reindex(spells.index)
    before_seen = (np.minimum(spells.spell_age, opened) + 1 - 90).clip(upper=90)
    share = 90 / (90 + before_seen)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (recent - (recent + before) * share) / np.sqrt((recent + before) * share * (1 - share))
        change = (recent / 90) / (before / before_seen)
    comparable = before_seen * 2 >= 90
    silent = (
        (ages["size"] >= 3)
        & (ages["min"] > 3 * (ages["max"] - ages["min"]) / (ages["size"] - 1))
        & (ages["min"] >= 30)
    )
    rules = {
        "won back": (spells.earlier > 0) & (spells.spell_age < 180),
        "introduction": (spells.earlier == 0) & (spells.spell_age < 90),
        "decline": (comparable & (change <= 0.6) & (z < -1.645)) | silent,
        "growth": comparable & ((change >= 1.5) | (before == 0)) & (z > 1.645),
    }
    return pd.DataFrame(
        {"lifecycle_stage": np.select([*rules.values()], [*rules], "maturity").astype(object)},
        index=spells.index,
    )


def _build_contacts(contacts: pd.DataFrame, day: np.datetime64) -> pd.DataFrame:
    counts = _count(contacts, "contacts")
    features = counts | _count(
        contacts, "complaints", contacts.complaint.fillna(False).astype(bool)
    )
    features |= (
        _share_times(contacts, "contacted_at", "contacts")
        | _trends([*counts.values()], "n_contacts")
        | _dates(contacts, "contacts")
    )
    is_open = ~(contacts.resolved_at < pd.Timestamp(day + 1))
    waiting, closed = contacts[is_open].groupby("customer").age, contacts[~is_open]
    features |= {"n_unresolved": waiting.size(), "days_unresolved": waiting.max()}
    seconds = closed.resolved_at.dt.floor("s") - closed.contacted_at.dt.floor("s")
    closed = closed.assign(
        age=_age(closed.resolved_at, day), hours=seconds.dt.total_seconds() / 3600
    )
    return pd.DataFrame(
        features
        | {
            f"mean_resolution_hours_{days}d": _sum(closed, "hours", days, "mean")
            for days in WINDOWS
        }
    )


def _build_feedback(feedback: pd.DataFrame) -> pd.DataFrame:
    answers = feedback.assign(share=_divide(feedback.score, feedback.score_max))
    features = _count(answers, "feedback") | {
        f"mean_score_{days}d": _sum(answers, "share", days, "mean") for days in WINDOWS
    }
    for recent, days in pairwise(WINDOWS):
        features[f"trend_score_{recent}d_{days}d"] = features[f"mean_score_{recent}d"] - _sum(
            answers[answers.age >= recent], "share", days, "mean"
        )
    features |= _dates(answers, "feedback")
    last = (
        answers[answers.share.notna()]
        .sort_values(["customer", "given_at", "share"])
        .drop_duplicates("customer", keep="last")
    )
    return pd.DataFrame(features | {"last_score": last.set_index("customer").share})


def _build_referrals(referrals: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(_count(referrals, "referrals") | _dates(referrals, "referrals"))


def _build_campaigns(campaigns: pd.DataFrame) -> pd.DataFrame:
    treated = campaigns[campaigns.arm.ne("control") & campaigns.arm.notna()]
    features = _count(campaigns, "campaigns")
    for days in WINDOWS:
        features[f"n_treated_{days}d"] = treated.customer[treated.age < days].value_counts(
            sort=False
        )
        features[f"sum_campaign_cost_{days}d"] = _sum(campaigns, "cost", days)
    return pd.DataFrame(features | _dates(campaigns, "campaigns"))

"""A generated company under the lists of a loop: what is known of a day, and what is true of it."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from research.simulate import Company, run_paths, simulate_block
from research.simulate.assigned import ACTIONS, place_assignments, weigh_action
from research.simulate.campaigns import build_shift, draw_assignments, find_eligible
from research.simulate.company import DISCOUNT_A_YEAR, EFFECT_MONTHS
from research.simulate.draws import Clock, Columns, Draws
from research.simulate.hazard import draw_end, monthly_hazard
from research.simulate.people import draw_people, draw_return
from research.simulate.truth import expected_margin, remaining_value

THEMES = {  # of a reason, by feature
    "uses_30d": "usage",
    "fall_in_uses": "usage",
    "days_since_use": "usage",
    "days_since_order": "usage",
    "complaints_90d": "service",
    "open_complaints": "service",
    "contacts_30d": "service",
    "fee_per_use": "price",
    "monthly_fee": "price",
    "log_tenure_days": "contract",
    "bound": "contract",
    "near_renewal": "contract",
}
READ = {
    "contracts": [
        "customer_id",
        "started_at",
        "ended_at",
        "monthly_fee",
        "term_months",
        "end_reason",
    ],
    "usage": ["customer_id", "used_at"],
    "orders": ["customer_id", "ordered_at"],
    "contacts": ["customer_id", "contacted_at", "complaint", "resolved_at"],
}
WINDOW = "3 months"
LONGEST = 365  # days since the last event, at most


@dataclass
class Loop:
    """A company whose contacts are decided from outside.

    Attributes
    ----------
    assigned : all assignments until now, in the form of ``campaigns``
    """

    size: int
    months: int
    seed: int
    assigned: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def clock(self) -> Clock:
        """The calendar of the company."""
        return Clock(self.months)

    @property
    def request(self) -> Company:
        """The company as it lives on under the assignments until now."""
        company = Company(self.size, self.months, self.seed, (), block=self.size)
        if self.assigned.empty:
            return company
        return replace(company, assigned=place_assignments(self.assigned, self.size, self.months))

    def open(self, month: int) -> pd.Timestamp:
        """Return the first day of a month, on which a list is made and contact begins to act."""
        return pd.Timestamp(np.datetime64(int(self.clock.edges[month]), "D"))

    def live(self) -> dict[str, pd.DataFrame]:
        """Return what is read of the company's tables under the assignments until now.

        Customers are the numbers in their ids, which are grouped faster than texts.
        """
        tables = simulate_block(self.request, 0)
        return {name: _read(tables[name].select(columns)) for name, columns in READ.items()}


def _read(table: pa.Table) -> pd.DataFrame:
    number = pc.utf8_slice_codeunits(table["customer_id"], 1).cast(pa.int64())
    return table.set_column(0, "customer_id", number).to_pandas()


# What is known of a day


def build_rows(tables: dict[str, pd.DataFrame], day: pd.Timestamp) -> pd.DataFrame:
    """Return the features of who is a customer at the start of a day, from what lies before it."""
    terms = tables["contracts"].sort_values(["customer_id", "started_at"])
    terms = terms[terms.started_at < day]
    now = terms.groupby("customer_id").tail(1).set_index("customer_id")
    now = now[now.ended_at.isna() | (now.ended_at > day)]
    joined = terms.groupby("customer_id").started_at.min().reindex(now.index)
    term_age = (day - now.started_at).dt.days
    annual = (now.term_months == 12).to_numpy()
    rows = pd.DataFrame(
        {
            "monthly_fee": now.monthly_fee,
            "log_tenure_days": np.log1p((day - joined).dt.days),
            "bound": (annual & (term_age % LONGEST < 330)).astype(float),
            "near_renewal": (annual & (term_age % LONGEST >= 330)).astype(float),
        }
    )
    uses, orders, contacts = (
        tables[name].rename(columns={column: "at"})
        for name, column in {
            "usage": "used_at",
            "orders": "ordered_at",
            "contacts": "contacted_at",
        }.items()
    )
    uses, orders, contacts = (one[one["at"] < day] for one in (uses, orders, contacts))
    recent, longer = (_count(uses, day, days, rows.index) for days in (30, 180))
    complaints = contacts[contacts.complaint.astype(bool)]
    open_ones = complaints[complaints.resolved_at.isna() | (complaints.resolved_at >= day)]
    return rows.assign(
        uses_30d=np.log1p(recent),
        fall_in_uses=np.log1p(longer / 6) - np.log1p(recent),
        days_since_use=_count_since(uses, day, rows.index),
        days_since_order=_count_since(orders, day, rows.index),
        complaints_90d=_count(complaints, day, 90, rows.index),
        open_complaints=_count(open_ones, day, LONGEST, rows.index),
        contacts_30d=_count(contacts, day, 30, rows.index),
        fee_per_use=np.log(rows.monthly_fee / (1 + recent)),
    )[[*THEMES]]


def _count(events: pd.DataFrame, day: pd.Timestamp, days: int, index: pd.Index) -> pd.Series:
    inside = events[events["at"] >= day - pd.Timedelta(days=days)]
    return inside.groupby("customer_id").size().reindex(index).fillna(0.0)


def _count_since(events: pd.DataFrame, day: pd.Timestamp, index: pd.Index) -> pd.Series:
    last = events.groupby("customer_id")["at"].max().reindex(index)
    return (day - last).dt.days.fillna(LONGEST).clip(upper=LONGEST).astype(float)


def find_stayers(
    tables: dict[str, pd.DataFrame], day: pd.Timestamp, until: pd.Timestamp, customers: pd.Index
) -> pd.Series:
    """Return by customer whether the contract that runs on a day covers all days before another."""
    terms = tables["contracts"]
    ends = terms[terms.end_reason.notna() & ~terms.end_reason.isin(["renewed", "price changed"])]
    ends = ends[~ends.end_reason.eq("plan changed") & (ends.ended_at > day)]
    left = ends.customer_id[ends.ended_at <= until]
    return pd.Series(~customers.isin(left), customers)


@dataclass(frozen=True)
class Scorer:
    """A logistic regression of the features, and what a stayer looks like."""

    model: LogisticRegression
    stayer: np.ndarray

    def score(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the risk of leaving within ``WINDOW``."""
        return self.model.predict_proba(rows)[:, 1]

    def find_themes(self, rows: pd.DataFrame) -> list[str]:
        """Return for each customer the theme that raises the risk most above a stayer's."""
        scaled = self.model[0].transform(rows) - self.stayer
        terms = pd.DataFrame(scaled * self.model[1].coef_[0], columns=[*THEMES])
        return terms.T.groupby(THEMES).sum().T.idxmax(axis=1).tolist()


def train(loop: Loop, tables: dict[str, pd.DataFrame], month: int, snapshots: int = 8) -> Scorer:
    """Fit a scorer on the latest monthly snapshots whose windows closed before a month."""
    last = month - EFFECT_MONTHS
    rows, left = [], []
    for snapshot in range(last - snapshots + 1, last + 1):
        day, until = loop.open(snapshot), loop.open(snapshot + EFFECT_MONTHS)
        rows.append(build_rows(tables, day))
        left.append(~find_stayers(tables, day, until, rows[-1].index))
    features, churned = pd.concat(rows), pd.concat(left).to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
    model.fit(features, churned)
    return Scorer(model, model[0].transform(features[~churned]).mean(axis=0))


# What is true of it


def find_truth(loop: Loop, month: int) -> pd.DataFrame:
    """Return what each action would truly change, for who is a customer at the start of a month.

    Returns
    -------
    DataFrame by customer_id, with columns ``stay <action>`` (probability of staying through the
    three months, more than without contact) and ``gain <action>`` (discounted margin until the end
    of the contract, more than without; no cost deducted)
        On each customer's own path, with the company's own campaigns as they were.
    """
    company, clock, draws = loop.request, loop.clock, Draws(loop.seed, 0)
    people, own = draw_people(draws, loop.size, clock), draw_assignments(draws, loop.size)
    customer, start = np.arange(loop.size), people["joined"]
    parts = []
    for life in (0, 1):
        streams = Draws(loop.seed, 0, life)
        paths = run_paths(streams, company, people, own, customer, start, clock)
        lives = paths[0] | draw_end(streams, paths[0]["hazard"], paths[0], clock)
        there = find_eligible(lives, month, clock)
        parts.append(_change(lives, *paths[1:], clock, month).iloc[there])
        parts[-1].index = 1 + customer[there]
        if not life:
            customer, start = draw_return(draws, people, lives["end"], clock)
    return pd.concat(parts)


def _change(
    lives: Columns,
    drivers: Columns,
    logits: np.ndarray,
    campaigns: dict[str, Columns],
    clock: Clock,
    month: int,
) -> pd.DataFrame:
    """Return what each action would change, of every life."""
    window, discount = slice(month, month + EFFECT_MONTHS), (1 + DISCOUNT_A_YEAR) ** (-1 / 12)
    own, margin = build_shift(lives, drivers, campaigns, clock)[window], expected_margin(lives)
    later = remaining_value(lives["hazard"], margin)[month + EFFECT_MONTHS]

    def follow(step: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        survival = 1 - monthly_hazard(logits[:, window], own + step).sum(axis=0)
        value = later
        for stays, earned in zip(survival[::-1], margin[window][::-1], strict=True):
            value = earned + discount * stays * value
        return survival.prod(axis=0), value

    (stay, value), columns = follow(0.0), {}
    for action in ACTIONS:
        with_it = follow(weigh_action(action, lives, drivers, month))
        columns |= {f"stay {action}": with_it[0] - stay, f"gain {action}": with_it[1] - value}
    return pd.DataFrame(columns)

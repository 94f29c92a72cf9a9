"""The list of a day put together: rank, tier, reasons, change, action and who is held out."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.reporting.format import write_plain
from research.study import PLAYBOOK, Study, show_path
from research.study_schema import CONTROL
from research.watchlist.holdout import ASSIGNMENTS, Share, choose_share, count_holdout, draw_holdout
from research.watchlist.lists import (
    CONTACT,
    HARMED,
    LIST,
    NO_PLAY,
    SPARED,
    Situation,
    add_actions,
    add_reasons,
    compare_lists,
    list_gone,
    rank_customers,
)
from research.watchlist.model_store import KeptModel
from research.watchlist.playbook import Playbook
from research.watchlist.reason_base import explain_listed
from research.watchlist.scoring import OVERDUE, RENEWAL, Scores
from research.watchlist.situation import find_offers, find_situation

LEAST_OVERDUE = 1.0  # silence over the own mean gap


@dataclass(frozen=True)
class Watchlist:
    """The list of a day.

    Attributes
    ----------
    rows : one row per customer listed, see ``lists.LIST``, with the arm that was drawn
        (``assigned_arm``) and its ``propensity``
    reasons : one row per customer and reason, see ``reasons.list_reasons``
    gone : who stood on the list before, see ``lists.list_gone``
    assigned : rows for a ``campaigns`` table, see ``holdout.draw_holdout``
    share : that is held out
    playbook : None where the study has none
    """

    rows: pd.DataFrame
    reasons: pd.DataFrame
    gone: pd.DataFrame
    assigned: pd.DataFrame
    share: Share
    playbook: Playbook | None

    @property
    def version(self) -> str:
        """Return the version of the playbook; empty without one."""
        return self.playbook.version if self.playbook else ""


def make_watchlist(
    scores: Scores,
    model: KeptModel,
    study: Study,
    playbook: Playbook | None,
    earlier: pd.DataFrame,
    assigned: pd.DataFrame,
    seed: int,
) -> Watchlist:
    """Return the list of a scored day.

    Parameters
    ----------
    scores : with ``listed``, see ``scoring.score_day``
    earlier : the list before, with customer_id, rank and lists_in_a_row; empty without one
    assigned : rows that earlier lists have assigned
    seed : draws who is held out
    """
    tables, day = scores.outlook.tables, scores.day
    listed = rank_customers(scores.rows, study.economics.capacity)
    reasons = explain_day(scores, model, seed)
    effects = model.card.get("effects", [])
    situation = find_situation(tables, study, day, playbook, assigned, effects)
    table = _add_details(compare_lists(listed, earlier), scores, tables, study)
    table = add_actions(add_reasons(table, reasons), playbook, situation)
    share = find_share(table, playbook, study)
    drawn = _draw(table, share.share, situation, tables, study, seed)
    table = table.merge(
        drawn[["customer_id", "arm", "propensity"]].rename(columns={"arm": "assigned_arm"}),
        on="customer_id",
        how="left",
    )
    rows = table.reindex(columns=[*LIST, "assigned_arm", "propensity"])
    gone = list_gone(rows, earlier, scores.rows.customer_id)
    return Watchlist(rows, reasons, gone, drawn, share, playbook)


def explain_day(scores: Scores, model: KeptModel, seed: int) -> pd.DataFrame:
    """Return the reasons of the customers listed, see ``reasons.list_reasons``."""
    dictionary = pd.DataFrame(model.card["features"])
    return explain_listed(model.fitted, model.base, scores.listed, dictionary, seed)


def _add_details(
    listed: pd.DataFrame, scores: Scores, tables: Tables, study: Study
) -> pd.DataFrame:
    """Return a list with days to renewal, silence against the own rhythm, and a product to offer.

    ``overdue_ratio``: days since the last purchase or use over the customer's usual gap; empty
    below 1.
    """
    shown = scores.listed.set_index("customer_id")
    silent = [name for name in shown if name.startswith(OVERDUE)]
    ratio = shown[silent].max(axis=1) if silent else pd.Series(np.nan, shown.index)
    renewal = shown[RENEWAL] if RENEWAL in shown else pd.Series(np.nan, shown.index)
    offers = find_offers(tables, study, scores.day, listed.customer_id)
    return listed.assign(
        days_to_renewal=listed.customer_id.map(renewal.astype(float)),
        overdue_ratio=listed.customer_id.map(ratio.where(ratio > LEAST_OVERDUE)),
        next_offer=listed.customer_id.map(offers).fillna("").astype(object),
    )


def find_share(table: pd.DataFrame, playbook: Playbook | None, study: Study) -> Share:
    """Return the share to hold out of those who would be contacted.

    The effect to detect is the mean of those of tested arms, and of what the playbook assumes of
    the others; where it says nothing, the smallest that matters by ``important_difference``.
    """
    due = table[table.decision == CONTACT]
    if playbook is None or due.empty:
        return Share(playbook.holdout.share if playbook else 0.0)
    risk = float(due.risk.mean())
    assumed = due.risk * due.assumed_gain / due.value_at_risk.where(due.value_at_risk > 0)
    effect = (due.effect_points.abs() / 100).fillna(assumed).mean()
    smallest = study.important_difference.effect if study.important_difference else None
    expected = float(effect) if pd.notna(effect) else smallest or 0.0
    return choose_share(playbook.holdout.share, len(due), risk, expected)


def _draw(
    table: pd.DataFrame,
    share: float,
    situation: Situation,
    tables: Tables,
    study: Study,
    seed: int,
) -> pd.DataFrame:
    """Return the assignments of those to be contacted, drawn by the study's unit."""
    due = table[table.decision == CONTACT]
    if due.empty:
        return pd.DataFrame(columns=ASSIGNMENTS)
    unit = study.experiment.unit if study.experiment else "customer_id"
    if unit != "customer_id" and unit in tables["customers"].columns:
        people = tables["customers"].select("customer_id", unit).to_pandas()
        due = due.merge(people, on="customer_id", how="left")
        due[unit] = due[unit].fillna(due.customer_id)
    else:
        unit = "customer_id"
    return draw_holdout(due, share, situation.day, seed, unit)


def price_holdout(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what holding out costs by action: margin that is given up, less contacts saved.

    Parameters
    ----------
    rows : see ``Watchlist.rows``

    Returns
    -------
    DataFrame with columns action, arm, contacted, held_out, spent, at_risk, given_up, evidence
        ``at_risk``: value at risk of those held out, which is the most that could be given up.
        ``given_up``: the effect of a tested arm times the worth of keeping them, or the assumed
        share of the value at risk, less the contacts saved; empty where neither is known.
    """
    due = rows[rows.assigned_arm.notna()]
    out = due.assigned_arm == CONTROL
    tested = due.effect_points / 100 * due.worth_of_keeping
    table = due.assign(
        contacted=~out,
        held_out=out,
        spent=due.cost.where(~out, 0),
        at_risk=due.value_at_risk.where(out, 0),
        given_up=(tested.fillna(due.assumed_gain) - due.cost.fillna(0)).where(out, 0),
        unknown=out & tested.isna() & due.assumed_gain.isna(),
    )
    sums = ["contacted", "held_out", "spent", "at_risk", "given_up", "unknown"]
    table = table.groupby(["action", "arm", "evidence"], sort=False)[sums].sum().reset_index()
    given = table.given_up.where(table.unknown == 0)
    return table.assign(given_up=given).drop(columns="unknown")


def describe_list(watchlist: Watchlist, study: Study) -> list[str]:
    """Return in sentences how many are on the list, what is done, and what the holdout costs."""
    rows, currency = watchlist.rows, study.economics.currency
    tiers, changes = (_count_up(rows[name]) for name in ("tier", "change"))
    lines = [f"{len(rows):,} customers listed ({tiers}); against the list before: {changes}"]
    lines[0] += f", {len(watchlist.gone)} gone" if len(watchlist.gone) else ""
    lines += [*_describe_decisions(watchlist, study)]
    if watchlist.playbook is not None:
        lines += [*describe_holdout(watchlist, currency)]
    return lines


def _count_up(values: pd.Series) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in values.value_counts(sort=False).items())


def _describe_decisions(watchlist: Watchlist, study: Study):
    counts = watchlist.rows.decision.value_counts()
    if watchlist.playbook is None:
        place = show_path(study.folder / PLAYBOOK)
        yield f"no action is recommended, since there is no {place}; write one that says what to do"
        return
    parts = {
        CONTACT: "to be contacted or held out",
        SPARED: f"spared, contacted or held out in the last {watchlist.playbook.rest_days} days",
        HARMED: "not to be contacted, since contact harms",
        NO_PLAY: "without an action in the playbook",
    }
    told = [f"{counts[name]:,} {words}" for name, words in parts.items() if counts.get(name)]
    yield "; ".join(told)
    if not counts.get(CONTACT):
        yield "nobody is to be contacted this cycle"


def describe_holdout(watchlist: Watchlist, currency: str):
    """Yield how many are held out, what that costs, and what it can show."""
    assigned, share = watchlist.assigned, watchlist.share
    if assigned.empty:
        return
    counts, prices = count_holdout(assigned), price_holdout(watchlist.rows)
    held = int(counts.held_out.sum())
    if not share.share:
        reason = watchlist.playbook.holdout.reason
        yield f"nobody is held out ({write_plain(reason, 200)}): what the list changes stays open"
        return
    known = prices.given_up.notna().all()
    cost = (
        f"{prices.given_up.sum():,.0f} {currency} by the effects tested or assumed"
        if known
        else "not known, since no effect is tested or assumed"
    )
    yield (
        f"{held:,} of {len(assigned):,} are held out at random ({share.share:.0%} of each action),"
        f" which costs {cost}; at most the {prices.at_risk.sum():,.0f} {currency} at risk with them"
    )
    if share.lists > 1:
        yield (
            f"an effect of {100 * share.effect:.1f} points on staying, as expected of the actions,"
            f" can be told from none after about {share.lists:,} such lists (80 % power); with more"
            " held out after fewer"
        )


def name_columns(watchlist: Watchlist) -> dict[str, str]:
    """Return what each column of the list means."""
    return {name: COLUMN_WORDS[name] for name in watchlist.rows}


COLUMN_WORDS = {
    "rank": "by value at risk, 1 first",
    "customer_id": "customer",
    "tier": "high: the first with half of the value at risk on the list; medium: up to four fifths",
    "risk": "of churn in the label window, of one still there after the lead",
    "risk_low": "calibrated range of customers with a similar risk, 95 % interval, lower end",
    "risk_high": "its upper end",
    "worth_of_keeping": "discounted margin of one who stays, after the window, in the currency",
    "value_at_risk": "risk by the end of the window times the worth of keeping, in the currency",
    "days_left": "expected days until leaving, at the hazard of the window; 3,650 at most",
    "days_to_renewal": "days until the running contract can end or renews",
    "overdue_ratio": "days since the last order or use over the customer's usual gap, above 1",
    "change": "against the list before: new, up, down, same place",
    "earlier_rank": "on the list before",
    "lists_in_a_row": "this one and those before it without a break",
    "reason_1": "what lifts the risk most above customers who stay",
    "reason_2": "the second",
    "reason_3": "the third",
    "theme": "of the first reason",
    "stable_reason": "whether models fitted on resampled customers name the first reason again",
    "decision": "contact, spared, do not contact, or no action",
    "action": "by the playbook",
    "arm": "of the action",
    "say": "what to say",
    "owner": "who acts",
    "channel": "by which way",
    "deadline": "by which day",
    "cost": "of one contact, in the currency",
    "effect_points": "on staying, by a randomised campaign, in points",
    "effect_low": "95 % interval, lower end",
    "effect_high": "upper end",
    "evidence": "randomised campaign, assumption, or not tested",
    "assumed_gain": "assumed share kept times the value at risk, in the currency; an assumption",
    "next_offer": "product that similar customers bought",
    "last_contact": "by the company",
    "assigned_arm": "drawn at random: the arm, or control (held out)",
    "propensity": "the probability of the arm that was drawn",
}

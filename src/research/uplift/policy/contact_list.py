"""The contact list of this cycle: whom to contact with which offer, and whom to leave alone."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.risk.window_risk import WindowRisk, load_present
from research.store.keep import keep
from research.study import Study
from research.study_schema import CONTROL
from research.uplift.doubly_robust import make_sample, share_features
from research.uplift.learners.average import predict_effects
from research.uplift.learners.families import AVERAGED
from research.uplift.policy.case import (
    MONEY,
    Case,
    count_units,
    drop_missing_outcomes,
    find_arm_costs,
    find_margin,
    level_parts,
)
from research.uplift.policy.knapsack import allocate, pick
from research.uplift.trials import Trial
from research.value.customers import load_values

CONTACT, LEAVE_ALONE = "contact", "do not contact"
NOT_WORTH_COST, NO_ROOM = "not worth the cost", "no room"
INCONCLUSIVE = "would contact, but profit not significant"
ORDER = {CONTACT: 0, INCONCLUSIVE: 0, NO_ROOM: 1, NOT_WORTH_COST: 2, LEAVE_ALONE: 3}
TARGETS = [
    "customer_id",
    "decision",
    "arm",
    "rank",
    "risk_share",
    "effect_points",
    "worth",
    "gain",
    "cost",
    "net_gain",
]


@dataclass(frozen=True)
class Candidates:
    """Customers who may be contacted this cycle.

    Attributes
    ----------
    customers : (customers,)
    effect : (customers, arms), predicted effect on the outcome that money is counted by
    gain : (customers, arms), the same in money, cost not deducted
    cost : (customers, arms)
    outcome_value : (customers,), money per unit of that outcome
    risk : (customers,), of leaving by the end of the label window; empty where it isn't known
    """

    customers: np.ndarray
    effect: np.ndarray
    gain: np.ndarray
    cost: np.ndarray
    outcome_value: np.ndarray
    risk: np.ndarray | float = np.nan


@keep
def list_targets(
    trial: Trial,
    tables: Tables,
    study: Study,
    case: Case,
    budget: float,
    seed: int,
    significant: bool = True,
    scored: WindowRisk | None = None,
) -> pd.DataFrame:
    """Return this cycle's list: for each customer whether to contact, with which offer, and what
    that is expected to bring.

    Dated studies: everybody who is a customer on the scored day, by models of all trials; without
    one, in the population at the study's last snapshot. Flat studies: the customers of the trial,
    out of fold.

    Parameters
    ----------
    significant : whether the policy earns significantly more than contacting nobody
    scored : risks as of the scored day

    Returns
    -------
    DataFrame with columns customer_id, decision, arm, rank, risk_share, effect_points, worth, gain,
    cost, net_gain
        ``decision``: contact, or would contact where the policy's profit isn't significant; do not
        contact (every offer has a negative estimated effect); not worth the cost; no room (in
        budget and capacity). ``arm``: of the offer that is given, or would be; ``effect_points``:
        on the outcome that money is counted by, in hundredths of its unit; ``gain``: effect times
        worth; money in the study's currency; rank 1 brings most.
    """
    candidates = (
        _take_trial(case)
        if study.kind == "flat"
        else _predict_now(trial, tables, study, seed, scored)
    )
    effect, gain, cost = candidates.effect, candidates.gain, candidates.cost
    chosen = allocate(gain, cost, budget, study.economics.capacity)
    best = np.where(chosen > 0, chosen, 1 + (gain - cost).argmax(axis=1))
    net = pick(gain - cost, best)
    decision = np.select(
        [chosen > 0, (effect < 0).all(axis=1), net <= 0],
        [CONTACT if significant else INCONCLUSIVE, LEAVE_ALONE, NOT_WORTH_COST],
        NO_ROOM,
    )
    table = pd.DataFrame(
        {
            "customer_id": candidates.customers,
            "decision": decision,
            "arm": np.array(case.arms)[best - 1],
            "risk_share": candidates.risk,
            "effect_points": 100 * pick(effect, best),
            "worth": candidates.outcome_value,
            "gain": pick(gain, best),
            "cost": pick(cost, best),
            "net_gain": net,
        }
    )
    return _rank(table)[TARGETS]


def _rank(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table by decision, then by what a contact brings."""
    table = table.sort_values(
        ["decision", "net_gain"],
        key=lambda column: column.map(ORDER.get) if column.name == "decision" else -column,
        kind="stable",
    )
    return table.assign(rank=np.arange(1, len(table) + 1)).reset_index(drop=True)


def _take_trial(case: Case) -> Candidates:
    """Return the customers of the trial itself, with means over the repeats."""
    effect, gain = case.effect, case.gain
    if case.strata is not None:
        effect, gain = (level_parts(one, case.strata, case.cycle) for one in (effect, gain))
    effect, gain, worth = effect.mean(axis=0), gain.mean(axis=0), case.outcome_value
    if case.paid_effect is not None:  # the gain is the effect on what is paid, at its worth
        effect = count_units(gain, worth)
    return Candidates(case.customers, effect, gain, case.cost, worth)


def _predict_now(
    trial: Trial, tables: Tables, study: Study, seed: int, scored: WindowRisk | None
) -> Candidates:
    """Return the population of the scored day, with effects by models of all trials."""
    trial, day = drop_missing_outcomes(trial), study.snapshots.last
    day = scored.snapshot if scored else day
    present = load_present(tables, study, day)
    as_rows = present.assign(trial=trial.rows.trial.iloc[-1], arm=CONTROL, propensity=1.0)
    as_rows = as_rows.assign(**{trial.unit: present.customer_id})
    together = pd.concat([trial.rows, as_rows], ignore_index=True)
    filled = together.assign(**{trial.primary: together[trial.primary].fillna(0)})
    both = make_sample(replace(trial, rows=filled), trial.primary)
    shared = share_features(both)
    in_trial = np.arange(both.size) < len(trial.rows)
    train, new = shared.take(in_trial), shared.take(~in_trial)
    effects = predict_effects(train, new.tree_features, new.linear_features, seed)[AVERAGED]
    given = np.r_[trial.rows.cost.to_numpy(float), np.full(new.size, np.nan)]
    cost = find_arm_costs(given, both, study)[~in_trial]
    if trial.primary == MONEY:
        value = np.full(new.size, find_margin(study))
    else:
        known = load_values(tables, study, day, seed, scored)
        known = known.set_index("customer_id").value_of_keeping
        value = present.customer_id.map(known)
        value = value.fillna(value.dropna().median()).to_numpy()
    customers, gain = present.customer_id, effects * value[:, None]
    risk = customers.map(scored.risk_by_end).to_numpy(float) if scored else np.nan
    return Candidates(customers.to_numpy(), effects, gain, cost, value, risk)

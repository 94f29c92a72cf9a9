"""Profit of a contact list: at capacity, and at the best length (EMPC).

The floor is contacting nobody, the ceiling knowing who leaves. A churner who is contacted stays
with a probability that the study assumes (it is no result of a model), then keeps the margin and
costs the offer; everyone else who is contacted takes the offer all the same. Verbraken, Verbeke &
Baesens (2013), IEEE TKDE 25:961-973, doi:10.1109/TKDE.2012.50, equation of the average profit per
customer.
"""

import numpy as np
import pandas as pd
from empulse.metrics import empc_score

from research.evaluation.bootstrap import decide_verdict, draw_weights, percentile_interval
from research.evaluation.contact_list import fill_list, select_cycle
from research.evaluation.predictions import KEYS
from research.study_schema import Economics

NOBODY, EVERYBODY = "contact nobody", "contact everybody"
RANDOM, ORACLE = "random list", "list by an oracle that knows who leaves"
EMPC_RESAMPLES = 100  # each takes the hull of a ROC curve, 3 ms for 4,000 customers
COLUMNS = [
    "model",
    "policy",
    "contacted",
    "profit_per_cycle",
    "low",
    "high",
    "gain_over_lot",
    "gain_low",
    "gain_high",
    "against_nobody",
    "against_lot",
    "empc",
    "empc_low",
    "empc_high",
    "currency",
]


def find_acceptance(economics: Economics) -> float:
    """Return the mean share of contacted churners who stay, by the study's beta distribution."""
    return economics.accept_alpha / (economics.accept_alpha + economics.accept_beta)


def value_contacts(rows: pd.DataFrame, economics: Economics) -> np.ndarray:
    """Return the expected profit of contacting each customer, in the study's currency.

    A churner: share who stay × (margin − offer) − contact. A customer who would have stayed: −
    offer − contact. A customer who left within the lead, before the offer arrives: − contact.

    Parameters
    ----------
    rows : DataFrame with columns churned and, in dated studies, left_in_lead
    """
    spent, gained = _weigh_contacts(rows, economics)
    return spent + find_acceptance(economics) * gained


def _weigh_contacts(rows: pd.DataFrame, economics: Economics) -> tuple[np.ndarray, np.ndarray]:
    """Return what contacting each customer brings at a share of 0 who stay, and what a share of 1
    adds.
    """
    left = rows.left_in_lead.to_numpy(bool) if "left_in_lead" in rows else np.zeros(len(rows), bool)
    churner = rows.churned.to_numpy(bool) & ~left
    spent = np.where(churner | left, 0, -economics.offer_cost) - economics.contact_cost
    return spent, np.where(churner, economics.margin_per_customer - economics.offer_cost, 0.0)


def draw_acceptance(economics: Economics, resamples: int, seed: int) -> np.ndarray:
    """Return the share of contacted churners who stay, for the sample and for every resample.

    The mean for the sample, then draws from the study's beta distribution: nobody has measured the
    share, so that the intervals of a profit contain that it isn't known.
    """
    rng = np.random.default_rng([seed, 1])
    drawn = rng.beta(economics.accept_alpha, economics.accept_beta, resamples)
    return np.r_[find_acceptance(economics), drawn]


def tabulate_profit(
    predictions: pd.DataFrame, economics: Economics, capacity: int, resamples: int, seed: int
) -> pd.DataFrame:
    """Return the profit of one cycle's list by every model, between the floor and the ceiling.

    Parameters
    ----------
    predictions : see ``predict.predict_out_of_time``; one column of risks per model
        Counted is the list of one cycle (first repeat, last snapshot), which contains also
        customers who leave within the lead: nobody knows of them at the snapshot.
    economics : without margin and costs there is no profit, and no row
    capacity : customers whom the team can contact in the cycle
    resamples, seed : bootstrap of customers behind the 95 % intervals, the same for all policies;
        each resample also draws the share who stay, see ``draw_acceptance``

    Returns
    -------
    DataFrame with columns model, policy, contacted, profit_per_cycle, low, high, gain_over_lot,
    gain_low, gain_high, against_nobody, against_lot, empc, empc_low, empc_high, currency
        One row per policy: contact nobody (0), everybody (beyond the capacity), a random list, a
        list by each model, and by an oracle. ``gain_over_lot`` is the paired difference to the
        random list, and ``against_lot`` its verdict. The verdicts are
        better or worse only where an interval widened for the number of models (Bonferroni)
        excludes 0. ``empc``: expected maximum profit per customer of the population, at the best
        length of a list whatever the capacity, among the customers who did not leave within the
        lead; its interval comes from ``EMPC_RESAMPLES`` resamples at most.
    """
    if not economics.priced:
        return pd.DataFrame(columns=COLUMNS)
    rows = select_cycle(predictions)
    models = [name for name in rows if name not in KEYS]
    profits = _resample_profit(rows, models, economics, capacity, resamples, seed)
    empc = _resample_empc(rows, models, economics, min(resamples, EMPC_RESAMPLES), seed)
    listed = {NOBODY: 0, EVERYBODY: len(rows), ORACLE: _count_oracle(rows, economics, capacity)}
    table = [
        _write_row(policy, profits, empc, listed.get(policy, min(capacity, len(rows))), models)
        for policy in profits
    ]
    return pd.DataFrame([(*row, economics.currency) for row in table], columns=COLUMNS)


def _resample_profit(
    rows: pd.DataFrame,
    models: list[str],
    economics: Economics,
    capacity: int,
    resamples: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Return each policy's profit on the sample (first entry) and on every resample."""
    value, pieces = value_contacts(rows, economics), {}
    parts = np.column_stack(_weigh_contacts(rows, economics))
    accepted, done = draw_acceptance(economics, resamples, seed), 0
    scores = {name: rows[name].to_numpy(float) for name in models} | {ORACLE: value}
    for weights in draw_weights(rows.customer_id, resamples, seed):
        shares = accepted[done : done + len(weights)]
        done += len(weights)
        everybody, size = _add_up(weights, parts, shares), weights.sum(axis=1)
        by_policy = {
            NOBODY: np.zeros(len(weights)),
            EVERYBODY: everybody,
            RANDOM: everybody * np.minimum(capacity / size, 1),
        }
        by_policy |= {
            name: _add_up(
                fill_list(score, rows.customer_id, capacity, weights),
                parts * (value > 0)[:, None] if name == ORACLE else parts,
                shares,
            )
            for name, score in scores.items()
        }
        for name, profit in by_policy.items():
            pieces.setdefault(name, []).append(profit)
    return {name: np.concatenate(parts) for name, parts in pieces.items()}


def _add_up(contacts: np.ndarray, parts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the profit of each resample's contacts, (resamples, rows), by its share who stay."""
    spent, gained = (contacts @ parts).T
    return spent + shares * gained


def _count_oracle(rows: pd.DataFrame, economics: Economics, capacity: int) -> int:
    return int(min(capacity, (value_contacts(rows, economics) > 0).sum()))


def _resample_empc(
    rows: pd.DataFrame, models: list[str], economics: Economics, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Return the EMPC of every model, of a random list (one score for all) and of the oracle.

    Contacting nobody has none.
    """
    judged = rows[~rows.left_in_lead.to_numpy(bool)] if "left_in_lead" in rows else rows
    churned, pieces = judged.churned.to_numpy(bool), {}
    scores = {name: judged[name].to_numpy(float) for name in models} | {
        RANDOM: np.full(len(judged), 0.5),
        ORACLE: churned.astype(float),
    }
    for weights in draw_weights(judged.customer_id, resamples, seed):
        for name, score in scores.items():
            pieces.setdefault(name, []).extend(
                compute_empc(churned, score, economics, drawn) for drawn in weights.astype(int)
            )
    return {name: np.array(values) for name, values in pieces.items()}


def compute_empc(
    churned: np.ndarray, scores: np.ndarray, economics: Economics, weights: np.ndarray | None = None
) -> float:
    """Return the expected maximum profit per customer, in the study's currency.

    Not defined without both classes.

    Parameters
    ----------
    churned, scores : (rows,)
    weights : (rows,), optional
        How often each row counts.
    """
    drawn = np.ones(len(churned), int) if weights is None else weights
    churned, scores = np.repeat(churned, drawn).astype(int), np.repeat(scores, drawn)
    if churned.min() == churned.max():
        return np.nan
    money = {
        "clv": economics.margin_per_customer,
        "incentive_cost": economics.offer_cost,
        "contact_cost": economics.contact_cost,
    }
    return float(
        empc_score(
            churned, scores, alpha=economics.accept_alpha, beta=economics.accept_beta, **money
        )
    )


def _write_row(
    policy: str,
    profits: dict[str, np.ndarray],
    empc: dict[str, np.ndarray],
    listed: int,
    models: list[str],
) -> tuple:
    profit, random, is_model = profits[policy], profits[RANDOM], policy in models
    has_gain = policy not in (NOBODY, EVERYBODY, RANDOM)
    gain = percentile_interval(profit - random) if has_gain else (np.nan,) * 3
    verdicts = (
        [decide_verdict(values, True, len(models)) for values in (profit, profit - random)]
        if is_model
        else ["", ""]
    )
    best = (
        percentile_interval(empc[policy])
        if policy in empc
        else ((0.0,) * 3 if policy == NOBODY else (np.nan,) * 3)
    )
    return (
        policy if is_model else "",
        f"list by {policy}" if is_model else policy,
        listed,
        *percentile_interval(profit),
        *gain,
        *verdicts,
        *best,
    )

"""What a contact list is worth: expected profit at capacity, and at the best length (EMPC), between
doing nothing and knowing who leaves.

A churner who is contacted stays with a chance that the study assumes (it is no result of a model),
then keeps the margin and costs the offer; everyone else who is contacted takes the offer all the
same. Verbraken, Verbeke & Baesens (2013), IEEE TKDE 25:961-973, doi:10.1109/TKDE.2012.50, equation
of the average profit per customer.
"""

import numpy as np
import pandas as pd
from empulse.metrics import empc_score

from research.evaluation.bootstrap import draw_weights, find_interval, decide_verdict
from research.evaluation.contact_list import fill_list, pick_cycle
from research.evaluation.predictions import KEYS
from research.reporting.format import write_quantity
from research.study_schema import Economics

NOBODY, EVERYBODY, LOT, ORACLE = (
    "contact nobody",
    "contact everybody",
    "list drawn by lot",
    "list by an oracle who knows who leaves",
)
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
]
COLUMNS += ["against_nobody", "against_lot", "empc", "empc_low", "empc_high", "currency"]


def find_acceptance(economics: Economics) -> float:
    """Return the mean share of contacted churners who stay: that of the study's beta
    distribution.
    """
    return economics.accept_alpha / (economics.accept_alpha + economics.accept_beta)


def value_contacts(rows: pd.DataFrame, economics: Economics) -> np.ndarray:
    """Return the expected profit of contacting each customer, in the study's currency.

    A churner: share who stay × (margin − offer) − contact. A customer who would have stayed: −
    offer − contact. Who left within the lead is gone before the offer arrives: − contact.

    Parameters
    ----------
    rows : DataFrame with columns churned and, in dated studies, left_in_lead
    """
    churner = (
        find_acceptance(economics) * (economics.margin_per_customer - economics.offer_cost)
        - economics.contact_cost
    )
    gone = rows.left_in_lead.to_numpy(bool) if "left_in_lead" in rows else np.zeros(len(rows), bool)
    others = np.where(gone, 0, -economics.offer_cost) - economics.contact_cost
    return np.where(rows.churned.to_numpy(bool) & ~gone, churner, others)


def tabulate_profit(
    predictions: pd.DataFrame, economics: Economics, capacity: int, resamples: int, seed: int
) -> pd.DataFrame:
    """Return what one cycle's list by every model is worth, between the floor and the ceiling.

    Parameters
    ----------
    predictions : see ``risk.predict_out_of_time``; one column of risks per model
        Counted is the list of one cycle (first repeat, last snapshot), from which nobody can leave
        out who goes within the lead.
    economics : without margin and costs there is no profit, and no row; see ``say_assumptions``
    capacity : customers whom the team can contact in the cycle
    resamples, seed : bootstrap of customers behind the 95 % intervals, the same for all policies

    Returns
    -------
    DataFrame with columns model, policy, contacted, profit_per_cycle, low, high, gain_over_lot,
    gain_low, gain_high, against_nobody, against_lot, empc, empc_low, empc_high, currency
        One row per policy: contact nobody (0), everybody (beyond the capacity), a list by lot, by
        each model, and by an oracle. ``gain_over_lot`` is the paired difference. The verdicts are
        better or worse only where an interval widened for the number of models (Bonferroni)
        excludes 0. ``empc``: expected maximum profit per customer of the population, at the best
        length of a list whatever the capacity, among the customers who did not leave within the
        lead; its interval comes from ``EMPC_RESAMPLES`` resamples at most.
    """
    if not economics.priced:
        return pd.DataFrame(columns=COLUMNS)
    rows = pick_cycle(predictions)
    models = [name for name in rows if name not in KEYS]
    worth = _resample_profit(rows, models, economics, capacity, resamples, seed)
    empc = _resample_empc(rows, models, economics, min(resamples, EMPC_RESAMPLES), seed)
    listed = {NOBODY: 0, EVERYBODY: len(rows), ORACLE: _count_oracle(rows, economics, capacity)}
    table = [
        _write_row(policy, worth, empc, listed.get(policy, min(capacity, len(rows))), models)
        for policy in worth
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
    scores = {name: rows[name].to_numpy(float) for name in models} | {ORACLE: value}
    for weights in draw_weights(rows.customer_id, resamples, seed):
        everybody, size = weights @ value, weights.sum(axis=1)
        found = {
            NOBODY: np.zeros(len(weights)),
            EVERYBODY: everybody,
            LOT: everybody * np.minimum(capacity / size, 1),
        }
        found |= {
            name: _sum_list(
                score, rows, capacity, weights, np.maximum(value, 0) if name == ORACLE else value
            )
            for name, score in scores.items()
        }
        for name, profit in found.items():
            pieces.setdefault(name, []).append(profit)
    return {name: np.concatenate(parts) for name, parts in pieces.items()}


def _sum_list(
    scores: np.ndarray, rows: pd.DataFrame, capacity: int, weights: np.ndarray, value: np.ndarray
) -> np.ndarray:
    return fill_list(scores, rows.customer_id, capacity, weights) @ value


def _count_oracle(rows: pd.DataFrame, economics: Economics, capacity: int) -> int:
    return int(min(capacity, (value_contacts(rows, economics) > 0).sum()))


def _resample_empc(
    rows: pd.DataFrame, models: list[str], economics: Economics, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Return the EMPC of every model, of one score for all (the lot) and of the truth (the oracle);
    contacting nobody has none.
    """
    judged = rows[~rows.left_in_lead.to_numpy(bool)] if "left_in_lead" in rows else rows
    churned, pieces = judged.churned.to_numpy(bool), {}
    scores = {name: judged[name].to_numpy(float) for name in models} | {
        LOT: np.full(len(judged), 0.5),
        ORACLE: churned.astype(float),
    }
    for weights in draw_weights(judged.customer_id, resamples, seed):
        for name, score in scores.items():
            pieces.setdefault(name, []).extend(
                score_empc(churned, score, economics, drawn) for drawn in weights.astype(int)
            )
    return {name: np.array(values) for name, values in pieces.items()}


def score_empc(
    churned: np.ndarray, scores: np.ndarray, economics: Economics, weights: np.ndarray | None = None
) -> float:
    """Return the expected maximum profit per customer, in the study's currency; not defined without
    both classes.

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
    worth: dict[str, np.ndarray],
    empc: dict[str, np.ndarray],
    listed: int,
    models: list[str],
) -> tuple:
    profit, lot, is_model = worth[policy], worth[LOT], policy in models
    gain = find_interval(profit - lot) if policy not in (NOBODY, EVERYBODY, LOT) else (np.nan,) * 3
    verdicts = (
        [decide_verdict(profit, True, len(models)), decide_verdict(profit - lot, True, len(models))]
        if is_model
        else ["", ""]
    )
    best = (
        find_interval(empc[policy])
        if policy in empc
        else ((0.0,) * 3 if policy == NOBODY else (np.nan,) * 3)
    )
    return (
        policy if is_model else "",
        f"list by {policy}" if is_model else policy,
        listed,
        *find_interval(profit),
        *gain,
        *verdicts,
        *best,
    )


def say_assumptions(economics: Economics) -> str:
    """Say what the money rests on, or what a study has to state before there is any."""
    if not economics.priced:
        return (
            "No money is counted: `study.yml` gives a capacity and no prices. Add"
            " `margin_per_customer`, `offer_cost` and `contact_cost` under `economics`, and the"
            " table of profits appears."
        )
    unit, share = economics.currency, find_acceptance(economics)
    margin, offer, contact = (
        write_quantity(value, unit)
        for value in (economics.margin_per_customer, economics.offer_cost, economics.contact_cost)
    )
    return (
        f"Assumed, not found: a customer who is kept is worth {margin} {unit}, the offer costs"
        f" {offer} {unit} and a contact {contact} {unit}. Of contacted churners {share:.0%} stay on"
        f" average (beta distribution with {economics.accept_alpha:g} and"
        f" {economics.accept_beta:g}); customers who would have stayed take the offer all the same;"
        " who left within the lead costs a contact only. The share who stay is an effect, which"
        " only a campaign with a control group can show."
    )


def say_profit(table: pd.DataFrame) -> str:
    """Say whether a list by the best model pays, beside the floor, a list by lot and the ceiling;
    see ``tabulate_profit``. Nothing is said of an empty table.
    """
    if table.empty:
        return ""
    rows, unit = table.set_index("policy"), table.currency.iloc[0]
    models = table[table.model != ""]
    best = models.loc[models.profit_per_cycle.idxmax()]
    everybody, ceiling = rows.loc[EVERYBODY], rows.loc[ORACLE]
    pays = {
        "better": f"**A list by {best.model} pays**",
        "worse": "**No list of this length pays: contacting nobody is cheaper**",
        "no difference shown": f"**Not shown to pay: a list by {best.model}**",
    }[best.against_nobody]
    lot = {
        "better": "more than",
        "worse": "less than",
        "no difference shown": "not shown to be more than",
    }[best.against_lot]
    return (
        f"{pays}: {_say(best)} {unit} a cycle from {best.contacted:,} contacts, {lot} a list drawn"
        f" by lot ({_say(rows.loc[LOT])}). Contacting everybody would bring {_say(everybody)}; an"
        f" oracle who knows who leaves, {_say(ceiling)}, from {ceiling.contacted:,} contacts. The"
        " best of several models looks a little better than it is."
    )


def _say(row: pd.Series) -> str:
    value, low, high = (
        f"{round(number) + 0:,}".replace("-", "−")
        for number in (row.profit_per_cycle, row.low, row.high)
    )
    return f"{value} ({low} to {high})"

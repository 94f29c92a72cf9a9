"""Profit of a contact list: at capacity, and at the best length (EMPC).

The floor is contacting nobody, the ceiling knowing who leaves. A churner who is contacted stays
with a probability that a randomised campaign of the study has measured, or that the study assumes
(it is no result of a model), is then worth what keeping a customer is worth, and costs the offer;
everyone else who is contacted takes the offer all the same. Verbraken, Verbeke &
Baesens (2013), IEEE TKDE 25:961-973, doi:10.1109/TKDE.2012.50, equation of the average profit per
customer.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from empulse.metrics import empc_score
from scipy.stats import norm

from research.evaluation.bootstrap import draw_weights, percentile_interval, subtract
from research.evaluation.contact_list import fill_list, select_cycle
from research.evaluation.intervals import TAIL, Z
from research.evaluation.predictions import KEYS
from research.evaluation.verdicts import BETTER, NO_DIFFERENCE, UNDEFINED, WORSE
from research.store.keep import keep
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
    "adjusted_low",
    "adjusted_high",
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


@dataclass(frozen=True)
class Share:
    """The share of contacted churners who stay for it.

    Attributes
    ----------
    mean : of its distribution
    error : standard deviation of its distribution: the standard error of what was measured
    measured : whether a randomised campaign of the study has; the distribution is then normal, else
        the beta distribution that the study assumes
    customers : in those campaigns
    """

    mean: float
    error: float
    measured: bool = False
    customers: int = 0

    @property
    def beta(self) -> tuple[float, float] | None:
        """Both numbers of the beta distribution with this mean and standard deviation; None where
        there is none.
        """
        if not 0 < self.mean < 1 or not 0 < self.error**2 < self.mean * (1 - self.mean):
            return None
        size = self.mean * (1 - self.mean) / self.error**2 - 1
        return self.mean * size, (1 - self.mean) * size

    def draw(self, resamples: int, seed: int) -> np.ndarray:
        """Return the share for the sample (its mean), and one drawn for every resample, so that the
        intervals of a profit contain that it isn't known exactly.
        """
        rng = np.random.default_rng([seed, 1])
        if self.measured:
            return np.r_[self.mean, rng.normal(self.mean, self.error, resamples)]
        return np.r_[self.mean, rng.beta(*self.beta, resamples)]


@dataclass(frozen=True)
class Prices:
    """What a contact costs and may bring: the price list of a study.

    Attributes
    ----------
    currency : of all amounts
    worth : what a churner is worth who is kept: by customer, or one for all
    contact_cost : of a contact
    offer_cost : of an accepted offer
    share : of contacted churners who stay for it
    valued : whether ``worth`` is the value of keeping by ``50_value``; else the study assumes it
    leaver_worth : what a customer without a value is worth who would leave and is kept; the mean
        unless given
    """

    currency: str
    worth: pd.Series | float
    contact_cost: float
    offer_cost: float
    share: Share
    valued: bool = False
    leaver_worth: float | None = None

    def find_break_even(self) -> float:
        """Return the risk from which on a contact pays for a customer worth what leavers are.

        Of a churner it brings share × (worth − offer) − contact, of others − offer − contact.
        Above 1 where none pays.
        """
        gained = self.share.mean * (self._find_leaver_worth() - self.offer_cost)
        spent = self.offer_cost + self.contact_cost
        return spent / (gained + self.offer_cost) if gained + self.offer_cost > 0 else np.inf

    def find_worth(self, customers: pd.Series) -> np.ndarray:
        """Return what each customer is worth who would leave and is kept."""
        if not isinstance(self.worth, pd.Series):
            return np.full(len(customers), float(self.worth))
        return customers.map(self.worth).fillna(self._find_leaver_worth()).to_numpy(float)

    def _find_leaver_worth(self) -> float:
        return float(np.mean(self.worth)) if self.leaver_worth is None else self.leaver_worth


def assume_share(economics: Economics) -> Share:
    """Return the beta distribution that a study assumes."""
    alpha, beta = economics.accept_alpha, economics.accept_beta
    mean = alpha / (alpha + beta)
    return Share(mean, np.sqrt(mean * (1 - mean) / (alpha + beta + 1)))


def assume_prices(economics: Economics) -> Prices | None:
    """Return the price list that a study assumes; None where it names no prices."""
    if not economics.priced:
        return None
    return Prices(
        economics.currency,
        economics.margin_per_customer,
        economics.contact_cost,
        economics.offer_cost,
        assume_share(economics),
    )


def value_contacts(rows: pd.DataFrame, prices: Prices) -> np.ndarray:
    """Return the expected profit of contacting each customer, in the study's currency.

    A churner: share who stay × (worth − offer) − contact. A customer who would have stayed: −
    offer − contact. A customer who left within the lead, before the offer arrives: − contact.

    Parameters
    ----------
    rows : DataFrame with columns customer_id, churned and, in dated studies, left_in_lead
    """
    spent, gained = _weigh_contacts(rows, prices)
    return spent + prices.share.mean * gained


def _weigh_contacts(rows: pd.DataFrame, prices: Prices) -> tuple[np.ndarray, np.ndarray]:
    """Return what contacting each customer brings at a share of 0 who stay, and what a share of 1
    adds.
    """
    left = rows.left_in_lead.to_numpy(bool) if "left_in_lead" in rows else np.zeros(len(rows), bool)
    churner = rows.churned.to_numpy(bool) & ~left
    spent = np.where(churner | left, 0, -prices.offer_cost) - prices.contact_cost
    kept = prices.find_worth(rows.customer_id) - prices.offer_cost
    return spent, np.where(churner, kept, 0.0)


@keep
def tabulate_profit(
    predictions: pd.DataFrame, prices: Prices | None, capacity: int, resamples: int, seed: int
) -> pd.DataFrame:
    """Return the profit of one cycle's list by every model, between the floor and the ceiling.

    Parameters
    ----------
    predictions : see ``predict.predict_out_of_time``; one column of risks per model
        Counted is the list of one cycle (first repeat, last snapshot), which contains also
        customers who leave within the lead: nobody knows of them at the snapshot.
    prices : without them there is no profit, and no row
    capacity : customers whom the team can contact in the cycle
    resamples, seed : bootstrap of customers behind the 95 % intervals, the same for all policies;
        each resample also draws the share who stay, see ``Share.draw``

    Returns
    -------
    DataFrame with columns model, policy, contacted, profit_per_cycle, low, high, adjusted_low,
    adjusted_high, gain_over_lot, gain_low, gain_high, against_nobody, against_lot, empc, empc_low,
    empc_high, currency
        One row per policy: contact nobody (0), everybody (beyond the capacity), a random list, a
        list by each model, and by an oracle. ``gain_over_lot`` is the paired difference to the
        random list, ``against_lot`` its verdict, ``against_nobody`` that of the profit itself.
        ``adjusted_low`` and ``adjusted_high`` of the profit, and the interval of the gain, are
        adjusted for the number of models (Bonferroni) where the list is a model's, and decide the
        verdicts, see ``judge_profit``. ``empc``: expected maximum profit per customer
        of the population, at the best length of a list whatever the capacity, among the customers
        who did not leave within the lead; its interval comes from ``EMPC_RESAMPLES`` resamples at
        most.
    """
    if prices is None:
        return pd.DataFrame(columns=COLUMNS)
    rows = select_cycle(predictions)
    models = [name for name in rows if name not in KEYS]
    profits = _resample_profit(rows, models, prices, capacity, resamples, seed)
    empc = _resample_empc(rows, models, prices, min(resamples, EMPC_RESAMPLES), seed)
    listed = {NOBODY: 0, EVERYBODY: len(rows), ORACLE: _count_oracle(rows, prices, capacity)}
    table = [
        _write_row(policy, profits, empc, listed.get(policy, min(capacity, len(rows))), models)
        for policy in profits
    ]
    return pd.DataFrame([(*row, prices.currency) for row in table], columns=COLUMNS)


def _resample_profit(
    rows: pd.DataFrame,
    models: list[str],
    prices: Prices,
    capacity: int,
    resamples: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Return each policy's profit on the sample (first entry) and on every resample."""
    value, pieces = value_contacts(rows, prices), {}
    parts = np.column_stack(_weigh_contacts(rows, prices))
    accepted, done = prices.share.draw(resamples, seed), 0
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


def _count_oracle(rows: pd.DataFrame, prices: Prices, capacity: int) -> int:
    return int(min(capacity, (value_contacts(rows, prices) > 0).sum()))


def _resample_empc(
    rows: pd.DataFrame, models: list[str], prices: Prices, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Return the EMPC of every model, of a random list (one score for all) and of the oracle, at
    the mean worth of the churners.

    Contacting nobody has none.
    """
    judged = rows[~rows.left_in_lead.to_numpy(bool)] if "left_in_lead" in rows else rows
    churned, pieces = judged.churned.to_numpy(bool), {}
    worth = prices.find_worth(judged.customer_id)[churned]
    prices = replace(prices, worth=float(worth.mean()) if len(worth) else 0.0)
    scores = {name: judged[name].to_numpy(float) for name in models} | {
        RANDOM: np.full(len(judged), 0.5),
        ORACLE: churned.astype(float),
    }
    for weights in draw_weights(judged.customer_id, resamples, seed):
        for name, score in scores.items():
            pieces.setdefault(name, []).extend(
                compute_empc(churned, score, prices, drawn) for drawn in weights.astype(int)
            )
    return {name: np.array(values) for name, values in pieces.items()}


def compute_empc(
    churned: np.ndarray, scores: np.ndarray, prices: Prices, weights: np.ndarray | None = None
) -> float:
    """Return the expected maximum profit per customer, in the study's currency.

    Not defined without both classes, where a customer kept is worth less than the offer, or where
    no share of churners seems to stay.

    Parameters
    ----------
    churned, scores : (rows,)
    prices : with one worth for all
    weights : (rows,), optional
        How often each row counts.
    """
    drawn = np.ones(len(churned), int) if weights is None else weights
    churned, scores = np.repeat(churned, drawn).astype(int), np.repeat(scores, drawn)
    shape = prices.share.beta
    if churned.min() == churned.max() or shape is None or prices.worth <= prices.offer_cost:
        return np.nan
    money = {
        "clv": prices.worth,
        "incentive_cost": prices.offer_cost,
        "contact_cost": prices.contact_cost,
    }
    return float(empc_score(churned, scores, alpha=shape[0], beta=shape[1], **money))


def judge_profit(values: np.ndarray, comparisons: int) -> tuple[float, float, float, str]:
    """Return a profit, its interval adjusted for the number of comparisons, and its verdict.

    A profit rests on a share who stay, which can't fall below 0 and may well be large: the two
    sides of its 95 % percentile interval differ, and each is widened as Bonferroni widens one of
    the normal distribution. One that reaches as far to both sides would call lists inconclusive
    that earn in nearly all resamples.

    Parameters
    ----------
    values : on the sample (first entry) and on each resample
    """
    value, low, high = percentile_interval(values)
    if not np.isfinite([value, low, high]).all():
        return value, low, high, UNDEFINED
    widen = norm.isf(TAIL / comparisons) / Z
    low, high = min(low, value - widen * (value - low)), max(high, value + widen * (high - value))
    return value, low, high, BETTER if low > 0 else WORSE if high < 0 else NO_DIFFERENCE


def _write_row(
    policy: str,
    profits: dict[str, np.ndarray],
    empc: dict[str, np.ndarray],
    listed: int,
    models: list[str],
) -> tuple:
    profit, random, is_model = profits[policy], profits[RANDOM], policy in models
    has_gain = policy not in (NOBODY, EVERYBODY, RANDOM)
    earned, gain = (
        judge_profit(values, len(models)) if is_model else (*percentile_interval(values), "")
        for values in (profit, subtract(profit, random) if has_gain else profit * np.nan)
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
        *earned[1:3],
        *gain[:3],
        earned[3],
        gain[3],
        *best,
    )

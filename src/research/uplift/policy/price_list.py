"""The price list of a study, for lists by risk: what a kept customer is worth and a contact costs,
from the same places as policies by effect have them, and the share of leavers whom contact keeps,
where a randomised campaign has measured it.
"""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.errors import NotApplicable, StudyError
from research.risk.profit import Prices, Share, assume_prices
from research.store.keep import keep
from research.study import Study
from research.uplift.average_effects import ScoredOutcome, compute_standard_error, score_outcome
from research.uplift.balance import check_trial
from research.uplift.policy.case import KEPT, drop_missing_outcomes, find_costs, load_worth
from research.uplift.trials import Trial, load_randomised


@keep
def find_prices(tables: Tables, study: Study, day: date | None, seed: int) -> Prices | None:
    """Return the price list of a study; None where it names no prices.

    Parameters
    ----------
    day : of the snapshot, as known by whose end customers are valued; None of a flat study

    Notes
    -----
    A kept customer is worth the value of keeping, or without a value, as who has left in a flat
    study, that of one who would leave (see ``value_kept``), and ``margin_per_customer`` only where
    customers can't be valued. The share who stay and the cost of a contact are those of the study's
    randomised campaigns, all offers together, as often as they were given; no offer is picked by
    the effect that it then shows. Without such campaigns both are those that study.yml assumes.
    """
    prices = assume_prices(study.economics)
    if prices is None:
        return None
    values = load_worth(tables, study, day, seed)
    prices = prices if values is None else value_kept(prices, values)
    try:
        trial = check_trial(load_randomised(tables, study), study).trial
        return measure_prices(prices, drop_missing_outcomes(trial), study, seed)
    except (NotApplicable, StudyError):
        return prices  # 60_uplift says why there are no effects


def value_kept(prices: Prices, values: pd.DataFrame) -> Prices:
    """Return prices by which each customer has the own value of keeping, and a leaver without one
    the mean weighted by the risk, as in ``50_value``: who leaves isn't worth what all are.

    Parameters
    ----------
    values : by customer, with columns risk and value_of_keeping
    """
    worth, risk = values.value_of_keeping, values.risk.where(values.value_of_keeping.notna())
    mean = (risk * worth).sum() / risk.sum() if risk.sum() > 0 else worth.mean()
    return replace(prices, worth=worth, valued=True, leaver_worth=float(mean))


def measure_prices(prices: Prices, trial: Trial, study: Study, seed: int) -> Prices:
    """Return prices with the share who stay and the cost of a contact that a trial has measured."""
    scored = score_outcome(trial, KEPT, seed)
    given = np.bincount(scored.sample.arm)[1:]
    cost = find_costs(trial, scored.sample, study)[0].mean(axis=0) @ given / given.sum()
    share = measure_share(scored, given / given.sum())
    return replace(prices, contact_cost=float(cost), offer_cost=0.0, share=share)


def measure_share(scored: ScoredOutcome, weights: np.ndarray) -> Share:
    """Return the share of those who would have left whom the offers of a trial kept: the effect on
    staying over the risk in control.

    The error is that of a ratio of two means of doubly robust scores (delta method), clustered by
    customer.

    Parameters
    ----------
    scored : staying in every arm
    weights : (arms without control,), shares of the offers, 1 together
    """
    kept, risk = scored.scores[:, 1:] @ weights - scored.scores[:, 0], 1 - scored.scores[:, 0]
    mean = float(kept.mean() / risk.mean())
    influence = (kept - mean * risk) / risk.mean()
    customers = scored.sample.customers
    error = compute_standard_error(influence, customers)
    return Share(mean, error, measured=True, customers=len(pd.unique(customers)))

"""Decision curves: what a model is worth for every price of a contact in vain (net benefit).

Whoever contacts customers from a risk t on finds one churner worth (1 - t) / t contacts in vain.
The net benefit is the share of customers who are contacted churners less that of others contacted,
times t / (1 - t). Vickers & Elkin (2006), doi:10.1177/0272989X06295361.
"""

import numpy as np
import pandas as pd

from research.evaluation.bootstrap import draw_weights, judge_difference, percentile_interval
from research.reporting.results import concat_tables
from research.store.keep import keep

EVERYBODY = "contact everybody"
POINTS = 30  # thresholds
TIMES_RATE = 3  # times the share of churners, that thresholds go up to
BEYOND = 1.2  # times the risk at which a contact breaks even
HIGHEST = 0.95  # threshold
COLUMNS = [
    "policy",
    "threshold",
    "net_benefit",
    "low",
    "high",
    "gain",
    "gain_low",
    "gain_high",
    "band_low",
    "band_high",
]


@keep
def trace_net_benefit(
    predictions: pd.DataFrame,
    models: list[str],
    resamples: int,
    seed: int,
    break_even: float = 0.0,
) -> pd.DataFrame:
    """Return the net benefit of lists by models, and of contacting everybody, by threshold.

    Parameters
    ----------
    predictions : DataFrame with columns repeat, customer_id, churned and one column of risks per
        model; net benefits are averaged over repeats
    models : that are compared
    resamples, seed : bootstrap of customers behind the 95 % intervals, which hold for one threshold
    break_even : a risk that the thresholds have to reach

    Returns
    -------
    DataFrame with columns policy, threshold, net_benefit, low, high, gain, gain_low, gain_high,
    band_low, band_high
        In churners per customer. ``gain`` is what a list has over the better of contacting
        everybody and nobody, which is 0, at that threshold; its band holds at all thresholds
        together (Bonferroni, see ``bootstrap.judge_difference``).
    """
    top = max(TIMES_RATE * predictions.churned.mean(), BEYOND * break_even)
    top = min(top, HIGHEST)
    thresholds = np.linspace(0, top, POINTS + 1)[1:]
    risks = predictions[models].assign(**{EVERYBODY: 1.0})
    parts = [
        (part.customer_id, part.churned.to_numpy(bool), risks.loc[part.index])
        for _, part in predictions.groupby("repeat", sort=True)
    ]
    traced = {
        name: np.mean(
            [
                _resample(customers, churned, own[name].to_numpy(), thresholds, resamples, seed)
                for customers, churned, own in parts
            ],
            axis=0,
        )
        for name in risks
    }
    default = np.maximum(traced[EVERYBODY], 0)
    tables = [_tabulate(name, thresholds, values, default) for name, values in traced.items()]
    return concat_tables(tables, COLUMNS)


def _resample(
    customers: pd.Series,
    churned: np.ndarray,
    risk: np.ndarray,
    thresholds: np.ndarray,
    resamples: int,
    seed: int,
) -> np.ndarray:
    """Return net benefits on the sample and on each resample: (1 + resamples, thresholds)."""
    worth = np.where(churned[:, None], 1, -thresholds / (1 - thresholds))
    per_row = np.where(risk[:, None] >= thresholds, worth, 0)
    return np.vstack(
        [
            weights @ per_row / weights.sum(axis=1, keepdims=True)
            for weights in draw_weights(customers, resamples, seed)
        ]
    )


def _tabulate(
    policy: str, thresholds: np.ndarray, values: np.ndarray, default: np.ndarray
) -> pd.DataFrame:
    gains = values - default
    rows = [
        (
            policy,
            threshold,
            *percentile_interval(values[:, at]),
            *percentile_interval(gains[:, at]),
            *judge_difference(gains[:, at], True, len(thresholds))[1:3],
        )
        for at, threshold in enumerate(thresholds)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)

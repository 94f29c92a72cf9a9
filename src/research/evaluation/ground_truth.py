"""What models miss of the truth, where a generated company knows it; real customers' true risks
nobody knows.
"""

from datetime import date

import numpy as np
import pandas as pd

from research.evaluation.bootstrap import draw_weights, find_interval
from research.evaluation.intervals import Z
from research.simulate import Company
from research.simulate.company import BEYOND, DISCOUNT_A_YEAR, MARGIN_FEE, MARGIN_ORDERS
from research.simulate.draws import Clock
from research.simulate.outlook import expect_risks, expect_values
from research.study import Study

QUARTER_DAYS = (
    85,
    95,
)  # horizons for which the chance to leave within three calendar months is the answer
OFF_DAYS = 5  # that the window may begin before or after a month
EDGE = 1e-15
VALUE_DAYS_OFF = 10  # that a span of value may begin before or after a month

GRADES = [
    "model",
    "family",
    "log_loss",
    "gap_closed_share",
    "low",
    "high",
    "miss_points",
    "rank_correlation",
    "n",
]


def load_risks(study: Study, snapshot: date | None) -> pd.Series:
    """Return the true chance to leave within the three months that begin next to the window of a
    snapshot, as it is when they begin, by customer.

    It is the mean over the futures that may follow; see ``simulate.outlook.expect_risks``. What the
    months themselves will bring is in no risk.

    Returns
    -------
    Series ``true_risk`` by customer_id; empty where the study isn't generated, or the window is no
    three calendar months
        Of a large company its first 10,000 customers.
    """
    if study.simulate is None or snapshot is None:
        return pd.Series(dtype=float, name="true_risk")
    opens = pd.Timestamp(snapshot) + pd.Timedelta(days=study.churn.lead_days if study.churn else 0)
    first = (opens + pd.Timedelta(days=15)).to_period("M").start_time
    span = study.churn.horizon_days if study.churn else 0
    fits = QUARTER_DAYS[0] <= span <= QUARTER_DAYS[1] and abs((first - opens).days) <= OFF_DAYS
    if not fits:
        return pd.Series(dtype=float, name="true_risk")
    month = Clock(study.simulate.months).month_of(
        np.array([first.to_datetime64()], "datetime64[D]").astype(np.int64)
    )[0]
    return expect_risks(Company(**study.simulate.model_dump()), int(month))


def load_worth(study: Study, snapshot: pd.Timestamp) -> tuple[pd.Series, float]:
    """Return the true value of each customer over whole months from the one that begins next to a
    snapshot on, and how many days they are.

    The months fill ``economics.value_days``, as far as the company's paths go; see
    ``simulate.outlook.expect_values``. Margins and discount are the company's own: they are to be
    compared with values by the same terms.

    Returns
    -------
    Series ``true_value`` by customer_id, and days
        Empty and 0 where the study isn't generated, no month begins next to the snapshot, or
        study.yml states other terms.
    """
    nothing = pd.Series(dtype=float, name="true_value"), 0.0
    if study.simulate is None:
        return nothing
    terms, day = study.economics, pd.Timestamp(snapshot)
    first = (day + pd.Timedelta(days=15)).to_period("M").start_time
    own = (terms.fee_margin, terms.margin_share, terms.discount_rate) == (
        MARGIN_FEE,
        MARGIN_ORDERS,
        DISCOUNT_A_YEAR,
    )
    if not own or abs((first - day).days) > VALUE_DAYS_OFF:
        return nothing
    clock = Clock(study.simulate.months)
    month = int(
        clock.month_of(np.array([first.to_datetime64()], "datetime64[D]").astype(np.int64))[0]
    )
    months = min(round(terms.value_days / 30.4375), study.simulate.months + BEYOND - month)
    if months < 1 or not 0 <= month < study.simulate.months:
        return nothing
    return expect_values(Company(**study.simulate.model_dump()), month, months), float(
        (first + pd.DateOffset(months=months) - first).days
    )


def grade_values(
    values: dict[str, pd.Series], true_value: pd.Series, resamples: int, seed: int
) -> pd.DataFrame:
    """Return how far values are from the true ones, on the customers that are in both.

    Parameters
    ----------
    values : by model, Series by customer_id

    Returns
    -------
    DataFrame with columns model, metric, value, low, high, n
        ``rmse`` and ``mae`` in the currency, ``total_error_share``, ``rank_correlation`` (Spearman)
        and ``spread_explained_share``: one less the mean squared error over the variance of the
        true values. 95 % intervals by bootstrap of customers, that of the rank correlation aside:
        Fieller, Hartley and Pearson (1957), doi:10.1093/biomet/44.3-4.470.
    """
    rows = []
    for name, series in values.items():
        both = pd.concat(
            [series.rename("value"), true_value.rename("true")], axis=1, join="inner"
        ).dropna()
        value, true = both.value.to_numpy(float), both.true.to_numpy(float)
        weights = np.vstack([*draw_weights(both.index, resamples, seed)])
        size, error = weights.sum(axis=1), value - true
        squared, mean = weights @ error**2 / size, weights @ true / size
        spread = weights @ true**2 / size - mean**2
        found = {
            "rmse": np.sqrt(squared),
            "mae": weights @ np.abs(error) / size,
            "total_error_share": (weights @ value) / (weights @ true) - 1,
            "spread_explained_share": 1 - squared / spread,
        }
        rows += [
            (name, metric, *find_interval(numbers), len(both)) for metric, numbers in found.items()
        ]
        rows.append((name, "rank_correlation", *_rank(value, true), len(both)))
    return pd.DataFrame(rows, columns=["model", "metric", "value", "low", "high", "n"])


def _rank(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    found = (
        pd.Series(one).corr(pd.Series(other), method="spearman")
        if np.ptp(one) > 0 and np.ptp(other) > 0
        else np.nan
    )
    half = Z * np.sqrt(1.06 / max(len(one) - 3, 1))
    low, high = np.tanh(np.arctanh(np.clip(found, -1 + EDGE, 1 - EDGE)) + np.array([-half, half]))
    return found, low, high


def grade(
    predictions: pd.DataFrame,
    true_risk: pd.Series,
    families: dict[str, str],
    base: str,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return by how much each model misses the truth.

    The log-loss is the one expected under the true risks, so the luck of who happened to leave is
    not in it; who is missing from the truth is left out.

    Parameters
    ----------
    predictions : see ``risk.predict_out_of_time``, of one snapshot
    true_risk : by customer; see ``load_risks``
    base : the model from which the gap is counted

    Returns
    -------
    DataFrame with columns model, family, log_loss, gap_closed_share, low, high, miss_points,
    rank_correlation, n
        ``gap_closed_share`` is 0 for ``base`` and 1 for the truth itself, with its 95 % interval
        (bootstrap of customers); ``miss_points`` the root of the mean squared distance from the
        true risk, in percentage points; ``rank_correlation`` Spearman's.
    """
    rows = predictions[predictions.customer_id.isin(true_risk.index)]
    if rows.empty:
        return pd.DataFrame(columns=GRADES)
    truth = true_risk.loc[rows.customer_id].to_numpy()
    losses = {name: _expect_loss(truth, rows[name].to_numpy(float)) for name in families}
    best = _expect_loss(truth, truth)
    weights = np.vstack([*draw_weights(rows.customer_id, resamples, seed)])
    gap = weights @ (losses[base] - best)
    found = []
    for name, loss in losses.items():
        p, closed = rows[name].to_numpy(float), (weights @ (losses[base] - loss)) / gap
        rank = pd.Series(p).corr(pd.Series(truth), method="spearman") if np.ptp(p) > 0 else np.nan
        found.append(
            (
                name,
                families[name],
                loss.mean(),
                *find_interval(closed),
                100 * np.sqrt(((p - truth) ** 2).mean()),
                rank,
                len(rows),
            )
        )
    return pd.DataFrame(found, columns=GRADES)


def _expect_loss(truth: np.ndarray, p: np.ndarray) -> np.ndarray:
    p = np.clip(p, EDGE, 1 - EDGE)
    return -(truth * np.log(p) + (1 - truth) * np.log1p(-p))

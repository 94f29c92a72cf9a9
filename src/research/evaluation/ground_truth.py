"""How far predictions are from the truth, which only a generated company knows."""

from datetime import date

import numpy as np
import pandas as pd

from research.evaluation.bootstrap import draw_weights, percentile_interval
from research.evaluation.intervals import Z
from research.evaluation.metrics import clip_likelihoods
from research.simulate import Company
from research.simulate.company import BEYOND, DISCOUNT_A_YEAR, MARGIN_FEE, MARGIN_ORDERS
from research.simulate.draws import Clock
from research.simulate.outlook import expect_risks, expect_values
from research.store.keep import keep
from research.study import Study

# horizons for which the chance to leave within three calendar months is the answer
QUARTER_DAYS = (85, 95)
OFF_DAYS = 5  # that the window may begin before or after a month
VALUE_OFF_DAYS = 10  # that a span of value may begin before or after a month
LEAST_UNCORRELATED = (
    1e-15  # by which a correlation is kept off 1 and -1, whose interval is undefined
)
RISK_SCORES = [
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


@keep
def load_true_risks(study: Study, snapshot: date | None) -> pd.Series:
    """Return each customer's true chance to leave within the three months next to a label window.

    It is the mean over the futures that are possible when these months begin; see
    ``simulate.outlook.expect_risks``. What the months themselves will bring is in no risk.

    Returns
    -------
    Series ``true_risk`` by customer_id
        Empty where the study isn't generated, or the window isn't three calendar months. Of a large
        company its first 10,000 customers.
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


@keep
def load_true_values(study: Study, snapshot: pd.Timestamp) -> tuple[pd.Series, float]:
    """Return each customer's true value over the months next to a snapshot, and their days.

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
    if not own or abs((first - day).days) > VALUE_OFF_DAYS:
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


def score_values(
    values: dict[str, pd.Series], true_value: pd.Series, resamples: int, seed: int
) -> pd.DataFrame:
    """Return how far predicted values are from the true ones, for the customers that are in both.

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
        scores = {
            "rmse": np.sqrt(squared),
            "mae": weights @ np.abs(error) / size,
            "total_error_share": (weights @ value) / (weights @ true) - 1,
            "spread_explained_share": 1 - squared / spread,
        }
        rows += [
            (name, metric, *percentile_interval(resampled), len(both))
            for metric, resampled in scores.items()
        ]
        interval = _rank_correlation_interval(value, true)
        rows.append((name, "rank_correlation", *interval, len(both)))
    return pd.DataFrame(rows, columns=["model", "metric", "value", "low", "high", "n"])


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's rank correlation, empty where one side is constant."""
    if not (np.ptp(one) > 0 and np.ptp(other) > 0):
        return np.nan
    return pd.Series(one).corr(pd.Series(other), method="spearman")


def _rank_correlation_interval(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    value = _rank_correlation(one, other)
    half = Z * np.sqrt(1.06 / max(len(one) - 3, 1))
    inside = np.clip(value, -1 + LEAST_UNCORRELATED, 1 - LEAST_UNCORRELATED)
    low, high = np.tanh(np.arctanh(inside) + np.array([-half, half]))
    return value, low, high


@keep
def score_risks(
    predictions: pd.DataFrame,
    true_risk: pd.Series,
    families: dict[str, str],
    base: str,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return how far each model's probabilities are from the true risks.

    The log-loss is the one expected under the true risks, so it contains no chance of who happened
    to leave; customers whose true risk is unknown are left out.

    Parameters
    ----------
    predictions : see ``risk.predict.predict_out_of_time``, of one snapshot
    true_risk : by customer; see ``load_true_risks``
    families : by model
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
        return pd.DataFrame(columns=RISK_SCORES)
    truth = true_risk.loc[rows.customer_id].to_numpy()
    losses = {name: _expected_loss(truth, rows[name].to_numpy(float)) for name in families}
    least = _expected_loss(truth, truth)
    weights = np.vstack([*draw_weights(rows.customer_id, resamples, seed)])
    gap = weights @ (losses[base] - least)
    table = [
        (
            name,
            families[name],
            loss.mean(),
            *percentile_interval((weights @ (losses[base] - loss)) / gap),
            *_measure_distance(rows[name].to_numpy(float), truth),
            len(rows),
        )
        for name, loss in losses.items()
    ]
    return pd.DataFrame(table, columns=RISK_SCORES)


def _measure_distance(p: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return the root mean squared distance in percentage points, and the rank correlation."""
    return 100 * np.sqrt(((p - truth) ** 2).mean()), _rank_correlation(p, truth)


def _expected_loss(truth: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the log-loss of each row expected under the true risks: (rows,)."""
    p = clip_likelihoods(p)
    return -(truth * np.log(p) + (1 - truth) * np.log1p(-p))

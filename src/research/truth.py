"""What models miss of the truth, where a generated company knows it; real customers' true risks nobody knows."""

import numpy as np
import pandas as pd

from research.comparison import draw_weights, find_interval
from research.simulate import Company
from research.simulate.draws import Clock
from research.simulate.outlook import expect_risks
from research.studies import Study

QUARTER_DAYS = (85, 95)  # horizons for which the chance to leave within three calendar months is the answer
OFF_DAYS = 5  # that the window may begin before or after a month
EDGE = 1e-15


def load_risks(study: Study, snapshot: pd.Timestamp) -> pd.Series:
    """Return the true chance to leave within the three months that begin next to the window of a snapshot, as it is when they begin, by customer.

    It is the mean over the futures that may follow; see ``simulate.outlook.expect_risks``. What the months themselves will bring is in no risk.

    Returns
    -------
    Series ``true_risk`` by customer_id; empty where the study isn't generated, or the window is no three calendar months
        Of a large company its first 10,000 customers.
    """
    opens = pd.Timestamp(snapshot) + pd.Timedelta(days=study.churn.lead_days if study.churn else 0)
    first = (opens + pd.Timedelta(days=15)).to_period("M").start_time
    span = study.churn.horizon_days if study.churn else 0
    fits = QUARTER_DAYS[0] <= span <= QUARTER_DAYS[1] and abs((first - opens).days) <= OFF_DAYS
    if study.simulate is None or not fits:
        return pd.Series(dtype=float, name="true_risk")
    month = Clock(study.simulate.months).month_of(np.array([first.to_datetime64()], "datetime64[D]").astype(np.int64))[0]
    return expect_risks(Company(**study.simulate.model_dump()), int(month))


def grade(predictions: pd.DataFrame, true_risk: pd.Series, families: dict[str, str], base: str, resamples: int, seed: int) -> pd.DataFrame:
    """Return by how much each model misses the truth.

    The log-loss is the one expected under the true risks, so the luck of who happened to leave is not in it; who is missing from the truth is left out.

    Parameters
    ----------
    predictions : see ``risk.predict_out_of_time``, of one snapshot
    true_risk : by customer; see ``load_risks``
    base : the model from which the gap is counted

    Returns
    -------
    DataFrame with columns model, family, log_loss, gap_closed_share, low, high, miss_points, rank_correlation, n
        ``gap_closed_share`` is 0 for ``base`` and 1 for the truth itself, with its 95 % interval (bootstrap of customers); ``miss_points`` the
        root of the mean squared distance from the true risk, in percentage points; ``rank_correlation`` Spearman's.
    """
    rows = predictions[predictions.customer_id.isin(true_risk.index)]
    truth = true_risk.loc[rows.customer_id].to_numpy()
    losses = {name: _expect_loss(truth, rows[name].to_numpy(float)) for name in families}
    best = _expect_loss(truth, truth)
    weights = np.vstack([*draw_weights(rows.customer_id, resamples, seed)])
    gap = weights @ (losses[base] - best)
    found = []
    for name, loss in losses.items():
        p, closed = rows[name].to_numpy(float), (weights @ (losses[base] - loss)) / gap
        rank = pd.Series(p).corr(pd.Series(truth), method="spearman") if np.ptp(p) > 0 else np.nan
        found.append((name, families[name], loss.mean(), *find_interval(closed), 100 * np.sqrt(((p - truth) ** 2).mean()), rank, len(rows)))
    columns = ["model", "family", "log_loss", "gap_closed_share", "low", "high", "miss_points", "rank_correlation", "n"]
    return pd.DataFrame(found, columns=columns)


def _expect_loss(truth: np.ndarray, p: np.ndarray) -> np.ndarray:
    p = np.clip(p, EDGE, 1 - EDGE)
    return -(truth * np.log(p) + (1 - truth) * np.log1p(-p))

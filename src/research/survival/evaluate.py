"""Predicted survival curves judged on what happened: scores, calibration, censoring."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from research.evaluation.intervals import Z
from research.evaluation.survival_metrics import score_models
from research.models.registry import BASELINE, Model
from research.survival.cox import log_rank_test
from research.survival.follow_up import SurvivalPanel
from research.survival.predict import KAPLAN_MEIER, count_at_risk

RISK_GROUPS = 5


def score_predictions(
    panel: SurvivalPanel,
    curves: dict[str, np.ndarray],
    models: dict[str, Model],
    resamples: int,
    seed: int,
    folds: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return every score of every model on the test rows; see ``survival_metrics.score_models``.

    Parameters
    ----------
    folds : see ``predict.find_folds``
    """
    return score_models(
        panel.train_outcome,
        panel.test_outcome,
        curves,
        {name: model.family for name, model in models.items()},
        KAPLAN_MEIER,
        panel.days,
        panel.test.customer_id,
        resamples,
        seed,
        folds=folds,
    )


def find_best_model(scores: pd.DataFrame) -> str:
    """Return the model, not the baseline, with the lowest integrated Brier score."""
    rows = scores[(scores.metric == "integrated_brier") & (scores.family != BASELINE)]
    return rows.model[rows.value.idxmin()]


def bin_calibration(
    outcome: np.ndarray,
    curves: dict[str, np.ndarray],
    days: Sequence[float],
    bins: int = RISK_GROUPS,
) -> pd.DataFrame:
    """Return predicted against observed shares who left by each day, by predicted risk.

    Returns
    -------
    DataFrame with columns model, days, bin, predicted, observed, low, high, n
        Observed: one minus Kaplan-Meier of the group, with its 95 % interval (Greenwood, log-log).
        Equal predictions share a group.
    """
    rows = []
    for model, curve in curves.items():
        for place, day in enumerate(days):
            risk = 1 - curve[:, place]
            bin_of = _cut_by_rank(risk, bins).to_numpy()
            for number in np.unique(bin_of):
                inside = bin_of == number
                observed = _observe(outcome[inside], day)
                rows.append((model, day, number, risk[inside].mean(), *observed, int(inside.sum())))
    return pd.DataFrame(
        rows, columns=["model", "days", "bin", "predicted", "observed", "low", "high", "n"]
    )


def _cut_by_rank(risk: np.ndarray, groups: int) -> pd.Series:
    """Return the group of each row, from 1 at the lowest risk on."""
    return np.ceil(pd.Series(risk).rank() / len(risk) * groups).astype(int)


def _observe(outcome: np.ndarray, day: float) -> tuple[float, float, float]:
    """Return the share that left by a day, one minus Kaplan-Meier, with its interval.

    The interval is empty where nobody, or everybody, left.
    """
    days, at_risk, left = count_at_risk(outcome)
    at_risk, left = at_risk[days <= day], left[days <= day]
    survival = np.prod(1 - left / at_risk)
    if not 0 < survival < 1:
        return 1 - survival, np.nan, np.nan
    error = np.sqrt((left / (at_risk * (at_risk - left))).sum()) / np.log(survival)
    return 1 - survival, 1 - survival ** np.exp(Z * error), 1 - survival ** np.exp(-Z * error)


def check_independent_censoring(
    outcome: np.ndarray, curve: np.ndarray, groups: int = RISK_GROUPS
) -> float:
    """Return the p-value of the test that censoring doesn't depend on the predicted risk.

    The log-rank test of the time to censoring between fifths of the risk. Kaplan-Meier, and scores
    weighted by one censoring curve for everybody, assume it. It is true where all are censored at
    the data end, counted from one snapshot; in a flat study customers who joined lately may differ
    from those who joined long ago.
    """
    group = _cut_by_rank(1 - curve[:, -1], groups)
    censoring = pd.DataFrame(
        {"entry": 0.0, "duration": outcome["days"], "ended": ~outcome["event"]}
    )
    if not censoring.ended.any() or group.nunique() < 2:
        return np.nan
    return log_rank_test(censoring, group)[2]

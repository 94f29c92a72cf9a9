"""Values compared with the true ones, which only a generated company knows."""

import pandas as pd

from research.data.contracts import Tables
from research.evaluation.ground_truth import load_true_values, score_values
from research.store.keep import keep
from research.study import Study
from research.value.customers import value_over_days
from research.value.valuation import Valuation


@keep
def score_against_truth(
    valuation: Valuation, tables: Tables, study: Study, resamples: int, seed: int
) -> tuple[pd.DataFrame, float]:
    """Return the errors of the values, and of those by one curve for all, and the days they cover.

    Returns
    -------
    DataFrame as from ``ground_truth.score_values``, and days
        Without columns, and 0, where no true values are known.
    """
    true_values, days = load_true_values(study, valuation.snapshot)
    if not len(true_values):
        return pd.DataFrame(), 0.0
    estimates = value_over_days(tables, study, valuation, days, seed)
    return score_values(estimates, true_values, resamples, seed), days

"""What came after the snapshot for each unit that was expected, and intervals that hold it.

Intervals by refitted models cover the sampling error of the customers learned from, and nothing of
a model that is wrong. The ratio of the actual to the predicted sum of a holdout shows that error:
it is taken to hold for the rest of the span, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
from pandas.core.groupby import DataFrameGroupBy

from research.data.contracts import Tables
from research.data.coverage import find_data_end
from research.evaluation.bootstrap import draw_weights, percentile_interval
from research.evaluation.intervals import TAIL, Z
from research.panel.evidence import evidence_as_of
from research.panel.labels import find_population, label_churn
from research.panel.periods import close_window, complete_labels
from research.store.keep import keep
from research.study import Study
from research.value.purchases import load_window
from research.value.valuation import Valuation

FIFTHS = 5
CHECK = ["what", "until", "customers", "expected", "actual", "ratio", "low", "high"]
WORTH = "value of keeping those who leave in the window"
MARGIN = "margin of the holdout days lost to leavers"
Sums = tuple[np.ndarray, np.ndarray]  # predicted and actual, (customers,) each


@dataclass(frozen=True)
class HoldoutErrors:
    """What was expected of each customer, and what came, in the order of the values.

    Attributes
    ----------
    customers : they are resampled
    money : predicted and actual spending or margin of the holdout; none without one
    costs : expected and actual cost of churn of the label window, by what it is made of; empty
        where the window isn't over
    """

    customers: Sequence
    money: Sums | None
    costs: dict[str, Sums]
    resamples: int
    seed: int

    def draw_ratios(self, sums: Sums | None, inside: np.ndarray) -> np.ndarray:
        """Return actual to predicted of some customers, then of resamples: (1 + resamples,).

        Empty where nothing was predicted, or there is nothing to compare.
        """
        if sums is None or not sums[0][inside].sum() > 0:
            return np.zeros(0)
        both = np.column_stack(sums)[inside]
        drawn = draw_weights(np.asarray(self.customers)[inside], self.resamples, self.seed)
        predicted, actual = np.concatenate([weights @ both for weights in drawn]).T
        ratios = np.divide(actual, predicted, out=np.full(len(actual), np.nan), where=predicted > 0)
        return ratios[np.isfinite(ratios)]


@keep
def load_errors(
    valuation: Valuation, tables: Tables, study: Study, resamples: int, seed: int
) -> HoldoutErrors:
    """Return what was expected and what came of every valued customer."""
    customers, money = valuation.values.customer_id.to_numpy(), None
    if valuation.holdout:
        outcome = "amount" if "amount" in valuation.holdout.actual else "margin"
        predicted = valuation.holdout.predicted[outcome][valuation.model]
        money = (np.asarray(predicted, float), np.asarray(valuation.holdout.actual[outcome], float))
    costs = {} if valuation.snapshot is None else _load_costs(valuation, tables, study)
    return HoldoutErrors(customers, money, costs, resamples, seed)


def _load_costs(valuation: Valuation, tables: Tables, study: Study) -> dict[str, Sums]:
    snapshot, values = valuation.snapshot, valuation.values
    if complete_labels(study.churn, snapshot) > find_data_end(tables, study):
        return {}
    left = _find_leavers(valuation, tables, study)
    worth = values.value_of_keeping.to_numpy(float)
    costs = {WORTH: (values.risk.to_numpy(float) * worth, left.left.to_numpy(float) * worth)}
    if study.kind == "contractual" and valuation.holdout:
        predicted = valuation.holdout.predicted["margin"]
        margins, span = values.margin_per_day.to_numpy(float), valuation.holdout_days
        lost = np.where(left.event, np.clip(span - left.duration_days, 0, None), 0.0)
        costs[MARGIN] = (margins * span - predicted[valuation.model], margins * lost)
    return costs


def _find_leavers(valuation: Valuation, tables: Tables, study: Study) -> pd.DataFrame:
    """Return who left by the end of the label window, or bought nothing in it, in the order of the
    values; of contracts also the days until an end.
    """
    snapshot, customers = valuation.snapshot, valuation.values.customer_id
    if study.kind == "non_contractual":
        opens = snapshot + timedelta(days=study.churn.lead_days)
        window = load_window(tables, customers, opens, close_window(study.churn, snapshot))
        return pd.DataFrame({"left": window.purchases == 0})
    population = find_population(evidence_as_of(tables, (snapshot,)), study)
    labels = label_churn(tables, population, study).to_pandas().set_index("customer_id")
    rows = labels.loc[customers].reset_index()
    return rows.assign(left=rows.left_in_lead | rows.churned)


def check_cost_of_churn(errors: HoldoutErrors, valuation: Valuation, study: Study) -> pd.DataFrame:
    """Return the expected cost of churn of the label window beside that of those who left.

    Returns
    -------
    DataFrame with columns what, until, customers, expected, actual, ratio, low, high
        Sums in the study's currency, over the same customers. ``ratio`` is actual to expected, with
        its 95 % interval by resampled customers: below 1 the cost of churn was overstated. The
        value of keeping is predicted on both sides, so the first row judges the risks as they are
        weighted by it; the margin lost in the days of the holdout (contracts) is not discounted.
        Empty where the window isn't over.
    """
    rows = []
    for what, sums in errors.costs.items():
        inside = np.ones(len(errors.customers), bool)
        ratios = errors.draw_ratios(sums, inside)
        if not len(ratios):
            continue
        until = valuation.holdout.until if what == MARGIN else None
        until = until or close_window(study.churn, valuation.snapshot)
        totals = (float(each.sum()) for each in sums)
        rows.append((what, until, len(inside), *totals, *percentile_interval(ratios)))
    return pd.DataFrame(rows, columns=CHECK)


def widen_interval(
    total: float, resampled: np.ndarray, scale: float, ratios: np.ndarray, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of a sum that holds its sampling error and that of the holdout.

    It reaches as far as the interval of the total by sampling error alone, and as that of the total
    times the ratio of actual to predicted of each resample, with the same sampling error.

    Parameters
    ----------
    resampled, scale : sums by refitted models, see ``valuation.Valuation``
    ratios : see ``HoldoutErrors.draw_ratios``
    """
    error = scale * resampled.std(ddof=1) if len(resampled) > 1 else 0.0
    noise = np.random.default_rng(seed).normal(0, error, len(ratios) - 1)
    low, high = np.quantile((total + noise) * ratios[1:], (TAIL, 1 - TAIL))
    return max(min(low, total - Z * error), 0.0), max(high, total + Z * error)


def find_misses(errors: HoldoutErrors) -> np.ndarray:
    """Return by how much of the prediction the holdout missed, by fifth of it: (customers,).

    0 without a holdout.
    """
    if errors.money is None:
        return np.zeros(len(errors.customers))
    sums = _group_sums(errors).transform("sum")
    return _miss(sums).to_numpy()


def transfer_misses(errors: HoldoutErrors, values: Sequence[float]) -> np.ndarray:
    """Return the misses of ``find_misses`` for customers of another day: (customers,).

    Each has that of the fifth of the value in which it lies among them.
    """
    if errors.money is None:
        return np.zeros(len(values))
    by_fifth = _miss(_group_sums(errors).sum())
    fifths = _cut_fifths(np.asarray(values, float), errors.seed)
    return by_fifth.reindex(fifths).fillna(0.0).to_numpy()


def _group_sums(errors: HoldoutErrors) -> DataFrameGroupBy:
    predicted, actual = errors.money
    sums = pd.DataFrame({"predicted": predicted, "actual": actual})
    return sums.groupby(_cut_fifths(predicted, errors.seed))


def _cut_fifths(numbers: np.ndarray, seed: int) -> np.ndarray:
    """Return the fifth of each number, 1 to 5; equal ones are parted at random."""
    order = np.random.default_rng(seed).permutation(len(numbers))
    rank = pd.Series(numbers).iloc[order].rank(method="first").sort_index()
    return np.ceil(rank / len(rank) * FIFTHS).to_numpy()


def _miss(sums: pd.DataFrame) -> pd.Series:
    return (sums.actual / sums.predicted - 1).where(sums.predicted > 0, 0.0)

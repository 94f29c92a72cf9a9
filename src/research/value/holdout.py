"""What came after the snapshot beside what was expected: purchases, money, week by week, in tenths,
against rules that need no model.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.evaluation.bootstrap import draw_weights, find_interval, judge
from research.evaluation.intervals import Z
from research.models.clv.max_likelihood import Fit
from research.panel.evidence import cut
from research.panel.purchase_history import HISTORY
from research.panel.spells import is_purchase, net_amount
from research.value.expected_value import MODELS

METRICS = ("rmse", "mae", "total_error_share", "correlation")
ZERO, LAST, RATE, MEAN = "zero", "as in the last period", "at the own rate", "the same for all"
REFERENCE = "reference"
WEEK = 7


def sum_window(orders: ir.Table, opens: date, closes: date) -> ir.Table:
    """Return what each customer bought in ``(opens, closes]``.

    Returns
    -------
    table with columns customer_id, purchases, amount
        Days with a purchase, and what was spent on all days, returns taken off. Customers without a
        line in the window have no row.
    """
    low, high = (
        datetime(day.year, day.month, day.day) + timedelta(days=1) for day in (opens, closes)
    )
    lines = orders.filter(orders.ordered_at >= low, orders.ordered_at < high)
    lines = lines.mutate(
        day=is_purchase(lines).ifelse(lines.ordered_at.truncate("D"), None), net=net_amount(lines)
    )
    return lines.group_by("customer_id").agg(
        purchases=lines.day.nunique(), amount=lines.net.sum().cast("float64")
    )


def load_later(tables: Tables, customers: pd.Series, snapshot: date, until: date) -> pd.DataFrame:
    """Return what came after the snapshot, up to and including ``until``: columns purchases,
    amount, in the order of ``customers``.
    """
    return _align(sum_window(tables["orders"], snapshot, until), customers)


def load_last_period(
    tables: Tables, customers: pd.Series, snapshot: date, span: int
) -> pd.DataFrame:
    """Return what was known at the snapshot to have come in the ``span`` days up to it: columns
    purchases, amount, in the order of ``customers``.
    """
    known = cut(tables["orders"], "orders", [snapshot])
    return _align(sum_window(known, snapshot - timedelta(days=span), snapshot), customers)


def _align(table: ir.Table, customers: pd.Series) -> pd.DataFrame:
    found = table.to_pandas().set_index("customer_id").reindex(customers).fillna(0.0).astype(float)
    return found.reset_index(drop=True)


def predict_baselines(
    histories: pd.DataFrame, last: pd.DataFrame, span: float
) -> dict[str, dict[str, np.ndarray]]:
    """Return what rules without a model expect over a span, by outcome (purchases, amount) and
    rule.

    Nothing; as much as in a period of the same length before, the first purchase left out, since it
    made the customer; at the customer's own rate of repeat purchases so far; and at the mean rate
    of all, the same for everybody.

    Parameters
    ----------
    histories : see ``value.load_histories``
    last : see ``load_last_period``
    """
    age = np.maximum(histories.age_days.to_numpy(float), 1.0)
    repeats, new = histories.n_repeat.to_numpy(float), histories.age_days.to_numpy(float) < span
    spent = repeats * np.nan_to_num(histories.mean_amount.to_numpy(float))
    first = np.nan_to_num(histories.first_amount.to_numpy(float))
    before = {"purchases": last.purchases - new, "amount": last.amount - new * first}
    found = {}
    for outcome, so_far in (("purchases", repeats), ("amount", spent)):
        mean = np.full(len(histories), so_far.sum() / age.sum() * span)
        found[outcome] = {
            ZERO: np.zeros(len(histories)),
            LAST: before[outcome].to_numpy(),
            RATE: so_far * span / age,
            MEAN: mean,
        }
    return found


def tabulate_deciles(expected: dict[str, np.ndarray], later: np.ndarray, groups: int = 10) -> pd.DataFrame:
    """Return expected against actual after T, in equal groups by what a model expects, for each
    model.

    Parameters
    ----------
    expected : by model, (rows,), purchases or money expected in the holdout
    later : (rows,), what came

    Returns
    -------
    DataFrame with columns model, group, expected, actual, low, high, n
        Group 0 holds all customers. Expected and actual are means per customer; ``low`` and
        ``high`` the 95 % interval of the actual mean (normal). Customers of whom the same is
        expected are put into groups by lot.
    """
    tables, later = [], np.asarray(later, float)
    order = np.random.default_rng(0).permutation(len(later))
    for model, values in expected.items():
        rows = pd.DataFrame({"expected": values, "actual": later}).iloc[order]
        rows["group"] = np.ceil(
            rows.expected.rank(method="first") / len(rows) * min(groups, len(rows))
        ).astype(int)
        every = pd.concat([rows.assign(group=0), rows]).groupby("group")
        counted = every.agg(
            expected=("expected", "mean"),
            actual=("actual", "mean"),
            n=("actual", "size"),
            error=("actual", "sem"),
        )
        tables.append(counted.reset_index().assign(model=model))
    found = pd.concat(tables, ignore_index=True)
    found["low"], found["high"] = found.actual - Z * found.error, found.actual + Z * found.error
    return found[["model", "group", "expected", "actual", "low", "high", "n"]]


def score_holdout(
    expected: dict[str, np.ndarray],
    later: np.ndarray,
    families: dict[str, str],
    customers: Sequence,
    resamples: int,
    seed: int,
    reference: str | None = None,
) -> pd.DataFrame:
    """Return how far each model is from what came, with intervals, and the paired difference to a
    reference.

    Parameters
    ----------
    expected, later : see ``tabulate_deciles``
    families : by model; ``reference`` for the rules
    customers : of the rows; they are resampled
    reference : from which differences count; the rule with the least RMSE unless given

    Returns
    -------
    DataFrame with columns model, family, metric, value, low, high, reference, difference,
    difference_low, difference_high, verdict, n
        ``rmse`` and ``mae`` per customer, ``total_error_share`` how much more was expected than
        came as a share of what came, ``correlation`` Pearson's. Differences of the total error are
        of its distances from 0. Verdicts as in ``comparison.judge``, widened for the number of
        models; an expected number is what squared errors ask for, so that where most buy nothing
        the rule "zero" has the better absolute error by construction.
    """
    scores = _resample(expected, np.asarray(later, float), customers, resamples, seed)
    rules = [name for name in expected if families[name] == REFERENCE]
    against = reference or min(rules, key=lambda name: scores[name]["rmse"][0])
    rows = []
    for name in expected:
        for metric in METRICS:
            one, other = _gain(metric, scores[name][metric]), _gain(metric, scores[against][metric])
            told = (
                (
                    *find_interval(one - other),
                    judge(one - other, metric == "correlation", len(expected) - 1),
                )
                if name != against
                else (np.nan,) * 3 + ("",)
            )
            rows.append(
                (
                    name,
                    families[name],
                    metric,
                    *find_interval(scores[name][metric]),
                    against if name != against else "",
                    *told,
                    len(later),
                )
            )
    columns = (
        "model family metric value low high reference difference difference_low difference_high"
        " verdict n"
    )
    return pd.DataFrame(rows, columns=columns.split())


def _gain(metric: str, values: np.ndarray) -> np.ndarray:
    return np.abs(values) if metric == "total_error_share" else values


def _resample(
    expected: dict[str, np.ndarray],
    later: np.ndarray,
    customers: Sequence,
    resamples: int,
    seed: int,
) -> dict[str, dict[str, np.ndarray]]:
    """Return every score of every model on the sample (first entry) and on each resample of the
    customers.
    """
    pieces = {name: {metric: [] for metric in METRICS} for name in expected}
    for weights in draw_weights(customers, resamples, seed):
        size, came = weights.sum(axis=1), weights @ later
        for name, values in expected.items():
            error, total = values - later, weights @ values
            pieces[name]["rmse"].append(np.sqrt(weights @ error**2 / size))
            pieces[name]["mae"].append(weights @ np.abs(error) / size)
            pieces[name]["total_error_share"].append(
                np.divide(total, came, out=np.full(len(size), np.nan), where=came > 0) - 1
            )
            pieces[name]["correlation"].append(_correlate(values, later, weights, size))
    return {
        name: {metric: np.concatenate(parts) for metric, parts in scores.items()}
        for name, scores in pieces.items()
    }


def _correlate(
    values: np.ndarray, later: np.ndarray, weights: np.ndarray, size: np.ndarray
) -> np.ndarray:
    one, other = weights @ values / size, weights @ later / size
    spread = (weights @ values**2 / size - one**2) * (weights @ later**2 / size - other**2)
    shared = weights @ (values * later) / size - one * other
    known = spread > 1e-18
    return np.where(
        known & (np.ptp(values) > 0), shared / np.sqrt(np.where(known, spread, 1)), np.nan
    )


def count_repeats(
    tables: Tables, histories: pd.DataFrame, snapshot: date, until: date
) -> pd.Series:
    """Return by day how many of the customers with a history bought again on it, up to
    ``until``.
    """
    first = pd.Series(
        pd.Timestamp(snapshot) - pd.to_timedelta(histories.age_days, unit="D")
    ).set_axis(histories.customer_id)
    orders = tables["orders"]
    lines = orders.filter(
        is_purchase(orders),
        orders.ordered_at < datetime(until.year, until.month, until.day) + timedelta(days=1),
    )
    days = lines.select("customer_id", day=lines.ordered_at.truncate("D")).distinct().to_pandas()
    days = days[days.day > days.customer_id.map(first)]
    return days.groupby("day").size()


def track_purchases(
    histories: pd.DataFrame,
    rhythms: dict[str, Fit],
    repeats: pd.Series,
    snapshot: date,
    until: date,
) -> pd.DataFrame:
    """Return expected against actual repeat purchases of all customers with a history, week by week
    from the first day of the data on.

    Parameters
    ----------
    rhythms : by name, of ``value.MODELS``; what is expected is that of a new customer from the
        first purchase on, whatever came since
    repeats : see ``count_repeats``

    Returns
    -------
    DataFrame with columns model, week_ends, expected, actual, expected_total, actual_total, holdout
        One row per model and week; a week ends on the snapshot, ``holdout`` are the weeks after it,
        the last of which may be short.
    """
    day = pd.Timestamp(snapshot)
    age, ahead = int(histories.age_days.max()), (until - snapshot).days
    ends = [*range(-(age // WEEK) * WEEK, ahead + 1, WEEK)]
    ends += [ahead] if ends[-1] < ahead else []
    came = pd.Series(repeats.to_numpy(), (repeats.index - day).days)
    actual = [came[came.index <= end].sum() for end in ends]
    kinds = (
        histories[["age_days", *(["first_amount"] if "first_amount" in histories else [])]]
        .value_counts(dropna=False)
        .reset_index(name="rows")
    )
    tables = []
    for name, rhythm in rhythms.items():
        found = np.array([_expect_new(kinds, name, rhythm, end) for end in ends])
        table = pd.DataFrame(
            {
                "week_ends": day + pd.to_timedelta(ends, unit="D"),
                "expected_total": found,
                "actual_total": actual,
            }
        ).assign(model=name)
        tables.append(
            table.assign(
                expected=np.diff(found, prepend=0),
                actual=np.diff(actual, prepend=0),
                holdout=np.array(ends) > 0,
            )
        )
    return pd.concat(tables, ignore_index=True)[
        ["model", "week_ends", "expected", "actual", "expected_total", "actual_total", "holdout"]
    ]


def _expect_new(kinds: pd.DataFrame, name: str, rhythm: Fit, end: float) -> float:
    """Return how many repeat purchases were to be expected by a day, counted from T, of customers
    of whom only the first purchase is known.
    """
    lived = np.maximum(kinds.age_days.to_numpy(float) + end, 0)
    new = kinds.assign(**dict.fromkeys(HISTORY, 0.0))
    return float(kinds.rows.to_numpy(float) @ MODELS[name].predict_purchases(new, rhythm, lived))


def simulate_error_floor(
    histories: pd.DataFrame,
    simulate: Callable,
    rhythm: Fit,
    predict: Callable,
    span: float,
    draws: int,
    seed: int,
) -> pd.DataFrame:
    """Return the scores that a model would have if it were true: what luck alone leaves, to whoever
    knows the histories and nothing else.

    Parameters
    ----------
    simulate : of the model's module: histories of the same ages, and later purchases, by its own
        story
    predict : of the model's module, ``predict_purchases``

    Returns
    -------
    DataFrame with columns metric, value, low, high
        Median, and 2.5 % and 97.5 % quantiles, over ``draws`` simulated companies. The parameters
        are taken as known.
    """
    rows = []
    for number in range(draws):
        made, later = simulate(histories, rhythm, span, seed + number)
        expected = predict(made, rhythm, span)
        rows.append(
            (
                np.sqrt(((expected - later) ** 2).mean()),
                np.abs(expected - later).mean(),
                expected.sum() / max(later.sum(), 1) - 1,
            )
        )
    low, value, high = np.percentile(rows, (2.5, 50, 97.5), axis=0)
    return pd.DataFrame({"metric": METRICS[:3], "value": value, "low": low, "high": high})

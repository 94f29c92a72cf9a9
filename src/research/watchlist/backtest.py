"""Did the lists warn in time? Lists of past days judged by who left after them.

Every list is judged at the same capacity, on the customers of its day; differences are paired by
customer, since the same customers stand in several snapshots.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from research.evaluation.bootstrap import (
    draw_weights,
    judge_difference,
    percentile_interval,
    subtract,
)

VALUABLE_SHARE = 0.2  # of the customers of a day, by value
SCORES = ("precision", "recall", "lift", "valuable_precision", "value_lift")
LISTED = "the list"
BACKTEST = ["ranking", "score", "value", "low", "high", "lists", "customers"]
DIFFERENCES = ["reference", "score", "value", "low", "high", "verdict"]


def mark_listed(rows: pd.DataFrame, rankings: Sequence[str], capacity: int) -> pd.DataFrame:
    """Return who stands on the list of each day by each ranking.

    Parameters
    ----------
    rows : one row per snapshot and customer, with snapshot, customer_id and a column for each
        ranking, higher first; ties are broken by the customer's id

    Returns
    -------
    DataFrame of booleans, the columns ``rankings``
    """
    ordered = rows.reset_index(drop=True).sort_values("customer_id", kind="stable")
    places = {
        name: ordered.groupby("snapshot")[name].rank(ascending=False, method="first")
        for name in rankings
    }
    return (pd.DataFrame(places) <= capacity).sort_index().set_index(rows.index)


def score_lists(
    rows: pd.DataFrame, rankings: Sequence[str], capacity: int, resamples: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return how well lists found who left, and what the first ranking gains on the others.

    Parameters
    ----------
    rows : one row per snapshot and customer judged, with snapshot, customer_id, left, value, and a
        column for each ranking
    rankings : the first is the one that is judged; the others its baselines

    Returns
    -------
    scores : DataFrame with columns ranking, score, value, low, high, lists, customers
        ``precision``: the share of the listed who left; ``recall``: the share of those who left
        that was listed; ``lift``: those found over what random lists of the same lengths find on
        average; ``valuable_precision``: precision among the fifth with the highest value;
        ``value_lift``: the lift with each who left counted by the value, empty where none is known.
        Over all lists together, with 95 % intervals by bootstrap of customers.
    differences : DataFrame with columns reference, score, value, low, high, verdict
        Of the first ranking, adjusted for the number of references; see ``judge_difference``.
    """
    listed = mark_listed(rows, rankings, capacity)
    valuable = rows.groupby("snapshot").value.rank(pct=True, ascending=False) <= VALUABLE_SHARE
    left, rich = rows.left.to_numpy(float), valuable.to_numpy(float)
    value = rows.value.fillna(0).clip(lower=0).to_numpy(float)
    # what a random list of each day finds on average: days differ in customers and in churn
    share = listed[rankings[0]].groupby(rows.snapshot).transform("mean").to_numpy(float)
    parts = {"left": left, "by_chance": left * share, "value_by_chance": value * left * share}
    for name in rankings:
        marked = listed[name].to_numpy(float)
        parts |= {
            (name, "found"): marked * left,
            (name, "listed"): marked,
            (name, "rich_found"): marked * left * rich,
            (name, "rich"): marked * rich,
            (name, "value_found"): marked * left * value,
        }
    sums = resample_sums(rows.customer_id, parts, resamples, seed)
    resampled = {name: _score(sums, name) for name in rankings}
    size = (rows.snapshot.nunique(), rows.customer_id.nunique())
    scores = pd.DataFrame(
        [
            (name, score, *percentile_interval(values), *size)
            for name, by_score in resampled.items()
            for score, values in by_score.items()
        ],
        columns=BACKTEST,
    )
    return scores, _compare(resampled, rankings)


def resample_sums(
    customers: Sequence, parts: dict, resamples: int, seed: int
) -> dict[object, np.ndarray]:
    """Return sums over rows, on the sample (first entry) and on resampled customers, by name.

    Parameters
    ----------
    customers : of each row
    parts : by name, a number for each row
    """
    codes, people = pd.factorize(np.asarray(customers), sort=True)
    columns = [np.bincount(codes, values, len(people)) for values in parts.values()]
    by_customer = np.column_stack(columns)
    sums = np.vstack([weights @ by_customer for weights in draw_weights(people, resamples, seed)])
    return dict(zip(parts, sums.T, strict=True))


def _score(sums: dict, name: str) -> dict[str, np.ndarray]:
    """Return each score on the sample (first entry) and on each resample."""
    found, on_list = sums[name, "found"], sums[name, "listed"]
    precision = divide(found, on_list)
    return {
        "precision": precision,
        "recall": divide(found, sums["left"]),
        "lift": divide(found, sums["by_chance"]),
        "valuable_precision": divide(sums[name, "rich_found"], sums[name, "rich"]),
        "value_lift": divide(sums[name, "value_found"], sums["value_by_chance"]),
    }


def divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return the ratio, empty where there is nothing to divide by."""
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)


def _compare(resampled: dict[str, dict[str, np.ndarray]], rankings: Sequence[str]) -> pd.DataFrame:
    first, *others = rankings
    return pd.DataFrame(
        [
            (
                name,
                score,
                *judge_difference(
                    subtract(resampled[first][score], resampled[name][score]), True, len(others)
                ),
            )
            for name in others
            for score in SCORES
        ],
        columns=DIFFERENCES,
    )


def measure_lead_times(
    rows: pd.DataFrame, listed: pd.Series, left_at: pd.Series, lead_days: int
) -> pd.DataFrame:
    """Return for each customer who left within the time replayed when a list first warned of it.

    A customer who comes back and leaves again counts by the first leave after the first snapshot.

    Parameters
    ----------
    rows : see ``score_lists``
    listed : of each row
    left_at : day of leaving, by customer_id; empty of who stayed

    Returns
    -------
    DataFrame with columns customer_id, left_at, first_listed, lead_time_days, lists, in_time
        One row per customer who left after the first snapshot that the customer stands in.
        ``first_listed`` is empty of who left without being listed before; ``in_time``: at least
        ``lead_days`` before.
    """
    days = left_at.reindex(rows.customer_id).to_numpy()
    before = rows.assign(listed=listed.to_numpy(), left_at=days)
    before = before[before.left_at.notna() & (before.snapshot < before.left_at)]
    warned = before[before.listed].groupby("customer_id").snapshot
    table = before.groupby("customer_id").left_at.first().to_frame()
    table["first_listed"] = warned.min()
    table["lead_time_days"] = (table.left_at - table.first_listed).dt.days
    table["lists"] = warned.count().reindex(table.index).fillna(0).astype(int)
    table["in_time"] = table.lead_time_days >= max(lead_days, 1)
    return table.reset_index()


def summarise_lead_times(leavers: pd.DataFrame) -> pd.DataFrame:
    """Return how many of those who left were listed before, how long before, and in time.

    Returns
    -------
    DataFrame with one row: left, listed, in_time, listed_share, in_time_share, and tenth, median
    and ninetieth percentile of the lead time in days
    """
    lead = leavers.lead_time_days.dropna()
    left, listed, timely = len(leavers), len(lead), int(leavers.in_time.sum())
    tenth, middle, most = lead.quantile([0.1, 0.5, 0.9]) if listed else [np.nan] * 3
    row = {
        "left": left,
        "listed": listed,
        "in_time": timely,
        "listed_share": listed / left if left else np.nan,
        "in_time_share": timely / left if left else np.nan,
        "tenth_days": tenth,
        "median_days": middle,
        "ninetieth_days": most,
    }
    return pd.DataFrame([row])


def measure_turnover(rows: pd.DataFrame, listed: pd.Series) -> pd.DataFrame:
    """Return how much the list changes from one day to the next.

    Returns
    -------
    DataFrame with columns snapshot, listed, kept, kept_share
        ``kept``: who stood on the list before, of those still customers; one row per list but the
        first.
    """
    rows = rows.assign(listed=listed.to_numpy())
    days = sorted(rows.snapshot.unique())
    lists = {day: {*part.customer_id[part.listed]} for day, part in rows.groupby("snapshot")}
    present = {day: {*part.customer_id} for day, part in rows.groupby("snapshot")}
    table = [
        (day, len(lists[day]), len(lists[day] & lists[before]), len(lists[before] & present[day]))
        for before, day in zip(days, days[1:], strict=False)
    ]
    frame = pd.DataFrame(table, columns=["snapshot", "listed", "kept", "could"])
    share = frame.kept / frame.could.where(frame.could > 0)
    return frame.assign(kept_share=share).drop(columns="could")

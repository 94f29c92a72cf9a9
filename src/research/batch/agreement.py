"""Do the pages of a run agree? Walks its result tables and names every contradiction.

Each rule looks at one table, or at two that different notebooks left: an interval contains its
value, a verdict follows from the interval beside it, shares are shares, parts add up to the whole,
and what two pages tell of the same customers is the same number.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from research.evaluation.verdicts import BETTER, NO_DIFFERENCE, WORSE
from research.uplift.significance import FAMILY_LEVEL

Tables = dict[str, pd.DataFrame]
ROUNDING = 1e-9  # relative: sums of floats in another order
RISK_ROUNDING = 1e-8  # of a risk that a curve was brought into agreement with
VALUES = ("value", "effect", "gap", "profit", "profit_per_cycle", "share", "survival", "observed")
CHANCES = ("p_value", "p_adjusted")
NO_SHARES = (  # shares of something else than a whole
    "total_error_share",
    "gap_closed_share",
    "share_of_oracle",
    "smallest_share",
    "break_even_of_risk_share",
)
VERDICTS = (BETTER, WORSE, NO_DIFFERENCE)
ALL = "all"  # the segment that holds everybody


@dataclass(frozen=True)
class Rule:
    """What must agree between the tables that it needs; ``find`` yields what doesn't."""

    needs: tuple[str, ...]
    find: Callable[..., Iterator[str]]


def load_tables(run: Path) -> Tables:
    """Return the result tables of a published run by name, without damaged ones."""
    tables = {}
    for path in sorted((run / "tables").glob("*.parquet")):
        with suppress(pa.ArrowInvalid, OSError):  # the batch names it and makes it again
            tables[path.stem] = pd.read_parquet(path)
    return tables


def find_contradictions(tables: Tables) -> list[str]:
    """Return a sentence for everything that doesn't agree; none where all does.

    Parameters
    ----------
    tables : see ``load_tables``; a rule is left out where one that it needs is missing or empty
    """
    filled = {name: table for name, table in tables.items() if len(table)}
    found = [
        f"{name}: {fault}"
        for name, table in filled.items()
        for check in (_check_intervals, _check_verdicts, _check_chances, _check_shares)
        for fault in check(table)
    ]
    for rule in RULES:
        if all(name in filled for name in rule.needs):
            start = " and ".join(rule.needs)
            found += [f"{start}: {fault}" for fault in rule.find(*map(filled.get, rule.needs))]
    return found


def _list_intervals(table: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Yield the columns of values that have an interval, with those of its ends."""
    columns = [name for name in table if table[name].dtype.kind in "iuf"]
    for low in columns:
        high = low.replace("low", "high", 1)
        if "low" not in low.split("_") or high not in columns:
            continue
        stem, unit = low.replace("low", "", 1).strip("_"), low.removeprefix("low_")
        own = [name for name in (stem, f"value_{unit}") if name in columns and low != "low"]
        plain = [name for name in VALUES if name in columns] if low == "low" else []
        if named := own + plain:
            yield named[0], low, high


def _check_intervals(table: pd.DataFrame) -> Iterator[str]:
    for value, low, high in _list_intervals(table):
        numbers = table[[value, low, high]].dropna()
        slack = ROUNDING * np.maximum(numbers.abs().max(axis=1), 1)
        wrong = (numbers[low] > numbers[value] + slack) | (numbers[value] > numbers[high] + slack)
        if wrong.any():
            first = numbers[wrong].iloc[0]
            yield (
                f"expected {value} between {low} and {high}, got {first[value]:.6g} and"
                f" {first[low]:.6g} to {first[high]:.6g} ({wrong.sum()} of {len(numbers)} rows)"
            )


def _check_verdicts(table: pd.DataFrame) -> Iterator[str]:
    """Compare verdicts on a difference with the interval that stands beside them."""
    if "verdict" not in table or not table.verdict.isin(VERDICTS).any():
        return
    low, high = (
        ("difference_low", "difference_high") if "difference_low" in table else ("low", "high")
    )
    if low not in table:
        return
    rows = table[table.verdict.isin(VERDICTS)].dropna(subset=[low, high])
    inside = (rows[low] <= 0) & (rows[high] >= 0)
    wrong = rows[inside != (rows.verdict == NO_DIFFERENCE)]
    if len(wrong):
        first = wrong.iloc[0]
        yield (
            f"expected '{NO_DIFFERENCE}' exactly where the interval includes 0, got"
            f" '{first.verdict}' beside {first[low]:.6g} to {first[high]:.6g} ({len(wrong)} of"
            f" {len(rows)} rows)"
        )


def _check_chances(table: pd.DataFrame) -> Iterator[str]:
    """Compare adjusted p-values with the adjusted intervals that stand beside them."""
    if not {"p_adjusted", "adjusted_low", "adjusted_high"} <= {*table}:
        return
    rows = table.dropna(subset=["p_value", "adjusted_low", "adjusted_high"])
    inside = (rows.adjusted_low <= 0) & (rows.adjusted_high >= 0)
    wrong = rows[inside == (rows.p_adjusted < FAMILY_LEVEL)]
    if len(wrong):
        first = wrong.iloc[0]
        yield (
            f"expected an interval without 0 exactly where p_adjusted is below {FAMILY_LEVEL:g},"
            f" got {first.p_adjusted:.6g} beside {first.adjusted_low:.6g} to"
            f" {first.adjusted_high:.6g} ({len(wrong)} of {len(rows)} rows)"
        )


def _check_shares(table: pd.DataFrame) -> Iterator[str]:
    names = [name for name in table if name.endswith("share") and name not in NO_SHARES]
    for name in [*names, *(name for name in CHANCES if name in table)]:
        values = pd.to_numeric(table[name], errors="coerce").dropna()
        wrong = values[(values < -ROUNDING) | (values > 1 + ROUNDING)]
        if len(wrong):
            yield f"expected {name} between 0 and 1, got {wrong.iloc[0]:.6g}"


def _differ(one: float, other: float) -> bool:
    return bool(abs(one - other) > ROUNDING * max(abs(one), abs(other), 1))


def _compare(what: str, numbers: dict[str, float]) -> Iterator[str]:
    """Yield a sentence where numbers of the same thing aren't all equal."""
    first, *others = [value for value in numbers.values() if np.isfinite(value)] or [0.0]
    if any(_differ(first, other) for other in others):
        listed = ", ".join(f"{where} {value:,.10g}" for where, value in numbers.items())
        yield f"expected one number of {what}, got {listed}"


def _match_differences(scores: pd.DataFrame, differences: pd.DataFrame) -> Iterator[str]:
    """Compare differences of scores that are compared as they are with the scores themselves."""
    plain = differences[differences.metric.isin(["auc", "log_loss", "brier", "auuc", "qini"])]
    keys = [name for name in ("outcome", "arm") if name in scores and name in plain]
    values = scores.set_index([*keys, "model", "metric"]).value
    for row in plain.to_dict("records"):
        own, other = (
            values.get((*(row[key] for key in keys), row[name], row["metric"]), np.nan)
            for name in ("model", "reference")
        )
        what = f"{row['metric']} of {row['model']} minus that of {row['reference']}"
        yield from _compare(what, {"the difference": row["value"], "of the scores": own - other})


def _match_recalibrated(scores: pd.DataFrame, bins: pd.DataFrame) -> Iterator[str]:
    """Compare the customers behind the picture of calibration with those behind the scores."""
    counted = bins.groupby("model").n.sum()
    yield from _compare("rows per model in the bins", counted.to_dict())


def _match_listed(lists: pd.DataFrame, profits: pd.DataFrame) -> Iterator[str]:
    contacted = profits[profits.model != ""].set_index("model").contacted
    for row in lists.itertuples():
        if row.model in contacted:
            numbers = {"the list": row.listed, "the profit": contacted[row.model]}
            yield from _compare(f"customers listed by {row.model}", numbers)


def _match_population(population: pd.DataFrame, lists: pd.DataFrame) -> Iterator[str]:
    """Those at the last snapshot are those judged and those who left in the lead."""
    last = population.iloc[-1]
    active = last.judged + last.left_in_lead
    numbers = {"the population": active, "the list": lists.active.iloc[0]}
    yield from _compare("customers at the last snapshot", numbers)


def _find_money(table: pd.DataFrame, name: str) -> str | None:
    """Return the column of an amount, whose name ends in the currency."""
    return next((column for column in table if column.rsplit("_", 1)[0] == name), None)


def _match_segments(values: pd.DataFrame, segments: pd.DataFrame) -> Iterator[str]:
    """The segments of each attribute, and all customers, add up to the table of customers."""
    for name in ("value", "cost_of_churn"):
        own, summed = _find_money(values, name), _find_money(segments, name)
        if own is None or summed is None or segments[summed].isna().all():
            continue
        sums = segments.groupby("segment_by")[summed].sum()
        numbers = {"the customers": values[own].sum(), **sums.to_dict()}
        yield from _compare(f"{name} in all", numbers)
    counted = segments.groupby("segment_by").customers.sum()
    yield from _compare("customers valued", {"the table": len(values), **counted.to_dict()})
    everybody = segments[segments.segment_by == ALL].mean_risk_share.iloc[0]
    risks = {"the segments": everybody, "the customers": values.risk_share.mean()}
    yield from _compare("mean risk", risks)


def _match_concentration(values: pd.DataFrame, shares: pd.DataFrame) -> Iterator[str]:
    yield from _compare(
        "the last share of value", {"the curve": shares.value_share.iloc[-1], "": 1}
    )


def _match_effects(effects: pd.DataFrame, plan: pd.DataFrame) -> Iterator[str]:
    """The effect seen, by which the next test is planned, is that of the table of effects."""
    overall = effects[(effects.segment_by == "") & (effects.method == "adjusted")]
    seen = overall.drop_duplicates(["outcome", "arm"]).set_index(["outcome", "arm"]).effect
    for row in plan.itertuples():
        numbers = {"effects": seen.get((row.outcome, row.arm), np.nan), "plan": row.effect_seen}
        yield from _compare(f"the effect of {row.arm} on {row.outcome}", numbers)


def _match_policies(policies: pd.DataFrame, differences: pd.DataFrame) -> Iterator[str]:
    profit = policies.set_index("policy").profit
    for row in differences.itertuples():
        numbers = {
            "the difference": row.value,
            "of the profits": profit[row.policy] - profit[row.reference],
        }
        yield from _compare(f"profit of {row.policy} minus {row.reference}", numbers)


def _match_sources(counts: pd.DataFrame, values: pd.DataFrame) -> Iterator[str]:
    """Nobody is valued, or listed, who isn't a customer."""
    known = counts.set_index("table").rows
    rows = known.get("customers", known.get("snapshot", np.nan))
    if len(values) > rows:
        yield f"expected at most the {rows:,} customers of the data, got {len(values):,}"


def _match_lifetimes(lifetimes: pd.DataFrame, values: pd.DataFrame) -> Iterator[str]:
    """Who is valued under contract is who has a remaining lifetime."""
    both = lifetimes.customer_id.isin(values.customer_id).sum()
    yield from _compare("customers present", {"lifetimes": len(lifetimes), "in both": both})


def _match_risks(listed: pd.DataFrame, values: pd.DataFrame) -> Iterator[str]:
    """Who is on a list has the risk that the page of values gives, of the same day."""
    own = "risk_share" if "risk_share" in listed else "risk"
    both = listed[["customer_id", own]].merge(
        values[["customer_id", "risk_share"]].rename(columns={"risk_share": "valued"}),
        on="customer_id",
    )
    both = both.dropna()
    wrong = both[(both[own] - both.valued).abs() > RISK_ROUNDING]
    if len(wrong):
        first = wrong.iloc[0]
        yield (
            f"expected one risk per customer, got {first[own]:.6g} and {first.valued:.6g} of"
            f" {first.customer_id} ({len(wrong)} of {len(both)} customers)"
        )


def _match_forecast(forecast: pd.DataFrame, values: pd.DataFrame) -> Iterator[str]:
    """The forecast is the sum of the risks of the same customers."""
    everybody = forecast[forecast.segment_by == ALL].iloc[0]
    known = values.risk_share.dropna()
    yield from _compare("customers scored", {"forecast": everybody.customers, "": len(known)})
    gap = abs(everybody.expected - known.sum())
    if gap > RISK_ROUNDING * len(known):
        yield f"expected a forecast of {known.sum():,.10g}, got {everybody.expected:,.10g}"


def _match_targets(targets: pd.DataFrame, values: pd.DataFrame) -> Iterator[str]:
    if targets.customer_id.duplicated().any():
        yield f"expected a customer once, got {targets.customer_id.duplicated().sum():,} again"
    unknown = ~targets.customer_id.isin(values.customer_id)
    if unknown.any():
        yield f"expected every customer listed to have a value, got {unknown.sum():,} without"
    if "risk_share" in targets and "risk_share" in values:
        yield from _match_risks(targets, values)


RULES: Sequence[Rule] = (
    Rule(("risk_scores", "risk_differences"), _match_differences),
    Rule(("risk_scores", "calibration"), _match_recalibrated),
    Rule(("contact_lists", "profit"), _match_listed),
    Rule(("population", "contact_lists"), _match_population),
    Rule(("value", "value_segments"), _match_segments),
    Rule(("value", "value_concentration"), _match_concentration),
    Rule(("effects", "next_test"), _match_effects),
    Rule(("uplift_scores", "uplift_differences"), _match_differences),
    Rule(("policy_value", "policy_differences"), _match_policies),
    Rule(("counts", "value"), _match_sources),
    Rule(("remaining_lifetime", "value_judged"), _match_lifetimes),
    Rule(("targets", "value"), _match_targets),
    Rule(("first_test", "value", "forecast"), lambda test, values, _: _match_risks(test, values)),
    Rule(("forecast", "value"), _match_forecast),
)

"""Tables of ``30_risk`` as a reader takes them in: one row per thing, intervals beside values, arrows for directions."""

import numpy as np
import pandas as pd

from research.disagreement import ODDS, PERMUTATION, SHAP
from research.tables import write_interval, write_quantity, write_range

NOTHING = 0.0005  # a change of the log-loss that would be written as 0.000
ARROWS = {1: " ↑", -1: " ↓", 0: ""}
SCORE_WORDS = {
    "rmse": "RMSE",
    "mae": "absolute error",
    "total_error_share": "total off by",
    "correlation": "correlation",
    "mean_reciprocal_rank": "mean reciprocal rank",
}
HIT = "hit_rate_at_"
OUTCOMES = {"purchases": "purchase days", "amount": "spending, {}", "margin": "margin, {}"}
HEADINGS = {PERMUTATION: "log-loss when shuffled, {}", SHAP: "SHAP, {}", ODDS: "odds ratio"}


def rank_drivers(drivers: pd.DataFrame, most: int) -> list[str]:
    """Return the features that lead in some family, those of the best ranks first; who moves nothing anywhere leads nowhere.

    Parameters
    ----------
    drivers : see ``disagreement.compare_drivers``
    """
    rows = drivers[(drivers.measure == PERMUTATION) & (drivers.value.abs() >= NOTHING)]
    return [*rows.groupby("feature", sort=False)["rank"].agg(["min", "mean"]).sort_values(["min", "mean"]).index[:most]]


def lay_out_drivers(drivers: pd.DataFrame, most: int = 12) -> pd.DataFrame:
    """Return the leading features with what each family and measure says of them, and the direction as an arrow."""
    chosen = rank_drivers(drivers, most)
    rows = drivers[drivers.feature.isin(chosen)]
    cells = [write_interval(row.value, row.low, row.high, 3 if row.measure == PERMUTATION else 2) + ARROWS[row.direction] for row in rows.itertuples()]
    heads = [HEADINGS[measure].format(family) for measure, family in zip(rows.measure, rows.family, strict=True)]
    wide = rows.assign(cell=cells, head=heads).pivot(index="feature", columns="head", values="cell").loc[chosen, [*dict.fromkeys(heads)]].fillna("")
    about = rows.drop_duplicates("feature").set_index("feature").loc[chosen, ["description", "together_with"]]
    also = about.together_with.map(lambda words: f" (with {words.count(';') + 1} like it)" if words else "")
    return wide.reset_index(drop=True).assign(feature=(about.description + also).to_numpy()).pipe(_first, "feature")


def lay_out_odds(odds: pd.DataFrame) -> pd.DataFrame:
    """Return what was estimated, see ``inference.explain_logistic``: description, change, odds ratio, effect in points, inflation."""
    rows = odds[odds.left_out == ""]
    ratio = [write_interval(row.odds_ratio, row.low, row.high, 2) for row in rows.itertuples()]
    effect = [write_interval(row.effect_points, row.effect_low, row.effect_high, 1) for row in rows.itertuples()]
    columns = {"feature": rows.description, "change": rows.change, "odds ratio": ratio, "effect, points": effect, "variance inflation": rows.inflation.round(1)}
    return pd.DataFrame(columns).reset_index(drop=True)


def lay_out_profit(profit: pd.DataFrame) -> pd.DataFrame:
    """Return each policy with its profit, its gain over a list by lot, and its EMPC, see ``profit.tabulate_profit``."""
    unit = profit.currency.iloc[0]
    money = {f"profit a cycle, {unit}": ("profit_per_cycle", "low", "high"), "more than by lot": ("gain_over_lot", "gain_low", "gain_high")}
    cells = {head: [_write_money(*row) for row in profit[[*names]].itertuples(index=False)] for head, names in money.items()}
    empc = [write_interval(row.empc, row.empc_low, row.empc_high, 2) for row in profit.itertuples()]
    return pd.DataFrame({"policy": profit.policy, "contacted": profit.contacted, **cells, f"EMPC, {unit} a customer": empc, "against lot": profit.against_lot})


def lay_out_holdout(scores: pd.DataFrame, currency: str, counts: str = "rmse") -> tuple[pd.DataFrame, list[str]]:
    """Return scores of a holdout, one row per outcome and model, and which columns hold cells with intervals.

    Parameters
    ----------
    scores : see ``holdout.score_holdout`` and ``offers.score_offers``, with a column outcome, which is shown where there are several
    counts : the score whose differences and verdict are told
    """
    rows, shown = [], scores[scores.metric != "correlation"]
    for (outcome, model), part in shown.groupby(["outcome", "model"], sort=False):
        first, words = part[part.metric == counts].iloc[0], OUTCOMES.get(outcome, outcome).format(currency)
        cells = {_name_score(row.metric): _write_score(row.metric, row.value, row.low, row.high) for row in part.itertuples()}
        change = _write_score(first.metric, first.difference, first.difference_low, first.difference_high) if first.reference else ""
        told = {f"{_name_score(first.metric)}, less that of the best rule": change, "verdict": first.verdict or "the best rule"}
        rows.append({"outcome": words, "model": model} | cells | told)
    table = pd.DataFrame(rows)
    table = blank_repeats(table, "outcome") if table.outcome.nunique() > 1 else table.drop(columns="outcome")
    return table, [name for name in table if name not in ("outcome", "model", "verdict")]


def _name_score(metric: str) -> str:
    return f"hit rate, first {metric.removeprefix(HIT)}" if metric.startswith(HIT) else SCORE_WORDS[metric]


def _write_score(metric: str, value: float, low: float, high: float) -> str:
    if not np.isfinite(value):
        return "–"
    if metric.endswith("share") or metric.startswith(HIT):
        return write_range(*(write_quantity(number, "share") for number in (value, low, high)))
    return write_range(*(_write_plain(number, max(abs(value), abs(low), abs(high))) for number in (value, low, high)))


def _write_plain(number: float, size: float) -> str:
    digits = 3 if size < 10 else 1 if size < 1000 else 0
    return f"{round(number, digits) + 0.0:,.{digits}f}".replace("-", "−")


def lay_out_fits(parameters: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the parameters of models, see ``value.tabulate_fits``, with a model and its AIC named once, and which columns hold cells with intervals."""
    cells = [
        write_range(*(_write_plain(number, row.value) if np.isfinite(number) else "" for number in (row.value, row.low, row.high)))
        for row in parameters.itertuples()
    ]
    columns = {"model": parameters.model, "parameter": parameters.parameter.str.replace("_", " "), "unit": parameters.unit, "value": cells}
    again = parameters.model == parameters.model.shift()
    table = pd.DataFrame(columns | {"customers": parameters.n, "AIC": parameters.aic.round(0)})
    table.loc[again, ["customers", "AIC"]] = np.nan
    return blank_repeats(table, "model").reset_index(drop=True), ["value"]


def blank_repeats(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return a table in which a column names a value once where it repeats from row to row."""
    return table.assign(**{column: table[column].where(table[column] != table[column].shift(), "")})


def _write_money(value: float, low: float, high: float) -> str:
    if not np.isfinite(value):
        return "–"
    numbers = [f"{round(number) + 0:,}".replace("-", "−") for number in (value, low, high)]
    return numbers[0] if low == high else f"{numbers[0]} ({numbers[1]} to {numbers[2]})"


def _first(table: pd.DataFrame, column: str) -> pd.DataFrame:
    return table[[column, *(name for name in table if name != column)]]

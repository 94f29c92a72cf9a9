"""Verdicts of ``50_value`` in words, computed from its tables; "no better than a rule" and "can't
be told" are ones that they can reach.
"""

import numpy as np
import pandas as pd

from research.reporting.format import (
    join_words,
    write_interval,
    write_plain,
    write_quantity,
    write_range,
)
from research.reporting.tables import blank_repeats
from research.study_schema import Economics

SCORE_WORDS = {
    "rmse": "RMSE",
    "mae": "absolute error",
    "total_error_share": "total off by",
    "correlation": "correlation",
    "mean_reciprocal_rank": "mean reciprocal rank",
}
HIT = "hit_rate_at_"
OUTCOMES = {"purchases": "purchase days", "amount": "spending, {}", "margin": "margin, {}"}


def holdout_table(
    scores: pd.DataFrame, currency: str, counts: str = "rmse"
) -> tuple[pd.DataFrame, list[str]]:
    """Return scores of a holdout, one row per outcome and model, and which columns hold cells with
    intervals.

    Parameters
    ----------
    scores : see ``holdout.score_holdout`` and ``offers.score_recommenders``, with a column outcome, which
        is shown where there are several
    counts : the score whose differences and verdict are told
    """
    rows, shown = [], scores[scores.metric != "correlation"]
    for (outcome, model), part in shown.groupby(["outcome", "model"], sort=False):
        first, words = (
            part[part.metric == counts].iloc[0],
            OUTCOMES.get(outcome, outcome).format(currency),
        )
        cells = {
            _name_score(row.metric): _write_score(row.metric, row.value, row.low, row.high)
            for row in part.itertuples()
        }
        change = (
            _write_score(
                first.metric, first.difference, first.difference_low, first.difference_high
            )
            if first.reference
            else ""
        )
        told = {
            f"{_name_score(first.metric)}, less that of the best rule": change,
            "verdict": first.verdict or "the best rule",
        }
        rows.append({"outcome": words, "model": model} | cells | told)
    table = pd.DataFrame(rows)
    table = (
        blank_repeats(table, "outcome")
        if table.outcome.nunique() > 1
        else table.drop(columns="outcome")
    )
    return table, [name for name in table if name not in ("outcome", "model", "verdict")]


def _name_score(metric: str) -> str:
    return (
        f"hit rate, first {metric.removeprefix(HIT)}"
        if metric.startswith(HIT)
        else SCORE_WORDS[metric]
    )


def _write_score(metric: str, value: float, low: float, high: float) -> str:
    if not np.isfinite(value):
        return "–"
    if metric.endswith("share") or metric.startswith(HIT):
        return write_range(*(write_quantity(number, "share") for number in (value, low, high)))
    return write_range(
        *(
            _write_plain(number, max(abs(value), abs(low), abs(high)))
            for number in (value, low, high)
        )
    )


def _write_plain(number: float, size: float) -> str:
    digits = 3 if size < 10 else 1 if size < 1000 else 0
    return f"{round(number, digits) + 0.0:,.{digits}f}".replace("-", "−")


def parameter_table(parameters: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the parameters of models, see ``value.tabulate_parameters``, with a model and its AIC named
    once, and which columns hold cells with intervals.
    """
    cells = [
        write_range(
            *(
                _write_plain(number, row.value) if np.isfinite(number) else ""
                for number in (row.value, row.low, row.high)
            )
        )
        for row in parameters.itertuples()
    ]
    columns = {
        "model": parameters.model,
        "parameter": parameters.parameter.str.replace("_", " "),
        "unit": parameters.unit,
        "value": cells,
    }
    again = parameters.model == parameters.model.shift()
    table = pd.DataFrame(columns | {"customers": parameters.n, "AIC": parameters.aic.round(0)})
    table.loc[again, ["customers", "AIC"]] = np.nan
    return blank_repeats(table, "model").reset_index(drop=True), ["value"]


PLAIN, FIRST = "Pareto/NBD", "Pareto/NBD, first amount"
WHAT = {
    "purchases": "days with a purchase per customer",
    "amount": "{} per customer",
    "margin": "{} of margin per customer",
}
UNSEEN = 0.0005  # a part of the value that is nothing
LOSES = {
    "contractual": "Churn up to the end of the label window is expected to take",
    "non_contractual": "Who may have dropped out unseen by the snapshot takes away",
    "flat": "Churn within the span is expected to take",
}
KEPT = {
    "contractual": "if nobody left by then",
    "non_contractual": "if all were known to be still customers",
    "flat": "if nobody left",
}
LABELS = {"purchases": "days with a purchase", "amount": "spending, {}", "margin": "margin, {}"}


def describe_assumptions(economics: Economics, kind: str) -> str:
    """Say what value rests on that no model has found."""
    parts = [_say_share("a fee", economics.fee_margin)] if kind != "non_contractual" else []
    parts += [_say_share("an order's amount", economics.margin_share)] if kind != "flat" else []
    same = economics.margin_share == 1 and economics.fee_margin == 1
    turnover = " `study.yml` states no margin, so value is turnover, not profit." if same else ""
    return (
        f"Assumed, not found: {join_words(parts)}; money is discounted by"
        f" {100 * economics.discount_rate:.3g} % a year; value looks {economics.value_days:,} days"
        f" ahead and no further, in {economics.currency}.{turnover} Customers yet to come, what"
        " they cost to win, and what others bring through them are left out."
    )


def _say_share(what: str, share: float) -> str:
    return f"all of {what} remains" if share == 1 else f"{share:.0%} of {what} remains"


def describe_purchase_model(parameters: pd.DataFrame, chosen: str, correlation: float) -> str:
    """Say which model of purchases was chosen and why, whether dropping out shows, and whether
    amounts go with how often a customer buys.
    """
    table = parameters.drop_duplicates("model").set_index("model").aic
    aic = table.drop("Gamma-Gamma", errors="ignore").sort_values()
    words = [
        f"**{chosen}** values the customers: of {len(aic)} models it has the least AIC on the"
        " histories up to the snapshot, the holdout unseen"
    ]
    if len(aic) > 1:
        words[0] += f" ({aic.iloc[0]:,.0f}; next {aic.index[1]}, {aic.iloc[1]:,.0f})"
    rows = parameters[parameters.model == chosen].set_index("parameter")
    if (leaves := rows[rows.index.isin(["a", "b", "s", "beta"])]).low.isna().any():
        words.append(
            "The histories don't tell how customers drop out: the parameters"
            f" {join_words(list(leaves.index))} have no interval, and chances of being alive mean"
            " little here"
        )
    if chosen == FIRST and np.isfinite(rows.low.get("buys_more", np.nan)):
        row = rows.loc["buys_more"]
        words.append(
            "A first amount 2.7 times as large goes with"
            f" {write_interval(row.value, row.low, row.high, 2)} times as many purchases"
        )
    if np.isfinite(correlation):
        harm = (
            "about what the model asks for"
            if abs(correlation) < 0.1
            else (
                "so amounts are not free of how often a customer buys, as Gamma-Gamma takes them"
                " to be"
            )
        )
        words.append(
            f"The rank correlation of frequency and mean amount is {correlation:.2f}".replace(
                "-", "−"
            )
            + f": {harm}"
        )
    return ". ".join(words) + "."


def describe_holdout(scores: pd.DataFrame, outcome: str, model: str, currency: str, days: int) -> str:
    """Say whether the model is nearer to what came than the best rule, and whether its total is
    right.

    Parameters
    ----------
    scores : see ``holdout.score_holdout``, of one outcome: purchases, amount or margin
    days : of the holdout
    """
    rows = scores[scores.model == model].set_index("metric")
    squared, total, absolute = rows.loc["rmse"], rows.loc["total_error_share"], rows.loc["mae"]
    unit, rule = WHAT[outcome].format(currency), squared.reference
    digits, name = 2 if squared.value < 100 else 0, model[:1].upper() + model[1:]
    other = scores[(scores.model == rule) & (scores.metric == "rmse")].value.item()
    numbers = (
        f"over {days} days its root mean squared error is {squared.value:,.{digits}f} {unit}, that"
        f" of the rule “{rule}” {other:,.{digits}f}; "
        "the difference is"
        f" {write_interval(squared.difference, squared.difference_low, squared.difference_high, digits)}"
    )
    start = {
        "better": f"**{name} foretells {_name(outcome)} better than the best rule**: ",
        "worse": (
            f"**{name} foretells {_name(outcome)} worse than the rule “{rule}”: use the rule.** "
        ),
    }.get(
        squared.verdict,
        f"**{name} is not shown to foretell {_name(outcome)} better than the rule “{rule}”**: ",
    )
    words = [
        start + (numbers if start.endswith(": ") else numbers[:1].upper() + numbers[1:]),
        _say_total(total),
    ]
    if absolute.verdict == "worse":
        words.append(
            "In absolute error it is worse than that rule"
            f" ({write_interval(absolute.difference, absolute.difference_low, absolute.difference_high, digits)})"
        )
    return ". ".join(words) + "."


def _name(outcome: str) -> str:
    return {"purchases": "purchases", "amount": "spending", "margin": "margins"}[outcome]


def _say_total(row: pd.Series) -> str:
    told = (
        f"({write_quantity(row.value, 'share')}, 95 % interval {write_quantity(row.low, 'share')}"
        f" to {write_quantity(row.high, 'share')})"
    )
    if not np.isfinite(row.value):
        return "Nothing came, so no share of it can be off"
    if row.low <= 0 <= row.high:
        return f"Its total is not shown to be off {told}"
    side = "more" if row.value > 0 else "less"
    return f"**Its total is off**: {side} was expected than came {told}"


def describe_first_amount(scores: pd.DataFrame) -> str:
    """Say whether the first amount betters Pareto/NBD on the holdout.

    Parameters
    ----------
    scores : see ``holdout.score_holdout``, of purchases, with differences to Pareto/NBD
    """
    row = scores[(scores.model == FIRST) & (scores.metric == "rmse")]
    if row.empty:
        return ""
    row = row.iloc[0]
    change = write_interval(row.difference, row.difference_low, row.difference_high, 4)
    told = {"better": "is better than", "worse": "is worse than"}.get(
        row.verdict, "is not shown to be better than"
    )
    return (
        f"**The model with the first amount {told} Pareto/NBD on the holdout**: its root mean"
        f" squared error is {row.value:.3f}, the paired difference {change}."
    )


def describe_error_floor(floor: pd.DataFrame, scores: pd.DataFrame, model: str) -> str:
    """Say how much of the error is luck: what the model would score if it were true.

    Parameters
    ----------
    floor : see ``holdout.simulate_error_floor``
    """
    found, row = scores[scores.model == model].set_index("metric"), floor.set_index("metric")
    squared, total = row.loc["rmse"], row.loc["total_error_share"]
    inside = squared.low <= found.value["rmse"] <= squared.high
    gap = max(1 - squared.value / found.value["rmse"], 0)
    room = (
        f"by this reckoning a better view of the same histories could win about {gap:.0%} of it"
        if gap >= 0.005
        else "there is no room left to win by this reckoning"
    )
    told = (
        "within what luck allows"
        if inside
        else (
            "more than luck gives" if found.value["rmse"] > squared.high else "less than luck gives"
        )
    )
    luck = write_interval(squared.value, squared.low, squared.high, 2)
    start = (
        f"Were {model} true to the letter, its root mean squared error would be {luck} by luck"
        f" alone. The {found.value['rmse']:.2f} found is {told}; {room}."
    )
    if total.low <= found.value["total_error_share"] <= total.high:
        return start
    between = f"{write_quantity(total.low, 'share')} to {write_quantity(total.high, 'share')}"
    change = "so something changed after the snapshot that the model doesn't know, such as a season"
    return f"{start} Its total would be off by {between}; it is off by more, {change}."


def describe_values(
    values: pd.DataFrame,
    stakes: pd.DataFrame,
    shares: pd.DataFrame,
    scores: pd.DataFrame,
    model: str,
    currency: str,
    kind: str,
) -> str:
    """Say what all customers are worth, how unequally, and what churn is expected to take, or with
    buyers to have taken unseen.

    Parameters
    ----------
    scores : of the holdout, empty where there is none: where its total was off, the interval of the
        value is too narrow, and that is said
    """
    row = stakes.iloc[0]
    tenth = np.interp(0.1, shares.customers_share, shares.value_share)
    nothing = int((values.value <= 0).sum())
    none = (
        f" {nothing:,} are worth nothing: they brought no margin, or took back as much as they"
        " bought."
        if nothing
        else ""
    )
    loses = (
        f"{LOSES[kind]} {_money(row.cost_of_churn, row.cost_low, row.cost_high, currency)}, or"
        f" {row.cost_share:.1%} of what they would be worth {KEPT[kind]}."
        if row.cost_share >= UNSEEN
        else (
            "Nothing is at stake."
            if row.value <= 0
            else (
                "What churn takes can't be told, so silent customers are probably worth less than"
                " they look."
            )
        )
    )
    return (
        f"**The {len(values):,} customers are worth"
        f" {_money(row.value, row.low, row.high, currency)}**; the tenth with the highest value"
        f" holds {tenth:.0%} of it. {loses} Risk times value adds up to {row.value_at_risk:,.0f}"
        f" {currency}.{none}{_warn_of_total(scores, model)}"
    )


def _warn_of_total(scores: pd.DataFrame, model: str) -> str:
    """Say that the interval of the value doesn't hold what the holdout showed of the money."""
    if scores.empty:
        return ""
    row = scores[
        (scores.model == model)
        & (scores.metric == "total_error_share")
        & scores.outcome.isin(["amount", "margin"])
    ].iloc[0]
    if not (row.low > 0 or row.high < 0):
        return ""
    return (
        " The interval carries only the luck of who was learned from: in the holdout the money"
        f" expected was off by {write_quantity(row.value, 'share')}, and the value may be so too."
    )


def _money(value: float, low: float, high: float, currency: str) -> str:
    return f"{value:,.0f} {currency}" + (
        f" ({low:,.0f} to {high:,.0f})" if np.isfinite([low, high]).all() else ""
    )


def describe_value_at_risk(stakes: pd.DataFrame, currency: str) -> str:
    """Say where churn costs most: per attribute, the segment that loses the largest part of its
    value, where the intervals tell the ends apart.
    """
    if stakes.cost_share.iloc[0] < UNSEEN:
        return (
            "No cost of churn can be told: the model sees nobody drop out in these histories, which"
            " is not the same as nobody leaving."
        )
    parts, alike = [], []
    for by, rows in stakes[stakes.segment_by != "all"].groupby("segment_by", sort=False):
        if len(rows) < 2:
            continue
        kept = (rows.value + rows.cost_of_churn).where(lambda sums: sums > 0)
        most, least = rows.cost_share.idxmax(), rows.cost_share.idxmin()
        if not (rows.cost_low / kept)[most] > (rows.cost_high / kept)[least]:
            alike.append(write_plain(by))
            continue
        first, last = rows.loc[most], rows.loc[least]
        parts.append(
            f"by {write_plain(by)}, “{write_plain(first.segment)}” loses the largest part"
            f" ({first.cost_share:.1%}, {first.cost_of_churn:,.0f} {currency}),"
            f" “{write_plain(last.segment)}” the smallest ({last.cost_share:.1%},"
            f" {last.cost_of_churn:,.0f} {currency})"
        )
    same = (
        f" No segment by {join_words(alike)} is shown to lose a larger part of its value than"
        " another."
        if alike
        else ""
    )
    if not parts:
        return (
            same.strip()
            or "Nothing tells these customers apart, so churn costs the same everywhere as far as these tables tell."
        )
    return "Where churn costs most: " + "; ".join(parts) + "." + same


def describe_ground_truth(grades: pd.DataFrame, model: str, rival: str, days: float, currency: str) -> str:
    """Say how near values come to the true ones, which only a generated company knows, beside one
    curve for all.
    """
    rows, other = (grades[grades.model == name].set_index("metric") for name in (model, rival))
    one, two = rows.loc["spread_explained_share"], other.loc["spread_explained_share"]
    apart = "more" if one.low > two.high else "less" if one.high < two.low else "not clearly more"
    total, rank = rows.loc["total_error_share"], rows.loc["rank_correlation"]
    off = (
        " The intervals of values carry only the luck of who was learned from, so the sum below may"
        " lie as far off." * bool(total.low > 0 or total.high < 0)
    )
    return (
        f"**Graded by the truth over {days:.0f} days** ({int(one.n):,} customers): the values"
        f" explain {_share(one)} of the differences between the true ones, {apart} than {rival}"
        f" ({_share(two)}); the rank correlation is"
        f" {write_interval(rank.value, rank.low, rank.high, 2)}, the root mean squared error"
        f" {rows.value['rmse']:,.0f} {currency}, and the total is off by {_share(total)}.{off}"
    )


def _share(row: pd.Series) -> str:
    return (
        f"{write_quantity(row.value, 'share')} ({write_quantity(row.low, 'share')} to"
        f" {write_quantity(row.high, 'share')})"
    )


def choose_recommender(scores: pd.DataFrame, length: int) -> str:
    """Return by which model offers are made: item to item where it is shown to be better than the
    best rule, else that rule.
    """
    row = scores[(scores.family != "reference") & (scores.metric == f"hit_rate_at_{length}")].iloc[
        0
    ]
    return row.model if row.verdict == "better" else row.reference


def describe_recommender(scores: pd.DataFrame, length: int, days: int, customers: int) -> str:
    """Say whether item to item finds the next product more often than popularity does.

    Parameters
    ----------
    scores : see ``offers.score_recommenders``
    customers : with a purchase by the snapshot
    """
    row = scores[(scores.family != "reference") & (scores.metric == f"hit_rate_at_{length}")].iloc[
        0
    ]
    rule = scores[
        (scores.model == row.reference) & (scores.metric == f"hit_rate_at_{length}")
    ].iloc[0]
    lot = scores[(scores.model == "by lot") & (scores.metric == f"hit_rate_at_{length}")].iloc[0]
    list_words = (
        "the first product offered is"
        if length == 1
        else f"one of the first {length} products offered is"
    )
    start = {
        "better": "**Item to item finds the next product more often than popularity does**: ",
        "worse": (
            "**Item to item finds the next product less often than popularity does**, which makes"
            " the offers below: "
        ),
    }.get(
        row.verdict,
        "**Item to item is not shown to find the next product more often than popularity does**,"
        " which makes the offers below: ",
    )
    return (
        f"{start}of the {int(row.n):,} customers (of {customers:,}) who took a further product"
        f" within {days} days, {list_words} among them for {_share(row)}, by the rule"
        f" “{row.reference}” for {_share(rule)}, by lot for {write_quantity(lot.value, 'share')};"
        f" the paired difference is {write_quantity(row.difference, 'points')}"
        f" ({write_quantity(row.difference_low, 'points')} to"
        f" {write_quantity(row.difference_high, 'points')}). It foretells what is bought anyway;"
        " whether an offer changes it, only a test with a control group can show."
    )

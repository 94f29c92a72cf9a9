"""Verdicts in words, computed from result tables; "no better than the reference" is one that a
notebook can reach.
"""

import numpy as np
import pandas as pd

from research.reporting.format import join_words, write_interval
from research.risk.explain_agreement import ODDS, PERMUTATION, SHAP

SLOPE = (0.75, 1.33)  # a calibration slope known to lie in here bends no decision,
SHIFT = 0.25  # nor does an intercept known to be nearer to 0 than this (in log-odds)


def find_reference(scores: pd.DataFrame, metric: str = "log_loss") -> str:
    """Return the strongest reference in one score, ``log_loss`` or ``auc``: the one that a model
    has to beat.
    """
    rows = scores[(scores.family == "reference") & (scores.metric == metric)]
    return rows.model[rows.value.idxmin() if metric == "log_loss" else rows.value.idxmax()]


def find_best(scores: pd.DataFrame) -> str:
    """Return the model, no reference, with the lowest log-loss."""
    rows = scores[(scores.family != "reference") & (scores.metric == "log_loss")]
    return rows.model[rows.value.idxmin()]


def judge_models(scores: pd.DataFrame, differences: pd.DataFrame) -> str:
    """Say whether the best model beats the strongest reference of each score, and which others
    can't be told apart from it.

    Parameters
    ----------
    scores : long score table
    differences : long table of paired differences with the strongest references and the best model
        among its references

    Returns
    -------
    Markdown
    """
    best = find_best(scores)
    loss, area = (
        _against(differences, best, find_reference(scores, metric), metric)
        for metric in ("log_loss", "auc")
    )
    if "better" in (loss.verdict, area.verdict):
        return " ".join(
            [_winner(best, loss, area), _equals(best, differences), _calibration(best, scores)]
        )
    others = _better_others(scores, differences)
    return (
        _nothing_found(best, loss, area)
        if not others
        else f"{_nothing_found(best, loss, area, 'The model with the lowest log-loss')} {others}"
    )


def _against(differences: pd.DataFrame, model: str, reference: str, metric: str) -> pd.Series:
    return differences[
        (differences.model == model)
        & (differences.reference == reference)
        & (differences.metric == metric)
    ].iloc[0]


def _better_others(scores: pd.DataFrame, differences: pd.DataFrame) -> str:
    """Name the models that beat the strongest reference in one score although another has the
    lowest log-loss.
    """
    words = []
    for metric, gain in (("auc", "ranks better"), ("log_loss", "gives better probabilities")):
        rows = differences[
            (differences.reference == find_reference(scores, metric))
            & (differences.metric == metric)
        ]
        better = rows[(rows.verdict == "better") & (rows.family != "reference")]
        words += [
            f"{_capital(row.model)} {gain} than the {row.reference}, by {_say(row)}."
            for _, row in better.iterrows()
        ]
    return " ".join(words)


def _nothing_found(best: str, loss: pd.Series, area: pd.Series, subject: str = "No model") -> str:
    references = join_words([*dict.fromkeys([loss.reference, area.reference])])
    start = (
        f"**{subject} is {'not ' if subject != 'No model' else ''}shown to be better than the"
        f" {references}.**"
    )
    compared = (
        f"{_capital(best)} differs in log-loss from the {loss.reference} by {_say(loss)} and in AUC"
        f" from the {area.reference} by {_say(area)}"
    )
    if "worse" in (loss.verdict, area.verdict):
        worse = " and ".join(
            f"its {name}"
            for name, row in (("log-loss", loss), ("ranking", area))
            if row.verdict == "worse"
        )
        return f"{start} {compared}: worse in {worse}. Use the reference."
    return (
        f"{start} {compared}. These data can't show a gain, nor do they rule one out (of up to"
        f" {area.high:.2f} in AUC): until there are more, the reference is the simpler choice."
    )


def _winner(best: str, loss: pd.Series, area: pd.Series) -> str:
    places = (
        ["", ""]
        if area.reference == loss.reference
        else [f" from the {area.reference}", f" from the {loss.reference}"]
    )
    gains = (
        f"AUC differs by {_say(area)}{places[0]}, log-loss (less is better) by"
        f" {_say(loss)}{places[1]}."
    )
    if loss.verdict == area.verdict == "better":
        references = join_words([*dict.fromkeys([loss.reference, area.reference])])
        return (
            f"**{_capital(best)} ranks customers better and gives better probabilities than the"
            f" {references}**: {gains}"
        )
    if area.verdict == "better":
        return (
            f"**{_capital(best)} ranks customers better than the {area.reference}**: {gains} Its"
            f" probabilities are {_unproven(loss)}."
        )
    return (
        f"**{_capital(best)} gives better probabilities than the {loss.reference}**: {gains} Its"
        f" ranking is {_unproven(area)}."
    )


def _unproven(row: pd.Series) -> str:
    return "worse" if row.verdict == "worse" else "not shown to be better"


def _equals(best: str, differences: pd.DataFrame) -> str:
    rivals = differences[
        (differences.reference == best)
        & (differences.metric == "log_loss")
        & (differences.family != "reference")
    ]
    equal = list(rivals.model[rivals.verdict == "no difference shown"])
    if not equal:
        return "It is also better than every other model in log-loss."
    return (
        f"In log-loss it can't be told apart from {join_words(equal)}: between those, take the one"
        " that is easiest to explain."
    )


def _calibration(best: str, scores: pd.DataFrame) -> str:
    rows = scores[scores.model == best].set_index("metric")
    shift, slope = rows.loc["calibration_intercept"], rows.loc["calibration_slope"]
    faults = []
    if shift.low > 0 or shift.high < 0:
        faults.append(
            f"too {'low' if shift.value > 0 else 'high'} on average (calibration intercept"
            f" {_say_bare(shift)})"
        )
    if slope.low > 1 or slope.high < 1:
        faults.append(
            f"too {'cautious' if slope.value > 1 else 'extreme'} (calibration slope"
            f" {_say_bare(slope)})"
        )
    if (
        SLOPE[0] <= slope.low
        and slope.high <= SLOPE[1]
        and max(abs(shift.low), abs(shift.high)) <= SHIFT
    ):
        little = (
            f"; they are a little {' and '.join(faults)}"
            if faults
            else f" (calibration slope {_say_bare(slope)}; intercept {_say_bare(shift)})"
        )
        return f"Its probabilities can be read as shares{little}."
    if not faults:
        return (
            "Too few customers to tell whether its probabilities can be read as shares"
            f" (calibration slope {_say_bare(slope)})."
        )
    return (
        f"Its probabilities are {' and '.join(faults)}: use its ranking, and recalibrate before"
        " multiplying by money."
    )


def judge_lists(found: pd.DataFrame, best: str) -> str:
    """Say what a contact list by the best model holds, beside one drawn by lot."""
    row = found.set_index("model").loc[best]
    if row.listed == row.active:
        return (
            f"The capacity covers all {row.active:,.0f} customers at the last snapshot: a ranking"
            " changes nothing about whom to contact."
        )
    return (
        f"Of the {row.listed:,.0f} customers whom {best} ranks highest, {row.churners_found:,.0f}"
        f" left ({row.found_share:.0%}, 95 % interval {row.low_share:.0%} to {row.high_share:.0%});"
        f" a list drawn by lot would have held about {row.random_churners:,.0f}."
    )


def _say(row: pd.Series) -> str:
    return write_interval(row.value, row.low, row.high)


def _say_bare(row: pd.Series) -> str:
    return write_interval(row.value, row.low, row.high, digits=2).replace(" (", ", ").rstrip(")")


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


NOTHING = 0.0005  # a change of the log-loss that would be written as 0.000
ARROWS = {1: " ↑", -1: " ↓", 0: ""}
HEADINGS = {PERMUTATION: "log-loss when shuffled, {}", SHAP: "SHAP, {}", ODDS: "odds ratio"}


def rank_drivers(drivers: pd.DataFrame, most: int) -> list[str]:
    """Return the features that lead in some family, those of the best ranks first; who moves
    nothing anywhere leads nowhere.

    Parameters
    ----------
    drivers : see ``disagreement.compare_drivers``
    """
    rows = drivers[(drivers.measure == PERMUTATION) & (drivers.value.abs() >= NOTHING)]
    return [
        *rows.groupby("feature", sort=False)["rank"]
        .agg(["min", "mean"])
        .sort_values(["min", "mean"])
        .index[:most]
    ]


def lay_out_drivers(drivers: pd.DataFrame, most: int = 12) -> pd.DataFrame:
    """Return the leading features with what each family and measure says of them, and the direction
    as an arrow.
    """
    chosen = rank_drivers(drivers, most)
    rows = drivers[drivers.feature.isin(chosen)]
    cells = [
        write_interval(row.value, row.low, row.high, 3 if row.measure == PERMUTATION else 2)
        + ARROWS[row.direction]
        for row in rows.itertuples()
    ]
    heads = [
        HEADINGS[measure].format(family)
        for measure, family in zip(rows.measure, rows.family, strict=True)
    ]
    wide = (
        rows.assign(cell=cells, head=heads)
        .pivot(index="feature", columns="head", values="cell")
        .loc[chosen, [*dict.fromkeys(heads)]]
        .fillna("")
    )
    about = (
        rows.drop_duplicates("feature")
        .set_index("feature")
        .loc[chosen, ["description", "together_with"]]
    )
    also = about.together_with.map(
        lambda words: f" (with {words.count(';') + 1} like it)" if words else ""
    )
    return (
        wide.reset_index(drop=True)
        .assign(feature=(about.description + also).to_numpy())
        .pipe(_first, "feature")
    )


def lay_out_odds(odds: pd.DataFrame) -> pd.DataFrame:
    """Return what was estimated, see ``inference.explain_logistic``: description, change, odds
    ratio, effect in points, inflation.
    """
    rows = odds[odds.left_out == ""]
    ratio = [write_interval(row.odds_ratio, row.low, row.high, 2) for row in rows.itertuples()]
    effect = [
        write_interval(row.effect_points, row.effect_low, row.effect_high, 1)
        for row in rows.itertuples()
    ]
    columns = {
        "feature": rows.description,
        "change": rows.change,
        "odds ratio": ratio,
        "effect, points": effect,
        "variance inflation": rows.inflation.round(1),
    }
    return pd.DataFrame(columns).reset_index(drop=True)


def lay_out_profit(profit: pd.DataFrame) -> pd.DataFrame:
    """Return each policy with its profit, its gain over a list by lot, and its EMPC, see
    ``profit.tabulate_profit``.
    """
    if profit.empty:
        return profit
    unit = profit.currency.iloc[0]
    money = {
        f"profit a cycle, {unit}": ("profit_per_cycle", "low", "high"),
        "more than by lot": ("gain_over_lot", "gain_low", "gain_high"),
    }
    cells = {
        head: [_write_money(*row) for row in profit[[*names]].itertuples(index=False)]
        for head, names in money.items()
    }
    empc = [write_interval(row.empc, row.empc_low, row.empc_high, 2) for row in profit.itertuples()]
    return pd.DataFrame(
        {
            "policy": profit.policy,
            "contacted": profit.contacted,
            **cells,
            f"EMPC, {unit} a customer": empc,
            "against lot": profit.against_lot,
        }
    )


def _write_money(value: float, low: float, high: float) -> str:
    if not np.isfinite(value):
        return "–"
    numbers = [f"{round(number) + 0:,}".replace("-", "−") for number in (value, low, high)]
    return numbers[0] if low == high else f"{numbers[0]} ({numbers[1]} to {numbers[2]})"


def _first(table: pd.DataFrame, column: str) -> pd.DataFrame:
    return table[[column, *(name for name in table if name != column)]]

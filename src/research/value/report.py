"""Sentences and tables of ``50_value`` for its readers, computed from the result tables.

Each verdict can be that a baseline is as good, or that the data don't tell.
"""

import numpy as np
import pandas as pd

from research.evaluation.bootstrap import BETTER, WORSE
from research.evaluation.importance import Difference, describe_importance
from research.models.clv.gamma_gamma import correlate
from research.reporting.format import (
    join_words,
    write_interval,
    write_plain,
    write_quantity,
    write_range,
    write_share,
)
from research.reporting.tables import blank_repeats
from research.study_schema import Economics, ImportantDifference
from research.survival.tenure import ALL
from research.value.cost_of_churn import NEGLIGIBLE
from research.value.holdout import METRICS, OUTCOME_UNITS, UNITS_PER_CUSTOMER
from research.value.purchase_models import GAMMA_GAMMA, WITH_FIRST_AMOUNT
from research.value.recommender import (
    HIT_RATE,
    RANDOM,
    RECIPROCAL_RANK,
    Evaluation,
    find_item_to_item,
)
from research.value.subscribers import SINGLE_CURVE
from research.value.valuation import Valuation

METHOD_NOTES = {
    "contractual": (
        "Margin of a day: the share of the running fees that remains, and of add-ons at the"
        " customer's own rate, shrunk towards the mean of all."
    ),
    "non_contractual": (
        "Alive: the probability of not having dropped out. Purchases are days with one within the"
        " span; amount is that of one."
    ),
    "flat": (
        "Margin of a day: the share of the monthly fee that remains. Only customers who are still"
        " there."
    ),
}
NO_LEAKS = {
    "contractual": "No sign of target leakage in the features of the survival model.",
    "non_contractual": "Buyers are valued by their purchases alone: no features to check.",
    "flat": "No sign of target leakage in the features of the survival model.",
}
SCORE_WORDS = {name: metric.words for name, metric in METRICS.items()} | {
    RECIPROCAL_RANK: "mean reciprocal rank"
}
OUTCOME_NOUNS = {"purchases": "purchases", "amount": "spending", "margin": "margins"}
DROPOUT_PARAMETERS = ["a", "b", "s", "beta"]
NO_PURCHASE = "chance of no purchase in the label window, by this model"
DASH = "–"  # in place of what can't be estimated
UNCORRELATED = 0.1  # rank correlation of frequency and amount that Gamma-Gamma can live with
LOSS_WORDS = {
    "contractual": "The expected cost of churn up to the end of the label window is",
    "non_contractual": "Customers who may have dropped out by the snapshot take away",
    "flat": "The expected cost of churn within the span is",
}
KEPT_WORDS = {
    "contractual": "if nobody left by then",
    "non_contractual": "if all were known to be still customers",
    "flat": "if nobody left",
}
Cells = tuple[pd.DataFrame, list[str]]  # a table, and its columns of cells with intervals


def valued_table(valuation: Valuation) -> pd.DataFrame:
    """Return how many customers are valued, and the means of what values are made of.

    Returns
    -------
    DataFrame with columns what, value (text)
    """
    rows, unit = valuation.values, valuation.currency
    parts = {
        "alive": ("probability of being alive", "share"),
        "purchases": ("purchases expected", ""),
        "amount": (f"amount of a purchase, {unit}", ""),
        "margin_per_day": (f"margin of a day, {unit}", ""),
        "risk": (NO_PURCHASE if len(valuation.histories) else "risk", "share"),
        "value": (f"value, {unit}", ""),
    }
    at = f" at {valuation.snapshot}" if valuation.snapshot else ""
    counts = [("valued by", valuation.model), ("customers valued" + at, f"{len(rows):,}")]
    histories = valuation.histories
    if once := int((histories.n_repeat == 0).sum()) if len(histories) else 0:
        counts.append(("bought on one day only", f"{once:,}"))
    if (rows.alive > 1 - NEGLIGIBLE).all():  # sure of everybody, whatever happened: no estimate
        rows = rows.assign(alive=np.inf)
    means = [
        (f"mean {words}", write_quantity(rows[column].mean(), kind))
        for column, (words, kind) in parts.items()
        if rows[column].notna().any()
    ]
    return pd.DataFrame(counts + means, columns=["what", "value"])


def leaks_table(valuation: Valuation) -> pd.DataFrame:
    """Return the findings of the leakage checks on the features of the survival model."""
    columns = ["column", "evidence", "reason", "decision"]
    return valuation.leaks[columns] if len(valuation.leaks) else pd.DataFrame(columns=columns)


def holdout_table(scores: pd.DataFrame, currency: str, compared: str = "rmse") -> Cells:
    """Return the scores of a holdout, one row per outcome and model.

    Parameters
    ----------
    scores : see ``holdout.score_valuation`` and ``recommender.score_recommenders``; a column
        outcome is shown where there are several
    compared : the score whose differences and verdict are shown
    """
    if scores.empty:
        return scores, []
    outcomes = scores.outcome if "outcome" in scores else pd.Series("", index=scores.index)
    shown = scores.assign(outcome=outcomes)[scores.metric != "correlation"]
    table = pd.DataFrame(
        [
            {"outcome": OUTCOME_UNITS.get(outcome, outcome).format(currency), "model": model}
            | _write_model(part, compared)
            for (outcome, model), part in shown.groupby(["outcome", "model"], sort=False)
        ]
    )
    if table.outcome.nunique() > 1:
        table = blank_repeats(table, "outcome")
    else:
        table = table.drop(columns="outcome")
    return table, [name for name in table if name not in ("outcome", "model", "verdict")]


def _write_model(part: pd.DataFrame, compared: str) -> dict[str, str]:
    """Return the cells of one model: its scores, then difference and verdict of one of them."""
    cells = {
        _name_score(row.metric): _write_score(row.metric, row.value, row.low, row.high)
        for row in part.itertuples()
    }
    row = part[part.metric == compared].iloc[0]
    difference = (
        _write_score(row.metric, row.difference, row.difference_low, row.difference_high)
        if row.reference
        else ""
    )
    return cells | {
        f"{_name_score(compared)}, difference to the best baseline": difference,
        "verdict": row.verdict or "the best baseline",
    }


def _name_score(metric: str) -> str:
    if metric.startswith(HIT_RATE):
        return f"hit rate, first {metric.removeprefix(HIT_RATE)}"
    return SCORE_WORDS[metric]


def _write_score(metric: str, value: float, low: float, high: float) -> str:
    if not np.isfinite(value):
        return "–"
    numbers = (value, low, high)
    if metric.endswith("share") or metric.startswith(HIT_RATE):
        return write_range(*(write_quantity(number, "share") for number in numbers))
    size = max(abs(value), abs(low), abs(high))
    return write_range(*(_write_number(number, size) for number in numbers))


def _write_number(number: float, size: float) -> str:
    """Return a number with the digits that fit its size."""
    digits = 3 if size < 10 else 1 if size < 1000 else 0
    return f"{round(number, digits) + 0.0:,.{digits}f}".replace("-", "−")


def parameter_table(parameters: pd.DataFrame, assumptions: pd.DataFrame) -> Cells:
    """Return the parameters of models, a model and its AIC named once.

    Parameters
    ----------
    parameters : see ``purchase_models.tabulate_parameters``
    assumptions : shown where no model has parameters
    """
    if parameters.empty:
        return assumptions, []
    cells = [
        write_range(
            *(
                _write_number(number, row.value) if np.isfinite(number) else ""
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
        "customers": parameters.n,
        "AIC": parameters.aic.round(0),
    }
    table = pd.DataFrame(columns)
    table.loc[parameters.model == parameters.model.shift(), ["customers", "AIC"]] = np.nan
    return blank_repeats(table, "model").reset_index(drop=True), ["value"]


def cost_of_churn_table(by_segment: pd.DataFrame) -> Cells:
    """Return value and cost of churn by segment, an attribute named once.

    Parameters
    ----------
    by_segment : see ``cost_of_churn.tabulate_segments``
    """
    columns = {
        "segmented by": by_segment.segment_by.str.replace("_", " "),
        "segment": by_segment.segment,
        "customers": by_segment.customers,
        "mean risk share": by_segment.mean_risk_share,
        "value": _write_sums(by_segment, "value", "low", "high"),
        "cost of churn": _write_sums(by_segment, "cost_of_churn", "cost_low", "cost_high"),
        "cost share": by_segment.cost_share if by_segment.cost_share.notna().any() else DASH,
    }
    return blank_repeats(pd.DataFrame(columns), "segmented by"), ["value", "cost of churn"]


def _write_sums(table: pd.DataFrame, *columns: str) -> list[str]:
    return [
        write_range(*(f"{number:,.0f}" if np.isfinite(number) else "" for number in numbers))
        or DASH
        for numbers in table[[*columns]].itertuples(index=False)
    ]


def round_money(table: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Return a table for readers: money and purchases to one decimal, margins of a day to two."""
    money = [name for name in table if name.endswith(f"_{currency.lower()}")]
    return table.round(
        {name: 2 if name.startswith("margin") else 1 for name in money} | {"purchases": 1}
    )


def write_day(valuation: Valuation) -> str:
    """Return of which day values are, in words."""
    return f"as of {valuation.snapshot}" if valuation.snapshot else "of the study's one table"


def describe_first(values: pd.DataFrame, valuation: Valuation, first: int) -> str:
    """Return by what the first customers of the table ``value`` stand first."""
    by = "cost of churn" if any(name.startswith("cost_of_churn") for name in values) else "value"
    shown = min(first, len(values))
    return f"The {shown} with the highest {by} of {len(values):,} {write_day(valuation)}."


def describe_assumptions(economics: Economics, kind: str) -> str:
    """Return what value rests on that no model estimates."""
    shares = []
    if kind != "non_contractual":
        shares.append(_describe_margin("a fee", economics.fee_margin))
    if kind != "flat":
        shares.append(_describe_margin("an order's amount", economics.margin_share))
    whole = economics.margin_share == 1 and economics.fee_margin == 1
    turnover = " `study.yml` states no margin, so value is turnover, not profit." if whole else ""
    return (
        f"Assumed, not estimated: {join_words(shares)}; money is discounted by"
        f" {100 * economics.discount_rate:.3g} % a year; value looks {economics.value_days:,} days"
        f" ahead and no further, in {economics.currency}.{turnover} New customers, the cost of"
        " winning them, and the value of referrals are left out."
    )


def _describe_margin(what: str, share: float) -> str:
    return f"all of {what} remains" if share == 1 else f"{share:.0%} of {what} remains"


def describe_purchase_model(valuation: Valuation) -> str:
    """Return which purchase model was chosen and why, and whether the data identify it.

    Empty where no buyers were valued.
    """
    if valuation.parameters.empty:
        return ""
    parameters, chosen = valuation.parameters, valuation.model
    rows = parameters[parameters.model == chosen].set_index("parameter")
    sentences = [
        _describe_aic(parameters, chosen),
        _describe_dropout(rows),
        _describe_covariate(rows, chosen),
        _describe_regularity(rows),
        _describe_correlation(correlate(valuation.histories)),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _describe_aic(parameters: pd.DataFrame, chosen: str) -> str:
    by_model = parameters.drop_duplicates("model").set_index("model").aic
    aic = by_model.drop(GAMMA_GAMMA, errors="ignore").sort_values()
    second = (
        f" ({aic.iloc[0]:,.0f}; next {aic.index[1]}, {aic.iloc[1]:,.0f})" if len(aic) > 1 else ""
    )
    return (
        f"**{chosen}** values the customers: of {len(aic)} models it has the lowest AIC on the"
        f" histories up to the snapshot{second}. The holdout was not used."
    )


def _describe_dropout(rows: pd.DataFrame) -> str:
    dropout = rows[rows.index.isin(DROPOUT_PARAMETERS)]
    if not dropout.low.isna().any():
        return ""
    return (
        "The histories don't identify how customers drop out: the parameters"
        f" {join_words(list(dropout.index))} have no interval, and probabilities of being alive"
        " mean little here."
    )


def _describe_covariate(rows: pd.DataFrame, chosen: str) -> str:
    if chosen != WITH_FIRST_AMOUNT or not np.isfinite(rows.low.get("buys_more", np.nan)):
        return ""
    row = rows.loc["buys_more"]
    return (
        "A first amount 2.7 times as large goes with"
        f" {write_interval(row.value, row.low, row.high, 2)} times as many purchases."
    )


def _describe_regularity(rows: pd.DataFrame) -> str:
    if "k" not in rows.index or rows.value.k < 2:
        return ""
    spread = f"{1 / np.sqrt(rows.value.k):.2f}"
    return (
        "Purchases come more regularly than at random (k ="
        f" {rows.value.k:.0f}, chosen by likelihood): the times between a customer's purchases"
        f" scatter by {spread} times their mean, where random ones scatter by once."
    )


def _describe_correlation(correlation: float) -> str:
    if not np.isfinite(correlation):
        return ""
    meaning = (
        "about what Gamma-Gamma assumes"
        if abs(correlation) < UNCORRELATED
        else "so amounts are not independent of frequency, as Gamma-Gamma assumes"
    )
    value = f"{correlation:.2f}".replace("-", "−")
    return f"The rank correlation of frequency and mean amount is {value}: {meaning}."


def describe_holdouts(scores: pd.DataFrame, valuation: Valuation) -> list[str]:
    """Return a verdict on the holdout for each outcome; see ``describe_holdout``.

    Parameters
    ----------
    scores : see ``holdout.score_valuation``; no verdict without any
    """
    if scores.empty:
        return []
    model, currency, days = valuation.model, valuation.currency, valuation.holdout_days
    return [
        describe_holdout(rows, outcome, model, currency, days)
        for outcome, rows in scores.groupby("outcome", sort=False)
    ]


def describe_holdout(
    scores: pd.DataFrame, outcome: str, model: str, currency: str, days: int
) -> str:
    """Return whether the model beats the best baseline, and whether its total is off.

    Parameters
    ----------
    scores : see ``holdout.score_holdout``, of one outcome: purchases, amount or margin
    days : of the holdout
    """
    rows = scores[scores.model == model].set_index("metric")
    squared, absolute = rows.loc["rmse"], rows.loc["mae"]
    baseline = squared.reference
    digits = 2 if squared.value < 100 else 0
    other = scores[(scores.model == baseline) & (scores.metric == "rmse")].value.item()
    sentences = [
        _start_holdout(model, OUTCOME_NOUNS[outcome], squared.verdict, baseline),
        (
            f"Over {days} days its root mean squared error is {squared.value:,.{digits}f}"
            f" {UNITS_PER_CUSTOMER[outcome].format(currency)}, that of the baseline “{baseline}”"
            f" {other:,.{digits}f}; the difference is {_write_difference(squared, digits)}."
        ),
        _describe_total(rows.loc["total_error_share"]),
    ]
    if absolute.verdict == WORSE:
        sentences.append(
            "Its absolute error is significantly worse than that baseline's"
            f" ({_write_difference(absolute, digits)})."
        )
    return " ".join(sentences)


def describe_important(important: ImportantDifference, scores: pd.DataFrame, model: str) -> str:
    """Return whether the lead on the best baseline matters; see ``describe_importance``.

    Parameters
    ----------
    scores : see ``holdout.score_valuation``; nothing without any
    """
    if scores.empty:
        return ""
    errors = scores[scores.metric == "rmse"]
    baselines, found = errors.set_index(["outcome", "model"]).value, []
    for row in errors[errors.model == model].itertuples():
        base = baselines[row.outcome, row.reference]
        words = (
            f"the error of {OUTCOME_NOUNS[row.outcome]}, as a share of that of “{row.reference}”,"
        )
        bounds = row.difference_low / base, row.difference_high / base
        found.append(Difference("error", words, *bounds, "share"))
    return describe_importance(important, found)


def _start_holdout(model: str, outcome: str, verdict: str, baseline: str) -> str:
    name = model[:1].upper() + model[1:]
    if verdict == BETTER:
        return f"**{name} predicts {outcome} significantly better than the best baseline.**"
    if verdict == WORSE:
        return (
            f"**{name} predicts {outcome} significantly worse than the baseline “{baseline}”: use"
            " the baseline.**"
        )
    return f"**{name} doesn't predict {outcome} significantly better than “{baseline}”.**"


def _write_difference(row: pd.Series, digits: int) -> str:
    return write_interval(row.difference, row.difference_low, row.difference_high, digits)


def _describe_total(row: pd.Series) -> str:
    if not np.isfinite(row.value):
        return "Nothing came, so its total can't be compared."
    low, high = (write_quantity(number, "share") for number in (row.low, row.high))
    interval = f"({write_quantity(row.value, 'share')}, 95 % CI {low} to {high})"
    if row.low <= 0 <= row.high:
        return f"Its total is not significantly off {interval}."
    side = "more" if row.value > 0 else "less"
    return f"**Its total is off**: {side} was predicted than came {interval}."


def describe_purchase_scores(
    purchase_scores: pd.DataFrame, floor: pd.DataFrame, scores: pd.DataFrame, model: str
) -> list[str]:
    """Return whether another model of the same histories could do better.

    Parameters
    ----------
    purchase_scores : see ``holdout.score_purchase_models``
    floor : see ``tracking.simulate_valuation_floor``
    scores : see ``holdout.score_valuation``
    """
    if purchase_scores.empty:
        return [
            "Not applicable: no purchases of buyers without a contract come after the snapshot."
        ]
    return [describe_first_amount(purchase_scores), describe_error_floor(floor, scores, model)]


def describe_first_amount(scores: pd.DataFrame) -> str:
    """Return whether the first amount improves Pareto/NBD on the holdout.

    Parameters
    ----------
    scores : see ``holdout.score_purchase_models``
    """
    if scores.empty:
        return ""
    rows = scores[(scores.model == WITH_FIRST_AMOUNT) & (scores.metric == "rmse")]
    if rows.empty:
        return ""
    row = rows.iloc[0]
    verdict = {BETTER: "is significantly better than", WORSE: "is significantly worse than"}.get(
        row.verdict, "is not significantly better than"
    )
    return (
        f"**The model with the first amount {verdict} Pareto/NBD on the holdout**: its root mean"
        f" squared error is {row.value:.3f}, the paired difference {_write_difference(row, 4)}."
    )


def describe_error_floor(floor: pd.DataFrame, scores: pd.DataFrame, model: str) -> str:
    """Return how much of the error is irreducible: the error that the model has if it is true.

    Parameters
    ----------
    floor : see ``tracking.simulate_valuation_floor``; no sentence without any
    scores : see ``holdout.score_valuation``
    """
    if floor.empty:
        return ""
    rows = scores[(scores.model == model) & (scores.outcome == "purchases")]
    actual, limits = rows.set_index("metric").value, floor.set_index("metric")
    squared, total = limits.loc["rmse"], limits.loc["total_error_share"]
    start = (
        f"If {model} were exactly true, chance alone would leave a root mean squared error of"
        f" {write_interval(squared.value, squared.low, squared.high, 2)}."
        f" {_describe_gap(actual['rmse'], squared)}"
    )
    if total.low <= actual["total_error_share"] <= total.high:
        return start
    between = f"{write_quantity(total.low, 'share')} to {write_quantity(total.high, 'share')}"
    return (
        f"{start} Its total would be off by {between}; it is off by more: the model doesn't"
        " describe these customers well, or something changed after the snapshot, such as a season."
    )


def _describe_gap(error: float, floor: pd.Series) -> str:
    gap = max(1 - floor.value / error, 0)
    room = (
        f"better use of the same histories could reduce it by about {gap:.0%}"
        if gap >= 0.005
        else "better use of the same histories could not reduce it"
    )
    place = "above" if error > floor.high else "below" if error < floor.low else "within"
    return f"The actual {error:.2f} lies {place} that interval; by this simulation {room}."


def describe_values(
    valuation: Valuation,
    by_segment: pd.DataFrame,
    shares: pd.DataFrame,
    scores: pd.DataFrame,
    kind: str,
) -> str:
    """Return the value of all customers, its concentration, and the expected cost of churn.

    Parameters
    ----------
    by_segment : see ``cost_of_churn.tabulate_segments``
    shares : see ``cost_of_churn.compute_concentration``
    scores : of the holdout, empty where there is none: where its total was off, so may the value be
    kind : of the study
    """
    values, currency, row = valuation.values, valuation.currency, by_segment.iloc[0]
    tenth = np.interp(0.1, shares.customers_share, shares.value_share)
    sentences = [
        _warn_of_total(scores, valuation.model, row, currency),
        (
            f"**The value of the {len(values):,} customers {write_day(valuation)} is"
            f" {_write_money(row.value, row.low, row.high, currency)}**; the 10 % with the highest"
            f" value account for {tenth:.0%} of it."
        ),
        _describe_loss(row, currency, kind),
        _describe_keeping(values, currency),
    ]
    if nothing := int((values.value <= 0).sum()):
        sentences.append(
            f"{nothing:,} have no value: they brought no margin, or returned as much as they"
            " bought."
        )
    return " ".join(sentence for sentence in sentences if sentence)


def _describe_loss(row: pd.Series, currency: str, kind: str) -> str:
    if row.cost_share >= NEGLIGIBLE:
        cost = _write_money(row.cost_of_churn, row.cost_low, row.cost_high, currency)
        return (
            f"{LOSS_WORDS[kind]} {cost}, or {row.cost_share:.1%} of the value {KEPT_WORDS[kind]}."
        )
    if row.value <= 0:
        return "There is no value to lose."
    return (
        "The cost of churn can't be estimated, so the value of inactive customers is probably lower"
        " than shown."
    )


def _describe_keeping(values: pd.DataFrame, currency: str) -> str:
    worth = (values.risk * values.value_of_keeping).sum() / max(values.risk.sum(), 1e-12)
    return (
        f"Keeping one who would leave is worth {worth:,.0f} {currency} on"
        " average: what a customer brings who stays through the window, less what one brings who"
        " leaves in it."
    )


def _warn_of_total(scores: pd.DataFrame, model: str, row: pd.Series, currency: str) -> str:
    """Return a warning where the total of the holdout was off, and what it makes of the value."""
    if scores.empty:
        return ""
    rows = scores[(scores.model == model) & (scores.metric == "total_error_share")]
    rows = rows[rows.outcome.isin(["amount", "margin"])]
    if rows.empty:  # the model of the scored day couldn't be fitted on the judged one
        return ""
    error = rows.iloc[0]
    if error.low <= 0 <= error.high or not np.isfinite(error.value) or error.low <= -1:
        return ""
    scaled = (row.value / (1 + share) for share in (error.value, error.high, error.low))
    return (
        "**The value below is known to be off**: in the holdout the predicted money was off by"
        f" {write_quantity(error.value, 'share')}. If it is off by as much over the whole span, the"
        f" value is {_write_money(*scaled, currency)}; the interval below reaches there."
    )


def describe_cost_check(check: pd.DataFrame, currency: str) -> str:
    """Return whether the expected cost of churn was that of those who left.

    Parameters
    ----------
    check : see ``holdout_error.check_cost_of_churn``; nothing to compare where it is empty
    """
    if check.empty:
        return (
            "What churn is expected to cost can't be compared with who left: the label window isn't"
            " over, or there is none."
        )
    return " ".join(_describe_check(row, currency) for row in check.itertuples())


def _describe_check(row, currency: str) -> str:
    start = (
        f"{row.what[:1].upper() + row.what[1:]}, until {row.until}: expected"
        f" {row.expected:,.0f} {currency}, over those who left {row.actual:,.0f} {currency}"
    )
    ratio = write_interval(row.ratio, row.low, row.high, 2)
    if row.low <= 1 <= row.high:
        return f"{start}: not significantly off (actual to expected {ratio})."
    if row.high < 1 and row.low > 0:
        factor = write_interval(1 / row.ratio, 1 / row.high, 1 / row.low, 2)
        return f"{start}: **overstated by a factor of {factor}**."
    if row.ratio < 1:
        return f"{start}: **overstated** (actual to expected {ratio})."
    return f"{start}: **understated by a factor of {ratio}**."


def _write_money(value: float, low: float, high: float, currency: str) -> str:
    bounds = f" ({low:,.0f} to {high:,.0f})" if np.isfinite([low, high]).all() else ""
    return f"{value:,.0f} {currency}{bounds}"


def describe_cost_of_churn(by_segment: pd.DataFrame, currency: str) -> str:
    """Return where churn costs most: by attribute, the segments with the largest and smallest loss.

    Only where their intervals don't overlap.

    Parameters
    ----------
    by_segment : see ``cost_of_churn.tabulate_segments``
    """
    if not by_segment.cost_share.iloc[0] >= NEGLIGIBLE:
        return (
            "The cost of churn can't be estimated: the model sees nobody drop out in these"
            " histories, which doesn't mean that nobody leaves."
        )
    differing, alike = [], []
    for by, rows in by_segment[by_segment.segment_by != ALL].groupby("segment_by", sort=False):
        if len(rows) < 2:
            continue
        ends = _find_clear_ends(rows)
        if ends is None:
            alike.append(write_plain(by))
        else:
            differing.append(_describe_ends(by, *ends, currency))
    sentences = [f"Where churn costs most: {'; '.join(differing)}."] if differing else []
    if alike:
        sentences.append(
            f"The share of value lost doesn't differ significantly by {join_words(alike)}."
        )
    return " ".join(sentences) or (
        "There are no segments to compare: as far as these tables show, churn costs the same"
        " everywhere."
    )


def _find_clear_ends(rows: pd.DataFrame) -> tuple[pd.Series, pd.Series] | None:
    """Return the segments with the largest and smallest share lost, none where they overlap."""
    if_kept = (rows.value + rows.cost_of_churn).where(lambda sums: sums > 0)
    most, least = rows.cost_share.idxmax(), rows.cost_share.idxmin()
    clear = (rows.cost_low / if_kept)[most] > (rows.cost_high / if_kept)[least]
    return (rows.loc[most], rows.loc[least]) if clear else None


def _describe_ends(by: str, first: pd.Series, last: pd.Series, currency: str) -> str:
    return (
        f"by {write_plain(by)}, “{write_plain(first.segment)}” loses the largest part of its value"
        f" ({first.cost_share:.1%}, {first.cost_of_churn:,.0f} {currency}),"
        f" “{write_plain(last.segment)}” the smallest ({last.cost_share:.1%},"
        f" {last.cost_of_churn:,.0f} {currency})"
    )


def describe_ground_truth(truth_scores: pd.DataFrame, valuation: Valuation, days: float) -> str:
    """Return how far values are from the true ones, which only a generated company knows.

    Parameters
    ----------
    truth_scores : see ``truth.score_against_truth``, of the model and of one curve for all
    days : for which the true values are known
    """
    if truth_scores.empty:
        return "Not applicable: the true values of these customers are not known."
    by_model = {name: rows.set_index("metric") for name, rows in truth_scores.groupby("model")}
    rows, single = by_model[valuation.model], by_model[SINGLE_CURVE]
    explained, by_single = (table.loc["spread_explained_share"] for table in (rows, single))
    comparison = (
        "more than"
        if explained.low > by_single.high
        else "less than"
        if explained.high < by_single.low
        else "not clearly more than"
    )
    total, rank = rows.loc["total_error_share"], rows.loc["rank_correlation"]
    warning = (
        " The interval of the total below holds the error of the holdout, which is shorter than the"
        f" span: the total is off by {write_quantity(abs(total.value), 'share')} all the same."
    )
    return (
        f"**Compared with the true values over {days:.0f} days** ({int(explained.n):,} of"
        f" {len(valuation.values):,} customers, those whose true value is known):"
        f" the values explain {write_share(explained)} of the variance of the true ones,"
        f" {comparison} {SINGLE_CURVE} ({write_share(by_single)}); the rank correlation is"
        f" {write_interval(rank.value, rank.low, rank.high, 2)}, the root mean squared error"
        f" {rows.value['rmse']:,.0f} {valuation.currency}, and the total is off by"
        f" {write_share(total)}."
        f"{warning if total.low > 0 or total.high < 0 else ''}"
    )


def describe_recommender(evaluation: Evaluation) -> str:
    """Return whether item to item finds the next product more often than popularity does.

    Empty where nothing can be offered.
    """
    if evaluation.missing:
        return ""
    scores = evaluation.scores[evaluation.scores.metric == evaluation.metric]
    row = find_item_to_item(scores, evaluation.metric)
    baseline, at_random = (scores[scores.model == name].iloc[0] for name in (row.reference, RANDOM))
    length = evaluation.length
    hit = "the first product is" if length == 1 else f"one of the first {length} products is"
    low, high = (
        write_quantity(number, "points") for number in (row.difference_low, row.difference_high)
    )
    return (
        f"{_start_recommender(row.verdict)} Of the {int(row.n):,} customers (of"
        f" {len(evaluation.baskets.customers):,} who had bought by the snapshot, former customers"
        " among them) who bought a further product within"
        f" {evaluation.days} days, {hit} among them for {write_share(row)}, with"
        f" “{row.reference}” for {write_share(baseline)}, with a random list for"
        f" {write_quantity(at_random.value, 'share')}; the paired difference is"
        f" {write_quantity(row.difference, 'points')} ({low} to {high}). It predicts what is bought"
        " anyway; whether an offer changes it, only a randomised test can show."
    )


def _start_recommender(verdict: str) -> str:
    if verdict == BETTER:
        return (
            "**Item to item finds the next product significantly more often than popularity does.**"
        )
    often = "significantly less often" if verdict == WORSE else "not significantly more often"
    return (
        f"**Item to item finds the next product {often} than popularity does**, so popularity makes"
        " the offers below."
    )


def describe_offers(offers: pd.DataFrame) -> str:
    """Return for how many customers there are offers; empty without any."""
    if offers.empty:
        return ""
    return (
        f"The first of {offers.customer_id.nunique():,} customers of the population, those who"
        " haven't bought every product yet; all are in tables/offers.csv. Scores compare the offers"
        " of one customer."
    )

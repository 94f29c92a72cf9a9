"""Tables and sentences of ``30_risk`` for readers, computed from result tables.

"Not significantly better than the baseline" is a verdict that a notebook can reach.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from research.data.remarks import describe_remarks
from research.evaluation.bootstrap import BETTER, NO_DIFFERENCE, WORSE
from research.evaluation.groups import LEAST_ROWS, TOO_FEW
from research.evaluation.importance import Difference, describe_importance
from research.evaluation.intervals import SIGNIFICANCE_LEVEL, Z
from research.evaluation.metrics import CALIBRATION, METRICS
from research.models.out_of_fold import ENOUGH_ROWS
from research.models.registry import BASE_RATE, BASELINE, FOREST_ROWS
from research.models.trees import TREE_ROWS
from research.models.tuning import MAX_ROWS as SEARCH_ROWS
from research.reporting.format import (
    join_words,
    write_interval,
    write_number,
    write_quantity,
)
from research.risk.explain_agreement import ODDS, PERMUTATION, SHAP
from research.risk.fairness import GAPS, SIGNIFICANT_GAP
from research.risk.imbalance import NONE, UNBALANCED
from research.risk.odds_ratios import MORE
from research.risk.profit import EVERYBODY, ORACLE, RANDOM, Prices
from research.risk.rolling_origin import LEAST_WINDOWS
from research.study_schema import ImportantDifference

NOTHING = 0.0005  # a change of the log-loss that would be written as 0.000
PERFECT_AUC = 0.97  # of a model; the best of the shipped studies reaches .93
WHOLE, TOLERATED_SUM = 1.0, 0.1  # of a gain, and how far from it sums of estimates may lie
MAX_LEADING = 10  # leading drivers that are compared between families
SHOWN = 12  # of them, in the table
ARROWS = {1: " ↑", -1: " ↓", 0: ""}
MEASURE_HEADINGS = {
    PERMUTATION: "permutation importance, {}",
    SHAP: "SHAP, {}",
    ODDS: "odds ratio",
}


def find_baseline(scores: pd.DataFrame, metric: str = "log_loss") -> str:
    """Return the best baseline in one score: the one that a model has to beat."""
    rows = scores[(scores.family == BASELINE) & (scores.metric == metric)]
    return rows.model[METRICS[metric].find_best(rows.value)]


def find_best(scores: pd.DataFrame) -> str:
    """Return the model, not a baseline, with the lowest log-loss."""
    rows = scores[(scores.family != BASELINE) & (scores.metric == "log_loss")]
    return rows.model[METRICS["log_loss"].find_best(rows.value)]


def describe_models(
    scores: pd.DataFrame,
    differences: pd.DataFrame,
    gains: pd.DataFrame | None = None,
    where: str = "",
    smallest: float | None = None,
) -> str:
    """Summarise whether the best model beats the best baseline of each score.

    Also which other models do not differ significantly from it, whether it is calibrated, and where
    it isn't, whether recalibration was shown to help.

    Parameters
    ----------
    scores : long score table
    differences : long table of paired differences with the best baselines and the best model among
        its references
    gains : of recalibration, see ``ModelComparison.compare_recalibrated``; without it recalibration
        counts as not tried
    where : to what the verdict is limited, see ``name_windows``
    smallest : difference in log-loss that matters, where the study names one

    Returns
    -------
    Markdown
    """
    best = find_best(scores)
    loss, area = (
        _find_difference(differences, best, find_baseline(scores, metric), metric)
        for metric in ("log_loss", "auc")
    )
    if BETTER in (loss.verdict, area.verdict):
        return " ".join(
            [
                _describe_winner(best, loss, area, where),
                _describe_others(best, differences, smallest),
                _describe_calibration(best, scores, gains),
            ]
        )
    others = _describe_better_others(scores, differences)
    if not others:
        return _describe_no_winner(best, loss, area, where)
    subject = "The model with the lowest log-loss"
    return f"{_describe_no_winner(best, loss, area, where, subject)} {others}"


def name_windows(summary: pd.DataFrame) -> str:
    """Return to what verdicts on models are limited while few windows are judged; else nothing.

    Parameters
    ----------
    summary : see ``rolling_origin.summarise_windows``
    """
    few = len(summary) and summary.windows.max() < LEAST_WINDOWS
    return " in this window" if few else ""


def describe_windows(summary: pd.DataFrame, model: str, best: str, reason: str) -> str:
    """Say in how many windows a model beat the baseline, and how far the windows lie apart.

    Nothing of a study without windows.

    Parameters
    ----------
    summary : see ``rolling_origin.summarise_windows``
    model, best : the model that was followed, and the best one of the latest window
    reason : why there are no more windows
    """
    if summary.empty:
        return ""
    rows = summary[summary.model == model].set_index("metric")
    start = (
        f"{_capitalise(model)} stands for {best}, whose search of settings isn't repeated. "
        if model != best
        else ""
    )
    if rows.windows.max() < LEAST_WINDOWS:
        return " ".join([start + _describe_few_windows(rows), reason]).strip()
    return start + " ".join(
        _describe_gain_over_windows(row, model, metric, words)
        for metric, words in (("auc", "ranks better"), ("log_loss", "has better probabilities"))
        for row in [rows.loc[metric]]
    )


def _describe_few_windows(rows: pd.DataFrame) -> str:
    if rows.windows.max() < 2:
        return "**One window is judged**: how much another one would differ isn't known."
    area, loss = rows.loc["auc"], rows.loc["log_loss"]
    return (
        f"**{rows.windows.max()} windows are judged, too few to say how much another one would"
        f" differ**: AUC differs from the {area.reference} by {_write_span(area)}, log-loss from"
        f" the {loss.reference} by {_write_span(loss)}."
    )


def _describe_gain_over_windows(row: pd.Series, model: str, metric: str, words: str) -> str:
    name = METRICS[metric].words
    holds = row.low > 0 or row.high < 0
    return (
        f"**In {row.better} of {row.windows} windows {model} {words} than the"
        f" {row.reference}**: {name} differs by {_write_row(row)} on average, with a 95 % interval"
        f" over windows; by {_write_span(row)} in single windows, standard deviation"
        f" {write_number(row.sd, 3)}."
        + ("" if holds else f" Over windows the difference in {name} is inconclusive.")
    )


def _write_span(row: pd.Series) -> str:
    return f"{write_number(row.least, 3)} to {write_number(row.most, 3)}"


def windows_table(scores: pd.DataFrame, differences: pd.DataFrame, model: str) -> pd.DataFrame:
    """Return the scores of one model in each window, and what it gains on the baseline.

    Parameters
    ----------
    scores, differences : see ``rolling_origin.Windows.judge``
    """
    if scores.empty:
        return pd.DataFrame()
    rows = scores[scores.model == model]
    table = rows.drop_duplicates("origin")[["origin", "customers", "rows", "churned_rows"]]
    names = {"origin": "first test snapshot", "churned_rows": "rows that churned"}
    table = table.assign(churned_share=table.churned_rows / table.rows)
    table = table.rename(columns=names).reset_index(drop=True)
    for metric in differences.metric.unique():
        own = rows[rows.metric == metric]
        gains = differences[(differences.model == model) & (differences.metric == metric)]
        words = METRICS[metric].words
        table[words] = [_write_row(row) for _, row in own.iterrows()]
        table[f"{words}, minus the {gains.reference.iloc[0]}'s"] = [
            _write_row(row) for _, row in gains.iterrows()
        ]
    return table


def describe_perfection(scores: pd.DataFrame, leading: list[str], flat: bool) -> str:
    """Say so where the best model is too good to be a forecast; nothing where none is.

    Parameters
    ----------
    scores : long score table
    leading : the features that the models go by most, see ``rank_drivers``
    flat : whether the study is one table without dates
    """
    rows = scores[(scores.family != BASELINE) & (scores.metric == "auc")]
    best = rows.loc[rows.value.idxmax()]
    if best.value < PERFECT_AUC:
        return ""
    table = "The table" if flat else "The study"
    named = f": {', '.join(leading)}" if leading else ""
    return (
        f"**Too good to be a forecast: {best.model} has an AUC of {_write_row(best)}.** Who will"
        f" leave can't be known so surely. {table} probably contains columns measured at or after"
        " leaving, which nobody has of a customer who is still there. When was each of the leading"
        f" features measured{named}? Name those that weren't known before leaving under `leaks`,"
        " `drop` in `study.yml`, and run again."
    )


def describe_failures(scores: pd.DataFrame, differences: pd.DataFrame, outside: pd.Series) -> str:
    """Name the models that failed, and the likely cause; nothing where none did.

    A model failed whose log-loss is significantly worse than the base rate's, or which ranks no
    better than chance.

    Parameters
    ----------
    scores : long score table
    differences : long table of paired differences, among them those with the base rate
    outside : by column the share of judged rows beyond the training range, see
        ``predict.find_outside``
    """
    compared = differences[(differences.reference == BASE_RATE) & (differences.family != BASELINE)]
    worse = compared[(compared.metric == "log_loss") & (compared.verdict == WORSE)].model
    areas = scores[(scores.family != BASELINE) & (scores.metric == "auc")]
    chance = areas[areas.value <= 0.5].model
    failed = [*dict.fromkeys([*worse, *chance])]
    if not failed:
        return ""
    wide = scores.pivot(index="model", columns="metric", values="value")
    listed = "; ".join(
        f"{model}: AUC {wide.auc[model]:.3f}, log-loss {wide.log_loss[model]:.3f}, where the base"
        f" rate has {wide.log_loss[BASE_RATE]:.3f}"
        for model in failed
    )
    same = {*areas[areas.value == 0.5].model}
    causes = " ".join(_describe_causes(scores, {*worse} - same, {*chance} - same, same, outside))
    return f"**Failed, so not to be used: {join_words(failed)}** ({listed}). {causes}"


def _describe_causes(
    scores: pd.DataFrame,
    worse: set[str],
    chance: set[str],
    same: set[str],
    outside: pd.Series,
) -> Iterator[str]:
    """Yield the likely causes of failures, for each kind of them once.

    ``same`` are models that give every customer the same risk.
    """
    if same:
        sight = "it looks" if len(same) == 1 else "they look"
        yield (
            f"By {_list_sorted(same)} every customer has the same risk: nothing in what {sight} at"
            " distinguishes customers here."
        )
    if both := worse & chance:
        yield (
            f"What {_list_sorted(both)} learned doesn't hold for the judged customers: likely a"
            " column changed its meaning between them, or holds what was written later."
        )
    if blind := chance - worse:
        yield f"Likely the features that {_list_sorted(blind)} used say nothing of who leaves."
    if wrong := worse - chance:
        yield f"The probabilities of {_list_sorted(wrong)} are wrong, though not the ranking:"
        yield f"{_describe_bias(scores[scores.model.isin(wrong)])}."
    if len(outside) and worse:
        named = join_words([f"{name} ({share:.0%} of the rows)" for name, share in outside.items()])
        yield f"Look at columns that lie beyond the range learned from: {named}."


def _list_sorted(models: set[str]) -> str:
    return join_words(sorted(models))


def _describe_bias(scores: pd.DataFrame) -> str:
    """Return whether failed models are too extreme, or have another churn rate in mind."""
    rows = scores.set_index("metric")
    slopes, intercepts = rows.loc[["calibration_slope"]], rows.loc[["calibration_intercept"]]
    if (slopes.high < 1).any():
        return (
            "too extreme, as of a model that learned chance from too few churners, or from columns"
            " that mean something else for the judged customers"
        )
    if ((intercepts.low > 0) | (intercepts.high < 0)).any():
        return "the churn rate is another where it learned than where it is judged"
    return "likely too few churners to learn from"


def describe_labels(remarks: pd.DataFrame) -> str:
    """Say what may mislead in populations and labels; nothing where nothing does.

    Parameters
    ----------
    remarks : see ``panel.remarks.find_panel_remarks``
    """
    if remarks.empty:
        return ""
    return (
        f"**The labels may mislead:** {' '.join(f'{text}.' for text in describe_remarks(remarks))}"
    )


def describe_bounds(rows: int, trials: int) -> str:
    """Say which parts of models learn from fewer rows than there are; nothing where none does.

    Parameters
    ----------
    rows : to learn from
    trials : of the search of settings
    """
    bounds = [
        (SEARCH_ROWS if trials else rows, "settings are tried on {:,} (the best again on all)"),
        (TREE_ROWS, "each tree of the random forest learns from {:,}"),
        (FOREST_ROWS, "the survival forest learns from {:,}"),
        (ENOUGH_ROWS, "averages and recalibration learn from the folds that hold {:,}"),
    ]
    parts = [words.format(most) for most, words in bounds if most < rows]
    if not parts:
        return ""
    return f"To save time, of the {rows:,} rows to learn from, {join_words(parts)}."


def describe_sample_size(sizes: pd.DataFrame) -> str:
    """Say so where there are too few customers to learn from; nothing where there are enough.

    Parameters
    ----------
    sizes : see ``sample_size.tabulate_sample_size``
    """
    row = sizes.loc[sizes.needed.idxmax()]
    if row.customers >= row.needed:
        return ""
    return (
        f"**Few customers for so many columns**: a regression without penalty on all"
        f" {row['columns']:,} would need {row.needed:,} customers with {row.churners_needed:,}"
        f" churners (by {row.criterion}; Riley et al. 2020, R² taken to be 15 % of the largest);"
        f" there are {row.customers:,} with {row.churners:,}. The models below leave columns out or"
        " shrink their effects, so they need fewer, but how many isn't known: look at the"
        " calibration slope for probabilities that are too extreme."
    )


def _find_difference(
    differences: pd.DataFrame, model: str, reference: str, metric: str
) -> pd.Series:
    return differences[
        (differences.model == model)
        & (differences.reference == reference)
        & (differences.metric == metric)
    ].iloc[0]


def describe_important(
    important: ImportantDifference,
    scores: pd.DataFrame,
    differences: pd.DataFrame,
    profit: pd.DataFrame,
) -> str:
    """Return whether the best model's lead on the baseline matters; see ``describe_importance``.

    Parameters
    ----------
    scores, differences : see ``describe_models``
    profit : see ``profit.tabulate_profit``; of the list that earns most
    """
    best, found = find_best(scores), []
    for metric in ("log_loss", "auc"):
        baseline = find_baseline(scores, metric)
        row = _find_difference(differences, best, baseline, metric)
        heading = METRICS[metric].words
        name = heading if heading.isupper() else heading.lower()
        words = f"{name} between {best} and the {baseline}"
        found.append(Difference(metric, words, row.low, row.high))
    lists = profit[profit.model != ""].sort_values("profit_per_cycle").tail(1)
    found += [
        Difference("profit", f"the profit of a {row.policy}", *bounds, row.currency)
        for row in lists.itertuples()
        for bounds in [(row.adjusted_low, row.adjusted_high)]
    ]
    return describe_importance(important, found)


def _describe_better_others(scores: pd.DataFrame, differences: pd.DataFrame) -> str:
    """Name the models that beat the best baseline in one score without the lowest log-loss."""
    sentences = []
    for metric, gain in (("auc", "ranks better"), ("log_loss", "gives better probabilities")):
        rows = differences[
            (differences.reference == find_baseline(scores, metric))
            & (differences.metric == metric)
        ]
        better = rows[(rows.verdict == BETTER) & (rows.family != BASELINE)]
        sentences += [
            f"{_capitalise(row.model)} {gain} than the {row.reference}, by {_write_row(row)}."
            for _, row in better.iterrows()
        ]
    return " ".join(sentences)


def _describe_no_winner(
    best: str, loss: pd.Series, area: pd.Series, where: str, subject: str = "No model"
) -> str:
    baselines = join_words([*dict.fromkeys([loss.reference, area.reference])])
    negation = "" if subject == "No model" else "not "
    start = f"**{subject} is {negation}significantly better than the {baselines}{where}.**"
    compared = (
        f"{_capitalise(best)} differs in log-loss from the {loss.reference} by {_write_row(loss)}"
        f" and in AUC from the {area.reference} by {_write_row(area)}"
    )
    if WORSE in (loss.verdict, area.verdict):
        worse = " and ".join(
            f"its {name}"
            for name, row in (("log-loss", loss), ("ranking", area))
            if row.verdict == WORSE
        )
        return f"{start} {compared}: significantly worse in {worse}. Use the baseline."
    return (
        f"{start} {compared}. This is inconclusive: a gain of up to {area.high:.2f} in AUC is not"
        " ruled out. Until there are more data, the baseline is the simpler choice."
    )


def _describe_winner(best: str, loss: pd.Series, area: pd.Series, where: str) -> str:
    sources = (
        ["", ""]
        if area.reference == loss.reference
        else [f" from the {area.reference}", f" from the {loss.reference}"]
    )
    gains = (
        f"AUC differs by {_write_row(area)}{sources[0]}, log-loss (less is better) by"
        f" {_write_row(loss)}{sources[1]}."
    )
    if loss.verdict == area.verdict == BETTER:
        baselines = join_words([*dict.fromkeys([loss.reference, area.reference])])
        return (
            f"**{_capitalise(best)} ranks customers significantly better and gives significantly"
            f" better probabilities than the {baselines}{where}**: {gains}"
        )
    if area.verdict == BETTER:
        return (
            f"**{_capitalise(best)} ranks customers significantly better than the"
            f" {area.reference}{where}**: {gains} Its probabilities are"
            f" {_describe_other_score(loss)}."
        )
    return (
        f"**{_capitalise(best)} gives significantly better probabilities than the"
        f" {loss.reference}{where}**: {gains} Its ranking is {_describe_other_score(area)}."
    )


def _describe_other_score(row: pd.Series) -> str:
    return "significantly worse" if row.verdict == WORSE else "not significantly better"


def _describe_others(best: str, differences: pd.DataFrame, smallest: float | None) -> str:
    """Name the models that aren't significantly worse, and those shown to be as good."""
    others = differences[
        (differences.reference == best)
        & (differences.metric == "log_loss")
        & (differences.family != BASELINE)
    ]
    similar = others[others.verdict == NO_DIFFERENCE]
    if similar.empty:
        return "Its log-loss is also significantly better than that of every other model."
    names = join_words([*similar.model])
    start = f"Its log-loss does not differ significantly from that of {names}"
    if alike := [*similar.model[similar.high < (smallest or 0.0)]]:
        return (
            f"{start}; that of {join_words(alike)} is worse by less than {smallest:g}, which would"
            " matter: of these, choose the one that is easiest to explain."
        )
    return (
        f"{start}; that doesn't show that they are as good: to be worse by up to"
        f" {write_number(similar.high.max(), 3)} is not ruled out."
    )


def _describe_calibration(best: str, scores: pd.DataFrame, gains: pd.DataFrame | None) -> str:
    rows = scores[scores.model == best].set_index("metric")
    intercept, slope = rows.loc["calibration_intercept"], rows.loc["calibration_slope"]
    faults = []
    if intercept.low > 0 or intercept.high < 0:
        faults.append(
            f"too {'low' if intercept.value > 0 else 'high'} on average (calibration intercept"
            f" {_write_bare(intercept)})"
        )
    if slope.low > 1 or slope.high < 1:
        faults.append(
            f"too {'cautious' if slope.value > 1 else 'extreme'} (calibration slope"
            f" {_write_bare(slope)})"
        )
    if _is_tolerated(slope) and _is_tolerated(intercept):
        little = (
            f"; they are slightly {' and '.join(faults)}"
            if faults
            else f" (calibration slope {_write_bare(slope)}; intercept {_write_bare(intercept)})"
        )
        return f"Its probabilities are well calibrated{little}."
    if not faults:
        return (
            "There are too few customers to say whether its probabilities are well calibrated"
            f" (calibration slope {_write_bare(slope)})."
        )
    return (
        f"Its probabilities are {' and '.join(faults)}: use its ranking."
        f" {_describe_recalibration(best, gains)}"
    )


def _describe_recalibration(best: str, gains: pd.DataFrame | None) -> str:
    """Return what to do before multiplying by money, by what recalibration was shown to change.

    It helps a model whose log-loss is significantly better and no calibration significantly worse:
    a better slope alone doesn't make the probabilities better.
    """
    if gains is None or gains.empty:
        return "Whether recalibration would help was not tried; money from them has this error."
    judged = gains[gains.metric.isin(["log_loss", *CALIBRATION])]
    verdicts = judged.groupby("reference", sort=False).verdict.agg(set)
    losses = judged[judged.metric == "log_loss"].set_index("reference").verdict
    helped = [
        model for model, found in verdicts.items() if losses[model] == BETTER and WORSE not in found
    ]
    if best in helped:
        return "Recalibrate them before multiplying by money: that improves them significantly."
    if best in verdicts:
        return (
            "Recalibration doesn't improve their log-loss significantly: money from them has this"
            " error."
        )
    if helped:
        return (
            f"Recalibration significantly improves the log-loss of {join_words(helped)}; it was not"
            " tried on this model: try it before multiplying by money, or expect this error."
        )
    return (
        "Recalibration significantly improves the log-loss of none of the models tried"
        f" ({join_words([*verdicts.index])}): money computed from the probabilities has this error."
    )


def _is_tolerated(row: pd.Series) -> bool:
    """Say whether the interval of a score lies within the values that make no difference."""
    least, most = METRICS[row.name].tolerated
    return least <= row.low and row.high <= most


def _write_row(row: pd.Series) -> str:
    return write_interval(row.value, row.low, row.high)


def _write_bare(row: pd.Series) -> str:
    written = write_interval(row.value, row.low, row.high, digits=2)
    return written.replace(" (", ", ").rstrip(")")


def _capitalise(text: str) -> str:
    return text[0].upper() + text[1:]


def describe_balancing(table: pd.DataFrame) -> str:
    """Summarise whether any method for class imbalance ranked or predicted significantly better.

    Parameters
    ----------
    table : see ``imbalance.tabulate_methods``
    """
    methods = table[~table.remedy.isin([NONE, *UNBALANCED.values()])]
    judged = methods[methods.metric.isin(["auc", "log_loss"])]
    better = _list_methods(judged[judged.verdict == BETTER])
    start = (
        f"**Significantly better ranking or probabilities: {better}.**"
        if better
        else "**No resampling or weighting method ranks or predicts significantly better than"
        " none.**"
    )
    worse = judged[(judged.verdict == WORSE) & (judged.metric == "log_loss")]
    if not (before := _list_methods(worse[~worse.recalibrated])):
        return start
    after = _list_methods(worse[worse.recalibrated])
    return (
        f"{start} Significantly worse in log-loss before recalibration: {before}; after it:"
        f" {after or 'none'}."
    )


def _list_methods(rows: pd.DataFrame) -> str:
    return ", ".join(
        f"{name} (compared with {UNBALANCED[name]})" if name in UNBALANCED else name
        for name in rows.remedy.unique()
    )


def describe_contact_list(lists: pd.DataFrame, best: str) -> str:
    """Summarise how many churners a contact list by the best model contains, and a random one.

    Parameters
    ----------
    lists : see ``contact_list.count_listed``
    """
    row = lists.set_index("model").loc[best]
    if row.listed == row.active:
        return (
            f"The capacity covers all {row.active:,.0f} customers at the last snapshot: a ranking"
            " does not change whom to contact."
        )
    return (
        f"Of the {row.listed:,.0f} customers whom {best} ranks highest, {row.churners_found:,.0f}"
        f" left ({row.found_share:.0%}, 95 % confidence interval {row.low_share:.0%} to"
        f" {row.high_share:.0%}); a random list would have contained about"
        f" {row.random_churners:,.0f}."
    )


def describe_profit_assumptions(prices: Prices | None, rows: pd.DataFrame | None = None) -> str:
    """Summarise what a profit rests on, or what study.yml has to state before there is any.

    Parameters
    ----------
    rows : customers with customer_id and churned, of whom those who left have a mean of their own
    """
    if prices is None:
        return (
            "No profit is computed: `study.yml` gives a capacity and no prices. Add"
            " `margin_per_customer`, `offer_cost` and `contact_cost` under `economics` to get the"
            " table of profits."
        )
    return " ".join([_describe_worth(prices, rows), _describe_share(prices)])


def _describe_worth(prices: Prices, rows: pd.DataFrame | None) -> str:
    """Return what a kept customer is worth and a contact costs, and where both come from."""
    unit, offer = prices.currency, write_quantity(prices.offer_cost, prices.currency)
    contact = write_quantity(prices.contact_cost, unit)
    costs = f"the offer costs {offer} {unit} and a contact {contact} {unit}."
    if prices.share.measured:
        costs = f"a contact with its offer costs {contact} {unit}, as in the campaigns."
    mean = write_quantity(float(np.mean(prices.worth)), unit)
    if prices.valued:
        return (
            f"A customer who is kept is worth {mean} {unit} on average over all customers"
            f"{_describe_leavers(prices, rows)}, each the own value of keeping as of the snapshot,"
            " or where a customer has none, as who has left in a study without dates, the mean"
            " weighted by the risk (see `50_value`; it prices `65_targeting` and `66_break_even`,"
            f" too); {costs}"
        )
    return f"Assumed, not estimated: a customer who is kept is worth {mean} {unit}; {costs}"


def _describe_leavers(prices: Prices, rows: pd.DataFrame | None) -> str:
    if rows is None or not rows.churned.any():
        return ""
    worth = prices.find_worth(rows.customer_id[rows.churned.astype(bool)]).mean()
    written = write_quantity(float(worth), prices.currency)
    return f", {written} {prices.currency} over those who left"


def _describe_share(prices: Prices) -> str:
    """Return which share of contacted churners stays, measured or assumed."""
    share = prices.share
    if share.measured:
        bounds = (share.mean + side * Z * share.error for side in (0, -1, 1))
        value, low, high = (write_quantity(bound, "share") for bound in bounds)
        return (
            f"Measured by the study's randomised campaigns of {share.customers:,} customers: of"
            f" those contacted who would have left, {value} ({low} to {high}) stayed for it, the"
            " effect of their offers, taken together, over the risk without contact; the intervals"
            " of profits contain the error of this share. Everybody on a list costs the same."
        )
    alpha, beta = share.beta
    return (
        f"Assumed: of contacted churners {share.mean:.0%} stay on average (beta distribution with"
        f" {alpha:.3g} and {beta:.3g}, over which the intervals vary it); customers who would have"
        " stayed take the offer all the same; one who left within the lead costs a contact only."
        " The share who stay is an effect, which only a campaign with a control group can show."
    )


def describe_profit(profit: pd.DataFrame, prices: Prices | None) -> str:
    """Summarise whether a list by the best model pays; nothing of an empty table.

    Parameters
    ----------
    profit : see ``profit.tabulate_profit``
    prices : by which it was counted
    """
    if prices is None or profit.empty:
        return ""
    rows, unit = profit.set_index("policy"), profit.currency.iloc[0]
    models = profit[profit.model != ""]
    best = models.loc[models.profit_per_cycle.idxmax()]
    ceiling = rows.loc[ORACLE]
    pays = {
        BETTER: f"**A list by {best.model} pays**",
        WORSE: "**No list of this length pays: contacting nobody is cheaper**",
        NO_DIFFERENCE: f"**It is inconclusive whether a list by {best.model} pays**",
    }[best.against_nobody]
    against_random = {
        BETTER: "significantly more than",
        WORSE: "significantly less than",
        NO_DIFFERENCE: "not significantly more than",
    }[best.against_lot]
    return (
        f"{pays}: {_write_profit(best)} {unit} a cycle from {best.contacted:,} contacts,"
        f" {against_random} a random list ({_write_profit(rows.loc[RANDOM])}). Contacting everybody"
        f" would bring {_write_profit(rows.loc[EVERYBODY])}; an oracle that knows who leaves,"
        f" {_write_profit(ceiling)}, from {ceiling.contacted:,} contacts. The profit of the best of"
        f" several models is slightly overestimated. {_name_sources(prices)}"
    )


def _name_sources(prices: Prices) -> str:
    worth = "each customer's value of keeping" if prices.valued else "an assumed margin"
    share = "measured by campaigns" if prices.share.measured else "assumed"
    return f"Counted by {worth}; the share who stay is {share}."


def _write_profit(row: pd.Series) -> str:
    bounds = (row.profit_per_cycle, row.adjusted_low, row.adjusted_high)
    value, low, high = map(_write_whole, bounds)
    return f"{value} ({low} to {high})"


def _write_whole(number: float) -> str:
    return f"{round(number) + 0:,}".replace("-", "−")


def profit_table(profit: pd.DataFrame) -> pd.DataFrame:
    """Return each policy with its profit, its gain over a random list, and its EMPC.

    Parameters
    ----------
    profit : see ``profit.tabulate_profit``
    """
    if profit.empty:
        return profit
    unit = profit.currency.iloc[0]
    money = {
        f"profit a cycle, {unit}": ("profit_per_cycle", "adjusted_low", "adjusted_high"),
        "more than a random list": ("gain_over_lot", "gain_low", "gain_high"),
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
            "compared with a random list": profit.against_lot,
        }
    )


def _write_money(value: float, low: float, high: float) -> str:
    if not np.isfinite(value):
        return "–"
    numbers = [*map(_write_whole, (value, low, high))]
    return numbers[0] if low == high else f"{numbers[0]} ({numbers[1]} to {numbers[2]})"


def describe_break_even(curve: pd.DataFrame, model: str, prices: Prices | None) -> str:
    """Say what holds at the risk from which on a contact pays by the study's prices.

    Parameters
    ----------
    curve : see ``decision_curve.trace_net_benefit``
    """
    if prices is None or curve.empty:
        return ""
    rows, pays = curve[curve.policy == model], prices.find_break_even()
    start = f"By the prices above a contact pays, on average, from a risk of {pays:.0%} on"
    if not 0 < pays <= rows.threshold.max():
        return f"{start}, beyond the thresholds shown."
    row = rows.loc[(rows.threshold - pays).abs().idxmin()]
    better = "significantly" if row.gain_low > 0 else "not significantly"
    return (
        f"{start}: there a list by {model} has {better} more net benefit than contacting everybody"
        " or nobody."
    )


def describe_decision_curve(curve: pd.DataFrame, model: str) -> str:
    """Say between which thresholds a list by a model is significantly better than no model.

    Parameters
    ----------
    curve : see ``decision_curve.trace_net_benefit``
    """
    rows = curve[curve.policy == model]
    better, most = rows.threshold[rows.band_low > 0], f"{rows.threshold.max():.0%}"
    if better.empty:
        return (
            f"At no threshold up to {most} has a list by {model} significantly more net benefit"
            " than contacting everybody or nobody (all thresholds judged together)."
        )
    low, high = better.min(), better.max()
    gaps = len(better) < int(rows.threshold.between(low, high).sum())
    between = " (not at all of them)" if gaps else ""
    span, vain = f"thresholds from {low:.0%} to {high:.0%}{between}", _write_vain(low)
    if low == high:
        span = f"the threshold of {low:.0%} alone"
    elif _write_vain(high) != vain:
        vain += f" down to {_write_vain(high)}"
    return (
        f"A list by {model} has significantly more net benefit than contacting everybody or nobody"
        f" at {span}, of those up to {most}, judged together: where a churner contacted is worth"
        f" {vain} contacts in vain."
    )


def _write_vain(threshold: float) -> str:
    """Return how many contacts in vain a churner is worth at a threshold."""
    contacts = (1 - threshold) / threshold
    return f"{contacts:.{0 if contacts >= 10 else 1 if contacts >= 1 else 2}f}"


def describe_gaps(gaps: pd.DataFrame, model: str) -> str:
    """Summarise which gaps between groups are significant, or that none is.

    Parameters
    ----------
    gaps : see ``fairness.score_groups``
    """
    if gaps.empty:
        return (
            f"No attribute splits these customers into groups of {LEAST_ROWS} or more: gaps"
            " between groups can't be tested."
        )
    significant = gaps[gaps.verdict == SIGNIFICANT_GAP]
    judged = int((gaps.verdict != TOO_FEW).sum())
    if significant.empty:
        unknown = f", {len(gaps) - judged} more lack customers" if judged < len(gaps) else ""
        return (
            f"**No significant gap** between groups for {model}: {judged} differences were"
            f" tested{unknown}. This does not prove that there is none."
        )
    listed = "; ".join(
        f"{row.by}: {row.group} compared with {row.reference}, {_write_gap(row.metric)}"
        f" {write_interval(row.gap, row.low, row.high)}"
        for row in significant.itertuples(index=False)
    )
    return (
        f"**{len(significant)} of {judged} differences between groups are significant** for"
        f" {model}, corrected for the number tested of each attribute: {listed}. A gap in the share"
        " on the list alone may reflect different churn rates; one in AUC, calibration or churners"
        " found is the model's."
    )


def describe_calibration_gaps(gaps: pd.DataFrame) -> str:
    """Say where probabilities that fit all customers together don't fit a group as another one;
    nothing where no such gap is significant.

    Parameters
    ----------
    gaps : see ``fairness.score_groups``
    """
    if gaps.empty:
        return ""
    rows = gaps[(gaps.metric == "calibration") & (gaps.verdict == SIGNIFICANT_GAP)]
    if rows.empty:
        return ""
    listed = "; ".join(
        f"{row.by}, {row.group} compared with {row.reference}:"
        f" {write_interval(row.gap, row.low, row.high)}"
        for row in rows.itertuples(index=False)
    )
    return (
        "**Calibration differs significantly between groups** (observed minus predicted share,"
        f" {listed}): the probabilities hold for all customers together, not in each group."
    )


def _write_gap(metric: str) -> str:
    words = GAPS[metric].words
    return words if words.isupper() else words[0].lower() + words[1:]


def rank_drivers(drivers: pd.DataFrame, most: int) -> list[str]:
    """Return the features that lead in any family, by their best rank.

    Features that move the log-loss of no family are left out.

    Parameters
    ----------
    drivers : see ``explain_agreement.compare_drivers``
    """
    rows = drivers[(drivers.measure == PERMUTATION) & (drivers.value.abs() >= NOTHING)]
    return [
        *rows.groupby("feature", sort=False)["rank"]
        .agg(["min", "mean"])
        .sort_values(["min", "mean"])
        .index[:most]
    ]


def drivers_table(drivers: pd.DataFrame, most: int = SHOWN) -> pd.DataFrame:
    """Return the leading features with a column for each family and measure.

    An arrow gives the direction: up means that more of the feature goes with more churn. The odds
    ratio of a text names the category that it is of.
    """
    chosen = rank_drivers(drivers, most)
    rows = drivers[drivers.feature.isin(chosen)]
    cells = [_write_driver(row) for row in rows.itertuples()]
    heads = [
        MEASURE_HEADINGS[measure].format(family)
        for measure, family in zip(rows.measure, rows.family, strict=True)
    ]
    wide = (
        rows.assign(cell=cells, head=heads)
        .pivot(index="feature", columns="head", values="cell")
        .loc[chosen, [*dict.fromkeys(heads)]]
        .fillna("")
    )
    named = (
        rows.drop_duplicates("feature")
        .set_index("feature")
        .loc[chosen, ["description", "together_with"]]
    )
    group = named.together_with.map(_name_others)
    table = wide.reset_index(drop=True)
    table.insert(0, "feature", (named.description + group).to_numpy())
    return table


def _name_others(others: str) -> str:
    """Return those that a feature was permuted with: by name where it is one."""
    count = others.count(";") + 1
    return (
        ""
        if not others
        else f" (together with {others})"
        if count == 1
        else f" (with {count} like it)"
    )


def _write_driver(row) -> str:
    if row.measure == ODDS and row.together_with:
        return "see below"  # of one feature alone: it may have another sign than the group
    digits = 3 if row.measure == PERMUTATION else 2
    number = write_interval(row.value, row.low, row.high, digits) + ARROWS[row.direction]
    return f"{number}, {row.change}" if row.change not in ("", MORE) else number


def describe_drivers(drivers: pd.DataFrame, most: int = MAX_LEADING) -> str:
    """Summarise which drivers all families share, and where the families disagree.

    A driver leads a family where permuting it raises the log-loss significantly, and few raise it
    more.

    Parameters
    ----------
    drivers : see ``explain_agreement.compare_drivers``
    """
    permuted = drivers[drivers.measure == PERMUTATION]
    rows = permuted[(permuted.low > 0) & (permuted["rank"] <= most)]
    by_family = {
        family: [*rows.description[rows.family == family]] for family in permuted.family.unique()
    }
    idle = [family for family, names in by_family.items() if not names]
    if len(idle) == len(by_family):
        return (
            "**No significant drivers**: permuting any group of features raises the log-loss of no"
            " model significantly."
        )
    sentences = [f"In {join_words(idle)} no feature matters significantly."] if idle else []
    leading = {family: names for family, names in by_family.items() if names}
    sentences += _describe_shared(leading, most) if len(leading) > 1 else []
    sentences += _describe_gains(permuted)
    opposed = _find_opposed(drivers, {*rows.feature, *rank_drivers(drivers, SHOWN)})
    sentences.append(
        f"**The models disagree on the direction of**: {'; '.join(opposed)}."
        if opposed
        else "Where the models have a direction, they agree on it."
    )
    return " ".join(map(_capitalise, sentences))


def _describe_gains(permuted: pd.DataFrame) -> list[str]:
    """Set the importances beside what each family's model gains over the base rate in all, where
    any is significant.
    """
    known = permuted[permuted.share_of_gain.notna()]
    known = known[known.family.isin(known.family[known.low > 0])]
    sums = known.groupby("family", sort=False).share_of_gain.sum()
    if sums.empty:
        return []
    listed = join_words([f"{share:.0%} in {family}" for family, share in sums.items()])
    sentences = [
        f"Of what the models gain over the base rate in log-loss, the importances sum to {listed}."
    ]
    if less := [*sums.index[sums < WHOLE - TOLERATED_SUM]]:
        sentences.append(
            f"In {join_words(less)} the rest is said by several features at once, so that none is"
            " missed."
        )
    if more := [*sums.index[sums > WHOLE + TOLERATED_SUM]]:
        sentences.append(
            f"More than 100% in {join_words(more)}: features matter in combination, and each counts"
            " it."
        )
    # the interval of the importance, as a share of the gain as the value is
    least = known.low * known.share_of_gain / known.value
    for row in known[least > WHOLE].itertuples():
        sentences.append(
            f"Without {row.description} the rest of the model of {row.family} misleads: it would"
            f" lose {row.share_of_gain:.0%} of its gain."
        )
    return sentences


def _describe_shared(leading: dict[str, list[str]], most: int) -> list[str]:
    """Name the drivers that lead in every family, and those that lead in one only."""
    families, lists = join_words([*leading]), [*leading.values()]
    shared = [name for name in lists[0] if all(name in names for names in lists)]
    alone = {
        family: [name for name in names if sum(name in others for others in lists) == 1]
        for family, names in leading.items()
    }
    return [
        f"Of up to {most} leading drivers {families} share {len(shared)}: {'; '.join(shared)}."
        if shared
        else f"{families} share no leading driver.",
        *(
            f"Only {family} relies significantly on {'; '.join(names)}."
            for family, names in alone.items()
            if names
        ),
    ]


def _find_opposed(drivers: pd.DataFrame, features: set[str]) -> list[str]:
    """Describe the features whose direction differs between families or measures.

    An odds ratio holds the other columns equal, those of its group too, and so is compared only
    where a feature is alone in its group: with others its sign may differ without a contradiction.
    """
    comparable = (drivers.measure != ODDS) | (drivers.together_with == "")
    rows = drivers[drivers.feature.isin(features) & (drivers.direction != 0) & comparable]
    opposed = []
    for description, part in rows.groupby("description", sort=False):
        rising, falling = (
            [
                *dict.fromkeys(
                    f"{row.family} by {row.measure}"
                    for row in part.itertuples()
                    if row.direction == sign
                )
            ]
            for sign in (1, -1)
        )
        if rising and falling:
            opposed.append(
                f"{description} (more churn: {join_words(rising)}; less churn:"
                f" {join_words(falling)})"
            )
    return opposed


def odds_table(odds: pd.DataFrame) -> pd.DataFrame:
    """Return what was estimated: description, change, odds ratio, effect in points, inflation.

    Parameters
    ----------
    odds : see ``odds_ratios.explain_logistic``
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


def describe_odds(odds: pd.DataFrame) -> str:
    """Summarise how many odds ratios are significant, on whom, and what was left out and why.

    Parameters
    ----------
    odds : see ``odds_ratios.explain_logistic``
    """
    rows = odds[odds.left_out == ""]
    significant = rows[rows.p_adjusted < SIGNIFICANCE_LEVEL]
    chosen = (
        f"chosen on another half of the customers ({odds.n_choosing.iloc[0]:,} rows)"
        if odds.n_choosing.iloc[0]
        else "with no choice by their outcome"
    )
    result = (
        f"**{len(significant)} of {len(rows)} odds ratios differ significantly from 1** (corrected"
        " for their number), with the smallest p-values of"
        f" {'; '.join(dict.fromkeys(significant.description[:5]))}."
        if len(significant)
        else f"**none of {len(rows)} odds ratios differs significantly from 1** (corrected for"
        " their number)."
    )
    reasons = odds.left_out[odds.left_out != ""].str.split(":").str[0].value_counts()
    left_out = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    separated = "; ".join(
        f"{row.description} ({row.left_out.partition(': ')[2]})"
        for row in odds[odds.left_out.str.startswith("separated")].itertuples()
    )
    return " ".join(
        [
            f"Estimated on {odds.n.iloc[0]:,} training rows, {chosen}: {result}",
            *([f"Left out: {left_out}."] if left_out else []),
            *([f"**Separated**: {separated}."] if separated else []),
            "These are associations, not effects.",
        ]
    )

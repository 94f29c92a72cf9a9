"""Verdicts in words, computed from result tables; "no better than the reference" is one that a notebook can reach."""

import pandas as pd

from research.tables import write_interval


def find_reference(scores: pd.DataFrame) -> str:
    """Return the reference with the lower log-loss: the one that a model has to beat."""
    return _lowest_log_loss(scores[scores.family == "reference"])


def find_best(scores: pd.DataFrame) -> str:
    """Return the model, no reference, with the lowest log-loss."""
    return _lowest_log_loss(scores[scores.family != "reference"])


def _lowest_log_loss(scores: pd.DataFrame) -> str:
    losses = scores[scores.metric == "log_loss"]
    return losses.model[losses.value.idxmin()]


def judge_models(scores: pd.DataFrame, differences: pd.DataFrame) -> str:
    """Say whether any model beats the better reference, which is best, and which others can't be told apart from it.

    Parameters
    ----------
    scores : long score table
    differences : long table of paired differences with the better reference and the best model among its references

    Returns
    -------
    Markdown
    """
    best, reference = find_best(scores), find_reference(scores)
    against = differences[differences.reference == reference].set_index(["model", "metric"])
    loss, area = against.loc[(best, "log_loss")], against.loc[(best, "auc")]
    if loss.verdict != "better" and area.verdict != "better":
        return _nothing_found(best, reference, loss, area)
    first = _winner(best, reference, loss, area)
    return " ".join([first, _equals(best, differences), _calibration(best, scores)])


def _nothing_found(best: str, reference: str, loss: pd.Series, area: pd.Series) -> str:
    return (
        f"**No model is shown to be better than the {reference}.** The best of them, {best}, differs from it by {_say(loss)} in log-loss "
        f"and by {_say(area)} in AUC; widened for the number of models compared, both intervals leave room for no gain. "
        f"With these data the reference serves as well: don't spend money on the ranking of a model."
    )


def _winner(best: str, reference: str, loss: pd.Series, area: pd.Series) -> str:
    both = loss.verdict == "better" and area.verdict == "better"
    one = "ranks customers better" if area.verdict == "better" else "gives better probabilities"
    what = "ranks customers better and gives better probabilities" if both else one
    other = "" if both else f" Its {'probabilities are' if area.verdict == 'better' else 'ranking is'} not shown to be better."
    return f"**{_capital(best)} {what} than the {reference}**: AUC differs by {_say(area)}, log-loss by {_say(loss)} (less is better).{other}"


def _equals(best: str, differences: pd.DataFrame) -> str:
    rivals = differences[(differences.reference == best) & (differences.metric == "log_loss") & (differences.family != "reference")]
    equal = list(rivals.model[rivals.verdict == "no difference shown"])
    if not equal:
        return "It is also better than every other model in log-loss."
    return f"In log-loss it can't be told apart from {_join(equal)}: between those, take the one that is easiest to explain."


def _calibration(best: str, scores: pd.DataFrame) -> str:
    rows = scores[scores.model == best].set_index("metric")
    shift, slope = rows.loc["calibration_intercept"], rows.loc["calibration_slope"]
    faults = []
    if shift.low > 0 or shift.high < 0:
        faults.append(f"too {'low' if shift.value > 0 else 'high'} on average (calibration intercept {_say(shift, 2)})")
    if slope.low > 1 or slope.high < 1:
        faults.append(f"too {'cautious' if slope.value > 1 else 'extreme'} (calibration slope {_say(slope, 2)})")
    if not faults:
        return "Its probabilities are not shown to be off: they can be read as shares."
    return f"Its probabilities are {' and '.join(faults)}: use its ranking, and recalibrate before multiplying by money."


def judge_lists(found: pd.DataFrame, best: str) -> str:
    """Say what a contact list by the best model holds, beside one drawn by lot."""
    row = found.set_index("model").loc[best]
    return (
        f"Of the {row.listed:,.0f} customers whom {best} ranks highest, {row.churners_found:,.0f} left "
        f"({row.found_share:.0%}, 95 % interval {row.low_share:.0%} to {row.high_share:.0%}); "
        f"a list drawn by lot would have held about {row.random_churners:,.0f}."
    )


def _say(row: pd.Series, digits: int = 3) -> str:
    return write_interval(row.value, row.low, row.high, digits)


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def _join(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

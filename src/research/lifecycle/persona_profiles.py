"""Segments: what sets a persona apart, in plain words, and the common table of RFM segments and
personas.
"""

import re

import numpy as np
import pandas as pd

from research.features.dictionary import NEVER, TENURE, Feature, find_stem, read, split_scale
from research.lifecycle.clustering import score_normal
from research.lifecycle.personas import Personas
from research.lifecycle.rfm import add_shares
from research.reporting.format import write_plain

JUDGED = 50_000  # customers on whom it is decided which features a description names
LEAST_EFFECT = 0.2  # Cohen's small effect: what differs less is not named
MOST_NAMED = 4
SAME = 0.8  # features correlated more closely than this say the same
# where more of either side never did something, their share is told instead of the days since
NEVER_SHARE = 0.1
# share of a category's value, in the persona or among the others, from which on it can be named
COMMON_LEVEL = 0.05
WIDTH = 90  # letters of a feature's words
TABLE = ["scheme", "segment", "customers", "share", "low", "high", "words"]
UNCOUNTED = (
    "number",
    "text",
    "amount",
    "ratio",
    "-1 to 1",
    "share",
    "probability of a high score",
)  # units that no number is told with


def describe_personas(
    personas: Personas, frame: pd.DataFrame, dictionary: pd.DataFrame
) -> pd.DataFrame:
    """Return the personas' sizes and, in words, what sets each apart from the other customers.

    Named are up to four features by effect size, at least 0.2: for numbers the difference of mean
    normal scores in standard deviations, for categories Cohen's h. Features that say the same (one
    table's other window, or correlated above .8) are named once.

    Parameters
    ----------
    personas : see ``find_personas``
    frame : as given to ``find_personas``
    dictionary : the words of the features, see ``features.describe_features``

    Returns
    -------
    DataFrame with columns persona, customers, share, low, high, firmness, words
        ``low`` and ``high`` are Wilson's 95 % interval of the share. With one group the words are
        the verdict.
    """
    sizes = personas.members.persona.value_counts().sort_index()
    table = add_shares(pd.DataFrame({"persona": sizes.index, "customers": sizes.to_numpy()}))
    table["firmness"] = table.persona.map(personas.firmness).astype(float)
    if personas.firmness.empty:
        return table.assign(words=personas.verdict)
    joined = frame.merge(personas.members, on="customer_id").sort_values(
        "customer_id", ignore_index=True
    )
    judged = joined.sample(min(len(joined), JUDGED), random_state=0)
    judged = judged.assign(
        **{
            column: score_normal(judged[column])
            for column in personas.columns
            if not _is_category(judged[column])
        }
    )
    known = read(dictionary)
    features = [known[column] for column in personas.columns]
    table["words"] = [_describe(joined, judged, persona, features) for persona in table.persona]
    return table


def _describe(
    joined: pd.DataFrame, judged: pd.DataFrame, persona: str, features: list[Feature]
) -> str:
    """Return the words for one persona; ``judged`` holds some of the customers, their numbers as
    normal scores.
    """
    categories = [feature.name for feature in features if _is_category(joined[feature.name])]
    parts: dict[Feature, str] = {}
    for feature in _rank_effects(judged, judged.persona == persona, features, categories):
        if len(parts) < MOST_NAMED and not _repeats(judged, feature, [*parts], categories):
            words = _compare(joined[feature.name], joined.persona == persona, feature)
            parts |= {feature: words} if words else {}
    return (
        "; ".join(parts.values()) or "close to the other customers in everything that was measured"
    )


def _is_category(values: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(values) or values.nunique() <= 2


def _rank_effects(
    judged: pd.DataFrame, inside: pd.Series, features: list[Feature], categories: list[str]
) -> list[Feature]:
    """Return the features that differ at least a little, most first."""
    columns = [feature.name for feature in features]
    found = [
        (
            _level_effects(judged[column], inside).abs().max()
            if column in categories
            else _shift(judged[column], inside)
        )
        for column in columns
    ]
    effects = pd.Series(found, index=range(len(features)), dtype=float)
    return [
        features[place]
        for place in effects[effects >= LEAST_EFFECT]
        .sort_values(ascending=False, kind="stable")
        .index
    ]


def _shift(scores: pd.Series, inside: pd.Series) -> float:
    """Return the distance of the mean normal scores in pooled standard deviations."""
    here, there = scores[inside], scores[~inside]
    spread = np.sqrt((len(here) * here.var(ddof=0) + len(there) * there.var(ddof=0)) / len(scores))
    return abs(here.mean() - there.mean()) / spread if spread > 0 else 0.0


def _level_shares(values: pd.Series, inside: pd.Series) -> pd.DataFrame:
    """Return the share of each value in the persona (here) and among the others (there), of the
    values that are common in either.
    """
    shares = pd.DataFrame(
        {
            "here": values[inside].value_counts(normalize=True),
            "there": values[~inside].value_counts(normalize=True),
        }
    ).fillna(0.0)
    return shares[shares.max(axis=1) >= COMMON_LEVEL].sort_index()


def _level_effects(values: pd.Series, inside: pd.Series) -> pd.Series:
    """Return Cohen's h of every common value: the difference of arcsine-transformed shares."""
    shares = _level_shares(values, inside)
    return 2 * np.arcsin(np.sqrt(shares.here)) - 2 * np.arcsin(np.sqrt(shares.there))


def _repeats(
    judged: pd.DataFrame, feature: Feature, named: list[Feature], categories: list[str]
) -> bool:
    """Say whether a feature says what a named one has said: the same thing over another window, or
    nearly the same order of customers.
    """
    if _name_family(feature) in map(_name_family, named):
        return True
    others = (
        []
        if feature.name in categories
        else [other.name for other in named if other.name not in categories]
    )
    return any(
        abs(np.corrcoef(judged[feature.name], judged[other])[0, 1]) > SAME for other in others
    )


def _name_family(feature: Feature) -> str:
    """Return what is told once: how long somebody is a customer, how often a table's rows or days
    occur, else the feature over any window.
    """
    stem = find_stem(feature)
    return (
        "tenure"
        if feature.name in TENURE
        else f"n_{feature.source}"
        if stem == f"n_{feature.source}_days"
        else stem
    )


def _compare(values: pd.Series, inside: pd.Series, feature: Feature) -> str:
    """Return the comparison in words; empty where medians and shares look the same."""
    if _is_category(values) and not feature.zero:
        return _compare_levels(values, inside, feature)
    if (
        feature.name.startswith("days_since")
        and max(values[inside].isna().mean(), values[~inside].isna().mean()) > NEVER_SHARE
    ):
        return _compare_never(values.isna(), inside, feature)
    middle = [values[side].median() for side in (inside, ~inside)]
    here, there = (_number(value, feature.unit) for value in middle)
    if here != there and not np.isnan(middle).any():
        return _tell_medians(here, there, feature)
    return (
        _tell(
            _percent(values[inside] > 0),
            f"with any {_plain(feature)}",
            _percent(values[~inside] > 0),
        )
        if feature.zero
        else ""
    )


def _plain(feature: Feature) -> str:
    """Return a feature's words on one line without markup: an attribute is named as the data name
    it.
    """
    return write_plain(split_scale(feature)[0], WIDTH)


def _compare_never(empty: pd.Series, inside: pd.Series, feature: Feature) -> str:
    here, there = _percent(empty[inside]), _percent(empty[~inside])
    if feature.source in NEVER and feature.name in (
        f"days_since_{which}_{feature.source}" for which in ("last", "first")
    ):
        return _tell(here, NEVER[feature.source], there)
    return _tell(here, "never", there, _plain(feature))


def _tell_medians(here: str, there: str, feature: Feature) -> str:
    """Return both medians: before the words where these say what is counted, else after them, with
    the meaning of the scale if there is one.
    """
    words, scale = _plain(feature), write_plain(split_scale(feature)[1], WIDTH)
    counted = feature.unit not in UNCOUNTED and not feature.unit.startswith("share")
    if counted and (
        words.startswith(feature.unit)
        or (feature.zero and re.search(rf"\b{re.escape(feature.unit)}\b", words))
    ):
        bare, others = (number.removesuffix(f" {feature.unit}") for number in (here, there))
        return f"median {_count(bare, words, feature.unit)}, others {others}"
    others = (
        there.removesuffix(feature.unit.removeprefix("share"))
        if feature.unit.startswith("share")
        else there
    )
    return f"{words}: median {here}, others {others}" + (
        f", where {scale}" if split_scale(feature)[1] else ""
    )


def _compare_levels(values: pd.Series, inside: pd.Series, feature: Feature) -> str:
    effects, shares = _level_effects(values, inside), _level_shares(values, inside)
    numeric = pd.api.types.is_numeric_dtype(values)
    flag = numeric and set(effects.index) <= {0, 1}
    level = effects.index[-1] if flag else effects.idxmax()
    here, there = (f"{shares[side][level]:.0%}" for side in ("here", "there"))
    if flag:
        return _tell(here, f"with {_plain(feature)}", there)
    return _tell(
        here,
        _number(level, feature.unit) if numeric else write_plain(level),
        there,
        _plain(feature),
    )


def _tell(here: str, words: str, there: str, about: str = "") -> str:
    said = f"{here.replace('%', ' %')} {words}, others {there.replace('%', ' %')}"
    return "" if here == there else f"{about}: {said}" if about else said


def _percent(flags: pd.Series) -> str:
    return f"{flags.mean():.0%}"


def _count(number: str, phrase: str, unit: str) -> str:
    """Return a number with what it counts: 1 use in …, 2 uses in …; the unit's first word in the
    plural becomes singular after 1.
    """
    one = re.sub(
        r"ies\b|(?<=ss|sh|ch|.x)es\b|(?<=[^s])s\b",
        lambda end: "y" if end[0] == "ies" else "",
        unit,
        count=1,
    )
    return f"{number} {phrase.replace(unit, one, 1) if number == '1' else phrase}"


def _number(value: float, unit: str) -> str:
    """Return a number with its unit; a share is told in hundredths, and of what."""
    of = unit.removeprefix("share").strip()
    if unit.startswith("share"):
        return f"{100 * value:.0f} %" + (f" {of}" if of else "")
    text = f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"
    return text if unit in UNCOUNTED or not unit else f"{text} {unit}"


def tabulate_segments(rfm: pd.DataFrame, personas: pd.DataFrame, reason: str = "") -> pd.DataFrame:
    """Return the result table of both schemes.

    Parameters
    ----------
    rfm : see ``rfm.tabulate_rfm``
    personas : see ``personas.describe_personas``
    reason : why there are no scores, where ``rfm`` has no rows; see ``rfm.find_measure``

    Returns
    -------
    DataFrame with columns scheme, segment, customers, share, low, high, words
        Scheme is rfm or persona. A scheme without segments has one row, "not applicable", whose
        words say why.
    """
    first = rfm.assign(scheme="rfm", words=[_word_rfm(row) for row in rfm.itertuples()])
    if rfm.empty:
        first = pd.DataFrame(
            [("rfm", "not applicable", 0, np.nan, np.nan, np.nan, reason)], columns=TABLE
        )
    second = personas.assign(scheme="persona", segment=personas.persona)
    return pd.concat([first[TABLE], second[TABLE]], ignore_index=True)


def _word_rfm(row) -> str:
    event, phrase = (
        ("purchase", "days with a purchase")
        if row.measured == "purchases"
        else ("use", "days of use")
    )
    last = (
        f"no {event} so far"
        if pd.isna(row.recency_days)
        else f"last {event} {_count(_number(row.recency_days, ''), 'days ago', 'days')}"
    )
    spent = "" if pd.isna(row.monetary) else f" and {_number(row.monetary, row.unit)}"
    return (
        f"{last}, {_count(_number(row.frequency_days, ''), phrase, 'days')}{spent} in the last 365"
        " days (medians)"
    )

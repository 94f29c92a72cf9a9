"""Personas in plain words, and the common table of RFM segments and personas."""

import re

import numpy as np
import pandas as pd

from research.features.dictionary import (
    Feature,
    describe_never,
    find_stem,
    is_tenure,
    read_features,
    split_scale,
)
from research.lifecycle.clustering import compute_normal_scores
from research.lifecycle.personas import Personas
from research.lifecycle.rfm import add_shares
from research.reporting.format import write_plain

EFFECT_SAMPLE = 50_000  # customers on whom it is decided which features a description names
LEAST_EFFECT = 0.2  # Cohen's small effect: what differs less is not named
MOST_NAMED = 4
MOST_CORRELATED = 0.8  # of two features correlated more closely than this one is named
# where more of either side never did something, their share is given instead of the days since
NEVER_SHARE = 0.1
# share of a category's value, in the persona or among the others, from which on it can be named
COMMON_LEVEL = 0.05
MOST_LETTERS = 90  # of a feature's description
SEGMENT_COLUMNS = ["scheme", "segment", "customers", "share", "low", "high", "words"]
# units that are not written after a number
UNWRITTEN_UNITS = ("number", "text", "amount", "ratio", "-1 to 1", "share")
UNWRITTEN_UNITS += ("probability of a high score",)


def personas_table(
    personas: Personas, frame: pd.DataFrame, dictionary: pd.DataFrame
) -> pd.DataFrame:
    """Return the personas' sizes and, in words, how each differs from the other customers.

    Named are up to four features by effect size, at least 0.2: for numbers the difference of mean
    normal scores in standard deviations, for categories Cohen's h. Of features that measure the
    same (over another window, or correlated above .8) one is named.

    Parameters
    ----------
    personas : see ``fit_personas``
    frame : as given to ``fit_personas``
    dictionary : descriptions of the features, see ``features.describe_features``

    Returns
    -------
    DataFrame with columns persona, customers, share, low, high, jaccard, words
        ``low`` and ``high`` are Wilson's 95 % interval of the share; a single persona is everybody,
        and has none. Its words are the verdict.
    """
    sizes = personas.members.persona.value_counts().sort_index()
    table = add_shares(pd.DataFrame({"persona": sizes.index, "customers": sizes.to_numpy()}))
    if len(table) == 1:  # all customers, by definition: nothing is estimated
        table[["low", "high"]] = np.nan
    table["jaccard"] = table.persona.map(personas.jaccard).astype(float)
    if personas.jaccard.empty:
        return table.assign(words=personas.verdict)
    joined = frame.merge(personas.members, on="customer_id").sort_values(
        "customer_id", ignore_index=True
    )
    sample = joined.sample(min(len(joined), EFFECT_SAMPLE), random_state=0)
    numbers = [name for name in personas.columns if not _is_category(sample[name])]
    sample = sample.assign(**{name: compute_normal_scores(sample[name]) for name in numbers})
    by_name = read_features(dictionary)
    features = [by_name[column] for column in personas.columns]
    table["words"] = [_describe(joined, sample, persona, features) for persona in table.persona]
    return table


def _describe(
    joined: pd.DataFrame, sample: pd.DataFrame, persona: str, features: list[Feature]
) -> str:
    """Return the description of one persona.

    Parameters
    ----------
    joined : all customers with their features and persona
    sample : some of them, their numbers as normal scores
    """
    categories = [feature.name for feature in features if _is_category(joined[feature.name])]
    parts: dict[Feature, str] = {}
    for feature in _rank_effects(sample, sample.persona == persona, features, categories):
        if len(parts) < MOST_NAMED and not _is_redundant(sample, feature, [*parts], categories):
            comparison = _compare(joined[feature.name], joined.persona == persona, feature)
            parts |= {feature: comparison} if comparison else {}
    return (
        "; ".join(parts.values()) or "close to the other customers in everything that was measured"
    )


def _is_category(values: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(values) or values.nunique() <= 2


def _rank_effects(
    sample: pd.DataFrame, inside: pd.Series, features: list[Feature], categories: list[str]
) -> list[Feature]:
    """Return the features with at least a small effect, the largest first."""
    effects = pd.Series(
        [
            _level_effects(sample[feature.name], inside).abs().max()
            if feature.name in categories
            else _compute_distance(sample[feature.name], inside)
            for feature in features
        ],
        index=range(len(features)),
        dtype=float,
    )
    named = effects[effects >= LEAST_EFFECT].sort_values(ascending=False, kind="stable")
    return [features[place] for place in named.index]


def _compute_distance(scores: pd.Series, inside: pd.Series) -> float:
    """Return the distance of the mean normal scores in pooled standard deviations."""
    here, there = scores[inside], scores[~inside]
    spread = np.sqrt((len(here) * here.var(ddof=0) + len(there) * there.var(ddof=0)) / len(scores))
    return abs(here.mean() - there.mean()) / spread if spread > 0 else 0.0


def _level_shares(values: pd.Series, inside: pd.Series) -> pd.DataFrame:
    """Return the share of each common value in the persona (here) and among the others (there)."""
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


def _is_redundant(
    sample: pd.DataFrame, feature: Feature, named: list[Feature], categories: list[str]
) -> bool:
    """Return whether a named feature measures the same.

    The same over another window, or nearly the same order of customers.
    """
    if _name_family(feature) in map(_name_family, named):
        return True
    if feature.name in categories:
        return False
    numbers = [other.name for other in named if other.name not in categories]
    return any(
        abs(np.corrcoef(sample[feature.name], sample[other])[0, 1]) > MOST_CORRELATED
        for other in numbers
    )


def _name_family(feature: Feature) -> str:
    """Return the name of what is described once.

    Tenure, how often a table's rows or days occur, else the feature over any window.
    """
    if is_tenure(feature):
        return "tenure"
    stem = find_stem(feature)
    return f"n_{feature.source}" if stem == f"n_{feature.source}_days" else stem


def _compare(values: pd.Series, inside: pd.Series, feature: Feature) -> str:
    """Return the comparison in words; empty where medians and shares look the same."""
    if _is_category(values) and not feature.zero:
        return _compare_levels(values, inside, feature)
    never = max(values[inside].isna().mean(), values[~inside].isna().mean())
    if feature.name.startswith("days_since") and never > NEVER_SHARE:
        return _compare_never(values.isna(), inside, feature)
    medians = [values[side].dropna().median() for side in (inside, ~inside)]
    here, there = (_write_number(value, feature.unit) for value in medians)
    if here != there and not np.isnan(medians).any():
        return _medians_text(here, there, feature)
    if not feature.zero:
        return ""
    here, there = _percent(values[inside] > 0), _percent(values[~inside] > 0)
    return _shares_text(here, f"with any {_plain(feature)}", there)


def _plain(feature: Feature) -> str:
    """Return a feature's description on one line without markup."""
    return write_plain(split_scale(feature)[0], MOST_LETTERS)


def _compare_never(empty: pd.Series, inside: pd.Series, feature: Feature) -> str:
    here, there = _percent(empty[inside]), _percent(empty[~inside])
    if describe_never(feature.source) and feature.name in (
        f"days_since_{which}_{feature.source}" for which in ("last", "first")
    ):
        return _shares_text(here, describe_never(feature.source), there)
    return _shares_text(here, "never", there, _plain(feature))


def _medians_text(here: str, there: str, feature: Feature) -> str:
    """Return both medians in words.

    They stand before a description that names what is counted, else after it, with the meaning of
    the scale if there is one.
    """
    description, unit = _plain(feature), feature.unit
    is_share = unit.startswith("share")
    named = description.startswith(unit) or (
        feature.zero and re.search(rf"\b{re.escape(unit)}\b", description)
    )
    if named and not is_share and unit not in UNWRITTEN_UNITS:
        bare, others = (number.removesuffix(f" {unit}") for number in (here, there))
        return f"median {_write_count(bare, description, unit)}, others {others}"
    others = there.removesuffix(unit.removeprefix("share")) if is_share else there
    scale = split_scale(feature)[1]
    meaning = f", where {write_plain(scale, MOST_LETTERS)}" if scale else ""
    return f"{description}: median {here}, others {others}{meaning}"


def _compare_levels(values: pd.Series, inside: pd.Series, feature: Feature) -> str:
    effects, shares = _level_effects(values, inside), _level_shares(values, inside)
    numeric = pd.api.types.is_numeric_dtype(values)
    is_flag = numeric and set(effects.index) <= {0, 1}
    level = effects.index[-1] if is_flag else effects.idxmax()
    here, there = (f"{shares[side][level]:.0%}" for side in ("here", "there"))
    if is_flag:
        return _shares_text(here, f"with {_plain(feature)}", there)
    name = _write_number(level, feature.unit) if numeric else write_plain(level)
    return _shares_text(here, name, there, _plain(feature))


def _shares_text(here: str, of: str, there: str, feature: str = "") -> str:
    """Return both shares in words; empty where they are the same."""
    if here == there:
        return ""
    shares = f"{here.replace('%', ' %')} {of}, others {there.replace('%', ' %')}"
    return f"{feature}: {shares}" if feature else shares


def _percent(flags: pd.Series) -> str:
    return f"{flags.mean():.0%}"


def _write_count(number: str, phrase: str, unit: str) -> str:
    """Return a number with what it counts, as in ``1 use``, ``2 uses``.

    The unit's first word is in the plural and becomes singular after 1.
    """
    singular = re.sub(
        r"ies\b|(?<=ss|sh|ch|.x)es\b|(?<=[^s])s\b",
        lambda end: "y" if end[0] == "ies" else "",
        unit,
        count=1,
    )
    return f"{number} {phrase.replace(unit, singular, 1) if number == '1' else phrase}"


def _write_number(value: float, unit: str) -> str:
    """Return a number with its unit; a share in hundredths, and of what."""
    if unit.startswith("share"):
        of = unit.removeprefix("share").strip()
        return f"{100 * value:.0f} %" + (f" {of}" if of else "")
    text = f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"
    return text if unit in UNWRITTEN_UNITS or not unit else f"{text} {unit}"


def tabulate_segments(rfm: pd.DataFrame, personas: pd.DataFrame, reason: str = "") -> pd.DataFrame:
    """Return the result table of both schemes.

    Parameters
    ----------
    rfm : see ``rfm.tabulate_rfm``
    personas : see ``personas_table``
    reason : why there are no scores, where ``rfm`` has no rows; see ``rfm.explain_unmeasured``

    Returns
    -------
    DataFrame with columns scheme, segment, customers, share, low, high, words
        Scheme is rfm or persona. A scheme without segments has one row, "not applicable", whose
        words give the reason.
    """
    if rfm.empty:
        row = ("rfm", "not applicable", 0, np.nan, np.nan, np.nan, reason)
        first = pd.DataFrame([row], columns=SEGMENT_COLUMNS)
    else:
        words = [_describe_rfm(row) for row in rfm.itertuples()]
        first = rfm.assign(scheme="rfm", words=words)
    second = personas.assign(scheme="persona", segment=personas.persona)
    return pd.concat([first[SEGMENT_COLUMNS], second[SEGMENT_COLUMNS]], ignore_index=True)


def _describe_rfm(row) -> str:
    event, days = (
        ("purchase", "days with a purchase")
        if row.measured == "purchases"
        else ("use", "days of use")
    )
    last = f"no {event} so far"
    if pd.notna(row.recency_days):
        ago = _write_count(_write_number(row.recency_days, ""), "days ago", "days")
        last = f"last {event} {ago}"
    often = _write_count(_write_number(row.frequency_days, ""), days, "days")
    spent = "" if pd.isna(row.monetary) else f" and {_write_number(row.monetary, row.unit)}"
    return f"{last}, {often}{spent} in the last 365 days (medians)"

"""Segments: what sets a persona apart, in plain words, and the common table of RFM segments and personas."""

import re

import numpy as np
import pandas as pd

from research.grouping import score_normal
from research.personas import Personas, split_name
from research.rfm import add_shares
from research.tables import write_plain

JUDGED = 50_000  # customers on whom it is decided which features a description names
LEAST_EFFECT = 0.2  # Cohen's small effect: what differs less is not named
MOST_NAMED = 4
SAME = 0.8  # features correlated more closely than this say the same
NEVER = 0.1  # where more of either side never did something, their share is told instead of the days since
COMMON_LEVEL = 0.05  # share of a category's value, in the persona or among the others, from which on it can be named
TABLE = ["scheme", "segment", "customers", "share", "low", "high", "words"]

THINGS = {  # table: what is counted, its days, one of it, what customers do who never have any
    "orders": ("order lines", "days with a purchase", "purchase", "never bought"),
    "usage": ("uses", "days of use", "use", "never used it"),
    "contacts": ("contacts with service", "", "contact with service", "never contacted service"),
    "feedback": ("pieces of feedback", "", "feedback", "never gave feedback"),
    "referrals": ("referrals", "", "referral", "never referred anybody"),
    "campaigns": ("campaigns", "", "campaign", "were in no campaign"),
}
PHRASES = {  # other names of features.py, without their window; with * the number follows the phrase
    "sum_amount": "spent",
    "n_returns": "returned order lines",
    "n_complaints": "complaints",
    "n_unresolved": "open contacts with service",
    "mean_score": "*mean score",
    "last_score": "*last score",
    "tenure_days": "days as a customer",
    "contract_age_days": "days in the running contract",
    "monthly_fee": "*monthly fee",
    "n_contracts": "contracts so far",
    "n_earlier_spells": "earlier times as a customer",
}
PLURAL = re.compile(r"\b(days|uses|lines|contacts|pieces|referrals|complaints|contracts|times|campaigns)\b")
MONEY = ("sum_amount", "monthly_fee")
TOLD_BY = {"days": "n", "contract_age_days": "tenure", "tenure_days": "tenure", "first": "tenure", "last_score": "mean_score"}


def describe_personas(personas: Personas, frame: pd.DataFrame, currency: str = "") -> pd.DataFrame:
    """Return the personas' sizes and, in words, what sets each apart from the other customers.

    Named are up to four features by effect size, at least 0.2: for numbers the difference of mean normal scores in standard deviations, for
    categories Cohen's h. Features that say the same (one table's other window, or correlated above .8) are named once.

    Parameters
    ----------
    personas : see ``find_personas``
    frame : as given to ``find_personas``
    currency : unit of amounts and fees

    Returns
    -------
    DataFrame with columns persona, customers, share, low, high, firmness, words
        ``low`` and ``high`` are Wilson's 95 % interval of the share. With one group the words are the verdict.
    """
    sizes = personas.members.persona.value_counts().sort_index()
    table = add_shares(pd.DataFrame({"persona": sizes.index, "customers": sizes.to_numpy()}))
    table["firmness"] = table.persona.map(personas.firmness).astype(float)
    if personas.firmness.empty:
        return table.assign(words=personas.verdict)
    joined = frame.merge(personas.members, on="customer_id").sort_values("customer_id", ignore_index=True)
    judged = joined.sample(min(len(joined), JUDGED), random_state=0)
    judged = judged.assign(**{column: score_normal(judged[column]) for column in personas.columns if not _is_category(judged[column])})
    table["words"] = [_describe(joined, judged, persona, personas.columns, currency) for persona in table.persona]
    return table


def word_feature(column: str) -> str:
    """Return what a feature is, in words: n_usage_90d is "uses in the last 90 days"; an attribute is its own name in plain text."""
    return _phrase(column).lstrip("*")


def _phrase(column: str) -> str:
    role, table, window = split_name(column)
    within = f" in the last {window} days" if window else ""
    if role in PHRASES:
        return PHRASES[role] + within
    if table:
        things, days, one, _ = THINGS[table]
        return {"n": things, "days": days or things}.get(role, f"days since the {role} {one}") + within
    since = column.removeprefix("days_since_")
    return f"days since {write_plain(since)}" if since != column else f"*{write_plain(column)}"


def _describe(joined: pd.DataFrame, judged: pd.DataFrame, persona: str, columns: tuple[str, ...], currency: str) -> str:
    """Return the words for one persona; ``judged`` holds some of the customers, their numbers as normal scores."""
    categories = [column for column in columns if _is_category(joined[column])]
    parts: dict[str, str] = {}
    for column in _rank_effects(judged, judged.persona == persona, columns, categories):
        if len(parts) < MOST_NAMED and not _repeats(judged, column, [*parts], categories):
            words = _compare(joined[column], joined.persona == persona, currency)
            parts |= {column: words} if words else {}
    return "; ".join(parts.values()) or "close to the other customers in everything that was measured"


def _is_category(values: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(values) or values.nunique() <= 2


def _rank_effects(judged: pd.DataFrame, inside: pd.Series, columns: tuple[str, ...], categories: list[str]) -> list[str]:
    """Return the columns that differ at least a little, most first."""
    found = {column: _level_effects(judged[column], inside).abs().max() if column in categories else _shift(judged[column], inside) for column in columns}
    effects = pd.Series(found, dtype=float)
    return list(effects[effects >= LEAST_EFFECT].sort_values(ascending=False, kind="stable").index)


def _shift(scores: pd.Series, inside: pd.Series) -> float:
    """Return the distance of the mean normal scores in pooled standard deviations."""
    here, there = scores[inside], scores[~inside]
    spread = np.sqrt((len(here) * here.var(ddof=0) + len(there) * there.var(ddof=0)) / len(scores))
    return abs(here.mean() - there.mean()) / spread if spread > 0 else 0.0


def _level_shares(values: pd.Series, inside: pd.Series) -> pd.DataFrame:
    """Return the share of each value in the persona (here) and among the others (there), of the values that are common in either."""
    shares = pd.DataFrame({"here": values[inside].value_counts(normalize=True), "there": values[~inside].value_counts(normalize=True)}).fillna(0.0)
    return shares[shares.max(axis=1) >= COMMON_LEVEL].sort_index()


def _level_effects(values: pd.Series, inside: pd.Series) -> pd.Series:
    """Return Cohen's h of every common value: the difference of arcsine-transformed shares."""
    shares = _level_shares(values, inside)
    return 2 * np.arcsin(np.sqrt(shares.here)) - 2 * np.arcsin(np.sqrt(shares.there))


def _repeats(judged: pd.DataFrame, column: str, named: list[str], categories: list[str]) -> bool:
    """Say whether a feature says what a named one has said: the same thing over another window, or nearly the same order of customers."""
    if _family(column) in map(_family, named):
        return True
    others = [] if column in categories else [other for other in named if other not in categories]
    return any(abs(np.corrcoef(judged[column], judged[other])[0, 1]) > SAME for other in others)


def _family(column: str) -> tuple[str, str]:
    role, table, _ = split_name(column)
    role = TOLD_BY.get(role, role)
    return role, "" if role == "tenure" else table


def _compare(values: pd.Series, inside: pd.Series, currency: str) -> str:
    """Return the comparison in words; empty where medians and shares look the same."""
    if _is_category(values):
        return _compare_levels(values, inside)
    column = str(values.name)
    if column.startswith("days_since") and max(values[inside].isna().mean(), values[~inside].isna().mean()) > NEVER:
        _, table, _ = split_name(column)
        never = THINGS[table][3] if table else f"without {write_plain(column.removeprefix('days_since_'))}"
        return _tell(_percent(values[inside].isna()), never, _percent(values[~inside].isna()))
    money = currency if split_name(column)[0] in MONEY else ""
    here, there = (_number(values[side].median(), money) for side in (inside, ~inside))
    if here != there:
        phrase = _phrase(column)
        return f"median {phrase[1:]} {here}, others {there}" if phrase.startswith("*") else f"median {_count(here, phrase)}, others {there}"
    return "" if _phrase(column).startswith("*") else _tell(_percent(values[inside] > 0), f"with any {_any(column)}", _percent(values[~inside] > 0))


def _any(column: str) -> str:
    return word_feature(column).replace("spent", "spending")


def _compare_levels(values: pd.Series, inside: pd.Series) -> str:
    effects, shares = _level_effects(values, inside), _level_shares(values, inside)
    level = effects.index[-1] if set(effects.index) <= {0, 1} else effects.idxmax()
    name, flag = write_plain(values.name), pd.api.types.is_numeric_dtype(values) and set(effects.index) <= {0, 1}
    words = f"with {name}" if flag else f"on plan {write_plain(level)}" if values.name == "plan" else f"with {name} {write_plain(level)}"
    return _tell(f"{shares.here[level]:.0%}", words, f"{shares.there[level]:.0%}")


def _tell(here: str, words: str, there: str) -> str:
    return "" if here == there else f"{here.replace('%', ' %')} {words}, others {there.replace('%', ' %')}"


def _percent(flags: pd.Series) -> str:
    return f"{flags.mean():.0%}"


def _count(number: str, phrase: str) -> str:
    """Return a number with what it counts: 1 day, 2 days."""
    return f"{number} {PLURAL.sub(lambda found: found[0][:-1], phrase, count=1) if number == '1' else phrase}"


def _number(value: float, money: str) -> str:
    text = f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"
    return f"{text} {money}" if money else text


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
        Scheme is rfm or persona. A scheme without segments has one row, "not applicable", whose words say why.
    """
    first = rfm.assign(scheme="rfm", words=[_word_rfm(row) for row in rfm.itertuples()])
    if rfm.empty:
        first = pd.DataFrame([("rfm", "not applicable", 0, np.nan, np.nan, np.nan, reason)], columns=TABLE)
    second = personas.assign(scheme="persona", segment=personas.persona)
    return pd.concat([first[TABLE], second[TABLE]], ignore_index=True)


def _word_rfm(row) -> str:
    event, phrase = ("purchase", "days with a purchase") if row.measured == "purchases" else ("use", "days of use")
    last = f"no {event} so far" if pd.isna(row.recency_days) else f"last {event} {_count(_number(row.recency_days, ''), 'days ago')}"
    spent = "" if pd.isna(row.monetary) else f" and {_number(row.monetary, row.unit)}"
    return f"{last}, {_count(_number(row.frequency_days, ''), phrase)}{spent} in the last 365 days (medians)"

"""What customers write: their texts as they were known, cleaned, split by time, and told apart by the scores beside them."""

import unicodedata
from collections.abc import Iterable
from datetime import date

import ibis.expr.types as ir
import pandas as pd

NEGATIVE, POSITIVE = 0.4, 0.8  # shares of the highest score up to which, and from which on, a text counts as the one or the other
FEWEST = 50  # texts of either side to learn from
LONGEST = 1000  # characters of a text that are read
NEEDED = ("text", "score", "score_max")
CONTROLS = (*range(32), *range(127, 160), 0x2028, 0x2029)
DIRECTIONS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF)  # marks of the direction of writing
UNSEEN = dict.fromkeys(CONTROLS, " ") | dict.fromkeys(DIRECTIONS)


def explain_missing(tables: dict[str, ir.Table]) -> str:
    """Say what a study lacks for sentiment in one sentence; empty if nothing."""
    missing = NEEDED if "feedback" not in tables else [column for column in NEEDED if column not in tables["feedback"].columns]
    lacking = "a table feedback with the columns" if "feedback" not in tables else "in the table feedback the columns"
    return f"sentiment needs {lacking} {', '.join(missing)}" if missing else ""


def read_texts(feedback: ir.Table) -> pd.DataFrame:
    """Return the feedback that has text, in the order of time.

    Parameters
    ----------
    feedback : table with columns customer_id, given_at, text, optionally known_at, score, score_max, snapshot
        The evidence of feedback at one snapshot; of several the last one's is read.

    Returns
    -------
    DataFrame with columns customer_id, given_at, known_at, text, share
        One row per answer whose text has a visible character. ``known_at`` is never before ``given_at`` and equals it where the table has
        none; ``share`` is score / score_max, empty where either is missing or the highest score is not positive.
    """
    if "snapshot" in feedback.columns:
        feedback = feedback.filter(feedback.snapshot == feedback.snapshot.max())
    wanted = [column for column in ("customer_id", "given_at", "known_at", *NEEDED) if column in feedback.columns]
    rows = feedback.filter(feedback.text.notnull()).select(wanted).to_pandas().reindex(columns=["customer_id", "given_at", "known_at", *NEEDED])
    rows = rows[[bool(text.strip()) for text in clean_texts(rows.text)]]
    if "known_at" in feedback.columns:
        rows["known_at"] = rows.known_at.where(~(rows.known_at < rows.given_at), rows.given_at)
    else:
        rows["known_at"] = rows.given_at
    rows["share"] = rows.score.astype(float) / rows.score_max.astype(float).where(lambda highest: highest > 0)
    order = ["given_at", "known_at", "customer_id", "text", "share"]
    return rows.sort_values(order, kind="stable", ignore_index=True)[["customer_id", "given_at", "known_at", "text", "share"]]


def split_texts(texts: pd.DataFrame, share: float = 0.7) -> tuple[pd.DataFrame, pd.DataFrame, date | None]:
    """Split texts by time: the past to learn from, the later ones to rate.

    Parameters
    ----------
    texts : see ``read_texts``
    share : float
        Part of the texts that lies at most in the past; the texts of one day stay together.

    Returns
    -------
    past, later : rows of ``texts``
        ``past`` was given and known by the end of the split day, ``later`` given after it. What was given by then and known only later
        is in neither.
    day : date, or None without texts
        The split day, the last one whose texts may teach.
    """
    if texts.empty:
        return texts, texts, None
    first_later = texts.given_at.sort_values().iloc[min(int(share * len(texts)), len(texts) - 1)].normalize()
    past = texts[(texts.given_at < first_later) & (texts.known_at < first_later)]
    return past, texts[texts.given_at >= first_later], (first_later - pd.Timedelta(days=1)).date()


def take_sides(texts: pd.DataFrame) -> pd.DataFrame:
    """Return the texts with a clearly low or high score, and a column ``is_positive``; those between teach nothing."""
    clear = texts[(texts.share <= NEGATIVE) | (texts.share >= POSITIVE)]
    return clear.assign(is_positive=clear.share >= POSITIVE)


def explain_few(past: pd.DataFrame) -> str:
    """Say in one sentence that there are too few scored texts to learn from; empty if there are enough."""
    positive = take_sides(past).is_positive
    counts = int((~positive).sum()), int(positive.sum())
    if min(counts) >= FEWEST:
        return ""
    return (
        f"sentiment needs at least {FEWEST} texts with a score of at most {NEGATIVE:.0%} of the highest and {FEWEST} with at least {POSITIVE:.0%} in the past; "
        f"there are {counts[0]} and {counts[1]}"
    )


def clean_texts(texts: Iterable) -> list[str]:
    """Return texts in one form: their first 1,000 characters, NFKC-normalised, lower case, without control characters; "" for no text."""
    return [_clean(text) if isinstance(text, str) else "" for text in texts]


def _clean(text: str) -> str:
    valid = text[:LONGEST].encode("utf-8", "ignore").decode()
    return unicodedata.normalize("NFKC", valid).lower().translate(UNSEEN)[:LONGEST]

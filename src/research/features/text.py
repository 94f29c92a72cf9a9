"""Features of what customers write: the sentiment of their feedback, as a model learned from the
past predicts it.

The model learns from the texts and scores known by one day, at the latest the first snapshot: each
snapshot of a panel is rated alike, and none by what came after it.
"""

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial

import ibis
import numpy as np
import pandas as pd

from research.features.context import BuildContext
from research.features.dictionary import Block, Feature
from research.features.sentiment import explain_few, explain_missing, load_texts
from research.panel.evidence import Evidence

UNIT = "probability of a high score"


def build_sentiment(context: BuildContext, seed: int = 0) -> Block | None:
    """Return the sentiment of the latest text and the mean of each window.

    None where the study turns it off, or where its texts are too few to learn from. Customers have
    their own ids.

    Parameters
    ----------
    seed : draws the texts learned from, where there are very many
    """
    past = _load_past(context)
    if past is None:
        return None
    from research.features import (
        # scikit-learn takes a second and 80 MB to import: features without texts can do without
        sentiment,
    )

    model, days = sentiment.fit_sentiment(past, seed), context.given.snapshots
    texts = load_texts(context.given.at(days[-1])["feedback"])
    rated = _rate_once(partial(sentiment.predict_sentiment, model), texts)
    windows = context.windows.days
    table = pd.concat([_average(rated, day, windows) for day in days], ignore_index=True)
    return Block(
        ibis.memtable(table.astype({"snapshot": "datetime64[us]"})), tuple(_name_features(windows))
    )


def describe_sentiment(context: BuildContext) -> list[Feature]:
    """Return the features that ``build_sentiment`` would build, without rating a text."""
    return [] if _load_past(context) is None else _name_features(context.windows.days)


def _load_past(context: BuildContext) -> pd.DataFrame | None:
    """Return the texts to learn from; None where the study turns sentiment off or they are too
    few.
    """
    if not context.study.features.sentiment or explain_missing(context.given):
        return None
    past = _load_until(context.given, context.sentiment_day)
    return None if explain_few(past) else past


def _load_until(evidence: Evidence, day: date) -> pd.DataFrame:
    texts, after = load_texts(evidence.at(evidence.snapshots[0])["feedback"]), day + timedelta(1)
    return texts[(texts[["given_at", "known_at"]] < pd.Timestamp(after)).all(axis=1)]


def _rate_once(rate: Callable[[pd.DataFrame], pd.DataFrame], texts: pd.DataFrame) -> pd.DataFrame:
    """Rate every different text once; the same phrase has the same sentiment."""
    different = texts.drop_duplicates("text")
    ratings = rate(different).set_index("text").positive.round(6)
    return texts.assign(positive=texts.text.map(ratings))


def _average(rated: pd.DataFrame, day: date, windows: tuple[int, ...]) -> pd.DataFrame:
    """Return each customer's sentiment at one snapshot.

    Of several texts given at the same time, the last is the one of highest sentiment.
    """
    after = pd.Timestamp(day + timedelta(days=1))
    known = rated[(rated.given_at < after) & (rated.known_at < after)].sort_values(
        ["customer_id", "given_at", "positive"], kind="stable"
    )
    table = pd.DataFrame({"last_sentiment": known.groupby("customer_id").positive.last()})
    micros = (known.positive * 1e6).round().astype("int64")
    for window in windows:
        recent = known.given_at >= after - pd.Timedelta(days=window)
        sums = micros[recent].groupby(known.customer_id[recent]).agg(["sum", "count"])
        table[f"mean_sentiment_{window}d"] = sums["sum"] / sums["count"] / 1e6
    return table.reset_index().assign(snapshot=np.datetime64(day, "us"))


def _name_features(windows: tuple[int, ...]) -> list[Feature]:
    scale = "0 is like texts of low scores, 1 like those of high ones"
    last = f"sentiment of the latest text: {scale}"
    features = [Feature("last_sentiment", last, UNIT, "feedback")]
    for days in windows:
        words = f"mean sentiment of the texts in the last {days} days: {scale}"
        features.append(Feature(f"mean_sentiment_{days}d", words, UNIT, "feedback", days))
    return features

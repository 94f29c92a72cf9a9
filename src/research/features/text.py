"""Features of what customers write: the sentiment of their feedback, rated by a model that only the
past has taught.

The model learns from the texts and scores known by one day, at the latest the first snapshot: each
snapshot of a panel is rated alike, and none by what came after it.
"""

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial

import ibis
import numpy as np
import pandas as pd

from research.features.dictionary import Block, Feature
from research.features.sentiment import explain_few, explain_missing, read_texts
from research.panel.evidence import Evidence
from research.panel.splits import plan_split
from research.panel.windows import Marks
from research.study import Study

UNIT = "probability of a high score"


def build_moods(evidence: Evidence, study: Study, marks: Marks, seed: int = 0) -> Block | None:
    """Return the sentiment of the latest text and the mean of each window; None where the study
    turns it off or its texts can't teach it.

    Parameters
    ----------
    seed : draws the texts learned from, where there are very many
    """
    past = _find_school(evidence, study)
    if past is None:
        return None
    from research.features import (
        # scikit-learn takes a second and 80 MB to import: features without texts can do without
        sentiment,
    )

    model = sentiment.learn_sentiment(past, seed)
    texts = read_texts(evidence.only(evidence.snapshots[-1])["feedback"])
    rated = _rate_once(partial(sentiment.rate_texts, model), texts)
    table = pd.concat(
        [_sum_up(rated, day, marks.windows) for day in evidence.snapshots], ignore_index=True
    )
    return Block(
        ibis.memtable(table.astype({"snapshot": "datetime64[us]"})),
        tuple(_name_features(marks.windows)),
    )


def describe_moods(evidence: Evidence, study: Study, marks: Marks) -> list[Feature]:
    """Return what ``build_moods`` would build, without rating a text."""
    return [] if _find_school(evidence, study) is None else _name_features(marks.windows)


def _find_school(evidence: Evidence, study: Study) -> pd.DataFrame | None:
    """Return the texts that teach; None where the study turns sentiment off or they are too few."""
    if not study.features.sentiment or explain_missing(evidence):
        return None
    past = _read(evidence, find_school_day(evidence, study))
    return None if explain_few(past) else past


def find_school_day(evidence: Evidence, study: Study) -> date:
    """Return the last day whose texts may teach: the study's first training snapshot, or the first
    snapshot of the evidence if that is earlier.
    """
    return min(evidence.snapshots[0], plan_split(study).train[0])


def _read(evidence: Evidence, day: date) -> pd.DataFrame:
    texts = read_texts(evidence.only(evidence.snapshots[0])["feedback"])
    return texts[
        (texts[["given_at", "known_at"]] < pd.Timestamp(day + timedelta(days=1))).all(axis=1)
    ]


def _rate_once(rate: Callable[[pd.DataFrame], pd.DataFrame], texts: pd.DataFrame) -> pd.DataFrame:
    """Rate every different text once; the same phrase has the same sentiment."""
    different = texts.drop_duplicates("text")
    ratings = rate(different).set_index("text").positive.round(6)
    return texts.assign(positive=texts.text.map(ratings))


def _sum_up(rated: pd.DataFrame, day: date, windows: tuple[int, ...]) -> pd.DataFrame:
    """Return each customer's sentiment at one snapshot; of several texts given at the same time,
    the last is the one of highest sentiment.
    """
    after = pd.Timestamp(day + timedelta(days=1))
    known = rated[(rated.given_at < after) & (rated.known_at < after)].sort_values(
        ["customer_id", "given_at", "positive"], kind="stable"
    )
    own = known.groupby("customer_id").positive
    table = pd.DataFrame({"last_sentiment": own.last()})
    micros = (known.positive * 1e6).round().astype("int64")
    for window in windows:
        recent = known.given_at >= after - pd.Timedelta(days=window)
        sums = micros[recent].groupby(known.customer_id[recent]).agg(["sum", "count"])
        table[f"mean_sentiment_{window}d"] = sums["sum"] / sums["count"] / 1e6
    return table.reset_index().assign(snapshot=np.datetime64(day, "us"))


def _name_features(windows: tuple[int, ...]) -> list[Feature]:
    features = [
        Feature(
            "last_sentiment",
            "sentiment of the latest text: 0 is like texts of low scores, 1 like those of high"
            " ones",
            UNIT,
            "feedback",
        )
    ]
    words = (
        "mean sentiment of the texts in the last {} days: 0 is like texts of low scores, 1 like"
        " those of high ones"
    )
    return [
        *features,
        *(
            Feature(f"mean_sentiment_{days}d", words.format(days), UNIT, "feedback", days)
            for days in windows
        ),
    ]

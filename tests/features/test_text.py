"""Features of texts: averages of their sentiment, from what each snapshot knew."""

from datetime import date

import ibis
import pandas as pd
import pytest

from research.features import sentiment, text
from research.features.context import BuildContext
from research.panel.evidence import evidence_as_of
from research.study import Study

T = date(2024, 6, 30)
DAYS = [date(2024, 6, 1), T]
RATED = {"awful": 0.1, "fine": 0.6, "great": 0.9}
ROWS = [
    ("a", "2024-06-01 23:59", "2024-06-01 23:59", "great"),
    ("a", "2024-06-30 10:00", "2024-06-30 10:00", "fine"),
    ("a", "2024-06-30 10:00", "2024-06-30 10:00", "awful"),  # the same time: the higher counts
    ("b", "2024-06-10", "2024-07-01", "awful"),  # known after the last snapshot
    ("c", "2024-05-31", "2024-06-02", "awful"),  # known after the first one
    ("d", "2024-05-01", "2024-05-01", None),
]


def make(days: list[date] = DAYS, **features) -> BuildContext:
    rows = pd.DataFrame(ROWS, columns=["customer_id", "given_at", "known_at", "text"])
    times = {column: pd.to_datetime(rows[column], format="mixed") for column in rows.columns[1:3]}
    feedback = ibis.memtable(rows.assign(**times, score=1.0, score_max=5.0))
    study = Study.model_validate(
        {
            "title": "Tiny",
            "kind": "contractual",
            "economics": {"currency": "EUR", "capacity": 5},
            "features": {"windows": [1, 30]} | features,
            "churn": {"horizon_days": 30},
            "snapshots": {"last": "2024-06-30", "train": 1, "test": 1},
        }
    )
    return BuildContext(evidence_as_of({"feedback": feedback}, days), study)


@pytest.fixture
def rated(monkeypatch):
    """Texts whose sentiment is known, however few there are to learn from."""
    monkeypatch.setattr(text, "explain_few", lambda past: "")
    monkeypatch.setattr(sentiment, "fit_sentiment", lambda past, seed: None)
    monkeypatch.setattr(
        sentiment,
        "predict_sentiment",
        lambda model, texts: texts.assign(positive=texts.text.map(RATED)),
    )


def test_the_last_sentiment_and_the_means_are_worked_by_hand(rated):
    table = text.build_sentiment(make()).table.to_pandas()
    table = table.set_index(["snapshot", "customer_id"]).sort_index()
    first, last = map(pd.Timestamp, DAYS)
    assert [*table.index] == [(first, "a"), (last, "a"), (last, "c")]
    assert [*table.last_sentiment] == [0.9, 0.6, 0.1]
    # the window of one day holds the snapshot's own; that of 30 begins on 3 May, and on 1 June
    assert [*table.mean_sentiment_1d][:2] == [0.9, pytest.approx(0.35)]
    assert pd.isna(table.mean_sentiment_1d[last, "c"])
    assert table.mean_sentiment_30d[last, "a"] == pytest.approx((0.9 + 0.6 + 0.1) / 3)
    assert pd.isna(table.mean_sentiment_30d[last, "c"])  # 31 May is 30 days old and outside


def test_the_features_that_are_described_are_those_that_are_built(rated):
    built, described = text.build_sentiment(make()).features, text.describe_sentiment(make())
    assert [*built] == described
    assert [feature.name for feature in described] == [
        "last_sentiment",
        "mean_sentiment_1d",
        "mean_sentiment_30d",
    ]


def test_a_study_that_turns_sentiment_off_and_one_of_few_texts_have_none(rated, monkeypatch):
    assert text.build_sentiment(make(sentiment=False)) is None
    monkeypatch.setattr(text, "explain_few", sentiment.explain_few)
    assert text.build_sentiment(make()) is None
    assert text.describe_sentiment(make()) == []

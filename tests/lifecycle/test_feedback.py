"""Sentiment of feedback text: evaluated where there are texts enough, else with a reason."""

import pandas as pd
from subscribers import T, subscribers

from research.data import load
from research.lifecycle.feedback import evaluate_sentiment
from research.panel.evidence import evidence_as_of


def evidence_of(write_study, feedback: pd.DataFrame):
    study = write_study(tables=subscribers() | {"feedback": feedback})
    return evidence_as_of(load.load_tables(study), [T])


def texts(customers: int) -> pd.DataFrame:
    """Every customer writes twice on one day: a good text with 5 of 5, a bad one with 1 of 5."""
    days = pd.date_range("2024-01-01", periods=customers, freq="D")
    parts = [
        pd.DataFrame({"given_at": days, "text": text, "score": score})
        for text, score in (("all is good", 5.0), ("this is bad", 1.0))
    ]
    table = pd.concat(parts, ignore_index=True)
    names = [*"abcdef"] * len(table)
    return table.assign(customer_id=names[: len(table)], score_max=5.0)


def test_texts_are_split_by_time_and_scored(write_study):
    evaluated = evaluate_sentiment(evidence_of(write_study, texts(100)), 200, 0)
    assert evaluated.reason == ""
    # 200 texts: 70 % are those of the first 70 days
    assert evaluated.population == (
        "Fitted on 140 texts up to 2024-03-10, evaluated on 60 later ones."
    )
    auc = evaluated.scores[evaluated.scores.metric == "auc"].set_index("model").value
    assert (auc["base rate"], auc["character n-grams"]) == (0.5, 1.0)
    assert {*evaluated.markers.marker} >= {"good", "bad"}
    assert {*evaluated.differences.reference} == {"base rate", "rule on text length"}


def test_a_study_without_texts_has_empty_tables_and_a_reason(write_study):
    without = texts(3).drop(columns="text")
    evaluated = evaluate_sentiment(evidence_of(write_study, without), 200, 0)
    assert evaluated.reason == "sentiment needs in the table feedback the columns text"
    assert evaluated.population == f"Not measured: {evaluated.reason}."
    assert evaluated.scores.empty and "metric" in evaluated.scores
    assert evaluated.differences.empty and "verdict" in evaluated.differences
    assert evaluated.markers.empty and "marker" in evaluated.markers


def test_too_few_texts_are_not_evaluated(write_study):
    evaluated = evaluate_sentiment(evidence_of(write_study, texts(20)), 200, 0)
    assert "at least 50 texts" in evaluated.reason
    assert evaluated.scores.empty

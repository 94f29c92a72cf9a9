"""Sentiment of feedback text: fitted on the earlier texts, evaluated on the later ones."""

from dataclasses import dataclass

import pandas as pd

from research.data.contracts import Tables
from research.evaluation.bootstrap import tabulate_differences, tabulate_scores
from research.features import sentiment

MOST_MARKERS = 8  # words of either side


@dataclass(frozen=True)
class FeedbackSentiment:
    """A model of sentiment with its evaluation; tables without rows where there is none.

    Attributes
    ----------
    population : sentence on the texts that it was fitted and evaluated on
    scores, differences : see ``sentiment.score_sentiment``
    markers : words of high and of low scores, see ``sentiment.list_markers``
    reason : why it is not measured; empty where it is
    """

    population: str
    scores: pd.DataFrame
    differences: pd.DataFrame
    markers: pd.DataFrame
    reason: str = ""


def evaluate_sentiment(evidence: Tables, resamples: int, seed: int) -> FeedbackSentiment:
    """Fit sentiment on the earlier texts of one snapshot and evaluate it on the later ones.

    Parameters
    ----------
    evidence : tables as of one snapshot, see ``evidence.evidence_as_of``
    resamples : bootstrap resamples of customers behind the intervals
    seed : draws the texts to fit on, where there are very many, and the resamples
    """
    if reason := sentiment.explain_missing(evidence):
        return _not_measured(reason)
    texts = sentiment.load_texts(evidence["feedback"])
    past, later, split_day = sentiment.split_texts(texts)
    if reason := sentiment.explain_few(past):
        return _not_measured(reason)
    model = sentiment.fit_sentiment(past, seed)
    rated = sentiment.predict_sentiment(model, later)
    scores, differences = sentiment.score_sentiment(rated, past, resamples, seed)
    return FeedbackSentiment(
        f"Fitted on {len(past):,} texts up to {split_day}, evaluated on {len(later):,} later ones.",
        scores,
        differences,
        sentiment.list_markers(model, past, MOST_MARKERS),
    )


def _not_measured(reason: str) -> FeedbackSentiment:
    scores = tabulate_scores({}, sentiment.FAMILIES, 0)
    differences = tabulate_differences({}, [], sentiment.FAMILIES, 0)
    markers = pd.DataFrame(columns=sentiment.MARKER_COLUMNS)
    return FeedbackSentiment(f"Not measured: {reason}.", scores, differences, markers, reason)

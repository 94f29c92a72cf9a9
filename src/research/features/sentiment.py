"""Sentiment of feedback texts, learned from the scores that customers gave themselves, without
assuming a language.

A text is divided into runs of 1 to 4 characters, so that neither words nor their endings need to be
known. What a text of a high or a low score looks like is learned from texts that were known by the
split day; the score of every later text is then predicted, whether it has one or not.
"""

import re
import unicodedata
from collections.abc import Iterable
from datetime import date

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from research.errors import StudyError
from research.evaluation.bootstrap import resample_scores, tabulate_differences, tabulate_scores
from research.evaluation.metrics import METRICS
from research.reporting.metric import select_metrics

# shares of the highest score up to which, and from which on, a text counts as low or high
NEGATIVE, POSITIVE = 0.4, 0.8
MIN_TEXTS = 50  # on either side, to learn from
MAX_TEXTS = 20_000  # to learn from, drawn at random: bounds time and memory
MAX_LENGTH = 1000  # characters of a text that are read
BATCH = 10_000  # texts rated at once
MODEL = "character n-grams"
FAMILIES = {"base rate": "reference", "rule on text length": "reference", MODEL: "text"}
MARKER_COLUMNS = ["side", "marker", "positive", "texts", "positive_share"]
SHOWN = select_metrics(
    METRICS, "auc", "log_loss", "brier", "calibration_slope", "calibration_intercept"
)
NEEDED = ("text", "score", "score_max")
CONTROLS = (*range(32), *range(127, 160), 0x2028, 0x2029)
DIRECTIONS = (
    0x061C,
    0x200E,
    0x200F,
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    0xFEFF,
)  # marks of the direction of writing
INVISIBLE = dict.fromkeys(CONTROLS, " ") | dict.fromkeys(DIRECTIONS)
UNSPACED = (  # scripts without a space between words
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)


def fit_sentiment(past: pd.DataFrame, seed: int) -> Pipeline:
    """Fit the model that separates texts of high scores from those of low ones.

    Logistic regression on TF-IDF weights of character n-grams (1 to 4, within words where there are
    spaces); the penalty is the one that predicted best forward in time within the first 70 % of the
    Olist sample.

    Parameters
    ----------
    past : see ``split_texts``
    seed : int
        Draws the texts that are learned from where there are more than 20,000.

    Returns
    -------
    Pipeline with ``predict_proba`` of a list of texts; the second column is the probability of a
    high score

    Raises
    ------
    StudyError
        If ``explain_few`` has a reason.
    """
    if reason := explain_few(past):
        raise StudyError(reason)
    rows = find_clear_scores(past)
    rows = rows.sample(MAX_TEXTS, random_state=seed).sort_index() if len(rows) > MAX_TEXTS else rows
    grams = TfidfVectorizer(
        analyzer="char_wb",
        ngram_range=(1, 4),
        lowercase=False,
        sublinear_tf=True,
        min_df=3,
        max_features=100_000,
        dtype=np.float32,
    )
    return make_pipeline(
        FunctionTransformer(clean_texts), grams, LogisticRegression(C=10, max_iter=1000)
    ).fit(rows.text.tolist(), rows.is_positive)


def predict_sentiment(model: Pipeline, texts: pd.DataFrame) -> pd.DataFrame:
    """Return ``texts`` with a column ``positive``: the probability of a high rather than a low
    score.
    """
    batches = [
        model.predict_proba(texts.text.iloc[start : start + BATCH].tolist())[:, 1]
        for start in range(0, len(texts), BATCH)
    ]
    return texts.assign(positive=np.concatenate(batches).astype(float) if batches else np.empty(0))


def predict_clear_scores(rated: pd.DataFrame, past: pd.DataFrame) -> pd.DataFrame:
    """Return the later texts with a clear score, with what the model and two baselines predict.

    The base rate is the share of high scores among the past texts; the rule gives the share among
    past texts of about the same length.

    Returns
    -------
    DataFrame with columns repeat (0), customer_id, churned and one column per model
        The form of ``evaluation.predictions``: ``churned`` holds the outcome predicted, here
        whether the score was high.
    """
    rows, learned = find_clear_scores(rated), find_clear_scores(past)
    rule = DecisionTreeClassifier(max_leaf_nodes=10, min_samples_leaf=0.05, random_state=0).fit(
        _find_lengths(learned), learned.is_positive
    )
    by_length = rule.predict_proba(_find_lengths(rows))[:, 1] if len(rows) else np.empty(0)
    predictions = [learned.is_positive.mean(), by_length, rows.positive.to_numpy()]
    models = dict(zip(FAMILIES, predictions, strict=True))
    return pd.DataFrame(
        {
            "repeat": 0,
            "customer_id": rows.customer_id.to_numpy(),
            "churned": rows.is_positive.to_numpy(),
            **models,
        }
    )


def _find_lengths(texts: pd.DataFrame) -> np.ndarray:
    return texts.text.str.len().to_numpy(float)[:, None]


def score_sentiment(
    rated: pd.DataFrame, past: pd.DataFrame, resamples: int = 1000, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score how well texts of high scores are separated from those of low ones, compared with a
    base rate and a rule on the text's length.

    Returns
    -------
    scores : DataFrame with columns model, family, metric, value, low, high, n
        95 % intervals from resamples of customers; ``n`` is how many of them were judged. Empty if
        no later text has a clear score.
    differences : DataFrame, see ``bootstrap.tabulate_differences``
        The model against both baselines, on the same resamples.
    """
    predictions = predict_clear_scores(rated, past)
    resampled = resample_scores(predictions, resamples, seed) if len(predictions) else {}
    customers = predictions.customer_id.nunique()
    baselines = [name for name, family in FAMILIES.items() if family == "reference" and resampled]
    tables = (
        tabulate_scores(resampled, FAMILIES, customers),
        tabulate_differences(resampled, baselines, FAMILIES, customers),
    )
    scores, differences = (
        table[table.metric.isin(SHOWN)].reset_index(drop=True) for table in tables
    )
    return scores, differences[differences.model == MODEL].reset_index(drop=True)


def list_markers(model: Pipeline, past: pd.DataFrame, n: int = 15) -> pd.DataFrame:
    """Return the words that most strongly predict a low and a high score.

    A word is a run of letters; in scripts without spaces, each two to four characters in a row. It
    counts if at least 5 and 0.5 % of the past texts with a clear score hold it (the latest 20,000
    of them), and if these texts lean to its side more than all do.

    Returns
    -------
    DataFrame with columns side, marker, positive, texts, positive_share
        At most ``n`` rows a side, the strongest first: ``positive`` is the model's probability for
        the word alone, ``texts`` counts the past texts that hold it, ``positive_share`` is the
        share of high scores among them.
    """
    rows = find_clear_scores(past)[-MAX_TEXTS:]
    counter = CountVectorizer(
        analyzer=_list_words, binary=True, min_df=max(5, int(np.ceil(0.005 * len(rows))))
    )
    try:
        counts = counter.fit_transform(clean_texts(rows.text))
    except ValueError:  # no word is in enough texts
        return pd.DataFrame(columns=MARKER_COLUMNS)
    texts = np.asarray(counts.sum(axis=0))[0]
    positive = np.asarray(counts[rows.is_positive.to_numpy()].sum(axis=0))[0]
    words = pd.DataFrame(
        {
            "marker": counter.get_feature_names_out(),
            "texts": texts,
            "positive_share": positive / texts,
        }
    )
    words["positive"] = model.predict_proba(words.marker.tolist())[:, 1].astype(float)
    low = words[
        (words.positive < 0.5) & (words.positive_share < rows.is_positive.mean())
    ].sort_values(["positive", "marker"])
    high = words[
        (words.positive > 0.5) & (words.positive_share > rows.is_positive.mean())
    ].sort_values(["positive", "marker"], ascending=[False, True])
    sides = [low.head(n).assign(side="low"), high.head(n).assign(side="high")]
    return pd.concat(sides, ignore_index=True)[MARKER_COLUMNS]


def _list_words(text: str) -> list[str]:
    words = re.findall(r"[^\W\d_]{2,30}", text)
    return [
        part for word in words for part in (_slice(word) if re.search(UNSPACED, word) else [word])
    ]


def _slice(word: str) -> list[str]:
    return [
        word[start : start + size] for size in (2, 3, 4) for start in range(len(word) - size + 1)
    ]


def explain_missing(tables: dict[str, ir.Table]) -> str:
    """Return what a study lacks for sentiment in one sentence; empty if nothing."""
    if "feedback" not in tables:
        return f"sentiment needs a table feedback with the columns {', '.join(NEEDED)}"
    missing = [column for column in NEEDED if column not in tables["feedback"].columns]
    columns = ", ".join(missing)
    return f"sentiment needs in the table feedback the columns {columns}" if missing else ""


def load_texts(feedback: ir.Table) -> pd.DataFrame:
    """Return the feedback that has text, in the order of time.

    Parameters
    ----------
    feedback : table with columns customer_id, given_at, text, optionally known_at, score,
        score_max, snapshot
        Evidence at one snapshot; of several that of the last is read.

    Returns
    -------
    DataFrame with columns customer_id, given_at, known_at, text, share
        One row per answer whose text has a visible character. ``known_at`` is never before
        ``given_at`` and equals it where the table has none; ``share`` is score / score_max, empty
        where either is missing or the highest score is not positive.
    """
    if "snapshot" in feedback.columns:
        feedback = feedback.filter(feedback.snapshot == feedback.snapshot.max())
    wanted = [
        column
        for column in ("customer_id", "given_at", "known_at", *NEEDED)
        if column in feedback.columns
    ]
    rows = (
        feedback.filter(feedback.text.notnull())
        .select(wanted)
        .to_pandas()
        .reindex(columns=["customer_id", "given_at", "known_at", *NEEDED])
    )
    rows = rows[[bool(text.strip()) for text in clean_texts(rows.text)]]
    if "known_at" in feedback.columns:
        rows["known_at"] = rows.known_at.where(~(rows.known_at < rows.given_at), rows.given_at)
    else:
        rows["known_at"] = rows.given_at
    rows["share"] = rows.score.astype(float) / rows.score_max.astype(float).where(
        lambda highest: highest > 0
    )
    order = ["given_at", "known_at", "customer_id", "text", "share"]
    return rows.sort_values(order, kind="stable", ignore_index=True)[
        ["customer_id", "given_at", "known_at", "text", "share"]
    ]


def split_texts(
    texts: pd.DataFrame, share: float = 0.7
) -> tuple[pd.DataFrame, pd.DataFrame, date | None]:
    """Split texts by time: the past to learn from, the later ones to predict.

    Parameters
    ----------
    texts : see ``load_texts``
    share : float
        Part of the texts that lies at most in the past; the texts of one day stay together.

    Returns
    -------
    past, later : rows of ``texts``
        ``past`` was given and known by the end of the split day, ``later`` given after it. What was
        given by then and known only later is in neither.
    day : date, or None without texts
        The split day, the last one whose texts are learned from.
    """
    if texts.empty:
        return texts, texts, None
    first_later = (
        texts.given_at.sort_values().iloc[min(int(share * len(texts)), len(texts) - 1)].normalize()
    )
    past = texts[(texts.given_at < first_later) & (texts.known_at < first_later)]
    return past, texts[texts.given_at >= first_later], (first_later - pd.Timedelta(days=1)).date()


def find_clear_scores(texts: pd.DataFrame) -> pd.DataFrame:
    """Return the texts with a clearly low or high score, and a column ``is_positive``.

    Nothing is learned from those between.
    """
    clear = texts[(texts.share <= NEGATIVE) | (texts.share >= POSITIVE)]
    return clear.assign(is_positive=clear.share >= POSITIVE)


def explain_few(past: pd.DataFrame) -> str:
    """Return in one sentence that there are too few scored texts to learn from; empty if there are
    enough.
    """
    positive = find_clear_scores(past).is_positive
    counts = int((~positive).sum()), int(positive.sum())
    if min(counts) >= MIN_TEXTS:
        return ""
    return (
        f"sentiment needs at least {MIN_TEXTS} texts with a score of at most {NEGATIVE:.0%} of the"
        f" highest and {MIN_TEXTS} with at least {POSITIVE:.0%} in the past; there are"
        f" {counts[0]} and {counts[1]}"
    )


def clean_texts(texts: Iterable) -> list[str]:
    """Return texts in one form; "" for no text.

    Their first 1,000 characters, NFKC-normalised, in lower case, without control characters.
    """
    return [_clean(text) if isinstance(text, str) else "" for text in texts]


def _clean(text: str) -> str:
    valid = text[:MAX_LENGTH].encode("utf-8", "ignore").decode()
    return unicodedata.normalize("NFKC", valid).lower().translate(INVISIBLE)[:MAX_LENGTH]

"""Sentiment of texts: the real sample, five languages, blindness to the future, hostile texts."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest

from research.errors import StudyError
from research.evaluation import calibration_bins
from research.features import sentiment
from research.panel.evidence import filter_as_of

WORDS = {  # high, low, either
    "English": (
        ["great service", "love it", "very helpful"],
        ["broken again", "never got", "terrible support"],
        ["the delivery", "my order", "this app"],
    ),
    "German": (
        ["sehr zufrieden", "tolle Qualität", "gerne wieder"],
        ["leider kaputt", "nie angekommen", "schlechter Service"],
        ["die Lieferung", "das Produkt"],
    ),
    "Portuguese": (
        ["muito bom", "ótimo produto", "recomendo"],
        ["não recebi", "péssimo", "veio quebrado"],
        ["a entrega", "o produto", "a loja"],
    ),
    "Chinese": (
        ["质量很好", "非常满意", "值得推荐"],
        ["太差了", "没有收到", "要求退款"],
        ["这个产品", "物流", "客服"],
    ),
    "Arabic": (
        ["خدمة ممتازة", "أنصح به", "رائع جدا"],
        ["سيء جدا", "لم يصل", "منتج تالف"],
        ["التوصيل", "المنتج", "الطلب"],
    ),
}
HOSTILE = [
    "<script>alert(1)</script><b>&lt;",
    '=HYPERLINK("http://x","y")',
    "\u202egnp.exe\u202c \u200f",
    "",
    "   ",
    "\u200b",
    "😀🤬👍🏽",
    "spam " * 20_000,
    "\ufdfa" * 5000,
    "\x00\x07\x1b[31m",
    "\ud800 half a pair",
    None,
    np.nan,
    pd.NA,
    7,
]


def make_texts(language: str = "English", rows: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    high, low, either = WORDS[language]
    share = rng.choice([0.2, 0.4, 0.6, 0.8, 1.0], rows)
    said = [high if value >= 0.8 else low if value <= 0.4 else [*high, *low] for value in share]
    text = [f"{rng.choice(either)} {rng.choice(words)} {rng.integers(100)}" for words in said]
    given = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(rows) // 2, unit="D")
    return pd.DataFrame(
        {
            "customer_id": rng.integers(rows // 2, size=rows).astype(str),
            "given_at": given,
            "known_at": given,
            "text": text,
            "share": share,
        }
    )


def as_feedback(**columns) -> ibis.Table:
    return ibis.memtable(
        pd.DataFrame(
            {
                "customer_id": ["a", "b", "c"],
                "given_at": pd.to_datetime(["2024-01-03", "2024-01-01", "2024-01-02"]),
            }
            | columns
        )
    )


def test_low_and_high_scores_of_the_olist_sample_are_told_apart_forward_in_time(mirror):
    reviews = pd.read_csv(mirror / "olist_sample" / "olist_order_reviews_dataset.csv")
    columns = {
        "customer_id": reviews.order_id,
        "score": reviews.review_score.astype(float),
        "score_max": 5.0,
    }
    columns |= {
        "text": reviews.review_comment_title.fillna("")
        + " "
        + reviews.review_comment_message.fillna("")
    }
    dated = {
        "given_at": pd.to_datetime(reviews.review_creation_date),
        "known_at": pd.to_datetime(reviews.review_answer_timestamp),
    }
    texts = sentiment.load_texts(ibis.memtable(pd.DataFrame(columns | dated)))
    past, later, day = sentiment.split_texts(texts)
    assert 0.3 * len(texts) <= len(later) < 0.31 * len(texts)
    assert past.known_at.max() < pd.Timestamp(day) + pd.Timedelta(days=1) <= later.given_at.min()
    model = sentiment.fit_sentiment(past, 0)
    scores = sentiment.score_sentiment(
        sentiment.predict_sentiment(model, later), past, resamples=200
    )[0].set_index(["model", "metric"])
    assert scores.value[sentiment.MODEL, "auc"] >= 0.97
    assert scores.value["rule on text length", "auc"] < 0.8
    assert scores.value["base rate", "auc"] == 0.5
    listed = sentiment.list_markers(model, past, 40)
    assert (
        (listed.positive_share > sentiment.find_clear_scores(past).is_positive.mean())
        == (listed.side == "high")
    ).all()
    markers = listed.groupby("side").marker.agg(set)
    assert {"não", "péssimo"} <= markers["low"]
    assert {"excelente", "ótimo"} <= markers["high"]


@pytest.mark.parametrize("language", WORDS)
def test_the_model_reads_any_language_and_shows_its_words(language):
    past, later, _ = sentiment.split_texts(make_texts(language))
    model = sentiment.fit_sentiment(past, 0)
    rated = sentiment.predict_sentiment(model, later)
    scores = (
        sentiment.score_sentiment(rated, past, resamples=50)[0].set_index(["model", "metric"]).value
    )
    assert scores[sentiment.MODEL, "auc"] > 0.99
    assert scores[sentiment.MODEL, "brier"] < scores["base rate", "brier"] / 2
    markers = sentiment.list_markers(model, past, 4)
    high, low, _ = (" ".join(words).lower() for words in WORDS[language])
    assert all(marker in high for marker in markers.marker[markers.side == "high"])
    assert all(marker in low for marker in markers.marker[markers.side == "low"])
    assert set(markers.side) == {"high", "low"}
    assert (markers.positive_share[markers.side == "low"] == 0).all()


@pytest.mark.parametrize("what", ["given later", "known later"])
def test_texts_after_the_split_day_never_change_the_model(what):
    texts = make_texts()
    if what == "known later":
        texts.loc[100:119, "known_at"] = pd.Timestamp("2024-12-01")
    past, later, day = sentiment.split_texts(texts)
    unknown = (texts.given_at > pd.Timestamp(day)) | (
        texts.known_at > pd.Timestamp(day) + pd.Timedelta(hours=23)
    )
    scrambled = texts.copy()
    scrambled.loc[unknown, "text"] = (
        "great service " + texts.text[unknown].sample(frac=1, random_state=0).to_numpy()
    )
    scrambled.loc[unknown, "share"] = 1.2 - texts.share[unknown]
    models = [
        sentiment.fit_sentiment(sentiment.split_texts(frame)[0], 0) for frame in (texts, scrambled)
    ]
    np.testing.assert_array_equal(models[0][-1].coef_, models[1][-1].coef_)
    assert models[0][1].vocabulary_ == models[1][1].vocabulary_
    assert len(past) + len(later) == len(texts) - (20 if what == "known later" else 0)


def test_the_texts_of_one_day_stay_on_one_side():
    days = pd.to_datetime(
        ["2024-01-01 08:00", "2024-01-02 09:00", "2024-01-02 23:59:59", "2024-01-03 00:00"],
        format="ISO8601",
    )
    texts = pd.DataFrame({"given_at": days, "known_at": days})
    for share, rows, day in (
        (0.3, 1, date(2024, 1, 1)),
        (0.5, 1, date(2024, 1, 1)),
        (0.75, 3, date(2024, 1, 2)),
        (1.0, 3, date(2024, 1, 2)),
    ):
        past, later, split = sentiment.split_texts(texts, share)
        assert (len(past), len(later), split) == (rows, 4 - rows, day)


def test_a_text_known_at_the_end_of_the_split_day_teaches_and_one_second_later_not():
    days = pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-02", "2024-01-02"])
    known = pd.to_datetime(
        ["2024-01-01 23:59:59", "2024-01-02 00:00:00", "2024-01-02", "2024-01-02"], format="ISO8601"
    )
    past, later, day = sentiment.split_texts(
        pd.DataFrame({"given_at": days, "known_at": known}), 0.5
    )
    assert (past.index.tolist(), later.index.tolist(), day) == ([0], [2, 3], date(2024, 1, 1))


def test_only_feedback_with_text_is_read_in_the_order_of_time():
    texts = sentiment.load_texts(
        as_feedback(text=["late", " \u200f\n", "early"], score=[4.0, 1, 2], score_max=[5.0, 5, 0])
    )
    assert texts.text.tolist() == ["early", "late"]
    assert texts.known_at.tolist() == texts.given_at.tolist()
    assert texts.share.tolist() == pytest.approx([np.nan, 0.8], nan_ok=True)


def test_of_several_snapshots_the_last_one_is_read():
    feedback = as_feedback(text=["x", "y", "z"], score=[4.0, 1, 2], score_max=[5.0, 5, 5])
    assert (
        len(
            sentiment.load_texts(
                filter_as_of(feedback, "feedback", [date(2024, 1, 1), date(2024, 1, 2)])
            )
        )
        == 2
    )


def test_a_text_is_known_from_the_later_of_both_days_and_never_if_that_is_empty():
    known = pd.to_datetime(["2024-02-01", "2023-01-01", None])
    texts = sentiment.load_texts(
        as_feedback(text=["x", "y", "z"], score=[4.0, 1, 2], score_max=[5.0, 5, 5], known_at=known)
    ).set_index("text")
    assert texts.known_at[["x", "y"]].tolist() == [
        pd.Timestamp("2024-02-01"),
        pd.Timestamp("2024-01-01"),
    ]
    assert pd.isna(texts.known_at["z"])


def test_scores_between_teach_nothing():
    texts = pd.DataFrame({"share": [0.4, 0.41, 0.79, 0.8, np.nan]})
    assert sentiment.find_clear_scores(texts).is_positive.to_dict() == {0: False, 3: True}


def test_hostile_texts_are_rated_and_learned_from():
    past = make_texts()
    model = sentiment.fit_sentiment(past, 0)
    rated = sentiment.predict_sentiment(model, pd.DataFrame({"text": HOSTILE}))
    assert rated.positive.between(0, 1).all()
    mixed = past.assign(text=[*HOSTILE, *past.text[len(HOSTILE) :]])
    assert not sentiment.list_markers(sentiment.fit_sentiment(mixed, 0), mixed).empty
    odd = make_texts().assign(text=[HOSTILE[row % 3] for row in range(400)])
    assert len(sentiment.predict_sentiment(sentiment.fit_sentiment(odd, 0), odd)) == 400


def test_a_text_is_read_in_one_form_and_not_beyond_its_bound():
    assert sentiment.clean_texts(["ＦＵＬＬ\u200eWidth\tﬁ", None, "\ud800!"]) == [
        "fullwidth fi",
        "",
        "!",
    ]
    assert {len(text) for text in sentiment.clean_texts(["a" * 100_000, "\ufdfa" * 100_000])} == {
        sentiment.MAX_LENGTH
    }


def test_no_text_at_all_is_rated_and_split_without_error():
    texts = make_texts()[:0]
    assert sentiment.split_texts(texts)[2] is None
    assert (
        sentiment.predict_sentiment(
            sentiment.fit_sentiment(make_texts(), 0), texts
        ).positive.tolist()
        == []
    )


def test_too_few_texts_are_explained_and_refused():
    texts = make_texts(rows=120)
    few = sentiment.explain_few(texts)
    assert "at least 50" in few
    assert f"{(texts.share <= 0.4).sum()} and {(texts.share >= 0.8).sum()}" in few
    with pytest.raises(StudyError, match="at least 50"):
        sentiment.fit_sentiment(texts, 0)
    assert sentiment.explain_few(make_texts()) == ""


def test_what_a_study_lacks_is_said():
    assert (
        sentiment.explain_missing({})
        == "sentiment needs a table feedback with the columns text, score, score_max"
    )
    assert (
        sentiment.explain_missing({"feedback": as_feedback(text="x")})
        == "sentiment needs in the table feedback the columns score, score_max"
    )
    assert (
        sentiment.explain_missing({"feedback": as_feedback(text="x", score=1.0, score_max=5.0)})
        == ""
    )


@pytest.mark.parametrize("kept", [[0.2, 0.4], [0.6], []])
def test_later_texts_of_one_side_or_none_give_a_table_without_auc(kept):
    past, later, _ = sentiment.split_texts(make_texts())
    rated = sentiment.predict_sentiment(
        sentiment.fit_sentiment(past, 0), later[later.share.isin(kept)]
    )
    scores, differences = sentiment.score_sentiment(rated, past, resamples=20)
    assert scores.value[scores.metric == "auc"].isna().all()
    assert len(scores) == (15 if 0.2 in kept else 0)


def test_predictions_have_the_form_of_the_comparison():
    past, later, _ = sentiment.split_texts(make_texts())
    predictions = sentiment.predict_clear_scores(
        sentiment.predict_sentiment(sentiment.fit_sentiment(past, 0), later), past
    )
    sides = sentiment.find_clear_scores(past).is_positive
    assert predictions["base rate"].unique().tolist() == pytest.approx([sides.mean()])
    assert calibration_bins.bin_reliability(predictions, [sentiment.MODEL]).n.sum() == len(
        predictions
    )


def test_from_many_texts_a_lot_is_drawn_by_the_seed(monkeypatch):
    monkeypatch.setattr(sentiment, "MAX_TEXTS", 150)
    first, again, other = (
        sentiment.fit_sentiment(make_texts(), seed)[-1].coef_ for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).any()


def test_markers_are_counted_in_no_more_texts_than_are_learned_from(monkeypatch):
    model = sentiment.fit_sentiment(make_texts(), 0)
    monkeypatch.setattr(sentiment, "MAX_TEXTS", 40)
    assert sentiment.list_markers(model, make_texts()).texts.max() <= 40


def test_ratings_do_not_depend_on_the_batches(monkeypatch):
    texts = make_texts()
    model = sentiment.fit_sentiment(texts, 0)
    whole = sentiment.predict_sentiment(model, texts)
    monkeypatch.setattr(sentiment, "BATCH", 7)
    pd.testing.assert_frame_equal(sentiment.predict_sentiment(model, texts), whole)

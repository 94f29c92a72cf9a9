"""The feature dictionary: one row for every column that models see, in words that people and
reports can use.
"""

import re
from datetime import date

import pandas as pd
import pytest
from small_companies import T, company

from research.data import load
from research.errors import StudyError
from research.features import build, dictionary
from research.features.dictionary import Feature

SPOKEN = {"score_max": 5.0, "text": "fine, and quick"}
OWN = (
    "SELECT customer_id, COUNT(*) AS n_evening_uses FROM usage WHERE hour(used_at) >= 18 GROUP BY"
    " customer_id"
)


def everything() -> dict[str, pd.DataFrame]:
    """A company with all tables and all optional columns."""
    tables = company()
    people, orders = tables["customers"], tables["orders"]
    tables["contracts"] = tables["contracts"].assign(term_months=1.0)
    tables["usage"] = tables["usage"].assign(amount=2.0)
    tables["feedback"] = tables["feedback"].assign(**SPOKEN)
    tables["customers"] = people.assign(upgraded_on=pd.Timestamp("2024-02-01"), gender="f")
    tables["referrals"] = orders[["customer_id"]].assign(referred_at=orders.ordered_at)
    tables["campaigns"] = people[["customer_id"]].assign(
        campaign="letter", assigned_at=pd.Timestamp("2024-03-01"), arm="letter", cost=1.5
    )
    return tables


def describe(write_study, tables: dict[str, pd.DataFrame] | None = None, **changes) -> pd.DataFrame:
    study = write_study(
        "contractual", tables=tables or everything(), data_end="2024-12-31", **changes
    )
    return build.describe_features(load.load_tables(study), study)


@pytest.fixture(scope="module")
def described(write_shared) -> pd.DataFrame:
    return describe(write_shared)


def test_the_rows_of_the_dictionary_are_the_columns_that_models_see_in_their_order(write_study):
    study = write_study(
        "contractual", tables=everything(), data_end="2024-12-31", sensitive=["gender"]
    )
    (study.folder / "features.sql").write_text(OWN)
    tables = load.load_tables(study)
    described = build.describe_features(tables, study)
    assert list(described.columns) == dictionary.COLUMNS
    assert list(described.feature) == build.list_features(
        build.load_panel(tables, study, [T]), study
    )
    assert {*described.source} == {
        "customers",
        "contracts",
        "orders",
        "usage",
        "contacts",
        "feedback",
        "referrals",
        "campaigns",
        "features.sql",
    }


def test_a_flat_study_has_a_dictionary_of_its_columns(write_study):
    flat = pd.DataFrame(
        {
            "customer_id": ["a", "b"],
            "churned": [True, False],
            "tenure": [1.0, 2.0],
            "gender": "f",
            "home_town": ["x", None],
        }
    )
    study = write_study(
        "flat",
        tables={"snapshot": flat},
        sensitive=["gender"],
        features={"words": {"tenure": "months with us"}},
    )
    tables = load.load_tables(study)
    described = build.describe_features(tables, study)
    assert (
        list(described.feature)
        == build.list_features(build.load_flat(tables, study), study)
        == ["tenure", "home_town"]
    )
    assert list(described.description) == ["months with us", "home town"]
    assert list(described.unit) == ["number", "text"]


def test_every_feature_has_words_and_a_unit_of_its_own(described):
    assert described.description.str.strip().str.len().gt(0).all()
    assert described.description.is_unique
    assert described.unit.str.len().gt(0).all()


def test_the_window_is_the_last_number_of_days_in_the_name_and_stands_in_the_words(described):
    for row in described.itertuples():
        found = re.search(r"_(\d+)d$", row.feature)
        assert (int(found[1]) if found else None) == (
            None if pd.isna(row.window_days) else row.window_days
        ), row.feature
        assert pd.isna(row.window_days) or str(row.window_days) in row.description


def test_what_is_counted_or_summed_is_zero_where_nothing_happened_and_the_rest_is_empty(described):
    zero = described.when_nothing == "0"
    counted = described.feature.str.startswith(("n_", "sum_"))
    assert (zero == counted).all()
    assert set(described.when_nothing) == {"0", "empty"}


def test_units_say_what_a_number_counts(described):
    unit = described.set_index("feature").unit
    wanted = {
        "n_orders_30d": "order lines",
        "n_usage_days_90d": "days",
        "sum_amount_30d": "EUR",
        "monthly_fee": "EUR",
        "days_since_last_usage": "days",
    }
    wanted |= {
        "mean_score_90d": "share of the highest score",
        "share_weekend_usage_365d": "share",
        "n_complaints_30d": "complaints",
        "region": "text",
    }
    assert unit[[*wanted]].to_dict() == wanted


def test_a_study_says_tables_and_features_in_its_own_words(write_study):
    words = {"usage": "lectures", "tenure_days": "days since registering"}
    described = describe(write_study, features={"windows": [28], "words": words}).set_index(
        "feature"
    )
    assert described.description["n_usage_28d"] == "lectures in the last 28 days"
    assert described.unit["n_usage_28d"] == "lectures"
    assert (
        described.description["share_weekend_usage_28d"]
        == "share of the lectures in the last 28 days that fell on a Saturday or Sunday"
    )
    assert described.description["tenure_days"] == "days since registering"


def test_a_misspelt_word_is_refused_with_a_hint(write_study):
    said = (
        r"key features.words: expected tables or features, got tenure_day \(did you mean"
        r" tenure_days\?\), usag \(did you mean usage\?\)"
    )
    with pytest.raises(StudyError, match=said):
        describe(write_study, features={"words": {"usag": "lectures", "tenure_day": "days"}})


def test_a_table_is_read_back_as_it_was_written():
    written = [
        Feature("n_usage_30d", "uses in the last 30 days", "uses", "usage", 30, True),
        Feature("age", "age", "number", "customers"),
    ]
    assert [*dictionary.read_features(dictionary.tabulate(written)).values()] == written


@pytest.mark.parametrize(
    ("name", "window", "stem"),
    [
        ("n_usage_30d", 30, "n_usage"),
        ("trend_n_usage_30d_90d", 90, "trend_n_usage"),
        ("plan_30d", None, "plan_30d"),
    ],
)
def test_the_stem_of_a_name_is_what_is_left_without_its_windows(name, window, stem):
    assert dictionary.find_stem(Feature(name, "", "", "usage", window)) == stem


def test_a_source_is_summed_up_in_a_row_that_names_the_windows_beyond_its_history():
    # rows begin on 1 March; with the snapshot itself, the last 121 days reach back to it: 31 + 30 +
    # 31 + 29 days up to 29 June, and the 30th makes 122
    history = dictionary.measure_history(
        {
            "usage": pd.Timestamp("2024-03-01 15:00"),
            "orders": pd.Timestamp("2024-07-02"),
            "contacts": pd.NaT,
            "campaigns": pd.NaT,
        },
        T,
    )
    assert history == {"usage": 122, "orders": 0}
    written = [
        Feature(f"n_usage_{days}d", f"uses in the last {days} days", "uses", "usage", days, True)
        for days in (122, 123, 365)
    ]
    table = dictionary.summarise(
        dictionary.tabulate([*written, Feature("age", "age", "number", "customers")]), history
    )
    assert table.to_dict("records")[0] == {
        "source": "usage",
        "features": 3,
        "windows": "122, 123, 365",
        "history_days": 122,
        "too_long": "123, 365",
        "examples": "uses",
    }
    assert table.too_long[1] == ""
    said = dictionary.explain_short_history(table, T)
    assert "usage has 122 days, windows of 123, 365 days contain no more" in said
    assert dictionary.explain_short_history(table[1:], date(2024, 6, 30)).startswith(
        "No window looks back further"
    )


def test_fill_counts_emptiness_as_a_value():
    frame = pd.DataFrame({"a": [1.0, 1.0, 2.0, None], "b": [None, None, None, 1.0]})
    assert dictionary.measure_fill(frame, ["a", "b"]).to_dict("list") == {
        "feature": ["a", "b"],
        "empty_share": [0.25, 0.75],
        "commonest_share": [0.5, 0.75],
    }

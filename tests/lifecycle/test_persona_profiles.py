"""Segments: descriptions in plain words, and the common table."""

import numpy as np
import pandas as pd
import pytest

from research.features import dictionary
from research.features.dictionary import Feature
from research.lifecycle import persona_profiles, personas

CHOSEN = pd.DataFrame(
    {
        "k": [2.0],
        "stability": [0.9],
        "low": [0.8],
        "high": [1.0],
        "reference": [0.2],
        "required": [0.8],
        "chosen": [True],
    }
)


def grouped(frame: pd.DataFrame, names: list[str]) -> personas.Personas:
    """A grouping given by hand."""
    members = frame[["customer_id"]].assign(persona=names)
    columns = tuple(column for column in frame if column != "customer_id")
    return personas.Personas(
        members, CHOSEN, pd.Series(0.9, index=sorted({*names})), columns, "2 groups"
    )


NAMED = [
    Feature("n_usage_30d", "uses in the last 30 days", "uses", "usage", 30, True),
    Feature("n_usage_90d", "uses in the last 90 days", "uses", "usage", 90, True),
    Feature("n_usage_days_365d", "days with use in the last 365 days", "days", "usage", 365, True),
    Feature(
        "share_weekend_usage_365d",
        "share of the uses in the last 365 days that fell on a Saturday or Sunday",
        "share",
        "usage",
        365,
    ),
    Feature(
        "irregularity",
        "irregularity of the gaps between days with use, last 365 days: 0 is like clockwork, 1 as"
        " by chance",
        "ratio",
        "usage",
    ),
    Feature("days_since_last_usage", "days since the last use", "days", "usage"),
    Feature(
        "sum_amount_90d",
        "amount spent in the last 90 days, returns taken off",
        "EUR",
        "orders",
        90,
        True,
    ),
    Feature(
        "sum_amount_365d",
        "amount spent in the last 365 days, returns taken off",
        "EUR",
        "orders",
        365,
        True,
    ),
    Feature(
        "n_contacts_90d",
        "contacts with service in the last 90 days",
        "contacts with service",
        "contacts",
        90,
        True,
    ),
    Feature(
        "n_contacts_365d",
        "contacts with service in the last 365 days",
        "contacts with service",
        "contacts",
        365,
        True,
    ),
    Feature(
        "mean_score_365d",
        "mean score in the last 365 days",
        "share of the highest score",
        "feedback",
        365,
    ),
    Feature(
        "n_returns_90d",
        "returned order lines in the last 90 days",
        "order lines",
        "orders",
        90,
        True,
    ),
    Feature("monthly_fee", "monthly fee of the running contract", "EUR", "contracts"),
    Feature("plan", "plan of the running contract", "text", "contracts"),
    Feature(
        "days_since_fee_change", "days since the monthly fee last changed", "days", "contracts"
    ),
]


def describe(columns: dict, names: list[str]) -> pd.Series:
    frame = pd.DataFrame(columns).assign(customer_id=[f"c{i:03d}" for i in range(len(names))])
    own = [
        Feature(name, name.replace("_", " "), "number", "customers")
        for name in columns
        if name not in {feature.name for feature in NAMED}
    ]
    return (
        persona_profiles.personas_table(
            grouped(frame, names), frame, dictionary.tabulate([*NAMED, *own])
        )
        .set_index("persona")
        .words
    )


TWO = ["A"] * 6 + ["B"] * 4


def test_medians_are_written_with_their_unit_and_one_is_singular():
    uses = describe({"n_usage_90d": [14, 14, 15, 14, 13, 14, 3, 1, 1, 0]}, TWO)
    assert uses.to_list() == [
        "median 14 uses in the last 90 days, others 1",
        "median 1 use in the last 90 days, others 14",
    ]
    fees = describe({"monthly_fee": [30.0, 29.9, 30.5, 29.9, 29.9, 30.0, 9.9, 9.9, 9.9, 9.9]}, TWO)
    assert (
        fees["A"] == "monthly fee of the running contract: median 29.9 EUR, others 9.9 EUR"
    )  # between the third and the fourth of six: (29.9 + 30) / 2 = 29.95
    spent = describe(
        {"sum_amount_365d": [1200.4, 1200.4, 1200.4, 1200.4, 1300, 900, 0, 0, 0, 0]}, TWO
    )
    assert (
        spent["A"]
        == "amount spent in the last 365 days, returns taken off: median 1,200 EUR, others 0 EUR"
    )
    returned = describe({"n_returns_90d": [1, 1, 1, 1, 2, 1, 0, 0, 0, 0]}, TWO)
    assert returned["A"] == "median 1 returned order line in the last 90 days, others 0"


def test_shares_are_written_in_hundredths_and_a_scale_with_its_meaning():
    weekend = describe(
        {"share_weekend_usage_365d": [0.5, 0.5, 0.5, 0.6, 0.5, 0.4, 0.1, 0.2, 0.1, 0]}, TWO
    )
    assert (
        weekend["A"]
        == "share of the uses in the last 365 days that fell on a Saturday or Sunday: median 50 %,"
        " others 10 %"
    )
    score = describe({"mean_score_365d": [0.9, 0.9, 0.8, 0.9, 1, 0.9, 0.2, 0.2, 0.1, 0.3]}, TWO)
    assert (
        score["A"]
        == "mean score in the last 365 days: median 90 % of the highest score, others 20 %"
    )
    gaps = describe({"irregularity": [0.5, 0.5, 0.5, 0.6, 0.5, 0.4, 1.1, 1.2, 1.1, 1]}, TWO)
    assert (
        gaps["A"]
        == "irregularity of the gaps between days with use, last 365 days: median 0.5, others 1.1,"
        " where 0 is like clockwork, 1 as by chance"
    )


@pytest.mark.parametrize(
    ("unit", "one"),
    [
        ("lectures", "lecture"),
        ("deliveries", "delivery"),
        ("classes", "class"),
        ("visits to the gym", "visit to the gym"),
    ],
)
def test_a_studys_own_word_is_singular_after_one(unit, one):
    assert (
        persona_profiles._write_count("1", f"{unit} in the last 30 days", unit)
        == f"1 {one} in the last 30 days"
    )


def test_a_feature_over_another_window_is_named_once():
    # the windows order the customers differently (rank correlation 0.1 within each persona, 0.76
    # over both), and still tell of the same thing
    short, long = (
        np.array([10, 6, 9, 7, 8, 5, 3, 1, 4, 2]),
        np.array([7, 9, 10, 5, 6, 8, 1, 3, 2, 4]) * 10,
    )
    assert np.corrcoef(short, long)[0, 1] < 0.8
    words = describe({"n_usage_30d": short, "n_usage_days_365d": long}, TWO)
    assert words["A"].count("others") == 1
    assert describe({"n_usage_30d": short, "n_contacts_365d": long}, TWO)["A"].count("others") == 2


def test_features_that_order_customers_alike_are_named_once():
    values = np.array([5.0, 6, 7, 8, 9, 10, 1, 2, 3, 4])
    assert (
        describe({"sum_amount_90d": values, "n_contacts_90d": values}, TWO)["A"].count("others")
        == 1
    )


def test_a_category_is_described_by_its_shares_and_a_flag_by_having_it():
    words = describe(
        {"plan": ["pro"] * 5 + ["free"] + ["free"] * 3 + ["pro"], "vip": [1.0] * 3 + [0.0] * 7}, TWO
    )
    assert (
        words["A"]
        == "50 % with vip, others 0 %; plan of the running contract: 83 % pro, others 25 %"
    )  # h: pi / 2 for 3 of 6 against none; 1.25 for 5 of 6 against 1 of 4
    assert (
        words["B"]
        == "0 % with vip, others 50 %; plan of the running contract: 75 % free, others 17 %"
    )


def test_never_is_given_as_a_share_and_equal_medians_by_who_has_any():
    words = describe(
        {
            "days_since_last_usage": [np.nan] * 5 + [4] + [3, 2, 5, 1],
            "n_contacts_90d": [0, 0, 0, 0, 1, 2] + [0] * 4,
        },
        TWO,
    )
    assert "83 % never used it, others 0 %" in words["A"]
    assert "33 % with any contacts with service in the last 90 days, others 0 %" in words["A"]
    fees = describe({"days_since_fee_change": [np.nan] * 5 + [4] + [3, 2, 5, 1]}, TWO)
    assert fees["A"] == "days since the monthly fee last changed: 83 % never, others 0 %"


def test_nothing_is_named_where_nothing_differs():
    words = describe({"age": [1.0, 2, 3, 4, 5] * 2, "plan": ["a", "b"] * 5}, ["A"] * 5 + ["B"] * 5)
    assert words.to_list()[0].startswith(
        ("close to the other customers", "plan of the running contract: 60 %")
    )
    same = describe({"age": [1.0, 2, 3, 4, 5] * 2}, ["A"] * 5 + ["B"] * 5)
    assert set(same) == {"close to the other customers in everything that was measured"}


@pytest.mark.parametrize(
    "value",
    [
        "<script>alert(1)</script>",
        "=HYPERLINK('x')|a",
        "a\nb\r\t**c** [d](http://e)",
        "x" * 500,
        "\u202egnp",
        "",
        " ",
    ],
)
def test_hostile_values_and_names_become_short_plain_text(value):
    words = describe({f"<b>{value}": [value] * 6 + ["b"] * 4, "n_usage_90d": range(10)}, TWO)["A"]
    assert not set(words) & set('<>|*[]()=\n\r\t_`"\u202e')
    assert len(words) < 200


def test_columns_that_are_empty_in_one_persona_do_not_break_the_description():
    words = describe(
        {"age": [np.nan] * 6 + [30.0, 40.0, 50.0, 60.0], "plan": [None] * 6 + ["a"] * 4}, TWO
    )
    assert "nan" not in " ".join(words).lower()


def test_sizes_come_with_wilsons_interval():
    frame = pd.DataFrame({"customer_id": list("abcdefghij"), "age": range(10)})
    table = persona_profiles.personas_table(
        grouped(frame, TWO),
        frame,
        dictionary.tabulate([Feature("age", "age", "number", "customers")]),
    )
    assert list(table.columns) == [
        "persona",
        "customers",
        "share",
        "low",
        "high",
        "jaccard",
        "words",
    ]
    # Wilson for 6 of 10: centre (0.6 + 3.8415 / 20) / (1 + 3.8415 / 10) = 0.57225, half width
    # 0.25957
    assert table.loc[0, ["customers", "share", "low", "high"]].to_list() == pytest.approx(
        [6, 0.6, 0.3127, 0.8318], abs=1e-4
    )


def test_a_single_persona_is_everybody_by_definition_and_has_no_interval():
    frame = pd.DataFrame({"customer_id": list("abcdefghij"), "age": range(10)})
    words = dictionary.tabulate([Feature("age", "age", "number", "customers")])
    table = persona_profiles.personas_table(grouped(frame, ["A"] * 10), frame, words)
    assert table.share.tolist() == [1]
    assert table[["low", "high"]].isna().all(axis=None)


def test_one_table_holds_both_schemes_or_the_reason_why_one_is_missing():
    rfm = pd.DataFrame(
        {
            "segment": ["champions", "hibernating"],
            "customers": [3, 1],
            "share": [0.75, 0.25],
            "low": 0.1,
            "high": 0.9,
            "recency_days": [1.0, np.nan],
        }
        | {
            "frequency_days": [8.0, 0.0],
            "monetary": [1203.4, 0.0],
            "unit": "GBP",
            "monetary_share": [1.0, 0.0],
            "measured": "purchases",
        }
    )
    people = pd.DataFrame(
        {
            "persona": ["A"],
            "customers": [4],
            "share": [1.0],
            "low": [0.5],
            "high": [1.0],
            "jaccard": [np.nan],
            "words": ["all"],
        }
    )
    table = persona_profiles.tabulate_segments(rfm, people)
    assert list(table.columns) == persona_profiles.SEGMENT_COLUMNS
    assert list(table.segment) == ["champions", "hibernating", "A"]
    assert (
        table.words[0]
        == "last purchase 1 day ago, 8 days with a purchase and 1,203 GBP in the last 365 days"
        " (medians)"
    )
    assert (
        table.words[1]
        == "no purchase so far, 0 days with a purchase and 0 GBP in the last 365 days (medians)"
    )
    missing = persona_profiles.tabulate_segments(
        rfm.iloc[:0], people, "not applicable: RFM needs the table orders or usage"
    )
    assert missing.loc[0, ["segment", "customers", "words"]].to_list() == [
        "not applicable",
        0,
        "not applicable: RFM needs the table orders or usage",
    ]

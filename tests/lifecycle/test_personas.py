"""Personas: true clusters are found, and none in noise."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from clustered_customers import COLUMNS, planted

from research.data import load
from research.data.contracts import list_event_tables
from research.features import dictionary
from research.features.dictionary import Feature
from research.lifecycle import persona_profiles, personas
from research.panel import evidence

T = date(2024, 6, 30)
QUICK = {"numbers": range(2, 5), "pairs": 12, "references": 12}


def describe(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a dictionary of a frame whose features are named like those of features.py."""
    tables = {
        column: next((table for table in list_event_tables() if f"_{table}" in column), "customers")
        for column in frame
        if column != "customer_id"
    }
    windows = {
        column: (
            int(column.split("_")[-1][:-1])
            if column.endswith("d") and column[-2].isdigit()
            else None
        )
        for column in tables
    }
    return dictionary.tabulate(
        [
            dictionary.Feature(column, column, "number", table, windows[column])
            for column, table in tables.items()
        ]
    )


@pytest.fixture(scope="module")
def clusters() -> personas.Personas:
    return personas.fit_personas(planted(), COLUMNS, describe(planted()), seed=0, **QUICK)


def test_three_separate_clusters_are_found_as_three(clusters):
    table = clusters.stability
    assert table.k[table.chosen].to_list() == [3]
    assert list(table.columns) == [
        "k",
        "stability",
        "low",
        "high",
        "reference",
        "required",
        "chosen",
    ]
    both = pd.crosstab(clusters.members.persona, planted().group.to_numpy())
    assert both.max(axis=1).sum() / both.to_numpy().sum() > 0.97
    assert clusters.jaccard.min() > 0.9


def test_neither_the_order_of_rows_nor_a_second_run_changes_anything(clusters):
    again = personas.fit_personas(
        planted().sample(frac=1, random_state=3), COLUMNS, describe(planted()), seed=0, **QUICK
    )
    pd.testing.assert_frame_equal(again.members, clusters.members)
    pd.testing.assert_frame_equal(again.stability, clusters.stability, check_exact=True)


def noise(kind: str, rng: np.random.Generator, people: int = 200) -> np.ndarray:
    common, own = rng.normal(size=(people, 1)), rng.normal(size=(people, 6))
    mixed = rng.normal(size=(people, 2)) @ rng.normal(size=(2, 6))
    return {
        "independent": own,
        "one direction": common + 0.5 * own,
        "two directions": mixed + 0.3 * own,
        "counts": rng.poisson(0.8, own.shape),
    }[kind]


@pytest.mark.parametrize("kind", ["independent", "one direction", "two directions", "counts"])
def test_noise_has_no_stable_clusters_however_elongated_or_tied(kind):
    names = ["n_usage_90d", "n_usage_30d", "n_orders_90d", "age", "income", "distance"]
    chosen = 0
    for seed in range(20):
        frame = pd.DataFrame(noise(kind, np.random.default_rng(seed)), columns=names).assign(
            customer_id=[f"c{i:03d}" for i in range(200)]
        )
        result = personas.fit_personas(
            frame, names, describe(frame), seed, **QUICK | {"numbers": (2, 3)}
        )
        chosen += result.stability.chosen.any()
        assert (
            result.verdict.startswith("no stable clusters found") or result.stability.chosen.any()
        )
    assert chosen <= 2


@pytest.mark.parametrize("people", [1, 3, 99])
def test_a_handful_of_customers_is_one_persona_with_a_reason(people):
    frame = planted(people=people)
    result = personas.fit_personas(frame, COLUMNS, describe(frame), seed=0)
    table = persona_profiles.personas_table(result, frame, describe(frame))
    assert table.customers.to_list() == [people]
    assert (
        table.words[0]
        == f"no stable clusters found: {people} customers are too few to try, at least 100 are"
        " needed"
    )
    assert result.stability.empty


def test_without_columns_of_numbers_there_is_one_persona():
    result = personas.fit_personas(planted(), ["plan", "monthly_fee"], describe(planted()), seed=0)
    assert (
        result.verdict
        == "no stable clusters found: fewer than two columns of numbers vary between customers"
    )


def test_columns_that_name_customers_or_hardly_vary_are_left_out(write_study):
    rng = np.random.default_rng(0)
    frame = planted().assign(
        account_no=rng.integers(0, 9, 300),
        number_of_children=rng.integers(0, 4, 300),
        serial=rng.permutation(300) + 1000.0,
        full_name=[f"person {i}" for i in range(300)],
        remark=[f"text {i}" for i in range(300)],
        n_campaigns_90d=rng.integers(0, 9, 300),
        empty=np.nan,
        rare=[1.0] * 10 + [0.0] * 290,
        gender=rng.choice(["f", "m"], 300),
        score=rng.normal(size=300),
        snapshot=pd.Timestamp(T),
    )
    study = write_study("flat", sensitive=["gender"], leaks={"drop": {"score": "written at exit"}})
    assert personas.choose_columns(frame, study, describe(frame)) == [
        *COLUMNS,
        "group",
        "number_of_children",
    ]


def test_of_many_windows_the_longest_and_the_shortest_of_two_months_describe(write_study):
    days = [30, 60, 90, 365]
    frame = planted().assign(
        **{f"n_contacts_{window}d": np.arange(300) for window in days},
        n_referrals_30d=range(300),
        trend_n_usage_30d_90d=range(300),
    )
    names = [f"n_contacts_{window}d" for window in days]
    chosen = personas.choose_columns(
        frame[["customer_id", *names, "n_referrals_30d", "trend_n_usage_30d_90d"]],
        write_study("flat"),
        describe(frame),
    )
    assert chosen == ["n_contacts_60d", "n_contacts_365d", "n_referrals_30d"]


def test_a_column_that_is_empty_for_many_describes_but_is_not_clustered_by():
    values = pd.Series(range(100), dtype=float)
    assert personas._can_cluster(values.mask(values < 10))
    assert not personas._can_cluster(values.mask(values < 11))
    assert personas._can_cluster(values.mask(values < 50).rename("days_since_last_usage"))


@pytest.mark.parametrize(
    ("name", "source", "block"),
    [
        ("n_usage_days_90d", "usage", "usage"),
        ("days_since_last_orders", "orders", "orders"),
        ("days_since_first_usage", "usage", "contracts"),
    ]
    + [
        ("tenure_days", "customers", "contracts"),
        ("loan_amount_30d", "customers", "customers"),
        ("n_evenings", "features.sql", "features.sql"),
    ],
)
def test_a_feature_belongs_to_the_block_of_its_table(name, source, block):
    assert personas.name_block(Feature(name, "", "", source)) == block


def test_the_profile_holds_customers_only_and_no_future(write_study):
    people = pd.DataFrame({"customer_id": ["a", "b", "c"], "joined_at": pd.Timestamp("2024-01-01")})
    contracts = people.rename(columns={"joined_at": "started_at"}).assign(
        ended_at=pd.to_datetime(["2024-06-30", "2024-07-01", None])
    )
    used = pd.DataFrame(
        {
            "customer_id": ["b", "b", "c"],
            "used_at": pd.to_datetime(["2024-06-30", "2024-07-01", "2024-06-01"]),
        }
    )
    study = write_study(
        "contractual", tables={"customers": people, "contracts": contracts, "usage": used}
    )
    frame = personas.load_profile(evidence.evidence_as_of(load.load_tables(study), [T]), study)
    assert list(frame.customer_id) == ["b", "c"]
    assert list(frame.n_usage_90d) == [1, 1]
    assert "ended_at" not in frame.columns

"""Personas: planted groups are found, noise is not, and whatever the values hold, the words stay
harmless.
"""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from research.data import load
from research.features import dictionary
from research.features.dictionary import Feature
from research.lifecycle import clustering, persona_profiles, personas
from research.panel import evidence

T = date(2024, 6, 30)
QUICK = {"groups": range(2, 5), "pairs": 12, "references": 12}


def planted(seed: int = 0, people: int = 300) -> pd.DataFrame:
    """Return three groups: heavy users on a dear plan, light users who complain, and frequent
    buyers.
    """
    rng = np.random.default_rng(seed)
    group = np.arange(people) % 3
    return pd.DataFrame(
        {
            "customer_id": [f"c{i:04d}" for i in range(people)],
            "n_usage_90d": rng.poisson(np.array([60, 5, 20])[group]),
            "n_usage_365d": rng.poisson(np.array([240, 20, 80])[group]),
            "n_contacts_90d": rng.poisson(np.array([1, 12, 1])[group]),
            "n_orders_days_365d": rng.poisson(np.array([2, 2, 30])[group]),
            "monthly_fee": np.array([30.0, 10.0, 10.0])[group] + rng.normal(0, 1, people).round(2),
            "plan": np.where(
                rng.random(people) < np.array([0.9, 0.1, 0.1])[group], "pro", "basic"
            ).astype(object),
            "group": group,
        }
    )


def describe(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a dictionary of a frame whose features are named like those of features.py."""
    tables = {
        column: next((table for table in dictionary.THINGS if f"_{table}" in column), "customers")
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


COLUMNS = [
    "n_usage_90d",
    "n_usage_365d",
    "n_contacts_90d",
    "n_orders_days_365d",
    "monthly_fee",
    "plan",
]


@pytest.fixture(scope="module")
def found() -> personas.Personas:
    return personas.find_personas(planted(), COLUMNS, describe(planted()), seed=0, **QUICK)


def test_three_separate_groups_are_found_as_three(found):
    table = personas.tabulate_stability(found)
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
    both = pd.crosstab(found.members.persona, planted().group.to_numpy())
    assert both.max(axis=1).sum() / both.to_numpy().sum() > 0.97
    assert found.firmness.min() > 0.9


def test_neither_the_order_of_rows_nor_a_second_run_changes_anything(found):
    again = personas.find_personas(
        planted().sample(frac=1, random_state=3), COLUMNS, describe(planted()), seed=0, **QUICK
    )
    pd.testing.assert_frame_equal(again.members, found.members)
    pd.testing.assert_frame_equal(again.stability, found.stability, check_exact=True)


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
def test_noise_has_no_stable_grouping_however_elongated_or_tied(kind):
    names = ["n_usage_90d", "n_usage_30d", "n_orders_90d", "age", "income", "distance"]
    chosen = 0
    for seed in range(20):
        frame = pd.DataFrame(noise(kind, np.random.default_rng(seed)), columns=names).assign(
            customer_id=[f"c{i:03d}" for i in range(200)]
        )
        result = personas.find_personas(
            frame, names, describe(frame), seed, **QUICK | {"groups": (2, 3)}
        )
        chosen += result.stability.chosen.any()
        assert (
            result.verdict.startswith("no stable grouping found") or result.stability.chosen.any()
        )
    assert chosen <= 2


def test_many_columns_of_one_table_weigh_no_more_than_one_of_another():
    rng = np.random.default_rng(0)
    trend, single = rng.normal(size=(500, 1)), rng.normal(size=(500, 1))
    points = clustering.embed(
        np.hstack([trend + 0.01 * rng.normal(size=(500, 9)), single]), ["usage"] * 9 + ["orders"]
    )
    assert points.shape[1] == 2
    np.testing.assert_allclose(points.var(axis=0), 1, atol=0.2)


def test_made_up_customers_keep_values_and_correlations():
    rng = np.random.default_rng(0)
    scores = np.column_stack([clustering.score_normal(planted()[column]) for column in COLUMNS[:5]])
    made = clustering.make_up(scores, rng)
    np.testing.assert_array_equal(np.sort(made, axis=0), np.sort(scores, axis=0))
    np.testing.assert_allclose(
        np.corrcoef(made, rowvar=False), np.corrcoef(scores, rowvar=False), atol=0.05
    )


def test_normal_scores_keep_ties_and_put_never_at_the_far_end_and_other_gaps_in_the_middle():
    # ranks 1, 2.5, 2.5, 4 of 4: the quantiles 12.5, 50, 50 and 87.5 %, whose normal scores are
    # -1.1503, 0, 0, 1.1503
    never = clustering.score_normal(pd.Series([3, 7, 7, np.nan], name="days_since_last_usage"))
    assert never == pytest.approx([-1.1503, 0, 0, 1.1503], abs=1e-4)
    other = clustering.score_normal(
        pd.Series([3, 9, np.nan], name="age")
    )  # ranks 1, 2 of 2: 25 and 75 %
    assert other == pytest.approx([-0.6745, 0.6745, 0], abs=1e-4)


def test_the_largest_number_that_is_as_stable_as_required_is_chosen():
    stability = pd.DataFrame(
        {
            "k": [2, 3, 4, 5],
            "stability": [0.99, 0.8, 0.9, 1.0],
            "reference": [0.5, 0.5, 0.6, 1.0],
            "required": [0.8, 0.8, 0.91, 1.0],
        }
    )
    assert list(clustering.choose_groups(stability).chosen) == [
        False,
        True,
        False,
        False,
    ]  # 4 is less stable than required, 5 no more than its reference
    assert not clustering.choose_groups(stability.assign(stability=0.5)).chosen.any()


def test_what_is_required_is_the_strictest_of_three():
    steady = np.full((9, 4), 0.5)
    assert clustering._bound(steady, 50) == 0.8  # half way is 0.75
    assert clustering._bound(steady + 0.3, 50) == pytest.approx(0.9)  # half way from 0.8
    sets = np.repeat(
        [[0.75], [0.95]], 4, axis=1
    )  # mean 0.85, standard deviation 0.1414 between the sets: 0.85 + 0.28 is beyond full agreement
    assert clustering._bound(sets, 50) == 1.0


@pytest.mark.parametrize("people", [1, 3, 99])
def test_a_handful_of_customers_is_one_group_with_a_reason(people):
    frame = planted(people=people)
    result = personas.find_personas(frame, COLUMNS, describe(frame), seed=0)
    table = persona_profiles.describe_personas(result, frame, describe(frame))
    assert table.customers.to_list() == [people]
    assert (
        table.words[0]
        == f"no stable grouping found: {people} customers are too few to try, at least 100 are"
        " needed"
    )
    assert personas.tabulate_stability(result).empty


def test_without_columns_of_numbers_there_is_one_group():
    result = personas.find_personas(planted(), ["plan", "monthly_fee"], describe(planted()), seed=0)
    assert (
        result.verdict
        == "no stable grouping found: fewer than two columns of numbers vary between customers"
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


def test_a_column_that_is_empty_for_many_describes_but_does_not_group():
    values = pd.Series(range(100), dtype=float)
    assert personas._can_group(values.mask(values < 10))
    assert not personas._can_group(values.mask(values < 11))
    assert personas._can_group(values.mask(values < 50).rename("days_since_last_usage"))


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
    frame = personas.load_profile(evidence.cut_evidence(load.load_tables(study), [T]), study)
    assert list(frame.customer_id) == ["b", "c"]
    assert list(frame.n_usage_90d) == [1, 1]
    assert "ended_at" not in frame.columns

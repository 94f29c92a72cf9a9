"""The stage of each customer: the rule at its boundaries, and blindness to the future."""

from datetime import date, timedelta

import pandas as pd
import pytest
from staged_company import LAST, ago, write_company, write_moving_company

from research import study_schema
from research.data import load
from research.features import stage
from research.panel.evidence import evidence_as_of
from research.panel.spells import find_spells
from research.simulate import simulate, simulate_truth

THRESHOLDS = {
    "introduction_days": 90,
    "won_back_days": 90,
    "recent_days": 90,
    "decline_ratio": 0.6,
    "growth_ratio": 1.5,
    "noise": 1.28,
    "silence_gaps": 3.0,
}


def _stages(study, days: list[date] | None = None) -> pd.DataFrame:
    evidence = evidence_as_of(load.load_tables(study), days or [LAST.date()])
    return stage.assign_stages(evidence, study).order_by(["snapshot", "customer_id"]).to_pandas()


def _of(study, customer: str) -> str:
    stages = _stages(study)
    return stages.stage[stages.customer_id == customer].item()


def _shop(write_study, purchases: dict[str, list[int]], **changes):
    """Write a non-contractual study (inactive after 60 days) from purchases in days ago."""
    orders = pd.DataFrame(
        [(name, ago(day), 10.0) for name, days in purchases.items() for day in days],
        columns=["customer_id", "ordered_at", "amount"],
    )
    joined = (
        orders.groupby("customer_id", as_index=False)
        .ordered_at.min()
        .rename(columns={"ordered_at": "joined_at"})
    )
    return write_study(
        kind="non_contractual",
        tables={"customers": joined, "orders": orders},
        data_end="2024-06-30",
        **changes,
    )


def test_an_introduction_lasts_from_the_first_day_to_the_day_before_its_last(write_study):
    study = write_company(
        write_study, [("new", 0, None), ("day 89", 89, None), ("day 90", 90, None)]
    )
    assert dict(_stages(study)[["customer_id", "stage"]].to_numpy()) == {
        "new": "introduction",
        "day 89": "introduction",
        "day 90": "maturity",
    }


def test_a_contract_that_ends_on_the_snapshot_is_gone_and_one_that_ends_the_day_after_is_not(
    write_study,
):
    study = write_company(write_study, [("today", 300, 0), ("yesterday", 300, 1)])
    assert set(_stages(study).stage) == {"gone"}
    stages = _stages(study, [ago(1).date()])
    assert dict(stages[["customer_id", "stage"]].to_numpy()) == {
        "today": "maturity",
        "yesterday": "gone",
    }


def test_who_comes_back_is_won_back_and_who_renews_on_the_same_day_is_not(write_study):
    spells = [
        ("back", 400, 200),
        ("back", 89, None),
        ("long back", 400, 200),
        ("long back", 90, None),
        ("renewed", 400, 50),
        ("renewed", 50, None),
    ]
    study = write_company(write_study, spells)
    assert dict(_stages(study)[["customer_id", "stage"]].to_numpy()) == {
        "back": "won back",
        "long back": "maturity",
        "renewed": "maturity",
    }


def test_a_drop_is_decline_only_beyond_the_ratio_and_beyond_noise(write_study):
    # 12 active days, then 4: ratio 1/3, z = (4 - 8) / sqrt(16 / 4) = -2; 4, then 2: ratio 1/2, but
    # z = (2 - 3) / sqrt(6 / 4) = -0.82
    uses = {
        "fell": [*range(90, 102), 1, 20, 40, 60],
        "noise": [100, 120, 140, 160, 1, 30],
        "steady": [*range(90, 102), *range(10, 20)],
    }
    study = write_company(write_study, [(name, 400, None) for name in uses], uses)
    assert dict(_stages(study)[["customer_id", "stage"]].to_numpy()) == {
        "fell": "decline",
        "noise": "maturity",
        "steady": "maturity",
    }


def test_a_rise_is_growth_and_so_is_a_start_after_nothing(write_study):
    # 4 active days, then 12: ratio 3, z = +2; none before, then 4: z = (4 - 2) / sqrt(4 / 4) = 2
    uses = {"rose": [90, 100, 110, 120, *range(1, 13)], "began": [1, 2, 3, 4], "first": [399]}
    study = write_company(write_study, [(name, 400, None) for name in uses], uses)
    assert (_of(study, "rose"), _of(study, "began")) == ("growth", "growth")


def test_several_uses_on_one_day_count_once(write_study):
    uses = {"bursts": [100, 101, 102, 103, 20] + [5] * 40, "other": [399]}
    study = write_company(write_study, [("bursts", 400, None), ("other", 400, None)], uses)
    assert _of(study, "bursts") == "maturity"


def test_silence_longer_than_three_usual_gaps_is_decline_from_a_third_of_the_recent_window_on(
    write_study,
):
    # a gap of 10 days on average; silent for 31 days against 30, and 30 of 90 recent days reached
    uses = {
        "silent": [31, 41, 51, 61, 71, 81],
        "quick": [29, 31, 33, 35, 37, 39, *range(90, 96)],
        "first": [399],
    }
    study = write_company(write_study, [(name, 400, None) for name in uses], uses)
    assert _of(study, "silent") == "decline"
    assert (
        _of(study, "quick") == "maturity"
    )  # silent for 29 days: gaps of 6 days, but less than a third of 90 days


def test_who_never_used_the_service_has_nothing_to_lose(write_study):
    study = write_company(
        write_study, [("quiet", 400, None), ("user", 400, None)], {"user": [399, 5]}
    )
    assert _of(study, "quiet") == "maturity"


def test_uses_of_an_earlier_spell_say_nothing_of_the_latest(write_study):
    uses = {"back": [*range(300, 340), 5], "first": [399]}
    study = write_company(
        write_study, [("back", 350, 280), ("back", 200, None), ("first", 400, None)], uses
    )
    assert _of(study, "back") == "maturity"


def test_a_window_that_the_table_does_not_cover_is_not_compared(write_study):
    # the table's first row is 100 days old: of the earlier window 11 of 90 days could be seen, less
    # than half
    study = write_company(write_study, [("user", 400, None)], {"user": [100, *range(1, 40)]})
    assert _of(study, "user") == "maturity"


def test_without_a_table_of_activity_only_time_tells(write_study):
    study = write_company(write_study, [("old", 400, None), ("new", 10, None), ("left", 400, 3)])
    assert dict(_stages(study)[["customer_id", "stage"]].to_numpy()) == {
        "old": "maturity",
        "new": "introduction",
        "left": "gone",
    }
    evidence = evidence_as_of(load.load_tables(study), [LAST.date()])
    assert list(stage.describe_rule(evidence, study).stage) == [
        "gone",
        "won back",
        "introduction",
        "maturity",
    ]


def test_a_buyer_is_gone_on_the_day_that_completes_the_silence(write_study):
    study = _shop(write_study, {"gone": [60], "not yet": [59]})
    assert dict(_stages(study)[["customer_id", "stage"]].to_numpy()) == {
        "gone": "gone",
        "not yet": "introduction",
    }


def test_a_buyer_who_returns_after_the_silence_is_won_back_and_after_exactly_the_silence_is_not(
    write_study,
):
    # the next purchase 61 days later: a lapse; 60 days later: none, since a lapse needs 60 days
    # without an order between
    study = _shop(
        write_study,
        {"lapsed": [71, 10], "in time": [70, 10], "old": [300, 250, 200, 150, 100, 50, 10]},
        lifecycle={"introduction_days": 30},
    )
    assert (_of(study, "lapsed"), _of(study, "in time"), _of(study, "old")) == (
        "won back",
        "maturity",
        "maturity",
    )


def test_a_silent_buyer_declines_after_two_thirds_of_the_days_that_count_as_gone(write_study):
    purchases = {
        "39 days": [130, 85, 39],
        "40 days": [130, 85, 40],
    }  # inactive_days 60; gaps of 45 days, so that the own rhythm says nothing
    study = _shop(write_study, purchases)
    assert stage.find_silence_days(study) == 40
    assert (_of(study, "39 days"), _of(study, "40 days")) == ("maturity", "decline")


def test_thresholds_of_study_yml_are_used(write_study):
    study = write_company(write_study, [("new", 45, None)], lifecycle={"introduction_days": 30})
    assert _of(study, "new") == "maturity"


def test_every_stage_of_the_rule_is_told_in_words_with_the_own_thresholds(write_study):
    study = write_company(
        write_study,
        [("user", 400, None)],
        {"user": [5]},
        lifecycle={"introduction_days": 33, "silence_days": 77},
    )
    rule = (
        stage.describe_rule(evidence_as_of(load.load_tables(study), [LAST.date()]), study)
        .set_index("stage")
        .rule
    )
    assert set(rule.index) == set(study_schema.STAGES)
    assert "33 days" in rule["introduction"]
    assert "77 days" in rule["decline"]


@pytest.mark.parametrize("kind", ["contractual", "non_contractual"])
def test_the_future_never_moves_a_stage(write_study, kind):
    def stages(later: list[int]):
        if kind == "contractual":
            uses = {"a": [100, 110, 120, 60, 50, *later], "b": [200, 45, *later]}
            study = write_company(
                write_study, [("a", 400, None), ("b", 400, 5 if later else None)], uses
            )
        else:
            study = _shop(write_study, {"a": [200, 150, 100, 50, *later], "b": [120, 41, *later]})
        return _stages(study, [ago(40).date()])

    pd.testing.assert_frame_equal(stages([]), stages([39, 20, 3]))


def test_a_row_that_became_known_later_does_not_count_before(write_study):
    usage = pd.DataFrame(
        {
            "customer_id": "a",
            "used_at": [ago(day) for day in range(1, 13)],
            "known_at": LAST + pd.Timedelta(days=2),
        }
    )
    old = pd.DataFrame(
        {"customer_id": "a", "used_at": [ago(day) for day in (95, 105, 115, 125)]}
    ).assign(known_at=lambda t: t.used_at)
    first = pd.DataFrame({"customer_id": ["b"], "used_at": [ago(300)], "known_at": [ago(300)]})
    contracts = pd.DataFrame({"customer_id": ["a"], "started_at": [ago(400)]})
    customers = pd.DataFrame({"customer_id": ["a", "b"], "joined_at": [ago(400), ago(300)]})
    tables = {
        "customers": customers,
        "contracts": contracts,
        "usage": pd.concat([first, old, usage]),
    }
    study = write_study(tables=tables, data_end="2024-07-10")
    assert _of(study, "a") == "decline"  # silent for 95 days, as far as anybody knew
    known = _stages(study, [date(2024, 7, 2)])
    assert known.stage.item() == "growth"


def test_a_spell_is_found_for_each_unbroken_cover(write_study):
    study = write_company(write_study, [("a", 400, 300), ("a", 300, 200), ("a", 100, None)])
    spells = (
        find_spells(evidence_as_of(load.load_tables(study), [LAST.date()]), study)
        .order_by("started")
        .to_pandas()
    )
    assert list(spells.started) == [ago(400), ago(100)]
    assert spells.ended[0] == ago(200)
    assert pd.isna(spells.ended[1])


def test_stages_at_many_snapshots_equal_those_at_each(write_study):
    study, _ = write_moving_company(write_study)
    days = [LAST.date() - timedelta(days=30 * back) for back in range(4)]
    together = _stages(study, days)
    apart = pd.concat([_stages(study, [day]) for day in sorted(days)], ignore_index=True)
    pd.testing.assert_frame_equal(together, apart)


def test_on_a_company_whose_truth_is_known_decline_is_found_and_precedes_leaving(
    write_study,
):
    asked = {"customers": 1500, "months": 18, "seed": 3}
    company = {
        name: table
        for name, table in simulate(**asked).items()
        if name in ("customers", "contracts", "usage")
    }
    study = write_study(
        tables=company,
        data_start="2024-07-01",
        data_end="2025-12-31",
        leaks={"drop": {"name": "names a person"}},
    )
    truth = simulate_truth(**asked)["hazards"]
    truth = truth[truth.month == "2025-10-01"].set_index("customer_id")
    stages = (
        _stages(study, [date(2025, 9, 30)])
        .set_index("customer_id")
        .join(truth.rename(columns={"stage": "true"}))
        .dropna(subset="voluntary")
    )
    declining, found = stages.true == "decline", stages.stage == "decline"
    assert (
        declining & found
    ).sum() / found.sum() > 2 * declining.mean()  # precision against a random list
    assert (declining & found).sum() / declining.sum() > 2 * found.mean()  # recall likewise
    assert (
        stages.voluntary[found].mean() > 1.5 * stages.voluntary[stages.stage == "maturity"].mean()
    )
    assert ((stages.true == "introduction") & (stages.stage == "introduction")).sum() > 0.9 * (
        stages.true == "introduction"
    ).sum()

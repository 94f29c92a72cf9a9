"""Features of contracts and of rhythm, worked by hand."""

from datetime import date

import ibis
import pandas as pd
import pytest

from research.features.attributes import build_stage, build_terms
from research.features.context import BuildContext
from research.features.events import build_events
from research.panel.evidence import evidence_as_of
from research.study import Study

T = date(2024, 6, 30)
CLOCK = {
    "churn": {"horizon_days": 30, "active_days": 90, "inactive_days": 60},
    "snapshots": {"last": "2024-06-30", "train": 1, "test": 1},
}


def make_study(kind: str = "contractual") -> Study:
    return Study.model_validate(
        {
            "title": "Tiny",
            "kind": kind,
            "economics": {"currency": "EUR", "capacity": 5},
            "features": {"windows": [30, 90]},
        }
        | CLOCK
    )


def make_evidence(day: date, **tables: pd.DataFrame):
    frames = {
        name: frame.astype(dict.fromkeys(frame.select_dtypes("datetime"), "datetime64[us]"))
        for name, frame in tables.items()
    }
    return evidence_as_of({name: ibis.memtable(frame) for name, frame in frames.items()}, [day])


def read_terms(contracts: pd.DataFrame, day: date = T) -> pd.Series:
    context = BuildContext(make_evidence(day, contracts=contracts), make_study())
    return build_terms(context).table.to_pandas().iloc[0]


def contract(*started: str, **more) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": "a", "started_at": pd.to_datetime(started), **more})


def read_activity(name: str, dated: str, days: list[str], **more) -> pd.Series:
    events = pd.DataFrame({"customer_id": "a", dated: pd.to_datetime(days, format="mixed"), **more})
    context = BuildContext(make_evidence(T, **{name: events}), make_study())
    return build_events(context, name).table.to_pandas().iloc[0]


@pytest.mark.parametrize(
    ("started", "months", "day", "wait"),
    [
        ("2024-01-01", 1, "2024-06-30", 1),  # 1 July
        ("2024-01-01", 1, "2024-07-01", 31),  # renews on the day itself: the next one is 1 August
        ("2024-01-31", 1, "2024-06-29", 1),  # June has no 31st: 30 June
        ("2024-01-31", 1, "2024-06-30", 31),  # 31 July
        ("2024-01-31", 1, "2024-02-28", 1),  # 29 February of a leap year
        ("2023-01-31", 1, "2023-02-27", 1),  # 28 February
        ("2024-02-29", 12, "2025-02-27", 1),  # 28 February 2025
        ("2024-02-29", 12, "2025-02-28", 365),  # 28 February 2026
        ("2024-02-29", 48, "2028-02-28", 1),  # 29 February 2028
        ("2024-06-30 23:59", 12, "2024-06-30", 365),  # 30 June 2025
        ("2024-01-15", 3, "2024-06-30", 15),  # 15 July
        ("2024-01-15", 24, "2024-06-30", 564),  # 15 January 2026: 184 days to New Year, 365, and 15
    ],
)
def test_days_to_renewal_worked_by_hand(started, months, day, wait):
    assert (
        read_terms(
            contract(started, term_months=[float(months)]), date.fromisoformat(day)
        ).days_to_renewal
        == wait
    )


@pytest.mark.parametrize("months", [None, 0.0])
def test_a_contract_without_a_term_has_no_renewal(months):
    assert pd.isna(
        read_terms(
            contract("2024-01-01", term_months=pd.Series([months], dtype=float))
        ).days_to_renewal
    )


def test_changes_of_fee_and_plan_worked_by_hand():
    started, fees, plans = (
        ["2023-12-01", "2024-04-02", "2024-04-30", "2024-06-01"],
        [10.0, 12.0, 12.0, 9.0],
        ["a", "a", "b", "a"],
    )
    row = read_terms(
        contract(
            *started, monthly_fee=fees, plan=plans, ended_at=pd.to_datetime([*started[1:], None])
        )
    )
    assert (row.n_fee_rises_90d, row.n_fee_rises_30d) == (1, 0)  # 2 April is 89 days old
    assert (row.n_fee_cuts_90d, row.n_fee_cuts_30d) == (1, 1)  # 1 June is 29 days old
    assert row.last_fee_change == pytest.approx(-0.25)  # 9 / 12 - 1
    assert row.days_since_fee_change == 29
    assert (row.n_plan_changes_90d, row.n_plan_changes_30d) == (2, 1)  # 30 April and 1 June
    assert (row.n_contracts, row.n_earlier_spells, row.contract_age_days, row.monthly_fee) == (
        4,
        0,
        29,
        9,
    )


def test_contracts_side_by_side_are_no_change_of_fee_or_plan():
    row = read_terms(
        contract(
            "2024-06-01",
            "2024-06-01",
            "2024-06-10",
            monthly_fee=[10.0, 20.0, 15.0],
            plan=["phone", "tv", "net"],
            ended_at=pd.NaT,
        )
    )
    assert (row.n_contracts, row.n_fee_rises_30d, row.n_fee_cuts_30d, row.n_plan_changes_30d) == (
        3,
        0,
        0,
        0,
    )
    assert pd.isna(row.last_fee_change)
    assert pd.isna(row.days_since_fee_change)


def test_a_contract_that_ended_on_its_first_day_is_no_earlier_time_as_a_customer():
    row = read_terms(
        contract(
            "2024-05-01",
            "2024-06-01",
            monthly_fee=[10.0, 10.0],
            ended_at=pd.to_datetime(["2024-05-01", None]),
        )
    )
    assert (row.n_contracts, row.n_earlier_spells) == (2, 0)


def test_a_change_after_the_snapshot_is_none():
    row = read_terms(
        contract(
            "2024-01-01",
            "2024-07-01",
            monthly_fee=[10.0, 20.0],
            ended_at=pd.to_datetime(["2024-07-01", None]),
        )
    )
    assert (row.n_fee_rises_90d, row.n_contracts, row.monthly_fee) == (0, 1, 10)
    assert pd.isna(row.last_fee_change)


def test_a_fee_that_was_nothing_before_has_no_share_of_change():
    row = read_terms(
        contract(
            "2024-01-01",
            "2024-06-01",
            monthly_fee=[0.0, 20.0],
            ended_at=pd.to_datetime(["2024-06-01", None]),
        )
    )
    assert row.n_fee_rises_30d == 1
    assert pd.isna(row.last_fee_change)


def test_gaps_silence_and_trends_worked_by_hand():
    row = read_activity(
        "usage",
        "used_at",
        ["2024-04-01", "2024-05-01", "2024-05-11", "2024-05-11 13:00", "2024-05-31", "2024-06-20"],
    )
    assert row.n_usage_days_90d == 4  # 1 April is 90 days old and outside
    assert (
        row.mean_gap_usage_90d == 20
    )  # 30, 10, 20 and 20 days; the first gap ends within the window
    assert row.sd_gap_usage_90d == pytest.approx(
        (200 / 3) ** 0.5
    )  # squares of 10, -10, 0, 0 over 3
    assert row.variation_gap_usage_90d == pytest.approx((200 / 3) ** 0.5 / 20)
    assert row.silence_ratio_usage == 0.5  # 10 days since 20 June
    assert row.trend_n_usage_30d_90d == pytest.approx(
        (1 * 60 - 4 * 30) / (1 * 60 + 4 * 30)
    )  # 31 May is 30 days old: 1 use in 30 days, 4 in the 60 before


def test_shares_of_times_worked_by_hand():
    days = [
        "2024-06-29 07:00",
        "2024-06-30 12:00",
        "2024-06-28 18:00",
        "2024-06-28 05:59",
        "2024-06-27",
    ]  # Saturday, Sunday, Friday twice, Thursday
    row = read_activity("usage", "used_at", days)
    assert row.share_weekend_usage_90d == 0.4
    shares = [
        row.share_morning_usage_90d,
        row.share_afternoon_usage_90d,
        row.share_evening_usage_90d,
    ]
    assert shares == [0.25, 0.25, 0.25]  # of the four that have a time of day


def test_a_single_day_has_no_gap():
    row = read_activity("usage", "used_at", ["2024-06-20"])
    assert row[["mean_gap_usage_90d", "sd_gap_usage_90d", "silence_ratio_usage"]].isna().all()
    assert row.trend_n_usage_30d_90d == 1


def test_hours_to_resolve_and_open_contacts_worked_by_hand():
    resolved = pd.to_datetime(
        ["2024-06-02 10:00", "2024-06-30 12:00", "2024-07-01", None], format="mixed"
    )
    row = read_activity(
        "contacts",
        "contacted_at",
        ["2024-06-01 10:00", "2024-06-30", "2024-06-20", "2024-06-10"],
        resolved_at=resolved,
    )
    assert row.mean_resolution_hours_30d == 18  # 24 and 12; the one of 1 July is open at T
    assert (row.n_unresolved, row.days_unresolved) == (2, 20)


def test_scores_become_shares_of_the_highest():
    row = read_activity(
        "feedback",
        "given_at",
        ["2024-06-20", "2024-06-25", "2024-05-01"],
        score=[4.0, 10.0, 1.0],
        score_max=[5.0, 10.0, 5.0],
    )
    assert row.mean_score_30d == pytest.approx(0.9)  # 0.8 and 1
    assert row.last_score == 1
    assert row.trend_score_30d_90d == pytest.approx(0.7)  # 0.9 - 0.2


def test_only_who_is_not_in_the_control_arm_is_treated():
    row = read_activity(
        "campaigns",
        "assigned_at",
        ["2024-06-20", "2024-06-21", "2024-05-01"],
        campaign="c",
        arm=["control", "mail", "call"],
        cost=[0, 1.5, 2],
    )
    assert (
        row.n_campaigns_90d,
        row.n_treated_90d,
        row.n_treated_30d,
        row.sum_campaign_cost_90d,
    ) == (3, 2, 1, 3.5)


@pytest.mark.parametrize(
    ("started", "ended", "stage"),
    [
        ("2024-05-01", None, "introduction"),
        ("2023-01-01", None, "maturity"),
        ("2023-01-01", "2024-06-30", "gone"),
    ],
)
def test_the_stage_of_contracts_worked_by_hand(started, ended, stage):
    contracts = contract(started, ended_at=pd.to_datetime([ended]))
    context = BuildContext(make_evidence(T, contracts=contracts), make_study())
    assert build_stage(context).table.to_pandas().lifecycle_stage.tolist() == [stage]

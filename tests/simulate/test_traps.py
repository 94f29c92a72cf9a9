"""The planted traps: each can be seen and switched off, and without it the rest is as it was."""

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from research.simulate import Company, simulate_company
from research.simulate.draws import Clock
from research.simulate.phrases import HOSTILE
from research.simulate.traps import outage
from research.study_schema import TRAPS

DATED = {
    "orders": "ordered_at",
    "usage": "used_at",
    "contacts": "contacted_at",
    "feedback": "given_at",
}
TOUCHED = {  # trap that changes no life: the tables that it may touch
    "late_rows": {"orders", "contacts", "feedback", "truth/tones"},
    "duplicates": {"orders", "usage"},
    "knowing_attribute": {"customers"},
    "missing_blocks": {"customers", "usage"},
    "hostile_text": {"customers", "feedback"},
}


def make(*traps: str) -> dict[str, pd.DataFrame]:
    return simulate_company(Company(3000, 24, 5, traps))


@pytest.fixture(scope="module")
def bare() -> dict[str, pd.DataFrame]:
    return make()


@pytest.fixture(scope="module")
def trapped() -> dict[str, pd.DataFrame]:
    return make(*TRAPS)


@pytest.mark.parametrize("trap", TOUCHED)
def test_a_trap_switched_off_changes_only_its_own_tables(trapped, trap):
    without = make(*(name for name in TRAPS if name != trap))
    changed = {name for name, table in trapped.items() if not table.equals(without[name])}
    assert changed <= TOUCHED[trap]
    assert changed - {"truth/tones"} == TOUCHED[trap] - {"truth/tones"}


@pytest.mark.parametrize("trap", TOUCHED)
def test_a_trap_does_the_same_whatever_other_traps_there_are(bare, trapped, trap):
    alone, all_but = (
        make(trap),
        make(*(name for name in TRAPS if name not in (trap, "price_rise", "chosen_campaign"))),
    )
    together = make(*(name for name in TRAPS if name not in ("price_rise", "chosen_campaign")))
    only = [
        name
        for name in TOUCHED[trap]
        if not any(name in tables for other, tables in TOUCHED.items() if other != trap)
    ]
    for name in only:
        assert_frame_equal(alone[name], together[name])
    assert set(TOUCHED[trap]) >= {
        name for name, table in together.items() if not table.equals(all_but[name])
    }


# one by one


@pytest.mark.parametrize("name", ["orders", "contacts", "feedback"])
def test_late_rows_are_known_up_to_thirty_days_later_and_never_after_the_data_end(bare, name):
    late, column = make("late_rows")[name], DATED[name]
    days = (late.known_at - late[column]).dt.days
    assert 0.02 < (days > 0).mean() < 0.04
    assert (days[days > 0].min(), days.max()) == (1, 30)
    assert late.known_at.max() < pd.Timestamp("2026-01-01")
    assert (bare[name].known_at == bare[name][column]).all()
    missing = len(bare[name]) - len(late)
    assert 0 < missing < 0.01 * len(late)  # what is known only after the last day isn't there


def test_a_few_orders_and_uses_are_there_twice(bare):
    twice = make("duplicates")
    for name in ("orders", "usage"):
        assert not bare[name].duplicated().any()
        assert 0.003 < twice[name].duplicated().mean() < 0.008
        assert_frame_equal(twice[name].drop_duplicates(ignore_index=True), bare[name])
    assert_frame_equal(twice["contacts"], bare["contacts"])


def test_the_knowing_attribute_is_filled_for_four_fifths_of_the_voluntary_leavers_and_nobody_else(
    bare,
):
    known = make("knowing_attribute")
    ends, customers = known["contracts"], known["customers"]
    cancels = customers.customer_id.isin(ends.customer_id[ends.voluntary.fillna(False)])
    assert not customers.retention_offer_code[~cancels].notna().any()
    assert 0.75 < customers.retention_offer_code[cancels].notna().mean() < 0.85
    assert set(customers.retention_offer_code.dropna()) == {"KEEP10", "KEEP20", "PAUSE3"}
    assert_frame_equal(customers.drop(columns="retention_offer_code"), bare["customers"])


def test_the_price_rise_is_twenty_percent_at_once_or_at_the_next_renewal(bare):
    risen = make("price_rise")["contracts"]
    rise = pd.Timestamp("2025-08-01")
    before, after = (risen[risen[column] == rise] for column in ("ended_at", "started_at"))
    pairs = before.merge(after, on="customer_id")
    assert len(pairs) > 300
    assert (pairs.term_months_x == 1).all() and (pairs.end_reason_x == "price changed").all()
    assert ((pairs.monthly_fee_y / pairs.monthly_fee_x) - 1.2).abs().max() < 0.001
    yearly = risen[
        (risen.term_months == 12) & (risen.end_reason == "renewed") & (risen.ended_at >= rise)
    ].merge(risen, on="customer_id")
    yearly = yearly[
        (yearly.ended_at_x == yearly.started_at_y) & (yearly.started_at_x < "2024-08-01")
    ]
    ratio = yearly.monthly_fee_y / yearly.monthly_fee_x
    assert (
        ratio.round(2).isin((1.2, 1.5)).all()
    )  # 1.5 where the introductory fifth ends as well: 1.2 / 0.8
    assert not (bare["contracts"].started_at == rise).any()


def test_without_the_price_rise_all_that_is_dated_before_it_is_the_same(bare):
    risen = make("price_rise")
    for name, column in (DATED | {"referrals": "referred_at", "campaigns": "assigned_at"}).items():
        old, new = (
            company[name][company[name][column] < "2025-08-01"].reset_index(drop=True)
            for company in (bare, risen)
        )
        if name == "contacts":
            old, new = (
                table.assign(resolved_at=table.resolved_at.where(table.resolved_at < "2025-08-01"))
                for table in (old, new)
            )
        assert_frame_equal(old, new)


def test_more_customers_leave_after_the_price_rise_than_without_it(bare):
    risk = [
        company["truth/hazards"].query("month >= '2025-08-01'").voluntary.mean()
        for company in (bare, make("price_rise"))
    ]
    assert risk[1] > 1.15 * risk[0]


def test_the_chosen_campaign_is_one_more_without_propensity_and_changes_nothing_before_it(bare):
    chosen = make("chosen_campaign")
    assert set(chosen["campaigns"].campaign) - set(bare["campaigns"].campaign) == {"agent calls"}
    rows = chosen["campaigns"][chosen["campaigns"].campaign == "agent calls"]
    assert rows.propensity.isna().all() and rows.arm.nunique() == 3
    day = rows.assigned_at.iloc[0]
    for name, column in DATED.items():
        old, new = (
            company[name][company[name][column] < day].reset_index(drop=True)
            for company in (bare, chosen)
        )
        assert_frame_equal(
            old.drop(columns="resolved_at", errors="ignore"),
            new.drop(columns="resolved_at", errors="ignore"),
        )


def test_the_uses_of_one_region_are_missing_for_ten_days(bare):
    gaps = make("missing_blocks")
    region = gaps["customers"].set_index("customer_id").region
    days = pd.date_range("2025-03-10", "2025-03-19")  # month 14 of 24, from the 10th on
    assert outage(Clock(24)) == tuple(
        (day - pd.Timestamp("1970-01-01")).days
        for day in (days[0], days[-1] + pd.Timedelta(days=1))
    )
    for company, most in ((bare, 10), (gaps, 0)):
        west = company["usage"][company["usage"].customer_id.map(region) == "west"]
        assert west.used_at.dt.normalize().isin(days).sum() >= most
        assert west.used_at.dt.normalize()[west.used_at.dt.normalize().isin(days)].nunique() == most
    lost = (
        bare["usage"]
        .merge(gaps["usage"], how="left", indicator=True)
        .query("_merge == 'left_only'")
    )
    assert (
        lost.used_at.dt.normalize().isin(days).all()
        and (lost.customer_id.map(region) == "west").all()
    )


def test_the_income_band_is_missing_for_a_channel_and_three_months_of_joining(bare):
    customers = make("missing_blocks")["customers"]
    lost = customers[customers.income_band.isna()]
    assert len(lost) > 10
    assert set(lost.acquisition_channel) == {"partner"}
    assert lost.joined_at.min() >= pd.Timestamp(
        "2024-07-01"
    ) and lost.joined_at.max() < pd.Timestamp("2024-10-01")
    assert bare["customers"].income_band.notna().all()


@pytest.fixture(scope="module")
def hostile() -> dict[str, pd.DataFrame]:
    return simulate_company(Company(12_000, 12, 0, ("hostile_text",)))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stands_in_names_and_feedback_and_only_with_its_trap(bare, hostile, text):
    assert (hostile["customers"].name == text).any()
    assert hostile["feedback"].text.str.contains(text, regex=False).any()
    assert not (bare["customers"].name == text).any()
    assert not bare["feedback"].text.str.contains(text, regex=False).any()


def test_hostile_text_is_rare(trapped):
    assert 0.003 < trapped["customers"].name.isin(HOSTILE).mean() < 0.02
    texts = trapped["feedback"].text.dropna()
    assert 0.005 < texts.map(lambda text: any(piece in text for piece in HOSTILE)).mean() < 0.04

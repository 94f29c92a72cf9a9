"""The generated company: reproducible, complete, without a look into the future, and every cause as
it is written down.
"""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from research.data import fetch, load
from research.data.checks import check
from research.simulate import EVENTS as EVENT_TABLES
from research.simulate import (
    TRUTH,
    Company,
    phrases,
    run_life,
    simulate,
    simulate_company,
    simulate_truth,
)
from research.simulate.campaigns import draw_assignments
from research.simulate.company import CAMPAIGNS, HAZARD, LAST_DAY, PLANS
from research.simulate.draws import NEVER, Clock, Draws, add_months, count_by_month, fade, scatter
from research.simulate.hazard import build_dear, build_logits, build_rise, draw_end, monthly_hazard
from research.simulate.lives import build_fees, build_gap, draw_engagement, price
from research.simulate.people import draw_people
from research.study import load_study
from research.study_schema import TRAPS

DATED = {
    "orders": "ordered_at",
    "usage": "used_at",
    "contacts": "contacted_at",
    "feedback": "given_at",
    "referrals": "referred_at",
}
EVENTS = DATED | {"campaigns": "assigned_at"}
NO_END = ("renewed", "price changed", "plan changed")
LAST = pd.Timestamp(LAST_DAY)


@pytest.fixture(scope="module")
def company() -> dict[str, pd.DataFrame]:
    return simulate(2000, 24, 0)


@pytest.fixture(scope="module", params=[1, 2])
def any_company(request) -> dict[str, pd.DataFrame]:
    return simulate(1500, 18, request.param)


def find_spells(company: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return unbroken cover: customer_id, started_at, ended_at, in the order of time."""
    rows = company["contracts"].sort_values(["customer_id", "started_at"])
    opens = rows.started_at != rows.groupby("customer_id").ended_at.shift()
    closes = opens.shift(-1, fill_value=True)
    return pd.DataFrame(
        {name: rows[name][opens].to_numpy() for name in ("customer_id", "started_at")}
        | {"ended_at": rows.ended_at[closes].to_numpy()}
    )


def find_ends(company: dict[str, pd.DataFrame]) -> pd.DataFrame:
    rows = company["contracts"]
    return rows[rows.ended_at.notna() & ~rows.end_reason.isin(NO_END)]


# the same request, the same company


def test_the_same_seed_gives_the_same_tables_to_the_bit():
    first, second = (simulate_company(Company(300, 12, 7)) for _ in range(2))
    for name in first:
        assert_frame_equal(first[name], second[name], check_exact=True)


def test_another_seed_gives_other_tables():
    first, second = simulate(300, 12, 7), simulate(300, 12, 8)
    assert [name for name in first if first[name].equals(second[name])] == []


def test_a_block_is_the_same_whatever_comes_after_it():
    few, many = (simulate_company(Company(size, 12, 0, TRAPS, block=100)) for size in (100, 250))
    for name, table in few.items():
        same = many[name][many[name].customer_id <= "C000100"]
        assert_frame_equal(table, same, check_exact=True)


def test_a_year_of_a_hundred_customers_works_for_any_seed():
    for seed in range(20):
        company = simulate(100, 12, seed)
        assert len(company["customers"]) == 100
        assert all(len(table) for name, table in company.items() if name != "referrals")


def test_a_table_keeps_its_types_when_a_small_company_leaves_a_column_empty(company):
    small = simulate(100, 12, 0)
    for name, table in company.items():
        assert small[name].dtypes.equals(table.dtypes), name


def test_the_types_are_those_that_every_version_of_pandas_knows(company):
    types = {str(dtype) for table in company.values() for dtype in table.dtypes}
    assert types == {"string", "datetime64[us]", "float64", "Int64", "boolean"}


def test_a_part_draws_once():
    draws = Draws(0, 0)
    draws("age")
    with pytest.raises(ValueError, match="got 'age' again"):
        draws("age")


def test_streams_differ_by_seed_block_life_and_part_and_by_nothing_else():
    keys = [
        ((0, 0, 0), "age"),
        ((1, 0, 0), "age"),
        ((0, 1, 0), "age"),
        ((0, 0, 1), "age"),
        ((0, 0, 0), "name"),
    ]
    first = [Draws(*key)(part).random() for key, part in keys]
    assert len(set(first)) == 5
    assert first == [Draws(*key)(part).random() for key, part in keys]


# customers and contracts


def test_there_are_as_many_customers_as_asked_for_and_each_has_a_contract(any_company):
    assert any_company["customers"].customer_id.is_unique
    assert len(any_company["customers"]) == 1500
    assert set(any_company["contracts"].customer_id) == set(any_company["customers"].customer_id)


@pytest.mark.parametrize("months", [12, 30])
def test_the_history_covers_as_many_months_as_asked_for(months):
    company = simulate(500, months, 0)
    first = LAST.to_period("M").start_time - pd.DateOffset(months=months - 1)
    assert company["usage"].used_at.min().to_period("M") == first.to_period("M")
    assert min(company[name][column].min() for name, column in EVENTS.items()) >= first


def test_months_begin_on_their_first_day_and_go_on_for_a_year_beyond_the_history():
    clock = Clock(
        2
    )  # 2025-11-01, 2025-12-01 and 2026-01-01 in days since 1970: 20393, 20423, 20454
    assert clock.edges[:3].tolist() == [20393, 20423, 20454]
    assert (clock.first, clock.end, len(clock.edges)) == (20393, 20454, 2 + 12 + 1)
    assert clock.month_of(np.array([20392, 20393, 20422, 20423])).tolist() == [-1, 0, 0, 1]


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        ("2024-01-15", 12, "2025-01-15"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2024-12-31", 2, "2025-02-28"),
    ],
)
def test_a_month_later_is_the_same_day_or_the_last_of_a_shorter_month(day, months, later):
    first, second = (np.array([text], "datetime64[D]").astype(np.int64) for text in (day, later))
    assert add_months(first, months).tolist() == second.tolist()


def test_nothing_is_dated_after_the_last_day(company):
    assert company["usage"].used_at.max().normalize() == LAST
    dates = pd.concat(
        [table[column] for table in company.values() for column in table.select_dtypes("datetime")]
    )
    assert dates.max() < LAST + pd.Timedelta(days=1)


def test_customers_join_before_the_history_and_until_its_end(company):
    joined = company["customers"].joined_at
    assert 0.3 < (joined < "2024-01-01").mean() < 0.6
    assert joined.max() > LAST - pd.Timedelta(days=15)


def test_the_first_contract_starts_on_the_day_of_joining(any_company):
    first = any_company["contracts"].groupby("customer_id").started_at.min()
    assert (any_company["customers"].set_index("customer_id").joined_at == first).all()


def test_some_ages_are_missing_and_the_others_are_whole_years_of_adults(company):
    age = company["customers"].age
    assert 0.02 < age.isna().mean() < 0.06
    assert age.min() >= 18 and age.max() <= 84


def test_a_renewal_or_a_new_price_opens_the_next_row_on_the_same_day_and_is_no_end(any_company):
    rows = any_company["contracts"].sort_values(["customer_id", "started_at"])
    following = rows.groupby("customer_id").started_at.shift(-1)
    closed = rows.end_reason.isin(NO_END)
    assert closed.any()
    assert (rows.ended_at == following)[closed].all()
    assert rows.voluntary[closed].isna().all()
    assert (rows.ended_at > rows.started_at)[rows.ended_at.notna()].all()


def test_a_running_contract_says_nothing_about_its_end(any_company):
    rows = any_company["contracts"]
    ended = rows.ended_at.notna()
    assert (rows.end_reason.notna() == ended).all()
    assert (rows.voluntary.notna() == (ended & ~rows.end_reason.isin(NO_END))).all()


def test_an_involuntary_end_is_a_failed_payment_and_nothing_else_is(any_company):
    ends = find_ends(any_company)
    assert ((ends.end_reason == "payment failed") == ~ends.voluntary.astype(bool)).all()


def test_a_row_closed_by_a_new_price_or_plan_is_followed_by_another_price_or_plan(company):
    rows = company["contracts"].sort_values(["customer_id", "started_at"])
    following = rows.groupby("customer_id")[["monthly_fee", "plan"]].shift(-1)
    assert (rows.monthly_fee != following.monthly_fee)[rows.end_reason == "price changed"].all()
    assert (rows.plan != following.plan)[rows.end_reason == "plan changed"].all()
    assert (rows.plan == following.plan)[rows.end_reason == "renewed"].all()


def test_a_contract_of_a_year_renews_after_whole_years_and_ends_voluntarily_mostly_then(company):
    rows = company["contracts"]
    yearly = rows[rows.term_months == 12]
    renewed = yearly[yearly.end_reason.isin(("renewed", "plan changed"))]
    assert ((renewed.ended_at - renewed.started_at).dt.days.isin((365, 366))).all()
    left = yearly[yearly.voluntary.fillna(False)]
    assert ((left.ended_at - left.started_at).dt.days.isin((365, 366))).mean() > 0.6
    assert not rows[rows.term_months == 1].end_reason.isin(("renewed", "plan changed")).any()


def test_nobody_starts_or_leaves_on_the_first_day_of_a_month(company):
    spells = find_spells(company)
    assert (spells.started_at.dt.day > 1).all()
    assert (spells.ended_at.dropna().dt.day > 1).all()


def test_about_a_sixth_of_the_leavers_come_back_once_and_a_month_later_at_the_earliest():
    spells = find_spells(simulate(6000, 24, 0))
    counts, left = (
        spells.groupby("customer_id").size(),
        spells.dropna(subset="ended_at").customer_id.nunique(),
    )
    assert counts.max() == 2
    assert 0.12 < (counts == 2).sum() / left < 0.2
    pause = spells.started_at - spells.groupby("customer_id").ended_at.shift()
    assert pause.dropna().min() >= pd.Timedelta(days=30)


def test_the_fee_is_the_list_price_less_the_discounts_plus_the_rise():
    own = {
        "introductory": np.array([True, True, False, False]),
        "discount": np.array([0.0, 0.0, 0.25, 0.0]),
    }
    settled, raised = np.array([False, True, True, True]), np.array([False, False, False, True])
    # 19 less a fifth, 19, 19 less a quarter, 19 plus 20 %
    assert price(np.full(4, list(PLANS).index("plus")), own, settled, raised).tolist() == [
        15.2,
        19.0,
        14.25,
        22.8,
    ]


def _terms(**given) -> dict[str, np.ndarray]:
    """Return the terms of one life in the plan plus, without discounts, that uses the service as at
    home.
    """
    clock = Clock(24)
    own = {
        "annual": False,
        "introductory": False,
        "discount": 0.0,
        "first_plan": 1,
        "home": 0.0,
        "start": clock.first + 9,
        "began": 0,
    } | given
    return {name: np.array([value]) for name, value in own.items()} | {"level": np.zeros((36, 1))}


def _find_increases(price_rise: bool = True, **given) -> dict[int, float]:
    increase = build_fees(Draws(1, 0), _terms(**given), Clock(24), price_rise)["increase"][:, 0]
    return {int(month): round(float(increase[month]), 3) for month in np.flatnonzero(increase)}


def test_the_hazard_feels_the_rise_at_once_or_at_the_renewal_and_the_end_of_the_introduction():
    # prices rise in month 19 of a history of 24
    assert _find_increases() == {19: 0.2}
    assert _find_increases(annual=True, began=-3) == {21: 0.2}  # renewed in the months 9, 21 and 33
    assert _find_increases(annual=True, began=-6) == {30: 0.2}  # ... in 6, 18 and 30
    assert _find_increases(introductory=True) == {12: 0.25, 19: 0.2}  # 0.8 to 1
    assert _find_increases(began=20) == {}  # a new contract starts at the new price
    assert _find_increases(price_rise=False) == {}


def test_the_fees_of_the_rows_are_those_that_the_hazard_feels():
    company, clock = Company(500, 24, 0, TRAPS), Clock(24)
    people = draw_people(Draws(0, 0), 500, clock)
    life = run_life(
        Draws(1, 0),
        company,
        people,
        draw_assignments(Draws(2, 0), 500),
        np.arange(500),
        people["joined"],
        clock,
    )
    rows = life["tables"]["contracts"]
    month, row = clock.month_of(rows["at"] // 86_400), rows["life"]
    last = (month != np.append(month[1:], -1)) | (
        row != np.append(row[1:], -1)
    )  # an introduction may end in the month of the rise
    last &= month >= 0
    assert last.sum() > 500
    assert (rows["monthly_fee"][last] == life["fee"][month[last], row[last]]).all()


# events


@pytest.mark.parametrize("name", EVENTS)
def test_no_event_lies_before_joining_or_after_the_end_or_between_two_contracts(any_company, name):
    events = any_company[name][["customer_id", EVENTS[name]]].reset_index()
    spells = events.merge(find_spells(any_company), on="customer_id")
    inside = (spells[EVENTS[name]] >= spells.started_at) & ~(
        spells[EVENTS[name]] >= spells.ended_at
    )
    assert inside.groupby(spells["index"]).any().sum() == len(events)


@pytest.mark.parametrize("name", DATED)
def test_events_are_sorted_by_customer_and_time(company, name):
    assert (
        company[name]
        .sort_values(["customer_id", DATED[name]], kind="stable")
        .index.equals(company[name].index)
    )


def test_nothing_is_resolved_before_the_contact_or_after_the_customer_left(any_company):
    resolved = (
        any_company["contacts"]
        .dropna(subset="resolved_at")
        .merge(find_spells(any_company), on="customer_id")
    )
    own = resolved[
        (resolved.contacted_at >= resolved.started_at)
        & ~(resolved.contacted_at >= resolved.ended_at)
    ]
    assert (own.resolved_at >= own.contacted_at).all()
    assert not (own.resolved_at >= own.ended_at).any()


def test_a_return_line_has_a_negative_amount_and_every_other_line_a_positive_one(any_company):
    orders = any_company["orders"]
    assert orders.returned.any()
    assert (orders.amount[orders.returned] < 0).all()
    assert (orders.amount[~orders.returned] > 0).all()
    assert (np.sign(orders.quantity) == np.sign(orders.amount)).all()


def test_a_return_follows_an_order_of_the_same_product_on_an_earlier_day():
    orders = simulate(1000, 24, 0, traps=())["orders"].assign(size=lambda t: t.amount.abs())
    pairs = (
        orders[orders.returned]
        .reset_index()
        .merge(orders[~orders.returned], on=["customer_id", "product", "size"])
    )
    days = (pairs.ordered_at_x.dt.normalize() - pairs.ordered_at_y.dt.normalize()).dt.days
    assert days.between(2, 20).groupby(pairs["index"]).any().sum() == orders.returned.sum()


def test_poor_deliveries_show_in_contacts_of_their_region(company):
    contacts = company["contacts"].merge(
        company["customers"][["customer_id", "region"]], on="customer_id"
    )
    share = (contacts.topic == "delivery").groupby(contacts.region).mean()
    assert share["east"] > 1.5 * share.drop("east").max()


def test_some_customers_are_quiet_and_some_never_answer(company):
    settled = company["customers"][company["customers"].joined_at < "2025-01-01"].customer_id
    assert 0.05 < (~settled.isin(company["usage"].customer_id)).mean() < 0.25
    assert 0.2 < (~settled.isin(company["feedback"].customer_id)).mean() < 0.7


def test_scores_lie_within_their_scale_and_some_texts_have_none(company):
    feedback = company["feedback"]
    scale = feedback.groupby("kind").agg(
        low=("score", "min"), high=("score", "max"), most=("score_max", "max")
    )
    assert scale.T.to_dict("list") == {"csat": [1, 5, 5], "nps": [0, 10, 10], "review": [1, 5, 5]}
    assert feedback.score.isna().any() and feedback.text[feedback.score.isna()].notna().all()
    assert 0.3 < feedback.text.notna().mean() < 0.5
    assert feedback.text[feedback.kind == "review"].notna().mean() > 0.9


def test_every_language_and_tone_has_the_same_number_of_phrases_and_at_least_twelve():
    assert {len(pieces) for pieces in phrases._PIECES} == {phrases.VARIETY}
    assert phrases.VARIETY >= 12
    assert len(phrases._PIECES) == 5 * 3


def test_texts_are_written_in_five_languages_and_by_some_in_two(company):
    written = company["feedback"].text.dropna()
    letters = {
        "Polish": "[ąćęłńóśźż]",
        "Russian": "[а-я]",
        "Korean": "[가-힣]",
        "Chinese": "[一-鿿]",
    }
    found = pd.DataFrame({name: written.str.contains(pattern) for name, pattern in letters.items()})
    assert (found.mean() > 0.05).all()
    assert (found[["Russian", "Korean", "Chinese"]].sum(axis=1) > 1).any()
    assert written.nunique() > 0.6 * len(written)


def test_the_tone_of_a_text_follows_the_score_but_not_always():
    made = simulate_company(Company(2000, 24, 0, traps=()))
    answers = made["feedback"].dropna(subset="text").reset_index(drop=True)
    tone, low = (
        made["truth/tones"].tone,
        (answers.score / answers.score_max <= 0.4)[answers.score.notna()],
    )
    agree = (tone == "negative")[low.index][low].mean()
    assert agree > 0.8
    high = answers.score == answers.score_max
    assert 0.5 < (tone == "positive")[high].mean() < 1


# campaigns


def test_campaigns_start_on_the_first_of_a_month_four_months_before_the_end_at_the_latest(company):
    dates = company["campaigns"].groupby("campaign").assigned_at.unique().str[0]
    assert dates.sort_values().index.tolist() == list(CAMPAIGNS)
    assert dates.sort_values().dt.strftime("%Y-%m-%d").tolist() == [
        "2024-10-01",
        "2025-01-01",
        "2025-04-01",
        "2025-07-01",
    ]
    for months in (12, 18, 36, 120):
        starts = list(Clock(months).campaigns.values())
        assert sorted(set(starts)) == starts and starts[0] > 0 and starts[-1] <= months - 4


def test_everyone_whose_contract_runs_on_the_day_is_assigned_once(company):
    spells = find_spells(company)
    for (_, day), rows in company["campaigns"].groupby(["campaign", "assigned_at"]):
        running = spells[(spells.started_at <= day) & ~(spells.ended_at <= day)]
        assert sorted(rows.customer_id) == sorted(running.customer_id)


def test_arms_are_drawn_with_the_stated_propensity():
    made = simulate(6000, 24, 0)["campaigns"].dropna(subset="propensity")
    counts = made.groupby(["campaign", "propensity", "arm"]).size()
    plans = made.groupby("campaign").propensity.unique().map(len)
    assert plans.to_dict() == {"autumn letter": 1, "plan care": 4, "summer test": 2}
    shares = counts / made.groupby("campaign").size()
    assert shares["autumn letter"].between(0.31, 0.36).all()
    assert abs(shares["summer test", 0.5, "discount"] - 0.5) < 0.03


def test_costs_are_nothing_for_control_one_price_for_a_call_and_a_share_of_the_fee_for_a_discount(
    company,
):
    cost = company["campaigns"].groupby("arm").cost.agg(["min", "max"])
    assert cost.loc["control"].tolist() == [0, 0]
    assert cost.loc["call"].tolist() == [6, 6]
    assert (
        cost.loc["discount", "min"] >= 0.25 * 3 * 9 * 0.75 * 0.8 - 0.01
    )  # the lowest fee: basic, 25 % off, a fifth off in the first year
    assert cost.loc["discount", "max"] <= 0.25 * 3 * 39


# the causal story


def _drivers(**given: float) -> dict[str, np.ndarray]:
    return {name: np.array([given.get(name, float(name == "base"))]) for name in HAZARD}


def _risk(**given: float) -> np.ndarray:
    return monthly_hazard(build_logits(_drivers(**given)))[:, 0]


def test_the_hazard_is_the_multinomial_logit_of_the_sums_of_coefficient_times_driver():
    voluntary, involuntary = _risk(fall=1.0, dear=0.5, failed=1.0)
    a, b = np.exp(-5.3 + 2.0 + 0.5 * 4.4), np.exp(-6.4 + 0.5 * 1.0 + 4.6)  # exp(-1.1), exp(-1.3)
    assert voluntary == pytest.approx(a / (1 + a + b))
    assert involuntary == pytest.approx(b / (1 + a + b))


@pytest.mark.parametrize(
    "driver", ["fall", "gap", "grievance", "dear", "rise", "delivery", "contact", "renewal"]
)
def test_these_raise_the_voluntary_hazard(driver):
    assert _risk(**{"base": 1.0, driver: 1.0})[0] > _risk(base=1.0)[0]


@pytest.mark.parametrize("driver", ["tenure", "loyalty", "bound"])
def test_these_lower_the_voluntary_hazard(driver):
    assert _risk(**{"base": 1.0, driver: 1.0})[0] < _risk(base=1.0)[0]


def test_a_failed_payment_raises_the_involuntary_hazard_alone():
    failed, before = _risk(base=1.0, failed=1.0), _risk(base=1.0)
    assert failed[1] > 50 * before[1]
    assert failed[0] < before[0]  # the causes compete


def _odds(**given: float) -> float:
    voluntary, involuntary = _risk(**{"base": 1.0} | given)
    return voluntary / (1 - voluntary - involuntary)


def test_a_grievance_weighs_more_on_who_already_turns_away():
    assert (
        _odds(fall=1, grievance=1, fall_grievance=1) / _odds(fall=1) > _odds(grievance=1) / _odds()
    )


def test_a_price_rise_weighs_more_where_the_service_is_dear():
    assert _odds(dear=1, rise=1, rise_dear=1) / _odds(dear=1) > _odds(rise=1) / _odds()


def test_service_contacts_drive_younger_customers_away_and_keep_older_ones():
    assert _odds(contact=1) > _odds() > _odds(contact=1, contact_older=1)


def _payers(**given) -> dict[str, np.ndarray]:
    own = {
        "fee": np.array([9.0]),
        "usual": np.array([1.0]),
        "level": np.array([0.0]),
        "income_band": np.array([1]),
        "quiet": np.array([False]),
    }
    return own | {name: np.array([value]) for name, value in given.items()}


def test_dear_is_an_s_curve_of_the_fee_per_use_times_the_sensitivity_of_the_income_band():
    assert build_dear(_payers(fee=13.0))[0] == pytest.approx(0.5)  # the fee at which it is one half
    assert build_dear(_payers(fee=26.0))[0] == pytest.approx(1 / (1 + 0.5**4))
    assert build_dear(_payers(fee=13.0, income_band=0))[0] == pytest.approx(
        0.65
    )  # low income: 1.3 times
    assert build_dear(_payers(fee=13.0, quiet=True))[0] == 0
    steps = np.diff([build_dear(_payers(fee=fee))[0] for fee in (1.0, 7.0, 13.0, 19.0, 60.0, 66.0)])
    assert steps[1] > 5 * steps[0] and steps[2] > 100 * steps[4]  # flat, steep, flat


def test_a_rise_fades_and_rises_add_up_to_a_most():
    increase = np.array([[0.0, 0.0], [0.12, 0.2], [0.0, 0.2], [0.0, 0.0]])
    # 10 * 0.12 = 1.2, then 0.6 of it each month; 2.0, then 0.6 * 2.0 + 2.0 = 3.2, at most 2.5
    assert build_rise(increase) == pytest.approx(
        np.array([[0, 0], [1.2, 2.0], [0.72, 2.5], [0.432, 1.5]])
    )


def test_what_happened_counts_from_the_next_month_on_and_fades():
    counts = np.array([[0], [1], [0], [3], [0]])
    assert fade(counts, 0.5, 2)[:, 0].tolist() == [0, 0, 1, 0.5, 2]  # 0.5 * 0.5 + 3 is more than 2


def test_events_are_counted_by_month_and_life():
    events = {"month": np.array([0, 1, 1]), "life": np.array([1, 0, 0])}
    assert count_by_month(events, (2, 3)).tolist() == [[0, 1, 0], [2, 0, 0]]


def test_the_gap_grows_with_the_months_without_a_purchase_and_saturates():
    clock, months = Clock(12), 24
    own = {
        "level": np.zeros((months, 1)),
        "home": np.zeros(1),
        "taste": np.full(1, 2.0),
        "quiet": np.array([False]),
        "began": np.array([0]),
    }
    own["orders"] = {
        "month": np.array([0]),
        "life": np.array([0]),
    }  # one purchase, in the first month
    gap = build_gap(Draws(0, 0), own, clock)[:, 0]
    interval = 1 / (0.38 * 2)  # months between purchases: 1.316
    assert gap[1] == 0  # half a month since
    assert gap[3] == pytest.approx(1 - np.exp(-(2.5 / interval - 1)))
    assert (np.diff(gap[2:]) > 0).all() and 0.99 < gap[-1] < 1


def test_new_customers_begin_below_home_and_climb_for_half_a_year():
    clock, size = Clock(24), 4000
    own = {"home": np.zeros(size), "began": np.full(size, 2), "quiet": np.zeros(size, dtype=bool)}
    paths = draw_engagement(Draws(0, 0), own, clock)
    steady = np.where(paths["sinking"].cumsum(axis=0) > 0, np.nan, paths["level"])
    mean = np.nanmean(steady, axis=1)
    assert mean[2] == pytest.approx(-0.9, abs=0.02)
    assert mean[8] == pytest.approx(-0.9 * np.exp(-6 / 2.5), abs=0.02)


def test_quiet_customers_never_decline():
    own = {"home": np.zeros(500), "began": np.full(500, -5), "quiet": np.ones(500, dtype=bool)}
    paths = draw_engagement(Draws(0, 0), own, Clock(24))
    assert not paths["sinking"].any() and not paths["recovering"].any()


def test_moments_lie_in_their_month_and_not_before_the_start():
    clock = Clock(12)
    own = {
        "start": np.array([clock.edges[1] + 9, clock.first - 100]),
        "hour": np.array([12.0, 12.0]),
    }
    found = scatter(Draws(0, 0), "x", np.full((24, 2), 50), own, clock)
    day = found["at"] // 86_400
    assert ((day >= clock.edges[found["month"]]) & (day < clock.edges[found["month"] + 1])).all()
    assert day[found["life"] == 0].min() >= clock.edges[1] + 9
    assert (found["life"] == 1).sum() == 24 * 50


def _certain(start: np.ndarray, clock: Clock, **changes) -> dict[str, np.ndarray]:
    hazard = np.zeros((2, len(clock.edges) - 1, len(start)))
    hazard[0] = 1
    shape = hazard.shape[1:]
    own = {
        "start": start,
        "began": clock.month_of(start),
        "renewal": np.zeros(shape, dtype=bool),
    } | changes
    return draw_end(Draws(0, 0), hazard, own, clock)


def test_an_end_lies_after_the_start_and_on_the_last_day_of_the_history_at_the_latest():
    clock = Clock(2)  # 2025-11-01, 2025-12-01, 2026-01-01
    days = np.array([clock.edges[1] - 2, clock.end - 2, clock.end - 1])  # 11-29, 12-30, 12-31
    end = _certain(np.repeat(days, 200), clock)["end"].reshape(3, 200)
    assert set(end[0]) == {
        clock.edges[1] - 1
    }  # one day of November is left, and nobody survives it
    assert set(end[1]) == {clock.end - 1}
    assert set(end[2]) == {NEVER}


def test_nobody_ends_on_the_first_day_of_a_month():
    clock = Clock(2)
    end = _certain(np.full(2000, clock.first - 50), clock)["end"]
    assert (end.min(), end.max()) == (clock.first + 1, clock.edges[1] - 1)


def test_a_contract_that_is_not_renewed_ends_on_its_anniversary():
    clock = Clock(12)
    start = np.full(
        50, clock.edges[0] - 365 + 14
    )  # a year before the 15th of the first month, or a day beside it in a leap year
    renewal = np.zeros((24, 50), dtype=bool)
    renewal[0] = True
    end = _certain(start, clock, renewal=renewal)["end"]
    assert set(end) == set(add_months(start, 12))


# the demo study


@pytest.fixture(scope="module")
def small_demo(tmp_path_factory):
    """The demo study's own adapters over a company of 300, in a project folder that is thrown
    away.
    """
    source, home = load_study("demo").folder, tmp_path_factory.mktemp("home")
    folder = home / "data" / "demo"
    folder.mkdir(parents=True)
    for path in (*source.glob("*.sql"), source / "study.yml"):
        (folder / path.name).write_text(
            path.read_text(encoding="utf-8").replace(
                "customers: 6000, months: 24", "customers: 300, months: 12"
            ),
            encoding="utf-8",
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESEARCH_HOME", str(home))
        study = load_study("demo")
        fetch.fetch(study)
        return study, load.adapt(study)


def test_the_demo_study_keeps_every_promise_of_the_contract_tables(small_demo):
    _, tables = small_demo
    checks = check(tables)
    assert set(tables) == {"customers", "contracts", *EVENTS}
    assert checks[checks.rows_failing > 0].empty


def test_the_demo_study_reads_every_column_and_row_that_the_simulator_writes(small_demo):
    study, tables = small_demo
    for name, frame in simulate(**study.simulate.model_dump()).items():
        assert set(tables[name].columns) == set(frame.columns), name
        assert tables[name].count().execute() == len(frame)


def test_nothing_of_the_truth_is_reachable_from_the_contract_tables(small_demo):
    study, tables = small_demo
    assert not [source.file for source in study.sources.values() if "truth" in source.file]
    hidden = {
        column
        for table in simulate_truth(**study.simulate.model_dump()).values()
        for column in table.columns
    }
    shared = {
        "customer_id",
        "campaign",
        "assigned_at",
        "arm",
        "given_at",
        "voluntary",
    }  # keys, and the flag of a real end
    assert not (hidden - shared) & {column for table in tables.values() for column in table.columns}
    assert not [name for name in TRUTH if name in tables]


def test_the_last_label_window_of_the_demo_study_closes_on_the_last_day():
    study = load_study("demo")
    assert (
        pd.Timestamp(study.snapshots.last)
        + pd.Timedelta(days=study.churn.lead_days + study.churn.horizon_days)
        == LAST
    )
    assert pd.Timestamp(study.data_end) == LAST
    assert pd.Timestamp(study.data_start) == pd.Timestamp("2024-01-01")


def test_the_demo_company_has_55_to_65_events_per_customer():
    company = simulate(**load_study("demo").simulate.model_dump())
    assert 55 < sum(len(company[name]) for name in (*EVENT_TABLES, "campaigns")) / 6000 < 65

"""The contract tables: terms, events inside a contract, scores and texts."""

import numpy as np
import pytest
from simulated_companies import DATED, EVENTS, NO_END, find_ends, find_spells

from research.simulate import Company, run_life, simulate, simulate_company
from research.simulate.campaigns import draw_assignments
from research.simulate.draws import Clock, Draws
from research.simulate.people import draw_people
from research.study_schema import TRAPS


def test_the_first_contract_starts_on_the_day_of_joining(any_company):
    first = any_company["contracts"].groupby("customer_id").started_at.min()
    assert (any_company["customers"].set_index("customer_id").joined_at == first).all()


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


def test_the_fees_of_the_rows_are_those_that_the_hazard_depends_on():
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
    # the last of a month: an introduction may end in the month of the rise
    last = (month != np.append(month[1:], -1)) | (row != np.append(row[1:], -1))
    last &= month >= 0
    assert last.sum() > 500
    assert (rows["monthly_fee"][last] == life["fee"][month[last], row[last]]).all()


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


def test_scores_lie_within_their_scale_and_some_texts_have_none(company):
    feedback = company["feedback"]
    scale = feedback.groupby("kind").agg(
        low=("score", "min"), high=("score", "max"), most=("score_max", "max")
    )
    assert scale.T.to_dict("list") == {"csat": [1, 5, 5], "nps": [0, 10, 10], "review": [1, 5, 5]}
    assert feedback.score.isna().any() and feedback.text[feedback.score.isna()].notna().all()
    assert 0.3 < feedback.text.notna().mean() < 0.5
    assert feedback.text[feedback.kind == "review"].notna().mean() > 0.9


def test_the_tone_of_a_text_follows_the_score_but_not_always():
    company = simulate_company(Company(2000, 24, 0, traps=()))
    answers = company["feedback"].dropna(subset="text").reset_index(drop=True)
    tone, low = (
        company["truth/tones"].tone,
        (answers.score / answers.score_max <= 0.4)[answers.score.notna()],
    )
    agree = (tone == "negative")[low.index][low].mean()
    assert agree > 0.8
    high = answers.score == answers.score_max
    assert 0.5 < (tone == "positive")[high].mean() < 1

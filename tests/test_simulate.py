"""The generated company: reproducible, complete, without a look into the future, and with a signal that is real but imperfect."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from research import adapters, contracts, sources
from research.simulate import HAZARD, LAST_DAY, NEVER, draw_end, month_edges, monthly_hazard, simulate
from research.studies import load_study

EVENTS = {"orders": "ordered_at", "usage": "used_at", "contacts": "contacted_at", "feedback": "given_at"}
LAST = pd.Timestamp(LAST_DAY)


@pytest.fixture(scope="module")
def company() -> dict[str, pd.DataFrame]:
    return simulate(2000, 24, 0)


@pytest.fixture(scope="module", params=[1, 2])
def any_company(request) -> dict[str, pd.DataFrame]:
    return simulate(1500, 18, request.param)


def test_the_same_seed_gives_the_same_tables_to_the_bit():
    first, second = simulate(300, 12, 7), simulate(300, 12, 7)
    for name in first:
        assert_frame_equal(first[name], second[name], check_exact=True)


def test_another_seed_gives_other_tables():
    first, second = simulate(300, 12, 7), simulate(300, 12, 8)
    assert [name for name in first if first[name].equals(second[name])] == []


def test_a_year_of_a_hundred_customers_works_for_any_seed():
    for seed in range(20):
        company = simulate(100, 12, seed)
        assert len(company["customers"]) == 100
        assert all(len(table) for table in company.values())


def test_a_table_keeps_its_types_when_a_small_company_leaves_a_column_empty(company):
    small = simulate(100, 12, 0)
    for name, table in company.items():
        assert small[name].dtypes.equals(table.dtypes), name


def test_the_types_are_those_that_every_version_of_pandas_knows(company):
    types = {str(dtype) for table in company.values() for dtype in table.dtypes}
    assert types == {"string", "datetime64[us]", "float64", "int64", "bool", "boolean"}


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


def test_months_begin_on_their_first_day_and_close_with_the_day_after_the_history():
    # 2025-11-01, 2025-12-01 and 2026-01-01 in days since 1970: 20393, 20423, 20454
    assert month_edges(2).tolist() == [20393, 20423, 20454]


def test_the_history_ends_on_the_last_day(company):
    assert company["usage"].used_at.max().normalize() == LAST
    dates = pd.concat([table[column] for table in company.values() for column in table.select_dtypes("datetime")])
    assert dates.max() < LAST + pd.Timedelta(days=1)


def test_customers_join_before_the_history_and_until_its_end(company):
    joined = company["customers"].joined_at
    assert 0.3 < (joined < "2024-01-01").mean() < 0.6
    assert joined.max() > LAST - pd.Timedelta(days=15)


def test_the_first_contract_starts_on_the_day_of_joining(any_company):
    first = any_company["contracts"].groupby("customer_id").started_at.min()
    assert (any_company["customers"].set_index("customer_id").joined_at == first).all()


@pytest.mark.parametrize("name", EVENTS)
def test_no_event_lies_before_joining_or_after_the_end_or_between_two_contracts(any_company, name):
    events = any_company[name][["customer_id", EVENTS[name]]].reset_index()
    spells = events.merge(any_company["contracts"], on="customer_id")
    inside = (spells[EVENTS[name]] >= spells.started_at) & ~(spells[EVENTS[name]] >= spells.ended_at)
    assert inside.groupby(spells["index"]).any().sum() == len(events)


def test_nothing_is_resolved_before_the_contact_or_after_the_customer_left(any_company):
    contacts = any_company["contacts"].dropna(subset="resolved_at").merge(any_company["contracts"], on="customer_id")
    own = contacts[(contacts.contacted_at >= contacts.started_at) & ~(contacts.contacted_at >= contacts.ended_at)]
    assert (own.resolved_at >= own.contacted_at).all()
    assert not (own.resolved_at >= own.ended_at).any()


def test_a_running_contract_says_nothing_about_its_end(any_company):
    spells = any_company["contracts"]
    ended = spells.ended_at.notna()
    assert (spells.end_reason.notna() == ended).all()
    assert (spells.voluntary.notna() == ended).all()
    assert (spells.ended_at > spells.started_at)[ended].all()


def test_an_involuntary_end_is_a_failed_payment_and_nothing_else_is(any_company):
    ended = any_company["contracts"].dropna(subset="ended_at")
    assert ((ended.end_reason == "payment failed") == ~ended.voluntary.astype(bool)).all()


def test_a_tenth_to_a_sixth_of_the_ended_customers_come_back_once_and_after_their_end():
    spells = simulate(6000, 24, 0)["contracts"]
    counts, ended = spells.groupby("customer_id").size(), spells.dropna(subset="ended_at").customer_id.nunique()
    assert counts.max() == 2
    assert 0.10 < (counts == 2).sum() / ended < 1 / 6
    earlier = spells.groupby("customer_id").ended_at.shift()
    assert (spells.started_at - earlier).dropna().min() >= pd.Timedelta(days=30)


def test_a_return_line_has_a_negative_amount_and_every_other_line_a_positive_one(any_company):
    orders = any_company["orders"]
    assert orders.returned.any()
    assert (orders.amount[orders.returned] < 0).all()
    assert (orders.amount[~orders.returned] > 0).all()
    assert (np.sign(orders.quantity) == np.sign(orders.amount)).all()


def test_a_return_follows_an_order_of_the_same_product_on_an_earlier_day(company):
    orders = company["orders"].assign(size=lambda t: t.amount.abs())
    pairs = orders[orders.returned].reset_index().merge(orders[~orders.returned], on=["customer_id", "product", "size"])
    days = (pairs.ordered_at_x.dt.normalize() - pairs.ordered_at_y.dt.normalize()).dt.days
    assert days.between(2, 20).groupby(pairs["index"]).any().sum() == orders.returned.sum()


def test_some_customers_are_quiet_and_some_never_answer(company):
    settled = company["customers"][company["customers"].joined_at < "2025-01-01"].customer_id
    assert 0.05 < (~settled.isin(company["usage"].customer_id)).mean() < 0.25
    assert 0.2 < (~settled.isin(company["feedback"].customer_id)).mean() < 0.7
    assert company["feedback"].score.between(1, 5).all()
    assert 0.2 < company["feedback"].text.notna().mean() < 0.5


def test_only_voluntary_leavers_have_a_retention_offer_code_and_four_in_five_do():
    company = simulate(6000, 24, 0)
    spells, customers = company["contracts"], company["customers"]
    cancels = customers.customer_id.isin(spells.customer_id[spells.voluntary.fillna(False).astype(bool)])
    assert not customers.retention_offer_code[~cancels].notna().any()
    assert 0.76 < customers.retention_offer_code[cancels].notna().mean() < 0.84


def _month_before_and_after(company: dict[str, pd.DataFrame], month: str) -> pd.DataFrame:
    """Return uses in the month before, and whether the contract ends in ``month``, of contracts that ran throughout the month before."""
    opens = pd.Timestamp(month)
    closes, before = opens + pd.DateOffset(months=1), opens - pd.DateOffset(months=1)
    spells = company["contracts"]
    spells = spells[(spells.started_at <= before) & ~(spells.ended_at < opens)]
    uses = company["usage"][company["usage"].used_at.between(before, opens, inclusive="left")].groupby("customer_id").size()
    return pd.DataFrame({"uses": spells.customer_id.map(uses).fillna(0), "left": spells.ended_at < closes})


def _all_months(company: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([_month_before_and_after(company, f"{month}-01") for month in pd.period_range("2024-08", "2025-12", freq="M")])


def test_between_2_and_4_percent_leave_in_a_month(any_company):
    assert 0.025 < _all_months(any_company).left.mean() < 0.04


def test_the_less_engaged_half_leaves_more_than_half_as_often_again(any_company):
    months = _all_months(any_company)
    low = months.uses <= months.uses.median()
    assert months.left[low].mean() > 1.5 * months.left[~low].mean()


def test_engagement_alone_does_not_give_the_outcome_away(any_company):
    months = _all_months(any_company)
    ranks, left = (-months.uses).rank(), months.left
    area = (ranks[left].sum() - left.sum() * (left.sum() + 1) / 2) / (left.sum() * (~left).sum())  # Mann-Whitney U over all pairs
    assert 0.55 < area < 0.80


def _drivers(**given: float) -> dict[str, np.ndarray]:
    return {name: np.array([given.get(name, float(name == "base"))]) for name in HAZARD}


def test_the_hazard_is_the_logistic_of_the_sum_of_coefficient_times_driver():
    voluntary, involuntary = monthly_hazard(_drivers(fall=1.0, dear=0.5, failed=1.0))[:, 0]
    assert voluntary == pytest.approx(1 / (1 + np.exp(1.7)))  # -5.5 + 1.8 + 0.5 * 4.0 = -1.7
    assert involuntary == pytest.approx(1 / (1 + np.exp(1.1)))  # -6.6 + 0.5 * 1.0 + 5.0 = -1.1


@pytest.mark.parametrize(("driver", "cause", "sign"), [("fall", 0, 1), ("grievance", 0, 1), ("dear", 0, 1), ("failed", 1, 1), ("tenure", 0, -1)])
def test_each_driver_moves_the_hazard_of_its_cause_in_the_documented_direction(driver, cause, sign):
    changed, unchanged = monthly_hazard(_drivers(**{driver: 1.0})), monthly_hazard(_drivers())
    assert np.sign(changed - unchanged)[cause, 0] == sign


def test_an_end_lies_after_the_start_and_on_the_last_day_of_the_history_at_the_latest():
    edges = month_edges(2)  # 2025-11-01, 2025-12-01, 2026-01-01
    start = np.repeat([edges[1] - 2, edges[2] - 2, edges[2] - 1], 200)  # 11-29, 12-30, 12-31
    certain = {name: np.full((2, 600), 10.0 * (name == "failed")) for name in HAZARD}  # a logit of 50
    end = draw_end(np.random.default_rng(0), certain, start, edges)["end"].reshape(3, 200)
    assert set(end[0]) == {edges[1] - 1}  # one day of November is left, and nobody survives it
    assert set(end[1]) == {edges[2] - 1}
    assert set(end[2]) == {NEVER}


def test_a_grievance_weighs_more_on_who_already_turns_away():
    def odds(**given):
        risk = monthly_hazard(_drivers(**given))[0, 0]
        return risk / (1 - risk)

    assert odds(fall=1, grievance=1, fall_grievance=1) / odds(fall=1) > odds(grievance=1) / odds()


@pytest.fixture(scope="module")
def small_demo(tmp_path_factory):
    """The demo study's own adapters over a company of 300, in a project folder that is thrown away."""
    source, home = load_study("demo").folder, tmp_path_factory.mktemp("home")
    folder = home / "data" / "demo"
    folder.mkdir(parents=True)
    for path in (*source.glob("*.sql"), source / "study.yml"):
        (folder / path.name).write_text(path.read_text(encoding="utf-8").replace("customers: 6000, months: 24", "customers: 300, months: 12"), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESEARCH_HOME", str(home))
        study = load_study("demo")
        sources.fetch(study)
        return study, adapters.adapt(study)


def test_the_demo_study_keeps_every_promise_of_the_contract_tables(small_demo):
    _, tables = small_demo
    checks = contracts.check(tables)
    assert set(tables) == {"customers", "contracts", *EVENTS}
    assert checks[checks.rows_failing > 0].empty


def test_the_demo_study_reads_every_column_that_the_simulator_writes(small_demo):
    study, tables = small_demo
    for name, frame in simulate(**study.simulate.model_dump()).items():
        assert set(tables[name].columns) == set(frame.columns), name


def test_the_last_label_window_of_the_demo_study_closes_on_the_last_day():
    study = load_study("demo")
    assert pd.Timestamp(study.snapshots.last) + pd.Timedelta(days=study.churn.lead_days + study.churn.horizon_days) == LAST
    assert pd.Timestamp(study.data_end) == LAST


def test_the_demo_company_has_at_most_600_thousand_events():
    company = simulate(**load_study("demo").simulate.model_dump())
    assert 200_000 < sum(len(company[name]) for name in EVENTS) < 600_000

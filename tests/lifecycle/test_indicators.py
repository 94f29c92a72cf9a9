"""Indicators: worked by hand at the borders of their windows, blind to the future, honest about
what is not measured.
"""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from research.data import load
from research.errors import StudyError
from research.lifecycle import indicator_glossary, indicators, scorecard
from research.lifecycle.indicator_definitions import DEFINITIONS
from research.study import load_study
from research.survival import kaplan_meier

T = date(2024, 6, 30)  # windows of 30 days: the start is 31 May, the window 1 to 30 June
START = "2024-05-31"
OLD = "2023-01-01"


def stamps(values) -> list[pd.Timestamp]:
    return [pd.Timestamp(value) if value else pd.NaT for value in values]


def frame(columns: str, *rows: tuple) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=columns.split())
    dates = [column for column in table if column.endswith("_at")]
    return table.assign(**{column: stamps(table[column]) for column in dates})


def people(names="abcdef", **more) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": list(names), "joined_at": pd.Timestamp(OLD)} | more)


def subscribers() -> dict[str, pd.DataFrame]:
    """Six customers: a stays and pays more; b and c leave on the first and the last day; d left
    before, e leaves after and pays less; f is new.
    """
    contracts = frame(
        "customer_id started_at ended_at plan monthly_fee end_reason voluntary",
        ("a", OLD, "2024-06-15", "basic", 10.0, "price changed", None),
        ("a", "2024-06-15", None, "basic", 15.0, None, None),
        ("b", OLD, "2024-06-01", "basic", 20.0, "price", True),
        ("c", OLD, "2024-06-30", "pro", 30.0, "payment failed", False),
        ("d", OLD, "2024-05-31", "pro", 40.0, "price", True),
        ("e", OLD, "2024-06-10", "pro", 50.0, "price changed", None),
        ("e", "2024-06-10", "2024-07-01", "basic", 35.0, "price", True),
        ("f", "2024-06-01", None, "pro", 60.0, None, None),
    )
    orders = frame(
        "customer_id ordered_at amount returned",
        *(
            ("a", day, 5.0, False) for day in ("2024-06-01", "2024-06-30 09:00", "2024-06-30 21:00")
        ),  # two days in the window
        ("b", START, 5.0, False),  # before the window
        ("c", "2024-06-15", 5.0, True),  # a return
        ("e", "2023-07-01", 5.0, False),  # T - 365: no longer in the year
        ("e", "2023-07-02", 5.0, None),  # its first day
        ("f", "2024-06-20", 5.0, False),
    )
    feedback = frame(
        "customer_id given_at kind score score_max",
        ("b", START, "csat", 5.0, 5.0),  # before the window
        ("a", "2024-06-01", "csat", 4.0, 5.0),  # satisfied: 80 %
        ("a", "2024-06-30 23:59", "csat", 3.9, 5.0),
        ("c", "2024-06-02", " CSAT", 8.0, 10.0),  # satisfied
        ("c", "2024-06-02", "csat", None, 10.0),
        ("e", "2024-06-02", "review", 5.0, 5.0),
        ("d", START, "nps", 0.0, 10.0),  # before the window
        ("a", "2024-06-01", "NPS", 9.0, 10.0),  # promoter
        ("b", "2024-06-30", "nps", 5.0, 5.0),  # promoter: 10 of 10
        ("c", "2024-06-02", "nps", 7.0, 10.0),
        ("d", "2024-06-03", "nps", 6.0, 10.0),  # detractor
        ("e", "2024-06-03", "nps", 3.0, 5.0),  # detractor: 6 of 10
        ("f", "2024-06-03", "nps", 0.0, None),  # detractor
    )
    contacts = frame(
        "customer_id contacted_at complaint resolved_at known_at",
        ("d", "2024-05-01", False, "2024-05-02", "2024-05-01"),
        (
            "b",
            "2024-05-31 10:00",
            True,
            "2024-06-03 10:00",
            START,
        ),  # resolved in 72 hours; no complaint of the window
        ("a", "2024-06-01 10:00", True, "2024-06-01 12:00", "2024-06-01"),  # 2 hours
        ("a", "2024-06-05 10:00", True, "2024-06-08 10:01", "2024-06-05"),  # 72 hours and a minute
        ("c", "2024-06-27 20:00", None, "2024-06-30 12:00", "2024-06-27"),  # 64 hours
        (
            "f",
            "2024-06-28 10:00",
            True,
            "2024-06-28 20:00",
            "2024-06-28",
        ),  # 10 hours, too late for the 72; not a customer at the start
        (
            "f",
            "2024-06-29 00:00",
            False,
            "2024-07-01 00:00",
            "2024-06-29",
        ),  # open for 48 hours at the end of T
        ("e", "2024-06-30 10:00", True, None, "2024-07-01"),  # reached the company after T
    )
    referrals = frame(
        "customer_id referred_at",
        ("b", START),
        ("a", "2024-06-30"),
        ("d", "2024-06-15"),
        ("a", "2024-06-02"),
    )
    return {
        "customers": people(region=list("nnsss") + [None]),
        "contracts": contracts,
        "orders": orders,
        "feedback": feedback,
        "contacts": contacts,
        "referrals": referrals,
    }


def measure_at(
    write_study, tables, days=(T,), kind="contractual", segment_by="", **changes
) -> pd.DataFrame:
    study = write_study(kind, tables=tables, **changes)
    return indicators.measure(load.load_tables(study), study, list(days), segment_by)


PAIRS = {  # numerator, denominator, customers
    "customer_churn_rate": (2, 4, 4),  # b and c of a, b, c, e
    "revenue_churn_rate": (
        65,
        110,
        4,
    ),  # 20 + 30 of the leavers, 50 - 35 of e; of 10 + 20 + 30 + 50
    "net_revenue_retention": (50, 110, 4),  # 15 of a and 35 of e
    "retention_rate": (2, 5, 5),  # on 1 July 2023: a to e; left over: a and e
    "repeat_purchase_rate": (1, 4, 4),  # a of a, b, e, f
    "purchase_frequency": (2, 4, 4),  # two days of a
    "csat": (2, 3, 2),  # three answers of two customers
    "nps": (-1, 6, 6),  # 2 promoters, 3 detractors
    "complaint_rate": (1, 4, 4),  # a
    "resolved_within_72h": (3, 4, 3),  # contacts of 29 May to 27 June: of b, twice a, c
    "referral_rate": (1, 4, 4),  # a; d is no customer at the start
    "cost_of_churn_per_customer": (600, 4, 4),  # 12 * (20 + 30)
    "reasons_recorded": (2, 2, 2),  # b and c
    "involuntary_share": (1, 2, 2),  # c
}


def test_a_company_worked_by_hand(write_study):
    found = measure_at(write_study, subscribers()).set_index("indicator")
    assert list(found.index) == list(DEFINITIONS)
    assert list(found.worse) == [
        1 if spec.better == "lower" else -1 for spec in DEFINITIONS.values()
    ]
    ratios = found.loc[list(PAIRS)]
    assert {
        row.Index: (row.numerator, row.denominator, row.n) for row in ratios.itertuples()
    } == PAIRS
    assert list(ratios.value) == pytest.approx(
        [y / x * (100 if name == "nps" else 1) for name, (y, x, _) in PAIRS.items()]
    )
    assert ((ratios.low <= ratios.value) & (ratios.value <= ratios.high)).all()
    check_total(found.loc["cost_of_churn"])
    check_durations(found)


def check_total(row):
    # y = 0, 240, 360, 0; mean 150; squares 22500 + 8100 + 44100 + 22500 = 97200; times 4/3: 129600,
    # whose root is 360
    assert (row.value, row.se) == (600, pytest.approx(360))
    assert (row.low, row.high) == (
        0,
        pytest.approx(600 + 3.182446 * 360),
    )  # t with 3 degrees of freedom; a cost is never negative
    assert row.unit == "EUR a year"


def check_durations(found):
    # at risk on day 516 (d): 5, on 517 (b): 4, on 546 (c): 3: the curve falls to 4/5, 3/5, 2/5;
    # within a year nobody leaves
    assert found.value["retention_time"] == 365
    assert np.isnan(found.low["retention_time"])
    assert found.value["retention_time_median"] == 546
    assert (found.numerator["retention_time"], found.denominator["retention_time"]) == (3, 6)
    # contacts of the window and known: 2, 10, open from 48, 64, 72 h 1 min; the curve: 4/5 at 2,
    # 3/5 at 10, then of 2 at risk 3/10 at 64
    row = found.loc["resolution_time"]
    assert (row.value, row.numerator, row.denominator, row.n) == (64, 4, 5, 3)


@pytest.mark.parametrize(
    ("ended", "customer", "left"),
    [
        ("2024-05-31", 0, 0),  # gone on the start
        ("2024-06-01", 1, 1),  # the first day of the window
        ("2024-06-30 18:00", 1, 1),  # the last
        ("2024-07-01", 1, 0),  # the day after
    ],
)
def test_churn_counts_the_window_from_the_day_after_the_start_to_the_snapshot(
    write_study, ended, customer, left
):
    contracts = frame("customer_id started_at ended_at", ("a", OLD, ended), ("b", OLD, None))
    row = (
        measure_at(write_study, {"customers": people("ab"), "contracts": contracts})
        .set_index("indicator")
        .loc["customer_churn_rate"]
    )
    assert (row.numerator, row.denominator) == (left, 1 + customer)


@pytest.mark.parametrize(("started", "customer"), [("2024-05-31 23:00", 1), ("2024-06-01", 0)])
def test_a_customer_at_the_start_began_by_its_end(write_study, started, customer):
    contracts = frame("customer_id started_at ended_at", ("a", started, None), ("b", OLD, None))
    table = measure_at(write_study, {"customers": people("ab"), "contracts": contracts}).set_index(
        "indicator"
    )
    assert table.denominator["customer_churn_rate"] == 1 + customer


def test_who_left_and_came_back_has_left_but_is_retained(write_study):
    contracts = frame(
        "customer_id started_at ended_at",
        ("a", OLD, "2024-06-05"),
        ("a", "2024-06-20", None),
        ("b", OLD, None),
    )
    table = measure_at(write_study, {"customers": people("ab"), "contracts": contracts}).set_index(
        "indicator"
    )
    assert table.numerator["customer_churn_rate"] == 1
    assert table.value["retention_rate"] == 1


def test_customers_without_a_recorded_fee_leave_the_indicators_of_money(write_study):
    contracts = frame(
        "customer_id started_at ended_at monthly_fee",
        ("a", OLD, None, 10.0),
        ("b", OLD, "2024-06-10", None),  # left, fee unknown
        ("c", OLD, "2024-06-10", 30.0),  # stays, and the new fee is unknown
        ("c", "2024-06-10", None, None),
        ("d", OLD, "2024-06-10", 50.0),
        ("d", "2024-06-20", None, None),  # left, and came back at an unknown fee
    )
    table = measure_at(
        write_study, {"customers": people("abcd"), "contracts": contracts}
    ).set_index("indicator")
    pairs = {
        name: (table.numerator[name], table.denominator[name])
        for name in ("revenue_churn_rate", "net_revenue_retention", "cost_of_churn")
    }
    assert pairs == {
        "revenue_churn_rate": (50, 60),
        "net_revenue_retention": (10, 10),
        "cost_of_churn": (600, 3),
    }


def test_a_contract_known_late_makes_no_customer_of_the_days_before(write_study):
    late = (
        "b",
        OLD,
        None,
        "2024-06-15",
    )  # known within the window: b can't have left before, so b would only ever hide churn
    contracts = frame(
        "customer_id started_at ended_at known_at",
        ("a", OLD, "2024-06-10", OLD),
        late,
        ("c", OLD, None, "2024-05-31 20:00"),
    )
    table = measure_at(write_study, {"customers": people("abc"), "contracts": contracts}).set_index(
        "indicator"
    )
    assert (table.numerator["customer_churn_rate"], table.denominator["customer_churn_rate"]) == (
        1,
        2,
    )
    assert (table.numerator["retention_rate"], table.denominator["retention_rate"]) == (
        0,
        1,
    )  # on 1 July 2023 only a was known


# non-contractual


def buyers() -> dict[str, pd.DataFrame]:
    """Silence of 60 days ends a spell: a buys on, b lapses on the first day of June, c on the last,
    d the day before, e the day after.
    """
    orders = frame(
        "customer_id ordered_at amount",
        ("z", "2022-01-01", 1.0),  # the first day observed
        ("a", "2023-05-20", 100.0),
        ("a", "2024-05-31", 40.0),
        ("a", "2024-06-30", 10.0),
        ("b", "2024-04-02", 30.0),  # + 60 days: 1 June
        ("b", "2024-04-03", -10.0),  # takes goods back
        ("c", "2024-05-01", 50.0),  # + 60 days: 30 June
        ("d", "2024-04-01", 70.0),  # + 60 days: 31 May
        ("e", "2024-05-02", 80.0),  # + 60 days: 1 July
        (
            "e",
            "2023-06-01",
            500.0,
        ),  # a year before the start (the year has a 29 February): no longer counted
        ("e", "2023-06-02", 20.0),  # the first day counted
    )
    return {"customers": people("abcdez", joined_at=pd.Timestamp("2022-01-01")), "orders": orders}


BUYER_PAIRS = {
    "customer_churn_rate": (2, 4),  # b and c of a, b, c, e
    "revenue_churn_rate": (70, 210),  # b 30 - 10, c 50; a 40, e 80 + 20
    "cost_of_churn_per_customer": (70, 4),
    "net_revenue_retention": (
        130,
        620,
    ),  # bought in (1 July 2022, 1 July 2023]: a 100, e 520; spent since: 40 + 10 and 80
    "purchase_frequency": (1, 4),
    "repeat_purchase_rate": (1, 5),  # a; b to e bought on one day
    "retention_rate": (2, 2),  # on 1 July 2023 and on T: a and e
}


def test_buyers_worked_by_hand(write_study):
    found = measure_at(write_study, buyers(), kind="non_contractual").set_index("indicator")
    rows = found.loc[list(BUYER_PAIRS)]
    assert list(zip(rows.numerator.round(9), rows.denominator.round(9), strict=True)) == list(
        BUYER_PAIRS.values()
    )
    assert found.value["cost_of_churn"] == pytest.approx(70)


def test_buyers_are_customers_only_where_all_days_of_silence_before_were_seen(write_study):
    # the first day is 1 January 2024, silence of 60 days: from 29 February on it is known who has
    # bought in the last 60 days
    orders = frame(
        "customer_id ordered_at amount",
        ("a", "2024-01-01", 5.0),
        ("b", "2024-03-20", 5.0),
        ("b", "2024-04-20", 5.0),
        ("a", "2024-04-20", 5.0),
    )
    days = (date(2024, 3, 29), date(2024, 3, 30))
    table = measure_at(
        write_study, {"customers": people("ab"), "orders": orders}, days, kind="non_contractual"
    )
    churn = table[table.indicator == "customer_churn_rate"]
    assert list(churn.note) == [
        "needs customers observed for 30 days; they are since 2024-02-29",
        "",
    ]
    assert list(churn.numerator)[1] == 1  # a: 1 January + 60 days = 1 March


def test_yearly_spend_is_scaled_up_where_less_than_a_year_was_seen(write_study):
    # seen from 1 March to 31 May: 92 days; b spent 46 and lapses on 8 June: 46 * 365 / 92 = 182.5 a
    # year
    orders = frame(
        "customer_id ordered_at amount",
        ("a", "2024-03-01", 1.0),
        ("b", "2024-04-09", 46.0),
        ("a", "2024-05-20", 9.0),
        ("a", "2024-06-20", 9.0),
    )
    table = measure_at(
        write_study, {"customers": people("ab"), "orders": orders}, kind="non_contractual"
    ).set_index("indicator")
    assert table.value["cost_of_churn"] == pytest.approx(182.5)


# durations


def curve_of(*rows: tuple):
    return kaplan_meier.fit_curve(
        pd.DataFrame(rows, columns=["entry", "duration", "ended", "rows"])
    )


def test_the_restricted_mean_worked_by_hand():
    # 4 at risk, one ends on day 2: 3/4; one lost on day 3; one of 2 ends on day 5: 3/8; the last
    # watched to day 9
    # up to day 8: 2 * 1 + 3 * 3/4 + 3 * 3/8 = 5.375
    # variance: areas from day 2 on 3.375 and from day 5 on 1.125: 3.375² / (4 * 3) + 1.125² / (2 *
    # 1) = 0.94921875 + 0.6328125 = 1.58203125
    found = kaplan_meier.restrict_mean(
        curve_of((0, 2, True, 1), (0, 3, False, 1), (0, 5, True, 1), (0, 9, False, 1)), 8
    )
    assert (found["value"], found["se"] ** 2) == (pytest.approx(5.375), pytest.approx(1.58203125))
    assert found["low"] == pytest.approx(5.375 - 1.959964 * 1.58203125**0.5)
    assert found["high"] == pytest.approx(5.375 + 1.959964 * 1.58203125**0.5)


def test_late_entries_are_at_risk_from_the_day_after_only():
    # at risk on day 2: the two watched from the beginning (the third enters on day 2, the fourth on
    # day 3): 1/2
    # at risk on day 4: the other one of the two, the third and the fourth: 1/2 * 2/3 = 1/3
    curve = curve_of((0, 2, True, 1), (0, 6, False, 1), (2, 4, True, 1), (3, 6, False, 1))
    assert list(curve.predict([1, 2, 3, 4, 6])) == pytest.approx([1, 1 / 2, 1 / 2, 1 / 3, 1 / 3])
    # up to day 6: 2 + 2 / 2 + 2 / 3; variance: (1 + 2/3)² / (2 * 1) + (2/3)² / (3 * 2)
    found = kaplan_meier.restrict_mean(curve, 6)
    assert (found["value"], found["se"] ** 2) == (
        pytest.approx(11 / 3),
        pytest.approx(25 / 18 + 2 / 27),
    )


def test_counts_stand_for_as_many_rows():
    many = curve_of((0, 2, True, 10), (0, 3, False, 10), (0, 5, True, 10), (0, 9, False, 10))
    single = curve_of(
        *[
            row
            for row in ((0, 2, True, 1), (0, 3, False, 1), (0, 5, True, 1), (0, 9, False, 1))
            for _ in range(10)
        ]
    )
    assert kaplan_meier.restrict_mean(many, 8) == pytest.approx(
        kaplan_meier.restrict_mean(single, 8)
    )
    assert kaplan_meier.find_median(many) == pytest.approx(
        kaplan_meier.find_median(single), nan_ok=True
    )


def test_nobody_watched_long_enough_gives_no_mean():
    assert np.isnan(
        kaplan_meier.restrict_mean(curve_of((0, 2, True, 1), (0, 7, False, 1)), 8)["value"]
    )
    assert kaplan_meier.restrict_mean(curve_of((0, 2, True, 1), (0, 7, True, 1)), 8)[
        "value"
    ] == pytest.approx(4.5)  # all have ended: 2 + 5 / 2


def test_half_is_reached_on_the_day_on_which_exactly_half_are_left():
    assert (
        kaplan_meier.find_median(curve_of(*((0, day, True, 1) for day in (2, 3, 5, 7, 8, 9))))[
            "value"
        ]
        == 5
    )
    assert np.isnan(kaplan_meier.find_median(curve_of((0, 2, True, 1), (0, 7, False, 3)))["value"])


def test_the_interval_of_the_restricted_mean_holds_the_truth_with_late_entries():
    rng, truth, covered = np.random.default_rng(5), (1 - np.exp(-0.02 * 100)) / 0.02, []
    for _ in range(400):
        entry = np.where(rng.random(400) < 0.5, 0, rng.uniform(0, 80, 400))
        life, until = rng.exponential(50, 400), entry + rng.uniform(40, 200, 400)
        seen = life > entry
        rows = pd.DataFrame(
            {"entry": entry, "duration": np.minimum(life, until), "ended": life <= until, "rows": 1}
        )[seen]
        found = kaplan_meier.restrict_mean(kaplan_meier.fit_curve(rows), 100)
        covered.append(found["low"] <= truth <= found["high"])
    assert 0.92 <= np.mean(covered) <= 0.98  # the standard error of 95 % in 400 draws is 1.1 %


def test_a_thin_beginning_is_left_out_and_not_multiplied_into_all_later_days():
    counts = pd.DataFrame(
        {
            "entry": [0, 0, 30],
            "duration": [5, 40, 60],
            "ended": [True, False, False],
            "rows": [1, 1, 20],
        }
    )
    assert kaplan_meier.begin_soundly(counts, 50) == 30  # before, 2 and then 1 were watched
    rest = kaplan_meier.condition(counts, 30)
    assert rest.to_dict("list") == {
        "entry": [0, 0],
        "duration": [10, 30],
        "ended": [False, False],
        "rows": [1, 20],
    }
    assert (
        kaplan_meier.begin_soundly(counts, 20) == 0
    )  # the late ones come in after the days asked about
    assert kaplan_meier.begin_soundly(counts.assign(rows=[12, 12, 20]), 50) == 0


def test_customers_of_before_observation_began_enter_late(write_study):
    """20 new ones of 1 January, of whom 5 leave after 10 days; 20 of a year before, of whom all who
    had left within that year are unknown.
    """
    new = [(f"n{i}", "2024-01-01", "2024-01-11" if i < 5 else None) for i in range(20)]
    old = [(f"o{i}", "2023-01-01", "2024-02-15" if i < 10 else None) for i in range(20)]
    tables = {
        "customers": people([name for name, *_ in new + old]),
        "contracts": frame("customer_id started_at ended_at", *new, *old),
    }
    table = measure_at(write_study, tables, data_start="2024-01-01").set_index("indicator")
    # the curve: 15/20 from day 10 on; nobody is watched from day 181 (30 June) to day 365: no year
    # is known
    assert table.note["retention_time"] == "nobody has been watched for 365 days"
    early = measure_at(write_study, tables).set_index("indicator")
    assert early.value["retention_time"] == pytest.approx(
        10 + 355 * 35 / 40
    )  # without data_start the old ones count as watched all along
    young = [(f"y{i}", "2023-06-01", None) for i in range(10)]  # watched from day 214 to day 395
    more = {
        "customers": people([name for name, *_ in new + old + young]),
        "contracts": frame("customer_id started_at ended_at", *new, *old, *young),
    }
    longer = measure_at(
        write_study,
        more | {},
        data_start="2023-12-15",
        data_end="2024-12-31",
        days=(date(2024, 8, 1),),
    ).set_index("indicator")
    assert longer.value["retention_time"] == pytest.approx(10 + 355 * 15 / 20)


@pytest.mark.parametrize(
    ("known", "value", "note"),
    [
        ("2023-03-02", 365, "of customers who stayed 60 days: too few were watched before"),
        (
            "2023-07-03",
            np.nan,
            "too few customers were watched from their first days on",
        ),  # 183 days: more than half a year
    ],
)
def test_a_stay_known_late_is_watched_from_then_on(write_study, known, value, note):
    contracts = frame(
        "customer_id started_at ended_at known_at",
        *((f"c{i}", OLD, None, known) for i in range(12)),
    )
    table = measure_at(
        write_study, {"customers": people([f"c{i}" for i in range(12)]), "contracts": contracts}
    ).set_index("indicator")
    assert table.value["retention_time"] == pytest.approx(value, nan_ok=True)
    assert table.note["retention_time"] == note


@pytest.mark.parametrize(("started", "value"), [("2023-07-01", 365), ("2023-07-02", np.nan)])
def test_a_year_is_known_once_somebody_was_watched_for_it(write_study, started, value):
    contracts = frame(
        "customer_id started_at ended_at", ("a", started, None), ("b", "2024-01-01", None)
    )
    table = measure_at(write_study, {"customers": people("ab"), "contracts": contracts}).set_index(
        "indicator"
    )
    assert table.value["retention_time"] == pytest.approx(value, nan_ok=True)


# what isn't measured


def test_an_indicator_without_its_table_is_listed_with_what_it_needs(write_study):
    tables = {
        name: table
        for name, table in subscribers().items()
        if name in ("customers", "contracts", "feedback")
    }
    tables["feedback"] = tables["feedback"].query("kind != 'nps' and kind != 'NPS'")
    study = write_study(tables=tables)
    loaded = load.load_tables(study)
    listed = scorecard.list_indicators(indicators.measure(loaded, study, [T]), study, loaded)
    missing = listed[listed.status == "not measured"].set_index("indicator")
    assert {
        name: missing.needs[name]
        for name in ("nps", "complaint_rate", "referral_rate", "repeat_purchase_rate")
    } == {
        "nps": "table feedback with kind, score and rows of kind nps",
        "complaint_rate": "table contacts with complaint",
        "referral_rate": "table referrals",
        "repeat_purchase_rate": "table orders",
    }
    assert missing.note["nps"] == "no answers of kind nps recorded by then"
    assert missing.snapshot.isna().all()
    assert sorted(listed.indicator.unique()) == sorted(DEFINITIONS)


def test_contracts_without_ends_measure_nothing_and_say_so(write_study):
    study = write_study(
        tables={
            "customers": people("ab"),
            "contracts": frame("customer_id started_at", ("a", OLD), ("b", OLD)),
        }
    )
    loaded = load.load_tables(study)
    measured = indicators.measure(loaded, study, [T])
    assert measured.empty
    listed = scorecard.list_indicators(measured, study, loaded)
    assert set(listed.status) == {"not measured"}
    assert listed.needs.iloc[0] == "table contracts with ended_at"
    assert len(scorecard.summarise(listed, study)) == len(DEFINITIONS)


def test_feedback_without_kinds_counts_as_csat(write_study):
    tables = subscribers()
    tables["feedback"] = tables["feedback"].drop(columns="kind").query("score_max == 5")
    table = measure_at(write_study, tables).set_index("indicator")
    assert (table.numerator["csat"], table.denominator["csat"]) == (
        3,
        5,
    )  # a 4 and e 5, b 5; a 3.9, e 3
    assert "nps" not in table.index


def test_a_window_from_before_the_first_row_of_its_table_is_empty(write_study):
    tables = subscribers()
    tables["referrals"] = frame("customer_id referred_at", ("a", "2024-06-01"), ("a", "2024-07-01"))
    table = measure_at(write_study, tables, (T, date(2024, 7, 1), date(2024, 7, 30))).query(
        "indicator == 'referral_rate'"
    )
    assert list(table.value.notna()) == [False, True, True]
    assert table.note.iloc[0] == "needs referrals observed for 30 days; they are since 2024-06-01"


def test_a_table_that_fell_silent_is_stale_and_not_zero(write_study):
    # the last referral known is of 30 June: a window without one is still believed on 30 July, and
    # no longer on 31 July
    table = measure_at(write_study, subscribers(), (date(2024, 7, 30), date(2024, 7, 31))).query(
        "indicator == 'referral_rate'"
    )
    assert list(table.value.notna()) == [True, False]
    assert table.note.iloc[1] == "stale: no referrals recorded since 2024-06-30"


def test_a_window_without_answers_says_so(write_study):
    tables = subscribers() | {
        "feedback": frame("customer_id given_at score score_max", ("b", START, 5.0, 5.0))
    }
    row = measure_at(write_study, tables).set_index("indicator").loc["csat"]
    assert (row.denominator, row.note) == (0, "nobody to count")
    assert np.isnan(row.value)


def test_retention_needs_a_year_before(write_study):
    days = (date(2023, 12, 31), date(2024, 1, 1))
    table = measure_at(write_study, subscribers(), days).query("indicator == 'retention_rate'")
    assert list(table.value) == pytest.approx([np.nan, 1.0], nan_ok=True)


# targets and change


def test_targets_are_judged_by_the_interval(write_study):
    targets = {
        "customer_churn_rate": 0.9,
        "retention_rate": 0.95,
        "csat": 0.5,
        "cost_of_churn": 100.0,
        "complaint_rate": 0.5,
    }
    study = write_study(tables=subscribers(), lifecycle={"targets": targets})
    loaded = load.load_tables(study)
    listed = scorecard.list_indicators(
        indicators.measure(loaded, study, [T]), study, loaded
    ).set_index("indicator")
    assert listed.high["customer_churn_rate"] < 0.9
    assert listed.high["retention_rate"] < 0.95
    assert {name: listed.verdict[name] for name in [*targets, "nps"]} == {
        "customer_churn_rate": "met",
        "retention_rate": "missed",
        "csat": "not shown",
        "cost_of_churn": "not shown",  # the interval of the total reaches down to 0
        "complaint_rate": "not shown",  # a quarter, and up to 70 %
        "nps": "",
    }


def test_targets_of_unknown_indicators_are_refused_in_one_sentence(write_study):
    study = write_study(
        tables=subscribers(), lifecycle={"targets": {"churn": 0.1, "nps": 20.0, "csatt": 0.5}}
    )
    with pytest.raises(
        StudyError,
        match=(
            r"key lifecycle\.targets: expected names among customer_churn_rate, .*; got"
            r" 'churn', 'csatt'; correct"
        ),
    ) as error:
        indicators.measure(load.load_tables(study), study, [T])
    assert len(error.value.faults) == 1


def test_a_summary_compares_with_the_snapshot_before_and_a_year_ago(write_study):
    study = write_study(tables=subscribers())
    loaded = load.load_tables(study)
    days = [
        date(2023, 6, 25),
        date(2024, 5, 31),
        T,
    ]  # 371 days before: within half a window of a year
    measured = indicators.measure(loaded, study, days)
    summary = scorecard.summarise(
        scorecard.list_indicators(measured, study, loaded), study
    ).set_index("indicator")
    was, now = measured[measured.indicator == "customer_churn_rate"].value.iloc[1:]
    row = summary.loc["customer_churn_rate"]
    assert (row.value, row.change) == (0.5, pytest.approx(now - was))
    assert row.change_low < row.change < row.change_high
    assert row.change_year == pytest.approx(0.5)
    assert len(summary) == len(DEFINITIONS)


def test_a_change_adds_up_the_distances_to_the_bounds():
    part = pd.DataFrame(
        {
            "snapshot": stamps(["2024-05-31", "2024-06-30"]),
            "value": [0.4, 0.5],
            "low": [0.37, 0.46],
            "high": [0.44, 0.53],
        }
    )
    change = scorecard._compare(
        part.iloc[1], part.set_index("snapshot"), pd.Timestamp("2024-05-31"), pd.Timedelta(0)
    )
    assert change == pytest.approx(
        (0.1, 0.1 - np.hypot(0.04, 0.04), 0.1 + np.hypot(0.03, 0.03))
    )  # 0.5 - 0.46 and 0.44 - 0.4; 0.53 - 0.5 and 0.4 - 0.37


# segments


def test_periods_end_on_the_last_day_and_stay_within_the_data(write_study):
    study = write_study(tables=subscribers(), lifecycle={"last": "2023-04-05"})
    found = indicators.list_periods(load.load_tables(study), study, 12)
    assert found == [
        date(2023, 2, 4),
        date(2023, 3, 6),
        date(2023, 4, 5),
    ]  # the window before that would begin on 6 December 2022
    begun = write_study(
        tables=subscribers(), lifecycle={"last": "2023-04-05"}, data_start="2023-02-04"
    )
    assert indicators.list_periods(load.load_tables(begun), begun, 12) == [
        date(2023, 3, 6),
        date(2023, 4, 5),
    ]


@pytest.mark.parametrize(
    ("last", "sentence"),
    [
        (
            "2025-01-01",
            (
                "expected indicators up to the data end 2024-12-31, got the day 2025-01-01; use"
                " lifecycle.last on or before 2024-12-31"
            ),
        ),
        (
            "2023-01-30",
            (
                "expected a window of 30 days within the data, which begin 2023-01-01, got the"
                " last day 2023-01-30; use lifecycle.last on or after"
            ),
        ),
    ],
)
def test_periods_outside_the_data_are_refused(write_study, last, sentence):
    study = write_study(tables=subscribers(), lifecycle={"last": last})
    with pytest.raises(StudyError, match=sentence):
        indicators.list_periods(load.load_tables(study), study, 12)


def test_charted_rows_are_of_enough_customers_and_events():
    rows = pd.DataFrame(
        {
            "indicator": "customer_churn_rate",
            "segment_by": "plan",
            "segment": [*"aaabbbccc"],
            "value": 0.1,
        }
    )
    rows = rows.assign(
        n=[29, 30, 31, 29, 29, 31, 90, 90, 90],
        denominator=lambda t: t.n,
        numerator=[5, 5, 9, 9, 9, 9, 4, 4, 9],
    )
    study = load_study("demo")
    assert {*indicators.select_charted(rows, study).segment} == {
        "a"
    }  # medians: n 30, 29, 90 and events 5, 9, 4
    rare_stays = rows.assign(numerator=rows.denominator - rows.numerator)
    assert {*indicators.select_charted(rare_stays, study).segment} == {"a"}


def test_charted_rows_are_known_and_of_windows_that_do_not_overlap(write_study, monkeypatch):
    monkeypatch.setattr(indicators, "LEAST_CHARTED", 0)
    monkeypatch.setattr(indicators, "LEAST_EVENTS", 0)
    study = write_study(tables=subscribers())
    charted = indicators.select_charted(
        indicators.measure(load.load_tables(study), study, [date(2023, 2, 4), T]), study
    )
    assert charted.value.notna().all()
    assert not {"retention_rate", "retention_time", "repeat_purchase_rate", "cost_of_churn"} & {
        *charted.indicator
    }
    assert {"customer_churn_rate", "nps", "cost_of_churn_per_customer"} <= {*charted.indicator}


@pytest.mark.parametrize("kind", ["contractual", "non_contractual"])
def test_definitions_are_in_the_words_of_the_study(write_study, kind):
    study = write_study(
        kind,
        tables=subscribers(),
        snapshots={"last": "2024-06-30", "every_days": 28, "train": 1, "test": 1},
    )
    table = indicator_glossary.list_definitions(study).set_index("indicator")
    assert list(table.index) == list(DEFINITIONS)
    assert not table.stack().astype(str).str.contains(r"[{}]").any()
    assert table.unit["purchase_frequency"] == "purchase days per customer in 28 days"
    assert ("fee" in table.definition["revenue_churn_rate"]) == (kind == "contractual")
    assert "T − 28 days" in indicator_glossary.describe_terms(study)


def test_a_flat_study_has_no_indicators(write_study):
    study = write_study(
        "flat",
        tables={"snapshot": pd.DataFrame({"customer_id": ["a", "b"], "churned": [True, False]})},
    )
    with pytest.raises(
        StudyError,
        match="expected dated tables to measure indicators over time, got a flat study",
    ):
        indicators.measure(load.load_tables(study), study, [T])
    assert load_study("tiny").kind == "flat"

"""Coverage: what was not recorded is not measured."""

from datetime import date

from subscribers import T, frame, measure_at, people, subscribers


def test_a_window_from_before_the_first_row_of_its_table_is_empty(write_study):
    tables = subscribers()
    tables["referrals"] = frame("customer_id referred_at", ("a", "2024-06-01"), ("a", "2024-07-01"))
    table = measure_at(write_study, tables, (T, date(2024, 7, 1), date(2024, 7, 30))).query(
        "indicator == 'referral_rate'"
    )
    assert list(table.value.notna()) == [False, True, True]
    assert table.note.iloc[0] == "needs referrals observed for 30 days; they are since 2024-06-01"


def test_a_table_that_is_no_longer_recorded_is_stale_and_not_zero(write_study):
    # the last referral known is of 30 June: a window without one is still believed on 30 July, and
    # no longer on 31 July
    table = measure_at(write_study, subscribers(), (date(2024, 7, 30), date(2024, 7, 31))).query(
        "indicator == 'referral_rate'"
    )
    assert list(table.value.notna()) == [True, False]
    assert table.note.iloc[1] == "stale: no referrals recorded since 2024-06-30"


def test_buyers_are_customers_only_where_all_inactive_days_before_were_observed(write_study):
    # the first day is 1 January 2024, 60 inactive days: from 29 February on it is known who has
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


def test_what_a_window_of_a_month_lacks_is_said_in_months(write_study):
    tables = subscribers()
    tables["referrals"] = frame("customer_id referred_at", ("a", "2024-06-01"), ("a", "2024-07-01"))
    days, plan = (T, date(2024, 7, 31)), {"last": "2024-06-30", "every": "month"}
    table = measure_at(write_study, tables, days, snapshots=plan)
    notes = table[table.indicator == "referral_rate"].note
    assert list(notes) == ["needs referrals observed for a month; they are since 2024-06-01", ""]

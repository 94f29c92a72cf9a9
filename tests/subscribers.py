"""Six subscribers whose indicators are worked by hand, and what measures them."""

from datetime import date

import pandas as pd

from research.data import load
from research.lifecycle import indicators

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
    return indicators.compute_indicators(load.load_tables(study), study, list(days), segment_by)

"""Signals that come long before a customer leaves lead; those that come with it confirm."""

import numpy as np
import pandas as pd

from research.watchlist.reasons import Moves
from research.watchlist.signals import mark_signals, register_signals


def test_a_theme_is_a_signal_from_odds_lifted_by_half():
    moves = Moves(("a", "b", "c"), np.array([[0.3, 0.2, 0.0], [0.3, 0.0, 0.9], [0.4, 0.0, -1]]))
    themes = pd.Series({"a": "usage", "b": "usage", "c": "price"})
    present = mark_signals(moves, themes)
    assert present.usage.tolist() == [True, False, False]
    assert present.price.tolist() == [False, True, False]


def company() -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Of 100 customers 40 leave: ``usage`` shows it for months, ``payment`` a day before.

    A tenth of those who stay show each.
    """
    days = pd.to_datetime(["2024-03-31", "2024-04-30", "2024-05-31", "2024-06-29"])
    rows = pd.MultiIndex.from_product([days, range(100)], names=["snapshot", "customer_id"])
    rows = rows.to_frame(index=False)
    leaves, last = rows.customer_id < 40, rows.snapshot == days[-1]
    some = rows.customer_id % 10 == 9
    present = pd.DataFrame(
        {
            "usage": leaves | (some & ~leaves),
            "payment": (leaves & last) | (some & ~leaves),
            "never": False,
        }
    )
    left_at = pd.Series(pd.Timestamp("2024-06-30"), index=range(40))
    return rows.assign(left=leaves), present, left_at


def test_early_signals_lead_and_late_ones_confirm():
    rows, present, left_at = company()
    table = register_signals(rows, present, left_at, 7, 200, 0).set_index("theme")
    assert table.kind.to_dict() == {
        "usage": "leads",
        "payment": "confirms",
        "never": "inconclusive",
    }
    assert table.median_days[["usage", "payment"]].tolist() == [91, 1]
    assert table.covered_share.to_dict() == {"usage": 1, "payment": 1, "never": 0}
    # 160 of 184 rows with the signal leave, against 160 of 400
    assert np.isclose(table.lift["usage"], (160 / 184) / 0.4)
    assert table.lift_low["usage"] > 1
    assert np.isnan(table.lift["never"])


def test_nobody_who_left_is_a_defined_result():
    rows, present, _ = company()
    table = register_signals(
        rows.assign(left=False), present, pd.Series(dtype="datetime64[ns]"), 7, 200, 0
    )
    assert set(table.kind) == {"inconclusive"}
    assert table.lift.isna().all()

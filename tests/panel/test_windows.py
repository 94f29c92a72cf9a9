"""Sums over windows: the same as counting event by event, and only of what each snapshot knows."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest
from cases import list_seeds

from research.features import build
from research.panel.evidence import evidence_as_of, find_known_rows
from research.panel.windows import KEYS, Measure, plan_windows, roll_days, roll_rows
from research.study import Study

DAYS = [date(2024, 5, 31), date(2024, 6, 15), date(2024, 6, 30)]
WINDOWS = (7, 15, 30)


def random_events(seed: int, late: bool) -> pd.DataFrame:
    """Events of six customers over 80 days; some reach the company late, or never."""
    rng = np.random.default_rng(seed)
    used = pd.Timestamp("2024-04-15") + pd.to_timedelta(rng.integers(0, 80 * 24, 200), unit="h")
    table = pd.DataFrame(
        {
            "customer_id": rng.choice(list("abcdef"), 200),
            "used_at": used,
            "amount": rng.integers(-5, 50, 200),
            "real": rng.random(200) < 0.7,
        }
    )
    delays = rng.choice([0, 0, 0, 3, 20, 40, 9999], 200)
    known = (used + pd.to_timedelta(delays % 9999, unit="D")).where(delays < 9999)
    return table.assign(known_at=known) if late else table


def count_plainly(events: pd.DataFrame, day: date) -> pd.DataFrame:
    """Count the events of one snapshot in pandas, window by window."""
    after = pd.Timestamp(day) + pd.Timedelta(days=1)
    seen = events[(events.used_at < after) & (events.get("known_at", events.used_at) < after)]
    return pd.DataFrame(
        [
            _count_one(rows, after) | {"customer_id": customer}
            for customer, rows in seen.groupby("customer_id")
        ]
    ).assign(snapshot=pd.Timestamp(day))


def _count_one(rows: pd.DataFrame, after: pd.Timestamp) -> dict:
    days, row = (
        pd.Series(sorted(rows.used_at[rows.real].dt.normalize().unique()), dtype="datetime64[ns]"),
        {},
    )
    for window in WINDOWS:
        recent = rows[rows.used_at >= after - pd.Timedelta(days=window)]
        row |= {
            f"n_{window}": recent.real.sum(),
            f"amount_{window}": recent.amount.sum() if len(recent) else None,
        }
        row |= {
            f"large_{window}": (recent.amount > 20).sum(),
            f"active_{window}": (days >= after - pd.Timedelta(days=window)).sum(),
        }
    gaps = days.diff().dt.days[days >= after - pd.Timedelta(days=WINDOWS[-1])].dropna()
    row |= {"active_ever": len(days)}
    return row | {
        "first_day": days.min(),
        "last_day": days.max(),
        "n_gaps": len(gaps),
        "gap": gaps.sum(),
        "gap_squared": (gaps**2).sum(),
    }


@pytest.mark.parametrize("snapshots", [DAYS, DAYS[-1:]], ids=["three", "one"])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("seed", list_seeds(3))
def test_windows_gaps_and_days_equal_those_counted_event_by_event(seed, late, snapshots):
    events = random_events(seed, late)
    table = ibis.memtable(
        events.astype(dict.fromkeys(events.select_dtypes("datetime"), "datetime64[us]"))
    )
    rows, days = (
        find_known_rows(table, "usage", snapshots[-1]),
        evidence_as_of({"usage": table.filter(table.real)}, snapshots).find_active_days("usage"),
    )
    plan = plan_windows(snapshots, WINDOWS)
    rolled = roll_rows(
        rows,
        plan,
        rows.real,
        {"amount": Measure(rows.amount), "large": Measure(rows.amount > 20)},
        roll_days(days, plan, WINDOWS[-1]),
    )
    found = rolled.to_pandas().set_index(KEYS).sort_index()
    plain = (
        pd.concat([count_plainly(events, day) for day in snapshots]).set_index(KEYS).sort_index()
    )
    sums = [column for column in plain if not column.endswith("_day")]
    assert [*found.index] == [*plain.index]
    found, plain = found.reset_index(drop=True), plain.reset_index(drop=True)
    pd.testing.assert_frame_equal(
        found[sums].astype(float).fillna(0), plain[sums].astype(float).fillna(0), check_exact=True
    )
    for column in ("first_day", "last_day"):
        assert [*found[column].astype("datetime64[ns]").fillna(pd.Timestamp(0))] == [
            *plain[column].fillna(pd.Timestamp(0))
        ]


@pytest.mark.parametrize(
    "looks",
    [
        lambda t: t.amount.sum(),
        lambda t: t.amount.lag(),
        lambda t: t.amount - t.amount.mean().over(ibis.window(group_by="customer_id")),
    ],
)
def test_a_measure_that_looks_at_other_rows_is_refused(looks):
    rows = find_known_rows(ibis.memtable(random_events(0, False)), "usage", DAYS[-1])
    with pytest.raises(
        TypeError,
        match=(
            "expected a measure of each row's own columns, got 'amount', which looks at other rows"
        ),
    ):
        roll_rows(rows, plan_windows(DAYS, WINDOWS), None, {"amount": Measure(looks(rows))})


def test_a_choice_of_rows_that_looks_at_other_rows_is_refused():
    rows = find_known_rows(ibis.memtable(random_events(0, False)), "usage", DAYS[-1])
    with pytest.raises(TypeError, match="got 'counted', which looks at other rows"):
        roll_rows(rows, plan_windows(DAYS, WINDOWS), rows.amount > rows.amount.mean(), {})


def test_features_take_nothing_but_evidence():
    tables = {"usage": ibis.memtable(random_events(0, False))}
    study = Study.model_construct(kind="contractual")
    for unfiltered in (tables, dict(evidence_as_of(tables, DAYS))):
        with pytest.raises(
            TypeError,
            match=("expected evidence as of snapshots, got dict; make it with evidence_as_of"),
        ):
            build.load_features(unfiltered, ibis.memtable({"customer_id": ["a"]}), study)

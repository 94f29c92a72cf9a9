"""Cumulative incidence: by hand, against Kaplan-Meier, and what late entry does."""

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds
from lifelines import KaplanMeierFitter

from research.survival.cumulative_incidence import compute_cumulative_incidence


def tenures_of(duration, reason, entry=0.0) -> pd.DataFrame:
    reason = pd.Series(reason, dtype="object")
    return pd.DataFrame(
        {"duration": np.asarray(duration, float), "ended": reason.notna(), "reason": reason}
    ).assign(entry=entry)


def test_incidence_of_five_tenures_is_that_worked_by_hand():
    # day 1: 1 of 5 leaves for a: F_a = 1/5, S = 4/5. Day 2: 1 of 4 for b: F_b = 4/5 * 1/4 = 1/5, S
    # = 3/5. Day 3: censored.
    # Day 4: 1 of 2 for a: F_a = 1/5 + 3/5 * 1/2 = 1/2. Day 5: 1 of 1 for b: F_b = 1/5 + 3/10 = 1/2.
    table = compute_cumulative_incidence(tenures_of([1, 2, 3, 4, 5], ["a", "b", None, "a", "b"]))
    a, b = (table[table.reason == name].set_index("days") for name in "ab")
    assert a.share.tolist() == pytest.approx([0, 0.2, 0.2, 0.5, 0.5])
    assert b.share.tolist() == pytest.approx([0, 0, 0.2, 0.2, 0.5])
    assert a.at_risk.tolist() == [5, 5, 4, 2, 1]
    assert a.left.tolist() == [0, 1, 1, 2, 2]


def test_who_enters_late_is_at_risk_from_the_next_day_on():
    # the third is observed from day 1 on: day 1: 1 of 2 leaves (a); day 2: 1 of 2 leaves (b):
    # F_b = 1/2 * 1/2
    table = compute_cumulative_incidence(tenures_of([1, 2, 3], ["a", "b", None], [0, 0, 1]))
    assert table[table.reason == "b"].share.iloc[-1] == pytest.approx(0.25)


@pytest.mark.parametrize("seed", list_seeds(3))
def test_shares_of_all_reasons_and_survival_add_up_to_one(seed):
    rng = np.random.default_rng(seed)
    duration = np.ceil(rng.exponential(10, 300))
    tenures = tenures_of(
        duration, rng.choice(["a", "b", "c", None], 300), np.floor(duration * rng.random(300) * 0.5)
    )
    table = compute_cumulative_incidence(tenures)
    sums = table[table.days > 0].groupby("days").share.sum()
    survival = (
        KaplanMeierFitter()
        .fit(tenures.duration, tenures.ended, entry=tenures.entry.where(tenures.entry > 0, -1))
        .survival_function_.iloc[:, 0]
    )
    assert sums.to_numpy() == pytest.approx(1 - survival.reindex(sums.index).to_numpy())
    assert ((table.low <= table.share) & (table.share <= table.high)).all()


def test_with_one_reason_the_interval_is_that_of_greenwood():
    rng = np.random.default_rng(1)
    tenures = tenures_of(np.ceil(rng.exponential(10, 200)), rng.choice(["a", None], 200))
    table = compute_cumulative_incidence(tenures).set_index("days")
    day = 8.0
    counts = tenures.groupby("duration").agg(d=("ended", "sum"), n=("ended", "size"))
    counts["risk"] = counts.n[::-1].cumsum()[::-1]
    upto = counts[counts.index <= day]
    survival = (1 - upto.d / upto.risk).prod()
    variance = survival**2 * (upto.d / (upto.risk * (upto.risk - upto.d))).sum()
    share = 1 - survival
    width = 1.959964 * np.sqrt(variance) / (share * abs(np.log(share)))
    assert table.low[day] == pytest.approx(
        share ** np.exp(width), rel=2e-3
    )  # Greenwood has n (n - d), the last sum n^3: the same to 1 in n
    assert table.high[day] == pytest.approx(share ** np.exp(-width), rel=2e-3)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng, hits = np.random.default_rng(3), 0
    for _ in range(
        100
    ):  # two reasons with equal hazards of 0.05 a day: by day 10 F = (1 - exp(-1)) / 2
        life, reason, lost = (
            rng.exponential(10, 80),
            rng.choice(["a", "b"], 80),
            rng.random(80) * 30,
        )
        table = compute_cumulative_incidence(
            tenures_of(np.minimum(life, lost), np.where(life <= lost, reason, None))
        )
        row = table[(table.reason == "a") & (table.days <= 10)].iloc[-1]
        hits += row.low <= (1 - np.exp(-1)) / 2 <= row.high
    assert 88 <= hits <= 99


def test_nobody_who_left_gives_an_empty_table():
    assert compute_cumulative_incidence(tenures_of([1, 2], [None, None])).empty

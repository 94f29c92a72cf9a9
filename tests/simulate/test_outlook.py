"""Risks and effects as of a day, over many futures, beside the path that came."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from simulated_companies import NO_END, RARE

from research.simulate import Company, run_paths, simulate_company
from research.simulate.campaigns import draw_assignments
from research.simulate.draws import Clock, Draws
from research.simulate.outlook import Future, expect_effects, expect_risks
from research.simulate.people import draw_people


def test_all_futures_share_the_past_and_part_from_the_month_on():
    company, clock = Company(300, 24, 0), Clock(24)
    draws = Draws(0, 0)
    people, assignments = draw_people(draws, 300, clock), draw_assignments(draws, 300)
    streams = Draws(0, 0), Future(0, 0, 0, 18, 1), Future(0, 0, 0, 18, 2)
    lives = [
        run_paths(stream, company, people, assignments, np.arange(300), people["joined"], clock)[0]
        for stream in streams
    ]
    for path in ("level", "sinking", "failed", "plan", "hazard"):
        assert all(
            (lives[0][path][..., :18, :] == one[path][..., :18, :]).all() for one in lives[1:]
        )
    for one, other in combinations(lives, 2):
        assert (one["hazard"][:, 18:] != other["hazard"][:, 18:]).mean() > 0.9


def test_the_risk_before_the_window_is_what_happens_on_average_and_surer_knowledge_spreads_wider(
    large_company,
):
    risk = expect_risks(Company(20_000, 24, 0), 15, futures=10)  # April 2025
    rows, ends = large_company["truth/hazards"], large_company["contracts"]
    path = rows[rows.month == "2025-04-01"].set_index("customer_id").risk_3_months.dropna()
    left = ends[
        ends.ended_at.between("2025-04-01", "2025-06-30") & ~ends.end_reason.isin(NO_END)
    ].customer_id
    assert set(risk.index) == {name for name in path.index if name <= "C010000"}
    happened = risk.index.isin(left)
    for third in range(3):
        inside = pd.qcut(risk, 3, labels=False) == third
        assert abs(happened[inside].sum() - risk[inside].sum()) < RARE * np.sqrt(
            (path[risk.index][inside] * (1 - path[risk.index][inside])).sum() + 1
        )
    assert risk.var() < path[risk.index].var()


def test_effects_over_many_futures_are_those_of_the_path_on_average_and_lie_closer_together():
    company = Company(600, 24, 3)
    path = simulate_company(company)["truth/effects"].astype({"campaign": str, "arm": str})
    expected = expect_effects(company, ["summer test"], 20)
    both = expected.merge(path, on=["campaign", "customer_id", "arm"], suffixes=("", "_path"))
    assert len(both) == len(expected) == (path.campaign == "summer test").sum()
    assert both.effect.mean() == pytest.approx(both.effect_path.mean(), abs=0.01)
    assert both.effect.std() < both.effect_path.std()
    assert both.effect.corr(both.effect_path) > 0.8

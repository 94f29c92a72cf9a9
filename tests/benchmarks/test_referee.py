"""The referee's simulations: each runs, continues where it ended, and finds a broken promise."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))


CHEAP = ("adjusted", "pairs", "charts", "leakage", "holm")


def test_every_study_runs_and_the_file_names_draws_seeds_and_seconds(tmp_path, monkeypatch):
    import referee

    monkeypatch.setattr(referee.effects, "FREE_ARMS", {1: "one arm"})
    folder = ["--scratch", str(tmp_path), "--out", str(tmp_path / "REFEREE.md")]
    dear = [name for name in referee.STUDIES if name not in CHEAP]
    referee.main(["--only", *CHEAP, "numbers", "--draws", "8", *folder])
    referee.main(["--only", *dear, "--draws", "1", *folder])
    text = (tmp_path / "REFEREE.md").read_text()
    titles = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert titles[:-1] == [study.title for study in referee.STUDIES.values()]
    words = " ".join(text.split())
    assert words.count("- 8 draws, seeds 1000 to 1007, ") == len(CHEAP)
    assert words.count("- 1 draws, seeds 1000 to 1000, ") == len(dear)
    assert "nan" not in text


def test_printed_numbers_equal_independent_code():
    import referee_numbers

    compared = referee_numbers.compare_numbers()
    assert len(compared) >= 20
    for what, own, _, theirs in compared:
        assert own == pytest.approx(theirs, rel=referee_numbers.ALIKE), what


def test_a_number_that_differs_is_named(monkeypatch):
    import referee_numbers

    numbers = [("AUC", 0.8, "x", 0.8), ("loss", 0.50001, "x", 0.5)]
    monkeypatch.setattr(referee_numbers, "compare_numbers", lambda: numbers)
    section = referee_numbers.numbers_section()
    assert [row[-1] for row in section.rows] == ["equal", "**differs**"]
    assert section.remarks == ("1 of 2 are equal.",)


def test_draws_are_kept_and_continue_with_the_next_seed(tmp_path):
    import referee

    asked = []
    study = referee.Study("", "", 3, lambda seed: asked.append(seed) or {"x": True}, None)
    path = tmp_path / "referee" / "x.jsonl"
    assert len(referee.run_draws(study, path, 2, np.inf)) == 2
    assert referee.run_draws(study, path, 5, np.inf).seed.tolist() == [1000, 1001, 1002, 1003, 1004]
    assert asked == [1000, 1001, 1002, 1003, 1004]
    assert len(referee.run_draws(study, path, 9, -1.0)) == 5  # no time left
    assert len(referee.run_draws(study, path, 3, np.inf)) == 3


@pytest.mark.parametrize(
    ("hits", "n", "bounds", "verdict"),
    [
        (950, 1000, (0.93, 0.97), "met"),  # 93.5 to 96.3 %
        (38, 40, (0.93, 0.97), "inconclusive"),
        (810, 1000, (0.93, 0.97), "**missed**"),
        (990, 1000, (0.93, 0.97), "**missed**"),  # too wide an interval is a broken promise, too
        (0, 73, (0.0, 0.05), "met"),  # 0 to 4.93 %
        (0, 71, (0.0, 0.05), "inconclusive"),
        (15, 100, (0.0, 0.05), "**missed**"),
    ],
)
def test_a_share_is_judged_by_its_exact_interval(hits, n, bounds, verdict):
    import referee

    row = referee.describe_share("x", pd.Series([1.0] * hits + [0.0] * (n - hits)), *bounds)
    assert row[-1] == verdict
    error = np.sqrt(hits / n * (1 - hits / n) / n)
    assert row[2] == f"{hits / n:.1%} ({error:.1%}), {hits} of {n:,}"


def test_a_bias_is_judged_in_widths_of_the_interval():
    import referee

    around = np.tile([-1.0, 1.0], 200)  # standard error 1 / sqrt(399) = 0.05
    half_width = pd.Series(np.full(400, 10.0))
    assert referee.describe_bias(pd.Series(around), half_width)[-1] == "met"
    assert referee.describe_bias(pd.Series(around + 5), half_width)[-1] == "**missed**"
    assert referee.describe_bias(pd.Series(around * 40), half_width)[-1] == "inconclusive"


def test_rows_of_a_customer_taken_as_customers_are_shown_to_cover_too_little():
    import referee
    import referee_panels

    names = [f"auc, {kind}" for kind in (referee_panels.BY_CUSTOMER, referee_panels.BY_ROW)]
    draws = pd.DataFrame({name: [1.0] * 81 + [0.0] * 19 for name in names})
    rows = [*referee.describe_pairs(draws)]
    assert [row[-1] for row in rows] == ["**missed**", ""]  # rows aren't promised anything


def test_the_true_cost_of_churn_is_the_integral_of_what_is_lost():
    import referee_panels as panels

    margin, force = panels.FEE * panels.FEE_MARGIN / panels.MONTH, np.log(1 + panels.RATE) / 365.25
    for months in (10.0, 40.0):
        lost, _ = quad(
            lambda day, rate=1 / (months * panels.MONTH): (
                margin * (1 - np.exp(-rate * day)) * np.exp(-force * day)
            ),
            0,
            panels.DAYS,
        )
        assert panels.compute_true_cost(np.array([months]))[0] == pytest.approx(lost, rel=1e-4)


def test_simulated_trials_have_the_effect_that_they_state():
    import referee_effects

    trial = referee_effects.draw_trial(40_000, 0, lambda x: 0.1 + 0.1 * x, (0.8, 0.2))
    stays = trial.rows.groupby(trial.rows.arm != "control").kept.mean()
    assert stays[True] - stays[False] == pytest.approx(0.1, abs=0.02)  # error 0.006
    assert (trial.rows.arm != "control").mean() == pytest.approx(0.2, abs=0.01)

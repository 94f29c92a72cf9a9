"""Committed figures judged again: files are read as they were written, and no verdict is claimed
that their figures don't show.
"""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def section(title="", words="", head=(), rows=(), remarks=()):
    return {
        "title": title,
        "words": words,
        "head": head,
        "rows": [*rows],
        "remarks": [*remarks],
        "facts": "begun",
    }


def test_committed_files_are_read_and_written_without_a_change(tmp_path):
    import judge_again
    import scores
    import uplift

    outcomes = [f"{one}{part}" for one in uplift.OUTCOMES for part in ("", " against peers")]
    for name, order, write in (
        ("SCORES.md", scores.NAMES, scores.write_scores),
        # how a budget is chosen hasn't been measured since it was added
        ("UPLIFT.md", [*outcomes, *uplift.NAMES[1:-1]], uplift.write_uplift),
    ):
        text = (BENCHMARKS / name).read_text()
        write(tmp_path / name, dict(zip(order, judge_again.read_sections(text), strict=True)))
        assert (tmp_path / name).read_text() == text


def test_scores_without_the_luck_of_training_claim_nothing():
    import judge_again
    import tasks

    names = ("stacked average", "logistic with pairs", "plain logistic", "EBM", "tuned CatBoost")
    rows = [
        (name, "", f"0.8{at}00 (0.80 to 0.90)", f"0.4{at}00 (0.30 to 0.40)", "", "1")
        for at, name in enumerate(names)
    ]
    old = section(rows=rows, remarks=["x not significantly worse than y: met.", "EBM was tuned."])
    task = tasks.Task("", "", tasks.split_folds, ("EBM",), 0.854, 0.406)
    peer, bound, tuned = judge_again.judge_task(old, task)["remarks"]
    # 0.80 less 0.83 and 0.40 less 0.43
    assert "or better: inconclusive until measured again; the difference is −0.0300 in" in peer
    assert "−0.0300 in log-loss (margin 0.0043)" in peer
    assert "it has 0.8100 and 0.4100" in bound
    assert tuned == "EBM was tuned."
    new = old | {"words": "corrected (Nadeau & Bengio 2003)"}
    assert judge_again.judge_task(new, task) is new


def test_effects_are_judged_by_the_printed_intervals_and_the_peers_means():
    import judge_again
    from uplift_halves import SCORES

    means = section(
        head=("model", "whose", "splits", *SCORES),
        rows=[("x", "peer", "50", "1.00", "1.00", "100.00", "200.00")],
    )
    wide, level = "0.00 (−9.00 to 9.00)", "−0.50 (−0.99 to 0.10)"
    old = section(rows=[("x", "50", wide, wide, level, "1.00 (−1.90 to 3.00)", "met")])
    judged = judge_again.judge_peers(old, means, "visit")
    assert judged["rows"][0] == (*old["rows"][0][:-1], "met")  # margins of 1 and 2
    old["rows"] = [("x", "50", wide, wide, level, "1.00 (−2.10 to 3.00)", "met")]
    assert judge_again.judge_peers(old, means, "visit")["rows"][0][-1] == "inconclusive"
    assert judged["facts"] == "begun"


def test_shares_of_few_draws_are_judged_by_their_printed_errors():
    import judge_again

    from research.uplift.policy.policies import HIGHEST_RISK, NET_GAIN, RISK_TIMES_VALUE

    head = ("company", "assignments", "seeds", f"{NET_GAIN} (standard error)")
    old = section(
        head=(*head, RISK_TIMES_VALUE, HIGHEST_RISK),
        rows=[
            ("k", "2,000", "12", "75.0 % (3.3)", "82.0 %", "41.1 %"),
            ("k", "50,000", "2", "90.6 % (2.9)", "90.2 %", "46.9 %"),
        ],
        remarks=["k: better than both lists by risk at every size: met; by −7.0, 0.4 points."],
    )
    rise, largest, lead = judge_again.judge_shares(old, ("k",))["remarks"]
    # Welch: error 4.39 and 3.9 degrees of freedom, 15.6 -+ 12.3; t of 1 degree: 90.6 -+ 36.8
    assert ": met; 75.0 %, 90.6 %." in rise
    assert "at least 60% at 50,000: inconclusive; 90.6 %, 2 draws." in largest
    assert "inconclusive until measured again; by −7.0, 0.4 points." in lead


def test_placebos_and_coverage_are_judged_by_exact_intervals():
    import judge_again

    old = section(rows=[("40", "40", "0", "0", "100.0% (91.2% to 100.0%)")])
    assert "inconclusive" in judge_again.judge_placebo(old)["remarks"][0]
    old = section(rows=[("k", "60", "98.3% (91.1% to 99.7%)", "1", "2", "3")])
    assert "90%: met." in judge_again.judge_coverage(old)["remarks"][0]  # 59 of 60: from 91.06 %


def test_a_single_run_of_value_shows_no_bound():
    import judge_again

    old = "fitted, then valued.\n| seconds | 15.0 | under 60 | met |\n"
    assert "| inconclusive until measured again |" in judge_again.judge_value(old)
    new = "in one process, in 3\nruns. Drawing\n| seconds | 15.0 to 16.0 | under 60 | met |\n"
    assert judge_again.judge_value(new) == new

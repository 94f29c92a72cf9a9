"""The halves in which effects are compared, and the files of others' effects."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ARM = np.array(["control", "mens", "womens"]).repeat([10, 7, 4])


@pytest.fixture
def tasks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import uplift_tasks

    return uplift_tasks


def test_halves_share_no_customer_and_hold_all(tasks):
    for learn, judge in tasks.split_halves(ARM, repeats=5):
        assert sorted([*learn, *judge]) == list(range(21))


def test_every_arm_is_halved_and_its_odd_customer_judges(tasks):
    for learn, judge in tasks.split_halves(ARM, repeats=5):
        assert pd.Series(ARM[learn]).value_counts().to_dict() == {
            "control": 5,
            "mens": 3,
            "womens": 2,
        }
        assert pd.Series(ARM[judge]).value_counts().to_dict() == {
            "control": 5,
            "mens": 4,
            "womens": 2,
        }


def test_fewer_repeats_are_the_first_of_more_and_no_two_are_alike(tasks):
    few, more = tasks.split_halves(ARM, repeats=2), tasks.split_halves(ARM, repeats=6)
    assert all((a[0] == b[0]).all() for a, b in zip(few, more, strict=False))
    assert len({tuple(learn) for learn, _ in more}) == 6


def test_another_seed_gives_other_halves(tasks):
    assert any(
        (a[0] != b[0]).any()
        for a, b in zip(tasks.split_halves(ARM, 3), tasks.split_halves(ARM, 3, seed=1), strict=True)
    )


@pytest.fixture
def run(tasks, monkeypatch, tmp_path, capsys):
    """Run the script on 21 customers and two splits with one made-up model, whose effects are the
    row for men's e-mail and 100 more for women's.
    """
    import uplift_peers

    rows = pd.DataFrame(
        {
            "recency": np.arange(21.0),
            "arm": ARM,
            "visit": np.arange(21.0) % 2,
            "spend": np.arange(21.0),
        }
    )
    spec = tasks.write_campaign(rows, tasks.split_halves(ARM, repeats=2), tmp_path) | {
        "outcomes": ["spend"],
        "first": 2,
        "jobs": 1,
    }
    fits = []

    def fit(kind, learned, arm, outcome, asked):
        fits.append(len(learned))
        return np.column_stack(
            [asked[:, 0], asked[:, 0] + 100]
        )  # recency is the position of the row

    monkeypatch.setattr(uplift_peers, "FITS", {"made up": (fit, "any")})
    monkeypatch.setattr(uplift_peers, "version", lambda name: "")
    monkeypatch.setattr(sys, "argv", ["uplift_peers.py", json.dumps(spec)])

    def start():
        uplift_peers.main()
        return json.loads(capsys.readouterr().out), fits

    return start


def test_effects_of_all_judged_rows_and_arms_are_gathered(run):
    facts, _ = run()
    effects = pd.read_parquet(facts["files"]["spend"])
    assert list(effects.columns) == ["split", "row", "arm", "model", "effect"]
    assert len(effects) == 2 * 11 * 2  # splits, judged rows, treated arms
    assert (effects.effect == effects.row + 100 * (effects.arm == "womens")).all()


def test_a_split_that_is_done_is_not_fitted_again(run, tmp_path):
    _, fits = run()
    assert len(fits) == 2
    next((tmp_path / "uplift-effects").rglob("01.parquet")).unlink()
    facts, fits = run()
    assert (len(fits), facts["fitted"]) == (3, 1)

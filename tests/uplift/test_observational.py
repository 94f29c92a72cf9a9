"""Arms that were chosen: adjustment finds the truth where all that decided is known, and says how
strong an unseen cause would have to be.
"""

import numpy as np
import pandas as pd
import pytest
from trial_maker import make_trial

from research.errors import StudyError
from research.uplift import observational, report


def make_chosen(n: int, seed: int, hidden: bool = False):
    """Return a trial whose arm went to those who leave more often; with ``hidden``, by what no
    feature shows.
    """
    trial, _ = make_trial(n, seed)
    rng = np.random.default_rng(seed + 100)
    cause = trial.rows.x1
    treated = rng.random(n) < np.where(cause < 0, 0.7, 0.3)
    kept = (rng.random(n) < 0.5 + 0.3 * cause + 0.1 * treated).astype(float)
    rows = trial.rows.assign(arm=np.where(treated, "call", "control"), propensity=np.nan, kept=kept)
    return type(trial)(
        rows,
        ["x2", "x3"] if hidden else trial.features,
        trial.outcomes,
        "observational",
        trial.counts,
    )


def test_adjustment_recovers_the_effect_that_the_plain_difference_turns_around():
    found, overlap = observational.compare_chosen(make_chosen(6000, 0), "kept", 0)
    row = found.iloc[0]
    assert row.plain_difference < 0.02  # 0.1 less what the arms differ in before
    assert row.low < 0.1 < row.high
    assert row.strongest == "x1"
    assert len(overlap) == 4


def test_a_hidden_cause_misleads_and_the_robustness_value_says_how_strong_it_would_have_to_be():
    row = observational.compare_chosen(make_chosen(6000, 1, hidden=True), "kept", 0)[0].iloc[0]
    assert not row.low < 0.1 < row.high
    assert (
        0 < row.robustness < 0.1
    )  # a cause of a few percent of both explains it, and here one does


def test_the_robustness_value_is_that_of_cinelli_and_hazlett():
    # their example of Darfur (2020, section 4): t = 4.18 with 783 degrees of freedom gives a
    # robustness value of 13.9 %
    assert observational._bound(4.18 / np.sqrt(783)) == pytest.approx(0.139, abs=5e-4)


@pytest.mark.parametrize("n", [500, 2000])
def test_arms_that_do_not_overlap_are_refused(n):
    trial = make_chosen(n, 2)
    rows = trial.rows.assign(arm=np.where(trial.rows.x1 > 0, "call", "control"))
    with pytest.raises(StudyError, match="expected arms that overlap"):
        observational.compare_chosen(
            type(trial)(rows, trial.features, trial.outcomes, trial.assignment, trial.counts),
            "kept",
            0,
        )


def test_a_campaign_that_cannot_be_compared_is_a_sentence_beside_those_that_can():
    good, bad = make_chosen(2000, 0), make_chosen(2000, 2)
    rows = pd.concat(
        [
            good.rows.assign(trial="good"),
            bad.rows.assign(trial="bad", arm=np.where(bad.rows.x1 > 0, "call", "control")),
        ],
        ignore_index=True,
    )
    counts = pd.DataFrame({"trial": ["good", "bad"]})
    found, overlap, faults = observational.compare_all(
        type(good)(rows, good.features, good.outcomes, good.assignment, counts), "kept", 0
    )
    assert (found.trial.tolist(), {*overlap.trial}) == (["good"], {"good"})
    assert len(faults) == 1 and faults[0].startswith("bad: expected arms that overlap")


def test_categories_alone_are_features_too():
    trial = make_chosen(2000, 0)
    rows = trial.rows.assign(place=np.where(trial.rows.x1 > 0, "north", "south"))
    row = observational.compare_chosen(
        type(trial)(rows, ["place"], trial.outcomes, trial.assignment, trial.counts), "kept", 0
    )[0].iloc[0]
    assert row.strongest.startswith("place: ")
    assert row.unlike_sd < 0.05


def test_nothing_known_before_means_nothing_can_be_adjusted_for():
    trial = make_chosen(500, 3)
    with pytest.raises(StudyError, match="without them nothing can be adjusted for"):
        observational.compare_chosen(
            type(trial)(trial.rows, [], trial.outcomes, trial.assignment, trial.counts), "kept", 0
        )


def test_words_call_it_an_association():
    words = report.say_associations(
        observational.compare_chosen(make_chosen(3000, 0), "kept", 0)[0], True
    )
    assert words.startswith("**An association, not an effect**")
    assert "unseen cause of" in words

"""Every learner finds the effects that are there."""

import numpy as np
import pytest
from trial_maker import make_trial

from research.uplift.cross_fitting import cross_fit
from research.uplift.doubly_robust import make_sample
from research.uplift.learners.families import AVERAGED
from research.uplift.learners.registry import LEARNERS
from research.uplift.learners.risk_modelling import RISK_MODELLING
from research.uplift.trials import Trial


def fit(trial: Trial) -> dict[str, np.ndarray]:
    """Return effects by every learner, out of fold."""
    return cross_fit(make_sample(trial, "kept"), 3, 1, 0)[0].effects


@pytest.fixture(scope="module")
def fitted():
    trial, true = make_trial(6000, 0, lambda x: 0.1 + 0.25 * x, shares=(0.4, 0.3, 0.3))
    return fit(trial), true


# risk modelling knows nothing but risk; the next test is its own
@pytest.mark.parametrize("name", sorted({*LEARNERS, AVERAGED} - {RISK_MODELLING.name}))
def test_a_learner_ranks_customers_as_their_true_effects_do(fitted, name):
    effects, true = fitted
    assert np.corrcoef(effects[name][:, 0], true[:, 0])[0, 1] > 0.5
    assert effects[name].mean(axis=0) == pytest.approx(true.mean(axis=0), abs=0.06)


def test_risk_modelling_finds_effects_that_grow_with_risk():
    trial, _ = make_trial(6000, 1)
    rng, x = np.random.default_rng(0), trial.rows.x1
    probability = 0.5 + 0.3 * x + np.where(trial.rows.arm == "call", 0.15 - 0.15 * x, 0)
    trial.rows["kept"] = (rng.random(len(x)) < probability).astype(float)
    assert np.corrcoef(fit(trial)[RISK_MODELLING.name][:, 0], -x)[0, 1] > 0.8


def test_every_learner_names_its_source():
    assert all(learner.source and learner.task == "effect" for learner in LEARNERS.values())

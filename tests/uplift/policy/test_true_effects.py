"""True effects: only simulated companies have them, and only over a quarter."""

from types import SimpleNamespace

from trial_maker import make_trial

from research.uplift.policy.true_effects import load_true_effects


def test_a_real_study_has_no_true_effects(write_study):
    trial, _ = make_trial(200, 0)
    assert load_true_effects(trial, write_study("contractual")) is None


def test_a_horizon_other_than_a_quarter_has_none():
    trial, _ = make_trial(200, 0)
    trial.rows["assigned_at"] = "2024-07-01"
    study = SimpleNamespace(simulate="any", churn=SimpleNamespace(horizon_days=30))
    assert load_true_effects(trial, study) is None

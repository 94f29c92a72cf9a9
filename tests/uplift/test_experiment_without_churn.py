"""An experiment with an outcome of its own needs no churn."""

import numpy as np
import pandas as pd
import pytest

from research.data.load import load_tables
from research.errors import NotApplicable, StudyError
from research.features.build import load_flat
from research.features.leakage.gate import check_panel
from research.features.remarks import find_remarks
from research.notebook import Run
from research.panel.learning import Panel
from research.survival.tenure import load_tenures
from research.uplift.average_effects import ADJUSTED, score_outcomes, tabulate_effects
from research.uplift.balance import check_trial
from research.uplift.policy.case import load_case
from research.uplift.trials import RANDOMISED, load_trials
from research.value.customers import value_customers

EFFECT = 0.15


def write(write_study, n: int = 1000, drop: tuple = (), **more):
    """Write a trial of a mail that brings visits, each worth 20 euros; nobody churns."""
    rng = np.random.default_rng(0)
    mailed = rng.permutation(np.arange(n) % 2)
    visit = (rng.random(n) < 0.3 + EFFECT * mailed).astype(int)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{number}" for number in range(n)],
            "arm": np.where(mailed == 1, "mail", "control"),
            "outcome": visit,
            "value": 20.0 * visit,
            "age": rng.normal(50, 10, n),
            **more,
        }
    ).drop(columns=[*drop])
    study = write_study(
        "flat",
        tables={"snapshot": frame},
        experiment={"assignment": "randomised"},
        economics={"currency": "EUR", "capacity": 300, "arms": {"mail": {"contact_cost": 1}}},
    )
    return study, load_tables(study)


def test_the_outcome_is_primary_and_its_effect_is_found(write_study):
    study, tables = write(write_study)
    trial = load_trials(tables, study)[RANDOMISED]
    assert [*trial.outcomes] == ["outcome", "value"] and trial.features == ["age"]
    checks = check_trial(trial, study)
    effects = tabulate_effects(checks.trial, score_outcomes(checks.trial, 0))
    row = effects[(effects.method == ADJUSTED) & (effects.outcome == "outcome")].iloc[0]
    assert row.low < EFFECT < row.high and row.low > 0
    case = load_case(trial, tables, study, 2, 1, 0)
    # a visit brings 20, a mail costs 1: its value is about 20 * 0.15 - 1 = 2 a customer
    assert case.net.mean() == pytest.approx(2, abs=1.2)


def test_money_alone_is_enough_and_an_outcome_without_arms_is_not(write_study):
    study, tables = write(write_study, drop=("outcome",))
    assert load_trials(tables, study)[RANDOMISED].primary == "value"
    with pytest.raises(StudyError, match="column churned: expected a column of flags"):
        write(write_study, drop=("arm",))
    with pytest.raises(StudyError, match="column churned: expected a column of flags"):
        write(write_study, drop=("outcome", "value"))


def test_an_outcome_that_nobody_has_is_refused(write_study):
    study, tables = write(write_study, drop=("value",), outcome=np.full(1000, np.nan))
    with pytest.raises(StudyError, match="an outcome or a value that is known of some customers"):
        load_trials(tables, study)


def test_churn_that_is_given_is_checked_as_before(write_study):
    churned = [None, *[True, False] * 499, True]
    with pytest.raises(StudyError, match="column churned: expected no empty values, got null"):
        write(write_study, churned=pd.array(churned, "boolean"))


def test_a_column_that_knows_the_outcome_is_a_leak(write_study):
    study, tables = write(write_study)
    frame = load_flat(tables, study)
    assert check_panel(tables, study, frame).allowed == ["age"]
    knowing = frame.assign(pages=np.where(frame.outcome == 1, 3.0, 0.0))
    assert check_panel(tables, study, knowing).excluded == ["pages"]


def test_the_data_are_described_without_churn(write_study):
    study, tables = write(write_study)
    frame = load_flat(tables, study)
    panel = Panel(frame, frame, None, tables)
    assert panel.counts.to_dict("records") == [{"customers": 1000}]
    assert len(find_remarks(tables, study, frame, check_panel(tables, study, frame))) == 0


def test_what_needs_churn_says_so(write_study):
    study, tables = write(write_study, duration=1.0, fee=10.0)
    with pytest.raises(NotApplicable, match="an experiment without churn; models of who"):
        Run(study, tables, 0).require_churn("models of who will leave")
    with pytest.raises(NotApplicable, match="experiment without churn"):
        load_tenures(tables, study)
    economics = study.economics.model_copy(update={"fee_column": "fee"})
    with pytest.raises(NotApplicable, match="experiment without churn"):
        value_customers(tables, study.model_copy(update={"economics": economics}), None, 0, 2, 0)

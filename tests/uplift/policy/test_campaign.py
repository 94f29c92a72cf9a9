"""From a study to a case: a flat trial whose money is known, end to end and by its truth."""

import numpy as np
import pandas as pd
import pytest

from research.data import load
from research.errors import StudyError
from research.uplift import trials
from research.uplift.policy import campaign, policies

ECONOMICS = {
    "currency": "EUR",
    "capacity": 300,
    "margin_share": 0.5,
    "arms": {"mail": {"contact_cost": 1}},
}


def write_trial(write_study, n: int = 1200, **changes):
    """Write a study of a mail that brings visits to those with a high ``taste``, each visit 20
    euros of which half remains.
    """
    rng = np.random.default_rng(0)
    taste, arm = rng.uniform(-1, 1, n), rng.permutation(np.arange(n) % 2)
    visit = rng.random(n) < 0.2 + arm * np.clip(0.4 * taste, 0, 1)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{number}" for number in range(n)],
            "churned": ~visit,
            "arm": np.where(arm == 1, "mail", "control"),
        }
    )
    frame = frame.assign(outcome=visit.astype(int), value=np.where(visit, 20.0, 0.0), taste=taste)
    experiment = {
        "assignment": "randomised",
        "primary": "outcome",
        "shares": {"control": 1, "mail": 1},
    }
    study = write_study(
        "flat",
        tables={"snapshot": frame},
        experiment=experiment,
        **({"economics": ECONOMICS} | changes),
    )
    tables = load.load_tables(study)
    return study, tables, trials.load_trials(tables, study)[trials.BY_LOT], taste


def test_a_flat_trial_with_money_becomes_a_case_whose_list_holds_those_who_gain(write_study):
    study, tables, trial, taste = write_trial(write_study)
    case = campaign.load_case(trial, tables, study, 3, 1, 0)
    assert case.worth.tolist() == [0.5] * 1200
    assert case.cost.tolist() == [[1.0]] * 1200
    order = np.argsort([int(name[1:]) for name in case.customers])
    assert np.corrcoef(case.gain[0, order, 0], np.clip(taste, 0, 1))[0, 1] > 0.6
    # a visit is worth 10: the mail earns 4 x taste less 1 from who has any, -1 from the others
    found = policies.contribute(case, 300.0, 300, 0)
    profit = {name: parts["profit"].sum() for name, parts in found.items()}
    assert profit[policies.WORTHWHILE] > max(profit[policies.LOT], 0)
    listed = campaign.list_targets(trial, tables, study, case, 300.0, 0)
    chosen = listed.customer_id[listed.decision == campaign.CONTACT].str[1:].astype(int)
    assert len(chosen) == 300
    assert taste[chosen].mean() > 0.4


def test_rows_without_an_outcome_teach_nothing_and_are_judged_by_nothing(write_study):
    study, tables, trial, _ = write_trial(write_study, 600)
    trial.rows.loc[:9, "value"] = np.nan
    case = campaign.load_case(trial, tables, study, 2, 1, 0)
    assert len(case.customers) == 590


def test_an_arm_without_costs_is_refused_before_anything_is_fitted(write_study):
    study, tables, trial, _ = write_trial(
        write_study, 400, economics={"currency": "EUR", "capacity": 5}
    )
    with pytest.raises(StudyError, match="expected the costs of the arm 'mail', got none"):
        campaign.load_case(trial, tables, study, 2, 1, 0)

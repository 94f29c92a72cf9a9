"""The contact list: who is contacted, and who is left alone."""

import numpy as np
from trial_maker import make_case, write_flat_trial

from research.uplift.policy.case import load_case
from research.uplift.policy.contact_list import (
    CONTACT,
    INCONCLUSIVE,
    LEAVE_ALONE,
    NO_ROOM,
    NOT_WORTH_COST,
    list_targets,
)
from research.uplift.policy.policies import NET_GAIN, RANDOM_SELECTION, evaluate_policies


def test_customers_are_contacted_or_left_alone_by_net_gain_and_effect(write_study):
    effect = np.array([[0.5], [0.3], [0.02], [-0.1]])
    case = make_case(effect, np.full((4, 1), 1.0), worth=10.0)
    study = write_study("flat", economics={"currency": "EUR", "capacity": 1})
    table = list_targets(None, {}, study, case, 10.0, 0).set_index("customer_id")
    assert table.decision.to_dict() == {0: CONTACT, 1: NO_ROOM, 2: NOT_WORTH_COST, 3: LEAVE_ALONE}
    assert table.net_gain.round(6).tolist() == [4.0, 2.0, -0.8, -2.0]
    assert table["rank"].tolist() == [1, 2, 3, 4]
    unsure = list_targets(None, {}, study, case, 10.0, 0, significant=False)
    assert unsure.set_index("customer_id").decision[0] == INCONCLUSIVE


def test_a_flat_trial_with_money_becomes_a_list_of_customers_who_gain(write_study):
    study, tables, trial, taste = write_flat_trial(write_study)
    case = load_case(trial, tables, study, 3, 1, 0)
    assert case.outcome_value.tolist() == [0.5] * 1200
    assert case.cost.tolist() == [[1.0]] * 1200
    order = np.argsort([int(name[1:]) for name in case.customers])
    assert np.corrcoef(case.gain[0, order, 0], np.clip(taste, 0, 1))[0, 1] > 0.6
    # a visit is worth 10: the mail earns 4 x taste less 1 where there is any, else -1
    contributions = evaluate_policies(case, 300.0, 300, 0)
    profit = {name: parts["profit"].sum() for name, parts in contributions.items()}
    assert profit[NET_GAIN] > max(profit[RANDOM_SELECTION], 0)
    listed = list_targets(trial, tables, study, case, 300.0, 0)
    chosen = listed.customer_id[listed.decision == CONTACT].str[1:].astype(int)
    assert len(chosen) == 300
    assert taste[chosen].mean() > 0.4

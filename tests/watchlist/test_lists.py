"""Who stands on the list, how it changed, and what is done about whom."""

from datetime import date

import pandas as pd
import pytest

from research.watchlist import lists
from research.watchlist.lists import (
    CONTACT,
    HARMED,
    NO_PLAY,
    SPARED,
    Situation,
    add_actions,
    add_reasons,
    compare_lists,
    list_gone,
    rank_customers,
)
from research.watchlist.playbook import Playbook

DAY = date(2024, 6, 30)
SCORED = pd.DataFrame(
    {
        "customer_id": ["d", "a", "b", "c", "e"],
        "risk": [0.9, 0.5, 0.5, 0.2, 0.1],
        "value_at_risk": [10.0, 60.0, 20.0, 20.0, 5.0],
    }
)
BOOK = Playbook.model_validate(
    {
        "rest_days": 30,
        "plays": [
            {
                "themes": "usage",
                "action": "message",
                "arm": "tips",
                "owner": "crm",
                "channel": "email",
                "deadline_days": 3,
                "cost": 0.5,
            },
            {
                "themes": "price",
                "action": "offer",
                "arm": "discount",
                "owner": "sales",
                "channel": "phone",
                "deadline_days": 7,
                "assumed_share": 0.2,
            },
        ],
    }
)


def test_the_list_is_by_value_at_risk_and_tiers_are_cut_by_it():
    top = rank_customers(SCORED, 4)
    # of 110: a has the first half, b (from 55 %) and c (from 73 %) reach four fifths, d is beyond
    assert top.customer_id.tolist() == ["a", "b", "c", "d"]
    assert top.tier.tolist() == ["high", "medium", "medium", "low"]
    assert top["rank"].tolist() == [1, 2, 3, 4]


def test_more_room_than_customers_lists_all_and_no_value_is_no_fault():
    assert len(rank_customers(SCORED, 100)) == 5
    nothing = rank_customers(SCORED.assign(value_at_risk=0.0), 2)
    assert nothing.customer_id.tolist() == ["d", "a"]


def test_changes_are_against_the_list_before():
    earlier = pd.DataFrame(
        {"customer_id": ["b", "a", "d", "z"], "rank": [1, 2, 4, 3], "lists_in_a_row": [1, 3, 2, 1]}
    )
    table = compare_lists(rank_customers(SCORED, 4), earlier).set_index("customer_id")
    assert table.change.to_dict() == {"a": "up", "b": "down", "c": "new", "d": "same place"}
    assert table.lists_in_a_row.to_dict() == {"a": 4, "b": 2, "c": 1, "d": 3}
    gone = list_gone(rank_customers(SCORED, 4), earlier, ["a", "b", "c", "d", "e"])
    assert gone.to_dict("records") == [
        {"customer_id": "z", "earlier_rank": 3, "still_customer": False}
    ]


def test_without_an_earlier_list_all_are_new():
    table = compare_lists(rank_customers(SCORED, 3), pd.DataFrame())
    assert set(table.change) == {"new"}
    assert list_gone(table, pd.DataFrame(), []).empty


@pytest.fixture
def listed() -> pd.DataFrame:
    reasons = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b", "c", "d"],
            "order": [1, 2, 1, 1, 1],
            "text": ["visits: 0; usually 7", "fee: 50; usually 20", "fee", "plan", "visits"],
            "theme": ["usage", "price", "price", "contract", "usage"],
        }
    )
    return add_reasons(rank_customers(SCORED, 5), reasons.assign(stable=True))


def test_reasons_stand_side_by_side(listed):
    row = listed.set_index("customer_id").loc["a"]
    assert (row.reason_1, row.reason_2, row.reason_3) == (
        "visits: 0; usually 7",
        "fee: 50; usually 20",
        "",
    )
    assert row.theme == "usage"
    assert listed.set_index("customer_id").loc["e", "reason_1"] == ""


def test_actions_follow_the_playbook_and_who_is_spared_or_harmed_is_not_contacted(listed):
    situation = Situation(
        DAY,
        5,
        contacted=pd.Series({"d": pd.Timestamp("2024-06-20"), "a": pd.Timestamp("2024-03-01")}),
        costs={"discount": 4.0},
    )
    table = add_actions(listed, BOOK, situation).set_index("customer_id")
    assert table.decision.to_dict() == {
        "a": CONTACT,
        "b": CONTACT,
        "c": NO_PLAY,
        "d": SPARED,
        "e": NO_PLAY,
    }
    assert table.loc["a", ["arm", "owner", "channel", "cost"]].tolist() == [
        "tips",
        "crm",
        "email",
        0.5,
    ]
    assert table.cost["b"] == 4.0
    assert table.deadline["a"] == pd.Timestamp("2024-07-03")
    assert table.evidence.to_dict()["a"] == lists.NOT_TESTED
    assert table.evidence.to_dict()["b"] == "assumption"
    harmed = add_actions(listed, BOOK, Situation(DAY, 5, harmed=frozenset({"a"})))
    assert harmed.set_index("customer_id").decision["a"] == HARMED


def test_an_arm_that_a_campaign_has_shown_to_harm_is_dropped_and_a_doubtful_one_is_not(listed):
    effects = pd.DataFrame(
        {"effect_points": [-3.0, 1.0], "effect_low": [-5.0, -1.0], "effect_high": [-1.0, 3.0]},
        index=["tips", "discount"],
    )
    table = add_actions(listed, BOOK, Situation(DAY, 5, effects=effects)).set_index("customer_id")
    assert table.decision["a"] == table.decision["d"] == HARMED
    assert table.decision["b"] == CONTACT
    assert table.evidence["b"] == "randomised campaign"


def test_without_a_playbook_the_list_names_nobody_to_contact(listed):
    table = add_actions(listed, None, Situation(DAY, 5))
    assert set(table.decision) == {NO_PLAY}

"""A playbook is checked like study.yml, and no effect is typed in by hand."""

import pytest
import yaml

from research.errors import StudyError
from research.watchlist.playbook import load_playbook

PLAY = {
    "action": "call",
    "arm": "call",
    "owner": "service",
    "channel": "phone",
    "deadline_days": 7,
}


@pytest.fixture
def load(write_study):
    study = write_study()

    def write(*plays: dict, **keys):
        text = yaml.safe_dump({"plays": list(plays)} | keys, sort_keys=False)
        (study.folder / "playbook.yml").write_text(text)
        return load_playbook(study)

    return write


def test_a_study_may_have_no_playbook(write_study):
    assert load_playbook(write_study()) is None


def test_the_first_play_that_suits_is_taken(load):
    usage = PLAY | {"themes": "usage", "tiers": ["high", "medium"], "arm": "tips"}
    book = load(usage, PLAY | {"tiers": "high"}, PLAY | {"themes": ["price"], "arm": "discount"})
    assert book.choose("usage", "high").arm == "tips"
    assert book.choose("service", "high").arm == "call"
    assert book.choose("price", "low").arm == "discount"
    assert book.choose("usage", "low") is None
    assert book.arms == ["tips", "call", "discount"]


def test_the_version_changes_with_any_play(load):
    one, other, again = (load(PLAY | {"cost": cost}).version for cost in (1, 2, 1))
    assert one == again != other


@pytest.mark.parametrize(
    ("play", "keys", "words"),
    [
        ({"themes": "weather"}, {}, "key plays.0.themes.0: expected"),
        ({"tiers": "top"}, {}, "key plays.0.tiers.0: expected"),
        ({"arm": "control"}, {}, "expected an arm of its own, got 'control'"),
        ({"success_rate": 0.3}, {}, "expected no effect typed in by hand, got success_rate: 0.3"),
        ({"uplift": 0.1}, {}, "or write assumed_share, which is shown as an assumption"),
        ({"deadline_days": 0}, {}, "expected at least 1, got 0"),
        ({"chanel": "phone"}, {}, "did you mean 'channel'"),
        ({}, {"holdout": {"share": 0.05}}, "expected a share of at least 0.1, or 0 with a reason"),
        ({}, {"holdout": {"share": 0}}, "expected a reason for a share of 0"),
        ({}, {"rest_days": -1}, "expected at least 0, got -1"),
    ],
)
def test_each_fault_is_one_sentence(load, play, keys, words):
    with pytest.raises(StudyError) as caught:
        load(PLAY | play, **keys)
    assert len(caught.value.faults) == 1
    assert words in caught.value.faults[0]
    assert caught.value.faults[0].startswith("data/tiny/playbook.yml")


def test_a_play_that_nobody_reaches_is_refused(load):
    with pytest.raises(StudyError, match="play 2: expected a play that some reason and tier reach"):
        load(PLAY, PLAY | {"themes": "price", "arm": "discount"})


def test_no_plays_are_a_fault(load):
    with pytest.raises(StudyError, match="expected at least one play, got none"):
        load()


def test_an_assumption_and_a_reasoned_lack_of_a_holdout_are_allowed(load):
    book = load(PLAY | {"assumed_share": 0.2}, holdout={"share": 0, "reason": "pilot of a week"})
    assert book.plays[0].assumed_share == 0.2
    assert book.holdout.share == 0

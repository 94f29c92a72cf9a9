"""``research train`` and ``research score`` from the command line."""

import sys
from types import ModuleType

import pytest
from town_companies import DAY, draw, write

from research import cli
from research.errors import StudyError
from research.watchlist import forecast, model_store

KEPT: list[tuple] = []


class FakeHistory:
    """Keeps what it is given, and refuses other scores of the same day without a reason."""

    def __init__(self, folder):
        self.folder = folder

    def append(self, kind, snapshot, frame, inputs, revise=""):
        """Keep scores; see ``watchlist.history``."""
        if any(snapshot == day and inputs != own for _, day, _, own in KEPT) and not revise:
            raise StudyError("other scores of that day are there; give a reason with --revise")
        KEPT.append((kind, snapshot, frame, inputs))


@pytest.fixture
def company(write_study, monkeypatch):
    module = ModuleType("history")
    module.History = FakeHistory
    monkeypatch.setitem(sys.modules, "research.watchlist.history", module)
    monkeypatch.setattr(forecast, "MOST_WINDOWS", 2)
    KEPT.clear()
    return write(write_study, draw(900), model="single tree")


def test_a_cycle_trains_once_scores_everybody_and_appends_to_the_history(company, capsys):
    study, _ = company
    assert cli.main(["score", "tiny"]) == 0  # there is no model yet
    out = capsys.readouterr().out
    assert "no model is kept yet: one was trained" in out
    assert "are expected to leave by 2025-03-11, with" in out
    [(kind, day, frame, inputs)] = KEPT
    assert (kind, day) == ("sent", DAY)
    assert {"customer_id", "risk", "risk_low", "risk_high", "model", "known_by"} <= {*frame}
    assert cli.main(["train", "tiny"]) == 0
    assert "kept already, from the same inputs" in capsys.readouterr().out
    assert cli.main(["score", "tiny", "--at", str(DAY)]) == 0
    assert KEPT[-1][0] == "sent"
    assert KEPT[-1][3] == inputs
    assert len([*model_store.locate_models(study).iterdir()]) == 1


def test_an_earlier_day_is_scored_by_a_model_of_that_day_and_marked_as_replayed(company, capsys):
    assert cli.main(["score", "tiny", "--at", "2024-11-30"]) == 0
    [(kind, _, frame, _)] = KEPT
    assert kind == "replayed"
    assert frame.model.str.startswith("2024-11-30-").all()


@pytest.mark.parametrize(
    ("arguments", "sentence", "code"),
    [
        (["score", "tiny", "--at", "2025-01-01"], "on or before the last day of the data", 1),
        (["score", "tiny", "--at", "2023-06-20"], "on or after 2023-06-30", 1),
        (["train", "tiny", "--at", "soon"], "expected a day in the form 2025-06-30", 2),
        (["train", "tiny", "--model", "oracle"], "model to keep: expected a model of", 2),
        (["score", "nowhere"], "expected a study in data/nowhere/study.yml", 2),
    ],
)
def test_a_fault_is_one_sentence_and_nothing_is_kept(company, capsys, arguments, sentence, code):
    study, _ = company
    assert cli.main(arguments) == code
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert "Traceback" not in printed.err
    assert KEPT == []
    assert not model_store.locate_models(study).exists()

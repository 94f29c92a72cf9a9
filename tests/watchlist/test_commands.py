"""``research train`` and ``research score`` from the command line."""

import pytest
from town_companies import DAY, draw, write

from research import cli
from research.watchlist import forecast, model_store
from research.watchlist.history import History, locate_history


@pytest.fixture
def company(write_study, monkeypatch):
    monkeypatch.setattr(forecast, "MOST_WINDOWS", 2)
    return write(write_study, draw(900), model="single tree")


def test_a_cycle_trains_once_scores_everybody_and_appends_to_the_history(company, capsys):
    study, _ = company
    assert cli.main(["score", "tiny"]) == 0  # there is no model yet
    out = capsys.readouterr().out
    assert "no model is kept yet: one was trained" in out
    assert "are expected to leave by 2025-03-11, with" in out
    history = History(locate_history("tiny"))
    [entry] = history.entries
    assert (entry.kind, entry.snapshot) == ("sent", str(DAY))
    columns = {"customer_id", "risk", "risk_low", "risk_high", "model", "known_by"}
    assert columns <= {*history.read("sent")}
    assert cli.main(["train", "tiny"]) == 0
    assert "kept already, from the same inputs" in capsys.readouterr().out
    assert cli.main(["score", "tiny", "--at", str(DAY)]) == 0
    assert history.entries == [entry]  # the same inputs: nothing is appended
    assert len([*model_store.locate_models(study).iterdir()]) == 1


def test_an_earlier_day_is_scored_by_a_model_of_that_day_and_marked_as_replayed(company, capsys):
    assert cli.main(["score", "tiny", "--at", "2024-11-30"]) == 0
    history = History(locate_history("tiny"))
    assert [entry.kind for entry in history.entries] == ["replayed"]
    assert history.read("replayed").model.str.startswith("2024-11-30-").all()


def test_another_model_of_the_same_day_needs_a_reason(company, capsys):
    assert cli.main(["score", "tiny"]) == 0
    write_again = company[0].folder / "study.yml"
    text = write_again.read_text().replace("single tree", "elastic net")
    write_again.write_text(text)
    assert cli.main(["train", "tiny"]) == 0
    assert cli.main(["score", "tiny"]) == 1
    assert "--revise" in capsys.readouterr().err
    assert cli.main(["score", "tiny", "--revise", "the tree was too coarse"]) == 0
    last = History(locate_history("tiny")).entries[-1]
    assert (last.revision, last.reason) == (1, "the tree was too coarse")


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
    assert History(locate_history("tiny")).entries == []
    assert not model_store.locate_models(study).exists()


def test_check_names_a_model_of_the_study_that_no_classifier_is_called(write_study, capsys):
    write(write_study, draw(400), model="singel tree")
    assert cli.main(["check", "tiny"]) == 2
    error = capsys.readouterr().err
    assert "study.yml, key model: expected a model of" in error
    assert "did you mean 'single tree'?" in error

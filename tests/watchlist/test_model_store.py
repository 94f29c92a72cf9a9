"""Kept models on disk: whole or not at all, and never a file that could run code."""

import json
import zipfile
from datetime import date

import numpy as np
import pytest
import skops.io
from small_companies import customers

from research.errors import StudyError
from research.models.registry import list_at_horizon, list_baselines, list_logistic, list_trees
from research.risk.predict import fit_model
from research.watchlist import model_store
from research.watchlist.fitted import fit_kept
from research.watchlist.model_store import CARD, MODEL, KeptModel

FEATURES = ["signal", "noise", "plan"]
ROWS = customers(600).assign(
    event_observed=lambda rows: rows.churned, time_to_event_days=range(1, 601)
)


@pytest.fixture
def study(write_study):
    return write_study("contractual")


def make(study, day: str = "2024-06-30", name: str = "single tree", **changes) -> KeptModel:
    models = list_baselines({"signal": "signal"}, 0) | list_trees(0, {})
    card = {
        "id": f"{day}-abc",
        "day": day,
        "made_at": f"{day}T12:00:00+00:00",
        "definition": model_store.define_churn(study),
        "versions": model_store.find_versions(),
        "features": [],
    }
    return KeptModel(card | changes, fit_kept(models[name], models, ROWS, FEATURES, 0))


def test_a_model_is_loaded_as_it_was_kept(study):
    kept = make(study)
    folder = model_store.save_model(study, kept)
    assert sorted(path.name for path in folder.iterdir()) == [CARD, MODEL]
    again = model_store.load_model(folder)
    assert np.array_equal(again.fitted.predict(ROWS), kept.fitted.predict(ROWS))
    assert (again.id, again.day) == ("2024-06-30-abc", date(2024, 6, 30))


@pytest.mark.parametrize(
    "name",
    [*list_logistic(0), *list_trees(0, {}), *list_at_horizon(60, True, 0)],
)
def test_every_classifier_holds_types_of_the_list_alone_and_is_loaded_to_the_bit(name):
    models = list_logistic(0) | list_trees(0, {"signal": 1}) | list_at_horizon(60, True, 0)
    fitted = fit_model(models[name], ROWS, FEATURES)
    parts = skops.io.dumps(fitted, compression=zipfile.ZIP_DEFLATED)
    types = skops.io.get_untrusted_types(data=parts)
    assert [each for each in types if not model_store.is_trusted(each)] == []
    again = skops.io.loads(parts, trusted=types)
    assert np.array_equal(again.predict_proba(ROWS[FEATURES]), fitted.predict_proba(ROWS[FEATURES]))


def test_a_file_that_was_changed_is_not_loaded(study):
    folder = model_store.save_model(study, make(study))
    (folder / MODEL).write_bytes((folder / MODEL).read_bytes() + b" ")
    with pytest.raises(StudyError, match="expected the SHA-256 of its card.*was changed"):
        model_store.load_model(folder)


class Alien:
    """A class that no model of ours holds."""

    def __init__(self):
        self.x = 1


@pytest.mark.parametrize(
    "content", [skops.io.dumps({"estimators": Alien()}), b"no model", skops.io.dumps({"a": 1})]
)
def test_a_foreign_file_is_refused_even_where_its_card_fits(study, content):
    folder = model_store.save_model(study, make(study))
    (folder / MODEL).write_bytes(content)
    card = json.loads((folder / CARD).read_text())
    digest = model_store.hashlib.sha256(content).hexdigest()
    (folder / CARD).write_text(json.dumps(card | {"sha256": digest}))
    with pytest.raises(StudyError, match="is foreign, and is not loaded|got a file that is none"):
        model_store.load_model(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"id": "x"}'])
def test_a_damaged_card_is_one_sentence(study, text):
    folder = model_store.save_model(study, make(study))
    (folder / CARD).write_text(text)
    with pytest.raises(StudyError, match="expected the card of a kept model, got a missing or"):
        model_store.load_model(folder)
    (folder / CARD).unlink()
    with pytest.raises(StudyError, match="expected the card of a kept model"):
        model_store.load_model(folder)


def test_a_model_without_its_file_or_of_other_libraries_is_one_sentence(study):
    folder = model_store.save_model(study, make(study))
    (folder / MODEL).unlink()
    with pytest.raises(StudyError, match="but it can't be read; remove the folder"):
        model_store.load_model(folder)
    other = make(study, "2024-07-31", versions=model_store.find_versions() | {"lightgbm": "1.0"})
    folder = model_store.save_model(study, other)
    with pytest.raises(StudyError, match=r"got one of lightgbm 1\.0 \(now lightgbm"):
        model_store.load_model(folder)


def test_the_newest_model_that_may_score_a_day_is_found(study, write_study):
    for day in ("2024-04-30", "2024-05-31", "2024-06-30"):
        model_store.save_model(study, make(study, day))
    folder, reasons = model_store.find_kept(study, date(2024, 5, 31))
    assert folder.name == "2024-05-31-abc"
    assert "2024-06-30-abc learned from what was known by 2024-06-30" in reasons
    assert model_store.find_kept(study, date(2024, 4, 29))[0] is None
    longer = write_study("contractual", churn={"horizon_days": 60, "lead_days": 0})
    folder, reasons = model_store.find_kept(longer, date(2024, 6, 30))
    assert folder is None
    assert "was trained for another definition of churn" in reasons


def test_what_a_killed_process_left_half_written_is_no_model_and_is_removed(study):
    half = model_store.locate_models(study) / f"{model_store.SCRATCH}xyz"
    half.mkdir(parents=True)
    (half / CARD).write_text("{")
    assert [*model_store.list_kept(study)] == []
    folder = model_store.save_model(study, make(study))
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_the_same_model_again_replaces_the_folder(study):
    model_store.save_model(study, make(study))
    folder = model_store.save_model(study, make(study, title="again"))
    assert model_store.read_card(folder)["title"] == "again"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_folder_that_cannot_be_written_is_one_sentence(study):
    folder = model_store.locate_models(study)
    folder.parent.mkdir()
    folder.write_text("a file where the folder should be")
    with pytest.raises(StudyError, match="expected"):
        model_store.save_model(study, make(study))

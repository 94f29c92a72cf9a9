"""The kept model: what it learns from, how it is chosen, and what its card says."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from town_companies import DAY, draw, write

from research.errors import StudyError, UsageError
from research.watchlist import kept_model
from research.watchlist.kept_model import KEPT, bin_tenths, train_model
from research.watchlist.scored_day import look_from


@pytest.fixture(scope="module")
def company(write_shared):
    return write(write_shared)


@pytest.fixture(scope="module")
def kept(company):
    study, tables = company
    return train_model(tables, study, named="logistic regression")


def test_the_card_says_what_the_model_learned_from_and_what_it_is_worth(company, kept):
    study, _ = company
    card = kept.card
    latest = DAY - timedelta(days=70)  # lead and horizon
    assert card["train"]["snapshots"] == [str(latest - timedelta(days=30)), str(latest)]
    assert (card["model"], card["is_rule"]) == ("logistic regression", False)
    assert "strongest rule" in card["chosen"]
    assert card["judged"]["snapshot"] == str(latest)
    assert card["judged"]["closes"] == str(DAY)
    # those that judged had learned from windows that closed by the judged snapshot
    assert max(card["judged"]["learned_from"]) == str(latest - timedelta(days=70))
    names = {row["model"] for row in card["scores"]}
    assert names == {KEPT, card["strongest_rule"], "base rate"}
    [gain] = [row for row in card["scores"] if row["reference"] and row["metric"] == "log_loss"]
    assert gain["high"] < 0
    town = next(each for each in card["features"] if each["feature"] == "town")
    assert (town["kind"], town["categories"]) == ("text", ["busy", "calm", "wild"])
    assert card["id"].startswith(f"{DAY}-")
    assert 0 < card["train"]["churners"] < card["train"]["customers"] <= card["train"]["rows"]


def test_the_risk_is_that_of_the_true_hazards(company, kept):
    study, tables = company
    present = pd.concat(look_from(tables, study, DAY).load_parts(), ignore_index=True)
    risk = pd.Series(kept.fitted.predict(present)).groupby(present.town).mean()
    for town, life in {"calm": 3000, "busy": 400, "wild": 90}.items():
        assert risk[town] == pytest.approx(1 - np.exp(-60 / life), abs=0.1)


def test_what_happens_after_the_day_changes_nothing_of_the_model(write_study):
    day = date(2024, 9, 30)
    given = draw(900)
    after = given["contracts"].ended_at > pd.Timestamp(day)
    other = given | {
        "contracts": given["contracts"].assign(ended_at=given["contracts"].ended_at.mask(after))
    }
    cards = []
    for name, tables in {"one": given, "two": other}.items():
        study, loaded = write(write_study, tables, name=name)
        card = train_model(loaded, study, day, named="single tree").card
        changing = ("id", "study", "made_at", "data_hash", "study_hash")
        cards.append({key: value for key, value in card.items() if key not in changing})
    assert cards[0] == cards[1]


def test_an_attribute_written_at_leaving_is_found_though_some_have_not_left_by_the_day(write_study):
    tables = draw(900)
    rng = np.random.default_rng(1)
    leaves = tables["contracts"].ended_at.notna() & (rng.random(900) < 0.9)
    tables["customers"]["goodbye"] = np.where(leaves, "sent", None)
    study, loaded = write(write_study, tables)
    card = train_model(loaded, study, date(2024, 9, 30), named="single tree").card
    assert [row["column"] for row in card["leaks"]] == ["goodbye"]
    assert "goodbye" not in card["allowed"]
    area = next(row for row in card["scores"] if row["metric"] == "auc" and row["model"] == KEPT)
    assert area["value"] < 0.85  # the true hazards differ by town alone


def test_too_few_leavers_to_learn_from_are_one_sentence(write_study):
    study, tables = write(write_study, draw(60))
    with pytest.raises(
        StudyError, match=r"at least 30 customers who left.*no model can be trained"
    ):
        train_model(tables, study)


def test_a_single_closed_window_is_too_few_to_choose_on(write_study):
    study, tables = write(write_study, draw(60))
    with pytest.raises(StudyError, match="expected two closed label windows by 2023-09-30"):
        train_model(tables, study, date(2023, 9, 30))


def test_a_model_named_in_the_study_is_looked_for_among_all(write_study):
    study, tables = write(write_study, model="single treee")
    with pytest.raises(UsageError, match="did you mean 'single tree'"):
        train_model(tables, study)


def test_of_too_many_rows_some_customers_are_drawn_with_all_their_rows(company, monkeypatch):
    study, tables = company
    outlook = look_from(tables, study, DAY)
    every = kept_model.load_rows(tables, study, outlook.train, DAY, 0)
    monkeypatch.setattr(kept_model, "MOST_ROWS", len(every) // 3)
    some = kept_model.load_rows(tables, study, outlook.train, DAY, 0)
    assert len(some) == pytest.approx(len(every) / 3, rel=0.15)
    rows, drawn = (frame.groupby("customer_id").size() for frame in (every, some))
    assert drawn.equals(rows[drawn.index])
    again = kept_model.load_rows(tables, study, outlook.train, DAY, 0)
    pd.testing.assert_frame_equal(some, again)


def test_tenths_keep_equal_risks_together_and_have_the_observed_share():
    rows = pd.DataFrame(
        {
            "repeat": 0,
            "customer_id": range(100),
            KEPT: np.repeat([0.1, 0.5], 50),
            "churned": np.r_[np.arange(50) < 5, np.arange(50) < 30],
        }
    )
    low, high = bin_tenths(rows)
    assert (low["risk_from"], low["risk_to"], low["customers"]) == (0.1, 0.1, 50)
    assert low["observed"] == pytest.approx(5 / 50)
    assert high["observed"] == pytest.approx(30 / 50)
    # Wilson's interval of 5 of 50: 0.043 to 0.214
    assert (low["low"], low["high"]) == (
        pytest.approx(0.0435, abs=1e-3),
        pytest.approx(0.2136, abs=1e-3),
    )

"""Everybody scored on a day by a kept model."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from town_companies import DAY, draw, write

from research.errors import StudyError
from research.features import assembly
from research.models.registry import list_trees
from research.watchlist.fitted import fit_kept
from research.watchlist.model_store import KeptModel
from research.watchlist.scored_day import look_from
from research.watchlist.scoring import find_monthly_amount, find_ranges, score_day

FEATURES = [
    {"feature": "tenure_days", "kind": "number", "categories": []},
    {"feature": "town", "kind": "text", "categories": ["busy", "calm", "wild"]},
]
TENTHS = [
    {"risk_from": 0.0, "risk_to": 0.1, "low": 0.02, "high": 0.08},
    {"risk_from": 0.2, "risk_to": 0.9, "low": 0.4, "high": 0.6},
]


@pytest.fixture(scope="module")
def company(write_shared):
    return write(write_shared, draw(400))


@pytest.fixture(scope="module")
def model() -> KeptModel:
    """A tree that learned by hand: who lives in the wild town leaves."""
    rng = np.random.default_rng(0)
    town = rng.choice(["busy", "calm", "wild"], 600)
    rows = pd.DataFrame({"customer_id": range(600), "tenure_days": 1.0, "town": town})
    rows["churned"] = (town == "wild") & (rng.random(600) < 0.8)
    models = list_trees(0, {})
    fitted = fit_kept(models["single tree"], models, rows, ["tenure_days", "town"], 0)
    card = {
        "id": "by-hand",
        "day": "2024-10-31",
        "model": "single tree",
        "features": FEATURES,
        "tenths": TENTHS,
        "lead_ratio": 0.5,
        "train": {"snapshots": ["2024-08-22"], "churners": 100},
    }
    return KeptModel(card, fitted)


def test_everybody_of_the_population_is_scored_once_without_labels(company, model):
    study, tables = company
    rows = score_day(tables, study, model, DAY).rows
    contracts = tables["contracts"].to_pandas()
    running = contracts.customer_id[contracts.ended_at.isna()]
    assert rows.customer_id.tolist() == sorted(running)
    town = tables["customers"].to_pandas().set_index("customer_id").town[rows.customer_id]
    assert rows.risk.to_numpy()[town == "wild"].min() > 0.6
    assert rows.risk.to_numpy()[town != "wild"].max() < 0.1
    # the cumulative hazard in the lead is half of that in the window
    assert np.allclose(1 - rows.lead_risk, (1 - rows.risk) ** 0.5)
    assert np.allclose(1 - rows.risk_by_end, (1 - rows.risk) ** 1.5)
    assert (rows.monthly_amount == 10).all()
    assert (rows.snapshot == pd.Timestamp(DAY)).all()


def test_parts_of_customers_give_the_same_as_all_at_once(company, model, monkeypatch):
    study, tables = company
    whole = score_day(tables, study, model, DAY)
    monkeypatch.setattr(assembly, "PART", 37)
    parts = score_day(tables, study, model, DAY)
    pd.testing.assert_frame_equal(whole.rows, parts.rows)
    assert len([*look_from(tables, study, DAY).load_parts()]) > 3


def test_a_new_town_is_scored_and_remarked(write_study, model):
    tables = draw(200)
    tables["customers"].loc[:4, "town"] = "new"
    study, loaded = write(write_study, tables)
    [remark] = score_day(loaded, study, model, DAY).remarks
    assert "the feature town has values that the model has not seen, 'new'" in remark


def test_a_model_that_learned_from_later_days_scores_no_earlier_one(company, model):
    study, tables = company
    with pytest.raises(StudyError, match="learned from what was known by 2024-10-30, got by-hand"):
        score_day(tables, study, model, date(2024, 10, 30))
    assert len(score_day(tables, study, model, date(2024, 10, 31)).rows)


def test_a_day_without_customers_is_one_sentence(write_study, model):
    tables = draw(60)
    tables["contracts"]["ended_at"] = tables["contracts"].started_at + timedelta(days=9)
    study, loaded = write(write_study, tables)
    with pytest.raises(StudyError, match="expected customers on 2024-12-31, got none"):
        score_day(loaded, study, model, DAY)


def test_the_range_is_that_of_the_judged_group_nearest_in_risk():
    low, high = find_ranges(np.array([0.0, 0.149, 0.151, 1.0]), TENTHS)  # the edge lies at 0.15
    assert low.tolist() == [0.02, 0.02, 0.4, 0.4]
    assert high.tolist() == [0.08, 0.08, 0.6, 0.6]
    one, _ = find_ranges(np.array([0.3]), TENTHS[:1])
    assert one.tolist() == [0.02]


def test_the_monthly_amount_of_buyers_is_their_mean_spend_in_30_days(company):
    study, _ = company
    buyers = study.model_copy(update={"kind": "non_contractual"})
    frame = pd.DataFrame({"sum_amount_60d": [120.0, 0.0]})
    assert find_monthly_amount(frame, buyers).tolist() == [60, 0]  # windows of 30 and 60 days
    assert np.isnan(find_monthly_amount(frame[[]], buyers)).all()

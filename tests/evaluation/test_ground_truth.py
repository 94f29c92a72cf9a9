"""No column predicts better than the truth of a generated company, and models are scored by it."""

import re

import numpy as np
import pandas as pd
import pytest
from simulated_companies import RARE
from sklearn.metrics import roc_auc_score

from research.data import fetch, load
from research.evaluation import ground_truth
from research.features import build
from research.study import Study, adjust, load_study
from research.study_schema import TRAPS


@pytest.fixture(scope="module")
def panel(tmp_path_factory) -> tuple[pd.DataFrame, pd.DataFrame, list[str], Study]:
    """Features and labels at the end of June 2025 of a demo without leakage, and true hazards."""
    source, home = load_study("demo").folder, tmp_path_factory.mktemp("home")
    folder = home / "data" / "demo"
    folder.mkdir(parents=True)
    for path in (*source.glob("*.sql"), source / "study.yml"):
        text = re.sub(r",\s+retention_offer_code", "", path.read_text(encoding="utf-8"))
        kept = [name for name in TRAPS if name != "knowing_attribute"]
        text = text.replace(
            "customers: 6000, months: 24, seed: 0",
            f"customers: 5000, months: 24, seed: 0, traps: [{', '.join(kept)}]",
        )
        (folder / path.name).write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESEARCH_HOME", str(home))
        study = adjust(
            load_study("demo"), snapshot="2025-06-30", lead_days=0, horizon_days=92
        )  # July to September
        fetch.fetch(study)
        frame = build.load_panel(load.adapt(study), study, [study.snapshots.last])
        return (
            frame,
            pd.read_parquet(study.raw / "truth" / "hazards"),
            build.list_features(frame, study),
            study,
        )


def test_no_contract_column_predicts_the_outcome_better_than_the_true_hazard(panel):
    frame, hazards, columns, _ = panel
    hazards = hazards[hazards.month == "2025-07-01"].set_index("customer_id")
    assert set(frame.customer_id) == set(hazards.index[hazards.voluntary.notna()])
    best = roc_auc_score(frame.churned, hazards.risk_3_months[frame.customer_id])
    # "name" has nearly one value for each customer: its rates would be the labels themselves
    columns = [name for name in columns if name != "name"]
    shares = {
        name: frame.churned.groupby(frame[name].fillna("")).transform("mean")
        for name in columns
        if frame[name].dtype == object
    }
    rates = {name: shares.get(name, frame[name]) for name in columns}
    areas = {
        name: roc_auc_score(frame.churned, values.fillna(values.median()))
        for name, values in rates.items()
    }
    areas = pd.Series({name: max(area, 1 - area) for name, area in areas.items()})
    assert 0.8 < best < 0.95
    assert areas.max() < best - 0.05
    assert areas.max() > 0.6


def test_given_the_true_hazard_no_column_predicts_the_outcome(panel):
    """Who leaves is drawn from the hazard alone, so that what is left of the outcome when the risk
    is taken off goes with no column.

    For every column, the sum of (left - risk) times its centred rank has the mean 0 and the
    variance of the draws.
    """
    frame, hazards, columns, _ = panel
    risk = (
        hazards[hazards.month == "2025-07-01"]
        .set_index("customer_id")
        .risk_3_months[frame.customer_id]
        .to_numpy()
    )
    ranks = (
        pd.get_dummies(frame[[name for name in columns if name != "name"]], dummy_na=True).rank(
            pct=True
        )
        - 0.5
    )
    ranks = ranks.fillna(0).loc[:, lambda table: table.nunique() > 1]
    surprise = (frame.churned - risk).to_numpy() @ ranks / np.sqrt((risk * (1 - risk)) @ ranks**2)
    assert len(ranks.columns) > 60
    assert surprise.abs().max() < 4


def test_the_truth_itself_closes_the_whole_gap_and_the_base_rate_none_of_it():
    rng = np.random.default_rng(0)
    risk = pd.Series(rng.beta(1, 9, 5000), [f"c{i}" for i in range(5000)])
    rows = pd.DataFrame(
        {
            "customer_id": risk.index,
            "truth": risk.to_numpy(),
            "base": risk.mean(),
            "half": (risk.to_numpy() + risk.mean()) / 2,
        }
    )
    table = ground_truth.score_risks(
        rows, risk[:4000], dict.fromkeys(["truth", "base", "half"], "any"), "base", 100, 0
    ).set_index("model")
    assert table.gap_closed_share[["truth", "base"]].tolist() == pytest.approx([1, 0])
    # the loss is about quadratic: a half way closes three quarters
    assert 0.6 < table.low["half"] < table.gap_closed_share["half"] < table.high["half"] < 0.9
    assert table.miss_points["half"] == pytest.approx(
        100 * (risk[:4000] - risk.mean()).pow(2).mean() ** 0.5 / 2
    )
    assert (table.n == 4000).all()


def test_the_true_risks_fit_what_happened_in_the_window(panel):
    frame, _, _, study = panel
    rows = frame.set_index("customer_id").join(
        ground_truth.load_true_risks(study, study.snapshots.last), how="inner"
    )
    assert len(rows) == len(frame)
    assert abs(rows.churned.sum() - rows.true_risk.sum()) < RARE * np.sqrt(
        (rows.true_risk * (1 - rows.true_risk)).sum()
    )


@pytest.mark.parametrize("changes", [{"horizon_days": 60}, {"lead_days": 14}])
def test_where_the_window_is_no_quarter_there_are_no_true_risks(panel, changes):
    study = adjust(panel[3], **changes)
    assert ground_truth.load_true_risks(study, study.snapshots.last).empty

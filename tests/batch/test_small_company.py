"""Every notebook once, in one batch: a small simulated company, from its raw files to pages."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from projects import copy_project

from research import cli
from research.batch.agreement import find_contradictions

SMALL = {"customers": 600, "months": 24, "seed": 3}
FEW = {"resamples": 200, "folds": 2, "repeats": 1, "placebos": 1, "refits": 2, "origins": 0}
FEW |= {"periods": 4, "tuning_trials": 0, "windows": 2}
ALL = ["10_data", "20_lifecycle", "30_risk", "40_survival", "50_value", "60_uplift"]
ALL += ["62_observational", "65_targeting", "70_watchlist"]
TABLES = {
    "value",
    "value_judged",
    "forecast",
    "forecast_replay",
    "offers",
    "effects",
    "uplift_scores",
    "associations",
    "next_test",
    "policy_value",
    "best_budget",
    "deciding_sum",
    "profit_curve",
    "targets",
    "risk_scores",
    "drivers",
    "counts",
    "indicators",
    "stages",
    "transitions",
    "cohorts",
    "segments",
    "watchlist",
    "watchlist_backtest",
    "watchlist_model",
}


def write_small(root: Path) -> None:
    """Copy the project with a small demo, the same company without campaigns, and their plan."""
    copy_project(root)
    demo, alone = root / "data" / "demo", root / "data" / "alone"
    definition = yaml.safe_load((demo / "study.yml").read_text()) | {"simulate": SMALL}
    definition["snapshots"] |= {"train": 1}
    definition["features"] = {"windows": [30]}
    definition["lifecycle"]["segments"] = ["plan"]
    (demo / "study.yml").write_text(yaml.safe_dump(definition, sort_keys=False))
    shutil.copytree(demo, alone, ignore=shutil.ignore_patterns("campaigns.sql"))
    demo_plan = {"notebooks": ALL, "runs": {"default": FEW}}
    plan = {"demo": demo_plan, "alone": {"notebooks": ["66_break_even"]}}
    (root / "reports" / "plan.yml").write_text(yaml.safe_dump({"notebooks": ALL, "studies": plan}))


@pytest.fixture(scope="module")
def batch(tmp_path_factory) -> Path:
    """The project after its batch, of which nothing failed."""
    root = tmp_path_factory.mktemp("small")
    write_small(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESEARCH_HOME", str(root))
        patch.delenv("RESEARCH_MIRROR", raising=False)
        assert cli.main(["run", "--jobs", "1"]) == 0
    return root


def read_outcomes(root: Path, study: str) -> dict[str, str]:
    """Return the outcome of each notebook of a study."""
    record = json.loads((root / "reports" / study / "default" / "run.json").read_text())
    return {name: part["outcome"] for name, part in record["notebooks"].items()}


@pytest.fixture(scope="module")
def tables(batch) -> dict[str, pd.DataFrame]:
    folder = batch / "reports" / "demo" / "default" / "tables"
    return {path.stem: pd.read_parquet(path) for path in folder.glob("*.parquet")}


def test_every_notebook_is_done_and_has_its_page(batch):
    pages = (batch / "reports" / "demo" / "default").glob("*.html")
    assert {page.stem for page in pages} == {*ALL}
    assert read_outcomes(batch, "demo") == dict.fromkeys(ALL, "done")


def test_every_table_is_there_and_none_contradicts_another(tables):
    assert {*tables} >= TABLES
    assert find_contradictions(tables) == []


def test_lists_and_sums_are_of_customers_of_the_last_day_and_their_one_risk(batch, tables):
    terms = pd.read_parquet(batch / "data" / "demo" / "raw" / "contracts")
    last = terms.sort_values(["customer_id", "started_at"]).groupby("customer_id").tail(1)
    end = pd.Timestamp("2025-12-31")
    present = {*last.customer_id[last.ended_at.isna() | (last.ended_at > end)]}
    values = tables["value"].set_index("customer_id")
    targets = tables["targets"].set_index("customer_id")
    assert {*values.index} == {*targets.index} == present
    assert np.allclose(targets.risk_share, values.risk_share.loc[targets.index], atol=1e-9)
    forecast = tables["forecast"].iloc[0]
    assert str(forecast.after)[:10] == "2025-12-31" and forecast.customers == len(present)
    assert forecast.expected == pytest.approx(values.risk_share.sum())
    cost = values.cost_of_churn_eur.sum()  # of contracts the same
    assert forecast.value_of_keeping_eur == pytest.approx(cost, rel=1e-6)
    judged = tables["value_judged"]  # models stay judged on a window that has closed
    assert {*tables["remaining_lifetime"].customer_id} == {*judged.customer_id} != present


def test_effects_have_the_spread_over_divisions_and_policies_stay_below_the_oracle(tables):
    scores = tables["uplift_scores"].dropna(subset=["lowest", "highest"])
    assert (scores.divisions == 1).all() and (scores.lowest <= scores.highest).all()
    assert {"auuc", "qini", "autoc", "gain"} <= {*scores.metric}
    policies = tables["policy_value"].set_index("policy")
    assert policies.true_profit.max() == policies.true_profit["oracle"] > 0
    assert not tables["targets"].customer_id.duplicated().any()


def test_all_checks_pass_and_the_planted_leaks_are_named(batch):
    page = (batch / "reports" / "demo" / "default" / "10_data.html").read_text()
    passed = re.search(r"(\d+) of (\d+) checks passed", page)
    assert passed[1] == passed[2]
    assert "for target leakage: retention_offer_code, name." in page


def test_a_company_without_campaigns_gets_a_first_test(batch):
    assert read_outcomes(batch, "alone") == {"66_break_even": "done"}
    folder = batch / "reports" / "alone" / "default" / "tables"
    first = pd.read_parquet(folder / "first_test.parquet")
    assert {*first.arm} <= {"", "contact", "control"} and not first.customer_id.duplicated().any()
    contacted, left_alone = ((first.arm == arm).sum() for arm in ("contact", "control"))
    assert abs(contacted - left_alone) <= len(first) % 2 and left_alone > 0  # half of an odd number


def test_another_process_leaves_the_same_tables_to_the_byte(batch, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(batch, again, ignore=shutil.ignore_patterns("reports"))
    (again / "reports").mkdir()
    plan = {"notebooks": ["62_observational"], "studies": {"demo": {}}}  # none of FEW is declared
    (again / "reports" / "plan.yml").write_text(yaml.safe_dump(plan))
    command = [sys.executable, "-m", "research.cli", "run", "demo", "--jobs", "2"]
    subprocess.run(command, env={**os.environ, "RESEARCH_HOME": str(again)}, check=True)
    first, second = (
        {path.name: path.read_bytes() for path in (root / "reports").glob("demo/*/tables/*")}
        for root in (batch, again)
    )
    assert "associations.parquet" in second
    assert [name for name in second if first[name] != second[name]] == []

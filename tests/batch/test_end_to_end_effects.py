"""Value, effects and targets from raw files to tables and pages: a small simulated company, a trial
made here, and cdnow where the mirror is.
"""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from trial_maker import make_trial

from research import cli
from research.batch.agreement import find_contradictions

pytestmark = pytest.mark.slow
FEW = ["--set", "repeats=2", "--set", "resamples=200", "--jobs", "2"]
QUICK = ["--set", "tuning_trials=0"]
ALL = ["10_data", "20_lifecycle", "30_risk", "40_survival", "50_value", "60_uplift"]
ALL += ["62_observational", "65_targeting"]
SMALL = {"simulate": {"customers": 1500, "months": 24, "seed": 3}}


def write_plan(copy: Path, study: str, notebooks: list[str]) -> None:
    plan = {"notebooks": notebooks, "studies": {study: {}}}
    (copy / "reports" / "plan.yml").write_text(yaml.safe_dump(plan))


def read_outcomes(folder: Path) -> dict[str, str]:
    """Return the outcome of each notebook of a run."""
    notebooks = json.loads((folder / "run.json").read_text())["notebooks"]
    return {name: part["outcome"] for name, part in notebooks.items()}


def run(copy: Path, study: str, notebooks: list[str], few: list[str], capsys):
    """Run notebooks on a study and return its tables by name; every notebook is done and has its
    page.
    """
    write_plan(copy, study, notebooks)
    assert cli.main(["run", study, *few]) == 0, capsys.readouterr().err
    (folder,) = (copy / "reports" / study).iterdir()
    assert {page.stem for page in folder.glob("*.html")} == {*notebooks}
    assert {*read_outcomes(folder).values()} == {"done"}
    return {path.stem: pd.read_parquet(path) for path in (folder / "tables").glob("*.parquet")}


def shrink(path: Path) -> None:
    """Make the simulated company of a study.yml small."""
    definition = yaml.safe_load(path.read_text()) | SMALL
    path.write_text(yaml.safe_dump(definition, sort_keys=False))


def test_a_small_simulated_company_leaves_values_effects_and_targets_with_its_truth(copy, capsys):
    shrink(copy / "data" / "demo" / "study.yml")
    tables = run(copy, "demo", ALL, [*FEW, "--set", "placebos=1", *QUICK], capsys)
    wanted = {
        "value",
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
    }
    assert wanted <= {*tables}
    scores = tables["uplift_scores"].dropna(
        subset=["lowest", "highest"]
    )  # effects that are the same for all have no slope
    assert (
        (scores.divisions == 2).all()
        and (scores.lowest <= scores.highest).all()
        and {"auuc", "qini", "autoc", "gain"} <= {*scores.metric}
    )
    policies = tables["policy_value"].set_index("policy")
    assert policies.true_profit.max() == policies.true_profit["oracle"] > 0
    assert not tables["targets"].customer_id.duplicated().any()
    assert find_contradictions(tables) == []


def test_a_trial_whose_effect_is_known_is_estimated_and_targeted(copy, capsys):
    rows = make_trial(3000, 0, lambda x: 0.2 * (x > 0))[0].rows
    flat = rows.assign(churned=rows.kept == 0).drop(
        columns=["kept", "trial", "propensity", "cost", "varies"]
    )
    folder = copy / "data" / "randomised"
    (folder / "raw").mkdir(parents=True)
    flat.to_csv(folder / "raw" / "rows.csv", index=False)
    (folder / "snapshot.sql").write_text("SELECT * FROM rows\n")
    economics = {
        "currency": "EUR",
        "capacity": 500,
        "margin_per_customer": 100,
        "offer_cost": 0,
        "contact_cost": 5,
    }
    definition = {
        "title": "A randomised trial",
        "kind": "flat",
        "sources": {"rows": {"file": "rows.csv"}},
        "economics": economics,
        "experiment": {"assignment": "randomised", "shares": {"control": 1, "call": 1}},
    }
    (folder / "study.yml").write_text(yaml.safe_dump(definition, sort_keys=False))
    few = [*FEW, "--set", "placebos=1"]
    tables = run(copy, "randomised", ["60_uplift", "65_targeting"], few, capsys)
    effect = tables["effects"].set_index("method").loc["adjusted"]
    assert effect.low < 0.1 < effect.high and effect.low > 0
    policy = tables["policy_value"].set_index("policy").loc["effect times value less cost"]
    # 500 customers who gain a fifth of 100 at a cost of 5: 7,500 at best
    assert policy.low > 0 and policy.contacted <= 500
    assert policy.low < 7500


def test_a_company_without_campaigns_gets_a_first_test_and_no_effects(copy, capsys):
    demo, alone = copy / "data" / "demo", copy / "data" / "alone"
    alone.mkdir()
    for path in demo.glob("*.*"):
        if path.name != "campaigns.sql":
            (alone / path.name).write_bytes(path.read_bytes())
    shrink(alone / "study.yml")
    notebooks = ["60_uplift", "62_observational", "65_targeting", "66_break_even"]
    write_plan(copy, "alone", notebooks)
    assert cli.main(["run", "alone", "--jobs", "2"]) == 0, capsys.readouterr().err
    (folder,) = (copy / "reports" / "alone").iterdir()
    outcomes = read_outcomes(folder)
    assert outcomes.pop("66_break_even") == "done"
    assert {*outcomes.values()} == {"not applicable"}
    test = pd.read_parquet(folder / "tables" / "first_test.parquet")
    assert {*test.arm} <= {"", "contact", "control"} and not test.customer_id.duplicated().any()
    assert (test.arm == "contact").sum() == (test.arm == "control").sum() > 0


def test_cdnow_leaves_its_published_parameters_and_holdout(copy, mirror, capsys):
    tables = run(copy, "cdnow", ["50_value"], [], capsys)
    found = tables["value_parameters"].set_index(["model", "parameter"]).value
    assert found["BG/NBD", "r"] == pytest.approx(0.243, abs=1e-3)
    assert {"value", "value_parameters", "value_holdout"} <= {*tables}

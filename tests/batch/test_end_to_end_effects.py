"""Value, effects and targets from raw files to tables and pages: a small generated company, a trial
made here, and cdnow where the mirror is.
"""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from trial_maker import make_trial

from research import cli

pytestmark = pytest.mark.slow
FEW = ["--set", "repeats=2", "--set", "resamples=200", "--jobs", "2"]


def run(copy: Path, study: str, notebooks: str, few: list[str], capsys) -> dict[str, pd.DataFrame]:
    """Run notebooks on a study and return its tables by name; every notebook is done and has its
    page.
    """
    (copy / "reports" / "plan.yml").write_text(
        f"notebooks: [{notebooks}]\nstudies: {{{study}: {{}}}}\n"
    )
    assert cli.main(["run", study, *few]) == 0, capsys.readouterr().err
    (folder,) = (copy / "reports" / study).iterdir()
    assert {page.stem for page in folder.glob("*.html")} == {
        name.strip() for name in notebooks.split(",")
    }
    assert {
        part["outcome"]
        for part in json.loads((folder / "run.json").read_text())["notebooks"].values()
    } == {"done"}
    return {path.stem: pd.read_parquet(path) for path in (folder / "tables").glob("*.parquet")}


def test_a_small_generated_company_leaves_values_effects_and_targets_beside_its_truth(copy, capsys):
    told = copy / "data" / "demo" / "study.yml"
    told.write_text(
        yaml.safe_dump(
            yaml.safe_load(told.read_text())
            | {"simulate": {"customers": 1500, "months": 24, "seed": 3}},
            sort_keys=False,
        )
    )
    tables = run(
        copy, "demo", "50_value, 60_uplift, 65_targeting", [*FEW, "--set", "placebos=1"], capsys
    )
    wanted = {
        "value",
        "offers",
        "effects",
        "uplift_scores",
        "associations",
        "next_test",
        "policy_value",
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


def test_a_trial_whose_effect_is_known_is_told_and_targeted(copy, capsys):
    rows = make_trial(3000, 0, lambda x: 0.2 * (x > 0))[0].rows
    flat = rows.assign(churned=rows.kept == 0).drop(
        columns=["kept", "trial", "propensity", "cost", "varies"]
    )
    (copy / "data" / "lot" / "raw").mkdir(parents=True)
    flat.to_csv(copy / "data" / "lot" / "raw" / "rows.csv", index=False)
    (copy / "data" / "lot" / "snapshot.sql").write_text("SELECT * FROM rows\n")
    economics = {
        "currency": "EUR",
        "capacity": 500,
        "margin_per_customer": 100,
        "offer_cost": 0,
        "contact_cost": 5,
    }
    told = {
        "title": "A trial by lot",
        "kind": "flat",
        "sources": {"rows": {"file": "rows.csv"}},
        "economics": economics,
    }
    told["experiment"] = {"assignment": "randomised", "shares": {"control": 1, "call": 1}}
    (copy / "data" / "lot" / "study.yml").write_text(yaml.safe_dump(told, sort_keys=False))
    tables = run(copy, "lot", "60_uplift, 65_targeting", [*FEW, "--set", "placebos=1"], capsys)
    effect = tables["effects"].set_index("method").loc["adjusted"]
    assert effect.low < 0.1 < effect.high and effect.low > 0
    policy = tables["policy_value"].set_index("policy").loc["effect times value less cost"]
    assert (
        policy.low > 0 and policy.contacted <= 500
    )  # 500 of those who gain a fifth of 100 at a cost of 5: 7,500 at best
    assert policy.low < 7500


def test_cdnow_leaves_its_published_parameters_and_holdout(copy, mirror, capsys):
    tables = run(copy, "cdnow", "50_value", [], capsys)
    found = tables["value_parameters"].set_index(["model", "parameter"]).value
    assert found["BG/NBD", "r"] == pytest.approx(0.243, abs=1e-3)
    assert {"value", "value_parameters", "value_holdout"} <= {*tables}

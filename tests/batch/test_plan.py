"""The plan and what a request may ask for: all faults are found before anything runs."""

import pytest
from projects import DECLARED, write_notebook, write_plan, write_study

from research.batch import notebooks, plan
from research.batch import run as batch_run
from research.errors import UsageError


def refuse(chosen=None, **settings) -> str:
    """Return the faults of a request."""
    with pytest.raises(UsageError) as error:
        batch_run.run(chosen, settings, 1)
    return str(error.value)


def refuse_only(study, *only) -> str:
    """Return the faults of a request for some notebooks."""
    with pytest.raises(UsageError) as error:
        batch_run.run(study, {}, 1, only)
    return str(error.value)


def test_an_unknown_parameter_is_refused_before_anything_runs(fresh):
    sentence = "--set: expected a parameter that 10_data declares, got 'rovs'; did you mean 'rows'?"
    assert refuse("alpha", rovs="4") == sentence
    assert not (fresh / "reports" / "alpha").exists()


@pytest.mark.parametrize(
    ("text", "declared"), [("four", "int"), ("4.5", "int"), ("true", "int"), ("", "int")]
)
def test_a_value_of_the_wrong_type_is_refused(fresh, text, declared):
    assert f"expected rows to be of type {declared}, got " in refuse("alpha", rows=text)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rows", "4", 4),
        ("label", "true", "true"),
        ("label", "2025-06-30", "2025-06-30"),
        ("label", "none", None),
        ("shares", "[0.1, 1]", [0.1, 1.0]),
    ],
)
def test_a_setting_is_read_as_the_type_that_the_notebook_declares(fresh, name, text, value):
    (run,) = plan.list_runs("alpha", {name: text})
    assert run.values["10_data"] == {name: value}


def test_all_faults_of_a_request_are_listed_at_once(fresh):
    faults = refuse("alpha", rovs="4", rows="x", study="beta").splitlines()
    assert len(faults) == 3


def test_an_unknown_study_is_refused_with_the_closest_name(fresh):
    assert "did you mean 'alpha'?" in refuse("alpa")


def test_a_study_that_the_plan_does_not_name_runs_the_notebooks_of_the_plan(fresh):
    write_study(fresh, "delta")
    (run,) = plan.list_runs("delta", {})
    assert (run.name, list(run.values)) == ("default", ["10_data"])


def test_each_notebook_gets_only_what_it_declares(fresh):
    (run,) = plan.list_runs("beta", {"rows": "4", "rate": "0.25"})
    assert run.values == {"10_data": {"rows": 4}, "30_risk": {"rate": 0.25}, "40_survival": {}}


def test_settings_are_added_to_the_default_run_of_the_plan_and_name_the_run(fresh):
    write_plan(
        fresh,
        "notebooks: [10_data]\nstudies: {alpha: {runs: {default: {label: north}, other: {rows:"
        " 9}}}}",
    )
    (run,) = plan.list_runs("alpha", {"shares": "[0.5, 0.75]", "rows": "4"})
    assert run.parameters == {"label": "north", "rows": 4, "shares": [0.5, 0.75]}
    assert run.name.startswith("rows=4,shares=")
    assert run.command == "research run alpha --set 'shares=[0.5, 0.75]' --set rows=4"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("notebooks: [10_data]\nstudys: {}\n", "key studys: expected"),
        ("notebooks: []\nstudies: {}\n", "key notebooks: expected"),
        (
            "notebooks: [10_date]\nstudies: {alpha: {}}\n",
            "got '10_date'; did you mean '10_data'?",
        ),
        ("notebooks: [10_data]\nstudies: {alpa: {}}\n", "got 'alpa'; did you mean 'alpha'?"),
        (
            "notebooks: [10_data]\nstudies: {alpha: {runs: {../x: {}}}}\n",
            "key studies.alpha.runs.../x",
        ),
        (
            "notebooks: [10_data]\nstudies: {alpha: {runs: {a: {rows: '4'}}}}\n",
            "studies.alpha.runs.a: expected rows to be of type int, got '4'",
        ),
        (
            "notebooks: [10_data]\nstudies: {alpha: {runs: {a: {rovs: 4}}}}\n",
            "studies.alpha.runs.a: expected a parameter that 10_data declares",
        ),
        ("notebooks: [10_data\n", "expected valid YAML"),
    ],
)
def test_each_fault_of_the_plan_is_a_sentence(fresh, text, part):
    write_plan(fresh, text)
    sentence = refuse()
    assert part in sentence
    assert "; " in sentence


def test_a_date_in_the_plan_reaches_a_text_parameter_as_it_was_written(fresh):
    write_plan(
        fresh, "notebooks: [10_data]\nstudies: {alpha: {runs: {default: {label: 2025-06-30}}}}"
    )
    assert plan.list_runs("alpha", {})[0].parameters == {"label": "2025-06-30"}


def test_a_batch_reads_each_notebook_once(fresh, monkeypatch):
    read, names = notebooks._read_cells, []

    def count(path):
        names.append(path.stem)
        return read(path)

    monkeypatch.setattr(notebooks, "_read_cells", count)
    monkeypatch.setattr(batch_run.snakemake, "run_jobs", lambda *given: "")
    monkeypatch.setattr(batch_run, "_conclude", lambda job, output: "unchanged")
    assert batch_run.run(None, {}, 1) == 0  # six jobs of three notebooks
    assert sorted(names) == ["10_data", "30_risk", "40_survival"]


# Some notebooks alone


def test_one_notebook_may_be_asked_for_and_the_others_stay_known(fresh):
    (run,) = plan.list_runs("beta", {}, ["30_risk"])
    assert run.chosen == ("30_risk",)
    assert [*run.notebooks] == ["10_data", "30_risk", "40_survival"]
    assert run.command == "research run beta"


def test_several_notebooks_run_once_each_in_the_order_in_which_they_are_named(fresh):
    (run,) = plan.list_runs("beta", {}, ["40_survival", "10_data", "40_survival"])
    assert run.chosen == ("40_survival", "10_data")


def test_a_notebook_that_the_plan_does_not_name_may_be_asked_for_of_one_study(fresh):
    (run,) = plan.list_runs("gamma", {}, ["30_risk"])
    assert run.chosen == ("30_risk",)
    write_study(fresh, "delta")
    assert plan.list_runs("delta", {}, ["30_risk"])[0].chosen == ("30_risk",)


def test_without_a_study_a_notebook_runs_where_the_plan_names_it(fresh):
    runs = plan.list_runs(None, {}, ["30_risk"])
    assert [(run.study, run.chosen) for run in runs] == [("beta", ("30_risk",))]
    write_plan(fresh, "notebooks: [10_data]\nstudies: {alpha: {}}\n")
    assert "name the study too: research run <study> --only 30_risk" in refuse_only(None, "30_risk")


def test_an_unknown_notebook_is_refused_with_the_closest_name(fresh):
    sentence = refuse_only("beta", "30_risc")
    assert "got '30_risc'; did you mean '30_risk'?" in sentence


def test_a_setting_is_one_of_the_notebooks_asked_for(fresh):
    with pytest.raises(UsageError, match="--set: expected a parameter that 10_data declares"):
        plan.list_runs("beta", {"rate": "0.25"}, ["10_data"])
    (run,) = plan.list_runs("beta", {"rate": "0.25"}, ["30_risk"])
    assert run.values["30_risk"] == {"rate": 0.25}


def test_a_batch_of_one_notebook_makes_its_job_alone(fresh, monkeypatch):
    asked = []
    monkeypatch.setattr(
        batch_run.snakemake, "run_jobs", lambda jobs, *rest: asked.extend(jobs) or ""
    )
    monkeypatch.setattr(batch_run, "_conclude", lambda job, output: "unchanged")
    assert batch_run.run("beta", {}, 1, ["30_risk"]) == 0
    assert asked == ["beta/default/30_risk"]


def test_a_draft_is_a_run_of_its_own_beside_the_full_one(fresh):
    write_notebook(fresh, "10_data", "What?", DECLARED + "\ndraft: bool = False", "rows")
    (full, *_), (draft,) = plan.list_runs("beta", {}), plan.list_runs("beta", {"draft": "true"})
    assert (full.name, draft.name) == ("default", "draft=true")
    assert draft.values["10_data"] == {"draft": True}
    assert draft.command == "research run beta --draft"

"""What several notebooks of a run need, computed before them in a job of its own.

Notebooks that need the same would wait for one another, each holding a place among the jobs. A step
fills the store and leaves nothing else; one that fails is no fault: the notebooks then compute what
they need themselves, and say what is wrong.

``python -m research.batch.shared JOBS.json STUDY/RUN/STEP`` is the whole command.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import research as rs
from research.batch import records
from research.settings import reduce_sizes
from research.store.keep import find_folder
from research.study import project_root

Job = dict[str, Any]
ROWS, TODAY, EFFECTS = "rows", "today", "effects"
# the first pages need no model, and are there soonest if they wait for nothing
NEEDS = {
    "30_risk": [ROWS, TODAY],
    "40_survival": [ROWS, TODAY],
    "50_value": [ROWS, TODAY],
    "65_targeting": [ROWS, TODAY, EFFECTS],
    "60_uplift": [EFFECTS],
    "66_break_even": [ROWS, TODAY],
}  # of each notebook, the steps that it reads
OPENED = ("snapshot", "lead_days", "horizon_days", "capacity", "seed", "draft")


def main() -> int:
    """Compute the step that the command line names."""
    path, key = sys.argv[1:]
    os.environ.pop("RESEARCH_TABLES", None)  # a step leaves no table
    step = json.loads(Path(path).read_text(encoding="utf-8"))["shared"][key]
    try:
        COMPUTE[step["step"]](step["study"], step["parameters"])
    except Exception as error:  # the notebooks meet it again, and each says so on its page
        print(f"{key}: {type(error).__name__}: {error}")
    return 0


def list_steps(jobs: dict[str, Job]) -> dict[str, Job]:
    """Return the steps that two or more of these jobs need, by ``study/run/step``.

    Only jobs that will run count. A step has the parameters of the first of them. Without a store
    there is none, since nothing could be handed on.
    """
    if find_folder(project_root()) is None:
        return {}
    users: dict[str, list[Job]] = {}
    for job in jobs.values():
        for step in NEEDS.get(job["notebook"], []):
            users.setdefault(name_step(job, step), []).append(job)
    return {
        key: {
            "study": found[0]["study"],
            "step": key.rpartition("/")[2],
            "parameters": found[0]["parameters"],
        }
        for key, found in users.items()
        if len(found) > 1
    }


def list_needed(job: Job, steps: dict[str, Job]) -> list[str]:
    """Return which of the steps a job waits for."""
    keys = [name_step(job, step) for step in NEEDS.get(job["notebook"], [])]
    return [key for key in keys if key in steps]


def name_step(job: Job, step: str) -> str:
    """Return ``study/run/step`` in the form of ``records.name_job``."""
    return records.name_job(job | {"notebook": step})


def _open(study: str, parameters: dict[str, Any]) -> Any:
    """Open a study as its notebooks do."""
    given = {name: parameters[name] for name in OPENED if name in parameters}
    return rs.open(study, **given)


def _compute_rows(study: str, parameters: dict[str, Any]) -> None:
    """Compute the panel, its leakage checks, and the one risk per customer and window."""
    run = _open(study, parameters)
    panel = run.panel()
    run.features(panel)
    run.window_risk()


def _compute_today(study: str, parameters: dict[str, Any]) -> None:
    """Train the model of the scored day, unless one is kept, and score everybody."""
    _open(study, parameters).today()


def _compute_effects(study: str, parameters: dict[str, Any]) -> None:
    """Compute the trial, its checks, and the cross-fitted effects on its primary outcome."""
    from research.uplift.average_effects import score_outcomes
    from research.uplift.balance import check_trial
    from research.uplift.cross_fitting import cross_fit

    run = _open(study, parameters)
    sizes = {name: parameters[name] for name in ("folds", "repeats")}
    sizes = reduce_sizes(sizes) if run.draft else sizes
    trial = check_trial(run.trial(), run.study).trial
    scored = score_outcomes(trial, run.seed)
    if trial.features:
        cross_fit(scored[0].sample, **sizes, seed=run.seed)


COMPUTE: dict[str, Callable[[str, dict[str, Any]], None]] = {
    ROWS: _compute_rows,
    TODAY: _compute_today,
    EFFECTS: _compute_effects,
}


if __name__ == "__main__":
    sys.exit(main())

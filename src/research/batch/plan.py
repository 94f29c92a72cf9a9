"""The batch plan: ``reports/plan.yml``, and the runs that a request asks for.

Everything that can be wrong with a request is found here, before anything runs, and listed at once.
"""

import shlex
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationError

from research.batch.notebooks import Parameter, check, declare, name_run, parse, spell, suggest
from research.errors import StudyError, UsageError, describe_faults
from research.study import list_studies, project_root, read_yaml, show_path
from research.study_schema import Part

RunName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._=,-]{0,99}$")]
Notebooks = Annotated[list[str], Field(min_length=1)]


class StudyPlan(Part):
    """The runs of one study by name, each with its parameters on top of those of the run
    ``default``.
    """

    notebooks: Notebooks | None = None
    runs: Annotated[dict[RunName, dict[str, Any]], Field(min_length=1)] = {"default": {}}


class Plan(Part):
    """A validated plan.yml: the notebooks that every study runs unless it names its own, and the
    studies.
    """

    notebooks: Notebooks
    studies: Annotated[dict[str, StudyPlan], Field(min_length=1)]


@dataclass(frozen=True)
class Run:
    """One study under one set of parameters: ``values`` holds, for each notebook, those that it
    declares.
    """

    study: str
    name: str
    parameters: dict[str, Any]
    values: dict[str, dict[str, Any]]
    command: str


def read_plan() -> Plan:
    """Read and validate ``reports/plan.yml``; its faults are one ``UsageError``."""
    path = project_root() / "reports" / "plan.yml"
    if not path.exists():
        raise UsageError(
            "expected the file reports/plan.yml, which is not there; write 'notebooks: [10_data,"
            " 30_risk]' and 'studies: {demo: {}}' into it"
        )
    try:
        return Plan.model_validate(read_yaml(path))
    except ValidationError as error:
        raise UsageError(*describe_faults(show_path(path), Plan, error)) from None
    except StudyError as error:
        raise UsageError(*error.faults) from None


def arrange(study: str | None, settings: dict[str, str]) -> list[Run]:
    """Return the runs that a request asks for.

    Parameters
    ----------
    study : str, optional
        One study; all studies of the plan unless given. A study that the plan does not name runs
        the plan's notebooks once.
    settings : dict of str by parameter
        Put on top of the plan's ``default`` parameters, as one run named after them. Without
        settings, all runs of the plan are made.

    Raises
    ------
    UsageError
        One sentence for every study, notebook, parameter or value that is wrong.
    """
    plan = read_plan()
    chosen = {
        name: _study_plan(plan, name) for name in (plan.studies if study is None else [study])
    }
    _refuse([fault for name, part in chosen.items() for fault in _missing(name, part)])
    faults: list[str] = []
    runs = [
        run for name, part in chosen.items() for run in _arrange_study(name, part, settings, faults)
    ]
    _refuse(faults)
    return runs


def _study_plan(plan: Plan, study: str) -> StudyPlan:
    part = plan.studies.get(study, StudyPlan())
    return part.model_copy(update={"notebooks": part.notebooks or plan.notebooks})


def _refuse(faults: list[str]) -> None:
    if faults:
        raise UsageError(*dict.fromkeys(faults))


def _missing(study: str, part: StudyPlan) -> list[str]:
    """Return a sentence for a study folder that is not there and for each notebook that cannot be
    read.
    """
    faults, known = [], list_studies()
    if study not in known:
        faults.append(
            f"expected a study with a folder data/<study> and a study.yml in it, got '{study}';"
            f" {suggest(study, known)}"
        )
    for notebook in part.notebooks:
        try:
            declare(notebook)
        except UsageError as error:
            faults += error.faults
    return faults


def _arrange_study(
    study: str, part: StudyPlan, settings: dict[str, str], faults: list[str]
) -> list[Run]:
    default = part.runs.get("default", {})
    if settings:
        parsed = {key: parse(text, _declared(key, part)) for key, text in settings.items()}
        return [_arrange_run(study, part, name_run(parsed), default, parsed, "--set", faults)]
    place = f"reports/plan.yml, key studies.{study}.runs"
    return [
        _arrange_run(
            study,
            part,
            name,
            default,
            given if name != "default" else {},
            f"{place}.{name}",
            faults,
        )
        for name, given in part.runs.items()
    ]


def _declared(name: str, part: StudyPlan) -> Parameter | None:
    return next(
        (declare(notebook)[name] for notebook in part.notebooks if name in declare(notebook)), None
    )


def _arrange_run(
    study: str,
    part: StudyPlan,
    name: str,
    default: dict[str, Any],
    own: dict[str, Any],
    place: str,
    faults: list[str],
) -> Run:
    parameters = {**default, **own}
    faults += [
        _unknown(place, key, part)
        for key in parameters
        if key == "study" or _declared(key, part) is None
    ]
    values = {
        notebook: _values(place, parameters, declare(notebook), faults)
        for notebook in part.notebooks
    }
    typed = {key: value for given in values.values() for key, value in given.items()}
    command = " ".join(
        [
            "research run",
            study,
            *(f"--set {shlex.quote(f'{key}={spell(typed.get(key))}')}" for key in own),
        ]
    )
    return Run(study, name, typed, values, command)


def _unknown(place: str, key: str, part: StudyPlan) -> str:
    if key == "study":
        return (
            f"{place}: expected a parameter other than 'study', got 'study'; name the study as"
            " in 'research run <study>'"
        )
    known = sorted({name for notebook in part.notebooks for name in declare(notebook)} - {"study"})
    return (
        f"{place}: expected a parameter that one of {', '.join(part.notebooks)} declares, got"
        f" '{key}'; {suggest(key, known)}"
    )


def _values(
    place: str, parameters: dict[str, Any], declared: dict[str, Parameter], faults: list[str]
) -> dict[str, Any]:
    """Return the parameters that one notebook declares, typed; what does not fit is added to
    ``faults``.
    """
    values = {}
    for key in (key for key in parameters if key in declared and key != "study"):
        try:
            values[key] = check(place, key, parameters[key], declared[key])
        except UsageError as error:
            faults += error.faults
    return values

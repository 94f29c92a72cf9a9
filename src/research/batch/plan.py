"""The batch plan: ``reports/plan.yml``, and the runs that a request asks for.

Everything that can be wrong with a request is found here, before anything runs, and reported at
once.
"""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field, ValidationError

from research.batch.notebooks import (
    Notebook,
    Parameter,
    check_value,
    name_run,
    parse_value,
    read_notebook,
    spell,
    suggest,
)
from research.errors import StudyError, UsageError, describe_faults
from research.study import list_studies, project_root, read_yaml, show_path
from research.study_schema import Part, require_form

DEFAULT = "default"  # the run whose parameters all runs of a study start from
STUDY = "study"  # the parameter that the batch sets itself
DRAFT = "draft"  # the parameter that --draft sets
RunName = Annotated[
    str,
    require_form(
        "[A-Za-z0-9][A-Za-z0-9._=,-]{0,99}",
        "a name of at most 100 letters, digits and . _ = , - that begins with a letter or a digit",
    ),
]
NotebookNames = Annotated[list[str], Field(min_length=1)]
Parameters = dict[str, Any]


class StudyPlan(Part):
    """The runs of one study by name; their parameters are added to those of the run ``default``."""

    notebooks: NotebookNames | None = None
    runs: Annotated[dict[RunName, Parameters], Field(min_length=1)] = {DEFAULT: {}}


class Plan(Part):
    """A validated plan.yml: the notebooks of every study that names none, and the studies."""

    notebooks: NotebookNames
    studies: Annotated[dict[str, StudyPlan], Field(min_length=1)]


@dataclass(frozen=True)
class Run:
    """One study with one set of parameters.

    Attributes
    ----------
    values : by notebook, those of the parameters that it declares
    notebooks : all of the run
    chosen : names of those that are asked for
    """

    study: str
    name: str
    parameters: Parameters
    values: dict[str, Parameters]
    command: str
    notebooks: dict[str, Notebook]
    chosen: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Request:
    """What one run is asked to be: parameters of its own on top of the default ones.

    ``place`` is where the request stands, as a fault names it; ``only`` are the notebooks named.
    """

    study: str
    name: str
    default: Parameters
    own: Parameters
    place: str
    notebooks: dict[str, Notebook]
    only: tuple[str, ...] = ()

    @property
    def chosen(self) -> dict[str, Notebook]:
        """Return the notebooks that are asked for: those named, else all."""
        return select_notebooks(self.notebooks, self.only)


def read_plan() -> Plan:
    """Read and validate ``reports/plan.yml``; its faults are one ``UsageError``."""
    path = project_root() / "reports" / "plan.yml"
    if not path.exists():
        raise UsageError(
            "expected the file reports/plan.yml, but it does not exist; write 'notebooks: [10_data,"
            " 30_risk]' and 'studies: {demo: {}}' into it"
        )
    try:
        return Plan.model_validate(read_yaml(path))
    except ValidationError as error:
        raise UsageError(*describe_faults(show_path(path), Plan, error)) from None
    except StudyError as error:
        raise UsageError(*error.faults) from None


def list_runs(study: str | None, settings: dict[str, str], only: Sequence[str] = ()) -> list[Run]:
    """Return the runs that a request asks for; each notebook is read once.

    Parameters
    ----------
    study : str, optional
        One study; all studies of the plan unless given. A study that the plan does not name runs
        the plan's notebooks once.
    settings : dict of str by parameter
        Added to the plan's ``default`` parameters, as one run named after them. Without settings,
        all runs of the plan are made.
    only : notebooks: of one study, whether or not the plan names them; without a study, where it
        does. All of the plan's unless given.

    Raises
    ------
    UsageError
        One sentence for every study, notebook, parameter or value that is wrong.
    """
    plan = read_plan()
    names = plan.studies if study is None else [study]
    only = tuple(dict.fromkeys(only))
    chosen = {name: _plan_study(plan, name, only if study else ()) for name in names}
    notebooks = _read_notebooks(chosen, only)
    requests = [
        replace(request, only=only)
        for name, part in chosen.items()
        for request in _list_requests(
            name, part, settings, {each: notebooks[each] for each in part.notebooks}, only
        )
    ]
    requests = [request for request in requests if request.chosen]
    checked = [_check_values(request) for request in requests]
    _refuse(fault for _, faults in checked for fault in faults)
    return [
        _make_run(request, values) for request, (values, _) in zip(requests, checked, strict=True)
    ]


def select_notebooks(notebooks: dict[str, Notebook], only: Sequence[str]) -> dict[str, Notebook]:
    """Return the notebooks of a study that are named, in that order; all where none is."""
    return {name: notebooks[name] for name in only or notebooks if name in notebooks}


def _plan_study(plan: Plan, study: str, only: tuple[str, ...]) -> StudyPlan:
    part = plan.studies.get(study, StudyPlan())
    names = dict.fromkeys([*(part.notebooks or plan.notebooks), *only])
    return part.model_copy(update={"notebooks": [*names]})


def _refuse(faults: Iterable[str]) -> None:
    distinct = dict.fromkeys(faults)
    if distinct:
        raise UsageError(*distinct)


def _read_notebooks(chosen: dict[str, StudyPlan], only: Sequence[str]) -> dict[str, Notebook]:
    """Read the notebooks of all studies chosen, and those named.

    Raises
    ------
    UsageError
        One sentence for every study that doesn't exist and every notebook that can't be read.
    """
    studies, notebooks = list_studies(), {}
    faults = [
        f"expected a study in data/<study>/study.yml, got '{study}'; {suggest(study, studies)}"
        for study in chosen
        if study not in studies
    ]
    planned = {name: None for part in chosen.values() for name in part.notebooks}
    for name in planned | dict.fromkeys(only):
        try:
            notebooks[name] = read_notebook(name)
        except UsageError as error:
            faults += error.faults
        if name in notebooks and name not in planned:
            faults.append(
                f"--only: expected a notebook that reports/plan.yml names where no study is given,"
                f" got '{name}'; name the study too: research run <study> --only {name}"
            )
    _refuse(faults)
    return notebooks


def _list_requests(
    study: str,
    part: StudyPlan,
    settings: dict[str, str],
    notebooks: dict[str, Notebook],
    only: tuple[str, ...],
) -> list[_Request]:
    default = part.runs.get(DEFAULT, {})
    if settings:
        declared = _merge_declarations(select_notebooks(notebooks, only))
        own = {name: parse_value(text, declared.get(name)) for name, text in settings.items()}
        return [_Request(study, name_run(own), default, own, "--set", notebooks)]
    place = f"reports/plan.yml, key studies.{study}.runs"
    return [
        _Request(study, name, default, {} if name == DEFAULT else own, f"{place}.{name}", notebooks)
        for name, own in part.runs.items()
    ]


def _merge_declarations(notebooks: dict[str, Notebook]) -> dict[str, Parameter]:
    """Return every parameter as the first notebook that declares it does."""
    return {
        name: parameter
        for notebook in reversed(notebooks.values())
        for name, parameter in notebook.parameters.items()
    }


def _check_values(request: _Request) -> tuple[dict[str, Parameters], list[str]]:
    """Return the values that each notebook takes from a request, and a sentence for each fault."""
    parameters = request.default | request.own
    faults = _list_unknown(request, list(parameters))
    values: dict[str, Parameters] = {name: {} for name in request.notebooks}
    for notebook in request.notebooks.values():
        for name in (name for name in parameters if name in notebook.parameters):
            if name == STUDY:
                continue
            declared = notebook.parameters[name]
            try:
                values[notebook.name][name] = check_value(
                    request.place, name, parameters[name], declared
                )
            except UsageError as error:
                faults += error.faults
    return values, faults


def _list_unknown(request: _Request, names: list[str]) -> list[str]:
    """Return a fault for each parameter that no notebook of the run declares, or, of those set by
    the request itself, none that is asked for.
    """
    chosen, every = (_merge_declarations(each) for each in (request.chosen, request.notebooks))
    declared = {*chosen, *(name for name in every if name not in request.own)}
    known = sorted({*chosen} - {STUDY})
    notebooks = " or ".join(request.chosen)
    return [
        f"{request.place}: expected a parameter other than 'study', got 'study'; name the study as"
        " in 'research run <study>'"
        if name == STUDY
        else f"{request.place}: expected a parameter that {notebooks} declares, got '{name}';"
        f" {suggest(name, known)}"
        for name in names
        if name == STUDY or name not in declared
    ]


def _make_run(request: _Request, values: dict[str, Parameters]) -> Run:
    typed = {name: value for each in values.values() for name, value in each.items()}
    settings = [
        "--draft"
        if name == DRAFT and typed[name]
        else f"--set {shlex.quote(f'{name}={spell(typed[name])}')}"
        for name in request.own
    ]
    command = " ".join(["research run", request.study, *settings])
    chosen = tuple(request.chosen)
    return Run(request.study, request.name, typed, values, command, request.notebooks, chosen)

"""Study folders: ``data/<study>/study.yml``, read and validated as a whole.

A study says where its tables come from, what churn means, over which horizon, and which columns
must stay out of a model. Every fault of the file is listed at once, each as one sentence: what was
required, what arrived, what to do.
"""

import difflib
import os
import re
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import PrivateAttr, ValidationError, model_validator

from research.errors import StudyError, UsageError
from research.study_schema import (
    TABLES,
    Churn,
    Day,
    Economics,
    Engine,
    Experiment,
    Features,
    Leaks,
    Lifecycle,
    Name,
    Part,
    Simulation,
    Snapshots,
    Source,
    shorten,
)

ALIEN_REMEDIES = {
    "sources": "load the files into the warehouse and name its tables in the SQL",
    "attach": "name the tables of the engine itself in the SQL, or use the engine duckdb",
    "simulate": "load the simulated files into the warehouse and remove the key",
}


class Study(Part):
    """A validated study.yml; ``name`` and ``folder`` say where it stands."""

    title: str
    kind: Literal["contractual", "non_contractual", "flat"]
    engine: Engine = Engine()
    sources: dict[Name, Source] = {}
    attach: dict[Name, str] = {}
    simulate: Simulation | None = None
    churn: Churn | None = None
    snapshots: Snapshots | None = None
    data_start: Day | None = None
    data_end: Day | None = None
    rule_column: str | None = None
    duration_unit: Literal["days", "weeks", "months", "years"] | None = None
    monotone: dict[str, Literal["rising", "falling"]] = {}
    sensitive: list[str] = []
    features: Features = Features()
    leaks: Leaks = Leaks()
    lifecycle: Lifecycle = Lifecycle()
    experiment: Experiment = Experiment()
    economics: Economics

    _folder: Path = PrivateAttr()

    @property
    def folder(self) -> Path:
        """The folder ``data/<study>``."""
        return self._folder

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self._folder.name

    @property
    def raw(self) -> Path:
        """The folder of the raw files, ignored by git."""
        return self._folder / "raw"

    @model_validator(mode="after")
    def _parts_fit_the_kind(self):
        faults = [*_missing_parts(self), *_clashing_names(self), *_alien_places(self)]
        if self.data_start and self.data_end and self.data_start > self.data_end:
            faults.append(
                f"expected data_start on or before data_end, got {self.data_start} and"
                f" {self.data_end}; correct one of them"
            )
        if faults:
            raise ValueError("\n".join(faults))
        return self


def _missing_parts(study: Study) -> list[str]:
    if study.kind == "flat":
        return []
    faults = [
        f"expected the key '{part}' for a {study.kind} study; add it"
        for part in ("churn", "snapshots")
        if getattr(study, part) is None
    ]
    if study.kind == "non_contractual" and study.churn:
        faults += [
            f"expected the key 'churn.{key}' for a non_contractual study; add it"
            for key in ("active_days", "inactive_days")
            if getattr(study.churn, key) is None
        ]
    return faults


def _clashing_names(study: Study) -> list[str]:
    taken = sorted(name for name in {*study.sources, *study.attach} if name.lower() in TABLES)
    return [
        f"expected source names unlike the contract tables, got '{name}'; rename it, for"
        f" example to 'raw_{name}'"
        for name in taken
    ]


def _alien_places(study: Study) -> list[str]:
    """A warehouse holds its tables itself, and only DuckDB can attach a database."""
    alien = {"duckdb": (), "spark": ("attach",), "warehouse": ("sources", "attach", "simulate")}[
        study.engine.kind
    ]
    given = [key for key in alien if getattr(study, key)]
    return [
        f"expected no key '{key}' with the engine {study.engine.kind}, but it got;"
        f" {ALIEN_REMEDIES[key]}"
        for key in given
    ]


def project_root() -> Path:
    """Return the folder that holds ``data/``, ``notebooks/`` and ``reports/``; RESEARCH_HOME
    overrides it.
    """
    return Path(os.environ.get("RESEARCH_HOME") or Path(__file__).parents[2]).resolve()


def list_studies() -> list[str]:
    """Return the names of all folders below ``data/`` that hold a study.yml, in order."""
    return sorted(path.parent.name for path in (project_root() / "data").glob("*/study.yml"))


def load_study(name: str) -> Study:
    """Read and validate ``data/<name>/study.yml``.

    Raises
    ------
    UsageError
        If there is no such study.
    StudyError
        With one sentence for every fault of the file.
    """
    if name not in list_studies():
        known = ", ".join(list_studies()) or "none"
        raise UsageError(
            f"expected a study folder data/{name} with a study.yml, found the studies {known};"
            " correct the name or write that folder"
        )
    path = project_root() / "data" / name / "study.yml"
    try:
        study = Study.model_validate(read_yaml(path))
    except ValidationError as error:
        raise StudyError(*describe_faults(path, error)) from None
    study._folder = path.parent
    return study


def adjust(
    study: Study, snapshot: str = "", lead_days: int = -1, horizon_days: int = 0, capacity: int = 0
) -> Study:
    """Return the study with another clock or capacity, validated as study.yml is.

    Parameters
    ----------
    snapshot : ISO date of the last test snapshot, and of the last day that the lifecycle looks at;
        empty keeps the study's own
    lead_days, horizon_days, capacity : -1, 0 and 0 keep the study's own

    Raises
    ------
    StudyError
        One sentence for every value that doesn't fit, and for a clock set on a flat study.
    """
    clock = {"lead_days": lead_days} if lead_days != -1 else {}
    clock |= {"horizon_days": horizon_days} if horizon_days else {}
    if study.kind == "flat" and (clock or snapshot):
        raise StudyError(
            f"study {study.name}: expected a dated study to set snapshot, lead_days or"
            " horizon_days, got a flat one; leave them at their defaults"
        )
    definition = study.model_dump(exclude_none=True)
    day = {"last": snapshot} if snapshot else {}
    for part, changes in (
        ("churn", clock),
        ("snapshots", day),
        ("economics", {"capacity": capacity} if capacity else {}),
    ):
        if changes:
            definition[part] = definition[part] | changes
    try:
        adjusted = Study.model_validate(definition)
    except ValidationError as error:
        raise StudyError(
            *(
                fault.replace("study.yml, key", "study.yml with the run's parameters, key")
                for fault in describe_faults(study.folder / "study.yml", error)
            )
        ) from None
    if snapshot and study.lifecycle.last:
        adjusted = adjusted.model_copy(
            update={
                "lifecycle": study.lifecycle.model_copy(update={"last": adjusted.snapshots.last})
            }
        )
    adjusted._folder = study.folder
    return adjusted


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML in which a key given twice is a fault, not a silent overwrite, and an impossible value,
    say 30 February, a fault with its line.
    """

    def construct_object(self, node, deep=False):
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            value = f"{shorten(node.value)}: " if isinstance(node, yaml.ScalarNode) else ""
            raise yaml.constructor.ConstructorError(
                None, None, f"{value}{error}", node.start_mark
            ) from None


def _mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = [str(key) for key in dict.fromkeys(keys) if keys.count(key) > 1]
    if twice:
        raise yaml.constructor.ConstructorError(
            None, None, f"key given twice: {', '.join(twice)}", node.start_mark
        )
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; a syntax error becomes one sentence with its line."""
    label = show_path(path)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeyLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(
            f"{label}: expected a readable UTF-8 file, got {getattr(error, 'strerror', error)};"
            " restore the file"
        ) from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise StudyError(
            f"{label}{line}: expected valid YAML, got: {error.problem}; correct that line"
        ) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise StudyError(
            f"{label}: expected valid YAML, got: {' '.join(str(error).split())}; correct the file"
        ) from None
    if not isinstance(content, dict):
        raise StudyError(
            f"{label}: expected keys with values, got {type(content).__name__}; write 'key:"
            " value' lines"
        )
    return content


def show_path(path: Path) -> str:
    """Return the path as the user knows it: relative to the project where it lies inside."""
    root = project_root()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def describe_faults(path: Path, error: ValidationError) -> list[str]:
    """Turn pydantic's errors into sentences that name file, key, requirement, what arrived and the
    remedy.
    """
    return [sentence for fault in error.errors() for sentence in _sentences(path, fault)]


def _sentences(path: Path, fault: Any) -> list[str]:
    place = (
        f"{show_path(path)}, key {'.'.join(map(str, fault['loc']))}"
        if fault["loc"]
        else show_path(path)
    )
    if fault["type"] == "extra_forbidden":
        return [
            f"{place}: expected a known key, got '{fault['loc'][-1]}';"
            f" {_suggest(str(fault['loc'][-1]))}"
        ]
    if fault["type"] == "missing":
        return [f"{place}: expected, but it is missing; add the key"]
    if fault["type"] == "value_error":
        return [f"{place}: {line}" for line in str(fault["ctx"]["error"]).split("\n")]
    required = re.sub(r"^(Input|Value|String|Keys) should (be|have|match) ?", "", fault["msg"])
    return [f"{place}: expected {required}, got {shorten(fault['input'])}; correct the value"]


def _suggest(key: str) -> str:
    known = {
        field
        for part in (
            Study,
            Source,
            Simulation,
            Churn,
            Snapshots,
            Leaks,
            Lifecycle,
            Experiment,
            Economics,
        )
        for field in part.model_fields
    }
    close = difflib.get_close_matches(key, sorted(known), n=1)
    return f"did you mean '{close[0]}'?" if close else "remove it"

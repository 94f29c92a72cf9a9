"""Study folders: ``data/<study>/study.yml``, read and validated as a whole.

A study defines where its tables come from, what churn means, over which horizon, and which columns
must stay out of a model. All faults of the file are reported at once, each as one sentence: what
was expected, what was found, what to do.
"""

import os
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import PrivateAttr, ValidationError, model_validator

from research.errors import StudyError, UsageError, describe_faults, shorten
from research.study_schema import (
    TABLES,
    Churn,
    Day,
    Economics,
    Engine,
    Experiment,
    Features,
    ImportantDifference,
    Leaks,
    Lifecycle,
    Name,
    Orders,
    Part,
    Simulation,
    Snapshots,
    Source,
    TimeZone,
)

PLAYBOOK = "playbook.yml"  # beside study.yml: what to do about which reason
LARGEST_YAML = 20_000  # values in a file, of which a study of a thousand sources has a half
UNSUPPORTED = {
    "duckdb": (),
    "spark": ("attach", "allow", "time_zone"),
    "warehouse": ("sources", "attach", "allow", "simulate"),
}  # keys that an engine can't use: a warehouse has its own tables, only DuckDB can attach files,
# and Spark's times with and without a zone look alike
CONTRACT_KEYS = ("grace_days", "ends")  # under churn
REMEDIES = {
    "sources": "load the files into the warehouse and name its tables in the SQL",
    "attach": "name the tables of the engine itself in the SQL, or use the engine duckdb",
    "allow": "remove it, or use the engine duckdb",
    "simulate": "load the simulated files into the warehouse and remove the key",
    "time_zone": "make local times in the SQL",
}  # for each of these keys


class Study(Part):
    """A validated study.yml, with the folder that it was read from.

    ``allow``: folders, below ``raw/`` or absolute, whose files the SQL may read by itself.
    ``model``: the name of the model that ``research train`` keeps; chosen by a comparison unless
    given.
    """

    title: str
    kind: Literal["contractual", "non_contractual", "flat"]
    engine: Engine = Engine()
    sources: dict[Name, Source] = {}
    attach: dict[Name, str] = {}
    allow: list[str] = []
    simulate: Simulation | None = None
    orders: Orders = Orders()
    churn: Churn | None = None
    snapshots: Snapshots | None = None
    time_zone: TimeZone | None = None
    data_start: Day | None = None
    data_end: Day | None = None
    rule_column: str | None = None
    model: str | None = None
    duration_unit: Literal["days", "weeks", "months", "years"] | None = None
    monotone: dict[str, Literal["rising", "falling"]] = {}
    sensitive: list[str] = []
    features: Features = Features()
    leaks: Leaks = Leaks()
    lifecycle: Lifecycle = Lifecycle()
    experiment: Experiment = Experiment()
    important_difference: ImportantDifference = ImportantDifference()
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

    @property
    def today(self) -> date:
        """The current day, in the study's time zone where it has one, else on this machine."""
        return datetime.now(ZoneInfo(self.time_zone)).date() if self.time_zone else date.today()

    @model_validator(mode="after")
    def _parts_fit_together(self):
        faults = [
            *_find_missing_parts(self),
            *_find_name_clashes(self),
            *_find_unsupported_keys(self),
            *_find_reversed_dates(self),
            *_find_needless_keys(self),
        ]
        if faults:
            raise ValueError("\n".join(faults))
        return self


def _find_missing_parts(study: Study) -> list[str]:
    if study.kind == "flat":
        return []
    missing = [part for part in ("churn", "snapshots") if getattr(study, part) is None]
    if study.kind == "non_contractual" and study.churn:
        days = ("active_days", "inactive_days")
        missing += [f"churn.{key}" for key in days if getattr(study.churn, key) is None]
    return [
        f"expected the key '{key}' in a {study.kind} study, but it is missing; add it"
        for key in missing
    ]


def _find_name_clashes(study: Study) -> list[str]:
    taken = sorted(name for name in {*study.sources, *study.attach} if name.lower() in TABLES)
    return [
        f"expected source names that differ from those of the contract tables, got '{name}';"
        f" rename it, for example to 'raw_{name}'"
        for name in taken
    ]


def _find_unsupported_keys(study: Study) -> list[str]:
    given = [key for key in UNSUPPORTED[study.engine.kind] if getattr(study, key)]
    return [
        f"expected no key '{key}' with the engine {study.engine.kind}, got"
        f" {_list_given(getattr(study, key))}; {REMEDIES[key]}"
        for key in given
    ]


def _list_given(part: dict[str, Any] | list[str] | Part | str) -> str:
    """Return what a part of study.yml gives: names of sources, folders or keys, or a text."""
    if isinstance(part, str):
        return part
    return ", ".join(sorted(part.model_fields_set) if isinstance(part, Part) else part)


def _find_reversed_dates(study: Study) -> list[str]:
    start, end = study.data_start, study.data_end
    if not start or not end or start <= end:
        return []
    return [
        f"expected data_start on or before data_end, got {start} and {end}; correct one of them"
    ]


def _find_needless_keys(study: Study) -> list[str]:
    """Refuse keys about the terms of contracts where orders tell who left."""
    if study.kind == "contractual" or study.churn is None:
        return []
    given = [
        key for key in CONTRACT_KEYS if getattr(study.churn, key) != Churn.model_fields[key].default
    ]
    return [
        f"expected no key 'churn.{key}' in a {study.kind} study, got"
        f" {getattr(study.churn, key)}; remove it, since it is about the terms of contracts"
        for key in given
    ]


def project_root() -> Path:
    """Return the folder with ``data/`` and ``reports/``: RESEARCH_HOME, or the repository."""
    return Path(os.environ.get("RESEARCH_HOME") or Path(__file__).parents[2]).resolve()


def list_studies() -> list[str]:
    """Return the names of all folders below ``data/`` with a study.yml, sorted."""
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
        raise UsageError(_describe_unknown_study(name))
    path = project_root() / "data" / name / "study.yml"
    return _validate(read_yaml(path), path.parent, show_path(path))


def _describe_unknown_study(name: str) -> str:
    expected = f"expected a study in data/{name}/study.yml"
    if studies := list_studies():
        return f"{expected}, found only the studies {', '.join(studies)}; correct the name"
    return f"{expected}, found no studies below data/; write that file"


def _validate(definition: dict[str, Any], folder: Path, file: str) -> Study:
    """Return the study of a definition; faults name ``file``."""
    try:
        study = Study.model_validate(definition)
    except ValidationError as error:
        raise StudyError(*describe_faults(file, Study, error)) from None
    study._folder = folder
    return study


def adjust(
    study: Study, snapshot: str = "", lead_days: int = -1, horizon_days: int = 0, capacity: int = 0
) -> Study:
    """Return the study with other dates, horizon or capacity, validated as study.yml is.

    Parameters
    ----------
    snapshot : ISO date of the last test snapshot, and of the last day that the lifecycle includes;
        empty keeps the study's own
    lead_days, horizon_days, capacity : -1, 0 and 0 keep the study's own

    Raises
    ------
    StudyError
        One sentence for every value that doesn't fit, and for dates or days in a flat study.
    """
    churn = {"lead_days": lead_days} if lead_days != -1 else {}
    churn |= {"horizon_days": horizon_days, "horizon": None} if horizon_days else {}
    snapshots = {"last": snapshot} if snapshot else {}
    if study.kind == "flat" and (churn or snapshots):
        given = {key: value for key, value in churn.items() if value is not None}
        raise StudyError(_describe_needless_dates(study, {"snapshot": snapshot} | given))
    economics = {"capacity": capacity} if capacity else {}
    changes = {"churn": churn, "snapshots": snapshots, "economics": economics}
    adjusted = _change(study, {part: keys for part, keys in changes.items() if keys})
    if snapshot and study.lifecycle.last:
        lifecycle = study.lifecycle.model_copy(update={"last": adjusted.snapshots.last})
        return adjusted.model_copy(update={"lifecycle": lifecycle})
    return adjusted


def _describe_needless_dates(study: Study, settings: dict[str, Any]) -> str:
    given = ", ".join(f"{key} {value}" for key, value in settings.items() if value != "")
    return (
        f"study {study.name}: expected no snapshot, lead_days or horizon_days for a flat study, got"
        f" {given}; leave them at their defaults"
    )


def _change(study: Study, changes: dict[str, dict[str, Any]]) -> Study:
    """Return the study with some keys of some parts changed."""
    definition = study.model_dump(exclude_none=True)
    definition |= {part: definition[part] | keys for part, keys in changes.items()}
    file = f"{show_path(study.folder / 'study.yml')} with the run's parameters"
    return _validate(definition, study.folder, file)


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice, and gives the line of a value such as 30 February."""

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


def _construct(text: str) -> Any:
    """Return what a YAML text holds, unless its aliases would make more of it than it has."""
    loader = _UniqueKeyLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _require_size(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _require_size(root: yaml.Node) -> None:
    """Refuse a document of too many values, each alias counted with all that it stands for.

    Nodes are counted from the leaves up, each once, so that the check itself takes no longer.
    """
    sizes: dict[int, int] = {}

    def count(node: yaml.Node, above: tuple[int, ...] = ()) -> int:
        if id(node) in above:
            raise yaml.constructor.ConstructorError(
                None, None, "an alias within what it stands for", node.start_mark
            )
        if id(node) not in sizes:
            pairs = node.value if isinstance(node, yaml.CollectionNode) else []
            mapped = isinstance(node, yaml.MappingNode)
            inner = [each for pair in pairs for each in pair] if mapped else pairs
            sizes[id(node)] = 1 + sum(count(each, (*above, id(node))) for each in inner)
        return sizes[id(node)]

    if (size := count(root)) > LARGEST_YAML:
        raise yaml.constructor.ConstructorError(
            None,
            None,
            f"more than {LARGEST_YAML:,} values ({size:,} with what the aliases stand for)",
            root.start_mark,
        )


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; a syntax error becomes one sentence with its line."""
    file = show_path(path)
    try:
        content = _construct(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", error)
        raise StudyError(
            f"{file}: expected a readable UTF-8 file, but reading it failed: {reason}; restore it"
        ) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise StudyError(_describe_syntax_error(file, error)) from None
    if not isinstance(content, dict):
        found = {list: "a list", type(None): "an empty file"}.get(type(content), "a single value")
        raise StudyError(
            f"{file}: expected keys with values, got {found}; write 'key: value' lines"
        )
    return content


def _describe_syntax_error(file: str, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    line = f", line {mark.line + 1}" if mark else ""
    reason = getattr(error, "problem", None) or " ".join(str(error).split())
    remedy = "correct that line" if mark else "correct the file"
    return f"{file}{line}: expected valid YAML, but reading it failed: {reason}; {remedy}"


def show_path(path: Path) -> str:
    """Return a path as the user knows it: relative to the project folder if it is inside."""
    root = project_root()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)

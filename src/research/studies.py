"""Study folders: ``data/<study>/study.yml``, read and validated as a whole.

A study says where its tables come from, what churn means, over which horizon, and which columns must stay out of a model.
Every fault of the file is listed at once, each as one sentence: what was required, what arrived, what to do.
"""

import difflib
import os
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, PrivateAttr, ValidationError, model_validator

TABLES = ("customers", "contracts", "orders", "usage", "contacts", "feedback", "referrals", "campaigns", "snapshot")

TRAPS = ("late_rows", "duplicates", "knowing_attribute", "price_rise", "missing_blocks", "hostile_text", "chosen_campaign")  # of a simulated company
STAGES = ("introduction", "growth", "maturity", "decline", "gone", "won back")

CENTURY_DAYS = 36_500
Days = Annotated[int, Field(ge=1, le=CENTURY_DAYS)]
Day = Annotated[date, Field(ge=date(1900, 1, 1), le=date(2200, 1, 1))]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class StudyError(Exception):
    """Faults in a study or its data; ``faults`` holds one sentence each."""

    def __init__(self, *faults: str):
        self.faults = faults
        super().__init__("\n".join(faults))

    def __reduce__(self):
        return type(self), self.faults


class UsageError(StudyError):
    """A request that names something that isn't there; nothing was started."""


class NotApplicable(Exception):
    """Raised by a notebook whose tables a study does not have; the batch lists it as not applicable, with these words."""


class Part(BaseModel):
    """A piece of study.yml: unknown keys refused, never changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _option(value: Any) -> bool | int | str | list[str]:
    if isinstance(value, bool | int | str) or (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        return value
    raise ValueError(f"required text, a whole number, true, false or a list of texts, arrived {_short(value)}; correct the value")


class Source(Part):
    """One raw file, seen by the SQL adapters under its key in ``sources``.

    ``file`` is a path below the study's ``raw/`` folder or an absolute one; CSV and Parquet may be a glob. ``options`` go to DuckDB's
    ``read_csv`` as they are; ``sheet`` chooses the sheet of an XLSX file, ``object`` the object of an RData file.
    """

    file: str
    url: str | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    options: dict[Name, Annotated[bool | int | str | list[str], PlainValidator(_option)]] = {}
    sheet: str | None = None
    object: str | None = None

    @model_validator(mode="after")
    def _url_needs_checksum(self):
        if self.url and not self.sha256:
            raise ValueError("required a sha256 beside every url; write the file's SHA-256 checksum")
        return self


class Simulation(Part):
    """A generated company instead of files: customers, months of history, the seed of every draw, and the traps planted in its tables."""

    customers: Annotated[int, Field(ge=100)]
    months: Annotated[int, Field(ge=12, le=1200)]
    seed: Annotated[int, Field(ge=0)] = 0
    traps: tuple[Literal[TRAPS], ...] = TRAPS


class Churn(Part):
    """What churn means, in days; see ``research.snapshots`` for the windows.

    ``active_days``: a non-contractual customer belongs to the population while the last order is at most this old.
    ``inactive_days``: silence that counts as a lapse in durations.
    """

    horizon_days: Days
    lead_days: Annotated[int, Field(ge=0, le=CENTURY_DAYS)] = 0
    active_days: Days | None = None
    inactive_days: Days | None = None


class Snapshots(Part):
    """The panel: ``test`` snapshots end on ``last``; ``train`` snapshots precede them so that no label window overlaps."""

    last: Day
    every_days: Days = 30
    train: Annotated[int, Field(ge=1)] = 6
    test: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _panel_fits_a_century(self):
        span = (self.train + self.test) * self.every_days
        if span > CENTURY_DAYS:
            raise ValueError(f"required train and test snapshots within {CENTURY_DAYS:,} days, arrived {span:,} days; use fewer or closer ones")
        return self


class Leaks(Part):
    """Columns about which the study knows better than the leak gate, each with its reason."""

    keep: dict[str, str] = {}
    drop: dict[str, str] = {}


class Lifecycle(Part):
    """Where customers stand: the thresholds of the stages and the windows of the indicators; see ``research.lifecycle`` for the rule.

    ``last``: the last day looked at; ``snapshots.last`` unless given. ``silence_days``: silence that is decline whatever the own rhythm;
    two thirds of ``inactive_days`` unless given, none for contractual studies. ``activity``: the table whose rows tell how alive a customer
    is; usage where the study has it, else orders. ``segments``: attributes of customers, or ``plan``, by which indicators are told apart.
    ``targets``: a value for each indicator that has one, in the indicator's own unit.
    """

    last: Day | None = None
    introduction_days: Days = 90
    won_back_days: Days = 90
    recent_days: Days = 90
    decline_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.6
    growth_ratio: Annotated[float, Field(gt=1)] = 1.5
    noise: Annotated[float, Field(ge=0, le=5)] = 1.28
    silence_gaps: Annotated[float, Field(ge=1)] = 3.0
    silence_days: Days | None = None
    activity: Literal["usage", "orders"] | None = None
    retention_days: Days = 365
    segments: list[str] | None = None
    targets: dict[str, float] = {}


class Economics(Part):
    """The currency in which amounts and fees are given, and how many customers the team can contact in one cycle."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    capacity: Annotated[int, Field(ge=1)]


class Study(Part):
    """A validated study.yml; ``name`` and ``folder`` say where it stands."""

    title: str
    kind: Literal["contractual", "non_contractual", "flat"]
    sources: dict[Name, Source] = {}
    attach: dict[Name, str] = {}
    simulate: Simulation | None = None
    churn: Churn | None = None
    snapshots: Snapshots | None = None
    data_start: Day | None = None
    data_end: Day | None = None
    rule_column: str | None = None
    sensitive: list[str] = []
    leaks: Leaks = Leaks()
    lifecycle: Lifecycle = Lifecycle()
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
        faults = [*_missing_parts(self), *_clashing_names(self)]
        if faults:
            raise ValueError("\n".join(faults))
        return self


def _missing_parts(study: Study) -> list[str]:
    if study.kind == "flat":
        return []
    faults = [f"required the key '{part}' for a {study.kind} study; add it" for part in ("churn", "snapshots") if getattr(study, part) is None]
    if study.kind == "non_contractual" and study.churn:
        faults += [
            f"required the key 'churn.{key}' for a non_contractual study; add it"
            for key in ("active_days", "inactive_days")
            if getattr(study.churn, key) is None
        ]
    return faults


def _clashing_names(study: Study) -> list[str]:
    taken = sorted(name for name in {*study.sources, *study.attach} if name.lower() in TABLES)
    return [f"required source names unlike the contract tables, arrived '{name}'; rename it, for example to 'raw_{name}'" for name in taken]


def project_root() -> Path:
    """Return the folder that holds ``data/``, ``notebooks/`` and ``reports/``; RESEARCH_HOME overrides it."""
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
        raise UsageError(f"required a study folder data/{name} with a study.yml, found the studies {known}; correct the name or write that folder")
    path = project_root() / "data" / name / "study.yml"
    try:
        study = Study.model_validate(read_yaml(path))
    except ValidationError as error:
        raise StudyError(*describe_faults(path, error)) from None
    study._folder = path.parent
    return study


def adjust(study: Study, snapshot: str = "", lead_days: int = -1, horizon_days: int = 0, capacity: int = 0) -> Study:
    """Return the study with another clock or capacity, validated as study.yml is.

    Parameters
    ----------
    snapshot : ISO date of the last test snapshot; empty keeps the study's own
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
            f"study {study.name}: required a dated study to set snapshot, lead_days or horizon_days, arrived a flat one; leave them at their defaults"
        )
    definition = study.model_dump(exclude_none=True)
    for part, changes in (("churn", clock), ("snapshots", {"last": snapshot} if snapshot else {}), ("economics", {"capacity": capacity} if capacity else {})):
        if changes:
            definition[part] = definition[part] | changes
    try:
        adjusted = Study.model_validate(definition)
    except ValidationError as error:
        raise StudyError(
            *(fault.replace("study.yml, key", "study.yml with the run's parameters, key") for fault in describe_faults(study.folder / "study.yml", error))
        ) from None
    adjusted._folder = study.folder
    return adjusted


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML in which a key given twice is a fault, not a silent overwrite, and an impossible value, say 30 February, a fault with its line."""

    def construct_object(self, node, deep=False):
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            value = f"{_short(node.value)}: " if isinstance(node, yaml.ScalarNode) else ""
            raise yaml.constructor.ConstructorError(None, None, f"{value}{error}", node.start_mark) from None


def _mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = [str(key) for key in dict.fromkeys(keys) if keys.count(key) > 1]
    if twice:
        raise yaml.constructor.ConstructorError(None, None, f"key given twice: {', '.join(twice)}", node.start_mark)
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; a syntax error becomes one sentence with its line."""
    label = show_path(path)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeyLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{label}: required a readable UTF-8 file, arrived {getattr(error, 'strerror', error)}; restore the file") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise StudyError(f"{label}{line}: required valid YAML, arrived: {error.problem}; correct that line") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise StudyError(f"{label}: required valid YAML, arrived: {' '.join(str(error).split())}; correct the file") from None
    if not isinstance(content, dict):
        raise StudyError(f"{label}: required keys with values, arrived {type(content).__name__}; write 'key: value' lines")
    return content


def show_path(path: Path) -> str:
    """Return the path as the user knows it: relative to the project where it lies inside."""
    root = project_root()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def describe_faults(path: Path, error: ValidationError) -> list[str]:
    """Turn pydantic's errors into sentences that name file, key, requirement, what arrived and the remedy."""
    return [sentence for fault in error.errors() for sentence in _sentences(path, fault)]


def _sentences(path: Path, fault: Any) -> list[str]:
    place = f"{show_path(path)}, key {'.'.join(map(str, fault['loc']))}" if fault["loc"] else show_path(path)
    if fault["type"] == "extra_forbidden":
        return [f"{place}: required a known key, arrived '{fault['loc'][-1]}'; {_suggest(str(fault['loc'][-1]))}"]
    if fault["type"] == "missing":
        return [f"{place}: required, but nothing arrived; add the key"]
    if fault["type"] == "value_error":
        return [f"{place}: {line}" for line in str(fault["ctx"]["error"]).split("\n")]
    required = re.sub(r"^(Input|Value|String|Keys) should (be|have|match) ?", "", fault["msg"])
    return [f"{place}: required {required}, arrived {_short(fault['input'])}; correct the value"]


def _suggest(key: str) -> str:
    known = {field for part in (Study, Source, Simulation, Churn, Snapshots, Leaks, Lifecycle, Economics) for field in part.model_fields}
    close = difflib.get_close_matches(key, sorted(known), n=1)
    return f"did you mean '{close[0]}'?" if close else "remove it"


def _short(value: Any, length: int = 60) -> str:
    text = str(value) if isinstance(value, date) else repr(value)
    return text if len(text) <= length else text[: length - 1] + "…"

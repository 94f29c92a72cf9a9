"""Kept models on disk: ``models/<study>/<id>/`` with ``model.skops`` and ``card.json``, and
``stayers.parquet``, the training customers against whom reasons are measured.

A model is written whole or not at all, and loaded only where its bytes are those of its card and
hold nothing but types of a closed list: a model file must not be able to run code.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import skops.io

from research.data.fetch import data_hash, hash_file
from research.errors import StudyError
from research.files import describe_os_error, scratch_folder, sweep, sync_folder
from research.study import Study, project_root, show_path
from research.watchlist.fitted import Fitted
from research.watchlist.reason_base import ReasonBase

MODEL, CARD, STAYERS = "model.skops", "card.json", "stayers.parquet"
SCRATCH = ".being-written-"
OWN = "research.models."  # classes and functions of this package's models
TRUSTED = frozenset(
    {
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "numpy.asarray",
        "numpy.clip",
        "numpy.dtype",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "scipy.interpolate._bsplines.BSpline",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
        "sksurv.ensemble.forest.RandomSurvivalForest",
        "sksurv.linear_model.coxnet.CoxnetSurvivalAnalysis",
        "sksurv.tree.tree.SurvivalTree",
    }
)  # beyond those that skops itself knows to be harmless
LIBRARIES = ("lightgbm", "scikit-learn", "scikit-survival")  # whose objects a model holds
DAMAGED = (KeyError, TypeError, ValueError, AttributeError, ImportError, zipfile.BadZipFile)


@dataclass(frozen=True)
class KeptModel:
    """A model, and the card that says what it learned from and what it is worth.

    Attributes
    ----------
    card : see ``kept_model.train_model``
    fitted : what predicts
    base : what reasons are measured against; None of a model that was kept without
    """

    card: dict[str, Any]
    fitted: Fitted
    base: ReasonBase | None = None

    @property
    def id(self) -> str:
        """Return the day by which everything was known, and a short hash of what made it."""
        return self.card["id"]

    @property
    def day(self) -> date:
        """Return the day by which everything was known that the model learned from."""
        return date.fromisoformat(self.card["day"])


def locate_models(study: Study) -> Path:
    """Return the folder of a study's kept models."""
    return project_root() / "models" / study.name


def find_versions() -> dict[str, str]:
    """Return the versions of the libraries whose objects a model holds."""
    return {name: metadata.version(name) for name in LIBRARIES}


def hash_code() -> str:
    """Return a SHA-256 over the package's sources."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package)} ".encode() + path.read_bytes())
    return digest.hexdigest()


def hash_study(study: Study) -> str:
    """Return a SHA-256 over the keys of a study, with parameters that were put in."""
    return hashlib.sha256(study.model_dump_json().encode()).hexdigest()


def hash_inputs(study: Study, *others: Any) -> str:
    """Return a SHA-256 over data, study, code and whatever else decides a result."""
    parts = [data_hash(study), hash_study(study), hash_code(), *map(str, others)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def save_model(study: Study, kept: KeptModel) -> Path:
    """Write a model with its card, and return its folder.

    A folder of the same id, which the same inputs made, is replaced.

    Raises
    ------
    StudyError
        If the system refuses to write.
    """
    folder = locate_models(study) / kept.id
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(folder.parent, f"{SCRATCH}*")
        with scratch_folder(folder.parent, SCRATCH) as scratch:
            _write(scratch, kept)
            _replace(scratch, folder)
    except OSError as error:
        raise StudyError(describe_os_error(error)) from None
    return folder


def _write(scratch: Path, kept: KeptModel) -> None:
    refits = [each.pack() for each in kept.base.refits] if kept.base else []
    parts = skops.io.dumps(
        kept.fitted.pack() | {"refits": refits}, compression=zipfile.ZIP_DEFLATED
    )
    (scratch / MODEL).write_bytes(parts)
    card = kept.card | {"sha256": hashlib.sha256(parts).hexdigest()}
    if kept.base is not None:
        kept.base.stayers.to_parquet(scratch / STAYERS, index=False)
        card |= {"stayers_sha256": hash_file(scratch / STAYERS), "groups": kept.base.groups}
    text = json.dumps(card, indent=1, ensure_ascii=False, default=str)
    (scratch / CARD).write_text(text + "\n", encoding="utf-8")
    scratch.chmod(0o755)
    sync_folder(scratch)


def _replace(scratch: Path, folder: Path) -> None:
    """Rename the scratch folder; what stood there goes to a scratch name first."""
    if folder.exists():
        folder.rename(scratch.parent / f"{SCRATCH}old-{folder.name}")
        sweep(scratch.parent, f"{SCRATCH}old-*")
    scratch.rename(folder)


def read_card(folder: Path) -> dict[str, Any]:
    """Return the card of a kept model.

    Raises
    ------
    StudyError
        If it is missing or damaged.
    """
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        needed = ("id", "day", "made_at", "sha256", "definition", "versions", "features")
        if not all(key in card for key in needed):
            raise ValueError
        return card
    except (OSError, ValueError):
        raise StudyError(
            f"{show_path(folder / CARD)}: expected the card of a kept model, got a missing or"
            " damaged file; remove the folder and run 'research train'"
        ) from None


def load_model(folder: Path) -> KeptModel:
    """Load a kept model, its bytes and types checked against card and list.

    Raises
    ------
    StudyError
        One sentence for a file that is missing, isn't the card's, holds a foreign type, or was made
        by other versions of the libraries.
    """
    card, place = read_card(folder), show_path(folder / MODEL)
    again = "remove the folder and run 'research train'"
    if reason := explain_versions(card):
        raise StudyError(f"{place}: {reason}; run 'research train'")
    try:
        parts = (folder / MODEL).read_bytes()
    except OSError:
        raise StudyError(
            f"{place}: expected the kept model, but it can't be read; {again}"
        ) from None
    _require_hash(place, hashlib.sha256(parts).hexdigest(), card["sha256"], again)
    fitted, refits = _load_parts(parts, place, again)
    return KeptModel(card, fitted, _load_base(folder, card, refits, again))


def _require_hash(place: str, found: str, expected: str, again: str) -> None:
    if found != expected:
        raise StudyError(
            f"{place}: expected the SHA-256 of its card, {str(expected)[:12]}…, got"
            f" {found[:12]}…: the file was changed, and is not loaded; {again}"
        )


def _load_base(
    folder: Path, card: dict[str, Any], refits: list[Fitted], again: str
) -> ReasonBase | None:
    """Return what reasons are measured against; None of a model that was kept without."""
    if "stayers_sha256" not in card:
        return None
    path = folder / STAYERS
    found = hash_file(path) if path.is_file() else "no file"
    _require_hash(show_path(path), found, card["stayers_sha256"], again)
    return ReasonBase(pd.read_parquet(path), tuple(refits), card["groups"])


def explain_versions(card: dict[str, Any]) -> str:
    """Return why the libraries at hand can't load a model; empty where they can."""
    now, then = find_versions(), card["versions"]
    other = [f"{name} {then.get(name)}" for name in LIBRARIES if then.get(name) != now[name]]
    if not other:
        return ""
    return (
        f"expected a model of the libraries at hand, got one of {', '.join(other)} (now"
        f" {', '.join(f'{name} {version}' for name, version in now.items())})"
    )


def _load_parts(parts: bytes, place: str, again: str) -> tuple[Fitted, list[Fitted]]:
    try:
        types = skops.io.get_untrusted_types(data=parts)
        if foreign := [name for name in types if not is_trusted(name)]:
            raise StudyError(
                f"{place}: expected types of models that this package keeps, got"
                f" {', '.join(sorted(foreign)[:3])}: the file is foreign, and is not loaded;"
                f" {again}"
            )
        found = skops.io.loads(parts, trusted=types)
        return Fitted.unpack(found), [Fitted.unpack(each) for each in found.get("refits", [])]
    except DAMAGED:
        raise StudyError(
            f"{place}: expected a kept model, got a file that is none; {again}"
        ) from None


def is_trusted(name: str) -> bool:
    """Say whether a type or function may stand in a model file."""
    return name in TRUSTED or name.startswith(OWN)


def list_kept(study: Study) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield folders and cards of a study's kept models, the newest first."""
    folders = [path.parent for path in locate_models(study).glob(f"*/{CARD}")]
    cards = [(folder, read_card(folder)) for folder in folders if folder.name[0] != "."]
    yield from sorted(cards, key=lambda pair: (pair[1]["day"], pair[1]["made_at"]), reverse=True)


def find_kept(study: Study, day: date) -> tuple[Path | None, str]:
    """Return the newest kept model that may score a day, and why newer ones may not.

    One that learned from later days would know the future; one of another definition of churn, or
    of other libraries, answers another question or can't be loaded.
    """
    reasons = []
    for folder, card in list_kept(study):
        reason = _explain_unfit(study, card, day)
        if not reason:
            return folder, "; ".join(reasons)
        reasons.append(f"{folder.name} {reason}")
    return None, "; ".join(reasons)


def _explain_unfit(study: Study, card: dict[str, Any], day: date) -> str:
    if card["day"] > day.isoformat():
        return f"learned from what was known by {card['day']}, after the scored day"
    if card["definition"] != define_churn(study):
        return "was trained for another definition of churn"
    return "was made by other versions of the libraries" if explain_versions(card) else ""


def define_churn(study: Study) -> dict[str, Any]:
    """Return what a model's risk means: kind of study, windows of churn and of features."""
    definition = {"kind": study.kind, "churn": study.churn.model_dump(mode="json")}
    return definition | {"windows": [*study.features.windows], "sensitive": [*study.sensitive]}

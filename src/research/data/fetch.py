"""Raw files: fetch them from a mirror or the network, verify them, and say by a hash which data a
run has seen.
"""

import glob
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pooch

from research.errors import StudyError
from research.simulate import Company
from research.simulate.generate import SIMULATOR, write_company
from research.study import Study, show_path
from research.study_schema import Source


def fetch(study: Study, progress: bool = False) -> pd.DataFrame:
    """Bring every raw file of a study into its ``raw/`` folder, verified.

    A file that is already there with the right checksum stays. Otherwise the folder in the
    environment variable RESEARCH_MIRROR is tried (``<mirror>/<study>/<file>``, then
    ``<mirror>/<file>``), then the URL. A file becomes visible under its name only after its SHA-256
    was found right; nothing half-written stays.

    Returns
    -------
    DataFrame with columns source, file, origin, bytes
        ``origin`` is one of kept, mirror, download, generated, local.

    Raises
    ------
    StudyError
        One sentence for every file that could not be brought.
    """
    generated = _prepare(study)
    rows, faults = [], []
    for name, source in study.sources.items():
        try:
            origin = "generated" if generated else _bring(study, name, source, progress)
            rows.append(
                (
                    name,
                    source.file,
                    origin,
                    sum(path.stat().st_size for path in list_files(study, name, source)),
                )
            )
        except StudyError as error:
            faults += error.faults
        except OSError as error:
            faults.append(
                f"{name_key(study, name)}: expected a place to write {source.file}, got"
                f" {error.strerror}; free it or correct 'file'"
            )
    if faults:
        raise StudyError(*faults)
    return pd.DataFrame(rows, columns=["source", "file", "origin", "bytes"])


def _prepare(study: Study) -> bool:
    """Make the folder ``raw/`` and, for a simulated company, its files; return whether the files
    were generated.
    """
    try:
        study.raw.mkdir(parents=True, exist_ok=True)
        return _generate(study)
    except OSError as error:
        raise StudyError(
            f"{show_path(study.raw)}: expected a folder that can be written, got"
            f" {error.strerror}; free that place"
        ) from None


def _generate(study: Study) -> bool:
    """Write the simulated company's tables unless the same request to the same simulator already
    wrote them.
    """
    if study.simulate is None:
        return False
    stamp, wanted = (
        study.raw / ".simulated",
        f"{study.simulate.model_dump_json()} {hash_simulator()}",
    )
    if (
        not stamp.exists()
        or stamp.read_bytes() != wanted.encode()
        or any(not _find(study, source) for source in study.sources.values())
    ):
        stamp.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(dir=study.raw, prefix=".simulating-") as scratch:
            write_company(Company(**study.simulate.model_dump()), Path(scratch) / "new")
            for table in sorted((Path(scratch) / "new").iterdir()):
                _swap(table, study.raw / table.name, Path(scratch) / f"old-{table.name}")
        publish(stamp, lambda path: path.write_text(wanted))
    return True


def _swap(new: Path, target: Path, old: Path) -> None:
    """Put a table's folder in the place of an earlier one; readers see all the files of the one or
    of the other.
    """
    if target.exists():
        os.rename(target, old)
    os.rename(new, target)


def hash_simulator() -> str:
    """Return one SHA-256 over the modules that make the generated company."""
    return combine_hashes({path.name: hash_file(path) for path in sorted(SIMULATOR.glob("*.py"))})


def publish(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside ``path`` and rename, so that readers see the whole file or none."""
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        write(Path(scratch))
        os.chmod(scratch, 0o644)
        os.replace(scratch, path)
    finally:
        Path(scratch).unlink(missing_ok=True)


def _bring(study: Study, name: str, source: Source, progress: bool) -> str:
    target = study.raw / source.file
    if source.sha256 is None:
        list_files(study, name, source)
        return "local"
    if os.path.isfile(target) and hash_file(target) == source.sha256:
        return "kept"
    mirrored = _mirrored(study, source)
    if mirrored is not None:
        _require_checksum(mirrored, source)
        target.parent.mkdir(parents=True, exist_ok=True)
        publish(target, lambda path: shutil.copyfile(mirrored, path))
        return "mirror"
    return _download(study, name, source, progress)


def _mirrored(study: Study, source: Source) -> Path | None:
    mirror = os.environ.get("RESEARCH_MIRROR")
    places = [Path(mirror) / study.name / source.file, Path(mirror) / source.file] if mirror else []
    return next((place for place in places if os.path.isfile(place)), None)


def _download(study: Study, name: str, source: Source, progress: bool) -> str:
    if source.url is None:
        if os.path.isfile(study.raw / source.file):
            _require_checksum(study.raw / source.file, source)
        remedy = f"put it into {show_path(study.raw)} or a RESEARCH_MIRROR folder"
        raise StudyError(
            f"{name_key(study, name)}: expected the file {source.file}, which has no url; {remedy}"
        )
    pooch.get_logger().setLevel("ERROR")
    try:
        pooch.retrieve(
            source.url,
            f"sha256:{source.sha256}",
            fname=source.file,
            path=study.raw,
            progressbar=progress,
        )
    except OSError as error:
        raise StudyError(
            f"{name_key(study, name)}: expected {source.file} from {source.url}, got"
            f" {_root_cause(error)}; connect to the network, or point RESEARCH_MIRROR at a folder"
            " that holds the file"
        ) from None
    except ValueError as error:
        mismatch = re.search(r"hash.* but got '?([0-9a-f]{64})", str(error), re.DOTALL)
        if mismatch is None:
            raise StudyError(
                f"{name_key(study, name)}: expected an http, https or ftp address, got"
                f" '{source.url}'; correct 'url'"
            ) from None
        raise StudyError(
            _checksum_sentence(f"{name_key(study, name)}, {source.url}", source, mismatch[1])
        ) from None
    return "download"


def _root_cause(error: BaseException) -> str:
    while error.__context__ is not None:
        error = error.__context__
    return f"{type(error).__name__} ({' '.join(str(error).split())[:120]})"


def _require_checksum(path: Path, source: Source) -> None:
    arrived = hash_file(path)
    if arrived != source.sha256:
        raise StudyError(_checksum_sentence(str(path), source, arrived))


def _checksum_sentence(place: str, source: Source, arrived: str) -> str:
    return (
        f"{place}: expected SHA-256 {source.sha256}, got {arrived}; the file was refused, so"
        " get the right version or correct study.yml"
    )


def name_key(study: Study, name: str) -> str:
    """Return where a source is defined, as a fault names it."""
    return f"{show_path(study.folder / 'study.yml')}, key sources.{name}"


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _find(study: Study, source: Source) -> list[Path]:
    if os.path.isfile(study.raw / source.file):
        return [study.raw / source.file]
    return sorted(
        study.raw / found
        for found in glob.glob(source.file, root_dir=study.raw)
        if os.path.isfile(study.raw / found)
    )


def list_files(study: Study, name: str, source: Source) -> list[Path]:
    """Return the files of a source in order; a glob may name many."""
    found, whole = _find(study, source), study.raw / source.file
    if not found:
        raise StudyError(
            f"{name_key(study, name)}: expected the file {show_path(whole)}, which is not there;"
            f" run 'research fetch {study.name}' or put it there"
        )
    return found


def hash_files(study: Study) -> dict[str, str]:
    """Return the SHA-256 of study.yml, of each SQL adapter, of each attached database file and of
    each raw file, by name.
    """
    definition = {
        path.name: path
        for path in (study.folder / "study.yml", *sorted(study.folder.glob("*.sql")))
    }
    attached = {
        name: Path(locate_database(study, address)) for name, address in study.attach.items()
    }
    raw = {
        f"{name}/{path.name}": path
        for name, source in study.sources.items()
        for path in list_files(study, name, source)
    }
    return {
        name: hash_file(path)
        for name, path in (definition | attached | raw).items()
        if os.path.isfile(path)
    }


def data_hash(study: Study) -> str:
    """Return one SHA-256 over ``hash_files``: equal hashes, equal data."""
    return combine_hashes(hash_files(study))


def combine_hashes(hashes: dict[str, str]) -> str:
    """Return one SHA-256 over names and hashes."""
    return hashlib.sha256(
        "".join(f"{name} {value}\n" for name, value in hashes.items()).encode()
    ).hexdigest()


def locate_database(study: Study, address: str) -> str | Path:
    """A database address is taken as it is; the name of a file lies below ``raw/``."""
    return address if ":" in address or os.path.isabs(address) else study.raw / address

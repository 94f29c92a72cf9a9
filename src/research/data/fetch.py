"""Raw files: fetch them from a mirror or the network, verify them, and hash what a run has read."""

import ftplib
import glob
import hashlib
import os
import re
import shutil
import threading
import time
import warnings
from collections import Counter
from functools import partial
from pathlib import Path
from typing import NoReturn

import pandas as pd

from research.errors import StudyError
from research.files import (
    CLOSED,
    FULL,
    HALF_WRITTEN,
    publish,
    scratch_folder,
    sweep,
    sync,
    sync_folder,
)
from research.simulate import Company
from research.simulate.generate import SIMULATOR, write_company
from research.study import Study, show_path
from research.study_schema import Source

with warnings.catch_warnings():  # in a notebook without widgets, which a download doesn't need
    warnings.filterwarnings("ignore", "IProgress not found")
    import pooch

ATTEMPTS, WAIT_SECONDS = 4, 0.5  # the wait doubles after each failure
SILENT_SECONDS = 30  # after which a server that sends nothing counts as gone
DOWNLOAD_SECONDS = 3600  # for one file, all attempts together
LEFT_OVER = (".simulating-*", ".fetching-*", HALF_WRITTEN)
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # answers that may differ a little later


def fetch(study: Study, progress: bool = False) -> pd.DataFrame:
    """Bring every raw file of a study into its ``raw/`` folder, verified.

    A file that already exists with the right checksum is kept. Otherwise the folder in the
    environment variable RESEARCH_MIRROR is tried (``<mirror>/<study>/<file>``, then
    ``<mirror>/<file>``), then the URL. A file becomes visible under its name only after its SHA-256
    was verified; nothing half-written is left.

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
            size = sum(path.stat().st_size for path in list_files(study, name, source))
            rows.append((name, source.file, origin, size))
        except StudyError as error:
            faults += error.faults
        except OSError as error:
            faults.append(
                f"{name_key(study, name)}: expected to write {source.file}, but that failed:"
                f" {error.strerror}; make room there or correct 'file'"
            )
    if faults:
        raise StudyError(*faults)
    return pd.DataFrame(rows, columns=["source", "file", "origin", "bytes"])


def _prepare(study: Study) -> bool:
    """Make the folder ``raw/`` and a simulated company's files; return whether there is one."""
    try:
        study.raw.mkdir(parents=True, exist_ok=True)
        for folder in {study.raw / Path(source.file).parent for source in study.sources.values()}:
            sweep(folder, HALF_WRITTEN)
        sweep(study.raw, *LEFT_OVER)
        return _generate(study)
    except OSError as error:
        raise StudyError(
            f"{show_path(study.raw)}: expected a folder that can be written to, but writing failed:"
            f" {error.strerror}; make room there"
        ) from None


def _generate(study: Study) -> bool:
    """Write the simulated company's tables unless the same simulator already wrote the same."""
    if study.simulate is None:
        return False
    stamp = study.raw / ".simulated"
    request = f"{study.simulate.model_dump_json()} {hash_simulator()}"
    missing = any(not _find_files(study, source) for source in study.sources.values())
    if missing or not stamp.exists() or stamp.read_bytes() != request.encode():
        stamp.unlink(missing_ok=True)
        with scratch_folder(study.raw, ".simulating-") as scratch:
            write_company(Company(**study.simulate.model_dump()), scratch / "new")
            sync_folder(scratch / "new")
            for table in sorted((scratch / "new").iterdir()):
                _swap(table, study.raw / table.name, scratch / f"old-{table.name}")
        publish(stamp, lambda path: path.write_text(request))
    return True


def _swap(new: Path, target: Path, old: Path) -> None:
    """Replace a table's folder by a new one; readers see all files of the one or of the other."""
    if target.exists():
        os.rename(target, old)
    os.rename(new, target)


def hash_simulator() -> str:
    """Return one SHA-256 over the modules of the simulator."""
    return combine_hashes({path.name: hash_file(path) for path in sorted(SIMULATOR.glob("*.py"))})


def _bring(study: Study, name: str, source: Source, progress: bool) -> str:
    target = study.raw / source.file
    if source.sha256 is None:
        list_files(study, name, source)
        return "local"
    if os.path.isfile(target) and hash_file(target) == source.sha256:
        return "kept"
    mirrored = _find_in_mirror(study, source)
    if mirrored is not None:
        _require_checksum(mirrored, source)
        target.parent.mkdir(parents=True, exist_ok=True)
        publish(target, lambda path: shutil.copyfile(mirrored, path))
        return "mirror"
    return _download(study, name, source, progress)


def _find_in_mirror(study: Study, source: Source) -> Path | None:
    mirror = os.environ.get("RESEARCH_MIRROR")
    places = [Path(mirror) / study.name / source.file, Path(mirror) / source.file] if mirror else []
    return next((place for place in places if os.path.isfile(place)), None)


def _download(study: Study, name: str, source: Source, progress: bool) -> str:
    if source.url is None:
        _refuse_missing(study, name, source)
    try:
        with scratch_folder(study.raw, ".fetching-") as scratch:
            _retrieve(source, scratch, progress)
            target = study.raw / source.file
            target.parent.mkdir(parents=True, exist_ok=True)
            sync(scratch / target.name)
            os.replace(scratch / target.name, target)
    except ValueError as error:
        raise StudyError(_describe_refusal(study, name, source, error)) from None
    except ftplib.all_errors as error:
        if _is_of_disk(error):
            raise
        raise StudyError(
            f"{name_key(study, name)}: expected {source.file} from {source.url}, got"
            f" {_root_cause(error)}; connect to the network, or point RESEARCH_MIRROR at a folder"
            " with the file"
        ) from None
    return "download"


def _retrieve(source: Source, folder: Path, progress: bool) -> None:
    """Download a source's file into a folder, again after a failure that may pass."""
    deadline = time.monotonic() + DOWNLOAD_SECONDS
    for attempt in range(ATTEMPTS):
        try:
            return _retrieve_once(source, folder, progress, deadline)
        except ftplib.all_errors as error:
            wait = WAIT_SECONDS * 2**attempt
            last = attempt == ATTEMPTS - 1 or time.monotonic() + wait >= deadline
            if last or not _may_pass(error):
                raise
            time.sleep(wait)
    raise AssertionError("unreachable")


def _may_pass(error: Exception) -> bool:
    """Return whether a download that failed so may succeed a little later."""
    answer = getattr(error, "response", None)
    if answer is not None:
        return answer.status_code in PASSING
    return not _is_of_disk(error) and not isinstance(error, ftplib.error_perm)


def _is_of_disk(error: Exception) -> bool:
    """Return whether an error comes from this machine's disk, not from the network."""
    return getattr(error, "errno", None) in FULL | CLOSED or isinstance(error, IsADirectoryError)


def _retrieve_once(source: Source, folder: Path, progress: bool, deadline: float) -> None:
    """Download in a thread, which is left to itself at the deadline, whatever it waits for."""
    pooch.get_logger().setLevel("ERROR")
    outcome: list[BaseException | None] = []

    def retrieve() -> None:
        try:
            pooch.retrieve(
                source.url,
                f"sha256:{source.sha256}",
                fname=Path(source.file).name,
                path=folder,
                downloader=partial(_stream, progress=progress),
            )
            outcome.append(None)
        except Exception as error:  # whatever it is, the caller's thread raises it
            outcome.append(error)

    thread = threading.Thread(target=retrieve, daemon=True)
    thread.start()
    thread.join(max(deadline - time.monotonic(), 0))
    if not outcome:
        raise TimeoutError(f"no whole file within {DOWNLOAD_SECONDS:,} s")
    if outcome[0] is not None:
        raise outcome[0]


def _stream(url: str, file: str, pooch_: object, progress: bool) -> None:
    """Download one address into a file, as pooch does, from a server that goes on sending."""
    downloader = pooch.downloaders.choose_downloader(url, progressbar=progress)
    if isinstance(downloader, pooch.HTTPDownloader):
        downloader.kwargs["timeout"] = SILENT_SECONDS
    else:
        downloader.timeout = SILENT_SECONDS
    downloader(url, file, pooch_)


def _refuse_missing(study: Study, name: str, source: Source) -> NoReturn:
    """Refuse a file that is nowhere, or of which only a copy with another checksum is there."""
    if os.path.isfile(study.raw / source.file):
        _require_checksum(study.raw / source.file, source)
    raise StudyError(
        f"{name_key(study, name)}: expected the file {source.file}, but it is missing and has no"
        f" url; put it into {show_path(study.raw)} or a RESEARCH_MIRROR folder"
    )


def _describe_refusal(study: Study, name: str, source: Source, error: ValueError) -> str:
    """Return the sentence for a checksum that pooch found wrong, or an address it can't open."""
    place = name_key(study, name)
    mismatch = re.search(r"hash.* but got '?([0-9a-f]{64})", str(error), re.DOTALL)
    if mismatch:
        return _describe_mismatch(f"{place}, {source.url}", source, mismatch[1])
    return f"{place}: expected an http, https or ftp address, got '{source.url}'; correct 'url'"


def _root_cause(error: BaseException) -> str:
    while error.__context__ is not None:
        error = error.__context__
    return f"{type(error).__name__} ({' '.join(str(error).split())[:120]})"


def _require_checksum(path: Path, source: Source) -> None:
    checksum = hash_file(path)
    if checksum != source.sha256:
        raise StudyError(_describe_mismatch(str(path), source, checksum))


def _describe_mismatch(place: str, source: Source, checksum: str) -> str:
    return (
        f"{place}: expected SHA-256 {source.sha256}, got {checksum}; the file was not used, so get"
        " the right version or correct study.yml"
    )


def name_key(study: Study, name: str) -> str:
    """Return the place in study.yml where a source is defined, as a fault names it."""
    return f"{show_path(study.folder / 'study.yml')}, key sources.{name}"


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _find_files(study: Study, source: Source) -> list[Path]:
    if os.path.isfile(study.raw / source.file):
        return [study.raw / source.file]
    return sorted(
        study.raw / name
        for name in glob.glob(source.file, root_dir=study.raw)
        if os.path.isfile(study.raw / name)
    )


def list_files(study: Study, name: str, source: Source) -> list[Path]:
    """Return the files of a source in order; a glob may name many."""
    files = _find_files(study, source)
    if not files:
        raise StudyError(
            f"{name_key(study, name)}: expected the file {show_path(study.raw / source.file)}, but"
            f" it does not exist; run 'research fetch {study.name}' or put it there"
        )
    return files


def hash_files(study: Study) -> dict[str, str]:
    """Return the SHA-256 of study.yml and of each file that its SQL is or may read, by name."""
    definition = {
        path.name: path
        for path in (study.folder / "study.yml", *sorted(study.folder.glob("*.sql")))
    }
    raw = {
        f"{name}/{key}": path
        for name, source in study.sources.items()
        for key, path in _name_files(list_files(study, name, source), study.raw).items()
    }
    return {
        name: hash_file(path)
        for name, path in (definition | _list_attached(study) | raw | _list_allowed(study)).items()
        if os.path.isfile(path)
    }


def _list_attached(study: Study) -> dict[str, Path]:
    """Return the files of attached databases, with what their logs have and they not yet."""
    files = {name: Path(locate_database(study, given)) for name, given in study.attach.items()}
    logs = {f"{name}.wal": path.with_name(f"{path.name}.wal") for name, path in files.items()}
    return files | logs


def _list_allowed(study: Study) -> dict[str, Path]:
    """Return all files of the folders that a study's SQL may read by itself."""
    return {
        f"{folder}/{path.relative_to(study.raw / folder)}": path
        for folder in study.allow
        for path in sorted((study.raw / folder).rglob("*"))
    }


def _name_files(paths: list[Path], raw: Path) -> dict[str, Path]:
    """Return the files of a source by name; by their way from ``raw/`` where names are equal."""
    counts = Counter(path.name for path in paths)
    return {
        path.name if counts[path.name] == 1 else os.path.relpath(path, raw): path for path in paths
    }


def data_hash(study: Study) -> str:
    """Return one SHA-256 over ``hash_files``: equal hashes, equal data."""
    return combine_hashes(hash_files(study))


def hash_content(study: Study) -> str | None:
    """Return one SHA-256 over all files that a study reads but study.yml, its truth among them.

    None where its tables may change without any of these files, as those of a warehouse do.
    """
    attached = [locate_database(study, address) for address in study.attach.values()]
    if study.engine.kind == "warehouse" or not all(map(os.path.isfile, attached)):
        return None
    hashes = hash_files(study)
    hashes.pop("study.yml", None)
    truth = {
        str(path.relative_to(study.raw)): path
        for path in sorted((study.raw / "truth").rglob("*.parquet"))
    }
    return combine_hashes(hashes | {name: hash_file(path) for name, path in truth.items()})


def combine_hashes(hashes: dict[str, str]) -> str:
    """Return one SHA-256 over names and hashes."""
    return hashlib.sha256(
        "".join(f"{name} {value}\n" for name, value in hashes.items()).encode()
    ).hexdigest()


def locate_database(study: Study, address: str) -> str | Path:
    """Return where a database is: an address as it is, the name of a file below ``raw/``."""
    return address if ":" in address or os.path.isabs(address) else study.raw / address

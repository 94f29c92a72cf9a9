"""Raw files to contract tables: fetch and verify, attach, and run a study's SQL adapters in DuckDB."""

import glob
import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd
import pooch
import pyreadr

from research import contracts
from research.simulate import simulate
from research.studies import TABLES, Source, Study, StudyError, load_study, show_path

PARQUET_READERS = {".xlsx", ".rda", ".rdata"}


def fetch(study: Study, progress: bool = False) -> pd.DataFrame:
    """Bring every raw file of a study into its ``raw/`` folder, verified.

    A file that is already there with the right checksum stays. Otherwise the folder in the environment variable RESEARCH_MIRROR is tried
    (``<mirror>/<study>/<file>``, then ``<mirror>/<file>``), then the URL. A file becomes visible under its name only after its SHA-256 was
    found right; nothing half-written stays.

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
            rows.append((name, source.file, origin, sum(path.stat().st_size for path in _paths(study, name, source))))
        except StudyError as error:
            faults += error.faults
        except OSError as error:
            faults.append(f"{_key(study, name)}: required a place to write {source.file}, arrived {error.strerror}; free it or correct 'file'")
    if faults:
        raise StudyError(*faults)
    return pd.DataFrame(rows, columns=["source", "file", "origin", "bytes"])


def _prepare(study: Study) -> bool:
    """Make the folder ``raw/`` and, for a simulated company, its files; return whether the files were generated."""
    try:
        study.raw.mkdir(parents=True, exist_ok=True)
        return _generate(study)
    except OSError as error:
        raise StudyError(f"{show_path(study.raw)}: required a folder that can be written, arrived {error.strerror}; free that place") from None


def _generate(study: Study) -> bool:
    """Write the simulated company's files unless the same request to the same simulator already wrote them."""
    if study.simulate is None:
        return False
    stamp, wanted = study.raw / ".simulated", f"{study.simulate.model_dump_json()} {_sha256(Path(simulate.__code__.co_filename))}"
    if not stamp.exists() or stamp.read_bytes() != wanted.encode() or any(not _find(study, source) for source in study.sources.values()):
        for name, frame in simulate(**study.simulate.model_dump()).items():
            _publish(study.raw / f"{name}.parquet", lambda path, frame=frame: frame.to_parquet(path, index=False))
        _publish(stamp, lambda path: path.write_text(wanted))
    return True


def _publish(path: Path, write) -> None:
    """Write beside ``path`` and rename, so that readers see the whole file or none."""
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        write(Path(scratch))
        os.replace(scratch, path)
    finally:
        Path(scratch).unlink(missing_ok=True)


def _bring(study: Study, name: str, source: Source, progress: bool) -> str:
    target = study.raw / source.file
    if source.sha256 is None:
        _paths(study, name, source)
        return "local"
    if os.path.isfile(target) and _sha256(target) == source.sha256:
        return "kept"
    mirrored = _mirrored(study, source)
    if mirrored is not None:
        _require_checksum(mirrored, source)
        target.parent.mkdir(parents=True, exist_ok=True)
        _publish(target, lambda path: shutil.copyfile(mirrored, path))
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
        raise StudyError(f"{_key(study, name)}: required the file {source.file}, which has no url; {remedy}")
    pooch.get_logger().setLevel("ERROR")
    try:
        pooch.retrieve(source.url, f"sha256:{source.sha256}", fname=source.file, path=study.raw, progressbar=progress)
    except OSError as error:
        raise StudyError(
            f"{_key(study, name)}: required {source.file} from {source.url}, arrived {_root_cause(error)}; "
            f"connect to the network, or point RESEARCH_MIRROR at a folder that holds the file"
        ) from None
    except ValueError as error:
        mismatch = re.search(r"hash.* but got '?([0-9a-f]{64})", str(error), re.DOTALL)
        if mismatch is None:
            raise StudyError(f"{_key(study, name)}: required an http, https or ftp address, arrived '{source.url}'; correct 'url'") from None
        raise StudyError(_checksum_sentence(f"{_key(study, name)}, {source.url}", source, mismatch[1])) from None
    return "download"


def _root_cause(error: BaseException) -> str:
    while error.__context__ is not None:
        error = error.__context__
    return f"{type(error).__name__} ({' '.join(str(error).split())[:120]})"


def _require_checksum(path: Path, source: Source) -> None:
    arrived = _sha256(path)
    if arrived != source.sha256:
        raise StudyError(_checksum_sentence(str(path), source, arrived))


def _checksum_sentence(place: str, source: Source, arrived: str) -> str:
    return f"{place}: required SHA-256 {source.sha256}, arrived {arrived}; the file was refused, so get the right version or correct study.yml"


def _key(study: Study, name: str) -> str:
    return f"{show_path(study.folder / 'study.yml')}, key sources.{name}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _find(study: Study, source: Source) -> list[Path]:
    if os.path.isfile(study.raw / source.file):
        return [study.raw / source.file]
    return sorted(study.raw / found for found in glob.glob(source.file, root_dir=study.raw) if os.path.isfile(study.raw / found))


def _paths(study: Study, name: str, source: Source) -> list[Path]:
    """Return the files of a source in order; a glob may name many."""
    found, whole = _find(study, source), study.raw / source.file
    if not found:
        raise StudyError(f"{_key(study, name)}: required the file {show_path(whole)}, which is not there; run 'research fetch {study.name}' or put it there")
    return found


def data_hash(study: Study) -> str:
    """Return a SHA-256 over study.yml, the SQL adapters and the bytes of all raw files and attached files: equal hashes, equal data."""
    digest = hashlib.sha256()
    for path in (study.folder / "study.yml", *sorted(study.folder.glob("*.sql"))):
        digest.update(f"{path.name} {_sha256(path)}\n".encode())
    for name, address in study.attach.items():
        if os.path.isfile(path := _local(study, address)):
            digest.update(f"{name} {_sha256(Path(path))}\n".encode())
    for name, source in study.sources.items():
        for path in _paths(study, name, source):
            digest.update(f"{name} {path.name} {_sha256(path)}\n".encode())
    return digest.hexdigest()


def connect(study: Study) -> ibis.BaseBackend:
    """Return an embedded DuckDB that sees each raw file as a view, and each attached database, under its key in study.yml."""
    backend = ibis.duckdb.connect()
    for name, address in study.attach.items():
        attach = f'ATTACH {_quote(str(_local(study, address)))} AS "{name}" (READ_ONLY)'
        _run(backend, attach, f"{show_path(study.folder / 'study.yml')}, key attach.{name}", f"a database {address} that DuckDB can attach")
    for name, source in study.sources.items():
        view = f'CREATE VIEW "{name}" AS SELECT * FROM {_reader(study, name, source)}'
        _run(backend, view, _key(study, name), f"a file {source.file} that DuckDB can read with these options")
    return backend


def _local(study: Study, address: str) -> str | Path:
    """A database address is taken as it is; the name of a file lies below ``raw/``."""
    return address if ":" in address or os.path.isabs(address) else study.raw / address


def _reader(study: Study, name: str, source: Source) -> str:
    paths = _paths(study, name, source)
    suffix = Path(source.file).suffix.lower()
    if suffix in PARQUET_READERS:
        _require_one(study, name, source, paths)
        paths, suffix = [_as_parquet(study, name, source, paths[0])], ".parquet"
    reader = {".csv": "read_csv", ".tsv": "read_csv", ".txt": "read_csv", ".gz": "read_csv", ".parquet": "read_parquet"}.get(suffix)
    if reader is None:
        raise StudyError(f"{_key(study, name)}: required a file in CSV, Parquet, XLSX or RData, arrived '{source.file}'; convert it to one of them")
    listed = "[" + ", ".join(_quote(str(path)) for path in paths) + "]"
    return f"{reader}({', '.join([listed, *(f'{key} = {_literal(value)}' for key, value in source.options.items())])})"


def _require_one(study: Study, name: str, source: Source, paths: list[Path]) -> None:
    if len(paths) > 1:
        raise StudyError(f"{_key(study, name)}: required one XLSX or RData file per source, arrived {len(paths)} for '{source.file}'; write a source for each")


def _as_parquet(study: Study, name: str, source: Source, path: Path) -> Path:
    """Convert an XLSX sheet or an RData object to Parquet once; the copy is named after the bytes it was made from."""
    wanted = hashlib.sha256(f"{_sha256(path)} {source.sheet} {source.object}".encode()).hexdigest()[:16]
    copy = study.raw / f".{name}-{wanted}.parquet"
    if not copy.exists():
        frame = _read_xlsx(study, name, source, path) if path.suffix.lower() == ".xlsx" else _read_rdata(study, name, source, path)
        _publish(copy, lambda scratch: frame.to_parquet(scratch, index=False))
    return copy


def _read_xlsx(study: Study, name: str, source: Source, path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_excel(path, sheet_name=source.sheet or 0, engine="calamine")
    except Exception as error:  # calamine and zipfile raise kinds of their own; each means that the file is not a readable sheet
        raise StudyError(f"{_key(study, name)}: required a readable XLSX sheet in {source.file}, arrived {error}; correct 'sheet' or the file") from None
    if frame.columns.empty:
        raise StudyError(f"{_key(study, name)}: required a sheet with a header row in {source.file}, arrived an empty one; correct 'sheet' or the file")
    mixed = [column for column in frame if pd.api.types.infer_dtype(frame[column], skipna=True).startswith("mixed")]
    return frame.astype(dict.fromkeys(mixed, "string"))


def _read_rdata(study: Study, name: str, source: Source, path: Path) -> pd.DataFrame:
    try:
        objects = pyreadr.read_r(path)
    except Exception as error:  # librdata raises kinds of its own
        raise StudyError(f"{_key(study, name)}: required a readable RData file {source.file}, arrived {error}; correct the file") from None
    if source.object is None and len(objects) == 1:
        return next(iter(objects.values()))
    if source.object not in objects:
        raise StudyError(f"{_key(study, name)}: required 'object' to be one of {', '.join(objects)}, arrived {source.object}; name one of them")
    return objects[source.object]


def load_tables(study: Study | str) -> dict[str, ir.Table]:
    """Run a study's SQL adapters and return its contract tables, every promise checked.

    Returns
    -------
    dict of Ibis tables by contract name, in the canonical types of ``contracts.KINDS``

    Raises
    ------
    StudyError
        One sentence for every adapter that fails and every promise that a table breaks.
    """
    tables = adapt(load_study(study) if isinstance(study, str) else study)
    contracts.require(contracts.check(tables))
    return tables


def adapt(study: Study) -> dict[str, ir.Table]:
    """Run a study's SQL adapters without checking what they return."""
    adapters = {path.stem: path for path in sorted(study.folder.glob("*.sql"))}
    _require_adapters(study, adapters)
    backend = connect(study)
    tables, faults = {}, []
    for name in (name for name in TABLES if name in adapters):
        try:
            tables[name] = _adapt_one(backend, name, adapters[name])
        except StudyError as error:
            faults += error.faults
    if faults:
        raise StudyError(*faults)
    return tables


def _require_adapters(study: Study, adapters: dict[str, Path]) -> None:
    folder, needed = show_path(study.folder), ["snapshot"] if study.kind == "flat" else ["customers"]
    if study.kind == "contractual":
        needed.append("contracts")
    if study.kind == "non_contractual":
        needed.append("orders")
    faults = [f"{folder}: required {name}.sql for a {study.kind} study, which is not there; write it" for name in needed if name not in adapters]
    faults += [f"{folder}/{name}.sql: required a name among {', '.join(TABLES)}; rename or remove it" for name in adapters if name not in TABLES]
    if faults:
        raise StudyError(*faults)


def _adapt_one(backend: ibis.BaseBackend, name: str, path: Path) -> ir.Table:
    place, query = show_path(path), _read_sql(path)
    try:
        kinds = [statement.type for statement in duckdb.extract_statements(query)]
    except duckdb.Error as error:
        raise StudyError(_sql_sentence(place, error)) from None
    if kinds != [duckdb.StatementType.SELECT]:
        raise StudyError(f"{place}: required exactly one SELECT, arrived {', '.join(kind.name for kind in kinds) or 'nothing'}; keep one SELECT")
    _run(backend, f'CREATE VIEW "adapted {name}" AS {query.strip().rstrip(";")}', place)
    try:
        return backend.create_table(name, contracts.conform(backend.table(f"adapted {name}"), name))
    except duckdb.Error as error:
        raise StudyError(_sql_sentence(place, error)) from None


def _read_sql(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{show_path(path)}: required a readable UTF-8 file, arrived {getattr(error, 'strerror', error)}; restore the file") from None


def _run(backend: ibis.BaseBackend, statement: str, place: str, required: str = "SQL that DuckDB can run") -> None:
    try:
        backend.raw_sql(statement)
    except duckdb.Error as error:
        raise StudyError(_sql_sentence(place, error, required)) from None


def _sql_sentence(place: str, error: duckdb.Error, required: str = "SQL that DuckDB can run") -> str:
    """Say what DuckDB says, without the statement that this module wrote around the user's and without the list of CSV settings."""
    arrived = re.split(r"LINE 1:|\n\s*file = ", str(error))[0]
    return f"{place}: required {required}, arrived {' '.join(arrived.split())}; correct it"


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _literal(value: bool | int | str | list[str]) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_quote(item) for item in value) + "]"
    return _quote(value) if isinstance(value, str) else str(value).lower()

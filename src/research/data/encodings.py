"""Text files in other encodings than UTF-8, as copies in UTF-8 that are made once."""

import codecs
import gzip
import re
import shutil
from pathlib import Path
from typing import IO

from research.data.fetch import combine_hashes, hash_file, name_key, publish
from research.errors import StudyError
from research.study import Study
from research.study_schema import Source

UTF8, LATIN1 = "utf-8", "iso8859-1"
CONTROLS = re.compile(rb"[\x80-\x9f]")
EXAMPLES = "windows-1252, latin-1 or utf-16"


def decode(study: Study, name: str, source: Source, paths: list[Path]) -> list[Path]:
    """Return a source's text files in UTF-8: as they are, or copies of them.

    Raises
    ------
    StudyError
        If there is no such encoding, or a byte that it doesn't have: with the line and the option.
    """
    encoding = _find_codec(study, name, source)
    if encoding == UTF8:
        for path in paths:
            _require_utf8(study, name, path)
        return paths
    for path in paths:
        _require_no_utf8(study, name, path, encoding)
        if encoding == LATIN1:
            _require_no_controls(study, name, path)
    return [_copy_decoded(study, name, path, encoding) for path in paths]


def _find_codec(study: Study, name: str, source: Source) -> str:
    given = str(source.options.get("encoding", UTF8))
    try:
        return codecs.lookup(given).name
    except LookupError:
        raise StudyError(
            f"{name_key(study, name)}, options.encoding: expected an encoding such as {EXAMPLES},"
            f" got '{given}'; correct it"
        ) from None


def _require_utf8(study: Study, name: str, path: Path) -> None:
    with _open_bytes(path) as file:
        start = file.read(4)
        file.seek(0)
        try:
            _read_through(file)
        except UnicodeDecodeError as error:
            line, byte = _locate(path, UTF8), error.object[error.start]
            likely = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "windows-1252"
            raise StudyError(
                f"{name_key(study, name)}: expected {path.name} in UTF-8, got the byte"
                f" 0x{byte:02X} in line {line:,}; name its encoding, for example options:"
                f" {{encoding: {likely}}}, or latin-1 or utf-16"
            ) from None


def _require_no_utf8(study: Study, name: str, path: Path, encoding: str) -> None:
    """Refuse a file of UTF-8 that is to be read otherwise: its ü would become Ã¼."""
    if encoding.startswith("utf"):
        return
    with _open_bytes(path) as file:
        try:
            plain = _read_through(file)
        except UnicodeDecodeError:
            return
    if not plain:
        raise StudyError(
            f"{name_key(study, name)}, options.encoding: expected {path.name} in {encoding}, got"
            " text in UTF-8; remove the option"
        )


def _require_no_controls(study: Study, name: str, path: Path) -> None:
    """Refuse bytes that are control characters in Latin-1 and signs such as € in Windows-1252."""
    with _open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            if found := CONTROLS.search(line):
                raise StudyError(
                    f"{name_key(study, name)}, options.encoding: expected {path.name} in latin-1,"
                    f" got the byte 0x{found[0].hex().upper()} in line {number:,}, which is no"
                    " character there; write encoding: windows-1252"
                )


def _open_bytes(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _read_through(file: IO[bytes]) -> bool:
    """Return whether a file of UTF-8 has ASCII alone."""
    decoder, plain = codecs.getincrementaldecoder(UTF8)(), True
    while chunk := file.read(1 << 24):
        plain = plain and chunk.isascii()
        decoder.decode(chunk)
    decoder.decode(b"", final=True)
    return plain


def _locate(path: Path, encoding: str) -> int:
    """Return the number of the first line that can't be decoded."""
    with _open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError:
                return number
    return 0


def _copy_decoded(study: Study, name: str, path: Path, encoding: str) -> Path:
    version = combine_hashes({encoding: hash_file(path), path.name: ""})[:16]
    copy = study.raw / f".{name}-{version}.csv"
    if not copy.exists():
        try:
            publish(copy, lambda scratch: _write_decoded(path, encoding, scratch))
        except UnicodeError as error:
            byte = f"0x{error.object[error.start]:02X}" if hasattr(error, "object") else error
            raise StudyError(
                f"{name_key(study, name)}, options.encoding: expected {path.name} in {encoding},"
                f" got the byte {byte}, which it doesn't have; name another encoding, such as"
                f" {EXAMPLES}"
            ) from None
    return copy


def _write_decoded(path: Path, encoding: str, scratch: Path) -> None:
    reader = codecs.getreader(encoding)
    with _open_bytes(path) as file, scratch.open("w", encoding=UTF8, newline="") as out:
        shutil.copyfileobj(reader(file), out, 1 << 20)

"""What was scored and listed, and what came of it: Parquet files that are never rewritten.

A study's history is a folder with one file for each append and ``chain.jsonl``, one line for each
file. A line holds the SHA-256 of its file and the digest of the line before it, so that whoever
changes a file, or a line, or takes one out, breaks the chain from there on. (Taking off the last
lines leaves a shorter chain that is whole: only a copy of the last digest elsewhere shows that.) A
file counts once its line stands, so what a killed process leaves is never half of an append.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd

from research.data.fetch import hash_file
from research.errors import StudyError
from research.files import HALF_WRITTEN, publish, sweep
from research.study import project_root, show_path

SENT, REPLAYED, OUTCOMES, ASSIGNED = "sent", "replayed", "outcomes", "assigned"
KINDS = (SENT, REPLAYED, OUTCOMES, ASSIGNED)
CHAIN = "chain.jsonl"
FIRST = "0" * 64  # what the first line follows
KEPT_REASON = 500  # characters


@dataclass(frozen=True)
class Entry:
    """One append to a history.

    Attributes
    ----------
    kind : ``SENT`` (scored and listed as of the day), ``REPLAYED`` (scored later by what was known
        then), ``OUTCOMES`` or ``ASSIGNED`` (arms drawn for the listed)
    snapshot : day that the rows speak of, ISO
    revision : 0, and one more each time that the snapshot was revised
    file, rows, sha256 : of the Parquet file
    inputs : digest of all that made the rows: equal inputs are the same append
    made_at : time of the append, UTC
    reason : why the snapshot was revised; empty of the first
    previous : digest of the entry before
    digest : of this entry, all of the above
    """

    kind: str
    snapshot: str
    revision: int
    file: str
    rows: int
    sha256: str
    inputs: str
    made_at: str
    reason: str
    previous: str
    digest: str = ""

    def seal(self) -> "Entry":
        """Return the entry with its digest."""
        body = {name: value for name, value in asdict(self).items() if name != "digest"}
        text = json.dumps(body, sort_keys=True, ensure_ascii=False)
        return Entry(**body, digest=hashlib.sha256(text.encode()).hexdigest())


def locate_history(study_name: str) -> Path:
    """Return the folder of a study's history."""
    return project_root() / "history" / study_name


class History:
    """The history of one study; see the module.

    Parameters
    ----------
    folder : see ``locate_history``; made when the first rows are appended
    """

    def __init__(self, folder: Path):
        self.folder = folder

    @property
    def entries(self) -> list[Entry]:
        """Return all entries in the order of their append, the chain verified.

        Raises
        ------
        StudyError
            If a line is no entry, doesn't follow from the one before, or isn't what was sealed.
        """
        path = self.folder / CHAIN
        if not path.exists():
            return []
        entries = [self._parse(number, line) for number, line in enumerate(_read_lines(path), 1)]
        previous = FIRST
        for number, entry in enumerate(entries, 1):
            if entry.previous != previous or entry.seal() != entry:
                raise self._report_break(number)
            previous = entry.digest
        return entries

    def find(self, kind: str, snapshot: date | None = None) -> list[Entry]:
        """Return the entries that stand: of each snapshot the last revision, by snapshot.

        Parameters
        ----------
        snapshot : of one day only
        """
        latest = {entry.snapshot: entry for entry in self.entries if entry.kind == kind}
        days = sorted(latest) if snapshot is None else [snapshot.isoformat()]
        return [latest[day] for day in days if day in latest]

    def read(self, kind: str, snapshot: date | None = None) -> pd.DataFrame:
        """Return the rows of the entries that stand, see ``find``; no columns where there are none.

        Raises
        ------
        StudyError
            If a file is missing or isn't the one that was appended.
        """
        entries = self.find(kind, snapshot)
        if not entries:
            return pd.DataFrame()
        return pd.concat([self._load(entry) for entry in entries], ignore_index=True)

    def append(
        self, kind: str, snapshot: date, rows: pd.DataFrame, inputs: str, revise: str = ""
    ) -> Entry:
        """Append the rows of a snapshot, whole or not at all, and return their entry.

        Where the snapshot stands there from the same inputs nothing is written, and its entry is
        returned.

        Parameters
        ----------
        inputs : digest of all that made the rows
        revise : why a snapshot that stands there from other inputs is appended once more; both are
            kept

        Raises
        ------
        StudyError
            If the snapshot stands there from other inputs and ``revise`` is empty, if another
            process is appending, or if the chain is broken.
        """
        if kind not in KINDS:
            raise ValueError(f"expected one of {', '.join(KINDS)}, got '{kind}'; name one of them")
        with self._locked():
            sweep(self.folder, HALF_WRITTEN)
            entries = self.entries
            standing = next(iter(self.find(kind, snapshot)), None)
            if standing and standing.inputs == inputs:
                return standing
            if standing and not revise.strip():
                raise self._report_revision(standing)
            return self._write(entries, kind, snapshot, rows, inputs, revise.strip(), standing)

    def _write(
        self,
        entries: list[Entry],
        kind: str,
        snapshot: date,
        rows: pd.DataFrame,
        inputs: str,
        reason: str,
        standing: Entry | None,
    ) -> Entry:
        revision = standing.revision + 1 if standing else 0
        name = f"{kind}-{snapshot.isoformat()}" + (f"-r{revision}" if revision else "") + ".parquet"
        path = self.folder / name
        publish(path, lambda scratch: rows.to_parquet(scratch, index=False))
        entry = Entry(
            kind=kind,
            snapshot=snapshot.isoformat(),
            revision=revision,
            file=name,
            rows=len(rows),
            sha256=hash_file(path),
            inputs=inputs,
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            reason=reason[:KEPT_REASON],
            previous=entries[-1].digest if entries else FIRST,
        ).seal()
        lines = [json.dumps(asdict(one), ensure_ascii=False) for one in [*entries, entry]]
        text = "\n".join(lines) + "\n"
        publish(self.folder / CHAIN, lambda scratch: scratch.write_text(text, encoding="utf-8"))
        return entry

    def _load(self, entry: Entry) -> pd.DataFrame:
        path = self.folder / entry.file
        if not path.is_file() or hash_file(path) != entry.sha256:
            found = "another file" if path.is_file() else "no file"
            raise StudyError(
                f"{show_path(path)}: expected the file that was appended on {entry.made_at}, got"
                f" {found} there; restore it from a backup, history is never rewritten"
            )
        return pd.read_parquet(path)

    def _parse(self, number: int, line: str) -> Entry:
        try:
            return Entry(**json.loads(line))
        except (ValueError, TypeError):
            raise self._report_break(number) from None

    def _report_break(self, number: int) -> StudyError:
        return StudyError(
            f"{show_path(self.folder / CHAIN)}, line {number}: expected an entry that follows from"
            " the one before it, got one that was changed, or whose predecessor was; restore the"
            " file from a backup, history is never rewritten"
        )

    def _report_revision(self, standing: Entry) -> StudyError:
        return StudyError(
            f"expected the inputs from which {standing.kind} of {standing.snapshot} was made on"
            f" {standing.made_at}, got others; keep what was sent, or append a revision with"
            " --revise and a reason"
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the history while rows are appended; the system lets go of it with the process."""
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise StudyError(
                f"{show_path(self.folder)}: expected no other process that scores this study, got"
                " one at work; wait until it has ended"
            ) from None
        finally:
            os.close(handle)


def _read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()

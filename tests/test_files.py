"""Files are written whole or not at all, and leftovers of dead processes are swept."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from research import files

HOLD = """
import sys, time
from pathlib import Path
from research import files
folder, release = files.make_scratch_folder(Path(sys.argv[1]), ".staging-")
print(folder, flush=True)
time.sleep(60)
"""


@pytest.fixture
def calls(monkeypatch):
    """The renames and syncs of a test, in order."""
    noted = []
    replace, fsync = os.replace, os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: noted.append("sync") or fsync(handle))
    monkeypatch.setattr(os, "replace", lambda *names: noted.append("rename") or replace(*names))
    return noted


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, calls):
    files.publish(tmp_path / "x", lambda path: path.write_text("new"))
    assert calls == ["sync", "rename"]


def test_who_reads_the_earlier_file_reads_it_to_its_end(tmp_path):
    (tmp_path / "x").write_text("earlier")
    with (tmp_path / "x").open() as reader:
        files.publish(tmp_path / "x", lambda path: path.write_text("new"))
        assert reader.read() == "earlier"
    assert (tmp_path / "x").read_text() == "new"


def test_a_reader_never_sees_half_a_file(tmp_path):
    seen = []

    def write(path: Path) -> None:
        path.write_text("ha")
        seen.append((tmp_path / "x").exists())
        path.write_text("half and half")

    files.publish(tmp_path / "x", write)
    assert seen == [False]


def test_a_full_disk_leaves_the_earlier_file_alone_and_is_named_by_the_file(tmp_path):
    def fill_the_disk(path: Path) -> None:
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "x").write_text("earlier")
    with pytest.raises(OSError, match="No space left") as caught:
        files.publish(tmp_path / "x", fill_the_disk)
    assert caught.value.filename == str(tmp_path / "x")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"x": "earlier"}


def test_a_file_that_can_not_be_read_on_the_way_keeps_its_own_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        files.publish(tmp_path / "x", lambda path: (tmp_path / "gone").read_text())
    assert caught.value.filename == str(tmp_path / "gone")


def test_a_published_file_may_be_read_by_others(tmp_path):
    files.publish(tmp_path / "x", lambda path: path.write_text("new"))
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644


def test_what_no_process_holds_is_swept_and_the_rest_stays(tmp_path):
    (tmp_path / ".staging-a").mkdir()
    (tmp_path / ".staging-a" / "half").write_text("half")
    (tmp_path / ".run.json.abcd1234.part").write_text("half")
    (tmp_path / "run.json").write_text("whole")
    with files.scratch_folder(tmp_path, ".staging-") as mine:
        files.sweep(tmp_path, ".staging-*", files.HALF_WRITTEN)
        assert {*tmp_path.iterdir()} == {mine, tmp_path / "run.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_the_work_of_a_living_process_is_spared_and_swept_once_it_was_killed(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    folder = Path(process.stdout.readline().strip())
    files.sweep(tmp_path, ".staging-*")
    assert folder.exists()
    process.kill()
    process.wait()
    files.sweep(tmp_path, ".staging-*")
    assert not folder.exists()


def test_a_file_that_is_being_written_is_spared(tmp_path):
    def write(path: Path) -> None:
        path.write_text("half")
        files.sweep(tmp_path, files.HALF_WRITTEN)
        assert path.exists()

    files.publish(tmp_path / "x", write)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "expected room on the disk for /x, got none (No space left on device); "),
        (errno.EROFS, "expected to be allowed to write /x, but that failed: Read-only file system"),
        (errno.EACCES, "expected to be allowed to write /x, but that failed: Permission denied"),
        (errno.EISDIR, "expected to read or write /x, but that failed: Is a directory; "),
    ],
)
def test_an_error_of_the_system_is_one_sentence(number, sentence):
    error = OSError(number, os.strerror(number), "/x")
    assert files.describe_os_error(error).startswith(sentence)

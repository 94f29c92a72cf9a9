"""Raw files: found in a mirror or the network, verified, generated, and hashed."""

import http.server
import os
import re
import socket
import threading
from pathlib import Path

import duckdb
import pytest
from raw_files import CSV, checksum, faults_of

from research.data import fetch, load
from research.simulate.generate import SIMULATOR
from research.study import Study, load_study


@pytest.fixture
def mirror_folder(tmp_path_factory, monkeypatch) -> Path:
    """An empty mirror folder that RESEARCH_MIRROR points at."""
    folder = tmp_path_factory.mktemp("mirror")
    monkeypatch.setenv("RESEARCH_MIRROR", str(folder))
    return folder


@pytest.fixture
def server(monkeypatch):
    """A web server on this machine whose every address holds ``CSV``; returns its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(404 if self.path == "/gone.csv" else 200)
            self.end_headers()
            self.wfile.write(CSV.encode())

        def log_message(self, *_):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture
def closed_port(monkeypatch) -> str:
    """Return the URL of a port on this machine at which nobody listens."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/x.csv"


def origins(study: Study) -> list[str]:
    return fetch.fetch(study).origin.tolist()


# fetching


@pytest.mark.parametrize("layout", ["tiny/sub/x.csv", "sub/x.csv"])
def test_the_mirror_is_tried_before_the_network_in_both_layouts(
    flat, mirror_folder, closed_port, layout
):
    (mirror_folder / layout).parent.mkdir(parents=True)
    (mirror_folder / layout).write_text(CSV)
    study = flat("sub/x.csv", None, url=closed_port, sha256=checksum(CSV))
    assert origins(study) == ["mirror"]
    assert (study.raw / "sub/x.csv").read_text() == CSV


def test_a_file_with_the_right_checksum_is_kept_untouched(flat, mirror_folder):
    study = flat(sha256=checksum(CSV))
    before = (study.raw / "x.csv").stat().st_mtime_ns
    assert (origins(study), (study.raw / "x.csv").stat().st_mtime_ns) == (["kept"], before)


def test_a_damaged_file_is_fetched_again(flat, mirror_folder):
    (mirror_folder / "x.csv").write_text(CSV)
    study = flat(content="damaged", sha256=checksum(CSV))
    assert origins(study) == ["mirror"]
    assert (study.raw / "x.csv").read_text() == CSV


def test_a_file_is_downloaded_once(flat, server):
    study = flat("sub/x.csv", None, url=f"{server}/x.csv", sha256=checksum(CSV))
    assert [*origins(study), *origins(study)] == ["download", "kept"]
    assert [path.name for path in (study.raw / "sub").iterdir()] == ["x.csv"]


@pytest.mark.parametrize("earlier", [None, "an earlier file"])
@pytest.mark.parametrize("way", ["mirror", "download"])
def test_a_wrong_checksum_is_refused_and_earlier_files_stay(
    flat, mirror_folder, server, way, earlier
):
    if way == "mirror":
        (mirror_folder / "x.csv").write_text(CSV)
    study = flat(content=earlier, url=f"{server}/x.csv", sha256="0" * 64)
    (fault,) = faults_of(fetch.fetch, study)
    place = (
        f"{mirror_folder}/x.csv"
        if way == "mirror"
        else f"data/tiny/study.yml, key sources.raw_x, {server}/x.csv"
    )
    assert (
        fault == f"{place}: expected SHA-256 {'0' * 64}, got {checksum(CSV)}; the file was not"
        " used, so get the right version or correct study.yml"
    )
    assert {path.name: path.read_text() for path in study.raw.iterdir()} == (
        {"x.csv": earlier} if earlier else {}
    )


def test_a_local_file_with_a_wrong_checksum_and_no_other_place_to_get_it_is_named(flat):
    (fault,) = faults_of(fetch.fetch, flat(sha256="0" * 64))
    assert (
        f"raw/x.csv: expected SHA-256 {'0' * 64}, got {checksum(CSV)}; the file was not used"
        in fault
    )


def test_a_copy_that_breaks_off_leaves_nothing_half_written(flat, mirror_folder, monkeypatch):
    def break_off(_, target):
        Path(target).write_text("half")
        raise OSError(28, "No space left on device")

    (mirror_folder / "x.csv").write_text(CSV)
    monkeypatch.setattr(fetch.shutil, "copyfile", break_off)
    study = flat(content="an earlier file", sha256=checksum(CSV))
    assert faults_of(fetch.fetch, study) == (
        (
            "data/tiny/study.yml, key sources.raw_x: expected to write x.csv, but that failed: No"
            " space left on device; make room there or correct 'file'"
        ),
    )
    assert {path.name: path.read_text() for path in study.raw.iterdir()} == {
        "x.csv": "an earlier file"
    }


def test_without_network_the_sentence_names_the_mirror_as_the_way_out(flat, closed_port):
    study = flat(content=None, url=closed_port, sha256=checksum(CSV))
    (fault,) = faults_of(fetch.fetch, study)
    assert fault.startswith(
        f"data/tiny/study.yml, key sources.raw_x: expected x.csv from {closed_port}, got"
        " ConnectionRefusedError"
    )
    assert fault.endswith(
        "; connect to the network, or point RESEARCH_MIRROR at a folder with the file"
    )
    assert [*study.raw.iterdir()] == []


def test_an_address_that_no_longer_holds_the_file_is_one_sentence(flat, server):
    (fault,) = faults_of(
        fetch.fetch, flat(content=None, url=f"{server}/gone.csv", sha256=checksum(CSV))
    )
    assert "got HTTPError (404 Client Error: Not Found" in fault


@pytest.mark.parametrize("url", ["", "x.csv", "file:///x.csv", "hash://x.csv"])
def test_an_address_of_no_known_kind_is_one_sentence(flat, url):
    assert faults_of(fetch.fetch, flat(content=None, url=url, sha256=checksum(CSV))) == (
        (
            "data/tiny/study.yml, key sources.raw_x: expected an http, https or ftp address,"
            f" got '{url}'; correct 'url'"
        ),
    )


def test_a_file_without_url_that_is_nowhere_is_one_sentence(flat, mirror_folder):
    assert faults_of(fetch.fetch, flat(content=None, sha256=checksum(CSV))) == (
        (
            "data/tiny/study.yml, key sources.raw_x: expected the file x.csv, but it is missing and"
            " has no url; put it into data/tiny/raw or a RESEARCH_MIRROR folder"
        ),
    )


def test_faults_of_two_sources_are_both_named_and_the_good_one_arrives(write_study, mirror_folder):
    for name in ("good.csv", "wrong.csv"):
        (mirror_folder / name).write_text(CSV)
    wanted = {"good": checksum(CSV), "wrong": "0" * 64, "gone": "1" * 64}
    study = write_study(
        "flat",
        sources={
            name: {"file": f"{name}.csv", "sha256": sha256} for name, sha256 in wanted.items()
        },
    )
    gone, wrong = faults_of(fetch.fetch, study)
    assert gone.startswith("data/tiny/study.yml, key sources.gone: expected the file gone.csv")
    assert f"wrong.csv: expected SHA-256 {'0' * 64}, got {checksum(CSV)}" in wrong
    assert [path.name for path in study.raw.iterdir()] == ["good.csv"]


def test_a_file_in_the_place_of_the_raw_folder_is_one_sentence(flat):
    study = flat(content=None)
    study.raw.rmdir()
    study.raw.write_text("in the way")
    assert faults_of(fetch.fetch, study) == (
        (
            "data/tiny/raw: expected a folder that can be written to, but writing failed: File"
            " exists; make room there"
        ),
    )


def test_a_folder_in_the_place_of_a_file_is_one_sentence(flat, mirror_folder):
    (mirror_folder / "x.csv").write_text(CSV)
    study = flat(content=None, sha256=checksum(CSV))
    (study.raw / "x.csv").mkdir()
    assert faults_of(fetch.fetch, study) == (
        (
            "data/tiny/study.yml, key sources.raw_x: expected to write x.csv, but that failed: Is a"
            " directory; make room there or correct 'file'"
        ),
    )


SMALL = {
    "simulate": {"customers": 100, "months": 12},
    "sources": {"raw_customers": {"file": "customers/*.parquet"}},
}


def files_of(study: Study) -> dict[str, bytes]:
    return {
        str(path.relative_to(study.raw)): path.read_bytes() for path in study.raw.rglob("*.parquet")
    }


def test_a_simulated_company_is_generated_once_and_again_when_asked_for_another(write_study):
    study = write_study(**SMALL)
    assert origins(study) == ["generated"]
    first = (study.raw / "customers" / "part-00000.parquet").stat().st_mtime_ns
    assert (
        origins(study),
        (study.raw / "customers" / "part-00000.parquet").stat().st_mtime_ns,
    ) == (["generated"], first)
    before = files_of(study)
    other = write_study(**SMALL | {"simulate": SMALL["simulate"] | {"seed": 1}})
    assert origins(other) == ["generated"]
    assert files_of(other).keys() == before.keys() and files_of(other) != before


def test_a_simulated_company_has_its_truth_beside_it(write_study):
    study = write_study(**SMALL)
    fetch.fetch(study)
    assert {path.name for path in (study.raw / "truth").iterdir()} == {
        "hazards",
        "effects",
        "people",
        "tones",
    }


def test_a_simulated_company_is_generated_again_by_another_simulator(write_study, monkeypatch):
    study = write_study(**SMALL)
    fetch.fetch(study)
    stamp = (study.raw / ".simulated").read_text()
    monkeypatch.setattr(fetch, "hash_simulator", lambda: "another")
    fetch.fetch(study)
    assert (study.raw / ".simulated").read_text() != stamp


def test_the_stamp_covers_every_module_of_the_simulator():
    assert (SIMULATOR / "__init__.py").exists()
    imported = {
        name
        for path in SIMULATOR.glob("*.py")
        for name in re.findall(r"^from research\.([\w.]+) import", path.read_text(), flags=re.M)
    }
    others = {name for name in imported if not name.startswith("simulate")}
    assert others == {
        "study_schema",
        "errors",
        "files",
        "progress",
    }  # names, errors, how folders are published, and what is told meanwhile


def test_files_of_an_earlier_layout_do_not_break_a_generation(write_study):
    study = write_study(**SMALL)
    fetch.fetch(study)
    whole = files_of(study)
    (study.raw / "usage.parquet").write_bytes(b"old")
    (study.raw / "customers" / "part-00007.parquet").write_bytes(b"old")
    (study.raw / ".simulated").write_text("an earlier request")
    fetch.fetch(study)
    assert files_of(study) == whole | {"usage.parquet": b"old"}
    assert not list(study.raw.glob(".simulating-*"))


def test_a_generation_that_fails_leaves_the_earlier_tables_and_nothing_half_written(
    write_study, monkeypatch
):
    study = write_study(**SMALL)
    fetch.fetch(study)
    whole = files_of(study)

    def fill_the_disk(company, out):
        (out / "customers").mkdir(parents=True)
        (out / "customers" / "part-00000.parquet").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetch, "write_company", fill_the_disk)
    other = write_study(**SMALL | {"simulate": SMALL["simulate"] | {"seed": 1}})
    assert faults_of(fetch.fetch, other) == (
        (
            "data/tiny/raw: expected a folder that can be written to, but writing failed: No space"
            " left on device; make room there"
        ),
    )
    assert files_of(other) == whole
    assert not list(study.raw.glob(".simulating-*"))


# downloads that fail on the way


@pytest.fixture
def flaky(monkeypatch):
    """Return a function that serves ``CSV`` after some answers; it returns the URL and the calls.

    An answer is a status, ``cut`` (half of the file) or ``drip`` (a byte at a time, for ever).
    """
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers, ended = [], threading.Event()

    def serve(*answers: int | str) -> tuple[str, list[str]]:
        calls: list[str] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer = answers[len(calls)] if len(calls) < len(answers) else 200
                calls.append(self.path)
                self.send_response(answer if isinstance(answer, int) else 200)
                self.send_header("Content-Length", str(len(CSV)))
                self.end_headers()
                while answer == "drip" and not ended.wait(0.05):
                    self.wfile.write(b"c")
                text = CSV.encode()
                self.wfile.write(text[: len(text) // 2] if answer == "cut" else text)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.handle_error = lambda *_: None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/x.csv", calls

    yield serve
    ended.set()
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("answers", [(503, 500), ("cut",), (429,)])
def test_a_download_that_may_succeed_a_little_later_is_tried_again(flat, flaky, answers):
    url, calls = flaky(*answers)
    study = flat(content=None, url=url, sha256=checksum(CSV))
    assert origins(study) == ["download"]
    assert len(calls) == len(answers) + 1
    assert (study.raw / "x.csv").read_text() == CSV


def test_a_download_waits_longer_after_each_failure(flat, flaky, monkeypatch):
    waits = []
    monkeypatch.setattr(fetch, "WAIT_SECONDS", 0.5)
    monkeypatch.setattr(fetch.time, "sleep", waits.append)
    url, calls = flaky(*[503] * 9)
    (fault,) = faults_of(fetch.fetch, flat(content=None, url=url, sha256=checksum(CSV)))
    assert "got HTTPError (503" in fault
    assert (len(calls), waits) == (4, [0.5, 1.0, 2.0])


def test_what_will_not_change_is_not_tried_again(flat, flaky):
    url, calls = flaky(404)
    assert faults_of(fetch.fetch, flat(content=None, url=url, sha256=checksum(CSV)))
    assert len(calls) == 1


def test_a_server_that_drips_is_left_after_the_total_time(flat, flaky, monkeypatch):
    monkeypatch.setattr(fetch, "DOWNLOAD_SECONDS", 0.5)
    url, _ = flaky("drip")
    study = flat(content=None, url=url, sha256=checksum(CSV))
    (fault,) = faults_of(fetch.fetch, study)
    assert "got TimeoutError (no whole file within 0.5 s); connect to the network" in fault
    assert [*study.raw.iterdir()] == []


def test_a_full_disk_is_not_taken_for_a_fault_of_the_network(flat, server, monkeypatch):
    def fill_the_disk(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetch.pooch, "retrieve", fill_the_disk)
    study = flat(content=None, url=f"{server}/x.csv", sha256=checksum(CSV))
    assert faults_of(fetch.fetch, study) == (
        "data/tiny/study.yml, key sources.raw_x: expected to write x.csv, but that failed: No"
        " space left on device; make room there or correct 'file'",
    )


def test_what_killed_processes_left_in_raw_is_swept_and_the_rest_stays(flat):
    study = flat()
    for name in (".simulating-a", ".fetching-b"):
        (study.raw / name).mkdir()
        (study.raw / name / "half").write_text("half")
    for name in (".x.csv.abcd1234.part", ".raw_x-0123456789abcdef.parquet"):
        (study.raw / name).write_text("half")
    fetch.fetch(study)
    assert {path.name for path in study.raw.iterdir()} == {
        "x.csv",
        ".raw_x-0123456789abcdef.parquet",
    }


def test_a_simulated_company_is_on_the_disk_before_its_tables_have_their_names(
    write_study, monkeypatch
):
    noted = []
    swap = fetch._swap
    monkeypatch.setattr(fetch, "sync_folder", lambda folder: noted.append("sync"))
    monkeypatch.setattr(fetch, "_swap", lambda *paths: noted.append("rename") or swap(*paths))
    fetch.fetch(write_study(**SMALL))
    assert noted[0] == "sync"
    assert {*noted[1:]} == {"rename"}


def test_a_download_is_on_the_disk_before_it_has_its_name(flat, server, monkeypatch):
    noted = []
    replace = os.replace
    monkeypatch.setattr(fetch, "sync", lambda path: noted.append("sync"))
    monkeypatch.setattr(os, "replace", lambda *names: noted.append("rename") or replace(*names))
    fetch.fetch(flat(content=None, url=f"{server}/x.csv", sha256=checksum(CSV)))
    assert noted == ["sync", "rename"]


# the data hash


def test_the_data_hash_stays_when_nothing_but_the_clock_of_a_file_changes(flat):
    study = flat()
    before = fetch.data_hash(study)
    os.utime(study.raw / "x.csv", (0, 0))
    assert fetch.data_hash(study) == before


@pytest.mark.parametrize("file", ["raw/x.csv", "snapshot.sql", "study.yml"])
def test_the_data_hash_changes_with_one_byte_of(flat, file):
    study = flat()
    before = fetch.data_hash(study)
    (study.folder / file).write_bytes((study.folder / file).read_bytes() + b"\n")
    assert fetch.data_hash(study) != before


def test_the_data_hash_changes_with_an_attached_file(write_study):
    study = write_study("flat", attach={"crm": "crm.duckdb"})
    hashes = []
    for value in (1, 2):
        with duckdb.connect(study.raw / "crm.duckdb") as database:
            database.execute(f"CREATE OR REPLACE TABLE people AS SELECT {value} AS customer_id")
        hashes.append(fetch.data_hash(study))
    assert hashes[0] != hashes[1]


def test_the_data_hash_changes_with_another_part_of_a_glob(flat):
    study = flat("part-*.csv", None)
    (study.raw / "part-1.csv").write_text(CSV)
    before = fetch.data_hash(study)
    (study.raw / "part-2.csv").write_text(CSV)
    assert fetch.data_hash(study) != before


# the real files


@pytest.mark.parametrize(
    "name", ["telco", "bank_churn", "mlc_churn", "learning_platform", "online_retail"]
)
def test_the_mirror_serves_the_files_of_the_real_studies(project, mirror, name):
    real = Path(__file__).parents[2] / "data" / name
    folder = project / "data" / name
    folder.mkdir()
    for path in (real / "study.yml", *real.glob("*.sql")):
        (folder / path.name).write_bytes(path.read_bytes())
    assert set(fetch.fetch(load_study(name)).origin) == {"mirror"}
    assert all(table.count().execute() > 1000 for table in load.load_tables(name).values())


def test_the_data_hash_changes_with_a_file_that_the_sql_may_read_by_itself(write_study, tmp_path):
    folder = tmp_path / "lists"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "x.csv").write_text(CSV)
    study = write_study("flat", allow=[str(folder)])
    before = fetch.data_hash(study)
    (folder / "deep" / "x.csv").write_text(CSV[:-5])
    assert fetch.data_hash(study) != before


def test_the_data_hash_covers_files_of_one_name_in_several_folders(flat):
    study = flat("*/part.csv", None)
    for name in ("a", "b"):
        (study.raw / name).mkdir()
        (study.raw / name / "part.csv").write_text(CSV)
    before = fetch.data_hash(study)
    (study.raw / "a" / "part.csv").write_text(CSV[:-5])
    assert fetch.data_hash(study) != before


def test_the_data_hash_changes_with_the_log_of_an_attached_file(write_study):
    study = write_study("flat", attach={"crm": "crm.duckdb"})
    (study.raw / "crm.duckdb").write_bytes(b"database")
    before = fetch.data_hash(study)
    (study.raw / "crm.duckdb.wal").write_bytes(b"log")
    assert fetch.data_hash(study) != before

"""Raw files to contract tables: found, verified, read in every format, and each fault one
sentence.
"""

import hashlib
import http.server
import os
import re
import socket
import threading
import zipfile
from pathlib import Path

import duckdb
import pandas as pd
import pyreadr
import pytest

from research.data import fetch, load
from research.errors import StudyError
from research.simulate.generate import SIMULATOR
from research.study import Study, load_study

CSV = "customer_id,joined_at\na,2023-01-01\nb,2023-02-01\n"
SNAPSHOT = "SELECT customer_id, customer_id = 'a' AS churned FROM raw_x"


def checksum(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


@pytest.fixture
def flat(write_study):
    """Return a function that writes a flat study of one source, its file below raw/ and its
    adapter, and returns the study.
    """

    def write(
        file: str = "x.csv",
        content: str | bytes | None = CSV,
        sql: str | bytes = SNAPSHOT,
        **source,
    ) -> Study:
        study = write_study("flat", sources={"raw_x": {"file": file} | source})
        (study.folder / "snapshot.sql").write_bytes(sql if isinstance(sql, bytes) else sql.encode())
        if content is not None:
            (study.raw / file).write_bytes(
                content if isinstance(content, bytes) else content.encode()
            )
        return study

    return write


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


def faults_of(call, *arguments) -> tuple[str, ...]:
    with pytest.raises(StudyError) as caught:
        call(*arguments)
    return caught.value.faults


def origins(study: Study) -> list[str]:
    return fetch.fetch(study).origin.tolist()


def read(study: Study) -> pd.DataFrame:
    return load.load_tables(study)["snapshot"].order_by("customer_id").execute()


def write_xlsx(path: Path, **sheets: list[list]) -> None:
    """Write the least that is an XLSX file: one XML part per sheet, numbers as numbers, texts
    inline.
    """
    office = "http://schemas.openxmlformats.org"
    with zipfile.ZipFile(path, "w") as parts:
        parts.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{office}/package/2006/content-types"><Default Extension="rels"'
            " ContentType="
            '"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml"'
            " ContentType="
            '"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
        )
        link = (
            f'<Relationship Id="r{{0}}" Type="{office}/officeDocument/2006/relationships/{{1}}"'
            ' Target="{2}"/>'
        )
        links = f'<Relationships xmlns="{office}/package/2006/relationships">{{0}}</Relationships>'
        parts.writestr(
            "_rels/.rels", links.format(link.format(0, "officeDocument", "xl/workbook.xml"))
        )
        parts.writestr(
            "xl/_rels/workbook.xml.rels",
            links.format(
                "".join(link.format(i, "worksheet", f"sheet{i}.xml") for i in range(len(sheets)))
            ),
        )
        listed = "".join(
            f'<sheet name="{name}" sheetId="{i + 1}" r:id="r{i}"/>' for i, name in enumerate(sheets)
        )
        names = (
            f'xmlns="{office}/spreadsheetml/2006/main"'
            f' xmlns:r="{office}/officeDocument/2006/relationships"'
        )
        parts.writestr("xl/workbook.xml", f"<workbook {names}><sheets>{listed}</sheets></workbook>")
        for i, rows in enumerate(sheets.values()):
            cells = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
            parts.writestr(
                f"xl/sheet{i}.xml", f"<worksheet {names}><sheetData>{cells}</sheetData></worksheet>"
            )


def _cell(value: int | str) -> str:
    return (
        f"<c><v>{value}</v></c>"
        if isinstance(value, int)
        else f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    )


# reading each format


@pytest.mark.parametrize(
    "file",
    [
        "x.csv",
        "X.CSV",
        'it\'s a "file".csv',
        "größe ☃.csv",
        "a[1].csv",
        "two\nlines.csv",
        "x;y -- z.csv",
    ],
)
def test_a_csv_file_of_any_name_is_read(flat, file):
    assert read(flat(file)).customer_id.tolist() == ["a", "b"]


def test_a_study_in_a_folder_with_wildcards_in_its_name_is_read(write_study):
    study = write_study(
        "flat",
        name="a[1] *",
        tables={"snapshot": pd.DataFrame({"customer_id": ["a"], "churned": [True]})},
    )
    assert fetch.fetch(study).origin.tolist() == ["local"]
    assert read(study).customer_id.tolist() == ["a"]


def test_options_of_a_csv_file_reach_the_reader(flat):
    study = flat(
        content="customer_id;x\n007;1,5\n008;2\n",
        sql="SELECT customer_id, x = '2' AS churned FROM raw_x",
        options={"delim": ";", "all_varchar": True},
    )
    assert read(study).customer_id.tolist() == ["007", "008"]


def test_a_csv_file_in_another_encoding_needs_and_takes_the_option(flat):
    content = "customer_id,city\na,Zürich\nb,Bern\n".encode("latin-1")
    (fault,) = faults_of(load.adapt, flat(content=content))
    assert fault.startswith(
        "data/tiny/study.yml, key sources.raw_x: expected a file x.csv that DuckDB can read with"
        " its options, got this error:"
    )
    assert "This file is not utf-8 encoded" in fault
    assert fault.endswith("; correct the file or the options")
    assert len(read(flat(content=content, options={"encoding": "latin-1"}))) == 2


def test_a_glob_of_parquet_files_is_one_source(flat):
    study = flat("part-*.parquet", None)
    for number, customer in enumerate("ab"):
        pd.DataFrame({"customer_id": [customer]}).to_parquet(study.raw / f"part-{number}.parquet")
    assert read(study).customer_id.tolist() == ["a", "b"]


def test_a_glob_does_not_catch_the_copies_that_the_package_keeps(flat):
    study = flat("*.parquet", None)
    pd.DataFrame({"customer_id": ["a"]}).to_parquet(study.raw / "part.parquet")
    pd.DataFrame({"customer_id": ["hidden"]}).to_parquet(study.raw / ".raw_y-0123.parquet")
    assert read(study).customer_id.tolist() == ["a"]


def test_the_named_sheet_of_an_xlsx_file_is_read_and_a_mixed_column_becomes_text(flat):
    study = flat(
        "x.xlsx",
        None,
        "SELECT customer_id, mixed = '1' AS churned, mixed FROM raw_x",
        sheet="People",
    )
    write_xlsx(
        study.raw / "x.xlsx",
        Notes=[["nothing"], ["here"]],
        People=[["customer_id", "mixed"], ["a", 1], ["b", "two"]],
    )
    assert read(study).mixed.tolist() == ["1", "two"]


def test_a_changed_xlsx_file_is_read_anew(flat):
    study = flat("x.xlsx", None)
    for customer in ("a", "z"):
        write_xlsx(study.raw / "x.xlsx", People=[["customer_id"], [customer]])
        assert read(study).customer_id.tolist() == [customer]


def test_the_only_object_of_an_rdata_file_needs_no_name(flat):
    study = flat("x.rda", None)
    pyreadr.write_rdata(
        os.fspath(study.raw / "x.rda"), pd.DataFrame({"customer_id": ["a", "b"]}), df_name="people"
    )
    assert read(study).customer_id.tolist() == ["a", "b"]


def test_an_object_that_the_rdata_file_does_not_hold_is_named_with_those_it_holds(flat):
    study = flat("x.rda", None, object="persons")
    pyreadr.write_rdata(
        os.fspath(study.raw / "x.rda"), pd.DataFrame({"customer_id": ["a"]}), df_name="people"
    )
    assert faults_of(load.adapt, study) == (
        (
            "data/tiny/study.yml, key sources.raw_x: expected 'object' to be one of people, got"
            " persons; name one of them"
        ),
    )


@pytest.mark.parametrize("name", ["crm", "select"])
def test_an_attached_database_is_seen_under_its_key(write_study, name):
    study = write_study("flat", attach={name: "it's.duckdb"})
    with duckdb.connect(study.raw / "it's.duckdb") as database:
        database.execute("CREATE TABLE people AS SELECT 'a' AS customer_id, true AS churned")
    (study.folder / "snapshot.sql").write_text(f'SELECT * FROM "{name}".people')
    assert read(study).customer_id.tolist() == ["a"]


@pytest.mark.parametrize(
    ("content", "arrived"),
    [
        (None, "database does not exist"),
        (b"no database at all", "it is not a valid DuckDB database file!"),
    ],
)
def test_a_database_that_cannot_be_attached_is_one_sentence(write_study, content, arrived):
    study = write_study("flat", attach={"crm": "crm.duckdb"})
    (study.folder / "snapshot.sql").write_text("SELECT * FROM crm.people")
    if content:
        (study.raw / "crm.duckdb").write_bytes(content)
    (fault,) = faults_of(load.adapt, study)
    assert fault.startswith(
        "data/tiny/study.yml, key attach.crm: expected a database crm.duckdb that DuckDB can"
        " attach, got this error: IO Error"
    )
    assert fault.endswith(f"{arrived}; correct the address or the file")


@pytest.mark.parametrize("name", ["select", "order", "adapted_snapshot", "main"])
def test_a_source_may_bear_a_word_of_sql(write_study, name):
    study = write_study("flat", sources={name: {"file": "x.csv"}})
    (study.raw / "x.csv").write_text(CSV)
    (study.folder / "snapshot.sql").write_text(f'SELECT customer_id, true AS churned FROM "{name}"')
    assert len(read(study)) == 2


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (
            "x.parquet",
            (
                "expected a file x.parquet that DuckDB can read with its options, got this error:"
                " Invalid Input Error"
            ),
        ),
        (
            "x.csv.gz",
            (
                "expected a file x.csv.gz that DuckDB can read with its options, got this error: IO"
                " Error: Input is not a GZIP stream"
            ),
        ),
        (
            "x.xlsx",
            (
                "expected a readable XLSX sheet in x.xlsx, got this error: Cannot detect file"
                " format; correct 'sheet' or the file"
            ),
        ),
        ("x.rda", "expected a readable RData file x.rda, got this error: "),
        (
            "x.json",
            (
                "expected a CSV, Parquet, XLSX or RData file, got 'x.json'; convert it to one of"
                " these formats"
            ),
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(flat, file, sentence):
    (fault,) = faults_of(load.adapt, flat(file, "this is no such file"))
    assert fault.startswith(f"data/tiny/study.yml, key sources.raw_x: {sentence}")


def test_a_sheet_that_is_not_there_or_is_empty_is_one_sentence(flat):
    for sheet, sentence in (
        (
            "Persons",
            (
                "expected a readable XLSX sheet in x.xlsx, got this error: Worksheet named"
                " 'Persons' not found; correct 'sheet' or the file"
            ),
        ),
        (
            "Empty",
            (
                "expected a sheet with a header row in x.xlsx, got an empty one; correct"
                " 'sheet' or the file"
            ),
        ),
    ):
        study = flat("x.xlsx", None, sheet=sheet)
        write_xlsx(study.raw / "x.xlsx", People=[["customer_id"], ["a"]], Empty=[])
        assert faults_of(load.adapt, study) == (
            f"data/tiny/study.yml, key sources.raw_x: {sentence}",
        )


def test_a_glob_of_several_xlsx_files_is_refused_instead_of_reading_the_first(flat):
    study = flat("*.xlsx", None)
    for name in ("one.xlsx", "two.xlsx"):
        write_xlsx(study.raw / name, People=[["customer_id"], ["a"]])
    assert faults_of(load.adapt, study) == (
        (
            "data/tiny/study.yml, key sources.raw_x: expected one XLSX or RData file per source,"
            " got 2 for '*.xlsx'; write a source for each"
        ),
    )


@pytest.mark.parametrize(
    "file", ["x.csv", "x.xlsx", "x.rda", "", ".", "/", "a**b.csv", "[", "a" * 300 + ".csv"]
)
@pytest.mark.parametrize("call", [load.adapt, fetch.fetch, fetch.data_hash])
def test_what_is_no_file_is_one_sentence_wherever_it_is_read(flat, file, call):
    study = flat(file, None)
    (study.raw / "x.csv").mkdir()
    (fault,) = faults_of(call, study)
    assert fault.startswith("data/tiny/study.yml, key sources.raw_x: expected the file ")
    assert fault.endswith(", but it does not exist; run 'research fetch tiny' or put it there")


def test_an_unknown_option_is_one_sentence(flat):
    (fault,) = faults_of(load.adapt, flat(options={"nonsense": 1}))
    assert (
        'got this error: Binder Error: Invalid named parameter "nonsense" for function read_csv'
    ) in fault


# adapters


@pytest.mark.parametrize(
    "sql",
    [
        SNAPSHOT + ";",
        SNAPSHOT + "; -- done;",
        SNAPSHOT + "\n-- done\n;;\n",
        "/* first */ " + SNAPSHOT,
        b"\xef\xbb\xbf" + SNAPSHOT.encode(),
        SNAPSHOT.replace(" FROM", "\r\nFROM") + "\r\n",
        (
            "WITH people AS (SELECT * FROM raw_x) SELECT customer_id, true AS churned, '%s {0} :a'"
            " AS odd FROM people"
        ),
    ],
    ids=["semicolon", "comment", "lines", "block", "mark", "CRLF", "CTE"],
)
def test_one_select_is_read_whatever_surrounds_it(flat, sql):
    assert read(flat(sql=sql)).customer_id.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("", "expected exactly one SELECT, got nothing; write one SELECT"),
        ("-- nothing yet", "expected exactly one SELECT, got nothing; write one SELECT"),
        (
            "SELECT 1; SELECT 2",
            "expected exactly one SELECT, got SELECT, SELECT; write one SELECT",
        ),
        ("DROP TABLE raw_x", "expected exactly one SELECT, got DROP; write one SELECT"),
        ("COPY raw_x TO 'x.csv'", "expected exactly one SELECT, got COPY; write one SELECT"),
        (
            "SELEC 1",
            (
                "expected SQL that DuckDB can run, got this error: Parser Error: syntax error at or"
                ' near "SELEC"; correct the SQL'
            ),
        ),
        (
            "SELECT nope FROM raw_x",
            (
                "expected SQL that DuckDB can run, got this error: Binder Error: Referenced column"
                ' "nope" not found in FROM clause!'
            ),
        ),
        (
            "SELECT * FROM nothing",
            (
                "expected SQL that DuckDB can run, got this error: Catalog Error: Table with name"
                " nothing does not exist!"
            ),
        ),
        (
            "SELECT CAST(customer_id AS INT) AS x FROM raw_x",
            "expected SQL that DuckDB can run, got this error: Conversion Error",
        ),
        (
            "SELECT $1 AS x",
            (
                "expected SQL that DuckDB can run, got this error: Invalid Input Error: Values were"
                " not provided for the following parameters: 1"
            ),
        ),
        (
            b"SELECT 'Z\xfcrich' AS city",
            (
                "expected a readable UTF-8 file, but reading it failed: 'utf-8' codec can't decode"
                " byte 0xfc in position 9"
            ),
        ),
    ],
)
def test_sql_that_is_not_one_select_that_runs_is_one_sentence(flat, sql, sentence):
    (fault,) = faults_of(load.adapt, flat(sql=sql))
    assert fault.startswith("data/tiny/snapshot.sql: ")
    assert sentence in fault
    assert "CREATE" not in fault and "\n" not in fault


def test_a_folder_named_like_an_adapter_is_refused(flat):
    study = flat()
    (study.folder / "snapshot.sql").unlink()
    (study.folder / "snapshot.sql").mkdir()
    assert faults_of(load.adapt, study) == (
        (
            "data/tiny/snapshot.sql: expected a readable UTF-8 file, but reading it failed: Is a"
            " directory; restore it"
        ),
    )


def test_two_adapters_that_fail_are_both_named(write_study):
    study = write_study()
    for name in ("customers", "contracts"):
        (study.folder / f"{name}.sql").write_text("SELECT * FROM nothing")
    assert [fault.split(":")[0] for fault in faults_of(load.adapt, study)] == [
        "data/tiny/customers.sql",
        "data/tiny/contracts.sql",
    ]


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ("flat", ["snapshot"]),
        ("contractual", ["customers", "contracts"]),
        ("non_contractual", ["customers", "orders"]),
    ],
)
def test_adapters_that_a_kind_needs_and_unknown_ones_are_named(write_study, kind, needed):
    study = write_study(kind)
    (study.folder / "clients.sql").write_text("SELECT 1")
    missing = [
        f"data/tiny: expected {name}.sql for a {kind} study, but it is missing; write it"
        for name in needed
    ]
    found = faults_of(load.adapt, study)
    assert [*found[:-1]] == missing
    assert found[-1].startswith(
        "data/tiny/clients.sql: expected a file named after one of customers, contracts, orders"
    )
    assert found[-1].endswith(", got clients.sql; rename or remove it")


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
    assert others == {"study_schema", "errors"}  # the names of stages and traps, and of errors


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

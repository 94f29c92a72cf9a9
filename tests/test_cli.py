"""The command: exit codes, one sentence per fault, never a traceback, and earlier results left
alone.
"""

import hashlib
import re
import subprocess
import sys

import duckdb
import pandas as pd
import pytest
from small_models import few_models

from research import cli
from research.data import fetch, load
from research.errors import StudyError
from research.features import build
from research.risk import predict
from research.store import entries


def days(*texts: str | None) -> pd.Series:
    return pd.Series(pd.to_datetime(texts))


def tables(**changes: pd.DataFrame) -> dict[str, pd.DataFrame]:
    customers = pd.DataFrame(
        {"customer_id": ["a", "b"], "joined_at": days("2023-01-01", "2023-02-01")}
    )
    contracts = pd.DataFrame(
        {
            "customer_id": ["a", "b"],
            "started_at": customers.joined_at,
            "ended_at": days("2024-07-10", None),
        }
    )
    return {"customers": customers, "contracts": contracts} | changes


@pytest.fixture
def run(capsys):
    """Return a function that runs one command and returns exit code, standard output and the faults
    on standard error.
    """

    def call(*arguments: str) -> tuple[int, str, list[str]]:
        code = cli.main(arguments)
        output = capsys.readouterr()
        assert "Traceback" not in output.out + output.err
        return (
            code,
            output.out,
            [
                line.removeprefix("error: ")
                for line in output.err.splitlines()
                if line.startswith("error: ")
            ],
        )

    return call


@pytest.mark.parametrize(
    "arguments", [[], ["fetch"], ["check"], ["snapshot"], ["simulate"], ["run"]]
)
def test_every_command_explains_itself(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main([*arguments, "--help"])
    output = capsys.readouterr().out
    assert ended.value.code == 0
    assert output.startswith(" ".join(["usage: research", *arguments]))
    assert "--help" in output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["forecast"], "invalid choice: 'forecast'"),
        (["snapshot"], "the following arguments are required: STUDY"),
        (
            ["snapshot", "tiny", "--horizon-days", "soon"],
            "argument --horizon-days: invalid int value: 'soon'",
        ),
        (["check", "--at", "2024-06-30"], "unrecognized arguments: --at"),
        (["run", "--jobs"], "argument --jobs: expected one argument"),
        (
            ["simulate", "--customers", "100"],
            "the following arguments are required: --months, --seed, --out",
        ),
        (
            ["simulate", "--without", "luck"],
            "argument --without: invalid choice: 'luck' (choose from 'late_rows', 'duplicates',",
        ),
    ],
)
def test_wrong_usage_is_exit_code_2_with_what_was_wrong(capsys, arguments, sentence):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    output = capsys.readouterr().err
    assert ended.value.code == 2
    assert sentence in output and "Traceback" not in output


@pytest.mark.parametrize("command", ["fetch", "check", "snapshot"])
def test_a_missing_study_is_wrong_usage(run, project, command):
    sentence = (
        "expected a study in data/nope/study.yml, found no studies below data/; write that file"
    )
    assert run(command, "nope") == (2, "", [sentence])


@pytest.mark.parametrize("command", ["fetch", "check"])
def test_a_project_without_studies_is_wrong_usage(run, project, command):
    assert run(command) == (
        2,
        "",
        [
            "expected at least one study folder below data/, found none; write"
            " data/<study>/study.yml"
        ],
    )


@pytest.mark.parametrize("pair", ["horizon_days", "=60", ""])
def test_a_setting_without_name_or_value_is_wrong_usage(run, project, pair):
    assert run("run", "tiny", "--set", pair) == (
        2,
        "",
        [f"expected --set name=value, got '{pair}'; write for example --set horizon_days=60"],
    )


def test_a_check_counts_checks_features_and_rows(run, write_study):
    write_study(tables=tables())
    code, output, faults = run("check", "tiny")
    assert (code, faults) == (0, [])
    counted, *remarks = output.splitlines()
    assert re.fullmatch(
        r"tiny: (\d+) of \1 checks passed; 0 of 5 features excluded for target leakage; rows:"
        r" customers 2, contracts 2",
        counted,
    )
    assert remarks and all(remark.startswith("tiny: ") for remark in remarks)  # of two customers


def test_a_check_finds_what_was_written_when_customers_left_before_the_training_rows(
    run, write_study
):
    number = range(240)
    joined = pd.Timestamp("2023-01-01") + pd.to_timedelta([i % 120 for i in number], unit="D")
    gone = [i % 2 == 0 for i in number]
    ended = [
        pd.Timestamp("2024-01-15") if left else pd.Timestamp("2024-06-10") if i % 5 == 0 else pd.NaT
        for i, left in enumerate(gone)
    ]
    customers = pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in number],
            "joined_at": joined,
            "desk": ["closed" if left else "open" for left in gone],
        }
    )
    contracts = pd.DataFrame(
        {"customer_id": customers.customer_id, "started_at": joined, "ended_at": ended}
    )
    write_study(tables=tables(customers=customers, contracts=contracts))
    code, output, faults = run("check", "tiny")
    assert (code, faults) == (0, [])
    assert (
        "; 1 of 6 features excluded for target leakage; " in output
    )  # desk: of those who joined in the same days, whoever is gone has 'closed', nobody else has


def test_a_failed_check_is_exit_code_1_and_every_fault_is_listed(run, write_study):
    wrong = pd.DataFrame(
        {
            "customer_id": ["a", "stranger"],
            "started_at": days("2023-01-01", "2199-01-01"),
            "ended_at": days("2022-12-31", None),
        }
    )
    write_study(tables=tables(contracts=wrong))
    code, output, faults = run("check", "tiny")
    assert (code, output) == (1, "")
    assert [fault.split(", got")[0].split(" (")[0] for fault in faults] == [
        "table contracts, column started_at: expected dates up to today",
        "table contracts, column ended_at: expected dates on or after started_at",
        "table contracts, column customer_id: expected customers listed in the table customers",
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("title: [", "data/tiny/study.yml, line 1: expected valid YAML, but reading it failed: "),
        (
            "titel: x\n",
            (
                "data/tiny/study.yml, key titel: expected a known key, got 'titel'; did you"
                " mean 'title'?"
            ),
        ),
        (
            "kind: 7\n",
            (
                "data/tiny/study.yml, key kind: expected 'contractual', 'non_contractual' or"
                " 'flat', got 7; correct the value"
            ),
        ),
    ],
)
@pytest.mark.parametrize("command", ["fetch", "check", "snapshot"])
def test_a_broken_study_file_is_exit_code_1(run, project, command, content, sentence):
    (project / "data" / "tiny").mkdir()
    (project / "data" / "tiny" / "study.yml").write_text(content)
    code, _, faults = run(command, "tiny")
    assert code == 1
    assert len([fault for fault in faults if fault.startswith(sentence)]) == 1


@pytest.mark.parametrize("command", ["check", "snapshot"])
def test_sql_that_fails_is_exit_code_1(run, write_study, command):
    study = write_study(tables=tables())
    (study.folder / "customers.sql").write_text("SELECT nope FROM raw_customers")
    code, _, faults = run(command, "tiny")
    assert code == 1
    assert faults[0].startswith(
        "data/tiny/customers.sql: expected SQL that DuckDB can run, got this error: Binder Error:"
        ' Referenced column "nope" not found'
    )


@pytest.mark.parametrize("command", ["check", "snapshot"])
def test_an_empty_table_is_exit_code_1(run, write_study, command):
    write_study(tables=tables(contracts=tables()["contracts"].head(0)))
    assert run(command, "tiny") == (
        1,
        "",
        [
            "table contracts: expected at least one row, got an empty table; check the SQL's"
            " filters and the raw files"
        ],
    )


def test_a_fault_of_one_study_does_not_keep_the_others_from_their_turn(run, write_study, project):
    for name in ("a_broken", "b_lacking"):
        (project / "data" / name).mkdir()
    (project / "data" / "a_broken" / "study.yml").write_text("- no mapping")
    write_study(name="b_lacking")
    write_study(name="c_good", tables=tables())
    code, output, faults = run("check")
    assert code == 1
    assert re.match(r"c_good: (\d+) of \1 checks passed; ", output)
    assert [fault.split(":")[0] for fault in faults] == [
        "data/a_broken/study.yml",
        "data/b_lacking",
        "data/b_lacking",
    ]


def test_a_fault_of_one_study_among_several_names_it(run, write_study):
    write_study(name="a_empty", tables=tables(contracts=tables()["contracts"].head(0)))
    write_study(name="c_good", tables=tables())
    assert run("check")[2][0].startswith("a_empty: table contracts: expected at least one row")


def test_a_misspelt_study_among_others_is_still_wrong_usage(run, write_study):
    write_study(tables=tables())
    code, output, faults = run("fetch", "tinny", "tiny")
    assert (code, len(faults), output.count("tiny/")) == (2, 1, 2)


def test_a_horizon_longer_than_the_data_is_exit_code_1(run, write_study):
    write_study(tables=tables(), churn={"horizon_days": 3000})
    code, _, faults = run("check", "tiny")
    assert code == 1
    assert faults[0] == (
        "expected label windows within the data, but the window after snapshot 2024-06-30 ends"
        " 2032-09-16 and the data end 2024-12-31; "
        # 2023-01-01, the first row, to 2024-12-31
        "use a horizon and lead of at most 730 days together"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--at", "2099-01-01"],
            (
                "expected label windows within the data, but the window after snapshot 2099-01-01"
                " ends 2099-01-31 and the data end 2024-12-31; use a snapshot on or before"
                " 2024-12-01"
            ),
        ),
        (
            ["--at", "2024-12-02"],
            (
                "expected label windows within the data, but the window after snapshot 2024-12-02"
                " ends 2025-01-01 and the data end 2024-12-31; use a snapshot on or before"
                " 2024-12-01"
            ),
        ),
        (
            ["--at", "1990-01-01"],
            (
                "expected evidence at every snapshot, got a snapshot on 1990-01-01 but the"
                " first row is of 2023-01-01; use fewer training snapshots, a shorter horizon or a"
                " later snapshot"
            ),
        ),
        (
            ["--at", "9999-12-31"],
            (
                "data/tiny/study.yml with the run's parameters, key snapshots.last: expected"
                " 2200-01-01 or an earlier day, got '9999-12-31'; correct the value"
            ),
        ),
    ],
)
def test_dates_beyond_the_data_are_one_sentence_and_earlier_results_stay(
    run, write_study, tmp_path, arguments, sentence
):
    write_study(tables=tables())
    earlier = tmp_path / "earlier.csv"
    earlier.write_text("an earlier result")
    assert run("snapshot", "tiny", "--out", str(earlier), *arguments) == (1, "", [sentence])
    assert earlier.read_text() == "an earlier result"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--at", "soon"],
            ("expected a snapshot in the form 2025-06-30, got 'soon'; write year, month and day"),
        ),
        (
            ["--horizon-days", "10000000000"],
            (
                "expected a number of horizon_days between 0 and 36500, got 10000000000; choose a"
                " value in that range"
            ),
        ),
        (
            ["--lead-days", "-2"],
            "expected a number of lead_days between -1 and 36500, got -2; choose a value in that"
            " range",
        ),
    ],
)
def test_an_impossible_date_or_period_is_wrong_usage(run, write_study, arguments, sentence):
    write_study(tables=tables())
    assert run("snapshot", "tiny", *arguments) == (2, "", [sentence])


def test_a_snapshot_is_written_with_labels_and_features(run, write_study, tmp_path):
    write_study(tables=tables())
    out = tmp_path / "new" / "panel.csv"
    code, output, _ = run("snapshot", "tiny", "--out", str(out))
    frame = pd.read_csv(out)
    assert (code, output) == (
        0,
        f"tiny: 2 customers, 50.0% churned, {frame.shape[1]} columns, written to {out}\n",
    )
    assert frame.set_index("customer_id").churned.to_dict() == {"a": True, "b": False}
    assert (
        frame.set_index("customer_id").tenure_days["a"] == 546
    )  # 365 days of 2023 from 1 January, and 181 to 30 June 2024
    assert [path.name for path in out.parent.iterdir()] == ["panel.csv"]


def test_who_left_in_the_lead_is_said_apart_and_not_in_the_share_that_churned(run, write_study):
    write_study(tables=tables())
    code, output, _ = run("snapshot", "tiny", "--lead-days", "20")  # a leaves on 10 July
    assert code == 0
    assert output.startswith(
        "tiny: 2 customers, of whom 1 left before the team could act; 0.0% of the other 1 churned,"
    )


def test_a_snapshot_goes_below_raw_unless_out_is_given(run, write_study):
    study = write_study(tables=tables())
    code, output, faults = run(
        "snapshot", "tiny", "--at", "2024-05-31", "--horizon-days", "60", "--lead-days", "3"
    )
    assert (code, faults) == (0, [])
    out = study.raw / "snapshot-2024-05-31.parquet"
    frame = pd.read_parquet(out)
    assert (frame.snapshot == "2024-05-31").all()
    assert (
        output == f"tiny: 2 customers, 50.0% churned, {frame.shape[1]} columns, written to {out}\n"
    )


def test_a_snapshot_of_nobody_is_a_fault_and_not_a_file(run, write_study):
    over = tables()["contracts"].assign(ended_at=days("2023-03-01", "2023-03-01"))
    study = write_study(tables=tables(contracts=over))
    assert run("snapshot", "tiny") == (
        1,
        "",
        [
            "tiny: expected customers who can churn after 2024-06-30, got none; likely cause: 2 of"
            " 2 contracts have ended by then (ended_at in contracts.sql, empty while they run);"
            " mend it, or choose another --at"
        ],
    )
    assert [*study.raw.glob("snapshot-*")] == []


def test_a_flat_study_has_no_day_to_choose(run, write_study):
    write_study(
        "flat",
        tables={"snapshot": pd.DataFrame({"customer_id": ["a", "b"], "churned": [True, False]})},
    )
    assert run("snapshot", "tiny")[0] == 0
    code, _, (fault,) = run("snapshot", "tiny", "--at", "2024-06-30")
    assert code == 1
    assert fault.startswith(
        "study tiny: expected no snapshot, lead_days or horizon_days for a flat study, got snapshot"
        " 2024-06-30; leave them at their defaults"
    )


def test_a_snapshot_as_csv_is_safe_for_a_spreadsheet(run, write_study, tmp_path):
    frame = pd.DataFrame({"customer_id": ["a"], "churned": [True], "fee": [-2.5], "name": ["=1+1"]})
    write_study("flat", tables={"snapshot": frame})
    for suffix in ("csv", "parquet"):
        assert run("snapshot", "tiny", "--out", str(tmp_path / f"x.{suffix}"))[0] == 0
    assert (tmp_path / "x.csv").read_text() == ("customer_id,churned,fee,name\na,True,-2.5,'=1+1\n")
    assert pd.read_parquet(tmp_path / "x.parquet").name.tolist() == ["=1+1"]


def test_who_reads_an_earlier_snapshot_reads_it_to_its_end(run, write_study, tmp_path):
    write_study(tables=tables())
    out = tmp_path / "x.csv"
    out.write_text("an earlier result")
    with out.open() as reader:
        assert run("snapshot", "tiny", "--out", str(out))[0] == 0
        assert reader.read() == "an earlier result"


def test_an_unknown_kind_of_file_to_write_is_wrong_usage(run, write_study):
    write_study(tables=tables())
    assert run("snapshot", "tiny", "--out", "x.xlsx") == (
        2,
        "",
        ["expected a --out file that ends in .parquet or .csv, got 'x.xlsx'; rename it"],
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_place_that_cannot_be_written_is_one_sentence(run, write_study, tmp_path, suffix):
    write_study(tables=tables())
    (tmp_path / f"folder{suffix}").mkdir()
    (tmp_path / "file").write_text("in the way")
    before = sorted(tmp_path.rglob("*"))
    places = {"folder": "Is a directory", "file/x": "File exists", "a" * 300: "File name too long"}
    for place, arrived in places.items():
        out = str(tmp_path / f"{place}{suffix}")
        assert run("snapshot", "tiny", "--out", out) == (
            1,
            "",
            [f"expected to write {out}, but that failed: {arrived}; choose another --out"],
        )
    assert sorted(tmp_path.rglob("*")) == before


def test_an_engine_that_runs_out_of_disk_is_one_sentence_and_leaves_earlier_results(
    run, write_study, tmp_path, monkeypatch
):
    def write(tables, study, days, path):
        path.write_bytes(b"half a file")
        raise duckdb.IOException("IO Error: Could not write all bytes")

    write_study(tables=tables())
    monkeypatch.setattr(build, "write_panel", write)
    out = tmp_path / "x.parquet"
    out.write_text("an earlier result")
    before = sorted(tmp_path.rglob("*"))
    sentence = (
        f"expected to write {out}, but that failed: IO Error: Could not write all bytes; choose"
        " another --out"
    )
    assert run("snapshot", "tiny", "--out", str(out)) == (1, "", [sentence])
    assert out.read_text() == "an earlier result"
    assert sorted(tmp_path.rglob("*")) == before


def test_too_little_memory_and_an_interrupted_query_are_one_sentence(
    run, write_study, tmp_path, monkeypatch
):
    def fail(error):
        def write(*_):
            raise error

        monkeypatch.setattr(build, "write_panel", write)
        return run("snapshot", "tiny", "--out", str(tmp_path / "x.parquet"))

    write_study(tables=tables())
    remedy = (
        "raise memory_gb under engine in study.yml, or free space in the temporary folder (TMPDIR)"
    )
    memory = "Out of Memory Error: 1 of 1 used"
    full = duckdb.OutOfMemoryException(
        f"{memory}\n\nPossible solutions:\n* Reducing the number of threads"
    )
    assert fail(full) == (
        1,
        "",
        [f"expected enough memory for DuckDB, got this error: {memory}; {remedy}"],
    )
    assert fail(RuntimeError("Query interrupted"))[0] == 130
    with pytest.raises(RuntimeError, match="a fault of ours"):
        fail(RuntimeError("a fault of ours"))


@pytest.fixture
def fetched(write_study, project, monkeypatch):
    """A study of one file with a checksum, and a mirror that is named relative to the folder of the
    caller.
    """
    (project / "shelf").mkdir()
    (project / "shelf" / "x.csv").write_text("customer_id\na\n")
    monkeypatch.chdir(project)
    monkeypatch.setenv("RESEARCH_MIRROR", "shelf")
    return write_study(
        "flat",
        sources={
            "raw_x": {"file": "x.csv", "sha256": hashlib.sha256(b"customer_id\na\n").hexdigest()}
        },
    )


def test_a_relative_mirror_is_meant_from_where_the_command_is_given(
    run, fetched, monkeypatch, tmp_path_factory
):
    assert run("fetch", "tiny") == (0, "tiny/x.csv: mirror, 14 bytes\n", [])
    (fetched.raw / "x.csv").unlink()
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))  # where a kernel might run
    assert fetch.fetch(fetched).origin.tolist() == ["mirror"]


def test_a_wrong_checksum_is_exit_code_1_and_the_good_file_stays(run, fetched, project):
    assert run("fetch", "tiny")[0] == 0
    definition = (fetched.folder / "study.yml").read_text()
    (fetched.folder / "study.yml").write_text(
        definition.replace(fetched.sources["raw_x"].sha256, "f" * 64)
    )
    code, output, (fault,) = run("fetch", "tiny")
    assert (code, output) == (1, "")
    assert fault.startswith(f"{project / 'shelf' / 'x.csv'}: expected SHA-256 {'f' * 64}, got ")
    assert fault.endswith("; the file was not used, so get the right version or correct study.yml")
    assert (fetched.raw / "x.csv").read_text() == "customer_id\na\n"


def test_a_file_that_is_nowhere_is_exit_code_1(run, fetched, project):
    (project / "shelf" / "x.csv").unlink()
    sentence = (
        "data/tiny/study.yml, key sources.raw_x: expected the file x.csv, but it is missing and has"
        " no url; put it into data/tiny/raw or a RESEARCH_MIRROR folder"
    )
    assert run("fetch", "tiny") == (1, "", [sentence])


def test_one_class_only_is_refused_before_any_model_is_fitted(write_study):
    frame = pd.DataFrame(
        {"customer_id": [f"c{i}" for i in range(20)], "churned": False, "age": range(20)}
    )
    study = write_study("flat", tables={"snapshot": frame})
    panel = build.load_flat(load.load_tables(study), study)
    with pytest.raises(StudyError) as caught:
        predict.predict_cross_validated(panel, ["age"], few_models(None, 0), 5, 1, 0)
    assert caught.value.faults == (
        (
            "expected churners and others among the study's rows, got 0 churners in 20 rows; "
            "look at the label first (research check says what may be wrong with it), then choose"
            " another snapshot or horizon"
        ),
    )


# simulate


def simulate(run, out, *arguments: str, **values: int) -> tuple[int, str, list[str]]:
    request = {"customers": 100, "months": 12, "seed": 0} | values
    return run(
        "simulate",
        *(part for name, value in request.items() for part in (f"--{name}", str(value))),
        "--out",
        str(out),
        *arguments,
    )


def test_a_simulation_counts_its_rows_and_says_how_long_it_took(run, tmp_path):
    code, output, faults = simulate(run, tmp_path / "company")
    lines = output.splitlines()
    assert (code, faults) == (0, [])
    assert lines[0].split() == ["customers", "100"]
    assert [line.split()[0] for line in lines[8:-1]] == [
        "truth/hazards",
        "truth/effects",
        "truth/people",
        "truth/tones",
    ]
    total = sum(int(line.split()[1].replace(",", "")) for line in lines[:-1])
    assert re.fullmatch(
        rf"{total:,} rows written to {re.escape(str(tmp_path / 'company'))} in \d+\.\d s", lines[-1]
    )


def test_a_simulation_without_a_trap_lacks_it(run, tmp_path):
    assert (
        simulate(run, tmp_path / "company", "--without", "knowing_attribute", "hostile_text")[0]
        == 0
    )
    customers = pd.read_parquet(tmp_path / "company" / "customers")
    assert "retention_offer_code" not in customers.columns
    assert not customers.name.str.contains("<").any()


def test_every_value_out_of_range_is_one_sentence_and_wrong_usage(run, tmp_path):
    assert simulate(run, tmp_path / "company", customers=99, months=1201, seed=-1) == (
        2,
        "",
        [
            "--customers: expected a number of at least 100, got 99; correct the value",
            "--months: expected a number of at most 1,200, got 1201; correct the value",
            "--seed: expected a number of at least 0, got -1; correct the value",
        ],
    )
    assert simulate(run, tmp_path / "company", chunk=0) == (
        2,
        "",
        ["--chunk: expected a number of at least 1, got 0; correct the value"],
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_wrong_usage_and_stays(run, tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    sentence = (
        f"--out: expected a folder that does not exist or is empty, got {tmp_path}, which is"
        " there already; choose another or remove it"
    )
    assert simulate(run, tmp_path) == (2, "", [sentence])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_company_for_a_place_that_cannot_be_written_is_one_sentence(run, tmp_path):
    (tmp_path / "file").write_text("in the way")
    code, output, faults = simulate(run, tmp_path / "file" / "company")
    assert (code, output, len(faults)) == (1, "", 1)
    assert re.fullmatch(
        r"expected to write .*company, but that failed: (Not a directory|File exists); make room"
        r" there or choose another --out",
        faults[0],
    )


def test_a_full_disk_is_one_sentence_and_leaves_nothing(run, tmp_path, monkeypatch):
    def write(self, table, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", write)
    sentence = (
        f"expected to write {tmp_path / 'company'}, but that failed: No space left on device; make"
        " room there or choose another --out"
    )
    assert simulate(run, tmp_path / "company") == (1, "", [sentence])
    assert list(tmp_path.iterdir()) == []


# clear, and what run hands on


def test_clear_says_how_much_it_removed_and_removes_nothing_on_a_dry_run(run, project, monkeypatch):
    monkeypatch.delenv("RESEARCH_STORE", raising=False)
    store = project / ".store"
    store.mkdir()
    entries.write(store / "a.function-0.value", "a" * 64, bytes(2_000_000), 10**9)
    assert run("clear", "--dry-run") == (0, "1 value, 2.0 MB, kept in .store\n", [])
    assert run("clear") == (0, "1 value, 2.0 MB, removed from .store\n", [])
    assert not store.exists()
    assert run("clear") == (0, "0 values, 0.0 MB, removed from .store\n", [])


def test_clear_says_so_where_the_store_is_switched_off(run, project, monkeypatch):
    monkeypatch.setenv("RESEARCH_STORE", "off")
    assert run("clear")[:2] == (
        0,
        "the store is switched off (RESEARCH_STORE): nothing is kept\n",
    )


def test_run_hands_on_the_notebooks_named_and_whether_it_is_a_draft(run, monkeypatch):
    asked = []
    monkeypatch.setattr("research.batch.run.run", lambda *given: asked.append(given) or 0)
    run("run", "demo", "--only", "30_risk", "--only", "10_data", "--draft", "--jobs", "2")
    run("run", "demo", "--jobs", "1")
    assert asked == [
        ("demo", {"draft": "true"}, 2, ["30_risk", "10_data"]),
        ("demo", {}, 1, []),
    ]


def test_commands_load_the_libraries_of_tables_and_models_only_when_they_are_called():
    heavy = ("pandas", "duckdb", "ibis", "sklearn", "pandera", "lightgbm", "jinja2")
    code = f"import sys, research.cli; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"

"""study.yml: read and validated as a whole, every fault one sentence."""

from datetime import date

import pytest

from research.errors import StudyError, UsageError
from research.study import adjust, list_studies, load_study, read_yaml, show_path

GOOD = """\
title: A tiny company
kind: contractual
economics: {currency: EUR, capacity: 5}
churn: {horizon_days: 30}
snapshots: {last: 2024-06-30}
sources: {raw_customers: {file: customers.csv}}
"""


@pytest.fixture
def write_yml(project):
    """Return a function that writes data/tiny/study.yml as given."""
    path = project / "data" / "tiny" / "study.yml"
    path.parent.mkdir()

    def write(content: str | bytes) -> None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def faults_of(name: str = "tiny") -> tuple[str, ...]:
    with pytest.raises(StudyError) as caught:
        load_study(name)
    return caught.value.faults


def test_a_study_is_read_with_its_defaults(write_yml):
    write_yml(GOOD)
    study = load_study("tiny")
    assert (study.name, study.raw, study.snapshots.last) == (
        "tiny",
        study.folder / "raw",
        date(2024, 6, 30),
    )
    assert (
        study.churn.lead_days,
        study.snapshots.train,
        study.snapshots.test,
        study.sensitive,
    ) == (0, 6, 1, [])


@pytest.mark.parametrize(
    "content",
    ["\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), GOOD.replace("A tiny company", "Ünï ☃")],
    ids=["byte order mark", "CRLF", "unicode"],
)
def test_a_file_from_any_editor_is_read(write_yml, content):
    write_yml(content)
    assert load_study("tiny").kind == "contractual"


def test_a_missing_study_names_the_studies_there_are(write_yml):
    write_yml(GOOD)
    with pytest.raises(UsageError) as caught:
        load_study("tinny")
    assert caught.value.faults == (
        ("expected a study in data/tinny/study.yml, found only the studies tiny; correct the name"),
    )


@pytest.mark.parametrize("name", ["", ".", "../data/tiny", "tiny/"])
def test_only_the_name_of_a_study_names_it(write_yml, name):
    write_yml(GOOD)
    with pytest.raises(UsageError, match="found only the studies tiny"):
        load_study(name)


def test_a_project_without_studies_says_none(project):
    assert list_studies() == []
    with pytest.raises(UsageError, match="found no studies below data/; write that file"):
        load_study("tiny")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ("title:", "titel:"),
            "key titel: expected a known key, got 'titel'; did you mean 'title'?",
        ),
        (
            ("horizon_days: 30", "horizon_days: 30, xyzzy: 1"),
            "key churn.xyzzy: expected a known key, got 'xyzzy'; remove it or use one of"
            " horizon_days, horizon, lead_days, grace_days, ends, active_days, inactive_days",
        ),
        (
            ("title: A tiny company\n", ""),
            "key title: expected this key, but it is missing; add it",
        ),
        (
            ("kind: contractual", "kind: Contractual"),
            (
                "key kind: expected 'contractual', 'non_contractual' or 'flat', got"
                " 'Contractual'; correct the value"
            ),
        ),
        (
            ("horizon_days: 30", "horizon: 1 year"),
            "key churn.horizon: expected months such as '3 months', got '1 year'; correct the"
            " value",
        ),
        (
            ("horizon_days: 30", "horizon_days: soon"),
            ("key churn.horizon_days: expected a whole number, got 'soon'; correct the value"),
        ),
        (
            ("horizon_days: 30", "horizon_days: 0"),
            ("key churn.horizon_days: expected at least 1, got 0; correct the value"),
        ),
        (
            ("horizon_days: 30", "horizon_days: 10000000"),
            "key churn.horizon_days: expected at most 36500, got 10000000",
        ),
        (
            ("2024-06-30", "9999-12-31"),
            (
                "key snapshots.last: expected 2200-01-01 or an earlier day, got 9999-12-31; correct"
                " the value"
            ),
        ),
        (
            ("kind: contractual", "kind: contractual\ntime_zone: Europe/Berlon"),
            "key time_zone: expected the IANA name of a time zone such as 'Europe/Berlin', got"
            " 'Europe/Berlon'; did you mean 'Europe/Berlin'?",
        ),
        (
            ("kind: contractual", "kind: contractual\ntime_zone: Europe"),
            "key time_zone: expected the IANA name of a time zone such as 'Europe/Berlin', got"
            " 'Europe'",
        ),
        (
            ("2024-06-30", "0001-01-01"),
            (
                "key snapshots.last: expected 1900-01-01 or a later day, got 0001-01-01; correct"
                " the value"
            ),
        ),
        (
            ("2024-06-30}", "2024-06-30, train: 9999}"),
            (
                "key snapshots: expected train and test snapshots within 36,500 days, got"
                " 300,000 days; use fewer"
            ),
        ),
        (
            ("{currency: EUR, capacity: 5}", "[EUR, 5]"),
            ("key economics: expected keys with values, got ['EUR', 5]"),
        ),
        (
            ("currency: EUR", "currency: euro"),
            (
                "key economics.currency: expected a currency code of three capitals such as EUR,"
                " got 'euro'; correct the value"
            ),
        ),
        (
            ("raw_customers:", "raw customers:"),
            (
                "key sources.raw customers: expected a name of letters, digits and underscores, no"
                " digit first, got 'raw customers'; correct the key"
            ),
        ),
        (
            ("raw_customers:", "Customers:"),
            (
                "expected source names that differ from those of the contract tables, got"
                " 'Customers'; rename it, for example to 'raw_Customers'"
            ),
        ),
        (
            ("customers.csv", "customers.csv, url: 'https://x'"),
            "expected a sha256 for 'https://x', got none; add the file's SHA-256 checksum",
        ),
        (
            ("customers.csv", "customers.csv, sha256: abc"),
            "key sources.raw_customers.sha256: expected 64 hexadecimal digits in lower"
            " case, got 'abc'; correct the value",
        ),
        (
            ("customers.csv", "customers.csv, options: {delim: 1.5}"),
            (
                "options.delim: expected text, a whole number, true, false, a list of texts or"
                " texts by column, got 1.5; correct the value"
            ),
        ),
        (
            ("customers.csv", "customers.csv, options: {'x = 1) --': 1}"),
            "expected a name of letters, digits and underscores, no digit first, got 'x = 1) --';"
            " correct the key",
        ),
        (
            ("sources:", "1: x\nsources:"),
            "key 1: expected a key that is text, got 1; correct the key",
        ),
    ],
)
def test_a_wrong_key_or_value_is_one_sentence(write_yml, change, sentence):
    write_yml(GOOD.replace(*change))
    found = [fault for fault in faults_of() if sentence in fault]
    assert len(found) == 1
    assert found[0].startswith("data/tiny/study.yml")


def test_data_that_end_before_they_start_are_refused(write_yml):
    write_yml(
        "title: x\nkind: flat\neconomics: {currency: EUR, capacity: 5}\ndata_start:"
        " 2024-02-01\ndata_end: 2024-01-01\n"
    )
    assert faults_of() == (
        (
            "data/tiny/study.yml: expected data_start on or before data_end, got 2024-02-01 and"
            " 2024-01-01; correct one of them"
        ),
    )


def test_all_faults_of_a_file_are_listed_at_once(write_yml):
    write_yml("titel: x\neconomics: {currency: euro, capacity: 0}\n")
    assert [fault.split(": expected")[0] for fault in faults_of()] == [
        "data/tiny/study.yml, key kind",
        "data/tiny/study.yml, key economics.currency",
        "data/tiny/study.yml, key economics.capacity",
        "data/tiny/study.yml, key titel",
    ]


@pytest.mark.parametrize(
    ("kind", "parts", "missing"),
    [
        ("contractual", "", ["churn", "snapshots"]),
        (
            "non_contractual",
            "churn: {horizon_days: 30}\nsnapshots: {last: 2024-06-30}\n",
            ["churn.active_days", "churn.inactive_days"],
        ),
    ],
)
def test_each_part_that_a_kind_needs_is_asked_for_in_its_own_sentence(
    write_yml, kind, parts, missing
):
    write_yml(f"title: x\nkind: {kind}\neconomics: {{currency: EUR, capacity: 5}}\n{parts}")
    assert faults_of() == tuple(
        f"data/tiny/study.yml: expected the key '{key}' in a {kind} study, but it is missing; add"
        " it"
        for key in missing
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "title: [1, 2\n",
            (
                "line 2: expected valid YAML, but reading it failed: expected ',' or ']', but got"
                " '<stream end>'; correct that line"
            ),
        ),
        (
            GOOD + "title: again\n",
            "line 1: expected valid YAML, but reading it failed: key given twice: title; correct"
            " that line",
        ),
        (
            GOOD.replace("currency: EUR", "currency: EUR, currency: USD"),
            "line 3: expected valid YAML, but reading it failed: key given twice: currency;"
            " correct that line",
        ),
        (
            GOOD.replace("2024-06-30", "2024-02-30"),
            (
                "line 5: expected valid YAML, but reading it failed: '2024-02-30': day is out of"
                " range for month; correct that line"
            ),
        ),
        (
            "? [1, 2]\n: 3\n",
            "line 1: expected valid YAML, but reading it failed: unhashable type: 'list'; correct"
            " that line",
        ),
        (
            "title: !!int ''\n",
            (
                "line 1: expected valid YAML, but reading it failed: '': string index out of range;"
                " correct that line"
            ),
        ),
        (
            "title: !!python/object/apply:os.getcwd []\n",
            (
                "could not determine a constructor for the tag"
                " 'tag:yaml.org,2002:python/object/apply:os.getcwd'"
            ),
        ),
        (
            "title: \x01\n",
            (
                "expected valid YAML, but reading it failed: unacceptable character #x0001: special"
                " characters are not allowed"
            ),
        ),
        (
            "title: " + "[" * 5000,
            "expected valid YAML, but reading it failed: maximum recursion depth exceeded",
        ),
        ("- a\n- b\n", "expected keys with values, got a list; write 'key: value' lines"),
        ("", "expected keys with values, got an empty file; write 'key: value' lines"),
        (
            GOOD.encode("utf-16"),
            (
                "expected a readable UTF-8 file, but reading it failed: 'utf-8' codec can't decode"
                " byte 0xff in position 0"
            ),
        ),
    ],
)
def test_a_file_that_is_no_yaml_mapping_is_one_sentence(write_yml, content, sentence):
    write_yml(content)
    (fault,) = faults_of()
    assert fault.startswith("data/tiny/study.yml")
    assert sentence in fault


def test_a_folder_named_study_yml_is_refused(project):
    (project / "data" / "tiny" / "study.yml").mkdir(parents=True)
    assert faults_of() == (
        (
            "data/tiny/study.yml: expected a readable UTF-8 file, but reading it failed: Is a"
            " directory; restore it"
        ),
    )


def test_a_run_can_set_other_dates_and_another_capacity(write_study):
    study = adjust(write_study(), snapshot="2024-03-31", lead_days=7, horizon_days=60, capacity=9)
    assert (
        study.snapshots.last,
        study.churn.lead_days,
        study.churn.horizon_days,
        study.economics.capacity,
    ) == (date(2024, 3, 31), 7, 60, 9)
    assert study.name == "tiny"


def test_the_parameters_of_a_run_are_validated_as_those_of_the_file(write_study):
    with pytest.raises(StudyError) as caught:
        adjust(write_study(), snapshot="soon", lead_days=-2, capacity=-1)
    assert [fault.split(": expected")[0] for fault in caught.value.faults] == [
        f"data/tiny/study.yml with the run's parameters, key {key}"
        for key in ("churn.lead_days", "snapshots.last", "economics.capacity")
    ]


def test_a_flat_study_has_no_dates_to_set(write_study):
    with pytest.raises(
        StudyError,
        match=(
            "study tiny: expected no snapshot, lead_days or horizon_days for a flat study, got"
            " snapshot 2024-03-31; leave them at their defaults"
        ),
    ):
        adjust(write_study("flat"), snapshot="2024-03-31")


def test_a_path_outside_the_project_is_shown_whole(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "plan.yml"
    assert show_path(outside) == str(outside)
    with pytest.raises(
        StudyError,
        match="expected a readable UTF-8 file, but reading it failed: No such file or directory;"
        " restore it",
    ):
        read_yaml(outside)


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{row}: &a{row} [{', '.join([f'*a{row - 1}'] * 9)}]\n" for row in range(1, 12)
)


def test_aliases_that_stand_for_millions_of_values_are_refused_at_once(write_yml):
    write_yml(BOMB)
    with pytest.raises(StudyError) as caught:
        load_study("tiny")
    (fault,) = caught.value.faults
    assert fault.startswith(
        "data/tiny/study.yml, line 1: expected valid YAML, but reading it failed: more than 20,000"
        " values ("
    )


def test_an_alias_within_what_it_stands_for_is_refused(write_yml):
    write_yml("a: &a [*a]\n")
    with pytest.raises(StudyError, match="an alias within what it stands for"):
        load_study("tiny")


def test_an_alias_that_spares_writing_a_value_twice_is_read(write_yml):
    write_yml(GOOD.replace("sources:", "sensitive: &s [age]\nmonotone: {}\nsources:"))
    assert load_study("tiny").sensitive == ["age"]
    write_yml(GOOD + "title2: &t x\n")
    with pytest.raises(StudyError, match="expected a known key, got 'title2'"):
        load_study("tiny")


@pytest.mark.parametrize("engine", ["spark", "{kind: warehouse, url: 'postgres://x/y'}"])
def test_only_duckdb_reads_allowed_folders(write_yml, engine):
    text = GOOD if engine == "spark" else GOOD.replace("sources: {raw_customers", "# {")
    write_yml(text + f"engine: {engine}\nallow: [lists]\n")
    with pytest.raises(StudyError, match="'?allow'?"):
        load_study("tiny")


MONTHS = {"horizon": "3 months", "lead_days": 0}


def test_a_horizon_in_days_takes_the_place_of_months(write_study):
    study = write_study(churn=MONTHS)
    assert (study.churn.horizon_months, study.churn.horizon_days) == (3, 91)
    assert adjust(study, horizon_days=60).churn.horizon_months == 0
    assert adjust(study, lead_days=3).churn.horizon_months == 3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"churn": MONTHS | {"horizon_days": 30}},
            "key churn: expected horizon or horizon_days, got 3 months and 30; remove one of them",
        ),
        (
            {"churn": {"horizon": "3 weeks"}},
            "key churn.horizon: expected months such as '3 months', got",
        ),
        (
            {"snapshots": {"last": "2024-06-30", "every": "month", "every_days": 10}},
            "key snapshots: expected every or every_days, got month and 10; remove one of them",
        ),
    ],
)
def test_months_and_days_exclude_one_another(write_study, changes, sentence):
    with pytest.raises(StudyError) as refusal:
        write_study(**changes)
    assert any(sentence in fault for fault in refusal.value.faults)

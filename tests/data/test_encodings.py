"""Text files in other encodings than UTF-8."""

import gzip

import duckdb
import pytest
from raw_files import faults_of

from research.data.readers import describe_reader

TEXT = "id;x\n1;Köln\n2;5 €\n"


def read(study) -> list:
    relation = describe_reader(study, "raw_x", study.sources["raw_x"])
    return [row[0] for row in duckdb.sql(f"SELECT x FROM {relation} ORDER BY id").fetchall()]


@pytest.mark.parametrize("encoding", ["windows-1252", "cp1252", "utf-16", "utf-8-sig", "utf-8"])
def test_a_file_is_read_in_the_encoding_that_the_option_names(flat, encoding):
    assert read(flat(content=TEXT.encode(encoding), options={"encoding": encoding})) == [
        "Köln",
        "5 €",
    ]


def test_a_compressed_file_is_decoded_too(flat):
    content = gzip.compress(TEXT.encode("windows-1252"))
    assert read(flat("x.csv.gz", content, options={"encoding": "windows-1252"})) == ["Köln", "5 €"]


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        (
            TEXT.encode("windows-1252"),
            {},
            ": expected x.csv in UTF-8, got the byte 0xF6 in line 2; name its encoding, for example"
            " options: {encoding: windows-1252}, or latin-1 or utf-16",
        ),
        (
            TEXT.encode("utf-16"),
            {},
            ": expected x.csv in UTF-8, got the byte 0xFF in line 1; name its encoding, for example"
            " options: {encoding: utf-16}, or latin-1 or utf-16",
        ),
        (
            "id;x\n1;\x81\n".encode("latin-1"),
            {"encoding": "windows-1252"},
            ", options.encoding: expected x.csv in cp1252, got the byte 0x81, which it doesn't"
            " have; name another encoding, such as windows-1252, latin-1 or utf-16",
        ),
        (
            TEXT.encode(),
            {"encoding": "windows-1252"},
            ", options.encoding: expected x.csv in cp1252, got text in UTF-8; remove the option",
        ),
        (
            TEXT.encode("windows-1252"),
            {"encoding": "latin-1"},
            ", options.encoding: expected x.csv in latin-1, got the byte 0x80 in line 3, which is"
            " no character there; write encoding: windows-1252",
        ),
        (
            b"id;x\n",
            {"encoding": "windoze"},
            ", options.encoding: expected an encoding such as windows-1252, latin-1 or utf-16, got"
            " 'windoze'; correct it",
        ),
    ],
    ids=[
        "no option",
        "UTF-16",
        "a byte that it lacks",
        "UTF-8 after all",
        "a control",
        "no encoding",
    ],
)
def test_what_cannot_be_decoded_is_one_sentence_with_the_option(flat, content, options, sentence):
    study = flat(content=content, options=options)
    assert faults_of(describe_reader, study, "raw_x", study.sources["raw_x"]) == (
        f"data/tiny/study.yml, key sources.raw_x{sentence}",
    )
    assert not [*study.raw.glob(".*.csv*")]  # nothing half-written

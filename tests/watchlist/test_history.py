"""Histories are appended whole or not at all, never rewritten, and show when somebody did."""

import json
import os
import subprocess
import sys
from datetime import date

import pandas as pd
import pytest

from research.errors import StudyError
from research.watchlist.history import CHAIN, OUTCOMES, REPLAYED, SENT, History

DAY, NEXT = date(2024, 6, 30), date(2024, 7, 31)


def rows(risk: float = 0.1) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": ["007", "b"], "risk": [risk, 0.2]})


@pytest.fixture
def history(project) -> History:
    return History(project / "history" / "tiny")


def test_rows_come_back_by_kind_and_day(history):
    history.append(SENT, NEXT, rows(0.3), "later")
    history.append(SENT, DAY, rows(), "one")
    history.append(REPLAYED, DAY, rows(0.9), "one")
    assert history.read(SENT).risk.tolist() == [0.1, 0.2, 0.3, 0.2]
    assert history.read(SENT, NEXT).risk.tolist() == [0.3, 0.2]
    assert history.read(SENT).customer_id.tolist()[0] == "007"
    assert history.read(REPLAYED).risk.tolist() == [0.9, 0.2]
    assert history.read(OUTCOMES).empty


def test_the_same_inputs_are_no_second_append(history):
    first = history.append(SENT, DAY, rows(), "one")
    before = sorted(path.name for path in history.folder.iterdir())
    assert history.append(SENT, DAY, rows(0.5), "one") == first
    assert sorted(path.name for path in history.folder.iterdir()) == before
    assert history.read(SENT).risk.tolist() == [0.1, 0.2]


def test_other_inputs_are_refused_unless_revised_and_then_both_are_kept(history):
    history.append(SENT, DAY, rows(), "one")
    with pytest.raises(StudyError, match="expected the inputs from which sent of 2024-06-30"):
        history.append(SENT, DAY, rows(0.5), "two")
    with pytest.raises(StudyError, match="--revise"):
        history.append(SENT, DAY, rows(0.5), "two", revise=" ")
    revised = history.append(SENT, DAY, rows(0.5), "two", revise="late rows arrived")
    assert (revised.revision, revised.reason) == (1, "late rows arrived")
    assert history.read(SENT).risk.tolist() == [0.5, 0.2]
    assert [entry.revision for entry in history.entries] == [0, 1]
    first = history.folder / history.entries[0].file
    assert pd.read_parquet(first).risk.tolist() == [0.1, 0.2]


@pytest.mark.parametrize("change", ["value", "drop", "order", "text"])
def test_a_changed_line_breaks_the_chain_and_is_named(history, change):
    for day, inputs in ((DAY, "one"), (NEXT, "two"), (date(2024, 8, 31), "three")):
        history.append(SENT, day, rows(), inputs)
    path = history.folder / CHAIN
    lines = path.read_text().splitlines()
    if change == "value":
        lines[1] = json.dumps(json.loads(lines[1]) | {"rows": 3})
    elif change == "drop":
        del lines[1]
    elif change == "order":
        lines[1], lines[2] = lines[2], lines[1]
    else:
        lines[1] = "not an entry"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(StudyError, match=r"history/tiny/chain.jsonl, line 2: expected an entry"):
        history.read(SENT)
    with pytest.raises(StudyError, match="history is never rewritten"):
        history.append(SENT, date(2024, 9, 30), rows(), "four")


def test_a_changed_or_missing_file_is_named(history):
    entry = history.append(SENT, DAY, rows(), "one")
    rows(0.9).to_parquet(history.folder / entry.file, index=False)
    with pytest.raises(StudyError, match="sent-2024-06-30.parquet: expected the file .* another"):
        history.read(SENT)
    (history.folder / entry.file).unlink()
    with pytest.raises(StudyError, match="got no file there"):
        history.read(SENT)


def test_two_scorers_at_once_are_one_sentence(history):
    history.append(SENT, DAY, rows(), "one")
    with history._locked(), pytest.raises(StudyError, match="got one at work; wait"):
        History(history.folder).append(SENT, NEXT, rows(), "two")
    history.append(SENT, NEXT, rows(), "two")
    assert len(history.entries) == 2


KILLED = """
import os, sys
from datetime import date
from pathlib import Path
import pandas as pd
from research import files
from research.watchlist import history
real, calls = os.replace, []
def replace(source, target):
    calls.append(target)
    if len(calls) == int(sys.argv[2]):
        os._exit(9)
    real(source, target)
os.replace = replace
frame = pd.DataFrame({"customer_id": ["a"], "risk": [0.7]})
history.History(Path(sys.argv[1])).append("sent", date(2024, 7, 31), frame, "two")
"""


@pytest.mark.parametrize("rename", [1, 2])
def test_killed_before_either_rename_nothing_half_appended_counts(history, rename):
    history.append(SENT, DAY, rows(), "one")
    command = [sys.executable, "-c", KILLED, str(history.folder), str(rename)]
    assert subprocess.run(command, env=os.environ, check=False).returncode == 9
    assert history.read(SENT).risk.tolist() == [0.1, 0.2]
    assert len(history.entries) == 1
    history.append(SENT, NEXT, rows(0.4), "two")
    assert history.read(SENT, NEXT).risk.tolist() == [0.4, 0.2]
    assert not [*history.folder.glob(".*.part")]

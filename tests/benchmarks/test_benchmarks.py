"""The ways to the same features that `make bench` measures against: they must give what the package
gives.
"""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from research.data import engines, load
from research.features import build
from research.panel import splits
from research.simulate import generate
from research.study import load_study
from research.study_schema import TRAPS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def company(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bench") / "company-400"
    generate.generate(400, 24, 1, folder, TRAPS)
    return folder


@pytest.fixture(scope="module")
def prepared(company, tmp_path_factory):
    """The tables, the labelled population and the package's features of a small company at one
    snapshot.
    """
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESEARCH_HOME", str(home))
        patch.syspath_prepend(str(BENCHMARKS))
        import companies

        study = load_study(companies.write_study(company, home))
        tables = load.adapt(study)
        evidence, labels = splits.label_panel(
            tables, study, [date.fromisoformat(companies.SNAPSHOT)]
        )
        labels = engines.keep(labels, "labels")
        yield tables, labels, build.load_features(evidence, labels, study), companies.SNAPSHOT


def test_features_written_by_hand_in_sql_equal_the_package(prepared):
    import agreement
    import contender

    tables, labels, frame, snapshot = prepared
    connection = contender.prepare_by_hand(tables, labels, snapshot)
    assert (
        agreement.find_differences(
            frame, connection.execute((BENCHMARKS / "by_hand.sql").read_text()).df()
        )
        == []
    )


@pytest.mark.parametrize("numbered", [False, True])
def test_features_by_pandas_equal_the_package(prepared, company, numbered):
    import agreement
    import by_pandas

    _, labels, frame, snapshot = prepared
    found = by_pandas.build_features(
        by_pandas.read_tables(company), labels.to_pandas(), np.datetime64(snapshot), numbered
    )
    assert agreement.find_differences(frame, found) == []


def test_a_comparison_names_the_columns_that_differ(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import agreement
    import pandas as pd

    one = pd.DataFrame({"n": [1, 2], "x": [0.5, np.nan], "word": ["a", None]})
    assert agreement.find_differences(one, one.astype({"n": "float64"})) == []
    other = pd.DataFrame({"n": [1, 3], "x": [0.5 + 1e-12, 1.0], "word": ["a", "b"]})
    assert [fault.split(":")[0] for fault in agreement.find_differences(one, other)] == [
        "n",
        "x",
        "word",
    ]

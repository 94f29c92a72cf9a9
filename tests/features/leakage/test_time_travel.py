"""The point-in-time test: what lies after a snapshot is changed, nothing before it is, and a
feature that looks ahead is caught.
"""

from datetime import date

import ibis
import pandas as pd
import pytest

from research import cli
from research.data.load import load_tables
from research.features import build
from research.features.leakage import time_travel
from research.panel.evidence import evidence_as_of, filter_as_of
from research.panel.labels import find_population

T = date(2024, 5, 31)


def write_company(write_study, name: str = "tiny", own: str = "", **more):
    """A company with rows before and after every snapshot, some of them known late."""
    ids = [f"c{i}" for i in range(12)]
    ordered = pd.date_range("2024-03-01", "2024-09-01", freq="3D")
    known = ordered + pd.to_timedelta([0, 0, 0, 40] * 20, unit="D")[: len(ordered)]
    orders = pd.DataFrame(
        {
            "customer_id": [ids[i % 12] for i in range(len(ordered))],
            "ordered_at": ordered,
            "amount": range(len(ordered)),
            "known_at": known,
        }
    )
    ended = [*pd.date_range("2024-04-01", "2024-09-01", periods=6), *[pd.NaT] * 6]
    contracts = {
        "customer_id": ids,
        "started_at": pd.Timestamp("2024-01-01"),
        "ended_at": ended,
        "end_reason": ["price"] * 6 + [None] * 6,
        "voluntary": True,
    }
    people = {
        "customer_id": ids,
        "joined_at": pd.Timestamp("2024-01-01"),
        "region": "north",
        "upgraded_on": pd.date_range("2024-01-01", periods=12, freq="20D"),
    }
    tables = {
        "customers": pd.DataFrame(people),
        "contracts": pd.DataFrame(contracts),
        "orders": orders.astype({"amount": float}),
    }
    study = write_study(
        "contractual",
        name=name,
        tables=tables,
        features={"windows": [30], "sentiment": False},
        **more,
    )
    if own:
        (study.folder / "features.sql").write_text(own)
    return study


@pytest.fixture
def tables(write_study):
    return load_tables(write_company(write_study))


@pytest.mark.parametrize("future", time_travel.FUTURES)
@pytest.mark.parametrize("name", ["customers", "contracts", "orders"])
def test_a_future_leaves_the_evidence_as_it_is_and_the_table_not(tables, name, future):
    changed = time_travel.FUTURES[future](tables[name], name, T)
    here, there = (_read(filter_as_of(table, name, [T])) for table in (tables[name], changed))
    if name == "customers":  # a date that lies ahead is no evidence, see build_attributes
        here, there = (
            table.assign(upgraded_on=table.upgraded_on.where(table.upgraded_on < "2024-06-01"))
            for table in (here, there)
        )
    pd.testing.assert_frame_equal(here, there, check_exact=True)
    assert not _read(tables[name]).equals(_read(changed))


def _read(table) -> pd.DataFrame:
    """Return the rows in order, times in one unit: DuckDB gives nanoseconds where a column has
    empty values, microseconds else.
    """
    frame = table.to_pandas()
    frame = frame.astype(dict.fromkeys(frame.select_dtypes("datetime"), "datetime64[us]"))
    return frame.sort_values([*frame.columns]).reset_index(drop=True)


@pytest.mark.parametrize("future", time_travel.FUTURES)
def test_a_future_is_the_same_in_every_run(tables, future):
    runs = [_read(time_travel.FUTURES[future](tables["orders"], "orders", T)) for _ in range(2)]
    pd.testing.assert_frame_equal(*runs, check_exact=True)


def test_the_first_training_and_the_first_and_last_test_snapshots_are_tested(write_study):
    study = write_study(snapshots={"last": "2024-06-30", "every_days": 10, "train": 3, "test": 3})
    assert time_travel.choose_days(study) == [
        date(2024, 4, 21),
        date(2024, 6, 10),
        date(2024, 6, 30),
    ]  # 10 June - 30 days - 2 x 10 days


def cheat(kind: str):
    """Return a loader of features that sees more than it should."""

    def load(evidence, labels, study):
        seen = {
            "late rows": evidence._tables["orders"],
            "late ends": evidence._tables["contracts"],
            "nothing": evidence["orders"],
        }[kind]
        own = seen.group_by("customer_id").agg(
            size=seen.count(),
            value=(
                seen.amount if "amount" in seen.columns else seen.ended_at.epoch_seconds()
            ).max(),
        )
        return (
            labels.left_join(own, "customer_id")
            .drop("customer_id_right")
            .order_by(["snapshot", "customer_id"])
            .to_pandas()
        )

    return load


@pytest.mark.parametrize(
    ("kind", "caught"), [("late rows", True), ("late ends", True), ("nothing", False)]
)
def test_a_feature_that_sees_the_future_is_caught(write_study, monkeypatch, kind, caught):
    study = write_company(write_study)
    loaded = load_tables(study)
    monkeypatch.setattr(build, "load_features", cheat(kind))
    monkeypatch.setattr(time_travel, "choose_days", lambda study: [date(2024, 6, 30)])
    monkeypatch.setattr(
        build,
        "describe_features",
        lambda tables, study: pd.DataFrame(
            {"feature": ["size", "value"], "source": ["orders", "orders"]}
        ),
    )
    table = time_travel.compare_futures(loaded, study)
    faults = [*time_travel.list_faults(table, study)]
    assert bool(faults) == caught
    if caught:
        assert (
            "tiny: feature value (of orders): expected nothing of the days after a snapshot,"
            " got rows that differ with the future" in " ".join(faults)
        )
    else:
        assert time_travel.describe_result(table, study).startswith(
            "tiny: 2 features at 1 snapshot unchanged to the bit by 3 futures; "
        )
        assert (table.moved > 0).any()


def test_a_feature_that_depends_on_the_order_of_rows_is_caught(write_study, monkeypatch):
    study = write_company(write_study)
    loaded = load_tables(study)
    builds = iter(range(99))

    def load(evidence, labels, study):
        return labels.mutate(chance=ibis.literal(next(builds))).to_pandas()

    monkeypatch.setattr(build, "load_features", load)
    monkeypatch.setattr(
        build,
        "describe_features",
        lambda tables, study: pd.DataFrame({"feature": ["chance"], "source": ["features.sql"]}),
    )
    faults = [*time_travel.list_faults(time_travel.compare_futures(loaded, study), study)]
    assert len(faults) == 1
    assert (
        "feature chance (of features.sql): expected the same from the same evidence, got"
        " different values in" in faults[0]
    )


def test_a_changed_population_is_caught(write_study):
    study = write_company(write_study)
    days = [date(2024, 6, 30)]
    loaded = load_tables(study)
    evidence = evidence_as_of(loaded, days)
    here = (
        find_population(evidence, study)
        .to_pandas()
        .assign(population=True)
        .set_index(["snapshot", "customer_id"])
    )
    assert time_travel._count_differences(here, here.iloc[1:]).population == 1


def test_whole_numbers_and_floats_are_compared_by_value_and_zeros_by_sign():
    whole, parts = pd.Series([1, 2, 3]), pd.Series([1.0, 2.0, None])
    assert list(time_travel._differ(whole, parts)) == [False, False, True]
    assert list(time_travel._differ(pd.Series([0.0, None]), pd.Series([-0.0, None]))) == [
        True,
        False,
    ]
    assert list(time_travel._differ(pd.Series(["a", None]), pd.Series(["b", None]))) == [
        True,
        False,
    ]


def test_the_command_says_that_a_flat_study_has_no_time(write_study, capsys):
    write_study(
        "flat", tables={"snapshot": pd.DataFrame({"customer_id": ["a"], "churned": [True]})}
    )
    assert cli.main(["check", "--time-travel", "tiny"]) == 0
    assert (
        capsys.readouterr().out
        == "tiny: no point-in-time test: the one table of a flat study has no dates, and only the"
        " leakage checks apply to it\n"
    )


def test_the_command_proves_that_a_study_sees_no_future_its_own_sql_included(write_study, capsys):
    own = (
        "SELECT customer_id, sum(amount) AS own_spent, (SELECT count(*) FROM contracts WHERE"
        " end_reason = 'price') AS own_gone FROM orders GROUP BY ALL"
    )
    write_company(write_study, own=own)
    assert cli.main(["check", "--time-travel", "tiny"]) == 0
    out = capsys.readouterr().out
    assert "features at 2 snapshots unchanged to the bit by 3 futures" in out
    assert out.endswith(
        "of them moved when the past was changed; region: without a history, subject to the"
        " leakage checks alone\n"
    )


def test_the_command_fails_where_a_feature_depends_on_the_order_of_rows(
    write_study, capsys, monkeypatch
):
    monkeypatch.setattr(time_travel, "choose_days", lambda study: [date(2024, 6, 30)])
    write_company(
        write_study,
        own="SELECT customer_id, arg_max(amount, 1 ORDER BY 1) AS tied FROM orders GROUP BY ALL",
    )
    assert cli.main(["check", "--time-travel", "tiny"]) == 1
    assert (
        "feature tied (of features.sql): expected the same from the same evidence"
        in capsys.readouterr().err
    )

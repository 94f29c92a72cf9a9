"""RFM: worked by hand, ties kept together, blind to the future."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from research.data import load
from research.lifecycle import rfm
from research.panel.evidence import evidence_as_of

T = date(2024, 6, 30)


def company(rows: list[tuple], **more: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A shop from rows of customer, day, amount."""
    orders = pd.DataFrame(rows, columns=["customer_id", "ordered_at", "amount"]).assign(
        ordered_at=lambda t: pd.to_datetime(t.ordered_at, format="mixed")
    )
    customers = pd.DataFrame(
        {"customer_id": sorted({*orders.customer_id}), "joined_at": pd.Timestamp("2020-01-01")}
    )
    return {"customers": customers, "orders": orders, **more}


def score(
    write_study, tables: dict[str, pd.DataFrame], kind: str = "non_contractual", name: str = "tiny"
) -> pd.DataFrame:
    study = write_study(kind, name=name, tables=tables)
    return rfm.score_rfm(evidence_as_of(load.load_tables(study), [T]), study)


def test_recency_frequency_and_monetary_are_worked_by_hand(write_study):
    rows = [
        ("a", "2024-06-30 23:00", 10),
        ("a", "2024-06-01 08:00", 5),
        ("a", "2024-06-01 09:00", 5),
        ("a", "2024-06-29", -4),
    ]
    rows += [("a", "2023-07-02", 20), ("a", "2023-07-01", 40), ("a", "2024-07-01", 1000)]
    row = score(write_study, company(rows)).iloc[0]
    assert row.recency_days == 0
    # 30 June, 1 June (twice), 2 July 2023 (364 days old); 1 July 2023 is 365 days old, the return
    # is no purchase
    assert row.frequency_days == 3
    assert row.monetary == 36  # 10 + 5 + 5 - 4 + 20


def test_a_customer_is_scored_until_the_last_inactive_day(write_study):
    # inactive_days is 60: who bought on 2 May 2024 (59 days before T) is still a customer, who
    # bought on 1 May (60 days) is gone
    scores = score(
        write_study,
        company([("stays", "2024-05-02", 5), ("gone", "2024-05-01", 5), ("new", "2024-07-01", 5)]),
    )
    assert list(scores.customer_id) == ["stays"]


def test_scores_without_ties_are_exact_fifths():
    assert list(rfm.score_quintiles(pd.Series([30.0, 10.0, 50.0, 20.0, 40.0]))) == [3, 1, 5, 2, 4]
    assert set(rfm.score_quintiles(pd.Series(np.arange(1000.0))).value_counts()) == {200}


def test_equal_values_get_the_score_in_which_their_middle_lies():
    # six of ten at 1: their mean rank is 3.5, the middle at (3.5 - 0.5) / 10 = 30 %, the second
    # fifth; 7 to 10 have their middles at 65, 75, 85, 95 %
    assert list(rfm.score_quintiles(pd.Series([1, 1, 1, 1, 1, 1, 2, 3, 4, 5]))) == [2] * 6 + [
        4,
        4,
        5,
        5,
    ]
    assert list(rfm.score_quintiles(pd.Series([7, 7, 7]))) == [3, 3, 3]
    assert list(rfm.score_quintiles(pd.Series([1.0]))) == [3]


def test_scores_are_symmetric_and_do_not_depend_on_the_order_of_rows():
    values = pd.Series(np.random.default_rng(0).poisson(1.0, 500))
    scores = rfm.score_quintiles(values)
    assert scores.groupby(values).nunique().max() == 1
    assert (rfm.score_quintiles(values.sample(frac=1, random_state=1)).sort_index() == scores).all()


def test_every_pair_of_scores_has_a_segment():
    pairs = [(r, m) for r in range(1, 6) for m in range(1, 6)]
    names = rfm.name_segments(*(pd.Series([pair[i] for pair in pairs]) for i in (0, 1, 1)))
    assert {*names} == {*rfm.SEGMENTS}
    border = rfm.name_segments(
        pd.Series([4, 4, 3, 1]), pd.Series([3, 2, 4, 3]), pd.Series([2, 2, 4, 2])
    )
    assert list(border) == [
        "promising",
        "new or rare",
        "loyal",
        "at risk",
    ]  # means of F and M: 2.5, 2, 4, 2.5
    assert [
        names[pairs.index(pair)]
        for pair in ((5, 5), (4, 3), (4, 1), (3, 4), (3, 3), (3, 2), (2, 5), (2, 2))
    ] == [
        "champions",
        "promising",
        "new or rare",
        "loyal",
        "needs attention",
        "about to sleep",
        "at risk",
        "hibernating",
    ]


def test_a_contractual_customer_who_never_bought_is_scored_last_and_who_left_is_not_scored(
    write_study,
):
    tables = company([("a", "2024-06-01", 10.0), ("b", "2024-05-01", 5.0)])
    contracts = pd.DataFrame(
        {"customer_id": ["a", "b", "c", "left"], "started_at": pd.Timestamp("2024-01-01")}
    )
    contracts["ended_at"] = pd.to_datetime([None, "2024-07-01", None, "2024-06-30"])
    tables["customers"] = contracts[["customer_id"]].assign(joined_at=pd.Timestamp("2024-01-01"))
    scores = score(write_study, tables | {"contracts": contracts}, "contractual").set_index(
        "customer_id"
    )
    assert list(scores.index) == ["a", "b", "c"]
    assert np.isnan(scores.recency_days["c"])
    assert list(scores.loc["c", ["frequency_days", "monetary", "r_score"]]) == [
        0,
        0.0,
        1,
    ]  # of three, the ranks' middles lie at 17, 50 and 83 %


def subscribers(**tables: pd.DataFrame) -> dict[str, pd.DataFrame]:
    people = pd.DataFrame({"customer_id": ["a", "b"], "joined_at": pd.Timestamp("2024-01-01")})
    return {
        "customers": people,
        "contracts": people.rename(columns={"joined_at": "started_at"}),
        **tables,
    }


def test_without_orders_usage_is_scored_and_money_is_not_measured(write_study):
    used = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b"],
            "used_at": pd.to_datetime(["2024-06-30", "2024-06-29", "2024-06-01"]),
        }
    )
    study = write_study("contractual", tables=subscribers(usage=used))
    scores = rfm.score_rfm(evidence_as_of(load.load_tables(study), [T]), study)
    assert list(scores.frequency_days) == [2, 1]
    assert list(scores.measured) == ["uses"] * 2
    table = rfm.tabulate_rfm(scores, study)
    assert table.monetary.isna().all()
    assert table.monetary_share.isna().all()
    assert {*table.unit} == {"not measured"}
    assert list(table.segment) == [
        "champions",
        "hibernating",
    ]  # of two, the middles lie at 25 and 75 %: scores 2 and 4


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ("2024-03-31", "the last row of usage is 91 days old"),
        (None, "RFM needs the table orders or usage"),
    ],
)
def test_a_table_that_is_missing_or_has_stopped_is_not_scored(write_study, last, reason):
    used = (
        {"usage": pd.DataFrame({"customer_id": ["a"], "used_at": [pd.Timestamp(last)]})}
        if last
        else {}
    )
    study = write_study("contractual", tables=subscribers(**used))
    evidence = evidence_as_of(load.load_tables(study), [T])
    assert rfm.explain_unmeasured(evidence) == f"not applicable: {reason}"
    scores = rfm.score_rfm(evidence, study)
    assert scores.empty
    assert list(scores.columns) == rfm.SCORE_COLUMNS
    assert rfm.tabulate_rfm(scores, study).empty


def test_the_table_holds_medians_shares_and_intervals_by_hand(write_study):
    days = ["2024-06-29", "2024-06-20", "2024-06-10", "2024-06-01", "2024-05-20"]
    rows = [
        (name, day, amount)
        for name, day, amount in zip("abcde", days, (50.0, 40.0, 30.0, 20.0, 10.0), strict=True)
    ]
    study = write_study("non_contractual", tables=company(rows))
    scores = rfm.score_rfm(evidence_as_of(load.load_tables(study), [T]), study)
    table = rfm.tabulate_rfm(scores, study).set_index("segment")
    # all bought once: F is 3 for everybody; R and M run from 5 (a) to 1 (e), so (R, mean of F and
    # M) = (5, 4), (4, 3.5), (3, 3), (2, 2.5), (1, 2)
    assert list(table.index) == [
        "champions",
        "promising",
        "needs attention",
        "at risk",
        "hibernating",
    ]
    assert list(table.recency_days) == [1, 10, 20, 29, 41]
    assert table.monetary_share["champions"] == pytest.approx(50 / 150)
    # Wilson for 1 of 5: centre (0.2 + 3.8415 / 10) / (1 + 3.8415 / 5) = 0.3303, half width 0.2941
    assert table.loc["champions", ["share", "low", "high"]].to_list() == pytest.approx(
        [0.2, 0.0362, 0.6245], abs=1e-4
    )
    assert table.unit["champions"] == "EUR"


def test_what_happens_or_arrives_after_the_snapshot_never_matters(write_study):
    rows = [(f"c{i}", f"2024-{5 + i % 2:02d}-{10 + i}", 5.0 * i + 1) for i in range(12)]
    here = score(write_study, company(rows))
    late = company([*rows, ("c0", "2024-07-01", 900.0), ("c1", "2024-06-15", 900.0)])
    late["orders"] = late["orders"].assign(
        known_at=lambda t: t.ordered_at.where(t.amount < 900, pd.Timestamp("2024-07-02"))
    )
    pd.testing.assert_frame_equal(here, score(write_study, late, name="late"), check_exact=True)


def test_evidence_at_several_snapshots_is_refused(write_study):
    study = write_study("non_contractual", tables=company([("a", "2024-06-01", 1.0)]))
    evidence = evidence_as_of(load.load_tables(study), [date(2024, 6, 15), T])
    with pytest.raises(
        ValueError, match="expected point-in-time data of one snapshot, got 2 snapshots"
    ):
        rfm.score_rfm(evidence, study)

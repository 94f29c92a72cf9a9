"""The benchmark of the loop: truths and outcomes by hand, one small company, and its table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))


def test_who_left_within_the_months_of_a_list_is_found_by_the_end_of_the_contract():
    from loop_company import find_stayers

    rows = [
        ("before", "2025-03-31", "price"),
        ("on the day", "2025-04-01", "price"),  # the first day not covered: gone at the start
        ("within", "2025-05-10", "price"),
        ("last", "2025-07-01", "price"),
        ("later", "2025-07-02", "price"),
        ("renewed", "2025-05-10", "renewed"),
        ("running", None, None),
    ]
    terms = pd.DataFrame(rows, columns=["customer_id", "ended_at", "end_reason"])
    tables = {"contracts": terms.astype({"ended_at": "datetime64[ns]"})}
    days = pd.Timestamp("2025-04-01"), pd.Timestamp("2025-07-01")
    people = pd.Index(["within", "last", "later", "renewed", "running"])
    assert find_stayers(tables, *days, people).tolist() == [False, False, True, True, True]


def test_true_effects_are_what_leaving_differs_by_where_everybody_is_contacted():
    from loop_company import Loop, find_stayers, find_truth

    loop, month = Loop(3_000, 20, 0), 12
    truth = find_truth(loop, month)
    days = loop.open(month), loop.open(month + 3)
    shares = {}
    for arm in ("control", "advice", "call"):
        rows = {"customer_id": truth.index, "assigned_at": days[0], "arm": arm}
        world = Loop(3_000, 20, 0, pd.DataFrame(rows))
        shares[arm] = find_stayers(world.live(), *days, truth.index).mean()
    for arm in ("advice", "call"):  # the same draws decide both, so chance is small
        measured = shares[arm] - shares["control"]
        assert measured == pytest.approx(truth[f"stay {arm}"].mean(), abs=0.012)
    assert (truth["stay advice"] < 0).all() and (truth["gain advice"] < 0).all()


def test_features_know_nothing_of_the_day_and_after():
    from loop_company import Loop, build_rows

    tables = Loop(600, 16, 1).live()
    day = pd.Timestamp("2025-06-01")
    before = build_rows(tables, day)
    names = {"usage": "used_at", "orders": "ordered_at", "contacts": "contacted_at"}
    cut = {name: tables[name][tables[name][column] < day] for name, column in names.items()}
    pd.testing.assert_frame_equal(build_rows(tables | cut, day), before)
    assert before.notna().all(axis=None) and len(before) > 100


def test_a_small_company_goes_through_its_cycles_and_the_file_says_what_came(tmp_path, monkeypatch):
    import loop

    monkeypatch.setattr(loop, "SIZE", 1_500)
    monkeypatch.setattr(loop, "CAPACITY", 120)
    monkeypatch.setattr(loop, "CYCLES", 5)
    out = tmp_path / "LOOP.md"
    options = ["--scratch", str(tmp_path), "--out", str(out)]
    loop.main(["--seeds", "1", *options])
    draws = pd.read_json(tmp_path / "loop.jsonl", lines=True)
    assert draws[f"true {loop.HARMFUL}"].lt(0).all() and draws["true call"].gt(0).all()
    assert draws[f"width {loop.LIST}"].gt(0).all()
    text = " ".join(out.read_text().split())
    assert "1 draws, seeds 1000 to 1000" in text
    assert "the interval of the effect covers the true one" in text
    loop.main(["--seeds", "1", *options])  # nothing is simulated again
    assert len(pd.read_json(tmp_path / "loop.jsonl", lines=True)) == 1


def test_who_stood_on_a_list_rests_and_the_held_out_too(monkeypatch):
    import loop
    from loop_company import Loop, train

    company = Loop(1_500, loop.MONTHS, 2)
    tables = company.live()
    scorer = train(company, tables, loop.FIRST)
    scored = loop.score(company, tables, scorer, pd.DataFrame(), loop.FIRST)
    playbook = loop.Playbook(plays=loop.PLAYS, rest_days=loop.REST_DAYS)
    assigned = loop.assign(company, scored, playbook, loop.FIRST)
    assert np.isclose((assigned.arm == loop.CONTROL).mean(), loop.HELD_OUT[True], atol=0.05)
    again = loop.score(company, tables, scorer, assigned, loop.FIRST + 2)
    assert not {*again.customer_id} & {*assigned.customer_id}
    later = loop.score(company, tables, scorer, assigned, loop.FIRST + 4)
    assert {*later.customer_id} & {*assigned.customer_id}


def test_the_level_that_a_forecast_could_know_is_that_of_its_training_snapshots():
    import forecast_drift

    months = pd.date_range("2024-01-01", "2025-12-01", freq="MS")
    even = pd.Series(0.1, months)
    assert forecast_drift.compare_levels(even, pd.Timestamp("2025-06-01")) == pytest.approx(1)
    risen = even.where(even.index < pd.Timestamp("2025-06-01"), 0.15)
    assert forecast_drift.compare_levels(risen, pd.Timestamp("2025-06-01")) == pytest.approx(1.5)
    rows = pd.DataFrame(
        {"snapshot": ["2025-06-01"], "expected": [100.0], "actual": [150], "level": [1.5]}
    )
    said = forecast_drift.describe(rows, ["level"])
    assert said.endswith("forecasts -33.3%; level -33.3%")

"""One cycle as the page shows it: from the model of today to the list, and what lists found."""

from datetime import date

import pandas as pd
import pytest
import yaml
from playbooks import PLAYBOOK
from town_companies import DAY, draw, write

from research.watchlist import plots, reason_base, replay, report
from research.watchlist.cycle import run_cycle, tabulate_sent
from research.watchlist.history import SENT, History, locate_history
from research.watchlist.today import score_today
from research.watchlist.verdict import NOT_BETTER

CAPACITY = 40


@pytest.fixture(scope="module")
def company(write_shared):
    economics = {"currency": "EUR", "capacity": CAPACITY}
    changes = {"economics": economics, "lifecycle": {"segments": ["town"]}}
    study, tables = write(write_shared, draw(800), model="logistic regression", **changes)
    (study.folder / "playbook.yml").write_text(yaml.safe_dump(PLAYBOOK))
    return study, tables


@pytest.fixture(scope="module")
def now(company):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reason_base, "REFITS", 2)
        patch.setattr(replay, "EXPLAINED", 150)
        return run_cycle(*reversed(company), windows=2, resamples=200, seed=0)


def test_the_list_is_of_the_last_day_and_by_the_rule_unless_shown_to_be_better(now):
    assert now.day == DAY and len(now.watchlist.rows) == CAPACITY
    assert now.by_rule == (not now.backtest.passed)
    assert (now.backtest.quality == NOT_BETTER) == (now.model.card["model"] == now.rule)
    assert now.earlier_day == now.replay.rows.snapshot.max().date() and not now.earlier_sent


def test_every_table_and_sentence_of_the_page_can_be_made(now, company):
    study, _ = company
    verdict = report.describe_verdict(now, study)
    assert f"customers of {DAY}" in " ".join(verdict) and "time that the team needs" in verdict[-1]
    table = report.list_table(now, study, identify=False)
    assert not {*table.customer} & {*now.watchlist.rows.customer_id}
    assert table["what to do"].str.contains("call|held out").all()
    assert "held out at random" in report.describe_held_out(now, study)
    assert "which was replayed" in report.describe_decisions(now, study)
    assert "None of these lists was sent" in report.describe_rankings(now, study)
    assert report.forecast_table(now, study).segment[0] == "all"
    assert len(report.signals_table(now.backtest)) and len(report.missed_table(now))
    assert (
        report.holdout_table(now).held_out.sum()
        == (now.watchlist.rows.assigned_arm == "control").sum()
    )
    assert report.decisions_table(now).customers.sum() == CAPACITY
    assert {"id", "model", "why"} <= {*report.tabulate_card(now).item}


def test_the_forecast_is_that_of_every_other_page(now, company):
    study, tables = company
    elsewhere = score_today(tables, study)
    pd.testing.assert_frame_equal(now.forecast(study), elsewhere.forecast())
    pd.testing.assert_frame_equal(now.windows, elsewhere.replay)
    assert now.kept.card["model"] == elsewhere.card["model"]


def test_pictures_draw_the_tables(now):
    assert plots.plot_windows(now.replay.windows).get_ylabel() == "customers"
    drawn = plots.plot_scores(now.backtest.scores, "precision", "precision")
    assert len(drawn.get_yticks()) == len(now.replay.rankings)
    assert plots.plot_lead_times(now.backtest.leavers, 10).get_xlim()[0] == 0
    assert not plots.plot_windows(now.replay.windows.head(0)).axison
    unknown = now.backtest.scores.assign(value=float("nan"))
    assert not plots.plot_scores(unknown, "value_lift", "lift by value").axison


def test_the_first_run_learns_nothing_from_the_second_and_both_are_equal(now, company):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reason_base, "REFITS", 2)
        patch.setattr(replay, "EXPLAINED", 150)
        again = run_cycle(*reversed(company), windows=2, resamples=200, seed=0)
    pd.testing.assert_frame_equal(now.watchlist.rows, again.watchlist.rows)
    pd.testing.assert_frame_equal(now.backtest.scores, again.backtest.scores)


def test_a_sent_list_is_judged_once_its_window_has_closed(company):
    study, tables = company
    assert tabulate_sent(tables, study).empty
    history = History(locate_history(study.name))
    people = tables["contracts"].to_pandas()
    people = people[people.started_at < "2024-06-01"]
    left = people.customer_id[people.ended_at.between("2024-07-12", "2024-09-01")].head(3)
    there = people.customer_id[people.ended_at.isna()].head(3)
    rows = pd.DataFrame({"customer_id": [*left, *there], "rank": range(1, 7)})
    arms = ["control", "call", "call", "control", "call", "call"]
    rows = rows.assign(snapshot=pd.Timestamp("2024-06-30"), assigned_arm=arms)
    for day in (date(2024, 6, 30), DAY):
        history.append(SENT, day, rows.assign(snapshot=pd.Timestamp(day)), "inputs")
    [row] = tabulate_sent(tables, study).itertuples()
    assert (str(row.snapshot.date()), row.listed, row.left) == ("2024-06-30", 6, 3)
    assert (row.held_out, row.held_out_left) == (2, 1)

"""A flat study gets a list by models fitted without its customers, and no history."""

from dataclasses import replace

import pandas as pd
import pytest
from small_companies import customers

from research.data.load import load_tables
from research.watchlist import one_off, reason_base, report
from research.watchlist.history import locate_history
from research.watchlist.verdict import FAIR, GOOD, NOT_BETTER

CAPACITY = 100


@pytest.fixture(scope="module")
def made(write_shared):
    rows = customers(1_200).assign(fee=lambda rows: 20 + rows.noise.rank(pct=True))
    economics = {"currency": "EUR", "capacity": CAPACITY, "fee_column": "fee"}
    study = write_shared(
        "flat", tables={"snapshot": rows}, economics=economics, model="logistic regression"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reason_base, "REFITS", 2)
        return study, rows, one_off.list_once(load_tables(study), study, 3, 200, 0)


def test_who_is_still_there_is_listed_and_nothing_is_written(made):
    study, rows, now = made
    listed = now.watchlist.rows
    gone = {*rows.customer_id[rows.churned]}
    assert len(listed) == CAPACITY and not gone & {*listed.customer_id}
    assert now.day is None and now.scores is None and not locate_history(study.name).exists()
    assert (listed.decision == "no action in the playbook").all() and listed.deadline.isna().all()


def test_it_is_judged_out_of_fold_against_the_base_rate(made):
    _, _, now = made
    lift = now.backtest.scores.query("ranking == 'the list' and score == 'lift'").value.item()
    assert now.backtest.quality in (FAIR, GOOD) and lift > 1.5 and not now.by_rule
    signal = now.watchlist.reasons.query("order == 1").feature.eq("signal").mean()
    assert signal > 0.9


def test_where_it_is_no_better_than_the_rule_the_list_is_that_of_the_rule(write_study):
    rows = customers(600, seed=1).drop(columns="plan")
    economics = {"currency": "EUR", "capacity": 50}
    study = write_study(
        "flat",
        tables={"snapshot": rows},
        economics=economics,
        model="logistic regression",
        rule_column="signal",
    )
    now = one_off.list_once(load_tables(study), study, 3, 200, 0)
    assert now.backtest.quality == NOT_BETTER and now.by_rule
    assert now.model.card["model"] == now.rule == "rule on signal"
    assert {*now.watchlist.reasons.feature} == {"signal"}
    verdict = " ".join(report.describe_verdict(now, study))
    assert "**No list by a model: logistic regression is not shown to be better" in verdict
    assert "The list below is that of the rule." in verdict and "research score" not in verdict


def test_every_table_and_sentence_of_the_page_can_be_made(made):
    study, _, now = made
    table = report.list_table(now, study, identify=False)
    ids = {*now.watchlist.rows.customer_id}
    assert len(table) == report.FIRST and not {*table.customer} & ids
    assert {*report.list_table(now, study, identify=True).customer} <= ids
    assert report.forecast_table(now, study).empty and report.describe_forecast(now) == ""
    assert len(report.scores_table(now.backtest)) == 3
    assert report.missed_table(now).empty and report.signals_table(now.backtest).empty
    assert "logistic regression" in report.tabulate_card(now).what.str.cat(sep=" ")
    assert isinstance(report.show_list(table, "note").as_raw_html(), str)


def test_texts_of_customers_are_no_markup_on_the_page(made):
    study, _, now = made
    rows = now.watchlist.rows.assign(reason_1="<script>alert(1)</script>", next_offer="<b>x</b>")
    changed = replace(now, watchlist=replace(now.watchlist, rows=rows))
    why = report.list_table(changed, study, identify=False).why
    assert not why.str.contains("<script>").any()
    assert pd.notna(why).all()

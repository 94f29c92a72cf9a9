"""One risk per customer and window: the same numbers for 30, 40 and 50, and their bridge."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from cases import slow
from valued_companies import TERMS, draw_contracts, write_orders

from research.data import load
from research.features.build import load_panel
from research.features.leakage.gate import check_panel
from research.panel.learning import Panel
from research.panel.splits import plan_split
from research.risk import window_risk
from research.risk.comparison import compare_models
from research.risk.window_risk import WindowRisk
from research.survival import follow_up, remaining_lifetime
from research.survival.tenure import load_tenures
from research.value import customers

T = date(2024, 6, 30)


@pytest.fixture(scope="module", params=[1000, slow(3000)])
def company(request, write_shared):
    """Contracts whose loose plan leaves at a rate of 1 / 150 a day, the bound one at 1 / 900."""
    study = write_shared(
        "contractual",
        tables=draw_contracts(request.param),
        economics=TERMS | {"value_days": 120},
        churn={"horizon_days": 60, "lead_days": 10},
        snapshots={"last": str(T), "train": 2, "test": 1, "every_days": 30},
        data_start="2023-06-01",
    )
    return study, load.load_tables(study)


@pytest.fixture(scope="module")
def predicted(company) -> WindowRisk:
    study, tables = company
    return window_risk.predict_window_risk(tables, study, 0)


def test_mean_risks_by_plan_are_those_of_the_true_hazards(company, predicted):
    _, tables = company
    plan = tables["contracts"].select("customer_id", "plan").to_pandas().set_index("customer_id")
    by_end = predicted.risk_by_end.groupby(plan.plan.reindex(predicted.risk_by_end.index)).mean()
    true = {name: 1 - np.exp(-70 / life) for name, life in {"loose": 150, "bound": 900}.items()}
    for name, share in true.items():  # boosting on 2,000 rows shrinks a little towards the mean
        assert by_end[name] == pytest.approx(share, abs=0.07)
    mixed = plan.plan.reindex(predicted.risk_by_end.index).map(true).mean()
    assert predicted.risk_by_end.mean() == pytest.approx(mixed, abs=0.03)
    # a constant hazard: a sixth of that in the 60 days of the window comes in the 10 before it
    hazards = -np.log1p(-predicted.rows[["lead_risk", "risk"]])
    assert (hazards.lead_risk / hazards.risk).mean() == pytest.approx(1 / 6, abs=0.05)


def test_the_risk_is_the_one_that_30_compares(company, predicted):
    study, tables = company
    split = plan_split(study)
    train = load_panel(tables, study, split.train, known_by=T)
    panel = Panel(train, load_panel(tables, study, split.test), split, tables)
    allowed = check_panel(tables, study, train, T).allowed
    compared = compare_models(panel, study, tables, allowed, {}, 2, 1, 0.0, 0)
    read = window_risk.read_window_risk(compared.predictions, panel, tables, study)
    pd.testing.assert_frame_equal(read.rows, predicted.rows)


def test_40_and_50_say_of_every_customer_what_the_one_risk_says(company, predicted):
    study, tables = company
    valuation = customers.value_customers(tables, study, T, 0, 2, 0)
    risk = valuation.values.set_index("customer_id").risk
    expected = predicted.risk_by_end.loc[risk.index]
    assert np.allclose(risk, expected, atol=1e-6)
    row = predicted.tabulate().iloc[0]
    assert risk.mean() == pytest.approx(row.mean_risk_share, abs=1e-6)
    panel = follow_up.load_survival_panel(tables, study, load_tenures(tables, study))

    class Even:
        """Leaves at one rate for all; restricted means are then known."""

        def fit(self, columns, outcome):
            return self

        def predict_survival(self, columns, days):
            return np.tile(np.exp(-0.001 * np.asarray(days)), (len(columns), 1))

        def __sklearn_clone__(self):
            return self

    lifetimes = remaining_lifetime.predict_remaining_lifetimes(
        panel, ["plan"], None, Even(), 70, 2, 0, 0, predicted.anchor
    ).set_index("customer_id")
    rate = -np.log1p(-expected) / 70  # until day 70 the hazard is constant, and that of the risk
    means = (1 - np.exp(-70 * rate)) / rate
    assert np.allclose(lifetimes.restricted_mean_days.loc[risk.index], means, rtol=1e-3)


def test_the_bridge_counts_who_left_in_the_lead_apart():
    rows = pd.DataFrame(
        {
            "customer_id": list("abcd"),
            "left_in_lead": [True, False, False, False],
            "churned": [False, True, False, False],
            "lead_risk": [0.1, 0.1, 0.0, 0.0],
            "risk": [0.5, 0.5, 0.2, 0.0],
        }
    )
    opens, closes = T + timedelta(days=7), T + timedelta(days=97)
    risk = WindowRisk(rows, T, opens, closes, True, True)
    table = risk.tabulate()
    assert table.customers.tolist() == [4, 4, 3]
    assert table.actual.tolist() == [2, 1, 1]
    # by the end: 1 - 0.9 * 0.5 twice, 0.2 and 0
    assert table.expected.tolist() == pytest.approx([1.3, 0.2, 0.7])
    assert risk.anchor.day == 97
    assert "1 are expected to leave" in window_risk.describe_window_risk(risk)
    assert "2 did (50.0 %" in window_risk.describe_window_risk(risk)
    unknown = WindowRisk(rows, T, opens, closes, False, True).tabulate()
    assert unknown.actual.isna().all()
    assert unknown.customers.tolist() == [4, 4, 4]


def test_a_mean_risk_outside_the_interval_of_what_came_is_said_to_be_off():
    rows = pd.DataFrame(
        {
            "customer_id": range(500),
            "left_in_lead": False,
            "churned": np.arange(500) < 50,
            "lead_risk": 0.0,
            "risk": 0.2,
        }
    )
    sentence = window_risk.describe_window_risk(WindowRisk(rows, T, T, T, True, False))
    assert "buy nothing" in sentence
    assert "**the mean risk is off**" in sentence


def test_where_30_could_not_learn_there_is_no_risk(write_study):
    study, tables = write_orders(write_study, few_orders())
    assert window_risk.predict_window_risk(tables, study, 0) is None
    assert window_risk.describe_window_risk(None) == ""


def few_orders() -> pd.DataFrame:
    day = pd.Timestamp("2024-05-01")
    days = [day + pd.Timedelta(days=7 * number) for number in range(30)]
    return pd.DataFrame({"customer_id": ["a", "b"] * 15, "ordered_at": days, "amount": 5.0}).astype(
        {"ordered_at": "datetime64[us]"}
    )


def test_the_table_is_shown_and_its_absence_is_a_sentence(monkeypatch):
    saved = {}

    def save(table: pd.DataFrame, name: str) -> pd.DataFrame:
        saved[name] = table
        return table

    monkeypatch.setattr(window_risk, "save_table", save)
    assert "No risk" in window_risk.show_window_risk(None).data
    assert saved == {}  # pages of a run share a table only while it is equal
    rows = pd.DataFrame(
        {
            "customer_id": list("ab"),
            "left_in_lead": False,
            "churned": [True, False],
            "lead_risk": 0.0,
            "risk": [0.5, 0.25],
        }
    )
    risk = WindowRisk(rows, T, T, T + timedelta(days=30), True, False)
    other = pd.Series([0.9, 0.7, 0.1], list("cba"))
    shown = window_risk.show_window_risk(risk, {"a model of purchases": other})
    assert "a model of purchases" in shown.as_raw_html()
    table = saved["window_risk_compared"]
    assert table.model.tolist() == [window_risk.WINDOW_MODEL, "a model of purchases"]
    assert table.mean_risk_share.tolist() == pytest.approx([0.375, 0.4])  # of a and b alone
    assert len(saved["window_risk"]) == 1

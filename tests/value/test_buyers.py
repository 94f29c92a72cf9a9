"""The value of buyers: odd customers, no margin, and histories that identify nothing."""

import pandas as pd
import pytest
from valued_companies import T, draw_orders, write_orders

from research.errors import StudyError
from research.study import Study
from research.value import cost_of_churn, customers, report
from research.value.purchase_models import MODELS
from research.value.valuation import Valuation


def sum_up(valuation: Valuation, tables: dict, study: Study) -> tuple[pd.DataFrame, pd.DataFrame]:
    segments = cost_of_churn.load_customer_segments(valuation, tables, study)
    return (
        cost_of_churn.tabulate_segments(valuation, segments),
        cost_of_churn.compute_concentration(valuation.values),
    )


def test_buyers_are_valued_to_the_last_one_and_without_margin_there_is_no_value(write_study):
    orders = draw_orders()
    back = pd.DataFrame(
        {
            "customer_id": "back",
            "ordered_at": pd.to_datetime(["2024-02-01", "2024-03-01", "2024-03-09"]),
            "amount": [20.0, 10.0, -90.0],
        }
    )
    once = pd.DataFrame(
        {"customer_id": ["once"], "ordered_at": [pd.Timestamp("2024-02-01")], "amount": [20.0]}
    )
    late = pd.DataFrame(
        {"customer_id": ["late"], "ordered_at": [pd.Timestamp("2024-07-01")], "amount": [20.0]}
    )
    study, tables = write_orders(
        write_study, pd.concat([orders, back, once, late], ignore_index=True)
    )
    valuation = customers.value_customers(tables, study, T, 3, 2, 0)
    rows = valuation.values.set_index("customer_id")
    assert len(rows) == 402
    assert "late" not in rows.index
    assert rows.value["back"] == 0
    assert rows.value["once"] > 0
    assert rows[["alive", "risk"]].stack().between(0, 1).all()
    assert (rows.value_if_kept + 1e-9 >= rows.value).all()
    sentences = report.describe_values(
        valuation, *sum_up(valuation, tables, study), pd.DataFrame(), study.kind
    )
    assert "1 have no value" in sentences
    free, loaded = write_orders(write_study, orders, margin_share=0)
    nothing = customers.value_customers(loaded, free, T, 0, 2, 0)
    assert (nothing.values.value == 0).all()
    assert (cost_of_churn.compute_concentration(nothing.values).value_share == 0).all()
    assert sum_up(nothing, loaded, free)[0].cost_share.eq(0).all()


def test_a_company_in_which_nobody_comes_back_is_one_sentence(write_study):
    orders = draw_orders(30).drop_duplicates("customer_id")
    study, tables = write_orders(write_study, orders)
    with pytest.raises(StudyError, match="expected some customers with a repeat purchase"):
        customers.load_values(tables, study, T, 0)


def test_the_risk_of_a_horizon_of_months_is_over_the_window_of_the_calendar(write_study):
    study, tables = write_orders(write_study, draw_orders(100))
    churn = study.churn.model_copy(update={"horizon": "3 months", "horizon_days": 91})
    months = study.model_copy(update={"churn": churn})
    valuation = customers.value_customers(tables, months, T, 0, 2, 0)
    model = MODELS[valuation.model].estimator
    risk = model.predict_inactivity(
        valuation.histories, valuation.purchase_fits[valuation.model], 0, 92
    )
    assert valuation.values.risk.to_numpy() == pytest.approx(risk, abs=1e-12)

"""The value of customers of a flat study: those still there, from where they are."""

import numpy as np
import pytest
from valued_companies import write_flat

from research.errors import NotApplicable, StudyError
from research.value import customers
from research.value.expected_value import discount


def test_a_flat_study_values_those_still_there_from_where_they_are(write_study):
    study, tables = write_flat(write_study)
    valuation = customers.value_customers(tables, study, None, 3, 3, 0)
    frame = tables["snapshot"].to_pandas()
    assert {*valuation.values.customer_id} == {*frame.customer_id[~frame.churned]}
    rows = valuation.values.merge(frame, on="customer_id").groupby("plan").value.mean()
    days = np.linspace(0, 365, 366)
    for plan, months in {"loose": 10, "bound": 80}.items():
        survival = np.exp(-days / (months * 30.4375))
        true = 8 * 12 / 365.25 * np.trapezoid(survival * discount(days, 0.1), days)
        assert rows[plan] == pytest.approx(true, rel=0.12), plan
    assert valuation.holdout is None
    assert valuation.holdout_days == 0
    assert np.isfinite(valuation.values.low).all()


def test_flat_studies_without_a_fee_or_a_duration_are_not_applicable(write_study):
    study, tables = write_flat(write_study, fee_column=None)
    with pytest.raises(NotApplicable, match="names no fee_column"):
        customers.load_values(tables, study, None, 0)
    study, tables = write_flat(write_study)
    timeless = tables | {"snapshot": tables["snapshot"].drop("duration")}
    with pytest.raises(NotApplicable, match="its snapshot has no column duration"):
        customers.load_values(timeless, study, None, 0)


def test_a_wrong_fee_column_is_one_sentence(write_study):
    study, tables = write_flat(write_study, fee_column="price")
    with pytest.raises(StudyError, match="expected a column of the snapshot, got 'price'"):
        customers.load_values(tables, study, None, 0)
    study, tables = write_flat(write_study, fee_column="plan")
    with pytest.raises(
        StudyError, match="expected a fee of 0 or more in every row, got 600 rows without one"
    ):
        customers.load_values(tables, study, None, 0)

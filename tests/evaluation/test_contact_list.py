"""Contact lists of one cycle."""

import numpy as np
import pandas as pd

from research.evaluation import contact_list
from research.evaluation.contact_list import fill_list


def as_predictions(y, **models) -> pd.DataFrame:
    return pd.DataFrame({"repeat": 0, "customer_id": np.arange(len(y)), "churned": y, **models})


def test_a_contact_list_counts_the_churners_at_its_top():
    predictions = as_predictions(
        np.array([True, False, True, False]), m=np.array([0.9, 0.8, 0.7, 0.1])
    )
    row = contact_list.count_listed(predictions, 2).iloc[0]
    assert (row.listed, row.churners_found, row.found_share, row.random_churners) == (2, 1, 0.5, 1)


def test_a_contact_list_is_never_longer_than_the_customers_and_takes_the_last_snapshot():
    predictions = as_predictions(np.array([True, False, True]), m=np.array([0.9, 0.8, 0.7])).assign(
        snapshot=pd.to_datetime(["2024-01-01", "2024-02-01", "2024-02-01"])
    )
    row = contact_list.count_listed(predictions, 10).iloc[0]
    assert (row.listed, row.churners_found) == (2, 1)


def test_a_customer_who_leaves_within_the_lead_takes_a_place_on_the_list_and_is_not_found():
    predictions = as_predictions(
        np.array([False, True, False]), m=np.array([0.9, 0.8, 0.1])
    ).assign(left_in_lead=[True, False, False])
    assert contact_list.count_listed(predictions, 2).churners_found.tolist() == [1]
    assert contact_list.count_listed(predictions, 1).churners_found.tolist() == [0]


def test_a_drawn_list_counts_each_customer_as_often_as_drawn_and_cuts_at_the_capacity():
    taken = fill_list(
        np.array([0.1, 0.9, 0.5]), ["a", "b", "c"], 3, np.array([[1.0, 1, 1], [1, 2, 4], [5, 0, 1]])
    )
    assert taken.tolist() == [[1, 1, 1], [0, 2, 1], [2, 0, 1]]


def test_ties_at_the_border_do_not_depend_on_the_order_of_rows():
    names = [f"c{i}" for i in range(20)]
    listed, listed_backwards = (
        {
            name
            for name, taken in zip(order, fill_list(np.ones(20), order, 7)[0], strict=True)
            if taken
        }
        for order in (names, names[::-1])
    )
    assert listed_backwards == listed
    assert len(listed) == 7

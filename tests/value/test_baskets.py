"""Baskets at their edges, and orders without products."""

from datetime import date

import pandas as pd
import pytest
from shop import T, draw_shop, write_shop

from research.errors import StudyError
from research.value import baskets


def test_baskets_end_with_the_snapshot_and_new_products_begin_after_it(write_study):
    lines = [
        ("a", "2024-06-30 23:00", 5.0, "x"),
        ("a", "2024-07-01", 5.0, "y"),
        ("a", "2024-07-30", 5.0, "z"),
        ("a", "2024-07-31", 5.0, "w"),
    ]
    many = [(f"c{i}", "2024-01-05", 5.0, product) for i in range(5) for product in "xyzw"]
    lines += [
        *many,
        ("a", "2024-07-05", 5.0, "x"),
        ("a", "2024-07-06", -5.0, "w"),
        ("b", "2024-06-30", -5.0, "x"),
        ("c0", "2024-07-02", 5.0, "x"),
    ]
    _, tables = write_shop(
        write_study, pd.DataFrame(lines, columns=["customer_id", "ordered_at", "amount", "product"])
    )
    known = baskets.load_baskets(tables, T)
    # b returned something and bought nothing
    assert known.customers.tolist() == ["a", "c0", "c1", "c2", "c3", "c4"]
    assert known.bought.toarray()[0].tolist() == [0, 1, 0, 0]  # w, x, y, z
    new = baskets.find_new_products(tables, known, T, date(2024, 7, 30)).toarray()
    assert new[0].tolist() == [0, 0, 1, 1]  # y and z; x was bought before, w came a day late
    assert not new[1:].any()


@pytest.mark.parametrize(
    ("products", "sentence"),
    [(None, "names no products"), ("one", "name only 1, so there is no further product")],
)
def test_orders_without_a_further_product_are_explained(products, sentence, write_study):
    orders = draw_shop(False, n=20).drop(columns="product")
    study, tables = write_shop(
        write_study, orders if products is None else orders.assign(product=products)
    )
    assert sentence in baskets.explain_missing_products(tables, study)


def test_orders_with_products_need_no_explanation(write_study):
    study, tables = write_shop(write_study, draw_shop(False, n=20))
    assert baskets.explain_missing_products(tables, study) == ""


def test_products_that_nearly_nobody_bought_are_one_sentence(write_study):
    _, tables = write_shop(
        write_study,
        draw_shop(False, n=4).assign(product=lambda rows: [f"p{i}" for i in range(len(rows))]),
    )
    with pytest.raises(
        StudyError,
        match="expected at least two products bought by 5 customers each by 2024-06-30, got 0",
    ):
        baskets.load_baskets(tables, T)


def test_recent_buyers_are_those_of_the_days_up_to_the_snapshot(write_study):
    _, tables = write_shop(write_study, draw_shop(False, n=200))
    known = baskets.load_baskets(tables, T)
    assert baskets.count_recent(tables, known, T, 11).sum() == 200  # June 20 on
    assert baskets.count_recent(tables, known, T, 10).sum() == 0

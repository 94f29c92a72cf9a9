"""Customers drawn at random, where there are more rows than are needed to learn from."""

import numpy as np

from research.panel.customer_sample import describe_sample, draw_rows


def test_all_rows_are_kept_where_there_are_no_more_than_asked_for():
    assert draw_rows(np.repeat(["a", "b"], 3), 6).all()


def test_rows_of_a_customer_stay_together_and_no_more_are_kept_than_asked_for():
    customers = np.random.default_rng(0).integers(200, size=1_000)
    kept = draw_rows(customers, 300, seed=1)
    assert 280 < kept.sum() <= 300
    assert not {*customers[kept]} & {*customers[~kept]}


def test_the_draw_depends_on_the_customers_and_the_seed_and_not_on_the_order_of_rows():
    customers = np.repeat([f"c{number}" for number in range(100)], 3)
    order = np.random.default_rng(0).permutation(300)
    first, other = ({*customers[draw_rows(customers, 90, seed)]} for seed in (0, 1))
    assert {*customers[order][draw_rows(customers[order], 90, 0)]} == first != other


def test_the_page_says_from_how_many_rows_models_learn_and_nothing_where_from_all():
    assert describe_sample(100, 100) == ""
    assert "learn from 1,000 of 3,000 training rows" in describe_sample(1_000, 3_000)

"""Offers with their reasons, and pairs of products that go together."""

from datetime import timedelta

import pandas as pd
import pytest
from shop import T, draw_shop, write_shop

from research.value import recommendations, recommender


@pytest.fixture(scope="module")
def shop(write_shared):
    study, tables = write_shop(write_shared, draw_shop(True))
    return study, tables, recommender.evaluate_recommender(tables, T, 30, 3, 300, 0)


def test_the_clearest_pairs_are_those_that_were_planted(shop):
    pairs = recommendations.tabulate_pairs(shop[-1], 5)
    assert all(
        int(one[1:]) ^ 1 == int(other[1:])
        for one, other in zip(pairs["product"], pairs.also_bought, strict=True)
    )


def test_offers_are_new_to_the_customer_and_name_what_speaks_for_them(shop):
    evaluation = shop[-1]
    offers = recommendations.recommend_products(
        evaluation, "item to item", ["c0000", "stranger"], 2
    )
    assert offers.groupby("customer_id")["rank"].apply(list).tolist() == [[1, 2], [1, 2]]
    assert offers.reason[offers.customer_id == "stranger"].str.startswith("bought by").all()
    assert offers.reason[0].startswith("bought together with p")
    bought = evaluation.baskets.bought[0].toarray().ravel() > 0
    owned = evaluation.baskets.products[bought]
    assert not set(offers["product"][offers.customer_id == "c0000"]) & set(owned)


def test_popular_products_say_how_popular_they_are(shop):
    offers = recommendations.recommend_products(shop[-1], "recent popularity", ["c0000"], 1)
    assert offers.reason[0].endswith("customers recently")


def test_everybody_in_the_population_gets_offers(shop):
    study, tables, evaluation = shop
    offers = recommendations.recommend_to_population(evaluation, tables, study, T, 2)
    assert offers.customer_id.nunique() == 1500
    assert offers["rank"].max() == 2


def test_offers_of_a_later_day_know_what_was_bought_until_then(shop):
    study, tables, evaluation = shop
    later = T + timedelta(days=30)
    moved = recommender.move_baskets(evaluation, tables, later)
    assert moved.baskets.bought.sum() > evaluation.baskets.bought.sum()
    assert moved.chosen == evaluation.chosen and moved.similarity == evaluation.similarity
    offers = recommendations.recommend_to_population(moved, tables, study, later, 2)
    orders = tables["orders"].to_pandas()
    bought = orders[orders.ordered_at < pd.Timestamp(later) + pd.Timedelta(days=1)]
    owned = {*zip(bought.customer_id, bought["product"], strict=True)}
    assert not owned & {*zip(offers.customer_id, offers["product"], strict=True)}


def test_without_products_there_are_no_offers_and_no_pairs():
    nothing = recommender.Evaluation("Not applicable: no products.")
    assert recommendations.tabulate_pairs(nothing).empty
    assert recommender.move_baskets(nothing, {}, T) is nothing
    assert recommendations.recommend_to_population(nothing, {}, None, T, 2).empty

"""The next product: baskets at their edges, similarities by hand, ranks, planted pairs found, and
independent purchases not.
"""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from research.data import load
from research.errors import StudyError
from research.value import recommendations, recommender, report

T = date(2024, 6, 30)


def write(write_study, orders: pd.DataFrame, **changes):
    people = pd.DataFrame(
        {"customer_id": orders.customer_id.unique(), "joined_at": pd.Timestamp("2024-01-01")}
    )
    study = write_study(
        "non_contractual",
        tables={"customers": people, "orders": orders.astype({"ordered_at": "datetime64[us]"})},
        **changes,
    )
    return study, load.load_tables(study)


def baskets(bought: list[list[int]]) -> recommender.Baskets:
    matrix = csr_matrix(np.array(bought, "float32"))
    return recommender.Baskets(
        np.array([f"c{i}" for i in range(matrix.shape[0])], object),
        np.array(list("ABCD")[: matrix.shape[1]]),
        matrix,
        np.ones(matrix.shape[1]),
    )


def shop(pairs: bool, seed: int = 0, n: int = 1500) -> pd.DataFrame:
    """Customers who buy 16 products of different popularity; with ``pairs``, half of the later
    purchases are the neighbour of an earlier one.
    """
    rng, rows = np.random.default_rng(seed), []
    share = np.linspace(2, 1, 16) / np.linspace(2, 1, 16).sum()
    first = rng.choice(16, (n, 2), p=share)
    later = rng.choice(16, (n, 2), p=share)
    if pairs:
        later = np.where(rng.random((n, 2)) < 0.5, first ^ 1, later)
    for day, products in (
        ("2024-02-01", first[:, 0]),
        ("2024-04-15", first[:, 1]),
        ("2024-06-20", later[:, 0]),
        ("2024-07-10", later[:, 1]),
    ):
        rows.append(
            pd.DataFrame(
                {
                    "customer_id": [f"c{i:04d}" for i in range(n)],
                    "ordered_at": day,
                    "amount": 5.0,
                    "product": [f"p{i:02d}" for i in products],
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def test_similarities_by_hand():
    found = baskets(
        [[1, 1, 0], [1, 1, 0], [1, 0, 1], [0, 0, 1]]
    )  # A: 3 buyers, B: 2, C: 2; A and B: 2, A and C: 1
    cosine = recommender.compute_similarity(found, "cosine", 2.0)
    assert cosine[0, 1] == pytest.approx(2 / np.sqrt(6) * 2 / 4)
    assert cosine[0, 2] == pytest.approx(1 / np.sqrt(6) * 1 / 3)
    share = recommender.compute_similarity(found, "conditional", 1.0)
    assert share[0, 1] == pytest.approx(
        (2 + 2 / 4) / (3 + 1)
    )  # 2 of 3 buyers of A, drawn to 2 of 4 customers
    assert share[1, 0] == pytest.approx((2 + 3 / 4) / (2 + 1))
    assert np.diag(cosine).tolist() == [0, 0, 0]


def test_what_was_bought_already_is_on_no_list_and_the_first_that_was_taken_counts():
    found = baskets([[1, 0, 0, 0]])
    scores, taken = np.array([[9.0, 3, 2, 1]]), csr_matrix(np.array([[0, 0, 1, 1.0]]))
    assert recommender.rank_first_hit(found, scores, np.array([0]), taken).tolist() == [
        2
    ]  # B, then C


def test_baskets_end_with_the_snapshot_and_what_is_taken_begins_after_it(write_study):
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
    _, tables = write(
        write_study, pd.DataFrame(lines, columns=["customer_id", "ordered_at", "amount", "product"])
    )
    found = recommender.load_baskets(tables, T)
    assert found.customers.tolist() == [
        "a",
        "c0",
        "c1",
        "c2",
        "c3",
        "c4",
    ]  # b took something back and bought nothing
    assert found.bought.toarray()[0].tolist() == [0, 1, 0, 0]  # w, x, y, z
    taken = recommender.find_new_products(tables, found, T, date(2024, 7, 30)).toarray()
    assert taken[0].tolist() == [0, 0, 1, 1]  # y and z; x was bought before, w came a day late
    assert not taken[1:].any()


def test_products_that_go_together_are_found_and_beat_popularity(write_study):
    _, tables = write(write_study, shop(True))
    judged = recommender.evaluate_recommender(tables, T, 30, 3, 300, 0)
    rows = judged.scores.set_index(["model", "metric"])
    assert judged.length == 3 and rows.verdict["item to item", "hit_rate_at_3"] == "better"
    assert rows.verdict["by lot", "hit_rate_at_3"] in ("worse", "no significant difference")
    assert report.choose_recommender(judged.scores, 3) == "item to item"
    assert "more often than popularity does**: " in report.describe_recommender(
        judged.scores, 3, 30, 1500
    )
    pairs = recommendations.tabulate_pairs(judged.baskets, 5)
    assert all(
        int(one[1:]) ^ 1 == int(other[1:])
        for one, other in zip(pairs["product"], pairs.also_bought, strict=True)
    )
    made = recommendations.recommend_products(
        judged.baskets, judged.recent, judged.way, "item to item", ["c0000", "stranger"], 2
    )
    assert made.groupby("customer_id")["rank"].apply(list).tolist() == [[1, 2], [1, 2]]
    assert made.reason[made.customer_id == "stranger"].str.startswith("bought by").all()
    assert made.reason[0].startswith("bought together with p")
    owned = judged.baskets.products[judged.baskets.bought[0].toarray().ravel() > 0]
    assert not set(made["product"][made.customer_id == "c0000"]) & set(owned)


@pytest.mark.parametrize("seed", range(4))
def test_independent_purchases_are_not_called_better_than_popularity(seed, write_study):
    _, tables = write(write_study, shop(False, seed))
    scores = recommender.evaluate_recommender(tables, T, 30, 3, 300, 0).scores
    assert (
        scores.set_index(["model", "metric"]).verdict["item to item", "hit_rate_at_3"] != "better"
    )
    assert report.choose_recommender(scores, 3) in ("popularity", "popularity of late")
    assert "not shown to find" in report.describe_recommender(
        scores, 3, 30, 1500
    ) or "less often" in report.describe_recommender(scores, 3, 30, 1500)


def test_what_happens_after_the_window_never_matters(write_study):
    rows = shop(True)
    far = rows[rows.ordered_at == "2024-07-10"].assign(ordered_at="2024-09-01", product="p03")
    found = [
        recommender.evaluate_recommender(write(write_study, table)[1], T, 30, 3, 200, 0).scores
        for table in (rows, pd.concat([rows, far]))
    ]
    pd.testing.assert_frame_equal(*found)


@pytest.mark.parametrize(
    ("products", "words"),
    [(None, "names no products"), ("one", "name only 1, so there is no further product")],
)
def test_orders_without_a_further_product_are_told_in_a_line(products, words, write_study):
    orders = shop(False, n=20).drop(columns="product")
    study, tables = write(
        write_study, orders if products is None else orders.assign(product=products)
    )
    assert words in recommender.say_missing(tables, study)


def test_products_that_nearly_nobody_bought_are_one_sentence(write_study):
    _, tables = write(
        write_study,
        shop(False, n=4).assign(product=lambda rows: [f"p{i}" for i in range(len(rows))]),
    )
    with pytest.raises(
        StudyError,
        match="expected at least two products bought by 5 customers each by 2024-06-30, got 0",
    ):
        recommender.load_baskets(tables, T)


def test_nobody_taking_a_further_product_is_one_sentence(write_study):
    rows = shop(False)
    _, tables = write(write_study, rows[rows.ordered_at < "2024-06-30"])
    with pytest.raises(StudyError, match="in the 30 days after 2024-06-30, got none of 1500"):
        recommender.evaluate_recommender(tables, T, 30, 3, 200, 0)

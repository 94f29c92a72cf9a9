"""The picture of the packages: every box and arrow is in it, and nothing lies on anything else."""

import itertools
from xml.etree import ElementTree

import draw_packages
import pytest
from draw_packages import BOX_WIDTH, WIDTH, add_bends, order_rows, place_columns, rank
from packages import Layer, reduce_graph

LAYERS = [
    Layer("data", "tables", "`10_data`"),
    Layer("panel", "point-in-time data & labels", ""),
    Layer("models", "models", ""),
    Layer("risk", "who leaves", "`30_risk`"),
    Layer("cli", "the command", ""),
]
GRAPH = {
    "panel": {"data": 4},
    "models": {"panel": 3},
    "risk": {"models": 2, "data": 9},
    "cli": {"data": 7, "models": 1},
}


@pytest.fixture(scope="module")
def texts() -> list[str]:
    root = ElementTree.fromstring(draw_packages.draw(GRAPH, LAYERS))
    return [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_each_package_has_a_box_and_each_arrow_that_is_left_its_number(texts):
    assert {"data", "panel", "models", "risk", "cli"} <= set(texts)
    assert [text for text in texts if text.isdigit()] == ["4", "3", "2", "1"]
    assert "point-in-time data & labels" in texts


def test_the_same_imports_draw_the_same_picture():
    again = {package: dict(reversed(used.items())) for package, used in GRAPH.items()}
    assert draw_packages.draw(again, LAYERS) == draw_packages.draw(GRAPH, LAYERS)


def test_a_package_stands_in_the_row_below_the_last_that_it_imports():
    assert rank(GRAPH, [layer.package for layer in LAYERS]) == {
        "data": 0,
        "panel": 1,
        "models": 2,
        "risk": 3,
        "cli": 3,
    }


def test_boxes_of_a_row_do_not_overlap_and_stay_inside_the_picture():
    graph = {"e": {"a": 1, "b": 1}, "f": {"a": 1, "c": 1}, "g": {"d": 1}}
    rows = rank(graph, ["a", "b", "c", "d", "e", "f", "g"])
    places, pairs = add_bends(reduce_graph(graph), rows)
    order = order_rows(places, pairs)
    middle = place_columns(order, pairs)
    for row in order:
        assert all(middle[b] - middle[a] >= BOX_WIDTH for a, b in itertools.pairwise(row))
    assert min(middle.values()) >= BOX_WIDTH / 2
    assert max(middle.values()) <= WIDTH - BOX_WIDTH / 2


def test_rows_are_ordered_so_that_no_arrow_crosses_where_none_must():
    pairs = [("a", "y"), ("b", "x")]
    order = order_rows([["a", "b"], ["x", "y"]], pairs)
    assert [order[0].index("a"), order[0].index("b")] == [
        order[1].index("y"),
        order[1].index("x"),
    ]


def test_what_stands_below_the_last_analysis_is_an_entry():
    assert draw_packages.find_kinds(LAYERS) == {
        "data": "analysis",
        "panel": "foundation",
        "models": "foundation",
        "risk": "analysis",
        "cli": "entry",
    }

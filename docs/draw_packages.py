"""Draw the packages of ``src/research`` into ``docs/images/packages.svg``: ``make picture``.

One box per package, and an arrow from each package to those that import it. An arrow that follows
from others is left out (transitive reduction: Aho, Garey & Ullman 1972, doi:10.1137/0201008); the
boxes are placed as by Sugiyama, Tagawa & Toda (1981, doi:10.1109/TSMC.1981.4308636).
"""

import itertools
import re
import textwrap
from collections import defaultdict
from html import escape

from packages import (
    DESIGN,
    PACKAGE,
    ROOT,
    Graph,
    Layer,
    count_names,
    list_imports,
    list_modules,
    read_layers,
    reduce_graph,
)

PICTURE = ROOT / "docs" / "images" / "packages.svg"
WIDTH, BOX_WIDTH, BOX_HEIGHT, ROW_HEIGHT, MARGIN = 1000, 230, 76, 122, 28
BEND_WIDTH = 30  # room for an arrow that passes a row
GAP, PORT_GAP = 22, 40  # between neighbours of a row, between arrows at a box
KINDS = {  # what the boxes are: fill, line, words
    "foundation": ("#eef1f4", "#8795a1", "foundation"),
    "analysis": ("#d9ebf7", "#0072b2", "has notebooks of its own"),
    "entry": ("#fdebd0", "#d98200", "entry: command, notebooks, batches"),
}
LEGEND = (
    "An arrow leads from a package to one that imports it; the number counts the names imported.",
    "Arrows that follow from others are left out.",
)


def merge_study(graph: Graph, layers: list[Layer]) -> tuple[Graph, list[Layer]]:
    """Return graph and layers with the files above the first package in one box, ``study``."""
    files = {
        layer.package
        for layer in itertools.takewhile(lambda row: not (PACKAGE / row.package).is_dir(), layers)
    }
    merged: Graph = defaultdict(dict)
    for importer, packages in graph.items():
        for package, names in packages.items():
            ends = ["study" if end in files else end for end in (importer, package)]
            if ends[0] != ends[1]:
                merged[ends[0]][ends[1]] = merged[ends[0]].get(ends[1], 0) + names
    box = Layer("study", "study.yml and its keys, ranges of parameters, errors", "")
    return merged, [box, *(layer for layer in layers if layer.package not in files)]


# Places: an arrow that passes a row has a place of its own in it, a bend.


def rank(graph: Graph, packages: list[str]) -> dict[str, int]:
    """Return the row of each package: below everything that it imports, the first row is 0."""
    rows: dict[str, int] = {}
    for package in packages:
        rows[package] = max((rows[used] + 1 for used in graph.get(package, {})), default=0)
    return rows


def add_bends(graph: Graph, rows: dict[str, int]) -> tuple[list[list[str]], list[tuple[str, str]]]:
    """Return the places of each row, boxes and bends, and the pairs that neighbouring rows join."""
    places: list[list[str]] = [[] for _ in range(max(rows.values()) + 1)]
    pairs = []
    for package, row in rows.items():
        places[row].append(package)
        for used in graph.get(package, {}):
            chain = trail(used, package, rows)
            pairs += list(itertools.pairwise(chain))
            for bend in chain[1:-1]:
                places[int(bend.rpartition("@")[2])].append(bend)
    return places, pairs


def trail(used: str, package: str, rows: dict[str, int]) -> list[str]:
    """Return the places along an arrow: the box, a bend in every row between, the other box."""
    between = range(rows[used] + 1, rows[package])
    return [used, *(f"{used}>{package}@{row}" for row in between), package]


def order_rows(places: list[list[str]], pairs: list[tuple[str, str]]) -> list[list[str]]:
    """Return the rows ordered so that few arrows cross.

    Each row is sorted by the mean place of neighbours, in turn downwards and upwards; the best of
    all rounds is kept.
    """
    best = places
    for start in (places, [row[::-1] for row in places]):
        order = start
        for number in range(24):
            order = _sweep(order, pairs, down=number % 2 == 0)
            if _cost(order, pairs) < _cost(best, pairs):
                best = order
    return best


def _sweep(order: list[list[str]], pairs: list[tuple[str, str]], down: bool) -> list[list[str]]:
    order = [list(row) for row in order]
    for number in range(1, len(order)) if down else range(len(order) - 2, -1, -1):
        fixed = order[number - 1 if down else number + 1]
        at = {place: (index + 0.5) / len(fixed) for index, place in enumerate(fixed)}
        row = order[number]
        means = {}
        for index, place in enumerate(row):
            linked = [at[other] for other in neighbours(place, pairs) if other in at]
            means[place] = sum(linked) / len(linked) if linked else (index + 0.5) / len(row)
        row.sort(key=means.get)
    return order


def neighbours(place: str, pairs: list[tuple[str, str]]) -> list[str]:
    """Return the places that arrows join directly with one."""
    return [lower if upper == place else upper for upper, lower in pairs if place in (upper, lower)]


def _cost(order: list[list[str]], pairs: list[tuple[str, str]]) -> tuple[int, float]:
    """Return how many arrows cross, and how far they lean."""
    at = {place: index for row in order for index, place in enumerate(row)}
    share = {place: (at[place] + 0.5) / len(row) for row in order for place in row}
    level = {place: number for number, row in enumerate(order) for place in row}
    crossings = sum(
        (at[a] - at[c]) * (at[b] - at[d]) < 0
        for (a, b), (c, d) in itertools.combinations(pairs, 2)
        if level[a] == level[c]
    )
    return crossings, sum(abs(share[a] - share[b]) for a, b in pairs)


def place_columns(order: list[list[str]], pairs: list[tuple[str, str]]) -> dict[str, float]:
    """Return the middle of each place in pixels: near its neighbours, apart from the next one."""
    middle = {}
    for row in order:
        step = WIDTH / len(row)
        middle |= {place: (index + 0.5) * step for index, place in enumerate(row)}
    for _ in range(200):
        for row in order:
            wanted = [_mean_middle(place, pairs, middle) for place in row]
            middle |= dict(zip(row, _spread(row, wanted), strict=True))
    edges = [(middle[place], _width(place) / 2) for row in order for place in row]
    left, right = min(x - half for x, half in edges), max(x + half for x, half in edges)
    return {place: x + (WIDTH - left - right) / 2 for place, x in middle.items()}


def _mean_middle(place: str, pairs: list[tuple[str, str]], middle: dict[str, float]) -> float:
    linked = [middle[other] for other in neighbours(place, pairs)]
    return sum(linked) / len(linked) if linked else middle[place]


def _width(place: str) -> int:
    return BEND_WIDTH if "@" in place else BOX_WIDTH


def _spread(row: list[str], wanted: list[float]) -> list[float]:
    """Return middles near the wanted ones, in order, inside the picture and without overlap."""
    apart = [(_width(a) + _width(b)) / 2 + GAP for a, b in itertools.pairwise(row)]
    offsets = [0.0, *itertools.accumulate(apart)]
    left = _pool([middle - offset for middle, offset in zip(wanted, offsets, strict=True)])
    lowest = MARGIN + _width(row[0]) / 2
    highest = WIDTH - MARGIN - _width(row[-1]) / 2 - offsets[-1]
    return [min(max(x, lowest), highest) + offset for x, offset in zip(left, offsets, strict=True)]


def _pool(values: list[float]) -> list[float]:
    """Return the nearest values that never fall (pool adjacent violators)."""
    pools: list[list[float]] = []
    for value in values:
        pools.append([value])
        while len(pools) > 1 and _mean(pools[-2]) > _mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    return [_mean(pool) for pool in pools for _ in pool]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


# The drawing


def draw(graph: Graph, layers: list[Layer]) -> str:
    """Return the picture as SVG.

    Parameters
    ----------
    graph : names taken, by package and by the package that they are taken from
    layers : rows of the table of layers, lowest first
    """
    graph, layers = merge_study(graph, layers)
    reduced = reduce_graph(graph)
    rows = rank(reduced, [layer.package for layer in layers])
    places, pairs = add_bends(reduced, rows)
    middle = place_columns(order_rows(places, pairs), pairs)
    kinds = find_kinds(layers)
    trails = {
        (package, used): trail(used, package, rows)
        for package, packages in reduced.items()
        for used in packages
    }
    ports = find_ports(list(trails.values()), middle)
    lines, numbers = [], []
    for (package, used), passed in trails.items():
        points = [(ports[a, b], ports[b, a]) for a, b in itertools.pairwise(passed)]
        lines.append(draw_arrow(points, rows[used], kinds[package]))
        numbers.append(draw_number(points, rows[package], reduced[package][used]))
    boxes = [
        draw_box(layer, middle[layer.package], _top(rows[layer.package]), kinds[layer.package])
        for layer in layers
    ]
    bottom = _top(max(rows.values())) + BOX_HEIGHT + MARGIN
    body = [*lines, *boxes, *numbers, *draw_legend(bottom)]
    return "\n".join([_open(bottom + 84), *body, "</svg>", ""])


def find_kinds(layers: list[Layer]) -> dict[str, str]:
    """Return what each package is, one of ``KINDS``.

    An analysis has notebooks of its own; what stands below the last one is an entry.
    """
    last = max(number for number, layer in enumerate(layers) if layer.notebooks)
    return {
        layer.package: (
            "entry" if number > last else "analysis" if layer.notebooks else "foundation"
        )
        for number, layer in enumerate(layers)
    }


def find_ports(trails: list[list[str]], middle: dict[str, float]) -> dict[tuple[str, str], float]:
    """Return where an arrow from a place to a neighbouring one begins or ends, in pixels.

    Arrows stand side by side on the edge of a box, in the order of the places that they lead to.
    """
    linked = defaultdict(set)
    for upper, lower in (pair for passed in trails for pair in itertools.pairwise(passed)):
        linked[upper, "below"].add(lower)
        linked[lower, "above"].add(upper)
    ports = {}
    for (place, _), others in linked.items():
        gap = min(PORT_GAP, BOX_WIDTH / len(others)) if "@" not in place else 0
        for number, other in enumerate(sorted(others, key=lambda one: (middle[one], one))):
            ports[place, other] = middle[place] + (number - (len(others) - 1) / 2) * gap
    return ports


def draw_arrow(points: list[tuple[float, float]], row: int, kind: str) -> str:
    """Return an arrow that leaves a box in ``row``; ``points`` are its ends between two rows."""
    path = ""
    for number, (start, end) in enumerate(points, row):
        above, below = _top(number) + BOX_HEIGHT, _top(number + 1)
        half = (above + below) // 2
        path += f"{'L' if path else 'M'}{start:.0f} {above}"
        path += f"C{start:.0f} {half} {end:.0f} {half} {end:.0f} {below}"
    return (
        f'<path d="{path}" fill="none" stroke="{KINDS[kind][1]}" stroke-width="1.6"'
        f' marker-end="url(#{kind})"/>'
    )


def draw_number(points: list[tuple[float, float]], row: int, names: int) -> str:
    """Return the number of names above the head of an arrow that ends in ``row``."""
    return (
        f'<text x="{points[-1][1]:.0f}" y="{_top(row) - 16}" font-size="13" text-anchor="middle"'
        f' stroke="#ffffff" stroke-width="4" paint-order="stroke" fill="#333333">{names}</text>'
    )


def draw_box(layer: Layer, x: float, top: int, kind: str) -> str:
    """Return the box of a package: its name, and what it holds in at most two lines."""
    fill, line, _ = KINDS[kind]
    holds = textwrap.wrap(re.sub("[`*]", "", layer.holds), 30, max_lines=2, placeholder=" ...")
    texts = [
        _text(x, top + 47 + 17 * number, words, 'font-size="13" text-anchor="middle"')
        for number, words in enumerate(holds)
    ]
    bold = 'font-size="17" font-weight="bold" text-anchor="middle"'
    return (
        f'<rect x="{x - BOX_WIDTH / 2:.0f}" y="{top}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}"'
        f' rx="6" fill="{fill}" stroke="{line}"/>'
        + _text(x, top + 25, layer.package, bold)
        + "".join(texts)
    )


def draw_legend(top: int) -> list[str]:
    """Return what the colours, arrows and numbers mean, below the boxes."""
    lines = []
    for number, (fill, line, words) in enumerate(KINDS.values()):
        x = MARGIN + (40, 190, 430)[number]
        lines.append(
            f'<rect x="{x}" y="{top}" width="18" height="14" rx="3" fill="{fill}" stroke="{line}"/>'
            + _text(x + 26, top + 12, words, 'font-size="13"')
        )
    notes = [
        _text(MARGIN + 40, top + 36 + 18 * number, words, 'font-size="13"')
        for number, words in enumerate(LEGEND)
    ]
    return [*lines, *notes]


def _top(row: int) -> int:
    return MARGIN + row * ROW_HEIGHT


def _text(x: float, y: int, words: str, style: str) -> str:
    return f'<text x="{x:.0f}" y="{y}" {style} fill="#222222">{escape(words)}</text>'


def _open(height: int) -> str:
    heads = "".join(
        f'<marker id="{kind}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9"'
        ' markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">'
        f'<path d="M0 1L10 5L0 9z" fill="{line}"/></marker>'
        for kind, (_, line, _) in KINDS.items()
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        f' height="{height}" font-family="Helvetica, Arial, sans-serif" role="img">\n'
        f"<title>The packages of research and what they import</title>\n<defs>{heads}</defs>\n"
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    )


def draw_now() -> str:
    """Return the picture of the packages as they are now."""
    layers = read_layers(DESIGN.read_text(encoding="utf-8"))
    return draw(count_names(list_imports(list_modules())), layers)


if __name__ == "__main__":
    PICTURE.write_text(draw_now(), encoding="utf-8")

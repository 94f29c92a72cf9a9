"""Pages for readers: an executed notebook as one HTML file, and the index of all runs.

A page needs no network, no script and no second file; its own security policy forbids them.
"""

import base64
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jinja2
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

from research.batch.html import clean_html, outline
from research.batch.notebooks import spell
from research.errors import StudyError

if TYPE_CHECKING:  # they take seconds to import, and the index doesn't need them
    from nbconvert import HTMLExporter
    from nbformat import NotebookNode
TEMPLATES = Path(__file__).parent / "templates"
LIMIT_BYTES = 5_000_000
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action"
    " 'none'"
)  # what a browser may do with a page: nothing from the network, no script
SHOWN = [
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/latex",
    "text/plain",
]
KEY_PACKAGES = (
    "pandas",
    "numpy",
    "scikit-learn",
    "lightgbm",
    "ibis-framework",
    "duckdb",
    "lifelines",
    "matplotlib",
)


def render(notebook: "NotebookNode", record: dict[str, Any]) -> str:
    """Return an executed notebook as one self-contained page.

    Parameters
    ----------
    notebook : executed notebook
        Its first markdown cell has the title, an H1.
    record : dict
        The provenance for the foot of the page; see ``research.batch.records``.

    Raises
    ------
    StudyError
        If the page is larger than 5 MB.
    """
    body, _ = _exporter().from_notebook_node(notebook)
    title, body, contents = outline(body)
    parts = {
        "title": title or record["notebook"],
        "body": body,
        "contents": contents,
        "record": record,
        "draft": record.get("run_parameters", {}).get("draft", False),
        "style": _style(True),
    }
    page = _environment().get_template("page.html.j2").render(parts)
    size = len(page.encode())
    if size > LIMIT_BYTES:
        raise StudyError(
            f"notebooks/{record['notebook']}.ipynb: expected a page of at most"
            f" {LIMIT_BYTES / 1e6:.0f} MB, got {size / 1e6:.1f} MB; show fewer rows, or draw"
            " figures with many points as PNG"
        )
    return page


@cache
def _exporter() -> "HTMLExporter":
    from nbconvert import HTMLExporter

    return HTMLExporter(
        config=Config({"NbConvertBase": {"display_data_priority": SHOWN}}),
        extra_template_basedirs=[str(TEMPLATES)],
        template_name="report",
        exclude_anchor_links=True,
        filters={"clean_html": clean_html, "as_image": _as_image},
    )


def _as_image(svg: str) -> str:
    """Return an SVG as an image in the page, which can neither run scripts nor load anything."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


@cache
def _environment() -> jinja2.Environment:
    options = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, **options
    )
    environment.globals["policy"] = POLICY
    environment.filters.update(
        day=_day,
        duration=_duration,
        setting=spell,
        address=quote,
        key_packages=_key_packages,
        version=_version,
    )
    return environment


def _style(with_code: bool) -> str:
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    return style + (
        HtmlFormatter(style="friendly").get_style_defs(".highlight") if with_code else ""
    )


def _day(moment: str) -> str:
    return datetime.fromisoformat(moment).strftime("%Y-%m-%d %H:%M UTC") if moment else ""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s" if seconds >= 1 else "under 1 s"


def _version(code: str) -> str:
    """Return a code version with its git commit shortened as git does."""
    return re.sub(r"[0-9a-f]{40}", lambda commit: commit[0][:12], code)


def _key_packages(packages: dict[str, str]) -> dict[str, str]:
    return {name: packages[name] for name in KEY_PACKAGES if name in packages}


def render_index(
    runs: Iterable[dict[str, Any]], waiting: Sequence[dict[str, str]] = (), now: str = ""
) -> str:
    """Return the page that lists runs by study, each as its run.json describes it.

    Parameters
    ----------
    waiting : jobs that a batch has not ended, see ``board.Board.describe``; while there are some,
        the browser reads the page again every few seconds
    now : the current moment
    """
    listed = sorted(runs, key=lambda run: (run["study"], run["run"] != "default", run["run"]))
    studies = {study: list(group) for study, group in groupby(listed, key=itemgetter("study"))}
    failed = sum(run["outcome"] == "failed" for run in listed)
    return (
        _environment()
        .get_template("index.html.j2")
        .render(
            studies=studies,
            count=len(listed),
            failed=failed,
            waiting=waiting,
            now=now,
            style=_style(False),
        )
    )

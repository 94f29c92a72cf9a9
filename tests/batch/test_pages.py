"""Pages: what they must not do, and what they show."""

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from research.batch import pages
from research.errors import StudyError

RECORD = {
    "study": "alpha",
    "title": "The alpha company",
    "run": "lead-30",
    "notebook": "30_risk",
    "parameters": {"study": "alpha", "lead_days": 30, "label": None, "exact": True},
    "data_hash": "0123456789abcdef" * 4,
    "code_version": "89ab" * 10 + "-dirty",
    "python": "3.11.7",
    "packages": {"pandas": "2.3.3", "pooch": "1.9.0"},
    "finished": "2026-11-22T01:02:03+00:00",
    "seconds": 61.4,
    "command": "research run alpha --set lead_days=30",
}
HOSTILE = "</pre></div></main><script>alert(1)</script><img src=http://x.test onerror=alert(1)>"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)


def show(**data: str) -> nbformat.NotebookNode:
    """Return a code cell that shows one output; a key such as text_html stands for text/html."""
    output = nbformat.v4.new_output(
        "display_data", {key.replace("_", "/", 1): value for key, value in data.items()}
    )
    return nbformat.v4.new_code_cell("hidden = 'source'", outputs=[output])


def stream(name: str, text: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_code_cell(
        "hidden = 'source'", outputs=[nbformat.v4.new_output("stream", name=name, text=text)]
    )


def render(*cells: nbformat.NotebookNode, title: str = "# Who will leave?") -> BeautifulSoup:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(title), *cells])
    return BeautifulSoup(pages.render(notebook, RECORD), "html.parser")


def head(text: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(text)


# What a page must not do


@pytest.mark.parametrize(
    "cell",
    [stream("stdout", HOSTILE), show(text_plain=HOSTILE)],
    ids=["stdout", "repr"],
)
def test_hostile_text_stays_text(cell):
    page = render(cell)
    assert HOSTILE in page.find("main").get_text()
    assert page.find("script") is None
    assert page.select("main [onerror]") == []


@pytest.mark.parametrize("kind", ["text_html", "text_markdown"])
def test_hostile_markup_neither_acts_nor_loads_nor_breaks_out(kind):
    page = render(show(**{kind: HOSTILE}), head("## After"))
    assert page.find("script") is None
    assert page.select("[onerror], [src^=http]") == []
    assert [section.text for section in page.select("main h2")] == ["After"]


def test_a_page_forbids_scripts_and_the_network_and_needs_neither():
    page = render(show(image_png=PIXEL), show(text_html=pd.DataFrame({"a": [1]}).to_html()))
    policy = page.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    assert (
        policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none';"
        " form-action 'none'"
    )
    assert page.find_all(["script", "link", "iframe"]) == []
    assert "url(" not in page.style.text
    assert "@import" not in page.style.text
    assert all(image["src"].startswith("data:") for image in page.find_all("img"))


def test_a_page_over_five_megabytes_is_refused_with_what_to_do():
    with pytest.raises(
        StudyError,
        match=(
            r"notebooks/30_risk.ipynb: expected a page of at most 5 MB, got 5\.\d MB; show"
            r" fewer rows"
        ),
    ):
        render(stream("stdout", "x" * 5_100_000))


# What a page shows


def test_the_title_is_the_question_and_stands_once():
    page = render(head("Text."), title="# Who *will* leave?\n\nFor the team.")
    assert page.title.text == "Who will leave? · alpha"
    assert [heading.text for heading in page.find_all("h1")] == ["Who will leave?"]
    assert page.html["lang"] == "en"
    assert page.find("meta", attrs={"name": "viewport"})


def test_the_contents_lead_to_every_section():
    page = render(head("## One\n\ntext\n\n## Two & more"), show(text_markdown="## Two & more"))
    links = [(link["href"], link.text) for link in page.select("details.contents a")]
    assert links == [
        ("#section-1", "One"),
        ("#section-2", "Two & more"),
        ("#section-3", "Two & more"),
    ]
    assert [section["id"] for section in page.select("main h2")] == [
        "section-1",
        "section-2",
        "section-3",
    ]


def test_code_and_parameters_are_behind_the_switch_and_warnings_on_no_page():
    parameters = nbformat.v4.new_code_cell("lead_days: int = 7", metadata={"tags": ["parameters"]})
    injected = nbformat.v4.new_code_cell(
        "lead_days = 30", metadata={"tags": ["injected-parameters"]}
    )
    page = render(
        parameters, injected, stream("stderr", "a warning"), stream("stdout", "an answer")
    )
    hidden = " ".join(part.get_text() for part in page.select(".code"))
    assert all(text in hidden for text in ("lead_days: int = 7", "lead_days = 30"))
    assert "a warning" not in page.get_text()
    assert "an answer" not in hidden
    assert page.find("input", id="show-code").get("checked") is None


@pytest.mark.parametrize(
    "data",
    [{"image_png": PIXEL}, {"image_svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'/>"}],
    ids=["png", "svg"],
)
def test_a_figure_is_described_by_the_heading_above_it(data):
    page = render(head("## Drivers"), head("### By tenure"), show(**data, text_plain="<Figure>"))
    assert [image["alt"] for image in page.select(".figure img")] == ["Figure: By tenure"]
    assert "<Figure>" not in page.get_text()


def test_the_foot_says_what_made_the_page():
    foot = render().footer
    text = " ".join(foot.get_text(" ").split())
    for part in (
        "alpha / lead-30",
        "2026-11-22 01:02 UTC, in 1 min 1 s",
        "0123456789ab",
        "89ab89ab89ab-dirty",
        "3.11.7",
        "pandas 2.3.3",
        RECORD["command"],
    ):
        assert part in text
    assert [code.text for code in foot.select(".wide")[0].find_all("code")] == [
        "study=alpha",
        "lead_days=30",
        "label=none",
        "exact=true",
    ]
    assert foot.a["href"] == "../../index.html"


# Tables


def test_every_table_scrolls_by_itself_and_is_named_by_the_heading_above_it():
    page = render(
        head("## Scores"),
        show(text_html=pd.DataFrame({"a": [1]}).to_html()),
        head("| a | b |\n|---|---|\n| 1 | 2 |"),
    )
    assert [
        (box["aria-label"], box["tabindex"]) for box in page.select("div.scroll:has(> table)")
    ] == [("Table: Scores", "0")] * 2


# The index


def a_run(study: str, name: str, **changes) -> dict:
    entry = {
        "outcome": "done",
        "error": "",
        "question": "Who?",
        "seconds": 1.0,
        "tables": ["a b"],
        "page": "30_risk.html",
        "page_finished": None,
        "details": None,
    }
    run = {
        "study": study,
        "title": f"The {study} company",
        "run": name,
        "outcome": "done",
        "finished": RECORD["finished"],
        "seconds": 1.0,
        "parameters": {},
    }
    return {**run, "notebooks": {"30_risk": {**entry, **changes}}}


def test_the_index_lists_runs_by_study_with_the_default_first():
    index = BeautifulSoup(
        pages.render_index(
            [a_run("beta", "default"), a_run("alpha", "a=1"), a_run("alpha", "default")]
        ),
        "html.parser",
    )
    assert [heading.small.text for heading in index.find_all("h2")] == ["alpha", "beta"]
    assert [heading.text for heading in index.find_all("h3")] == ["default", "a=1", "default"]


def test_links_of_the_index_survive_odd_names():
    index = BeautifulSoup(pages.render_index([a_run("alpha", "a=1,b=x")]), "html.parser")
    assert [link["href"] for link in index.select("article a")] == [
        "alpha/a%3D1%2Cb%3Dx/30_risk.html",
        "alpha/a%3D1%2Cb%3Dx/tables/a%20b.csv",
        "alpha/a%3D1%2Cb%3Dx/tables/a%20b.parquet",
    ]


def test_a_failure_beside_an_earlier_page_says_of_when_that_page_is():
    failed = a_run(
        "alpha",
        "default",
        outcome="failed",
        error=HOSTILE,
        page_finished="2026-11-01T00:00:00+00:00",
        details="failed/30_risk.txt",
    )
    index = BeautifulSoup(pages.render_index([failed]), "html.parser")
    assert HOSTILE in index.find("p", class_="error").text
    assert index.find("script") is None
    assert "The page and tables are those of 2026-11-01 00:00 UTC." in index.text
    assert index.select_one(".error a")["href"] == "alpha/default/failed/30_risk.txt"


def test_an_index_without_runs_says_how_to_make_one():
    assert "There are no runs yet" in pages.render_index([])


# Drafts


def test_a_page_of_a_draft_says_so_in_its_title_and_at_its_top():
    notebook = nbformat.v4.new_notebook(cells=[head("# Who leaves?")])
    record = RECORD | {"run_parameters": {"draft": True}}
    page = BeautifulSoup(pages.render(notebook, record), "html.parser")
    assert page.title.text.startswith("Draft: Who leaves?")
    assert page.main.find("p")["class"] == ["draft"]
    full = BeautifulSoup(pages.render(notebook, RECORD), "html.parser")
    assert "draft" not in full.title.text.lower() and full.select(".draft") == []


def test_the_index_marks_runs_that_are_drafts():
    runs = [
        a_run("alpha", "default"),
        a_run("alpha", "draft=true") | {"parameters": {"draft": True}},
    ]
    index = BeautifulSoup(pages.render_index(runs), "html.parser")
    assert [len(run.select("header .draft")) for run in index.select("article")] == [0, 1]

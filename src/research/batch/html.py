"""HTML of notebooks made safe and regular: no active content, aligned tables, named figures."""

import re

from bs4 import BeautifulSoup, Tag

EMBEDDED = ["script", "iframe", "frame", "object", "embed", "applet", "audio", "video"]
OF_FORMS = ["form", "input", "button", "textarea", "select"]
ACTIVE = [*EMBEDDED, *OF_FORMS, "link", "meta", "base"]
SENDING = ["href", "xlink:href", "action", "formaction", "ping"]
LOADING = ["src", "srcset", "poster", "background", "data"]
HARMLESS = re.compile(
    r"\s*(#|https?://|mailto:|data:image/(png|jpeg|gif|svg\+xml)[;,]|[\w.~/-]+(#[\w-]*)?\s*$)",
    re.IGNORECASE,
)
NUMBER = re.compile(
    r"\s*[-+−]?[$€£]?\s?[\d.,\s]*\d\s*([eE][-+]?\d+)?\s*(%|[$€£])?\s*"
    r"|\s*(nan|None|NaN|NaT|<NA>|–|-)?\s*"
)
LONG_TEXT = 32


def clean_html(html: str) -> str:
    """Return HTML from a notebook without anything that runs, loads or sends, its tables tidied.

    Unclosed and surplus tags end with the fragment, so that one output cannot swallow the page.
    """
    soup = BeautifulSoup(html, "html.parser")
    for tag in soup.find_all(ACTIVE):
        tag.decompose()
    for tag in soup.find_all(True):
        _strip(tag)
    for table in soup.find_all("table"):
        _tidy_table(soup, table)
    return str(soup)


def _strip(tag: Tag) -> None:
    """Remove event handlers, and addresses other than plain links and images in the page."""
    for name in list(tag.attrs):
        value = str(tag.attrs[name])
        handler, address = name.lower().startswith("on"), name.lower() in SENDING + LOADING
        inside = value.lower().startswith(("data:image/", "#"))
        harmless = HARMLESS.match(value) and (tag.name == "a" or inside)
        if handler or (address and not harmless):
            del tag.attrs[name]
    if tag.name == "a":
        tag.attrs["rel"] = "noreferrer"


def _tidy_table(soup: BeautifulSoup, table: Tag) -> None:
    """Give a table the style of the page, right-aligned numbers, and a wrapper that scrolls."""
    classes = table.get("class") or []
    table.attrs.pop("border", None)
    if "dataframe" in classes:
        _simplify_index(table)
        _align_numbers(table)
    if {"dataframe", "gt_table"} & {*classes}:
        _remove_styles(table)
    for cell in table.find_all("td"):
        if len(cell.get_text()) > LONG_TEXT:
            cell["class"] = [*(cell.get("class") or []), "long"]
    if table.find_parent("table") is None:
        table.wrap(
            soup.new_tag(
                "div",
                attrs={"class": "scroll", "tabindex": "0", "role": "region", "aria-label": "Table"},
            )
        )


def _remove_styles(table: Tag) -> None:
    box = table.find_parent("div")
    if box is not None:
        box.attrs.pop("style", None)
        for style in box.find_all("style"):
            if "gt_table" in style.text or ".dataframe" in style.text:
                style.decompose()
    for cell in table.find_all("th"):
        cell.attrs.pop("id", None)


def _simplify_index(table: Tag) -> None:
    heads = [row.find_all("th", recursive=False) for row in table.select("thead tr")]
    if len(heads) == 1 and not heads[0][0].text:
        _remove_counter(table, heads[0][0])
    if len(heads) == 2 and len(heads[0]) == len(heads[1]):
        _raise_index_name(*heads)


def _remove_counter(table: Tag, corner: Tag) -> None:
    """Remove an index that only counts the rows."""
    labels = [row.find("th") for row in table.select("tbody tr")]
    counts = [str(place) for place in range(len(labels))]
    if [label and label.text for label in labels] == counts:
        for cell in (corner, *labels):
            cell.decompose()


def _raise_index_name(columns: list[Tag], index: list[Tag]) -> None:
    """Put the name of the index into the row with the names of the columns."""
    names = [cell for cell in index if cell.text]
    free = not any(cell.text for cell in columns[: len(names)])
    if free and index[: len(names)] == names:
        for blank, name in zip(columns, names, strict=False):
            blank.string = name.text
        index[0].parent.decompose()


def _align_numbers(table: Tag) -> None:
    rows = [row.find_all(["th", "td"], recursive=False) for row in table.select("tbody tr")]
    width = max((len(row) for row in rows), default=0)
    numeric = {
        place
        for place in range(width)
        if all(_is_number(row[place - width]) for row in rows if len(row) >= width - place)
    }
    for row in [
        *rows,
        *(head.find_all("th", recursive=False) for head in table.select("thead tr")),
    ]:
        for place in numeric:
            if len(row) >= width - place and row[place - width].get("colspan") is None:
                row[place - width]["class"] = ["number"]
    for cell in table.select("[halign], [align], tr[style]"):
        cell.attrs.pop("style", None)


def _is_number(cell: Tag) -> bool:
    return cell.name == "td" and NUMBER.fullmatch(cell.text) is not None


def outline(html: str) -> tuple[str, str, list[tuple[str, str]]]:
    """Take the title out of a report's body, and number its headings.

    Returns
    -------
    title : str
        The text of the first H1, empty where there is none.
    body : str
        The rest; every H2 has an id of its own, every image an alternative text from the heading
        above it.
    contents : list of (id, text)
        The H2 in order.
    """
    soup = BeautifulSoup(html, "html.parser")
    heading = soup.find("h1")
    title = heading.extract().get_text(" ", strip=True) if heading else ""
    contents = []
    for number, section in enumerate(soup.find_all("h2"), 1):
        section["id"] = f"section-{number}"
        contents.append((section["id"], section.get_text(" ", strip=True)))
    _name_figures_and_tables(soup, title)
    return title, str(soup), contents


def _name_figures_and_tables(soup: BeautifulSoup, title: str) -> None:
    for image in soup.find_all("img"):
        if not image.get("alt"):
            image["alt"] = f"Figure: {_heading_above(image, title)}"
    for region in soup.select("div.scroll"):
        region["aria-label"] = f"Table: {_heading_above(region, title)}"


def _heading_above(tag: Tag, title: str) -> str:
    heading = tag.find_previous(["h2", "h3", "h4"])
    return heading.get_text(" ", strip=True) if heading else title

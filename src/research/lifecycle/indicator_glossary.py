"""The definitions of the indicators as text for one study: its days, its currency, what it lacks.

``indicator_definitions`` holds the templates, ``indicator_terms`` the computation.
"""

import pandas as pd

from research.errors import StudyError
from research.lifecycle.indicator_definitions import DEFINITIONS, Template
from research.panel.periods import name_spans
from research.study import Study, show_path

TERMS = {
    "contractual": (
        "A customer on day d is one with a contract, known by the end of d, that started on or"
        " before d and ended after d or not at all. A spell is unbroken cover by contracts that"
        " touch or overlap; it ends on the first day without cover. "
    ),
    "non_contractual": (
        "A customer on day d is one with a purchase (a positive amount, no return) in (d −"
        " {inactive}, d], known by the end of d. A spell consists of purchase days no more than"
        " {inactive} days apart; it starts on the first and ends {inactive} days after the last,"
        " once that day has come. Spend is the sum of all amounts, returns included, and at least 0"
        " for each customer. "
    ),
}
COMMON_TERMS = (
    "T is the snapshot, the start is T − {window} days, the window is (start, T]. Everything is"
    " what was known by the end of T, of the customers whom the table customers knew by then."
    " Intervals are at 95 % and count customers, not rows."
)
INTERVALS = {
    "share": "Wilson's, on the effective number of customers",
    "ratio": "symmetric, from the linearised variance over customers",
    "total": "symmetric, from the variance over customers, at least 0",
    "restricted_mean": "symmetric, from Greenwood's variance",
    "median_days": "where the log-log bounds of the curve reach one half",
    "median_hours": "where the log-log bounds of the curve reach one half; contacts as independent",
}


def fill_in(study: Study, template: Template) -> str:
    """Return the text of a template for the kind of a study, its days and currency filled in."""
    text = template if isinstance(template, str) else template[study.kind]
    spans = name_spans(study)
    if not isinstance(spans["window"], int):  # a month has its unit with it
        text = text.replace("{window} days", "{window}")
    return text.format(**spans, currency=study.economics.currency)


def is_charted(name: str, study: Study) -> bool:
    """Return whether a control chart may show an indicator: its windows don't overlap."""
    charted = DEFINITIONS[name].charted
    return charted if isinstance(charted, bool) else charted[study.kind]


def describe_terms(study: Study) -> str:
    """Return what customer, start, window and spend mean in the definitions of a study."""
    return fill_in(study, TERMS) + fill_in(study, COMMON_TERMS)


def describe_needs(name: str, study: Study) -> str:
    """Return the tables and columns that an indicator needs in a study.

    As in ``table feedback with kind, score and rows of kind nps``.
    """
    columns: dict[str, list[str]] = {}
    for need in DEFINITIONS[name].needs[study.kind]:
        table, _, column = need.partition(".")
        columns.setdefault(table, []).extend([column] if column else [])
    parts = [
        f"table {table}{' with ' + ', '.join(names) if names else ''}"
        for table, names in columns.items()
    ]
    rows = f" and rows of {DEFINITIONS[name].rows}" if DEFINITIONS[name].rows else ""
    limit = "" if study.kind in DEFINITIONS[name].kinds else ", and a contractual study"
    return " and ".join(parts) + rows + limit


def list_missing(name: str, study: Study, tables: dict) -> list[str]:
    """Return the tables and columns that an indicator needs and a study lacks."""
    needs = [need.partition(".") for need in DEFINITIONS[name].needs[study.kind]]
    missing = [
        table + dot + column
        for table, dot, column in needs
        if table not in tables or (column and column not in tables[table].columns)
    ]
    return missing if study.kind in DEFINITIONS[name].kinds else [*missing, "a contractual study"]


def definitions_table(study: Study) -> pd.DataFrame:
    """Return every indicator's definition for the kind of the study.

    Returns
    -------
    DataFrame with columns indicator, title, definition, numerator, denominator, unit, interval,
    better, needs, charted
        One row per indicator, in the order of ``DEFINITIONS``; ``describe_terms`` explains the
        terms they share.
    """
    fields = ("title", "definition", "numerator", "denominator", "unit")
    rows = [
        {"indicator": name}
        | {field: fill_in(study, getattr(spec, field)) for field in fields}
        | {
            "interval": INTERVALS[spec.estimate],
            "better": spec.better,
            "needs": describe_needs(name, study),
        }
        for name, spec in DEFINITIONS.items()
    ]
    return pd.DataFrame(rows).assign(charted=[is_charted(name, study) for name in DEFINITIONS])


def require_targets(study: Study) -> None:
    """Refuse targets for indicators that don't exist.

    Raises
    ------
    StudyError
        One sentence with the unknown names and those that are known.
    """
    unknown = [name for name in study.lifecycle.targets if name not in DEFINITIONS]
    if unknown:
        place = show_path(study.folder / "study.yml")
        raise StudyError(
            f"{place}, key lifecycle.targets: expected names among {', '.join(DEFINITIONS)},"
            f" got {', '.join(map(repr, unknown))}; correct the spelling"
        )

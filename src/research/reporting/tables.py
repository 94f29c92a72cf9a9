"""Result tables as people read them: plain headings, units and intervals (great_tables)."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from great_tables import GT, loc, style
from IPython.display import Markdown

from research.reporting.format import join_words, write_number
from research.reporting.metric import REGISTERED, find_metric

HEADINGS = {
    "duplicates": "exact duplicates",
    "first": "first day",
    "last": "last day",
    "checked": "checks",
    "broken": "checks failed",
    "missing_share": "missing",
    "empty_share": "empty",
    "commonest_share": "with the commonest value",
    "window_days": "window, days",
    "when_nothing": "without any row",
    "history_days": "history, days",
    "too_long": "windows longer than it",
    "distinct": "distinct values",
    "days_before_snapshot": "days before the snapshot",
    "days_before_data_end": "days before the data end",
    "left_in_lead": "left before the team could act",
    "churn_share": "churn",
    "listed": "customers listed",
    "found_share": "churners found",
    "low_share": "from",
    "high_share": "to",
    "random_churners": "randomly, on average",
    "low": "from",
    "high": "to",
    "origin": "from stage",
    "finished": "ended",
    "median_days": "median, days",
    "low_days": "from",
    "high_days": "to",
    "longest_days": "longest observed, days",
    "recency_days": "days since the last",
    "frequency_days": "days in a year",
    "monetary": "spent in a year",
    "monetary_share": "of all spending",
    "age_months": "age, months",
    "difference_low": "from",
    "difference_high": "to",
    "early_share": "earlier half",
    "late_share": "later half",
    "alive_share": "alive",
    "risk_share": "risk",
    "no_purchase_share": "no purchase, by the model of purchases",
    "jaccard": "found again in halves (Jaccard)",
    "words": "description",
    "positive": "rated high",
    "positive_share": "scored high",
}
OF_SHARES = (
    "low",
    "high",
    "difference",
    "difference_low",
    "difference_high",
)  # shares too, in a table that has shares
P_VALUES = ("p_value", "p_adjusted")


def show(
    table: pd.DataFrame,
    note: str = "",
    bold: str | None = None,
    empty: str = "",
    once: bool = False,
) -> GT | Markdown:
    """Return a table for a report: whole numbers grouped, shares as percentages, dates as ISO.

    Missing values are shown as blank cells.

    Parameters
    ----------
    table : DataFrame
        Columns that end in ``share`` hold shares between 0 and 1. The headings are those of
        ``HEADINGS`` and of registered scores, else the column's own name with spaces.
    note : text below the table
    bold : value of the first column whose row stands out, optional
    empty : sentence that is shown in place of a table without rows
    once : whether rows that differ in the first column only are one row, which names them all
    """
    if empty and not len(table):
        return Markdown(empty)
    if once:
        table, bold = _merge_twins(table, bold)
    headings = {column: _write_heading(column) for column in table.columns}
    gt = (
        GT(table.reset_index(drop=True))
        .cols_label(**headings)
        .sub_missing(missing_text="")
        .opt_row_striping(row_striping=False)
    )
    gt = _format(gt, table).tab_options(
        table_font_size="14px",
        table_margin_left="0",
        container_overflow_x="auto",
        data_row_padding="5px",
    )
    if bold is not None:
        rows = [i for i, value in enumerate(table.iloc[:, 0]) if value == bold]
        gt = gt.tab_style(style.text(weight="bold"), loc.body(rows=rows))
    return gt.tab_source_note(note) if note else gt


def _write_heading(column: str) -> str:
    metric = REGISTERED.get(column)
    return HEADINGS.get(column, metric.words if metric else column.replace("_", " "))


def _format(gt: GT, table: pd.DataFrame) -> GT:
    texts = [name for name in table if table[name].map(type).eq(str).any()]  # dashes among them
    shares = [name for name in table if name.endswith("share") and name not in texts]
    shares += [column for column in OF_SHARES if shares and column in table.columns]
    dates = list(table.select_dtypes("datetime"))
    gt = gt.fmt_percent(shares, decimals=1) if shares else gt
    gt = gt.fmt_date(dates, date_style="iso") if dates else gt
    chances = [column for column in P_VALUES if column in table.columns]
    gt = gt.fmt(_write_chance, columns=chances) if chances else gt
    for column in table.select_dtypes("number").columns.difference([*shares, *chances]):
        decimals = _count_decimals(table[column])
        gt = gt.fmt_number([column], decimals=decimals) if decimals else gt.fmt_integer([column])
    return gt


def _write_chance(p: float) -> str:
    return "" if pd.isna(p) else "&lt; 0.001" if p < 0.001 else f"{p:.3f}"


def _count_decimals(values: pd.Series) -> int:
    """Return how many decimals a column needs.

    None for whole and for large numbers, as many as it has up to two, else three.
    """
    known = values.dropna().astype(float)
    if known.abs().max() >= 1000:
        return 0
    return next(
        (
            decimals
            for decimals in (0, 1, 2)
            if np.allclose(known.round(decimals), known, rtol=1e-6, atol=0, equal_nan=True)
        ),
        3,
    )


def stack(interval: str) -> str:
    """Return ``0.850 (0.841 to 0.859)`` as two lines of a cell, the interval small below."""
    return interval.replace(" (", "<br><small>").replace(")", "</small>")


def show_ranges(
    table: pd.DataFrame,
    columns: Sequence[str],
    note: str = "",
    bold: str | None = None,
    empty: str = "",
    once: bool = False,
) -> GT | Markdown:
    """Return a table whose ``columns`` are cells of ``write_range``; see ``show``."""
    if empty and not len(table):
        return Markdown(empty)
    cells = [column for column in columns if column in table]
    return (
        show(table, note=note, bold=bold, once=once)
        .fmt(lambda cell: cell, columns=cells)
        .cols_align("right", columns=cells)
    )


def _write_score(row) -> str:
    if not np.isfinite(row.value):
        return "–"
    digits = find_metric(row.metric).digits
    value, low, high = (write_number(number, digits) for number in (row.value, row.low, row.high))
    return f"{value}<br><small>{low} to {high}</small>"


def show_scores(
    scores: pd.DataFrame,
    metrics: Sequence[str] | None = None,
    note: str = "",
    bold: str | None = None,
    empty: str = "",
) -> GT | Markdown:
    """Return a long score table with models as rows and scores as columns.

    Each score has its 95 % confidence interval below. Models with the same scores to every digit,
    such as one whose search of settings kept those it had, are one row.

    Parameters
    ----------
    scores : DataFrame with columns model, family, metric, value, low, high
        Several rows of one model and metric are not allowed: choose one reference before showing
        differences.
    empty : sentence that is shown in place of a table without rows
    """
    if scores.empty:
        return show(scores, empty=empty)
    names = [*scores.metric.unique()] if metrics is None else [*metrics]
    rows = scores[scores.metric.isin(names)]
    twins = _find_twins(rows)
    cells = rows.assign(cell=[_write_score(row) for row in rows.itertuples()]).pivot(
        index="model", columns="metric", values="cell"
    )
    words = {name: find_metric(name).words for name in names}
    table = cells.loc[[*twins], names].rename(columns=words).reset_index()
    table["model"] = table.model.map(_name_twins(twins))
    bold = _find_name(bold, twins)
    gt = show(table, note=note, bold=bold)
    return gt.fmt(lambda cell: cell, columns=[*words.values()]).cols_align(
        "right", columns=[*words.values()]
    )


def _merge_twins(table: pd.DataFrame, bold: str | None) -> tuple[pd.DataFrame, str | None]:
    """Return the table without rows that repeat another's cells, and the name that is bold."""
    names, cells = table.iloc[:, 0], [*table.columns[1:]]
    place = table.groupby(cells, dropna=False, sort=False).ngroup().to_numpy()
    twins = {part.iloc[0]: [*part.iloc[1:]] for _, part in names.groupby(place, sort=False)}
    merged = table[~table.duplicated(cells)]
    named = merged.iloc[:, 0].map(_name_twins(twins))
    return merged.assign(**{str(table.columns[0]): named}), _find_name(bold, twins)


def _find_name(name: str | None, twins: dict[str, list[str]]) -> str | None:
    """Return how the row of a model is named, see ``_name_twins``."""
    named = _name_twins(twins)
    return next((named[first] for first in twins if name in [first, *twins[first]]), name)


def _find_twins(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Return each model with those after it that have the same scores and intervals."""
    numbers = rows.set_index(["model", "metric"])[["value", "low", "high"]].unstack()
    numbers = numbers.loc[rows.model.unique()]
    first = numbers.fillna(np.inf).groupby([*numbers], sort=False).ngroup()
    return {names.index[0]: [*names.index[1:]] for _, names in first.groupby(first, sort=False)}


def _name_twins(twins: dict[str, list[str]]) -> dict[str, str]:
    return {
        name: f"{name} (the same: {join_words(others)})" if others else name
        for name, others in twins.items()
    }


@dataclass(frozen=True)
class Folds:
    """Tables behind headings that open them, as HTML that a notebook shows."""

    html: str

    def _repr_html_(self) -> str:
        return self.html


def show_folded(table: pd.DataFrame, by: str, rows: str = "rows") -> Folds:
    """Return a long table as one fold per value of a column, in their order.

    A click opens a fold, without a script.

    Parameters
    ----------
    rows : what the rows are, in the plural
    """
    parts = table.groupby(by, sort=False)
    folds = [
        (
            html.escape(f"{name}: {len(part)} {rows if len(part) > 1 else rows.removesuffix('s')}"),
            show(part.drop(columns=by)).as_raw_html(),
        )
        for name, part in parts
    ]
    return Folds(
        "\n".join(f"<details><summary>{title}</summary>{body}</details>" for title, body in folds)
    )


def show_facts(facts: pd.DataFrame, note: str = "") -> GT:
    """Return the run facts as a small table without headings, with a note below it."""
    return show(facts, note=note).tab_options(column_labels_hidden=True)


def blank_repeats(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return a table in which a column names a value once where it repeats from row to row."""
    return table.assign(**{column: table[column].where(table[column] != table[column].shift(), "")})

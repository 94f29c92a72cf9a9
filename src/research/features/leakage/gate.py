"""The leak gate: columns that know the outcome, and why they are kept out of the models.

A leak is a column whose value was set because the customer left or was treated, or that names the
customer. What the gate excludes can only lower a model's score, and study.yml overrules it by name
and with a reason (``leaks.keep``, ``leaks.drop``).
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from research.data.contracts import RESERVED, Tables
from research.errors import StudyError
from research.features.build import list_features
from research.features.leakage.binning import View, cut_groups, view_groups
from research.features.leakage.identifiers import LEAST_CUSTOMERS, names_customers
from research.features.leakage.interactions import (
    count_cells,
    divide,
    find_combinations,
    measure_areas,
)
from research.features.leakage.post_outcome import (
    ARM,
    find_after_leaving,
    find_after_treatment,
    load_reference_population,
)
from research.panel.splits import plan_split
from research.study import Study

SEPARATION_AUC = 0.95  # one column alone; honest single columns of churn data stay below .85
LEAST_OF_CLASS = 10
PURE_CHANCE = 1e-6  # a group of churners only must be this improbable if the column knew nothing
# ... and hold so many, or half of all leavers: at an honest risk of 97 %, one group in a hundred
# leaves whole
HONEST_CUSTOMERS = 150
RATE_GROUPS = 50
Finding = tuple[str, str]


@dataclass(frozen=True)
class Leakage:
    """What the leakage checks say of a panel: the feature columns that were checked, and the
    findings with a decision on each; see ``check_leakage``.
    """

    columns: list[str]
    findings: pd.DataFrame

    @property
    def excluded(self) -> list[str]:
        """Columns that no model may use, in the order of the findings."""
        return [*self.findings.column[self.findings.decision == "excluded"]]

    @property
    def allowed(self) -> list[str]:
        """Feature columns that models may use, in the order of the panel."""
        return allowed_features(self.columns, self.findings)


def check_panel(
    tables: Tables, study: Study, train: pd.DataFrame, first_judged_day: date | None = None
) -> Leakage:
    """Check every feature of a training panel for leakage.

    The one rule about the day: everybody known at the first judged day is looked at, gone or not.
    It is the day by which all training labels are known (``known_by`` of ``load_panel``), so the
    checks see nothing that the models may not see.

    Parameters
    ----------
    tables : contract tables, unfiltered
    study : a flat study has no days: the checks see ``train`` alone
    train : see ``build.load_panel`` and ``build.load_flat``
        Rows to learn from, one per snapshot and customer, or one per customer of a flat study.
    first_judged_day : day, the first test snapshot of the study's own split unless given
        Given where the rows that are judged begin on another day than those of the split, as when
        the durations need an earlier follow-up, or the customers of a chosen snapshot are valued.

    Returns
    -------
    Leakage with ``columns``, ``findings``, ``allowed`` and ``excluded``

    Raises
    ------
    StudyError
        See ``check_leakage``.
    """
    if first_judged_day is None and study.kind != "flat":
        first_judged_day = min(plan_split(study).test)
    columns = list_features(train, study)
    everyone = load_reference_population(tables, study, first_judged_day)
    return Leakage(columns, check_leakage(train, columns, study, everyone))


def check_leakage(
    frame: pd.DataFrame, features: Sequence[str], study: Study, everyone: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Judge every feature column: alone, against who has left and who was treated already, and in
    small combination.

    Parameters
    ----------
    frame : DataFrame with customer_id, churned, optionally left_in_lead, leaves_in_data and arm,
        and the features
        Training rows; ``leaves_in_data`` (the customer left at any time before the data end) shows
        columns written later than the horizon.
    features : columns to judge
    everyone : see ``traces.load_reference_population``; without it, attributes written at leaving or by a
        campaign show only where they tell of churn

    Returns
    -------
    DataFrame with columns column, evidence, reason, decision
        One row per suspicious or overruled column; ``decision`` is kept or excluded. Empty where
        nothing was found.

    Raises
    ------
    StudyError
        If study.yml keeps or drops a column that is no feature: misspelt, the rule would do
        nothing.
    """
    _require_known(features, study)
    traces = _find_traces(frame, features, everyone)
    rows = _prepare(frame)
    found = {
        column: finding
        for column in features
        if (finding := _suspect(rows, column) or traces.get(column))
    }
    found |= _find_together(
        frame, [column for column in features if column not in {*found, *study.leaks.drop}], study
    )
    table = pd.DataFrame(
        [(column, *found[column]) for column in found], columns=["column", "evidence", "reason"]
    ).assign(decision="excluded")
    return _overrule(table, features, study)


def _require_known(features: Sequence[str], study: Study) -> None:
    wrong = [name for name in (*study.leaks.keep, *study.leaks.drop) if name not in features]
    if wrong:
        hints = [
            (
                f"{name} (did you mean {close[0]}?)"
                if (close := difflib.get_close_matches(name, features, n=1))
                else name
            )
            for name in wrong
        ]
        raise StudyError(
            f"study.yml, key leaks: expected names of features, got {', '.join(hints)}; correct"
            " or remove them"
        )


@dataclass(frozen=True)
class Rows:
    """What all columns are judged against, computed once.

    ``customers`` numbers them, ``first`` are the places of each one's first row, ``part`` divides
    the rows by fold and class. ``never_back`` marks rows of who never left before: who came back
    keeps the traces. ``outcomes`` are words, who of those left, and how many customers.
    """

    frame: pd.DataFrame
    customers: np.ndarray
    first: np.ndarray
    part: np.ndarray
    never_back: np.ndarray
    outcomes: tuple[tuple[str, np.ndarray, int], ...]


def _prepare(frame: pd.DataFrame) -> Rows:
    customers = pd.factorize(frame.customer_id)[0]
    never_back = (
        (frame.n_earlier_spells == 0).to_numpy()
        if "n_earlier_spells" in frame
        else np.ones(len(frame), dtype=bool)
    )
    outcomes = tuple(
        (words, left, len(np.unique(customers[never_back][left])))
        for words, left in _list_outcomes(frame[never_back])
    )
    return Rows(
        frame,
        customers,
        np.unique(customers, return_index=True)[1],
        divide(frame),
        never_back,
        outcomes,
    )


def _list_outcomes(frame: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """Yield who churned in the window, and who left ever; most customers leave at some time in some
    studies, which then says nothing.
    """
    for outcome, words in (
        ("churned", "churn in the window"),
        ("leaves_in_data", "leave before the data end"),
    ):
        if outcome in frame and (outcome == "churned" or frame[outcome].mean() <= 0.5):
            yield words, (frame[outcome].astype(bool) | frame.get("left_in_lead", False)).to_numpy()


def _suspect(rows: Rows, column: str) -> Finding | None:
    return (
        _find_identifier(rows, column)
        or _find_separation(rows, column)
        or _find_pure_group(rows, column)
    )


def _find_identifier(rows: Rows, column: str) -> Finding | None:
    """Look for a column that names or numbers customers; one that changes from snapshot to snapshot
    of a customer doesn't.
    """
    values = rows.frame[column].iloc[rows.first]
    if (
        column in RESERVED
        or not names_customers(values)
        or rows.frame[column].groupby(rows.customers).nunique().max() > 1
    ):
        return None
    values = values.dropna()
    return (
        f"{values.nunique():,} distinct values for {len(values):,} customers",
        "identifier: it names the customer and says nothing of the next one",
    )


def _find_separation(rows: Rows, column: str) -> Finding | None:
    churned = rows.part % 2
    if min(churned.sum(), (1 - churned).sum()) < LEAST_OF_CLASS:
        return None
    codes = _group(rows.frame[column])
    area = measure_areas(count_cells(rows.part, codes, codes.max() + 1)[None])[0]
    if area < SEPARATION_AUC:
        return None
    return (
        f"AUC {area:.3f} alone, cross-validated",
        "separation: one column tells churners from the others almost perfectly",
    )


def _group(values: pd.Series) -> np.ndarray:
    """Return numbers of groups, one for every text and for every range of numbers, an empty value
    being a group of its own.
    """
    return (
        pd.factorize(values, use_na_sentinel=False)[0]
        if values.dtype == object
        else cut_groups(values, RATE_GROUPS)
    )


def _find_pure_group(rows: Rows, column: str) -> Finding | None:
    """Look for a value that only customers who leave have, in the label window or ever."""
    customers, views = (
        rows.customers[rows.never_back],
        [*view_groups(rows.frame[column][rows.never_back], column)],
    )
    for words, left, leavers in rows.outcomes:
        sizes = pd.concat([_count_pure(view, customers, left) for view in views])
        pure = sizes[sizes >= _require_size(left.mean(), leavers, len(sizes))]
        if len(pure):
            return (
                f"all {pure.max():,} customers with {pure.idxmax()} {words}",
                "present only for churners: the value was written because they left",
            )
    return None


def _count_pure(view: View, customers: np.ndarray, left: np.ndarray) -> pd.Series:
    """Return the number of customers of every group in which all leave, by its words."""
    inside = view.codes >= 0
    stay = np.bincount(view.codes[inside & ~left], minlength=len(view.labels))
    rows = np.bincount(view.codes[inside], minlength=len(view.labels))
    pure = np.flatnonzero((stay == 0) & (rows >= LEAST_CUSTOMERS))
    return pd.Series(
        {view.labels[group]: len(np.unique(customers[view.codes == group])) for group in pure},
        dtype="int64",
    )


def _require_size(share: float, leavers: int, groups: int) -> float:
    """Return how many customers a group that leaves whole must hold to be too large for luck and
    for an honest high risk.

    It must be too improbable for a column that knows nothing, and hold 150 customers or half of all
    leavers: a small group that happens to leave whole can be an honest one at a risk of 95 %.
    """
    chance = np.log(PURE_CHANCE / max(groups, 1)) / np.log(min(max(share, 1e-12), 1 - 1e-12))
    return max(LEAST_CUSTOMERS, chance, min(HONEST_CUSTOMERS, leavers / 2))


def _find_traces(
    frame: pd.DataFrame, features: Sequence[str], everyone: pd.DataFrame | None
) -> dict[str, Finding]:
    """Judge attributes without a date: those of ``everyone``, or all features of a flat study that
    has arms.
    """
    if everyone is not None:
        columns = [column for column in features if column in everyone]
        arms = [column for column in everyone if column.startswith(ARM)]
        return find_after_treatment(everyone, columns, arms) | find_after_leaving(everyone, columns)
    return (
        find_after_treatment(frame, [*features], ["arm"])
        if "arm" in frame and "snapshot" not in frame
        else {}
    )


def _find_together(frame: pd.DataFrame, columns: list[str], study: Study) -> dict[str, Finding]:
    """Judge what is left in twos and threes; a partner that study.yml keeps is named too, so that
    its evidence stays visible.
    """
    found: dict[str, Finding] = {}
    for column, partners, area in find_combinations(frame, columns, {*study.leaks.keep}):
        reason = (
            f"separation together: {'neither tells' if len(partners) == 1 else 'none tells'} alone"
            " what they tell together; without it, they don't"
        )
        for member in (column, *(partner for partner in partners if partner in study.leaks.keep)):
            others = " and ".join(name for name in (column, *partners) if name != member)
            found.setdefault(
                member, (f"AUC {area:.3f} together with {others}, cross-validated", reason)
            )
    return found


def _overrule(table: pd.DataFrame, features: Sequence[str], study: Study) -> pd.DataFrame:
    for column, reason in study.leaks.keep.items():
        table.loc[table.column == column, ["reason", "decision"]] = [
            f"study.yml keeps it: {reason}",
            "kept",
        ]
    dropped = [
        (column, "named in study.yml", reason, "excluded")
        for column, reason in study.leaks.drop.items()
        if column in features
    ]
    table = table[~table.column.isin([row[0] for row in dropped])]
    return pd.concat([table, pd.DataFrame(dropped, columns=table.columns)], ignore_index=True)


def allowed_features(features: Sequence[str], leaks: pd.DataFrame) -> list[str]:
    """Return the features that the gate doesn't exclude."""
    excluded = {*leaks[leaks.decision == "excluded"].column}
    return [column for column in features if column not in excluded]

"""The leakage checks of a panel: columns that know the outcome, and why models may not use them.

A column leaks the target if its value was written because the customer left or was treated, or if
it identifies the customer. What is excluded can only lower a model's score, and study.yml overrules
it by name and with a reason (``leaks.keep``, ``leaks.drop``).
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from research.data.contracts import Tables
from research.errors import StudyError
from research.features.build import list_features
from research.features.leakage.as_of_export import find_as_of_export, load_lives
from research.features.leakage.findings import Finding
from research.features.leakage.interactions import find_combinations
from research.features.leakage.post_outcome import find_post_outcome, load_reference_population
from research.features.leakage.single_column import check_column, prepare_rows
from research.panel.splits import plan_split
from research.store.keep import keep
from research.study import Study

EXCLUDED, KEPT = "excluded", "kept"  # decisions on a column


@dataclass(frozen=True)
class Leakage:
    """What the leakage checks found in a panel.

    Attributes
    ----------
    columns : the feature columns that were checked, in the order of the panel
    findings : one row per suspected or overruled column, with a decision; see ``check_leakage``
    """

    columns: list[str]
    findings: pd.DataFrame

    @property
    def excluded(self) -> list[str]:
        """Columns that no model may use, in the order of the findings."""
        return [*self.findings.column[self.findings.decision == EXCLUDED]]

    @property
    def allowed(self) -> list[str]:
        """Feature columns that models may use, in the order of the panel."""
        return allowed_features(self.columns, self.findings)


@keep
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
        durations need an earlier follow-up, or the customers of a chosen snapshot are valued.

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
    reference = load_reference_population(tables, study, first_judged_day)
    lives = load_lives(tables, study)
    return Leakage(columns, check_leakage(train, columns, study, reference, lives))


def check_leakage(
    frame: pd.DataFrame,
    features: Sequence[str],
    study: Study,
    reference: pd.DataFrame | None = None,
    lives: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Check every feature column: alone, against who has left and who was treated already, against
    how long customers stay, and in small combination.

    Parameters
    ----------
    frame : DataFrame with customer_id, churned, optionally left_in_lead, leaves_in_data and arm,
        and the features
        Training rows; ``leaves_in_data`` (the customer left at any time before the data end) shows
        columns written later than the horizon.
    features : columns to check
    reference : see ``post_outcome.load_reference_population``
        Without it, attributes written at leaving or by a campaign show only where they predict
        churn.
    lives : see ``as_of_export.load_lives``
        Without it, attributes written until the export show only so too.

    Returns
    -------
    DataFrame with columns column, evidence, reason, decision
        One row per suspected or overruled column; ``decision`` is kept or excluded. Empty where
        nothing was found.

    Raises
    ------
    StudyError
        If study.yml keeps or drops a column that is no feature: misspelt, the rule would do
        nothing.
    """
    _require_known(features, study)
    frame = _add_class(frame)
    rows = prepare_rows(frame)
    written_later = find_as_of_export(lives, features)
    written_later |= find_post_outcome(frame, features, reference, study.experiment.unit)
    findings = {
        column: finding
        for column in features
        if (finding := check_column(rows, column) or written_later.get(column))
    }
    others = [column for column in features if column not in {*findings, *study.leaks.drop}]
    findings |= _check_combinations(frame, others, study)
    table = pd.DataFrame(
        [(column, *finding) for column, finding in findings.items()],
        columns=["column", "evidence", "reason"],
    ).assign(decision=EXCLUDED)
    return _overrule(table, features, study)


def _add_class(frame: pd.DataFrame) -> pd.DataFrame:
    """Give an experiment without churn the class that columns must not know: no outcome, where that
    is 0 or 1; else nobody's, and nothing is looked for.
    """
    if "churned" in frame:
        return frame
    binary = "outcome" in frame and frame.outcome.isin([0, 1]).all()
    return frame.assign(churned=frame.outcome == 0 if binary else False)


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


def _check_combinations(
    frame: pd.DataFrame, columns: list[str], study: Study
) -> dict[str, Finding]:
    """Check the other columns in twos and threes.

    A partner that study.yml keeps is named too, so that its evidence stays visible.
    """
    findings: dict[str, Finding] = {}
    for column, partners, area in find_combinations(frame, columns, {*study.leaks.keep}):
        reason = (
            f"separation together: {'neither' if len(partners) == 1 else 'none'} separates alone"
            " what they separate together; without this one, they don't"
        )
        for member in (column, *(partner for partner in partners if partner in study.leaks.keep)):
            others = " and ".join(name for name in (column, *partners) if name != member)
            evidence = f"AUC {area:.3f} together with {others}, cross-validated"
            findings.setdefault(member, Finding(evidence, reason))
    return findings


def _overrule(table: pd.DataFrame, features: Sequence[str], study: Study) -> pd.DataFrame:
    """Apply what study.yml keeps and drops."""
    for column, reason in study.leaks.keep.items():
        decision = [f"study.yml keeps it: {reason}", KEPT]
        table.loc[table.column == column, ["reason", "decision"]] = decision
    dropped = [
        (column, "named in study.yml", reason, EXCLUDED)
        for column, reason in study.leaks.drop.items()
        if column in features
    ]
    table = table[~table.column.isin([row[0] for row in dropped])]
    return pd.concat([table, pd.DataFrame(dropped, columns=table.columns)], ignore_index=True)


def allowed_features(features: Sequence[str], findings: pd.DataFrame) -> list[str]:
    """Return the features that no finding excludes."""
    excluded = {*findings[findings.decision == EXCLUDED].column}
    return [column for column in features if column not in excluded]

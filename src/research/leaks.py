"""The leak gate: columns that know the outcome, and why they are kept out of the models.

A leak is a column whose value was set because the customer left, or that names the customer. The gate looks for three signs; what it
excludes can only lower a model's score, and study.yml overrules it by name and with a reason (``leaks.keep``, ``leaks.drop``).
"""

import difflib
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from research.studies import Study, StudyError

SEPARATION_AUC = 0.95  # one column alone; honest single columns of churn data stay below .85
PURE_CUSTOMERS = 20  # a group of churners only must hold at least so many customers
PURE_CHANCE = 1e-6  # ... be this improbable if the column knew nothing
HONEST_CUSTOMERS = 150  # ... and hold so many, or half of all leavers: at an honest risk of 97 %, one group in a hundred leaves whole
UNIQUE_SHARE = 0.95  # text with this share of distinct values names customers
BINS = 10
RATE_GROUPS = 50


def find_leaks(frame: pd.DataFrame, features: Sequence[str], study: Study) -> pd.DataFrame:
    """Judge every feature column.

    Parameters
    ----------
    frame : DataFrame with customer_id, churned, optionally left_in_lead and event, and the features
        Training rows; ``event`` (the customer left at any time before the data end) shows columns written later than the horizon.
    features : columns to judge

    Returns
    -------
    DataFrame with columns column, evidence, reason, decision
        One row per suspicious or overruled column; ``decision`` is kept or excluded. Empty where nothing was found.

    Raises
    ------
    StudyError
        If study.yml keeps or drops a column that is no feature: misspelt, the rule would do nothing.
    """
    _require_known(features, study)
    found = [(column, *finding) for column in features if (finding := _suspect(frame, column))]
    table = pd.DataFrame(found, columns=["column", "evidence", "reason"]).assign(decision="excluded")
    return _overrule(table, features, study)


def _require_known(features: Sequence[str], study: Study) -> None:
    wrong = [name for name in (*study.leaks.keep, *study.leaks.drop) if name not in features]
    if wrong:
        hints = [f"{name} (did you mean {close[0]}?)" if (close := difflib.get_close_matches(name, features, n=1)) else name for name in wrong]
        raise StudyError(f"study.yml, key leaks: required names of features, arrived {', '.join(hints)}; correct or remove them")


def _suspect(frame: pd.DataFrame, column: str) -> tuple[str, str] | None:
    return _find_identifier(frame, column) or _find_separation(frame, column) or _find_pure_group(frame, column)


def _find_identifier(frame: pd.DataFrame, column: str) -> tuple[str, str] | None:
    customers = frame.drop_duplicates("customer_id")
    values = customers[column].dropna()
    if values.dtype != object or len(values) < PURE_CUSTOMERS or values.nunique() < UNIQUE_SHARE * len(values):
        return None
    return f"{values.nunique():,} distinct values for {len(values):,} customers", "identifier: it names the customer and says nothing of the next one"


def _find_separation(frame: pd.DataFrame, column: str) -> tuple[str, str] | None:
    if min(frame.churned.sum(), (~frame.churned).sum()) < BINS:
        return None
    area = _single_column_auc(frame, column)
    if area < SEPARATION_AUC:
        return None
    return f"AUC {area:.3f} alone, cross-validated", "separation: one column tells churners from the others almost perfectly"


def _single_column_auc(frame: pd.DataFrame, column: str) -> float:
    """Return the AUC of churn shares per group of values, learned on other customers (five folds by customer)."""
    values, churned = frame[column], frame.churned.to_numpy(float)
    many = values.dtype != object and values.nunique() > RATE_GROUPS
    groups, count = _encode(pd.qcut(values, RATE_GROUPS, duplicates="drop") if many else values)
    folds = pd.util.hash_array(frame.customer_id.astype(str).to_numpy(object)) % 5
    risk = np.empty(len(frame))
    for fold in range(5):
        rest = folds != fold
        churners, rows = np.bincount(groups[rest], churned[rest], count), np.bincount(groups[rest], minlength=count)
        risk[~rest] = ((churners + churned[rest].mean()) / (rows + 1))[groups[~rest]]
    return roc_auc_score(frame.churned, risk)


def _encode(values: pd.Series) -> tuple[np.ndarray, int]:
    """Return group numbers, an empty value being a group of its own, and how many groups there are."""
    codes, uniques = pd.factorize(values, use_na_sentinel=False)
    return codes, len(uniques)


def _find_pure_group(frame: pd.DataFrame, column: str) -> tuple[str, str] | None:
    """Look for a value that only customers who leave have, in the label window or ever; who came back has left before and is set aside.

    Most customers leave at some time in some studies, so "ever" is asked only where at most half of them do.
    """
    if "n_earlier_spells" in frame:
        frame = frame[frame.n_earlier_spells == 0]
    for outcome, words in (("churned", "churn in the window"), ("event", "leave before the data end")):
        if outcome in frame and (outcome == "churned" or frame.event.mean() <= 0.5):
            left = frame[outcome].astype(bool) | frame.get("left_in_lead", False)
            group = _largest_pure_group(frame, column, left)
            if group is not None:
                return f"all {group[1]:,} customers with {group[0]} {words}", "present only for churners: the value was written because they left"
    return None


def _largest_pure_group(frame: pd.DataFrame, column: str, left: pd.Series) -> tuple[str, int] | None:
    """Return the largest group of values that only leavers have, if it is too large for luck and for an honest high risk.

    It must be too improbable for a column that knows nothing, and hold 150 customers or half of all leavers: a small group that happens to
    leave whole can be an honest one at a risk of 95 %.
    """
    found = [_list_pure_groups(frame.customer_id, left, groups) for groups in _view_groups(frame[column], column)]
    pure = pd.concat([table[table.index.notna()] for table in found])
    chance = np.log(PURE_CHANCE / max(len(pure), 1)) / np.log(min(max(left.mean(), 1e-12), 1 - 1e-12))
    least = max(PURE_CUSTOMERS, chance, min(HONEST_CUSTOMERS, frame.customer_id[left].nunique() / 2))
    pure = pure[pure >= least]
    return (str(pure.idxmax()), int(pure.max())) if len(pure) else None


def _list_pure_groups(customers: pd.Series, left: pd.Series, groups: pd.Series) -> pd.Series:
    """Return the number of customers of every group in which all leave."""
    table = pd.DataFrame({"group": groups, "customer": customers, "left": left}).groupby("group", observed=True)
    sizes = table.agg(all=("left", "all"), size=("customer", "nunique"))
    return sizes[sizes["all"]]["size"]


def _view_groups(values: pd.Series, column: str) -> Iterator[pd.Series]:
    """Yield rows in groups, in words: with a value or without, like the commonest value or other, and value by value or range by range."""
    yield values.notna().map({True: f"any {column}", False: f"no {column}"})
    if values.notna().any():
        common = values.mode().iloc[0]
        yield values.eq(common).map({True: f"{column} = {common}", False: f"{column} other than {common}"}).where(values.notna())
        few = values.nunique() <= (50 if values.dtype == object else BINS)
        if few or values.dtype != object:
            ranges = values.astype(str) if few else pd.qcut(values, BINS, duplicates="drop").astype(str)
            yield (f"{column} = " if few else f"{column} in ") + ranges.where(values.notna())


def _overrule(table: pd.DataFrame, features: Sequence[str], study: Study) -> pd.DataFrame:
    for column, reason in study.leaks.keep.items():
        table.loc[table.column == column, ["reason", "decision"]] = [f"study.yml keeps it: {reason}", "kept"]
    dropped = [(column, "named in study.yml", reason, "excluded") for column, reason in study.leaks.drop.items() if column in features]
    table = table[~table.column.isin([row[0] for row in dropped])]
    return pd.concat([table, pd.DataFrame(dropped, columns=table.columns)], ignore_index=True)


def keep_honest(features: Sequence[str], leaks: pd.DataFrame) -> list[str]:
    """Return the features that the gate doesn't exclude."""
    excluded = {*leaks[leaks.decision == "excluded"].column}
    return [column for column in features if column not in excluded]

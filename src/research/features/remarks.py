"""All remarks on a study's data: on its tables, its labels and its features."""

from collections.abc import Iterator

import pandas as pd

from research.data.contracts import Tables
from research.data.remark import Remark
from research.data.remarks import find_data_remarks, list_remarks
from research.features.leakage.gate import EXCLUDED, Leakage
from research.panel.remarks import find_panel_remarks
from research.study import Study

OVERRULE = "where you know better, say so under 'leaks' in study.yml"
RECONSIDER = "remove it under 'leaks' in study.yml where it was measured at or after leaving"


def find_remarks(
    tables: Tables, study: Study, train: pd.DataFrame, leakage: Leakage
) -> pd.DataFrame:
    """Return what may mislead in tables that passed every check.

    Parameters
    ----------
    tables : contract tables, unfiltered
    train : training rows with labels and features, see ``build.load_panel`` and ``load_flat``
    leakage : of these rows, see ``gate.check_panel``

    Returns
    -------
    DataFrame with columns place, found, remedy
        One row per remark; empty where nothing was found.
    """
    return list_remarks(_find_all(tables, study, train, leakage))


def _find_all(
    tables: Tables, study: Study, train: pd.DataFrame, leakage: Leakage
) -> Iterator[Remark]:
    yield from find_data_remarks(tables, study)
    yield from find_panel_remarks(tables, study, train)
    yield from find_leakage_remarks(leakage)


def find_leakage_remarks(leakage: Leakage) -> Iterator[Remark]:
    """Yield one remark for each feature that the leakage checks suspect, with the reason.

    What study.yml keeps is told too: its evidence stays.
    """
    for row in leakage.findings.itertuples():
        if row.decision == EXCLUDED:
            found, remedy = f"excluded for target leakage: {row.evidence}", OVERRULE
        else:
            found, remedy = f"suspected of target leakage and kept: {row.evidence}", RECONSIDER
        yield Remark(f"feature {row.column}", f"{found}; {row.reason}", remedy)

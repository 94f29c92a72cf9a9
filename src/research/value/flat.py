"""The value of customers in a flat study with a fee and a duration, by their survival."""

from datetime import date

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold

from research.data.contracts import Tables
from research.data.duplicates import find_first_twins, keep_together
from research.errors import NotApplicable, StudyError
from research.features.build import load_flat
from research.features.leakage.gate import check_panel
from research.models.survival_at_horizon import frame_outcome
from research.panel.periods import MEAN_MONTH_DAYS, MEAN_YEAR_DAYS
from research.study import Study
from research.survival.follow_up import (
    find_duration_proxies,
    find_longest_follow_up,
    require_leavers,
)
from research.survival.remaining_lifetime import fit_resampled
from research.survival.tenure import require_duration
from research.value.survival_value import (
    BOOSTED,
    CurveValues,
    make_survival_model,
    value_by_curves,
)
from research.value.valuation import Valuation, frame_values

UNIT_DAYS = {"days": 1.0, "weeks": 7.0, "months": MEAN_MONTH_DAYS, "years": MEAN_YEAR_DAYS}


def value_flat(
    tables: Tables, study: Study, snapshot: date | None, refits: int, folds: int, seed: int
) -> Valuation:
    """Value everybody of a flat study who is still there; see ``customers.value_customers``.

    Each by models fitted without the customer. ``snapshot`` is ignored.
    """
    frame, fee = _load_priced(tables, study)
    leakage = check_panel(tables, study, frame)
    proxies = find_duration_proxies(frame, leakage.columns)
    features = frame[[name for name in leakage.allowed if name not in proxies]]
    outcome = frame_outcome(frame.event if "event" in frame else frame.churned, frame.duration)
    require_leavers(outcome, "training")
    unit_days = UNIT_DAYS[study.duration_unit or "months"]
    span, reach = study.economics.value_days / unit_days, find_longest_follow_up(outcome)
    model = make_survival_model(reach, reach, seed)
    places, parts, scales = [], [], []
    drawn = KFold(folds, shuffle=True, random_state=seed).split(frame)
    for train, test in keep_together(drawn, find_first_twins(frame), folds):
        rows = test[~outcome["event"][test]]
        customers = frame.customer_id.iloc[train]
        fitted = fit_resampled(model, features.iloc[train], outcome[train], customers, refits, seed)
        lasted, margins = frame.duration.to_numpy(float)[rows], fee[rows] / MEAN_MONTH_DAYS
        places.append(rows)
        scales.append(fitted.scale)
        parts.append(
            value_by_curves(
                fitted, features.iloc[rows], span, lasted, margins, span, study, unit_days
            )
        )
    order = np.argsort(np.concatenate(places))
    joined = _join_folds(parts, order)
    customers = frame.customer_id.iloc[np.concatenate(places)[order]]
    return Valuation(
        frame_values(customers, joined.columns, joined.resampled, scales[0]),
        joined.resampled,
        joined.resampled_if_kept,
        scales[0],
        BOOSTED,
        study.economics.currency,
        leaks=leakage.findings,
    )


def _join_folds(parts: list[CurveValues], order: np.ndarray) -> CurveValues:
    """Return the values of all folds in the order of the customers.

    The refits of each fold are sorted by their sum, as if errors of the folds went together:
    intervals of sums are rather too wide than too narrow.
    """
    columns = {
        name: np.concatenate([part.columns[name] for part in parts])[order]
        for name in parts[0].columns
    }
    ranks = [np.argsort(part.resampled.sum(axis=1)) for part in parts]
    ranked = list(zip(parts, ranks, strict=True))
    return CurveValues(
        columns,
        np.concatenate([part.resampled[rank] for part, rank in ranked], axis=1)[:, order],
        np.concatenate([part.resampled_if_kept[rank] for part, rank in ranked], axis=1)[:, order],
    )


def _load_priced(tables: Tables, study: Study) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a flat study's rows with a duration, and the margin of each fee of a month."""
    column = study.economics.fee_column
    if column is None:
        raise NotApplicable(
            f"the study {study.name} has no prices: its study.yml names no fee_column under"
            " economics"
        )
    columns = tables["snapshot"].columns
    if column not in columns:
        raise StudyError(
            "study.yml, key economics.fee_column: expected a column of the snapshot, got"
            f" '{column}'; name one of {', '.join(columns)}"
        )
    require_duration(tables, study)
    frame = load_flat(tables, study).dropna(subset=["duration"]).reset_index(drop=True)
    fee = pd.to_numeric(frame[column], errors="coerce")
    if fee.isna().any() or (fee < 0).any():
        raise StudyError(
            f"column {column} of the snapshot: expected a fee of 0 or more in every row, got"
            f" {int((~(fee >= 0)).sum())} rows without one; correct the SQL"
        )
    return frame, study.economics.fee_margin * fee.to_numpy(float)

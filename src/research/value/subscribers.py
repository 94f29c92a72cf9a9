"""What customers under contract are worth, by the survival of their contracts: of dated studies,
and of flat ones with a fee and a duration.
"""

from datetime import date

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.model_selection import KFold

from research.data.contracts import Tables
from research.errors import NotApplicable, StudyError
from research.features.build import load_flat
from research.features.leakage.gate import check_panel
from research.models.survival_at_horizon import frame_outcome
from research.study import Study
from research.survival.follow_up import (
    KaplanMeier,
    find_duration_proxies,
    find_longest_follow_up,
    list_models,
    require_leavers,
)
from research.survival.remaining_lifetime import Refits, fit_resampled, predict_from
from research.value.valuation import FAMILY, Valuation, Holdout, frame_values
from research.value.contract_margins import (
    MONTH_DAYS,
    find_last_day,
    compute_margins,
    load_realised_margins,
    load_subscribers,
    require_fees,
)
from research.value.expected_value import value_contracts
from research.value.holdout import REFERENCE, ZERO

BOOSTED = "discrete hazard, boosted"
SAME = "the same curve for all"
EDGES = 6  # times at which the hazard of contracts may change, beside quantiles of the leaving days
GRID = 73  # days on which curves are told, for a year every fifth
UNIT_DAYS = {"days": 1.0, "weeks": 7.0, "months": MONTH_DAYS, "years": 365.25}


def _make_model(span: float, at: float, seed: int) -> BaseEstimator:
    """Return the boosted hazard, whose intervals end on the label window's last day and on even
    parts of the span.
    """
    days = tuple(
        np.unique(np.ceil([*np.linspace(0, span, EDGES + 1)[1:], min(at, span)]))
        .astype(int)
        .tolist()
    )
    return list_models(days, seed)[BOOSTED].estimator


def value_contractual(
    tables: Tables, study: Study, snapshot: date, refits: int, folds: int, seed: int
) -> Valuation:
    """Value everybody under contract at the snapshot; ``folds`` doesn't matter here. See
    ``value_customers``.
    """
    require_fees(tables, study)
    panel, span, window = (
        load_subscribers(tables, study, snapshot),
        study.economics.value_days,
        study.churn.lead_days + study.churn.horizon_days,
    )
    model = _make_model(span, window, seed)
    fitted = fit_resampled(
        model, panel.train[panel.honest], panel.outcome, panel.train.customer_id, refits, seed
    )
    margins, days = (
        compute_margins(tables, study, panel.present, snapshot),
        np.linspace(0, span, GRID + 1),
    )
    columns, drawn, kept = _value_curves(
        fitted,
        panel.present[panel.honest],
        days,
        np.zeros(len(panel.present)),
        margins,
        window,
        study,
    )
    values = frame_values(panel.present.customer_id, columns, drawn, fitted.scale)
    curve = KaplanMeier().fit(panel.train, panel.outcome)
    plain = weigh_survival(curve.predict_survival(panel.present, days), days, margins, window, study)[
        1
    ]
    held = _hold_members(
        tables,
        study,
        snapshot,
        panel.present,
        {BOOSTED: fitted.model, SAME: curve},
        panel.honest,
        margins,
    )
    return Valuation(
        values,
        drawn,
        kept,
        fitted.scale,
        BOOSTED,
        study.economics.currency,
        leaks=panel.leaks,
        holdout=held,
        plain=plain,
    )


def _value_curves(
    fitted: Refits,
    columns: pd.DataFrame,
    days: np.ndarray,
    lasted: np.ndarray,
    margins: np.ndarray,
    window: float,
    study: Study,
    unit: float = 1.0,
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Return risk, value and value if kept by the model, and the values of the refitted ones;
    ``days`` and ``window`` in ``unit`` days.
    """
    both = [
        weigh_survival(
            predict_from(model, columns, days, lasted), days * unit, margins, window * unit, study
        )
        for model in (fitted.model, *fitted.resampled)
    ]
    risk, value, kept = both[0]
    drawn, again = (
        np.array([one[place] for one in both[1:]]).reshape(len(both) - 1, len(columns))
        for place in (1, 2)
    )
    return (
        {"margin_per_day": margins, "risk": risk, "value": value, "value_if_kept": kept},
        drawn,
        again,
    )


def weigh_survival(
    curves: np.ndarray, days: np.ndarray, margins: np.ndarray, window: float, study: Study
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the chance to have left by the window's end, the value, and the value of who is known
    not to leave by then.
    """
    curves = np.clip(np.asarray(curves, float), 0, 1)
    at = min(window, days[-1])
    stays = (
        np.array([np.interp(at, days, curve) for curve in curves]) if len(curves) else np.zeros(0)
    )
    sure = np.where(
        days <= at,
        1.0,
        np.divide(curves, stays[:, None], out=np.zeros_like(curves), where=stays[:, None] > 0),
    )
    worth = [
        value_contracts(one, days, margins, study.economics.discount_rate) for one in (curves, sure)
    ]
    return 1 - stays, worth[0], worth[1]


def _hold_members(
    tables: Tables,
    study: Study,
    snapshot: date,
    present: pd.DataFrame,
    models: dict[str, BaseEstimator],
    honest: list[str],
    margins: np.ndarray,
) -> Holdout | None:
    """Return the margin expected and earned after the snapshot, beside nothing, everything as it
    was, and one curve of survival for all.
    """
    until = find_last_day(tables, study, snapshot)
    if (span := (until - snapshot).days) < 1:
        return None
    customers, days = present.customer_id, np.linspace(0, span, GRID + 1)
    before = load_realised_margins(
        tables, study.economics, customers, date.fromordinal(snapshot.toordinal() - span), snapshot
    )
    curves = {name: model.predict_survival(present[honest], days) for name, model in models.items()}
    expected = {
        ZERO: np.zeros(len(present)),
        "as in the last period": before,
        "nobody leaves": margins * span,
    }
    expected |= {
        name: margins * np.trapezoid(curve, days, axis=1) for name, curve in curves.items()
    }
    expected = {name: expected[name] for name in sorted(expected, key=lambda name: name == BOOSTED)}
    families = {name: FAMILY if name == BOOSTED else REFERENCE for name in expected}
    return Holdout(
        {"margin": expected},
        {"margin": load_realised_margins(tables, study.economics, customers, snapshot, until)},
        families,
        until,
    )


def value_flat(
    tables: Tables, study: Study, snapshot: date, refits: int, folds: int, seed: int
) -> Valuation:
    """Value everybody of a flat study who is still there, each by models fitted without the
    customer; it has no snapshot. See ``value_customers``.
    """
    frame, fee = _load_priced(tables, study)
    unit = UNIT_DAYS[study.duration_unit or "months"]
    leakage = check_panel(tables, study, frame)
    clocks = find_duration_proxies(frame, leakage.columns)
    honest = [name for name in leakage.allowed if name not in clocks]
    outcome = frame_outcome(frame.event if "event" in frame else frame.churned, frame.duration)
    require_leavers(outcome, "training")
    span, reach, parts = study.economics.value_days / unit, find_longest_follow_up(outcome), []
    model = _make_model(reach, reach, seed)
    for train, test in KFold(folds, shuffle=True, random_state=seed).split(frame):
        rows = test[~outcome["event"][test]]
        fitted = fit_resampled(
            model,
            frame[honest].iloc[train],
            outcome[train],
            frame.customer_id.iloc[train],
            refits,
            seed,
        )
        lasted, days = frame.duration.to_numpy(float)[rows], np.linspace(0, span, GRID + 1)
        parts.append(
            (
                rows,
                *_value_curves(
                    fitted,
                    frame[honest].iloc[rows],
                    days,
                    lasted,
                    fee[rows] / MONTH_DAYS,
                    span,
                    study,
                    unit,
                ),
                fitted.scale,
            )
        )
    order = np.argsort(np.concatenate([part[0] for part in parts]))
    customers = frame.customer_id.iloc[np.concatenate([part[0] for part in parts])[order]]
    columns = {
        name: np.concatenate([part[1][name] for part in parts])[order] for name in parts[0][1]
    }
    ranked = [
        np.argsort(part[2].sum(axis=1)) for part in parts
    ]  # as if what the folds don't know went together: sums are rather too wide than too narrow
    drawn, kept = (
        np.concatenate(
            [part[place][rank] for part, rank in zip(parts, ranked, strict=True)], axis=1
        )[:, order]
        for place in (2, 3)
    )
    return Valuation(
        frame_values(customers, columns, drawn, parts[0][4]),
        drawn,
        kept,
        parts[0][4],
        BOOSTED,
        study.economics.currency,
        leaks=leakage.findings,
    )


def _load_priced(tables: Tables, study: Study) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a flat study's rows with a duration, and what remains of each fee of a month."""
    column = study.economics.fee_column
    if column is None:
        raise NotApplicable(
            f"the study {study.name} tells no prices: its study.yml names no fee_column under"
            " economics"
        )
    known = tables["snapshot"].columns
    if column not in known:
        raise StudyError(
            "study.yml, key economics.fee_column: expected a column of the snapshot, got"
            f" '{column}'; name one of {', '.join(known)}"
        )
    if "duration" not in known:
        raise NotApplicable(
            f"the study {study.name} tells no time: its snapshot has no column duration"
        )
    frame = load_flat(tables, study).dropna(subset=["duration"]).reset_index(drop=True)
    fee = pd.to_numeric(frame[column], errors="coerce")
    if fee.isna().any() or (fee < 0).any():
        raise StudyError(
            f"column {column} of the snapshot: expected a fee of 0 or more in every row, got"
            f" {int((~(fee >= 0)).sum())} without; correct the SQL"
        )
    return frame, study.economics.fee_margin * fee.to_numpy(float)

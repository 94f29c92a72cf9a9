"""The value of customers under contract in a dated study, by the survival of their contracts."""

from datetime import date, timedelta

import numpy as np
from sklearn.base import BaseEstimator

from research.data.contracts import Tables
from research.models.registry import BASELINE
from research.panel.periods import close_window
from research.risk.window_risk import WindowRisk, predict_window_risk
from research.study import Study
from research.survival.anchoring import Anchored, anchor_models
from research.survival.predict import KaplanMeier
from research.survival.remaining_lifetime import fit_resampled
from research.value.contract_margins import (
    compute_margins,
    find_last_day,
    load_realised_margins,
    require_fees,
)
from research.value.holdout import LAST_PERIOD, ZERO
from research.value.subscriber_panel import SubscriberPanel, load_subscribers
from research.value.survival_value import (
    BOOSTED,
    GRID_STEPS,
    lay_grid,
    make_survival_model,
    value_by_curves,
    weigh_survival,
)
from research.value.valuation import FAMILY, Holdout, Valuation, frame_values

SINGLE_CURVE = "one curve for all"
NOBODY_LEAVES = "nobody leaves"


def value_contractual(
    tables: Tables,
    study: Study,
    snapshot: date,
    refits: int,
    folds: int,
    seed: int,
    risk: WindowRisk | None = None,
) -> Valuation:
    """Value everybody under contract at the snapshot; see ``customers.value_customers``.

    ``folds`` is ignored. The curves agree with the given risk, at the study's last snapshot with
    that of ``30_risk`` (see ``window_risk``); earlier ones, those of campaigns, have no such risk.
    """
    require_fees(tables, study)
    panel = load_subscribers(tables, study, snapshot)
    span, window = study.economics.value_days, (close_window(study.churn, snapshot) - snapshot).days
    fitted = fit_resampled(
        make_survival_model(span, window, seed),
        panel.train[panel.allowed],
        panel.outcome,
        panel.train.customer_id,
        refits,
        seed,
    )
    margins = compute_margins(tables, study, panel.present, snapshot)
    if risk is None and snapshot == study.snapshots.last:
        risk = predict_window_risk(tables, study, seed)
    anchor, columns = (risk.anchor if risk else None), panel.present[panel.allowed]
    customers = panel.present.customer_id
    by_model = value_by_curves(
        fitted,
        columns,
        span,
        np.zeros(len(panel.present)),
        margins,
        window,
        study,
        anchor=anchor,
        customers=customers,
    )
    curve = KaplanMeier().fit(panel.train, panel.outcome)
    days = lay_grid(span, window)
    survival = curve.predict_survival(panel.present, days)
    anchored = anchor_models([fitted.model], anchor, columns, customers)[0]
    models = {BOOSTED: anchored, SINGLE_CURVE: curve}
    return Valuation(
        frame_values(panel.present.customer_id, by_model.columns, by_model.resampled, fitted.scale),
        by_model.resampled,
        by_model.resampled_if_kept,
        fitted.scale,
        BOOSTED,
        study.economics.currency,
        snapshot,
        leaks=panel.leaks,
        holdout=_hold_out(tables, study, snapshot, panel, models, margins),
        single_curve=weigh_survival(survival, days, margins, window, study)[1],
        window_risk=risk,
    )


def _hold_out(
    tables: Tables,
    study: Study,
    snapshot: date,
    panel: SubscriberPanel,
    models: dict[str, BaseEstimator | Anchored],
    margins: np.ndarray,
) -> Holdout | None:
    """Return the margin predicted for the days after the snapshot, and the realised one.

    Baselines: nothing, the last period again, nobody leaves, one survival curve for all.
    """
    until = find_last_day(tables, study, snapshot)
    if (span := (until - snapshot).days) < 1:
        return None
    customers, economics = panel.present.customer_id, study.economics
    days = np.linspace(0, span, GRID_STEPS + 1)
    before = snapshot - timedelta(days=span)
    by_curve = {
        name: margins
        * np.trapezoid(model.predict_survival(panel.present[panel.allowed], days), days, axis=1)
        for name, model in models.items()
    }
    predicted = {
        ZERO: np.zeros(len(customers)),
        LAST_PERIOD: load_realised_margins(tables, economics, customers, before, snapshot),
        NOBODY_LEAVES: margins * span,
        SINGLE_CURVE: by_curve[SINGLE_CURVE],
        BOOSTED: by_curve[BOOSTED],
    }
    actual = load_realised_margins(tables, economics, customers, snapshot, until)
    families = {name: FAMILY if name == BOOSTED else BASELINE for name in predicted}
    return Holdout({"margin": predicted}, {"margin": actual}, families, until)

"""The value of buyers without a contract, by their purchases and what they spend."""

from datetime import date

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.errors import NotApplicable, StudyError
from research.models.clv.gamma_gamma import fit_spend, has_mean
from research.models.clv.max_likelihood import Fit
from research.models.registry import BASELINE, Model
from research.panel.periods import close_window, count_horizon_days
from research.panel.spells import has_amounts
from research.risk.window_risk import WindowRisk
from research.study import Study
from research.value.contract_margins import find_last_day
from research.value.expected_value import value_buyers, value_purchase_in_window
from research.value.holdout import predict_baselines
from research.value.purchase_models import (
    MODELS,
    choose_purchase_model,
    fit_purchase_models,
    tabulate_parameters,
)
from research.value.purchases import load_histories, load_last_period, load_window
from research.value.valuation import FAMILY, Holdout, Valuation, frame_values

MAX_CUSTOMERS = 2_000  # of a resample


def value_non_contractual(
    tables: Tables,
    study: Study,
    snapshot: date,
    refits: int,
    folds: int,
    seed: int,
    risk: WindowRisk | None = None,
) -> Valuation:
    """Value everybody who has bought by the snapshot; see ``customers.value_customers``.

    ``folds`` is ignored. A given risk is that of the population, and the model's own chance of no
    purchase then stands beside it.

    Raises
    ------
    NotApplicable
        If orders have no amounts.
    """
    if not has_amounts(tables):
        raise NotApplicable(
            f"the study {study.name} has no amounts: its orders can be counted, and have no value"
            f" in {study.economics.currency}"
        )
    histories = load_histories(tables, study, snapshot)
    fits, spend = fit_purchase_models(histories), fit_spend(histories)
    best = choose_purchase_model(fits)
    model, fit = MODELS[best], fits[best]
    scale = np.sqrt(min(MAX_CUSTOMERS, len(histories)) / len(histories))
    by_model = _value_histories(histories, study, snapshot, model, fit, spend)
    refitted = [
        _value_histories(
            histories, study, snapshot, model, *_refit(histories, model, fit, spend, seed + number)
        )
        for number in range(refits)
    ]
    resampled, resampled_if_kept = (
        np.array([table[name].to_numpy() for table in refitted]).reshape(refits, len(histories))
        for name in ("value", "value_if_kept")
    )
    inactivity = model.estimator.predict_inactivity(
        histories, fit, study.churn.lead_days, count_horizon_days(study.churn, snapshot)
    )
    columns = {name: by_model[name].to_numpy() for name in by_model} | {"risk": inactivity}
    return Valuation(
        _replace_risk(frame_values(histories.customer_id, columns, resampled, scale), risk),
        resampled,
        resampled_if_kept,
        scale,
        best,
        study.economics.currency,
        snapshot,
        parameters=tabulate_parameters(fits, spend),
        purchase_fits=fits,
        histories=histories,
        holdout=_hold_out(tables, study, snapshot, histories, fits, spend),
        window_risk=risk,
    )


def _replace_risk(values: pd.DataFrame, risk: WindowRisk | None) -> pd.DataFrame:
    """Return values with a given risk, empty of who isn't in the population, beside their own."""
    if risk is None:
        return values
    one = risk.risk_by_end.reindex(values.customer_id).to_numpy()
    return values.assign(no_purchase=values.risk, risk=one)


def _value_histories(
    histories: pd.DataFrame, study: Study, snapshot: date, model: Model, fit: Fit, spend: Fit
) -> pd.DataFrame:
    terms = study.economics
    values = value_buyers(
        histories, model, fit, spend, terms.value_days, terms.margin_share, terms.discount_rate
    )
    window = (close_window(study.churn, snapshot) - snapshot).days
    _, more = value_purchase_in_window(
        histories, model, fit, terms.value_days, window, terms.discount_rate
    )
    return values.assign(
        value_if_kept=values.value / np.maximum(values.alive, 1e-12),
        value_of_keeping=terms.margin_share * values.amount * more,
    )


def _refit(
    histories: pd.DataFrame, model: Model, fit: Fit, spend: Fit, seed: int
) -> tuple[Fit, Fit]:
    """Fit both models to resampled customers.

    The given fits are kept where a resample doesn't identify the parameters.
    """
    size = min(MAX_CUSTOMERS, len(histories))
    rows = histories.iloc[np.random.default_rng(seed).integers(len(histories), size=size)]
    try:
        refit, respend = model.estimator.fit_transactions(rows), fit_spend(rows)
    except StudyError:
        return fit, spend
    return refit, respend if has_mean(respend) else spend


def _hold_out(
    tables: Tables,
    study: Study,
    snapshot: date,
    histories: pd.DataFrame,
    fits: dict[str, Fit],
    spend: Fit,
) -> Holdout | None:
    """Return purchases and spending predicted for the days after the snapshot, and the actual."""
    until = find_last_day(tables, study, snapshot)
    if (span := (until - snapshot).days) < 1:
        return None
    customers = histories.customer_id
    later = load_window(tables, customers, snapshot, until)
    last_period = load_last_period(tables, customers, snapshot, span)
    predicted = predict_baselines(histories, last_period, span)
    families = dict.fromkeys(predicted["purchases"], BASELINE) | dict.fromkeys(fits, FAMILY)
    for name, fit in fits.items():
        # undiscounted, and all of the amount
        values = value_buyers(histories, MODELS[name], fit, spend, span, 1.0, 0.0)
        predicted["purchases"][name] = values.purchases.to_numpy()
        predicted["amount"][name] = values.value.to_numpy()
    actual = {name: later[name].to_numpy() for name in predicted}
    return Holdout(predicted, actual, families, until)

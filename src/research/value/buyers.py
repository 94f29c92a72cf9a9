"""What buyers without a contract are worth, by the rhythm of their purchases and what they
spend.
"""

from datetime import date
from types import ModuleType

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.errors import StudyError
from research.models.clv.gamma_gamma import fit_spend
from research.models.clv.max_likelihood import Fit
from research.study import Study
from research.value.valuation import FAMILY, Valuation, Holdout, frame_values
from research.value.contract_margins import find_last_day
from research.value.expected_value import (
    MODELS,
    choose_purchase_model,
    fit_purchase_models,
    load_histories,
    tabulate_parameters,
    value_buyers,
)
from research.value.holdout import REFERENCE, predict_baselines, load_last_period, load_later

MOST = 2_000  # customers of a resample


def value_non_contractual(
    tables: Tables, study: Study, snapshot: date, refits: int, folds: int, seed: int
) -> Valuation:
    """Value everybody who has bought by the snapshot; ``folds`` doesn't matter here. See
    ``value_customers``.
    """
    histories = load_histories(tables, study, snapshot)
    rhythms, spend = fit_purchase_models(histories), fit_spend(histories)
    best, scale = choose_purchase_model(rhythms), np.sqrt(min(MOST, len(histories)) / len(histories))
    found = _value_histories(histories, study, MODELS[best], rhythms[best], spend)
    pairs = [
        _refit(histories, MODELS[best], rhythms[best], spend, seed + number)
        for number in range(refits)
    ]
    again = [_value_histories(histories, study, MODELS[best], *pair) for pair in pairs]
    drawn, kept = (
        np.array([one[name].to_numpy() for one in again]).reshape(refits, len(histories))
        for name in ("value", "value_if_kept")
    )
    silence = MODELS[best].predict_silence(
        histories, rhythms[best], study.churn.lead_days, study.churn.horizon_days
    )
    columns = {name: found[name].to_numpy() for name in found} | {"risk": silence}
    values = frame_values(histories.customer_id, columns, drawn, scale)
    parts = {
        "parameters": tabulate_parameters(rhythms, spend),
        "rhythms": rhythms,
        "histories": histories,
    }
    return Valuation(
        values,
        drawn,
        kept,
        scale,
        best,
        study.economics.currency,
        **parts,
        holdout=_hold_buyers(tables, study, snapshot, histories, rhythms, spend),
    )


def _value_histories(
    histories: pd.DataFrame, study: Study, model: ModuleType, rhythm: Fit, spend: Fit
) -> pd.DataFrame:
    terms = study.economics
    found = value_buyers(
        histories, model, rhythm, spend, terms.value_days, terms.margin_share, terms.discount_rate
    )
    return found.assign(value_if_kept=found.value / np.maximum(found.alive, 1e-12))


def _refit(
    histories: pd.DataFrame, model: ModuleType, rhythm: Fit, spend: Fit, seed: int
) -> tuple[Fit, Fit]:
    """Fit both models to resampled customers; the given fits stand where the resample allows
    none.
    """
    size = min(MOST, len(histories))
    rows = histories.iloc[np.random.default_rng(seed).integers(len(histories), size=size)]
    try:
        again = model.fit_rhythm(rows), fit_spend(rows)
    except StudyError:
        return rhythm, spend
    return again if again[1].parameters[1] > 1 else (again[0], spend)


def _hold_buyers(
    tables: Tables,
    study: Study,
    snapshot: date,
    histories: pd.DataFrame,
    rhythms: dict[str, Fit],
    spend: Fit,
) -> Holdout | None:
    until = find_last_day(tables, study, snapshot)
    if (span := (until - snapshot).days) < 1:
        return None
    customers = histories.customer_id
    later = load_later(tables, customers, snapshot, until)
    expected = predict_baselines(histories, load_last_period(tables, customers, snapshot, span), span)
    families = dict.fromkeys(expected["purchases"], REFERENCE) | dict.fromkeys(rhythms, FAMILY)
    for name, rhythm in rhythms.items():
        found = value_buyers(histories, MODELS[name], rhythm, spend, span, 1.0, 0.0)
        expected["purchases"][name], expected["amount"][name] = (
            found.purchases.to_numpy(),
            found.value.to_numpy(),
        )
    return Holdout(expected, {name: later[name].to_numpy() for name in expected}, families, until)

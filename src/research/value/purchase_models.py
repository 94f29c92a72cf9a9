"""Models of repeat purchases: how often customers buy, and when they drop out."""

from types import ModuleType

import numpy as np
import pandas as pd

from research.models.clv import beta_geo, mbg_cnbd, pareto_nbd, pareto_nbd_first_amount
from research.models.clv.max_likelihood import Fit
from research.models.registry import Model, index_models
from research.study_schema import Economics
from research.value.valuation import FAMILY

GAMMA_GAMMA = "Gamma-Gamma"
BG_NBD, PARETO_NBD, WITH_FIRST_AMOUNT = "BG/NBD", "Pareto/NBD", "Pareto/NBD, first amount"
REGULAR = "MBG/CNBD-k"
UNITS = {
    "alpha": "days",
    "beta": "days",
    "v": "currency",
    "k": "whole number",
    "first": "ratio",
    "buys_more": "ratio",
    "leaves_sooner": "ratio",
}
ASSUMED = "assumed"
ASSUMPTIONS = {
    "margin_share": "share",
    "fee_margin": "share",
    "discount_rate": "share a year",
    "value_days": "days",
}
PARAMETERS = [
    "model",
    "parameter",
    "unit",
    "value",
    "low",
    "high",
    "se",
    "log_likelihood",
    "aic",
    "n",
]


def _record(name: str, module: ModuleType, words: str, source: str) -> Model:
    return Model(
        name=name, family=FAMILY, task="value", estimator=module, words=words, source=source
    )


MODELS = index_models(
    [
        _record(
            BG_NBD,
            beta_geo,
            "buy till you die; customers drop out at a purchase",
            "Fader, Hardie & Lee 2005, doi:10.1287/mksc.1040.0098",
        ),
        _record(
            PARETO_NBD,
            pareto_nbd,
            "buy till you die; customers drop out at any time",
            "Schmittlein, Morrison & Colombo 1987, doi:10.1287/mnsc.33.1.1",
        ),
        _record(
            WITH_FIRST_AMOUNT,
            pareto_nbd_first_amount,
            "Pareto/NBD with the amount of the first purchase as a covariate",
            "Fader & Hardie 2007, brucehardie.com/notes/019; Abe 2009, doi:10.1287/mksc.1090.0502",
        ),
        _record(
            REGULAR,
            mbg_cnbd,
            "buy till you die; purchases as regular as every k-th event of a Poisson process",
            "Platzer & Reutterer 2016, doi:10.1287/mksc.2015.0963",
        ),
    ]
)


def fit_purchase_models(histories: pd.DataFrame) -> dict[str, Fit]:
    """Fit every model of ``MODELS`` by name.

    The one with the first amount is left out where there are none, or all are equal; the one of
    regular purchases where the times between them aren't given.
    """
    amounts_differ = (
        "first_amount" in histories and np.ptp(pareto_nbd_first_amount.read_first(histories)) > 0
    )
    fits = {WITH_FIRST_AMOUNT: amounts_differ, REGULAR: mbg_cnbd.LOG_GAPS in histories}
    return {
        name: model.estimator.fit_transactions(histories)
        for name, model in MODELS.items()
        if fits.get(name, True)
    }


def choose_purchase_model(fits: dict[str, Fit]) -> str:
    """Return the model with the lowest AIC, which sees the histories only, never the holdout."""
    return min(fits, key=lambda name: compute_aic(fits[name]))


def compute_aic(fit: Fit) -> float:
    """Return twice the number of parameters less twice the log-likelihood.

    References
    ----------
    Akaike, H. (1974), doi:10.1109/TAC.1974.1100705.
    """
    return 2 * len(fit.parameters) - 2 * fit.log_likelihood


def tabulate_parameters(fits: dict[str, Fit], spend: Fit | None) -> pd.DataFrame:
    """Return the parameters of all models with their 95 % intervals.

    Returns
    -------
    DataFrame with columns model, parameter, unit, value, low, high, se, log_likelihood, aic, n
        Intervals on the logarithmic scale from the curvature of the likelihood; empty where the
        data don't identify a parameter.
    """
    fits = fits | ({GAMMA_GAMMA: spend} if spend else {})
    tables = [
        fit.tabulate().assign(model=name, log_likelihood=fit.log_likelihood, aic=compute_aic(fit))
        for name, fit in fits.items()
    ]
    table = pd.concat(tables, ignore_index=True)
    table["unit"] = table.parameter.map(UNITS).fillna("shape")
    return table[PARAMETERS]


def tabulate_assumptions(economics: Economics) -> pd.DataFrame:
    """Return the terms of study.yml behind the values, as rows of ``tabulate_parameters``.

    The model is "assumed", and there are no intervals.
    """
    rows = [
        (ASSUMED, name, unit, float(getattr(economics, name))) for name, unit in ASSUMPTIONS.items()
    ]
    return pd.DataFrame(rows, columns=["model", "parameter", "unit", "value"])


def add_assumptions(parameters: pd.DataFrame, assumptions: pd.DataFrame) -> pd.DataFrame:
    """Return estimated parameters, where a model has any, followed by what is assumed."""
    tables = [table for table in (parameters, assumptions) if len(table)]
    return pd.concat(tables, ignore_index=True)

"""What each customer of a study is worth at a snapshot, whatever the kind of study: buyers by their rhythm of purchases, contracts by their survival."""

from dataclasses import dataclass, field
from datetime import date
from types import ModuleType

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.model_selection import KFold

from research.features import list_features, load_flat
from research.holdout import REFERENCE, ZERO, expect_naively, load_last_period, load_later
from research.horizon import frame_outcome
from research.intervals import Z
from research.leaks import find_leaks, keep_honest
from research.lifetimes import Refits, fit_resampled, predict_from
from research.likelihood import Fit
from research.memberships import MONTH_DAYS, find_last_day, find_margins, load_earned, load_members, require_fees
from research.snapshots import Tables
from research.spend import fit_spend
from research.studies import NotApplicable, Study, StudyError
from research.survival import KaplanMeier, find_clocks, find_reach, list_models, require_leavers
from research.tables import write_quantity
from research.value import MODELS, choose_rhythm, discount, fit_amounts, fit_rhythms, load_histories, tabulate_fits, value_buyers

Array = np.ndarray
BOOSTED = "discrete hazard, boosted"
EDGES = 6  # times at which the hazard of contracts may change, beside quantiles of the leaving days
GRID = 73  # days on which curves are told, for a year every fifth
MOST = 2_000  # customers of a resample of buyers
FAMILY = "value"
SAME = "the same curve for all"
NOTES = {
    "contractual": "Margin of a day: what remains of the fees that run, and of add-ons at the customer's own rate drawn towards that of all.",
    "non_contractual": "Alive: the chance of not having dropped out. Purchases are days with one within the span; amount is that of one.",
    "flat": "Margin of a day: what remains of the fee of a month. Only customers who are still there.",
}
UNIT_DAYS = {"days": 1.0, "weeks": 7.0, "months": MONTH_DAYS, "years": 365.25}


@dataclass(frozen=True)
class Holdout:
    """What was expected after the snapshot and what came: by outcome, then by model; ``families`` as in ``holdout.score_holdout``."""

    expected: dict[str, dict[str, Array]]
    actual: dict[str, Array]
    families: dict[str, str]
    until: date


@dataclass(frozen=True)
class Appraisal:
    """What customers are worth, and how that was found.

    Attributes
    ----------
    values : one row per customer, see ``appraise``
    drawn : (refits, customers) values by models refitted on resampled customers, and ``kept`` the same of what they would be worth if none were lost;
        deviations from ``values`` are to be multiplied by ``scale``
    model : that values
    plain : of contracts, the values if all left by the same curve
    parameters, rhythms, histories : of buyers without a contract; see ``value.tabulate_fits``
    leaks : what the leak gate kept out of the survival model
    holdout : nothing for a flat study
    """

    values: pd.DataFrame
    drawn: Array
    kept: Array
    scale: float
    model: str
    currency: str
    parameters: pd.DataFrame = field(default_factory=pd.DataFrame)
    rhythms: dict[str, Fit] = field(default_factory=dict)
    histories: pd.DataFrame = field(default_factory=pd.DataFrame)
    leaks: pd.DataFrame = field(default_factory=pd.DataFrame)
    holdout: Holdout | None = None
    plain: Array = field(default_factory=lambda: np.zeros(0))


def load_values(tables: Tables, study: Study, snapshot: date, seed: int) -> pd.DataFrame:
    """Return what each customer is worth at the end of a snapshot, by what was known then and nothing later.

    Parameters
    ----------
    tables : contract tables, uncut
    snapshot : day; a flat study has no days, and takes no notice of it
    seed : every draw derives from it

    Returns
    -------
    DataFrame with columns customer_id, value
        One row per customer: contractual, those under contract; non-contractual, everybody who ever bought; flat, those who stayed. ``value`` is the
        discounted margin expected over the next ``economics.value_days`` days, in the study's currency.

    Raises
    ------
    NotApplicable
        If the study tells no amounts.
    """
    return appraise(tables, study, snapshot, 0, 2, seed).values[["customer_id", "value"]]


def appraise(tables: Tables, study: Study, snapshot: date, refits: int, folds: int, seed: int) -> Appraisal:
    """Value every customer of a study.

    Parameters
    ----------
    refits : models refitted on resampled customers behind the intervals; 0 leaves them out
    folds : parts of a flat study, each valued by models that were fitted without it

    Returns
    -------
    Appraisal whose ``values`` has columns customer_id, alive, purchases, amount, margin_per_day, risk, value, low, high, value_if_kept, cost_of_churn,
    value_at_risk
        ``alive``, ``purchases`` (within the span) and ``amount`` (of one) of buyers, ``margin_per_day`` of contracts, empty otherwise. ``risk``: no
        purchase in the label window, or an end of the contract in it or the lead; in a flat study, within the span. ``value_if_kept``: what the customer
        would be worth if known to be alive (buyers), or not to leave by the end of the window. ``cost_of_churn``: ``value_if_kept`` less ``value``, what
        churn is expected to take. ``value_at_risk``: ``risk`` times ``value``. ``low`` and ``high``: 95 % interval of ``value``, the expectation, not of
        what a single customer will bring.
    """
    ways = {"contractual": _appraise_members, "non_contractual": _appraise_buyers, "flat": _appraise_flat}
    return ways[study.kind](tables, study, snapshot, refits, folds, seed)


def describe_valued(appraisal: Appraisal, snapshot: date | None) -> pd.DataFrame:
    """Return how many customers are valued, and the means of what they are valued by: columns what, value (text)."""
    rows, unit = appraisal.values, appraisal.currency
    words = {"alive": ("chance of being alive", "share"), "purchases": ("purchases expected", ""), "amount": (f"amount of a purchase, {unit}", "")}
    words |= {"margin_per_day": (f"margin of a day, {unit}", ""), "risk": ("risk", "share"), "value": (f"value, {unit}", "")}
    told = [(f"mean {name}", write_quantity(rows[column].mean(), kind)) for column, (name, kind) in words.items() if rows[column].notna().any()]
    once = int((appraisal.histories.n_repeat == 0).sum()) if len(appraisal.histories) else 0
    first = [("customers valued" + (f" at {snapshot}" if snapshot else ""), f"{len(rows):,}"), *([("bought on one day only", f"{once:,}")] if once else [])]
    return pd.DataFrame(first + told, columns=["what", "value"])


def find_rivals(tables: Tables, study: Study, appraisal: Appraisal, snapshot: date, days: float, seed: int) -> dict[str, pd.Series]:
    """Return the values over ``days`` by the model and by the same curve for all, by customer; valued anew where the study looks ahead otherwise."""
    if abs(study.economics.value_days - days) > 1:
        other = study.model_copy(update={"economics": study.economics.model_copy(update={"value_days": int(days)})})
        other._folder = study.folder
        appraisal = appraise(tables, other, snapshot, 0, 2, seed)
    customers = appraisal.values.customer_id
    both = {appraisal.model: appraisal.values.value.to_numpy(), SAME: appraisal.plain}
    return {name: pd.Series(numbers, customers) for name, numbers in both.items()}


def _frame(customers: pd.Series, columns: dict[str, Array], drawn: Array, scale: float) -> pd.DataFrame:
    found = pd.DataFrame({"customer_id": customers.to_numpy(), **dict.fromkeys(("alive", "purchases", "amount", "margin_per_day"), np.nan)} | columns)
    error = Z * scale * drawn.std(axis=0, ddof=1) if len(drawn) > 1 else np.full(len(found), np.nan)
    found["low"], found["high"] = np.maximum(found.value - error, 0), found.value + error
    found["cost_of_churn"], found["value_at_risk"] = found.value_if_kept - found.value, found.risk * found.value
    order = "customer_id alive purchases amount margin_per_day risk value low high value_if_kept cost_of_churn value_at_risk"
    return found[order.split()]


# buyers without a contract


def _appraise_buyers(tables: Tables, study: Study, snapshot: date, refits: int, folds: int, seed: int) -> Appraisal:
    histories = load_histories(tables, study, snapshot)
    rhythms, spend = fit_rhythms(histories), fit_spend(histories)
    best, scale = choose_rhythm(rhythms), np.sqrt(min(MOST, len(histories)) / len(histories))
    found = _value_histories(histories, study, MODELS[best], rhythms[best], spend)
    pairs = [_refit(histories, MODELS[best], rhythms[best], spend, seed + number) for number in range(refits)]
    again = [_value_histories(histories, study, MODELS[best], *pair) for pair in pairs]
    drawn, kept = (np.array([one[name].to_numpy() for one in again]).reshape(refits, len(histories)) for name in ("value", "value_if_kept"))
    silence = MODELS[best].predict_silence(histories, rhythms[best], study.churn.lead_days, study.churn.horizon_days)
    columns = {name: found[name].to_numpy() for name in found} | {"risk": silence}
    values = _frame(histories.customer_id, columns, drawn, scale)
    parts = {"parameters": tabulate_fits(rhythms, spend), "rhythms": rhythms, "histories": histories}
    return Appraisal(values, drawn, kept, scale, best, study.economics.currency, **parts, holdout=_hold_buyers(tables, study, snapshot, histories, rhythms))


def _value_histories(histories: pd.DataFrame, study: Study, model: ModuleType, rhythm: Fit, spend: Fit) -> pd.DataFrame:
    terms = study.economics
    found = value_buyers(histories, model, rhythm, spend, terms.value_days, terms.margin_share, terms.discount_rate)
    return found.assign(value_if_kept=found.value / np.maximum(found.alive, 1e-12))


def _refit(histories: pd.DataFrame, model: ModuleType, rhythm: Fit, spend: Fit, seed: int) -> tuple[Fit, Fit]:
    """Fit both models to resampled customers; the given fits stand where the resample allows none."""
    size = min(MOST, len(histories))
    rows = histories.iloc[np.random.default_rng(seed).integers(len(histories), size=size)]
    try:
        again = model.fit_rhythm(rows), fit_spend(rows)
    except StudyError:
        return rhythm, spend
    return again if again[1].parameters[1] > 1 else (again[0], spend)


def _hold_buyers(tables: Tables, study: Study, snapshot: date, histories: pd.DataFrame, rhythms: dict[str, Fit]) -> Holdout | None:
    until = find_last_day(tables, study, snapshot)
    if (span := (until - snapshot).days) < 1:
        return None
    customers, spend = histories.customer_id, fit_amounts(histories)
    later = load_later(tables, customers, snapshot, until)
    expected = expect_naively(histories, load_last_period(tables, customers, snapshot, span), span)
    families = dict.fromkeys(expected["purchases"], REFERENCE) | dict.fromkeys(rhythms, FAMILY)
    for name, rhythm in rhythms.items():
        found = value_buyers(histories, MODELS[name], rhythm, spend, span, 1.0, 0.0)
        expected["purchases"][name], expected["amount"][name] = found.purchases.to_numpy(), found.value.to_numpy()
    return Holdout(expected, {name: later[name].to_numpy() for name in expected}, families, until)


# customers under contract


def _make_model(span: float, at: float, seed: int) -> BaseEstimator:
    """Return the boosted hazard, whose intervals end on the label window's last day and on even parts of the span."""
    days = tuple(np.unique(np.ceil([*np.linspace(0, span, EDGES + 1)[1:], min(at, span)])).astype(int).tolist())
    return list_models(days, seed)[BOOSTED][1]


def _appraise_members(tables: Tables, study: Study, snapshot: date, refits: int, folds: int, seed: int) -> Appraisal:
    require_fees(tables, study)
    panel, span, window = load_members(tables, study, snapshot), study.economics.value_days, study.churn.lead_days + study.churn.horizon_days
    model = _make_model(span, window, seed)
    fitted = fit_resampled(model, panel.train[panel.honest], panel.outcome, panel.train.customer_id, refits, seed)
    margins, days = find_margins(tables, study, panel.present, snapshot), np.linspace(0, span, GRID + 1)
    columns, drawn, kept = _value_curves(fitted, panel.present[panel.honest], days, np.zeros(len(panel.present)), margins, window, study)
    values = _frame(panel.present.customer_id, columns, drawn, fitted.scale)
    curve = KaplanMeier().fit(panel.train, panel.outcome)
    plain = _weigh_curves(curve.predict_survival(panel.present, days), days, margins, window, study)[1]
    held = _hold_members(tables, study, snapshot, panel.present, {BOOSTED: fitted.model, SAME: curve}, panel.honest, margins)
    return Appraisal(values, drawn, kept, fitted.scale, BOOSTED, study.economics.currency, leaks=panel.leaks, holdout=held, plain=plain)


def _value_curves(
    fitted: Refits, columns: pd.DataFrame, days: Array, lasted: Array, margins: Array, window: float, study: Study, unit: float = 1.0
) -> tuple[dict[str, Array], Array, Array]:
    """Return risk, value and value if kept by the model, and the values of the refitted ones; ``days`` and ``window`` in ``unit`` days."""
    both = [
        _weigh_curves(predict_from(model, columns, days, lasted), days * unit, margins, window * unit, study) for model in (fitted.model, *fitted.resampled)
    ]
    risk, value, kept = both[0]
    drawn, again = (np.array([one[place] for one in both[1:]]).reshape(len(both) - 1, len(columns)) for place in (1, 2))
    return {"margin_per_day": margins, "risk": risk, "value": value, "value_if_kept": kept}, drawn, again


def _weigh_curves(curves: Array, days: Array, margins: Array, window: float, study: Study) -> tuple[Array, Array, Array]:
    """Return the chance to have left by the window's end, the value, and the value of who is known not to leave by then."""
    curves = np.clip(np.asarray(curves, float), 0, 1)
    at = min(window, days[-1])
    stays = np.array([np.interp(at, days, curve) for curve in curves]) if len(curves) else np.zeros(0)
    sure = np.where(days <= at, 1.0, np.divide(curves, stays[:, None], out=np.zeros_like(curves), where=stays[:, None] > 0))
    worth = [margins * np.trapezoid(one * discount(days, study.economics.discount_rate), days, axis=1) for one in (curves, sure)]
    return 1 - stays, worth[0], worth[1]


def _hold_members(
    tables: Tables, study: Study, snapshot: date, present: pd.DataFrame, models: dict[str, BaseEstimator], honest: list[str], margins: Array
) -> Holdout | None:
    """Return the margin expected and earned after the snapshot, beside nothing, everything as it was, and one curve of survival for all."""
    until = find_last_day(tables, study, snapshot)
    if (span := (until - snapshot).days) < 1:
        return None
    customers, days = present.customer_id, np.linspace(0, span, GRID + 1)
    before = load_earned(tables, study.economics, customers, date.fromordinal(snapshot.toordinal() - span), snapshot)
    curves = {name: model.predict_survival(present[honest], days) for name, model in models.items()}
    expected = {ZERO: np.zeros(len(present)), "as in the last period": before, "nobody leaves": margins * span}
    expected |= {name: margins * np.trapezoid(curve, days, axis=1) for name, curve in curves.items()}
    expected = {name: expected[name] for name in sorted(expected, key=lambda name: name == BOOSTED)}
    families = {name: FAMILY if name == BOOSTED else REFERENCE for name in expected}
    return Holdout({"margin": expected}, {"margin": load_earned(tables, study.economics, customers, snapshot, until)}, families, until)


# flat studies


def _appraise_flat(tables: Tables, study: Study, snapshot: date, refits: int, folds: int, seed: int) -> Appraisal:
    frame, fee = _load_priced(tables, study)
    unit = UNIT_DAYS[study.duration_unit or "months"]
    features = list_features(frame, study)
    leaks = find_leaks(frame, features, study)
    honest = [name for name in keep_honest(features, leaks) if name not in find_clocks(frame, features)]
    outcome = frame_outcome(frame.event if "event" in frame else frame.churned, frame.duration)
    require_leavers(outcome, "training")
    span, reach, parts = study.economics.value_days / unit, find_reach(outcome), []
    model = _make_model(reach, reach, seed)
    for train, test in KFold(folds, shuffle=True, random_state=seed).split(frame):
        rows = test[~outcome["event"][test]]
        fitted = fit_resampled(model, frame[honest].iloc[train], outcome[train], frame.customer_id.iloc[train], refits, seed)
        lasted, days = frame.duration.to_numpy(float)[rows], np.linspace(0, span, GRID + 1)
        parts.append((rows, *_value_curves(fitted, frame[honest].iloc[rows], days, lasted, fee[rows] / MONTH_DAYS, span, study, unit), fitted.scale))
    order = np.argsort(np.concatenate([part[0] for part in parts]))
    customers = frame.customer_id.iloc[np.concatenate([part[0] for part in parts])[order]]
    columns = {name: np.concatenate([part[1][name] for part in parts])[order] for name in parts[0][1]}
    drawn, kept = (np.concatenate([part[place] for part in parts], axis=1)[:, order] for place in (2, 3))
    return Appraisal(_frame(customers, columns, drawn, parts[0][4]), drawn, kept, parts[0][4], BOOSTED, study.economics.currency, leaks=leaks)


def _load_priced(tables: Tables, study: Study) -> tuple[pd.DataFrame, Array]:
    """Return a flat study's rows with a duration, and what remains of each fee of a month."""
    column = study.economics.fee_column
    if column is None:
        raise NotApplicable(f"the study {study.name} tells no prices: its study.yml names no fee_column under economics")
    known = tables["snapshot"].columns
    if column not in known:
        raise StudyError(f"study.yml, key economics.fee_column: required a column of the snapshot, arrived '{column}'; name one of {', '.join(known)}")
    if "duration" not in known:
        raise NotApplicable(f"the study {study.name} tells no time: its snapshot has no column duration")
    frame = load_flat(tables, study).dropna(subset=["duration"]).reset_index(drop=True)
    fee = pd.to_numeric(frame[column], errors="coerce")
    if fee.isna().any() or (fee < 0).any():
        raise StudyError(
            f"column {column} of the snapshot: required a fee of 0 or more in every row, arrived {int((~(fee >= 0)).sum())} without; correct the SQL"
        )
    return frame, study.economics.fee_margin * fee.to_numpy(float)

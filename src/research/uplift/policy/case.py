"""What policies may know of the customers of a trial, and what they are judged by: the value of an
outcome, the cost of an arm, predicted effects, and doubly robust scores in money.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

from research.data.contracts import Tables
from research.errors import NotApplicable, StudyError
from research.evaluation.intervals import Z
from research.store.keep import keep
from research.study import Study
from research.uplift.average_effects import compute_standard_error
from research.uplift.cross_fitting import CrossFit, cross_fit
from research.uplift.doubly_robust import (
    SCORE_FOLDS,
    Sample,
    compute_scores,
    make_sample,
    predict_out_of_fold,
    subtract_control,
)
from research.uplift.learners.families import AVERAGED, RISK
from research.uplift.learners.training import is_binary
from research.uplift.policy.knapsack import pick
from research.uplift.policy.true_effects import load_true_effects
from research.uplift.trials import Trial
from research.value.customers import load_values

KEPT, MONEY = "kept", "value"  # outcomes of dated studies


@dataclass(frozen=True)
class Case:
    """The customers of a trial as policies see them.

    Attributes
    ----------
    cycle : (rows,), the trial of a row; each is a cycle with a budget and a capacity of its own
    customers : (rows,)
    clusters : (rows,), see ``Sample``
    risk : (repeats, rows), the probability that the outcome doesn't occur, whatever the arm (of
        money: of leaving where that is known, else the amount expected, with its sign turned), out
        of fold
    outcome_value : (rows,), money per unit of the outcome that it is counted by
    effect : (repeats, rows, arms), predicted effect on the outcome
    gain : (repeats, rows, arms), the same in money, cost not deducted
    usual : (repeats, rows), the offer for policies that don't choose one, see ``choose_usual``
    cost : (rows, arms)
    net : (rows, arms), doubly robust: money earned more than in control, cost deducted
    kept : (rows, arms), the same of the outcome itself
    arms : names, without control
    true : (rows, arms), the true money, cost deducted; of simulated companies
    strata : (repeats, rows), the part of the cross-fitting and the trial of a row, see
        ``cross_fitting.CrossFit``; None where no models were fitted: all are one part
    largest_arm : customers of the largest arm; 0 where no models of features were fitted
    paid_effect : (rows, arms), as ``kept``, of the outcome that money is counted by, to which
        ``outcome_value`` belongs; None where it is the outcome itself
    """

    cycle: np.ndarray
    customers: np.ndarray
    clusters: np.ndarray
    risk: np.ndarray
    outcome_value: np.ndarray
    effect: np.ndarray
    gain: np.ndarray
    usual: np.ndarray
    cost: np.ndarray
    net: np.ndarray
    kept: np.ndarray
    arms: tuple[str, ...]
    true: np.ndarray | None = None
    strata: np.ndarray | None = None
    largest_arm: int = 0
    paid_effect: np.ndarray | None = None

    @property
    def cycles(self) -> int:
        """How many cycles there are."""
        return len(self.cycle_rows)

    @property
    def cycle_size(self) -> float:
        """Mean number of customers in a cycle."""
        return len(self.cycle) / self.cycles

    @cached_property
    def cycle_rows(self) -> list[list[np.ndarray]]:
        """The rows of every cycle, as one part each."""
        return [[rows] for rows in _list_rows(self.cycle)]

    @cached_property
    def parts(self) -> list[list[list[np.ndarray]]]:
        """The rows of every part of the cross-fitting in every cycle, for each repeat."""
        if self.strata is None:
            return [self.cycle_rows] * len(self.effect)
        return [
            [[rows[inside] for inside in _list_rows(strata[rows])] for (rows,) in self.cycle_rows]
            for strata in self.strata
        ]


def _list_rows(groups: np.ndarray) -> list[np.ndarray]:
    """Return the rows of every group, in the order of the groups."""
    codes = pd.factorize(groups, sort=True)[0]
    return np.split(np.argsort(codes, kind="stable"), np.bincount(codes).cumsum()[:-1])


def build_case(
    sample: Sample,
    cross_fits: Sequence[CrossFit],
    priced: Sequence[CrossFit] | None,
    outcome_value: np.ndarray,
    money: np.ndarray,
    paid: np.ndarray,
    cost: np.ndarray,
    predicted: tuple[np.ndarray, np.ndarray],
    cycle: np.ndarray,
    true: np.ndarray | None = None,
    model: str = AVERAGED,
) -> Case:
    """Return the case of a trial.

    Parameters
    ----------
    cross_fits : effects on the outcome, see ``cross_fitting.cross_fit``
    priced : effects in money; the effect times its value unless given
    outcome_value : (rows,), money per unit of the outcome
    money : (rows,), what each row earned, cost not deducted
    paid : (rows,), what its own arm cost
    cost : (rows, arms), what each arm costs
    predicted : (rows, arms with control) of the outcome and of money, out of fold
    true : see ``Case``
    """
    strata = np.array([one.strata for one in cross_fits])
    effect = np.array([one.effects[model] for one in cross_fits])
    gain = effect * outcome_value[None, :, None]
    if priced:
        gain = np.array([one.effects[model] for one in priced])
    costs = np.column_stack([np.zeros(sample.size), cost])
    earned = replace(sample, outcome=money - paid)
    risk = np.array([one.effects[RISK][:, 0] for one in cross_fits]) + is_binary(sample.outcome)
    return Case(
        cycle=cycle,
        customers=sample.customers,
        clusters=sample.clusters,
        risk=risk,
        outcome_value=outcome_value,
        effect=effect,
        gain=gain,
        usual=choose_usual(gain, cost, strata // (sample.trial.max() + 1)),
        cost=cost,
        net=subtract_control(compute_scores(earned, predicted[1] - costs)),
        kept=subtract_control(compute_scores(sample, predicted[0])),
        arms=sample.arms[1:],
        true=true,
        strata=strata,
        largest_arm=int(np.bincount(sample.arm).max()) if sample.tree_features.shape[1] else 0,
    )


def level_parts(effects: np.ndarray, strata: np.ndarray, trial: np.ndarray) -> np.ndarray:
    """Return effects whose mean is the same in all parts of a trial: that of the trial.

    For a list over all parts: levels of different parts come from different models. Such a list
    can't be judged on the same customers: its level is theirs, too.

    Parameters
    ----------
    effects : (repeats, rows, arms)
    strata : (repeats, rows), see ``cross_fitting.CrossFit``
    trial : (rows,)
    """
    return np.array(
        [
            one - _average_by(one, stratum) + _average_by(one, trial)
            for one, stratum in zip(effects, strata, strict=True)
        ]
    )


def choose_usual(gain: np.ndarray, cost: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return, for each row, the offer that pays best on average by the models of the other parts:
    (repeats, rows), 1 for the first arm.

    So no offer is chosen on the customers on whom it is judged.

    Parameters
    ----------
    gain : (repeats, rows, arms), in money
    cost : (rows, arms)
    parts : (repeats, rows)
    """
    return np.array(
        [
            1 + _average_by(one - cost, part).argmax(axis=1)
            for one, part in zip(gain, parts, strict=True)
        ]
    )


def _average_by(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    return pd.DataFrame(values).groupby(group).transform("mean").to_numpy()


@keep
def load_case(
    trial: Trial, tables: Tables, study: Study, folds: int, repeats: int, seed: int
) -> Case:
    """Return the case of a trial, with effects cross-fitted.

    Raises
    ------
    StudyError, NotApplicable
        See ``find_outcome_value`` and ``find_costs``.
    """
    trial = drop_missing_outcomes(trial)
    sample = make_sample(trial, trial.primary)
    value = find_outcome_value(trial, tables, study, seed)
    cost, paid = find_costs(trial, sample, study)
    paid_for = find_paid_outcome(trial, study)
    money = trial.rows[paid_for].to_numpy(float) * value
    cross_fits = cross_fit(sample, folds, repeats, seed)
    predicted = predict_out_of_fold(sample, SCORE_FOLDS, seed)
    priced, change, predicted_money = None, None, predicted * value[:, None]
    if paid_for != trial.primary:
        earned = replace(sample, outcome=money)
        predicted_money = predict_out_of_fold(earned, SCORE_FOLDS, seed)
        scores, money_scores = (
            compute_scores(sample, predicted),
            compute_scores(earned, predicted_money),
        )
        priced = [price_effects(one, sample, scores, money_scores) for one in cross_fits]
        change = count_units(subtract_control(money_scores), value)
    true = load_true_effects(trial, study) if trial.primary == KEPT else None
    case = build_case(
        sample,
        cross_fits,
        priced,
        value,
        money,
        paid,
        cost,
        (predicted, predicted_money),
        trial.rows.trial.to_numpy(),
        None if true is None else true * value[:, None] - cost,
    )
    case = replace(case, paid_effect=change)
    return _rank_by_leaving(case, trial, seed) if trial.primary == MONEY else case


def _rank_by_leaving(case: Case, trial: Trial, seed: int) -> Case:
    """Return a case of money whose risk is that of leaving, where the trial knows who left."""
    if KEPT not in trial.outcomes or trial.rows[KEPT].isna().any():
        return case
    kept = predict_out_of_fold(make_sample(trial, KEPT), SCORE_FOLDS, seed).mean(axis=1)
    return replace(case, risk=np.tile(1 - kept, (len(case.effect), 1)))


def drop_missing_outcomes(trial: Trial) -> Trial:
    """Return a trial without rows that miss an outcome.

    Raises
    ------
    StudyError
        If an arm has none left.
    """
    complete = trial.rows[[*trial.outcomes]].notna().all(axis=1)
    if lost := sorted({*trial.rows.arm} - {*trial.rows.arm[complete]}):
        raise StudyError(
            f"expected known outcomes in every arm, got none in {', '.join(map(str, lost))}; leave"
            " out the arm, or give its outcomes"
        )
    if complete.all():
        return trial
    return replace(trial, rows=trial.rows[complete].reset_index(drop=True))


def find_paid_outcome(trial: Trial, study: Study) -> str:
    """Return the outcome that money is counted by: ``value`` of a flat study that has it, else the
    primary one.
    """
    return "value" if study.kind == "flat" and "value" in trial.outcomes else trial.primary


def find_outcome_value(trial: Trial, tables: Tables, study: Study, seed: int) -> np.ndarray:
    """Return the value of a unit of the primary outcome for each row, in the study's currency, as
    known on the day before the assignment.

    Dated studies: the value of keeping the customer, see ``research.value.customers``; where the
    primary outcome is the money paid in the horizon, the margin of it. Flat studies: the share that
    remains of the money itself, where the trial knows it (``value``); else, of staying, the mean
    value of keeping; ``margin_per_customer`` where customers can't be valued.

    Raises
    ------
    NotApplicable
        If the study gives neither amounts nor a margin.
    """
    if study.kind == "flat":
        return np.full(len(trial.rows), _find_flat_value(trial, tables, study, seed))
    if trial.primary == MONEY:
        return np.full(len(trial.rows), find_margin(study))
    value = pd.Series(np.nan, trial.rows.index)
    for day, rows in trial.rows.groupby(trial.rows.assigned_at.dt.normalize()):
        known = load_values(tables, study, (day - pd.Timedelta(days=1)).date(), seed)
        by_customer = known.set_index("customer_id").value_of_keeping
        value[rows.index] = rows.customer_id.map(by_customer).to_numpy()
    return value.fillna(value.dropna().median()).to_numpy()


def load_worth(tables: Tables, study: Study, day: date | None, seed: int) -> pd.DataFrame | None:
    """Return ``load_values`` by customer; None where customers can't be valued: no fees or orders,
    or too few customers; ``50_value`` says which.

    Parameters
    ----------
    day : as known by whose end; None of a flat study
    """
    try:
        return load_values(tables, study, day, seed).set_index("customer_id")
    except (NotApplicable, StudyError):
        return None


def count_units(money: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return money, (rows, arms), in units of the outcome that it is counted by; none where a unit
    is worth nothing.

    Parameters
    ----------
    value : (rows,), money per unit
    """
    return money / np.where(value > 0, value, 1.0)[:, None]


def find_margin(study: Study) -> float:
    """Return the margin of what customers of a dated study pay: of fees, or of orders."""
    economics = study.economics
    return economics.fee_margin if study.kind == "contractual" else economics.margin_share


def _find_flat_value(trial: Trial, tables: Tables, study: Study, seed: int) -> float:
    if MONEY in trial.outcomes:
        return study.economics.margin_share
    worth = load_worth(tables, study, None, seed) if trial.primary == KEPT else None
    if worth is not None:
        return float(worth.value_of_keeping.mean())
    if study.economics.margin_per_customer is None:
        raise NotApplicable(
            f"the study {study.name} has no monetary outcome: its economics name no"
            " margin_per_customer, and its snapshot has no value"
        )
    return study.economics.margin_per_customer


def find_costs(trial: Trial, sample: Sample, study: Study) -> tuple[np.ndarray, np.ndarray]:
    """Return what every arm costs each row, (rows, arms without control), and what each row's own
    arm cost.

    From the campaigns' own ``cost`` where it is known: one number, or a linear regression on the
    features for customers in another arm. Else from study.yml: ``economics.arms``, or the contact
    and the offer that all arms share.

    Raises
    ------
    StudyError
        If the cost of an arm isn't known.
    """
    given = np.full(sample.size, np.nan)
    if "cost" in trial.rows:
        given = trial.rows.cost.to_numpy(float)
    costs = find_arm_costs(given, sample, study)
    own = pick(costs, sample.arm)
    return costs, np.where(np.isnan(given), own, given)


def find_arm_costs(given: np.ndarray, sample: Sample, study: Study) -> np.ndarray:
    """Return what every arm costs each row: (rows, arms without control).

    Parameters
    ----------
    given : (rows,), what the own arm cost; empty where it isn't known
    """
    columns = [
        _find_cost(arm, code, given, sample, study)
        for code, arm in enumerate(sample.arms[1:], start=1)
    ]
    return np.column_stack(columns)


def _find_cost(arm: str, code: int, given: np.ndarray, sample: Sample, study: Study) -> np.ndarray:
    inside = sample.arm == code
    known = given[inside]
    if np.isfinite(known).all():
        if np.ptp(known) == 0:
            return np.full(sample.size, known[0])
        line = LinearRegression().fit(sample.linear_features[inside], known)
        return np.clip(line.predict(sample.linear_features), known.min(), known.max())
    prices = study.economics.arms.get(arm, study.economics)
    if prices.contact_cost is None:
        raise StudyError(
            f"study.yml, key economics: expected the costs of the arm '{arm}', got none; add"
            f" arms: {{{arm}: {{contact_cost: ...}}}}"
        )
    return np.full(sample.size, prices.contact_cost + prices.offer_cost)


def price_effects(
    fit: CrossFit, sample: Sample, scores: np.ndarray, money_scores: np.ndarray
) -> CrossFit:
    """Return effects on the primary outcome in money, where the trial knows the money itself.

    Effects on the money of single customers drown in the noise of a few large amounts, and so does
    the difference between what two arms' units bring. It is assumed instead that a unit of the
    outcome brings as much whoever it is and whatever arm brought it about. This price is learned
    out of fold, from the arms with a significant effect on the outcome; of the others the mean
    effect in money stands for all.

    Parameters
    ----------
    scores, money_scores : (rows, arms), doubly robust, of the outcome and of money
    """
    fold = fit.strata // (sample.trial.max() + 1)
    effects, gain = fit.effects[AVERAGED], np.empty_like(fit.effects[AVERAGED])
    change, money_change = subtract_control(scores), subtract_control(money_scores)
    for number in np.unique(fold):
        inside, rest = fold == number, fold != number
        units, money = change[rest].mean(axis=0), money_change[rest].mean(axis=0)
        errors = [
            compute_standard_error(column - column.mean(), sample.clusters[rest])
            for column in change[rest].T
        ]
        significant = np.abs(units) > Z * np.array(errors)
        price = 0.0
        if significant.any():
            effect = units[significant]
            price = money[significant] @ effect / (effect @ effect)
        gain[inside] = np.where(significant, effects[inside] * price, money)
    return CrossFit({AVERAGED: gain}, fit.strata)

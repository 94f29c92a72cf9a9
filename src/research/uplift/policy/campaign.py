"""From a trial to a case that policies can be compared on: what outcomes are worth, what arms cost,
what is true where that is known; and this cycle's list.
"""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

from research.data.contracts import Tables
from research.errors import NotApplicable, StudyError
from research.evaluation.ground_truth import QUARTER_DAYS
from research.evaluation.intervals import Z
from research.features.build import load_panel
from research.simulate import Company
from research.simulate.outlook import expect_effects
from research.study import Study
from research.study_schema import CONTROL
from research.uplift.average_effects import FOLDS
from research.uplift.cross_fitting import Crossed, cross_fit
from research.uplift.doubly_robust import Sample, contrast, expect_unseen, lay_out, score_arms
from research.uplift.learners import AVERAGED, predict_effects
from research.uplift.policy.knapsack import allocate, pick
from research.uplift.policy.policies import Case, build_case
from research.uplift.trials import Trial
from research.value.customers import load_values

CONTACT, LEAVE_ALONE, NO_GAIN, NO_ROOM = (
    "contact",
    "do not contact",
    "not worth the cost",
    "no room",
)
UNSURE = "would contact, but not shown to pay"
ORDER = {CONTACT: 0, UNSURE: 0, NO_ROOM: 1, NO_GAIN: 2, LEAVE_ALONE: 3}
TARGETS = [
    "customer_id",
    "decision",
    "arm",
    "rank",
    "effect_points",
    "worth",
    "gain",
    "cost",
    "net_gain",
]


def find_worth(trial: Trial, tables: Tables, study: Study, seed: int) -> np.ndarray:
    """Return what a unit of the primary outcome is worth for each row, in the study's currency, as
    known on the evening before.

    Dated studies: what the customer is worth if kept, see ``worth.load_values``. Flat studies:
    ``margin_per_customer``; where the trial knows the money itself (``value``), the share of it
    that remains.

    Raises
    ------
    NotApplicable
        If the study tells neither amounts nor a margin.
    """
    if study.kind == "flat":
        if "value" in trial.outcomes:
            return np.full(len(trial.rows), study.economics.margin_share)
        if study.economics.margin_per_customer is None:
            raise NotApplicable(
                f"the study {study.name} tells no money: its economics name no margin_per_customer,"
                " and its snapshot has no value"
            )
        return np.full(len(trial.rows), study.economics.margin_per_customer)
    if trial.primary != "kept":
        required = "expected the primary outcome 'kept', of which the customers' worth is known"
        raise StudyError(
            f"study.yml, key experiment.primary: {required}, got '{trial.primary}'; leave the"
            " key out for 65_targeting"
        )
    worth = pd.Series(np.nan, trial.rows.index)
    for day, rows in trial.rows.groupby(trial.rows.assigned_at.dt.normalize()):
        worth[rows.index] = rows.customer_id.map(
            load_worth(tables, study, (day - pd.Timedelta(days=1)).date(), seed)
        ).to_numpy()
    return worth.fillna(worth.median()).to_numpy()


def load_worth(tables: Tables, study: Study, snapshot: date, seed: int) -> pd.Series:
    """Return what each customer is worth if kept, by customer_id."""
    return load_values(tables, study, snapshot, seed).set_index("customer_id").value_if_kept


def find_costs(trial: Trial, sample: Sample, study: Study) -> tuple[np.ndarray, np.ndarray]:
    """Return what every arm costs each row, (rows, arms without control), and what each row's own
    arm cost.

    From the campaigns' own ``cost`` where it is known: one number, or what a straight line through
    the features says of customers in another arm. Else from study.yml: ``economics.arms``, or the
    contact and the offer that all arms share.

    Raises
    ------
    StudyError
        If neither tells what an arm costs.
    """
    given = (
        trial.rows.cost.to_numpy(float) if "cost" in trial.rows else np.full(sample.size, np.nan)
    )
    costs = [
        _cost_one(arm, code, given, sample, study)
        for code, arm in enumerate(sample.arms[1:], start=1)
    ]
    costs = np.column_stack(costs)
    own = pick(costs, sample.arm)
    return costs, np.where(np.isnan(given), own, given)


def _cost_one(arm: str, code: int, given: np.ndarray, sample: Sample, study: Study) -> np.ndarray:
    known = given[sample.arm == code]
    if np.isfinite(known).all():
        if np.ptp(known) == 0:
            return np.full(sample.size, known[0])
        return np.clip(
            LinearRegression().fit(sample.lines[sample.arm == code], known).predict(sample.lines),
            known.min(),
            known.max(),
        )
    prices = study.economics.arms.get(arm, study.economics)
    if prices.contact_cost is None:
        raise StudyError(
            f"study.yml, key economics: expected the costs of the arm '{arm}', got none; add"
            f" arms: {{{arm}: {{contact_cost: ...}}}}"
        )
    return np.full(sample.size, prices.contact_cost + prices.offer_cost)


def load_true(trial: Trial, study: Study) -> np.ndarray | None:
    """Return the true effect of every arm on staying, (rows, arms without control), of a generated
    company; nothing for others.

    It is that of the campaign's day, over the futures that may follow, see
    ``simulate.outlook.expect_effects``; three calendar months long, so that only a horizon of about
    as many days has one.
    """
    if (
        study.simulate is None
        or "assigned_at" not in trial.rows
        or not QUARTER_DAYS[0] <= study.churn.horizon_days <= QUARTER_DAYS[1]
    ):
        return None
    effects = expect_effects(Company(**study.simulate.model_dump()), [*trial.rows.trial.unique()])
    wide = effects.pivot_table(index=["campaign", "customer_id"], columns="arm", values="effect")
    return -wide.reindex(pd.MultiIndex.from_frame(trial.rows[["trial", "customer_id"]]))[
        trial.arms
    ].to_numpy(float)


def load_case(
    trial: Trial, tables: Tables, study: Study, folds: int, repeats: int, seed: int
) -> Case:
    """Return the case of a trial, with effects cross-fitted.

    Raises
    ------
    StudyError, NotApplicable
        See ``find_worth`` and ``find_costs``.
    """
    trial = _drop_unknown(trial)
    outcome = "value" if "value" in trial.outcomes and study.kind == "flat" else trial.primary
    sample, worth = lay_out(trial, trial.primary), find_worth(trial, tables, study, seed)
    cost, paid = find_costs(trial, sample, study)
    money = trial.rows[outcome].to_numpy(float) * worth
    said, expected = cross_fit(sample, folds, repeats, seed), expect_unseen(sample, FOLDS, seed)
    gained, in_money = None, expected * worth[:, None]
    if outcome != trial.primary:
        earned = replace(sample, outcome=money)
        in_money = expect_unseen(earned, FOLDS, seed)
        gained = [
            price_effects(one, sample, score_arms(sample, expected), score_arms(earned, in_money))
            for one in said
        ]
    true = load_true(trial, study)
    true = None if true is None else true * worth[:, None] - cost
    return build_case(
        sample,
        said,
        gained,
        worth,
        money,
        paid,
        cost,
        (expected, in_money),
        trial.rows.trial.to_numpy(),
        true,
    )


def price_effects(
    said: Crossed, sample: Sample, scores: np.ndarray, in_money: np.ndarray
) -> Crossed:
    """Return effects on the primary outcome in money, where the trial knows the money itself: times
    what a unit more brought on average.

    Single customers' effects on money drown in the noise of a few large amounts, and so does the
    difference between what two arms' visits bring; that a visit brings as much whoever makes it,
    and whatever arm brought it about, is assumed instead. The price is learned on other parts of
    the customers, from the arms whose effect on the outcome is shown there; of the others the mean
    effect in money stands for all.

    Parameters
    ----------
    scores, in_money : (rows, arms), doubly robust, of the outcome and of money
    """
    part = said.strata // (sample.trial.max() + 1)
    gain, moved, earned = (
        np.empty_like(said.effects[AVERAGED]),
        contrast(scores),
        contrast(in_money),
    )
    for number in np.unique(part):
        rows, rest = part == number, part != number
        units, money = moved[rest].mean(axis=0), earned[rest].mean(axis=0)
        shown = np.abs(units) > Z * moved[rest].std(axis=0) / np.sqrt(rest.sum())
        price = money[shown] @ units[shown] / (units[shown] @ units[shown]) if shown.any() else 0.0
        gain[rows] = np.where(shown, said.effects[AVERAGED][rows] * price, money)
    return Crossed({AVERAGED: gain}, said.strata)


def _drop_unknown(trial: Trial) -> Trial:
    known = trial.rows[[*trial.outcomes]].notna().all(axis=1)
    if lost := sorted({*trial.rows.arm} - {*trial.rows.arm[known]}):
        raise StudyError(
            f"expected known outcomes in every arm, got none in {', '.join(map(str, lost))};"
            " leave out the arm, or give its outcomes"
        )
    return trial if known.all() else replace(trial, rows=trial.rows[known].reset_index(drop=True))


def list_targets(
    trial: Trial,
    tables: Tables,
    study: Study,
    case: Case,
    budget: float,
    seed: int,
    shown: bool = True,
) -> pd.DataFrame:
    """Return this cycle's list: for each customer whether to contact, with which offer, and what
    that is expected to bring.

    Dated studies: everybody in the population at the study's last snapshot, by what all trials
    taught. Flat studies: the customers of the trial, each by models that never saw him or her.

    Returns
    -------
    DataFrame with columns customer_id, decision, arm, rank, effect_points, worth, gain, cost,
    net_gain
        ``decision``: contact, or would contact where the policy is not ``shown`` to earn anything;
        do not contact (every offer is estimated to do harm); not worth the cost; no room (in budget
        and capacity). ``arm``: of the offer that is given, or would be; ``effect_points``: on the
        outcome, in hundredths of its unit; money in the study's currency; rank 1 brings most.
    """
    if study.kind == "flat":
        who, effect, gain, cost, worth = (
            case.customers,
            case.effect.mean(axis=0),
            case.gain.mean(axis=0),
            case.cost,
            case.worth,
        )
    else:
        who, effect, cost, worth = _predict_now(trial, tables, study, seed)
        gain = effect * worth[:, None]
    chosen = allocate(gain, cost, budget, study.economics.capacity)
    best = np.where(chosen > 0, chosen, 1 + (gain - cost).argmax(axis=1))
    net = pick(gain - cost, best)
    kinds = [CONTACT if shown else UNSURE, LEAVE_ALONE, NO_GAIN]
    decision = np.select([chosen > 0, (effect < 0).all(axis=1), net <= 0], kinds, NO_ROOM)
    table = pd.DataFrame(
        {
            "customer_id": who,
            "decision": decision,
            "arm": np.array(case.arms)[best - 1],
            "net_gain": net,
            "worth": worth,
        }
    )
    table = table.assign(
        effect_points=100 * pick(effect, best), gain=pick(gain, best), cost=pick(cost, best)
    )
    table = table.sort_values(
        ["decision", "net_gain"],
        key=lambda part: part.map(ORDER.get) if part.name == "decision" else -part,
        kind="stable",
    )
    return table.assign(rank=np.arange(1, len(table) + 1)).reset_index(drop=True)[TARGETS]


def _predict_now(
    trial: Trial, tables: Tables, study: Study, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return who is in the population at the last snapshot, the effects of the arms, their costs,
    and what customers are worth.
    """
    trial, last = _drop_unknown(trial), study.snapshots.last
    present = load_panel(tables, study, [last])
    together = pd.concat(
        [trial.rows, present.assign(trial=trial.rows.trial.iloc[-1], arm=CONTROL, propensity=1.0)],
        ignore_index=True,
    )
    both = lay_out(
        replace(trial, rows=together.assign(**{trial.primary: together[trial.primary].fillna(0)})),
        trial.primary,
    )
    known = np.arange(both.size) < len(trial.rows)
    learn, new = both.take(known), both.take(~known)
    effect = predict_effects(learn, new.trees, new.lines, seed)[AVERAGED]
    given = trial.rows.cost.to_numpy(float)
    cost = np.column_stack(
        [
            _cost_one(arm, code, np.r_[given, np.full(new.size, np.nan)], both, study)
            for code, arm in enumerate(both.arms[1:], start=1)
        ]
    )
    worth = present.customer_id.map(load_worth(tables, study, last, seed))
    return (
        present.customer_id.to_numpy(),
        effect,
        cost[~known],
        worth.fillna(worth.median()).to_numpy(),
    )

"""Effects customer by customer: by how much each arm would raise each customer's outcome, learned
on other customers of the same trial.

Sources: S-, T- and X-learner: Kuenzel, Sekhon, Bickel & Yu 2019, doi:10.1073/pnas.1804597116.
DR-learner: Kennedy 2023, doi:10.1214/23-EJS2157. Class transformation: Jaskowski & Jaroszewicz
2012, here for any outcome and any propensity. Causal forest: honest trees (Wager & Athey 2018,
doi:10.1080/01621459.2017.1319839) over doubly robust scores (Oprescu, Syrgkanis & Wu 2019,
arXiv:1806.03467). Risk modelling: Kent et al. 2020, doi:10.7326/M18-3667. The average weighs some
of these by how well they foretell doubly robust scores, as stacked regressions do (Breiman 1996,
doi:10.1007/BF00117832).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from scipy.special import expit, logit
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV

from research.uplift.doubly_robust import (
    INNER,
    Sample,
    contrast,
    divide,
    expect_outcomes,
    expect_unseen,
    make_regression,
    regress,
    score_arms,
)

TREES = 60
FOREST_ROWS = 30_000  # that a forest learns from at most, drawn by lot
PENALTIES = np.logspace(1, 7, 13)
LOG_ODDS_SD = 1.5  # of what the features say of the outcome, before the data are seen
DOUBT = 0.25  # standard deviation of a learner's weight in the average, before the data are seen
SHIFT, WIDE = (
    0.5,
    3.0,
)  # the same of how features change an arm's shift of the log-odds, and of shifts as a whole
EDGE = 0.003  # nearer to 0 and 1 expected chances don't go
RANDOM, RISK, RESPONSE = "random", "churn risk", "outcome under contact"
AVERAGED = "averaged effects"
MEMBERS = (
    "shift of log-odds",
    "X-learner",
    "DR-learner",
    "DR-learner, linear",
    "causal forest",
)  # that are averaged
FAMILIES = {RANDOM: "reference", RISK: "rival", RESPONSE: "rival", AVERAGED: "averaged"}


@dataclass(frozen=True)
class Lesson:
    """What the learners share of one training part.

    Attributes
    ----------
    learn : the training rows
    trees, lines : columns of the new rows
    scores : doubly robust, of the training rows
    expected : (new rows, arms), the outcome by models that saw all training rows
    prognosis, new_prognosis : the outcome whatever the arm, of training rows by models that did not
        see them, and of new rows
    """

    learn: Sample
    trees: np.ndarray
    lines: np.ndarray
    scores: np.ndarray
    expected: np.ndarray
    prognosis: np.ndarray
    new_prognosis: np.ndarray
    seed: int


Learner = Callable[[Lesson], np.ndarray]


def learn_single(lesson: Lesson) -> np.ndarray:
    """S-learner: one model that knows the arm as well."""
    learn, arms = lesson.learn, len(lesson.learn.arms)
    model = make_regression(*learn.trees.shape, lesson.seed).fit(
        np.column_stack([learn.trees, np.eye(arms)[learn.arm]]), learn.outcome
    )
    said = [
        model.predict(
            np.column_stack([lesson.trees, np.tile(np.eye(arms)[arm], (len(lesson.trees), 1))])
        )
        for arm in range(arms)
    ]
    return np.column_stack(said[1:]) - said[0][:, None]


def learn_twice(lesson: Lesson) -> np.ndarray:
    """T-learner: a model for each arm."""
    return contrast(lesson.expected)


def learn_crosswise(lesson: Lesson) -> np.ndarray:
    """X-learner: effects imputed with the model of the other arm, learned in both, and weighed by
    the sizes of the arms.
    """
    return np.column_stack([_cross(lesson, arm) for arm in range(1, len(lesson.learn.arms))])


def _cross(lesson: Lesson, arm: int) -> np.ndarray:
    control, treated = (lesson.learn.take(lesson.learn.arm == code) for code in (0, arm))
    gained = treated.outcome - regress(control.trees, control.outcome, treated.trees, lesson.seed)
    missed = regress(treated.trees, treated.outcome, control.trees, lesson.seed) - control.outcome
    share = treated.size / (treated.size + control.size)
    of_treated, of_control = (
        regress(part.trees, target, lesson.trees, lesson.seed)
        for part, target in ((treated, gained), (control, missed))
    )
    return share * of_control + (1 - share) * of_treated


def learn_robustly(lesson: Lesson) -> np.ndarray:
    """DR-learner: gradient boosting over doubly robust scores."""
    return np.column_stack(
        [
            regress(lesson.learn.trees, target, lesson.trees, lesson.seed)
            for target in contrast(lesson.scores).T
        ]
    )


def learn_lines(lesson: Lesson) -> np.ndarray:
    """DR-learner, linear: ridge regression over doubly robust scores, its penalty chosen by leaving
    one out.
    """
    targets = contrast(lesson.scores)
    if not lesson.lines.shape[1]:
        return np.tile(targets.mean(axis=0), (len(lesson.lines), 1))
    return (
        RidgeCV(PENALTIES, alpha_per_target=True)
        .fit(lesson.learn.lines, targets)
        .predict(lesson.lines)
        .reshape(-1, targets.shape[1])
    )


def learn_by_risk(lesson: Lesson) -> np.ndarray:
    """Risk modelling: a straight line of doubly robust scores on the outcome that is to be expected
    of a customer whatever the arm.
    """
    known, new = (
        np.column_stack([np.ones(len(values)), values])
        for values in (lesson.prognosis, lesson.new_prognosis)
    )
    return new @ np.linalg.lstsq(known, contrast(lesson.scores), rcond=None)[0]


def learn_log_odds(lesson: Lesson) -> np.ndarray:
    """Shift of log-odds: what an arm adds to the log-odds of the expected outcome, for all and by
    the features, drawn together by a ridge.

    The same shift moves a customer at 50 % by more points than one at 2 %, as offers do. For
    outcomes other than 0 and 1 it is ``learn_by_risk``.
    """
    learn, arms = lesson.learn, len(lesson.learn.arms)
    if not is_yes_or_no(learn.outcome):
        return learn_by_risk(lesson)
    middle = _log_odds(lesson.prognosis).mean()
    known = _lay_out_shifts(learn.arm, learn.lines, _log_odds(lesson.prognosis) - middle, arms)
    model = LogisticRegression(C=1.0, solver="newton-cholesky", max_iter=200).fit(
        known, learn.outcome
    )
    new = _log_odds(lesson.new_prognosis) - middle
    said = [
        model.predict_proba(_lay_out_shifts(np.full(len(new), arm), lesson.lines, new, arms))[:, 1]
        for arm in range(arms)
    ]
    return np.column_stack(said[1:]) - said[0][:, None]


def _log_odds(chance: np.ndarray) -> np.ndarray:
    return logit(np.clip(chance, EDGE, 1 - EDGE))


def _lay_out_shifts(
    arm: np.ndarray, lines: np.ndarray, expected: np.ndarray, arms: int
) -> np.ndarray:
    """Return the columns of the model of shifts, scaled so that a ridge of 1 is a standard
    deviation of the log-odds: wide for what is expected and for an arm as a whole, ``SHIFT`` for
    what all features together add, or add to an arm.
    """
    spread = SHIFT * lines / np.sqrt(max(lines.shape[1], 1))
    parts = [WIDE * expected[:, None], spread]
    for code in range(1, arms):
        inside = (arm == code).astype(float)[:, None]
        parts += [WIDE * inside, SHIFT * inside * expected[:, None], inside * spread]
    return np.hstack(parts)


def learn_transformed(lesson: Lesson) -> np.ndarray:
    """Class transformation: the outcome with its sign turned in control, weighted by the inverse of
    the propensity, is half of the effect on average.
    """
    return np.column_stack([_transform(lesson, arm) for arm in range(1, len(lesson.learn.arms))])


def _transform(lesson: Lesson, arm: int) -> np.ndarray:
    part = lesson.learn.take((lesson.learn.arm == 0) | (lesson.learn.arm == arm))
    weights = 1 / part.propensity
    centred = part.outcome - np.average(part.outcome, weights=weights)
    return 2 * regress(
        part.trees,
        np.where(part.arm == 0, -centred, centred),
        lesson.trees,
        lesson.seed,
        weights / weights.mean(),
    )


def learn_forest(lesson: Lesson) -> np.ndarray:
    """Causal forest: one half of the rows grows the trees, the other says what is in their leaves,
    and the other way round.
    """
    rng, targets = np.random.default_rng(lesson.seed), contrast(lesson.scores)
    rows = rng.permutation(len(targets))[:FOREST_ROWS]
    if not lesson.trees.shape[1]:
        return np.tile(targets.mean(axis=0), (len(lesson.trees), 1))
    halves, filled = (rows[::2], rows[1::2]), np.nan_to_num(lesson.learn.trees, nan=-1e9)
    parts = [
        _grow(filled, targets, grow, fill, np.nan_to_num(lesson.trees, nan=-1e9), lesson.seed)
        for grow, fill in (halves, halves[::-1])
    ]
    return np.mean(parts, axis=0)


def _grow(
    columns: np.ndarray,
    targets: np.ndarray,
    grow: np.ndarray,
    fill: np.ndarray,
    new: np.ndarray,
    seed: int,
) -> np.ndarray:
    least = max(30, len(grow) // 60)
    forest = ExtraTreesRegressor(
        TREES // 2, min_samples_leaf=least, max_features="sqrt", n_jobs=1, random_state=seed
    ).fit(columns[grow], targets[grow])
    inside, outside, mean = (
        forest.apply(columns[fill]),
        forest.apply(new),
        targets[fill].mean(axis=0),
    )
    said = np.zeros((len(new), targets.shape[1]))
    for tree in range(inside.shape[1]):
        size = np.bincount(inside[:, tree], minlength=outside[:, tree].max() + 1).astype(float)
        for arm in range(targets.shape[1]):
            sums = np.bincount(inside[:, tree], targets[fill, arm], len(size))
            said[:, arm] += np.divide(
                sums, size, out=np.full(len(size), mean[arm]), where=size > 0
            )[outside[:, tree]]
    return said / inside.shape[1]


LEARNERS: dict[str, Learner] = {
    "S-learner": learn_single,
    "T-learner": learn_twice,
    "X-learner": learn_crosswise,
    "DR-learner": learn_robustly,
    "DR-learner, linear": learn_lines,
    "risk modelling": learn_by_risk,
    "shift of log-odds": learn_log_odds,
    "class transformation": learn_transformed,
    "causal forest": learn_forest,
}


def prepare(learn: Sample, trees: np.ndarray, lines: np.ndarray, seed: int) -> Lesson:
    """Return what the learners share; ``trees`` and ``lines`` are the columns of the new rows."""
    scores, fold, prognosis = (
        score_arms(learn, expect_unseen(learn, INNER, seed)),
        divide(learn, INNER, seed),
        np.empty(learn.size),
    )
    for number in range(INNER):
        rest = fold == number
        prognosis[rest] = _expect_whatever(
            learn.take(~rest), learn.trees[rest], learn.lines[rest], seed
        )
    return Lesson(
        learn,
        trees,
        lines,
        scores,
        expect_outcomes(learn, trees, seed),
        prognosis,
        _expect_whatever(learn, trees, lines, seed),
        seed,
    )


def is_yes_or_no(outcome: np.ndarray) -> bool:
    """Say whether an outcome is 0 or 1, and both occur."""
    return bool(np.isin(outcome, (0, 1)).all() and np.ptp(outcome) == 1)


def _expect_whatever(learn: Sample, trees: np.ndarray, lines: np.ndarray, seed: int) -> np.ndarray:
    """Return the outcome of new rows whatever the arm: the mean of gradient boosting and a ridge,
    on log-odds where the outcome is 0 or 1.
    """
    boosted = regress(learn.trees, learn.outcome, trees, seed)
    if not lines.shape[1]:
        return boosted
    if not is_yes_or_no(learn.outcome):
        return (boosted + RidgeCV(PENALTIES).fit(learn.lines, learn.outcome).predict(lines)) / 2
    ridge = LogisticRegression(
        C=LOG_ODDS_SD**2 / lines.shape[1], solver="newton-cholesky", max_iter=200
    ).fit(learn.lines, learn.outcome)
    return expit((_log_odds(boosted) + _log_odds(ridge.predict_proba(lines)[:, 1])) / 2)


def predict_effects(
    learn: Sample, trees: np.ndarray, lines: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Return the effect of every arm on every new row by every learner, and by their average:
    (rows, arms other than control) each.

    The average starts from the effects of the arms on everybody; a learner adds what it says beyond
    its own mean, times a weight of 0 or more that was learned on rows it had not seen, starting
    from the shift of log-odds alone (from nothing where the outcome isn't 0 or 1); all weights
    together are 1 at most. Where no learner foretells anything, the average says the same for all.
    """
    return teach(prepare(learn, trees, lines, seed))


def teach(lesson: Lesson) -> dict[str, np.ndarray]:
    """Return what ``predict_effects`` returns, from what is shared already."""
    said = {name: learner(lesson) for name, learner in LEARNERS.items()}
    return said | {AVERAGED: _average(lesson, said)}


def _average(lesson: Lesson, said: dict[str, np.ndarray]) -> np.ndarray:
    unseen = _say_unseen(lesson.learn, lesson.seed)
    targets, prior = contrast(lesson.scores), np.zeros(len(MEMBERS))
    prior[0] = float(is_yes_or_no(lesson.learn.outcome))
    return np.column_stack(
        [
            _weigh(
                targets[:, arm], unseen[:, :, arm], [said[name][:, arm] for name in MEMBERS], prior
            )
            for arm in range(targets.shape[1])
        ]
    )


def _weigh(
    target: np.ndarray, unseen: np.ndarray, said: list[np.ndarray], prior: np.ndarray
) -> np.ndarray:
    """Return the mean effect plus the weighted departures from it.

    Parameters
    ----------
    unseen : (learners, rows)
    prior : (learners,), the weights before the data are seen; weights scatter around them by
        ``DOUBT``
    """
    known, hold = (unseen - unseen.mean(axis=1, keepdims=True)).T, target.std() / DOUBT
    weights, _ = nnls(
        np.vstack([known, hold * np.eye(len(prior))]), np.r_[target - target.mean(), hold * prior]
    )
    weights /= max(weights.sum(), 1.0)
    return target.mean() + sum(
        weight * (values - values.mean()) for weight, values in zip(weights, said, strict=True)
    )


def _say_unseen(learn: Sample, seed: int) -> np.ndarray:
    """Return what every learner says of rows it had not seen: (learners, rows, arms)."""
    fold, found = (
        divide(learn, INNER, seed + 1),
        np.empty((len(MEMBERS), learn.size, len(learn.arms) - 1)),
    )
    for number in range(INNER):
        rest = fold == number
        lesson = prepare(learn.take(~rest), learn.trees[rest], learn.lines[rest], seed)
        found[:, rest] = [LEARNERS[name](lesson) for name in MEMBERS]
    return found

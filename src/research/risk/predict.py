"""Who will leave: candidates fitted on the past, or on other customers, and judged on the same
rows.

Nothing is learned outside a training part: each candidate holds its own preparation; see
``research.candidates``.
"""

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import ClassifierMixin, clone
from sklearn.model_selection import RepeatedStratifiedKFold

from research.errors import StudyError
from research.models.out_of_fold import score_unseen
from research.models.registry import BASE_RATE, Candidate
from research.models.survival_at_horizon import frame_outcome
from research.panel.splits import require_disjoint

Part = tuple[pd.DataFrame, pd.DataFrame]  # rows to learn from, rows to judge
LEAST_OF_CLASS = 30  # rows to learn from


def require_two_classes(frame: pd.DataFrame, where: str) -> None:
    """Refuse rows in which everyone churns or nobody does.

    Raises
    ------
    StudyError
        With the counts of both classes.
    """
    churners, rows = int(frame.churned.sum()), len(frame)
    if churners in (0, rows):
        raise StudyError(
            f"expected churners and others among the {where} rows, got {churners} churners in"
            f" {rows} rows; check the label in the study's SQL, or choose another snapshot or"
            " horizon"
        )


def require_features(features: list[str]) -> None:
    """Refuse an empty list of features."""
    if not features:
        raise StudyError(
            "expected at least one feature, got none beside keys, labels, sensitive and"
            " excluded columns; add columns in the study's SQL"
        )


def predict(
    train: pd.DataFrame,
    test: pd.DataFrame,
    features: list[str],
    candidates: dict[str, Candidate],
    folds: int,
    repeats: int,
    seed: int,
) -> pd.DataFrame:
    """Return every candidate's probabilities: out of time in a dated study, cross-validated in a
    flat one, where ``test`` doesn't matter.

    Raises
    ------
    StudyError
        If there are fewer than ``LEAST_OF_CLASS`` churners or others to learn from: parts of them,
        on which models are stacked, recalibrated and tuned, would lack a class.
    """
    _require_enough(train)
    if "snapshot" in train:
        return predict_out_of_time(train, test, features, candidates, seed)
    return predict_cross_validated(train, features, candidates, folds, repeats, seed)


def _require_enough(train: pd.DataFrame) -> None:
    learned = train[~train.left_in_lead] if "left_in_lead" in train else train
    counts = int(learned.churned.sum()), int((~learned.churned.astype(bool)).sum())
    if min(counts) < LEAST_OF_CLASS:
        raise StudyError(
            f"expected at least {LEAST_OF_CLASS} churners and as many others to learn from, got"
            f" {counts[0]} and {counts[1]}; choose a longer horizon, more training snapshots, or a"
            " study with more customers"
        )


def predict_out_of_time(
    train: pd.DataFrame,
    test: pd.DataFrame,
    features: list[str],
    candidates: dict[str, Candidate],
    seed: int = 0,
) -> pd.DataFrame:
    """Fit every candidate on ``train`` and return its probabilities for ``test``; ``seed`` draws
    the folds from which averages and maps learn.

    Returns
    -------
    DataFrame with columns repeat (0), snapshot, customer_id, churned, left_in_lead and one column
    per candidate
        One row per row of ``test``. Who left within the lead is no training row; a contact list
        can't leave them out, a score does.
    """
    require_features(features)
    train = train[~train.left_in_lead]
    require_two_classes(train, "training")
    require_two_classes(test[~test.left_in_lead], "test")
    return _frame_predictions(test, _fit_all(candidates, [(train, test)], features, seed)[0], 0)


def predict_cross_validated(
    frame: pd.DataFrame,
    features: list[str],
    candidates: dict[str, Candidate],
    folds: int,
    repeats: int,
    seed: int,
) -> pd.DataFrame:
    """Return out-of-fold probabilities of every candidate under repeated stratified
    cross-validation.

    Returns
    -------
    DataFrame with columns repeat, fold, customer_id, churned and one column per candidate
        ``repeats`` rows per row of ``frame``; all candidates see the same folds.

    Raises
    ------
    StudyError
        If a class has fewer customers than there are folds, or a customer stands on both sides of
        one.
    """
    require_features(features)
    require_two_classes(frame, "study's")
    _require_fold_sizes(frame, folds)
    splits = [
        *RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed).split(
            frame, frame.churned
        )
    ]
    parts = [(frame.iloc[train], frame.iloc[test]) for train, test in splits]
    for part in parts:
        require_disjoint(*part)
    risks = _fit_all(candidates, parts, features, seed)
    numbered = enumerate(zip(parts, risks, strict=True))
    found = [
        _frame_predictions(test, risk, number // folds).assign(fold=number % folds)
        for number, ((_, test), risk) in numbered
    ]
    table = pd.concat(found, ignore_index=True)
    if (
        BASE_RATE in candidates
    ):  # one rate per repeat: the rates of the folds would rank customers, against their own fold's share
        table[BASE_RATE] = table.groupby("repeat")[BASE_RATE].transform("mean")
    return table


def _require_fold_sizes(frame: pd.DataFrame, folds: int) -> None:
    smallest = int(min(frame.churned.sum(), (~frame.churned).sum()))
    if smallest < folds:
        raise StudyError(
            f"expected at least {folds} customers of each class for {folds} folds, got"
            f" {smallest}; lower the parameter folds"
        )


def _fit_all(
    candidates: dict[str, Candidate], parts: list[Part], features: list[str], seed: int
) -> list[dict[str, np.ndarray]]:
    """Return for each part what every candidate that learned from its first frame says of its
    second; two at a time, whatever the order.

    A model is fitted once, and scores the rows that others learn from once, however many look at
    it.
    """
    single = {name: one for name, one in candidates.items() if not one.members}
    single = dict(
        sorted(single.items(), key=lambda pair: "groups" not in pair[1].needs)
    )  # a search takes longest, and begins first
    watched = [*dict.fromkeys(name for one in candidates.values() for name in one.members)]
    unseen = [
        delayed(_score_unseen)(single[name], train, features, seed)
        for train, _ in parts
        for name in watched
    ]
    plain = [
        delayed(_fit_predict)(one, train, test, features)
        for train, test in parts
        for one in single.values()
    ]
    found = iter(Parallel(n_jobs=2, max_nbytes=None)(plain + unseen))
    risks = [{name: next(found) for name in single} for _ in parts]
    learned = [pd.DataFrame({name: next(found) for name in watched}) for _ in parts]
    return [
        _look_on(candidates, train, *part)
        for (train, _), *part in zip(parts, learned, risks, strict=True)
    ]


def _look_on(
    candidates: dict[str, Candidate],
    train: pd.DataFrame,
    learned: pd.DataFrame,
    risks: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the risks of all candidates, in their order: those that look at others learn from what
    these said of the training rows.
    """
    seen, rows = (
        pd.concat([train[["customer_id", "churned"]].reset_index(drop=True), learned], axis=1),
        pd.DataFrame(risks),
    )
    return {
        name: _fit_predict(one, seen, rows, []) if one.members else risks[name]
        for name, one in candidates.items()
    }


def fit(candidate: Candidate, train: pd.DataFrame, features: list[str]) -> ClassifierMixin:
    """Return a candidate fitted on labelled rows, of which it takes what it needs; see
    ``candidates.Candidate``.

    One with members takes their scores of the rows, by models that hadn't seen them, from columns
    of their names.
    """
    return clone(candidate.model).fit(
        _look(candidate, train, features), train.churned.to_numpy(bool), **_give(candidate, train)
    )


def fit_each(
    candidates: dict[str, Candidate], train: pd.DataFrame, features: list[str]
) -> dict[str, ClassifierMixin]:
    """Return every candidate fitted, by name, two at a time; see ``fit``."""
    found = Parallel(n_jobs=2, max_nbytes=None)(
        delayed(fit)(candidate, train, features) for candidate in candidates.values()
    )
    return dict(zip(candidates, found, strict=True))


def _look(candidate: Candidate, rows: pd.DataFrame, features: list[str]) -> pd.DataFrame:
    return rows[[*(candidate.members or candidate.columns or features)]]


def _give(candidate: Candidate, train: pd.DataFrame) -> dict[str, np.ndarray]:
    given = {
        "groups": train.customer_id.to_numpy(),
        "outcome": frame_outcome(train.waited, train.wait_days) if "waited" in train else None,
    }
    return {name: given[name] for name in candidate.needs}


def _fit_predict(
    candidate: Candidate, train: pd.DataFrame, test: pd.DataFrame, features: list[str]
) -> np.ndarray:
    return fit(candidate, train, features).predict_proba(_look(candidate, test, features))[:, 1]


def _score_unseen(
    candidate: Candidate, train: pd.DataFrame, features: list[str], seed: int
) -> np.ndarray:
    rows, churned = _look(candidate, train, features), train.churned.to_numpy(bool)
    return score_unseen(
        candidate.model, rows, churned, train.customer_id.to_numpy(), seed, _give(candidate, train)
    )


def _frame_predictions(
    test: pd.DataFrame, risks: dict[str, np.ndarray], repeat: int
) -> pd.DataFrame:
    keys = test[
        test.columns.intersection(["snapshot", "customer_id", "churned", "left_in_lead"])
    ].reset_index(drop=True)
    return pd.concat([keys.assign(repeat=repeat), pd.DataFrame(risks)], axis=1)

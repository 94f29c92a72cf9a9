"""Churn predicted by every model: out of time, or out of fold in a cross-validation.

Nothing is learned outside a training part: each model contains its own preparation of columns; see
``research.models.registry``.
"""

import numpy as np
import pandas as pd
from joblib import delayed
from sklearn.base import ClassifierMixin, clone
from sklearn.model_selection import RepeatedStratifiedKFold

from research.data.duplicates import find_first_twins, keep_together, name_groups
from research.errors import StudyError
from research.models.out_of_fold import predict_out_of_fold
from research.models.registry import BASE_RATE, Model
from research.models.side_by_side import run_side_by_side
from research.models.survival_at_horizon import frame_outcome
from research.panel.splits import require_disjoint

Part = tuple[pd.DataFrame, pd.DataFrame]  # rows to learn from, rows to judge
MOST_OUTSIDE = 0.05  # of judged rows, beyond the range of a number that models learned from
LEAST_OF_CLASS = 30  # rows to learn from
PART_ROWS = 20_000  # scored at a time


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
            f" {rows} rows; look at the label first (research check says what may be wrong with"
            " it), then choose another snapshot or horizon"
        )


def require_features(features: list[str]) -> None:
    """Refuse an empty list of features."""
    if not features:
        raise StudyError(
            "expected at least one feature, got none besides keys, labels, sensitive and"
            " excluded columns; add columns in the study's SQL"
        )


def find_outside(learned: pd.DataFrame, judged: pd.DataFrame, features: list[str]) -> pd.Series:
    """Return the numbers of which many judged rows lie beyond the range of the rows learned from.

    Returns
    -------
    Series by column, the largest share of rows first; only of at least ``MOST_OUTSIDE``
    """
    numbers = learned[features].select_dtypes("number").columns
    low, high = learned[numbers].min(), learned[numbers].max()
    beyond = (judged[numbers] < low) | (judged[numbers] > high)
    shares = beyond.mean().sort_values(ascending=False, kind="stable")
    return shares[shares >= MOST_OUTSIDE]


def predict(
    train: pd.DataFrame,
    test: pd.DataFrame,
    features: list[str],
    models: dict[str, Model],
    folds: int,
    repeats: int,
    seed: int,
) -> pd.DataFrame:
    """Return every model's probabilities of churn.

    Out of time in a dated study; out of fold in a flat one, where ``test`` is not used.

    Raises
    ------
    StudyError
        If there are fewer than ``LEAST_OF_CLASS`` churners or others to learn from: parts of them,
        on which models are stacked, recalibrated and tuned, would lack a class.
    """
    return predict_and_keep(train, test, features, models, folds, repeats, seed)[0]


def predict_and_keep(
    train: pd.DataFrame,
    test: pd.DataFrame,
    features: list[str],
    models: dict[str, Model],
    folds: int,
    repeats: int,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, ClassifierMixin]]:
    """Return what ``predict`` does, and of a dated study the fitted models that see features.

    A cross-validation fits a model for each fold, and none is kept.
    """
    _require_enough(train)
    if "snapshot" in train:
        return fit_out_of_time(train, test, features, models, seed)
    return predict_cross_validated(train, features, models, folds, repeats, seed), {}


def _require_enough(train: pd.DataFrame) -> None:
    learned = train[~train.left_in_lead] if "left_in_lead" in train else train
    counts = int(learned.churned.sum()), int((~learned.churned.astype(bool)).sum())
    if min(counts) < LEAST_OF_CLASS:
        raise StudyError(
            f"expected at least {LEAST_OF_CLASS} churners and as many others to learn from, got"
            f" {counts[0]} and {counts[1]}; look at the label first (research check says what may"
            " be wrong with it), then choose more training snapshots, a longer horizon, or a study"
            " with more customers"
        )


def predict_out_of_time(
    train: pd.DataFrame,
    test: pd.DataFrame,
    features: list[str],
    models: dict[str, Model],
    seed: int = 0,
) -> pd.DataFrame:
    """Fit every model on ``train`` and return its probabilities for ``test``; as below."""
    return fit_out_of_time(train, test, features, models, seed)[0]


def fit_out_of_time(
    train: pd.DataFrame,
    test: pd.DataFrame,
    features: list[str],
    models: dict[str, Model],
    seed: int = 0,
) -> tuple[pd.DataFrame, dict[str, ClassifierMixin]]:
    """Fit every model on ``train`` and return its probabilities for ``test``, and the models.

    Parameters
    ----------
    seed : draws the folds of the out-of-fold scores that averages and recalibration learn from

    Returns
    -------
    predictions : DataFrame with columns repeat (0), snapshot, customer_id, churned, left_in_lead
    and one column per model
        One row per row of ``test``. Customers who left within the lead are no training rows; they
        stay in the table since a contact list can't leave them out, and scores leave them out.
    """
    require_features(features)
    train = train[~train.left_in_lead]
    require_two_classes(train, "training")
    require_two_classes(test[~test.left_in_lead], "test")
    (risks,), fitted = _fit_all(models, [(train, test)], features, seed, keep=True)
    return _frame_predictions(test, risks, 0), fitted


def predict_cross_validated(
    frame: pd.DataFrame,
    features: list[str],
    models: dict[str, Model],
    folds: int,
    repeats: int,
    seed: int,
) -> pd.DataFrame:
    """Return out-of-fold probabilities of every model by repeated stratified cross-validation.

    Customers whose rows differ in the identifier alone are in one fold.

    Returns
    -------
    DataFrame with columns repeat, fold, customer_id, churned and one column per model
        ``repeats`` rows per row of ``frame``; all models see the same folds.

    Raises
    ------
    StudyError
        If a class has fewer customers than there are folds, or a customer is on both sides of a
        split.
    """
    require_features(features)
    require_two_classes(frame, "study's")
    _require_fold_sizes(frame, folds)
    drawn = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    splits = keep_together(drawn.split(frame, frame.churned), find_first_twins(frame), folds)
    repeated = frame.customer_id.duplicated()
    require_disjoint(frame[~repeated], frame[repeated])
    parts = [(frame.iloc[train], frame.iloc[test]) for train, test in splits]
    risks, _ = _fit_all(models, parts, features, seed)
    numbered = enumerate(zip(parts, risks, strict=True))
    predictions = [
        _frame_predictions(test, risk, number // folds).assign(fold=number % folds)
        for number, ((_, test), risk) in numbered
    ]
    table = pd.concat(predictions, ignore_index=True)
    if BASE_RATE in models:
        # one rate per repeat: rates that differ by fold would rank customers, and the wrong way
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
    models: dict[str, Model],
    parts: list[Part],
    features: list[str],
    seed: int,
    keep: bool = False,
) -> tuple[list[dict[str, np.ndarray]], dict[str, ClassifierMixin]]:
    """Return for each part the probabilities of its test rows by every model, fitted on the others.

    With ``keep`` also the fitted models that see features, of the last part.

    Two fits run at a time; the order of the results is that of ``models``. A model is fitted once,
    and predicts the training rows out of fold once, however many others learn from it.
    """
    # a search of settings takes longest, and begins first
    single = dict(
        sorted(
            ((name, model) for name, model in models.items() if not model.members),
            key=lambda pair: "groups" not in pair[1].needs,
        )
    )
    members = [*dict.fromkeys(name for model in models.values() for name in model.members)]
    fits = [
        delayed(_fit_predict)(model, train, test, features, keep and model.sees_features)
        for train, test in parts
        for model in single.values()
    ]
    fits += [
        delayed(predict_training_rows)(single[name], train, features, seed)
        for train, _ in parts
        for name in members
    ]
    results = iter(run_side_by_side(fits, "models fitted"))
    pairs = [{name: next(results) for name in single} for _ in parts]
    risks = [{name: risk for name, (risk, _) in part.items()} for part in pairs]
    fitted = {name: model for name, (_, model) in pairs[-1].items() if model is not None}
    out_of_fold = [pd.DataFrame({name: next(results) for name in members}) for _ in parts]
    whole = [
        _add_second_stage(models, train, *part)
        for (train, _), *part in zip(parts, out_of_fold, risks, strict=True)
    ]
    return whole, fitted


def _add_second_stage(
    models: dict[str, Model],
    train: pd.DataFrame,
    out_of_fold: pd.DataFrame,
    risks: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the probabilities of all models, in their order.

    Models with members learn from the members' out-of-fold scores of the training rows.
    """
    labels = train[["customer_id", "churned"]].reset_index(drop=True)
    learn = pd.concat([labels, out_of_fold], axis=1)
    judge = pd.DataFrame(risks)
    return {
        name: _fit_predict(model, learn, judge, [])[0] if model.members else risks[name]
        for name, model in models.items()
    }


def fit_model(model: Model, train: pd.DataFrame, features: list[str]) -> ClassifierMixin:
    """Return the estimator of a model, fitted on labelled rows.

    A model with members finds their out-of-fold scores in columns of their names.
    """
    return clone(model.estimator).fit(
        _select_inputs(model, train, features),
        train.churned.to_numpy(bool),
        **_collect_needs(model, train),
    )


def fit_models(
    models: dict[str, Model], train: pd.DataFrame, features: list[str]
) -> dict[str, ClassifierMixin]:
    """Return the fitted estimator of every model, by name; several fits run at a time."""
    tasks = [delayed(fit_model)(model, train, features) for model in models.values()]
    fits = run_side_by_side(tasks, "models fitted")
    return dict(zip(models, fits, strict=True))


def _select_inputs(model: Model, rows: pd.DataFrame, features: list[str]) -> pd.DataFrame:
    return rows[[*(model.members or model.columns or features)]]


def _collect_needs(model: Model, train: pd.DataFrame) -> dict[str, np.ndarray]:
    given = {
        "groups": name_groups(train),
        "outcome": (
            frame_outcome(train.event_observed, train.time_to_event_days)
            if "event_observed" in train
            else None
        ),
    }
    return {name: given[name] for name in model.needs}


def _fit_predict(
    model: Model, train: pd.DataFrame, test: pd.DataFrame, features: list[str], keep: bool = False
) -> tuple[np.ndarray, ClassifierMixin | None]:
    fitted = fit_model(model, train, features)
    risk = predict_in_parts(fitted, _select_inputs(model, test, features))
    return risk, fitted if keep else None


def predict_in_parts(fitted: ClassifierMixin, rows: pd.DataFrame) -> np.ndarray:
    """Return the probability of churn of each row, ``PART_ROWS`` at a time.

    A row becomes many columns inside a model; in parts everybody can be scored, however many.
    """
    starts = range(0, max(len(rows), 1), PART_ROWS)
    parts = [fitted.predict_proba(rows.iloc[at : at + PART_ROWS])[:, 1] for at in starts]
    return np.concatenate(parts)


def predict_training_rows(
    model: Model, train: pd.DataFrame, features: list[str], seed: int
) -> np.ndarray:
    """Return each training row's risk by the model fitted on other folds of customers."""
    return predict_out_of_fold(
        model.estimator,
        _select_inputs(model, train, features),
        train.churned.to_numpy(bool),
        name_groups(train),
        seed,
        _collect_needs(model, train),
    )


def _frame_predictions(
    test: pd.DataFrame, risks: dict[str, np.ndarray], repeat: int
) -> pd.DataFrame:
    keys = test[
        test.columns.intersection(["snapshot", "customer_id", "churned", "left_in_lead"])
    ].reset_index(drop=True)
    return pd.concat([keys.assign(repeat=repeat), pd.DataFrame(risks)], axis=1)

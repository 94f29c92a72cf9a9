"""Who will leave: references and three families of classifiers, fitted on the past and judged on the same rows.

Every candidate is a scikit-learn pipeline with ``predict_proba`` that holds its own preparation, so nothing is learned outside a
training part. No setting was chosen by a score: they are the usual ones for tables of this size.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, SplineTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from research.panels import require_disjoint
from research.studies import Study, StudyError

BASE_RATE = "base rate"
LOG_ODDS_SD = 1.5  # two of them around a base rate of one half reach from 5 to 95 %
LEAST_VARIANCE = 1e-4  # of a column between 0 and 1: fewer than one row in 10,000 differs
RULE_COLUMNS = {
    "contractual": ("days_since_last_usage", "days_since_last_orders", "contract_age_days"),
    "non_contractual": ("days_since_last_orders",),
    "flat": (),
}


@dataclass(frozen=True)
class Candidate:
    """A model with its family: reference, logistic or trees."""

    family: str
    model: ClassifierMixin


def find_rule_column(features: list[str], study: Study) -> str | None:
    """Return the one column that a rule of thumb would rank by: ``rule_column`` of study.yml, else the first recency there is.

    Raises
    ------
    StudyError
        If study.yml names a column that is not among the features.
    """
    if study.rule_column and study.rule_column not in features:
        raise StudyError(f"study.yml, key rule_column: required one of the features {', '.join(features)}; arrived '{study.rule_column}'; name one of them")
    return study.rule_column or next((column for column in RULE_COLUMNS[study.kind] if column in features), None)


def list_candidates(rule_column: str | None, seed: int, rule_words: str = "") -> dict[str, Candidate]:
    """Return the models to compare, the references first.

    The base rate gives everyone the training share of churners. The recency rule gives the training share of churners among the
    customers in the same range of one column (at most ten ranges of at least 5 % of the customers, cut where the shares differ most).
    Logistic regression bends every number by a cubic spline (5 knots at quantiles, flat beyond the training range); columns of the spline
    that hardly vary are left out, as zeros make many of them. Its ridge penalty grows with the number of columns: before the data are seen, the
    log-odds of a customer have a standard deviation of 1.5 around the base rate, however many features there are.

    Parameters
    ----------
    rule_column : see ``find_rule_column``
    seed : every draw of the trees derives from it
    rule_words : what the column is, from the feature dictionary; its name with spaces unless given
    """
    candidates = {BASE_RATE: Candidate("reference", DummyClassifier(strategy="prior"))}
    if rule_column is not None:
        candidates[f"rule on {rule_words or rule_column.replace('_', ' ')}"] = Candidate("reference", _rule(rule_column))
    return candidates | {
        "logistic regression": Candidate("logistic", make_pipeline(_spline_columns(), _ridge())),
        "single tree": Candidate("trees", make_pipeline(_plain_columns(), DecisionTreeClassifier(max_leaf_nodes=16, min_samples_leaf=0.02, random_state=seed))),
        "random forest": Candidate("trees", make_pipeline(_plain_columns(), _forest(seed))),
        "gradient boosting": Candidate("trees", make_pipeline(_plain_columns(), _boosting(seed))),
    }


def _ridge() -> Pipeline:
    """Columns of length 1 on average together, so that C is the variance of the log-odds before the data are seen."""
    return make_pipeline(FunctionTransformer(_shorten), LogisticRegression(C=LOG_ODDS_SD**2, solver="newton-cholesky"))


def _shorten(columns: np.ndarray) -> np.ndarray:
    return columns / np.sqrt(columns.shape[1])


class DropConstant(TransformerMixin, BaseEstimator):
    """Leave out columns that hardly vary in the training part; the first stays where all would go."""

    def fit(self, columns: np.ndarray, churned: np.ndarray | None = None) -> "DropConstant":
        """Find the columns that vary."""
        varying = np.flatnonzero(columns.var(axis=0) > LEAST_VARIANCE)
        self.kept_ = varying if len(varying) else np.arange(1)
        return self

    def transform(self, columns: np.ndarray) -> np.ndarray:
        """Return them."""
        return columns[:, self.kept_]


def _forest(seed: int) -> RandomForestClassifier:
    return RandomForestClassifier(n_estimators=100, min_samples_leaf=10, n_jobs=1, random_state=seed)


def _boosting(seed: int) -> LGBMClassifier:
    return LGBMClassifier(
        n_estimators=200,
        learning_rate=0.03,
        num_leaves=15,
        min_child_samples=30,
        n_jobs=1,
        random_state=seed,
        deterministic=True,
        force_row_wise=True,
        verbosity=-1,
    )


def _rule(column: str) -> Pipeline:
    return make_pipeline(make_column_transformer(("passthrough", [column])), DecisionTreeClassifier(max_leaf_nodes=10, min_samples_leaf=0.05))


NUMBERS = make_column_selector(dtype_include="number")
TEXTS = make_column_selector(dtype_exclude="number")


def _texts() -> Pipeline:
    """One column per category; rare and unseen ones share a column, an empty value is a category of its own."""
    filled = SimpleImputer(strategy="constant", fill_value="missing", missing_values=None)
    return make_pipeline(
        FunctionTransformer(_none_for_missing), filled, OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20, sparse_output=False)
    )


def _none_for_missing(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(object).where(frame.notna(), None)


def _spline_columns():
    splines = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        SplineTransformer(n_knots=5, knots="quantile", extrapolation="constant"),
        DropConstant(),
        StandardScaler(),
    )
    return make_column_transformer((splines, NUMBERS), (_texts(), TEXTS))


def _plain_columns():
    """Numbers as they are, empty ones included; each text as the number of its category: trees cut both."""
    categories = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2, min_frequency=20)
    codes = make_pipeline(FunctionTransformer(_none_for_missing), categories)
    return make_pipeline(make_column_transformer(("passthrough", NUMBERS), (codes, TEXTS)), FunctionTransformer(np.asarray))


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
            f"required churners and others among the {where} rows, arrived {churners} churners in {rows} rows; "
            f"check the label in the study's SQL, or choose another snapshot or horizon"
        )


def require_features(features: list[str]) -> None:
    """Refuse an empty list of features."""
    if not features:
        raise StudyError("required at least one feature, arrived none beside keys, labels, sensitive and excluded columns; add columns in the study's SQL")


def predict_out_of_time(train: pd.DataFrame, test: pd.DataFrame, features: list[str], candidates: dict[str, Candidate]) -> pd.DataFrame:
    """Fit every candidate on ``train`` and return its probabilities for ``test``.

    Returns
    -------
    DataFrame with columns repeat (0), snapshot, customer_id, churned, left_in_lead and one column per candidate
        One row per row of ``test``. Who left within the lead is no training row; a contact list can't leave them out, a score does.
    """
    require_features(features)
    train = train[~train.left_in_lead]
    require_two_classes(train, "training")
    require_two_classes(test[~test.left_in_lead], "test")
    risks = {name: _fit_predict(candidate, train, test, features) for name, candidate in candidates.items()}
    return _frame_predictions(test, risks, 0)


def predict_cross_validated(frame: pd.DataFrame, features: list[str], candidates: dict[str, Candidate], folds: int, repeats: int, seed: int) -> pd.DataFrame:
    """Return out-of-fold probabilities of every candidate under repeated stratified cross-validation.

    Returns
    -------
    DataFrame with columns repeat, fold, customer_id, churned and one column per candidate
        ``repeats`` rows per row of ``frame``; all candidates see the same folds.

    Raises
    ------
    StudyError
        If a class has fewer customers than there are folds, or a customer stands on both sides of one.
    """
    require_features(features)
    require_two_classes(frame, "study's")
    _require_fold_sizes(frame, folds)
    splits = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed).split(frame, frame.churned)
    parts = []
    for number, (train, test) in enumerate(splits):
        require_disjoint(frame.iloc[train], frame.iloc[test])
        risks = {name: _fit_predict(candidate, frame.iloc[train], frame.iloc[test], features) for name, candidate in candidates.items()}
        parts.append(_frame_predictions(frame.iloc[test], risks, number // folds).assign(fold=number % folds))
    table = pd.concat(parts, ignore_index=True)
    if BASE_RATE in candidates:  # one rate per repeat: the rates of the folds would rank customers, against their own fold's share
        table[BASE_RATE] = table.groupby("repeat")[BASE_RATE].transform("mean")
    return table


def _require_fold_sizes(frame: pd.DataFrame, folds: int) -> None:
    smallest = int(min(frame.churned.sum(), (~frame.churned).sum()))
    if smallest < folds:
        raise StudyError(f"required at least {folds} customers of each class for {folds} folds, arrived {smallest}; lower the parameter folds")


def _fit_predict(candidate: Candidate, train: pd.DataFrame, test: pd.DataFrame, features: list[str]) -> np.ndarray:
    return clone(candidate.model).fit(train[features], train.churned).predict_proba(test[features])[:, 1]


def _frame_predictions(test: pd.DataFrame, risks: dict[str, np.ndarray], repeat: int) -> pd.DataFrame:
    keys = test[test.columns.intersection(["snapshot", "customer_id", "churned", "left_in_lead"])].reset_index(drop=True)
    return pd.concat([keys.assign(repeat=repeat), pd.DataFrame(risks)], axis=1)

"""The models that are compared: references and three families, each a scikit-learn estimator with
``predict_proba`` and its own preparation.

No setting was chosen by a score on the rows that judge: they are the usual ones for tables of this
size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from research.errors import StudyError
from research.models.calibration import Calibrated
from research.models.clv.alive_classifier import AliveUntil
from research.models.logistic_pairs import LogisticPairs
from research.models.monotone import Monotone
from research.models.preprocessing import bend, pass_on, scale
from research.models.stacking import StackedAverage
from research.models.survival import Cox, DiscreteHazard, SurvivalForest, WeibullAFT
from research.models.survival_at_horizon import AtHorizon
from research.models.trees import make_boosting, make_forest, make_histogram_boosting
from research.models.tuning import BOOSTING, Tuned, prefix_space
from research.panel.purchase_history import HISTORY
from research.study import Study

BASE_RATE = "base rate"
LOG_ODDS_SD = 1.5  # two of them around a base rate of one half reach from 5 to 95 %
RULE_COLUMNS = {
    "contractual": ("days_since_last_usage", "days_since_last_orders", "contract_age_days"),
    "non_contractual": ("days_since_last_orders",),
    "flat": (),
}
LAST_VALUES = {
    "contractual": ("n_usage_{}d", "n_orders_{}d"),
    "non_contractual": ("sum_amount_{}d", "n_orders_{}d"),
    "flat": (),
}
STACKED = (
    "logistic with pairs",
    "gradient boosting",
    "discrete hazard, boosted",
)  # one of each family: averaged, and recalibrated
RECALIBRATED = ", recalibrated"
ROUGH = 4_000  # rows that the survival forest learns from


@dataclass(frozen=True)
class Candidate:
    """A model with its family: reference, logistic, trees, survival or stacked.

    ``needs``: what its ``fit`` takes beside features and labels: ``outcome`` (see
    ``horizon.frame_outcome``), ``groups`` (the customers). ``columns``: what it looks at in place
    of the features. ``members``: the candidates at whose risks it looks in place of the features:
    it learns from what they say of customers they had not seen.
    """

    family: str
    model: ClassifierMixin
    needs: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


def find_rule_column(features: list[str], study: Study) -> str | None:
    """Return the one column that a rule of thumb would rank by: ``rule_column`` of study.yml, else
    the first recency there is.

    Raises
    ------
    StudyError
        If study.yml names a column that is not among the features.
    """
    if study.rule_column and study.rule_column not in features:
        raise StudyError(
            f"study.yml, key rule_column: expected one of the features {', '.join(features)};"
            f" got '{study.rule_column}'; name one of them"
        )
    return study.rule_column or next(
        (column for column in RULE_COLUMNS[study.kind] if column in features), None
    )


def list_candidates(
    study: Study,
    features: list[str],
    seed: int,
    words: dict[str, str] | None = None,
    tuning_seconds: float = 0,
) -> dict[str, Candidate]:
    """Return all models to compare, the references first: those of the functions below.

    Parameters
    ----------
    features : columns that models may use
    seed : every draw derives from it
    words : what each feature is, from the feature dictionary; its name with spaces unless given
    tuning_seconds : that a search of settings may take each time the tuned boosting is fitted; 0
        leaves it out
    """
    columns = [find_rule_column(features, study), find_last_value_column(features, study)]
    rules = {
        column: (words or {}).get(column, column.replace("_", " ")) for column in columns if column
    }
    directions = find_directions(features, study)
    found = (
        list_references(rules)
        | list_logistic()
        | list_trees(seed, directions)
        | (list_tuned(seed, directions, tuning_seconds) if tuning_seconds else {})
    )
    if study.kind != "flat":
        found |= list_survival(study.churn.horizon_days, study.kind == "contractual", seed)
    return found | stack([name for name in STACKED if name in found])


def find_directions(features: list[str], study: Study) -> dict[str, int]:
    """Return in which direction the risk may only move with each feature that ``monotone`` of
    study.yml names: 1 or -1.

    Raises
    ------
    StudyError
        If study.yml names a column that is not among the features.
    """
    if alien := [name for name in study.monotone if name not in features]:
        arrived = (
            f"got {', '.join(alien)}; name features, of which 10_data shows the dictionary, or"
            " remove the key"
        )
        raise StudyError(f"study.yml, key monotone: expected features that models see, {arrived}")
    return {name: 1 if direction == "rising" else -1 for name, direction in study.monotone.items()}


def find_last_value_column(features: list[str], study: Study) -> str | None:
    """Return the column with what a customer did last: use, orders or spending in the shortest
    window.
    """
    names = (name.format(study.features.windows[0]) for name in LAST_VALUES[study.kind])
    return next((name for name in names if name in features), None)


def list_references(rules: dict[str, str]) -> dict[str, Candidate]:
    """Return the base rate and the rules: the training share of churners among the customers in the
    same range of one column.

    A rule has at most ten ranges of at least 5 % of the customers, cut where the shares differ
    most.

    Parameters
    ----------
    rules : what each column is, in words, by column
    """
    found = {BASE_RATE: Candidate("reference", DummyClassifier(strategy="prior"))}
    return found | {
        f"rule on {words}": Candidate("reference", _rule(column)) for column, words in rules.items()
    }


def _rule(column: str) -> Pipeline:
    return make_pipeline(
        make_column_transformer((pass_on(), [column])),
        DecisionTreeClassifier(max_leaf_nodes=10, min_samples_leaf=0.05),
    )


def list_logistic() -> dict[str, Candidate]:
    """Return logistic regressions, every number bent: by cubic splines (see ``columns.bend``) in
    the first two.

    Ridge: the penalty grows with the number of columns, so that before the data are seen the
    log-odds of a customer have a standard deviation of 1.5 around the base rate, however many
    features there are. Elastic net: half of the penalty is on absolute values, which leaves columns
    out (Zou & Hastie 2005, doi:10.1111/j.1467-9868.2005.00503.x). With pairs: curves, and surfaces
    of columns that act together; see ``pairs``.
    """
    ridge = LogisticRegression(C=LOG_ODDS_SD**2, solver="newton-cholesky")
    net = LogisticRegression(C=0.05, l1_ratio=0.5, solver="saga", max_iter=100, tol=1e-2)
    return {
        "logistic regression": Candidate(
            "logistic", make_pipeline(bend(), FunctionTransformer(_shorten), ridge)
        ),
        "elastic net": Candidate("logistic", make_pipeline(bend(), net)),
        "logistic with pairs": Candidate("logistic", LogisticPairs()),
    }


def _shorten(columns: np.ndarray) -> np.ndarray:
    """Columns of length 1 on average together, so that C is the variance of the log-odds before the
    data are seen.
    """
    return columns / np.sqrt(columns.shape[1])


def list_trees(seed: int, directions: dict[str, int]) -> dict[str, Candidate]:
    """Return a tree, a forest and two gradient boostings; ``directions`` as study.yml states
    them.
    """
    tree = DecisionTreeClassifier(max_leaf_nodes=16, min_samples_leaf=0.02, random_state=seed)
    filled = (
        make_pipeline(pass_on(), SimpleImputer(strategy="median", keep_empty_features=True))
        if directions
        else pass_on()
    )  # bound, they take no empty ones
    return {
        "single tree": Candidate("trees", Monotone(filled, tree, directions, "monotonic_cst")),
        "random forest": Candidate(
            "trees", Monotone(filled, make_forest(seed), directions, "monotonic_cst")
        ),
        "gradient boosting": Candidate(
            "trees", Monotone(pass_on(), make_boosting(seed), directions, "monotone_constraints")
        ),
        "histogram boosting": Candidate(
            "trees", Monotone(pass_on(), make_histogram_boosting(seed), directions, "monotonic_cst")
        ),
    }


def list_tuned(seed: int, directions: dict[str, int], seconds: float) -> dict[str, Candidate]:
    """Return gradient boosting whose settings are searched on the training customers; see
    ``tuning.Tuned``.
    """
    boosting = Monotone(pass_on(), make_boosting(seed), directions, "monotone_constraints")
    return {
        "tuned boosting": Candidate(
            "trees", Tuned(boosting, prefix_space(BOOSTING, "model"), seconds, seed), ("groups",)
        )
    }


def list_survival(horizon: int, leaves: bool, seed: int) -> dict[str, Candidate]:
    """Return survival models, read off at the horizon; see ``horizon.AtHorizon``."""
    at = (horizon,)
    boosted = make_boosting(seed)
    models = {
        "Cox": Cox(scale()),
        "Weibull AFT": WeibullAFT(scale()),
        "discrete hazard, logistic": DiscreteHazard(
            scale(), LogisticRegression(C=0.05, solver="newton-cholesky"), at
        ),
        "discrete hazard, boosted": DiscreteHazard(pass_on(), boosted, at, as_number=True),
        "random survival forest": SurvivalForest(pass_on(), at, ROUGH, seed=seed),
    }
    return {
        name: Candidate("survival", AtHorizon(model, horizon, leaves), ("outcome",))
        for name, model in models.items()
    }


def list_alive(study: Study, histories: pd.DataFrame) -> dict[str, Candidate]:
    """Return the buy-till-you-die model, which knows the rhythm of purchases alone: by its chance
    of no purchase, and of no longer being alive.

    See ``alive.AliveUntil``.

    Parameters
    ----------
    histories : of all customers at the last training snapshot, see ``alive.summarise_orders``
    """
    names = {"buy till you die": False, "chance of being alive": True}
    models = {
        name: AliveUntil(study.churn.lead_days, study.churn.horizon_days, histories, gone)
        for name, gone in names.items()
    }
    return {
        name: Candidate("survival", model, columns=tuple(HISTORY)) for name, model in models.items()
    }


def stack(members: Sequence[str]) -> dict[str, Candidate]:
    """Return the stacked average of some candidates; see ``stacking.StackedAverage``."""
    return {"stacked average": Candidate("stacked", StackedAverage(), members=tuple(members))}


def recalibrate(candidates: dict[str, Candidate], seed: int) -> dict[str, Candidate]:
    """Return one candidate of each family that is there, recalibrated; see
    ``calibration.Calibrated``.
    """
    chosen = {name: candidates[name] for name in STACKED if name in candidates}
    return {
        name + RECALIBRATED: Candidate(one.family, Calibrated(seed), ("groups",), members=(name,))
        for name, one in chosen.items()
    }


def pair_up(mended: dict[str, Candidate]) -> list[tuple[str, str]]:
    """Return the names of the models and of their recalibrated twins."""
    return [(name.removesuffix(RECALIBRATED), name) for name in mended]


def find_leaders(candidates: dict[str, Candidate], scores: pd.DataFrame) -> dict[str, str]:
    """Return the model with the least log-loss of each family that learns from the features.

    Parameters
    ----------
    scores : see ``comparison.tabulate_scores``
    """
    rows = scores[
        (scores.metric == "log_loss") & scores.family.isin(["logistic", "trees", "survival"])
    ]
    rows = rows[[not candidates[name].columns for name in rows.model]].sort_values("value")
    return rows.drop_duplicates("family").set_index("family").model.to_dict()

"""The record of a model, and the lists of the classifiers and survival models that are compared.

Each model is written once, as a ``Model``: tables, reports, the stacked average and the search for
the leading models read what they need from it. No setting was chosen by a score on the rows that
judge: they are the usual ones for tables of this size.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from research.errors import StudyError, UsageError, shorten
from research.models.calibration import Calibrated
from research.models.clv.alive_classifier import AliveUntil
from research.models.elastic_net_logistic import ElasticNetLogistic
from research.models.logistic_pairs import LogisticPairs
from research.models.monotone import Monotone
from research.models.preprocessing import prepare_for_trees, prepare_scaled, prepare_splines
from research.models.ridge_logistic import RidgeLogistic
from research.models.stacking import StackedAverage
from research.models.survival import Cox, DiscreteHazard, SurvivalForest, WeibullAFT
from research.models.survival_at_horizon import AtHorizon
from research.models.trees import make_boosting, make_forest, make_histogram_boosting
from research.models.tuning import BOOSTING, Tuned, prefix_space
from research.panel.periods import count_horizon_days
from research.panel.purchase_history import HISTORY
from research.study import Study

BASELINE = "reference"  # family of the baselines, as result tables store it
BASE_RATE = "base rate"
RECALIBRATED = ", recalibrated"  # ends the name of a recalibrated model
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
FOREST_ROWS = 4_000  # that the survival forest learns from
TASKS: dict[str, tuple[str, ...]] = {  # what the estimator of each task must have
    "churn": ("fit", "predict_proba"),
    "time to event": ("fit", "predict_survival"),
    "effect": ("__call__",),
    "value": ("fit_transactions", "predict_alive", "predict_purchases"),
}
NEEDS = ("groups", "outcome")
EASIEST_FIRST = (
    "single tree",
    "logistic regression",
    "elastic net",
    "Cox",
    "Weibull AFT",
    "discrete hazard, logistic",
    "logistic with pairs",
    "random forest",
    "random survival forest",
    "gradient boosting",
    "histogram boosting",
    "discrete hazard, boosted",
    "tuned boosting",
    "stacked average",
)  # classifiers by how easily they are explained; the baselines come before them


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model: what it is called, what it fits, how it is made, and where it comes from.

    Attributes
    ----------
    name : str
        As tables and reports print it; unique among the models that are compared with it.
    family : str
        By which tables group models: ``BASELINE`` for a baseline, else a word such as logistic,
        trees, survival or stacked.
    task : str
        What it fits, one of ``TASKS``: "churn" (a classifier), "time to event" (a survival model),
        "effect" (a learner of treatment effects), "value" (a model of purchases).
    estimator : object
        How it is made: for "churn" and "time to event" an unfitted scikit-learn estimator, cloned
        before each fit; for "effect" a function; for "value" a module or an object. What it has
        to have, says ``TASKS``.
    words : str
        What it is, in one line of plain words that name the method.
    source : str
        Author, year and DOI of the method; empty where a textbook is enough.
    needs : tuple of str
        What its ``fit`` takes besides features and labels, of ``NEEDS``: ``outcome`` (see
        ``survival_at_horizon.frame_outcome``), ``groups`` (the customer of each row).
    columns : tuple of str
        What it looks at in place of the features.
    members : tuple of str
        The models whose out-of-fold scores it looks at in place of the features.
    stacked : bool
        Whether it is the one of its family that is averaged by the stacked average and also shown
        recalibrated.

    Raises
    ------
    ValueError
        If a part is missing or doesn't fit the task; a record is checked where it is written, so at
        import where it is a constant.
    """

    name: str
    family: str
    task: str
    estimator: Any
    words: str
    source: str = ""
    needs: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    stacked: bool = False

    def __post_init__(self):
        empty = [part for part in ("name", "family", "words") if not getattr(self, part).strip()]
        if empty:
            raise ValueError(
                f"model '{self.name}': expected {', '.join(empty)}, got an empty text; write it"
                " into its record"
            )
        if self.task not in TASKS:
            raise ValueError(
                f"model '{self.name}': expected a task of {', '.join(TASKS)}, got '{self.task}';"
                " correct it in its record"
            )
        missing = [part for part in TASKS[self.task] if not hasattr(self.estimator, part)]
        if missing:
            raise ValueError(
                f"model '{self.name}': expected an estimator with {', '.join(missing)} for the"
                f" task {self.task}, got {type(self.estimator).__name__}; add what is missing, or"
                " correct the task"
            )
        if unknown := [need for need in self.needs if need not in NEEDS]:
            raise ValueError(
                f"model '{self.name}': expected needs of {', '.join(NEEDS)}, got"
                f" {', '.join(unknown)}; correct its record"
            )

    @property
    def is_baseline(self) -> bool:
        """Whether it is what other models have to beat."""
        return self.family == BASELINE

    @property
    def sees_features(self) -> bool:
        """Whether it learns from the features, and not from columns or members of its own."""
        return not (self.is_baseline or self.columns or self.members)


def index_models(models: Iterable[Model]) -> dict[str, Model]:
    """Return models by name, in their order.

    Raises
    ------
    ValueError
        If two have the same name.
    """
    by_name: dict[str, Model] = {}
    for model in models:
        if model.name in by_name:
            raise ValueError(
                f"expected one model of each name, got two called '{model.name}'; rename one"
            )
        by_name[model.name] = model
    return by_name


def list_classifiers(
    study: Study,
    features: list[str],
    seed: int,
    words: dict[str, str] | None = None,
    tuning_trials: int = 0,
) -> dict[str, Model]:
    """Return all classifiers to compare, the baselines first: those of the functions below.

    Parameters
    ----------
    features : columns that models may use
    seed : every random draw derives from it
    words : what each feature is, from the feature dictionary; its name with spaces unless given
    tuning_trials : of settings, each time the tuned boosting is fitted; 0 leaves the search out
    """
    columns = [find_rule_column(features, study), find_last_value_column(features, study)]
    rules = {
        column: (words or {}).get(column, column.replace("_", " ")) for column in columns if column
    }
    directions = find_directions(features, study)
    models = (
        list_baselines(rules, seed)
        | list_logistic(seed)
        | list_trees(seed, directions)
        | (list_tuned(seed, directions, tuning_trials) if tuning_trials else {})
    )
    if study.kind != "flat":
        horizon = count_horizon_days(study.churn, study.snapshots.last)
        models |= list_at_horizon(horizon, study.kind == "contractual", seed)
    return models | list_stacked([name for name, model in models.items() if model.stacked])


def find_rule_column(features: list[str], study: Study) -> str | None:
    """Return the one column that a rule of thumb would rank by.

    It is ``rule_column`` of study.yml, else the first recency there is.

    Raises
    ------
    StudyError
        If study.yml names a column that is not among the features.
    """
    if study.rule_column and study.rule_column not in features:
        raise StudyError(
            f"study.yml, key rule_column: expected one of the features {', '.join(features)},"
            f" got '{study.rule_column}'; name one of them"
        )
    return study.rule_column or next(
        (column for column in RULE_COLUMNS[study.kind] if column in features), None
    )


def find_last_value_column(features: list[str], study: Study) -> str | None:
    """Return the column of what a customer did last: usage or spending in the shortest window."""
    names = (name.format(study.features.windows[0]) for name in LAST_VALUES[study.kind])
    return next((name for name in names if name in features), None)


def find_directions(features: list[str], study: Study) -> dict[str, int]:
    """Return the direction in which the risk may move with each feature of ``monotone``: 1 or -1.

    Raises
    ------
    StudyError
        If study.yml names a column that is not among the features.
    """
    if unknown := [name for name in study.monotone if name not in features]:
        raise StudyError(
            "study.yml, key monotone: expected features that models see, got"
            f" {', '.join(unknown)}; name features, of which 10_data shows the dictionary, or"
            " remove the key"
        )
    return {name: 1 if direction == "rising" else -1 for name, direction in study.monotone.items()}


def list_baselines(rules: dict[str, str], seed: int) -> dict[str, Model]:
    """Return the base rate, and rules that know one column only.

    Parameters
    ----------
    rules : what each column is, in words, by column
    """
    base_rate = Model(
        name=BASE_RATE,
        family=BASELINE,
        task="churn",
        estimator=DummyClassifier(strategy="prior"),
        words="the share of churners in training, the same for everybody",
    )
    return index_models(
        [base_rate, *(_make_rule(column, words, seed) for column, words in rules.items())]
    )


def _make_rule(column: str, words: str, seed: int) -> Model:
    """Return a rule of at most ten ranges of at least 5 % of the customers, cut where the shares of
    churners differ most.
    """
    tree = DecisionTreeClassifier(max_leaf_nodes=10, min_samples_leaf=0.05, random_state=seed)
    return Model(
        name=f"rule on {words}",
        family=BASELINE,
        task="churn",
        estimator=make_pipeline(make_column_transformer((prepare_for_trees(), [column])), tree),
        words=f"the share of churners in training in the same range of {words}",
    )


def list_logistic(seed: int) -> dict[str, Model]:
    """Return logistic regressions, in which every number has a non-linear effect.

    The first two take cubic splines (see ``preprocessing.prepare_splines``). Ridge: the penalty
    grows with the number of columns, so that before the data are seen the log-odds of a customer
    have a standard deviation of ``LOG_ODDS_SD`` around the base rate, however many features there
    are. Elastic net: half of the penalty is on absolute values, which leaves columns out.
    """
    return index_models(
        [
            Model(
                name="logistic regression",
                family="logistic",
                task="churn",
                estimator=make_pipeline(prepare_splines(), RidgeLogistic()),
                words="logistic regression on splines, with a ridge penalty",
            ),
            Model(
                name="elastic net",
                family="logistic",
                task="churn",
                estimator=make_pipeline(prepare_splines(), ElasticNetLogistic()),
                words="logistic regression on splines, with a penalty that leaves columns out",
                source="Zou & Hastie 2005, doi:10.1111/j.1467-9868.2005.00503.x",
            ),
            Model(
                name="logistic with pairs",
                family="logistic",
                task="churn",
                estimator=LogisticPairs(),
                words="logistic regression on curves, and on surfaces of columns that interact",
                source="Lou et al. 2013, doi:10.1145/2487575.2487579",
                stacked=True,
            ),
        ]
    )


def list_trees(seed: int, directions: dict[str, int]) -> dict[str, Model]:
    """Return a tree, a forest and two kinds of gradient boosting.

    Parameters
    ----------
    directions : 1 or -1 by feature, see ``find_directions``
    """
    tree = DecisionTreeClassifier(max_leaf_nodes=16, min_samples_leaf=0.02, random_state=seed)
    # scikit-learn's monotone trees take no empty values
    filled = (
        make_pipeline(
            prepare_for_trees(), SimpleImputer(strategy="median", keep_empty_features=True)
        )
        if directions
        else prepare_for_trees()
    )
    return index_models(
        [
            Model(
                name="single tree",
                family="trees",
                task="churn",
                estimator=Monotone(filled, tree, directions, "monotonic_cst"),
                words="one classification tree of at most 16 leaves",
            ),
            Model(
                name="random forest",
                family="trees",
                task="churn",
                estimator=Monotone(filled, make_forest(seed), directions, "monotonic_cst"),
                words="random forest of 100 trees",
                source="Breiman 2001, doi:10.1023/A:1010933404324",
            ),
            Model(
                name="gradient boosting",
                family="trees",
                task="churn",
                estimator=_make_boosting(seed, directions),
                words="gradient boosting by LightGBM",
                source="Friedman 2001, doi:10.1214/aos/1013203451",
                stacked=True,
            ),
            Model(
                name="histogram boosting",
                family="trees",
                task="churn",
                estimator=Monotone(
                    prepare_for_trees(), make_histogram_boosting(seed), directions, "monotonic_cst"
                ),
                words="gradient boosting by scikit-learn",
                source="Friedman 2001, doi:10.1214/aos/1013203451",
            ),
        ]
    )


def _make_boosting(seed: int, directions: dict[str, int]) -> Monotone:
    return Monotone(prepare_for_trees(), make_boosting(seed), directions, "monotone_constraints")


def list_tuned(seed: int, directions: dict[str, int], trials: int) -> dict[str, Model]:
    """Return gradient boosting whose settings are searched on the training customers.

    See ``tuning.Tuned``.
    """
    space = prefix_space(BOOSTING, "model")
    return index_models(
        [
            Model(
                name="tuned boosting",
                family="trees",
                task="churn",
                estimator=Tuned(_make_boosting(seed, directions), space, seed, trials),
                words="gradient boosting by LightGBM, its settings searched on training customers",
                source="Bergstra et al. 2011; Akiba et al. 2019, doi:10.1145/3292500.3330701",
                needs=("groups",),
            )
        ]
    )


def list_survival(days: Sequence[float], seed: int) -> dict[str, Model]:
    """Return the survival models.

    Parameters
    ----------
    days : at which survival will be asked for; models of discrete time end an interval on each
    """
    at = tuple(days)
    logistic = LogisticRegression(C=0.05, solver="newton-cholesky")
    return index_models(
        [
            Model(
                name="Cox",
                family="survival",
                task="time to event",
                estimator=Cox(prepare_scaled()),
                words="proportional hazards with a ridge penalty",
                source="Cox 1972, doi:10.1111/j.2517-6161.1972.tb00899.x",
            ),
            Model(
                name="Weibull AFT",
                family="survival",
                task="time to event",
                estimator=WeibullAFT(prepare_scaled()),
                words="accelerated failure times of a Weibull distribution, with a ridge penalty",
                source="Kalbfleisch & Prentice 2002, doi:10.1002/9781118032985",
            ),
            Model(
                name="discrete hazard, logistic",
                family="survival",
                task="time to event",
                estimator=DiscreteHazard(prepare_scaled(), logistic, at),
                words="hazard of each interval by a logistic regression",
                source="Singer & Willett 1993, doi:10.3102/10769986018002155",
            ),
            Model(
                name="discrete hazard, boosted",
                family="survival",
                task="time to event",
                estimator=DiscreteHazard(
                    prepare_for_trees(), make_boosting(seed), at, as_number=True
                ),
                words="hazard of each interval by gradient boosting",
                source="Singer & Willett 1993, doi:10.3102/10769986018002155",
                stacked=True,
            ),
            Model(
                name="random survival forest",
                family="survival",
                task="time to event",
                estimator=SurvivalForest(prepare_for_trees(), at, FOREST_ROWS, seed=seed),
                words="random survival forest of 100 trees",
                source="Ishwaran et al. 2008, doi:10.1214/08-AOAS169",
            ),
        ]
    )


def list_at_horizon(horizon_days: int, leaves: bool, seed: int) -> dict[str, Model]:
    """Return the survival models as classifiers of churn by the horizon.

    See ``survival_at_horizon.AtHorizon``.
    """
    return {
        name: replace(
            model,
            task="churn",
            estimator=AtHorizon(model.estimator, horizon_days, leaves),
            needs=("outcome",),
        )
        for name, model in list_survival([horizon_days], seed).items()
    }


def list_btyd(study: Study, histories: pd.DataFrame) -> dict[str, Model]:
    """Return the buy-till-you-die model (BG/NBD) as classifiers; it sees purchase histories only.

    One goes by the probability of no purchase in the window, one by that of having dropped out; see
    ``alive_classifier.AliveUntil``.

    Parameters
    ----------
    histories : of all customers at the last training snapshot, see
        ``purchase_history.summarise_orders``
    """
    words = {
        "buy till you die": "probability of no purchase in the window, by BG/NBD",
        "chance of being alive": "probability of having dropped out by the snapshot, by BG/NBD",
    }
    horizon = count_horizon_days(study.churn, study.snapshots.last)
    span = (study.churn.lead_days, horizon, histories)
    return index_models(
        Model(
            name=name,
            family="survival",
            task="churn",
            estimator=AliveUntil(*span, gone=name == "chance of being alive"),
            words=described,
            source="Fader, Hardie & Lee 2005, doi:10.1287/mksc.1040.0098",
            columns=tuple(HISTORY),
        )
        for name, described in words.items()
    )


def list_stacked(members: Sequence[str]) -> dict[str, Model]:
    """Return the stacked average of some models; see ``stacking.StackedAverage``."""
    return index_models(
        [
            Model(
                name="stacked average",
                family="stacked",
                task="churn",
                estimator=StackedAverage(),
                words=f"weighted sum of the log-odds of {', '.join(members)}",
                source="van der Laan et al. 2007, doi:10.2202/1544-6115.1309",
                members=tuple(members),
            )
        ]
    )


def list_recalibrated(models: dict[str, Model], seed: int) -> dict[str, Model]:
    """Return the stacked model of each family, recalibrated; see ``calibration.Calibrated``."""
    return index_models(
        Model(
            name=name + RECALIBRATED,
            family=model.family,
            task="churn",
            estimator=Calibrated(seed),
            words=f"{name}, mapped to probabilities by the map that predicts best out of fold",
            needs=("groups",),
            members=(name,),
        )
        for name, model in models.items()
        if model.stacked
    )


def pair_recalibrated(recalibrated: dict[str, Model]) -> list[tuple[str, str]]:
    """Return the names of the models, each with that of its recalibrated version."""
    return [(*model.members, name) for name, model in recalibrated.items()]


def order_by_ease(models: dict[str, Model]) -> list[str]:
    """Return the names of models, those first that are easiest to explain."""
    place = {name: number for number, name in enumerate(EASIEST_FIRST, start=1)}
    last = len(place) + 1
    return sorted(models, key=lambda name: 0 if models[name].is_baseline else place.get(name, last))


def require_name(name: str, models: dict[str, Model], where: str) -> None:
    """Refuse the name of a model that isn't among those given.

    Parameters
    ----------
    where : that the name was given in, as a user knows it

    Raises
    ------
    UsageError
        With the most similar name.
    """
    if name in models:
        return
    close = difflib.get_close_matches(name, models, n=1)
    advice = f"did you mean '{close[0]}'?" if close else "name one of them or leave it out"
    raise UsageError(
        f"{where}: expected a model of {', '.join(models)}, got {shorten(name)}; {advice}"
    )


def find_leaders(models: dict[str, Model], scores: pd.DataFrame) -> dict[str, str]:
    """Return by family the name of the model with the least log-loss that learns from the features.

    Parameters
    ----------
    scores : see ``bootstrap.tabulate_scores``
    """
    learning = [name for name, model in models.items() if model.sees_features]
    rows = scores[(scores.metric == "log_loss") & scores.model.isin(learning)].sort_values("value")
    return rows.drop_duplicates("family").set_index("family").model.to_dict()

"""All classifiers of a study, fitted and judged on the same rows."""

from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd
from sklearn.base import ClassifierMixin

from research.data.contracts import Tables
from research.evaluation.bootstrap import resample_scores, tabulate_differences
from research.evaluation.metrics import CALIBRATION, METRICS
from research.evaluation.predictions import find_keys
from research.models.registry import (
    Model,
    list_btyd,
    list_classifiers,
    list_recalibrated,
    pair_recalibrated,
)
from research.panel.label_remarks import require_labels
from research.panel.learning import Panel
from research.panel.memory import require_memory
from research.panel.purchase_history import summarise_orders
from research.panel.windows import KEYS
from research.reporting.metric import select_metrics
from research.risk.predict import predict_and_keep
from research.store.keep import keep
from research.study import Study

# scores that recalibration may improve, and one that it should leave alone
RECALIBRATION_SCORES = select_metrics(METRICS, "auc", "log_loss", *CALIBRATION)


@dataclass(frozen=True)
class ModelComparison:
    """Models, and what each predicts for the same customers.

    Attributes
    ----------
    models : those that are compared, the baselines first
    recalibrated : one model of each family, recalibrated
    predictions : one row per judged row and repeat, one column per model of both; see
        ``predict.predict``
    fitted : of a dated study, the fitted models that see features
    """

    models: dict[str, Model]
    recalibrated: dict[str, Model]
    predictions: pd.DataFrame
    fitted: dict[str, ClassifierMixin] = field(default_factory=dict)

    @property
    def families(self) -> dict[str, str]:
        """Return the family of each model."""
        return {name: model.family for name, model in self.models.items()}

    @cached_property
    def everyone(self) -> pd.DataFrame:
        """Return the predictions of the compared models, also of who leaves within the lead."""
        return self.predictions.drop(columns=[*self.recalibrated])

    @cached_property
    def judged(self) -> pd.DataFrame:
        """Return the predictions that scores are computed on."""
        return self._without_lead(self.everyone)

    @property
    def customers(self) -> int:
        """Return how many customers are judged."""
        return self.judged.customer_id.nunique()

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Return the names of the models that were recalibrated, each with that of the other."""
        return pair_recalibrated(self.recalibrated)

    @property
    def paired(self) -> pd.DataFrame:
        """Return the judged predictions of the recalibrated models and of those they came from."""
        names = [name for pair in self.pairs for name in pair]
        rows = self._without_lead(self.predictions)
        return rows[[*find_keys(rows), *names]]

    def compare_recalibrated(self, resamples: int, seed: int) -> pd.DataFrame:
        """Return the scores of the recalibrated models minus those of the models themselves.

        Returns
        -------
        DataFrame, see ``bootstrap.tabulate_differences``
            AUC, log-loss and the distances of the calibration from the ideal.
        """
        resampled = resample_scores(self.paired, resamples, seed)
        families = {name: self.models[pair[0]].family for pair in self.pairs for name in pair}
        differences = pd.concat(
            tabulate_differences(
                {name: resampled[name] for name in pair}, pair[:1], families, self.customers
            )
            for pair in self.pairs
        )
        return differences[differences.metric.isin(RECALIBRATION_SCORES)]

    def _without_lead(self, rows: pd.DataFrame) -> pd.DataFrame:
        return rows[~rows.left_in_lead] if "snapshot" in rows else rows


@keep
def compare_models(
    panel: Panel,
    study: Study,
    tables: Tables,
    features: list[str],
    descriptions: dict[str, str],
    folds: int,
    repeats: int,
    tuning_trials: int,
    seed: int,
) -> ModelComparison:
    """Fit every classifier that a study allows, and predict the rows that judge it.

    Parameters
    ----------
    panel : rows to learn from and to be judged on
    tables : contract tables; buyers without contracts are also judged by their purchase histories
    features : columns that models may use
    descriptions : what each feature is, in words
    folds, repeats : of the cross-validation of a flat study
    tuning_trials : of settings, in each search; 0 leaves it out
    seed : every random draw derives from it

    Raises
    ------
    StudyError
        If nobody can churn, or nobody or everybody did, with the likely causes.
    """
    require_labels(tables, study, panel)
    require_memory(len(panel.train), len(panel.test), len(features))
    models, train, test = list_models(
        panel, study, tables, features, descriptions, tuning_trials, seed
    )
    recalibrated = list_recalibrated(models, seed)
    whole = models | recalibrated
    predictions, fitted = predict_and_keep(train, test, features, whole, folds, repeats, seed)
    return ModelComparison(models, recalibrated, predictions, fitted)


def list_models(
    panel: Panel,
    study: Study,
    tables: Tables,
    features: list[str],
    descriptions: dict[str, str],
    tuning_trials: int,
    seed: int,
) -> tuple[dict[str, Model], pd.DataFrame, pd.DataFrame]:
    """Return every classifier that a study allows, and its rows to learn from and to judge.

    Those of buyers without contracts also hold their purchase histories.

    Parameters
    ----------
    tuning_trials : of settings, in each search; 0 leaves it out
    """
    models = list_classifiers(study, features, seed, descriptions, tuning_trials)
    train, test = panel.train, panel.test
    if study.kind == "non_contractual":
        days = [*panel.split.train, *panel.split.test]
        histories = summarise_orders(tables, study, days).to_pandas()
        train, test = (rows.merge(histories, on=KEYS) for rows in (train, test))
        latest = pd.Timestamp(max(panel.split.train))
        models |= list_btyd(study, histories[histories.snapshot == latest])
    return models, train, test

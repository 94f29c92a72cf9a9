"""A classifier as it is kept: what was fitted, and how it turns features into a risk."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from research.data.duplicates import name_groups
from research.models.calibration import MAPS, Calibrated, Unchanged
from research.models.registry import Model
from research.models.side_by_side import run_side_by_side
from research.models.stacking import StackedAverage
from research.risk.predict import fit_model, predict_training_rows
from research.store.keep import keep


@dataclass(frozen=True)
class Fitted:
    """Estimators, the columns that each takes, and what is made of their risks.

    Attributes
    ----------
    estimators : by name, one or the members of a stacked average
    columns : by name, what the estimator looks at
    average : the stacked average of the members; None of one estimator alone
    map : from the risk to a calibrated one
    """

    estimators: dict[str, ClassifierMixin]
    columns: dict[str, list[str]]
    average: StackedAverage | None = None
    map: BaseEstimator = field(default_factory=Unchanged)

    @property
    def features(self) -> list[str]:
        """Return every column that the model looks at."""
        return [*dict.fromkeys(name for names in self.columns.values() for name in names)]

    @property
    def map_name(self) -> str:
        """Return the name of the calibration map."""
        return next(name for name, each in MAPS.items() if type(each) is type(self.map))

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the risk of churn in the label window of each row."""
        risks = pd.DataFrame(
            {
                name: estimator.predict_proba(frame[self.columns[name]])[:, 1]
                for name, estimator in self.estimators.items()
            }
        )
        if self.average is not None:
            return self.average.predict_proba(risks)[:, 1]
        return self.map.predict(risks.iloc[:, 0].to_numpy(float))

    def pack(self) -> dict[str, Any]:
        """Return the parts in the plain form in which they are stored."""
        average = self.average
        weights = average and {
            "intercept": float(average.intercept_),
            "members": [*average.weights_.index],
            "values": average.weights_.to_numpy(),
        }
        return {
            "estimators": self.estimators,
            "columns": self.columns,
            "weights": weights,
            "map": self.map,
        }

    @classmethod
    def unpack(cls, parts: dict[str, Any]) -> "Fitted":
        """Return what ``pack`` gave away."""
        average, weights = None, parts["weights"]
        if weights:
            average = StackedAverage()
            average.intercept_ = weights["intercept"]
            average.weights_ = pd.Series(weights["values"], index=weights["members"])
            average.classes_ = np.array([False, True])
        return cls(parts["estimators"], parts["columns"], average, parts["map"])


@keep
def fit_kept(
    model: Model, models: dict[str, Model], train: pd.DataFrame, features: list[str], seed: int
) -> Fitted:
    """Fit a classifier, and the map that calibrates it, on training rows alone.

    The map, or of a stacked average the weights, are learned on the out-of-fold risks of the
    training rows. A baseline predicts shares as they were, and needs no map.

    Parameters
    ----------
    models : in which the members of a stacked average are found
    train : labelled rows without those who left in the lead
    """
    names = [*model.members] or [model.name]
    members = {name: models[name] for name in names}
    columns = {name: [*(each.columns or features)] for name, each in members.items()}
    if model.is_baseline:
        return Fitted({model.name: fit_model(model, train, features)}, _find_rule(model, columns))
    fits = [delayed(fit_model)(each, train, features) for each in members.values()]
    fits += [
        delayed(predict_training_rows)(each, train, features, seed) for each in members.values()
    ]
    results = run_side_by_side(fits, "models fitted")
    estimators = dict(zip(names, results, strict=False))
    out_of_fold = pd.DataFrame(dict(zip(names, results[len(names) :], strict=True)))
    churned = train.churned.to_numpy(bool)
    if model.members:
        average = clone(model.estimator).fit(out_of_fold, churned)
        return Fitted(estimators, columns, average)
    learned = Calibrated(seed).fit(out_of_fold, churned, name_groups(train))
    return Fitted(estimators, columns, map=learned.map_)


def _find_rule(model: Model, columns: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the one column that a rule looks at."""
    steps = getattr(model.estimator, "steps", None)
    if not steps:
        return columns
    [(_, _, used)] = steps[0][1].transformers
    return {model.name: [*used]}

"""Trees whose risk may only rise, or only fall, with what a study says of a feature."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.pipeline import Pipeline, make_pipeline

from research.errors import StudyError


class Monotone(ClassifierMixin, BaseEstimator):
    """Trees whose probability only rises, or only falls, with the numbers that ``directions`` names
    (1 or -1).

    Parameters
    ----------
    prepare : transformer that gives numbers first, then texts
    model : the trees
    directions : by column
    key : the parameter by which the model takes them
    """

    def __init__(
        self, prepare: Pipeline, model: ClassifierMixin, directions: dict[str, int], key: str
    ):
        self.prepare = prepare
        self.model = model
        self.directions = directions
        self.key = key

    def fit(self, frame: pd.DataFrame, churned: np.ndarray) -> "Monotone":
        """Fit with the directions in the order of the columns."""
        numbers = frame.select_dtypes("number").columns
        if texts := [name for name in self.directions if name in frame and name not in numbers]:
            raise StudyError(
                "study.yml, key monotone: expected features that are numbers, got"
                f" {', '.join(texts)}; remove them"
            )
        ordered = [self.directions.get(name, 0) for name in numbers] + [0] * (
            frame.shape[1] - len(numbers)
        )
        model = (
            clone(self.model).set_params(**{self.key: ordered})
            if any(ordered)
            else clone(self.model)
        )
        self.model_ = make_pipeline(clone(self.prepare), model).fit(frame, churned)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of both classes."""
        return self.model_.predict_proba(frame)

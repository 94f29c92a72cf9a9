"""Trees whose predicted risk is monotone in the features that study.yml names."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.pipeline import Pipeline, make_pipeline

from research.errors import StudyError


class Monotone(ClassifierMixin, BaseEstimator):
    """Trees whose probability only rises, or only falls, with some numbers.

    Parameters
    ----------
    prepare : transformer that gives numbers first, then texts
    model : the trees
    directions : 1 or -1 by column
    key : the parameter by which the model takes its constraints
    """

    def __init__(
        self, prepare: Pipeline, model: ClassifierMixin, directions: dict[str, int], key: str
    ):
        self.prepare = prepare
        self.model = model
        self.directions = directions
        self.key = key

    def fit(self, frame: pd.DataFrame, churned: np.ndarray) -> "Monotone":
        """Fit with the constraints in the order of the columns.

        Raises
        ------
        StudyError
            If a direction is given for a text.
        """
        numbers = frame.select_dtypes("number").columns
        if texts := [name for name in self.directions if name in frame and name not in numbers]:
            raise StudyError(
                "study.yml, key monotone: expected features that are numbers, got"
                f" {', '.join(texts)}; remove them"
            )
        texts = frame.shape[1] - len(numbers)
        ordered = [self.directions.get(name, 0) for name in numbers] + [0] * texts
        model = clone(self.model)
        if any(ordered):
            model.set_params(**{self.key: ordered})
        self.model_ = make_pipeline(clone(self.prepare), model).fit(frame, churned)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of both classes."""
        return self.model_.predict_proba(frame)

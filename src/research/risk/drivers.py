"""What the leading models go by: permutation importance, SHAP and partial dependence together."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd
from sklearn.base import ClassifierMixin

from research.models.registry import Model
from research.risk.explain import (
    explain_trees,
    group_features,
    permutation_importance,
    trace_dependence,
)
from research.risk.predict import fit_models
from research.store.keep import keep

BOOSTED = "gradient boosting"  # whose SHAP values are computed
RESAMPLES = 200


@dataclass(frozen=True)
class Drivers:
    """The leading model of each family, fitted, beside rows that it has not seen.

    Attributes
    ----------
    fitted : by family
    boosted : gradient boosting, fitted on the same rows
    rows : judged rows, none of which any of the models has seen
    features : columns that the models use
    groups : by feature, the group of features that are permuted together
    """

    fitted: dict[str, ClassifierMixin]
    boosted: ClassifierMixin
    rows: pd.DataFrame
    features: list[str]
    groups: pd.Series
    seed: int

    @cached_property
    def permutation(self) -> dict[str, pd.DataFrame]:
        """Return the permutation importance of each feature, by family."""
        churned = self.rows.churned.to_numpy(bool)
        return {
            family: permutation_importance(
                model, self._columns, churned, self.groups, self._customers, RESAMPLES, self.seed
            )
            for family, model in self.fitted.items()
        }

    @cached_property
    def shap(self) -> pd.DataFrame:
        """Return the SHAP values of gradient boosting, see ``explain.explain_trees``."""
        return explain_trees(
            self.boosted, self._columns, self.groups, self._customers, RESAMPLES, self.seed
        )

    def trace(self, features: list[str]) -> pd.DataFrame:
        """Return the partial dependence of each family on some features, see ``explain``."""
        tables = [
            trace_dependence(
                model, self._columns, features, self._customers, RESAMPLES, self.seed
            ).assign(family=family)
            for family, model in self.fitted.items()
        ]
        return pd.concat(tables, ignore_index=True)

    @property
    def _columns(self) -> pd.DataFrame:
        return self.rows[self.features]

    @property
    def _customers(self):
        return self.rows.customer_id.to_numpy()


@keep
def fit_leaders(
    models: dict[str, Model],
    leaders: dict[str, str],
    learned: pd.DataFrame,
    judged: pd.DataFrame,
    features: list[str],
    seed: int,
    known: dict[str, ClassifierMixin] | None = None,
) -> Drivers:
    """Fit the leading model of each family, and gradient boosting, to explain them.

    Parameters
    ----------
    leaders : by family the name of a model, see ``registry.find_leaders``
    learned, judged : rows to fit on, and rows to explain them on
    known : models that were fitted on these rows already, by name
    """
    known = known or {}
    needed = {name: models[name] for name in (*leaders.values(), BOOSTED) if name not in known}
    fits = known | fit_models(needed, learned, features)
    by_family = {family: fits[name] for family, name in leaders.items()}
    groups = group_features(learned, features)
    return Drivers(by_family, fits[BOOSTED], judged, features, groups, seed)

"""Ensembles of trees with the settings that several packages share; each draws from the seed."""

from lightgbm import LGBMClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

TREE_ROWS = 10_000  # that one tree of a forest learns from


class BoundedForest(RandomForestClassifier):
    """A random forest whose trees learn from at most ``TREE_ROWS`` rows each, drawn anew."""

    def fit(self, columns, churned, sample_weight=None):
        """Fit the trees; of fewer rows each draws as many as there are, with replacement."""
        self.max_samples = TREE_ROWS if len(columns) > TREE_ROWS else None
        return super().fit(columns, churned, sample_weight)


def make_forest(seed: int) -> BoundedForest:
    """Return a random forest of 100 trees (Breiman 2001, doi:10.1023/A:1010933404324)."""
    return BoundedForest(n_estimators=100, min_samples_leaf=10, n_jobs=1, random_state=seed)


def make_boosting(seed: int) -> LGBMClassifier:
    """Return gradient boosting by LightGBM."""
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


def make_histogram_boosting(seed: int) -> HistGradientBoostingClassifier:
    """Return gradient boosting by scikit-learn."""
    return HistGradientBoostingClassifier(
        max_iter=150,
        learning_rate=0.05,
        max_leaf_nodes=15,
        min_samples_leaf=30,
        early_stopping=False,
        random_state=seed,
    )

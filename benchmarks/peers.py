"""Predictions of explainable boosting, LightGBM and CatBoost, by their defaults and tuned.

Runs in an environment of its own (``requirements-peers.txt``), in a process like those of
``contender.py`` and with the same one line of JSON. A setting is tuned by log-loss in a threefold
cross-validation over all rows of the study once, so the judged rows have influenced it, which
favours the peers.
"""

import json
import sys
import warnings
from importlib.metadata import version

import numpy as np
import pandas as pd
from contender import Clock, measure_peak_gb

SETTINGS = {"LightGBM": 20, "CatBoost": 6}  # tried at random, the defaults besides
FOLDS = 3


def make_model(name: str, settings: dict, texts: list[str]):
    """Return one of the peers, with its own defaults where ``settings`` say nothing."""
    if name == "EBM":
        from interpret.glassbox import ExplainableBoostingClassifier

        return ExplainableBoostingClassifier(random_state=0, **settings)
    if name == "LightGBM":
        from lightgbm import LGBMClassifier

        return LGBMClassifier(random_state=0, verbosity=-1, **settings)
    from catboost import CatBoostClassifier

    return CatBoostClassifier(
        random_seed=0, verbose=0, allow_writing_files=False, cat_features=texts, **settings
    )


def prepare(columns: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the columns as a peer takes them: categories for LightGBM, else texts without gaps."""
    texts = columns.select_dtypes(exclude="number").columns
    filled = columns.astype(dict.fromkeys(texts, "object")).fillna(dict.fromkeys(texts, "missing"))
    return filled.astype(dict.fromkeys(texts, "category" if name == "LightGBM" else "str"))


def draw_settings(name: str, seed: int) -> list[dict]:
    """Return the settings to try: the defaults, then random draws from usual ranges."""
    rng, drawn = np.random.default_rng(seed), [{}]
    for _ in range(SETTINGS[name]):
        if name == "LightGBM":
            drawn.append(
                {
                    "n_estimators": int(rng.choice([100, 200, 400, 800])),
                    "learning_rate": float(10 ** rng.uniform(-2, -1)),
                    "num_leaves": int(rng.choice([4, 8, 15, 31])),
                    "min_child_samples": int(rng.choice([5, 10, 20, 50])),
                    "colsample_bytree": float(rng.uniform(0.4, 1)),
                    "subsample": float(rng.uniform(0.6, 1)),
                    "subsample_freq": 1,
                    "reg_lambda": float(10 ** rng.uniform(-1, 1.5)),
                }
            )
        else:
            drawn.append(
                {
                    "iterations": int(rng.choice([300, 600, 1000])),
                    "learning_rate": float(10 ** rng.uniform(-1.7, -1)),
                    "depth": int(rng.choice([3, 4, 5, 6, 7])),
                    "l2_leaf_reg": float(10 ** rng.uniform(0, 1.3)),
                    "rsm": float(rng.uniform(0.5, 1)),
                }
            )
    return drawn


def tune(
    name: str, columns: pd.DataFrame, churned: np.ndarray, texts: list[str], seed: int = 0
) -> dict:
    """Return the settings with the least log-loss."""
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedKFold

    folds = [
        *StratifiedKFold(FOLDS, shuffle=True, random_state=1000 + seed).split(columns, churned)
    ]

    def lose(settings: dict) -> float:
        risks = np.empty(len(churned))
        for learn, rest in folds:  # by hand: scikit-learn can't clone CatBoost with categories
            risks[rest] = (
                make_model(name, settings, texts)
                .fit(columns.iloc[learn], churned[learn])
                .predict_proba(columns.iloc[rest])[:, 1]
            )
        return log_loss(churned, risks)

    return min(draw_settings(name, seed), key=lose)


def predict(
    columns: pd.DataFrame, churned: np.ndarray, parts: np.ndarray, name: str, tuned: bool
) -> tuple[np.ndarray, dict]:
    """Return the risk of each judged row, in the order of ``parts``, with the settings.

    Parameters
    ----------
    parts : array (rows, 2)
        Which part judges which row; a part's other rows are learned from.
    """
    texts = [*columns.select_dtypes(exclude="number").columns]
    taken = prepare(columns, name)
    settings = tune(name, taken, churned, texts) if tuned else {}
    risks = np.empty(len(parts))
    for part in np.unique(parts[:, 0]):
        judged = parts[parts[:, 0] == part, 1]
        learn = np.setdiff1d(np.arange(len(columns)), judged)
        model = make_model(name, settings, texts).fit(taken.iloc[learn], churned[learn])
        risks[parts[:, 0] == part] = model.predict_proba(taken.iloc[judged])[:, 1]
    return risks, settings


def main() -> None:
    """Fit what was asked for, part by part, and write the risks."""
    warnings.simplefilter("ignore")
    spec, clock, settings = json.loads(sys.argv[1]), Clock(), {}
    frame, parts = pd.read_parquet(spec["frame"]), pd.read_parquet(spec["parts"]).to_numpy()
    columns, churned = frame.drop(columns=["customer_id", "churned"]), frame.churned.to_numpy(int)
    risks = {}
    for model in spec["models"]:
        name, tuned = model.removeprefix("tuned "), model.startswith("tuned ")
        risks[model], settings[model] = clock.time(
            model, lambda name=name, tuned=tuned: predict(columns, churned, parts, name, tuned)
        )
    pd.DataFrame(risks).to_parquet(spec["out"], index=False)
    versions = {
        name: version(name) for name in ("interpret-core", "lightgbm", "catboost", "scikit-learn")
    }
    print(
        json.dumps(
            clock.facts
            | {
                "rows": len(parts),
                "settings": settings,
                "peak_gb": measure_peak_gb(),
                "versions": versions,
            }
        )
    )


if __name__ == "__main__":
    main()

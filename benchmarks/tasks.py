"""The published tasks: rows, parts, contenders, and the package's own predictions."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline

from research.data import fetch, load
from research.features import build
from research.features.leakage import gate
from research.models import registry
from research.models.preprocessing import prepare_scaled
from research.models.registry import BASELINE, Model
from research.risk import predict
from research.study import Study, load_study

PLAIN, PAIRS = "plain logistic", "logistic with pairs"
BOOSTINGS = ("LightGBM", "CatBoost")
TUNED = ("tuned LightGBM", "tuned CatBoost")
SEED = 0
Parts = list[np.ndarray]


def split_shuffled(frame: pd.DataFrame) -> Parts:
    """Return the judged rows of three random quarters.

    As in the benchmarks of interpret (Nori et al. 2019, arXiv:1909.09223).
    """
    return [
        judged
        for _, judged in StratifiedShuffleSplit(3, test_size=0.25, random_state=1337).split(
            frame, frame.churned
        )
    ]


def split_folds(frame: pd.DataFrame) -> Parts:
    """Return the judged rows of ten stratified folds."""
    return [
        judged
        for _, judged in StratifiedKFold(10, shuffle=True, random_state=SEED).split(
            frame, frame.churned
        )
    ]


@dataclass(frozen=True)
class Task:
    """A task: its study, its parts, its peers, and the bounds for an interpretable model.

    ``auc`` and ``log_loss`` are such bounds where a paper or a peer has set them.
    """

    title: str
    study: str
    split: Callable[[pd.DataFrame], Parts]
    peers: tuple[str, ...]
    auc: float | None = None
    log_loss: float | None = None


TASKS = {
    "telco-quarters": Task(
        "Telco, three random quarters", "telco", split_shuffled, ("EBM", *BOOSTINGS), 0.854, 0.406
    ),
    "telco-folds": Task("Telco, ten folds", "telco", split_folds, BOOSTINGS, 0.850, 0.4105),
    "mlc_churn": Task("mlc_churn, ten folds", "mlc_churn", split_folds, (*BOOSTINGS, *TUNED)),
    "bank_churn": Task("bank_churn, ten folds", "bank_churn", split_folds, (*BOOSTINGS, *TUNED)),
}


def load_rows(name: str) -> tuple[Study, pd.DataFrame, list[str]]:
    """Return a flat study, its rows, and the columns that every contender gets.

    Rows are in the order of the file, which published splits refer to.
    """
    study = load_study(name)
    fetch.fetch(study)
    tables = load.load_tables(study)
    frame = build.tidy(tables["snapshot"].to_pandas())
    return study, frame, gate.check_panel(tables, study, frame).allowed


def list_contenders(study: Study, columns: list[str]) -> dict[str, Model]:
    """Return the package's classifiers, after a plain logistic regression on linear effects."""
    straight = make_pipeline(prepare_scaled(), LogisticRegression(max_iter=1000))
    listed = registry.list_classifiers(study, columns, SEED)
    plain = Model(
        name=PLAIN,
        family=BASELINE,
        task="churn",
        estimator=straight,
        words="logistic regression on linear effects",
    )
    return {PLAIN: plain} | listed | registry.list_recalibrated(listed, SEED)


def predict_own(
    study: Study, frame: pd.DataFrame, columns: list[str], parts: Parts
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return the risks of all parts, a part as a repeat, and seconds per part by contender."""
    rows, seconds = frame.assign(left_in_lead=False), {}
    tables: dict[str, pd.DataFrame] = {}
    contenders = list_contenders(study, columns)
    for name, contender in contenders.items():
        began, needed = (
            time.monotonic(),
            {member: contenders[member] for member in (*contender.members, name)},
        )
        predicted = [
            predict.predict_out_of_time(
                rows.drop(index=rows.index[part]), rows.iloc[part], columns, needed
            )
            for part in parts
        ]
        seconds[name] = (time.monotonic() - began) / len(parts)
        tables[name] = pd.concat(
            [table.assign(repeat=number) for number, table in enumerate(predicted)],
            ignore_index=True,
        )
        print(f"{time.strftime('%H:%M:%S')} {study.name}: {name} {seconds[name]:.1f} s", flush=True)
    keys = next(iter(tables.values()))[["repeat", "customer_id", "churned"]]
    return keys.assign(**{name: table[name] for name, table in tables.items()}), seconds


def write_rows(
    frame: pd.DataFrame, columns: list[str], parts: Parts, scratch: Path
) -> dict[str, str]:
    """Write rows and parts for contenders in other processes, and return where they lie."""
    paths = {"frame": scratch / "rows.parquet", "parts": scratch / "parts.parquet"}
    frame[["customer_id", "churned", *columns]].to_parquet(paths["frame"], index=False)
    numbers = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    pd.DataFrame({"part": numbers, "row": np.concatenate(parts)}).to_parquet(
        paths["parts"], index=False
    )
    return {name: str(path) for name, path in paths.items()}


def join_peers(predictions: pd.DataFrame, path: str) -> pd.DataFrame:
    """Return the predictions with those of others' models, which are in the same order."""
    return predictions.join(pd.read_parquet(path))

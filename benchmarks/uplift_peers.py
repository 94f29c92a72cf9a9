"""Effects by other libraries in the campaign of ``uplift_tasks.py``: EconML and CausalML with their
own defaults.

    python benchmarks/uplift_tasks.py <folder>                                    # writes rows and
    splits, prints the next line OMP_NUM_THREADS=1 .venv-bench/uplift/bin/python
    benchmarks/uplift_peers.py '{"rows": ..., ...}'  # "models": [...] or "first": 1 for less

Runs in the environment of ``requirements-uplift.txt``. Where a library wants a model from its user,
it gets the one of its own examples: gradient boosting of 100 trees of depth 6 with leaves of a
hundredth of the rows (EconML, notebook "Metalearners Examples"), ``XGBRegressor`` (CausalML, README
and notebook "Meta-Learner"), for its doubly robust learner with a linear second stage (its notebook
"DR Learner"). CausalML's learners are given the shares of the arms, which a trial knows, as its
README does; EconML's are given whether an outcome is binary. One default is changed (``TREES``),
and slow models get fewer splits (``FEWER``). Each split of each model is a file of its own, and one
that is there isn't fitted again; at the end all are gathered in one file per outcome,
``effects-<outcome>.parquet`` with split, row, arm, model, effect (units of the outcome), and a line
of JSON has the seconds.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from contender import measure_peak_gb

Array = np.ndarray
SPLITS = 50
SEED = 0
# of EconML's ForestDRLearner: its default of 1,000 takes minutes a split, too many for repeats
TREES = 200


def boost(rows: int):
    """Return the outcome model of EconML's examples."""
    from sklearn.ensemble import GradientBoostingRegressor

    return GradientBoostingRegressor(
        n_estimators=100, max_depth=6, min_samples_leaf=rows // 100, random_state=SEED
    )


def fit_econml(name: str, learned: Array, arm: Array, outcome: Array, asked: Array) -> Array:
    """Return effects by one of EconML's estimators, named by its class."""
    from econml import dml, dr, metalearners
    from sklearn.ensemble import RandomForestClassifier

    rows = len(learned)
    chosen = {"TLearner": {"models": boost(rows)}, "SLearner": {"overall_model": boost(rows)}}
    trees = {
        "n_estimators": 100,
        "max_depth": 6,
        "min_samples_leaf": rows // 100,
        "random_state": SEED,
    }
    chosen["XLearner"] = {
        "models": boost(rows),
        "propensity_model": RandomForestClassifier(**trees),
    }
    binary = {"discrete_outcome": set(np.unique(outcome)) <= {0.0, 1.0}, "random_state": SEED}
    chosen["CausalForestDML"] = binary | {"discrete_treatment": True, "n_jobs": 1}
    chosen |= {
        "DRLearner": binary,
        "ForestDRLearner": binary | {"n_jobs": 1, "n_estimators": TREES},
    }
    kind = next(getattr(place, name) for place in (metalearners, dml, dr) if hasattr(place, name))
    return (
        kind(**chosen[name])
        .fit(outcome, arm, X=learned)
        .const_marginal_effect(asked)
        .reshape(len(asked), -1)
    )


def fit_causalml(name: str, learned: Array, arm: Array, outcome: Array, asked: Array) -> Array:
    """Return effects by one of CausalML's meta-learners, named by its class."""
    from causalml.inference import meta
    from sklearn.linear_model import LinearRegression
    from xgboost import XGBRegressor

    settings = {
        "BaseRRegressor": {"random_state": SEED},
        "BaseDRRegressor": {"treatment_effect_learner": LinearRegression()},
    }
    model = getattr(meta, name)(
        learner=XGBRegressor(random_state=SEED, n_jobs=1), **settings.get(name, {})
    )
    model.cv_n_jobs = 1  # the R-learner else starts processes of its own for seconds of work
    counts = np.bincount(arm)
    shares = {code: counts[code] / (counts[0] + counts[code]) for code in range(1, len(counts))}
    fitted, predicted = (
        {code: np.full(len(rows), share) for code, share in shares.items()}
        for rows in (learned, asked)
    )
    model.fit(X=learned, treatment=arm, y=outcome, **({} if name[4] in "ST" else {"p": fitted}))
    return model.predict(X=asked, **({"p": predicted} if name[4] == "X" else {}))


def fit_trees(name: str, learned: Array, arm: Array, outcome: Array, asked: Array) -> Array:
    """Return effects by one of CausalML's forests, named by its class."""
    from causalml.inference import tree

    if name == "UpliftRandomForestClassifier":
        model = tree.UpliftRandomForestClassifier(control_name="0", random_state=SEED)
        model.fit(learned, treatment=arm.astype(str), y=outcome)
    else:
        model = getattr(tree, name)(control_name=0, random_state=SEED)
        model.fit(X=learned, treatment=arm, y=outcome)
    return np.asarray(model.predict(asked))


FITS: dict[str, tuple[Callable, str]] = {
    "EconML TLearner": (fit_econml, "TLearner"),
    "EconML SLearner": (fit_econml, "SLearner"),
    "EconML XLearner": (fit_econml, "XLearner"),
    "EconML DRLearner": (fit_econml, "DRLearner"),
    f"EconML ForestDRLearner, {TREES} trees": (fit_econml, "ForestDRLearner"),
    "EconML CausalForestDML": (fit_econml, "CausalForestDML"),
    "CausalML S": (fit_causalml, "BaseSRegressor"),
    "CausalML T": (fit_causalml, "BaseTRegressor"),
    "CausalML X": (fit_causalml, "BaseXRegressor"),
    "CausalML R": (fit_causalml, "BaseRRegressor"),
    "CausalML DR": (fit_causalml, "BaseDRRegressor"),
    "CausalML uplift forest": (fit_trees, "UpliftRandomForestClassifier"),
    "CausalML causal tree": (fit_trees, "CausalTreeRegressor"),
    "CausalML causal forest": (fit_trees, "CausalRandomForestRegressor"),
}
ONLY = {
    "CausalML uplift forest": ("visit",),
    "CausalML causal tree": ("spend",),
    "CausalML causal forest": ("spend",),
}  # outcomes a model is for
# splits of models that take too long for all; CPU seconds of a split, both outcomes together, in
# the comments
FEWER = {
    "EconML DRLearner": 25,  # 48
    f"EconML ForestDRLearner, {TREES} trees": 15,  # 72
    "EconML CausalForestDML": 25,  # 32
    "CausalML causal forest": 25,  # 27
}


def list_work(spec: dict) -> Iterator[tuple[str, str, int, Path]]:
    """Yield outcome, model, split and file of everything asked for, split by split."""
    for split in range(spec.get("first", SPLITS)):
        for outcome in spec["outcomes"]:
            for model in spec.get("models", FITS):
                if outcome in ONLY.get(model, spec["outcomes"]) and split < FEWER.get(
                    model, SPLITS
                ):
                    yield (
                        outcome,
                        model,
                        split,
                        Path(spec["out"])
                        / outcome
                        / model.replace(",", "").replace(" ", "-")
                        / f"{split:02d}.parquet",
                    )


def fit_split(spec: dict, outcome: str, model: str, split: int, path: Path) -> str:
    """Fit a model on a split and write the effects of the judged rows; return why not, where it
    raises.
    """
    warnings.simplefilter("ignore")
    rows, splits = (
        pd.read_parquet(spec["rows"]),
        pd.read_parquet(spec["splits"], filters=[("split", "==", split)]),
    )
    arms = [spec["control"], *sorted(set(rows.arm) - {spec["control"]})]
    features, codes = rows[spec["features"]].to_numpy(float), rows.arm.map(arms.index).to_numpy(int)
    learn, fit, kind = splits.row.to_numpy(), *FITS[model]
    judge = np.setdiff1d(np.arange(len(rows)), learn)
    began, before = time.monotonic(), time.process_time()
    try:
        effects = fit(
            kind,
            features[learn],
            codes[learn],
            rows[outcome].to_numpy(float)[learn],
            features[judge],
        )
        seconds = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - before}
        write_effects(path, split, judge, arms[1:], model, effects)
    except Exception as error:  # whatever a peer raises is a finding: it is written down
        return (
            f"{model}, {outcome}, split {split}: {type(error).__name__}:"
            f" {' '.join(str(error).split())[:200]}"
        )
    path.with_suffix(".json").write_text(json.dumps(seconds))
    print(
        f"{time.strftime('%H:%M:%S')} {outcome}, {model}, split {split}:"
        f" {seconds['seconds']:.1f} s",
        file=sys.stderr,
        flush=True,
    )
    return ""


def write_effects(
    path: Path, split: int, judge: Array, arms: list[str], model: str, effects: Array
) -> None:
    """Write the effects of one fit, the whole file or nothing.

    Parameters
    ----------
    effects : array (rows judged, arms but control)
    """
    if effects.shape != (len(judge), len(arms)) or not np.isfinite(effects).all():
        raise ValueError(
            f"expected finite effects of {len(judge)} rows and {len(arms)} arms, got"
            f" {effects.shape}; look at {model}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {
        "split": np.int16(split),
        "row": np.repeat(judge, len(arms)).astype("int32"),
        "arm": np.tile(arms, len(judge)),
        "model": model,
    }
    partial = path.with_suffix(".partial")
    pd.DataFrame(columns | {"effect": np.ravel(effects)}).astype(
        {"arm": "category", "model": "category"}
    ).to_parquet(partial, index=False)
    partial.replace(path)


def gather(spec: dict, outcome: str) -> Path | None:
    """Write one file of all effects on an outcome, fit by fit, and return where it lies, or nothing
    where nothing was fitted.
    """
    from pyarrow import parquet

    fitted = [path for kind, _, _, path in list_work(spec) if kind == outcome and path.exists()]
    out = Path(spec["out"]) / f"effects-{outcome}.parquet"
    if not fitted:
        return None
    with parquet.ParquetWriter(
        out.with_suffix(".partial"), parquet.read_schema(fitted[0])
    ) as writer:
        for path in fitted:
            writer.write_table(parquet.read_table(path))
    return out.with_suffix(".partial").replace(out)


def measure_seconds(spec: dict) -> dict[str, float]:
    """Return the mean seconds and CPU seconds of a split, by outcome and model."""
    fits = [
        {"fit": f"{outcome}, {model}"} | json.loads(path.with_suffix(".json").read_text())
        for outcome, model, _, path in list_work(spec)
        if path.exists()
    ]
    return pd.DataFrame(fits).groupby("fit", sort=False).mean().round(2).to_dict("index")


def main() -> None:
    """Fit what isn't there yet, gather, and print the seconds."""
    spec = json.loads(sys.argv[1])
    waiting = [work for work in list_work(spec) if not work[-1].exists()]
    # two jobs or more: joblib replaces a process that keeps growing, and these do, by 50 MB a fit
    faults = joblib.Parallel(n_jobs=spec.get("jobs", 1))(
        joblib.delayed(fit_split)(spec, *work) for work in waiting
    )
    files = {outcome: str(path) for outcome in spec["outcomes"] if (path := gather(spec, outcome))}
    versions = {name: version(name) for name in ("econml", "causalml", "xgboost", "scikit-learn")}
    facts = {
        "files": files,
        "failed": [fault for fault in faults if fault],
        "fits": measure_seconds(spec),
        "splits_of_slow": FEWER,
    }
    print(
        json.dumps(
            facts | {"fitted": len(waiting), "peak_gb": measure_peak_gb(), "versions": versions}
        )
    )


if __name__ == "__main__":
    main()

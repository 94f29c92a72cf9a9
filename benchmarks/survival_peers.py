"""Survival curves of lifelines and scikit-survival for the same rows, by their own defaults.

Runs in the environment of ``requirements-peers.txt``, in a process like those of ``contender.py``
and with the same one line of JSON. For a model that can't be fitted it has the reason instead.
"""

import json
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import pandas as pd
from contender import Clock, measure_peak_gb

Array = np.ndarray
Predict = Callable[[Array], Array]


def fit_lifelines(
    kind: str, penalizer: float, learned: Array, days: Array, event: Array, at: Array
) -> Predict:
    """Fit a regression of lifelines; ``kind`` names its class."""
    import lifelines

    frame = pd.DataFrame(
        learned, columns=[f"x{place}" for place in range(learned.shape[1])]
    ).assign(days=days, event=event)
    model = getattr(lifelines, kind)(penalizer=penalizer).fit(frame, "days", "event")
    return lambda asked: (
        model.predict_survival_function(pd.DataFrame(asked, columns=frame.columns[:-2]), times=at)
        .to_numpy()
        .T
    )


def fit_scikit_survival(kind: str, learned: Array, days: Array, event: Array, at: Array) -> Predict:
    """Fit a model of scikit-survival; ``kind`` names its class."""
    from sksurv import ensemble, linear_model
    from sksurv.util import Surv

    options = (
        {"fit_baseline_model": True} if kind == "CoxnetSurvivalAnalysis" else {"random_state": 0}
    )
    model = getattr(linear_model if kind.startswith("Cox") else ensemble, kind)(**options).fit(
        learned, Surv.from_arrays(event, days)
    )

    def predict(asked: Array) -> Array:
        parts = [asked[start : start + 500] for start in range(0, len(asked), 500)]
        return np.vstack(
            [
                [
                    curve(np.clip(at, *curve.domain))
                    for curve in model.predict_survival_function(part)
                ]
                for part in parts
            ]
        )

    return predict


MODELS = {
    "lifelines Cox": lambda *data: fit_lifelines("CoxPHFitter", 0.0, *data),
    "lifelines Cox, penalizer 0.1": lambda *data: fit_lifelines("CoxPHFitter", 0.1, *data),
    "lifelines Weibull AFT": lambda *data: fit_lifelines("WeibullAFTFitter", 0.0, *data),
    "lifelines Weibull AFT, penalizer 0.1": lambda *data: fit_lifelines(
        "WeibullAFTFitter", 0.1, *data
    ),
    "scikit-survival Coxnet": lambda *data: fit_scikit_survival("CoxnetSurvivalAnalysis", *data),
    "scikit-survival forest": lambda *data: fit_scikit_survival("RandomSurvivalForest", *data),
    "scikit-survival boosting": lambda *data: fit_scikit_survival(
        "GradientBoostingSurvivalAnalysis", *data
    ),
}


def predict(name: str, parts: list[str], at: Array) -> Array:
    """Return the survival of the judged rows of all parts."""
    predicted = []
    for path in parts:
        part = np.load(path)
        predicted.append(
            MODELS[name](part["learned"].astype(float), part["days"], part["event"], at)(
                part["asked"].astype(float)
            )
        )
    curves = np.vstack(predicted)
    if not np.isfinite(curves).all():
        raise ValueError("its curves are not finite")
    return np.clip(curves, 0, 1)


def main() -> None:
    """Fit what was asked for and write the curves."""
    warnings.simplefilter("ignore")
    spec, clock, failed, curves = json.loads(sys.argv[1]), Clock(), {}, {}
    at = np.array(spec["days"], float)
    for name in spec["models"]:
        try:
            curves[name] = clock.time(name, lambda name=name: predict(name, spec["parts"], at))
        except Exception as error:  # whatever a peer raises is a result: it is written down
            failed[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    np.savez(spec["out"].replace(".parquet", ".npz"), **curves)
    versions = {name: version(name) for name in ("lifelines", "scikit-survival", "scikit-learn")}
    print(
        json.dumps(
            clock.facts | {"failed": failed, "peak_gb": measure_peak_gb(), "versions": versions}
        )
    )


if __name__ == "__main__":
    main()

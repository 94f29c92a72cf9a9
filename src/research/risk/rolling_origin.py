"""Models judged in several past windows, each fitted as it would have been then (rolling origin).

One test snapshot is one draw of what moves customers alike: a season, a price rise, a competitor.
At each earlier origin a few models are fitted again, on snapshots whose label windows had closed by
then and what was known of them by then. Tashman (2000), doi:10.1016/S0169-2070(00)00065-0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from research.data.contracts import Tables
from research.errors import StudyError
from research.evaluation.bootstrap import resample_scores, tabulate_differences, tabulate_scores
from research.evaluation.intervals import TAIL
from research.evaluation.metrics import METRICS
from research.evaluation.predictions import find_keys
from research.models.registry import Model
from research.panel.learning import Panel
from research.panel.splits import Split, move_last, plan_origins
from research.risk.comparison import ModelComparison, list_models
from research.risk.predict import predict
from research.store.keep import keep
from research.study import Study

MAX_ROWS = 6_000  # that models of an earlier origin learn from
LEAST_WINDOWS = 3  # that an interval over windows rests on
SCORES = [
    "origin",
    "model",
    "family",
    "metric",
    "value",
    "low",
    "high",
    "customers",
    "rows",
    "churned_rows",
]
DIFFERENCES = ["origin", "model", "family", "reference", "metric", "value", "low", "high"]
SUMMARY = [
    "model",
    "family",
    "reference",
    "metric",
    "windows",
    "better",
    "value",
    "low",
    "high",
    "sd",
    "least",
    "most",
]


@dataclass(frozen=True)
class Windows:
    """Predictions of the same few models for several windows.

    Attributes
    ----------
    predictions : by origin, the latest first, one row per judged row and one column per model
    families : of each model
    stands_for : the model that stands for the best one of the latest window
    reason : why there are no more windows, as a sentence; empty where there are as many as asked
    rows : that models of earlier origins learned from, at most
    """

    predictions: dict[pd.Timestamp, pd.DataFrame]
    families: dict[str, str]
    stands_for: str
    reason: str
    rows: int = 0

    @property
    def sample(self) -> str:
        """Say from how many rows the models of earlier origins learned; nothing without any."""
        if not self.rows:
            return ""
        return (
            f"At earlier origins models learn from at most {self.rows:,} rows, those of customers"
            " drawn at random."
        )

    def judge(
        self, references: dict[str, str], resamples: int, seed: int
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the scores of every model in every window, and what they gain on baselines.

        Parameters
        ----------
        references : by score, the baseline to be beaten

        Returns
        -------
        scores : DataFrame with columns origin, model, family, metric, value, low, high, customers,
        rows, churned_rows (a customer has a row for each test snapshot)
        differences : DataFrame with columns origin, model, family, reference, metric, value, low,
        high
            Both oldest first; intervals are those of one window, see ``bootstrap``. Without columns
            where there is no window.
        """
        if not self.predictions:
            return pd.DataFrame(), pd.DataFrame()
        scores, differences = [], []
        for origin, rows in sorted(self.predictions.items()):
            customers = rows.customer_id.nunique()
            counts = {"rows": len(rows), "churned_rows": int(rows.churned.sum())}
            resampled = resample_scores(rows, resamples, seed)
            table = tabulate_scores(resampled, self.families, customers)
            scores.append(table.assign(origin=origin, customers=customers, **counts)[SCORES])
            for metric, reference in references.items():
                table = tabulate_differences(resampled, [reference], self.families, customers)
                differences.append(table[table.metric == metric].assign(origin=origin)[DIFFERENCES])
        return pd.concat(scores, ignore_index=True), pd.concat(differences, ignore_index=True)


@keep
def judge_origins(
    compared: ModelComparison,
    panel: Panel,
    best: str,
    load: Callable[[Split, int], Panel],
    study: Study,
    tables: Tables,
    features: list[str],
    descriptions: dict[str, str],
    origins: int,
    seed: int,
) -> Windows:
    """Fit a few models again at earlier origins; without a search of settings.

    Parameters
    ----------
    compared, panel : models of the latest window, and its rows
    best : the model of the latest window to be followed
    load : makes the panel of a split, with at most so many rows to learn from
    features : columns that models may use; those that an earlier panel lacks are left out
    origins : earlier ones to be judged, as far as the data allow; 0 for none

    Returns
    -------
    Windows
        The latest among them; none of a flat study.
    """
    if not panel.dated:
        return Windows({}, {}, best, "")
    names = choose_contenders(compared.models, best)
    kept = find_keys(compared.judged)
    predictions = {pd.Timestamp(panel.split.origin): compared.judged[[*kept, *names]]}
    splits, reason = plan_origins(tables, study, origins)
    for split in splits:
        try:
            then = move_last(study, max(split.test))
            earlier = load(split, MAX_ROWS)
            rows = _predict(earlier, then, tables, features, descriptions, names, seed)
        except StudyError as error:
            reason = f"At the origin {split.origin}: {error.faults[0]}."
            break
        predictions[pd.Timestamp(split.origin)] = rows
    families = {name: compared.models[name].family for name in names}
    followed = find_stand_in(compared.models, names, best)
    return Windows(predictions, families, followed, reason, MAX_ROWS if len(predictions) > 1 else 0)


def choose_contenders(models: dict[str, Model], best: str) -> list[str]:
    """Return the models to be followed: by rule, so that no window chooses them, but for the best.

    These are the baselines, of each family the one that the stacked average takes (else the first),
    and the best, unless its settings were searched.
    """
    followed = {name for name, model in models.items() if model.is_baseline or model.stacked}
    by_family = pd.Series({name: model.family for name, model in models.items()})
    for _, names in by_family.groupby(by_family, sort=False):
        if not followed & {*names.index}:
            followed.add(names.index[0])
    if not _is_searched(models[best]):
        followed.add(best)
    return [name for name in models if name in followed]


def find_stand_in(models: dict[str, Model], followed: list[str], best: str) -> str:
    """Return the best model, or where it isn't followed the one of its family that is."""
    if best in followed:
        return best
    return next(name for name in followed if models[name].family == models[best].family)


def _is_searched(model: Model) -> bool:
    return "groups" in model.needs and not model.members


def _predict(
    panel: Panel,
    study: Study,
    tables: Tables,
    features: list[str],
    descriptions: dict[str, str],
    names: list[str],
    seed: int,
) -> pd.DataFrame:
    known = [name for name in features if name in panel.train]
    models, train, test = list_models(panel, study, tables, known, descriptions, 0, seed)
    chosen = {name: models[name] for name in names}
    rows = predict(train, test, known, chosen, folds=2, repeats=1, seed=seed)
    return rows[~rows.left_in_lead]


def summarise_windows(differences: pd.DataFrame) -> pd.DataFrame:
    """Return the differences to the baseline over windows, and how far the windows lie apart.

    Parameters
    ----------
    differences : see ``Windows.compare``

    Returns
    -------
    DataFrame with columns model, family, reference, metric, windows, better, value, low, high, sd,
    least, most
        ``better``: in how many windows the model has the better score. ``value`` is the mean,
        ``low`` and ``high`` its 95 % interval by Student's t on the windows, which don't overlap:
        it holds what differs between them besides the sampling of customers. It is empty for fewer
        than ``LEAST_WINDOWS``, and so is the standard deviation ``sd`` for one.
    """
    if differences.empty:
        return pd.DataFrame()
    rows = [
        (*names, *_summarise(part.value.dropna().to_numpy(), names[-1]))
        for names, part in differences.groupby(SUMMARY[:4], sort=False)
    ]
    return pd.DataFrame(rows, columns=SUMMARY)


def _summarise(values: np.ndarray, metric: str) -> tuple[float, ...]:
    k, sign = len(values), 1 if METRICS[metric].more_is_better else -1
    sd = values.std(ddof=1) if k > 1 else np.nan
    reach = stdtrit(k - 1, 1 - TAIL) * sd / np.sqrt(k) if k >= LEAST_WINDOWS else np.nan
    if not k:
        return (0, 0, *[np.nan] * 6)
    mean, better = values.mean(), int((sign * values > 0).sum())
    return k, better, mean, mean - reach, mean + reach, sd, values.min(), values.max()

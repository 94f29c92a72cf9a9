"""Whether a model serves groups of customers alike: scores, calibration, and places on the contact
list, group by group.

A sensitive attribute is never an input of a model; it only slices. No verdict says "fair": a gap is
shown, or it is not.
"""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pandas as pd

from research.errors import StudyError
from research.evaluation.bootstrap import draw_weights, find_interval
from research.evaluation.contact_list import fill_list, pick_cycle
from research.evaluation.groups import LEAST_ROWS, TOO_FEW, cut_attribute
from research.evaluation.metrics import measure_auc
from research.reporting.format import write_interval
from research.study import Study

LEAST_CHURNERS = 10  # in a group, or among its stayers, for a score that needs them
EDGE = 1e-15  # probabilities are kept off 0 by as much
MEASURES = ["auc", "log_loss", "mean_predicted", "mean_observed", "listed_share", "found_share"]
SCORES = ["by", "group", "n", "churners", "metric", "value", "low", "high"]
GAP_COLUMNS = ["by", "metric", "group", "reference", "gap", "low", "high", "verdict"]
GAPS = {
    "auc": "AUC",
    "calibration": "observed minus predicted churn",
    "listed_share": "share on the list",
    "found_share": "share of churners on the list",
}


def list_attributes(study: Study, rows: pd.DataFrame) -> list[str]:
    """Return the segments and the sensitive attributes that a study names and the rows hold."""
    named = (*(study.lifecycle.segments or []), *study.sensitive)
    return [name for name in named if name in rows]


def score_groups(
    predictions: pd.DataFrame,
    model: str,
    groups: pd.DataFrame,
    by: Sequence[str],
    capacity: int,
    resamples: int,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what one model does for each group of customers, and the gaps between groups.

    Parameters
    ----------
    predictions : see ``risk.predict_out_of_time``
        Judged are the rows of the first repeat; who left within the lead may stand on the list, and
        is in no score.
    model : the column of risks to judge
    groups : DataFrame with columns customer_id, snapshot where predictions have it, and those of
        ``by``; one row per row of predictions
    by : attributes, each on its own
    capacity : places on the list of one cycle (the last snapshot)
    resamples, seed : bootstrap of customers behind the 95 % intervals

    Returns
    -------
    scores : DataFrame with columns by, group, n, churners, metric, value, low, high
        ``n`` counts rows. Metrics: auc, log_loss, mean_predicted, mean_observed (calibration in the
        large), ``listed_share`` of the group's customers on the list, ``found_share`` of its
        churners on the list (true positive rate at capacity; Hardt, Price & Srebro 2016,
        arXiv:1610.02413). Empty where the group has too few churners to say.
    gaps : DataFrame with columns by, metric, group, reference, gap, low, high, verdict
        The group's value minus that of the largest group, for auc, calibration (observed minus
        predicted), listed_share and found_share. ``verdict`` is "gap shown" only where an interval
        widened for the number of gaps of the attribute (Bonferroni, normal approximation) excludes
        0; "too few to say" where a group is smaller than 50 rows or lacks churners.

    Raises
    ------
    StudyError
        If the groups lack a column, or a customer.
    """
    rows = _join_groups(predictions, groups, by)
    cycle = rows.index.isin(pick_cycle(rows).index)
    names = {column: cut_attribute(rows[column]) for column in by}
    members = {
        (column, name): (values == name).to_numpy()
        for column, values in names.items()
        for name in values.value_counts().index
    }
    chunks = []
    for weights in draw_weights(rows.customer_id, resamples, seed):
        listed = np.zeros_like(weights)
        listed[:, cycle] = fill_list(
            rows[model][cycle], rows.customer_id[cycle], capacity, weights[:, cycle]
        )
        chunks.append(
            {
                key: _measure(rows, model, member, cycle, weights, listed)
                for key, member in members.items()
            }
        )
    measured = {
        key: {
            metric: np.concatenate([chunk[key][metric] for chunk in chunks])
            for metric in chunks[0][key]
        }
        for key in members
    }
    sizes = {
        key: (int((member & rows.judged).sum()), int((member & rows.judged & rows.churned).sum()))
        for key, member in members.items()
    }
    scores = [_write_scores(*key, *sizes[key], values) for key, values in measured.items()]
    gaps = [
        _compare(
            column, {key[1]: values for key, values in measured.items() if key[0] == column}, sizes
        )
        for column in by
    ]
    return _stack(scores, SCORES), _stack(gaps, GAP_COLUMNS)


def _stack(tables: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _join_groups(
    predictions: pd.DataFrame, groups: pd.DataFrame, by: Sequence[str]
) -> pd.DataFrame:
    missing = [name for name in by if name not in groups]
    if missing:
        raise StudyError(
            f"expected the attributes {', '.join(by)} for score tables by group, got none"
            f" called {', '.join(missing)}; correct their names"
        )
    keys = [
        "customer_id",
        *(["snapshot"] if "snapshot" in predictions and "snapshot" in groups else []),
    ]
    first = predictions[predictions.repeat == predictions.repeat.min()].drop(
        columns=[name for name in by if name in predictions]
    )
    rows = first.merge(
        groups[[*keys, *by]].drop_duplicates(keys), on=keys, how="left", indicator=True
    )
    lost = int((rows._merge == "left_only").sum())
    if lost:
        raise StudyError(
            f"expected the group of every customer judged, got {lost} rows without; give groups"
            " for all rows of predictions"
        )
    gone = rows.left_in_lead.astype(bool) if "left_in_lead" in rows else False
    return rows.drop(columns="_merge").assign(
        judged=~pd.Series(gone, index=rows.index), churned=rows.churned.astype(bool)
    )


def _measure(
    rows: pd.DataFrame,
    model: str,
    member: np.ndarray,
    cycle: np.ndarray,
    weights: np.ndarray,
    listed: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return every metric of a group, once for each row of ``weights``; empty where it has too few
    churners to say.
    """
    judged = member & rows.judged.to_numpy()
    y, p, drawn = (
        rows.churned[judged].to_numpy(),
        rows[model][judged].to_numpy(float),
        weights[:, judged],
    )
    leaving, empty = judged & cycle & rows.churned.to_numpy(), np.full(len(weights), np.nan)
    size, loss = drawn.sum(axis=1), -np.log(np.clip(np.where(y, p, 1 - p), EDGE, 1))
    predicted, observed = _divide(drawn @ p, size), _divide(drawn @ y.astype(float), size)
    return {
        "auc": measure_auc(y, p, drawn) if min(y.sum(), (~y).sum()) >= LEAST_CHURNERS else empty,
        "log_loss": _divide(drawn @ loss, size),
        "mean_predicted": predicted,
        "mean_observed": observed,
        "calibration": observed - predicted,
        "listed_share": _share(listed, weights, member & cycle),
        "found_share": (
            _share(listed, weights, leaving) if leaving.sum() >= LEAST_CHURNERS else empty
        ),
    }


def _share(listed: np.ndarray, weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return _divide(listed[:, rows].sum(axis=1), weights[:, rows].sum(axis=1))


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _write_scores(
    by: str, group: str, n: int, churners: int, measured: dict[str, np.ndarray]
) -> pd.DataFrame:
    rows = [
        (by, group, n, churners, metric, *find_interval(measured[metric])) for metric in MEASURES
    ]
    return pd.DataFrame(rows, columns=SCORES)


def _compare(
    by: str,
    measured: dict[str, dict[str, np.ndarray]],
    sizes: dict[tuple[str, str], tuple[int, int]],
) -> pd.DataFrame:
    """Return each group's distance from the largest one."""
    largest = min(measured, key=lambda name: (-sizes[by, name][0], name))
    others = [name for name in measured if name != largest]
    rows = []
    for metric in GAPS:
        for name in others:
            gap, rows_of = (
                measured[name][metric] - measured[largest][metric],
                [sizes[by, group][0] for group in (name, largest)],
            )
            verdict = (
                _judge(gap, rows_of, metric, len(others) * len(GAPS))
                if min(rows_of) >= LEAST_ROWS
                else TOO_FEW
            )
            rows.append((by, metric, name, largest, *find_interval(gap), verdict))
    return pd.DataFrame(rows, columns=GAP_COLUMNS)


def _judge(gap: np.ndarray, sizes: Sequence[int], metric: str, comparisons: int) -> str:
    """Compare a gap with its standard error over the resamples.

    A share of nobody or of everybody has none there; it gets that of two listed among four more
    (Agresti & Coull 1998, doi:10.1080/00031305.1998.10480550).
    """
    spread = np.nanstd(gap[1:], ddof=1) if np.isfinite(gap[1:]).sum() > 1 else np.nan
    if not np.isfinite([gap[0], spread]).all():
        return TOO_FEW
    least = (
        np.sqrt(sum((2 / (n + 4)) * (1 - 2 / (n + 4)) / (n + 4) for n in sizes))
        if metric.endswith("share")
        else 0.0
    )
    z = NormalDist().inv_cdf(1 - 0.025 / comparisons)
    return "gap shown" if abs(gap[0]) > z * max(spread, least) else "no gap shown"


def say_gaps(gaps: pd.DataFrame, model: str) -> str:
    """Say which gaps between groups are shown, largest first by attribute, and that none is where
    none is.
    """
    if gaps.empty:
        return (
            "No attribute splits these customers into groups of 50 or more: nothing can be said of"
            " gaps."
        )
    shown = gaps[gaps.verdict == "gap shown"]
    judged = int((gaps.verdict != TOO_FEW).sum())
    if shown.empty:
        unknown = (
            f", and {len(gaps) - judged} more have too few customers to say"
            if judged < len(gaps)
            else ""
        )
        return (
            f"**No gap shown** between groups for {model}: {judged} differences were"
            f" judged{unknown}. That is no proof that there is none."
        )
    words = [
        f"{row.by}: {row.group} against {row.reference}, {GAPS[row.metric]}"
        f" {write_interval(row.gap, row.low, row.high)}"
        for row in shown.itertuples(index=False)
    ]
    return (
        f"**{len(shown)} of {judged} differences between groups are shown** for {model}, beyond"
        f" chance for the number judged of each attribute: {'; '.join(words)}. A gap in the share"
        " on the list alone may mirror different churn; one in AUC, calibration or found churners"
        " is the model's."
    )

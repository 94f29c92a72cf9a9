"""Whether a model serves groups of customers alike: scores, calibration and places on the list.

A sensitive attribute is never an input of a model; it only forms groups. No verdict says "fair": a
gap between groups is significant, or it is not. ``MEASURES`` lists what is measured of each group;
a new one is one function of ``JudgedGroup`` and one record.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import pandas as pd

from research.errors import StudyError
from research.evaluation.bootstrap import draw_weights, percentile_interval
from research.evaluation.contact_list import fill_list, select_cycle
from research.evaluation.groups import LEAST_ROWS, TOO_FEW, cut_attribute
from research.evaluation.intervals import TAIL
from research.evaluation.metrics import METRICS, JudgedRows, compute_auc, compute_row_losses
from research.reporting.metric import Metric, register_metrics
from research.reporting.results import concat_tables
from research.store.keep import keep
from research.study import Study

LEAST_CHURNERS = 10  # in a group, or among its stayers, for a score that needs them
SIGNIFICANT_GAP, NO_GAP = "significant gap", "no significant gap"
SCORES = ["by", "group", "n", "churners", "metric", "value", "low", "high"]
GAP_COLUMNS = ["by", "metric", "group", "reference", "gap", "low", "high", "verdict"]


@dataclass(frozen=True, eq=False)
class JudgedGroup:
    """The rows of one group, and their places on the list of each resample.

    Attributes
    ----------
    rows : those that judge the model
    weights : (resamples, all rows), how often each row counts
    listed : (resamples, all rows), how often each row is on the list
    in_cycle : booleans (all rows,), the group's rows in the cycle of the list
    leaving : booleans (all rows,), those of them that judge the model and churn
    """

    rows: JudgedRows
    weights: np.ndarray
    listed: np.ndarray
    in_cycle: np.ndarray
    leaving: np.ndarray

    def average(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of values (judged rows,) in each resample."""
        return _divide(self.rows.weights @ values, self.rows.weights.sum(axis=1))

    def share_listed(self, rows: np.ndarray) -> np.ndarray:
        """Return the share of some rows that is on the list, in each resample."""
        return _divide(self.listed[:, rows].sum(axis=1), self.weights[:, rows].sum(axis=1))

    def blank(self) -> np.ndarray:
        """Return empty values, where too few customers churn or stay."""
        return np.full(len(self.weights), np.nan)


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _auc(group: JudgedGroup) -> np.ndarray:
    y = group.rows.y
    return compute_auc(group.rows) if min(y.sum(), (~y).sum()) >= LEAST_CHURNERS else group.blank()


def _log_loss(group: JudgedGroup) -> np.ndarray:
    return group.average(compute_row_losses(group.rows.y, group.rows.p))


def _mean_predicted(group: JudgedGroup) -> np.ndarray:
    return group.average(group.rows.p)


def _mean_observed(group: JudgedGroup) -> np.ndarray:
    return group.average(group.rows.y.astype(float))


def _calibration(group: JudgedGroup) -> np.ndarray:
    return _mean_observed(group) - _mean_predicted(group)


def _listed_share(group: JudgedGroup) -> np.ndarray:
    return group.share_listed(group.in_cycle)


def _found_share(group: JudgedGroup) -> np.ndarray:
    """True positive rate at capacity (Hardt, Price & Srebro 2016, arXiv:1610.02413)."""
    enough = group.leaving.sum() >= LEAST_CHURNERS
    return group.share_listed(group.leaving) if enough else group.blank()


MEASURES = register_metrics(
    replace(METRICS["auc"], function=_auc),
    replace(METRICS["log_loss"], function=_log_loss),
    Metric(
        name="mean_predicted",
        words="Predicted churn",
        better="neither",
        function=_mean_predicted,
    ),
    Metric(
        name="mean_observed",
        words="Observed churn",
        better="neither",
        function=_mean_observed,
    ),
    Metric(
        name="listed_share",
        words="Share on the list",
        better="neither",
        function=_listed_share,
    ),
    Metric(
        name="found_share",
        words="Share of churners on the list",
        better="more",
        function=_found_share,
    ),
)
# in the large: only the gaps between groups are shown
CALIBRATION = Metric(
    name="calibration",
    words="Observed minus predicted churn",
    better="ideal",
    ideal=0.0,
    function=_calibration,
)
GAPS = {
    "auc": MEASURES["auc"],
    "calibration": CALIBRATION,
    "listed_share": MEASURES["listed_share"],
    "found_share": MEASURES["found_share"],
}


def list_attributes(study: Study, rows: pd.DataFrame) -> list[str]:
    """Return the segments and the sensitive attributes that a study names and the rows contain."""
    named = (*(study.lifecycle.segments or []), *study.sensitive)
    return [name for name in named if name in rows]


@keep
def score_groups(
    predictions: pd.DataFrame,
    model: str,
    groups: pd.DataFrame,
    by: Sequence[str],
    capacity: int,
    resamples: int,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the scores of one model for each group of customers, and the gaps between groups.

    Parameters
    ----------
    predictions : see ``predict.predict_out_of_time``
        Judged are the rows of the first repeat; customers who left within the lead may be on the
        list, and are in no score.
    model : the column of risks to judge
    groups : DataFrame with columns customer_id, snapshot where predictions have it, and those of
        ``by``; one row per row of predictions
    by : attributes, each on its own
    capacity : places on the list of one cycle (the last snapshot)
    resamples, seed : bootstrap of customers behind the 95 % intervals

    Returns
    -------
    scores : DataFrame with columns by, group, n, churners, metric, value, low, high
        ``n`` counts rows. Metrics: those of ``MEASURES``, such as mean_predicted and mean_observed
        (calibration in the large), ``listed_share`` of the group's customers on the list, and
        ``found_share`` of its churners on the list. Empty where the group has too few churners.
    gaps : DataFrame with columns by, metric, group, reference, gap, low, high, verdict
        The group's value minus that of the largest group, for the metrics of ``GAPS``, with its
        interval adjusted for the number of gaps of the attribute (Bonferroni, normal
        approximation). ``verdict`` is ``SIGNIFICANT_GAP`` where it excludes 0, else ``NO_GAP``;
        ``TOO_FEW``, with the plain interval, where a group is smaller than 50 rows or lacks
        churners.

    Raises
    ------
    StudyError
        If the groups lack a column, or a customer.
    """
    rows = _join_groups(predictions, groups, by)
    names = {column: cut_attribute(rows[column]) for column in by}
    members = {
        (column, name): (values == name).to_numpy()
        for column, values in names.items()
        for name in values.value_counts().index
    }
    measured = _resample_groups(rows, model, members, capacity, resamples, seed)
    sizes = {
        key: (int((member & rows.judged).sum()), int((member & rows.judged & rows.churned).sum()))
        for key, member in members.items()
    }
    scores = [_tabulate_scores(*key, *sizes[key], values) for key, values in measured.items()]
    gaps = [
        _tabulate_gaps(
            column, {key[1]: values for key, values in measured.items() if key[0] == column}, sizes
        )
        for column in by
    ]
    return concat_tables(scores, SCORES), concat_tables(gaps, GAP_COLUMNS)


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
    without = int((rows._merge == "left_only").sum())
    if without:
        raise StudyError(
            f"expected the group of every customer judged, got {without} rows without one; give"
            " it for all rows of predictions"
        )
    left = rows.left_in_lead.astype(bool) if "left_in_lead" in rows else False
    return rows.drop(columns="_merge").assign(
        judged=~pd.Series(left, index=rows.index), churned=rows.churned.astype(bool)
    )


def _resample_groups(
    rows: pd.DataFrame,
    model: str,
    members: dict[tuple[str, str], np.ndarray],
    capacity: int,
    resamples: int,
    seed: int,
) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Return every measure of every group on the sample (first entry) and on each resample."""
    cycle = rows.index.isin(select_cycle(rows).index)
    pieces = {key: {name: [] for name in (*MEASURES, CALIBRATION.name)} for key in members}
    for weights in draw_weights(rows.customer_id, resamples, seed):
        listed = np.zeros_like(weights)
        listed[:, cycle] = fill_list(
            rows[model][cycle], rows.customer_id[cycle], capacity, weights[:, cycle]
        )
        for key, member in members.items():
            group = _take_group(rows, model, member, cycle, weights, listed)
            for metric in (*MEASURES.values(), CALIBRATION):
                pieces[key][metric.name].append(metric.function(group))
    return {
        key: {name: np.concatenate(parts) for name, parts in measures.items()}
        for key, measures in pieces.items()
    }


def _take_group(
    rows: pd.DataFrame,
    model: str,
    member: np.ndarray,
    cycle: np.ndarray,
    weights: np.ndarray,
    listed: np.ndarray,
) -> JudgedGroup:
    judged = member & rows.judged.to_numpy()
    judged_rows = JudgedRows(
        rows.churned[judged].to_numpy(),
        rows[model][judged].to_numpy(float),
        weights[:, judged],
        rows.fold[judged].to_numpy() if "fold" in rows else None,
    )
    leaving = judged & cycle & rows.churned.to_numpy()
    return JudgedGroup(judged_rows, weights, listed, member & cycle, leaving)


def _tabulate_scores(
    by: str, group: str, n: int, churners: int, measured: dict[str, np.ndarray]
) -> pd.DataFrame:
    rows = [
        (by, group, n, churners, name, *percentile_interval(measured[name])) for name in MEASURES
    ]
    return pd.DataFrame(rows, columns=SCORES)


def _tabulate_gaps(
    by: str,
    measured: dict[str, dict[str, np.ndarray]],
    sizes: dict[tuple[str, str], tuple[int, int]],
) -> pd.DataFrame:
    """Return each group's difference to the largest one."""
    largest = min(measured, key=lambda name: (-sizes[by, name][0], name))
    others = [name for name in measured if name != largest]
    rows = []
    for metric in GAPS:
        for name in others:
            gap = measured[name][metric] - measured[largest][metric]
            counts = [sizes[by, group][0] for group in (name, largest)]
            judged = _judge_gap(gap, counts, metric, len(others) * len(GAPS))
            rows.append((by, metric, name, largest, *judged))
    return pd.DataFrame(rows, columns=GAP_COLUMNS)


def _judge_gap(
    gap: np.ndarray, counts: Sequence[int], metric: str, comparisons: int
) -> tuple[float, float, float, str]:
    """Return a gap, its interval adjusted for the comparisons, and the verdict that this gives.

    From its standard error over the resamples.

    A share of nobody or of everybody has no standard error there; it gets that of two listed among
    four more (Agresti & Coull 1998, doi:10.1080/00031305.1998.10480550).
    """
    spread = np.nanstd(gap[1:], ddof=1) if np.isfinite(gap[1:]).sum() > 1 else np.nan
    if min(counts) < LEAST_ROWS or not np.isfinite([gap[0], spread]).all():
        return *percentile_interval(gap), TOO_FEW
    least = (
        np.sqrt(sum((2 / (n + 4)) * (1 - 2 / (n + 4)) / (n + 4) for n in counts))
        if metric.endswith("share")
        else 0.0
    )
    reach = NormalDist().inv_cdf(1 - TAIL / comparisons) * max(spread, least)
    verdict = SIGNIFICANT_GAP if abs(gap[0]) > reach else NO_GAP
    return gap[0], gap[0] - reach, gap[0] + reach, verdict

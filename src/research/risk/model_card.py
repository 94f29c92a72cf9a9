"""The card of the best model: what it is for, what it learned from, how good it is, and its limits.

The items follow TRIPOD+AI (Collins et al. 2024, doi:10.1136/bmj-2023-078378), so that a reader who
knows the checklist finds each of them.
"""

import pandas as pd

from research.evaluation.groups import TOO_FEW
from research.models.registry import Model
from research.panel.learning import Panel
from research.panel.periods import find_horizon, write_span
from research.reporting.format import join_words, write_interval
from research.reporting.metric import find_metric
from research.risk.fairness import SIGNIFICANT_GAP
from research.risk.rolling_origin import LEAST_WINDOWS
from research.study import Study

SHOWN = ("auc", "log_loss", "calibration_slope", "calibration_intercept")


def write_model_card(
    study: Study,
    panel: Panel,
    model: Model,
    baseline: str,
    features: list[str],
    scores: pd.DataFrame,
    sizes: pd.DataFrame,
    summary: pd.DataFrame,
    gaps: pd.DataFrame,
) -> pd.DataFrame:
    """Return the card, one row per item.

    Parameters
    ----------
    model, baseline : the best model, and the name of the best baseline
    features : columns that models may use
    scores : see ``bootstrap.tabulate_scores``
    sizes : see ``sample_size.tabulate_sample_size``
    summary : see ``rolling_origin.summarise_windows``
    gaps : see ``fairness.score_groups``

    Returns
    -------
    DataFrame with columns item, content
    """
    size = sizes.loc[sizes.needed.idxmax()]
    items = {
        "Model": f"{model.name}: {model.words}. {model.source}".strip(),
        "Intended use": "to rank customers by their risk of leaving; it doesn't say whom contact"
        " would keep, nor why customers leave",
        "Outcome": _describe_outcome(study),
        "Learned from": f"{study.title}: {_count(panel.learned)}{_name_days(panel, 'train')}",
        "Judged": f"{panel.validation}: {_count(panel.judged)}{_name_days(panel, 'test')}",
        "Predictors": f"{len(features)} features, known by the snapshot and passed by the leakage"
        " checks; none that the study calls sensitive",
        "Missing values": "stay missing for trees; else filled inside the training part",
        "Sample size": f"{size.customers:,} customers with {size.churners:,} churners;"
        f" {size.needed:,} with {size.churners_needed:,} are advised for a regression without"
        " penalty on all columns",
        "Performance": _list_scores(scores, model.name),
        "Best baseline": f"{baseline}: {_list_scores(scores, baseline)}",
        "Windows": _describe_windows(summary),
        "Groups of customers": _describe_gaps(gaps),
        "Limits": "holds for customers as those judged; a changed offer, price or season may change"
        " it, so judge it again as labels arrive",
    }
    return pd.DataFrame({"item": items.keys(), "content": items.values()})


def _describe_outcome(study: Study) -> str:
    if study.kind == "flat":
        return "churned, as the study's table has it"
    horizon, lead = write_span(find_horizon(study.churn)), study.churn.lead_days
    what = "cover ends" if study.kind == "contractual" else "no purchase"
    return f"{what} within {horizon} after a lead of {lead} days"


def _count(rows: pd.DataFrame) -> str:
    return (
        f"{rows.customer_id.nunique():,} customers in {len(rows):,} rows, {rows.churned.mean():.1%}"
        " churned"
    )


def _name_days(panel: Panel, part: str) -> str:
    if not panel.dated:
        return ""
    days = getattr(panel.split, part)
    return f"; snapshots {min(days)} to {max(days)}" if len(days) > 1 else f"; snapshot {days[0]}"


def _list_scores(scores: pd.DataFrame, name: str) -> str:
    rows = scores[scores.model == name].set_index("metric").loc[[*SHOWN]]
    return "; ".join(
        f"{find_metric(metric).words} {write_interval(row.value, row.low, row.high)}"
        for metric, row in rows.iterrows()
    )


def _describe_windows(summary: pd.DataFrame) -> str:
    if summary.empty:
        return "one, of a study without dates"
    judged = f"{summary.windows.max()} judged"
    if summary.windows.max() < LEAST_WINDOWS:
        return f"{judged}, too few to say how much another one would differ"
    return f"{judged}; the verdict says in how many it beat the baseline"


def _describe_gaps(gaps: pd.DataFrame) -> str:
    if gaps.empty:
        return "none compared"
    attributes, found = [*gaps.by.unique()], int((gaps.verdict == SIGNIFICANT_GAP).sum())
    judged = int((gaps.verdict != TOO_FEW).sum())
    return f"by {join_words(attributes)}: of {judged} gaps judged, {found} significant"

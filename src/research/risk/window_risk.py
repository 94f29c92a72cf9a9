"""One risk per customer and window: what every notebook says of the same people and days.

The risk of churn in the label window is that of one model, named beforehand and on no score of the
rows that judge; survival curves and values are brought into agreement with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import Markdown

from research.data.contracts import Tables
from research.data.coverage import find_data_end
from research.errors import StudyError
from research.evaluation.intervals import wilson_interval
from research.features.build import load_features, load_training
from research.features.leakage.gate import check_panel
from research.models.registry import (
    RECALIBRATED,
    Model,
    find_directions,
    list_recalibrated,
    list_trees,
)
from research.panel.evidence import evidence_as_of
from research.panel.labels import find_population, label_churn
from research.panel.learning import Panel
from research.panel.periods import close_window, complete_labels
from research.panel.splits import plan_split, require_windows
from research.reporting.format import write_quantity
from research.reporting.results import save_table
from research.reporting.tables import show
from research.risk.predict import LEAST_OF_CLASS, predict_out_of_time
from research.store.keep import keep
from research.study import Study
from research.survival.anchoring import Anchor

BOOSTING = "gradient boosting"
WINDOW_MODEL = BOOSTING + RECALIBRATED
DIGITS = {"mean_risk_share": 6, "expected": 3}
COLUMNS = [
    "model",
    "who",
    "after",
    "until",
    "customers",
    "mean_risk_share",
    "expected",
    "actual",
    "actual_share",
    "low",
    "high",
]


@dataclass(frozen=True)
class WindowRisk:
    """The risk of each customer of the population at a snapshot, and who left.

    Attributes
    ----------
    rows : one row per customer with columns customer_id, lead_risk (of leaving by the end of the
        lead), risk (of churn in the label window of one who hasn't left by then), left_in_lead and
        churned, which mean nothing unless ``known``
    snapshot, opens, closes : the label window is (opens, closes]
    known : whether the data reach to the end of the window
    contractual : whether churn is the end of a contract; else it is no purchase in the window
    """

    rows: pd.DataFrame
    snapshot: date
    opens: date
    closes: date
    known: bool
    contractual: bool

    @cached_property
    def risk_by_end(self) -> pd.Series:
        """Return the risk of leaving by the end of the window, lead included, by customer_id."""
        stays = (1 - self.rows.lead_risk) * (1 - self.rows.risk)
        return (1 - stays).set_axis(self.rows.customer_id)

    @property
    def anchor(self) -> Anchor:
        """Return what survival curves that count from the snapshot have to agree with."""
        return Anchor(self.risk_by_end, float((self.closes - self.snapshot).days))

    def tabulate(self, others: dict[str, pd.Series] | None = None) -> pd.DataFrame:
        """Return mean risk and expected leavers beside those who left, from one window to the next.

        Parameters
        ----------
        others : by model, what it says of the same customers and label window, by customer_id

        Returns
        -------
        DataFrame with columns model, who, after, until, customers, mean_risk_share, expected,
        actual, actual_share, low, high
            The days run from the one after ``after`` to ``until``. ``low`` and ``high``: 95 %
            interval of the actual share (Wilson). Empty where the window isn't over.
        """
        rows, start, known = self.rows, self.snapshot, self.known
        judged = rows[~rows.left_in_lead] if known else rows
        who = "judged" if self.contractual else "population"
        lines = [(WINDOW_MODEL, who, self.opens, self.closes, judged, judged.risk, judged.churned)]
        lines += [
            (name, *lines[0][1:5], risks.loc[judged.customer_id], judged.churned)
            for name, risks in (others or {}).items()
        ]
        if self.contractual:
            left, by_end = rows.left_in_lead | rows.churned, self.risk_by_end
            whole = (WINDOW_MODEL, "population")
            lines.insert(0, (*whole, start, self.closes, rows, by_end, left))
            if self.opens > start:
                lead = (*whole, start, self.opens, rows, rows.lead_risk, rows.left_in_lead)
                lines.insert(1, lead)
        return pd.DataFrame([self._compare(*line) for line in lines], columns=COLUMNS)

    def _compare(
        self,
        model: str,
        who: str,
        after: date,
        until: date,
        rows: pd.DataFrame,
        risk: Sequence[float],
        left: pd.Series,
    ) -> tuple:
        numbers = (model, who, after, until, len(rows), np.mean(risk), np.sum(risk))
        if not self.known or not len(rows):
            return *numbers, np.nan, np.nan, np.nan, np.nan
        return *numbers, left.sum(), left.mean(), *wilson_interval(left.mean(), len(rows))


def show_window_risk(risk: WindowRisk | None, others: dict[str, pd.Series] | None = None) -> Any:
    """Show what is expected of whom beside what came.

    Leaves the table ``window_risk``, rounded, since notebooks of a run may share a table only while
    it is equal; with others also ``window_risk_compared``.

    Parameters
    ----------
    others : see ``WindowRisk.tabulate``
    """
    if risk is None:
        return Markdown("No risk in a label window can be learned from these tables.")
    table = save_table(risk.tabulate().round(DIGITS), "window_risk")
    if others:
        table = save_table(risk.tabulate(others).round(DIGITS), "window_risk_compared")
    note = (
        "Actual: with the 95 % interval of the share (Wilson). The same on every page. Judged are"
        " those of the population who are still there after the lead."
    )
    return show(table.round({"expected": 1}), note=note)


@keep
def predict_window_risk(tables: Tables, study: Study, seed: int) -> WindowRisk | None:
    """Return the risk of everybody in the population at the last snapshot.

    By the same rows as ``30_risk``: what a model learns from was known by the first test snapshot.

    Returns
    -------
    WindowRisk, or None where ``30_risk`` couldn't learn either: a flat study, data too short, or
    fewer than ``LEAST_OF_CLASS`` churners or others to learn from
    """
    if study.kind == "flat":
        return None
    split = plan_split(study)
    try:
        require_windows(tables, study, split.train)
    except StudyError:
        return None
    train, _ = load_training(tables, study, split.train, min(split.test))
    if not _is_enough(train):
        return None
    allowed = check_panel(tables, study, train, first_judged_day=min(split.test)).allowed
    present = load_present(tables, study, max(split.test))
    if not allowed or len(present) < 2:
        return None
    models = list_window_models(study, allowed, seed)
    risk = _predict(train, present, allowed, models, seed)
    return frame_window_risk(tables, study, train, present, risk)


def read_window_risk(
    predictions: pd.DataFrame, panel: Panel, tables: Tables, study: Study
) -> WindowRisk | None:
    """Return the same from what the models of ``30_risk`` predicted already.

    Parameters
    ----------
    predictions : see ``predict.predict``, with a column ``WINDOW_MODEL``

    Returns
    -------
    WindowRisk, or None in a flat study
    """
    if not panel.dated:
        return None
    last = panel.test.snapshot.max()
    present = panel.test[panel.test.snapshot == last]
    rows = predictions[predictions.snapshot == last]
    risk = rows.set_index("customer_id")[WINDOW_MODEL].loc[present.customer_id].to_numpy()
    return frame_window_risk(tables, study, panel.train, present, risk)


def list_window_models(study: Study, features: list[str], seed: int) -> dict[str, Model]:
    """Return ``WINDOW_MODEL`` and the boosting that it recalibrates."""
    boosting = list_trees(seed, find_directions(features, study))[BOOSTING]
    models = {BOOSTING: boosting}
    return models | list_recalibrated(models, seed)


def _is_enough(train: pd.DataFrame) -> bool:
    learned = train[~train.left_in_lead]
    churners = int(learned.churned.sum())
    return min(churners, len(learned) - churners) >= LEAST_OF_CLASS


def load_present(tables: Tables, study: Study, snapshot: date) -> pd.DataFrame:
    """Return the population at a snapshot; its labels may be those of a window that isn't over."""
    evidence = evidence_as_of(tables, (snapshot,))
    labels = label_churn(tables, find_population(evidence, study), study)
    return load_features(evidence, labels, study)


def _predict(
    train: pd.DataFrame,
    present: pd.DataFrame,
    features: list[str],
    models: dict[str, Model],
    seed: int,
) -> np.ndarray:
    # whatever the labels of those to predict are: they are not looked at
    rows = present.assign(left_in_lead=False, churned=np.arange(len(present)) % 2 == 0)
    return predict_out_of_time(train, rows, features, models, seed)[WINDOW_MODEL].to_numpy()


def frame_window_risk(
    tables: Tables,
    study: Study,
    train: pd.DataFrame,
    present: pd.DataFrame,
    risk: np.ndarray,
) -> WindowRisk:
    """Return the risk of churn in the window together with that of leaving in the lead before it.

    Parameters
    ----------
    train : rows to learn from, those who left in the lead included
    present : the population at the last snapshot, with the ``risk`` of each by ``WINDOW_MODEL``
    """
    snapshot = present.snapshot.iloc[0].date()
    closes = close_window(study.churn, snapshot)
    rows = present[["customer_id", "left_in_lead", "churned"]].reset_index(drop=True)
    rows = rows.assign(lead_risk=compute_lead_risk(risk, train), risk=risk)
    known = complete_labels(study.churn, snapshot) <= find_data_end(tables, study)
    opens = snapshot + timedelta(days=study.churn.lead_days)
    return WindowRisk(rows, snapshot, opens, closes, known, study.kind == "contractual")


def compute_lead_risk(risk: np.ndarray, train: pd.DataFrame) -> np.ndarray:
    """Return the risk of leaving by the end of the lead, from that of churn in the window after it.

    The cumulative hazard of each customer in the lead is to that in the window as it is for all
    training rows together: too few leave in a lead to learn more than that from them.
    """
    return 1 - (1 - risk) ** compare_lead(train)


def compare_lead(train: pd.DataFrame) -> float:
    """Return the cumulative hazard of all rows in the lead, as a multiple of that in the window."""
    in_lead = train.left_in_lead.mean()
    in_window = train.churned[~train.left_in_lead].mean()
    return float(np.log1p(-in_lead) / np.log1p(-in_window))


def describe_window_risk(risk: WindowRisk | None) -> str:
    """Return the expected number of leavers by the end of the window, and how many did leave."""
    if risk is None:
        return ""
    row = risk.tabulate().iloc[0]
    what = "leave" if risk.contractual else "buy nothing"
    days = f"from {row.after} to {row.until}"
    start = (
        f"Of the {row.customers:,} customers of the population at {risk.snapshot},"
        f" {row.expected:,.0f} are expected to {what} {days}"
        f" ({write_quantity(row.mean_risk_share, 'share')})"
    )
    if not risk.known:
        return f"{start}; the window is not over."
    low, high = (write_quantity(bound, "share") for bound in (row.low, row.high))
    share = f"{write_quantity(row.actual_share, 'share')}, 95 % CI {low} to {high}"
    off = "" if row.low <= row.mean_risk_share <= row.high else ": **the mean risk is off**"
    return f"{start}; {row.actual:,.0f} did ({share}){off}."

"""The card of a model says what its tables say."""

from datetime import date

import pandas as pd
from small_models import few_models

from research.panel.learning import Panel
from research.panel.splits import Split
from research.risk.model_card import SHOWN, write_model_card
from research.risk.sample_size import tabulate_sample_size

ITEMS = {
    "Model",
    "Intended use",
    "Outcome",
    "Learned from",
    "Judged",
    "Predictors",
    "Missing values",
    "Sample size",
    "Performance",
    "Best baseline",
    "Windows",
    "Groups of customers",
    "Limits",
}


def make_rows(dated: bool) -> pd.DataFrame:
    rows = pd.DataFrame({"customer_id": ["a", "b", "c", "d"], "churned": [True, False] * 2})
    rows["fee"] = [1.0, 2.0, 3.0, 4.0]
    return rows.assign(snapshot=pd.Timestamp("2024-06-30"), left_in_lead=False) if dated else rows


def make_scores() -> pd.DataFrame:
    rows = [
        (name, metric, value, value - 0.1, value + 0.1)
        for name, value in (("random forest", 0.7), ("base rate", 0.5))
        for metric in SHOWN
    ]
    return pd.DataFrame(rows, columns=["model", "metric", "value", "low", "high"])


def write(study, dated: bool, gaps: pd.DataFrame, summary: pd.DataFrame) -> dict[str, str]:
    rows = make_rows(dated)
    days = date(2024, 4, 1), date(2024, 5, 1)
    panel = Panel(rows, rows, Split(days, (date(2024, 6, 30),)) if dated else None, {})
    card = write_model_card(
        study,
        panel,
        few_models(None, 0)["random forest"],
        "base rate",
        ["fee"],
        make_scores(),
        tabulate_sample_size(rows, ["fee"]),
        summary,
        gaps,
    )
    return card.set_index("item").content.to_dict()


def test_the_card_of_a_dated_study_names_days_windows_and_gaps(write_study):
    study = write_study("contractual", churn={"horizon_days": 30, "lead_days": 7})
    gaps = pd.DataFrame({"by": ["plan"] * 2, "verdict": ["significant gap", "no significant gap"]})
    card = write(study, True, gaps, pd.DataFrame({"windows": [3]}))
    assert {*card} == ITEMS
    assert card["Model"].startswith("random forest: random forest of 100 trees.")
    assert card["Outcome"] == "cover ends within 30 days after a lead of 7 days"
    assert card["Learned from"].endswith(
        "4 customers in 4 rows, 50.0% churned; snapshots 2024-04-01 to 2024-05-01"
    )
    assert card["Judged"].startswith("out of time: 4 customers")
    assert card["Judged"].endswith("snapshot 2024-06-30")
    assert card["Performance"].startswith("AUC 0.700 (0.600 to 0.800); Log-loss 0.700")
    assert card["Best baseline"].startswith("base rate: AUC 0.500 (0.400 to 0.600)")
    assert card["Windows"].startswith("3 judged; the verdict says in how many")
    few = write(study, True, gaps, pd.DataFrame({"windows": [2]}))["Windows"]
    assert few == "2 judged, too few to say how much another one would differ"
    assert card["Groups of customers"] == "by plan: of 2 gaps judged, 1 significant"


def test_the_card_of_a_flat_study_has_no_days(write_study):
    card = write(write_study("flat"), False, pd.DataFrame(), pd.DataFrame())
    assert card["Judged"] == "cross-validation: 4 customers in 4 rows, 50.0% churned"
    assert card["Windows"] == "one, of a study without dates"
    assert card["Groups of customers"] == "none compared"

"""The leak gate: what it must catch, and what it must leave alone."""

import numpy as np
import pandas as pd
import pytest

from research import adapters, features, leaks, sources
from research.studies import Leaks, StudyError, load_study


class Overrules:
    """The part of a study that the gate reads."""

    def __init__(self, **rules):
        self.leaks = Leaks(**rules)


def customers(n: int = 2000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=n)
    churned = rng.random(n) < 1 / (1 + np.exp(2 - 1.2 * signal))
    return pd.DataFrame(
        {"customer_id": [f"c{i}" for i in range(n)], "churned": churned, "signal": signal, "noise": rng.normal(size=n), "plan": rng.choice(["a", "b"], n)}
    )


def gate(frame: pd.DataFrame, **rules) -> pd.DataFrame:
    columns = [column for column in frame if column not in ("customer_id", "churned", "event", "left_in_lead")]
    return leaks.find_leaks(frame, columns, Overrules(**rules)).set_index("column")


@pytest.mark.parametrize("seed", range(3))
def test_honest_columns_pass(seed):
    assert gate(customers(seed=seed)).empty


def test_a_column_that_separates_churners_is_stopped():
    frame = customers()
    frame["score"] = frame.churned * 50 + np.random.default_rng(1).uniform(0, 70, len(frame)) * ~frame.churned + frame.churned * 40
    assert "separation" in gate(frame).reason["score"]


def test_a_text_present_only_for_churners_is_stopped():
    frame = customers()
    frame["reason"] = np.where(frame.churned & (np.arange(len(frame)) % 2 == 0), "price", None)
    assert gate(frame).evidence["reason"].startswith("all ")
    assert "only for churners" in gate(frame).reason["reason"]


def test_a_value_that_only_later_leavers_have_is_stopped():
    frame = customers()
    rng = np.random.default_rng(2)
    frame["event"] = frame.churned | (rng.random(len(frame)) < 0.15)
    frame["code"] = np.where(frame.event & (rng.random(len(frame)) < 0.5), "KEEP", None)
    assert "leave before the data end" in gate(frame).evidence["code"]


def test_an_identifier_is_stopped():
    frame = customers()
    frame["phone"] = [f"+48 {i:09d}" for i in range(len(frame))]
    assert gate(frame).reason["phone"].startswith("identifier")


def test_a_small_group_that_happens_to_leave_is_no_leak():
    frame = customers()
    frame["rare"] = np.where(frame.index.isin(frame.index[frame.churned][:8]), "x", "y")
    assert gate(frame).empty


@pytest.mark.parametrize("kind", ["many codes", "a number for churners only", "an amount for churners only"])
def test_a_leak_in_small_pieces_is_stopped_as_a_whole(kind):
    frame, rng = customers(), np.random.default_rng(3)
    chosen = frame.churned & (rng.random(len(frame)) < 0.6)
    if kind == "many codes":
        frame["leak"] = pd.Series([f"code {i % 40}" for i in range(len(frame))], dtype=object).where(chosen, None)
    else:
        frame["leak"] = pd.Series(rng.uniform(1, 9, len(frame))).where(chosen, np.nan if "number" in kind else 0.0)
    assert "only for churners" in gate(frame).reason["leak"]


def test_a_leak_is_stopped_where_most_customers_churn():
    frame = customers()
    frame["churned"] = ~frame.churned
    frame["code"] = np.where(frame.churned & (np.arange(len(frame)) % 3 == 0), "GONE", None)
    assert "code" in gate(frame).index


def test_a_value_written_at_leaving_is_stopped_though_some_left_within_the_lead():
    frame = customers()
    frame["left_in_lead"] = frame.churned & (np.arange(len(frame)) % 5 == 0)
    frame["code"] = np.where(frame.churned, "GONE", None)
    frame["churned"] &= ~frame.left_in_lead
    assert "code" in gate(frame).index


@pytest.mark.parametrize("seed", range(5))
def test_a_small_honest_group_at_very_high_risk_passes(seed):
    rng = np.random.default_rng(seed)
    group = np.arange(5000) < 40
    churned = rng.random(5000) < np.where(group, 0.97, 0.1)
    frame = pd.DataFrame({"customer_id": range(5000), "churned": churned, "late payer": np.where(group, "yes", "no")})
    assert leaks.find_leaks(frame, ["late payer"], Overrules()).empty


def test_study_yml_keeps_a_suspect_and_drops_a_column_with_its_reason():
    frame = customers()
    frame["score"] = frame.churned * 1.0
    table = gate(frame, keep={"score": "known at signing"}, drop={"plan": "set at exit"})
    assert dict(table.decision) == {"score": "kept", "plan": "excluded"}
    assert table.reason["score"] == "study.yml keeps it: known at signing"
    assert leaks.keep_honest(["score", "plan", "signal"], table.reset_index()) == ["score", "signal"]


def test_the_gate_stops_the_columns_of_the_extended_telco_that_know_the_outcome(mirror):
    folder = mirror / "telco_extended"
    frame = pd.read_excel(folder / "Telco_customer_churn.xlsx", engine="calamine")
    status = pd.read_excel(folder / "Telco_customer_churn_status.xlsx", engine="calamine")
    key = next(column for column in status if column.replace(" ", "").lower() == "customerid")
    known = [column for column in ("Satisfaction Score", "Customer Status", "Churn Category") if column in status]
    frame = frame.merge(status[[key, *known]], left_on="CustomerID", right_on=key)
    frame = frame.assign(customer_id=frame["CustomerID"], churned=frame["Churn Value"] == 1).drop(columns=["CustomerID", key, "Churn Value"], errors="ignore")
    stopped = {*gate(features.tidy(frame)).index}
    assert {"Churn Label", "Churn Score", "Churn Reason", *known} <= stopped
    assert not {"Contract", "Tenure Months", "Monthly Charges", "Internet Service", "Payment Method"} & stopped


@pytest.mark.parametrize("name", ["telco", "learning_platform", "online_retail"])
def test_the_gate_leaves_the_honest_columns_of_the_real_studies_alone(name, mirror):
    study = load_study(name)
    sources.fetch(study)
    tables = adapters.load_tables(study)
    if study.kind == "flat":
        frame = features.load_flat(tables, study)
    else:
        from research.snapshots import plan_split

        frame = features.load_panel(tables, study, plan_split(study).train)
    assert leaks.find_leaks(frame, features.list_features(frame, study), study).empty


def test_a_misspelt_rule_of_study_yml_is_refused_with_the_closest_feature():
    with pytest.raises(StudyError, match=r"key leaks: required names of features, arrived signall \(did you mean signal\?\); correct or remove them"):
        gate(customers(), drop={"signall": "set at exit"})

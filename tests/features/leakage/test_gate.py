"""The leak gate: what it must catch, and what it must leave alone."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from small_models import few_models

from research.data import fetch, load
from research.errors import StudyError
from research.evaluation import bootstrap
from research.features import build
from research.features.leakage import post_outcome
from research.features.leakage.gate import allowed_features, check_leakage, check_panel
from research.panel.splits import plan_split
from research.risk import predict
from research.study import Leaks, load_study


class Overrules:
    """The part of a study that the gate reads."""

    def __init__(self, **rules):
        self.leaks = Leaks(**rules)


def customers(n: int = 2000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=n)
    churned = rng.random(n) < 1 / (1 + np.exp(2 - 1.2 * signal))
    return pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "churned": churned,
            "signal": signal,
            "noise": rng.normal(size=n),
            "plan": rng.choice(["a", "b"], n),
        }
    )


def gate(frame: pd.DataFrame, **rules) -> pd.DataFrame:
    columns = [
        column
        for column in frame
        if column not in ("customer_id", "churned", "leaves_in_data", "left_in_lead")
    ]
    return check_leakage(frame, columns, Overrules(**rules)).set_index("column")


@pytest.mark.parametrize("seed", range(3))
def test_honest_columns_pass(seed):
    assert gate(customers(seed=seed)).empty


def test_a_column_that_separates_churners_is_stopped():
    frame = customers()
    frame["score"] = (
        frame.churned * 50
        + np.random.default_rng(1).uniform(0, 70, len(frame)) * ~frame.churned
        + frame.churned * 40
    )
    assert "separation" in gate(frame).reason["score"]


def test_a_text_present_only_for_churners_is_stopped():
    frame = customers()
    frame["reason"] = np.where(frame.churned & (np.arange(len(frame)) % 2 == 0), "price", None)
    assert gate(frame).evidence["reason"].startswith("all ")
    assert "only for churners" in gate(frame).reason["reason"]


def test_a_value_that_only_later_leavers_have_is_stopped():
    frame = customers()
    rng = np.random.default_rng(2)
    frame["leaves_in_data"] = frame.churned | (rng.random(len(frame)) < 0.15)
    frame["code"] = np.where(frame.leaves_in_data & (rng.random(len(frame)) < 0.5), "KEEP", None)
    assert "leave before the data end" in gate(frame).evidence["code"]


def test_an_identifier_is_stopped():
    frame = customers()
    frame["phone"] = [f"+48 {i:09d}" for i in range(len(frame))]
    assert gate(frame).reason["phone"].startswith("identifier")


def test_an_account_number_is_stopped_and_an_income_to_the_cent_is_not():
    frame, rng = customers(), np.random.default_rng(4)
    frame["account"] = rng.permutation(len(frame)) + 700_000
    frame["income"] = np.round(rng.lognormal(15, 0.5, len(frame)))
    assert [*gate(frame).index] == ["account"]


def test_a_number_that_changes_from_snapshot_to_snapshot_names_nobody():
    frame = customers()
    frame["days_lived"] = np.arange(len(frame)) + 100
    later = frame.assign(days_lived=frame.days_lived + 30)
    assert [*gate(frame).index] == ["days_lived"]
    assert gate(pd.concat([frame, later], ignore_index=True)).empty


def test_two_columns_that_separate_together_are_stopped_by_one_of_them_with_the_other_named():
    frame, flag = customers(), np.random.default_rng(5).random(2000) < 0.5
    table = gate(frame.assign(first=flag * 1.0, second=(flag ^ frame.churned) * 1.0))
    assert [*table.index] in (["first"], ["second"])
    assert "together with " in table.evidence.iloc[0]
    assert table.reason.iloc[0].startswith("separation together: neither tells alone")


def test_a_kept_column_of_a_pair_stays_with_its_evidence_and_its_partner_goes():
    frame, flag = customers(), np.random.default_rng(5).random(2000) < 0.5
    table = gate(
        frame.assign(first=flag * 1.0, second=(flag ^ frame.churned) * 1.0),
        keep={"second": "measured at signing"},
    )
    assert dict(table.decision) == {"first": "excluded", "second": "kept"}
    assert "together with first" in table.evidence["second"]
    assert table.reason["second"] == "study.yml keeps it: measured at signing"


def test_a_kept_column_that_separates_alone_drags_no_other_along():
    frame = customers()
    table = gate(frame.assign(score=frame.churned * 1.0), keep={"score": "known at signing"})
    assert dict(table.decision) == {"score": "kept"}


def test_an_attribute_written_at_leaving_or_after_a_treatment_is_stopped_by_what_everyone_shows():
    frame, rng = customers(), np.random.default_rng(6)
    frame["status"], frame["called"] = "fine", 0.0  # of those who are still there at the snapshot
    everyone = pd.DataFrame(
        {
            "customer_id": range(4000),
            "joined_at": pd.Timestamp("2024-01-01"),
            "gone": np.arange(4000) % 2 == 0,
            "plan": "a",
        }
    )
    everyone["status"] = np.where(everyone.gone, "closed", "fine")
    everyone["arm of spring"] = rng.choice(["call", "none"], 4000)
    everyone["called"] = (everyone["arm of spring"] == "call") * 1.0
    columns = ["status", "called", "plan", "signal"]
    table = check_leakage(frame, columns, Overrules(), everyone).set_index("column")
    assert table.reason["status"].startswith("after the event")
    assert table.reason["called"].startswith("after the treatment")
    assert allowed_features(columns, table.reset_index()) == ["plan", "signal"]


def test_a_column_written_after_the_treatment_of_a_flat_study_is_stopped():
    frame = customers()
    frame["arm"] = np.where(np.arange(2000) % 2 == 0, "letter", "none")
    frame["opened"] = np.where((frame.arm == "letter") & (np.arange(2000) % 6 == 0), "yes", "no")
    columns = ["signal", "noise", "plan", "opened"]
    assert [*check_leakage(frame, columns, Overrules()).column] == ["opened"]


def test_a_small_group_that_happens_to_leave_is_no_leak():
    frame = customers()
    frame["rare"] = np.where(frame.index.isin(frame.index[frame.churned][:8]), "x", "y")
    assert gate(frame).empty


@pytest.mark.parametrize(
    "kind", ["many codes", "a number for churners only", "an amount for churners only"]
)
def test_a_leak_in_small_pieces_is_stopped_as_a_whole(kind):
    frame, rng = customers(), np.random.default_rng(3)
    chosen = frame.churned & (rng.random(len(frame)) < 0.6)
    if kind == "many codes":
        frame["leak"] = pd.Series(
            [f"code {i % 40}" for i in range(len(frame))], dtype=object
        ).where(chosen, None)
    else:
        frame["leak"] = pd.Series(rng.uniform(1, 9, len(frame))).where(
            chosen, np.nan if "number" in kind else 0.0
        )
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
    frame = pd.DataFrame(
        {"customer_id": range(5000), "churned": churned, "late payer": np.where(group, "yes", "no")}
    )
    assert check_leakage(frame, ["late payer"], Overrules()).empty


def test_study_yml_keeps_a_suspect_and_drops_a_column_with_its_reason():
    frame = customers()
    frame["score"] = frame.churned * 1.0
    table = gate(frame, keep={"score": "known at signing"}, drop={"plan": "set at exit"})
    assert dict(table.decision) == {"score": "kept", "plan": "excluded"}
    assert table.reason["score"] == "study.yml keeps it: known at signing"
    assert allowed_features(["score", "plan", "signal"], table.reset_index()) == ["score", "signal"]


LEAKS_OF_TELCO = {
    "satisfaction_score",
    "churn_score",
    "customer_status",
    "churn_label",
    "churn_reason",
    "churn_category",
}
COPIES_OF_TELCO = {"contract_in_services", "internet_type", "payment_method_in_services"}


def judge_flat(name: str) -> tuple[pd.DataFrame, list[str], pd.DataFrame]:
    """Return a flat study's rows, its features and what the gate says of them."""
    study = load_study(name)
    fetch.fetch(study)
    frame = build.load_flat(load.load_tables(study), study)
    columns = build.list_features(frame, study)
    return frame, columns, check_leakage(frame, columns, study)


def measure_models(frame: pd.DataFrame, columns: list[str], resamples: int) -> pd.DataFrame:
    """Return every model's AUC with its interval."""
    models = few_models("tenure", 0)
    predictions = predict.predict_cross_validated(frame, columns, models, 5, 1, 0)
    scores = bootstrap.tabulate_scores(
        bootstrap.resample_scores(predictions, resamples, 0),
        {name: model.family for name, model in models.items()},
        len(frame),
    )
    return scores[scores.metric == "auc"].set_index("model")


def test_of_the_extended_telco_what_knows_the_outcome_is_stopped_and_the_rest_earns_what_is_published(
    mirror,
):
    frame, columns, table = judge_flat("telco_extended")
    found = table[table.evidence != "named in study.yml"]
    assert {*found.column} == LEAKS_OF_TELCO
    assert {*table.column} - {*found.column} == COPIES_OF_TELCO
    kept = allowed_features(columns, table)
    assert {
        "contract",
        "tenure",
        "monthly_charges",
        "total_charges",
        "cltv",
        "age",
        "offer",
        "number_of_referrals",
        "city",
        "zip_code",
    } <= {*kept}
    scores = measure_models(frame, kept, 10).drop(index=["base rate", "rule on tenure"])
    assert scores.value.between(0.84, 0.905).all()
    assert scores.value.max() > 0.87


def test_on_ravenstack_no_model_is_shown_to_know_anything(mirror):
    frame, columns, table = judge_flat("ravenstack")
    assert [*table.column] == ["account_name"]
    scores = measure_models(frame, allowed_features(columns, table), 500)
    assert ((scores.low <= 0.5) | (scores.value < 0.55)).all()


@pytest.mark.parametrize(
    "name", ["telco", "bank_churn", "mlc_churn", "learning_platform", "online_retail"]
)
def test_the_gate_leaves_the_honest_columns_of_the_real_studies_alone(name, mirror):
    study = load_study(name)
    fetch.fetch(study)
    tables = load.load_tables(study)
    if study.kind == "flat":
        frame, everyone = build.load_flat(tables, study), None
    else:
        split = plan_split(study)
        frame, everyone = (
            build.load_panel(tables, study, split.train),
            post_outcome.load_reference_population(tables, study, split.test[0]),
        )
    assert check_leakage(frame, build.list_features(frame, study), study, everyone).empty


def test_a_misspelt_rule_of_study_yml_is_refused_with_the_closest_feature():
    with pytest.raises(
        StudyError,
        match=(
            r"key leaks: expected names of features, got signall \(did you mean signal\?\);"
            r" correct or remove them"
        ),
    ):
        gate(customers(), drop={"signall": "set at exit"})


@pytest.fixture
def company(write_study):
    """A study of 200 customers under contract, of whom 120 leave in May; the status of these was
    written when they left.
    """
    ids = [f"c{number:03d}" for number in range(200)]
    leaves = np.arange(200) < 120
    people = pd.DataFrame(
        {
            "customer_id": ids,
            "joined_at": pd.Timestamp("2024-01-01"),
            "status": np.where(leaves, "closed", "fine"),
        }
    )
    contracts = people[["customer_id"]].assign(
        started_at=pd.Timestamp("2024-01-01"),
        ended_at=pd.Series(np.where(leaves, "2024-05-20", None)).astype("datetime64[us]"),
    )
    study = write_study(tables={"customers": people, "contracts": contracts})
    train = pd.DataFrame({"customer_id": ids, "churned": False, "status": people.status})
    return load.load_tables(study), study, train.assign(snapshot=pd.Timestamp("2024-04-30"))


def test_a_panel_is_checked_against_everybody_known_at_the_first_judged_day(company):
    after = check_panel(*company, first_judged_day=date(2024, 5, 20))
    assert after.columns == ["status"]
    assert after.findings.reason[0].startswith("after the event")
    assert (after.excluded, after.allowed) == (["status"], [])
    before = check_panel(*company, first_judged_day=date(2024, 5, 19))
    assert (before.excluded, before.allowed) == ([], ["status"])


def test_the_first_judged_day_is_the_first_test_snapshot_of_the_studys_split(company):
    tables, study, train = company
    for last, excluded in ((date(2024, 5, 20), ["status"]), (date(2024, 5, 19), [])):
        snapshots = study.snapshots.model_copy(update={"last": last, "test": 1})
        moved = study.model_copy(update={"snapshots": snapshots})
        assert check_panel(tables, moved, train).excluded == excluded
    two = study.snapshots.model_copy(update={"last": date(2024, 6, 1), "test": 2, "every_days": 13})
    assert not check_panel(tables, study.model_copy(update={"snapshots": two}), train).excluded


def test_a_flat_panel_is_checked_without_a_day():
    frame = customers().assign(score=lambda table: table.churned * 1.0)

    class Flat(Overrules):
        kind, sensitive = "flat", ()

    leakage = check_panel({}, Flat(), frame)
    assert (leakage.columns, leakage.excluded) == (["signal", "noise", "plan", "score"], ["score"])
    assert leakage.allowed == ["signal", "noise", "plan"]

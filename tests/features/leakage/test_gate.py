"""The leakage checks of a panel: what must be excluded, and what must pass."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from cases import slow
from small_companies import customers
from small_models import few_models

from research.data import fetch, load
from research.errors import StudyError
from research.evaluation import bootstrap
from research.features import build
from research.features.leakage import as_of_export, gate, post_outcome
from research.features.leakage.gate import allowed_features, check_leakage, check_panel
from research.panel.splits import plan_split
from research.risk import predict
from research.study import Leaks, load_study
from research.study_schema import Experiment


class Overrules:
    """The part of a study that the checks read."""

    experiment = Experiment()

    def __init__(self, **rules):
        self.leaks = Leaks(**rules)


def check(frame: pd.DataFrame, **rules) -> pd.DataFrame:
    columns = [
        column
        for column in frame
        if column not in ("customer_id", "churned", "leaves_in_data", "left_in_lead")
    ]
    return check_leakage(frame, columns, Overrules(**rules)).set_index("column")


def test_two_columns_that_separate_together_lose_one_of_them_with_the_other_named():
    frame, flag = customers(), np.random.default_rng(5).random(2000) < 0.5
    table = check(frame.assign(first=flag * 1.0, second=(flag ^ frame.churned) * 1.0))
    assert [*table.index] in (["first"], ["second"])
    assert "together with " in table.evidence.iloc[0]
    assert table.reason.iloc[0].startswith("separation together: neither separates alone")


def test_a_kept_column_of_a_pair_stays_with_its_evidence_and_its_partner_goes():
    frame, flag = customers(), np.random.default_rng(5).random(2000) < 0.5
    table = check(
        frame.assign(first=flag * 1.0, second=(flag ^ frame.churned) * 1.0),
        keep={"second": "measured at signing"},
    )
    assert dict(table.decision) == {"first": "excluded", "second": "kept"}
    assert "together with first" in table.evidence["second"]
    assert table.reason["second"] == "study.yml keeps it: measured at signing"


def test_a_kept_column_that_separates_alone_excludes_no_other():
    frame = customers()
    table = check(frame.assign(score=frame.churned * 1.0), keep={"score": "known at signing"})
    assert dict(table.decision) == {"score": "kept"}


def test_an_attribute_written_at_leaving_or_after_a_treatment_is_excluded():
    frame, rng = customers(), np.random.default_rng(6)
    frame["status"], frame["called"] = "fine", 0.0  # of those still there at the snapshot
    reference = pd.DataFrame(
        {
            "customer_id": range(4000),
            "joined_at": pd.Timestamp("2024-01-01"),
            "gone": np.arange(4000) % 2 == 0,
            "plan": "a",
        }
    )
    reference["status"] = np.where(reference.gone, "closed", "fine")
    reference["arm of spring"] = rng.choice(["call", "none"], 4000)
    reference["called"] = (reference["arm of spring"] == "call") * 1.0
    columns = ["status", "called", "plan", "signal"]
    table = check_leakage(frame, columns, Overrules(), reference).set_index("column")
    assert table.reason["status"].startswith("after the event")
    assert table.reason["called"].startswith("after the treatment")
    assert allowed_features(columns, table.reset_index()) == ["plan", "signal"]


def test_a_column_written_after_the_treatment_of_a_flat_study_is_excluded():
    frame = customers()
    frame["arm"] = np.where(np.arange(2000) % 2 == 0, "letter", "none")
    frame["opened"] = np.where((frame.arm == "letter") & (np.arange(2000) % 6 == 0), "yes", "no")
    columns = ["signal", "noise", "plan", "opened"]
    assert [*check_leakage(frame, columns, Overrules()).column] == ["opened"]


def test_study_yml_keeps_a_suspect_and_drops_a_column_with_its_reason():
    frame = customers()
    frame["score"] = frame.churned * 1.0
    table = check(frame, keep={"score": "known at signing"}, drop={"plan": "set at exit"})
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


def check_flat(name: str) -> tuple[pd.DataFrame, list[str], pd.DataFrame]:
    """Return a flat study's rows, its features and the findings of the checks."""
    study = load_study(name)
    fetch.fetch(study)
    frame = build.load_flat(load.load_tables(study), study)
    columns = build.list_features(frame, study)
    return frame, columns, check_leakage(frame, columns, study)


def measure_models(frame: pd.DataFrame, columns: list[str], resamples: int) -> pd.DataFrame:
    """Return every model's AUC with its interval."""
    models = few_models("tenure", 0, trees=None)
    predictions = predict.predict_cross_validated(frame, columns, models, 5, 1, 0)
    scores = bootstrap.tabulate_scores(
        bootstrap.resample_scores(predictions, resamples, 0),
        {name: model.family for name, model in models.items()},
        len(frame),
    )
    return scores[scores.metric == "auc"].set_index("model")


@pytest.mark.slow
def test_in_the_extended_telco_leakage_is_excluded_and_the_rest_scores_as_published(
    mirror,
):
    frame, columns, table = check_flat("telco_extended")
    leaking = table[table.evidence != "named in study.yml"]
    assert {*leaking.column} == LEAKS_OF_TELCO
    assert {*table.column} - {*leaking.column} == COPIES_OF_TELCO
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


def test_on_ravenstack_only_the_name_is_excluded(mirror):
    assert [*check_flat("ravenstack")[2].column] == ["account_name"]


@pytest.mark.slow
def test_on_ravenstack_no_model_predicts_significantly(mirror):
    frame, columns, table = check_flat("ravenstack")
    scores = measure_models(frame, allowed_features(columns, table), 500)
    assert ((scores.low <= 0.5) | (scores.value < 0.55)).all()


@pytest.mark.parametrize(
    "name",
    [
        "telco",
        *(slow(name) for name in ("bank_churn", "mlc_churn", "learning_platform", "online_retail")),
    ],
)
def test_no_column_of_the_real_studies_is_excluded_without_reason(name, mirror):
    study = load_study(name)
    fetch.fetch(study)
    tables = load.load_tables(study)
    if study.kind == "flat":
        frame, others = build.load_flat(tables, study), []
    else:
        split = plan_split(study)
        frame = build.load_panel(tables, study, split.train)
        others = [
            post_outcome.load_reference_population(tables, study, split.test[0]),
            as_of_export.load_lives(tables, study),
        ]
    assert check_leakage(frame, build.list_features(frame, study), study, *others).empty


def test_a_misspelt_rule_of_study_yml_is_refused_with_the_closest_feature():
    with pytest.raises(
        StudyError,
        match=(
            r"key leaks: expected names of features, got signall \(did you mean signal\?\);"
            r" correct or remove them"
        ),
    ):
        check(customers(), drop={"signall": "set at exit"})


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


@pytest.fixture
def no_export(monkeypatch):
    """Leave out the check of what was written until the export, which sees the same leak."""
    monkeypatch.setattr(gate, "load_lives", lambda tables, study: None)


def test_a_status_written_at_leaving_shows_at_the_data_end_before_anybody_has_left(company):
    found = check_panel(*company, first_judged_day=date(2024, 5, 19)).findings
    assert [*found.column] == ["status"]
    assert found.reason[0].startswith("as of the export")


def test_a_panel_is_checked_against_everybody_known_at_the_first_judged_day(company, no_export):
    after = check_panel(*company, first_judged_day=date(2024, 5, 20))
    assert after.columns == ["status"]
    assert after.findings.reason[0].startswith("after the event")
    assert (after.excluded, after.allowed) == (["status"], [])
    before = check_panel(*company, first_judged_day=date(2024, 5, 19))
    assert (before.excluded, before.allowed) == ([], ["status"])


def test_the_first_judged_day_is_the_first_test_snapshot_of_the_studys_split(company, no_export):
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

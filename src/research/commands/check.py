"""`research check`: the data contract, the leakage checks, and features with other futures."""

import sys

import pandas as pd

from research.data import checks, contracts, load
from research.data.remarks import describe_remarks
from research.errors import StudyError
from research.features import build
from research.features.leakage import time_travel
from research.features.leakage.gate import check_panel
from research.features.remarks import find_remarks
from research.models import registry
from research.panel import splits
from research.study import Study


def check_study(study: Study) -> None:
    """Check a study's tables and features, and print what was found."""
    print(f"{study.name}: running the SQL …", file=sys.stderr)
    tables = load.adapt(study)
    results = checks.check(tables, study.today)
    checks.require_passed(results)
    tables = load.settle(study, tables)
    train = _load_training_rows(study, tables)
    leakage = check_panel(tables, study, train)
    registry.find_rule_column(leakage.allowed, study)
    registry.find_directions(leakage.allowed, study)
    if study.model:
        words = build.describe_features(tables, study).set_index("feature").description.to_dict()
        models = registry.list_classifiers(study, leakage.allowed, 0, words)
        registry.require_name(study.model, models, "study.yml, key model")
    rows = ", ".join(f"{name} {table.count().execute():,}" for name, table in tables.items())
    print(
        f"{study.name}: {len(results)} of {len(results)} checks passed; {len(leakage.excluded)} of"
        f" {len(leakage.columns)} features excluded for target leakage; rows: {rows}"
    )
    for sentence in describe_remarks(find_remarks(tables, study, train, leakage)):
        print(f"{study.name}: {sentence}")


def _load_training_rows(study: Study, tables: contracts.Tables) -> pd.DataFrame:
    """Return the training rows, once all label windows are known to lie within the data."""
    if study.kind == "flat":
        return build.load_flat(tables, study)
    split = splits.plan_split(study)
    splits.require_windows(tables, study, [*split.train, *split.test])
    return build.load_training(tables, study, split.train, min(split.test))[0]


def travel_in_time(study: Study) -> None:
    """Test that no feature uses data from after its snapshot, and print the result."""
    if study.kind == "flat":
        print(time_travel.explain_flat(study))
        return
    print(f"{study.name}: building the features with other futures …", file=sys.stderr)
    table = time_travel.compare_futures(load.load_tables(study), study)
    faults = [*time_travel.list_faults(table, study)]
    if faults:
        raise StudyError(*faults)
    print(time_travel.describe_result(table, study))

"""Twins: rows of a flat study that are equal in everything but the identifier."""

import ibis
import numpy as np
import pandas as pd
from contract_tables import register
from sklearn.model_selection import RepeatedStratifiedKFold

from research.data.duplicates import find_first_twins, find_twins, keep_together, name_groups


def rows(count: int, twins: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(count - twins, 5)), columns=[*"abcde"])
    table.loc[0, "a"] = np.nan
    table = pd.concat([table, table.head(twins)], ignore_index=True)
    table.insert(0, "customer_id", [f"c{i}" for i in range(count)])
    return table.assign(churned=False)


def test_a_twin_points_at_the_first_of_its_kind_and_others_at_themselves():
    assert [*find_first_twins(rows(20, 3))] == [*range(17), 0, 1, 2]
    assert [*find_first_twins(rows(20, 0))] == [*range(20)]
    assert [*name_groups(rows(20, 3))[16:]] == ["c16", "c0", "c1", "c2"]


def test_rows_that_are_mostly_equal_or_of_few_columns_are_equal_by_chance():
    coarse = pd.DataFrame({name: [0] * 20 for name in "abcde"})
    assert [*find_first_twins(coarse)] == [*range(20)]
    assert [*find_first_twins(rows(20, 3)[["customer_id", "a", "b"]])] == [*range(20)]


def test_twins_stay_in_one_fold_of_every_repeat_and_the_others_in_their_own():
    table = rows(200, 40).assign(churned=lambda t: t.a > 0)
    first = find_first_twins(table)
    drawn = [
        *RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0).split(
            table, table.churned
        )
    ]
    kept = [*keep_together(drawn, first, 5)]
    assert len(kept) == 10
    for (train, test), (_, before) in zip(kept, drawn, strict=True):
        assert not {*first[train]} & {*first[test]}
        assert len(train) + len(test) == 200
        alone = np.flatnonzero(np.bincount(first, minlength=200)[first] == 1)
        assert {*test} & {*alone} == {*before} & {*alone}


def test_without_twins_the_folds_are_as_drawn():
    table = rows(100, 0)
    drawn = [
        *RepeatedStratifiedKFold(n_splits=4, n_repeats=2, random_state=1).split(
            table, table.index % 2
        )
    ]
    for ours, theirs in zip(keep_together(drawn, find_first_twins(table), 4), drawn, strict=True):
        assert all(map(np.array_equal, ours, theirs))


def test_a_label_that_no_feature_knows_is_not_predicted_by_copies():
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict

    rng = np.random.default_rng(0)
    table = rows(400, 0).assign(churned=rng.random(400) < 0.5)
    table = pd.concat([table, table.head(300)], ignore_index=True)
    columns, churned = table[[*"abcde"]].fillna(0), table.churned
    drawn = [
        *RepeatedStratifiedKFold(n_splits=5, n_repeats=1, random_state=0).split(columns, churned)
    ]
    model = ExtraTreesClassifier(50, random_state=0)
    scores = {
        name: cross_val_predict(model, columns, churned, cv=splits, method="predict_proba")[:, 1]
        for name, splits in {
            "as drawn": drawn,
            "kept together": [*keep_together(drawn, find_first_twins(table), 5)],
        }.items()
    }
    assert roc_auc_score(churned, scores["as drawn"]) > 0.75
    assert roc_auc_score(churned, scores["kept together"]) < 0.6


def test_twins_are_counted_in_a_remark():
    tables = register(ibis.duckdb.connect(), snapshot=rows(200, 20))
    (remark,) = find_twins(tables, None)
    assert remark.found == "20 of 200 rows equal another in everything but customer_id"


def test_few_twins_or_few_columns_are_no_remark():
    assert [*find_twins(register(ibis.duckdb.connect(), snapshot=rows(400, 1)), None)] == []
    few = rows(200, 20)[["customer_id", "a", "churned"]]
    assert [*find_twins(register(ibis.duckdb.connect(), snapshot=few), None)] == []

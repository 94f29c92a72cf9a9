"""Twins: rows of a flat study that are equal in everything but the identifier."""

import ibis
import numpy as np
import pandas as pd
from contract_tables import register

from research.data.duplicates import count_twins, find_twins, number_twins


def rows(count: int, twins: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(count - twins, 5)), columns=[*"abcde"])
    table.loc[0, "a"] = np.nan
    table = pd.concat([table, table.head(twins)], ignore_index=True)
    table.insert(0, "customer_id", [f"c{i}" for i in range(count)])
    return table.assign(churned=False)


def test_twins_share_a_number_that_others_lack():
    numbers = number_twins(rows(20, 3))
    assert [*numbers[:3]] == [*numbers[17:]] and len({*numbers}) == 17
    assert count_twins(rows(20, 3)) == 3 and count_twins(rows(20, 0)) == 0


def test_twins_are_counted_in_a_remark():
    tables = register(ibis.duckdb.connect(), snapshot=rows(200, 20))
    (remark,) = find_twins(tables, None)
    assert remark.found == "20 of 200 rows equal another in everything but customer_id"


def test_few_twins_or_few_columns_are_no_remark():
    assert [*find_twins(register(ibis.duckdb.connect(), snapshot=rows(400, 1)), None)] == []
    few = rows(200, 20)[["customer_id", "a", "churned"]]
    assert [*find_twins(register(ibis.duckdb.connect(), snapshot=few), None)] == []

"""Columns that number or name customers, and measures that don't."""

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds

from research.features.leakage.identifiers import identifies_customers

NUMBERS = {
    "counted up": lambda rng, n: rng.permutation(n) + 1_000,
    "counted up with gaps": lambda rng, n: rng.choice(20 * n, n, replace=False) + 500_000,
    "in two series": lambda rng, n: np.concatenate(
        [np.arange(n // 2) + 10_000, np.arange(n - n // 2) + 9_000_000]
    ),
    "ten digits at random": lambda rng, n: rng.integers(10**9, 10**10, n),
    "read as decimals": lambda rng, n: rng.permutation(n) + 1_000.0,
}
MEASURES = {
    "income in cents": lambda rng, n: np.round(rng.lognormal(15, 0.5, n)),
    "spending in cents, even": lambda rng, n: rng.integers(200_000, 9_000_000, n),
    "tenure in days": lambda rng, n: rng.integers(0, 4_000, n),
    "uses": lambda rng, n: rng.poisson(40, n),
    "a fee with cents": lambda rng, n: rng.uniform(5, 100, n).round(2),
    "a price of 99": lambda rng, n: rng.integers(1, 5_000, n) * 100 + 99,
}


@pytest.mark.parametrize("seed", list_seeds(3))
@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_handed_out_name_customers(kind, seed):
    assert identifies_customers(
        pd.Series(NUMBERS[kind](np.random.default_rng(seed), 2_000), name="x")
    )


@pytest.mark.parametrize("seed", list_seeds(3))
@pytest.mark.parametrize("n", [50, 200, 2_000, 20_000])
@pytest.mark.parametrize("kind", MEASURES)
def test_a_measure_names_nobody_however_fine(kind, n, seed):
    assert not identifies_customers(
        pd.Series(MEASURES[kind](np.random.default_rng(seed), n), name="x")
    )


def test_a_column_called_a_number_names_customers_where_it_has_no_ties():
    values = np.round(np.random.default_rng(0).lognormal(15, 0.5, 100))
    assert identifies_customers(pd.Series(values, name="account_no"))
    assert not identifies_customers(pd.Series(np.repeat(values[:50], 2), name="account_no"))


def test_empty_values_do_not_hide_an_identifier():
    assert identifies_customers(
        pd.Series(np.where(np.arange(2_000) % 3 == 0, np.nan, np.arange(2_000) + 1e6))
    )
    assert identifies_customers(
        pd.Series([f"person {i}" if i % 2 else None for i in range(200)], dtype=object)
    )

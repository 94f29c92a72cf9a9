"""Companies that several test files read."""

import pandas as pd
import pytest
from cases import slow

from research.simulate import Company, simulate, simulate_company


@pytest.fixture(scope="session")
def company() -> dict[str, pd.DataFrame]:
    return simulate(2000, 24, 0)


@pytest.fixture(scope="session", params=[1, slow(2)])
def any_company(request) -> dict[str, pd.DataFrame]:
    return simulate(1500, 18, request.param)


@pytest.fixture(scope="session")
def large_company() -> dict[str, pd.DataFrame]:
    """20,000 customers with the tables of the truth."""
    return simulate_company(Company(20_000, 24, 0))

"""Cases of tests that take long: marked slow beside a small one that holds the same promise."""

from typing import Any

import pytest


def slow(*values: Any):
    """Return the values of a case that only ``make test-all`` runs."""
    return pytest.param(*values, marks=pytest.mark.slow)


def list_seeds(number: int) -> list:
    """Return the seeds from 0 on, of which all but the first are slow."""
    return [0, *map(slow, range(1, number))]

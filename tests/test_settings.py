"""Ranges of parameters, refused before anything runs."""

import pytest

from research import settings
from research.errors import UsageError
from research.settings import RANGES, require_settings


@pytest.mark.parametrize("name", RANGES)
def test_the_ends_of_a_range_are_inside_and_the_next_values_are_not(name):
    low, high = RANGES[name]
    require_settings(**{name: low})
    require_settings(**{name: high})
    for value in (low - 1, high + 1):
        with pytest.raises(
            UsageError,
            match=(
                f"expected a .*{name}.* between {low} and {high}, got {value}; choose a"
                " value in that range"
            ),
        ):
            require_settings(**{name: value})


@pytest.mark.parametrize("day", ["tomorrow", "1735689600", "2025-6-3", "2025-06-30T00:00"])
def test_a_snapshot_is_a_day_written_out(day):
    with pytest.raises(UsageError, match="expected a snapshot in the form 2025-06-30"):
        require_settings(snapshot=day)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"seed": -1}, "a seed"),
        ({"budget": -2}, "a budget"),
        ({"planned": -1}, "a number of planned customers"),
        ({"folds": 0}, "a number of folds"),
    ],
)
def test_a_fault_names_the_value_in_words(value, words):
    with pytest.raises(UsageError, match=f"^expected {words} between "):
        require_settings(**value)


def test_all_faults_come_at_once_and_other_names_pass():
    require_settings(snapshot="", study="demo", folds=5)
    with pytest.raises(UsageError) as caught:
        require_settings(folds=1, repeats=0, snapshot="soon")
    assert len(caught.value.faults) == 3


@pytest.mark.parametrize(("share", "workers"), [("1", 1), ("4", 4), ("64", 8), ("0", 1)])
def test_a_notebook_of_a_batch_uses_its_share_of_the_cores(monkeypatch, share, workers):
    monkeypatch.setenv(settings.SHARE, share)
    assert settings.count_workers() == workers


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 2), (16, 2)])
def test_a_notebook_by_itself_uses_two_cores_where_there_are_two(monkeypatch, cores, workers):
    monkeypatch.delenv(settings.SHARE, raising=False)
    monkeypatch.setattr(settings.os, "cpu_count", lambda: cores)
    assert settings.count_workers() == workers
    assert settings.read_share() is None


def test_a_draft_takes_less_of_what_costs_and_never_more_than_was_asked_for():
    given = {"resamples": 1000, "folds": 2, "tuning_trials": 12, "capacity": 500}
    reduced = settings.reduce_sizes(given)
    assert reduced == {"resamples": 200, "folds": 2, "tuning_trials": 0, "capacity": 500}
    settings.require_settings(**{name: int(size) for name, size in settings.DRAFT.items()})

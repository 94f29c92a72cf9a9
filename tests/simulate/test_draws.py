"""Streams, the calendar of months, and moments within a life."""

import numpy as np
import pytest

from research.simulate.draws import Clock, Draws, add_months, count_by_month, fade, scatter


def test_a_part_draws_once():
    draws = Draws(0, 0)
    draws("age")
    with pytest.raises(ValueError, match="got 'age' again"):
        draws("age")


def test_streams_differ_by_seed_block_life_and_part_and_by_nothing_else():
    keys = [
        ((0, 0, 0), "age"),
        ((1, 0, 0), "age"),
        ((0, 1, 0), "age"),
        ((0, 0, 1), "age"),
        ((0, 0, 0), "name"),
    ]
    first = [Draws(*key)(part).random() for key, part in keys]
    assert len(set(first)) == 5
    assert first == [Draws(*key)(part).random() for key, part in keys]


def test_months_begin_on_their_first_day_and_go_on_for_a_year_beyond_the_history():
    clock = Clock(
        2
    )  # 2025-11-01, 2025-12-01 and 2026-01-01 in days since 1970: 20393, 20423, 20454
    assert clock.edges[:3].tolist() == [20393, 20423, 20454]
    assert (clock.first, clock.end, len(clock.edges)) == (20393, 20454, 2 + 12 + 1)
    assert clock.month_of(np.array([20392, 20393, 20422, 20423])).tolist() == [-1, 0, 0, 1]


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        ("2024-01-15", 12, "2025-01-15"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2024-12-31", 2, "2025-02-28"),
    ],
)
def test_a_month_later_is_the_same_day_or_the_last_of_a_shorter_month(day, months, later):
    first, second = (np.array([text], "datetime64[D]").astype(np.int64) for text in (day, later))
    assert add_months(first, months).tolist() == second.tolist()


def test_what_happened_counts_from_the_next_month_on_and_fades():
    counts = np.array([[0], [1], [0], [3], [0]])
    assert fade(counts, 0.5, 2)[:, 0].tolist() == [0, 0, 1, 0.5, 2]  # 0.5 * 0.5 + 3 is more than 2


def test_events_are_counted_by_month_and_life():
    events = {"month": np.array([0, 1, 1]), "life": np.array([1, 0, 0])}
    assert count_by_month(events, (2, 3)).tolist() == [[0, 1, 0], [2, 0, 0]]


def test_moments_lie_in_their_month_and_not_before_the_start():
    clock = Clock(12)
    lives = {
        "start": np.array([clock.edges[1] + 9, clock.first - 100]),
        "hour": np.array([12.0, 12.0]),
    }
    moments = scatter(Draws(0, 0), "x", np.full((24, 2), 50), lives, clock)
    day = moments["at"] // 86_400
    assert (
        (day >= clock.edges[moments["month"]]) & (day < clock.edges[moments["month"] + 1])
    ).all()
    assert day[moments["life"] == 0].min() >= clock.edges[1] + 9
    assert (moments["life"] == 1).sum() == 24 * 50

"""The customers of the generated company: the traits in their table, and the latent ones."""

import numpy as np

from research.simulate.company import (
    AGE_UNKNOWN,
    ANSWERS,
    BEFORE,
    BEFORE_MEAN,
    BEFORE_MOST,
    BILINGUAL,
    LANGUAGES,
    PAUSE_DAYS,
    PAUSE_MEAN,
    QUIET,
    RETURNER,
    SURVIVORS,
    TRAITS,
)
from research.simulate.draws import NEVER, SECONDS, Clock, Columns, Draws, choose, look_up
from research.simulate.phrases import draw_names

LATENT = ("home", "quiet", "loyalty", "trouble", "taste", "answers", "language", "true_age")


def draw_people(draws: Draws, size: int, clock: Clock) -> Columns:
    """Return one entry per customer: traits, day of joining, and the latent habits."""
    traits = {name: choose(draws(name), table, size) for name, table in TRAITS.items()}
    shift = sum(look_up(TRAITS[name], codes, 1) for name, codes in traits.items())
    joined = draw_joining(draws, size, clock)
    veteran = joined < clock.first
    language, second = (
        choose(draws(part), LANGUAGES, size).astype(np.int64)
        for part in ("language", "second language")
    )
    return traits | {
        "joined": joined,
        "age": draw_age(draws, traits["age_band"]),
        "age_unknown": draws("age unknown").random(size) < AGE_UNKNOWN,
        "home": shift + draws("home").normal(0.0, 0.8, size) + SURVIVORS["home"] * veteran,
        "quiet": draws("quiet").random(size) < QUIET,
        "returner": draws("returner").random(size) < RETURNER,
        "hour": np.where(draws("hour").random(size) < 0.4, 11.0, 19.5),
        "trouble": draws("trouble").gamma(0.8, 1.25, size),
        "taste": draws("taste").gamma(2.0, 0.5, size),
        "loyalty": draws("loyalty").normal(0, 1, size) + SURVIVORS["loyalty"] * veteran,
        "answers": np.array(list(ANSWERS))[choose(draws("answers"), ANSWERS, size)],
        "language": language,
        "second": np.where(draws("bilingual").random(size) < BILINGUAL, second, language),
        "name": draw_names(draws, language),
    }


def draw_joining(draws: Draws, size: int, clock: Clock) -> np.ndarray:
    """Return the first day of the first contract, never the first of a month.

    For nearly half of the customers it lies before the history.
    """
    before = (
        clock.first
        - 1
        - np.minimum(
            draws("joined before").exponential(BEFORE_MEAN, size).astype(np.int64), BEFORE_MOST
        )
    )
    within = draws("joined").integers(clock.first, clock.end - 1, size)
    day = np.where(draws("veteran").random(size) < BEFORE, before, within)
    first = day == day.astype("datetime64[D]").astype("datetime64[M]").astype(
        "datetime64[D]"
    ).astype(np.int64)
    return day + first


def draw_age(draws: Draws, band: np.ndarray) -> np.ndarray:
    """Return whole years within the band."""
    low, high = np.array([[int(year) for year in name.split("-")] for name in TRAITS["age_band"]]).T
    return low[band] + (draws("age").random(len(band)) * (high - low + 1)[band]).astype(np.int64)


def draw_return(
    draws: Draws, people: Columns, end: np.ndarray, clock: Clock
) -> tuple[np.ndarray, np.ndarray]:
    """Return the customers who would come back after an end, and on which day.

    The day is the end of the history where they never left or would come back later.
    """
    back = (
        np.where(end < NEVER, end, clock.end)
        + PAUSE_DAYS
        + draws("pause").exponential(PAUSE_MEAN, len(end)).astype(np.int64)
    )
    first = back == back.astype("datetime64[D]").astype("datetime64[M]").astype(
        "datetime64[D]"
    ).astype(np.int64)
    customer = np.flatnonzero(people["returner"])
    return customer, np.minimum(back + first, clock.end)[customer]


def list_customers(people: Columns) -> Columns:
    """Return the table customers, by position; an age that nobody knows is -1."""
    traits = {name: people[name] for name in TRAITS if name != "age_band"}
    return {
        "life": np.arange(len(people["joined"])),
        "joined_at": people["joined"] * SECONDS,
        "name": people["name"],
        "age": np.where(people["age_unknown"], -1, people["age"]),
    } | traits


def list_latent(people: Columns) -> Columns:
    """Return the truth of who the customers are."""
    return {"life": np.arange(len(people["joined"]))} | {
        name: people["age" if name == "true_age" else name] for name in LATENT
    }

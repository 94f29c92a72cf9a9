"""Why a customer leaves, and when: drivers, monthly hazards of two causes, and the end drawn."""

import numpy as np

from research.simulate.company import (
    CONTACT_KEPT,
    DEAR_FEE,
    DEAR_STEEPNESS,
    DELIVERY_KEPT,
    GRIEVANCE_KEPT,
    HAZARD,
    OLDER,
    REASONS,
    RISE_KEPT,
    SENSITIVITY,
)
from research.simulate.draws import (
    NEVER,
    Clock,
    Columns,
    Draws,
    count_by_month,
    fade,
    look_up,
    spread,
)
from research.simulate.lives import anniversary, build_gap

NOT_VOLUNTARY = "payment failed"
END_REASONS = (*REASONS, NOT_VOLUNTARY)


def build_drivers(draws: Draws, lives: Columns, clock: Clock) -> Columns:
    """Return the path of every driver in ``HAZARD``, as of the beginning of the month.

    Engagement and fee are those of the month itself.
    """
    shape, attentive = lives["level"].shape, ~lives["quiet"]
    fall, dear = lives["fall"] * attentive, build_dear(lives)
    rise, contact = (
        build_rise(lives["increase"]),
        fade(count_by_month(lives["contacts"], shape), CONTACT_KEPT, 3),
    )
    grievance = fade(
        count_by_month(
            _choose_rows(
                lives["contacts"], lives["contacts"]["complaint"] & lives["contacts"]["never"]
            ),
            shape,
        ),
        GRIEVANCE_KEPT,
        2,
    )
    years = np.maximum(clock.edges[:-1, None] - lives["start"], 0) / 365.25
    return {
        "base": np.ones(shape),
        "fall": fall,
        "gap": build_gap(draws, lives, clock) * attentive,
        "grievance": grievance,
        "fall_grievance": fall * grievance,
        "dear": dear,
        "rise": rise,
        "rise_dear": rise * dear,
        "delivery": fade(
            count_by_month(_choose_rows(lives["orders"], lives["orders"]["poor"]), shape),
            DELIVERY_KEPT,
            2,
        ),
        "contact": contact,
        "contact_older": contact * (lives["age"] >= OLDER),
        "failed": np.vstack([np.zeros(shape[1]), lives["failed"][:-1]]),
        "tenure": np.log1p(years),
        "loyalty": np.broadcast_to(lives["loyalty"], shape),
        "bound": lives["annual"] & ~lives["renewal"],
        "renewal": lives["renewal"],
    }


def build_dear(lives: Columns) -> np.ndarray:
    """Return the path of fee per use on an S curve, times the sensitivity of the income band."""
    per_use = lives["fee"] / (lives["usual"] * np.exp(lives["level"]))
    return (
        look_up(SENSITIVITY, lives["income_band"])
        * ~lives["quiet"]
        / (1 + (DEAR_FEE / per_use) ** DEAR_STEEPNESS)
    )


def build_rise(increase: np.ndarray) -> np.ndarray:
    """Return the path of recent increases of the fee in tenths of it, fading, 2.5 at most.

    The increase of the month itself counts.
    """
    path, left = np.empty(increase.shape), np.zeros(increase.shape[1])
    for month, step in enumerate(increase):
        left = np.minimum(RISE_KEPT * left + 10 * step, 2.5)
        path[month] = left
    return path


def _choose_rows(events: Columns, chosen: np.ndarray) -> Columns:
    return {name: events[name][chosen] for name in ("month", "life")}


def build_logits(drivers: Columns) -> np.ndarray:
    """Return the logits of leaving against staying, in the shape (cause, *driver).

    Each is the sum of ``HAZARD`` coefficients times drivers.
    """
    total = 0.0
    for name, path in drivers.items():
        total = total + np.stack([coefficient * path for coefficient in HAZARD[name]])
    return total


def monthly_hazard(logits: np.ndarray, shift: np.ndarray | float = 0.0) -> np.ndarray:
    """Return the hazard of a whole month, in the shape (cause, *driver).

    The causes, voluntary first, then involuntary, compete in a multinomial logit:
    hazard = exp(logit) / (1 + both exp(logit)). ``shift`` is what campaigns add to the voluntary
    logit.
    """
    voluntary, involuntary = np.exp(logits[0] + shift), np.exp(logits[1])
    return np.stack([voluntary, involuntary]) / (1 + voluntary + involuntary)


def draw_end(draws: Draws, hazard: np.ndarray, lives: Columns, clock: Clock) -> Columns:
    """Draw each life's end, the first day not covered, and its cause.

    The end comes after the start and within the history. Nobody starts or ends on the first day of
    a month, so that a contract that runs on that day is at risk for the whole month. An annual
    contract that isn't renewed ends on the anniversary.
    """
    opens, closes = clock.edges[: clock.months, None], clock.edges[1 : clock.months + 1, None]
    earliest = np.maximum(lives["start"] + 1, opens + 1)
    exposed = np.clip((closes - earliest) / (closes - opens - 1), 0, 1)
    total = hazard[:, : clock.months].sum(axis=0)
    leaves = draws("end").random(exposed.shape) < 1 - (1 - total) ** exposed
    left, month, life = leaves.any(axis=0), leaves.argmax(axis=0), np.arange(exposed.shape[1])
    voluntary = draws("cause").random(len(life)) < hazard[0, month, life] / total[month, life]
    day = spread(
        draws("end day").random(len(life)),
        np.minimum(earliest[month, life], closes[month, 0] - 1),
        closes[month, 0],
    )
    day = np.where(voluntary & lives["renewal"][month, life], anniversary(lives, month), day)
    return {
        "end": np.where(left, day, NEVER),
        "end_month": month,
        "left": left,
        "voluntary": voluntary & left,
    }


def draw_reason(draws: Draws, drivers: Columns, end: Columns) -> np.ndarray:
    """Draw the reason that a leaver states, a position in ``END_REASONS``.

    Each is as likely as its drivers contribute to the voluntary logit.
    """
    at = (end["end_month"], np.arange(len(end["end"])))
    weights = [
        sum((np.maximum(HAZARD[name][0] * drivers[name][at], 0) for name in names), start=least)
        for names, least in REASONS.values()
    ]
    bounds = np.cumsum([np.broadcast_to(weight, len(end["end"])) for weight in weights], axis=0)
    stated = (draws("reason").random(len(end["end"])) * bounds[-1] >= bounds).sum(axis=0)
    return np.where(end["voluntary"], stated, len(REASONS)).astype(np.int8)

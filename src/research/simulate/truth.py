"""True hazards, stages and remaining values of the generated company, to grade methods by."""

import numpy as np

from research.simulate.company import (
    DISCOUNT_A_YEAR,
    GROWTH_MONTHS,
    INTRODUCTION_MONTHS,
    MARGIN_FEE,
    MARGIN_ORDERS,
    OTHER_RETURN,
    POOR,
    POOR_RETURN,
    PRODUCTS,
    QUANTITIES,
    WON_BACK_MONTHS,
)
from research.simulate.draws import SECONDS, Clock, Columns, look_up
from research.simulate.lives import order_rate
from research.study_schema import STAGES

INTRODUCTION, GROWTH, MATURITY, DECLINE, GONE, WON_BACK = range(len(STAGES))


def expected_margin(lives: Columns) -> np.ndarray:
    """Return the path of the margin expected in a month, in EUR.

    It is a share of the fee and one of the orders less what is sent back.
    """
    price = sum(share * price for share, price in PRODUCTS.values()) * sum(
        pieces * share for pieces, (share,) in QUANTITIES.items()
    )
    poor = look_up(POOR, lives["region"])
    kept = 1 - poor * POOR_RETURN - (1 - poor) * OTHER_RETURN
    return MARGIN_FEE * lives["fee"] + MARGIN_ORDERS * price * kept * order_rate(
        lives, lives["level"]
    )


def remaining_value(hazard: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """Return the path of the expected discounted margin from a month's start until churn.

    value = margin + survival * value of the next month / (1 + rate), along the customer's own path.
    A month that begins under contract earns whole. After the last month of the path the year before
    it repeats without end in its means: the margin's and, geometric, that of survival.
    """
    discount, survival = (1 + DISCOUNT_A_YEAR) ** (-1 / 12), 1 - hazard.sum(axis=0)
    usual = discount * np.exp(np.log(survival[-12:]).mean(axis=0))
    value, path = margin[-12:].mean(axis=0) / (1 - usual), np.empty(margin.shape)
    for month in reversed(range(len(margin))):
        value = margin[month] + discount * survival[month] * value
        path[month] = value
    return path


def quarter_risk(hazard: np.ndarray, months: int) -> np.ndarray:
    """Return the path of the risk to leave within the three months that begin with each."""
    survival = 1 - hazard.sum(axis=0)
    return 1 - survival[:months] * survival[1 : months + 1] * survival[2 : months + 2]


def find_stages(lives: Columns, won_back: bool, clock: Clock) -> np.ndarray:
    """Return the path of true lifecycle stages, positions in ``STAGES``, of a life under contract.

    A contract's age goes first: won back in the first six months of a second one, introduction in
    the first three of a first one. Then decline while engagement sinks, growth in the months up to
    the sixth and while engagement recovers, else maturity.
    """
    # full calendar months under contract when the month begins
    age = np.arange(clock.months)[:, None] - lives["began"] - 1
    sinking, recovering = lives["sinking"][: clock.months], lives["recovering"][: clock.months]
    settled = np.select([sinking, (age < GROWTH_MONTHS) | recovering], [DECLINE, GROWTH], MATURITY)
    return np.where(
        age < (WON_BACK_MONTHS if won_back else INTRODUCTION_MONTHS),
        WON_BACK if won_back else INTRODUCTION,
        settled,
    )


def list_hazards(first_and_second: list[Columns], customers: int, clock: Clock) -> Columns:
    """Return true hazards, stage and remaining value of every customer and month.

    Months count from the first that begins under contract. Hazards and value are empty for months
    at whose start no contract runs.

    Parameters
    ----------
    first_and_second : the first and the second lives, each with ``hazard``, ``risk``, ``value`` and
        ``stage``
    """
    shape, opens = (clock.months, customers), clock.edges[: clock.months, None]
    columns = {
        name: np.full(shape, np.nan)
        for name in ("voluntary", "involuntary", "risk_3_months", "remaining_value_eur")
    }
    stage = np.where(first_and_second[0]["end"] <= opens, GONE, -1)
    for lives in first_and_second:
        month, life = np.nonzero((lives["start"] <= opens) & (lives["end"] > opens))
        cell = (month, lives["customer"][life])
        stage[cell] = lives["stage"][month, life]
        columns["remaining_value_eur"][cell] = np.round(lives["value"][month, life], 2)
        columns["risk_3_months"][cell] = lives["risk"][month, life]
        for cause, name in enumerate(("voluntary", "involuntary")):
            columns[name][cell] = lives["hazard"][cause, month, life]
    customer, month = np.nonzero(stage.T >= 0)
    rows = {name: values[month, customer] for name, values in (columns | {"stage": stage}).items()}
    return {"customer": customer, "at": clock.edges[month] * SECONDS} | rows

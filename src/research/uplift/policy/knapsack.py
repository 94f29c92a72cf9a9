"""Whom to contact with which offer, within a budget and a number of contacts.

The best choice is that of a multiple-choice knapsack: several offers a customer, of which each
takes one at most. Its relaxation is solved by a price of money: everybody gets the offer with the
largest gain less price times cost, and the price rises until the budget is kept (Sinha & Zoltners
1979, doi:10.1287/opre.27.3.503).
"""

import numpy as np

from research.errors import StudyError

PRICE_HALVINGS = 60  # of the price of money
NO_OFFER = 0


def require_terms(cost: np.ndarray, budget: float, capacity: float) -> None:
    """Refuse costs, a budget or a capacity below 0.

    Raises
    ------
    StudyError
        One sentence for each.
    """
    faults = []
    if not (np.isfinite(cost).all() and (cost >= 0).all()):
        faults.append(
            f"expected costs of 0 or more, got {int((~(cost >= 0)).sum()):,} below or empty;"
            " correct the costs of the arms"
        )
    faults += [
        f"expected a {name} of 0 or more, got {value:g}; correct it"
        for name, value in (("budget", budget), ("capacity", capacity))
        if value < 0
    ]
    if faults:
        raise StudyError(*faults)


def allocate(
    gain: np.ndarray, cost: np.ndarray, budget: float = np.inf, capacity: float = np.inf
) -> np.ndarray:
    """Return the offer for each customer that brings most in all, cost deducted: 0 for none, else
    the column + 1.

    Parameters
    ----------
    gain : (customers, offers), what an offer is expected to bring, cost not deducted
    cost : (customers, offers), 0 or more
    budget : of all costs together; what is spent stays within it, and less than the cost of one
        offer below it where that would pay
    capacity : customers who can be contacted
    """
    require_terms(cost, budget, capacity)
    chosen = _choose_at(gain, cost, 0.0, capacity)
    if _spend(chosen, cost) <= budget:
        return chosen
    low, high = 0.0, max(float(np.max(gain / np.maximum(cost, 1e-12))), 1.0)
    for _ in range(PRICE_HALVINGS):
        middle = (low + high) / 2
        chosen = _choose_at(gain, cost, middle, capacity)
        low, high = (low, middle) if _spend(chosen, cost) <= budget else (middle, high)
    return _fill_up(
        _choose_at(gain, cost, high, capacity),
        _choose_at(gain, cost, low, capacity),
        gain,
        cost,
        budget,
    )


def _choose_at(gain: np.ndarray, cost: np.ndarray, price: float, capacity: float) -> np.ndarray:
    """Return the best offers where money costs ``price`` on top of itself."""
    net = gain - (1 + price) * cost
    best = net.argmax(axis=1)
    largest = net[np.arange(len(net)), best]
    chosen = np.where(largest > 0, best + 1, NO_OFFER)
    if (chosen > 0).sum() > capacity:
        order = np.argsort(-np.where(chosen > 0, largest, -np.inf), kind="stable")
        chosen[order[int(capacity) :]] = NO_OFFER
    return chosen


def _spend(chosen: np.ndarray, cost: np.ndarray) -> float:
    return float(pick(cost, chosen).sum())


def _fill_up(
    tight: np.ndarray, loose: np.ndarray, gain: np.ndarray, cost: np.ndarray, budget: float
) -> np.ndarray:
    """Return the choice that keeps the budget, with as many offers of the next looser one as the
    money left allows: to customers who tie at the price.
    """
    waiting = np.flatnonzero((tight != loose) & (loose > 0) & (tight == NO_OFFER))
    extra = pick(cost, loose)[waiting]
    order = np.argsort(-(pick(gain, loose)[waiting] - extra), kind="stable")
    affordable = np.cumsum(extra[order]) <= budget - _spend(tight, cost)
    added = waiting[order][affordable]
    filled = tight.copy()
    filled[added] = loose[added]
    return filled


def pick(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return each customer's value of the offer chosen; 0 where none is."""
    return np.where(chosen > 0, values[np.arange(len(values)), np.maximum(chosen - 1, 0)], 0.0)


def fill(
    order_by: np.ndarray,
    offer: np.ndarray,
    cost: np.ndarray,
    budget: float = np.inf,
    capacity: float = np.inf,
) -> np.ndarray:
    """Return a list filled from the top: the offer of each customer on it, 0 for the others.

    Parameters
    ----------
    order_by : (customers,), highest first; a customer without a number, or with minus infinity, is
        never listed. Ties stay in the order of the rows
    offer : (customers,), which offer each would get: the column + 1, 0 for none
    cost : (customers, offers)
    """
    require_terms(cost, budget, capacity)
    order = np.argsort(-np.nan_to_num(order_by, nan=-np.inf), kind="stable")
    eligible = ((offer > 0) & np.isfinite(order_by))[order]
    spent = np.cumsum(np.where(eligible, pick(cost, offer)[order], 0.0))
    within = eligible & (spent <= budget * (1 + 1e-12)) & (np.cumsum(eligible) <= capacity)
    chosen = np.zeros(len(order), dtype=int)
    chosen[order[within]] = offer[order[within]]
    return chosen

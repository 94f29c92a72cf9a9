"""One life of a customer under contract, month by month.

It has a plan and a fee, engagement, purchases, deliveries, payments and service contacts.
Paths have the shape (months, lives) and go on beyond the history. They run on as if nobody ever
left: the end is drawn from them, and what lies after it falls away. Nothing here depends on the
end.
"""

import numpy as np

from research.simulate.company import (
    ANNUAL,
    ASKED,
    BILLING_CONTACT,
    CLIMB,
    CLIMB_MONTHS,
    COMPLAINTS,
    DISCOUNTS,
    FAILS,
    FAILS_AGAIN,
    INTRODUCTORY,
    INTRODUCTORY_SHARE,
    LONGEST_INTERVAL,
    NEVER_RESOLVED,
    NEVER_RESOLVED_OTHER,
    NOISE,
    ORDERS,
    ORDERS_BY_LEVEL,
    OTHER_RETURN,
    PLAN_CHANGE,
    PLANS,
    POOR,
    POOR_CONTACT,
    POOR_RETURN,
    PRICE_RISE,
    PULL,
    QUIET_ORDERS,
    RECOVER,
    RECOVERED,
    SINK,
    SINK_STEP,
    WARM_UP,
)
from research.simulate.draws import (
    SECONDS,
    Clock,
    Columns,
    Draws,
    add_months,
    choose,
    count_by_month,
    look_up,
    scatter,
)

TOPICS = tuple(COMPLAINTS)


def simulate_lives(
    draws: Draws,
    people: Columns,
    customer: np.ndarray,
    start: np.ndarray,
    clock: Clock,
    price_rise: bool,
) -> Columns:
    """Return the paths and moments of one life for each customer, from the day ``start`` on.

    Parameters
    ----------
    customer : positions in ``people``
    start : day since 1970 of each life's first contract
    price_rise : whether list prices rise during the history

    Returns
    -------
    dict of arrays: the traits of the customers, then what ``draw_terms``, ``draw_engagement`` and
    the functions below them name; the moments of ``orders`` and ``contacts`` are dicts of their own
    """
    lives = {name: values[customer] for name, values in people.items()} | {
        "customer": customer,
        "start": start,
        "began": clock.month_of(start),
    }
    lives |= draw_terms(draws, len(customer)) | draw_engagement(draws, lives, clock)
    lives |= build_fees(draws, lives, clock, price_rise)
    lives["failed"] = draw_failures(draws, lives, clock)
    lives["orders"] = draw_orders(draws, lives, clock)
    lives["contacts"] = draw_contacts(draws, lives, clock)
    return lives


def draw_terms(draws: Draws, size: int) -> Columns:
    """Return first plan, annual term or not, discounts, and uses a month at engagement 0."""
    plan = choose(draws("plan"), PLANS, size)
    return {
        "first_plan": plan,
        "usual": look_up(PLANS, plan, 2),
        "annual": draws("term").random(size) < ANNUAL,
        "discount": np.array(list(DISCOUNTS))[choose(draws("discount"), DISCOUNTS, size)],
        "introductory": draws("introduction").random(size) < INTRODUCTORY_SHARE,
    }


def draw_engagement(draws: Draws, lives: Columns, clock: Clock) -> Columns:
    """Return the paths of engagement.

    Returns
    -------
    dict of arrays (months, lives): ``level`` (log uses), ``fall`` (below its own moving average, 0
    to 2), ``sinking`` and ``recovering``
    """
    home, size = lives["home"], len(lives["home"])
    regime, noise = draws("regime"), draws("engagement")
    drift, sinking, recovering = (
        np.zeros(size),
        (regime.random(size) < SINK / (SINK + RECOVER)) & ~lives["quiet"],
        np.zeros(size, dtype=bool),
    )
    trail, paths = home, []
    for month in range(-WARM_UP, len(clock.edges) - 1):
        age = month - lives["began"]
        started, chance = age >= 0, regime.random(size)
        sank, sinking = (
            sinking,
            np.where(sinking, chance > RECOVER, chance < SINK) & (age > 0) & ~lives["quiet"],
        )
        step = np.where(sinking, SINK_STEP, -PULL * drift) + noise.normal(0, NOISE, size)
        drift = np.where(started, drift + step, 0)
        recovering = ~sinking & (recovering | sank) & (drift < RECOVERED)
        level = home + drift - CLIMB * np.exp(-np.maximum(age, 0) / CLIMB_MONTHS)
        trail = np.where((age > 0) & (month > -WARM_UP), 0.75 * trail + 0.25 * level, level)
        paths.append((level, np.clip(trail - level, 0, 2), sinking & started, recovering & started))
    return {
        name: np.array(path[WARM_UP:])
        for name, path in zip(
            ("level", "fall", "sinking", "recovering"), zip(*paths, strict=True), strict=True
        )
    }


def build_fees(draws: Draws, lives: Columns, clock: Clock, price_rise: bool) -> Columns:
    """Return the paths of plans and fees.

    Returns
    -------
    dict of arrays (months, lives): ``plan`` (a position in ``PLANS``), ``fee`` (after any change in
    the month), ``increase`` (share) and ``renewal``
    """
    month = np.arange(len(clock.edges) - 1)[:, None]
    age = month - lives["began"]
    renewal = lives["annual"] & (age > 0) & (age % 12 == 0)
    change = renewal & (draws("plan change").random(renewal.shape) < PLAN_CHANGE)
    plan, plans = lives["first_plan"], []
    for changed, level in zip(change, lives["level"], strict=True):
        plan = np.where(
            changed, np.clip(plan + np.where(level > lives["home"], 1, -1), 0, len(PLANS) - 1), plan
        ).astype(np.int8)
        plans.append(plan)
    raised = (
        np.where(lives["annual"], month - age % 12, month) >= clock.rise
        if price_rise
        else np.zeros(age.shape, dtype=bool)
    )
    fee = price(np.array(plans), lives, age >= 12, raised)
    before = np.vstack([fee[:1], fee[:-1]])
    increase = np.where(
        (np.array(plans) == np.vstack([plans[:1], plans[:-1]])) & (age > 0),
        np.maximum(fee / before - 1, 0),
        0,
    )
    return {"plan": np.array(plans), "fee": fee, "increase": increase, "renewal": renewal}


def price(plan: np.ndarray, lives: Columns, settled: np.ndarray, raised: np.ndarray) -> np.ndarray:
    """Return the monthly fee: list price less the discounts, plus the rise.

    The introductory discount ends after twelve months, when a life is ``settled``.
    """
    introductory = np.where(lives["introductory"] & ~settled, 1 - INTRODUCTORY, 1.0)
    return np.round(
        look_up(PLANS, plan, 1)
        * (1 - lives["discount"])
        * introductory
        * np.where(raised, 1 + PRICE_RISE, 1.0),
        2,
    )


def draw_failures(draws: Draws, lives: Columns, clock: Clock) -> np.ndarray:
    """Return the path of failed payments, one a month from the first whole month on.

    After a failed payment the next is more likely to fail.
    """
    rate, draw = look_up(FAILS, lives["payment_method"]), draws("payments")
    failed, path = np.zeros(len(rate), dtype=bool), []
    for opens in clock.edges[:-1]:
        failed = (draw.random(len(rate)) < np.where(failed, FAILS_AGAIN, rate)) & (
            lives["start"] <= opens
        )
        path.append(failed)
    return np.array(path)


def order_rate(lives: Columns, level: np.ndarray) -> np.ndarray:
    """Return the orders expected in a month at an engagement."""
    return (
        ORDERS
        * lives["taste"]
        * np.exp(ORDERS_BY_LEVEL * level)
        * np.where(lives["quiet"], QUIET_ORDERS, 1.0)
    )


def draw_orders(draws: Draws, lives: Columns, clock: Clock) -> Columns:
    """Return purchases: moments, poor deliveries, returns and their moments (``back``)."""
    orders = scatter(
        draws, "orders", draws("orders").poisson(order_rate(lives, lives["level"])), lives, clock
    )
    size = len(orders["at"])
    poor = draws("delivery").random(size) < look_up(POOR, lives["region"])[orders["life"]]
    returned = draws("return").random(size) < np.where(poor, POOR_RETURN, OTHER_RETURN)
    back = orders["at"] + draws("return day").integers(2, 21, size) * SECONDS
    return orders | {"poor": poor, "returned": returned, "back": back}


def build_gap(draws: Draws, lives: Columns, clock: Clock) -> np.ndarray:
    """Return the path of how overdue the next purchase is when a month begins, 0 to 1."""
    interval = np.minimum(1 / order_rate(lives, lives["home"]), LONGEST_INTERVAL)
    since = np.minimum(draws("gap").exponential(interval), np.maximum(-lives["began"], 0))
    bought = count_by_month(lives["orders"], lives["level"].shape) > 0
    path = []
    for month, buys in enumerate(bought):
        path.append(1 - np.exp(-np.maximum(since / interval - 1, 0)))
        since = np.where(buys, 0.5, since + 1) * (lives["began"] <= month)
    return np.array(path)


def draw_contacts(draws: Draws, lives: Columns, clock: Clock) -> Columns:
    """Return service contacts: at a customer's own rate, after failed payments and deliveries."""
    shape = lives["level"].shape
    asked = scatter(
        draws, "contacts", draws("contacts").poisson(ASKED * lives["trouble"], shape), lives, clock
    )
    billing = scatter(
        draws,
        "billing",
        lives["failed"] & (draws("billing").random(shape) < BILLING_CONTACT),
        lives,
        clock,
    )
    delivery = draw_delivery_contacts(draws, lives, clock)
    topics = [
        draws("topic").integers(0, 3, len(asked["at"])),
        np.full(len(billing["at"]), 3),
        np.full(len(delivery["at"]), 4),
    ]
    contacts = {
        name: np.concatenate([asked[name], billing[name], delivery[name]]) for name in asked
    } | {"topic": np.concatenate(topics).astype(np.int8)}
    # month by month, so that what comes late leaves the draws of earlier rows alone
    order = np.lexsort((contacts["at"], contacts["month"]))
    contacts, size = {name: values[order] for name, values in contacts.items()}, len(order)
    complaint = (
        draws("complaint").random(size) < np.array(list(COMPLAINTS.values()))[contacts["topic"]]
    )
    never = draws("resolution").random(size) < np.where(
        complaint, NEVER_RESOLVED, NEVER_RESOLVED_OTHER
    )
    # seconds; the median is a little more than a day
    delay = draws("delay").lognormal(11.5, 1.1, size).astype(np.int64)
    return contacts | {"complaint": complaint, "never": never, "resolved": contacts["at"] + delay}


def draw_delivery_contacts(draws: Draws, lives: Columns, clock: Clock) -> Columns:
    """Return contacts one to ten days after a poor delivery."""
    orders, size = lives["orders"], len(lives["orders"]["at"])
    angry = orders["poor"] & (draws("delivery contact").random(size) < POOR_CONTACT)
    at = (orders["at"] + draws("delivery contact day").integers(1, 11, size) * SECONDS)[angry]
    month = np.searchsorted(clock.edges, at // SECONDS, side="right") - 1
    kept = month < len(clock.edges) - 1
    return {"life": orders["life"][angry][kept], "month": month[kept], "at": at[kept]}


def anniversary(lives: Columns, month: np.ndarray) -> np.ndarray:
    """Return the day of ``month`` on which each life's year is full."""
    return add_months(lives["start"], month - lives["began"])

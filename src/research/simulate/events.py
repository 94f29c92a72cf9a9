"""The contract tables of one life: terms and events, cut at its end, as arrays by column.

Every table has ``life`` (its index) and the column that dates a row, in seconds since 1970. Text is
a position in a list of names; -1 is empty.
"""

import numpy as np

from research.simulate.company import (
    CHANNELS,
    KINDS,
    NO_SCORE,
    PRODUCTS,
    QUANTITIES,
    REFERRALS,
    REFERRALS_BY_LOYALTY,
    SCORE_MAX,
    USES,
    WRITES,
)
from research.simulate.draws import (
    NEVER,
    SECONDS,
    Clock,
    Columns,
    Draws,
    add_months,
    choose,
    look_up,
    scatter,
)
from research.simulate.hazard import END_REASONS
from research.simulate.lives import price
from research.simulate.phrases import draw_text

ROW_REASONS = (*END_REASONS, "renewed", "price changed", "plan changed")
RENEWED, PRICE_CHANGED, PLAN_CHANGED = range(len(END_REASONS), len(ROW_REASONS))


def list_contracts(own: Columns, clock: Clock, price_rise: bool) -> Columns:
    """Return the table contracts: one row per term, the next on the day on which the last one
    closes; only the last one can be a real end.
    """
    rows = _list_terms(own, clock, price_rise)
    order = np.lexsort((rows["at"], rows["life"]))
    life, at = rows["life"][order], rows["at"][order]
    plan, opened_by = _plan_at(own, life, at, clock), rows["reason"][order]
    last = np.append(life[1:] != life[:-1], True)[: len(life)]
    opened_by = np.where(
        (opened_by == RENEWED) & (plan != np.append(plan[:1], plan[:-1])[: len(plan)]),
        PLAN_CHANGED,
        opened_by,
    )
    following, why = np.append(at[1:], 0)[: len(at)], np.append(opened_by[1:], 0)[: len(at)]
    left = own["left"][life]
    settled = at >= add_months(own["start"], 12)[life]
    traits = {name: own[name][life] for name in ("introductory", "discount")}
    raised = at >= clock.edges[clock.rise] if price_rise else np.zeros(len(at), dtype=bool)
    return {
        "life": life,
        "at": at * SECONDS,
        "ended_at": np.where(last, own["end"][life], following) * SECONDS,
        "plan": plan,
        "monthly_fee": price(plan, traits, settled, raised),
        "term_months": np.where(own["annual"][life], 12, 1),
        "end_reason": np.where(last, np.where(left, own["reason"][life], -1), why).astype(np.int8),
        "voluntary": np.where(last & left, own["voluntary"][life], -1).astype(np.int8),
    }


def _list_terms(own: Columns, clock: Clock, price_rise: bool) -> Columns:
    """Return the days on which terms open, and why: the start, every full year of an annual
    contract, every change of a monthly one's price.
    """
    years = np.where(own["annual"], np.maximum(clock.months - own["began"], 0) // 12, 0)
    life, year = (
        np.repeat(np.arange(len(years)), years),
        np.arange(years.sum()) - np.repeat(np.cumsum(years) - years, years) + 1,
    )
    every = np.arange(len(years))
    monthly, settled = every[~own["annual"]], every[~own["annual"] & own["introductory"]]
    risen = monthly[own["start"][monthly] < clock.edges[clock.rise]] if price_rise else monthly[:0]
    parts = (
        (every, own["start"], -1),
        (life, add_months(own["start"][life], 12 * year), RENEWED),
        (settled, add_months(own["start"][settled], 12), PRICE_CHANGED),
        (risen, np.full(len(risen), clock.edges[clock.rise]), PRICE_CHANGED),
    )
    rows = {
        "life": np.concatenate([part[0] for part in parts]),
        "at": np.concatenate([part[1] for part in parts]),
    }
    rows["reason"] = np.concatenate([np.full(len(part[0]), part[2]) for part in parts])
    inside = rows["at"] < np.minimum(own["end"], clock.end)[rows["life"]]
    return {name: values[inside] for name, values in rows.items()}


def _plan_at(own: Columns, life: np.ndarray, day: np.ndarray, clock: Clock) -> np.ndarray:
    month = clock.month_of(day)
    return np.where(month < 0, own["first_plan"][life], own["plan"][np.maximum(month, 0), life])


def cut_end(events: Columns, own: Columns, clock: Clock) -> Columns:
    """Return the events before the end of their life and of the history."""
    inside = events["at"] < np.minimum(own["end"], clock.end)[events["life"]] * SECONDS
    return {name: values[inside] for name, values in events.items()}


def _scatter_alive(
    draws: Draws, part: str, counts: np.ndarray, own: Columns, clock: Clock
) -> Columns:
    """Return moments of counts within the history, for months in which the life runs."""
    opens, closes = clock.edges[: clock.months, None], clock.edges[1 : clock.months + 1, None]
    alive = (closes > own["start"]) & (opens < own["end"])
    return cut_end(scatter(draws, part, counts * alive, own, clock), own, clock)


def list_usage(draws: Draws, own: Columns, clock: Clock) -> Columns:
    """Return the table usage: moments, kinds and minutes."""
    level = own["level"][: clock.months]
    uses = _scatter_alive(
        draws,
        "usage",
        draws("usage").poisson(own["usual"] * np.exp(level) * ~own["quiet"]),
        own,
        clock,
    )
    size, mood = len(uses["at"]), level[uses["month"], uses["life"]]
    minutes = np.exp(2.5 + 0.2 * mood + 0.6 * draws("minutes").standard_normal(size))
    return uses | {"kind": choose(draws("use"), USES, size), "amount": np.round(minutes, 1)}


def list_orders(draws: Draws, own: Columns, clock: Clock) -> Columns:
    """Return the table orders: add-ons, and return lines while the contract runs."""
    bought = own["orders"]
    size = len(bought["at"])
    product, quantity = (
        choose(draws("product"), PRODUCTS, size),
        np.array(list(QUANTITIES))[choose(draws("quantity"), QUANTITIES, size)],
    )
    lines = {
        "life": bought["life"],
        "at": bought["at"],
        "amount": look_up(PRODUCTS, product, 1) * quantity,
        "product": product,
    }
    lines |= {"quantity": quantity, "returned": np.zeros(size, dtype=bool)}
    sent = bought["returned"]
    back = {name: values[sent] for name, values in lines.items()}
    back |= {
        "at": bought["back"][sent],
        "amount": -back["amount"],
        "quantity": -back["quantity"],
        "returned": np.ones(sent.sum(), dtype=bool),
    }
    return cut_end({name: np.concatenate([lines[name], back[name]]) for name in lines}, own, clock)


def list_contacts(draws: Draws, own: Columns, clock: Clock) -> Columns:
    """Return the table contacts; what was still open when the customer left or the data end has no
    date of resolution.
    """
    made = {
        name: own["contacts"][name]
        for name in ("life", "at", "topic", "complaint", "never", "resolved")
    }
    made = cut_end(
        made | {"channel": choose(draws("channel"), CHANNELS, len(made["at"]))}, own, clock
    )
    over = np.minimum(own["end"], clock.end)[made["life"]] * SECONDS
    never, resolved = made.pop("never"), made.pop("resolved")
    return made | {"resolved_at": np.where(never | (resolved >= over), NEVER * SECONDS, resolved)}


def list_feedback(draws: Draws, own: Columns, drivers: Columns, clock: Clock) -> Columns:
    """Return the table feedback: scores that follow the mood, and texts in a tone that mostly fits;
    three customers in ten never answer.
    """
    shape = (clock.months, len(own["start"]))
    given = _scatter_alive(
        draws, "feedback", draws("feedback").random(shape) < own["answers"], own, clock
    )
    size, kind = len(given["at"]), choose(draws("kind"), KINDS, len(given["at"]))
    mood = build_mood(own, drivers)[given["month"], given["life"]] + draws("score").normal(
        0, 0.8, size
    )
    tone = (mood + draws("tone").normal(0, 0.5, size) > np.array([[-0.6], [0.3]])).sum(axis=0)
    written, language, second = (
        draws("writes").random(size) < look_up(WRITES, kind),
        own["language"][given["life"]],
        own["second"][given["life"]],
    )
    pieces = {
        name: np.where(written, codes, -1)
        for name, codes in draw_text(draws, tone, language, second).items()
    }
    unscored = (draws("no score").random(size) < NO_SCORE) & written
    answer = {
        "kind": kind,
        "score": np.where(unscored, np.nan, build_score(kind, mood)),
        "score_max": look_up(SCORE_MAX, kind).astype(float),
    }
    return (
        {"life": given["life"], "at": given["at"]}
        | answer
        | {"tone": tone, "language": language, "second_language": second}
        | pieces
    )


def build_mood(own: Columns, drivers: Columns) -> np.ndarray:
    """Return the path of how content a customer is; 0 is content enough."""
    trouble = 0.9 * drivers["grievance"] + 0.9 * drivers["delivery"] + 0.5 * drivers["dear"]
    return 0.45 * own["level"] + 0.35 * own["loyalty"] - trouble


def build_score(kind: np.ndarray, mood: np.ndarray) -> np.ndarray:
    """Return whole scores: 0 to 10 for nps, 1 to 5 for the others."""
    nps = look_up(SCORE_MAX, kind) == 10
    return np.where(
        nps, np.clip(np.rint(7.4 + 2.4 * mood), 0, 10) + 0.0, np.clip(np.rint(3.8 + mood), 1, 5)
    )


def list_referrals(draws: Draws, own: Columns, clock: Clock) -> Columns:
    """Return the table referrals: loyal customers bring others."""
    rate = REFERRALS * np.exp(REFERRALS_BY_LOYALTY * own["loyalty"])
    counts = draws("referrals").poisson(np.broadcast_to(rate, (clock.months, len(rate))))
    return {
        name: values
        for name, values in _scatter_alive(draws, "referrals", counts, own, clock).items()
        if name != "month"
    }

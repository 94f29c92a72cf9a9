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


def list_contracts(lives: Columns, clock: Clock, price_rise: bool) -> Columns:
    """Return the table contracts: one row per term.

    The next term opens on the day on which the last one closes; only the last can end in churn.
    """
    rows = _list_terms(lives, clock, price_rise)
    order = np.lexsort((rows["at"], rows["life"]))
    life, at = rows["life"][order], rows["at"][order]
    plan, opened_by = _plan_at(lives, life, at, clock), rows["reason"][order]
    last = np.append(life[1:] != life[:-1], True)[: len(life)]
    opened_by = np.where(
        (opened_by == RENEWED) & (plan != np.append(plan[:1], plan[:-1])[: len(plan)]),
        PLAN_CHANGED,
        opened_by,
    )
    following, why = np.append(at[1:], 0)[: len(at)], np.append(opened_by[1:], 0)[: len(at)]
    left = lives["left"][life]
    settled = at >= add_months(lives["start"], 12)[life]
    traits = {name: lives[name][life] for name in ("introductory", "discount")}
    raised = at >= clock.edges[clock.rise] if price_rise else np.zeros(len(at), dtype=bool)
    return {
        "life": life,
        "at": at * SECONDS,
        "ended_at": np.where(last, lives["end"][life], following) * SECONDS,
        "plan": plan,
        "monthly_fee": price(plan, traits, settled, raised),
        "term_months": np.where(lives["annual"][life], 12, 1),
        "end_reason": np.where(last, np.where(left, lives["reason"][life], -1), why).astype(
            np.int8
        ),
        "voluntary": np.where(last & left, lives["voluntary"][life], -1).astype(np.int8),
    }


def _list_terms(lives: Columns, clock: Clock, price_rise: bool) -> Columns:
    """Return the days on which terms open, and why.

    The start, every full year of an annual contract, every change of a monthly one's price.
    """
    years = np.where(lives["annual"], np.maximum(clock.months - lives["began"], 0) // 12, 0)
    life, year = (
        np.repeat(np.arange(len(years)), years),
        np.arange(years.sum()) - np.repeat(np.cumsum(years) - years, years) + 1,
    )
    every = np.arange(len(years))
    monthly, settled = every[~lives["annual"]], every[~lives["annual"] & lives["introductory"]]
    risen = (
        monthly[lives["start"][monthly] < clock.edges[clock.rise]] if price_rise else monthly[:0]
    )
    parts = (
        (every, lives["start"], -1),
        (life, add_months(lives["start"][life], 12 * year), RENEWED),
        (settled, add_months(lives["start"][settled], 12), PRICE_CHANGED),
        (risen, np.full(len(risen), clock.edges[clock.rise]), PRICE_CHANGED),
    )
    rows = {
        "life": np.concatenate([part[0] for part in parts]),
        "at": np.concatenate([part[1] for part in parts]),
    }
    rows["reason"] = np.concatenate([np.full(len(part[0]), part[2]) for part in parts])
    inside = rows["at"] < np.minimum(lives["end"], clock.end)[rows["life"]]
    return {name: values[inside] for name, values in rows.items()}


def _plan_at(lives: Columns, life: np.ndarray, day: np.ndarray, clock: Clock) -> np.ndarray:
    month = clock.month_of(day)
    return np.where(month < 0, lives["first_plan"][life], lives["plan"][np.maximum(month, 0), life])


def cut_end(events: Columns, lives: Columns, clock: Clock) -> Columns:
    """Return the events before the end of their life and of the history."""
    inside = events["at"] < np.minimum(lives["end"], clock.end)[events["life"]] * SECONDS
    return {name: values[inside] for name, values in events.items()}


def _scatter_alive(
    draws: Draws, part: str, counts: np.ndarray, lives: Columns, clock: Clock
) -> Columns:
    """Return moments of counts within the history, for months in which the life runs."""
    opens, closes = clock.edges[: clock.months, None], clock.edges[1 : clock.months + 1, None]
    alive = (closes > lives["start"]) & (opens < lives["end"])
    return cut_end(scatter(draws, part, counts * alive, lives, clock), lives, clock)


def list_usage(draws: Draws, lives: Columns, clock: Clock) -> Columns:
    """Return the table usage: moments, kinds and minutes."""
    level = lives["level"][: clock.months]
    uses = _scatter_alive(
        draws,
        "usage",
        draws("usage").poisson(lives["usual"] * np.exp(level) * ~lives["quiet"]),
        lives,
        clock,
    )
    size, engagement = len(uses["at"]), level[uses["month"], uses["life"]]
    minutes = np.exp(2.5 + 0.2 * engagement + 0.6 * draws("minutes").standard_normal(size))
    return uses | {"kind": choose(draws("use"), USES, size), "amount": np.round(minutes, 1)}


def list_orders(draws: Draws, lives: Columns, clock: Clock) -> Columns:
    """Return the table orders: add-ons, and return lines while the contract runs."""
    bought = lives["orders"]
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
    return cut_end(
        {name: np.concatenate([lines[name], back[name]]) for name in lines}, lives, clock
    )


def list_contacts(draws: Draws, lives: Columns, clock: Clock) -> Columns:
    """Return the table contacts.

    What was still open when the customer left or the data end has no date of resolution.
    """
    contacts = {
        name: lives["contacts"][name]
        for name in ("life", "at", "topic", "complaint", "never", "resolved")
    }
    contacts = cut_end(
        contacts | {"channel": choose(draws("channel"), CHANNELS, len(contacts["at"]))},
        lives,
        clock,
    )
    over = np.minimum(lives["end"], clock.end)[contacts["life"]] * SECONDS
    never, resolved = contacts.pop("never"), contacts.pop("resolved")
    return contacts | {
        "resolved_at": np.where(never | (resolved >= over), NEVER * SECONDS, resolved)
    }


def list_feedback(draws: Draws, lives: Columns, drivers: Columns, clock: Clock) -> Columns:
    """Return the table feedback: scores that follow satisfaction, and texts that mostly do.

    Three customers in ten never answer.
    """
    shape = (clock.months, len(lives["start"]))
    answers = _scatter_alive(
        draws, "feedback", draws("feedback").random(shape) < lives["answers"], lives, clock
    )
    size, kind = len(answers["at"]), choose(draws("kind"), KINDS, len(answers["at"]))
    satisfaction = build_satisfaction(lives, drivers)[answers["month"], answers["life"]] + draws(
        "score"
    ).normal(0, 0.8, size)
    tone = (satisfaction + draws("tone").normal(0, 0.5, size) > np.array([[-0.6], [0.3]])).sum(
        axis=0
    )
    written, language, second = (
        draws("writes").random(size) < look_up(WRITES, kind),
        lives["language"][answers["life"]],
        lives["second"][answers["life"]],
    )
    pieces = {
        name: np.where(written, codes, -1)
        for name, codes in draw_text(draws, tone, language, second).items()
    }
    unscored = (draws("no score").random(size) < NO_SCORE) & written
    scores = {
        "kind": kind,
        "score": np.where(unscored, np.nan, build_score(kind, satisfaction)),
        "score_max": look_up(SCORE_MAX, kind).astype(float),
    }
    return (
        {"life": answers["life"], "at": answers["at"]}
        | scores
        | {"tone": tone, "language": language, "second_language": second}
        | pieces
    )


def build_satisfaction(lives: Columns, drivers: Columns) -> np.ndarray:
    """Return the path of a customer's satisfaction; 0 is satisfied enough."""
    trouble = 0.9 * drivers["grievance"] + 0.9 * drivers["delivery"] + 0.5 * drivers["dear"]
    return 0.45 * lives["level"] + 0.35 * lives["loyalty"] - trouble


def build_score(kind: np.ndarray, satisfaction: np.ndarray) -> np.ndarray:
    """Return whole scores: 0 to 10 for nps, 1 to 5 for the others."""
    nps = look_up(SCORE_MAX, kind) == 10
    return np.where(
        nps,
        np.clip(np.rint(7.4 + 2.4 * satisfaction), 0, 10) + 0.0,
        np.clip(np.rint(3.8 + satisfaction), 1, 5),
    )


def list_referrals(draws: Draws, lives: Columns, clock: Clock) -> Columns:
    """Return the table referrals: loyal customers bring others."""
    rate = REFERRALS * np.exp(REFERRALS_BY_LOYALTY * lives["loyalty"])
    counts = draws("referrals").poisson(np.broadcast_to(rate, (clock.months, len(rate))))
    return {
        name: values
        for name, values in _scatter_alive(draws, "referrals", counts, lives, clock).items()
        if name != "month"
    }

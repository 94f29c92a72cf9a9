"""A generated subscription company: monthly, in discrete time, with every cause of churn written down.

Customers join, use the service, buy, complain, answer and leave. A month's hazard depends only on what lies before that month and on
latent engagement; the tables show traces of both, never the outcome. The one exception is a planted trap: see ``retention_offer_code``
in ``data/demo/README.md``.

References
----------
Ascarza, E. and Hardie, B. G. S. (2013). A joint model of usage and churn in contractual settings. Marketing Science 32(4), 570-590.
    doi:10.1287/mksc.2013.0786. Usage and renewal reflect one latent variable that evolves over time.
Fader, P. S. and Hardie, B. G. S. (2007). How to project customer retention. Journal of Interactive Marketing 21(1), 76-90.
    doi:10.1002/dir.20074. Cohorts retain better with age because the customers in them differ.
Braun, M. and Schweidel, D. A. (2011). Modeling customer lifetimes with multiple causes of churn. Marketing Science 30(5), 881-902.
    doi:10.1287/mksc.1110.0665. Causes compete, and the company can influence only some of them.
The papers give the form. Every number below is chosen: 2.5 to 4 % of the customers leave in a month, and a good model with a horizon of
90 days reaches an AUC between 0.75 and 0.82.
"""

import numpy as np
import pandas as pd

Columns = dict[str, np.ndarray]  # arrays by name, of one entry per customer, contract or event; a path has one row per month before that

LAST_DAY = "2025-12-31"
SECONDS = 86_400
NEVER = np.iinfo(np.int64).max // SECONDS  # the day on which a running contract ends
PARTS = ("people", "first", "pause", "second", "offers")  # one stream of draws each; a new part goes last, so that the others keep theirs

HAZARD = {  # driver: (voluntary, involuntary) on the logit scale; all sizes chosen
    "base": (-5.5, -6.6),  # a new, attentive customer without trouble
    "fall": (1.8, 0.0),  # engagement below its own moving average, 0 to 2
    "grievance": (2.2, 0.0),  # complaints never resolved, fading with GRIEVANCE_KEPT a month, 0 to 2
    "fall_grievance": (0.8, 0.0),  # the interaction: trouble weighs more on those who already turn away
    "dear": (4.0, 1.0),  # fee per use on an S curve, harmless when low, saturated when high, 0 to 1; dear cards are not renewed either
    "failed": (0.0, 5.0),  # last month's payment failed, 0 or 1
    "tenure": (-1.1, -0.5),  # log(1 + years under contract)
    "anniversary": (1.5, 0.0),  # the months around the first one, when a yearly statement arrives, 0 or 1
}
DEAR_FEE, DEAR_STEEPNESS = 17.0, 5.0  # fee per use at which "dear" is one half, and how sharp the curve is
GRIEVANCE_KEPT = 0.85
SINK, RECOVER, SINK_STEP, PULL, NOISE = 0.025, 0.08, -0.35, 0.15, 0.2  # engagement: chances in a month, then steps in log uses
WARM_UP = 3  # months before the history in which engagement already drifts
QUIET = 0.09  # share of customers who pay and never use the service; nothing is dear to them and nothing falls
RETURN = 0.17  # share of leavers who would come back if the data ran long enough
OFFERED = 0.8  # share of voluntary leavers with a retention_offer_code: the planted trap

PLANS = {"basic": (0.50, 9.0, 2.0), "plus": (0.35, 19.0, 3.5), "pro": (0.15, 39.0, 6.0)}  # share, monthly fee, uses in a month
PRODUCTS = {"storage": (0.3, 4.0), "template pack": (0.25, 9.0), "training": (0.1, 29.0), "priority support": (0.15, 15.0), "gift card": (0.2, 25.0)}
TRAITS = {  # value: (share, shift of the engagement at which a customer is at home)
    "gender": {"female": (0.48, 0.0), "male": (0.47, 0.0), "other": (0.05, 0.0)},
    "age_band": {"18-29": (0.24, 0.15), "30-44": (0.33, 0.1), "45-59": (0.25, -0.1), "60+": (0.18, -0.2)},
    "region": {"north": (0.3, 0.0), "south": (0.25, 0.0), "east": (0.2, -0.1), "west": (0.25, 0.0)},
    "acquisition_channel": {"web": (0.45, 0.05), "partner": (0.2, -0.45), "shop": (0.2, 0.0), "referral": (0.15, 0.3)},
    "payment_method": {"card": (0.5, 0.0), "direct debit": (0.35, 0.0), "invoice": (0.15, 0.0)},
}
FAILS = {"card": (0.025,), "direct debit": (0.005,), "invoice": (0.05,)}  # chance that a month's payment fails
FAILS_AGAIN = 0.45  # the same after a failed one
REASONS = ("price", "no longer needed", "service", "other")
TEXTS = (  # by score
    ("Nobody answers.", "It still does not work.", "I expected much more."),
    ("Too slow.", "Too expensive for what I use.", "Support took days."),
    ("It is fine.", "Does what it should.", "Some things could be easier."),
    ("Good service.", "Easy to use.", "Works well for me."),
    ("Great, thank you!", "I use it every day.", "Would recommend it."),
)


def simulate(customers: int, months: int, seed: int) -> dict[str, pd.DataFrame]:
    """Generate the tables of one subscription company whose history ends on ``LAST_DAY``.

    Parameters
    ----------
    customers : int
        Everyone who ever joins, at least 100; nearly half of them joined before the first month.
    months : int
        Calendar months of history, at least 12.
    seed : int
        Same seed, same tables, to the bit.

    Returns
    -------
    dict of DataFrames by contract table: customers, contracts, orders, usage, contacts, feedback
        Sorted by customer and time. Contracts reach back before the history; all other events lie inside it.
    """
    draw = dict(zip(PARTS, np.random.default_rng(seed).spawn(len(PARTS)), strict=True))
    edges = month_edges(months)
    people = draw_people(draw["people"], customers, edges)
    first = live(draw["first"], people, np.arange(customers), people["joined"], edges)
    second = live(draw["second"], people, *choose_returners(draw["pause"], first, edges), edges)
    tables = {name: pd.concat([first[name], second[name]], ignore_index=True) for name in first}
    tables = {name: table.sort_values(list(table.columns[:2]), kind="stable", ignore_index=True) for name, table in tables.items()}
    return {"customers": list_customers(draw["offers"], people, tables["contracts"])} | tables


def month_edges(months: int) -> np.ndarray:
    """Return the first days of all months and of the month after, as days since 1970."""
    after = np.datetime64(LAST_DAY[:7], "M") + 1
    return (after + np.arange(-months, 1)).astype("datetime64[D]").astype(np.int64)


def draw_people(draw: np.random.Generator, customers: int, edges: np.ndarray) -> Columns:
    """Return one entry per customer: traits, day of joining, and the latent habits that no table shows."""
    traits = {name: _choose(draw, table, customers) for name, table in TRAITS.items()}
    shift = sum(_look_up(TRAITS[name], values, 1) for name, values in traits.items())
    before = edges[0] - 1 - np.minimum(draw.exponential(600, customers).astype(np.int64), 1800)
    joined = np.where(draw.random(customers) < 0.45, before, draw.integers(edges[0], edges[-1], customers))
    return traits | {
        "id": np.char.add("C", np.char.zfill(np.arange(1, customers + 1).astype(str), 6)),
        "joined": joined,
        "home": shift + draw.normal(0.1, 0.8, customers),
        "age_unknown": draw.random(customers) < 0.04,
        "quiet": draw.random(customers) < QUIET,
        "hour": np.where(draw.random(customers) < 0.4, 11.0, 19.5),
        "trouble": draw.gamma(0.8, 1.25, customers),
        "answers": draw.choice([0.0, 0.08, 0.2], customers, p=[0.3, 0.5, 0.2]),
    }


def live(draw: np.random.Generator, people: Columns, who: np.ndarray, start: np.ndarray, edges: np.ndarray) -> dict[str, pd.DataFrame]:
    """Run one contract for each customer in ``who`` from the day ``start`` on, and return all tables but customers.

    Paths have the shape (months, contracts). Moments are drawn for whole months; those outside the contract fall away.
    """
    own = {name: values[who] for name, values in people.items()} | {"start": start, "end": np.full(len(who), NEVER)}
    own |= draw_plan(draw, len(who)) | draw_engagement(draw, own["home"], start, edges)
    own["failed"] = draw_failures(draw, own, edges)
    contacts = draw_contacts(draw, own, edges)
    drivers = build_drivers(own, contacts, edges)
    own |= {"grievance": drivers["grievance"]} | draw_end(draw, drivers, start, edges)
    return {
        "contracts": list_contracts(own),
        "orders": list_orders(draw, own, edges),
        "usage": list_usage(draw, own, edges),
        "contacts": list_contacts(draw, own, contacts, edges),
        "feedback": list_feedback(draw, own, edges),
    }


def draw_plan(draw: np.random.Generator, contracts: int) -> Columns:
    """Return plan, monthly fee after a lasting discount, and the uses in a month at engagement 0."""
    plan, discount = _choose(draw, PLANS, contracts), draw.choice([0.0, 0.1, 0.25], contracts, p=[0.7, 0.2, 0.1])
    return {"plan": plan, "fee": np.round(_look_up(PLANS, plan, 1) * (1 - discount), 2), "usual": _look_up(PLANS, plan, 2)}


def draw_engagement(draw: np.random.Generator, home: np.ndarray, start: np.ndarray, edges: np.ndarray) -> Columns:
    """Return the paths ``level`` (log uses) and ``fall`` (below its own moving average, 0 to 2): at home until the start, then adrift."""
    level, trail, sinking = home, home, draw.random(len(home)) < SINK / (SINK + RECOVER)
    levels, falls = [], []
    for month_end in np.concatenate([edges[0] - np.arange(WARM_UP, 0, -1) * 30, edges])[1:]:
        started, chance = start < month_end, draw.random(len(home))
        sinking = np.where(sinking, chance > RECOVER, chance < SINK)
        step = np.where(sinking, SINK_STEP, PULL * (home - level)) + draw.normal(0, NOISE, len(home))
        level = np.where(started, level + step, home)
        trail = 0.75 * trail + 0.25 * level
        levels.append(level)
        falls.append(np.clip(trail - level, 0, 2))
    return {"level": np.array(levels[WARM_UP:]), "fall": np.array(falls[WARM_UP:])}


def draw_failures(draw: np.random.Generator, own: Columns, edges: np.ndarray) -> np.ndarray:
    """Return the path of failed payments, one a month from the first whole month on; a failed one tends to fail again."""
    rate = _look_up(FAILS, own["payment_method"], 0)
    failed, path = np.zeros(len(rate), dtype=bool), []
    for month_start in edges[:-1]:
        failed = (draw.random(len(rate)) < np.where(failed, FAILS_AGAIN, rate)) & (own["start"] <= month_start)
        path.append(failed)
    return np.array(path)


def scatter(draw: np.random.Generator, counts: np.ndarray, own: Columns, edges: np.ndarray) -> Columns:
    """Turn counts per month and contract into moments within the contract: ``life`` (its index), ``month``, ``at`` (seconds since 1970)."""
    alive = (edges[1:, None] > own["start"]) & (edges[:-1, None] < own["end"])
    month, life = np.divmod(np.repeat(np.arange(counts.size), (counts * alive).ravel()), counts.shape[1])
    day = draw.integers(edges[month], edges[month + 1])
    second = (draw.normal(own["hour"][life], 3.0) * 3600).astype(np.int64) % SECONDS
    kept = (day >= own["start"][life]) & (day < own["end"][life])
    return {"life": life[kept], "month": month[kept], "at": (day * SECONDS + second)[kept]}


def draw_contacts(draw: np.random.Generator, own: Columns, edges: np.ndarray) -> Columns:
    """Return service contacts; half of the failed payments lead to one, and a third of the complaints are never resolved."""
    shape = own["level"].shape
    asked = scatter(draw, draw.poisson(0.2 * own["trouble"], shape), own, edges)
    billing = scatter(draw, own["failed"] & (draw.random(shape) < 0.5), own, edges)
    both = {name: np.concatenate([asked[name], billing[name]]) for name in asked}
    size = len(both["at"])
    topic = np.where(np.arange(size) < len(asked["at"]), draw.choice(["technical", "how to", "account"], size), "billing")
    complaint = draw.random(size) < np.where(topic == "billing", 0.1, 0.4)
    never = draw.random(size) < np.where(complaint, 0.35, 0.03)
    delay = draw.lognormal(11.5, 1.1, size).astype(np.int64)  # seconds; the median is a little more than a day
    return both | {"topic": topic, "complaint": complaint, "never": never, "resolved": both["at"] + delay}


def build_grievance(contacts: Columns, shape: tuple[int, int]) -> np.ndarray:
    """Return the path of complaints never resolved before the month, fading, 2 at most."""
    unresolved = contacts["complaint"] & contacts["never"]
    complaints, path = np.zeros(shape), np.zeros(shape)
    np.add.at(complaints, (contacts["month"][unresolved], contacts["life"][unresolved]), 1)
    for month in range(1, shape[0]):
        path[month] = np.minimum(GRIEVANCE_KEPT * path[month - 1] + complaints[month - 1], 2)
    return path


def build_drivers(own: Columns, contacts: Columns, edges: np.ndarray) -> Columns:
    """Return the path of every driver in ``HAZARD``, as known when the month begins (engagement: as it is in the month)."""
    shape = own["level"].shape
    grievance, fall = build_grievance(contacts, shape), own["fall"] * ~own["quiet"]
    years = np.maximum(edges[:-1, None] - own["start"], 0) / 365.25
    per_use = own["fee"] / (own["usual"] * np.exp(own["level"]))
    return {
        "base": np.ones(shape),
        "fall": fall,
        "grievance": grievance,
        "fall_grievance": fall * grievance,
        "dear": ~own["quiet"] / (1 + (DEAR_FEE / per_use) ** DEAR_STEEPNESS),
        "failed": np.vstack([np.zeros(shape[1]), own["failed"][:-1]]),
        "tenure": np.log1p(years),
        "anniversary": (years > 0.9) & (years <= 1.1),
    }


def monthly_hazard(drivers: Columns) -> np.ndarray:
    """Return the chance to leave within a whole month, in the shape (cause, *driver): voluntary first, then involuntary.

    For each cause the logit is the sum of ``HAZARD`` coefficient times driver; the causes compete, independent given the drivers.
    """
    logit = sum(np.multiply.outer(np.array(HAZARD[name]), path) for name, path in drivers.items())
    return 1 / (1 + np.exp(-logit))


def draw_end(draw: np.random.Generator, drivers: Columns, start: np.ndarray, edges: np.ndarray) -> Columns:
    """Draw each contract's end, the first day that it no longer covers: after its start, within the history, by the earlier cause."""
    earliest = np.maximum(start + 1, edges[:-1, None])
    exposed = np.maximum(edges[1:, None] - earliest, 0) / np.diff(edges)[:, None]
    leaves = draw.random((2, *exposed.shape)) < 1 - (1 - monthly_hazard(drivers)) ** exposed
    left, month, life = leaves.any(axis=(0, 1)), leaves.any(axis=0).argmax(axis=0), np.arange(len(start))
    day = draw.integers(np.minimum(earliest[month, life], edges[month + 1] - 1), edges[month + 1])
    voluntary = leaves[0, month, life]
    reason = choose_reason(draw, {name: path[month, life] for name, path in drivers.items()})
    return {"end": np.where(left, day, NEVER), "left": left, "voluntary": voluntary, "reason": np.where(voluntary, reason, "payment failed")}


def choose_reason(draw: np.random.Generator, drivers: Columns) -> np.ndarray:
    """Draw the reason that a leaver gives: each as likely as its drivers weigh in the voluntary logit, "other" by a constant."""
    weight = {name: HAZARD[name][0] * values for name, values in drivers.items()}
    service, other = weight["grievance"] + weight["fall_grievance"], np.full(len(weight["fall"]), 0.6)
    bounds = np.cumsum([weight["dear"], weight["fall"], service, other], axis=0)
    return np.array(REASONS)[(draw.random(len(other)) * bounds[-1] > bounds).sum(axis=0)]


def choose_returners(draw: np.random.Generator, first: dict[str, pd.DataFrame], edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return who comes back after an end, and on which day: a month's pause at least, four on average, within the history."""
    ended = first["contracts"].ended_at.to_numpy().astype("datetime64[D]").astype(np.int64)
    gone = first["contracts"].ended_at.notna().to_numpy()
    back = np.where(gone, ended, NEVER) + 30 + draw.exponential(90, len(gone)).astype(np.int64)
    who = np.flatnonzero((draw.random(len(gone)) < RETURN) & (back < edges[-1]))
    return who, back[who]


def list_customers(draw: np.random.Generator, people: Columns, contracts: pd.DataFrame) -> pd.DataFrame:
    """Return the table customers, with the planted trap: an offer code that only those have who cancel, now or later."""
    cancels = np.isin(people["id"], contracts.customer_id[contracts.voluntary.fillna(False).astype(bool)].to_numpy(dtype=str))
    code = np.where(cancels & (draw.random(len(cancels)) < OFFERED), draw.choice(["KEEP10", "KEEP20", "PAUSE3"], len(cancels)), None)
    traits = {name: people[name] for name in TRAITS} | {"age_band": np.where(people["age_unknown"], None, people["age_band"])}
    return _frame(customer_id=people["id"], joined_at=_time(people["joined"] * SECONDS), **traits, retention_offer_code=code)


def list_contracts(own: Columns) -> pd.DataFrame:
    """Return the table contracts; nothing about an end is filled before it happens."""
    voluntary = pd.arrays.BooleanArray(own["voluntary"], ~own["left"])
    spell = {"started_at": _time(own["start"] * SECONDS), "ended_at": _time(own["end"] * SECONDS), "plan": own["plan"], "monthly_fee": own["fee"]}
    return _frame(customer_id=own["id"], **spell, end_reason=np.where(own["left"], own["reason"], None), voluntary=voluntary)


def list_usage(draw: np.random.Generator, own: Columns, edges: np.ndarray) -> pd.DataFrame:
    """Return the table usage: moments, kinds and minutes."""
    uses = scatter(draw, draw.poisson(own["usual"] * np.exp(own["level"]) * ~own["quiet"]), own, edges)
    minutes = draw.lognormal(2.5 + 0.2 * own["level"][uses["month"], uses["life"]], 0.6)
    kind = draw.choice(["read", "create", "share"], len(minutes), p=[0.6, 0.3, 0.1])
    return _frame(customer_id=own["id"][uses["life"]], used_at=_time(uses["at"]), kind=kind, amount=np.round(minutes, 1))


def list_orders(draw: np.random.Generator, own: Columns, edges: np.ndarray) -> pd.DataFrame:
    """Return the table orders: add-ons, and for one in twelve a return line two to twenty days later, while the contract runs."""
    bought = scatter(draw, draw.poisson(0.15 * np.exp(0.4 * own["level"])), own, edges)
    size = len(bought["at"])
    product, quantity = _choose(draw, PRODUCTS, size), draw.choice([1, 2, 3], size, p=[0.8, 0.15, 0.05])
    back = bought["at"] + draw.integers(2, 21, size) * SECONDS
    sent = np.flatnonzero((draw.random(size) < 1 / 12) & (back < np.minimum(own["end"][bought["life"]], edges[-1]) * SECONDS))
    line = np.concatenate([np.arange(size), sent])
    returned = np.arange(len(line)) >= size
    pieces, dates = np.where(returned, -1, 1) * quantity[line], _time(np.concatenate([bought["at"], back[sent]]))
    what = {"amount": _look_up(PRODUCTS, product, 1)[line] * pieces, "product": product[line], "quantity": pieces, "returned": returned}
    return _frame(customer_id=own["id"][bought["life"][line]], ordered_at=dates, **what)


def list_contacts(draw: np.random.Generator, own: Columns, contacts: Columns, edges: np.ndarray) -> pd.DataFrame:
    """Return the table contacts; what was still open when the customer left or the data end has no date of resolution."""
    inside = contacts["at"] < own["end"][contacts["life"]] * SECONDS
    kept = {name: values[inside] for name, values in contacts.items()}
    over = np.minimum(own["end"][kept["life"]], edges[-1]) * SECONDS
    resolved = np.where(kept["never"] | (kept["resolved"] >= over), NEVER * SECONDS, kept["resolved"])
    channel = draw.choice(["email", "chat", "phone"], len(resolved), p=[0.5, 0.3, 0.2])
    dates = {"contacted_at": _time(kept["at"]), "resolved_at": _time(resolved)}
    return _frame(customer_id=own["id"][kept["life"]], **dates, channel=channel, topic=kept["topic"], complaint=kept["complaint"])


def list_feedback(draw: np.random.Generator, own: Columns, edges: np.ndarray) -> pd.DataFrame:
    """Return the table feedback: satisfaction from 1 to 5, some with a short text; three customers in ten never answer."""
    given = scatter(draw, draw.random(own["level"].shape) < own["answers"], own, edges)
    cell, size = (given["month"], given["life"]), len(given["at"])
    mood = 3.7 + 0.5 * own["level"][cell] - 0.9 * own["grievance"][cell] + draw.normal(0, 0.9, size)
    score = np.clip(np.rint(mood), 1, 5).astype(np.int64)
    text = np.where(draw.random(size) < 0.35, np.array(TEXTS)[score - 1, draw.integers(0, 3, size)], None)
    answer = {"kind": np.full(size, "csat"), "score": score, "score_max": np.full(size, 5), "text": text}
    return _frame(customer_id=own["id"][given["life"]], given_at=_time(given["at"]), **answer)


def _choose(draw: np.random.Generator, table: dict[str, tuple], size: int) -> np.ndarray:
    """Draw keys of ``table``, whose first column holds their shares."""
    return draw.choice(list(table), size, p=[row[0] for row in table.values()])


def _look_up(table: dict[str, tuple], keys: np.ndarray, column: int) -> np.ndarray:
    names = sorted(table)
    return np.array([table[name][column] for name in names])[np.searchsorted(names, keys)]


def _time(seconds: np.ndarray) -> np.ndarray:
    return np.where(seconds < NEVER * SECONDS, seconds.astype("datetime64[s]"), np.datetime64("NaT")).astype("datetime64[us]")


def _frame(**columns) -> pd.DataFrame:
    """Build a table whose types don't depend on the version of pandas: all text is ``string``."""
    text = {name: pd.array(values.astype(object), dtype="string") for name, values in columns.items() if getattr(values.dtype, "kind", "") in "OU"}
    return pd.DataFrame(columns | text)

"""Simulate twelve cycles of a watchlist that learns from its holdouts, and write ``LOOP.md``.

    python benchmarks/loop.py [--seeds N] [--seconds S] [--scratch DIR] [--out FILE]

Each seed is a company of its own, which lives on under the lists. What ended is kept in the scratch
folder and isn't made again; more seeds continue where fewer ended. Empty the folder after a change
of the package.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from os import getloadavg
from pathlib import Path

import numpy as np
import pandas as pd
from bench import publish
from loop_company import Loop, build_rows, find_stayers, find_truth, train
from referee import ROOT, Study, build_section, describe_share, run_draws, write_row
from scores import describe_run
from verdicts import compute_mean_interval, judge_least

from research.simulate.company import EFFECT_MONTHS
from research.study_schema import CONTROL
from research.watchlist.holdout import draw_holdout
from research.watchlist.learning import learn_playbook, measure_actions
from research.watchlist.lists import CONTACT, Situation, add_actions, rank_customers
from research.watchlist.playbook import Playbook

SIZE, MONTHS, FIRST, CYCLES = 9_000, 32, 15, 12
CAPACITY, SEEDS = 400, 40
HELD_OUT = {True: 0.5, False: 0.1}  # in the first ``LATER`` cycles, to learn; and in the others
REST_DAYS = 92  # whoever stood on a list, contacted or held out, until the outcome is known
LATER = 6  # cycles after which profit is compared
PLAY = {"owner": "service", "channel": "mail", "deadline_days": 1}
PLAYS = (  # advice on a plan that fits better sounds sensible, and harms
    PLAY | {"themes": ["service"], "action": "call", "arm": "call", "cost": 6},
    PLAY | {"themes": ["usage", "contract"], "action": "message", "arm": "advice", "cost": 1},
    PLAY | {"action": "offer", "arm": "discount", "cost": 10},
)
LISTS = ("loop", "by risk", "at random")
HARMFUL, LIST = "advice", "the list as a whole"
WORDS = (
    f"Companies of `research simulate`, in which {SIZE:,} customers ever join and about half are"
    f" customers at a time; {CYCLES} monthly cycles. In each, everybody is scored by a logistic"
    " regression that learned before the first cycle; the list takes the"
    f" {CAPACITY} of highest risk who have rested for {REST_DAYS} days; the reason that stands out"
    " most chooses the play (service: a call; usage or contract: advice on the plan, which harms;"
    " else a discount);"
    f" {HELD_OUT[True]:.0%} are held out within each action in the first {LATER} cycles,"
    f" {HELD_OUT[False]:.0%} later. The company lives on under these"
    " assignments (`research simulate --assignments`), and once the three months of a list are"
    " over, the playbook learns from all such lists: an action whose interval lies below 0 is"
    " dropped. Truth: each customer's own hazards with and without contact. The rivals list as"
    " many of the same customers, of highest risk or drawn at random, hold nobody out and keep the"
    " playbook as it was written; so they contact more, and what the loop gains on the list by risk"
    " is what it learned and spared. Profit: the discounted margin that contact changes, less"
    " its cost, summed over what a list contacts; contacting nobody earns 0. Capacity, holdout and"
    " plays were chosen on three companies of other seeds."
)


def run_loop(seed: int) -> dict[str, float]:
    """Return what one company's loop found, what is true, and what each list earned."""
    loop, written = Loop(SIZE, MONTHS, seed), Playbook(plays=PLAYS, rest_days=REST_DAYS)
    tables = loop.live()
    scorer, playbook, dropped = train(loop, tables, FIRST), written, {}
    kept, profits = pd.DataFrame(), []
    for cycle in range(CYCLES):
        month = FIRST + cycle
        playbook, dropped = learn(loop, tables, kept, playbook, month, dropped)
        scored = score(loop, tables, scorer, kept, month)
        truth = find_truth(loop, month)
        assigned = assign(loop, scored, playbook, month)
        kept = pd.concat([kept, add_truth(assigned, truth)], ignore_index=True)
        profits.append(compare_lists(loop, scored, assigned, written, truth, month))
        loop.assigned = kept.drop(columns=["action", "month", "true_stay", "gain"])
        tables = loop.live()
    return describe_effects(loop, tables, kept) | describe_profits(profits, dropped)


def score(loop: Loop, tables: dict, scorer, kept: pd.DataFrame, month: int) -> pd.DataFrame:
    """Return everybody who may stand on a list: risk, value at risk and theme of the reason."""
    day = loop.open(month)
    rows = build_rows(tables, day)
    risk = scorer.score(rows)
    scored = pd.DataFrame(
        {
            "customer_id": rows.index,
            "risk": risk,
            "value_at_risk": risk,  # ranked as the rival by risk, who differs in learning alone
            "theme": scorer.find_themes(rows),
        }
    )
    if kept.empty:
        return scored
    resting = kept.customer_id[kept.assigned_at > day - pd.Timedelta(days=REST_DAYS)]
    return scored[~scored.customer_id.isin(resting)].reset_index(drop=True)


def choose(ranked: pd.DataFrame, playbook: Playbook | None, day: pd.Timestamp) -> pd.DataFrame:
    """Return who of a ranking would be contacted, with arm and cost."""
    listed = add_actions(ranked, playbook, Situation(day.date(), CAPACITY))
    return listed[listed.decision == CONTACT]


def assign(loop: Loop, scored: pd.DataFrame, playbook: Playbook | None, month: int) -> pd.DataFrame:
    """Return the assignments of a list, with the action that the held out would have had."""
    day = loop.open(month)
    listed = choose(rank_customers(scored, CAPACITY), playbook, day)
    if listed.empty:
        return pd.DataFrame()
    drawn = draw_holdout(listed, HELD_OUT[month < FIRST + LATER], day.date(), loop.seed)
    return drawn.assign(action=listed.arm.to_numpy(), month=month)


def add_truth(assigned: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Return assignments with what their action would truly change of each customer."""
    if assigned.empty:
        return assigned
    pairs = [*zip(assigned.customer_id, assigned.action, strict=True)]
    stay, gain = (
        np.array([truth.at[who, f"{what} {action}"] for who, action in pairs])
        for what in ("stay", "gain")
    )
    return assigned.assign(true_stay=100 * stay, gain=gain)


def find_outcomes(loop: Loop, tables: dict, kept: pd.DataFrame, month: int) -> pd.DataFrame:
    """Return assignments whose three months are over by the start of a month, and who stayed."""
    over = kept[kept.month <= month - EFFECT_MONTHS] if len(kept) else kept
    parts = []
    for made, rows in over.groupby("month") if len(over) else ():
        days = loop.open(made), loop.open(made + EFFECT_MONTHS)
        stays = find_stayers(tables, *days, pd.Index(rows.customer_id))
        parts.append(rows.assign(stayed=stays.to_numpy()))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def learn(
    loop: Loop,
    tables: dict,
    kept: pd.DataFrame,
    playbook: Playbook | None,
    month: int,
    dropped: dict[str, int],
) -> tuple[Playbook | None, dict[str, int]]:
    """Return the playbook after the lists whose months are over, and the cycle of each drop."""
    known = find_outcomes(loop, tables, kept, month)
    if playbook is None or known.empty:
        return playbook, dropped
    learned = learn_playbook(playbook, known)
    return learned.playbook, dropped | dict.fromkeys(learned.dropped, month - FIRST + 1)


def compare_lists(
    loop: Loop,
    scored: pd.DataFrame,
    assigned: pd.DataFrame,
    written: Playbook,
    truth: pd.DataFrame,
    month: int,
) -> dict[str, float]:
    """Return the true profit of this cycle's list, and of those of the rivals."""
    day, rng = loop.open(month), np.random.default_rng([loop.seed, month])
    by_risk = rank_customers(scored.assign(value_at_risk=scored.risk), CAPACITY)
    drawn = rank_customers(scored.assign(value_at_risk=rng.random(len(scored))), CAPACITY)
    contacted = assigned[assigned.arm != CONTROL] if len(assigned) else assigned
    lists = dict(
        zip(
            LISTS,
            (contacted, *(choose(one, written, day) for one in (by_risk, drawn))),
            strict=True,
        )
    )
    return {name: earn(listed, truth) for name, listed in lists.items()}


def earn(listed: pd.DataFrame, truth: pd.DataFrame) -> float:
    """Return the true profit of contacting some customers, each with an arm and a cost."""
    if listed.empty:
        return 0.0
    gains = [
        truth.at[who, f"gain {arm}"]
        for who, arm in zip(listed.customer_id, listed.arm, strict=True)
    ]
    return float(np.sum(gains) - listed.cost.sum())


def describe_effects(loop: Loop, tables: dict, kept: pd.DataFrame) -> dict[str, float]:
    """Return by action whether the interval covers the true mean effect on those assigned."""
    known = find_outcomes(loop, tables, kept, MONTHS)
    found: dict[str, float] = {}
    for name, rows in [(LIST, known.assign(action=LIST)), *known.groupby("action")]:
        row, true = measure_actions(rows, 1).iloc[0], rows.true_stay.mean()
        found |= {
            f"covered {name}": row.effect_low <= true <= row.effect_high,
            f"true {name}": true,
            f"error {name}": row.effect_points - true,
            f"width {name}": row.effect_high - row.effect_low,
        }
    return found


def describe_profits(profits: list[dict[str, float]], dropped: dict[str, int]) -> dict[str, float]:
    """Return what lists earned, in all cycles and in the later ones, and when actions went."""
    table = pd.DataFrame(profits)
    found = {f"all {name}": table[name].sum() for name in table}
    found |= {f"later {name}": table[name].iloc[LATER:].sum() for name in table}
    return found | {f"dropped {play['arm']}": dropped.get(play["arm"], np.nan) for play in PLAYS}


def describe(draws: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the table."""
    actions = [LIST, *sorted(play["arm"] for play in PLAYS)]
    for name in actions:
        known = draws[draws[f"true {name}"].notna()]
        words = f"the interval of the effect covers the true one: {name}"
        yield describe_share(words, known[f"covered {name}"], *((0.9,) if name == LIST else ()))
    for name in actions:
        yield describe_mean(f"true effect, points of staying: {name}", draws[f"true {name}"])
        yield describe_mean(f"measured less true, points: {name}", draws[f"error {name}"])
    for arm in sorted(play["arm"] for play in PLAYS):
        hits = draws[f"dropped {arm}"].notna().astype(float)
        bound = (0.9,) if arm == HARMFUL else ()
        yield describe_share(f"the {arm} is dropped within {CYCLES} cycles", hits, *bound)
    when = draws[f"dropped {HARMFUL}"].dropna()
    if len(when):
        yield describe_mean(f"cycle in which the {HARMFUL} is dropped", when)
    for when, words in {"later": f"cycles {LATER + 1} to {CYCLES}", "all": "all cycles"}.items():
        for name in LISTS:
            yield describe_mean(f"true profit of {words}, EUR: {name}", draws[f"{when} {name}"])
        for rival in LISTS[1:]:
            gained = draws[f"{when} {LISTS[0]}"] - draws[f"{when} {rival}"]
            least = 0.0 if when == "later" else None
            yield describe_mean(f"... of the loop less {rival}, {words}", gained, least)


def describe_mean(what: str, numbers: pd.Series, least: float | None = None) -> tuple[str, ...]:
    """Return the row of a mean over the seeds, which must be at least so large."""
    numbers = numbers.dropna()
    interval = compute_mean_interval(numbers.mean(), numbers.sem(), len(numbers))
    unit = ",.0f" if abs(interval[0]) >= 100 else ".2f"
    found = f"{interval[0]:{unit}}" + (f" ({numbers.sem():{unit}})" if len(numbers) > 1 else "")
    verdict = "" if least is None else judge_least(interval, least)
    return write_row(
        what, "" if least is None else f"above {least:g}", found, interval, verdict, unit
    )


STUDY = Study("Twelve cycles", WORDS, SEEDS, run_loop, describe)


def write_loop(path: Path, section: dict, facts: str) -> None:
    """Write the whole file, or nothing."""
    aligned = "|".join("---" if not i else "---:" for i in range(len(section["head"])))
    lines = ["# A watchlist that learns", "", "Written by `make bench-loop`; never edited by hand."]
    lines += ["", section["words"], "", f"| {' | '.join(section['head'])} |", f"|{aligned}|"]
    lines += [f"| {' | '.join(row)} |" for row in section["rows"]]
    publish(path, [*lines, "", *(f"- {remark}" for remark in (*section["remarks"], facts))])


def main(arguments: list[str] | None = None) -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N", help="companies")
    parser.add_argument("--seconds", type=float, default=np.inf, metavar="S", help="then no more")
    scratch = Path(tempfile.gettempdir()) / "research-bench"
    parser.add_argument("--scratch", type=Path, default=scratch, metavar="DIR", help="keeps seeds")
    out = ROOT / "benchmarks" / "LOOP.md"
    parser.add_argument("--out", type=Path, default=out, metavar="FILE")
    options = parser.parse_args(arguments)
    began, load = datetime.now(), getloadavg()[0]
    path = options.scratch.resolve() / "loop.jsonl"
    draws = run_draws(STUDY, path, options.seeds, options.seconds)
    section = asdict(build_section(STUDY, draws))
    write_loop(options.out, section, describe_run(began, load, {}))
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()

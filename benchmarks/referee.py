"""Simulate what the package promises, and write the rates that came out to ``REFEREE.md``.

    python benchmarks/referee.py [--only STUDY ...] [--draws N] [--seconds S] [--scratch DIR]
    [--out FILE]

Draw after draw, data with a known truth go through the package's own functions: how often a test
finds what isn't there, how often an interval covers the truth. Every draw is kept in the scratch
folder and isn't made again; more draws continue where fewer ended. Empty the folder after a change
of the package. Studies that aren't asked for stay as they were measured before.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import referee_effects as effects
import referee_panels as panels
from bench import keep, publish
from referee_numbers import numbers_section
from scores import describe_run
from sections import Section
from verdicts import (
    INCONCLUSIVE,
    Interval,
    compute_mean_interval,
    compute_share_interval,
    join_verdicts,
    judge_least,
    judge_most,
)

from research.uplift.significance import FAMILY_LEVEL

ROOT = Path(__file__).resolve().parents[1]
FIRST = 1_000  # the first seed
COVERED = (0.93, 0.97)  # shares of intervals of 95 % that may cover the truth
SLACK = 1.4  # times a promised level, as 7 % of misses are of 5 %
FALSE, BIAS = 0.05, 0.1  # at most: shares of reports, and of the half-width of an interval
HEAD = ("what", "bound", "found (Monte Carlo standard error)", "95 % interval", "")
ABOUT = (
    "How often the package's tests, intervals and checks are wrong where the truth is known. Every"
    " study draws data, hands them to the functions that the notebooks call, and counts. A bound is"
    " met where the 95 % interval of what was found lies inside it (of shares the exact one),"
    " missed where it lies outside, and otherwise inconclusive: more draws are needed"
    " (`--draws`). Intervals of 95 % must cover the truth in"
    f" {COVERED[0]:.0%} to {COVERED[1]:.0%}; a level is kept up to {SLACK:g} times what is"
    " promised, as 93 % is of 95 %. Seconds are those of one core;"
    " draws are kept, so the minutes below a table are those of what was still to do."
)
Rows = Iterator[tuple[str, ...]]


@dataclass(frozen=True)
class Study:
    """A simulation: ``draw`` measures one draw by its seed, ``describe`` the rows of the table."""

    title: str
    words: str
    draws: int
    draw: Callable[[int], dict[str, float]]
    describe: Callable[[pd.DataFrame], Rows]


def write_row(
    what: str, bound: str, found: str, interval: Interval, verdict: str, unit: str
) -> tuple[str, ...]:
    """Return a row of the table; an interval in per cent or plain."""
    _, low, high = interval
    ends = f"{low:{unit}} to {high:{unit}}" if np.isfinite(low) else ""
    numbers = (text.replace("-", "−") for text in (found, ends))
    return what, bound, *numbers, verdict


def describe_share(what: str, hits: pd.Series, low: float = 0.0, high: float = 1.0) -> tuple:
    """Return the row of a share that must lie between two bounds."""
    n, share = len(hits), hits.mean()
    interval = compute_share_interval(int(hits.sum()), n)
    verdicts = [judge_least(interval, low)] if low else []
    verdicts += [judge_most(interval, high)] if high < 1 else []
    bound = f"{low:.0%} to {high:.0%}" if low else f"at most {high:.1%}" if high < 1 else ""
    found = f"{share:.1%} ({np.sqrt(share * (1 - share) / n):.1%}), {hits.sum():.0f} of {n:,}"
    verdict = join_verdicts(verdicts) if verdicts else ""
    return write_row(what, bound, found, interval, verdict, ".1%")


def describe_bias(error: pd.Series, half_width: pd.Series) -> tuple:
    """Return the row of a mean error, in half-widths of the interval; it must be near 0."""
    shares = error / half_width.mean()
    interval = compute_mean_interval(shares.mean(), shares.sem(), len(shares))
    verdict = join_verdicts([judge_least(interval, -BIAS), judge_most(interval, BIAS)])
    found = f"{shares.mean():.2f}" + (f" ({shares.sem():.2f})" if len(shares) > 1 else "")
    what, bound = "mean error over half the width of the interval", f"−{BIAS:g} to {BIAS:g}"
    return write_row(what, bound, found, interval, verdict, ".2f")


def cover(*names: str) -> Callable[[pd.DataFrame], Rows]:
    """Describe columns as shares of intervals that cover the truth."""
    return lambda draws: (describe_share(name, draws[name], *COVERED) for name in names)


def stay_below(most: float, *names: str) -> Callable[[pd.DataFrame], Rows]:
    """Describe columns as shares of false alarms."""
    return lambda draws: (describe_share(name, draws[name], high=most) for name in names)


def describe_pairs(draws: pd.DataFrame) -> Rows:
    """By customer the truth must be covered; by row is what one would get otherwise."""
    for name in draws:
        bounds = COVERED if name.endswith(panels.BY_CUSTOMER) else ()
        yield describe_share(name.replace("_", "-"), draws[name], *bounds)


def describe_free_offers(draws: pd.DataFrame) -> Rows:
    """Verdicts on all policies hold together at 95 %, one alone is one-sided at 2.5 %."""
    for name in draws:
        most = FALSE if name.startswith("any") else SLACK * FAMILY_LEVEL
        yield describe_share(name, draws[name], high=most)


def describe_same_effect(draws: pd.DataFrame) -> Rows:
    """Bias, coverage, and how often the list by effect is called worse than one at random."""
    yield describe_bias(draws.error, draws.half_width)
    yield describe_share("the interval covers the true profit", draws.covered, *COVERED)
    yield describe_share("called worse than as many at random", draws.worse, high=FALSE)


def describe_cost(draws: pd.DataFrame) -> Rows:
    """Bias and coverage of the sum."""
    yield describe_bias(draws.error, draws.half_width)
    yield describe_share("the interval covers the true sum", draws[panels.COST], *COVERED)


STUDIES = {
    "heterogeneity": Study(
        "Differences between customers where there are none",
        f"The test of `60_uplift` in one division of {effects.TESTED:,} customers, at a promised"
        f" level of {FAMILY_LEVEL:.1%} over the arms.",
        1_000,
        effects.draw_heterogeneity,
        stay_below(SLACK * FAMILY_LEVEL, effects.ONE_ARM, effects.TWO_ARMS),
    ),
    "adjusted": Study(
        "Intervals of adjusted effects",
        f"The adjusted effect of `60_uplift` on {effects.ESTIMATED:,} customers, whose true mean is"
        " 10 points.",
        2_500,
        effects.draw_adjusted,
        cover(effects.ALIKE, effects.DIFFERING, effects.UNEVEN),
    ),
    "pairs": Study(
        "Paired differences with several rows per customer",
        f"Two models that are equally good in truth, on {panels.ROWS_EACH} rows of each of"
        f" {panels.CUSTOMERS} customers, {panels.RESAMPLES} resamples: how often the interval of"
        " their difference covers 0. The package resamples by customer.",
        2_500,
        panels.draw_pairs,
        describe_pairs,
    ),
    "charts": Study(
        "False alarms of control charts",
        f"Reports of {panels.CHARTS} charts over {panels.MONTHS} months in which nothing changes:"
        " how often any chart alarms, at a promised 5 %.",
        1_500,
        panels.draw_charts,
        stay_below(FALSE, panels.BY_ERROR, panels.RATES),
    ),
    "policies": Study(
        "Policies that are shown to earn without any effect",
        f"Offers without effect or cost, to a tenth of {effects.LISTED:,} customers: how often"
        " `65_targeting` says that a policy earns more than contacting nobody.",
        400,
        effects.draw_free_offers,
        describe_free_offers,
    ),
    "same effect": Study(
        "Profit of the list by effect where all gain alike",
        f"Offers of 1 that bring {effects.VALUE:g} times 10 points to everybody, to a quarter of"
        f" {effects.ESTIMATED:,} customers: estimated less true profit.",
        1_000,
        effects.draw_same_effect,
        describe_same_effect,
    ),
    "leakage": Study(
        "False alarms of the leakage checks",
        f"Panels of {panels.CHECKED:,} customers with sixteen honest columns, of which some make"
        " customers leave: how often any is excluded.",
        200,
        panels.draw_honest_panel,
        stay_below(FALSE, panels.SEPARATION, panels.EXPORT),
    ),
    "holm": Study(
        "Level of Holm's adjustment",
        f"Families of {effects.FAMILY} two-sided tests at {FAMILY_LEVEL:.1%}: how often a true null"
        " hypothesis is rejected.",
        20_000,
        effects.draw_families,
        stay_below(SLACK * FAMILY_LEVEL, *effects.FAMILIES),
    ),
    "cost of churn": Study(
        "Interval of the cost of churn of a company",
        f"{panels.VALUED} customers of a flat study who leave at a constant rate of their plan,"
        f" valued over a year with {panels.REFITS} refits: estimate and interval of the sum against"
        " the truth in closed form.",
        1_000,
        panels.draw_cost_of_churn,
        describe_cost,
    ),
}
NUMBERS = "numbers"
NAMES = (*STUDIES, NUMBERS)


def run_draws(study: Study, path: Path, count: int, seconds: float) -> pd.DataFrame:
    """Return the draws of a study, seed and seconds of each with them.

    What the file has isn't drawn again. No draw begins once the seconds of the clock are over.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    done = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    began = time.monotonic()
    with path.open("a") as file:
        for seed in range(FIRST + len(done), FIRST + count):
            if time.monotonic() - began > seconds:
                break
            at = time.process_time()
            drawn = {name: float(value) for name, value in study.draw(seed).items()}
            done.append({"seed": seed, "seconds": time.process_time() - at} | drawn)
            file.write(json.dumps(done[-1]) + "\n")
            file.flush()
    return pd.DataFrame(done[:count])


def build_section(study: Study, draws: pd.DataFrame) -> Section:
    """Return the table of a study, with its draws, seeds and seconds."""
    rows = tuple(study.describe(draws.drop(columns=["seed", "seconds"])))
    verdicts = [row[-1] for row in rows if row[-1]]
    open_ones = verdicts.count(INCONCLUSIVE)
    remark = (
        f"{len(draws):,} draws, seeds {draws.seed.min():.0f} to {draws.seed.max():.0f},"
        f" {draws.seconds.sum():.0f} seconds; {len(verdicts) - open_ones} of {len(verdicts)} bounds"
        " decided."
    )
    return Section(study.title, study.words, HEAD, rows, (remark,))


def measure(name: str, scratch: Path, draws: int | None, seconds: float) -> Section:
    """Run a study, or compare the numbers."""
    if name == NUMBERS:
        return numbers_section()
    study = STUDIES[name]
    path = scratch / "referee" / f"{name.replace(' ', '-')}.jsonl"
    return build_section(study, run_draws(study, path, draws or study.draws, seconds))


def write_referee(path: Path, kept: dict[str, dict]) -> None:
    """Write the whole file, or nothing."""
    lines = [
        "# What the package promises, simulated",
        "",
        "Written by `make bench-referee`; never edited by hand.",
        "",
        ABOUT,
    ]
    for section in (kept[name] for name in NAMES if name in kept):
        aligned = "|".join("---" if not i else "---:" for i in range(len(section["head"])))
        lines += ["", f"## {section['title']}", "", section["words"], ""]
        lines += [f"| {' | '.join(section['head'])} |", f"|{aligned}|"]
        lines += [f"| {' | '.join(row)} |" for row in section["rows"]]
        lines += ["", *(f"- {remark}" for remark in (*section["remarks"], section["facts"]))]
    publish(path, lines)


def main(arguments: list[str] | None = None) -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", nargs="+", choices=NAMES, default=[*NAMES], metavar="STUDY", help=", ".join(NAMES)
    )
    parser.add_argument("--draws", type=int, metavar="N", help="of every study, else its own")
    parser.add_argument(
        "--seconds",
        type=float,
        default=np.inf,
        metavar="S",
        help="of a study, after which no draw begins",
    )
    parser.add_argument(
        "--scratch",
        type=Path,
        default=Path(tempfile.gettempdir()) / "research-bench",
        metavar="DIR",
        help="where draws are kept",
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks" / "REFEREE.md", metavar="FILE"
    )
    options = parser.parse_args(arguments)
    scratch = options.scratch.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        began, load = datetime.now(), os.getloadavg()[0]
        section = measure(name, scratch, options.draws, options.seconds)
        kept = keep(scratch / "referee.json", name, section, describe_run(began, load, {}))
        write_referee(options.out, kept)
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()

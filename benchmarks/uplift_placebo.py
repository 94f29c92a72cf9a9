"""Does the package find nothing where nothing is? The whole verdict of ``60_uplift`` on the
campaign of ``uplift_tasks.py`` with its arms dealt out anew.
"""

import json
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sections import Section, judge
from uplift_halves import make_trial
from uplift_tasks import OUTCOMES, load_campaign

from research.evaluation.intervals import wilson
from research.uplift.average_effects import score_trial, tabulate_effects
from research.uplift.cross_fitting import PROCESSES
from research.uplift.heterogeneity import judge_differences
from research.uplift.report import decide
from research.uplift.trials import Trial

SEEDS, SHARE, LEAST = 40, 1 / 3, 0.95
NOTHING = "nothing"


def deal(trial: Trial, share: float, seed: int) -> Trial:
    """Return a random share of a trial's customers with the arms dealt out anew among them."""
    rng = np.random.default_rng(seed)
    rows = trial.rows.iloc[
        np.sort(rng.permutation(len(trial.rows))[: round(share * len(trial.rows))])
    ].reset_index(drop=True)
    arm = rows.arm.to_numpy()[rng.permutation(len(rows))]
    dealt = rows.assign(arm=arm)
    return replace(
        trial, rows=dealt.assign(propensity=dealt.arm.map(dealt.arm.value_counts(normalize=True)))
    )


def decide_once(trial: Trial, seed: int) -> str:
    """Return the kind of the verdict on a trial, with one division of its customers."""
    with joblib.parallel_config(backend="sequential"):
        scored = [score_trial(trial, outcome, seed) for outcome in OUTCOMES]
        tests = [judge_differences(part.sample, part.outcome, 1, seed) for part in scored]
    return decide(tabulate_effects(trial, scored), pd.concat(tests, ignore_index=True))[0]


def run_seed(scratch: Path, seed: int, as_found: bool = False) -> str:
    """Return the verdict of one seed, from its file where it is there; an empty one where it isn't
    and ``as_found`` forbids to run it.
    """
    path = scratch / "uplift-placebos" / f"{seed:03d}.json"
    if as_found and not path.exists():
        return ""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps(decide_once(deal(make_trial(load_campaign()), SHARE, seed), seed))
        )
    return json.loads(path.read_text())


def run_placebos(scratch: Path, seeds: int, as_found: bool = False) -> list[str]:
    """Return the verdicts of all seeds that are there."""
    said = joblib.Parallel(n_jobs=PROCESSES)(
        joblib.delayed(run_seed)(scratch, seed, as_found) for seed in range(seeds)
    )
    return [verdict for verdict in said if verdict]


def tell(verdicts: list[str]) -> Section:
    """Return how often nothing was found."""
    n = len(verdicts)
    counts = {kind: verdicts.count(kind) for kind in (NOTHING, "same", "differs")}
    low, high = wilson(counts[NOTHING] / n, n)
    words = (
        f"{n} times a random {SHARE:.0%} of the campaign's customers with the arms dealt out anew"
        " among them, both arms and both outcomes, and the whole decision of `60_uplift` on each,"
        " with one division of the customers: whether an average effect is shown (same: for all),"
        " or that it differs. Its level is 5 % in all, so a bound of 95 % asks for what is"
        " promised, up to luck."
    )
    bound = f"“Nothing” in at least {LEAST:.0%}: {judge(counts[NOTHING] / n >= LEAST)}."
    row = (
        str(n),
        *(str(count) for count in counts.values()),
        f"{counts[NOTHING] / n:.1%} ({low:.1%} to {high:.1%})",
    )
    return Section(
        "Placebo",
        words,
        ("seeds", "nothing", "same", "differs", "share of nothing (95 % interval, Wilson)"),
        (row,),
        (bound,),
    )

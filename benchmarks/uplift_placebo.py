"""Does the package find nothing where nothing is? The whole verdict of ``60_uplift`` on the
campaign of ``uplift_tasks.py`` with permuted arms.
"""

import json
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sections import Section
from uplift_halves import make_trial
from uplift_tasks import OUTCOMES, load_campaign
from verdicts import compute_share_interval, count_least_draws, judge_least, write_share

from research.settings import count_workers
from research.uplift.average_effects import score_outcome, tabulate_effects
from research.uplift.heterogeneity import run_test
from research.uplift.trials import Trial
from research.uplift.verdict import EFFECTS_DIFFER, NO_EFFECT, SAME_EFFECT, decide

SEEDS, SHARE, LEAST = 150, 1 / 3, 0.95


def permute_share(trial: Trial, share: float, seed: int) -> Trial:
    """Return a random share of a trial's customers with the arms permuted among them."""
    rng = np.random.default_rng(seed)
    rows = trial.rows.iloc[
        np.sort(rng.permutation(len(trial.rows))[: round(share * len(trial.rows))])
    ].reset_index(drop=True)
    arm = rows.arm.to_numpy()[rng.permutation(len(rows))]
    permuted = rows.assign(arm=arm)
    shares = permuted.arm.value_counts(normalize=True)
    return replace(trial, rows=permuted.assign(propensity=permuted.arm.map(shares)))


def decide_once(trial: Trial, seed: int) -> str:
    """Return the kind of the verdict on a trial, with one division of its customers."""
    with joblib.parallel_config(backend="sequential"):
        scored = [score_outcome(trial, outcome, seed) for outcome in OUTCOMES]
        tests = [run_test(part.sample, part.outcome, 1, seed) for part in scored]
    return decide(tabulate_effects(trial, scored), pd.concat(tests, ignore_index=True))[0]


def run_seed(scratch: Path, seed: int, stored_only: bool = False) -> str:
    """Return the verdict of one seed, from its file where it is there; an empty one where it isn't
    and ``stored_only`` forbids to run it.
    """
    path = scratch / "uplift-placebos" / f"{seed:03d}.json"
    if stored_only and not path.exists():
        return ""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps(decide_once(permute_share(make_trial(load_campaign()), SHARE, seed), seed))
        )
    return json.loads(path.read_text())


def run_placebos(scratch: Path, seeds: int, stored_only: bool = False) -> list[str]:
    """Return the verdicts of all seeds that are there."""
    verdicts = joblib.Parallel(n_jobs=count_workers())(
        joblib.delayed(run_seed)(scratch, seed, stored_only) for seed in range(seeds)
    )
    return [verdict for verdict in verdicts if verdict]


def placebo_section(verdicts: list[str]) -> Section:
    """Return how often nothing was found."""
    n = len(verdicts)
    counts = {kind: verdicts.count(kind) for kind in (NO_EFFECT, SAME_EFFECT, EFFECTS_DIFFER)}
    interval = compute_share_interval(counts[NO_EFFECT], n)
    words = (
        f"{n} times a random {SHARE:.0%} of the campaign's customers with permuted arms,"
        " both arms and both outcomes, and the whole decision of `60_uplift` on each,"
        " with one division of the customers: whether an average effect is significant (same: for"
        " all), or that it differs. Its level is 5 % in all."
    )
    bound = (
        f"“Nothing” in at least {LEAST:.0%}: {judge_least(interval, LEAST)};"
        f" {count_least_draws(LEAST)} draws are needed, if none of them finds anything."
    )
    row = (str(n), *(str(count) for count in counts.values()), write_share(interval))
    return Section(
        "Placebo",
        words,
        ("seeds", "nothing", "same", "differs", "share of nothing (95 % interval, exact)"),
        (row,),
        (bound,),
    )

"""The package's effects in the campaign of ``uplift_tasks.py`` compared with other libraries':
fitted on one half of the customers, scored on the other, half by half.

Scores use outcomes alone, weighted by the inverse of the arms' shares; no model of an outcome
enters them. What differs between two models on the same halves is put into the interval of Nadeau &
Bengio 2003 (doi:10.1023/A:1024068626366), which allows for halves of several divisions having
customers in common.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sections import Section
from uplift_tasks import ARMS, CONTROL, OUTCOMES, list_features, load_campaign, split_halves
from verdicts import (
    INCONCLUSIVE,
    MARGIN,
    MET,
    MISSED,
    Interval,
    compute_corrected_interval,
    join_verdicts,
    judge_level,
)

from research.uplift.doubly_robust import Sample, make_sample
from research.uplift.learners.average import predict_effects
from research.uplift.learners.families import AVERAGED
from research.uplift.learners.registry import LEARNERS
from research.uplift.metrics import compute_area, compute_curves, rank
from research.uplift.trials import RANDOMISED, Trial

Array = np.ndarray
SPLITS, TOP = 50, 0.3
FEWEST = 5  # splits from which a peer is judged
TREATED = tuple(sorted(set(ARMS.values()) - {CONTROL}))
UNITS = {"visit": "visits", "spend": "dollars"}
PER = 1000  # customers that scores are given for
JUDGED = ("each the best arm", f"the top {TOP:.0%}")  # policies: their scores are far from 0
SCORES = (*(f"AUUC, {arm}" for arm in TREATED), *JUDGED)


def make_trial(rows: pd.DataFrame) -> Trial:
    """Return the campaign as a randomised trial; the propensity of an arm is its share."""
    shares = rows.arm.map(rows.arm.value_counts(normalize=True))
    assigned = rows.assign(
        customer_id=np.arange(len(rows)),
        trial="hillstrom",
        propensity=shares,
        cost=0.0,
        varies=False,
    )
    return Trial(
        assigned, list_features(rows), {name: name for name in OUTCOMES}, RANDOMISED, pd.DataFrame()
    )


def fit_own(scratch: Path, splits: int) -> None:
    """Fit the package's learners on the first halves and write their effects on the others; a split
    that is written isn't fitted again.
    """
    rows = load_campaign()
    trial, halves = make_trial(rows), split_halves(rows.arm.to_numpy(), splits)
    samples = {outcome: make_sample(trial, outcome) for outcome in OUTCOMES}
    for split, (learn, judged) in enumerate(halves):
        for outcome, sample in samples.items():
            path = _name(scratch, outcome, split)
            if not path.exists():
                began = time.monotonic()
                effects = predict_effects(
                    sample.take(learn),
                    sample.tree_features[judged],
                    sample.linear_features[judged],
                    split,
                )
                _write(path, effects, time.monotonic() - began)


def _name(scratch: Path, outcome: str, split: int) -> Path:
    return scratch / "uplift-own" / outcome / f"{split:02d}.parquet"


def _write(path: Path, by_model: dict[str, Array], seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(
        {
            f"{model}|{arm}": effects[:, at]
            for model, effects in by_model.items()
            for at, arm in enumerate(TREATED)
        }
    ).astype("float32")
    partial = path.with_suffix(".partial")
    frame.assign(seconds=np.float32(seconds)).to_parquet(partial, index=False)
    partial.replace(path)


def read_own(scratch: Path, outcome: str, split: int) -> tuple[dict[str, Array], float]:
    """Return the package's effects on a split's judged rows, (rows, arms) by model, and the seconds
    that they took.
    """
    frame = pd.read_parquet(_name(scratch, outcome, split)).astype(float)
    by_model = {
        model: frame[[f"{model}|{arm}" for arm in TREATED]].to_numpy()
        for model in (*LEARNERS, AVERAGED)
    }
    return by_model, float(frame.seconds.iloc[0])


def read_peers(scratch: Path, outcome: str, split: int, judged: Array) -> dict[str, Array]:
    """Return other libraries' effects on a split's judged rows, as far as they are done: (rows,
    arms) by model.
    """
    by_model = {}
    for path in sorted((scratch / "uplift-effects" / outcome).glob(f"*/{split:02d}.parquet")):
        frame = pd.read_parquet(path)
        wide = frame.assign(arm=frame.arm.astype(str)).pivot(
            index="row", columns="arm", values="effect"
        )
        by_model[str(frame.model.iloc[0])] = wide.loc[judged, list(TREATED)].to_numpy()
    return by_model


def value_policy(chosen: Array, sample: Sample) -> float:
    """Return the mean outcome if everybody got the arm chosen, weighted by the inverse of the
    propensity (Horvitz & Thompson 1952).

    Parameters
    ----------
    chosen : (rows,), 0 for control, then the arms in order
    """
    return float(np.mean((sample.arm == chosen) / sample.propensity * sample.outcome))


def choose_best(effects: Array) -> Array:
    """Return the arm with the largest predicted effect, 0 where none is above 0."""
    return np.where(effects.max(axis=1) > 0, effects.argmax(axis=1) + 1, 0)


def choose_top(effects: Array, share: float, random: Array) -> Array:
    """Return the arm with the largest predicted effect for the share of customers where that is
    largest, 0 for the others; ties are broken by ``random``.
    """
    order = np.lexsort((random, -effects.max(axis=1)))
    chosen = np.zeros(len(effects), dtype=int)
    top = order[: round(share * len(effects))]
    chosen[top] = effects[top].argmax(axis=1) + 1
    return chosen


def score_effects(effects: Array, sample: Sample, random: Array) -> tuple[float, ...]:
    """Return the scores of ``SCORES`` of effects on a judged half: (rows, arms)."""
    areas = [_measure_area(effects[:, at], at + 1, sample) for at in range(effects.shape[1])]
    return (
        *areas,
        value_policy(choose_best(effects), sample),
        value_policy(choose_top(effects, TOP, random), sample),
    )


def _measure_area(effects: Array, arm: int, sample: Sample) -> float:
    inside = np.flatnonzero((sample.arm == arm) | (sample.arm == 0))
    part = sample.take(inside)
    curves = compute_curves(
        rank(effects[inside]),
        (part.arm == arm).astype(int),
        part.outcome,
        part.propensity,
        np.ones((1, part.size)),
    )
    return float(compute_area(curves["share"], curves["uplift"])[0])


def score_splits(scratch: Path, outcome: str) -> pd.DataFrame:
    """Return every score of every model on every split that the package has fitted: split, model,
    whose, seconds and ``SCORES``, per customer.
    """
    rows = load_campaign()
    sample, scores = make_sample(make_trial(rows), outcome), []
    for split, (_, judged) in enumerate(split_halves(rows.arm.to_numpy(), SPLITS)):
        if not _name(scratch, outcome, split).exists():
            continue
        half, random = sample.take(judged), np.random.default_rng(split).random(len(judged))
        own, seconds = read_own(scratch, outcome, split)
        same = {
            f"all get {arm}": _give_all(half, at) for at, arm in enumerate(("nothing", *TREATED))
        }
        for whose, by_model in (
            ("ours", own),
            ("peer", read_peers(scratch, outcome, split, judged)),
        ):
            scores += [
                (split, model, whose, seconds, *score_effects(effects, half, random))
                for model, effects in by_model.items()
            ]
        scores += [
            (split, model, "reference", np.nan, np.nan, np.nan, value, np.nan)
            for model, value in same.items()
        ]
    return pd.DataFrame(scores, columns=["split", "model", "whose", "seconds", *SCORES])


def _give_all(sample: Sample, arm: int) -> float:
    return value_policy(np.full(sample.size, arm), sample)


def pair(scores: pd.DataFrame, peer: str) -> Iterator[tuple[str, Interval, int]]:
    """Yield, per score, the package's averaged effects less a peer, on the splits that both have,
    with the interval; and how many splits these are.
    """
    theirs = scores[scores.model == peer].set_index("split")
    own = scores[scores.model == AVERAGED].set_index("split").loc[theirs.index]
    for score in SCORES:
        yield (
            score,
            compute_corrected_interval((own[score] - theirs[score]).to_numpy()),
            len(theirs),
        )


def scores_section(scores: pd.DataFrame, outcome: str) -> Section:
    """Return the mean scores of all contenders, per thousand customers."""
    own, unit = scores[scores.model == AVERAGED], UNITS[outcome]
    means = compute_means(scores).sort_values(SCORES[2], ascending=False)
    counts = scores.groupby("model").split.size()
    cells = [tuple(_write_mean(value) for value in row) for row in means.to_numpy()]
    rows = [
        (model, whose, str(counts[model]), *more)
        for (model, whose), more in zip(means.index, cells, strict=True)
    ]
    words = (
        "The campaign of Hillstrom (2008): 64,000 customers, randomised to three arms. Fitted on a"
        f" half, scored on the other, {len(own)} times with other halves. Slow models have fewer:"
        f" their means are those of {AVERAGED} less the difference on the halves that both have. In"
        f" {unit} per {PER:,} customers: **AUUC** by arm as in `docs/uplift-scores.md`; what comes"
        " of giving **each the best arm** by predicted effect, none where all are below 0; and of"
        f" giving **the top {TOP:.0%}** by predicted effect that arm, the others none; by inverse"
        f" propensity weights on raw outcomes. The package chooses by {AVERAGED}, which was fixed"
        f" before looking; its learners together take {own.seconds.median():.0f} seconds a split."
    )
    return Section(
        f"Hillstrom, {outcome}", words, ("model", "whose", "splits", *SCORES), tuple(rows)
    )


def compute_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the mean scores by model and whose it is, as over all splits: those of the averaged
    effects less the difference on the splits of both.
    """
    own = scores[scores.model == AVERAGED].set_index("split")[list(SCORES)]
    apart = scores.set_index("split")[list(SCORES)] - own.reindex(scores.split)
    keyed = apart.assign(model=scores.model.to_numpy(), whose=scores.whose.to_numpy())
    return own.mean() + keyed.groupby(["model", "whose"], sort=False)[list(SCORES)].mean()


def _write_mean(value: float) -> str:
    return "" if np.isnan(value) else f"{PER * value:.2f}".replace("-", "−")


def differences_section(scores: pd.DataFrame, outcome: str) -> Section:
    """Return the paired differences to every peer, and whether the package is on par with it."""
    means, rows = PER * compute_means(scores).droplevel("whose"), []
    for peer in scores.model[scores.whose == "peer"].unique():
        pairs = [*pair(scores, peer)]
        differences = {
            score: tuple(PER * value for value in interval) for score, interval, _ in pairs
        }
        rows.append((peer, pairs[0][2], differences, means.loc[peer, [*JUDGED]].to_dict()))
    return tabulate_differences(rows, outcome)


def tabulate_differences(
    rows: list[tuple[str, int, dict[str, Interval], dict[str, float]]], outcome: str
) -> Section:
    """Return the table of differences with their verdicts.

    Parameters
    ----------
    rows : per peer its name, splits, the averaged effects less the peer by score, and the peer's
        scores
    """
    verdicts = {
        peer: join_verdicts(judge_level(differences[name], theirs[name], True) for name in JUDGED)
        for peer, splits, differences, theirs in rows
        if splits >= FEWEST
    }
    cells = [
        (
            peer,
            str(splits),
            *(_write_difference(*differences[score]) for score in SCORES),
            verdicts.get(peer, "too few splits"),
        )
        for peer, splits, differences, _ in rows
    ]
    words = (
        f"{AVERAGED.capitalize()} less each peer on the splits that both have, in {UNITS[outcome]}"
        f" per {PER:,} customers, with corrected resampled t intervals (Nadeau & Bengio 2003): 95"
        f" %, each on its own. Level or better: in both policies the worse end of the interval is"
        f" at most {MARGIN:.0%} of the peer's {UNITS[outcome]} below 0; areas lie too near 0 for"
        f" such a margin and are not judged. A peer is judged from {FEWEST} splits on."
    )
    return Section(
        f"Hillstrom, {outcome}: against each peer",
        words,
        ("peer", "splits", *SCORES, "level or better"),
        tuple(cells),
        (_describe_peers(verdicts, len(rows), outcome),),
    )


def _describe_peers(verdicts: dict[str, str], peers: int, outcome: str) -> str:
    claim = f"{AVERAGED} on par with every peer or better on {outcome}"
    if not verdicts:
        return f"{claim}: not judged; no peer has {FEWEST} splits."
    counts = ", ".join(
        f"{word.strip('*')} with {[*verdicts.values()].count(word)}"
        for word in (MET, INCONCLUSIVE, MISSED)
    )
    rest = peers - len(verdicts)
    return (
        f"{claim}: {join_verdicts(verdicts.values())}; {counts} of {len(verdicts)} peers"
        f"{f', the other {rest} are not judged' if rest else ''}."
    )


def _write_difference(mean: float, low: float, high: float) -> str:
    interval = "" if np.isnan(low) else f" ({low:.2f} to {high:.2f})"
    return f"{mean:.2f}{interval}".replace("-", "−")

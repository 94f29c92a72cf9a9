"""Trials whose true effects are known, campaigns, and cases, for tests of effects and policies."""

from dataclasses import replace

import numpy as np
import pandas as pd

from research.data.load import load_tables
from research.uplift.cross_fitting import CrossFit
from research.uplift.doubly_robust import Sample, make_sample
from research.uplift.learners.families import AVERAGED, RISK
from research.uplift.learners.training import TrainingPart
from research.uplift.policy.case import Case, build_case, choose_usual
from research.uplift.trials import RANDOMISED, Trial, load_trials

DAY = pd.Timestamp("2024-07-01")  # on which campaigns are assigned


def make_trial(
    n: int, seed: int, effect=lambda x: 0.1 + 0 * x, shares=(0.5, 0.5), outcome: str = "kept"
) -> tuple[Trial, np.ndarray]:
    """Return a trial and the true effect of every arm: (rows, arms).

    The probability of a favourable outcome is 0.5 + 0.2 x1 without contact, x1 and x2 uniform
    between -1 and 1; ``effect`` of x2 adds to it, half of it in a second arm.
    """
    rng = np.random.default_rng(seed)
    columns = rng.uniform(-1, 1, (n, 3))
    arms = ("control", "call", "letter", "mail", "visit")[: len(shares)]
    arm = rng.choice(len(arms), n, p=shares)
    true = np.column_stack([effect(columns[:, 1]) / code for code in range(1, len(arms))])
    added = np.where(arm > 0, true[np.arange(n), np.maximum(arm - 1, 0)], 0)
    probability = 0.5 + 0.2 * columns[:, 0] + added
    rows = pd.DataFrame(columns, columns=["x1", "x2", "x3"]).assign(
        customer_id=[f"c{number:06d}" for number in range(n)],
        trial="test",
        arm=np.array(arms)[arm],
        propensity=np.array(shares)[arm],
        cost=np.where(arm > 0, 1.0, 0.0),
        varies=False,
        **{outcome: (rng.random(n) < probability).astype(float)},
    )
    counts = rows.groupby(["trial", "arm"]).size().rename("assigned").reset_index()
    counts = counts.assign(no_customer=0, assigned_later=0, analysed=counts.assigned)
    counts = counts.assign(next_campaign=0)
    return Trial(rows, ["x1", "x2", "x3"], {outcome: "stays"}, RANDOMISED, counts), true


def change_rows(trial: Trial, **columns) -> Trial:
    """Return a trial with other columns."""
    return replace(trial, rows=trial.rows.assign(**columns))


def make_arms(n: int, **columns) -> Trial:
    """Return a trial of n customers, half of them in control unless ``arm`` is given; columns that
    begin with x are features.
    """
    arm = columns.pop("arm", ["control", "mail"] * (n // 2))
    given = {"customer_id": range(n), "trial": "t", "arm": arm, "propensity": 0.5, "kept": 1.0}
    features = [name for name in columns if name.startswith("x")]
    counts = pd.DataFrame({"trial": ["t"]})
    return Trial(pd.DataFrame(given | columns), features, {"kept": "stays"}, RANDOMISED, counts)


def make_chosen(n: int, seed: int, hidden: bool = False) -> Trial:
    """Return a trial whose arm went more often to those who leave; with ``hidden``, by what no
    feature shows.
    """
    trial, _ = make_trial(n, seed)
    rng = np.random.default_rng(seed + 100)
    cause = trial.rows.x1
    treated = rng.random(n) < np.where(cause < 0, 0.7, 0.3)
    kept = (rng.random(n) < 0.5 + 0.3 * cause + 0.1 * treated).astype(float)
    rows = trial.rows.assign(arm=np.where(treated, "call", "control"), propensity=np.nan, kept=kept)
    features = ["x2", "x3"] if hidden else trial.features
    return replace(trial, rows=rows, features=features, assignment="observational")


def campaign(*rows: tuple, **more) -> pd.DataFrame:
    """Return a table campaigns from pairs of customer and arm."""
    table = pd.DataFrame(rows, columns=["customer_id", "arm"]).assign(
        campaign="letter", assigned_at=DAY, propensity=0.5
    )
    return table.assign(**more)


def load_campaigns(
    write_study, campaigns: pd.DataFrame, ended: dict | None = None, **changes
) -> dict[str, Trial]:
    """Return the trials of eight customers, a to h, under contract from 2024 on, a euro a day."""
    ids = [*"abcdefgh"]
    people = pd.DataFrame({"customer_id": ids, "joined_at": pd.Timestamp("2024-01-01")})
    ends = pd.Series(ids).map(ended or {}).astype("datetime64[us]")
    contracts = pd.DataFrame(
        {
            "customer_id": ids,
            "started_at": pd.Timestamp("2024-01-01"),
            "ended_at": ends,
            "monthly_fee": 30.4375,
        }
    )
    tables = {"customers": people, "contracts": contracts, "campaigns": campaigns}
    changes = {"experiment": {"assignment": RANDOMISED}} | changes
    study = write_study("contractual", tables=tables, **changes)
    return load_trials(load_tables(study), study)


def load_flat(write_study, frame: pd.DataFrame, **changes) -> dict[str, Trial]:
    """Return the trials of a flat study with this snapshot."""
    snapshot = frame.assign(customer_id=[f"c{n}" for n in range(len(frame))])
    study = write_study("flat", tables={"snapshot": snapshot}, **changes)
    return load_trials(load_tables(study), study)


def write_flat_trial(write_study, n: int = 1200, **changes):
    """Write a study of a mail that brings visits to those with a high ``taste``, each visit 20
    euros of which half remains; return it with its tables, its trial and the tastes.
    """
    rng = np.random.default_rng(0)
    taste, arm = rng.uniform(-1, 1, n), rng.permutation(np.arange(n) % 2)
    visit = rng.random(n) < 0.2 + arm * np.clip(0.4 * taste, 0, 1)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{number}" for number in range(n)],
            "churned": ~visit,
            "arm": np.where(arm == 1, "mail", "control"),
        }
    )
    frame = frame.assign(outcome=visit.astype(int), value=np.where(visit, 20.0, 0.0), taste=taste)
    experiment = {
        "assignment": "randomised",
        "primary": "outcome",
        "shares": {"control": 1, "mail": 1},
    }
    economics = {
        "currency": "EUR",
        "capacity": 300,
        "margin_share": 0.5,
        "arms": {"mail": {"contact_cost": 1}},
    }
    study = write_study(
        "flat",
        tables={"snapshot": frame},
        experiment=experiment,
        **({"economics": economics} | changes),
    )
    tables = load_tables(study)
    return study, tables, load_trials(tables, study)[RANDOMISED], taste


def make_case(gain, cost, risk=None, worth=1.0, cycle=None, true=None) -> Case:
    """Return a case whose effects are estimated without error: a gain per unit of the outcome, and
    a cost, for each customer and arm.
    """
    gain, cost = np.asarray(gain, float), np.asarray(cost, float)
    n = len(gain)
    risk, worth = (
        np.asarray(values if values is not None else np.zeros(n)) * np.ones(n)
        for values in (risk, worth)
    )
    return Case(
        cycle=np.zeros(n) if cycle is None else np.asarray(cycle),
        customers=np.arange(n),
        clusters=np.arange(n),
        risk=risk[None],
        outcome_value=worth,
        effect=gain[None],
        gain=gain[None] * worth[:, None],
        usual=choose_usual(gain[None] * worth[:, None], cost, np.zeros((1, n))),
        cost=cost,
        net=gain - cost,
        kept=gain,
        arms=tuple("abc"[: gain.shape[1]]),
        true=true,
    )


def make_part(outcome, arm, propensity=None, scores=None, prognosis=None, new_prognosis=None):
    """Return the training part of customers without features, and of two new ones.

    Doubly robust scores, prognoses and the mean outcome of each arm are those given, or zeros.
    """
    outcome, arm = np.asarray(outcome, float), np.asarray(arm)
    n, arms = len(outcome), arm.max() + 1
    new_prognosis = np.zeros(2) if new_prognosis is None else np.asarray(new_prognosis)
    sample = Sample(
        tree_features=np.empty((n, 0)),
        linear_features=np.empty((n, 0)),
        arm=arm,
        outcome=outcome,
        propensity=np.full(n, 1 / arms) if propensity is None else np.asarray(propensity),
        customers=np.arange(n),
        clusters=np.arange(n),
        trial=np.zeros(n, int),
        arms=("control", "call", "letter")[:arms],
    )
    means = [outcome[arm == code].mean() for code in range(arms)]
    none = np.empty((len(new_prognosis), 0))
    return TrainingPart(
        train=sample,
        new_tree_features=none,
        new_linear_features=none,
        scores=np.zeros((n, arms)) if scores is None else scores,
        models=[float(mean) for mean in means],
        predicted=np.tile(means, (len(none), 1)),
        prognosis=np.zeros(n) if prognosis is None else np.asarray(prognosis),
        new_prognosis=new_prognosis,
        seed=0,
    )


def make_alike_case(
    seed: int, effect: float, n: int = 300, worth: float = 20.0, cost: float = 1.0, arms: int = 2
) -> Case:
    """Return a case of customers on whom the first arm has the same effect, and each later one a
    smaller share of it; nothing but its mean in the other parts predicts it.
    """
    shares = np.full(arms + 1, 1 / (arms + 1))
    trial, true = make_trial(n, seed, lambda x: effect + 0 * x, shares)
    sample, rng = make_sample(trial, "kept"), np.random.default_rng(seed)
    part, means = rng.permutation(np.arange(n) % 3), np.empty((n, arms + 1))
    for number in range(3):
        others, codes = part != number, range(arms + 1)
        means[~others] = [sample.outcome[others & (sample.arm == code)].mean() for code in codes]
    predicted = means[:, 1:] - means[:, :1] + rng.normal(0, 1e-4, (n, arms))
    return build_case(
        sample,
        [CrossFit({AVERAGED: predicted, RISK: rng.random((n, 1))}, part)],
        priced=None,
        outcome_value=np.full(n, worth),
        money=sample.outcome * worth,
        paid=np.where(sample.arm > 0, cost, 0.0),
        cost=np.full((n, arms), cost),
        predicted=(means, means * worth),
        cycle=np.zeros(n),
        true=true * worth - cost,
    )

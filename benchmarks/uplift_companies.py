"""Companies whose true effects are known: drawn here with all causes in the features, and the
package's own simulated one.

The drawn companies have twelve features, three of which mean nothing. The log-odds of leaving are a
sum over features and pairs; an offer adds a shift to those of staying. Where effects differ, the
shift of each offer hangs on features of its own, and some customers are harmed; where effects go
with risk, it is the same for all.
"""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from scipy.special import expit

from research.data import fetch, load
from research.study import load_study
from research.uplift.doubly_robust import Sample, make_sample
from research.uplift.policy.case import find_costs
from research.uplift.policy.true_effects import load_true_effects
from research.uplift.trials import RANDOMISED, Trial, load_randomised

Array = np.ndarray
DIFFERING, PROPORTIONAL, GENERATED = (
    "effects differ",
    "effects go with risk",
    "the package's company",
)
ARMS, SHARES, COSTS = ("control", "call", "discount"), (1 / 3, 1 / 3, 1 / 3), (4.0, 12.0)
FEATURES = [
    "tenure",
    "use",
    "trend",
    "tickets",
    "late",
    "fee",
    "age",
    "noise",
    "dice",
    "plan",
    "channel",
    "region",
]
NEXT_TO_NOTHING = 0.01  # what an offer costs where no policy shall earn and none lose
VALUE_MONTHS = 8.0  # monthly fees that a customer brings if kept
DEMO, STUDY = Path(__file__).resolve().parents[1] / "data" / "demo", "uplift_company"
COMPANY = {"customers": 40_000, "months": 24, "seed": 1}
FEE, MARGIN, MONTHS, DISCOUNT, ADD_ON = (
    15.0,
    0.7,
    12,
    0.85,
    15.0,
)  # of the generated company: what is kept of a year's fees, and of add-on lines


def draw_features(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return twelve features of n customers: numbers with a common cause, three categories, and a
    region, a number and dice that mean nothing.
    """
    engaged = rng.normal(size=n)
    numbers = {
        "tenure": rng.gamma(2.0, 12.0, n),
        "use": np.exp(1.5 + 0.6 * engaged + 0.6 * rng.normal(size=n)),
        "trend": 0.4 * engaged + rng.normal(size=n),
        "tickets": rng.poisson(np.exp(-0.4 - 0.3 * engaged + 0.5 * rng.normal(size=n))).astype(
            float
        ),
        "late": rng.poisson(0.6, n).astype(float),
        "fee": np.exp(3.0 + 0.5 * rng.normal(size=n)),
        "age": rng.uniform(18, 80, n),
        "noise": rng.normal(size=n),
        "dice": rng.integers(1, 7, n).astype(float),
    }
    texts = {
        "plan": rng.choice(["basic", "plus", "family"], n, p=[0.5, 0.3, 0.2]),
        "channel": rng.choice(["web", "shop", "friend"], n, p=[0.5, 0.3, 0.2]),
        "region": rng.choice([*"nesw"], n),
    }
    return pd.DataFrame(numbers | texts)[FEATURES]


def find_leaving(rows: pd.DataFrame) -> Array:
    """Return the log-odds of leaving without an offer: about a quarter of the customers leave."""
    use, young = np.log(rows.use) - 1.5, rows.tenure < 12
    steady = -1.9 - 0.5 * use - 0.4 * rows.trend + 0.35 * rows.tickets + 0.9 * young
    return (
        steady
        + 0.3 * (rows.plan == "basic")
        - 0.4 * (rows.channel == "friend")
        + 0.4 * young * (rows.trend < 0)
    ).to_numpy()


def find_shifts(rows: pd.DataFrame, kind: str) -> Array:
    """Return what each offer adds to the log-odds of staying: (rows, offers).

    ``effects differ``: a call helps customers who asked for help, and harms older ones and those
    who use little; a discount helps those who pay late or much, and harms friends of customers.
    """
    if kind == PROPORTIONAL:
        return np.tile([0.35, 0.6], (len(rows), 1))
    use, dear = np.log(rows.use) - 1.5, (np.log(rows.fee) - 3.0) / 0.5
    call = 0.1 + 0.8 * (rows.tickets > 0) - 0.6 * (rows.age > 60) + 0.4 * use
    discount = 0.2 + 0.5 * rows.late.clip(upper=2) + 0.3 * dear - 0.8 * (rows.channel == "friend")
    return np.column_stack([call, discount])


def draw_company(n: int, kind: str, seed: int) -> tuple[Trial, Array, Array]:
    """Return a randomised trial, the true effect of every offer on staying, (rows, offers), and
    the value of each customer.
    """
    rng = np.random.default_rng([seed, n])
    rows = draw_features(n, rng)
    stay = expit(
        np.column_stack([np.zeros(n), find_shifts(rows, kind)]) - find_leaving(rows)[:, None]
    )
    arm = rng.choice(len(ARMS), n, p=SHARES)
    kept = (rng.random(n) < stay[np.arange(n), arm]).astype(float)
    rows = rows.assign(
        customer_id=np.arange(n),
        trial="drawn",
        arm=np.array(ARMS)[arm],
        cost=np.array([0.0, *COSTS])[arm],
        kept=kept,
        varies=False,
    )
    rows = rows.assign(propensity=rows.arm.map(rows.arm.value_counts(normalize=True)))
    return (
        Trial(rows, FEATURES, {"kept": "stays"}, RANDOMISED, pd.DataFrame()),
        stay[:, 1:] - stay[:, :1],
        VALUE_MONTHS * rows.fee.to_numpy(),
    )


def draw_alike(n: int, offers: int, effect: float, seed: int) -> tuple[Trial, Array, Array]:
    """Return the same of a company whose offers cost next to nothing, and all have the same effect
    on everybody, in the probability to stay.
    """
    rng = np.random.default_rng([seed, n, offers])
    rows, names = draw_features(n, rng), ["control", *(f"offer {one}" for one in range(offers))]
    stay = np.clip(expit(-find_leaving(rows)), 0, 1 - effect)
    arm = rng.integers(0, offers + 1, n)
    rows = rows.assign(
        customer_id=np.arange(n),
        trial="alike",
        arm=np.array(names)[arm],
        cost=np.where(arm > 0, NEXT_TO_NOTHING, 0.0),
        kept=(rng.random(n) < stay + effect * (arm > 0)).astype(float),
        varies=False,
    )
    rows = rows.assign(propensity=rows.arm.map(rows.arm.value_counts(normalize=True)))
    return (
        Trial(rows, FEATURES, {"kept": "stays"}, RANDOMISED, pd.DataFrame()),
        np.full((n, offers), effect),
        VALUE_MONTHS * rows.fee.to_numpy(),
    )


def load_generated(scratch: Path) -> tuple[Trial, Array]:
    """Return the randomised trials of the generated company and their true effects; generated
    unless they are in the scratch folder.
    """
    path, home = scratch / "generated.pkl", scratch / "home"
    if not path.exists():
        folder = home / "data" / STUDY
        folder.mkdir(parents=True, exist_ok=True)
        for file in DEMO.glob("*.sql"):
            (folder / file.name).write_text(file.read_text())
        (folder / "study.yml").write_text(
            yaml.safe_dump(
                yaml.safe_load((DEMO / "study.yml").read_text()) | {"simulate": COMPANY},
                sort_keys=False,
            )
        )
        subprocess.run(
            [sys.executable, __file__, str(path)],
            check=True,
            env={**os.environ, "RESEARCH_HOME": str(home)},
        )
    return pickle.loads(path.read_bytes())


def main() -> None:
    """Generate the company and write its trials."""
    study = load_study(STUDY)
    fetch.fetch(study)
    trial = load_randomised(load.load_tables(study), study)
    Path(sys.argv[1]).write_bytes(pickle.dumps((trial, load_true_effects(trial, study))))


def take_company(generated: tuple[Trial, Array], n: int, seed: int) -> tuple[Trial, Array, Array]:
    """Return about n assignments of customers drawn at random, their true effects and the value
    of each customer.
    """
    trial, true = generated
    customers = np.random.default_rng(seed).permutation(trial.rows.customer_id.unique())
    inside = trial.rows.customer_id.isin(
        customers[: round(len(customers) * n / len(trial.rows))]
    ).to_numpy()
    rows = trial.rows[inside].reset_index(drop=True)
    value = rows.monthly_fee.fillna(FEE) * MARGIN * MONTHS * DISCOUNT + ADD_ON
    return (
        Trial(rows, trial.features, trial.outcomes, trial.assignment, trial.counts),
        true[inside],
        value.to_numpy(),
    )


def make_company_sample(trial: Trial) -> tuple[Sample, Array, Array]:
    """Return the sample of staying, what every offer costs each row, and what each row's own arm
    cost.
    """
    sample = make_sample(trial, "kept")
    # the prices of the study aren't asked: the trial knows its own
    return sample, *find_costs(trial, sample, load_study("demo"))


if __name__ == "__main__":
    main()

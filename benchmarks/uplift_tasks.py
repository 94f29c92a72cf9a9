"""The randomised campaign that effects are compared on: its rows, and the halves in which the
package and other libraries learn and are judged.

    RESEARCH_MIRROR=<folder of the real files> python benchmarks/uplift_tasks.py <folder>

writes rows and splits for ``uplift_peers.py`` and prints the line that starts it. The features are
those known before the campaign; ``history_segment`` only repeats ``history`` in seven bins and
stays out.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from research.errors import StudyError

CONTROL = "control"
ARMS = {"No E-Mail": CONTROL, "Mens E-Mail": "mens", "Womens E-Mail": "womens"}
OUTCOMES = ("visit", "spend")
NUMBERS, TEXTS = ("recency", "history", "mens", "womens", "newbie"), ("zip_code", "channel")
REPEATS, SEED = 50, 0
Halves = list[tuple[np.ndarray, np.ndarray]]


def load_campaign() -> pd.DataFrame:
    """Return the campaign of Hillstrom (2008), one row per customer in the order of its file.

    Returns
    -------
    frame with the columns of ``list_features``, arm, visit (0 or 1) and spend (dollars in two
    weeks)
        Texts are one column per value, of 0.0 and 1.0; ``arm`` is one of ``ARMS``.

    Raises
    ------
    StudyError
        If the mirror doesn't hold the file.
    """
    path = Path(os.environ.get("RESEARCH_MIRROR", "")) / "hillstrom" / "hillstrom.csv"
    if not path.is_file():
        raise StudyError(
            f"expected the file hillstrom/hillstrom.csv, got nothing at {path}; set"
            " RESEARCH_MIRROR to the folder of the real files"
        )
    raw = pd.read_csv(path)
    features = pd.get_dummies(raw[[*NUMBERS, *TEXTS]], columns=[*TEXTS], dtype=float).astype(float)
    return features.assign(
        arm=raw.segment.map(ARMS), visit=raw.visit.astype(float), spend=raw.spend
    )


def list_features(rows: pd.DataFrame) -> list[str]:
    """Return the columns that every contender gets."""
    return [*rows.columns.drop(["arm", *OUTCOMES])]


def split_halves(arm: np.ndarray, repeats: int = REPEATS, seed: int = SEED) -> Halves:
    """Return the rows to learn from and the rows that judge, in halves drawn again for each repeat.

    Every arm is halved by itself; the odd customer of an arm judges. A repeat's halves depend on
    ``seed`` and its number alone, so that fewer repeats are the first of more.

    Parameters
    ----------
    arm : array (customers,)
        Arm of each customer, by any name.

    Returns
    -------
    list of (learn, judge), each an array of row positions, rising
    """
    codes, halves = np.unique(arm, return_inverse=True)[1], []
    for repeat in range(repeats):
        shuffled = np.random.default_rng([seed, repeat]).permutation(len(codes))
        in_arms = [shuffled[codes[shuffled] == code] for code in range(codes.max() + 1)]
        learn, judge = zip(
            *((rows[: len(rows) // 2], rows[len(rows) // 2 :]) for rows in in_arms), strict=True
        )
        halves.append((np.sort(np.concatenate(learn)), np.sort(np.concatenate(judge))))
    return halves


def write_campaign(rows: pd.DataFrame, halves: Halves, scratch: Path) -> dict:
    """Write rows and splits for other libraries, and return the request for
    ``uplift_peers.py``.
    """
    paths = {
        "rows": scratch / "uplift-rows.parquet",
        "splits": scratch / "uplift-splits.parquet",
        "out": scratch / "uplift-effects",
    }
    rows.to_parquet(paths["rows"], index=False)
    learned = np.concatenate([learn for learn, _ in halves])
    numbers = np.repeat(np.arange(len(halves)), [len(learn) for learn, _ in halves])
    pd.DataFrame({"split": numbers.astype("int16"), "row": learned.astype("int32")}).to_parquet(
        paths["splits"], index=False
    )
    facts = {
        "features": list_features(rows),
        "outcomes": list(OUTCOMES),
        "control": CONTROL,
        "jobs": 2,
    }
    return {name: str(path) for name, path in paths.items()} | facts


def main() -> None:
    """Write what other libraries are given."""
    scratch = Path(sys.argv[1]).resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    rows = load_campaign()
    spec = write_campaign(rows, split_halves(rows.arm.to_numpy()), scratch)
    print(
        "OMP_NUM_THREADS=1 .venv-bench/uplift/bin/python benchmarks/uplift_peers.py"
        f" '{json.dumps(spec)}'"
    )


if __name__ == "__main__":
    main()

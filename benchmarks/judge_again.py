"""Judge the committed figures of scores, effects and value by today's rule, without a run.

    python benchmarks/judge_again.py

Reads ``SCORES.md``, ``UPLIFT.md`` and ``VALUE.md``, keeps every figure, and writes the verdicts
that follow from what is printed. Where a verdict needs more than that, as the results of single
parts or runs, it is inconclusive until measured again.
"""

import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import score_sections
import scores
import survival_tasks
import tasks
import uplift
import uplift_halves
import uplift_placebo
import uplift_profit
from score_sections import BOOSTING, INTERPRETABLE, OWN
from uplift_companies import DIFFERING, GENERATED
from uplift_tasks import OUTCOMES
from verdicts import INCONCLUSIVE, Interval, compute_share_interval

from research.uplift.policy.policies import NET_GAIN

FOLDER = Path(__file__).parent
CARRIED = "Nadeau & Bengio"
GAPS = re.compile(r"by ([−\d.]+(?:, [−\d.]+)*) points")
AGAIN = f"{INCONCLUSIVE} until measured again"
VERDICT = re.compile(r"\b(met|missed|inconclusive|not measured|not judged)\b")
NUMBER = re.compile(r"[−-]?\d[\d,]*\.?\d*")
DRAWN, MADE = "Companies with all causes in the features", "The package's simulated company"


def read_sections(text: str) -> list[dict]:
    """Return the sections of a written file: title, words, head, rows, remarks, facts."""
    return [_read_section(part) for part in text.split("\n## ")[1:]]


def _read_section(text: str) -> dict:
    title, *lines = text.strip().split("\n")
    table = [line for line in lines if line.startswith("|")]
    cells = [tuple(cell.strip() for cell in line.split(" | ")) for line in map(_strip, table)]
    prose = "\n".join(line for line in lines if not line.startswith("|"))
    words, *entries = re.split(r"\n- ", prose)
    entries = [" ".join(entry.split()) for entry in entries]
    return {
        "title": title,
        "words": " ".join(words.split()),
        "head": cells[0] if cells else (),
        "rows": cells[2:],
        "remarks": entries[:-1],
        "facts": entries[-1],
    }


def _strip(line: str) -> str:
    # the last cell may be empty
    return line.removeprefix("|").removesuffix("|").replace("|---", " | ---")


def read_interval(cell: str) -> Interval:
    """Return the numbers of a cell such as ``−0.0011 (−0.0028 to 0.0006)``; no interval where it
    has none.
    """
    numbers = [float(one.replace("−", "-").replace(",", "")) for one in NUMBER.findall(cell)]
    return (*numbers, np.nan, np.nan)[:3]


def _keep_other(section: dict, told: list[str]) -> list[str]:
    return [*told, *(one for one in section["remarks"] if not VERDICT.search(one))]


def judge_task(section: dict, task: tasks.Task) -> dict:
    """Return a task of ``SCORES.md`` judged again, unless its intervals carry the noise of
    training.
    """
    if CARRIED in section["words"]:
        return section
    printed = {
        row[0]: {
            "auc": read_interval(row[2])[0],
            "log_loss": read_interval(row[3])[0],
        }
        for row in section["rows"]
    }
    told = [
        score_sections.describe_peer(OWN, peer, *_subtract(printed, OWN, peer))
        for peer in task.peers
    ]
    blank = {name: (value, np.nan, np.nan) for name, value in printed[INTERPRETABLE].items()}
    told.append(
        score_sections.describe_published_bound(task, blank)
        if task.auc
        else f"{INTERPRETABLE} closes at least half the gap from {tasks.PLAIN} to {BOOSTING}:"
        f" {INCONCLUSIVE}; it goes {_share(printed, 'auc'):.0%} of the way in AUC,"
        f" {_share(printed, 'log_loss'):.0%} in log-loss."
    )
    told = [one.replace(INCONCLUSIVE, AGAIN) for one in told]
    kept = [one for one in _keep_other(section, told) if " minus " not in one]
    return section | {"remarks": kept}


def _subtract(printed: dict, own: str, peer: str) -> tuple[dict[str, Interval], dict[str, float]]:
    differences = {
        score: (printed[own][score] - other, np.nan, np.nan)
        for score, other in printed[peer].items()
    }
    return differences, printed[peer]


def _share(printed: dict, score: str) -> float:
    plain = printed[tasks.PLAIN][score]
    return (printed[INTERPRETABLE][score] - plain) / (printed[BOOSTING][score] - plain)


def judge_survival(section: dict) -> dict:
    """Return a survival task judged again, unless its intervals carry the noise of training."""
    if CARRIED in section["words"]:
        return section
    # a flat study is judged in parts, which aren't printed
    word = AGAIN if "units of duration" in section["words"] else survival_tasks.SINGLE
    score = survival_tasks.INTEGRATED[0]
    printed = {row[0]: {score: read_interval(row[2])[0]} for row in section["rows"]}
    own = survival_tasks.BOOSTED
    told = [
        score_sections.describe_peer(own, peer, *_subtract(printed, own, peer)).replace(
            INCONCLUSIVE, word
        )
        for peer in survival_tasks.PEERS
        if peer in printed
    ]
    return section | {"remarks": _keep_other(section, told)}


def judge_peers(section: dict, means: dict, outcome: str) -> dict:
    """Return effects against each peer judged again, by the printed intervals and means."""
    columns = means["head"].index(uplift_halves.JUDGED[0])
    theirs = {
        row[0]: dict(
            zip(
                uplift_halves.JUDGED,
                (read_interval(cell)[0] for cell in row[columns:]),
                strict=True,
            )
        )
        for row in means["rows"]
        if row[1] == "peer"
    }
    rows = [
        (
            peer,
            int(splits),
            dict(zip(uplift_halves.SCORES, map(read_interval, cells), strict=True)),
            theirs[peer],
        )
        for peer, splits, *cells, _ in section["rows"]
    ]
    return section | asdict(uplift_halves.tabulate_differences(rows, outcome))


def judge_placebo(section: dict) -> dict:
    """Return the placebos judged again, from the counts of verdicts."""
    _, *counts, _ = section["rows"][0]
    kinds = (uplift_placebo.NO_EFFECT, uplift_placebo.SAME_EFFECT, uplift_placebo.EFFECTS_DIFFER)
    verdicts = [kind for kind, count in zip(kinds, counts, strict=True) for _ in range(int(count))]
    return section | asdict(uplift_placebo.placebo_section(verdicts))


def judge_shares(section: dict, better: tuple[str, ...]) -> dict:
    """Return shares of the oracle judged again, unless the leads have intervals."""
    found = [GAPS.search(remark) for remark in section["remarks"]]
    gaps = {
        kind: one[1].split(", ") for kind, one in zip(better, filter(None, found), strict=False)
    }
    if not gaps:
        return section
    head = section["head"]
    rows = [dict(zip(head, row, strict=True)) for row in section["rows"]]
    own = f"{NET_GAIN} (standard error)"
    facts = pd.DataFrame(
        {
            "n": [int(row["seeds"]) for row in rows],
            "mean": [read_interval(row[own])[0] / 100 for row in rows],
            "error": [read_interval(row[own])[1] / 100 for row in rows],
        },
        index=pd.MultiIndex.from_arrays(
            [
                [row["company"] for row in rows],
                [int(row["assignments"].replace(",", "")) for row in rows],
            ],
            names=["kind", "size"],
        ),
    )
    facts = facts.assign(gap=np.nan, gap_error=np.nan)
    for kind, printed in gaps.items():
        facts.loc[kind, "gap"] = [read_interval(gap)[0] / 100 for gap in printed]
    told = [
        one.replace(INCONCLUSIVE, AGAIN) if "by risk at every size" in one else one
        for one in uplift_profit.describe_bounds(facts, better)
    ]
    return section | {"remarks": _keep_other(section, told)}


def judge_coverage(section: dict) -> dict:
    """Return the coverage judged again, by the exact interval of the printed share."""
    told = []
    for kind, n, share, *_ in section["rows"]:
        inside = round(read_interval(share)[0] / 100 * int(n))
        told.append(uplift_profit.describe_coverage(kind, compute_share_interval(inside, int(n))))
    return section | {"remarks": _keep_other(section, told)}


def judge_scores(by_title: dict[str, dict]) -> dict[str, dict]:
    """Return the sections of ``SCORES.md`` by name, judged again."""
    judges: dict[str, tuple[str, Callable[[dict], dict]]] = {
        name: (task.title, lambda section, task=task: judge_task(section, task))
        for name, task in tasks.TASKS.items()
    }
    judges |= {
        name: (f"Survival, {name.removeprefix('survival-')}", judge_survival)
        for name in scores.SURVIVAL
    }
    judges |= {
        "hazard": ("Speed of the boosted hazard", lambda section: section),
        "million": ("A million customers", lambda section: section),
    }
    return {name: judge(by_title[title]) for name, (title, judge) in judges.items()}


def judge_uplift(by_title: dict[str, dict]) -> dict[str, dict]:
    """Return the sections of ``UPLIFT.md`` by name, judged again."""
    sections = {}
    for outcome in OUTCOMES:
        title = f"Hillstrom, {outcome}"
        sections[outcome] = by_title[title]
        sections[f"{outcome} against peers"] = judge_peers(
            by_title[f"{title}: against each peer"], by_title[title], outcome
        )
    return sections | {
        "placebo": judge_placebo(by_title["Placebo"]),
        "drawn": judge_shares(by_title[DRAWN], (DIFFERING,)),
        "generated": judge_shares(by_title[MADE], (GENERATED,)),
        "coverage": judge_coverage(by_title["Coverage of the interval of profit"]),
    }


def judge_value(text: str) -> str:
    """Return ``VALUE.md`` judged again: one run doesn't show by how much runs differ."""
    return text if " runs." in " ".join(text.split()) else text.replace("| met |", f"| {AGAIN} |")


def main() -> None:
    """Read, judge and write the files."""
    value = FOLDER / "VALUE.md"
    value.write_text(judge_value(value.read_text()))
    for name, judge, write in (
        ("SCORES.md", judge_scores, scores.write_scores),
        ("UPLIFT.md", judge_uplift, uplift.write_uplift),
    ):
        path = FOLDER / name
        sections = read_sections(path.read_text())
        write(path, judge({section["title"]: section for section in sections}))


if __name__ == "__main__":
    main()

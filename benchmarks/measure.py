"""Run contenders in processes of their own, in turn, and compare them run by run."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent


class Failed(Exception):
    """A contender that didn't finish, with the last line of its error."""


@dataclass(frozen=True)
class Runner:
    """The project of contenders, the folder of what they make, and idle seconds before each."""

    home: Path
    scratch: Path
    rest: int = 0

    def run(
        self,
        contender: str,
        python: Path = Path(sys.executable),
        script: str = "contender.py",
        **spec,
    ) -> dict:
        """Run a contender and return its facts, with the seconds of the whole process."""
        out = self.scratch / f"{contender.replace(', ', '-').replace(' ', '-')}.parquet"
        spec = {"contender": contender, "out": str(out)} | spec
        print(
            f"{time.strftime('%H:%M:%S')} {contender}: {spec.get('study', '')},"
            f" {len(spec.get('snapshots', []))} snapshots",
            end=" ",
            flush=True,
        )
        time.sleep(self.rest)
        facts = _run(
            [str(python), str(HERE / script), json.dumps(spec)],
            {**os.environ, "RESEARCH_HOME": str(self.home)},
        )
        print(
            f"{facts.get('features_seconds', facts['process_seconds']):.1f} s,"
            f" {facts['peak_gb']:.2f} GB",
            flush=True,
        )
        return facts | {"out": str(out)}

    def agree(self, first: dict, second: dict) -> list[str]:
        """Return in which columns two results differ."""
        return self.run("agreement", files=[first["out"], second["out"]])["differences"]


def _run(command: list[str], environment: dict[str, str]) -> dict:
    began = time.monotonic()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    output, error = process.communicate()
    seconds = time.monotonic() - began
    if process.returncode:
        raise Failed(
            " ".join(error.strip().splitlines()[-1:]) or f"ended with {process.returncode}"
        )
    return json.loads(output.strip().splitlines()[-1]) | {"process_seconds": seconds}


def middle(runs: list[dict], fact: str) -> float:
    """Return the median of a fact over runs."""
    return median(run[fact] for run in runs)


def compare(over: list[dict], under: list[dict], fact: str) -> tuple[float, float, float]:
    """Return the median, lowest and highest ratio of a fact between runs of the same turn."""
    ratios = [a[fact] / b[fact] for a, b in zip(over, under, strict=True)]
    return median(ratios), min(ratios), max(ratios)

"""Generated companies to measure on, and a throw-away project with a study of each; both kept in
the scratch folder and used again.
"""

import json
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
EVENTS = ("orders", "usage", "contacts", "feedback", "referrals", "campaigns")
SNAPSHOT = "2025-09-25"  # as in the demo: its label window closes on the last day of the data


def make_company(customers: int, scratch: Path) -> tuple[Path, dict[str, int]]:
    """Return the folder of a company of 24 months, generated unless it is there, and the rows of
    its tables.
    """
    folder = scratch / f"company-{customers}"
    counts = (
        scratch / f"company-{customers}.json"
    )  # written last: without it the folder isn't whole
    if not counts.exists():
        subprocess.run(["rm", "-rf", folder], check=True)
        request = [
            "--customers",
            str(customers),
            "--months",
            "24",
            "--seed",
            "0",
            "--out",
            str(folder),
        ]
        done = subprocess.run(
            [sys.executable, "-m", "research.cli", "simulate", *request],
            check=True,
            capture_output=True,
            text=True,
        )
        rows = {
            line.split()[0]: int(line.split()[1].replace(",", ""))
            for line in done.stdout.splitlines()[:-1]
        }
        counts.write_text(json.dumps(rows))
    return folder, json.loads(counts.read_text())


def count_events(rows: dict[str, int]) -> int:
    """Return the rows of all event tables together."""
    return sum(rows[name] for name in EVENTS)


def write_study(company: Path, home: Path, memory_gb: float | None = None) -> str:
    """Write the demo's study over a company's files, without sentiment, whose features come from a
    model; return its name.
    """
    name = f"{company.name.replace('-', '_')}{'_small' if memory_gb else ''}"
    demo, folder = ROOT / "data" / "demo", home / "data" / name
    folder.mkdir(parents=True, exist_ok=True)
    for path in demo.glob("*.sql"):
        (folder / path.name).write_text(path.read_text())
    definition = yaml.safe_load((demo / "study.yml").read_text()) | {
        "features": {"sentiment": False}
    }
    definition.pop("simulate", None)
    definition["sources"] = {
        name: {"file": f"{company}/{source['file']}"}
        for name, source in definition["sources"].items()
    }
    definition["engine"] = {"kind": "duckdb", **({"memory_gb": memory_gb} if memory_gb else {})}
    (folder / "study.yml").write_text(yaml.safe_dump(definition, sort_keys=False))
    return name

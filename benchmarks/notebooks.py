"""Measure what the notebooks of the demo cost: ``notebooks.py [--before REVISION] [--command]``.

Each notebook runs as a script in a process of its own, in a copy of the project without anything
kept (empty) and once more (warm), and with ``--before`` in a copy of an earlier revision. CPU is
that of the process and its workers, memory the largest of any of them. With ``--command`` also the
seconds of `research run`: to the first page, of one job at a time against two, with nothing
changed, and after a change in the last cell of the last notebook. One run of each.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pandas", "numpy", "scikit-learn", "lightgbm", "duckdb", "joblib")
CELLS = """
import json, resource, sys
import matplotlib
matplotlib.use("agg")
cells = json.loads(open(sys.argv[1], encoding="utf-8").read())["cells"]
names = {"__name__": "__main__", "display": lambda *shown: None}
for cell in cells:
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), sys.argv[1], "exec"), names)
        matplotlib.pyplot.close("all")
from joblib.externals.loky import get_reusable_executor
get_reusable_executor().shutdown(wait=True)
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps({
    "cpu_s": sum(each.ru_utime + each.ru_stime for each in used),
    "peak_gb": max(each.ru_maxrss for each in used) / 2**20,
}))
"""


def main() -> None:
    """Measure, and print one table of notebooks and one of the command."""
    options = _read_options()
    print(_describe_machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="notebooks-") as folder:
        now = _copy_project(Path(folder) / "now", "HEAD")
        before = options.before and _copy_project(Path(folder) / "before", options.before)
        rows = [_measure(name, now, before or None) for name in options.only]
        print(pd.DataFrame(rows).round(2).to_string(index=False), flush=True)
        if options.command:
            print(pd.DataFrame(_measure_command(now, options.only)).round(1).to_string(index=False))


def _read_options() -> argparse.Namespace:
    names = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", default="", help="a revision to compare with")
    parser.add_argument("--only", nargs="+", choices=names, default=names[:-1])
    parser.add_argument("--command", action="store_true", help="measure the command too")
    return parser.parse_args()


def _describe_machine() -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}"


def _copy_project(folder: Path, revision: str) -> Path:
    """Write a revision of the project, with the demo's raw files where they are there."""
    folder.mkdir()
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", revision], check=True, capture_output=True
    ).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    if (ROOT / "data" / "demo" / "raw").is_dir():
        raw = folder / "data" / "demo" / "raw"
        shutil.copytree(ROOT / "data" / "demo" / "raw", raw, dirs_exist_ok=True)
    return folder


def _measure(name: str, now: Path, before: Path | None) -> dict:
    """Return CPU and memory of one notebook: before, with nothing kept, and once more."""
    shutil.rmtree(now / ".store", ignore_errors=True)
    empty, warm = _run_cells(now, name), _run_cells(now, name)
    row = {"notebook": name, "cpu_s": empty["cpu_s"], "peak_gb": empty["peak_gb"]}
    row |= {"warm_cpu_s": warm["cpu_s"], "warm_ratio": empty["cpu_s"] / warm["cpu_s"]}
    if before:
        old = _run_cells(before, name)
        row |= {"before_cpu_s": old["cpu_s"], "before_peak_gb": old["peak_gb"]}
        row |= {"ratio": old["cpu_s"] / empty["cpu_s"]}
    return row


def _run_cells(project: Path, name: str) -> dict:
    ended = subprocess.run(
        [sys.executable, "-c", CELLS, str(project / "notebooks" / f"{name}.ipynb")],
        env=_make_environment(project),
        cwd=project / "notebooks",
        capture_output=True,
        text=True,
    )
    if ended.returncode:  # it doesn't apply, or failed: what it cost is no measure
        print(f"{name}: {ended.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return {"cpu_s": float("nan"), "peak_gb": float("nan")}
    return json.loads(ended.stdout.splitlines()[-1])


def _make_environment(project: Path) -> dict[str, str]:
    own = {"RESEARCH_HOME": str(project), "PYTHONPATH": str(project / "src")}
    return {**os.environ, "PYTHONHASHSEED": "0"} | own


def _measure_command(project: Path, names: list[str]) -> list[dict]:
    """Return the seconds of a few batches, each with what the ones before it left."""
    listed = ", ".join(names)
    (project / "reports" / "plan.yml").write_text(f"notebooks: [{listed}]\nstudies: {{demo: {{}}}}")
    rows = []
    for jobs in (1, 2):
        for folder in (project / ".store", project / "reports" / "demo"):
            shutil.rmtree(folder, ignore_errors=True)
        first, whole = _run_batch(project, jobs)
        rows.append({"batch": f"everything, {jobs} at a time", "seconds": whole})
        rows.append({"batch": f"first page, {jobs} at a time", "seconds": first})
    rows.append({"batch": "nothing changed", "seconds": _run_batch(project, 2)[1]})
    _change_last_cell(project / "notebooks" / f"{names[-1]}.ipynb")
    whole = _run_batch(project, 2)[1]
    return [*rows, {"batch": f"last cell of {names[-1]} changed", "seconds": whole}]


def _run_batch(project: Path, jobs: int) -> tuple[float, float]:
    """Return the seconds until the first page is there, and until the batch has ended."""
    began, first = time.monotonic(), float("nan")
    process = subprocess.Popen(
        [sys.executable, "-m", "research.cli", "run", "demo", "--jobs", str(jobs)],
        env=_make_environment(project),
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None:
        if first != first and any((project / "reports" / "demo").glob("*/*.html")):
            first = time.monotonic() - began
        time.sleep(0.05)
    return first, time.monotonic() - began


def _change_last_cell(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    code[-1]["source"] = [*code[-1]["source"], "\n"]
    path.write_text(json.dumps(notebook), encoding="utf-8")


if __name__ == "__main__":
    main()

"""One contender in a process of its own: loads tables, makes features under a clock, writes them.

    python benchmarks/contender.py '{"contender": "package", "study": ..., "company": ...,
    "snapshots": [...], "labels": ..., "out": ...}'

Prints one line of JSON: seconds and CPU seconds of loading, of the features and of writing, with
rows and columns.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# ru_maxrss: bytes there, kilobytes elsewhere
TO_GB = 1024**3 if sys.platform == "darwin" else 1024**2


class Clock:
    """Seconds and CPU seconds of the parts of a run, by name."""

    def __init__(self):
        self.facts: dict[str, float] = {}

    def time(self, name: str, work: Callable[[], Any]) -> Any:
        """Run something and note what it took."""
        began, before = time.monotonic(), _cpu_seconds()
        result = work()
        self.facts |= {
            f"{name}_seconds": time.monotonic() - began,
            f"{name}_cpu_seconds": _cpu_seconds() - before,
        }
        return result


def measure_peak_gb() -> float:
    """Return the peak memory of this process, loading included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / TO_GB


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _prepare(spec: dict, clock: Clock):
    """Load the tables, with data checks if asked, and the labelled population of all contenders."""
    from research.data import engines, load
    from research.panel import splits
    from research.study import load_study

    study, days = load_study(spec["study"]), [date.fromisoformat(day) for day in spec["snapshots"]]
    tables = clock.time(
        "load", lambda: (load.load_tables if spec.get("checked") else load.adapt)(study)
    )
    evidence, labels = clock.time("label", lambda: splits.label_panel(tables, study, days))
    labels = clock.time("label", lambda: engines.keep(labels, "labels"))
    if spec.get("labels"):
        labels.to_pandas().to_parquet(spec["labels"], index=False)
    return study, tables, evidence, labels


def run_package(spec: dict, clock: Clock) -> tuple[int, int]:
    """Features by the package, as the frame that models take."""
    from research.features import build

    study, _, evidence, labels = _prepare(spec, clock)
    frame = clock.time("features", lambda: build.load_features(evidence, labels, study))
    if spec.get("write", True):
        clock.time("write", lambda: frame.to_parquet(spec["out"], index=False))
    return frame.shape


def run_file(spec: dict, clock: Clock) -> tuple[int, int]:
    """The same to a Parquet file, part by part: a panel too large for a frame needs no frame."""
    from research.data import load
    from research.features import build
    from research.study import load_study

    study, days = load_study(spec["study"]), [date.fromisoformat(day) for day in spec["snapshots"]]
    tables = clock.time("load", lambda: load.adapt(study))
    clock.time("features", lambda: build.write_panel(tables, study, days, Path(spec["out"])))
    return _measure_file(spec["out"])


def _measure_file(path: str) -> tuple[int, int]:
    from pyarrow import parquet

    facts = parquet.read_metadata(path)
    return facts.num_rows, facts.num_columns


def prepare_by_hand(tables: dict, labels: Any, snapshot: str):
    """Return the connection in which ``by_hand.sql`` finds its tables."""
    backend = labels.get_backend()
    for name, table in {**tables, "labels": labels}.items():
        backend.create_view(name, table, overwrite=True)
    backend.con.execute(f"SET VARIABLE day = TIMESTAMP '{snapshot}'")
    return backend.con


def run_by_hand(spec: dict, clock: Clock) -> tuple[int, int]:
    """Features by the SQL of ``by_hand.sql``, in the package's own connection and tables."""
    _, tables, _, labels = _prepare(spec, clock)
    connection = prepare_by_hand(tables, labels, spec["snapshots"][0])
    frame = clock.time(
        "features", lambda: connection.execute((HERE / "by_hand.sql").read_text()).df()
    )
    clock.time("write", lambda: frame.to_parquet(spec["out"], index=False))
    return frame.shape


def run_by_pandas(spec: dict, clock: Clock, numbered: bool = False) -> tuple[int, int]:
    """Features by pandas group-bys, from the company's files."""
    import by_pandas
    import numpy as np
    import pandas as pd

    tables = clock.time("load", lambda: by_pandas.read_tables(Path(spec["company"])))
    labels = pd.read_parquet(spec["labels"])
    frame = clock.time(
        "features",
        lambda: by_pandas.build_features(
            tables, labels, np.datetime64(spec["snapshots"][0]), numbered
        ),
    )
    clock.time("write", lambda: frame.to_parquet(spec["out"], index=False))
    return frame.shape


def run_numbered(spec: dict, clock: Clock) -> tuple[int, int]:
    """The same with customers numbered first."""
    return run_by_pandas(spec, clock, numbered=True)


def run_agreement(spec: dict, clock: Clock) -> tuple[int, int]:
    """Compare what two contenders wrote."""
    import agreement
    import pandas as pd

    first, second = (pd.read_parquet(path) for path in spec["files"])
    clock.facts["differences"] = agreement.find_differences(first, second)
    return first.shape


RUNS = {
    "package": run_package,
    "package, to a file": run_file,
    "by hand": run_by_hand,
    "pandas": run_by_pandas,
    "pandas, numbered": run_numbered,
    "agreement": run_agreement,
}


def main() -> None:
    """Run the contender that was asked for."""
    spec, clock = json.loads(sys.argv[1]), Clock()
    rows, columns = RUNS[spec["contender"]](spec, clock)
    print(
        json.dumps(clock.facts | {"rows": rows, "columns": columns, "peak_gb": measure_peak_gb()})
    )


if __name__ == "__main__":
    main()

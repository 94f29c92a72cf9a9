"""What models need of memory, estimated before they are fitted."""

from research.errors import StudyError

COLUMNS_PER_FEATURE = 7  # of a number on its spline, in single precision
COPIES = 4  # of such a matrix, while two models are fitted at a time
BYTES = 8  # of a value of a feature
READERS = 4  # of the rows: this process, two workers, and what is on its way to them
GIGABYTE = 1e9


def estimate_bytes(train_rows: int, test_rows: int, features: int) -> float:
    """Return about how many bytes models of so many rows and features need, besides the tables."""
    splines = train_rows * features * COLUMNS_PER_FEATURE * 4 * COPIES
    return splines + (train_rows + test_rows) * features * BYTES * READERS


def find_free_bytes() -> float:
    """Return how many bytes of memory are free; infinitely many where the system doesn't say."""
    try:
        with open("/proc/meminfo") as lines:
            sizes = dict(line.split(":") for line in lines)
        return 1024.0 * int(sizes["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return float("inf")


def require_memory(train_rows: int, test_rows: int, features: int) -> None:
    """Refuse rows for which the memory that is free isn't enough, before anything is fitted.

    Raises
    ------
    StudyError
        With what is needed, what there is, and the key that helps.
    """
    needed, free = estimate_bytes(train_rows, test_rows, features), find_free_bytes()
    if needed > free:
        raise StudyError(
            f"expected about {needed / GIGABYTE:.1f} GB of free memory to learn from"
            f" {train_rows:,} rows of {features} features and to score {test_rows:,}, got"
            f" {free / GIGABYTE:.1f} GB; lower snapshots.train_rows in study.yml, run one job at a"
            " time (--jobs 1), or use a machine with more memory"
        )

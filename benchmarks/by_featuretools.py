"""Features by featuretools with cutoff times: counts, sums, means, gaps, trends and recency.

Runs in an environment of its own (``requirements.txt``), in a process like those of
``contender.py`` and with the same one line of JSON.
"""

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

from contender import Clock, measure_peak_gb

READ = {
    "orders": ["customer_id", "ordered_at", "amount"],
    "usage": ["customer_id", "used_at", "amount"],
    "contacts": ["customer_id", "contacted_at", "complaint"],
    "feedback": ["customer_id", "given_at", "score"],
    "referrals": ["customer_id", "referred_at"],
    "campaigns": ["customer_id", "assigned_at", "cost"],
}
WINDOWS = (30, 90, 180, 365)
ROLLED, LONG, EVER = (
    ["count", "sum", "mean"],
    ["avg_time_between", "trend"],
    ["time_since_first", "time_since_last"],
)


def read_entities(company: Path, customers):
    """Return the customers' tables as an entity set; a row's own day is its time."""
    import featuretools
    import pandas as pd

    entities = featuretools.EntitySet("company")
    people = pd.read_parquet(company / "customers", columns=["customer_id", "joined_at"])
    entities.add_dataframe(
        people[people.customer_id.isin(customers)],
        "customers",
        index="customer_id",
        time_index="joined_at",
    )
    for name, columns in READ.items():
        rows = pd.read_parquet(company / name, columns=columns)
        rows = rows[rows.customer_id.isin(customers)].reset_index(drop=True)
        rows = rows.astype({"complaint": "float64"}) if "complaint" in rows else rows
        entities.add_dataframe(
            rows.assign(row=rows.index), name, index="row", time_index=columns[1]
        )
        entities.add_relationship("customers", "customer_id", name, "customer_id")
    return entities


def build_features(entities, cutoffs):
    """Return the features of every customer and cutoff, by window and over the whole history."""
    import featuretools
    import pandas as pd

    def calculate(primitives: list[str], window: str | None):
        table, _ = featuretools.dfs(
            entityset=entities,
            target_dataframe_name="customers",
            cutoff_time=cutoffs,
            training_window=window,
            agg_primitives=primitives,
            trans_primitives=[],
            max_depth=1,
            cutoff_time_in_index=True,
            n_jobs=1,
        )
        return table.add_suffix(f" {window or 'ever'}")

    rolled = [calculate(ROLLED, f"{days} days") for days in WINDOWS]
    return pd.concat(
        [*rolled, calculate(LONG, f"{max(WINDOWS)} days"), calculate(EVER, None)], axis=1
    )


def main() -> None:
    """Load, start the clock, compute, stop the clock, write."""
    import pandas as pd

    warnings.simplefilter("ignore")
    spec, clock = json.loads(sys.argv[1]), Clock()
    keys = pd.read_parquet(spec["labels"], columns=["customer_id", "snapshot"])
    entities = clock.time(
        "load", lambda: read_entities(Path(spec["company"]), set(keys.customer_id))
    )
    cutoffs = keys.assign(time=keys.snapshot + pd.Timedelta(days=1) - pd.Timedelta(microseconds=1))[
        ["customer_id", "time"]
    ]
    table = clock.time("features", lambda: build_features(entities, cutoffs))
    clock.time("write", lambda: table.to_parquet(spec["out"]))
    versions = {name: version(name) for name in ("featuretools", "pandas", "numpy")}
    print(
        json.dumps(
            clock.facts
            | {
                "rows": len(table),
                "columns": len(table.columns),
                "peak_gb": measure_peak_gb(),
                "versions": versions,
            }
        )
    )


if __name__ == "__main__":
    main()

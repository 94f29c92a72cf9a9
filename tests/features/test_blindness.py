"""Features are blind to the future: whatever may follow a snapshot is drawn anew, and every feature
stays equal to the bit.
"""

import os
from collections.abc import Iterator
from datetime import date

import ibis
import pandas as pd
import pyarrow as pa
import pytest
from cases import slow
from futures import Futures, futures
from hypothesis import HealthCheck, Phase, given, settings

from research.data.contracts import list_event_tables
from research.features import build
from research.features.attributes import build_attributes, build_stage, build_terms
from research.features.context import BuildContext
from research.features.custom_sql import build_custom_features
from research.features.events import build_events
from research.features.text import build_sentiment
from research.panel.evidence import evidence_as_of
from research.panel.labels import find_population
from research.panel.windows import KEYS
from research.study import Study

DAYS = [date(2024, 5, 31), date(2024, 6, 15), date(2024, 6, 30)]
EXAMPLES = int(os.environ.get("BLINDNESS_EXAMPLES", "5"))
FEW_AND_MANY = [1, slow(EXAMPLES)]
OWN = """
WITH ranked AS (
    SELECT customer_id, amount, ordered_at,
        row_number() OVER (PARTITION BY customer_id ORDER BY ordered_at DESC, amount) AS place
    FROM orders
),
bought AS (
    SELECT customer_id, sum(amount) AS own_sum, avg(amount) AS own_mean, stddev(amount) AS own_sd,
        max(place) AS own_lines, max(ordered_at) FILTER (place = 1) AS latest
    FROM ranked GROUP BY ALL
),
shares AS (
    SELECT customer_id, count(*) / sum(count(*)) OVER () AS own_share
    FROM usage GROUP BY customer_id
)
SELECT c.customer_id, own_sum, own_mean, own_sd, own_lines, own_share,
    date_diff('day', latest, c.snapshot) AS own_silence,
    (
        SELECT count(*) FROM contacts
        WHERE contacts.customer_id = c.customer_id AND resolved_at IS NULL
    ) AS own_open,
    string_agg(DISTINCT plan, ',' ORDER BY plan) AS own_plans, count(ended_at) AS own_ends,
    max(end_reason) AS own_reason, (SELECT max(score) FROM feedback) AS own_best,
    (SELECT count(DISTINCT campaign || arm) FROM campaigns) AS own_arms,
    (SELECT count(*) FROM customers) AS own_people,
    (SELECT count(*) FROM referrals) AS own_referrals
FROM customers AS c
LEFT JOIN bought USING (customer_id)
LEFT JOIN shares USING (customer_id)
LEFT JOIN contracts USING (customer_id)
GROUP BY ALL
"""


class Bench:
    """A company's features as views over tables that are replaced from example to example:
    expressions are built once.
    """

    def __init__(self, study: Study):
        self.study, self.backend, self._views = study, ibis.duckdb.connect(threads=1), {}

    def fill(self, tables: dict[str, pa.Table]) -> None:
        for name, frame in tables.items():
            self.backend.con.register("frame", frame)
            self.backend.raw_sql(f'CREATE OR REPLACE TABLE "{name}" AS SELECT * FROM frame')
        self._tables = {name: self.backend.table(name) for name in tables}

    def measure(self, days: list[date], day: date) -> dict[str, pd.DataFrame]:
        """Return the features of each block at one of the days, made for all of them."""
        evidence = evidence_as_of(self._tables, days)
        if tuple(days) not in self._views:
            self._views[tuple(days)] = [
                (name, block, self.backend.create_view(ibis.util.gen_name(name), block))
                for name, block in self._list(evidence)
            ]
        tables = {name: view for name, _, view in self._views[tuple(days)]}
        context = BuildContext(evidence, self.study)
        tables["own"] = build_custom_features(context).table
        tables["sentiment"] = build_sentiment(context).table
        return {name: _read(table, day) for name, table in tables.items()}

    def load(self, days: list[date], day: date) -> pd.DataFrame:
        """Return the whole panel at one of the days, as the models get it, made for all of them."""
        evidence = evidence_as_of(self._tables, days)
        frame = build.load_features(evidence, find_population(evidence, self.study), self.study)
        frame = frame.astype(dict.fromkeys(frame.select_dtypes(["number", "bool"]), "float64"))
        return frame[frame.snapshot == pd.Timestamp(day)].reset_index(drop=True)

    def _list(self, evidence) -> Iterator[tuple[str, ibis.Table]]:
        context = BuildContext(evidence, self.study)
        yield "population", find_population(evidence, self.study)
        yield "attributes", build_attributes(context).table
        yield "terms", build_terms(context).table
        yield "stage", build_stage(context).table
        for name in list_event_tables():
            yield name, build_events(context, name).table


def _read(table: ibis.Table, day: date) -> pd.DataFrame:
    """Return the rows of a day in order, numbers as floats: whole ones are floats anyway where
    another snapshot has an empty value.
    """
    frame = table.to_pandas().astype(
        {
            name: "float64"
            for name, kind in table.schema().items()
            if kind.is_numeric() or kind.is_boolean()
        }
    )
    order = [*KEYS, *(column for column in frame if column not in KEYS)]
    return frame[frame.snapshot == pd.Timestamp(day)].sort_values(order).reset_index(drop=True)


@pytest.fixture(scope="module", params=["contractual", "non_contractual"])
def bench(request, tmp_path_factory) -> Bench:
    definition = {
        "title": "Futures",
        "kind": request.param,
        "economics": {"currency": "EUR", "capacity": 5},
        "features": {"windows": [7, 30]},
    }
    definition |= {
        "churn": {"horizon_days": 30, "active_days": 60, "inactive_days": 45},
        "snapshots": {"last": "2024-06-30", "train": 1, "test": 1},
    }
    study = Study.model_validate(definition)
    study._folder = tmp_path_factory.mktemp("futures")
    (study.folder / "features.sql").write_text(OWN)
    return Bench(study)


def over_futures(examples: int):
    """Prove for many futures, the same ones in every run."""
    fixed = settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    return lambda prove: fixed(given(futures(DAYS))(prove))


@pytest.mark.parametrize("examples", FEW_AND_MANY)
def test_nothing_after_a_snapshot_moves_any_feature_by_a_bit(bench, examples):
    @over_futures(examples)
    def prove(example: Futures) -> None:
        bench.fill(example.one)
        among_others = bench.measure(DAYS, example.day)
        bench.fill(example.other)
        alone = bench.measure([example.day], example.day)
        for name, frame in among_others.items():
            pd.testing.assert_frame_equal(
                frame, alone[name], check_exact=True, obj=f"features of {name}"
            )

    prove()


@pytest.mark.parametrize("examples", FEW_AND_MANY)
def test_nothing_after_a_snapshot_moves_the_panel_that_models_get(bench, examples):
    @over_futures(max(examples // 3, 1))
    def prove(example: Futures) -> None:
        bench.fill(example.one)
        among_others = bench.load(DAYS, example.day)
        bench.fill(example.other)
        alone = bench.load([example.day], example.day)
        pd.testing.assert_frame_equal(among_others, alone, check_exact=True, check_dtype=False)

    prove()

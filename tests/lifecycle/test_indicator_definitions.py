"""Every indicator once more, in SQL written from its definition alone: what the package measures
and what the words say must be the same number.
"""

from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml

from research.data import fetch, load
from research.lifecycle import indicators
from research.study import Study, load_study, project_root

SNAPSHOTS = {
    "demo": (date(2024, 6, 30), date(2025, 2, 28), date(2025, 12, 31)),
    "online_retail": (date(2011, 6, 1), date(2011, 12, 9)),
    "crooked_contracts": (date(2023, 2, 14), date(2024, 3, 31), date(2024, 12, 31)),
    "crooked_shop": (date(2024, 3, 31), date(2024, 12, 31)),
}

# Evidence: the words that all definitions share. T() is the snapshot, start() the first day before
# its window.
SHARED = """
CREATE MACRO T() AS CAST(getvariable('snapshot') AS DATE);
CREATE MACRO start() AS T() - CAST(getvariable('window_days') AS INTEGER);
CREATE MACRO retention() AS CAST(getvariable('retention_days') AS INTEGER);
CREATE MACRO in_window(dated) AS CAST(dated AS DATE) > start() AND CAST(dated AS DATE) <= T();
CREATE MACRO is_known(dated, known) AS dated < T() + 1 AND known < T() + 1;
CREATE VIEW people AS FROM customers WHERE is_known(joined_at, known_at) AND {segment};
"""
EVENTS = ("orders", "contacts", "feedback", "referrals")
DATED = {
    "customers": "joined_at",
    "contracts": "started_at",
    "usage": "used_at",
    "campaigns": "assigned_at",
} | dict(zip(EVENTS, ("ordered_at", "contacted_at", "given_at", "referred_at"), strict=True))
EVENT = (
    "CREATE VIEW known_{table} AS FROM {table} SEMI JOIN people USING (customer_id) WHERE"
    " is_known({dated}, known_at);"
)
PURCHASES = """
CREATE VIEW purchases AS
SELECT DISTINCT customer_id, CAST(ordered_at AS DATE) AS day, CAST(known_at AS DATE) AS known
FROM known_orders WHERE amount > 0 AND NOT coalesce(returned, false);
"""
CONTRACTUAL = """
CREATE VIEW terms AS
SELECT
    customer_id, CAST(started_at AS DATE) AS begun, CAST(known_at AS DATE) AS known, monthly_fee,
    CASE WHEN CAST(ended_at AS DATE) <= T() THEN CAST(ended_at AS DATE) END AS ended,
    CASE WHEN CAST(ended_at AS DATE) <= T() THEN end_reason END AS end_reason,
    CASE WHEN CAST(ended_at AS DATE) <= T() THEN voluntary END AS voluntary
FROM contracts SEMI JOIN people USING (customer_id)
WHERE is_known(started_at, known_at);

CREATE MACRO customers_on(d) AS TABLE
SELECT DISTINCT customer_id
    FROM terms WHERE begun <= d AND known <= d AND (ended > d OR ended IS NULL);

CREATE MACRO fees_on(d) AS TABLE
SELECT customer_id, sum(monthly_fee) AS fee, bool_and(monthly_fee IS NOT NULL) AS recorded
FROM terms WHERE begun <= d AND (ended > d OR ended IS NULL) GROUP BY customer_id;

CREATE VIEW spells AS
WITH covers AS (
    SELECT *, coalesce(ended, DATE '9999-12-31') AS until
        FROM terms WHERE ended IS NULL OR ended > begun
), reached AS (
    SELECT *, max(until)
        OVER (PARTITION BY customer_id ORDER BY begun, until ROWS BETWEEN UNBOUNDED PRECEDING
            AND 1 PRECEDING) AS before FROM covers
), numbered AS (
    SELECT *, count(*) FILTER (WHERE before IS NULL OR before < begun)
        OVER (PARTITION BY customer_id ORDER BY begun, until ROWS UNBOUNDED PRECEDING) AS number
    FROM reached
)
SELECT
    s.*, (SELECT min(t.known)
        FROM terms t WHERE t.customer_id = s.customer_id AND t.begun = s.begun) AS known
FROM (SELECT customer_id, min(begun) AS begun, nullif(max(until), DATE '9999-12-31') AS ended
    FROM numbered GROUP BY customer_id, number) s;

CREATE MACRO first_day() AS coalesce(CAST(getvariable('data_start') AS DATE),
    (SELECT min(begun) FROM terms));
CREATE MACRO first_customers() AS first_day();
"""
NON_CONTRACTUAL = """
CREATE MACRO inactive_days() AS CAST(getvariable('inactive_days') AS INTEGER);

CREATE MACRO customers_on(d) AS TABLE
SELECT DISTINCT customer_id
    FROM purchases WHERE day > d - inactive_days() AND day <= d AND known <= d;

CREATE VIEW spells AS
WITH gaps AS (
    SELECT *, day - lag(day) OVER by_day AS gap
        FROM (SELECT customer_id, day, min(known) AS known FROM purchases GROUP BY customer_id, day)
    WINDOW by_day AS (PARTITION BY customer_id ORDER BY day)
), numbered AS (
    SELECT *, count(*) FILTER (WHERE gap IS NULL OR gap > inactive_days())
        OVER (PARTITION BY customer_id ORDER BY day) AS number FROM gaps
)
SELECT
    customer_id, min(day) AS begun, arg_min(known, day) AS known,
    CASE WHEN max(day) + inactive_days() <= T() THEN max(day) + inactive_days() END AS ended
FROM numbered GROUP BY customer_id, number;

CREATE MACRO first_day() AS coalesce(CAST(getvariable('data_start') AS DATE),
    (SELECT min(day) FROM purchases));
CREATE MACRO first_customers() AS first_day() + inactive_days() - 1;

CREATE MACRO spend_in(after, until) AS TABLE
SELECT customer_id, greatest(sum(CASE WHEN returned THEN -abs(amount) ELSE amount END), 0) AS spend
FROM known_orders WHERE CAST(ordered_at AS DATE) > after
    AND CAST(ordered_at AS DATE) <= until GROUP BY customer_id;

CREATE MACRO year_before_start() AS greatest(start() - 365, first_day() - 1);
"""
AT_START = """
CREATE VIEW at_start AS
SELECT customer_id, customer_id IN (SELECT customer_id
    FROM spells WHERE begun <= start() AND in_window(ended)) AS has_left
FROM customers_on(start());
"""

# First spells with the tenure from which they were observed, and the Kaplan-Meier curve
# from the first day that ten were observed to pass.
CURVE = """
WITH firsts AS (
    SELECT
        greatest(
            begun, known, coalesce(CAST(getvariable('data_start') AS DATE) - 1, begun)
        ) - begun AS entry,
        coalesce(ended, T()) - begun AS tenure, ended IS NOT NULL AS is_over
    FROM spells
    QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY begun) = 1
), tenures AS (
    FROM firsts WHERE NOT (is_over AND tenure <= entry) AND tenure > 0
), opening AS (
    SELECT min(e.entry) AS day FROM (SELECT DISTINCT entry FROM tenures) e
    WHERE (SELECT count(*) FROM tenures s WHERE s.entry <= e.entry AND s.tenure > e.entry) >= 10
), risks AS (
    SELECT t.tenure AS day, (SELECT count(*)
        FROM tenures s WHERE s.entry < t.tenure AND s.tenure >= t.tenure) AS at_risk,
        count(*) AS ends
    FROM tenures t WHERE t.is_over AND t.tenure > (SELECT day FROM opening) GROUP BY t.tenure
), curve AS (
    SELECT day, product(1 - ends / at_risk) OVER (ORDER BY day) AS alive
        FROM risks UNION ALL SELECT day, 1 FROM opening
), areas AS (
    SELECT alive * (least(lead(day, 1, 365) OVER (ORDER BY day), 365) - day) AS area
        FROM curve WHERE day < 365
)
"""

ANY_KIND = {
    "customer_churn_rate": (
        "SELECT sum(has_left::INT) / count(*), sum(has_left::INT), count(*) FROM at_start"
    ),
    "retention_rate": """
        SELECT avg((customer_id IN (FROM customers_on(T())))::INT),
            sum((customer_id IN (FROM customers_on(T())))::INT), count(*)
        FROM customers_on(T() - retention())
    """,
    "retention_time": CURVE
    + """
        SELECT
            CASE
                WHEN (SELECT day FROM opening) <= 365 / 2 AND ((SELECT max(tenure)
                    FROM tenures) >= 365 OR (SELECT min(alive) FROM curve) < 1e-9)
                THEN (SELECT day FROM opening) + (SELECT sum(area) FROM areas)
            END,
            (SELECT count(*) FROM tenures WHERE is_over), (SELECT count(*) FROM tenures)
    """,
    "retention_time_median": CURVE
    + """
        SELECT (SELECT min(day) FROM curve WHERE alive <= 0.5 + 1e-12), (SELECT count(*)
            FROM tenures WHERE is_over), (SELECT count(*) FROM tenures)
    """,
    "repeat_purchase_rate": """
        SELECT avg((days >= 2)::INT), sum((days >= 2)::INT), count(*)
        FROM (SELECT customer_id, count(DISTINCT day) AS days
            FROM purchases WHERE day > T() - 365 AND day <= T() GROUP BY customer_id)
    """,
    "purchase_frequency": """
        SELECT bought / people, bought, people FROM (
            SELECT
                (SELECT count(DISTINCT (customer_id, day))
                    FROM purchases SEMI JOIN at_start USING (customer_id)
                        WHERE in_window(day)) AS bought,
                (SELECT count(*) FROM at_start) AS people
        )
    """,
}
SERVICE = {
    "csat": """
        SELECT avg((score >= 0.8 * score_max)::INT), sum((score >= 0.8 * score_max)::INT), count(*)
        FROM known_feedback WHERE lower(kind) = 'csat' AND in_window(given_at)
            AND score IS NOT NULL AND score_max > 0
    """,
    "nps": """
        SELECT 100 * avg(vote), sum(vote), count(*) FROM (
            SELECT CASE WHEN ten >= 9 THEN 1 WHEN ten <= 6 THEN -1 ELSE 0 END AS vote FROM (
                SELECT CASE WHEN score_max IS NULL THEN score ELSE score * 10 / score_max END AS ten
                FROM known_feedback WHERE lower(kind) = 'nps' AND in_window(given_at)
                    AND score IS NOT NULL
            )
        )
    """,
    "complaint_rate": """
        SELECT avg(complained::INT), sum(complained::INT), count(*)
        FROM (SELECT customer_id IN (SELECT customer_id
            FROM known_contacts WHERE complaint AND in_window(contacted_at)) AS complained
                FROM at_start)
    """,
    "resolution_time": """
        WITH observed AS (
            SELECT contacted_at,
                CASE WHEN CAST(resolved_at AS DATE) <= T() THEN resolved_at END AS resolved_at
            FROM known_contacts WHERE in_window(contacted_at)
        ), open_times AS (
            SELECT
                date_sub('minute', contacted_at,
                    coalesce(resolved_at, CAST(T() + 1 AS TIMESTAMP))) AS minutes,
                resolved_at IS NOT NULL AS is_over
            FROM observed
        ), risks AS (
            SELECT w.minutes, (SELECT count(*)
                FROM open_times o WHERE o.minutes >= w.minutes) AS at_risk, count(*) AS ends
            FROM open_times w WHERE w.is_over GROUP BY w.minutes
        ), curve AS (
            SELECT minutes, product(1 - ends / at_risk) OVER (ORDER BY minutes) AS still_open
                FROM risks
        )
        SELECT
            (SELECT min(minutes) / 60 FROM curve WHERE still_open <= 0.5 + 1e-12),
            (SELECT count(*) FROM open_times WHERE is_over), (SELECT count(*) FROM open_times)
    """,
    "resolved_within_72h": """
        SELECT avg(in_time::INT), sum(in_time::INT), count(*) FROM (
            SELECT coalesce(resolved_at <= contacted_at + INTERVAL 72 HOURS, false) AS in_time
                FROM known_contacts
            WHERE CAST(contacted_at AS DATE) > T() - 33 AND CAST(contacted_at AS DATE) <= T() - 3
        )
    """,
    "referral_rate": """
        SELECT avg(referred::INT), sum(referred::INT), count(*)
        FROM (SELECT customer_id IN (SELECT customer_id
            FROM known_referrals WHERE in_window(referred_at)) AS referred FROM at_start)
    """,
}
FEES = """
WITH fees AS (
    SELECT has_left, f.fee, f.recorded, coalesce(l.fee, 0) AS later,
        coalesce(l.recorded, true) AS later_recorded
    FROM at_start JOIN fees_on(start()) f USING (customer_id)
        LEFT JOIN fees_on(T()) l USING (customer_id)
)
"""
OVER = """
WITH ends AS (
    SELECT s.customer_id, s.ended, nullif(trim(t.end_reason), '') AS end_reason, t.voluntary
    FROM spells s JOIN terms t ON t.customer_id = s.customer_id AND t.ended = s.ended
    WHERE in_window(s.ended)
    QUALIFY row_number()
        OVER (PARTITION BY s.customer_id, s.ended ORDER BY t.begun DESC,
            nullif(trim(t.end_reason), '') IS NULL) = 1
)
"""
WITH_CONTRACTS = {
    "revenue_churn_rate": FEES
    + """
        SELECT sum(lost) / sum(fee), sum(lost), sum(fee) FROM (
            SELECT fee, CASE WHEN has_left THEN fee ELSE greatest(fee - later, 0) END AS lost
                FROM fees WHERE recorded AND (has_left OR later_recorded)
        )
    """,
    "net_revenue_retention": FEES
    + "SELECT sum(later) / sum(fee), sum(later), sum(fee) FROM fees WHERE recorded AND"
    " later_recorded",
    "revenue_lost": FEES
    + "SELECT 12 * sum(fee * has_left::INT), 12 * sum(fee * has_left::INT), count(*) FROM fees"
    " WHERE recorded",
    "revenue_lost_per_customer": FEES
    + "SELECT 12 * sum(fee * has_left::INT) / count(*), 12 * sum(fee * has_left::INT), count(*)"
    " FROM fees WHERE recorded",
    "reasons_recorded": OVER
    + "SELECT avg((end_reason IS NOT NULL)::INT), count(end_reason), count(*) FROM ends",
    "involuntary_share": OVER
    + "SELECT avg((NOT voluntary)::INT), sum((NOT voluntary)::INT), count(*) FROM ends WHERE"
    " voluntary IS NOT NULL",
}
SPENT = """
WITH spent AS (
    SELECT has_left, coalesce(spend, 0) AS spend,
        coalesce(spend, 0) * 365 / (start() - year_before_start()) AS yearly
    FROM at_start LEFT JOIN spend_in(year_before_start(), start()) USING (customer_id)
)
"""
WITH_ORDERS = {
    "revenue_churn_rate": SPENT
    + "SELECT sum(spend * has_left::INT) / sum(spend), sum(spend * has_left::INT), sum(spend) FROM"
    " spent",
    "net_revenue_retention": """
        SELECT sum(coalesce(since.spend, 0)) / sum(coalesce(before.spend, 0)),
            sum(coalesce(since.spend, 0)), sum(coalesce(before.spend, 0))
        FROM (SELECT DISTINCT customer_id
            FROM purchases WHERE day > T() - 2 * retention() AND day <= T() - retention())
        LEFT JOIN spend_in(T() - 2 * retention(), T() - retention()) before USING (customer_id)
        LEFT JOIN spend_in(T() - retention(), T()) since USING (customer_id)
    """,
    "revenue_lost": SPENT
    + "SELECT sum(yearly * has_left::INT), sum(yearly * has_left::INT), count(*) FROM spent",
    "revenue_lost_per_customer": SPENT
    + "SELECT sum(yearly * has_left::INT) / count(*), sum(yearly * has_left::INT), count(*) FROM"
    " spent",
}


def make_crooked_tables(seed: int = 3, size: int = 400) -> dict[str, pd.DataFrame]:
    """Return the tables of a company that keeps every promise and is as untidy as it may be: times
    of day, overlaps, gaps, blanks, late rows.
    """
    rng = np.random.default_rng(seed)
    first, end = pd.Timestamp("2022-01-01"), pd.Timestamp("2024-12-31 23:59")

    def draw(values: list, count: int, p: list[float] | None = None) -> np.ndarray:
        return np.array(values, dtype=object)[rng.choice(len(values), count, p=p)]

    def delay(dated: pd.Series) -> pd.Series:
        days = np.where(rng.random(len(dated)) < 0.3, rng.exponential(20, len(dated)), 0)
        known = (dated + pd.to_timedelta(days, unit="D").round("s")).clip(upper=end)
        return known.mask(rng.random(len(dated)) < 0.1)

    def scatter(rows: int) -> pd.DataFrame:
        person = rng.integers(0, size, rows)
        dated = people.joined_at.to_numpy()[person] + (end - people.joined_at).to_numpy()[
            person
        ] * rng.random(rows)
        return pd.DataFrame(
            {
                "customer_id": people.customer_id.to_numpy()[person],
                "dated": pd.Series(dated).dt.round("s"),
            }
        )

    people = pd.DataFrame({"customer_id": [f"K{i:04}" for i in range(size)]})
    people["joined_at"] = (first + pd.to_timedelta(rng.random(size) * 1000, unit="D")).round("s")
    people["region"] = draw(["north", "south", "east"], size)
    terms = []
    for row in people.itertuples():
        begun = row.joined_at.normalize() + pd.Timedelta(minutes=int(rng.integers(24 * 60 - 1)))
        begun = max(begun, row.joined_at)
        for _ in range(rng.integers(1, 7)):
            ended = begun + pd.Timedelta(days=float(rng.choice([0, 5, 30.4, 91, 200, 400])))
            if begun > end:
                break
            ended = pd.NaT if ended > end or rng.random() < 0.03 else ended.round("s")
            terms.append((row.customer_id, begun, ended))
            begun = (
                (end if ended is pd.NaT else ended)
                + pd.Timedelta(days=float(rng.choice([0, 0, 0.4, 1, 20, -3, 120])))
            ).round("s")
            begun = max(begun, row.joined_at)
    contracts = pd.DataFrame(terms, columns=["customer_id", "started_at", "ended_at"])
    rows, over = len(contracts), contracts.ended_at.notna()
    contracts["monthly_fee"] = pd.Series(rng.choice([0, 7.5, 19, 30, 64.25], rows)).mask(
        rng.random(rows) < 0.04
    )
    contracts["end_reason"] = (
        pd.Series(draw(["moved", "renewed", " ", None], rows)).where(over, None).astype("string")
    )
    contracts["voluntary"] = (
        pd.Series(draw([True, False, None], rows)).where(over, None).astype("boolean")
    )
    contracts["known_at"] = delay(contracts.started_at)
    orders = scatter(4000).rename(columns={"dated": "ordered_at"})
    orders["amount"] = rng.choice(
        [0.0, 12.5, 30.0, 99.0, -20.0, -60.0], 4000, p=[0.05, 0.3, 0.3, 0.1, 0.15, 0.1]
    )
    orders["returned"] = pd.Series(draw([True, False, None], 4000, [0.1, 0.7, 0.2])).astype(
        "boolean"
    )
    orders["known_at"] = delay(orders.ordered_at)
    contacts = scatter(3000).rename(columns={"dated": "contacted_at"})
    contacts["complaint"] = pd.Series(draw([True, False, None], 3000, [0.2, 0.7, 0.1])).astype(
        "boolean"
    )
    solved = contacts.contacted_at + pd.to_timedelta(
        rng.choice([0.0, 0.5, 3.0, 9.0], 3000) * rng.choice([1.0, rng.random()], 3000), unit="D"
    ).round("s")
    contacts["resolved_at"] = solved.mask((rng.random(3000) < 0.1) | (solved > end))
    contacts["known_at"] = delay(contacts.contacted_at)
    feedback = scatter(5000).rename(columns={"dated": "given_at"})
    feedback["kind"] = draw(["csat", "CSAT", "Nps", "review", None], 5000)
    feedback["score_max"] = rng.choice([5.0, 10.0, np.nan], 5000)
    feedback["score"] = pd.Series(
        np.floor(rng.random(5000) * (feedback.score_max.fillna(10) + 1))
    ).mask(rng.random(5000) < 0.1)
    feedback["known_at"] = delay(feedback.given_at)
    referrals = scatter(800).rename(columns={"dated": "referred_at"})
    referrals["known_at"] = delay(referrals.referred_at)
    people["known_at"] = delay(people.joined_at)
    return {
        "customers": people,
        "contracts": contracts,
        "orders": orders,
        "contacts": contacts,
        "feedback": feedback,
        "referrals": referrals,
    }


class Workbook:
    """A study's contract tables in a DuckDB of their own, where the definitions can be asked at any
    snapshot.
    """

    def __init__(self, study: Study, tables: dict, segment: str = "true"):
        self.con, self.kind = duckdb.connect(), study.kind
        for name, table in tables.items():
            self.con.register("copied", table.to_pyarrow())
            known = "" if "known_at" in table.columns else f", {DATED[name]} AS known_at"
            self.con.execute(f"CREATE TABLE {name} AS SELECT *{known} FROM copied")
        self.con.execute(SHARED.format(segment=segment))
        for table in (name for name in EVENTS if name in tables):
            self.con.execute(EVENT.format(table=table, dated=DATED[table]))
        kind = CONTRACTUAL if study.kind == "contractual" else NON_CONTRACTUAL
        self.con.execute((PURCHASES if "orders" in tables else "") + kind + AT_START)
        self.set(window_days=study.snapshots.every_days, inactive_days=study.churn.inactive_days)
        self.set(retention_days=study.lifecycle.retention_days, data_start=study.data_start)

    def set(self, **values: date | int | None) -> None:
        for name, value in values.items():
            self.con.execute(f"SET VARIABLE {name} = ?", [value])

    def ask(self, query: str, snapshot: date) -> list[float]:
        """Return the value, numerator and denominator that a definition gives at a snapshot."""
        self.set(snapshot=snapshot)
        (row,) = self.con.execute(query).fetchall()
        return [np.nan if number is None else float(number) for number in row]


QUERIES = {
    "demo": ANY_KIND | SERVICE | WITH_CONTRACTS,
    "online_retail": ANY_KIND | WITH_ORDERS,
    "crooked_contracts": ANY_KIND | SERVICE | WITH_CONTRACTS,
    "crooked_shop": ANY_KIND | SERVICE | WITH_ORDERS,
}
# What can't be known at a snapshot is empty: the days that an indicator looks back, and since when
# they must have been observed.
REACHES = {
    "retention_rate": ("retention()", "first_customers()"),
    "repeat_purchase_rate": ("365", "first_day()"),
}
SHOP_REACHES = REACHES | {"net_revenue_retention": ("2 * retention()", "first_day()")}
CURVES = {"retention_time", "retention_time_median", "resolution_time"}
CASES = [(name, indicator) for name, queries in QUERIES.items() for indicator in queries]
ROOT = project_root()


class Bench:
    """A study in a project that is thrown away, what the package measures of it, and its
    workbook.
    """

    def __init__(self, name: str, home: Path):
        folder = home / "data" / name
        folder.mkdir(parents=True)
        if name.startswith("crooked"):
            write_crooked_study(
                folder, "contractual" if name == "crooked_contracts" else "non_contractual"
            )
        else:
            for path in (*(ROOT / "data" / name).glob("*.sql"), ROOT / "data" / name / "study.yml"):
                (folder / path.name).write_text(
                    path.read_text(encoding="utf-8").replace("customers: 6000", "customers: 300"),
                    encoding="utf-8",
                )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RESEARCH_HOME", str(home))
            self.study = load_study(name)
            fetch.fetch(self.study)
            self.tables = (
                load.load_tables(self.study)
                if name == "crooked_contracts"
                else load.adapt(self.study)
            )
            self.measured = self.compute_indicators(SNAPSHOTS[name])
        self.workbook = Workbook(self.study, self.tables)

    def compute_indicators(self, snapshots: tuple[date, ...], segment_by: str = "") -> pd.DataFrame:
        measured = indicators.compute_indicators(self.tables, self.study, snapshots, segment_by)
        return measured.assign(snapshot=pd.to_datetime(measured.snapshot).dt.date).set_index(
            ["indicator", "segment", "snapshot"]
        )


def write_crooked_study(folder: Path, kind: str) -> None:
    tables = make_crooked_tables()
    if kind == "non_contractual":
        del tables["contracts"]
    (folder / "raw").mkdir()
    for name, table in tables.items():
        table.to_parquet(folder / "raw" / f"{name}.parquet", index=False)
        (folder / f"{name}.sql").write_text(f"SELECT * FROM raw_{name}")
    activity = {"active_days": 60, "inactive_days": 60} if kind == "non_contractual" else {}
    definition = {
        "title": "An untidy company",
        "kind": kind,
        "economics": {"currency": "EUR", "capacity": 5},
        "data_end": "2024-12-31",
    }
    definition |= {
        "churn": {"horizon_days": 30, "lead_days": 0} | activity,
        "snapshots": {"last": "2024-06-30", "train": 1, "test": 1},
    }
    definition |= {"sources": {f"raw_{name}": {"file": f"{name}.parquet"} for name in tables}}
    (folder / "study.yml").write_text(yaml.safe_dump(definition))


@pytest.fixture(scope="module")
def benches() -> dict[str, Bench]:
    return {}


@pytest.fixture
def open_bench(benches, request, tmp_path_factory):
    """Return a function that opens a bench once for all tests; the real shop only where its mirror
    is.
    """

    def open_once(name: str) -> Bench:
        if name == "online_retail":
            request.getfixturevalue("mirror")
        if name not in benches:
            benches[name] = Bench(name, tmp_path_factory.mktemp(name))
        return benches[name]

    return open_once


def is_too_early(workbook: Workbook, indicator: str, snapshot: date) -> bool:
    days, first = (SHOP_REACHES if workbook.kind == "non_contractual" else REACHES).get(
        indicator, ("0", "T()")
    )
    return bool(workbook.ask(f"SELECT ({first} > T() - {days})::INT", snapshot)[0])


def require_agreement(
    workbook: Workbook, indicator: str, query: str, snapshot: date, row: pd.Series
) -> None:
    """Compare a measured row with what the definition gives."""
    if is_too_early(workbook, indicator, snapshot):
        assert np.isnan(row.value), (indicator, snapshot)
        assert row.note.startswith("needs "), (indicator, snapshot)
        return
    value, numerator, denominator = workbook.ask(query, snapshot)
    where = f"{indicator} at {snapshot}: {row.note}"
    np.testing.assert_allclose(
        row.value, value, rtol=1e-6 if indicator in CURVES else 1e-9, atol=1e-12, err_msg=where
    )
    if (workbook.kind, indicator) != (
        "non_contractual",
        "revenue_churn_rate",
    ):  # measured on yearly spend, which cancels out
        np.testing.assert_allclose(
            [row.numerator, row.denominator],
            [numerator, denominator],
            rtol=1e-9,
            atol=1e-9,
            err_msg=where,
        )


@pytest.mark.parametrize(("name", "indicator"), CASES)
def test_an_indicator_is_what_its_definition_says(name, indicator, open_bench):
    bench = open_bench(name)
    for snapshot in SNAPSHOTS[name]:
        require_agreement(
            bench.workbook,
            indicator,
            QUERIES[name][indicator],
            snapshot,
            bench.measured.loc[(indicator, "all", snapshot)],
        )


@pytest.mark.parametrize("name", QUERIES)
def test_every_indicator_that_is_measured_has_a_query(name, open_bench):
    assert set(open_bench(name).measured.index.unique("indicator")) == set(QUERIES[name])


def test_an_indicator_of_a_segment_is_that_of_its_customers_alone(open_bench):
    bench, snapshot = open_bench("demo"), SNAPSHOTS["demo"][-1]
    measured = bench.compute_indicators((snapshot,), "region")
    regions = {
        region
        for (region,) in bench.workbook.con.execute(
            "SELECT DISTINCT region FROM customers"
        ).fetchall()
    }
    assert set(measured.index.unique("segment")) == regions
    for region in sorted(regions):
        workbook = Workbook(bench.study, bench.tables, f"region = '{region}'")
        for indicator in sorted(QUERIES["demo"].keys() - CURVES):
            if (indicator, region, snapshot) in measured.index:
                require_agreement(
                    workbook,
                    indicator,
                    QUERIES["demo"][indicator],
                    snapshot,
                    measured.loc[(indicator, region, snapshot)],
                )
            else:
                assert workbook.ask(QUERIES["demo"][indicator], snapshot)[2] == 0, (
                    indicator,
                    region,
                )


def test_the_untidy_company_is_as_untidy_as_the_tests_need():
    tables = make_crooked_tables()
    contracts, orders = tables["contracts"], tables["orders"]
    assert (contracts.ended_at.dt.normalize() == contracts.started_at.dt.normalize()).any()
    assert contracts.monthly_fee.isna().any()
    assert (contracts.monthly_fee == 0).any()
    assert (contracts.groupby("customer_id").ended_at.shift() > contracts.started_at).any()
    assert all(
        (table.known_at.dt.normalize() > table.iloc[:, 1].dt.normalize()).any()
        for table in tables.values()
        if table.columns[1].endswith("_at")
    )
    assert ((orders.amount > 0) & orders.returned.fillna(False)).any()

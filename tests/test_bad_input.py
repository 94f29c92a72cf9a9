"""Bad input has a defined outcome: it is refused in a sentence, or means what docs/bad-input.md
says.
"""

from datetime import date

import pandas as pd
import pytest

from research.data.load import load_tables
from research.errors import StudyError
from research.features import build

T = date(2024, 6, 30)
JOINED = pd.Timestamp("2024-01-01")


def people(*ids, **more) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": list(ids), "joined_at": JOINED, **more})


def run(ids=("a",), **more) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": list(ids), "started_at": JOINED, **more})


def orders(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["customer_id", "ordered_at", "amount"]).astype(
        {"ordered_at": "datetime64[us]"}
    )


def load(
    write_study,
    sql: dict[str, str] | None = None,
    name: str = "tiny",
    keys: dict | None = None,
    **tables: pd.DataFrame,
) -> dict:
    """Return the contract tables, some of them made by SQL of their own."""
    study = write_study(
        "contractual",
        name=name,
        tables={"customers": people("a"), "contracts": run()} | tables,
        **(keys or {}),
    )
    for table, query in (sql or {}).items():
        (study.folder / f"{table}.sql").write_text(query)
    return load_tables(study)


def read_times(write_study, expression: str, times: list, **keys) -> list[str]:
    raw = pd.DataFrame({"customer_id": "a", "moment": times})
    table = load(
        write_study,
        {"usage": f"SELECT customer_id, {expression} AS used_at FROM raw_usage"},
        usage=raw,
        keys=keys,
    )["usage"]
    return sorted(str(time) for time in table.used_at.to_pandas())


def test_times_with_a_zone_are_taken_to_utc(write_study):
    berlin = pd.to_datetime(["2024-07-01 01:30", "2024-01-01 01:30"]).tz_localize("Europe/Berlin")
    assert read_times(write_study, "moment", [*berlin]) == [
        "2024-01-01 00:30:00",
        "2024-06-30 23:30:00",
    ]


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_times_with_a_zone_are_taken_to_the_zone_of_the_study(write_study, unit):
    midnights = pd.to_datetime(["2024-07-01", "2024-01-01"]).tz_localize("Europe/Berlin")
    moments = midnights.tz_convert("UTC").as_unit(unit)
    assert read_times(write_study, "moment", [*moments], time_zone="Europe/Berlin") == [
        "2024-01-01 00:00:00",
        "2024-07-01 00:00:00",
    ]
    plain = [*pd.to_datetime(["2024-01-01", "2024-07-01"])]
    assert read_times(write_study, "moment", plain, time_zone="Europe/Berlin") == [
        "2024-01-01 00:00:00",
        "2024-07-01 00:00:00",
    ]


def test_every_time_of_a_table_is_taken_to_the_zone_of_the_study(write_study):
    """Also those of attributes; a column without any value stays empty."""
    moment = "TIMESTAMPTZ '2023-12-31 23:00:00+00'"
    query = f"SELECT 'a' AS customer_id, {moment} AS joined_at, {moment} AS trained, {moment} AS"
    query += " known_at, NULL AS lost"
    row = (
        load(write_study, {"customers": query}, keys={"time_zone": "Europe/Berlin"})["customers"]
        .to_pandas()
        .iloc[0]
    )
    assert {row.joined_at, row.trained, row.known_at} == {pd.Timestamp("2024-01-01")}
    assert pd.isna(row.lost)


def test_times_without_a_zone_are_taken_as_they_are(write_study):
    assert read_times(write_study, "moment", [pd.Timestamp("2024-06-30 23:30")]) == [
        "2024-06-30 23:30:00"
    ]


def test_mixed_zones_in_a_text_column_are_each_taken_to_utc_and_none_means_utc(write_study):
    texts = [
        "2024-06-30 23:30:00+02",
        "2024-06-30 23:30:00-05",
        "2024-06-30 23:30:00",
        "2024-06-30 23:30:00 America/New_York",
    ]
    assert read_times(write_study, "CAST(moment AS TIMESTAMPTZ)", texts) == [
        "2024-06-30 21:30:00",
        "2024-06-30 23:30:00",
        "2024-07-01 03:30:00",
        "2024-07-01 04:30:00",
    ]


def test_a_local_time_that_the_clock_skips_is_an_hour_later_and_one_that_comes_twice_is_the_second(
    write_study,
):
    local = "timezone('Europe/Berlin', CAST(moment AS TIMESTAMP))"
    assert read_times(write_study, local, ["2024-03-31 02:30:00"]) == [
        "2024-03-31 01:30:00"
    ]  # 03:30 in summer time
    assert read_times(write_study, local, ["2024-10-27 02:30:00"]) == [
        "2024-10-27 01:30:00"
    ]  # 02:30 in winter time, not the 00:30 of summer time


def test_a_text_where_a_time_is_required_is_refused(write_study):
    with pytest.raises(
        StudyError,
        match=(
            "table usage, column used_at: expected a column of dates or times, got texts"
            " of which 1 of 1|got texts; cast it in usage.sql"
        ),
    ):
        read_times(write_study, "moment", ["2024-06-30 23:30:00+02"])


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Los_Angeles"])
def test_the_zone_of_the_machine_does_not_matter(write_study, monkeypatch, zone):
    monkeypatch.setenv("TZ", zone)
    assert read_times(write_study, "moment", [pd.Timestamp("2024-06-30 23:30", tz="UTC")]) == [
        "2024-06-30 23:30:00"
    ]


def test_an_empty_time_of_an_event_is_refused_and_one_of_arrival_means_never_known(write_study):
    with pytest.raises(
        StudyError,
        match="table orders, column ordered_at: expected no empty values, got null in 1 row",
    ):
        load(write_study, orders=orders(("a", None, 1.0)))
    never = orders(("a", "2024-06-01", 1.0)).assign(known_at=pd.NaT)
    assert (
        load(write_study, name="never", orders=never.astype({"known_at": "datetime64[us]"}))[
            "orders"
        ]
        .count()
        .execute()
        == 1
    )


@pytest.mark.parametrize(("own", "theirs"), [(7, "007"), ("007", 7), ("a1", "a1 "), ("a1", "A1")])
def test_identifiers_that_differ_in_form_are_refused_not_lost(write_study, own, theirs):
    with pytest.raises(
        StudyError,
        match=(
            "table orders, column customer_id: expected (customers listed in the table"
            " customers|non-empty identifiers without)"
        ),
    ):
        load(
            write_study,
            customers=people(own),
            contracts=run((own,)),
            orders=orders((theirs, "2024-06-01", 1.0)),
        )


def test_numbers_and_their_texts_are_the_same_identifier(write_study):
    tables = load(
        write_study,
        customers=people(7),
        contracts=run(("7",)),
        orders=orders((7, "2024-06-01", 1.0)),
    )
    assert tables["customers"].join(tables["orders"], "customer_id").count().execute() == 1


@pytest.mark.parametrize("name", [" a", "a\t", "", "  "])
def test_blanks_around_an_identifier_are_refused_and_shown(write_study, name):
    with pytest.raises(
        StudyError,
        match=(
            "expected non-empty identifiers without surrounding spaces, got"
            f" {name!r} in 1 row; trim them in the SQL".replace("\\", r"\\")
        ),
    ):
        load(write_study, customers=people("a", name))


def test_identifiers_with_a_fraction_are_refused(write_study):
    with pytest.raises(
        StudyError,
        match="table customers, column customer_id: expected a column of identifiers, got float64",
    ):
        load(write_study, customers=people(7.0))


def test_a_customer_given_twice_is_refused(write_study):
    with pytest.raises(
        StudyError,
        match=(
            "table customers, column customer_id: expected one row per customer, got 1 repeated"
            " row, for example of a"
        ),
    ):
        load(write_study, customers=people("a", "a"))


@pytest.mark.parametrize(
    ("table", "column", "value", "required"),
    [
        ("orders", "amount", None, "no empty values"),
        ("orders", "amount", float("inf"), "finite numbers"),
        ("orders", "amount", 1e13, r"values of at most 1e\+12"),
        ("orders", "amount", -1e13, r"values of at least -1e\+12"),
        ("usage", "amount", 1e13, r"values of at most 1e\+12"),
        ("campaigns", "cost", -1.0, "values of at least 0"),
        ("campaigns", "cost", 1e13, r"values of at most 1e\+12"),
        ("feedback", "score", 1e13, r"values of at most 1e\+12"),
        ("feedback", "score", 6.0, "values of at most score_max"),
        ("contracts", "monthly_fee", -1.0, "values of at least 0"),
        ("contracts", "term_months", 1e6, "values of at most 1200"),
    ],
)
def test_amounts_beyond_their_range_are_refused(write_study, table, column, value, required):
    at, day = {"customer_id": ["a"]}, [pd.Timestamp("2024-06-01")]
    rows = {
        "orders": {"ordered_at": day, "amount": 1.0},
        "usage": {"used_at": day},
        "campaigns": {"campaign": "c", "assigned_at": day, "arm": "x"},
        "feedback": {"given_at": day, "score_max": 5.0 if value == 6.0 else 1e12},
        "contracts": {"started_at": [JOINED]},
    }
    frame = pd.DataFrame(at | rows[table] | {column: [value]}).astype({column: "float64"})
    with pytest.raises(StudyError, match=f"table {table}, column {column}: expected {required}"):
        load(write_study, **{table: frame})


def test_amounts_that_add_up_to_more_than_can_be_summed_are_refused(write_study):
    rows = orders(*[("a", "2024-06-01", 1e12)] * 10, ("b", "2024-06-01", 1e12))
    with pytest.raises(
        StudyError,
        match=(
            r"column amount: expected a total of at most 9e\+12 per customer, got more for 1"
            " customer, for example a; correct the amounts in the SQL"
        ),
    ):
        load(write_study, customers=people("a", "b"), contracts=run(("a", "b")), orders=rows)


def test_a_table_without_a_row_is_refused(write_study):
    with pytest.raises(
        StudyError, match="table orders: expected at least one row, got an empty table"
    ):
        load(write_study, orders=orders())


@pytest.fixture
def panel(write_study) -> pd.DataFrame:
    """Customers with odd histories, at the end of June 2024."""
    ids = ["early", "none", "leap", "twice", "back"]
    started = pd.to_datetime(["2024-01-01", "2024-01-01", "2024-02-29", "2024-01-31", "2024-01-01"])
    bought = [
        ("early", "2023-12-20", 10.0),
        ("early", "2024-06-01", 10.0),
        ("twice", "2024-06-30", 5.0),
        ("twice", "2024-06-30", 5.0),
        ("back", "2024-06-30", -5.0),
    ]
    uses = pd.DataFrame(
        {
            "customer_id": "early",
            "used_at": pd.to_datetime(["2024-06-01", "2024-06-02", "2024-02-29"]),
            "amount": [None, -2.0, 4.0],
        }
    )
    tables = {
        "customers": people(*ids),
        "contracts": pd.DataFrame(
            {"customer_id": ids, "started_at": started, "term_months": [1.0, 0.0, 12.0, 1.0, None]}
        ),
        "orders": orders(*bought),
        "usage": uses,
        "referrals": pd.DataFrame(
            {"customer_id": ["early"], "referred_at": pd.to_datetime(["2024-07-01"])}
        ),
    }
    study = write_study("contractual", tables=tables)
    return build.load_panel(load_tables(study), study, [T]).set_index("customer_id")


def test_odd_histories_have_the_features_that_the_document_says(panel):
    early = panel.loc["early"]
    assert (early.n_orders_365d, early.days_since_first_orders, early.tenure_days) == (
        2,
        193,
        181,
    )  # 12 days to New Year, 181 from there
    assert (early.n_usage_30d, early.sum_usage_amount_30d, early.mean_usage_amount_30d) == (
        2,
        -2,
        -2,
    )  # the absent amount counts as a use alone
    assert early.mean_usage_amount_365d == 1  # -2 and 4
    assert (panel.n_referrals_365d == 0).all()  # the table is empty at T
    assert panel.days_since_last_referrals.isna().all()
    assert panel.days_since_last_referrals.dtype == float  # a number that nobody has is no text
    assert panel.loc["none", ["n_orders_365d", "sum_amount_365d", "n_usage_days_30d"]].eq(0).all()
    assert panel.loc["none", ["days_since_last_orders", "silence_ratio_usage"]].isna().all()
    assert panel.n_orders_30d["twice"] == 2  # equal rows are two events
    assert panel.n_orders_days_30d["twice"] == 1
    assert (
        panel.n_orders_30d["back"],
        panel.n_returns_30d["back"],
        panel.sum_amount_30d["back"],
    ) == (0, 1, -5)
    assert (
        panel.days_to_renewal["leap"] == 243
    )  # 30 June 2024 to 28 February 2025: no 29 February there
    assert (
        panel.days_to_renewal["twice"] == 31
    )  # 31 January monthly renews on 30 June, the day of T, then on 31 July
    assert panel.days_to_renewal[["none", "back"]].isna().all()  # no term, or one of 0 months


def test_an_end_at_the_last_minute_of_a_day_covers_that_day(write_study):
    contracts = run(ended_at=pd.Timestamp("2024-06-30 23:59:59"))
    (end,) = load(write_study, contracts=contracts)["contracts"].to_pandas().ended_at
    assert end == pd.Timestamp("2024-07-01")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("now()", "which changes from run to run"),
        ("random()", "which changes from run to run"),
        ("first(customer_id) OVER ()", "got first() without one"),
        ("row_number() OVER (PARTITION BY customer_id)", "got row_number() OVER () without one"),
        ("ARRAY(SELECT customer_id FROM raw_customers)[1]", "got ARRAY(SELECT …) without one"),
    ],
)
def test_sql_that_gives_another_table_from_equal_data_is_refused(write_study, value, found):
    query = f"SELECT *, {value} AS odd FROM raw_customers"
    with pytest.raises(StudyError) as refusal:
        load(write_study, {"customers": query})
    assert found in str(refusal.value)


def test_sql_that_takes_whatever_rows_come_first_is_refused(write_study):
    with pytest.raises(StudyError, match="got LIMIT without one"):
        load(write_study, {"customers": "SELECT * FROM raw_customers LIMIT 1"})


def test_sql_reads_no_file_that_study_yml_does_not_name(write_study, tmp_path):
    people("a").to_parquet(tmp_path / "others.parquet")
    with pytest.raises(StudyError, match="others.parquet; name the file under 'sources', or its"):
        load(write_study, {"customers": f"SELECT * FROM '{tmp_path}/others.parquet'"})

"""The data contract: every failed check is named, with counts and examples, all at once."""

from datetime import date

import ibis
import pandas as pd
import pytest
from contract_tables import adapted, customers, days, register, running

from research.data import checks, contracts
from research.errors import StudyError

TODAY = date(2024, 12, 31)


def faults_of(today: date = TODAY, **frames: pd.DataFrame) -> tuple[str, ...]:
    """Return the sentences for tables given as frames."""
    try:
        checks.require_passed(checks.check(register(ibis.duckdb.connect(), **frames), today))
    except StudyError as error:
        return error.faults
    return ()


def test_tables_within_the_contract_pass():
    assert faults_of(customers=customers(), contracts=running()) == ()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"customer_id": ["a", "a"]},
            (
                "table customers, column customer_id: expected one row per customer, got 1 repeated"
                " row, for example of a; keep one row per customer in the SQL"
            ),
        ),
        (
            {"customer_id": ["a", None]},
            (
                "table customers, column customer_id: expected no empty values, got null in 1"
                " row; drop these rows in the SQL or fill them from the source"
            ),
        ),
        (
            {"customer_id": [1.5, 2.5]},
            (
                "table customers, column customer_id: expected a column of identifiers, got"
                " float64; cast it in customers.sql"
            ),
        ),
        (
            {"joined_at": ["2023-01-01", "2023-02-01"]},
            (
                "table customers, column joined_at: expected a column of dates or times, got"
                " texts; cast it in customers.sql: CAST(joined_at AS TIMESTAMP)"
            ),
        ),
        (
            {"joined_at": days("2023-01-01", "2025-01-01")},
            (
                "table customers, column joined_at: expected dates up to today (2024-12-31),"
                " got 2025-01-01 00:00:00 in 1 row; drop or correct these rows"
            ),
        ),
        (
            {"joined_at": days("2023-01-01", None)},
            (
                "table customers, column joined_at: expected no empty values, got null in 1"
                " row; drop these rows in the SQL or fill them from the source"
            ),
        ),
        (
            {"known_at": days("2022-12-31", "2023-02-01")},
            (
                "table customers, column known_at: expected dates on or after joined_at, got"
                " 2022-12-31 00:00:00 in 1 row; drop or correct these rows"
            ),
        ),
        (
            {"snapshot": [1, 2]},
            (
                "table customers: expected no column named age_days, churned, covered_until,"
                " duration_days, event,"
                " event_observed, leaves_in_data, left_in_lead, n_repeat, recency_days, snapshot,"
                " tenure_days, time_to_event_days or *_right, got snapshot; rename it in"
                " customers.sql"
            ),
        ),
        (
            {"tags": [b"x", b"y"]},
            (
                "table customers: expected columns of single values, got tags (binary); split it in"
                " customers.sql or leave it out"
            ),
        ),
        (
            {"tags": [["x"], ["y"]]},
            (
                "table customers: expected columns of single values, got tags (array<string>);"
                " split it in customers.sql or leave it out"
            ),
        ),
    ],
)
def test_a_fault_of_the_customers_is_one_sentence(changes, sentence):
    assert faults_of(customers=customers(**changes)) == (sentence,)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"customer_id": ["a", "stranger"]},
            (
                "table contracts, column customer_id: expected customers listed in the table"
                " customers, got stranger in 1 row; add them there or drop these rows"
            ),
        ),
        (
            {"ended_at": days("2022-12-31", None)},
            (
                "table contracts, column ended_at: expected dates on or after started_at, got"
                " 2022-12-31 00:00:00 in 1 row; drop or correct these rows"
            ),
        ),
        (
            {"ended_at": days("2025-01-01", None)},
            (
                "table contracts, column ended_at: expected dates up to today (2024-12-31), got"
                " 2025-01-01 00:00:00 in 1 row; leave it empty until it happens"
            ),
        ),
        (
            {"known_at": days("2022-12-31", "2023-02-01")},
            (
                "table contracts, column known_at: expected dates on or after started_at, got"
                " 2022-12-31 00:00:00 in 1 row; drop or correct these rows"
            ),
        ),
        (
            {"monthly_fee": [-1.0, 5.0]},
            (
                "table contracts, column monthly_fee: expected values of at least 0, got -1.0"
                " in 1 row; correct them in the SQL"
            ),
        ),
        (
            {"monthly_fee": ["1 €", "2 €"]},
            (
                "table contracts, column monthly_fee: expected a column of numbers, got texts of"
                " which 2 of 2 are no numbers, such as '1 €' of customer a; cast it in"
                " contracts.sql: TRY_CAST(replace(regexp_replace(monthly_fee, '[^0-9,.-]', '',"
                " 'g'), ',', '') AS DOUBLE)"
            ),
        ),
        (
            {"plan": [["x"], ["y"]]},
            (
                "table contracts, column plan: expected a column of texts, got array<string>; cast"
                " it in contracts.sql"
            ),
        ),
        (
            {"voluntary": [0, 2]},
            (
                "table contracts, column voluntary: expected a column of flags (true or false), got"
                " numbers (0, 2); write a condition in contracts.sql, such as voluntary = 1"
            ),
        ),
    ],
)
def test_a_fault_of_the_contracts_is_one_sentence(changes, sentence):
    assert faults_of(customers=customers(), contracts=running(**changes)) == (sentence,)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_number_must_be_finite(value):
    backend = ibis.duckdb.connect()
    backend.raw_sql(
        "CREATE TABLE orders AS SELECT 'a' AS customer_id, TIMESTAMP '2024-01-01' AS ordered_at,"
        f" CAST('{value}' AS DOUBLE) AS amount"
    )
    with pytest.raises(
        StudyError,
        match=(
            f"table orders, column amount: expected finite numbers, got {value} in 1 row; make"
            " them null in the SQL"
        ),
    ):
        checks.require_passed(
            checks.check({"orders": contracts.conform(backend.table("orders"), "orders")}, TODAY)
        )


@pytest.mark.parametrize(("propensity", "limit"), [(-0.1, "at least 0"), (1.1, "at most 1")])
def test_a_propensity_is_a_probability(propensity, limit):
    campaigns = pd.DataFrame(
        {
            "customer_id": ["a"],
            "campaign": ["x"],
            "assigned_at": days("2024-01-01"),
            "arm": ["control"],
            "propensity": [propensity],
        }
    )
    (fault,) = faults_of(customers=customers(), campaigns=campaigns)
    assert (
        fault == f"table campaigns, column propensity: expected values of {limit}, got {propensity}"
        " in 1 row; correct them in the SQL"
    )


def test_an_event_today_is_no_fault_and_one_of_tomorrow_is():
    late = running(ended_at=days("2024-12-31 23:59:59", None))
    assert faults_of(date(2024, 12, 31), customers=customers(), contracts=late) == ()
    assert (
        "expected dates up to today (2024-12-30)"
        in faults_of(date(2024, 12, 30), customers=customers(), contracts=late)[0]
    )


def test_an_end_at_an_earlier_hour_of_the_day_of_the_start_is_in_order():
    noon = running(
        started_at=days("2023-01-01 12:00", "2023-02-01"), ended_at=days("2023-01-01", None)
    )
    assert faults_of(customers=customers(), contracts=noon) == ()


def test_missing_columns_are_named_with_those_there_are():
    assert faults_of(customers=pd.DataFrame({"id": ["a"], "Joined_At": ["x"]})) == (
        (
            "table customers, column customer_id: expected a column of identifiers, got only the"
            " columns id, Joined_At; select it in customers.sql"
        ),
        (
            "table customers, column joined_at: expected a column of dates or times, got only the"
            " columns id, Joined_At; select it in customers.sql"
        ),
    )


def test_keys_that_became_floats_beside_an_empty_one_are_named_on_both_counts():
    assert faults_of(customers=customers(customer_id=[1.0, float("nan")])) == (
        (
            "table customers, column customer_id: expected a column of identifiers, got float64;"
            " cast it in customers.sql"
        ),
        (
            "table customers, column customer_id: expected no empty values, got null in 1 row;"
            " drop these rows in the SQL or fill them from the source"
        ),
    )


@pytest.mark.parametrize("name", ["customers", "contracts"])
def test_an_empty_table_is_a_fault_and_no_crash(name):
    frames = {"customers": customers(), "contracts": running()}
    found = faults_of(**(frames | {name: frames[name].head(0)}))
    assert (
        f"table {name}: expected at least one row, got an empty table; check the SQL's filters"
        " and the raw files" in found
    )


def test_an_empty_table_of_campaigns_is_a_fault_as_well():
    campaigns = pd.DataFrame(
        {
            "customer_id": ["a"],
            "campaign": ["x"],
            "assigned_at": days("2024-01-01"),
            "arm": ["control"],
        }
    ).head(0)
    assert faults_of(customers=customers(), campaigns=campaigns)[0].startswith(
        "table campaigns: expected at least one row, got an empty table"
    )


def test_all_faults_of_a_table_are_listed_at_once_with_counts_and_few_examples():
    many = pd.DataFrame(
        {
            "customer_id": [f"x{i}" for i in range(9)],
            "started_at": days(*["2023-01-01"] * 9),
            "ended_at": days(*["2022-01-01"] * 9),
            "monthly_fee": -1,
        }
    )
    found = faults_of(customers=customers(), contracts=many.assign(voluntary="no"))
    assert [fault.split(", got")[0] for fault in found] == [
        "table contracts, column voluntary: expected a column of flags (true or false)",
        "table contracts, column monthly_fee: expected values of at least 0",
        "table contracts, column ended_at: expected dates on or after started_at",
        "table contracts, column customer_id: expected customers listed in the table customers",
    ]
    assert "got x0, x1, x2 in 9 rows;" in found[-1]


def test_a_null_among_the_customers_does_not_hide_a_stranger():
    found = faults_of(
        customers=customers(customer_id=["a", None]),
        contracts=running(customer_id=["a", "stranger"]),
    )
    assert [fault.split(", got")[0] for fault in found] == [
        "table customers, column customer_id: expected no empty values",
        "table contracts, column customer_id: expected customers listed in the table customers",
    ]


@pytest.mark.parametrize("changes", [{"customer_id": [1.5, 2.5]}, {"customer_id": [["a"], ["b"]]}])
def test_keys_of_a_wrong_type_do_not_stop_the_check_of_the_other_tables(changes):
    found = faults_of(customers=customers(**changes), contracts=running(monthly_fee=[-1, -1]))
    assert [fault.split(":")[0] for fault in found] == [
        "table customers, column customer_id",
        "table contracts, column monthly_fee",
    ]


@pytest.mark.parametrize("placeholder", ["0001-01-01", "1899-12-31", "-infinity"])
def test_a_placeholder_for_a_date_is_refused(write_study, placeholder):
    with pytest.raises(
        StudyError,
        match=(
            r"column joined_at: expected dates from 1900-01-01 on, got .* in 2 rows; make a"
            r" placeholder null, or drop these rows"
        ),
    ):
        adapted(
            write_study,
            f"SELECT customer_id, TIMESTAMP '{placeholder}' AS joined_at FROM raw_customers",
        )


@pytest.mark.parametrize("placeholder", ["9999-12-31", "infinity"])
def test_a_placeholder_for_never_is_refused(write_study, placeholder):
    with pytest.raises(
        StudyError,
        match=r"column known_at: expected dates up to today \(.*\), got .* in 2 rows",
    ):
        adapted(write_study, f"SELECT *, TIMESTAMP '{placeholder}' AS known_at FROM raw_customers")


def test_a_required_column_that_is_null_in_every_row_is_a_fault(write_study):
    with pytest.raises(
        StudyError,
        match=(
            "column joined_at: expected no empty values, got null in 2 rows; drop these rows in"
            " the SQL or fill them"
        ),
    ):
        adapted(write_study, "SELECT customer_id, NULL AS joined_at FROM raw_customers")


def test_a_check_that_passes_has_its_row_too_without_failing_rows():
    table = checks.check(register(ibis.duckdb.connect(), customers=customers()), TODAY)
    assert [*table.columns] == checks.COLUMNS
    assert (table.rows_failing == 0).all() and (table.examples == "").all()
    assert (table.required == "one row per customer").sum() == 1
    checks.require_passed(table)


def test_an_amount_beyond_what_can_be_summed_counts_customers_not_rows():
    rows = pd.DataFrame(
        {
            "customer_id": ["a"] * 11 + ["b"],
            "ordered_at": days(*["2024-01-01"] * 12),
            "amount": 1e12,
        }
    )  # 11e12 of a and 1e12 of b, where 9e12 is the most
    (fault,) = faults_of(customers=customers(), orders=rows)
    assert fault == (
        "table orders, column amount: expected a total of at most 9e+12 per customer, got more for"
        " 1 customer, for example a; correct the amounts in the SQL"
    )

"""Whether a query of a study gives the same whenever it is run: no clock, no chance, no row that
merely comes first.
"""

from collections.abc import Iterator

from sqlglot import exp


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


CLOCK = _names("""
    ago clock_timestamp current_date current_localtime current_localtimestamp current_time
    current_timestamp get_current_time get_current_timestamp localtime localtimestamp now
    pg_conf_load_time pg_postmaster_start_time statement_timestamp today transaction_timestamp
""")
CHANCE = _names("""
    approx_quantile approx_top_k gen_random_uuid rand randn random reservoir_quantile setseed uuid
    uuidv4 uuidv7
""")
OUTSIDE = _names("""
    current_catalog current_connection_id current_database current_query current_query_id
    current_schema current_schemas current_setting current_transaction_id current_user currval
    duckdb_connection_count duckdb_databases duckdb_extensions duckdb_logs duckdb_memory
    duckdb_secrets duckdb_settings duckdb_temporary_files duckdb_variables pragma_database_size
    pragma_platform pragma_user_agent pragma_version
    get_block_size getenv getvariable in_search_path nextval pg_get_constraintdef pg_get_viewdef
    query query_table session_user setval sleep_ms stats txid_current user vector_type version
    write_log
""")  # what isn't evidence either
REFUSED = CLOCK | CHANCE | OUTSIDE
ORDERED = _names("""
    any_value arbitrary array_agg first group_concat last list listagg string_agg
""")  # aggregates that take the rows in turn
PLACED = _names("""
    first_value lag last_value lead nth_value ntile row_number
""")
NUMBERED = "row_number"


def name_call(call: exp.Func) -> str:
    """Return the name of a function as the dialect-free SQL has it."""
    return (
        call.name if isinstance(call, exp.Anonymous | exp.AnonymousAggFunc) else call.sql_name()
    ).lower()


def list_changing_calls(query: exp.Query) -> Iterator[str]:
    """Yield the functions of a query that ask the clock, chance or the surroundings."""
    for call in query.find_all(exp.Func):
        name = name_call(call)
        if name in REFUSED or (name == "age" and len(call.expressions) == 1):
            yield name


def list_unordered(query: exp.Query, file_order: bool = False) -> Iterator[str]:
    """Yield one fault for each part of a query that takes whichever row comes first.

    Its outcome would depend on the order of rows, and so on rows after the snapshot.

    Parameters
    ----------
    query : what is looked at
    file_order : whether ``row_number() OVER ()`` may number the rows of one relation, as of a file
        without identifiers, whose order is its own
    """
    chance, remedy = "which takes whatever row comes first", "add an ORDER BY"
    yield from _list_unordered_clauses(query)
    for call in query.find_all(exp.Func):
        name, window = name_call(call), find_window(call)
        if name in ORDERED and not call.find(exp.Order) and not has_order(window):
            yield (
                f"expected an order of rows, got {name}() without one, {chance}; write {name}(…"
                " ORDER BY …)"
            )
        elif window and not has_order(window) and (name in PLACED or _counts_rows(window)):
            numbers = name == NUMBERED and _numbers_one_relation(window)
            if numbers and file_order:
                continue
            yield (
                f"expected an order of rows, got {name}() OVER () without one, {chance}; {remedy}"
            )


def _list_unordered_clauses(query: exp.Query) -> Iterator[str]:
    chance, remedy = "which takes whatever row comes first", "add an ORDER BY"
    for select in query.find_all(exp.Query):
        clauses = [key.upper() for key in ("limit", "offset") if select.args.get(key)]
        clauses += ["DISTINCT ON"] if _is_distinct_on(select) else []
        clauses += ["ARRAY(SELECT …)"] if isinstance(select.parent, exp.Array) else []
        if clauses and not select.args.get("order"):
            yield f"expected an order of rows, got {clauses[0]} without one, {chance}; {remedy}"
    if query.find(exp.TableSample):
        yield "expected all rows, got a sample, which changes from run to run; remove it"
    if any(
        (join.args.get("method") or join.args.get("kind") or "").upper() == "POSITIONAL"
        for join in query.find_all(exp.Join)
    ):
        yield (
            "expected joins by columns, got POSITIONAL JOIN, which pairs rows by their"
            " position; join by customer_id"
        )


def _is_distinct_on(select: exp.Query) -> bool:
    distinct = select.args.get("distinct")
    return isinstance(distinct, exp.Distinct) and bool(distinct.args.get("on"))


def find_window(call: exp.Func) -> exp.Window | None:
    """Return the OVER clause of a call, which stands around it and around its FILTER."""
    parent = call.parent
    while isinstance(parent, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
        parent = parent.parent
    return parent if isinstance(parent, exp.Window) else None


def has_order(window: exp.Window | None) -> bool:
    """Return whether an OVER clause, or the WINDOW that it names, orders its rows."""
    return window is not None and any(each.args.get("order") for each in _follow_names(window))


def _follow_names(window: exp.Window) -> Iterator[exp.Window]:
    """Yield an OVER clause and the definitions of the windows that it names."""
    select = window.find_ancestor(exp.Select)
    defined = {each.name.lower(): each for each in (select.args.get("windows") or [])}
    while window is not None:
        yield window
        name = window.args.get("alias") or window.args.get("first")
        named = name.name.lower() if isinstance(name, exp.Expression) else ""
        window = defined.pop(named, None)


def _counts_rows(window: exp.Window) -> bool:
    """Return whether a frame has a number of rows, instead of all of a partition."""
    return any(
        (spec := each.args.get("spec")) is not None
        and {str(spec.args.get("start")), str(spec.args.get("end"))} != {"UNBOUNDED"}
        for each in _follow_names(window)
    )


def _numbers_one_relation(window: exp.Window) -> bool:
    """Return whether a bare OVER () stands in a SELECT from one relation, row by row.

    A WITH part is none: a join or a group in it has no order.
    """
    select = window.find_ancestor(exp.Select)
    steps = {step.alias_or_name.lower() for step in window.root().find_all(exp.CTE)}
    source = select.args.get("from_") or select.args.get("from")
    shuffled = any(select.args.get(key) for key in ("joins", "laterals", "group", "distinct"))
    bare = not any(window.args.get(key) for key in ("partition_by", "spec", "alias"))
    relation = source.this if source is not None and isinstance(source.this, exp.Table) else None
    return bare and not shuffled and relation is not None and relation.name.lower() not in steps

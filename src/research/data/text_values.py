"""Texts that are numbers, dates or flags: what they are, and the cast that mends them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import ibis.expr.types as ir
import pandas as pd
from ibis.common.exceptions import IbisError

from research.data.contracts import CONTRACTS, Tables
from research.data.remark import Remark
from research.study import Study

SHARE = 0.9  # of a column's texts that are numbers or dates, from which on all should be
YES = ["1", "ja", "j", "oui", "si", "t", "true", "y", "yes"]
NO = ["0", "f", "false", "n", "nein", "no", "non"]
MISSING = (
    r"^\s*([-–—.?]+|#?n/?a!?|nan|null|none|nil|\\n|#(div/0|ref|value|name|num|null)[!?]"
    r"|0{8}|0{4}-00-00)\s*$"
)
SYMBOLS = "$€£¥%'’"
CURRENCY = r"([A-Z]{3}|Fr\.|kr\.?)"
UNIT = r"[A-Za-zÀ-ž]{1,8}\.?"
MOST_UNITS = 3  # more are codes
WIDE = "\u00a0\u2007\u2009\u202f"  # blanks between thousands, for engines without \\pZ
GROUPS = f"[.,'’ {WIDE}]"  # what parts thousands
NUMBER = (
    rf"^\s*\(?[-+−]?\s*({CURRENCY}\s?)?[{SYMBOLS}]?\s*[-−]?"
    rf"(\d+|\d{{1,3}}({GROUPS}\d{{3}})+|\d{{1,2}}(,\d{{2}})+,\d{{3}})([.,]\d+)?"
    rf"-?\)?\s*[{SYMBOLS}]?(\s{UNIT})?\s*$"
)
NEGATIVE = r"^\s*\(.*\)\s*$|\d-\s*$|−"  # as accountants, SAP and typesetters write it
NO_UNIT = rf"[\d.,'’()+−\s{WIDE}-]"
DIGITS = r"^\d+$"
CODE = r"^\s*0\d"  # a leading zero: no number
DECIMAL_COMMA = (
    rf"(^|[^\d,])(\d+|\d{{1,3}}([.'’ {WIDE}]\d{{3}})+),(\d{{1,2}}|\d{{4,}})[^\d]*$|(^|\D)0,\d"
)
DECIMAL_POINT = (
    rf"(^|[^\d.])(\d+|\d{{1,3}}([,'’ {WIDE}]\d{{3}})+)\.(\d{{1,2}}|\d{{4,}})[^\d]*$|(^|\D)0\.\d"
)
THOUSANDS_POINT = r"^\D*[1-9]\d{0,2}\.\d{3}\D*$"  # or three decimals
NAMED_MONTH = r"\d{1,2}[-/. ]{1,2}[A-Za-z]{3,9}[-/., ]{1,2}\d{2,4}"
DATE = (
    r"^\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}"
    rf"|{NAMED_MONTH})([ T].*)?$"
)
ISO = r"^\s*\d{4}[-/]"
CLOCK = r"^\s*\d{1,4}:\d{2}(:\d{2}(\.\d+)?)?\s*$"
ZONED = r"\d:\d{2}(:\d{2}(\.\d+)?)? ?(Z|[+-]\d{2}(:?\d{2})?|[A-Z]{3,4}|[A-Z][A-Za-z]+/\w+)\s*$"
DAYS = "%d{0}%m{0}%Y,%m{0}%d{0}%Y,%Y{0}%m{0}%d,%d{0}%m{0}%y,%m{0}%d{0}%y,%y{0}%m{0}%d"
NAMED_DAYS = "%d{0}%b{0}%Y,%d{0}%b{0}%y,%d{0}%B{0}%Y,%d{0}%B{0}%y"
FORMATS = [
    "%Y%m%d",
    *(day.format(part) for day in DAYS.split(",") for part in "/.-"),
    *(day.format(part) for day in NAMED_DAYS.split(",") for part in "- /"),
]
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
TRIED = 1000  # different texts by which a format is chosen
CASTS = {"time": "timestamp", "number": "float64"}  # of contract columns
WORDS = {"time": "dates or times", "number": "numbers"}


@dataclass(frozen=True)
class Texts:
    """How many texts of a column look like what.

    Attributes
    ----------
    filled : neither null nor blank
    blank : nothing but blanks
    missing : placeholders such as NA or a dash
    numbers, digits, codes, commas, points, grouped, negatives, dates, iso, clocks, yes, no : that
        match the patterns of this module
    units : number of different units beside the numbers
    kinds : number of different texts
    first : the first text in their order
    unit : the first unit in their order
    yes_text : a text that says yes
    """

    filled: int
    blank: int
    missing: int
    numbers: int
    digits: int
    codes: int
    commas: int
    points: int
    grouped: int
    negatives: int
    dates: int
    iso: int
    clocks: int
    yes: int
    no: int
    units: int
    kinds: int
    unit: str
    yes_text: str
    first: str
    last: str
    shortest: int
    longest: int

    @property
    def said(self) -> int:
        """How many texts say something, placeholders left out."""
        return self.filled - self.missing

    @property
    def numeric(self) -> bool:
        """Whether the texts are numbers; codes of one length, such as postcodes, are none."""
        coded = self.codes or (self.shortest == self.longest and self.digits == self.filled)
        coded = coded or self.units > MOST_UNITS
        return bool(self.said) and self.numbers >= SHARE * self.said and not coded

    @property
    def dated(self) -> bool:
        """Whether the texts are dates."""
        return bool(self.said) and self.dates >= SHARE * self.said

    @property
    def timed(self) -> bool:
        """Whether the texts are times of day or lengths of time."""
        return bool(self.said) and self.clocks >= SHARE * self.said

    @property
    def flagged(self) -> bool:
        """Whether the texts say yes and no."""
        return bool(self.yes and self.no) and self.yes + self.no == self.said


def find_text_columns(tables: Tables, study: Study) -> Iterator[Remark]:
    """Yield a remark for each attribute whose texts are numbers or dates, and one for flags."""
    for name, table in tables.items():
        attributes = [
            column
            for column in table.columns
            if column not in CONTRACTS[name].columns and table[column].type().is_string()
        ]
        if CONTRACTS[name].unique and attributes:
            found = _count_texts(table, attributes)
            yield from _describe_columns(name, table, found)


def _describe_columns(name: str, table: ir.Table, found: dict[str, Texts]) -> Iterator[Remark]:
    flags = [column for column, texts in found.items() if texts.flagged]
    for column, texts in found.items():
        if column not in flags and (texts.dated or texts.numeric or texts.timed):
            yield _describe_column(name, table, column, texts)
    if flags:
        first = flags[0]
        yield Remark(
            f"table {name}, column{'s' if len(flags) > 1 else ''} {', '.join(flags)}",
            f"texts that say yes or no, such as '{found[first].yes_text}', are read as categories",
            f"write flags as conditions in {name}.sql, such as"
            f" {_write_condition(table, first, found[first])}",
        )


def _write_condition(table: ir.Table, column: str, texts: Texts) -> str:
    """Return the condition that is true where a text says yes."""
    if texts.kinds == 2:
        return f"{column} = '{texts.yes_text}'"
    words = table[column].strip().lower().name("word").as_table().distinct()
    said = sorted({*words.execute().word.dropna()} & {*YES})
    listed = ", ".join(f"'{word}'" for word in said)
    return f"lower(trim({column})) IN ({listed})"


def _describe_column(name: str, table: ir.Table, column: str, texts: Texts) -> Remark:
    what, number = "numbers", texts.numbers
    if texts.dated or texts.timed:
        what, number = ("dates", texts.dates) if texts.dated else ("times", texts.clocks)
    others = texts.said - number
    beside = f", {others:,} others" if others else ""
    missing = f", {texts.missing:,} placeholders" if texts.missing else ""
    blank = f" and {texts.blank:,} blanks" if texts.blank else ""
    example = texts.first
    if texts.missing:  # one that shows what the texts are
        example = _find_example(table, column)
    return Remark(
        f"table {name}, column {column}",
        f"{number:,} texts that are {what}, such as '{example}'{beside}{missing}{blank}"
        " are read as categories",
        f"cast it in {name}.sql: {suggest_cast(table, column, texts)}",
    )


def _find_example(table: ir.Table, column: str) -> str:
    texts = table[column]
    shown = (texts.strip() != "") & ~texts.lower().re_search(MISSING)
    return str(texts.min(where=shown).execute())


def suggest_cast(table: ir.Table, column: str, texts: Texts) -> str:
    """Return SQL of DuckDB that makes dates or numbers of a column's texts."""
    if texts.dated:
        return _suggest_date(table, column, texts)
    if texts.timed and not texts.numeric:
        return f"epoch(TRY_CAST(CAST({column} AS VARCHAR) AS INTERVAL)) / 3600, which is in hours"
    return _suggest_number(column, texts)


def _suggest_date(table: ir.Table, column: str, texts: Texts) -> str:
    if texts.dated and texts.iso == texts.dates:
        return f"TRY_CAST({column} AS TIMESTAMP)"
    formats = _find_formats(table, column)
    if len(formats) == 1:
        return f"TRY_STRPTIME({column}, '{formats[0]}')"
    either = " or ".join(f"'{form}'" for form in formats[1:])
    form = f", or {either}, whichever is" if formats else " with"
    return (
        f"TRY_STRPTIME({column}, '{(formats or ['%d/%m/%Y'])[0]}'){form} the format of your dates"
    )


def _find_formats(table: ir.Table, column: str) -> list[str]:
    """Return the formats of dates that nearly all different texts of a column fit."""
    different = table.filter(table[column].notnull()).select(column).distinct()
    values = different.order_by(column).limit(TRIED).execute()[column].str.strip()
    values = values[~values.str.lower().str.match(MISSING) & (values != "")]
    first = values.iloc[:20]
    return [
        form
        for day in FORMATS
        for clock in CLOCKS
        if _fits(first, form := day + clock) and _fits(values, form)
    ]


def _fits(values: pd.Series, form: str) -> bool:
    read = pd.to_datetime(values, format=form, errors="coerce")
    return bool(len(values)) and read.notna().mean() >= SHARE


def _suggest_number(column: str, texts: Texts) -> str:
    """Return the cast of numbers with symbols; what is no number becomes null."""
    signs, kept = ("-−()", "0-9,.") if texts.negatives else ("", "0-9,.-")
    junk = f"[^{kept}]"
    if texts.numbers < texts.filled:  # only symbols and the unit go, so that others stay unreadable
        letters = "".join(each for each in texts.unit if each.isalpha())
        junk = rf"(?i)nan|[{signs}{SYMBOLS}\s\pZ]".replace("'", "''")
        junk += f"|{letters}" if letters else ""
    bare = f"regexp_replace({column}, '{junk}', '', 'g')"
    point = f"replace({bare}, ',', '')"
    if texts.commas:
        point = f"replace(replace({bare}, '.', ''), ',', '.')"
    sign = f"CASE WHEN regexp_matches({column}, '[-−(]') THEN -1 ELSE 1 END * "
    cast = f"{sign if texts.negatives else ''}TRY_CAST({point} AS DOUBLE)"
    return cast + _warn_of_doubt(column, texts)


def _warn_of_doubt(column: str, texts: Texts) -> str:
    """Return what the cast of a column of numbers can't settle."""
    if texts.commas and texts.points:
        return (
            f", after bringing the {texts.points:,} texts with a decimal point and the"
            f" {texts.commas:,} with a decimal comma into one form"
        )
    if texts.units > 1:
        return f", after bringing the numbers, which are in {texts.units} units, into one"
    if texts.grouped and not (texts.commas or texts.points):
        return f", of replace({column}, '.', '') where the point parts thousands"
    return ""


def _count_texts(table: ir.Table, columns: list[str]) -> dict[str, Texts]:
    """Return what the texts of some columns look like, counted by the engine in one pass."""
    counts = {
        f"{number}_{key}": value
        for number, column in enumerate(columns)
        for key, value in _list_counts(table[column]).items()
    }
    row = table.agg(**counts).execute().iloc[0]
    parts = [
        {key: row[f"{number}_{key}"] for key in Texts.__dataclass_fields__}
        for number in range(len(columns))
    ]
    return dict(zip(columns, map(_make_texts, parts), strict=True))


def _list_counts(column: ir.StringColumn) -> dict[str, ir.Value]:
    filled = column.strip() != ""
    lower = column.strip().lower()
    patterns = {
        "numbers": NUMBER,
        "digits": DIGITS,
        "codes": CODE,
        "commas": DECIMAL_COMMA,
        "points": DECIMAL_POINT,
        "grouped": THOUSANDS_POINT,
        "negatives": NEGATIVE,
        "dates": DATE,
        "iso": ISO,
        "clocks": CLOCK,
    }
    counts = {key: column.re_search(pattern).sum() for key, pattern in patterns.items()}
    unit = column.re_replace(NO_UNIT, "").nullif("")
    number = column.re_search(NUMBER)
    return counts | {
        "filled": filled.sum(),
        "blank": (column.strip() == "").sum(),
        "missing": (filled & lower.re_search(MISSING)).sum(),
        "yes": lower.isin(YES).sum(),
        "no": lower.isin(NO).sum(),
        "units": unit.nunique(where=number),
        "unit": unit.min(where=number),
        "yes_text": column.max(where=lower.isin(YES)),
        "kinds": column.nunique(),
        "first": column.min(where=filled),
        "last": column.max(where=filled),
        "shortest": column.length().min(where=filled),
        "longest": column.length().max(where=filled),
    }


def _make_texts(values: dict) -> Texts:
    words = {
        key: "" if pd.isna(values[key]) else str(values[key])
        for key in ("first", "last", "unit", "yes_text")
    }
    numbers = {
        key: 0 if pd.isna(value) else int(value)
        for key, value in values.items()
        if key not in words
    }
    return Texts(**numbers, **words)


# Contract columns that arrived as texts


def describe_wrong_texts(name: str, table: ir.Table, column: str, kind: str) -> tuple[str, str]:
    """Return what a contract column of texts contains, and the cast that mends it.

    Values that can't be read as what the contract wants are counted, and the first is named with
    its customer.
    """
    plain = str(table[column].type()), f"cast it in {name}.sql"
    if kind == "flag" and (table[column].type().is_string() or table[column].type().is_numeric()):
        return _describe_wrong_flags(name, table, column)
    if kind == "time" and table[column].type().is_numeric():
        return plain[0], plain[1] + _suggest_moment(table[column])
    if kind not in CASTS or not table[column].type().is_string():
        return plain
    try:
        return _describe_unreadable_texts(name, table, column, kind)
    except IbisError:  # an engine without a cast that may fail
        return plain


def _describe_wrong_flags(name: str, table: ir.Table, column: str) -> tuple[str, str]:
    values = table.select(column).distinct().order_by(column).limit(4).execute()[column].dropna()
    text = table[column].type().is_string()
    shown = [f"'{value}'" if text else f"{value:g}" for value in values]
    listed = ", ".join(shown[:3]) + (", …" if len(shown) > 3 else "")
    yes = [each for each, value in zip(shown, values, strict=True) if f"{value}".lower() in YES]
    number = shown[-1] if text and shown else "1"
    condition = f"such as {column} = {(yes or [number])[-1]}"
    if text and not yes:
        condition += ", with the value that means yes"
    return (
        f"{'texts' if text else 'numbers'} ({listed})",
        f"write a condition in {name}.sql, {condition}",
    )


def _suggest_moment(numbers: ir.NumericValue) -> str:
    """Return how numbers become dates: written as 20240131, days of a spreadsheet, or seconds."""
    column, middle = numbers.get_name(), float(numbers.max().execute() or 0)
    ways = (
        (20_000, 80_000, f"DATE '1899-12-30' + CAST({column} AS INTEGER), for days of Excel"),
        (1.9e7, 2.2e7, f"STRPTIME(CAST({column} AS VARCHAR), '%Y%m%d')"),
        (1e9, 5e9, f"epoch_ms(CAST({column} AS BIGINT) * 1000), for seconds since 1970"),
        (1e12, 5e12, f"epoch_ms(CAST({column} AS BIGINT)), for milliseconds since 1970"),
    )
    return next((f": {sql}" for low, high, sql in ways if low <= middle < high), "")


def _describe_unreadable_texts(
    name: str, table: ir.Table, column: str, kind: str
) -> tuple[str, str]:
    cast, texts = CASTS[kind], table[column]
    filled = table.filter(texts.notnull())
    wrong = filled.filter(filled[column].try_cast(cast).isnull())
    counts = filled.agg(rows=filled.count()).execute().rows[0], wrong.count().execute()
    sql = "TIMESTAMP" if kind == "time" else "DOUBLE"
    if kind == "time" and (zoned := filled[column].re_search(ZONED).sum().execute()):
        return _describe_zones(name, column, int(zoned), counts[0])
    if not counts[1]:
        return "texts", f"cast it in {name}.sql: CAST({column} AS {sql})"
    first = wrong.order_by(column, "customer_id").limit(1).execute().iloc[0]
    value = re.sub(r"\s+", " ", str(first[column]))
    found = (
        f"texts of which {counts[1]:,} of {counts[0]:,} are no {WORDS[kind]}, such as '{value}' of"
        f" customer {first.customer_id}"
    )
    readable = counts[0] - counts[1]
    return found, _suggest_reading(name, wrong, column, kind, first[column], readable)


def _describe_zones(name: str, column: str, zoned: int, filled: int) -> tuple[str, str]:
    """Return what to write for texts with zones, which a cast to TIMESTAMP would drop."""
    doubt = "" if zoned == filled else ", which takes the others as UTC"
    return (
        f"texts of which {zoned:,} of {filled:,} name a time zone",
        f"cast it in {name}.sql: CAST({column} AS TIMESTAMPTZ){doubt}",
    )


def _suggest_reading(
    name: str, wrong: ir.Table, column: str, kind: str, value: str, readable: int
) -> str:
    """Return what to write: a placeholder made null where it is the only one, or a format."""
    quoted, what = value.replace("'", "''"), WORDS[kind]
    sql = "TIMESTAMP" if kind == "time" else "DOUBLE"
    if readable and wrong[column].nunique().execute() == 1:
        return (
            f"make it null and cast the rest in {name}.sql: CAST(NULLIF({column}, '{quoted}') AS"
            f" {sql})"
        )
    texts = _count_texts(wrong, [column])[column]
    if sql == "TIMESTAMP" and (texts.dated or _find_formats(wrong, column)):
        return f"cast it in {name}.sql: {_suggest_date(wrong, column, texts)}"
    if sql == "DOUBLE" and texts.numeric:
        return f"cast it in {name}.sql: {_suggest_number(column, texts)}"
    if readable == 0:
        return f"select another column in {name}.sql, or write what makes them {what}"
    return f"correct them, or make them null in {name}.sql: TRY_CAST({column} AS {sql})"

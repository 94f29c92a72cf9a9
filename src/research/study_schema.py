"""The parts of study.yml: which keys there are, what they mean, and what values they take."""

import difflib
import re
from datetime import date
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    model_validator,
)

from research.errors import WrongForm, shorten

TABLES = (  # a record for each, in this order, stands in data/contracts.py
    "customers",
    "contracts",
    "orders",
    "usage",
    "contacts",
    "feedback",
    "referrals",
    "campaigns",
    "snapshot",
)
ACTIVITY_TABLES = ("usage", "orders")  # either shows activity; the first is preferred
OWN_FEATURES = "features.sql"  # the one file of SQL in a study that is no contract table
CONTROL = "control"  # the arm of those who were not contacted
TRAPS = (
    "late_rows",
    "duplicates",
    "knowing_attribute",
    "price_rise",
    "missing_blocks",
    "hostile_text",
    "chosen_campaign",
)  # of a simulated company
STAGES = ("introduction", "growth", "maturity", "decline", "gone", "won back")
CENTURY_DAYS = 36_500
Days = Annotated[int, Field(ge=1, le=CENTURY_DAYS)]
Day = Annotated[date, Field(ge=date(1900, 1, 1), le=date(2200, 1, 1))]


def require_form(pattern: str, words: str) -> AfterValidator:
    """Refuse texts that a pattern doesn't match as a whole; the fault names the form in words."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise WrongForm(words)
        return text

    return AfterValidator(check)


Name = Annotated[
    str,
    require_form(
        "[A-Za-z_][A-Za-z0-9_]*", "a name of letters, digits and underscores, no digit first"
    ),
]


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        close = difflib.get_close_matches(name, available_timezones(), n=1)
        remedy = f"did you mean '{close[0]}'?" if close else "correct the name"
        raise ValueError(
            f"expected the IANA name of a time zone such as 'Europe/Berlin', got {shorten(name)};"
            f" {remedy}"
        ) from None
    return name


TimeZone = Annotated[str, AfterValidator(_time_zone)]


class Part(BaseModel):
    """A piece of study.yml: unknown keys refused, never changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _option(value: Any) -> bool | int | str | list[str] | dict[str, str]:
    items = [*value, *value.values()] if isinstance(value, dict) else value
    if isinstance(value, bool | int | str) or (
        isinstance(items, list) and all(isinstance(item, str) for item in items)
    ):
        return value
    raise ValueError(
        "expected text, a whole number, true, false, a list of texts or texts by column, got"
        f" {shorten(value)}; correct the value"
    )


DIGEST = "64 hexadecimal digits in lower case"


class Source(Part):
    """One raw file, which the study's SQL reads by its key in ``sources``.

    ``file`` is a path below the study's ``raw/`` folder or an absolute one; CSV and Parquet may be
    a glob. ``options`` go to DuckDB's ``read_csv`` as they are; ``sheet`` chooses the sheet of an
    XLSX file, ``object`` the object of an RData file.
    """

    file: str
    url: str | None = None
    sha256: Annotated[str, require_form("[0-9a-f]{64}", DIGEST)] | None = None
    options: dict[
        Name, Annotated[bool | int | str | list[str] | dict[str, str], PlainValidator(_option)]
    ] = {}
    sheet: str | None = None
    object: str | None = None

    @model_validator(mode="after")
    def _url_needs_checksum(self):
        if self.url and not self.sha256:
            raise ValueError(
                f"expected a sha256 for {shorten(self.url)}, got none; add the file's SHA-256"
                " checksum"
            )
        return self


ENGINE_KEYS = {
    "duckdb": ("memory_gb", "threads"),
    "spark": ("master", "options"),
    "warehouse": ("url",),
}  # which keys belong to which kind
ADDRESS = "an address such as postgres://user@host/database"


class Engine(Part):
    """What runs the queries: DuckDB in this process, Spark, or a warehouse that Ibis connects to.

    ``engine: spark`` is short for ``engine: {kind: spark}``. ``memory_gb``, ``threads``: what
    DuckDB may use; beyond that it spills to disk. ``master``: where Spark runs; as Spark itself is
    configured unless given. ``options``: Spark's own. ``url``: the warehouse as ``ibis.connect``
    takes it; ``${NAME}`` stands for an environment variable.
    """

    kind: Literal["duckdb", "spark", "warehouse"] = "duckdb"
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    threads: Annotated[int, Field(ge=1)] | None = None
    master: str | None = None
    options: dict[str, bool | int | float | str] = {}
    url: Annotated[str, require_form("[a-z][a-z0-9+]*://.*", ADDRESS)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _expand_bare_kind(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _keys_fit_the_kind(self):
        own = ENGINE_KEYS[self.kind]
        foreign = [
            key
            for keys in ENGINE_KEYS.values()
            for key in keys
            if key not in own and getattr(self, key)
        ]
        if foreign:
            raise ValueError(
                f"expected only {' and '.join(own)} for the engine {self.kind}, got"
                f" {' and '.join(foreign)}; remove {'it' if len(foreign) == 1 else 'them'}"
            )
        if self.kind == "warehouse" and self.url is None:
            raise ValueError(
                "expected a url for the engine warehouse, got none; write for example"
                " 'postgres://user:${DB_PASSWORD}@host/database'"
            )
        if self.url and self.url.startswith("duckdb:"):
            raise ValueError(
                "expected a warehouse other than DuckDB, got a DuckDB file; use the engine"
                " duckdb and name the file under 'attach'"
            )
        return self


class Simulation(Part):
    """A simulated company instead of files: its size, the seed of every draw, and its traps."""

    customers: Annotated[int, Field(ge=100, le=100_000_000)]
    months: Annotated[int, Field(ge=12, le=1200)]
    seed: Annotated[int, Field(ge=0)] = 0
    traps: tuple[Literal[TRAPS], ...] = TRAPS


MEAN_MONTH_DAYS = 365.25 / 12
FIRST_UNCOVERED, LAST_COVERED = "first_uncovered_day", "last_covered_day"


MONTHS = "[1-9][0-9]{0,2} months?"


class Churn(Part):
    """What churn means, in days; see ``research.panel.labels`` for the windows.

    ``horizon``: the label window in months of the calendar, ``3 months``, in place of
    ``horizon_days``, which is then their mean length, for what counts in days.
    ``grace_days``: a gap of at most so many days between two contract terms is no leave. ``ends``:
    whether ``ended_at`` of contracts is the first day without cover or the last day with it.
    ``active_days``: a non-contractual customer belongs to the population while the last order is at
    most this old. ``inactive_days``: inactivity that counts as a lapse in survival analysis.
    """

    horizon_days: Days
    horizon: Annotated[str, require_form(MONTHS, "months such as '3 months'")] | None = None
    lead_days: Annotated[int, Field(ge=0, le=CENTURY_DAYS)] = 0
    grace_days: Annotated[int, Field(ge=0, le=CENTURY_DAYS)] = 0
    ends: Literal[FIRST_UNCOVERED, LAST_COVERED] = FIRST_UNCOVERED
    active_days: Days | None = None
    inactive_days: Days | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_horizon_days(cls, value: Any) -> Any:
        text = str(value.get("horizon")) if isinstance(value, dict) else ""
        if not re.fullmatch(MONTHS, text):  # a horizon in another form is the fault, not the days
            given = isinstance(value, dict) and value.get("horizon") is not None
            return {"horizon_days": 1} | value if given else value
        days = round(int(text.split()[0]) * MEAN_MONTH_DAYS)
        if value.get("horizon_days", days) != days:
            raise ValueError(
                f"expected horizon or horizon_days, got {text} and"
                f" {shorten(value['horizon_days'])}; remove one of them"
            )
        return value | {"horizon_days": days}

    @property
    def horizon_months(self) -> int:
        """The months of the label window; 0 where it is given in days."""
        return int(self.horizon.split()[0]) if self.horizon else 0


class Orders(Part):
    """How orders are read.

    ``cancelled_within_hours``: a negative or returned line within so many hours of an equal
    purchase of the same customer (and product) cancels it, and both are left out.
    """

    cancelled_within_hours: Annotated[int, Field(ge=1, le=24 * CENTURY_DAYS)] | None = None


class Snapshots(Part):
    """The panel: ``test`` snapshots up to ``last``, and ``train`` snapshots before them.

    ``scored``: the day on which ``research score`` says who is at risk, whose label window lies
    ahead; the last day of the data unless given.
    Label windows of training snapshots end before the first test snapshot. ``every: month`` in
    place of ``every_days``: they are a month of the calendar apart, and so long are the windows of
    indicators; month ends stay month ends. Of more than ``train_rows`` training rows, models learn
    from those of customers drawn at random.
    """

    last: Day
    scored: Day | None = None
    every_days: Days = 30
    every: Literal["month"] | None = None
    train: Annotated[int, Field(ge=1)] = 6
    test: Annotated[int, Field(ge=1)] = 1
    train_rows: Annotated[int, Field(ge=1000)] = 100_000

    @model_validator(mode="after")
    def _one_distance(self):
        if self.every and self.every_days != Snapshots.model_fields["every_days"].default:
            raise ValueError(
                f"expected every or every_days, got {self.every} and {self.every_days}; remove one"
                " of them"
            )
        return self

    @model_validator(mode="after")
    def _panel_fits_a_century(self):
        span = (self.train + self.test) * self.every_days
        if span > CENTURY_DAYS:
            raise ValueError(
                f"expected train and test snapshots within {CENTURY_DAYS:,} days, got {span:,}"
                " days; use fewer or closer ones"
            )
        return self


class Leaks(Part):
    """Columns on which the study overrules the leakage checks, each with its reason."""

    keep: dict[str, str] = {}
    drop: dict[str, str] = {}


class Lifecycle(Part):
    """Thresholds of the lifecycle stages and windows of the indicators.

    The rules of the stages are in ``research.features.stage``. ``last``: the last day included;
    ``snapshots.last`` unless given. ``silence_days``: inactivity that counts as decline whatever a
    customer's own rhythm; two thirds of ``inactive_days`` unless given, none for contractual
    studies. ``activity``: the table whose rows show that a customer is active; usage where the
    study has it, else orders. ``segments``: attributes of customers, or ``plan``, by which
    indicators are split. ``targets``: a value for each indicator that has one, in its own unit.
    """

    last: Day | None = None
    introduction_days: Days = 90
    won_back_days: Days = 90
    recent_days: Days = 90
    decline_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.6
    growth_ratio: Annotated[float, Field(gt=1)] = 1.5
    noise: Annotated[float, Field(ge=0, le=5)] = 1.645
    silence_gaps: Annotated[float, Field(ge=1)] = 3.0
    silence_days: Days | None = None
    activity: Literal[ACTIVITY_TABLES] | None = None
    retention_days: Days = 365
    segments: list[str] | None = None
    targets: dict[str, float] = {}


class Features(Part):
    """How far features look back, and what they are called; see ``research.features``.

    ``windows``: days that counts, sums and means look back. ``words``: a table's rows (``usage:
    lectures``) or a feature (``tenure_days: days since registering``) in the study's own words.
    ``sentiment``: whether the sentiment of feedback texts is scored.
    """

    windows: Annotated[tuple[Days, ...], Field(min_length=1, max_length=12)] = (30, 90, 180, 365)
    words: dict[str, Annotated[str, Field(min_length=1)]] = {}
    sentiment: bool = True

    @model_validator(mode="after")
    def _windows_rise(self):
        if list(self.windows) != sorted(set(self.windows)):
            raise ValueError(
                f"expected windows in ascending order without repeats, got {list(self.windows)};"
                " sort them"
            )
        return self


Money = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Shape = Annotated[
    float, Field(gt=1, le=1e6, allow_inf_nan=False)
]  # both above 1: one peak, between nobody and everybody
Portion = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
CURRENCY = "a currency code of three capitals such as EUR"
PRICES = ("margin_per_customer", "offer_cost", "contact_cost")
OUTCOMES = ("kept", "outcome", "value")  # of an experiment; the first is primary unless given


class Experiment(Part):
    """How customers were assigned to arms, and what the outcomes mean.

    For the arms of campaigns and of flat studies; see ``research.uplift.trials``. ``assignment``:
    ``randomised`` says that arms were assigned at random: those of a flat study, and of campaigns
    whose propensity is one number in every row. ``observational`` admits campaigns and arms that
    were not, whose differences are associations. ``shares``: of the arms as planned, in any unit;
    equal unless given. ``outcomes``: what kept, outcome and value mean, in words. ``primary``: the
    outcome that rankings and verdicts are about. ``unit``: the column of what arms were drawn for,
    where it is not the customer, such as the household.
    """

    assignment: Literal["randomised", "observational"] | None = None
    shares: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = {}
    outcomes: dict[Literal[OUTCOMES], Annotated[str, Field(min_length=1)]] = {}
    primary: Literal[OUTCOMES] | None = None
    unit: Annotated[str, Field(min_length=1)] = "customer_id"

    @model_validator(mode="after")
    def _shares_have_a_control(self):
        if self.shares and (CONTROL not in self.shares or len(self.shares) < 2):
            raise ValueError(
                f"expected shares of '{CONTROL}' and of at least one other arm, got"
                f" {', '.join(self.shares)}; list all arms of the experiment"
            )
        return self


Least = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]


class ImportantDifference(Part):
    """The smallest differences that matter, stated before a result is seen; none unless given.

    Verdicts say of each whether it is reached, ruled out, or open. ``auc``, ``log_loss``: between a
    model of the risk and the baseline. ``brier``: of survival curves, integrated. ``error``: of
    values, root mean squared, as a share of the baseline's. ``effect``: of an arm, in the unit of
    the outcome, a share as 0.01. ``profit``: of a list in one cycle, in the study's currency.
    """

    auc: Least | None = None
    log_loss: Least | None = None
    brier: Least | None = None
    error: Least | None = None
    effect: Least | None = None
    profit: Least | None = None


class ArmCosts(Part):
    """The cost of a contact and of an accepted offer in one arm, in place of the common prices."""

    contact_cost: Money
    offer_cost: Money = 0.0


class Economics(Part):
    """The currency, the team's capacity in one cycle, prices, margins and the discount rate.

    ``capacity``: customers that the team can contact in one cycle. The three prices come together
    or not at all. ``margin_per_customer``: the margin gained with a customer who would have left
    and is retained (the customer lifetime value), where customers can't be valued by fees or
    orders. ``offer_cost``: of an accepted offer. ``contact_cost``: of a contact. ``accept_alpha``,
    ``accept_beta``: the beta distribution of the share of contacted churners who accept and stay,
    where no campaign has measured it; 6 and 14, a mean of 30 %, as in Verbraken, Verbeke & Baesens
    (2013), doi:10.1109/TKDE.2012.50. ``budget``: of one cycle; unlimited unless given. ``arms``:
    costs of single arms of an experiment.

    For ``50_value``. ``margin_share``: the margin as a share of an order's amount; 1 unless given,
    so that value is revenue. ``fee_margin_share``: the same for a contract's fee; ``margin_share``
    unless given. ``discount_rate``: per year. ``value_days``: the horizon over which value is
    counted. ``fee_column``: in a flat study, the column with the monthly fee.
    """

    currency: Annotated[str, require_form("[A-Z]{3}", CURRENCY)]
    capacity: Annotated[int, Field(ge=1)]
    margin_per_customer: Money | None = None
    offer_cost: Money | None = None
    contact_cost: Money | None = None
    accept_alpha: Shape = 6
    accept_beta: Shape = 14
    budget: Money | None = None
    arms: dict[str, ArmCosts] = {}
    margin_share: Portion = 1
    fee_margin_share: Portion | None = None
    discount_rate: Annotated[float, Field(ge=0, lt=10, allow_inf_nan=False)] = 0.1
    value_days: Annotated[int, Field(ge=1, le=3653)] = 365
    fee_column: str | None = None

    @property
    def fee_margin(self) -> float:
        """The margin as a share of a contract's fee."""
        return self.margin_share if self.fee_margin_share is None else self.fee_margin_share

    @property
    def priced(self) -> bool:
        """Whether the prices are given, so that profit can be computed."""
        return self.margin_per_customer is not None

    @model_validator(mode="after")
    def _prices_fit(self):
        given = [key for key in PRICES if getattr(self, key) is not None]
        if given and len(given) < len(PRICES):
            raise ValueError(
                f"expected {', '.join(PRICES)} together, got {' and '.join(given)} alone; add"
                f" the others or remove {'it' if len(given) == 1 else 'them'}"
            )
        if given and self.margin_per_customer <= self.offer_cost:
            raise ValueError(
                "expected a margin_per_customer above the offer_cost, got"
                f" {self.margin_per_customer:g} and {self.offer_cost:g}; correct one of them"
            )
        return self

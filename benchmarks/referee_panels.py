"""What intervals, control charts, leakage checks and sums of value promise, simulated."""

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import yaml
from scipy.special import expit

from research.data.load import load_tables
from research.evaluation.bootstrap import percentile_interval, resample_scores
from research.features.leakage.gate import check_leakage
from research.lifecycle.control_charts import compute_charts
from research.study import Experiment, Leaks, load_study
from research.value.cost_of_churn import tabulate_segments
from research.value.customers import value_customers
from research.value.expected_value import discount

CUSTOMERS, ROWS_EACH, RESAMPLES = 300, 4, 200  # of a comparison of two models
BY_CUSTOMER, BY_ROW = "resampled by customer", "resampled by row"
MONTHS, CHARTS = 24, 10
BY_ERROR, RATES = "noise as the standard errors say", "rates of 300 to 3,000 customers"
CHECKED = 2_000  # customers of a panel
SEPARATION, EXPORT = "columns of a panel", "columns of a panel and attributes as of an export"
VALUED, REFITS, FOLDS = 900, 10, 3
STAYS = {"loose": 10.0, "bound": 40.0}  # months, on average
FEE, FEE_MARGIN, RATE, DAYS, MONTH = 10.0, 0.8, 0.1, 365, 30.4375
COST = "cost of churn of all"


def draw_pairs(seed: int) -> dict[str, float]:
    """Return whether the interval of a paired difference covers 0, by score and resampling.

    Two models know one cause of leaving each, and the causes are alike: in truth no score differs.
    A customer's rows share the causes and another one, so that they resemble one another.
    """
    rng = np.random.default_rng(seed)
    first, second, hidden = rng.normal(size=(3, CUSTOMERS)).repeat(ROWS_EACH, axis=1)
    churned = rng.random(first.size) < expit(-1 + first + second + hidden)
    rows = pd.DataFrame(
        {
            "repeat": 0,
            "customer_id": np.arange(CUSTOMERS).repeat(ROWS_EACH),
            "churned": churned,
            "first": expit(-1 + first),
            "second": expit(-1 + second),
        }
    )
    covered = {}
    for name, customers in ((BY_CUSTOMER, rows.customer_id), (BY_ROW, np.arange(len(rows)))):
        scores = resample_scores(rows.assign(customer_id=customers), RESAMPLES, seed)
        for score in ("auc", "log_loss"):
            values = scores["first"][score] - scores["second"][score]
            _, low, high = percentile_interval(values)
            covered[f"{score}, {name}"] = low <= 0 <= high
    return covered


def draw_charts(seed: int) -> dict[str, float]:
    """Return whether a report of ten charts alarms though nothing changes."""
    rng = np.random.default_rng(seed)
    shape, rate = (CHARTS, MONTHS), rng.uniform(0.02, 0.3, (CHARTS, 1))
    size = rng.integers(300, 3_000, shape)
    error = np.sqrt(rate * (1 - rate) / size)
    counted = rng.binomial(size, np.broadcast_to(rate, shape)) / size
    counted_error = np.sqrt(np.maximum(counted * (1 - counted), 1e-9) / size)
    noise = rate + error * rng.normal(size=shape)
    return {
        BY_ERROR: compute_charts(_frame_charts(noise, error)).alarm.any(),
        RATES: compute_charts(_frame_charts(counted, counted_error)).alarm.any(),
    }


def _frame_charts(value: np.ndarray, se: np.ndarray) -> pd.DataFrame:
    """Return the series of four indicators of the company and of one in six segments."""
    months = pd.date_range("2023-01-31", periods=MONTHS, freq="ME")
    whole = [(f"indicator {at}", "", "all") for at in range(4)]
    parts = [("indicator 0", "plan", f"plan {at}") for at in range(CHARTS - 4)]
    keys = pd.DataFrame(whole + parts, columns=["indicator", "segment_by", "segment"])
    table = keys.loc[keys.index.repeat(MONTHS)].reset_index(drop=True)
    return table.assign(
        snapshot=np.tile(months, CHARTS), value=value.ravel(), se=se.ravel(), worse=1
    )


def draw_honest_panel(seed: int) -> dict[str, float]:
    """Return whether the leakage checks exclude any of sixteen honest columns.

    Some make customers leave, some go with one another, some are noise; numbers are whole, to the
    cent or skewed, and texts have few values or many. For the export, everybody who was a customer
    once is drawn, whose attributes stand as they were when joining.
    """
    rng = np.random.default_rng(seed)
    frame = _draw_columns(CHECKED, rng)
    risk = expit(frame.pop("log_odds") - 1.5)
    panel = frame.assign(customer_id=np.arange(CHECKED), churned=rng.random(CHECKED) < risk)
    features, rules = [*frame], SimpleNamespace(leaks=Leaks(), experiment=Experiment())
    export, reference = _draw_export(rng)
    attributes = [name for name in export if name in features]
    return {
        SEPARATION: bool(len(check_leakage(panel, features, rules))),
        EXPORT: bool(
            len(
                check_leakage(
                    panel[[*attributes, "customer_id", "churned"]],
                    attributes,
                    rules,
                    reference,
                    export,
                )
            )
        ),
    }


def _draw_columns(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return sixteen honest columns, and the log-odds of leaving that they make."""
    engaged, unhappy = rng.normal(size=(2, n))
    numbers = {
        "n_usage": rng.poisson(np.exp(2 + 0.8 * engaged)),
        "days_since_usage": np.floor(rng.exponential(np.exp(2 - 0.7 * engaged))),
        "trend": 0.5 * engaged + rng.normal(size=n),
        "n_contacts": rng.poisson(np.exp(-0.5 + 0.7 * unhappy)),
        "n_complaints": rng.poisson(np.exp(-1.5 + 0.9 * unhappy)),
        "satisfaction": np.where(rng.random(n) < 0.4, np.nan, np.round(7 - 1.5 * unhappy)),
        "income": np.round(np.exp(7.5 + 0.4 * rng.normal(size=n)), 2),
        "age": rng.integers(18, 90, n),
        "discount": rng.random(n) < 0.1,
        "noise": rng.normal(size=n),
        "dice": rng.integers(1, 7, n),
    }
    texts = {
        "plan": rng.choice(["basic", "plus", "pro"], n, p=[0.6, 0.3, 0.1]),
        "channel": rng.choice(["shop", "web", "friend"], n),
        "region": rng.choice([f"region {at}" for at in range(25)], n),
        "payment": np.where(rng.random(n) < 0.3 + 0.2 * (unhappy > 0), "cheque", "card"),
        "rare": np.where(rng.random(n) < 0.01, "yes", "no"),
    }
    frame = pd.DataFrame(numbers | texts)
    odds = -0.9 * engaged + 0.9 * unhappy + 1.2 * (frame.plan == "basic")
    return frame.astype({"discount": float}).assign(log_odds=odds)


def _draw_export(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return lives as of an export, and the population by the first judged day."""
    n = 2 * CHECKED
    frame = _draw_columns(n, rng)[["income", "age", "plan", "channel", "region", "rare"]]
    end, judged = pd.Timestamp("2025-06-30"), pd.Timestamp("2025-03-31")
    age = rng.integers(200, 1_500, n)
    hazard = np.where(frame.plan == "basic", 3.0, 1.0) / 2_000
    stay = np.ceil(rng.exponential(1 / hazard))
    joined = end - pd.to_timedelta(age, unit="D")
    lives = frame.assign(
        customer_id=np.arange(n),
        joined_at=joined,
        left=stay < age,
        stay_days=np.minimum(stay, age).astype(int),
        age_days=age,
    )
    gone = (joined + pd.to_timedelta(stay, unit="D") <= judged) & lives.left
    arm = rng.choice(["call", "control"], n)
    reference = frame.assign(
        customer_id=np.arange(n), joined_at=joined, gone=gone, **{"arm of spring": arm}
    )
    return lives, reference[joined <= judged]


def draw_cost_of_churn(seed: int) -> dict[str, float]:
    """Return whether the interval of the cost of churn covers the truth, and the estimate's error.

    Customers of a flat study leave at a constant rate of their plan, so that the truth of those
    still there is a closed sum over the days of a year.
    """
    rng = np.random.default_rng(seed)
    plan = rng.choice([*STAYS], VALUED)
    months = pd.Series(plan).map(STAYS).to_numpy()
    lasts, censored = rng.exponential(months), rng.integers(1, 61, VALUED)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{at}" for at in range(VALUED)],
            "churned": lasts <= censored,
            "duration": np.ceil(np.minimum(lasts, censored)),
            "plan": plan,
            "fee": FEE,
        }
    )
    valuation = _value(frame, seed)
    row = tabulate_segments(valuation, pd.DataFrame(index=valuation.values.index)).iloc[0]
    true = sum(compute_true_cost(months[~frame.churned.to_numpy()]))
    return {
        COST: row.cost_low <= true <= row.cost_high,
        "error": row.cost_of_churn / true - 1,
        "half_width": (row.cost_high - row.cost_low) / 2 / true,
    }


def compute_true_cost(months: np.ndarray) -> np.ndarray:
    """Return what each customer who stays so many months on average is expected to lose in a year.

    The margin of a day times the share that has left by then, discounted.
    """
    days = np.arange(DAYS + 1.0)
    left = 1 - np.exp(-days / (months[:, None] * MONTH))
    return FEE * FEE_MARGIN / MONTH * np.trapezoid(left * discount(days, RATE), days, axis=1)


def _value(frame: pd.DataFrame, seed: int):
    """Write the study into a folder of its own, and value its customers."""
    definition = {
        "title": "A simulated company",
        "kind": "flat",
        "duration_unit": "months",
        "sources": {"raw_snapshot": {"file": "snapshot.parquet"}},
        "economics": {
            "currency": "EUR",
            "capacity": 100,
            "fee_column": "fee",
            "fee_margin_share": FEE_MARGIN,
            "discount_rate": RATE,
            "value_days": DAYS,
        },
    }
    before = os.environ.get("RESEARCH_HOME")
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "data" / "simulated"
        (folder / "raw").mkdir(parents=True)
        frame.to_parquet(folder / "raw" / "snapshot.parquet", index=False)
        (folder / "snapshot.sql").write_text("SELECT * FROM raw_snapshot")
        (folder / "study.yml").write_text(yaml.safe_dump(definition))
        os.environ["RESEARCH_HOME"] = home
        try:
            study = load_study("simulated")
            return value_customers(load_tables(study), study, None, REFITS, FOLDS, seed)
        finally:
            os.environ.pop("RESEARCH_HOME")
            if before is not None:
                os.environ["RESEARCH_HOME"] = before

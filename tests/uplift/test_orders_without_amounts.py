"""Orders whose amounts aren't recorded: what can be counted runs, what needs money says so."""

import numpy as np
import pandas as pd
import pytest
from trial_maker import DAY

from research.data.load import load_tables
from research.errors import NotApplicable, StudyError
from research.features.build import describe_features
from research.lifecycle import indicators
from research.lifecycle.indicator_glossary import list_missing
from research.lifecycle.rfm import score_rfm
from research.panel.evidence import evidence_as_of
from research.uplift.average_effects import DIFFERENCE_OF_MEANS, score_outcomes, tabulate_effects
from research.uplift.policy.case import find_outcome_value
from research.uplift.trials import RANDOMISED, load_trials
from research.value.customers import value_customers

N = 200


def write(write_study, amounts: bool = False, **changes):
    """Write buyers who all bought in May; half got a letter, who then order twice as often: lines
    on 2 July (all with a letter) and 10 July (all), and one that goes back on 11 July (the first).
    """
    ids, letter = [f"c{number:03d}" for number in range(N)], np.arange(N) % 2 == 1
    rows = [(one, "2024-05-20", False) for one in ids]
    rows += [(one, "2024-07-02", False) for one, got in zip(ids, letter, strict=True) if got]
    rows += [(one, "2024-07-10", False) for one in ids] + [(ids[0], "2024-07-11", True)]
    orders = pd.DataFrame(rows, columns=["customer_id", "ordered_at", "returned"])
    orders = orders.astype({"ordered_at": "datetime64[us]"})
    orders = orders.assign(amount=5.0) if amounts else orders
    people = pd.DataFrame({"customer_id": ids, "joined_at": pd.Timestamp("2024-01-01")})
    campaigns = pd.DataFrame(
        {
            "customer_id": ids,
            "campaign": "letter",
            "assigned_at": DAY,
            "arm": np.where(letter, "letter", "control"),
            "propensity": 0.5,
        }
    )
    study = write_study(
        "non_contractual",
        tables={"customers": people, "orders": orders, "campaigns": campaigns},
        experiment={"assignment": "randomised"},
        **changes,
    )
    return study, load_tables(study)


def test_the_value_of_a_trial_is_a_count_of_order_lines(write_study):
    study, tables = write(write_study)
    trial = load_trials(tables, study)[RANDOMISED]
    assert trial.outcomes["value"] == "order lines within 30 days, a count"
    by_customer = trial.rows.set_index("customer_id").value
    # one line, taken back by the first; two with a letter
    assert by_customer[["c000", "c001", "c002"]].tolist() == [0, 2, 1]
    effects = tabulate_effects(trial, score_outcomes(trial, 0))
    row = effects[(effects.method == DIFFERENCE_OF_MEANS) & (effects.outcome == "value")].iloc[0]
    assert row.effect == pytest.approx(2 - 99 / 100)


def test_amounts_that_are_recorded_stay_money(write_study):
    study, tables = write(write_study, amounts=True)
    trial = load_trials(tables, study)[RANDOMISED]
    assert trial.outcomes["value"] == "value, EUR"
    assert trial.rows.set_index("customer_id").value["c001"] == 10


def test_no_feature_speaks_of_money(write_study):
    study, tables = write(write_study)
    names = describe_features(tables, study).feature.tolist()
    assert {"n_orders_30d", "n_returns_30d", "days_since_last_orders"} <= {*names}
    assert not [name for name in names if "amount" in name]
    assert not {"EUR"} & {*describe_features(tables, study).unit}


def test_what_needs_money_is_not_applicable(write_study):
    study, tables = write(write_study)
    with pytest.raises(NotApplicable, match="has no amounts: its orders can be counted"):
        value_customers(tables, study, study.snapshots.last, 0, 2, 0)
    trial = load_trials(tables, study)[RANDOMISED]
    with pytest.raises(NotApplicable, match="has no amounts"):
        find_outcome_value(trial, tables, study, 0)
    assert list_missing("net_revenue_retention", study, tables) == ["orders.amount"]
    assert list_missing("purchase_frequency", study, tables) == []


def test_indicators_and_segments_of_buyers_are_counted(write_study):
    study, tables = write(write_study)
    assert len(indicators.compute_indicators(tables, study, [study.snapshots.last]))
    scores = score_rfm(evidence_as_of(tables, [study.snapshots.last]), study)
    assert scores.monetary.isna().all() and (scores.frequency_days == 1).all()


def test_amounts_that_are_given_must_be_full(write_study):
    study, _ = write(write_study, amounts=True)
    (study.folder / "orders.sql").write_text(
        "SELECT * REPLACE (CASE WHEN returned THEN NULL ELSE amount END AS amount) FROM raw_orders"
    )
    with pytest.raises(StudyError, match="column amount: expected no empty values"):
        load_tables(study)


def test_cancellations_need_amounts(write_study):
    with pytest.raises(StudyError, match="cancelled_within_hours: expected orders with amounts"):
        write(write_study, orders={"cancelled_within_hours": 24})

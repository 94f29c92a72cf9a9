"""Labels that can't be are told with their likely causes, in order."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds

from research.data import load
from research.errors import StudyError
from research.features.build import load_flat, load_panel
from research.panel.label_remarks import find_label_remarks, require_labels
from research.panel.learning import Panel
from research.panel.splits import plan_split

START = "2023-01-01"
TERMS = "{} contracts have ended by then (ended_at in contracts.sql, empty while they run)"


def subscribers(ends: list[str | None], start: str = START, **columns) -> dict[str, pd.DataFrame]:
    """Return customers with one contract each, which ends on these days."""
    ids = [f"c{i:04d}" for i in range(len(ends))]
    people = pd.DataFrame({"customer_id": ids, "joined_at": pd.Timestamp(start)})
    terms = pd.DataFrame({"customer_id": ids, "started_at": pd.Timestamp(start)} | columns)
    terms["ended_at"] = pd.Series(pd.to_datetime(ends)).astype("datetime64[us]")
    return {"customers": people, "contracts": terms}


def buyers(days: list[str], amount: float = 5.0) -> dict[str, pd.DataFrame]:
    """Return customers who all buy on each of these days."""
    ids = [f"c{i:03d}" for i in range(40)]
    people = pd.DataFrame({"customer_id": ids, "joined_at": pd.Timestamp(START)})
    rows = pd.MultiIndex.from_product([ids, pd.to_datetime(days)]).to_frame(index=False)
    return {
        "customers": people,
        "orders": rows.set_axis(["customer_id", "ordered_at"], axis=1).assign(amount=amount),
    }


def open_study(write_study, tables, kind="contractual", **changes):
    study = write_study(kind, tables=tables, **changes)
    return load.load_tables(study), study


def learn(tables, study) -> pd.DataFrame:
    split = plan_split(study)
    return load_panel(tables, study, split.train, known_by=min(split.test))


def find(write_study, tables, kind="contractual", **changes) -> list[str]:
    tables, study = open_study(write_study, tables, kind, **changes)
    return [*map(str, find_label_remarks(tables, study, learn(tables, study)))]


def leave(share: float, day: str, customers: int = 200) -> list[str | None]:
    return [day] * round(share * customers) + [None] * round((1 - share) * customers)


USUAL = leave(0.1, "2024-06-10") + leave(0.1, "2024-07-10")  # snapshots on 31 May and 30 June


def test_labels_as_they_should_be_are_not_remarked(write_study):
    assert find(write_study, subscribers(USUAL)) == []


def test_an_empty_population_is_told_with_the_step_that_loses_everybody(write_study):
    told = find(write_study, subscribers(["2024-02-01"] * 50))
    assert told[0] == (
        "population: nobody can churn after the training snapshots 2024-05-31; likely cause: "
        + TERMS.format("50 of 50")
    )
    assert told[1].startswith("population: nobody can churn after the test snapshots 2024-06-30")


def test_the_likely_causes_stand_in_the_order_of_what_they_lose(write_study):
    tables = subscribers(["2024-02-01"] * 30 + [None] * 70)
    tables["customers"]["joined_at"] = pd.Timestamp("2024-09-01")  # the day of an export
    told = find(write_study, tables)[0]
    assert told.endswith(
        "likely causes, in order: (1) 70 of 70 belong to customers who joined later (joined_at and"
        f" customer_id in customers.sql), (2) {TERMS.format('30 of 100')}"
    )


def test_a_known_at_that_hides_all_is_the_cause_of_an_empty_population(write_study):
    tables = subscribers(USUAL, known_at=pd.Timestamp("2024-11-20"))
    told = find(write_study, tables)[0]
    assert "400 of 400 contracts became known later or never (known_at in contracts.sql)" in told


@pytest.mark.parametrize(
    ("tables", "cause"),
    [
        (buyers(["2024-05-20", "2024-06-20"], amount=-5.0), "40 orders have no positive amount"),
        (buyers(["2024-01-20", "2024-09-20"]), "40 orders are older than active_days"),
    ],
    ids=["amount", "active_days"],
)
def test_an_empty_population_of_buyers_names_the_cast_or_the_key(write_study, tables, cause):
    told = find(write_study, tables, "non_contractual")[0]
    assert "nobody can churn after the training snapshots" in told
    assert f"of {cause}" in told


def test_nobody_churned_since_no_contract_has_an_end(write_study):
    assert find(write_study, subscribers([None] * 60))[0] == (
        "labels: nobody churned among the 60 customers of the training snapshots; likely cause: no"
        " contract has an end (the column and the cast of ended_at in contracts.sql)"
    )


def test_nobody_churned_since_all_ends_lie_outside_the_windows(write_study):
    told = find(write_study, subscribers(leave(0.2, "2024-10-01")))[0]
    assert "all 40 ends lie between 2024-10-01 and 2024-10-01, outside the label windows" in told


def test_nobody_churned_since_another_contract_goes_on(write_study):
    tables = subscribers(["2024-06-10"] * 50)
    again = tables["contracts"].assign(started_at=pd.Timestamp("2024-06-10"))
    again["ended_at"] = pd.Timestamp("2025-06-10")
    tables["contracts"] = pd.concat([tables["contracts"], again], ignore_index=True)
    assert (
        "50 contracts end in the label windows, but another one goes on from that day"
        in (find(write_study, tables)[0])
    )


def test_everybody_churned_since_every_contract_has_an_end(write_study):
    told = find(write_study, subscribers(["2024-06-10"] * 50))[0]
    assert told.startswith("labels: everybody churned among the 50 customers of the training")
    assert "likely causes, in order: (1) every contract has an end (ended_at in" in told


def test_nobody_or_everybody_churned_of_buyers_names_keys(write_study):
    often = find(write_study, buyers([f"2024-0{m}-15" for m in range(1, 9)]), "non_contractual")
    assert "nobody churned among the 40 customers of the training snapshots" in often[0]
    assert "horizon_days and active_days under churn in study.yml" in often[0]
    never = find(write_study, buyers(["2024-05-15"]), "non_contractual")
    assert "everybody churned among the 40 customers" in never[0]
    assert "(1) orders end on 2024-05-15 and the data on 2024-12-31 (data_end" in never[0]


MONTHS = {"last": "2024-06-30", "every_days": 30, "train": 3, "test": 1}


def test_training_snapshots_without_a_churner_are_named(write_study):
    # snapshots on 1 April, 1 and 31 May, and 30 June
    ends = leave(0.1, "2024-06-10") + leave(0.1, "2024-07-10")
    told = find(write_study, subscribers(ends), snapshots=MONTHS)
    assert len(told) == 1
    assert told[0].startswith(
        "labels: nobody churned after the training snapshots 2024-04-01, 2024-05-01, among 800"
        " customers, and 5.0% after the others"
    )
    assert "(1) ends were not recorded before 2024-06-10 (data_start and snapshots" in told[0]


def test_a_rate_that_jumps_is_told_with_the_day_of_most_ends(write_study):
    ends = [*leave(0.3, "2024-07-10", 600), *leave(0.5, "2024-06-10", 60)]
    ends += leave(0.5, "2024-05-10", 60) + leave(0.5, "2024-04-10", 60)
    told = find(write_study, subscribers(ends), snapshots=MONTHS)
    assert len(told) == 1
    # 30 of 780 and 180 of 690
    assert told[0].startswith(
        "labels: the churn rate jumps between snapshots, from 3.8% after 2024-04-01 to 26.1% after"
        " 2024-06-30, more than sampling allows; likely causes, in order: (1)"
    )
    assert "180 of 270 ends are of 2024-07-10 (ended_at in contracts.sql)" in told[0]


@pytest.mark.parametrize("seed", list_seeds(4))
def test_rates_that_differ_by_sampling_do_not_jump(write_study, seed):
    rng = np.random.default_rng(seed)
    days = pd.Timestamp("2024-04-01") + pd.to_timedelta(rng.exponential(600, 300) // 1, unit="D")
    ends = [str(day.date()) if day.year == 2024 else None for day in days]
    assert find(write_study, subscribers(ends), snapshots=MONTHS) == []


def test_a_flat_table_in_which_nobody_churned_names_the_cast(write_study):
    frame = pd.DataFrame({"customer_id": [*"abc"], "churned": False, "age": [1.0, 2, 3]})
    tables, study = open_study(write_study, {"snapshot": frame}, "flat")
    rows = load_flat(tables, study)
    assert [*map(str, find_label_remarks(tables, study, rows))] == [
        "labels: nobody churned among the 3 rows; likely cause: a text or number that isn't cast as"
        " meant (churned in snapshot.sql)"
    ]
    with pytest.raises(StudyError, match=r"tiny: labels: nobody churned among the 3 rows"):
        require_labels(tables, study, Panel(rows, rows, None, tables))


def test_labels_from_which_nothing_can_be_learned_are_refused_with_their_cause(write_study):
    tables, study = open_study(write_study, subscribers(leave(0.2, "2024-06-10")))
    split = plan_split(study)
    test = load_panel(tables, study, split.test)
    panel = Panel(learn(tables, study), test, split, tables)
    with pytest.raises(StudyError, match=r"^tiny: labels: nobody churned among the 160 customers"):
        require_labels(tables, study, panel)
    assert split.train == (date(2024, 5, 31),)


def test_labels_of_both_classes_are_allowed_though_they_jump(write_study):
    ends = leave(0.5, "2024-07-10", 600) + leave(0.5, "2024-06-10", 60)
    tables, study = open_study(write_study, subscribers(ends))
    split = plan_split(study)
    panel = Panel(learn(tables, study), load_panel(tables, study, split.test), split, tables)
    require_labels(tables, study, panel)


def test_what_explains_labels_in_months_names_their_key_and_their_windows(write_study):
    churn = {"horizon": "3 months", "active_days": 90, "inactive_days": 60}
    snapshots = {"last": "2024-06-30", "every": "month", "train": 1, "test": 1}
    often = buyers([f"2024-0{m}-15" for m in range(1, 9)])
    told = find(write_study, often, "non_contractual", churn=churn, snapshots=snapshots)
    assert "(1) everybody buys so often (horizon and active_days under churn" in told[0]
    never = find(
        write_study, buyers(["2024-03-15"]), "non_contractual", churn=churn, snapshots=snapshots
    )
    assert "customers buy more rarely than that (horizon under churn in study.yml)" in never[0]


def test_ends_on_the_last_day_of_a_window_of_months_are_looked_for(write_study):
    # the window after 30 June closes on 30 September, 92 days later
    snapshots = {"last": "2024-06-30", "every": "month", "train": 1, "test": 1}
    late = subscribers(["2024-09-30"] * 50)
    late["contracts"] = pd.concat(
        [late["contracts"], late["contracts"].assign(started_at=pd.Timestamp("2024-09-30"))]
    ).assign(ended_at=lambda t: t.ended_at.where(t.started_at < "2024-09-30"))
    told = find(write_study, late, churn={"horizon": "3 months"}, snapshots=snapshots)
    assert any("50 contracts end in the label windows, but another one goes on" in t for t in told)

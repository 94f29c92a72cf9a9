"""The list of a day as research score writes it: whom to contact, why, by when, and who is not."""

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest
import yaml
from playbooks import PLAYBOOK
from town_companies import DAY, draw, write

from research import cli
from research.study_schema import CONTROL
from research.watchlist import forecast, reason_base
from research.watchlist.history import ASSIGNED, SENT, History, locate_history
from research.watchlist.listing import COLUMN_WORDS, find_share, price_holdout
from research.watchlist.lists import CONTACT, HARMED, SPARED, Situation, add_actions
from research.watchlist.playbook import THEMES, Playbook
from research.watchlist.situation import (
    EFFECTS,
    find_contacted,
    find_held_out,
    find_situation,
    list_effects,
)

CAPACITY = 60


@pytest.fixture(scope="module")
def company(write_shared):
    """A company that was scored twice, ten days apart, with a playbook."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forecast, "MOST_WINDOWS", 1)
        patch.setattr(reason_base, "REFITS", 2)
        economics = {"currency": "EUR", "capacity": CAPACITY}
        study, tables = write(
            write_shared,
            draw(900),
            model="single tree",
            economics=economics,
            snapshots={"last": "2024-06-30", "train": 2, "test": 1, "every_days": 30}
            | {"scored": "2024-12-21"},
        )
        (study.folder / "playbook.yml").write_text(yaml.safe_dump(PLAYBOOK))
        assert cli.main(["score", "tiny"]) == 0
        text = (study.folder / "study.yml").read_text().replace("2024-12-21", str(DAY))
        (study.folder / "study.yml").write_text(text)
        assert cli.main(["score", "tiny"]) == 0
        yield study


@pytest.fixture(scope="module")
def history(company) -> History:
    return History(locate_history("tiny"))


@pytest.fixture(scope="module")
def listed(history) -> pd.DataFrame:
    rows = history.read(SENT, DAY)
    return rows[rows["rank"].notna()].sort_values("rank", ignore_index=True)


def test_the_list_is_as_long_as_the_team_can_work_and_goes_by_value_at_risk(listed, history):
    assert [*listed["rank"]] == [*range(1, CAPACITY + 1)]
    rest = history.read(SENT, DAY).query("rank.isna()")
    assert listed.value_at_risk.min() >= rest.value_at_risk.max()
    assert {*listed.tier} == {"high", "medium", "low"}


def test_reasons_name_the_own_value_and_the_usual_one(listed):
    assert listed.reason_1.str.match(r".+: .+; usually .+").all()
    assert {*listed.theme} <= {*THEMES} and listed.stable_reason.notna().all()


def test_who_was_assigned_by_the_list_before_is_spared_contacted_or_held_out(listed, history):
    first = history.read(ASSIGNED, date(2024, 12, 21))
    assert {*first.arm} > {CONTROL}
    spared = listed.customer_id.isin(first.customer_id)
    assert spared.any() and (listed.decision[spared] == SPARED).all()
    assert (listed.decision[~spared] == CONTACT).all()
    contacted = listed.customer_id.isin(first.customer_id[first.arm != CONTROL])
    assert (listed.last_contact[contacted] == pd.Timestamp("2024-12-21")).all()
    assert (listed.lists_in_a_row[spared] == 2).all()


def test_the_rest_have_an_action_a_deadline_and_a_random_part_of_them_is_held_out(listed, history):
    due = listed[listed.decision == CONTACT]
    assert (due.deadline == pd.Timestamp("2025-01-03")).all() and (due.owner == "service").all()
    held = due.assigned_arm == CONTROL
    assert 0 < held.sum() < len(due)
    assert due.propensity[held].nunique() == 1
    assert np.isclose(due.propensity[held].iloc[0] + due.propensity[~held].iloc[0], 1)
    assert len(history.read(ASSIGNED, DAY)) == len(due)


def test_assignments_are_rows_that_a_campaigns_table_takes_as_they_are(company, history, capsys):
    folder = history.folder / "exports" / f"sent-{DAY}"
    source = folder / "campaigns.parquet"
    (company.folder / "raw" / "campaigns.parquet").write_bytes(source.read_bytes())
    (company.folder / "campaigns.sql").write_text("SELECT * FROM raw_campaigns")
    definition = yaml.safe_load((company.folder / "study.yml").read_text())
    before = (company.folder / "study.yml").read_text()
    definition["sources"]["raw_campaigns"] = {"file": "campaigns.parquet"}
    (company.folder / "study.yml").write_text(yaml.safe_dump(definition))
    try:
        assert cli.main(["check", "tiny"]) == 0, capsys.readouterr().err
        assert "campaigns 3" in capsys.readouterr().out or len(pd.read_parquet(source))
    finally:
        (company.folder / "study.yml").write_text(before)
        (company.folder / "campaigns.sql").unlink()


def test_files_hold_the_same_list_and_name_their_columns(listed, history):
    folder = history.folder / "exports" / f"sent-{DAY}"
    table, plain = (
        pd.read_parquet(folder / "watchlist.parquet"),
        json.loads((folder / "run.json").read_text()),
    )
    assert [*table.customer_id] == [*listed.customer_id]
    assert [*table] == [*COLUMN_WORDS] == [*plain["columns"]]
    assert [row["customer_id"] for row in plain["customers"]] == [*listed.customer_id]
    assert len(pd.read_csv(folder / "watchlist.csv")) == CAPACITY


def test_scored_again_from_the_same_inputs_nothing_is_appended(company, history, capsys):
    before = history.entries
    assert cli.main(["score", "tiny"]) == 0
    out = capsys.readouterr().out
    assert history.entries == before
    assert "held out at random" in out and "at most the" in out and "spared, contacted" in out


def test_without_a_playbook_no_action_is_recommended_and_nobody_is_held_out(company, capsys):
    path = company.folder / "playbook.yml"
    text = path.read_text()
    path.unlink()
    try:
        assert cli.main(["score", "tiny", "--revise", "without the playbook"]) == 0
        assert "no action is recommended, since there is no" in capsys.readouterr().out
        rows = History(locate_history("tiny")).read(SENT, DAY)
        assert (rows.decision.dropna() == "no action in the playbook").all()
        assert rows.assigned_arm.isna().all()
    finally:
        path.write_text(text)


# Without a model


def list_rows(**columns) -> pd.DataFrame:
    rows = {"customer_id": ["a", "b"], "theme": "usage", "tier": "high", "value_at_risk": 100.0}
    return pd.DataFrame(rows | columns)


def test_every_customer_spared_or_harmed_leaves_nobody_to_contact():
    book = Playbook.model_validate(PLAYBOOK)
    day = date(2024, 6, 30)
    lately = pd.Series(pd.Timestamp("2024-06-20"), index=["a", "b"])
    spared = add_actions(list_rows(), book, Situation(day, 2, contacted=lately))
    assert [*spared.decision] == [SPARED, SPARED]
    effects = pd.DataFrame(
        {"effect_points": [-2.0], "effect_low": [-3.0], "effect_high": [-1.0]}, index=["call"]
    )
    harmed = add_actions(list_rows(), book, Situation(day, 2, effects=effects))
    assert [*harmed.decision] == [HARMED, HARMED]


def test_the_cost_of_the_holdout_is_what_contact_would_have_kept_less_its_own_cost():
    rows = pd.DataFrame(
        {
            "action": "call",
            "arm": "call",
            "assigned_arm": ["call", CONTROL, CONTROL],
            "cost": 6.0,
            "worth_of_keeping": 200.0,
            "value_at_risk": [80.0, 60.0, 40.0],
            "effect_points": np.nan,
            "assumed_gain": [40.0, 30.0, 20.0],
            "evidence": "assumption",
        }
    )
    [row] = price_holdout(rows).itertuples()
    assert (row.contacted, row.held_out, row.spent, row.at_risk) == (1, 2, 6, 100)
    assert row.given_up == 30 + 20 - 2 * 6
    assert price_holdout(rows.assign(assumed_gain=np.nan)).given_up.isna().all()
    tested = price_holdout(rows.assign(effect_points=10.0)).given_up.item()
    assert tested == 2 * (0.1 * 200 - 6)


def test_contacts_are_assignments_to_another_arm_than_control_before_the_day():
    assigned = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b", "c"],
            "assigned_at": pd.to_datetime(["2024-06-01", "2024-06-10", "2024-06-10", "2024-06-30"]),
            "arm": ["call", "call", CONTROL, "call"],
        }
    )
    found = find_contacted({}, date(2024, 6, 30), assigned)
    assert found.to_dict() == {"a": pd.Timestamp("2024-06-10")}
    assert find_contacted({}, date(2024, 6, 30), pd.DataFrame()).empty
    held_out = find_held_out(date(2024, 6, 30), assigned)
    assert held_out.to_dict() == {"b": pd.Timestamp("2024-06-10")}
    assert find_held_out(date(2024, 6, 30), pd.DataFrame()).empty


def test_who_was_held_out_rests_as_long_as_who_was_contacted():
    held_out = pd.Series(pd.to_datetime(["2024-06-20", "2024-03-01"]), index=["a", "b"])
    situation = Situation(date(2024, 6, 30), 2, held_out=held_out)
    listed = add_actions(list_rows(), Playbook.model_validate(PLAYBOOK), situation)
    assert [*listed.decision] == [SPARED, CONTACT]
    assert listed.last_contact.isna().all()  # being held out is no contact


def test_a_study_without_a_randomised_campaign_has_no_tested_effects(write_study):
    study, tables = write(write_study, draw(300))
    assert list_effects(tables, study, 0) == []
    situation = find_situation(tables, study, DAY, None, pd.DataFrame(), [])
    assert situation.effects.empty and [*situation.effects] == EFFECTS


def test_the_share_to_hold_out_follows_the_mean_effect_of_all_actions(write_study):
    study = write_study("contractual")
    book = Playbook.model_validate(PLAYBOOK)
    rows = pd.DataFrame(
        {
            "decision": CONTACT,
            "risk": 0.5,
            "value_at_risk": 100.0,
            "assumed_gain": 20.0,  # a fifth of those who would leave: 10 points
            "effect_points": [np.nan] * 999 + [10.0],
        }
    )
    # see test_holdout: 1,000 customers, risk .5, effect .1
    assert find_share(rows, book, study).share == 0.27
    unknown = rows.assign(assumed_gain=np.nan, effect_points=np.nan)
    assert find_share(unknown, book, study).lists == 0

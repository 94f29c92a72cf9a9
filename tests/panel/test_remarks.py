"""Remarks on populations and labels reach who asks for them."""

import pandas as pd

from research import cli


def test_research_check_tells_why_nobody_is_there_without_a_warning(write_study, capsys, recwarn):
    ids, day = [f"c{i}" for i in range(60)], pd.Timestamp("2024-01-01")
    people = pd.DataFrame({"customer_id": ids, "joined_at": day, "region": "north"})
    terms = pd.DataFrame({"customer_id": ids, "started_at": day, "monthly_fee": 9.0})
    terms["known_at"] = pd.Timestamp("2024-11-20")  # the day of the load
    write_study(tables={"customers": people, "contracts": terms})
    assert cli.main(["check", "tiny"]) == 0
    told = capsys.readouterr().out
    assert "tiny: table contracts, known_at: 60 of 60 rows dated by the last snapshot" in told
    assert "tiny: population: nobody can churn after the training snapshots 2024-05-31" in told
    assert [*map(str, recwarn)] == []

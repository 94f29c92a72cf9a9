"""All remarks on a study's data in one table."""

import pandas as pd
from exports import lives

from research import cli
from research.features.leakage.gate import Leakage
from research.features.remarks import find_leakage_remarks


def test_each_suspected_feature_is_named_with_its_evidence_and_its_reason():
    findings = pd.DataFrame(
        {
            "column": ["last_login", "fee", "name"],
            "evidence": ["AUC 0.991", "AUC 0.960", "named in study.yml"],
            "reason": ["separation", "study.yml keeps it: checked", "identifies a person"],
            "decision": ["excluded", "kept", "excluded"],
        }
    )
    remarks = find_leakage_remarks(Leakage([*findings.column], findings))
    better = "where you know better, say so under 'leaks' in study.yml"
    assert [str(remark) for remark in remarks] == [
        f"feature last_login: excluded for target leakage: AUC 0.991; separation; {better}",
        "feature fee: suspected of target leakage and kept: AUC 0.960; study.yml keeps it: checked;"
        " remove it under 'leaks' in study.yml where it was measured at or after leaving",
        "feature name: excluded for target leakage: named in study.yml; identifies a person;"
        f" {better}",
    ]


def test_research_check_names_each_column_that_leaks(write_study, capsys):
    frame = lives(n=600)
    frame["paid"] = frame.monthly_fee * frame.stay_days
    ended = (frame.joined_at + pd.to_timedelta(frame.stay_days, unit="D")).where(frame.left)
    terms = frame[["customer_id", "monthly_fee"]].assign(started_at=frame.joined_at, ended_at=ended)
    people = frame[["customer_id", "joined_at", "noise", "paid"]]
    write_study(name="leaky", tables={"customers": people, "contracts": terms})
    assert cli.main(["check", "leaky"]) == 0
    told = capsys.readouterr().out
    assert "1 of " in told
    assert "leaky: feature paid: excluded for target leakage: grows by 1.00 % while" in told

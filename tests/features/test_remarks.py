"""All remarks on a study's data in one table."""

import pandas as pd

from research.features.leakage.gate import Leakage
from research.features.remarks import find_leakage_remarks


def test_each_excluded_feature_is_named_with_its_evidence_and_its_reason():
    findings = pd.DataFrame(
        {
            "column": ["last_login", "fee"],
            "evidence": ["AUC 0.991", "AUC 0.960"],
            "reason": ["separation", "study.yml keeps it: checked"],
            "decision": ["excluded", "kept"],
        }
    )
    remarks = [*find_leakage_remarks(Leakage(["last_login", "fee"], findings))]
    assert [str(remark) for remark in remarks] == [
        "feature last_login: excluded for target leakage: AUC 0.991; separation; where you know"
        " better, say so under 'leaks' in study.yml"
    ]

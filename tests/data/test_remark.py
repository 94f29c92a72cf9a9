"""A remark is one sentence."""

from research.data.remark import Remark


def test_a_remark_reads_as_place_finding_and_remedy():
    remark = Remark("table contracts", "3 of 9 terms overlap", "look at them")
    assert str(remark) == "table contracts: 3 of 9 terms overlap; look at them"

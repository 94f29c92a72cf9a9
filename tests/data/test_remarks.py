"""Remarks on data that pass every check."""

from research.data.remark import Remark
from research.data.remarks import describe_remarks, list_remarks

TWINS = Remark("table snapshot", "300 of 3,150 rows are alike", "remove them")


def test_a_remark_is_one_sentence_with_its_place_and_its_remedy():
    assert describe_remarks(list_remarks([TWINS])) == [
        "table snapshot: 300 of 3,150 rows are alike; remove them"
    ]


def test_the_same_remark_is_made_once():
    assert len(list_remarks([TWINS, TWINS])) == 1
    assert [*list_remarks([]).columns] == ["place", "found", "remedy"]

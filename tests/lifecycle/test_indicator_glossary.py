"""The definitions as text for one study."""

import pytest
from subscribers import T, subscribers

from research.data import load
from research.errors import StudyError
from research.lifecycle import indicator_glossary, indicators
from research.lifecycle.indicator_definitions import DEFINITIONS


def test_targets_of_unknown_indicators_are_refused_in_one_sentence(write_study):
    study = write_study(
        tables=subscribers(), lifecycle={"targets": {"churn": 0.1, "nps": 20.0, "csatt": 0.5}}
    )
    with pytest.raises(
        StudyError,
        match=(
            r"key lifecycle\.targets: expected names among customer_churn_rate, .*, got"
            r" 'churn', 'csatt'; correct"
        ),
    ) as error:
        indicators.compute_indicators(load.load_tables(study), study, [T])
    assert len(error.value.faults) == 1


@pytest.mark.parametrize("kind", ["contractual", "non_contractual"])
def test_definitions_are_filled_in_for_the_study(write_study, kind):
    study = write_study(
        kind,
        tables=subscribers(),
        snapshots={"last": "2024-06-30", "every_days": 28, "train": 1, "test": 1},
    )
    table = indicator_glossary.definitions_table(study).set_index("indicator")
    assert list(table.index) == list(DEFINITIONS)
    assert not table.stack().astype(str).str.contains(r"[{}]").any()
    assert table.unit["purchase_frequency"] == "purchase days per customer in 28 days"
    assert ("fee" in table.definition["revenue_churn_rate"]) == (kind == "contractual")
    assert "T − 28 days" in indicator_glossary.describe_terms(study)


def test_definitions_of_a_study_in_months_say_months(write_study):
    study = write_study(tables=subscribers(), snapshots={"last": "2024-06-30", "every": "month"})
    table = indicator_glossary.definitions_table(study).set_index("indicator")
    assert table.unit["purchase_frequency"] == "purchase days per customer in 1 month"
    assert "the start is T − 1 month, the window" in indicator_glossary.describe_terms(study)
    # what looks back over days goes on saying so
    assert table.title["retention_rate"] == "Retention rate over 365 days"

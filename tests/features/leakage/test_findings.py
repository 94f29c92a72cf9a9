"""The limits that the leakage checks share mean what they say."""

from scipy.stats import binom

from research.features.leakage.findings import MIN_CUSTOMERS, PURE_CUSTOMERS, Finding


def test_a_group_that_leaves_whole_is_rare_even_at_a_risk_of_97_percent():
    assert binom.pmf(PURE_CUSTOMERS, PURE_CUSTOMERS, 0.97) < 0.011
    assert binom.pmf(MIN_CUSTOMERS, MIN_CUSTOMERS, 0.97) > 0.5  # so few show nothing


def test_a_finding_unpacks_into_the_columns_of_the_table():
    evidence, reason = Finding("AUC 0.991", "separation")
    assert (evidence, reason) == ("AUC 0.991", "separation")

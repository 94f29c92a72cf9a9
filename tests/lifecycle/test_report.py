"""Sentences and tables for readers."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from research.lifecycle import feedback, report
from research.lifecycle.chart_changes import CHANGE_COLUMNS
from research.lifecycle.control_charts import CHART_KEYS
from research.panel.periods import Months

DAY = pd.Timestamp("2024-06-30")
TITLES = {"customer_churn_rate": "Customer churn rate", "revenue_lost": "Revenue lost to churn"}
UNITS = {"customer_churn_rate": "share", "revenue_lost": "EUR a year"}


def stage_counts(**customers: int) -> pd.DataFrame:
    table = pd.DataFrame({"stage": customers.keys(), "customers": customers.values()})
    present = table.customers.where(table.stage != "gone")
    return table.assign(snapshot=DAY, share=present / present.sum())


def exits(decline: tuple[float, float], maturity: tuple[float, float]) -> pd.DataFrame:
    rows = [("decline", "gone", np.mean(decline), *decline)]
    rows += [("maturity", "gone", np.mean(maturity), *maturity)]
    return pd.DataFrame(rows, columns=["origin", "stage", "share", "low", "high"])


def test_stages_are_described_by_size_without_those_gone():
    sentence = report.describe_stages(
        stage_counts(growth=1, maturity=3, gone=5), exits((0, 1), (0, 1)).iloc[:0], 30
    )
    assert sentence == (
        "**On 2024-06-30 there are 4 customers**: 75% in maturity, 25% in growth; 5 are gone."
    )


def test_a_company_without_customers_is_described_as_such():
    sentence = report.describe_stages(stage_counts(growth=0, gone=5), exits((0, 1), (0, 1)), 30)
    assert sentence == "**On 2024-06-30 nobody is a customer**; 5 are gone."


@pytest.mark.parametrize(
    ("maturity", "end"), [((0.0, 0.1), "."), ((0.0, 0.2), ": no significant difference.")]
)
def test_exit_rates_differ_where_their_intervals_are_apart(maturity, end):
    counts = stage_counts(decline=10, maturity=10, gone=0)
    sentence = report.describe_stages(counts, exits((0.2, 0.4), maturity), 30)
    assert "Within 30 days 30.0% (20.0% to 40.0%) of those in decline leave" in sentence
    assert sentence.endswith(f"of those in maturity{end}")


def charts(ewma: float) -> pd.DataFrame:
    row = ("customer_churn_rate", "", "all", ewma)
    return pd.DataFrame([row], columns=[*CHART_KEYS, "ewma"])


def changes(**own) -> pd.DataFrame:
    row = {"indicator": "customer_churn_rate", "segment_by": "", "segment": "all", "since": DAY}
    row |= {"before": 0.02, "now": 0.034, "still_alarmed": True, "most_segment": ""}
    table = pd.DataFrame([row | own]).reindex(columns=CHANGE_COLUMNS)
    days, numbers = ["until", "earlier_until"], ["earlier", "year_ago", "segments_compared"]
    return table.astype(dict.fromkeys(days, "datetime64[us]") | dict.fromkeys(numbers, float))


def describe(warnings: pd.DataFrame, improvements=None, ewma: float = 4.0) -> str:
    improvements = changes().iloc[:0] if improvements is None else improvements
    return report.describe_changes(warnings, improvements, charts(ewma), TITLES, UNITS)


def test_a_worsening_is_described_with_both_means_and_its_worst_segment_in_the_same_unit():
    most = {"most_by": "plan", "most_segment": "pro", "most_before": 0.05, "most_now": 0.09}
    most |= {"segments_changed": 2, "segments_compared": 5}
    assert describe(changes(**most)) == (
        "**Worsened beyond chance:**\n\n"
        "- Customer churn rate, since the period up to 2024-06-30: 2.0 % before, 3.4 % since;"
        " most in plan pro:"
        " 5.0 % before, 9.0 % since; significant in 2 of 5 segments."
    )


def test_where_no_segment_changed_significantly_none_is_named():
    sentence = describe(changes(segments_changed=0, segments_compared=5))
    assert sentence.endswith("3.4 % since; significant in none of 5 segments alone.")


def test_a_worsening_after_an_improvement_is_described_with_the_level_before_both():
    history = {"earlier": 0.033, "earlier_until": pd.Timestamp("2023-12-31")}
    history |= {"year_ago": 0.031, "year_in_se": 1.0}
    assert describe(changes(**history)).endswith(
        "since the period up to 2024-06-30: 3.3 % before 2023-12-31, then 2.0 %, 3.4 % since;"
        " the same periods a"
        " year before: 3.1 %, no significant difference."
    )


def test_an_improvement_is_described_until_it_ended():
    better = changes(before=0.049, now=0.013, until=pd.Timestamp("2024-12-31"))
    assert describe(changes().iloc[:0], better).endswith(
        "**Improved beyond chance:**\n\n"
        "- Customer churn rate, since the period up to 2024-06-30: 4.9 % before, 1.3 %, until"
        " 2024-12-31."
    )


def test_segments_that_changed_on_the_same_day_are_named_in_one_line():
    segments = [changes(segment_by="plan", segment=f"p{at}") for at in range(7)]
    sentence = describe(pd.concat([changes(), *segments], ignore_index=True))
    assert sentence.count("Customer churn rate") == 1
    assert sentence.endswith(
        "; also shown by itself in plan p0, plan p1, plan p2, plan p3, plan p4 and 2 more."
    )


def test_a_warning_of_a_segment_that_has_passed_is_described_with_its_unit():
    own = {"indicator": "revenue_lost", "segment_by": "plan", "segment": "pro"}
    sentence = describe(changes(**own, before=10, now=20, still_alarmed=False))
    assert sentence.endswith(
        "- Revenue lost to churn in plan pro, since the period up to 2024-06-30: 10.0 before,"
        " 20.0 since (EUR a"
        " year); within the limit again at the last snapshot."
    )


def test_without_warnings_the_number_of_charts_is_given():
    none = changes().iloc[:0]
    assert "in 1 control charts" in describe(none, ewma=1.0)
    sentence = describe(none, ewma=np.nan)
    assert sentence == "Too few periods for a control chart: no indicator can be monitored."


@pytest.mark.parametrize(("later", "told"), [(500.0, True), (1_600.0, False)])
def test_a_change_of_who_is_counted_is_told_beside_it(later, told):
    days = pd.date_range(end=DAY + pd.Timedelta(days=60), periods=6, freq="30D")
    rows = pd.DataFrame({"snapshot": days, "denominator": [2_000.0] * 3 + [later] * 3})
    rows = rows.assign(indicator="customer_churn_rate", segment_by="", segment="all", ewma=1.0)
    better = changes(before=0.05, now=0.02)
    sentence = report.describe_changes(changes()[:0], better, rows, TITLES, UNITS)
    words = "On average 2,000 were counted before and 500 since: that others are counted may"
    assert (words in sentence) == told


def latest(**columns) -> str:
    table = pd.DataFrame({"indicator": ["customer_churn_rate", "repeat_purchase_rate"]})
    table = table.assign(title=["Churn", "Repeat"], unit="share", value=[0.102, 0.63])
    numbers = {"change": [-0.031, 0.02], "change_low": [-0.049, -0.01], "change_high": -0.013}
    return report.describe_latest(table.assign(**numbers | columns))


def test_a_significant_change_against_the_period_before_is_told_with_its_direction():
    assert latest(change_high=[-0.013, 0.05]).startswith(
        "**Against the period before** significantly different, of 2 indicators compared: Churn"
        " 10.2 %, a change of −3.1 pp (−4.9 pp to −1.3 pp), better"
    )
    assert "a change of 3.1 pp (1.3 pp to 4.9 pp), worse" in latest(
        change=[0.031, 0.02], change_low=[0.013, -0.01], change_high=[0.049, 0.05]
    )
    # alone significant, but not of two: 1.96 x 0.018 / 1.96 < 0.019 < 2.24 / 1.96 x 0.018
    one = {"change": [-0.019, 0.02], "change_low": [-0.037, -0.01], "change_high": [-0.001, 0.05]}
    assert latest(**one) == ""
    assert latest(change=np.nan) == ""


def summary(**columns) -> pd.DataFrame:
    table = pd.DataFrame({"title": ["Churn", "NPS", "CSAT", "Referrals"]})
    values = {"unit": "share", "value": 0.1, "low": 0.05, "high": 0.2, "target": np.nan}
    values |= dict.fromkeys(["change", "change_low", "change_high"], np.nan)
    values |= dict.fromkeys(["change_year", "change_year_low", "change_year_high"], np.nan)
    values |= {"verdict": ["missed", "met", "inconclusive", ""], "needs": "", "note": ""}
    values |= {"status": [*["measured"] * 3, "not measured"]}
    return table.assign(**values | columns)


def test_targets_are_listed_by_verdict():
    assert report.describe_targets(summary()) == (
        "Targets missed: Churn; met: NPS; inconclusive: CSAT. Not measured: Referrals."
    )


def test_without_targets_none_is_listed():
    sentence = report.describe_targets(summary(verdict="", status="measured"))
    assert sentence == "The study sets no target for what is measured."


def test_indicators_are_shown_with_intervals_and_what_is_not_measured_last():
    status, needs = ["not measured", *["measured"] * 3], ["a table", "", "", ""]
    table = summary(status=status, needs=needs)
    html = report.show_indicators(table).as_raw_html()
    assert "10.0 %<br><small>5.0 % to 20.0 %</small>" in html
    assert "not measured; needed: a table" in html
    assert html.index("Referrals") < html.index("Churn")


def test_what_holds_of_a_measured_value_stands_beside_it():
    table = summary(status="measured", needs="", note="of customers who stayed 21 days")
    assert "of customers who stayed 21 days" in report.show_indicators(table).as_raw_html()


def test_definitions_are_a_list():
    definitions = pd.DataFrame(
        {"title": ["Churn"], "definition": ["Who left."], "numerator": ["a"], "denominator": ["b"]}
    )
    assert report.describe_definitions(definitions) == "- **Churn.** Who left. Counted: *a ÷ b*."


def feedback_of(differences: pd.DataFrame, reason: str = "") -> feedback.FeedbackSentiment:
    nothing = pd.DataFrame()
    return feedback.FeedbackSentiment("", nothing, differences, nothing, reason)


def test_sentiment_is_described_by_the_auc_against_the_rule_on_length():
    columns = ["metric", "reference", "value", "low", "high", "verdict"]
    rows = [
        ("auc", "base rate", 0.4, 0.3, 0.5, "better"),
        ("brier", "rule on text length", 0.1, 0.0, 0.2, "worse"),
        ("auc", "rule on text length", 0.2, 0.1, 0.3, "better"),
    ]
    sentence = report.describe_sentiment(feedback_of(pd.DataFrame(rows, columns=columns)))
    assert sentence == (
        "Feedback text: the AUC differs from that of the rule on text length by"
        " 0.200 (0.100 to 0.300): better."
    )


def test_sentiment_that_is_not_measured_is_described_with_the_reason():
    assert report.describe_sentiment(feedback_of(pd.DataFrame(), "no texts")) == (
        "Feedback text: not measured: no texts."
    )
    assert "no later text" in report.describe_sentiment(feedback_of(pd.DataFrame()))


@pytest.mark.parametrize(("step", "words"), [(30, "30 days"), (Months(), "a month")])
def test_sentences_say_how_far_apart_snapshots_are_in_days_or_months(step, words):
    days = [date(2024, 5, 31), date(2024, 6, 30)]
    assert report.describe_snapshots(days, step) == (
        f"2 snapshots, {words} apart, from 2024-05-31 to 2024-06-30."
    )
    counts = stage_counts(decline=10, maturity=10, gone=0)
    sentence = report.describe_stages(counts, exits((0.2, 0.4), (0.0, 0.1)), step)
    assert f"Within {words} 30.0% (20.0% to 40.0%) of those in decline leave" in sentence

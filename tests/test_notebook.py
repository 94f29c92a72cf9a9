"""A study as a notebook opens it: parameters, panel, features and what does not apply."""

import warnings
from datetime import date

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from dated_rows import customers, random_company
from small_companies import company

import research as rs
from research.errors import NotApplicable, StudyError, UsageError
from research.panel.splits import Split


@pytest.fixture(autouse=True)
def own_style():
    """Opening a study sets the style of figures: leave that of the other tests."""
    with plt.rc_context():
        yield


@pytest.fixture
def run(write_study, monkeypatch, tmp_path):
    """An opened contractual study."""
    monkeypatch.chdir(tmp_path)  # tables of a notebook are left where it runs
    write_study("contractual", tables=company(), features={"windows": [30]})
    return rs.open("tiny")


@pytest.fixture(scope="module")
def shared(write_shared, tmp_path_factory):
    """A contractual study that is opened once, and what models may use of it."""
    with plt.rc_context(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("tables"))
        write_shared("contractual", tables=company(), features={"windows": [30]})
        opened = rs.open("tiny")
        yield opened, opened.features(opened.panel())


@pytest.fixture
def flat(write_study):
    """An opened flat study of 40 customers."""
    ids = [f"c{number:02}" for number in range(40)]
    table = pd.DataFrame(
        {"customer_id": ids, "churned": [True, False] * 20, "age": [*range(20, 60)]}
    )
    write_study("flat", tables={"snapshot": table})
    return rs.open("tiny")


def test_parameters_of_the_study_overrule_study_yml_and_defaults_keep_it(write_study):
    random_company(write_study, 0)
    kept = rs.open("tiny", snapshot="", lead_days=-1, horizon_days=0)
    assert kept.study.churn.horizon_days == 30 and kept.day == date(2024, 6, 30)
    changed = rs.open("tiny", snapshot="2024-05-31", horizon_days=60)
    assert changed.study.churn.horizon_days == 60 and changed.day == date(2024, 5, 31)


def test_what_the_terms_say_about_the_keys_of_time_stands_below_the_facts(run, write_study):
    assert "last_covered_day" not in run.facts.as_raw_html()
    names = [f"c{number}" for number in range(30)]
    first, second = pd.Timestamp("2024-01-01"), pd.Timestamp("2024-02-01")
    terms = pd.DataFrame(
        {
            "customer_id": names * 2,
            "started_at": [first] * 30 + [second] * 30,
            "ended_at": [pd.Timestamp("2024-01-31")] * 30 + [pd.NaT] * 30,
        }
    )
    write_study(
        "contractual", name="late", tables={"customers": customers(*names), "contracts": terms}
    )
    assert "30 of 30 terms that follow another one" in rs.open("late").facts.as_raw_html()


def test_a_parameter_outside_its_range_is_one_sentence(write_study):
    random_company(write_study, 0)
    with pytest.raises(UsageError, match="resamples"):
        rs.open("tiny", resamples=-5)


def test_training_labels_are_known_by_the_first_judged_day(run):
    panel = run.panel()
    assert panel.dated and panel.last_judged_day == date(2024, 6, 30)
    close = panel.train.snapshot.max() + pd.Timedelta(days=run.study.churn.horizon_days)
    assert close.date() <= panel.first_judged_day


def test_a_training_window_after_the_test_snapshot_is_refused_by_the_planned_split(write_study):
    random_company(write_study, 0, data_end="2024-07-15")
    with pytest.raises(StudyError, match="data end 2024-07-15"):
        rs.open("tiny").panel()


def test_a_split_of_ones_own_is_followed(run):
    panel = run.panel(Split((date(2024, 4, 30),), (date(2024, 5, 31),)))
    assert panel.first_learned_day == date(2024, 4, 30)
    assert {*panel.test.snapshot.dt.date} == {date(2024, 5, 31)}


def test_models_may_use_the_features_that_no_finding_excludes(shared):
    run, features = shared
    excluded = {*features.leaks.column[features.leaks.decision == "excluded"]}
    assert {*features.columns} - {*features.allowed} == excluded
    assert {*features.columns} <= {*features.descriptions}
    assert features.rows == len(run.panel().train)


def test_an_analysis_can_leave_further_features_out(shared):
    _, features = shared
    first, *others = features.allowed
    assert features.without([first]).allowed == others
    assert features.without([first]).without(others).allowed == []
    assert features.without([first]).columns == features.columns


def test_a_flat_study_goes_through_the_same_objects(flat):
    panel = flat.panel()
    assert not flat.dated and flat.day is None and panel.split is None
    assert "age" in flat.features(panel).columns


def test_what_needs_dates_does_not_apply_to_a_flat_study(flat):
    with pytest.raises(NotApplicable, match="survival curves need dated tables"):
        flat.require_dates("survival curves")


def test_without_campaigns_there_is_no_trial(run):
    with pytest.raises(NotApplicable):
        run.trial()
    with pytest.raises(NotApplicable):
        run.observational()


def test_a_warning_in_a_notebook_names_no_path_of_the_machine(write_study, monkeypatch):
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # put back afterwards
    random_company(write_study, 0)
    rs.open("tiny")
    shown = warnings.formatwarning("odd values", RuntimeWarning, "some/folder/x.py", 7, "x = 1")
    assert shown == "RuntimeWarning: odd values\n"


def test_no_warning_of_a_library_is_shown_while_a_study_is_opened_and_read(write_study, run):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        opened = rs.open("tiny")
        panel = opened.panel()
        opened.remarks(panel, opened.features(panel))
    assert [str(warning.message) for warning in caught] == []


@pytest.mark.parametrize(
    ("churn", "words"), [({"horizon": "3 months"}, "3 months"), ({"horizon_days": 30}, "30 days")]
)
def test_the_facts_name_the_horizon_as_the_study_gives_it(write_study, churn, words):
    random_company(write_study, 0, churn=churn)
    assert f">{words}</td>" in rs.open("tiny").facts.as_raw_html()


def test_a_draft_takes_smaller_sizes_and_says_so_among_the_facts(write_study):
    random_company(write_study, 0)
    full = rs.open("tiny", resamples=1000, folds=10)
    draft = rs.open("tiny", draft=True, resamples=1000, folds=10)
    assert full.take("folds", "resamples") == [10, 1000]
    assert draft.take("folds", "resamples") == [3, 200]
    assert "not to decide by" in draft.facts.as_raw_html()
    assert "draft" not in full.facts.as_raw_html()


def test_models_learn_from_whole_customers_drawn_at_random_and_the_page_says_so(run):
    whole, drawn, again = run.panel(), run.panel(most=12), run.panel(most=12)
    assert 0 < len(drawn.train) <= 12 < len(whole.train)
    pd.testing.assert_frame_equal(drawn.train, again.train)
    own = whole.train[whole.train.customer_id.isin(drawn.train.customer_id)]
    # a column without an empty value holds whole numbers
    pd.testing.assert_frame_equal(own.reset_index(drop=True), drawn.train, check_dtype=False)
    pd.testing.assert_frame_equal(drawn.test, whole.test)
    # who is judged, and how many there are to learn from, is counted before the draw
    pd.testing.assert_frame_equal(drawn.counts, whole.counts, check_dtype=False)
    assert whole.sample == ""
    assert drawn.sample.startswith(f"Models learn from {len(drawn.train):,} of")

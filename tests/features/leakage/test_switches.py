"""Values switched at leaving of some leavers are found in simulated exports, honest ones pass."""

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds
from exports import draw, draw_lives, list_attributes, lives

from research.features.leakage import switches
from research.features.leakage.as_of_export import find_as_of_export
from research.features.leakage.gate import check_leakage
from research.study import Leaks
from research.study_schema import Experiment

SEEDS = list_seeds(4)


def find(frame: pd.DataFrame, column: str) -> str | None:
    """Return the evidence against a column."""
    found = switches.find_switched(switches.follow_lives(frame), column)
    return found and found.evidence


def switch(frame: pd.DataFrame, seed: int, gone: float, there: float) -> np.ndarray:
    """Return who has a flag off: a share of the leavers, and one of the others."""
    return draw(frame, seed).random(len(frame)) < np.where(frame.left, gone, there)


@pytest.mark.parametrize(("gone", "there"), [(0.6, 0.02), (0.4, 0.02), (0.6, 0.1)])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_flag_that_was_switched_for_some_of_the_leavers_is_found(gone, there, seed):
    frame = lives(seed, n=20_000)
    off = switch(frame, seed, gone, there)
    frame["auto_renew"] = np.where(off, "off", "on")
    frame["consent"] = np.where(off, None, "yes")  # emptied in place of switched
    frame["balance"] = np.where(off, 0.0, frame.spend_before)
    found = find_as_of_export(frame, list_attributes(frame))
    assert {*found} == {"auto_renew", "consent", "balance"}
    evidence, reason = found["auto_renew"]
    assert evidence.startswith("customers with auto_renew")
    assert reason.startswith("as of the export: the value was switched when customers left")


def test_the_evidence_says_how_the_hazard_ratio_rises_to_the_export():
    frame = lives(0, n=20_000)
    frame["auto_renew"] = np.where(switch(frame, 0, 0.6, 0.02), "off", "on")
    early, late = (
        float(part.split(" times")[0].split()[-1])
        for part in (find(frame, "auto_renew").partition("as others who")[::2])
    )
    # of leavers 60 : 40, of those who stay 2 : 98, so shortly before the export the ratio goes to
    # 1.5 * 49 = 73; a year or two earlier half of those with the flag off are still there
    assert early > 20
    assert late < 10


def after(day: int, factor: float):
    """Return a hazard that is so many times as high from a day before the export on."""
    return lambda has, day_of, tenure: 0.2 * np.where(has & (day_of > -day), factor, 1)


HONEST = {  # yearly hazard, and who has the value by the days since joining
    "three times as often": (lambda has, day, tenure: 0.15 * np.where(has, 3, 1), 0.2),
    "ten times as often": (lambda has, day, tenure: 0.15 * np.where(has, 10, 1), 0.2),
    "thirty times as often": (lambda has, day, tenure: 0.15 * np.where(has, 30, 1), 0.2),
    "a trial month": (lambda has, day, tenure: np.where(has & (tenure < 60), 6.0, 0.3), 0.3),
    "a term of two years": (
        lambda has, day, tenure: np.where(
            has, np.where((tenure >= 720) & (tenure < 760), 12, 0.01), 0.4
        ),
        0.4,
    ),
    "a term of a year": (
        lambda has, day, tenure: np.where(has, np.where(tenure % 365 >= 355, 12, 0.01), 0.4),
        0.4,
    ),
    "a price rise last month": (after(30, 8), 0.3),
    "a price rise in the last quarter": (after(90, 8), 0.3),
    "a steep price rise in the last quarter": (after(90, 20), 0.3),
    "a price rise half a year ago": (after(200, 20), 0.3),
    "a price rise a year ago": (after(400, 8), 0.3),
    "a steep price rise two years ago": (after(700, 20), 0.3),
    "a season": (
        lambda has, day, tenure: 0.3 * np.where(has, 2 + 1.8 * np.sin(day * 2 * np.pi / 365), 1),
        0.3,
    ),
    "a slow rise": (lambda has, day, tenure: 0.2 * np.where(has, 8 ** (1 + day / 1_500), 1), 0.3),
    "an old tariff": (lambda has, day, tenure: 0.2 * np.where(has, 3, 1), lambda age: age / 1_900),
    "an old tariff that becomes dearer": (after(120, 8), lambda age: age / 1_900),
    "an old tariff that becomes dearer thrice": (
        lambda has, day, tenure: (
            0.2 * np.where(has, 1 + 2 * (day > -900) + 3 * (day > -450) + 5 * (day > -150), 1)
        ),
        lambda age: age / 1_900,
    ),
    "a new tariff": (
        lambda has, day, tenure: 0.2 * np.where(has, 5, 1),
        lambda age: 0.6 - age / 2_500,
    ),
}


@pytest.mark.parametrize("n", [3_000, 20_000])
@pytest.mark.parametrize("name", HONEST)
def test_what_makes_customers_leave_at_any_time_is_no_switch(name, n):
    hazard, share = HONEST[name]
    for seed in range(4) if n < 10_000 else [0]:
        frame = draw_lives(seed, hazard, share, n=n)
        assert find(frame, "flag") is None


@pytest.mark.parametrize("seed", list_seeds(20))
def test_strong_predictors_of_every_shape_pass(seed):
    frame = lives(seed, n=6_000, yearly=[0.1, 0.5, 2][seed % 3], effect=[0.7, 1.2, 2][seed % 3])
    frame["monthly"] = frame.plan == "month"
    frame["score"] = np.log(frame.spend_before) // 0.5
    exposure = switches.follow_lives(frame)
    for column in ("plan", "monthly", "spend_before", "score", "region", "year_of_joining"):
        assert switches.find_switched(exposure, column) is None


def test_too_few_leavers_or_leavers_of_one_day_say_nothing():
    frame = lives(0, n=200)
    frame["auto_renew"] = np.where(switch(frame, 0, 0.6, 0.02), "off", "on")
    assert find(frame, "auto_renew") is None
    frame = lives(0, n=4_000)
    gone = frame.age_days - frame.stay_days
    same = frame.assign(stay_days=frame.stay_days.where(~frame.left, frame.age_days - gone.min()))
    same["auto_renew"] = np.where(switch(frame, 0, 0.6, 0.02), "off", "on")
    assert find(same, "auto_renew") is None


def test_hazard_ratios_are_those_of_mantel_and_haenszel_in_windows_and_bands_of_tenure():
    # two windows of 10 leavers of 100 with the value and of 5 of 100 without:
    # R = 2 * 10 * 95 / 200, S = 2 * 90 * 5 / 200, ratio 950 / 450
    a, b, c, d = (np.full((1, 2, 1), value, float) for value in (10, 90, 5, 95))
    ratio, variance = switches._estimate_ratio(a, b, c, d)
    assert ratio[0, 0] == pytest.approx(np.log(950 / 450))
    # Robins, Breslow and Greenland: P = 105 / 200, Q = 95 / 200, r = 4.75, s = 2.25 in each window
    p, q, r, s = 105 / 200, 95 / 200, 4.75, 2.25
    terms = p * r / r**2, (p * s + q * r) / (r * s), q * s / s**2
    assert variance[0, 0] == pytest.approx(sum(terms) / 2 / 2)


def test_a_customer_is_there_from_joining_until_the_window_of_leaving():
    frame = lives(1)
    exposure = switches.follow_lives(frame)
    table = pd.DataFrame({"row": exposure.rows, "leaves": exposure.leaves})
    assert table.groupby("row").leaves.sum().le(1).all()
    gone = (frame.age_days - frame.stay_days)[frame.left]
    # all who were there when the window of their leaving opened leave in it, none of the others
    opened = exposure.opens[
        np.searchsorted(-exposure.opens, -gone.to_numpy(), side="left").clip(1) - 1
    ]
    there = frame.age_days[frame.left].to_numpy() >= opened
    assert exposure.leaves.sum() == there.sum()


def test_the_gate_excludes_a_switched_flag_and_study_yml_can_keep_it():
    frame = lives(3, n=20_000)
    frame["auto_renew"] = np.where(switch(frame, 3, 0.6, 0.02), "off", "on")
    train = frame.assign(churned=frame.left & (frame.age_days - frame.stay_days < 30))
    train = train[::5].reset_index(drop=True)

    class Rules:
        experiment = Experiment()

        def __init__(self, **rules):
            self.leaks = Leaks(**rules)

    columns = ["auto_renew", "noise", "region"]
    table = check_leakage(train, columns, Rules(), None, frame).set_index("column")
    assert dict(table.decision) == {"auto_renew": "excluded"}
    kept = check_leakage(train, columns, Rules(keep={"auto_renew": "as signed"}), None, frame)
    assert dict(kept.set_index("column").decision) == {"auto_renew": "kept"}

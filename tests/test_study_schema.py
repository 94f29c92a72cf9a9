"""The parts of study.yml: what they refuse, at the boundary of each rule."""

import pytest
from pydantic import ValidationError

from research.study_schema import (
    CENTURY_DAYS,
    ENGINE_KEYS,
    Economics,
    Engine,
    Experiment,
    Features,
    Snapshots,
    Source,
)

PRICES = {"margin_per_customer": 20, "offer_cost": 10, "contact_cost": 1}


def refuse(part, **content) -> str:
    with pytest.raises(ValidationError) as caught:
        part(**content)
    return str(caught.value)


def test_a_part_is_never_changed_after_reading_and_takes_no_other_keys():
    part = Features()
    with pytest.raises(ValidationError, match="frozen"):
        part.sentiment = False
    assert "Extra inputs are not permitted" in refuse(Features, window=(30,))


@pytest.mark.parametrize("windows", [(30, 30), (90, 30)])
def test_windows_rise_and_each_stands_once(windows):
    assert Features(windows=(30, 90)).windows == (30, 90)
    sentence = f"expected windows in ascending order without repeats, got {list(windows)}; sort"
    assert sentence in refuse(Features, windows=windows)


def test_snapshots_reach_back_a_century_at_most():
    # 36,500 days of one day each, and one more
    assert Snapshots(last="2024-01-01", every_days=1, train=CENTURY_DAYS - 1, test=1)
    assert "within 36,500 days, got 36,501 days" in refuse(
        Snapshots, last="2024-01-01", every_days=1, train=CENTURY_DAYS, test=1
    )


def test_a_url_needs_a_checksum_and_a_file_does_not():
    assert Source(file="x.csv").sha256 is None
    assert "expected a sha256 for 'https://x', got none" in refuse(
        Source, file="x.csv", url="https://x"
    )


def test_the_name_of_an_engine_stands_for_it_alone():
    assert Engine.model_validate("spark") == Engine(kind="spark")


@pytest.mark.parametrize(
    ("kind", "key"), [(kind, key) for kind, keys in ENGINE_KEYS.items() for key in keys]
)
def test_a_key_of_one_engine_is_refused_by_the_others(kind, key):
    value = {"memory_gb": 1, "threads": 1, "options": {"a": 1}, "master": "local"}.get(key, "x://y")
    url = {"url": "x://y"} if kind == "warehouse" else {}
    assert Engine(**({"kind": kind, key: value} | url))
    other = "spark" if kind == "duckdb" else "duckdb"
    own = " and ".join(ENGINE_KEYS[other])
    sentence = f"expected only {own} for the engine {other}, got {key}; remove it"
    assert sentence in refuse(Engine, **{"kind": other, key: value})


def test_shares_need_a_control_and_another_arm():
    assert Experiment(shares={"control": 1, "mail": 2})
    for shares in ({"control": 1}, {"mail": 1, "call": 1}):
        assert "expected shares of 'control' and of at least one other arm, got" in refuse(
            Experiment, shares=shares
        )


def test_prices_come_together_and_a_retained_customer_must_pay_for_the_offer():
    assert Economics(currency="EUR", capacity=1, **PRICES).priced
    assert not Economics(currency="EUR", capacity=1).priced
    two = {"offer_cost": 10, "contact_cost": 1}
    assert "got offer_cost and contact_cost alone; add the others or remove them" in refuse(
        Economics, currency="EUR", capacity=1, **two
    )
    assert "expected a margin_per_customer above the offer_cost, got 10 and 10" in refuse(
        Economics, currency="EUR", capacity=1, **PRICES | {"margin_per_customer": 10}
    )


def test_the_margin_of_fees_is_that_of_orders_unless_given():
    assert Economics(currency="EUR", capacity=1, margin_share=0.3).fee_margin == 0.3
    given = Economics(currency="EUR", capacity=1, margin_share=0.3, fee_margin_share=0)
    assert given.fee_margin == 0

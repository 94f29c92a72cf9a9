"""Leakage in twos and threes: what must be found, and what must pass."""

import numpy as np
import pandas as pd
import pytest
from cases import list_seeds
from sklearn.metrics import roc_auc_score

from research.features.leakage.interactions import find_combinations

STRONG = 1.466  # distance of two normal columns whose AUC is .85: sqrt(2) * ndtri(.85)


def company(n: int = 2_000, rate: float = 0.2, seed: int = 0, noise: int = 8) -> pd.DataFrame:
    """Return churners and others with columns of noise."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, noise)), columns=[f"noise{i}" for i in range(noise)])
    return frame.assign(customer_id=[f"c{i}" for i in range(n)], churned=rng.random(n) < rate)


def search(
    frame: pd.DataFrame, kept: tuple[str, ...] = ()
) -> list[tuple[str, tuple[str, ...], float]]:
    return find_combinations(
        frame, [column for column in frame if column not in ("customer_id", "churned")], {*kept}
    )


def plant(kind: str, frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return the frame with columns a and b (and c), none of which predicts much alone."""
    n, churned = len(frame), frame.churned.to_numpy()
    flag, size = rng.random(n) < 0.5, np.abs(rng.normal(size=n))
    if kind == "exclusive or of flags":
        return frame.assign(a=flag * 1.0, b=(flag ^ churned) * 1.0)
    if kind == "exclusive or of texts":
        return frame.assign(a=np.where(flag, "web", "shop"), b=np.where(flag ^ churned, "A", "B"))
    if kind == "equal signs of numbers":
        sign = np.where(flag, 1, -1)
        return frame.assign(
            a=sign * size, b=np.where(churned, -sign, sign) * np.abs(rng.normal(size=n))
        )
    others = rng.integers(1, 4, n)  # of the two bits that only churners have both
    return frame.assign(
        a=np.where(churned, 0, others & 1) * 1.0, b=np.where(churned, 0, others >> 1) * 1.0
    )


@pytest.mark.parametrize(
    "kind",
    ["exclusive or of flags", "exclusive or of texts", "equal signs of numbers", "both empty"],
)
def test_two_columns_that_separate_together_are_found_and_one_is_enough(kind):
    found = search(plant(kind, company(), np.random.default_rng(1)))
    assert len(found) == 1
    column, partners, area = found[0]
    assert {column, *partners} == {"a", "b"}
    assert area > 0.95


def test_an_exclusive_or_is_found_among_three_hundred_customers():
    assert (
        len(search(plant("equal signs of numbers", company(300, 0.4), np.random.default_rng(2))))
        == 1
    )


def test_the_column_in_most_pairs_goes_and_its_partners_stay():
    frame, rng = company(), np.random.default_rng(3)
    key = rng.random(len(frame)) < 0.5
    frame = frame.assign(
        key=key * 1.0,
        **{
            name: (key ^ frame.churned ^ (rng.random(len(frame)) < 0.01)) * 1.0
            for name in ("x", "y", "z")
        },
    )
    assert [column for column, _, _ in search(frame)] == ["key"]


def test_three_columns_that_separate_only_together_are_found():
    frame, rng = company(4_000), np.random.default_rng(4)
    bits = np.where(frame.churned, 7, rng.integers(0, 7, len(frame)))
    frame = frame.assign(**{name: (bits >> place & 1) * 1.0 for place, name in enumerate("abc")})
    found = search(frame)
    assert len(found) == 1
    assert {found[0][0], *found[0][1]} == {"a", "b", "c"}


def test_the_partner_of_a_kept_column_goes():
    frame = plant("exclusive or of flags", company(), np.random.default_rng(1))
    assert [column for column, _, _ in search(frame, kept=("b",))] == ["a"]
    assert [column for column, _, _ in search(frame, kept=("a",))] == ["b"]


def allowed(kind: str, seed: int) -> pd.DataFrame:
    """Return a company without leakage."""
    rng = np.random.default_rng(seed + 100)
    n, rate, noise = {
        "small": (200, 0.25, 20),
        "rare": (2_000, 0.03, 20),
        "wide": (1_500, 0.2, 150),
        "wide and small": (200, 0.25, 150),
    }.get(kind, (2_000, 0.2, 6))
    frame = company(n, rate, seed, noise)
    shift = STRONG * frame.churned.to_numpy()
    if kind == "correlated":
        common = rng.normal(size=n)
        return frame.assign(
            **{name: shift + 0.9 * common + 0.44 * rng.normal(size=n) for name in "abc"}
        )
    frame = frame.assign(
        a=shift + rng.normal(size=n),
        b=shift + rng.normal(size=n),
        c=np.where(shift + rng.normal(size=n) > 0.7, "x", "y"),
    )
    return (
        frame.mask(rng.random(frame.shape) < 0.6).assign(
            customer_id=frame.customer_id, churned=frame.churned
        )
        if kind == "missing"
        else frame
    )


@pytest.mark.parametrize("seed", list_seeds(4))
@pytest.mark.parametrize(
    "kind", ["strong", "correlated", "small", "rare", "wide", "wide and small", "missing"]
)
def test_columns_without_leakage_pass_together(kind, seed):
    assert search(allowed(kind, seed)) == []


def test_a_column_is_not_excluded_for_its_partner_that_nearly_separates_alone():
    frame, rng = company(20_000), np.random.default_rng(5)
    frame = frame.assign(
        near=2.25 * frame.churned + rng.normal(size=len(frame)),
        weaker=1.3 * frame.churned + rng.normal(size=len(frame)),
    )
    assert (
        roc_auc_score(frame.churned, frame.near)
        < 0.95
        < roc_auc_score(frame.churned, 2.25 * frame.near + 1.3 * frame.weaker)
    )
    assert search(frame) == []


def test_neither_the_order_of_rows_nor_of_columns_changes_what_is_found():
    frame = plant("exclusive or of flags", company(), np.random.default_rng(1))
    assert search(frame.sample(frac=1, random_state=2)) == search(frame)
    assert {search(frame[[*reversed(frame.columns)]])[0][0]} <= {"a", "b"}


def test_too_few_customers_of_a_class_say_nothing():
    frame = company(400, 0.0)
    assert (
        search(
            plant(
                "exclusive or of flags",
                frame.assign(churned=np.arange(400) < 19),
                np.random.default_rng(1),
            )
        )
        == []
    )

"""Rows of customers drawn at random, where there are more than are needed to learn from."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def draw_rows(customers: Sequence, most: int, seed: int = 0) -> np.ndarray:
    """Return which rows are kept: all, or those of customers drawn at random.

    A customer's rows stay together. The draw depends neither on the order of the rows nor on
    anything but customers and seed.

    Parameters
    ----------
    customers : of each row
    most : rows to keep at most

    Returns
    -------
    booleans (rows,)
    """
    codes, names = pd.factorize(np.asarray(customers), sort=True)
    if len(codes) <= most:
        return np.ones(len(codes), bool)
    order = np.random.default_rng(seed).permutation(len(names))
    fits = np.cumsum(np.bincount(codes)[order]) <= most
    kept = np.zeros(len(names), bool)
    kept[order[fits]] = True
    return kept[codes]


def describe_sample(kept: int, rows: int) -> str:
    """Say how many of the training rows are learned from; nothing where all are."""
    if kept >= rows:
        return ""
    return (
        f"Models learn from {kept:,} of {rows:,} training rows, those of customers drawn at random"
        " (snapshots.train_rows of study.yml); everybody is scored."
    )

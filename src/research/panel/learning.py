"""What models learn from and are judged on: labelled customers with their features."""

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import pandas as pd
from sklearn.model_selection import train_test_split

from research.data.contracts import Tables
from research.data.duplicates import name_groups
from research.panel.customer_sample import describe_sample
from research.panel.population import count_population
from research.panel.splits import Split
from research.panel.windows import KEYS
from research.reporting.results import save_table
from research.reporting.tables import show


@dataclass(frozen=True)
class Panel:
    """Labelled customers with their features: rows to learn from, and rows to be judged on.

    Attributes
    ----------
    train, test : one row per snapshot and customer; of a flat study both are the same rows, one
        per customer
    split : the snapshots behind them; none in a flat study
    members : of the training snapshots, where ``train`` may be a sample; see ``count_members``
    """

    train: pd.DataFrame
    test: pd.DataFrame
    split: Split | None
    tables: Tables
    members: pd.DataFrame | None = None

    @property
    def dated(self) -> bool:
        """Say whether the rows have snapshots."""
        return self.split is not None

    @property
    def validation(self) -> str:
        """Say how models are judged: out of time, or by cross-validation."""
        return "out of time" if self.dated else "cross-validation"

    @cached_property
    def all(self) -> pd.DataFrame:
        """Return all rows, each once; of a dated study with the column ``part``, train or test."""
        if not self.dated:
            return self.train
        parts = [self.train.assign(part="train"), self.test.assign(part="test")]
        return pd.concat(parts, ignore_index=True)

    @property
    def keys(self) -> list[str]:
        """Return the columns that name a row."""
        return [key for key in KEYS if key in self.test]

    @property
    def first_judged_day(self) -> date | None:
        """Return the first test snapshot; nothing later may teach a model."""
        return min(self.split.test) if self.dated else None

    @property
    def last_judged_day(self) -> date | None:
        """Return the last test snapshot."""
        return max(self.split.test) if self.dated else None

    @property
    def first_learned_day(self) -> date | None:
        """Return the first training snapshot."""
        return min(self.split.train) if self.dated else None

    @property
    def learned(self) -> pd.DataFrame:
        """Return the training rows without those who leave before the team could act."""
        return self.train[~self.train.left_in_lead] if self.dated else self.train

    @property
    def judged(self) -> pd.DataFrame:
        """Return the test rows without those who leave before the team could act."""
        return self.test[~self.test.left_in_lead] if self.dated else self.test

    def hold_out(self, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return rows to fit one model on and rows that it has not seen.

        Of a dated study the training and the test rows, of a flat one 70 and 30 % at random,
        without those that equal a training row in everything but the identifier.
        """
        if self.dated:
            return self.learned, self.judged
        learned, held_out = train_test_split(
            self.train, test_size=0.3, stratify=self.train.churned, random_state=seed
        )
        groups = pd.Series(name_groups(self.train), self.train.index)
        return learned, held_out[~groups[held_out.index].isin(groups[learned.index])]

    @cached_property
    def counts(self) -> pd.DataFrame:
        """Return who is judged and who is left out, per snapshot; see ``count_population``."""
        if self.dated:
            return count_population(self.all, self.tables, self.members)
        if "churned" not in self.train:
            return pd.DataFrame({"customers": [len(self.train)]})
        churned = self.train.churned
        row = {"customers": len(churned), "churned": churned.sum(), "churn_share": churned.mean()}
        return pd.DataFrame([row])

    @property
    def population(self) -> Any:
        """Show who is judged; a dated study leaves the table ``population``."""
        if not self.dated:
            return show(self.counts, note="One row per customer, judged by cross-validation.")
        save_table(self.counts, "population")
        parts = self.all[["snapshot", "part"]].drop_duplicates()
        return show(self.counts.merge(parts), note=self.sample)

    @property
    def sample(self) -> str:
        """Say from how many of the training rows models learn, where they aren't all."""
        if self.members is None:
            return ""
        return describe_sample(len(self.train), int(self.members.members.sum()))

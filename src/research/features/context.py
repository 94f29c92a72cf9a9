"""What all blocks of features in one build share, made once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import ibis.expr.types as ir

from research.features.stage import find_activity_table, list_rhythm_windows
from research.panel.evidence import Evidence
from research.panel.spells import find_spells
from research.panel.splits import Split, plan_split
from research.panel.windows import WindowPlan, plan_windows, roll_days
from research.study import Study

Keep = Callable[[ir.Table, str], ir.Table]


@dataclass(frozen=True)
class BuildContext:
    """Evidence of one build of features, and what its blocks have in common.

    Each part is made when it is first asked for, and then shared.

    Attributes
    ----------
    given : the evidence under the customers' own ids; see ``evidence_as_of``
    study : a contractual or non-contractual study
    people : the customers for whom features are built, with their numbers; see
        ``build.number_customers``. Without it features are built for all, under their own ids.
    keep : computes a table once where several blocks need it; without it, tables stay expressions
    """

    given: Evidence
    study: Study
    people: ir.Table | None = None
    keep: Keep | None = None
    _rhythms: dict[str, ir.Table] = field(default_factory=dict, repr=False)

    @cached_property
    def evidence(self) -> Evidence:
        """The evidence of the customers for whom features are built, under their numbers."""
        return self.given if self.people is None else self.given.number_customers(self.people)

    @cached_property
    def split(self) -> Split:
        """The study's own training and test snapshots."""
        return plan_split(self.study)

    @cached_property
    def sentiment_day(self) -> date:
        """The last day whose texts sentiment is learned from.

        The study's first training snapshot, or the first snapshot of the evidence if that is
        earlier: so each snapshot of a panel is rated alike.
        """
        return min(self.given.snapshots[0], self.split.train[0])

    @cached_property
    def windows(self) -> WindowPlan:
        """The windows of counts, sums and means."""
        return plan_windows(self.given.snapshots, self.study.features.windows)

    @cached_property
    def stage_windows(self) -> WindowPlan:
        """The windows by which the lifecycle stage compares activity."""
        return plan_windows(self.given.snapshots, list_rhythm_windows(self.study))

    @cached_property
    def rhythm_windows(self) -> WindowPlan:
        """The windows of active days: those of features and of the lifecycle stage."""
        days = {*self.study.features.windows, *list_rhythm_windows(self.study)}
        return plan_windows(self.given.snapshots, [*days])

    @cached_property
    def spells(self) -> ir.Table:
        """Everybody's spells as known at each snapshot; see ``spells.find_spells``."""
        spells = find_spells(self.evidence, self.study)
        return self.keep(spells, "spells") if self.keep else spells

    @property
    def activity_table(self) -> str | None:
        """The table that shows how active a customer is; see ``stage.find_activity_table``."""
        return find_activity_table(self.evidence, self.study)

    def roll_rhythm(self, name: str) -> ir.Table:
        """Return the active days of a table over ``rhythm_windows``, with the gaps of the longest
        window of features; see ``windows.roll_days``.
        """
        if name not in self._rhythms:
            if self.keep:
                self.evidence.keep_active_days(name, self.keep)
            days, longest = self.evidence.find_active_days(name), self.windows.longest
            rhythm = roll_days(days, self.rhythm_windows, longest)
            self._rhythms[name] = self.keep(rhythm, "rhythm") if self.keep else rhythm
        return self._rhythms[name]

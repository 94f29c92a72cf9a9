"""Learners of effects compared with each other, with random lists and with the common heuristic.

All of it needs features: where nothing is known of the customers before the assignment, no outcome
is compared, and every table is empty.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from research.reporting.results import concat_tables
from research.store.keep import keep
from research.study import Study
from research.uplift.average_effects import ScoredOutcome
from research.uplift.cross_fitting import CrossFit, cross_fit
from research.uplift.heterogeneity import (
    GROUPS,
    PLACEBOS,
    TESTS,
    run_placebos,
    run_test,
    tabulate_groups,
)
from research.uplift.learners.families import AVERAGED, RANDOM, find_heuristic, find_other_heuristic
from research.uplift.metrics import (
    BEST_ARM,
    DIFFERENCES,
    SCORES,
    resample_uplift,
    score_divisions,
    tabulate_uplift,
    tabulate_uplift_differences,
)
from research.uplift.trials import Trial


@dataclass(frozen=True)
class ComparedOutcome:
    """An outcome with effects by every learner, out of fold.

    Attributes
    ----------
    scored : the outcome with its doubly robust scores
    heuristic : the ranking in common use for it
    cross_fits : one per repeat
    """

    scored: ScoredOutcome
    heuristic: str
    cross_fits: list[CrossFit]

    @property
    def name(self) -> str:
        """The name of the outcome."""
        return self.scored.outcome

    @property
    def customers(self) -> int:
        """How many customers are judged."""
        return self.scored.rows.customer_id.nunique()


@dataclass(frozen=True)
class Comparison:
    """Learners compared on customers that they did not see; empty where nothing can be learned.

    Attributes
    ----------
    outcomes : those that customers are ranked by, the primary one first
    scores : see ``metrics.tabulate_uplift``
    differences : see ``metrics.tabulate_uplift_differences``
    repeats : cross-fittings behind every score, and divisions behind every test
    seed : every draw derives from it
    """

    outcomes: list[ComparedOutcome]
    scores: pd.DataFrame
    differences: pd.DataFrame
    repeats: int
    seed: int

    @property
    def arms(self) -> list[str]:
        """The arms that are compared with control."""
        return [*self.outcomes[0].scored.sample.arms[1:]] if self.outcomes else []

    @property
    def rankings(self) -> list[str]:
        """The arms, and the best arm of each customer where there are several."""
        return [*self.arms, BEST_ARM] if len(self.arms) > 1 else self.arms

    @property
    def primary_scores(self) -> pd.DataFrame:
        """The scores of the primary outcome."""
        return self._of_primary(self.scores)

    @property
    def primary_differences(self) -> pd.DataFrame:
        """The differences of the primary outcome."""
        return self._of_primary(self.differences)

    def _of_primary(self, table: pd.DataFrame) -> pd.DataFrame:
        return table[table.outcome == self.outcomes[0].name] if self.outcomes else table

    def tabulate_groups(self) -> pd.DataFrame:
        """Return effects by fifths of the averaged effects; see ``heterogeneity``."""
        return _stack(
            self.outcomes,
            lambda one: tabulate_groups(
                one.cross_fits, AVERAGED, one.scored.sample, one.scored.scores, one.name
            ),
            GROUPS,
        )

    def run_tests(self) -> pd.DataFrame:
        """Return the tests of whether effects differ; see ``heterogeneity.run_test``."""
        return _stack(
            self.outcomes,
            lambda one: run_test(one.scored.sample, one.name, self.repeats, self.seed),
            TESTS,
        )

    def run_placebos(self, placebos: int) -> pd.DataFrame:
        """Return the tests of the primary outcome with permuted arms; see ``heterogeneity``."""
        return _stack(
            self.outcomes[:1],
            lambda one: run_placebos(one.scored.sample, one.name, placebos, self.seed),
            PLACEBOS,
        )


@keep
def compare_learners(
    trial: Trial,
    scored: Sequence[ScoredOutcome],
    study: Study,
    folds: int,
    repeats: int,
    resamples: int,
    seed: int,
) -> Comparison:
    """Cross-fit every learner and score its ranking.

    The primary outcome is compared, and of a flat study that knows money also ``value``.

    Parameters
    ----------
    scored : outcomes of the trial, see ``average_effects.score_outcomes``
    folds : parts of a cross-fitting
    repeats : cross-fittings with other parts
    resamples : bootstrap resamples of customers behind the intervals
    """
    names = [trial.primary, *(["value"] if study.kind == "flat" else [])] if trial.features else []
    outcomes, scores, differences = [], [], []
    for part in (part for part in scored if part.outcome in names):
        heuristic = find_heuristic(part.outcome)
        cross_fits = [
            one.without(find_other_heuristic(part.outcome))
            for one in cross_fit(part.sample, folds, repeats, seed)
        ]
        one = ComparedOutcome(part, heuristic, cross_fits)
        resampled = resample_uplift(cross_fits, part.sample, part.scores, resamples, seed)
        divisions = score_divisions(cross_fits, part.sample, part.scores)
        outcomes.append(one)
        scores.append(tabulate_uplift(resampled, divisions, one.name, one.customers))
        differences.append(
            tabulate_uplift_differences(resampled, one.name, [RANDOM, heuristic], one.customers)
        )
    return Comparison(
        outcomes,
        concat_tables(scores, SCORES),
        concat_tables(differences, DIFFERENCES),
        repeats,
        seed,
    )


def _stack(
    outcomes: Sequence[ComparedOutcome],
    tabulate: Callable[[ComparedOutcome], pd.DataFrame],
    columns: list[str],
) -> pd.DataFrame:
    return concat_tables([tabulate(one) for one in outcomes], columns)

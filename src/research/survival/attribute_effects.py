"""Which attributes go with leaving sooner, all others being equal, and whether at all times.

One Cox regression of the tenures on what was known at their start, with its tests and alternatives.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from research.store.keep import keep
from research.survival.cox import check_proportionality, fit_cox, tabulate_hazard_ratios
from research.survival.non_proportional import (
    ALTERNATIVES,
    build_cox_design,
    compare_alternatives,
    find_least_proportional,
    tabulate_period_ratios,
)


@dataclass(frozen=True)
class AttributeEffects:
    """Result tables of a Cox regression on attributes; without columns where there is nothing.

    Attributes
    ----------
    ratios : see ``cox.tabulate_hazard_ratios``
    proportionality : see ``cox.check_proportionality``, by attribute
    changing : the attribute whose ratio changes most clearly over time, if any
    alternatives : see ``non_proportional.compare_alternatives``
    period_ratios : of ``changing``, see ``non_proportional.tabulate_period_ratios``
    """

    ratios: pd.DataFrame = field(default_factory=pd.DataFrame)
    proportionality: pd.DataFrame = field(default_factory=pd.DataFrame)
    changing: str | None = None
    alternatives: pd.DataFrame = field(default_factory=pd.DataFrame)
    period_ratios: pd.DataFrame = field(default_factory=pd.DataFrame)


@keep
def fit_attribute_effects(tenures: pd.DataFrame, attributes: Sequence[str]) -> AttributeEffects:
    """Fit a Cox regression on attributes, test its proportional hazards, and fit alternatives.

    Parameters
    ----------
    tenures : see ``tenure.load_tenures``
    attributes : columns of it, known at the start of a tenure
    """
    design = build_cox_design(tenures[[*attributes]])
    if design.matrix.shape[1] == 0 or not tenures.ended.any():
        return AttributeEffects()
    fit = fit_cox(tenures, design.matrix)
    ratios, tests = tabulate_hazard_ratios(fit), check_proportionality(fit, design.terms)
    changing = find_least_proportional(tests)
    if changing is None:
        return AttributeEffects(ratios, tests, alternatives=pd.DataFrame(columns=ALTERNATIVES))
    return AttributeEffects(
        ratios,
        tests,
        changing,
        compare_alternatives(tenures, design, changing, fit),
        tabulate_period_ratios(tenures, design, changing),
    )

"""What a playbook learns from its holdouts: the effect of each action, and which one is dropped.

Within each action a random part of the listed was not contacted. Once their label window has
closed, the shares of both who stayed differ by the effect of the action, and by chance. An action
whose interval lies below 0 drives customers away: it is dropped, and the next play that suits its
customers takes its place.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

from research.evaluation.intervals import TAIL
from research.reporting.format import join_words
from research.study_schema import CONTROL
from research.watchlist.playbook import Playbook

EFFECTS = ["arm", "cycles", "contacted", "held_out", "effect_points", "effect_low", "effect_high"]


@dataclass(frozen=True)
class Learned:
    """A playbook after its holdouts were read.

    Attributes
    ----------
    playbook : without the plays that were dropped; None where none is left
    dropped : arms of those plays
    effects : see ``measure_actions``
    """

    playbook: Playbook | None
    dropped: tuple[str, ...]
    effects: pd.DataFrame


def measure_actions(assigned: pd.DataFrame, comparisons: int = 1) -> pd.DataFrame:
    """Return the effect of each action on staying, from the customers who were held out of it.

    Customers are weighted by the inverse of their propensity, so that cycles may hold out different
    shares. The interval of the difference of the two shares is that of Newcombe (1998), method 10,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I, on as many customers as
    would weigh alike (Kish 1965): it holds for the few who are held out, too.

    Parameters
    ----------
    assigned : one row per customer and list whose label window has closed, with columns campaign,
        arm, propensity and stayed; of the held out ``arm`` is control, and ``action`` names what
        they were held out of. Who was held out must not be contacted by a later list within the
        window, or the effect is diluted: they rest as the contacted do
    comparisons : for how many actions the 95 % intervals hold together (Bonferroni)

    Returns
    -------
    DataFrame with columns arm, cycles, contacted, held_out, effect_points, effect_low, effect_high
        In percentage points of the probability to stay. Empty where nobody was contacted, or
        nobody held out.
    """
    actions = sorted(assigned.action.unique())
    reach = float(-ndtri(TAIL / comparisons))
    rows = [(name, *_compare(assigned[assigned.action == name], reach)) for name in actions]
    return pd.DataFrame(rows, columns=EFFECTS)


def _compare(rows: pd.DataFrame, reach: float) -> tuple:
    held = (rows.arm == CONTROL).to_numpy()
    counts = (rows.campaign.nunique(), int((~held).sum()), int(held.sum()))
    if held.all() or not held.any():
        return *counts, np.nan, np.nan, np.nan
    (one, low, high), (other, least, most) = (
        _bound_share(rows[part], reach) for part in (~held, held)
    )
    effect = one - other
    return (
        *counts,
        100 * effect,
        100 * (effect - np.hypot(one - low, most - other)),
        100 * (effect + np.hypot(high - one, other - least)),
    )


def _bound_share(rows: pd.DataFrame, reach: float) -> tuple[float, float, float]:
    """Return the weighted share who stayed with Wilson's interval."""
    weight = 1 / rows.propensity.to_numpy(float)
    share = float(weight @ rows.stayed.to_numpy(float) / weight.sum())
    n = weight.sum() ** 2 / (weight**2).sum()
    centre = (share + reach**2 / (2 * n)) / (1 + reach**2 / n)
    half = reach / (1 + reach**2 / n) * np.sqrt(share * (1 - share) / n + reach**2 / (4 * n**2))
    return share, centre - half, centre + half


def learn_playbook(playbook: Playbook, assigned: pd.DataFrame) -> Learned:
    """Return a playbook without the actions that are shown to harm.

    Each by its own 95 % interval, however often it is read: an action without effect may be dropped
    by chance, which loses nothing, while one that harms shouldn't wait for certainty.

    Parameters
    ----------
    assigned : see ``measure_actions``; empty before the first label window has closed
    """
    effects = measure_actions(assigned)
    harmful = {*effects.arm[effects.effect_high < 0]}
    dropped = tuple(arm for arm in playbook.arms if arm in harmful)
    plays = tuple(play for play in playbook.plays if play.arm not in harmful)
    left = playbook.model_copy(update={"plays": plays}) if plays else None
    return Learned(left, dropped, effects)


def describe_learned(learned: Learned) -> str:
    """Return what the holdouts say of each action, and what follows."""
    if learned.effects.empty:
        return "No label window of a list has closed yet, so nothing is known of its actions."
    parts = [_describe_action(row, learned.dropped) for row in learned.effects.itertuples()]
    return f"Effects on the probability to stay, from the holdouts: {join_words(parts)}."


def _describe_action(row, dropped: tuple[str, ...]) -> str:
    if not np.isfinite(row.effect_high):
        return f"{row.arm}, not tested"
    numbers = f"{row.effect_points:+.1f} points ({row.effect_low:+.1f} to {row.effect_high:+.1f})"
    verdict = ", **dropped: it drives customers away**" if row.arm in dropped else ""
    return f"{row.arm} {numbers.replace('-', '−')}{verdict}"

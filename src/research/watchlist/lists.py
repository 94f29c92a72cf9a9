"""The list of this cycle: who stands on it, how it changed, and what to do about whom by when."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pandas as pd

from research.watchlist.playbook import Play, Playbook

CONTACT, SPARED, HARMED, NO_PLAY = (
    "contact",
    "spared: contacted or held out lately",
    "do not contact: contact harms",
    "no action in the playbook",
)
NOTHING = "none"  # the action of a play that leaves customers alone
NEW, UP, DOWN, SAME = "new", "up", "down", "same place"
HIGH, MEDIUM, LOW = "high", "medium", "low"
TIER_SHARES = {HIGH: 0.5, MEDIUM: 0.8}  # of the value at risk on the list, from the top
NOT_TESTED = "not tested"
LIST = [
    "rank",
    "customer_id",
    "tier",
    "risk",
    "risk_low",
    "risk_high",
    "worth_of_keeping",
    "value_at_risk",
    "days_left",
    "days_to_renewal",
    "overdue_ratio",
    "change",
    "earlier_rank",
    "lists_in_a_row",
    "reason_1",
    "reason_2",
    "reason_3",
    "theme",
    "stable_reason",
    "decision",
    "action",
    "arm",
    "say",
    "owner",
    "channel",
    "deadline",
    "cost",
    "effect_points",
    "effect_low",
    "effect_high",
    "evidence",
    "assumed_gain",
    "next_offer",
    "last_contact",
]


@dataclass(frozen=True)
class Situation:
    """What is known on the day of a list besides scores and reasons.

    Attributes
    ----------
    day : that is scored; None of a flat study
    capacity : customers on the list
    contacted : day of the last contact by the company, by customer_id
    held_out : day on which an earlier list last held a customer out, by customer_id
    effects : effect of each arm by a randomised campaign, by arm, with columns effect_points,
        effect_low, effect_high; arms without a row were not tested
    harmed : customers whom every offer is estimated to harm
    costs : of a contact, by arm
    """

    day: date | None
    capacity: int
    contacted: pd.Series = field(default_factory=lambda: pd.Series(dtype="datetime64[ns]"))
    held_out: pd.Series = field(default_factory=lambda: pd.Series(dtype="datetime64[ns]"))
    effects: pd.DataFrame = field(default_factory=pd.DataFrame)
    harmed: frozenset = frozenset()
    costs: dict[str, float] = field(default_factory=dict)

    def find_rest(self, playbook: Playbook | None) -> pd.Timestamp:
        """Return the day since which whoever was assigned is spared; none without a day."""
        if self.day is None:
            return pd.NaT
        return pd.Timestamp(self.day - timedelta(days=playbook.rest_days if playbook else 0))


def rank_customers(scored: pd.DataFrame, capacity: int) -> pd.DataFrame:
    """Return those whom the list has room for: by value at risk, then by risk, then by their ids.

    Parameters
    ----------
    scored : one row per customer with columns customer_id, risk, value_at_risk, …

    Returns
    -------
    DataFrame as ``scored`` with rank and tier
        Tiers are cut by the value at risk on the list, by the risk where no value is known:
        ``high`` are the fewest customers with half of it, ``medium`` those after them up to four
        fifths, ``low`` the rest.
    """
    top = scored.sort_values(
        ["value_at_risk", "risk", "customer_id"], ascending=[False, False, True], ignore_index=True
    ).head(capacity)
    amount = (top.value_at_risk if top.value_at_risk.notna().any() else top.risk).clip(lower=0)
    before = (amount.cumsum() - amount) / max(float(amount.sum()), np.finfo(float).tiny)
    tier = np.select([before < share for share in TIER_SHARES.values()], [*TIER_SHARES], LOW)
    return top.assign(rank=np.arange(1, len(top) + 1), tier=tier)


def compare_lists(listed: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """Return a list with its change against the one before.

    Parameters
    ----------
    listed : see ``rank_customers``
    earlier : the list before, with columns customer_id, rank, lists_in_a_row; may be empty

    Returns
    -------
    DataFrame as ``listed`` with change (new, up, down, same place), earlier_rank and lists_in_a_row
    """
    columns = ["customer_id", "rank", "lists_in_a_row"]
    before = earlier.reindex(columns=columns).rename(
        columns={"rank": "earlier_rank", "lists_in_a_row": "rows"}
    )
    before = before.astype({"earlier_rank": float, "rows": float})  # of no rows, objects else
    table = listed.merge(before, on="customer_id", how="left", validate="one_to_one")
    moved = np.sign(table["rank"] - table.earlier_rank)
    change = moved.map({-1: UP, 1: DOWN, 0: SAME}).fillna(NEW)
    return table.assign(change=change, lists_in_a_row=table.rows.fillna(0).astype(int) + 1).drop(
        columns="rows"
    )


def list_gone(listed: pd.DataFrame, earlier: pd.DataFrame, present: Sequence) -> pd.DataFrame:
    """Return who stood on the list before and no longer does, and whether still a customer.

    Returns
    -------
    DataFrame with columns customer_id, earlier_rank, still_customer
    """
    if earlier.empty:
        return pd.DataFrame(columns=["customer_id", "earlier_rank", "still_customer"])
    gone = earlier[~earlier.customer_id.isin(listed.customer_id)]
    return pd.DataFrame(
        {
            "customer_id": gone.customer_id,
            "earlier_rank": gone["rank"],
            "still_customer": gone.customer_id.isin(present),
        }
    ).reset_index(drop=True)


def add_reasons(listed: pd.DataFrame, reasons: pd.DataFrame) -> pd.DataFrame:
    """Return a list with the texts of up to three reasons, the theme of the first, and whether it
    is stable.

    Parameters
    ----------
    reasons : see ``reasons.list_reasons``
    """
    texts = reasons.pivot(index="customer_id", columns="order", values="text")
    texts = texts.reindex(columns=[1, 2, 3]).fillna("")
    first = reasons[reasons.order == 1].set_index("customer_id")
    wide = texts.set_axis(["reason_1", "reason_2", "reason_3"], axis=1).assign(theme=first.theme)
    table = listed.merge(wide, left_on="customer_id", right_index=True, how="left")
    stable = table.customer_id.map(first.stable.astype(bool)).eq(True)
    return table.fillna(dict.fromkeys(wide, "")).assign(stable_reason=stable)


def add_actions(
    listed: pd.DataFrame, playbook: Playbook | None, situation: Situation
) -> pd.DataFrame:
    """Return a list with what to do: decision, action, arm, owner, channel, deadline, cost, effect.

    Where contact harms nobody is contacted: where every offer is estimated to harm the customer, or
    a randomised campaign has shown the play's arm to harm on average (its interval lies below 0).
    Who was contacted within ``rest_days`` is spared, and who was held out: were the next list to
    contact them, the comparison of both would end there.
    """
    plays = _choose_plays(listed, playbook)
    table = listed.assign(**dict(_describe(plays, situation)))
    last = table.customer_id.map(situation.contacted)
    rest, held_out = situation.find_rest(playbook), table.customer_id.map(situation.held_out)
    decision = np.select(
        [
            table.customer_id.isin(situation.harmed) | (table.effect_high < 0),
            (last > rest) | (held_out > rest),
            (table.arm == "") | (table.action == NOTHING),
        ],
        [HARMED, SPARED, NO_PLAY],
        CONTACT,
    )
    gain = [play.assumed_share if play else None for play in plays]
    gain = pd.Series(gain, table.index, dtype=float) * table.value_at_risk
    return table.assign(last_contact=last, decision=decision, assumed_gain=gain)


def _choose_plays(listed: pd.DataFrame, playbook: Playbook | None) -> list[Play | None]:
    """Return the play of each row; each pair of theme and tier is looked up once."""
    pairs = [*zip(listed.theme, listed.tier, strict=True)]
    chosen = {pair: playbook.choose(*pair) if playbook else None for pair in dict.fromkeys(pairs)}
    return [chosen[pair] for pair in pairs]


def _describe(plays: list[Play | None], situation: Situation):
    """Yield the columns of the plays and of the effects of their arms."""
    for name in ("action", "arm", "owner", "channel", "say"):
        yield name, [getattr(play, name) if play else "" for play in plays]
    deadlines = [
        situation.day + timedelta(days=play.deadline_days) if play else None for play in plays
    ]
    yield "deadline", pd.to_datetime(pd.Series(deadlines, dtype=object)).to_numpy()
    yield "cost", [_find_cost(play, situation.costs) for play in plays]
    arms = [play.arm if play else "" for play in plays]
    effects = situation.effects.reindex(
        index=arms, columns=["effect_points", "effect_low", "effect_high"]
    )
    for name in effects:
        yield name, effects[name].to_numpy(float)
    known = effects.effect_points.notna().to_numpy()
    assumed = [play is not None and play.assumed_share is not None for play in plays]
    evidence = np.select([known, assumed], ["randomised campaign", "assumption"], NOT_TESTED)
    yield "evidence", evidence


def _find_cost(play: Play | None, costs: dict[str, float]) -> float:
    if play is None:
        return 0.0
    return play.cost if play.cost is not None else costs.get(play.arm, np.nan)

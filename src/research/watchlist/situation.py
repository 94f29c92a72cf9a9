"""What is known on the day of a list besides scores: contacts, costs, tested effects, next offers.

Everything is taken from tables as they were known by the day, and from what earlier lists assigned.
"""

from datetime import date
from typing import Any

import pandas as pd

from research.data.contracts import Tables
from research.errors import NotApplicable, StudyError
from research.study import Study
from research.study_schema import CONTROL
from research.uplift.average_effects import ADJUSTED, score_outcome, tabulate_effects
from research.uplift.balance import check_trial
from research.uplift.policy.case import KEPT, drop_missing_outcomes
from research.uplift.trials import load_randomised
from research.value.baskets import count_recent, explain_missing_products, load_baskets
from research.value.recommendations import recommend_products
from research.value.recommender import ITEM_TO_ITEM, Evaluation
from research.watchlist.lists import Situation
from research.watchlist.playbook import Playbook

RECENT_DAYS = 90  # in which a product counts as recently bought
EFFECTS = ["effect_points", "effect_low", "effect_high"]


def find_situation(
    tables: Tables,
    study: Study,
    day: date,
    playbook: Playbook | None,
    assigned: pd.DataFrame,
    effects: list[dict[str, Any]],
) -> Situation:
    """Return what is known on the day of a list.

    Parameters
    ----------
    tables : as known by the day
    assigned : rows that earlier lists have assigned; no columns where there are none
    effects : of the model's card, see ``list_effects``
    """
    return Situation(
        day=day,
        capacity=study.economics.capacity,
        contacted=find_contacted(tables, day, assigned),
        held_out=find_held_out(day, assigned),
        effects=pd.DataFrame(effects, columns=["arm", *EFFECTS]).set_index("arm").astype(float),
        costs=find_costs(study, playbook),
    )


def find_contacted(tables: Tables, day: date, assigned: pd.DataFrame) -> pd.Series:
    """Return the day of each customer's last contact by the company before a day.

    A contact is an assignment to another arm than ``control``, in ``campaigns`` or by an earlier
    list.
    """
    parts = [assigned] if len(assigned) else []
    if "campaigns" in tables:
        parts.append(tables["campaigns"].select("customer_id", "assigned_at", "arm").to_pandas())
    if not parts:
        return pd.Series(dtype="datetime64[ns]")
    rows = pd.concat([part[["customer_id", "assigned_at", "arm"]] for part in parts])
    days = pd.to_datetime(rows.assigned_at).dt.normalize()
    before = rows.assign(assigned_at=days)[(rows.arm != CONTROL) & (days < pd.Timestamp(day))]
    return before.groupby("customer_id").assigned_at.max()


def find_held_out(day: date, assigned: pd.DataFrame) -> pd.Series:
    """Return the day on which an earlier list last held each customer out, by customer_id."""
    if assigned.empty:
        return pd.Series(dtype="datetime64[ns]")
    days = pd.to_datetime(assigned.assigned_at).dt.normalize()
    before = assigned.assign(assigned_at=days)
    before = before[(assigned.arm == CONTROL) & (days < pd.Timestamp(day))]
    return before.groupby("customer_id").assigned_at.max()


def find_costs(study: Study, playbook: Playbook | None) -> dict[str, float]:
    """Return the cost of a contact by arm, where the study knows it."""
    economics = study.economics
    arms = playbook.arms if playbook else []
    costs = {arm: economics.arms.get(arm, economics).contact_cost for arm in arms}
    return {arm: cost for arm, cost in costs.items() if cost is not None}


def list_effects(tables: Tables, study: Study, seed: int) -> list[dict[str, Any]]:
    """Return what the randomised campaigns have shown of each arm; none where there are none.

    It takes as long as other parts of training, and changes with the campaigns alone: a kept model
    has it in its card.

    Parameters
    ----------
    tables : as known by the day

    Returns
    -------
    list of dict with arm, effect_points, effect_low, effect_high
        On staying, in points, adjusted, all trials together, with its 95 % interval.
    """
    if "campaigns" not in tables:
        return []
    try:
        trial = check_trial(load_randomised(tables, study), study).trial
        staying = score_outcome(drop_missing_outcomes(trial), KEPT, seed)
    except (NotApplicable, StudyError):
        return []  # 60_uplift says why
    table = tabulate_effects(trial, [staying])
    table = table[(table.method == ADJUSTED) & (table.segment_by == "")].drop_duplicates("arm")
    points = (100 * table[["effect", "low", "high"]]).set_axis(EFFECTS, axis=1)
    return points.assign(arm=table.arm).to_dict("records")


def find_offers(tables: Tables, study: Study, day: date, customers: pd.Series) -> pd.Series:
    """Return the product that each customer is likely to buy next, by customer_id.

    By products that the same customers bought; ``50_value`` judges such lists. Empty where the
    orders name no products.
    """
    if explain_missing_products(tables, study) or customers.empty:
        return pd.Series(dtype=object)
    try:
        baskets = load_baskets(tables, day)
    except StudyError:
        return pd.Series(dtype=object)
    recent = count_recent(tables, baskets, day, RECENT_DAYS)
    offered = recommend_products(
        Evaluation(baskets=baskets, recent=recent), ITEM_TO_ITEM, sorted(customers), 1
    )
    return offered.drop_duplicates("customer_id").set_index("customer_id")["product"]

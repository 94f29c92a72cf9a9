"""The population of each snapshot, with the counts of who is left out."""

import ibis.expr.types as ir
import pandas as pd

from research.data.contracts import Tables
from research.panel.evidence import filter_as_of


def count_members(labels: ir.Table) -> ir.Table:
    """Return, per snapshot, how many are in the population, leave in the lead, and churn.

    Parameters
    ----------
    labels : see ``labels.label_churn``

    Returns
    -------
    table with columns snapshot, members, left_in_lead, churned
    """
    return labels.group_by("snapshot").agg(
        members=lambda t: t.count(),
        left_in_lead=lambda t: t.left_in_lead.sum().cast("int64"),
        churned=lambda t: t.churned.sum().cast("int64"),
    )


def count_population(
    panel: pd.DataFrame, tables: Tables, counted: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return, per snapshot, who is judged and who is left out.

    Parameters
    ----------
    counted : members of snapshots of which ``panel`` has a sample, see ``count_members``

    Returns
    -------
    DataFrame with columns snapshot, customers_known, not_active, left_in_lead, judged, churned,
    churn_share
        ``not_active`` are known customers outside the population, ``left_in_lead`` leave before the
        team could act: within the lead, or before the snapshot where only later days show it, as in
        days of grace in which no term follows. ``judged`` is who remains, with those whose gap
        closes within grace.
    """
    known = (
        filter_as_of(tables["customers"], "customers", sorted(panel.snapshot.unique()))
        .group_by("snapshot")
        .agg(customers_known=lambda t: t.count())
    )
    members = (
        panel.groupby("snapshot")
        .agg(
            members=("churned", "size"),
            left_in_lead=("left_in_lead", "sum"),
            churned=("churned", "sum"),
        )
        .reset_index()
    )
    if counted is not None:
        rest = members[~members.snapshot.isin(counted.snapshot)]
        members = pd.concat([counted[members.columns], rest], ignore_index=True)
    table = known.execute().merge(members, on="snapshot").sort_values("snapshot", ignore_index=True)
    table = table.assign(
        not_active=table.customers_known - table.members, judged=table.members - table.left_in_lead
    )
    table = table.assign(churn_share=table.churned / table.judged.where(table.judged > 0))
    return table[
        [
            "snapshot",
            "customers_known",
            "not_active",
            "left_in_lead",
            "judged",
            "churned",
            "churn_share",
        ]
    ]

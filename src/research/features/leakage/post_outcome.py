"""Post-outcome leakage: attributes without a date that were written after the customer left, or
after a campaign's treatment.

A customer's attributes carry no date, so they may have been written at any time. Nobody can see
when; but a value written at leaving separates those already gone from those still there, and a
value written after a randomised assignment differs between the arms, which nothing from before it
can.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
from scipy import stats

from research.data.contracts import Tables
from research.features.leakage.binning import RANGES, group_values, list_groupings
from research.features.leakage.cells import FOLDS, find_folds
from research.features.leakage.findings import (
    FALSE_ALARM,
    MIN_CUSTOMERS,
    PURE_CUSTOMERS,
    SEPARATION_AUC,
    Finding,
)
from research.panel.evidence import Evidence, evidence_as_of
from research.panel.spells import find_spells
from research.study import Study

# of joining dates: the gone joined earlier, and what changed over the years differs legitimately
BANDS = 10
GROUPS = 20
MIN_ARM_CUSTOMERS = 50
CHOSEN_SHARE = 0.25  # where more columns differ between the arms, these were not randomised
AFTER_TREATMENT = (
    "after the treatment: randomised arms are alike in everything from before the assignment; keep"
    " it if the arms were chosen by it"
)  # the reason of a finding
ARM = "arm of "  # column of the reference population: the arm in the campaign of that name
UNIT = "unit of "  # likewise: the unit of randomisation, where campaigns give it


def load_reference_population(
    tables: Tables, study: Study, day: date | None
) -> pd.DataFrame | None:
    """Return everybody known at a day, gone or not, with attributes and arms of randomised
    campaigns.

    Parameters
    ----------
    tables : contract tables
    study : a flat study has no dates, and gets None: its arms stand in its own table
    day : the first judged day, see ``gate.check_panel``

    Returns
    -------
    DataFrame with columns customer_id, gone, joined_at, the attributes, and "arm of <campaign>" for
    each campaign
        One row per customer with a spell by that day; ``gone`` where none runs at its end. A date
        among the attributes is the days since it, under the name that its feature has. A campaign
        whose propensities differ within an arm was not randomised: it has none.
    """
    if study.kind == "flat" or day is None:
        return None
    evidence = evidence_as_of(tables, [day])
    spells = find_spells(evidence, study)
    gone = spells.group_by("customer_id").agg(gone=spells.ended.notnull().all())
    customers = evidence["customers"]
    people = customers.join(gone, "customer_id").drop(
        "snapshot", *{"known_at"} & {*customers.columns}
    )
    reference = _age_dates(people.order_by("customer_id").to_pandas(), pd.Timestamp(day))
    if "campaigns" not in evidence:
        return reference
    arms = _load_arms(evidence, study.experiment.unit)
    return reference.merge(arms, on="customer_id", how="left")


def _age_dates(people: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """Replace dates by the days since them, empty while they lie ahead."""
    dates = [
        column
        for column in people.select_dtypes(["datetime", "datetimetz"])
        if column != "joined_at"
    ]
    ages = {
        f"days_since_{column}": (day - people[column].dt.normalize()).dt.days.where(
            people[column] < day + pd.Timedelta(days=1)
        )
        for column in dates
    }
    texts = [column for column in people if isinstance(people[column].dtype, pd.StringDtype)]
    return people.drop(columns=dates).assign(**ages).astype(dict.fromkeys(texts, "object"))


def _load_arms(evidence: Evidence, unit: str) -> pd.DataFrame:
    """Return one row per customer and a column of arms per campaign, first assignments only; where
    campaigns give units of randomisation, also one of these.
    """
    rows = evidence["campaigns"].to_pandas().sort_values(["assigned_at", "arm"])
    rows = rows.drop_duplicates(["customer_id", "campaign"])
    if "propensity" in rows:
        propensities = rows.groupby(["campaign", "arm"]).propensity.nunique()
        chosen = propensities.groupby("campaign").max() > 1
        rows = rows[~rows.campaign.isin(chosen.index[chosen])]
    arms = rows.pivot(index="customer_id", columns="campaign", values="arm")
    arms = arms.add_prefix(ARM)
    if unit in rows and unit != "customer_id":
        units = rows.pivot(index="customer_id", columns="campaign", values=unit)
        arms = arms.join(units.add_prefix(UNIT))
    return arms.reset_index()


def find_post_outcome(
    frame: pd.DataFrame,
    features: Sequence[str],
    reference: pd.DataFrame | None,
    unit: str = "customer_id",
) -> dict[str, Finding]:
    """Return the attributes that were written after the customer left or was treated.

    Parameters
    ----------
    frame : training rows
    features : columns to check; only those of ``reference``, or all of a flat study with arms
    reference : see ``load_reference_population``
    unit : column of what arms were drawn for
    """
    if reference is not None:
        columns = [column for column in features if column in reference]
        arms = [column for column in reference if column.startswith(ARM)]
        treated = find_after_treatment(reference, columns, arms, unit)
        return treated | find_after_leaving(reference, columns)
    if "arm" in frame and "snapshot" not in frame:
        return find_after_treatment(frame, [*features], ["arm"], unit)
    return {}


def find_after_leaving(reference: pd.DataFrame, columns: list[str]) -> dict[str, Finding]:
    """Return the attributes that know who has already left, by column.

    Those gone are compared with those still there who joined at about the same time.

    Parameters
    ----------
    reference : see ``load_reference_population``
    columns : attributes to check
    """
    if min(reference.gone.sum(), (~reference.gone).sum()) < MIN_CUSTOMERS:
        return {}
    joined, bands = rank_dates(reference.joined_at), band_dates(reference.joined_at)
    reason = "after the event: the value was written or changed when customers left"
    evidence = {
        column: _separates_gone(reference, column, bands)
        or _find_gone_only(reference, column, bands, joined)
        for column in columns
    }
    return {column: Finding(words, reason) for column, words in evidence.items() if words}


def rank_dates(dates: pd.Series) -> np.ndarray:
    """Return the ranks of dates, equal ones alike."""
    return dates.rank(method="average").to_numpy()


def band_dates(dates: pd.Series) -> np.ndarray:
    """Return the number of the band of each date, of ``BANDS`` with about equally many."""
    ranks = rank_dates(dates)
    return np.searchsorted(np.unique(np.quantile(ranks, np.arange(1, BANDS) / BANDS)), ranks)


def _separates_gone(reference: pd.DataFrame, column: str, bands: np.ndarray) -> str | None:
    """Return in words how groups of values separate gone from present customers of one band; None
    where they hardly do.
    """
    gone, folds = reference.gone.to_numpy(bool), find_folds(reference.customer_id)
    area = measure_separation(reference[column], gone, bands, folds)
    if area < SEPARATION_AUC:
        return None
    return f"AUC {area:.3f} between customers gone and present who joined at about the same time"


def measure_separation(
    values: pd.Series, gone: np.ndarray, bands: np.ndarray, folds: np.ndarray
) -> float:
    """Return the AUC with which groups of values separate gone from present customers of one band,
    learned on the other folds; 0.5 where no band has both.
    """
    cells = bands * (GROUPS + 1) + group_values(values, GROUPS)
    risk = _predict_gone(cells, gone, folds)
    wins, pairs = np.sum(
        [_count_wins(risk[bands == band], gone[bands == band]) for band in np.unique(bands)], axis=0
    )
    return wins / pairs if pairs else 0.5


def _predict_gone(cells: np.ndarray, gone: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return the share of gone customers in each row's cell, counted on the other folds."""
    risk, width = np.empty(len(gone)), cells.max() + 1
    for fold in range(FOLDS):
        rest = folds != fold
        left = np.bincount(cells[rest], gone[rest], width)
        rows = np.bincount(cells[rest], minlength=width)
        risk[~rest] = ((left + gone[rest].mean()) / (rows + 1))[cells[~rest]]
    return risk


def _count_wins(risk: np.ndarray, gone: np.ndarray) -> tuple[float, float]:
    """Return in how many pairs of a gone and a present customer the gone one has the higher risk
    (half for ties), and how many pairs there are.
    """
    ranks, leavers = stats.rankdata(risk), gone.sum()
    return ranks[gone].sum() - leavers * (leavers + 1) / 2, float(leavers * (len(gone) - leavers))


def _find_gone_only(
    reference: pd.DataFrame, column: str, bands: np.ndarray, joined: np.ndarray
) -> str | None:
    """Look for a value that only gone customers have, too many of them to be chance among those who
    joined at the same time.
    """
    least = max(MIN_CUSTOMERS, min(PURE_CUSTOMERS, reference.gone.sum() / 2))
    gone = reference.gone.to_numpy(bool)
    for grouping in list_groupings(reference[column], column):
        codes, labels = grouping.codes, grouping.labels
        inside = codes >= 0
        sizes = np.bincount(codes[inside], minlength=len(labels))
        stay = np.bincount(codes[inside & ~gone], minlength=len(labels))
        pure = np.flatnonzero((sizes >= least) & (stay == 0))
        for group in pure:
            chance = _measure_chance(gone, codes == group, bands, joined)
            if chance < np.log(FALSE_ALARM / len(pure)):
                return (
                    f"all {sizes[group]:,} customers with {labels[group]} have left already, nobody"
                    " who is still there has it"
                )
    return None


def _measure_chance(
    gone: np.ndarray, group: np.ndarray, bands: np.ndarray, joined: np.ndarray
) -> float:
    """Return the log chance that all of a group are gone if it knew nothing but when they joined.

    The share of gone customers is that of the rest of each band. Only members count with others of
    their band before and after them: what was given only in years of which nobody is left says
    nothing.
    """
    rest, places, width = ~group, pd.Series(joined), bands.max() + 1
    left = np.bincount(bands[rest], gone[rest], width)
    rows = np.bincount(bands[rest], minlength=width)
    others = places.where(rest).groupby(bands)
    among = (
        group
        & (places >= others.transform("min")).to_numpy()
        & (places <= others.transform("max")).to_numpy()
    )
    return float(np.log((left + 1) / (rows + 1))[bands[among]].sum())


def find_after_treatment(
    frame: pd.DataFrame, columns: list[str], arms: list[str], unit: str = "customer_id"
) -> dict[str, Finding]:
    """Return the columns that differ between randomised arms, though nothing from before the
    assignment can.

    Where the arms also differ in the date of joining, or in more than a quarter of the columns,
    they were not randomised: nothing is found. Of every unit of randomisation one customer is
    compared: the others of a household got their arm with that one.

    Parameters
    ----------
    frame : one row per customer, with ``columns``, ``arms`` and optionally joined_at
    columns : attributes to check
    arms : columns that hold the arm of each customer in a campaign, empty for who is not in it
    unit : column of what arms were drawn for, unless ``UNIT`` columns have it by campaign
    """
    findings: dict[str, Finding] = {}
    for arm in arms:
        rows, of_campaign = frame[frame[arm].notna()], arm.replace(ARM, UNIT)
        units = next((name for name in (of_campaign, unit) if name in rows and name != arm), None)
        rows = rows.drop_duplicates(units) if units else rows
        rows = rows[rows.groupby(arm)[arm].transform("size") >= MIN_ARM_CUSTOMERS]
        chances = {
            column: _compare_arms(rows[column], rows[arm])
            for column in [*columns, *({"joined_at"} & {*frame})]
        }
        dated, limit = chances.pop("joined_at", 1.0), FALSE_ALARM / max(len(columns) * len(arms), 1)
        differing = [column for column, chance in chances.items() if chance < limit]
        if dated >= FALSE_ALARM and len(differing) <= max(CHOSEN_SHARE * len(columns), 1):
            findings = {
                column: _describe_difference(rows, column, arm, chances[column])
                for column in differing
            } | findings
    return findings


def _compare_arms(values: pd.Series, arms: pd.Series) -> float:
    """Return the p-value of a chi-square test of groups of values against arms.

    Groups of too few expected customers are tested together.
    """
    if arms.nunique() < 2:
        return 1.0
    values = values.astype("int64") if pd.api.types.is_datetime64_any_dtype(values) else values
    table = pd.crosstab(group_values(values, RANGES), arms.to_numpy()).to_numpy()
    scarce = table.sum(axis=1) * table.sum(axis=0).min() / table.sum() < 5
    table = np.vstack([table[~scarce], table[scarce].sum(axis=0)])
    table = table[table.sum(axis=1) > 0]
    return float(stats.chi2_contingency(table, correction=False).pvalue) if len(table) > 1 else 1.0


def _describe_difference(rows: pd.DataFrame, column: str, arm: str, chance: float) -> Finding:
    name = f" of {arm.removeprefix(ARM)}" if arm.startswith(ARM) else ""
    power = min(-np.log10(max(chance, 1e-99)), 99)
    return Finding(
        f"differs between the arms{name} ({_describe_shares(rows[column], rows[arm])}), by chance"
        f" once in 10^{power:.0f} assignments",
        AFTER_TREATMENT,
    )


def _describe_shares(values: pd.Series, arms: pd.Series) -> str:
    """Return in words how a column differs between arms: the share of its group that differs most,
    arm by arm.
    """
    groupings = [
        grouping
        for grouping in list_groupings(values, str(values.name))
        if len(np.unique(grouping.codes)) > 1
    ]
    if not groupings:
        return "no group"
    shares = pd.crosstab(groupings[-1].codes, arms, normalize="columns")
    shares = shares.drop(index=-1, errors="ignore")
    group = (shares.max(axis=1) - shares.min(axis=1)).idxmax()
    return f"{groupings[-1].labels[group]}: " + ", ".join(
        f"{share:.0%} in {name}" for name, share in shares.loc[group].items()
    )

"""Traces of what came later in attributes without a date: of leaving, and of a campaign's
treatment.

A customer's attributes carry no date, so they may have been written at any time. Nobody can see
when; but a value written at leaving tells those already gone from those still there, and a value
written after an assignment by lot differs between the arms, which nothing from before it can.
"""

from datetime import date

import numpy as np
import pandas as pd
from scipy import stats

from research.data.contracts import Tables
from research.features.leakage.binning import RANGES, cut_groups, view_groups
from research.features.leakage.identifiers import CHANCE, LEAST_CUSTOMERS
from research.panel.evidence import evidence_as_of
from research.panel.spells import find_spells
from research.study import Study

Finding = tuple[str, str]
GONE_AUC = (
    0.95  # as for churn: what tells the gone from the present so well was written when they left
)
HONEST_CUSTOMERS = (
    150  # a value that only gone customers have must hold so many, or half of all the gone
)
# of joining dates: the gone joined earlier, and so whatever went with the years differs honestly
BANDS = 10
GROUPS = 20
LEAST_IN_ARM = 50
CHOSEN_SHARE = 0.25  # where more columns differ between the arms, the arms were chosen, not drawn
ARM = "arm of "  # column of ``everyone``: the arm in the campaign of that name


def load_reference_population(
    tables: Tables, study: Study, day: date | None
) -> pd.DataFrame | None:
    """Return everybody whom the company knew at a day, gone or not, with attributes and the arms of
    campaigns drawn by lot.

    Parameters
    ----------
    tables : contract tables
    study : a flat study has no dates, and gets None: its arms stand in its own table
    day : usually the first test snapshot

    Returns
    -------
    DataFrame with columns customer_id, gone, joined_at, the attributes, and "arm of <campaign>" for
    each campaign
        One row per customer with a spell of custom by that day; ``gone`` where none runs at its
        end. A date among the attributes is the days since it, under the name that its feature has.
        A campaign whose propensities differ within an arm was not drawn: it has none.
    """
    if study.kind == "flat" or day is None:
        return None
    evidence = evidence_as_of(
        {
            name: tables[name]
            for name in ("customers", "contracts", "orders", "campaigns")
            if name in tables
        },
        [day],
    )
    spells = find_spells(evidence, study)
    known = spells.group_by("customer_id").agg(gone=spells.ended.notnull().all())
    people = (
        evidence["customers"]
        .join(known, "customer_id")
        .drop("snapshot", *{"known_at"} & {*evidence["customers"].columns})
    )
    everyone = _age_dates(people.order_by("customer_id").to_pandas(), pd.Timestamp(day))
    return (
        everyone.merge(_load_arms(evidence), on="customer_id", how="left")
        if "campaigns" in evidence
        else everyone
    )


def _age_dates(people: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
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


def _load_arms(evidence: Tables) -> pd.DataFrame:
    """Return one row per customer and a column of arms per campaign, first assignments only."""
    rows = (
        evidence["campaigns"]
        .to_pandas()
        .sort_values(["assigned_at", "arm"])
        .drop_duplicates(["customer_id", "campaign"])
    )
    if "propensity" in rows:
        chosen = (
            rows.groupby(["campaign", "arm"]).propensity.nunique().groupby("campaign").max() > 1
        )
        rows = rows[~rows.campaign.isin(chosen.index[chosen])]
    return (
        rows.pivot(index="customer_id", columns="campaign", values="arm")
        .add_prefix(ARM)
        .reset_index()
    )


def find_after_leaving(everyone: pd.DataFrame, columns: list[str]) -> dict[str, Finding]:
    """Return the attributes that know who has already left: evidence and reason by column.

    Those gone are compared with those still there who joined at about the same time.

    Parameters
    ----------
    everyone : see ``load_reference_population``
    columns : attributes to judge
    """
    if min(everyone.gone.sum(), (~everyone.gone).sum()) < LEAST_CUSTOMERS:
        return {}
    joined = everyone.joined_at.rank(method="average").to_numpy()
    bands = np.searchsorted(np.unique(np.quantile(joined, np.arange(1, BANDS) / BANDS)), joined)
    reason = "after the event: the value was written or changed when customers left"
    evidence = {
        column: _tell_gone(everyone, column, bands)
        or _find_gone_only(everyone, column, bands, joined)
        for column in columns
    }
    return {column: (words, reason) for column, words in evidence.items() if words}


def _tell_gone(everyone: pd.DataFrame, column: str, bands: np.ndarray) -> str | None:
    """Return the AUC with which groups of values tell gone from present customers of one band,
    learned on other customers.
    """
    gone, groups = everyone.gone.to_numpy(bool), cut_groups(everyone[column], GROUPS)
    cells = bands * (GROUPS + 1) + groups
    folds = pd.util.hash_array(everyone.customer_id.astype(str).to_numpy(object)) % 5
    risk = np.empty(len(everyone))
    for fold in range(5):
        rest = folds != fold
        left, rows = (
            np.bincount(cells[rest], gone[rest], cells.max() + 1),
            np.bincount(cells[rest], minlength=cells.max() + 1),
        )
        risk[~rest] = ((left + gone[rest].mean()) / (rows + 1))[cells[~rest]]
    wins, pairs = np.sum(
        [_count_wins(risk[bands == band], gone[bands == band]) for band in np.unique(bands)], axis=0
    )
    if not pairs or wins / pairs < GONE_AUC:
        return None
    return (
        f"AUC {wins / pairs:.3f} between customers gone and present who joined at about the same"
        " time"
    )


def _count_wins(risk: np.ndarray, gone: np.ndarray) -> tuple[float, float]:
    """Return in how many pairs of a gone and a present customer the gone one has the higher risk
    (half for ties), and how many pairs there are.
    """
    ranks, leavers = stats.rankdata(risk), gone.sum()
    return ranks[gone].sum() - leavers * (leavers + 1) / 2, float(leavers * (len(gone) - leavers))


def _find_gone_only(
    everyone: pd.DataFrame, column: str, bands: np.ndarray, joined: np.ndarray
) -> str | None:
    """Look for a value that only gone customers have, too many of them to be luck among those who
    joined at the same time.
    """
    least = max(LEAST_CUSTOMERS, min(HONEST_CUSTOMERS, everyone.gone.sum() / 2))
    gone = everyone.gone.to_numpy(bool)
    for view in view_groups(everyone[column], column):
        inside = view.codes >= 0
        sizes, stay = (
            np.bincount(view.codes[rows], minlength=len(view.labels))
            for rows in (inside, inside & ~gone)
        )
        pure = np.flatnonzero((sizes >= least) & (stay == 0))
        for group in pure:
            if _measure_luck(gone, view.codes == group, bands, joined) < np.log(CHANCE / len(pure)):
                return (
                    f"all {sizes[group]:,} customers with {view.labels[group]} have left already,"
                    " nobody who is still there has it"
                )
    return None


def _measure_luck(
    gone: np.ndarray, group: np.ndarray, bands: np.ndarray, joined: np.ndarray
) -> float:
    """Return the log chance that all of a group are gone if it knew nothing but when they joined.

    The share of gone customers is that of the rest of each band. Only members count with others of
    their band before and after them: what was given only in years of which nobody is left says
    nothing.
    """
    rest, places = ~group, pd.Series(joined)
    left, rows = (
        np.bincount(bands[rest], gone[rest], bands.max() + 1),
        np.bincount(bands[rest], minlength=bands.max() + 1),
    )
    others = places.where(rest).groupby(bands)
    among = (
        group
        & (places >= others.transform("min")).to_numpy()
        & (places <= others.transform("max")).to_numpy()
    )
    return float(np.log((left + 1) / (rows + 1))[bands[among]].sum())


def find_after_treatment(
    frame: pd.DataFrame, columns: list[str], arms: list[str]
) -> dict[str, Finding]:
    """Return the columns that differ between arms drawn by lot, though nothing from before the draw
    can: evidence and reason by column.

    Where the arms also differ in the date of joining, or in more than a quarter of the columns,
    they were chosen: nothing is said.

    Parameters
    ----------
    frame : one row per customer, with ``columns``, ``arms`` and optionally joined_at
    columns : attributes to judge
    arms : columns that hold the arm of each customer in a campaign, empty for who is not in it
    """
    found: dict[str, Finding] = {}
    for arm in arms:
        rows = frame[frame[arm].notna()]
        rows = rows[rows.groupby(arm)[arm].transform("size") >= LEAST_IN_ARM]
        chances = {
            column: _compare_arms(rows[column], rows[arm])
            for column in [*columns, *({"joined_at"} & {*frame})]
        }
        dated, limit = chances.pop("joined_at", 1.0), CHANCE / max(len(columns) * len(arms), 1)
        differing = [column for column, chance in chances.items() if chance < limit]
        if dated >= CHANCE and len(differing) <= max(CHOSEN_SHARE * len(columns), 1):
            found = {
                column: _word_treatment(rows, column, arm, chances[column]) for column in differing
            } | found
    return found


def _compare_arms(values: pd.Series, arms: pd.Series) -> float:
    """Return the p-value of a chi-square test of groups of values against arms, groups of too few
    expected customers together.
    """
    if arms.nunique() < 2:
        return 1.0
    values = values.astype("int64") if pd.api.types.is_datetime64_any_dtype(values) else values
    table = pd.crosstab(cut_groups(values, RANGES), arms.to_numpy()).to_numpy()
    scarce = table.sum(axis=1) * table.sum(axis=0).min() / table.sum() < 5
    table = np.vstack([table[~scarce], table[scarce].sum(axis=0)])
    table = table[table.sum(axis=1) > 0]
    return float(stats.chi2_contingency(table, correction=False).pvalue) if len(table) > 1 else 1.0


def _word_treatment(rows: pd.DataFrame, column: str, arm: str, chance: float) -> Finding:
    name = f" of {arm.removeprefix(ARM)}" if arm.startswith(ARM) else ""
    words = (
        f"differs between the arms{name} ({_contrast(rows[column], rows[arm])}), by luck once in"
        f" 10^{min(-np.log10(max(chance, 1e-99)), 99):.0f} draws"
    )
    return (
        words,
        (
            "after the treatment: arms drawn by lot are alike in all that was there before; keep it"
            " if the arms were chosen by it"
        ),
    )


def _contrast(values: pd.Series, arms: pd.Series) -> str:
    """Say in words how a column differs between arms: the share of its most telling group, arm by
    arm.
    """
    views = [
        view for view in view_groups(values, str(values.name)) if len(np.unique(view.codes)) > 1
    ]
    if not views:
        return "no group"
    shares = pd.crosstab(views[-1].codes, arms, normalize="columns").drop(index=-1, errors="ignore")
    telling = (shares.max(axis=1) - shares.min(axis=1)).idxmax()
    return f"{views[-1].labels[telling]}: " + ", ".join(
        f"{share:.0%} in {name}" for name, share in shares.loc[telling].items()
    )

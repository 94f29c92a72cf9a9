"""Trials of a study: customers assigned to arms, at random or by choice, and their outcomes.

A trial is a campaign of a dated study, or a flat study with arms. What is known of a customer ends
on the day before the assignment; the outcome lies in the horizon from the day of assignment on.
Every customer assigned counts with the assigned arm, reached or not (intention to treat).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from research.data.contracts import Tables
from research.errors import NotApplicable, StudyError
from research.panel.periods import find_horizon, write_span
from research.reporting.format import join_words
from research.store.keep import keep
from research.study import Study
from research.study_schema import CONTROL, OUTCOMES
from research.uplift.trial_checks import require_arms, require_units
from research.uplift.trial_rows import is_constant, load_campaign_rows, load_flat_rows

CUSTOMER = "customer_id"  # the unit of randomisation unless study.yml names another
RANDOMISED, OBSERVATIONAL = "randomised", "observational"
OTHER_ARMS = "it has other arms than the campaigns that count; give it a study of its own"
OTHERS_ARMS = "they have other arms than the campaigns that count; give them studies of their own"
CONSTANT = (
    "the propensity is {one:g} in every row, as a default is; if the arms were drawn with it, write"
    " experiment: {{assignment: randomised}} into study.yml"
)
MOST_NAMED = 5  # campaigns in one sentence
OUTCOME_WORDS = {"kept": "stays", "outcome": "outcome", "value": "value"}


@dataclass(frozen=True)
class Trial:
    """Assignments and their outcomes.

    Attributes
    ----------
    rows : DataFrame with columns customer_id, trial, assigned_at, arm, propensity, cost, the
        outcomes and the features
        One row per trial and customer. ``propensity``: the probability of the arm that the
        customer got; empty where it isn't known. More is better for every outcome: ``kept`` (0 or
        1), ``outcome``, ``value`` (money).
    features : columns that were known before the assignment
    outcomes : what each outcome means, in words, the primary one first
    assignment : randomised, or observational
    counts : DataFrame with columns trial, arm, assigned, no_customer, assigned_later, beyond_data,
        analysed, next_campaign
        ``no_customer``: not under contract, or not active, on the day before; ``assigned_later``:
        to the same trial once more; ``beyond_data``: the outcome was due after the end of the data;
        ``next_campaign``: of those analysed, in another campaign before the outcome was known.
    unit : column of the rows with what arms were drawn for, the unit of randomisation
    history : features made of dated rows, which can't have been written after the assignment; none
        in a flat study
    suspects : columns that the leakage checks excluded because they differ between the arms
    """

    rows: pd.DataFrame
    features: list[str]
    outcomes: dict[str, str]
    assignment: str
    counts: pd.DataFrame
    unit: str = CUSTOMER
    history: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()

    @property
    def arms(self) -> list[str]:
        """The arms other than control, in order."""
        return sorted({*self.rows.arm} - {CONTROL})

    @property
    def names(self) -> list[str]:
        """The names of the trials that are pooled here."""
        return [*self.rows.trial.unique()]

    @property
    def primary(self) -> str:
        """The outcome that rankings are about."""
        return next(iter(self.outcomes))

    @property
    def dated(self) -> bool:
        """Whether it is a campaign, of which days are known."""
        return "assigned_at" in self.rows

    @property
    def by_customer(self) -> bool:
        """Whether arms were drawn customer by customer."""
        return self.unit == CUSTOMER

    @property
    def drawn(self) -> str:
        """What arms were drawn for, in words, in the plural."""
        return "customers" if self.by_customer else f"units ({self.unit})"

    @property
    def clusters(self) -> pd.Series:
        """What intervals and folds keep together: the unit of randomisation of each row, or all the
        units that a customer of several campaigns belonged to.
        """
        customers = self.rows[CUSTOMER]
        return customers if self.by_customer else join_units(self.rows[self.unit], customers)

    @property
    def shares(self) -> dict[str, bool]:
        """Whether each outcome is a share, whose effects are given in percentage points."""
        return {name: is_share(self.rows[name]) for name in self.outcomes}

    def only(self, trial: str) -> "Trial":
        """Return one of the trials alone."""
        return replace(
            self,
            rows=self.rows[self.rows.trial == trial].reset_index(drop=True),
            counts=self.counts[self.counts.trial == trial],
        )

    def iterate(self) -> Iterator[tuple[str, "Trial"]]:
        """Yield the single trials by name."""
        for name in self.names:
            yield name, self.only(name)


def is_share(values: pd.Series) -> bool:
    """Return whether an outcome is a share: between 0 and 1, and not money."""
    return values.name != "value" and bool(values.dropna().between(0, 1).all())


def join_units(units: pd.Series, customers: pd.Series) -> pd.Series:
    """Return units, those of a customer who was in several joined to one."""
    if not (customers.groupby(customers).size().max() > 1 and _have_several(units, customers)):
        return units
    codes, people = (pd.factorize(values)[0] for values in (units, customers))
    size = max(codes.max(), people.max()) + 1
    pairs = csr_matrix((np.ones(len(codes)), (codes, size + people)), (2 * size, 2 * size))
    return pd.Series(connected_components(pairs)[1][codes], units.index)


def _have_several(units: pd.Series, customers: pd.Series) -> bool:
    return bool(units.groupby(customers).nunique().max() > 1)


@keep
def load_trials(tables: Tables, study: Study) -> dict[str, Trial]:
    """Return the trials of a study by how their arms were assigned: randomised, observational, or
    both.

    A campaign is randomised where every row has its propensity, not the same number in all rows of
    all campaigns unless study.yml says ``assignment: randomised``. Arms that were chosen are loaded
    only where study.yml says ``assignment: observational``.

    Raises
    ------
    NotApplicable
        If the study has no campaigns or arms, or none that may be read as study.yml says.
    StudyError
        One sentence for every fault: no control arm, an arm without customers, a customer in two
        arms, propensities of 0 or 1, a unit of randomisation in several arms.
    """
    load_rows = load_flat_rows if study.kind == "flat" else load_campaign_rows
    loaded = load_rows(tables, study)
    rows, counts = loaded.rows, loaded.counts
    trials = {}
    for assignment, names in _names_by_assignment(rows, study, loaded.constant).items():
        names = _find_same_arms(rows, names)
        part = rows[rows.trial.isin(names)].reset_index(drop=True)
        if part.empty:
            continue
        require_arms(part, study)
        outcomes = _describe_outcomes(part, study, loaded.value_words)
        part = _fill_propensity(part) if assignment == RANDOMISED else part
        counted = counts[counts.trial.isin(names)].reset_index(drop=True)
        trial = Trial(
            part,
            loaded.features,
            outcomes,
            assignment,
            counted,
            study.experiment.unit,
            loaded.history,
            loaded.suspects,
        )
        clustered = part.assign(cluster=trial.clusters)
        require_units(clustered, trial.unit, assignment == RANDOMISED)
        trials[assignment] = trial
    if not trials:
        raise NotApplicable(_describe_no_trial(study, rows, loaded.constant))
    return trials


def load_randomised(tables: Tables, study: Study) -> Trial:
    """Return the trials whose arms were randomised, pooled; see ``load_trials``.

    Raises
    ------
    NotApplicable
        If no arm was randomised.
    """
    trial = load_trials(tables, study).get(RANDOMISED)
    if trial is None:
        raise NotApplicable(
            f"no arm of the study {study.name} was randomised: its arms were chosen, see"
            " 62_observational"
        )
    return trial


def load_observational(tables: Tables, study: Study) -> Trial:
    """Return the campaigns whose arms were chosen; see ``load_trials``.

    Raises
    ------
    NotApplicable
        If study.yml doesn't ask for them, or no arm was chosen.
    """
    if study.experiment.assignment != OBSERVATIONAL:
        raise NotApplicable(
            f"the study {study.name} asks for no comparison of arms that were chosen"
            " (experiment: {assignment: observational} in study.yml)"
        )
    trial = load_trials(tables, study).get(OBSERVATIONAL)
    if trial is None:
        raise NotApplicable(
            f"no arm of the study {study.name} was chosen: all were randomised, see 60_uplift"
        )
    return trial


def explain_no_trial(tables: Tables, study: Study) -> str:
    """Return why a study has no randomised trial.

    Raises
    ------
    NotApplicable
        If it has one.
    """
    try:
        load_randomised(tables, study)
    except NotApplicable as missing:
        return str(missing)
    raise NotApplicable(f"the study {study.name} has a randomised trial, see 65_targeting")


def _names_by_assignment(rows: pd.DataFrame, study: Study, constant: bool) -> dict[str, list[str]]:
    """Return the names of the trials by how their arms were assigned; those that were chosen only
    where study.yml asks for them.
    """
    randomised = _find_randomised(rows, study, constant)
    others = [name for name in rows.trial.unique() if name not in randomised]
    wanted = study.experiment.assignment == OBSERVATIONAL
    return {RANDOMISED: randomised, OBSERVATIONAL: others if wanted else []}


def _find_randomised(rows: pd.DataFrame, study: Study, constant: bool) -> list[str]:
    """Return the trials whose arms were randomised: a propensity in every row, or study.yml of a
    flat study says so. Where all propensities are the same number, as a default would be, they
    show no draw: study.yml has to say so, too.
    """
    if study.kind == "flat":
        return [study.name] if study.experiment.assignment == RANDOMISED else []
    if "propensity" not in rows or _is_unconfirmed(constant, study):
        return []
    complete = rows.groupby("trial").propensity.agg(lambda values: values.notna().all())
    return [*complete.index[complete]]


def _is_unconfirmed(constant: bool, study: Study) -> bool:
    """Return whether all propensities are one number, and study.yml doesn't say that it is true."""
    return constant and study.experiment.assignment != RANDOMISED


def _find_same_arms(rows: pd.DataFrame, names: list[str]) -> list[str]:
    """Return the trials that have the same arms; of several such groups the one with most
    customers, since an arm is compared only where it could be drawn.
    """
    if not names:
        return []
    part = rows[rows.trial.isin(names)]
    arms = part.groupby("trial").arm.agg(lambda values: " / ".join(sorted({*values.astype(str)})))
    largest = part.trial.map(arms).value_counts().index[0]
    return [*arms.index[arms == largest]]


def find_left_out(tables: Tables, study: Study) -> dict[str, str]:
    """Return the campaigns that are left out, those of one reason together, with the reason."""
    if study.kind == "flat":
        return {}
    rows = tables["campaigns"].to_pandas().rename(columns={"campaign": "trial"})
    constant = is_constant(rows)
    groups = [*_names_by_assignment(rows, study, constant).values()]
    known = [name for names in groups for name in names]
    others = [
        name for names in groups for name in names if name not in _find_same_arms(rows, names)
    ]
    reason = OTHER_ARMS if len(others) == 1 else OTHERS_ARMS
    reasons = _explain_missing_propensities(rows[~rows.trial.isin(known)], study, constant)
    return reasons | ({_list_names(others): reason} if others else {})


def _explain_missing_propensities(
    rows: pd.DataFrame, study: Study, constant: bool
) -> dict[str, str]:
    """Return the campaigns of rows that have no propensity, or none that shows a draw, each reason
    once.
    """
    if len(rows) and _is_unconfirmed(constant, study):
        names, one = _list_names([*rows.trial.unique()]), rows.propensity.max()
        return {names: CONSTANT.format(one=one)}
    known = rows.propensity.notna() if "propensity" in rows else pd.Series(False, rows.index)
    counts = known.groupby(rows.trial).agg(["size", "sum"])
    chosen, partly = counts[counts["sum"] == 0], counts[counts["sum"] > 0]
    reasons = {}
    if len(chosen):
        its = "its" if len(chosen) == 1 else "their"
        reasons[_list_names([*chosen.index])] = f"{its} arms were not randomised"
    if len(partly):
        its, size = "its" if len(partly) == 1 else "their", partly["size"].sum()
        missing = f"{size - partly['sum'].sum():,} of {its} {size:,} rows"
        reasons[_list_names([*partly.index])] = f"{missing} have no propensity; add it"
    return reasons


def _list_names(names: list[str]) -> str:
    """Return names in words, the first of many and the number of the others."""
    more = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    return join_words([*map(str, names[:MOST_NAMED]), *more])


def _describe_no_trial(study: Study, rows: pd.DataFrame, constant: bool) -> str:
    if study.kind == "flat":
        return (
            f"study.yml of {study.name} doesn't state that its arms were randomised: no effect can"
            " be estimated from them; if they were, write experiment: {assignment: randomised}"
            " into study.yml"
        )
    explained = _explain_missing_propensities(rows, study, constant).items()
    reasons = "; ".join(f"{names}: {reason}" for names, reason in explained)
    return (
        f"no campaign of the study {study.name} was randomised (a propensity in every row): no"
        f" effect can be estimated from them ({reasons}); give the propensity of every randomised"
        " arm; with experiment: {assignment: observational} in study.yml they are read as"
        " associations"
    )


def _describe_outcomes(rows: pd.DataFrame, study: Study, value_words: str = "") -> dict[str, str]:
    """Return the outcomes that rows have and what they mean, the primary one first.

    Parameters
    ----------
    value_words : what value means, where it is no money
    """
    present = [name for name in OUTCOMES if name in rows and rows[name].notna().any()]
    if not present:
        raise StudyError(
            "snapshot.sql: expected an outcome or a value that is known of some customers, got"
            " none; select one, or churned"
        )
    primary = study.experiment.primary or present[0]  # kept, where there is churn
    if primary not in present:
        raise StudyError(
            f"study.yml, key experiment.primary: expected one of the outcomes"
            f" {', '.join(present)}, got '{primary}'; correct it"
        )
    money = f"{OUTCOME_WORDS['value']}, {study.economics.currency}"
    default = OUTCOME_WORDS | {"value": value_words or money}
    words = {name: study.experiment.outcomes.get(name, default[name]) for name in present}
    if study.churn:
        words = {name: _fill_horizon(text, study) for name, text in words.items()}
    return {primary: words[primary]} | words


def _fill_horizon(text: str, study: Study) -> str:
    """Return the words of an outcome with the horizon, in months where the study gives it so."""
    horizon = find_horizon(study.churn)
    text = text.replace("{horizon_days} days", write_span(horizon))
    return text.replace("{horizon_days}", str(study.churn.horizon_days))


def _fill_propensity(rows: pd.DataFrame) -> pd.DataFrame:
    """Give equal propensities their realised shares, which is more precise; those that differ
    between customers stay as they were written down.
    """
    parts = [_fill_one(part) for _, part in rows.groupby("trial", sort=False)]
    return pd.concat(parts).sort_index()


def _fill_one(rows: pd.DataFrame) -> pd.DataFrame:
    varies = bool((rows.groupby("arm").propensity.nunique() > 1).any())
    rows = rows.assign(planned=rows.propensity, varies=varies)
    if varies:
        return rows
    return rows.assign(propensity=rows.arm.map(rows.arm.value_counts(normalize=True)))

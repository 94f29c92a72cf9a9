"""A study as a notebook opens it: its tables, its panel, its features, its trial and its values.

Each object shows itself as the last line of a cell, and leaves the table that it shows.

>>> import research as rs
>>> run = rs.open("demo", horizon_days=60)  # doctest: +SKIP
>>> panel = run.panel()  # doctest: +SKIP
>>> features = run.features(panel)  # doctest: +SKIP
"""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pandas as pd
from joblib import parallel_config

from research.data.contracts import Tables
from research.data.fetch import fetch
from research.data.load import load_tables
from research.data.profile import facts_table
from research.data.remarks import describe_terms, list_remarks
from research.errors import NotApplicable
from research.features.build import describe_features, load_flat, load_panel, load_training
from research.features.leakage.gate import Leakage, check_panel
from research.features.population_bridge import bridge_populations, show_bridge
from research.features.remarks import find_remarks
from research.panel.learning import Panel
from research.panel.periods import find_horizon, write_span
from research.panel.remarks import find_panel_remarks
from research.panel.splits import Split, plan_split, require_out_of_time
from research.reporting.results import save_table
from research.reporting.style import use_style
from research.reporting.tables import show, show_facts
from research.settings import reduce_sizes, require_settings
from research.store.keep import open_store
from research.study import Study, adjust, load_study, project_root

STUDY_PARAMETERS = ("snapshot", "lead_days", "horizon_days", "capacity")


@dataclass(frozen=True)
class Features:
    """What a model may see of a panel, and what the leakage checks excluded.

    Attributes
    ----------
    leakage : the columns that were checked, and the findings
    dictionary : one row per feature, see ``describe_features``
    rows : training rows that were checked
    excluded : further features that models may not use, see ``without``
    """

    leakage: Leakage
    dictionary: pd.DataFrame
    rows: int
    excluded: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Return every feature of the training rows."""
        return self.leakage.columns

    @property
    def allowed(self) -> list[str]:
        """Return the features that models may use."""
        return [name for name in self.leakage.allowed if name not in self.excluded]

    def without(self, names: Iterable[str]) -> "Features":
        """Return the same features, of which models may not use those named either."""
        return replace(self, excluded=(*self.excluded, *names))

    @property
    def leaks(self) -> pd.DataFrame:
        """Return one row per finding; see ``check_leakage``."""
        return self.leakage.findings

    @property
    def descriptions(self) -> dict[str, str]:
        """Return what each feature is, in words."""
        return self.dictionary.set_index("feature").description.to_dict()

    @property
    def found(self) -> Any:
        """Show what the leakage checks found."""
        counted = f"{len(self.allowed)} of {len(self.columns)} features are allowed"
        note = f"{counted}; checked on {self.rows:,} training rows."
        described = self.dictionary[["feature", "description"]]
        named = self.leaks.merge(described, left_on="column", right_on="feature")
        columns = ["column", "description", "evidence", "reason", "decision"]
        return show(named[columns], note=note, empty=f"No sign of target leakage: {note}")


@dataclass(frozen=True)
class Run:
    """An opened study; see ``open_study``."""

    study: Study
    tables: Tables
    seed: int
    draft: bool = field(default=False, compare=False)
    sizes: dict[str, Any] = field(default_factory=dict, compare=False)

    def take(self, *names: str) -> list[Any]:
        """Return sizes of the notebook: as they were given, of a draft reduced; see ``DRAFT``."""
        return [self.sizes[name] for name in names]

    @property
    def dated(self) -> bool:
        """Say whether the study has snapshots."""
        return self.study.kind != "flat"

    @property
    def day(self) -> date | None:
        """Return the last test snapshot."""
        return self.study.snapshots.last if self.dated else None

    @property
    def facts(self) -> Any:
        """Show what identifies the run: study, parameters, rows, days and data hash.

        What the terms of contracts say about the study's keys of time stands below: reports would
        be wrong without it.
        """
        churn = self.study.churn
        clock = {}
        if self.dated:
            horizon = write_span(find_horizon(churn))
            clock = {"lead": f"{churn.lead_days} days", "horizon": horizon}
        draft = {"draft": "yes: not to decide by"} if self.draft else {}
        facts = facts_table(self.study, self.tables, **clock, seed=self.seed, **draft)
        return show_facts(facts, " ".join(describe_terms(self.tables, self.study)))

    @property
    def population_bridge(self) -> pd.DataFrame:
        """Return how populations of notebooks come from one another; see ``bridge_populations``.

        Without rows in a flat study, where every notebook asks of the same ones.
        """
        return bridge_populations(self.tables, self.study)

    @property
    def populations(self) -> Any:
        """Show the bridge between populations, and leave the table ``population_bridge``.

        Notebooks share the table, so each that leaves it has the same parameters of time.
        """
        return show_bridge(save_table(self.population_bridge, "population_bridge"))

    def require_dates(self, what: str) -> None:
        """End the notebook where the study has no dates.

        Parameters
        ----------
        what : that needs them, in the plural

        Raises
        ------
        NotApplicable
        """
        if not self.dated:
            raise NotApplicable(
                f"the study {self.study.name} is one snapshot without dates; {what} need dated"
                " tables"
            )

    def require_churn(self, what: str) -> None:
        """End the notebook where nothing tells who left.

        Parameters
        ----------
        what : that needs it, in the plural

        Raises
        ------
        NotApplicable
        """
        if not self.dated and "churned" not in self.tables["snapshot"].columns:
            raise NotApplicable(
                f"the study {self.study.name} is an experiment without churn; {what} need a column"
                " churned in its snapshot"
            )

    def panel(self, split: Split | None = None, most: int | None = None) -> Panel:
        """Return labelled customers with features, to learn from and to be judged on.

        Parameters
        ----------
        split : the snapshots; those that study.yml plans unless given. Training labels are made
            from what was known by the first test snapshot.
        most : training rows, of customers drawn at random; no more than ``snapshots.train_rows``
            of study.yml in any case

        Raises
        ------
        StudyError
            If a label window lies outside the data, or a training window closes after the first
            test snapshot.
        """
        if not self.dated:
            rows = load_flat(self.tables, self.study)
            return Panel(rows, rows, None, self.tables)
        if split is None:
            split = plan_split(self.study)
            require_out_of_time(split, self.study)
        known_by = min(split.test)
        train, members = load_training(self.tables, self.study, split.train, known_by, most)
        test = load_panel(self.tables, self.study, split.test)
        return Panel(train, test, split, self.tables, members)

    def features(self, panel: Panel, table: str = "leaks") -> Features:
        """Return what a model may see of a panel, and leave the findings of the leakage checks.

        Parameters
        ----------
        table : name of the table with the findings
        """
        leakage = check_panel(self.tables, self.study, panel.train, panel.first_judged_day)
        save_table(leakage.findings, table)
        dictionary = describe_features(self.tables, self.study)
        return Features(leakage, dictionary, len(panel.train))

    def remarks(self, panel: Panel, features: Features) -> pd.DataFrame:
        """Return what may mislead in tables that passed every check; see ``find_remarks``."""
        return find_remarks(self.tables, self.study, panel.train, features.leakage)

    def label_remarks(self, panel: Panel) -> pd.DataFrame:
        """Return what may mislead in populations and labels; see ``find_panel_remarks``."""
        return list_remarks(find_panel_remarks(self.tables, self.study, panel.train))

    def trial(self) -> Any:
        """Return the customers whose arms were randomised; see ``trials.load_randomised``.

        Raises
        ------
        NotApplicable
            If no arm of the study was randomised.
        """
        from research.uplift.trials import load_randomised

        return load_randomised(self.tables, self.study)

    def observational(self) -> Any:
        """Return the customers whose arms were chosen, where study.yml asks for them.

        Raises
        ------
        NotApplicable
            If study.yml doesn't say ``assignment: observational``, or no arm was chosen.
        """
        from research.uplift.trials import load_observational

        return load_observational(self.tables, self.study)

    def window_risk(self) -> Any:
        """Return one risk for each customer at the last test snapshot; see ``window_risk``."""
        from research.risk.window_risk import predict_window_risk

        return predict_window_risk(self.tables, self.study, self.seed)

    def today(self) -> Any:
        """Return the risks as of the scored day; see ``today.score_today``."""
        from research.watchlist.today import score_today

        return score_today(self.tables, self.study)

    def prices(self, day: date | None) -> Any:
        """Return what a contact costs and may bring; see ``price_list.find_prices``.

        Parameters
        ----------
        day : of the snapshot whose list is counted
        """
        from research.uplift.policy.price_list import find_prices

        return find_prices(self.tables, self.study, day, self.seed)

    def values(self, refits: int, folds: int) -> Any:
        """Return the value of each customer at the last test snapshot; see ``value_customers``."""
        from research.value.customers import value_customers

        return value_customers(self.tables, self.study, self.day, refits, folds, self.seed)

    def values_today(self, refits: int, folds: int) -> Any:
        """Return the value of each customer as of the scored day; see ``value_customers``.

        Where nobody is scored it is that at the last test snapshot.
        """
        from research.value.customers import value_customers

        risk = self.today().risk
        if risk is None:
            return self.values(refits, folds)
        sizes = (refits, folds, self.seed)
        return value_customers(self.tables, self.study, risk.snapshot, *sizes, risk)


def open_study(study: str, seed: int = 0, draft: bool = False, **parameters: Any) -> Run:
    """Open a study: check the parameters, fetch the files, build the tables and check them.

    Parameters
    ----------
    study : folder below data/
    seed : every random draw of the notebook derives from it
    draft : whether sizes are reduced, see ``Run.take``
    parameters : the others of the notebook; ``snapshot``, ``lead_days``, ``horizon_days`` and
        ``capacity`` overrule study.yml (empty, -1, 0 and 0 keep it), the rest are checked for
        their range

    Raises
    ------
    StudyError
        One sentence for every fault of the study, its files or its tables.
    UsageError
        One sentence for every parameter outside its range, or if there is no such study.
    """
    require_settings(seed=seed, **parameters)
    clock = {name: parameters[name] for name in STUDY_PARAMETERS if name in parameters}
    open_store(project_root())
    definition = adjust(load_study(study), **clock)
    fetch(definition)
    tables = load_tables(definition)
    parallel_config("loky", inner_max_num_threads=1)  # the cores go to processes
    use_style()
    warnings.formatwarning = _format_warning
    sizes = {name: size for name, size in parameters.items() if name not in STUDY_PARAMETERS}
    return Run(definition, tables, seed, draft, reduce_sizes(sizes) if draft else sizes)


def _format_warning(message: Warning | str, category: type[Warning], *place: Any) -> str:
    """Return a warning without the place of the code: a page names no path of a machine."""
    return f"{category.__name__}: {message}\n"

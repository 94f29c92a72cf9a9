"""The unit of randomisation: the household, store or region whose customers got an arm together."""

import difflib

import pandas as pd

from research.data.contracts import CONTRACTS, Tables
from research.errors import StudyError
from research.study import Study


def find_unit_table(tables: Tables, study: Study) -> str | None:
    """Return the table that has the column ``experiment.unit``; None where it is the customer.

    The campaigns come before the customers, since a customer may move between two campaigns.
    """
    unit = study.experiment.unit
    if unit == "customer_id":
        return None
    names = [name for name in ("snapshot", "campaigns", "customers") if name in tables]
    return next((name for name in names if unit in tables[name].columns), None)


def require_unit(tables: Tables, study: Study) -> None:
    """Refuse a unit of randomisation that is no column.

    Raises
    ------
    StudyError
    """
    unit = study.experiment.unit
    if unit == "customer_id":
        return
    if name := find_unit_table(tables, study):
        _require_own_column(name, unit)
        return
    names = [name for name in ("snapshot", "campaigns", "customers") if name in tables]
    columns = [column for name in names for column in tables[name].columns]
    close = difflib.get_close_matches(unit, columns, n=1)
    remedy = f"did you mean '{close[0]}'?" if close else f"select it in {names[0]}.sql"
    raise StudyError(
        f"study.yml, key experiment.unit: expected a column of {' or '.join(names)}, got '{unit}';"
        f" {remedy}"
    )


def _require_own_column(name: str, unit: str) -> None:
    if unit in CONTRACTS[name].columns:
        raise StudyError(
            f"study.yml, key experiment.unit: expected a column of your own, such as household, got"
            f" '{unit}', which has its own meaning in {name}; select the unit under another name"
        )


def load_units(tables: Tables, study: Study) -> pd.DataFrame | None:
    """Return the unit of every customer as text, empty where it isn't known; None where arms were
    given by customer.

    Returns
    -------
    DataFrame with columns customer_id, the unit's own and, where campaigns give it, campaign
        One row per customer (and campaign, of the first assignment).
    """
    name, unit = find_unit_table(tables, study), study.experiment.unit
    if name is None:
        return None
    keys = ["customer_id", *(["campaign"] if name == "campaigns" else [])]
    dates = ["assigned_at"] if name == "campaigns" else []
    rows = tables[name].select(*keys, unit, *dates).to_pandas()
    rows = rows.sort_values([*dates, *keys], kind="stable").drop_duplicates(keys)
    known = rows[unit].notna()
    texts = rows[unit].astype(str).where(known, None).astype(object)
    return rows.assign(**{unit: texts})[[*keys, unit]].reset_index(drop=True)

"""What several tests of the generated company ask of its tables."""

import pandas as pd

from research.simulate.company import LAST_DAY

DATED = {
    "orders": "ordered_at",
    "usage": "used_at",
    "contacts": "contacted_at",
    "feedback": "given_at",
    "referrals": "referred_at",
}
EVENTS = DATED | {"campaigns": "assigned_at"}
NO_END = ("renewed", "price changed", "plan changed")
RARE = 3.3  # standard errors; by chance one comparison in a thousand is farther off
LAST = pd.Timestamp(LAST_DAY)


def find_spells(company: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return unbroken cover: customer_id, started_at, ended_at, in the order of time."""
    rows = company["contracts"].sort_values(["customer_id", "started_at"])
    opens = rows.started_at != rows.groupby("customer_id").ended_at.shift()
    closes = opens.shift(-1, fill_value=True)
    return pd.DataFrame(
        {name: rows[name][opens].to_numpy() for name in ("customer_id", "started_at")}
        | {"ended_at": rows.ended_at[closes].to_numpy()}
    )


def find_ends(company: dict[str, pd.DataFrame]) -> pd.DataFrame:
    rows = company["contracts"]
    return rows[rows.ended_at.notna() & ~rows.end_reason.isin(NO_END)]

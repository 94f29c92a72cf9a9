"""What a leakage check finds, and the limits that the checks share."""

from typing import NamedTuple

FALSE_ALARM = 1e-6  # chance at most that a column without leakage is suspected
SEPARATION_AUC = 0.95  # of one column alone; allowed columns of churn data stay below .85
MIN_CUSTOMERS = 20  # in a group, or in a class: fewer show nothing
# a group that leaves whole must hold so many customers, or half of all leavers: at a real risk of
# 97 %, one group in a hundred leaves whole
PURE_CUSTOMERS = 150


class Finding(NamedTuple):
    """Why a column is suspected: what the data show, and what it means."""

    evidence: str
    reason: str

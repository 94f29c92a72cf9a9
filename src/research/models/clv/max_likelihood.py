"""What models fitted by maximum likelihood over the logarithms of their parameters share: the fit
with its intervals, slopes and curvature.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from research.evaluation.intervals import Z

# log of how far a parameter may run from its scale; one that gets there is not told by the data
REACH = 15.0
STEP = 1e-5  # of the logarithms, by which slopes are measured
WIDE = 1e-3  # the same for curvatures


@dataclass(frozen=True)
class Fit:
    """A fitted model.

    Attributes
    ----------
    parameters : in the units of the data
    covariance : of the logarithms of the parameters, from the curvature of the likelihood; empty
        (nan) where it isn't curved
    log_likelihood : at the parameters
    customers : learned from
    names : of the parameters
    """

    parameters: np.ndarray
    covariance: np.ndarray
    log_likelihood: float
    customers: int
    names: tuple[str, ...]

    def tabulate(self) -> pd.DataFrame:
        """Return parameter, value, low, high, se, n: standard errors by the delta method, 95 %
        intervals on the logarithmic scale.

        Empty where the interval would span more than e^15 either way: the data don't tell the
        parameter.
        """
        spread = np.sqrt(np.diag(self.covariance))
        spread = np.where(Z * spread < REACH, spread, np.nan)
        low, high = (self.parameters * np.exp(sign * Z * spread) for sign in (-1, 1))
        columns = {
            "parameter": self.names,
            "value": self.parameters,
            "low": low,
            "high": high,
            "se": self.parameters * spread,
            "n": self.customers,
        }
        return pd.DataFrame(columns)


def measure_slope(
    loss: Callable[..., float], logs: np.ndarray, *arguments: np.ndarray
) -> np.ndarray:
    """Return the gradient of a loss by central differences."""
    moves = np.eye(len(logs)) * STEP
    return np.array(
        [loss(logs + move, *arguments) - loss(logs - move, *arguments) for move in moves]
    ) / (2 * STEP)


def measure_curve(
    slope: Callable[..., np.ndarray], logs: np.ndarray, arguments: tuple, step: float = WIDE
) -> np.ndarray:
    """Return the second derivatives of a loss: central differences of its gradient."""
    rows = [
        (slope(logs + move, *arguments) - slope(logs - move, *arguments)) / (2 * step)
        for move in np.eye(len(logs)) * step
    ]
    return (np.array(rows) + np.array(rows).T) / 2


def find_covariance(
    logs: np.ndarray, curve: Callable[[], np.ndarray], customers: float
) -> np.ndarray:
    """Return the inverse of the information of all customers; empty (nan) where a parameter ran
    away, or the likelihood isn't curved.
    """
    nothing = np.full((len(logs), len(logs)), np.nan)
    if (np.abs(logs) >= REACH - 1).any():
        return nothing
    information = curve() * customers
    return np.linalg.inv(information) if np.linalg.eigvalsh(information).min() > 0 else nothing

"""Maximum likelihood over the logarithms of parameters: the fit, its intervals, its derivatives."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from research.evaluation.intervals import Z

# log of how far a parameter may run from its scale; one that gets there is not identified
MAX_LOG = 15.0
GRADIENT_STEP = 1e-5  # of the logarithms, for numeric first derivatives
HESSIAN_STEP = 1e-3  # the same for second derivatives


@dataclass(frozen=True)
class Fit:
    """A fitted model.

    Attributes
    ----------
    parameters : in the units of the data
    covariance : of the logarithms of the parameters, from the curvature of the likelihood; empty
        (nan) where it isn't curved
    log_likelihood : at the parameters
    customers : number of customers fitted on
    names : of the parameters
    """

    parameters: np.ndarray
    covariance: np.ndarray
    log_likelihood: float
    customers: int
    names: tuple[str, ...]

    def tabulate(self) -> pd.DataFrame:
        """Return the parameters with standard errors and 95 % intervals.

        Returns
        -------
        DataFrame with columns parameter, value, low, high, se, n
            Standard errors by the delta method, intervals on the logarithmic scale. Empty where the
            interval would span more than e^15 either way: the data don't identify the parameter.
        """
        spread = np.sqrt(np.diag(self.covariance))
        spread = np.where(Z * spread < MAX_LOG, spread, np.nan)
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


def numeric_gradient(
    loss: Callable[..., float], logs: np.ndarray, *arguments: np.ndarray
) -> np.ndarray:
    """Return the gradient of a loss by central differences."""
    moves = np.eye(len(logs)) * GRADIENT_STEP
    return np.array(
        [loss(logs + move, *arguments) - loss(logs - move, *arguments) for move in moves]
    ) / (2 * GRADIENT_STEP)


def numeric_hessian(
    gradient: Callable[..., np.ndarray],
    logs: np.ndarray,
    arguments: tuple,
    step: float = HESSIAN_STEP,
) -> np.ndarray:
    """Return the second derivatives of a loss: central differences of its gradient."""
    rows = [
        (gradient(logs + move, *arguments) - gradient(logs - move, *arguments)) / (2 * step)
        for move in np.eye(len(logs)) * step
    ]
    return (np.array(rows) + np.array(rows).T) / 2


def compute_covariance(
    logs: np.ndarray, hessian: Callable[[], np.ndarray], customers: float
) -> np.ndarray:
    """Return the inverse of the information of all customers.

    Empty (nan) where a parameter ran to its bound, or the likelihood isn't curved.

    Parameters
    ----------
    logs : logarithms of the parameters
    hessian : returns the second derivatives of the mean loss
    """
    nothing = np.full((len(logs), len(logs)), np.nan)
    if (np.abs(logs) >= MAX_LOG - 1).any():
        return nothing
    information = hessian() * customers
    return np.linalg.inv(information) if np.linalg.eigvalsh(information).min() > 0 else nothing

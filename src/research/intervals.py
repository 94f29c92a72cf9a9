"""Intervals of 95 %: the quantile that most need, and that of a share."""

import numpy as np

Z = 1.959963984540054  # of the normal distribution: 2.5 % lie beyond it


def wilson(share, n):
    """Return the 95 % interval of a share of ``n`` independent customers (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return np.clip(centre - half, 0, share), np.clip(centre + half, share, 1)  # rounding alone could leave the share outside

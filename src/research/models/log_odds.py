"""What models on the log-odds share: how strong effects may be before the data are seen, and how
near to 0 and 1 a probability may come.
"""

import numpy as np

# prior standard deviation of a customer's log-odds, log hazard or log time around the mean: two of
# them around a base rate of one half reach from 5 to 95 %
LOG_ODDS_SD = 1.5
LEAST_PROBABILITY = 1e-6  # of a score whose logarithm is an input of a second model


def clip_probabilities(scores: np.ndarray) -> np.ndarray:
    """Return scores no nearer to 0 and 1 than ``LEAST_PROBABILITY``."""
    return np.clip(scores, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)

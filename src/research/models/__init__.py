"""Models that learn from features or histories, for every analysis."""

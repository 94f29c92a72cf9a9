"""Who will leave (30_risk)."""

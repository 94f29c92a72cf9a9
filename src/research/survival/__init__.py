"""When customers leave (40_survival)."""

"""What contact changes (60_uplift)."""

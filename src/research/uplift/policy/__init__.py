"""What to spend a budget on (65_targeting)."""

"""Customer lifetime value, value at risk, and the next product to offer (50_value)."""

"""Customer lifetime value, cost of churn, and the next product to offer (50_value)."""

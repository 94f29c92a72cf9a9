"""What customers are worth, and what churn puts at risk (50_value)."""

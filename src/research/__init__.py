"""Customer churn research: studies, snapshots, models and reports."""

__version__ = "0.1.0"

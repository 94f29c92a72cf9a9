"""Leakage checks: columns that know the outcome, and why."""

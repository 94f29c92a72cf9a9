"""Customers at snapshots: what was known by then, and what came after."""

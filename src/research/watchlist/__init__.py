"""Whom to warn about now: a kept model, the scored day, its history and lists (70_watchlist)."""

"""Scores, resamples and intervals that every model is judged by."""

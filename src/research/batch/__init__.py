"""Batches: many notebooks over many studies, each published whole or not at all."""

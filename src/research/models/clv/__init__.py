"""Models of repeat purchases and their amounts (customer lifetime value)."""

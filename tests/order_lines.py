"""A non-contractual study written from order lines."""

import pandas as pd


def write_lines(write_study, *lines: tuple):
    orders = pd.DataFrame(lines, columns=["customer_id", "ordered_at", "amount"])
    orders = orders.astype({"ordered_at": "datetime64[us]", "amount": float})
    people = pd.DataFrame(
        {"customer_id": orders.customer_id.unique(), "joined_at": pd.Timestamp("2024-01-01")}
    )
    return write_study("non_contractual", tables={"customers": people, "orders": orders})

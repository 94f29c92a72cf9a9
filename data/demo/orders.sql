SELECT customer_id, ordered_at, amount, product, quantity, returned, known_at
FROM raw_orders

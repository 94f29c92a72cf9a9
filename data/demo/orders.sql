SELECT customer_id, ordered_at, amount, product, quantity, returned
FROM raw_orders

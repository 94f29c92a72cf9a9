SELECT customer_id, used_at, kind, amount
FROM raw_usage

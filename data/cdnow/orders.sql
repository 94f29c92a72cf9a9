-- One row per order. Several orders of a customer on one day stay apart here; the models count days with a purchase.
SELECT
    CAST(masterid AS VARCHAR) AS customer_id,
    strptime(CAST(date AS VARCHAR), '%Y%m%d') AS ordered_at,
    CAST(sales AS DOUBLE) AS amount,
    CAST(cds AS INTEGER) AS quantity
FROM raw_lines

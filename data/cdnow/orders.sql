-- One row per order. Several orders of a customer on one day stay apart here; the models count days with a purchase.
-- The 8 orders of nothing get a cent, so that they stay a purchase, as in the published fits: 0 would be none.
SELECT
    CAST(masterid AS VARCHAR) AS customer_id,
    strptime(CAST(date AS VARCHAR), '%Y%m%d') AS ordered_at,
    GREATEST(CAST(sales AS DOUBLE), 0.01) AS amount,
    CAST(cds AS INTEGER) AS quantity
FROM raw_lines

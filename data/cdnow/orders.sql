-- One row per order. Several orders of a customer on one day are separate rows; the models count
-- days with a purchase. The 8 orders with an amount of 0 get one cent, so that they count as a
-- purchase, as in the published fits.
SELECT
    CAST(masterid AS VARCHAR) AS customer_id,
    strptime(CAST(date AS VARCHAR), '%Y%m%d') AS ordered_at,
    GREATEST(CAST(sales AS DOUBLE), 0.01) AS amount,
    CAST(cds AS INTEGER) AS quantity
FROM raw_lines

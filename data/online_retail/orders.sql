-- One row per invoice line of a product. Invoices that start with C are returns: their quantity and
-- amount are negative.
SELECT
    CAST(CAST(CustomerID AS BIGINT) AS VARCHAR) AS customer_id,
    InvoiceDate AS ordered_at,
    Quantity * UnitPrice AS amount,
    StockCode AS product,
    Quantity AS quantity,
    starts_with(InvoiceNo, 'C') AS returned
FROM raw_lines
WHERE CustomerID IS NOT NULL AND regexp_matches(StockCode, '^[0-9]{5}')

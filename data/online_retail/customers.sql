-- One row per customer with at least one product line sold; the country is that of the first line,
-- so it was known from the start.
SELECT
    CAST(CAST(CustomerID AS BIGINT) AS VARCHAR) AS customer_id,
    MIN(InvoiceDate) AS joined_at,
    ARG_MIN(Country, InvoiceDate) AS country
FROM raw_lines
WHERE CustomerID IS NOT NULL AND regexp_matches(StockCode, '^[0-9]{5}')
GROUP BY CustomerID

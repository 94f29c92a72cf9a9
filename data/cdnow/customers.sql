-- One row per customer of the sample. All bought first between January and March 1997, so the first
-- line is the true acquisition.
SELECT
    CAST(masterid AS VARCHAR) AS customer_id,
    MIN(strptime(CAST(date AS VARCHAR), '%Y%m%d')) AS joined_at
FROM raw_lines
GROUP BY masterid

-- One row per customer, numbered in the order of the file, which has no identifier. history_segment
-- is history in ranges and is left out.
SELECT
    CAST(row_number() OVER () AS VARCHAR) AS customer_id,
    conversion = 0 AS churned,
    CASE segment
        WHEN 'No E-Mail' THEN 'control'
        WHEN 'Mens E-Mail' THEN 'mens'
        WHEN 'Womens E-Mail' THEN 'womens'
    END AS arm,
    visit AS outcome,
    CAST(spend AS DOUBLE) AS value,
    recency,
    history,
    CASE mens WHEN 1 THEN 'Yes' ELSE 'No' END AS bought_mens,
    CASE womens WHEN 1 THEN 'Yes' ELSE 'No' END AS bought_womens,
    CASE zip_code WHEN 'Surburban' THEN 'Suburban' ELSE zip_code END AS zip_code,
    CASE newbie WHEN 1 THEN 'Yes' ELSE 'No' END AS newbie,
    channel
FROM raw_mails

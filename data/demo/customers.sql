SELECT
    customer_id,
    joined_at,
    name,
    gender,
    age,
    income_band,
    region,
    acquisition_channel,
    payment_method,
    retention_offer_code
FROM raw_customers

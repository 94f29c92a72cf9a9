SELECT customer_id, joined_at, gender, age_band, region, acquisition_channel, payment_method, retention_offer_code
FROM raw_customers

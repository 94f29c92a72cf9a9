-- One row per customer, numbered in the order of the file, which has no identifier. Each charge is
-- its minutes at a fixed rate, rounded to cents, and is left out.
SELECT
    CAST(row_number() OVER () AS VARCHAR) AS customer_id,
    churn = 'yes' AS churned,
    account_length AS duration,
    churn = 'yes' AS event,
    state,
    account_length,
    area_code,
    international_plan,
    voice_mail_plan,
    number_vmail_messages,
    total_day_minutes,
    total_day_calls,
    total_eve_minutes,
    total_eve_calls,
    total_night_minutes,
    total_night_calls,
    total_intl_minutes,
    total_intl_calls,
    number_customer_service_calls
FROM raw_calls

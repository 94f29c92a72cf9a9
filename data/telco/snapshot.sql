-- One row per customer. TotalCharges is text in the file, blank for the 11 customers in their first
-- month, where it becomes null.
SELECT
    customerID AS customer_id,
    Churn = 'Yes' AS churned,
    CAST(tenure AS INTEGER) AS duration,
    Churn = 'Yes' AS event,
    gender,
    CASE SeniorCitizen WHEN '1' THEN 'Yes' ELSE 'No' END AS senior_citizen,
    Partner AS partner,
    Dependents AS dependents,
    CAST(tenure AS INTEGER) AS tenure,
    PhoneService AS phone_service,
    MultipleLines AS multiple_lines,
    InternetService AS internet_service,
    OnlineSecurity AS online_security,
    OnlineBackup AS online_backup,
    DeviceProtection AS device_protection,
    TechSupport AS tech_support,
    StreamingTV AS streaming_tv,
    StreamingMovies AS streaming_movies,
    Contract AS contract,
    PaperlessBilling AS paperless_billing,
    PaymentMethod AS payment_method,
    CAST(MonthlyCharges AS DOUBLE) AS monthly_charges,
    CAST(NULLIF(TRIM(TotalCharges), '') AS DOUBLE) AS total_charges
FROM raw_telco

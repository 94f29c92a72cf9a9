-- One row per customer. Row number and surname are left out: they predict nothing.
SELECT
    CAST(CustomerId AS VARCHAR) AS customer_id,
    Exited = 1 AS churned,
    CAST(Tenure AS INTEGER) AS duration,
    Exited = 1 AS event,
    Gender AS gender,
    Geography AS country,
    CreditScore AS credit_score,
    Age AS age,
    Tenure AS tenure_years,
    CAST(Balance AS DOUBLE) AS balance,
    NumOfProducts AS n_products,
    CASE HasCrCard WHEN 1 THEN 'Yes' ELSE 'No' END AS credit_card,
    CASE IsActiveMember WHEN 1 THEN 'Yes' ELSE 'No' END AS active_member,
    CAST(EstimatedSalary AS DOUBLE) AS estimated_salary
FROM raw_bank

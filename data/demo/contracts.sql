SELECT customer_id, started_at, ended_at, plan, monthly_fee, term_months, end_reason, voluntary
FROM raw_contracts

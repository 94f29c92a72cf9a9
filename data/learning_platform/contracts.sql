-- Subscriptions inferred from payments. The file names no plan: it follows from the time between two
-- payments, so a subscription becomes known (known_at) with its second payment. It ends if no
-- payment follows within one billing cycle and 7 days of grace after the last one; an end after the
-- end of the data is still open. One row per run of payments on the same plan.
WITH days AS (
    SELECT DISTINCT student_id, date_purchased FROM raw_purchases
),
gaps AS (
    SELECT
        student_id,
        date_purchased AS previous,
        LEAD(date_purchased) OVER (PARTITION BY student_id ORDER BY date_purchased) AS paid
    FROM days
),
cycles AS (
    SELECT
        *,
        CASE
            WHEN date_diff('day', previous, paid) BETWEEN 20 AND 38 THEN 31
            WHEN date_diff('day', previous, paid) BETWEEN 85 AND 99 THEN 92
            WHEN date_diff('day', previous, paid) BETWEEN 358 AND 373 THEN 366
        END AS cycle_days
    FROM gaps
),
runs AS (
    SELECT
        *,
        ROW_NUMBER() OVER (PARTITION BY student_id ORDER BY previous)
        - ROW_NUMBER() OVER (PARTITION BY student_id, cycle_days ORDER BY previous) AS run
    FROM cycles
),
subscriptions AS (
    SELECT
        student_id,
        cycle_days,
        MIN(previous) AS started_at,
        MIN(paid) AS known_at,
        MAX(paid) + cycle_days + 7 AS runs_out
    FROM runs
    WHERE cycle_days IS NOT NULL
    GROUP BY student_id, cycle_days, run
)
SELECT
    student_id AS customer_id,
    started_at,
    CASE WHEN runs_out <= DATE '2023-08-28' THEN runs_out END AS ended_at,
    CASE cycle_days WHEN 31 THEN 'monthly' WHEN 92 THEN 'quarterly' ELSE 'annual' END AS plan,
    CASE cycle_days WHEN 31 THEN 1 WHEN 92 THEN 3 ELSE 12 END AS term_months,
    known_at
FROM subscriptions

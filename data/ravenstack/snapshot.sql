-- One row per account at the end of the data, 2024-12-31, from all five files. Columns that look
-- like target leakage (ended subscriptions, churn events, refunds, stated reasons) are kept on purpose;
-- README.md says how much they predict.
WITH subscriptions AS (
    SELECT
        account_id,
        COUNT(*) AS n_subscriptions,
        COUNT(*) FILTER (end_date IS NULL) AS n_running_subscriptions,
        COUNT(*) FILTER (churn_flag) AS n_churned_subscriptions,
        COUNT(*) FILTER (upgrade_flag) AS n_upgrades,
        COUNT(*) FILTER (downgrade_flag) AS n_downgrades,
        COUNT(*) FILTER (is_trial) AS n_trials,
        AVG(CAST(auto_renew_flag AS INTEGER)) AS auto_renew_share,
        AVG(CAST(billing_frequency = 'annual' AS INTEGER)) AS annual_share,
        SUM(mrr_amount) FILTER (end_date IS NULL) AS running_mrr,
        ARG_MAX(plan_tier, (start_date, subscription_id)) AS last_plan_tier,
        DATE '2024-12-31' - MAX(start_date) AS days_since_last_subscription
    FROM raw_subscriptions
    GROUP BY account_id
),
usage AS (
    SELECT
        s.account_id,
        COUNT(*) AS n_uses,
        COUNT(*) FILTER (u.usage_date > DATE '2024-10-02') AS n_uses_last_90_days,
        COUNT(DISTINCT u.feature_name) AS n_features,
        SUM(u.usage_duration_secs) / 3600.0 AS hours_of_use,
        SUM(u.error_count) AS n_errors,
        AVG(CAST(u.is_beta_feature AS INTEGER)) AS beta_share,
        DATE '2024-12-31' - MAX(u.usage_date) AS days_since_last_use
    FROM raw_feature_usage AS u
    JOIN raw_subscriptions AS s USING (subscription_id)
    GROUP BY s.account_id
),
tickets AS (
    SELECT
        account_id,
        COUNT(*) AS n_tickets,
        COUNT(*) FILTER (escalation_flag) AS n_escalations,
        COUNT(*) FILTER (priority = 'urgent') AS n_urgent_tickets,
        AVG(resolution_time_hours) AS mean_resolution_hours,
        AVG(first_response_time_minutes) AS mean_first_response_minutes,
        AVG(satisfaction_score) AS mean_satisfaction
    FROM raw_support_tickets
    GROUP BY account_id
),
ends AS (
    SELECT
        account_id,
        COUNT(*) AS n_churn_events,
        SUM(refund_amount_usd) AS refunds,
        ARG_MAX(reason_code, (churn_date, churn_event_id)) AS last_churn_reason,
        ARG_MAX(COALESCE(feedback_text, 'no answer'), (churn_date, churn_event_id))
            AS last_churn_feedback,
        BOOL_OR(is_reactivation) AS reactivated
    FROM raw_churn_events
    GROUP BY account_id
)
SELECT
    a.account_id AS customer_id,
    a.churn_flag AS churned,
    a.account_name,
    a.industry,
    a.country,
    a.referral_source,
    a.plan_tier,
    a.seats,
    a.is_trial,
    DATE '2024-12-31' - a.signup_date AS tenure,
    subscriptions.* EXCLUDE (account_id),
    usage.* EXCLUDE (account_id, n_uses, n_uses_last_90_days),
    COALESCE(n_uses, 0) AS n_uses,
    COALESCE(n_uses_last_90_days, 0) AS n_uses_last_90_days,
    tickets.* EXCLUDE (account_id, n_tickets, n_escalations, n_urgent_tickets),
    COALESCE(n_tickets, 0) AS n_tickets,
    COALESCE(n_escalations, 0) AS n_escalations,
    COALESCE(n_urgent_tickets, 0) AS n_urgent_tickets,
    ends.* EXCLUDE (account_id, n_churn_events, refunds),
    COALESCE(n_churn_events, 0) AS n_churn_events,
    COALESCE(refunds, 0) AS refunds
FROM raw_accounts AS a
LEFT JOIN subscriptions USING (account_id)
LEFT JOIN usage USING (account_id)
LEFT JOIN tickets USING (account_id)
LEFT JOIN ends USING (account_id)

-- The features of one snapshot of a contractual study, written by hand for DuckDB.
-- Reads the contract tables and `labels` (snapshot, customer_id and the labels of the population).
-- Before it: SET VARIABLE day = <snapshot>.
-- An event of the snapshot's own day has age 0; a window of w days contains the ages below w.

-- Changes of a daily rate, (recent - earlier) / (recent + earlier), from sums over the last `a`
-- and the last `b` days.
CREATE OR REPLACE TEMP MACRO change_of_rate(recent, whole, a, b) AS
    (recent * (b - a) - (whole - recent) * a) / nullif(recent * (b - a) + (whole - recent) * a, 0);

WITH terms AS (  -- contracts known by the end of the day; an end that lies ahead is not known
    SELECT
        customer_id, started_at, monthly_fee, plan, term_months,
        date_diff('day', started_at, getvariable('day')) AS age,
        CASE WHEN ended_at < getvariable('day') + INTERVAL 1 DAY THEN ended_at END AS ended_at
    FROM contracts SEMI JOIN labels USING (customer_id)
    WHERE started_at < getvariable('day') + INTERVAL 1 DAY
),

steps AS (
    SELECT
        *,
        lag(monthly_fee) OVER in_turn AS fee_before,
        lag(plan) OVER in_turn AS plan_before,
        row_number() OVER in_turn AS place,
        coalesce(started_at::DATE > max(coalesce(ended_at::DATE, DATE '9999-01-01'))
            OVER (PARTITION BY customer_id ORDER BY started_at, monthly_fee, plan
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), true) AS opens
    FROM terms
    WINDOW in_turn AS (PARTITION BY customer_id ORDER BY started_at, monthly_fee, plan)
),

contract_history AS (
    SELECT
        customer_id,
        count(*) AS n_contracts,
        -- a contract of everyone here still runs, so the last spell does
        count(*) FILTER (WHERE opens) - 1 AS n_earlier_spells,
        min(age) FILTER (WHERE opens) AS spell_age,
        count(*) FILTER (WHERE monthly_fee > fee_before AND age < 30) AS n_fee_rises_30d,
        count(*) FILTER (WHERE monthly_fee < fee_before AND age < 30) AS n_fee_cuts_30d,
        count(*) FILTER (WHERE monthly_fee > fee_before AND age < 90) AS n_fee_rises_90d,
        count(*) FILTER (WHERE monthly_fee < fee_before AND age < 90) AS n_fee_cuts_90d,
        count(*) FILTER (WHERE monthly_fee > fee_before AND age < 180) AS n_fee_rises_180d,
        count(*) FILTER (WHERE monthly_fee < fee_before AND age < 180) AS n_fee_cuts_180d,
        count(*) FILTER (WHERE monthly_fee > fee_before AND age < 365) AS n_fee_rises_365d,
        count(*) FILTER (WHERE monthly_fee < fee_before AND age < 365) AS n_fee_cuts_365d,
        min(age) FILTER (WHERE monthly_fee != fee_before) AS days_since_fee_change,
        count(*) FILTER (WHERE plan != plan_before AND age < 30) AS n_plan_changes_30d,
        count(*) FILTER (WHERE plan != plan_before AND age < 90) AS n_plan_changes_90d,
        count(*) FILTER (WHERE plan != plan_before AND age < 180) AS n_plan_changes_180d,
        count(*) FILTER (WHERE plan != plan_before AND age < 365) AS n_plan_changes_365d,
        arg_max_null(monthly_fee / nullif(fee_before, 0) - 1, place)
            FILTER (WHERE monthly_fee != fee_before) AS last_fee_change
    FROM steps
    GROUP BY customer_id
),

running AS (
    SELECT
        customer_id, age AS contract_age_days, monthly_fee, plan, term_months,
        date_trunc('day', started_at) AS started,
        term_months::INTEGER AS term,
        (year(getvariable('day')) - year(started_at)) * 12
            + month(getvariable('day')) - month(started_at) AS months
    FROM terms
    WHERE ended_at IS NULL
    QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY started_at DESC, monthly_fee DESC,
        plan DESC, term_months DESC) = 1
),

running_terms AS (  -- the next day on which a whole number of terms has passed
    SELECT
        * EXCLUDE (started, term, months),
        date_diff('day', getvariable('day'), CASE
            WHEN started + to_months(months // term * term) > getvariable('day')
                THEN started + to_months(months // term * term)
            ELSE started + to_months(months // term * term + term)
        END) AS days_to_renewal
    FROM running
),

order_lines AS (
    SELECT
        customer_id, ordered_at, amount,
        date_diff('day', ordered_at, getvariable('day')) AS age,
        amount > 0 AND NOT coalesce(returned, false) AS bought,
        -- midnight exactly: a date without a time
        ordered_at != date_trunc('day', ordered_at) AS timed,
        hour(ordered_at) AS hour
    FROM orders SEMI JOIN labels USING (customer_id)
    WHERE ordered_at < getvariable('day') + INTERVAL 1 DAY
        AND known_at < getvariable('day') + INTERVAL 1 DAY
),

order_sums AS (
    SELECT
        customer_id,
        count(*) FILTER (WHERE bought AND age < 30) AS n_orders_30d,
        count(*) FILTER (WHERE bought AND age < 90) AS n_orders_90d,
        count(*) FILTER (WHERE bought AND age < 180) AS n_orders_180d,
        count(*) FILTER (WHERE bought AND age < 365) AS n_orders_365d,
        sum(amount) FILTER (WHERE age < 30) AS sum_amount_30d,
        sum(amount) FILTER (WHERE bought AND age < 30) AS paid_30d,
        count(*) FILTER (WHERE NOT bought AND amount != 0 AND age < 30) AS n_returns_30d,
        sum(amount) FILTER (WHERE age < 90) AS sum_amount_90d,
        sum(amount) FILTER (WHERE bought AND age < 90) AS paid_90d,
        count(*) FILTER (WHERE NOT bought AND amount != 0 AND age < 90) AS n_returns_90d,
        sum(amount) FILTER (WHERE age < 180) AS sum_amount_180d,
        sum(amount) FILTER (WHERE bought AND age < 180) AS paid_180d,
        count(*) FILTER (WHERE NOT bought AND amount != 0 AND age < 180) AS n_returns_180d,
        sum(amount) FILTER (WHERE age < 365) AS sum_amount_365d,
        sum(amount) FILTER (WHERE bought AND age < 365) AS paid_365d,
        count(*) FILTER (WHERE NOT bought AND amount != 0 AND age < 365) AS n_returns_365d,
        count(*) FILTER (WHERE bought AND age < 365 AND isodow(ordered_at) >= 6) AS weekend,
        count(*) FILTER (WHERE bought AND age < 365 AND timed) AS timed,
        count(*) FILTER (WHERE bought AND age < 365 AND timed AND hour BETWEEN 6 AND 11) AS morning,
        count(*) FILTER (WHERE bought AND age < 365 AND timed
            AND hour BETWEEN 12 AND 17) AS afternoon,
        count(*) FILTER (WHERE bought AND age < 365 AND timed AND hour BETWEEN 18 AND 23) AS evening
    FROM order_lines
    GROUP BY customer_id
),

order_gaps AS (
    SELECT *, lag(age) OVER (PARTITION BY customer_id ORDER BY age DESC) - age AS gap
    FROM (SELECT DISTINCT customer_id, age FROM order_lines WHERE bought)
),

order_days AS (
    SELECT
        customer_id,
        count(*) FILTER (WHERE age < 30) AS n_orders_days_30d,
        count(*) FILTER (WHERE age < 90) AS n_orders_days_90d,
        count(*) FILTER (WHERE age < 180) AS n_orders_days_180d,
        count(*) FILTER (WHERE age < 365) AS n_orders_days_365d,
        avg(gap) FILTER (WHERE age < 365) AS mean_gap_orders_365d,
        stddev_samp(gap) FILTER (WHERE age < 365) AS sd_gap_orders_365d,
        min(age) AS days_since_last_orders,
        max(age) AS days_since_first_orders
    FROM order_gaps
    GROUP BY customer_id
),

uses AS (
    SELECT customer_id, used_at, amount, date_diff('day', used_at, getvariable('day')) AS age
    FROM usage SEMI JOIN labels USING (customer_id)
    WHERE used_at < getvariable('day') + INTERVAL 1 DAY
),

usage_sums AS (
    SELECT
        customer_id,
        count(*) FILTER (WHERE age < 30) AS n_usage_30d,
        count(*) FILTER (WHERE age < 90) AS n_usage_90d,
        count(*) FILTER (WHERE age < 180) AS n_usage_180d,
        count(*) AS n_usage_365d,
        sum(amount) FILTER (WHERE age < 30) AS sum_usage_amount_30d,
        avg(amount) FILTER (WHERE age < 30) AS mean_usage_amount_30d,
        sum(amount) FILTER (WHERE age < 90) AS sum_usage_amount_90d,
        avg(amount) FILTER (WHERE age < 90) AS mean_usage_amount_90d,
        sum(amount) FILTER (WHERE age < 180) AS sum_usage_amount_180d,
        avg(amount) FILTER (WHERE age < 180) AS mean_usage_amount_180d,
        sum(amount) AS sum_usage_amount_365d,
        avg(amount) AS mean_usage_amount_365d,
        count(*) FILTER (WHERE isodow(used_at) >= 6) AS weekend,
        count(*) FILTER (WHERE used_at != date_trunc('day', used_at)) AS timed,
        count(*) FILTER (WHERE used_at != date_trunc('day', used_at)
            AND hour(used_at) BETWEEN 6 AND 11) AS morning,
        count(*) FILTER (WHERE used_at != date_trunc('day', used_at)
            AND hour(used_at) BETWEEN 12 AND 17) AS afternoon,
        count(*) FILTER (WHERE used_at != date_trunc('day', used_at)
            AND hour(used_at) BETWEEN 18 AND 23) AS evening
    FROM uses
    WHERE age < 365
    GROUP BY customer_id
),

usage_gaps AS (
    SELECT *, lag(age) OVER (PARTITION BY customer_id ORDER BY age DESC) - age AS gap
    FROM (SELECT DISTINCT customer_id, age FROM uses)
),

usage_days AS (  -- over all the history, and over the present spell for the stage
    SELECT
        customer_id,
        count(*) FILTER (WHERE age < 30) AS n_usage_days_30d,
        count(*) FILTER (WHERE age < 90) AS n_usage_days_90d,
        count(*) FILTER (WHERE age < 180) AS n_usage_days_180d,
        count(*) FILTER (WHERE age < 365) AS n_usage_days_365d,
        avg(gap) FILTER (WHERE age < 365) AS mean_gap_usage_365d,
        stddev_samp(gap) FILTER (WHERE age < 365) AS sd_gap_usage_365d,
        min(age) AS days_since_last_usage,
        max(age) AS days_since_first_usage,
        count(*) FILTER (WHERE age < 90 AND age <= spell_age) AS recent,
        count(*) FILTER (WHERE age BETWEEN 90 AND 179 AND age <= spell_age) AS before,
        count(*) FILTER (WHERE age <= spell_age) AS spell_days,
        min(age) FILTER (WHERE age <= spell_age) AS silent_days,
        max(age) FILTER (WHERE age <= spell_age) AS first_age
    FROM usage_gaps JOIN contract_history USING (customer_id)
    GROUP BY customer_id
),

rhythm AS (  -- days seen before the recent 90, at most 90; z compares the two as a binomial share
    SELECT
        *,
        least(spell_age, date_diff('day', opened, getvariable('day'))) + 1 AS seen,
        least(seen - 90, 90) AS before_seen,
        90 / (90 + before_seen) AS share,
        CASE WHEN before_seen > 0
            THEN (recent - (recent + before) * share)
                / nullif(sqrt((recent + before) * share * (1 - share)), 0) END AS z,
        (recent / 90) / nullif(before / nullif(before_seen, 0), 0) AS change
    FROM usage_days JOIN contract_history USING (customer_id)
        CROSS JOIN (SELECT min(used_at) AS opened FROM usage)
),

stages AS (
    SELECT
        customer_id,
        CASE
            WHEN n_earlier_spells > 0 AND spell_age < 180 THEN 'won back'
            WHEN n_earlier_spells = 0 AND spell_age < 90 THEN 'introduction'
            WHEN before_seen * 2 >= 90 AND change <= 0.6 AND z < -1.645 THEN 'decline'
            WHEN spell_days >= 3 AND silent_days > 3 * (first_age - silent_days) / (spell_days - 1)
                AND silent_days >= 30 THEN 'decline'
            WHEN before_seen * 2 >= 90 AND (change >= 1.5 OR before = 0) AND z > 1.645 THEN 'growth'
            ELSE 'maturity'
        END AS lifecycle_stage
    FROM contract_history LEFT JOIN rhythm USING (customer_id, n_earlier_spells, spell_age)
),

calls AS (
    SELECT
        customer_id, contacted_at, complaint,
        date_diff('day', contacted_at, getvariable('day')) AS age,
        contacted_at != date_trunc('day', contacted_at) AS timed,
        hour(contacted_at) AS hour,
        CASE WHEN resolved_at < getvariable('day') + INTERVAL 1 DAY THEN resolved_at END
            AS resolved_at,
        date_diff('day', resolved_at, getvariable('day')) AS resolved_age
    FROM contacts SEMI JOIN labels USING (customer_id)
    WHERE contacted_at < getvariable('day') + INTERVAL 1 DAY
        AND known_at < getvariable('day') + INTERVAL 1 DAY
),

contact_features AS (
    SELECT
        customer_id,
        count(*) FILTER (WHERE age < 30) AS n_contacts_30d,
        count(*) FILTER (WHERE age < 90) AS n_contacts_90d,
        count(*) FILTER (WHERE age < 180) AS n_contacts_180d,
        count(*) FILTER (WHERE age < 365) AS n_contacts_365d,
        count(*) FILTER (WHERE complaint AND age < 30) AS n_complaints_30d,
        count(*) FILTER (WHERE complaint AND age < 90) AS n_complaints_90d,
        count(*) FILTER (WHERE complaint AND age < 180) AS n_complaints_180d,
        count(*) FILTER (WHERE complaint AND age < 365) AS n_complaints_365d,
        count(*) FILTER (WHERE age < 365 AND isodow(contacted_at) >= 6) AS weekend,
        count(*) FILTER (WHERE age < 365 AND timed) AS timed,
        count(*) FILTER (WHERE age < 365 AND timed AND hour BETWEEN 6 AND 11) AS morning,
        count(*) FILTER (WHERE age < 365 AND timed AND hour BETWEEN 12 AND 17) AS afternoon,
        count(*) FILTER (WHERE age < 365 AND timed AND hour BETWEEN 18 AND 23) AS evening,
        min(age) AS days_since_last_contacts,
        max(age) AS days_since_first_contacts,
        count(*) FILTER (WHERE resolved_at IS NULL) AS n_unresolved,
        max(age) FILTER (WHERE resolved_at IS NULL) AS days_unresolved,
        avg(date_diff('second', contacted_at, resolved_at))
            FILTER (WHERE resolved_age < 30) / 3600 AS mean_resolution_hours_30d,
        avg(date_diff('second', contacted_at, resolved_at))
            FILTER (WHERE resolved_age < 90) / 3600 AS mean_resolution_hours_90d,
        avg(date_diff('second', contacted_at, resolved_at))
            FILTER (WHERE resolved_age < 180) / 3600 AS mean_resolution_hours_180d,
        avg(date_diff('second', contacted_at, resolved_at))
            FILTER (WHERE resolved_age < 365) / 3600 AS mean_resolution_hours_365d
    FROM calls
    GROUP BY customer_id
),

answers AS (
    SELECT customer_id, given_at, score / nullif(score_max, 0) AS share,
        date_diff('day', given_at, getvariable('day')) AS age
    FROM feedback SEMI JOIN labels USING (customer_id)
    WHERE given_at < getvariable('day') + INTERVAL 1 DAY
        AND known_at < getvariable('day') + INTERVAL 1 DAY
),

feedback_features AS (
    SELECT
        customer_id,
        count(*) FILTER (WHERE age < 30) AS n_feedback_30d,
        count(*) FILTER (WHERE age < 90) AS n_feedback_90d,
        count(*) FILTER (WHERE age < 180) AS n_feedback_180d,
        count(*) FILTER (WHERE age < 365) AS n_feedback_365d,
        avg(share) FILTER (WHERE age < 30) AS mean_score_30d,
        avg(share) FILTER (WHERE age < 90) AS mean_score_90d,
        avg(share) FILTER (WHERE age < 180) AS mean_score_180d,
        avg(share) FILTER (WHERE age < 365) AS mean_score_365d,
        mean_score_30d - avg(share) FILTER (WHERE age BETWEEN 30 AND 89) AS trend_score_30d_90d,
        mean_score_90d - avg(share) FILTER (WHERE age BETWEEN 90 AND 179) AS trend_score_90d_180d,
        mean_score_180d - avg(share)
            FILTER (WHERE age BETWEEN 180 AND 364) AS trend_score_180d_365d,
        min(age) AS days_since_last_feedback,
        max(age) AS days_since_first_feedback,
        arg_max(share, (given_at, share)) FILTER (WHERE share IS NOT NULL) AS last_score
    FROM answers
    GROUP BY customer_id
),

referral_features AS (
    SELECT
        customer_id,
        count(*) FILTER (WHERE age < 30) AS n_referrals_30d,
        count(*) FILTER (WHERE age < 90) AS n_referrals_90d,
        count(*) FILTER (WHERE age < 180) AS n_referrals_180d,
        count(*) FILTER (WHERE age < 365) AS n_referrals_365d,
        min(age) AS days_since_last_referrals,
        max(age) AS days_since_first_referrals
    FROM (SELECT customer_id, date_diff('day', referred_at, getvariable('day')) AS age
        FROM referrals WHERE referred_at < getvariable('day') + INTERVAL 1 DAY)
    SEMI JOIN labels USING (customer_id)
    GROUP BY customer_id
),

campaign_features AS (
    SELECT
        customer_id,
        count(*) FILTER (WHERE age < 30) AS n_campaigns_30d,
        count(*) FILTER (WHERE age < 90) AS n_campaigns_90d,
        count(*) FILTER (WHERE age < 180) AS n_campaigns_180d,
        count(*) FILTER (WHERE age < 365) AS n_campaigns_365d,
        count(*) FILTER (WHERE arm != 'control' AND age < 30) AS n_treated_30d,
        sum(cost) FILTER (WHERE age < 30) AS sum_campaign_cost_30d,
        count(*) FILTER (WHERE arm != 'control' AND age < 90) AS n_treated_90d,
        sum(cost) FILTER (WHERE age < 90) AS sum_campaign_cost_90d,
        count(*) FILTER (WHERE arm != 'control' AND age < 180) AS n_treated_180d,
        sum(cost) FILTER (WHERE age < 180) AS sum_campaign_cost_180d,
        count(*) FILTER (WHERE arm != 'control' AND age < 365) AS n_treated_365d,
        sum(cost) FILTER (WHERE age < 365) AS sum_campaign_cost_365d,
        min(age) AS days_since_last_campaigns,
        max(age) AS days_since_first_campaigns
    FROM (
        SELECT customer_id, arm, cost, date_diff('day', assigned_at, getvariable('day')) AS age
        FROM campaigns WHERE assigned_at < getvariable('day') + INTERVAL 1 DAY
    )
    SEMI JOIN labels USING (customer_id)
    GROUP BY customer_id
)

SELECT
    l.*,
    c.name, c.age, c.income_band, c.region, c.acquisition_channel, c.payment_method,
    c.retention_offer_code,
    date_diff('day', c.joined_at, getvariable('day')) AS tenure_days,
    h.n_contracts, h.n_earlier_spells,
    r.contract_age_days, r.monthly_fee, r.plan, r.term_months, r.days_to_renewal,
    h.* EXCLUDE (customer_id, n_contracts, n_earlier_spells, spell_age),
    s.lifecycle_stage,

    coalesce(o.n_orders_30d, 0) AS n_orders_30d,
    coalesce(o.n_orders_90d, 0) AS n_orders_90d,
    coalesce(o.n_orders_180d, 0) AS n_orders_180d,
    coalesce(o.n_orders_365d, 0) AS n_orders_365d,
    coalesce(od.n_orders_days_30d, 0) AS n_orders_days_30d,
    coalesce(od.n_orders_days_90d, 0) AS n_orders_days_90d,
    coalesce(od.n_orders_days_180d, 0) AS n_orders_days_180d,
    coalesce(od.n_orders_days_365d, 0) AS n_orders_days_365d,
    coalesce(o.sum_amount_30d, 0) AS sum_amount_30d,
    o.paid_30d / nullif(o.n_orders_30d, 0) AS mean_amount_30d,
    coalesce(o.n_returns_30d, 0) AS n_returns_30d,
    coalesce(o.sum_amount_90d, 0) AS sum_amount_90d,
    o.paid_90d / nullif(o.n_orders_90d, 0) AS mean_amount_90d,
    coalesce(o.n_returns_90d, 0) AS n_returns_90d,
    coalesce(o.sum_amount_180d, 0) AS sum_amount_180d,
    o.paid_180d / nullif(o.n_orders_180d, 0) AS mean_amount_180d,
    coalesce(o.n_returns_180d, 0) AS n_returns_180d,
    coalesce(o.sum_amount_365d, 0) AS sum_amount_365d,
    o.paid_365d / nullif(o.n_orders_365d, 0) AS mean_amount_365d,
    coalesce(o.n_returns_365d, 0) AS n_returns_365d,
    o.weekend / nullif(o.n_orders_365d, 0) AS share_weekend_orders_365d,
    o.morning / nullif(o.timed, 0) AS share_morning_orders_365d,
    o.afternoon / nullif(o.timed, 0) AS share_afternoon_orders_365d,
    o.evening / nullif(o.timed, 0) AS share_evening_orders_365d,
    od.mean_gap_orders_365d, od.sd_gap_orders_365d,
    od.sd_gap_orders_365d / nullif(od.mean_gap_orders_365d, 0) AS variation_gap_orders_365d,
    od.days_since_last_orders / nullif(od.mean_gap_orders_365d, 0) AS silence_ratio_orders,
    change_of_rate(o.n_orders_30d, o.n_orders_90d, 30, 90) AS trend_n_orders_30d_90d,
    change_of_rate(o.n_orders_90d, o.n_orders_180d, 90, 180) AS trend_n_orders_90d_180d,
    change_of_rate(o.n_orders_180d, o.n_orders_365d, 180, 365) AS trend_n_orders_180d_365d,
    change_of_rate(coalesce(o.paid_30d, 0), coalesce(o.paid_90d, 0), 30, 90)
        AS trend_amount_30d_90d,
    change_of_rate(coalesce(o.paid_90d, 0), coalesce(o.paid_180d, 0), 90, 180)
        AS trend_amount_90d_180d,
    change_of_rate(coalesce(o.paid_180d, 0), coalesce(o.paid_365d, 0), 180, 365)
        AS trend_amount_180d_365d,
    od.days_since_last_orders, od.days_since_first_orders,

    coalesce(u.n_usage_30d, 0) AS n_usage_30d,
    coalesce(u.n_usage_90d, 0) AS n_usage_90d,
    coalesce(u.n_usage_180d, 0) AS n_usage_180d,
    coalesce(u.n_usage_365d, 0) AS n_usage_365d,
    coalesce(ud.n_usage_days_30d, 0) AS n_usage_days_30d,
    coalesce(ud.n_usage_days_90d, 0) AS n_usage_days_90d,
    coalesce(ud.n_usage_days_180d, 0) AS n_usage_days_180d,
    coalesce(ud.n_usage_days_365d, 0) AS n_usage_days_365d,
    coalesce(u.sum_usage_amount_30d, 0) AS sum_usage_amount_30d, u.mean_usage_amount_30d,
    coalesce(u.sum_usage_amount_90d, 0) AS sum_usage_amount_90d, u.mean_usage_amount_90d,
    coalesce(u.sum_usage_amount_180d, 0) AS sum_usage_amount_180d, u.mean_usage_amount_180d,
    coalesce(u.sum_usage_amount_365d, 0) AS sum_usage_amount_365d, u.mean_usage_amount_365d,
    u.weekend / nullif(u.n_usage_365d, 0) AS share_weekend_usage_365d,
    u.morning / nullif(u.timed, 0) AS share_morning_usage_365d,
    u.afternoon / nullif(u.timed, 0) AS share_afternoon_usage_365d,
    u.evening / nullif(u.timed, 0) AS share_evening_usage_365d,
    ud.mean_gap_usage_365d, ud.sd_gap_usage_365d,
    ud.sd_gap_usage_365d / nullif(ud.mean_gap_usage_365d, 0) AS variation_gap_usage_365d,
    ud.days_since_last_usage / nullif(ud.mean_gap_usage_365d, 0) AS silence_ratio_usage,
    change_of_rate(u.n_usage_30d, u.n_usage_90d, 30, 90) AS trend_n_usage_30d_90d,
    change_of_rate(u.n_usage_90d, u.n_usage_180d, 90, 180) AS trend_n_usage_90d_180d,
    change_of_rate(u.n_usage_180d, u.n_usage_365d, 180, 365) AS trend_n_usage_180d_365d,
    ud.days_since_last_usage, ud.days_since_first_usage,

    coalesce(k.n_contacts_30d, 0) AS n_contacts_30d,
    coalesce(k.n_contacts_90d, 0) AS n_contacts_90d,
    coalesce(k.n_contacts_180d, 0) AS n_contacts_180d,
    coalesce(k.n_contacts_365d, 0) AS n_contacts_365d,
    coalesce(k.n_complaints_30d, 0) AS n_complaints_30d,
    coalesce(k.n_complaints_90d, 0) AS n_complaints_90d,
    coalesce(k.n_complaints_180d, 0) AS n_complaints_180d,
    coalesce(k.n_complaints_365d, 0) AS n_complaints_365d,
    k.weekend / nullif(k.n_contacts_365d, 0) AS share_weekend_contacts_365d,
    k.morning / nullif(k.timed, 0) AS share_morning_contacts_365d,
    k.afternoon / nullif(k.timed, 0) AS share_afternoon_contacts_365d,
    k.evening / nullif(k.timed, 0) AS share_evening_contacts_365d,
    change_of_rate(k.n_contacts_30d, k.n_contacts_90d, 30, 90) AS trend_n_contacts_30d_90d,
    change_of_rate(k.n_contacts_90d, k.n_contacts_180d, 90, 180) AS trend_n_contacts_90d_180d,
    change_of_rate(k.n_contacts_180d, k.n_contacts_365d, 180, 365) AS trend_n_contacts_180d_365d,
    k.days_since_last_contacts, k.days_since_first_contacts,
    coalesce(k.n_unresolved, 0) AS n_unresolved,
    k.days_unresolved, k.mean_resolution_hours_30d, k.mean_resolution_hours_90d,
    k.mean_resolution_hours_180d, k.mean_resolution_hours_365d,

    coalesce(f.n_feedback_30d, 0) AS n_feedback_30d,
    coalesce(f.n_feedback_90d, 0) AS n_feedback_90d,
    coalesce(f.n_feedback_180d, 0) AS n_feedback_180d,
    coalesce(f.n_feedback_365d, 0) AS n_feedback_365d,
    f.mean_score_30d, f.mean_score_90d, f.mean_score_180d, f.mean_score_365d,
    f.trend_score_30d_90d, f.trend_score_90d_180d, f.trend_score_180d_365d,
    f.days_since_last_feedback, f.days_since_first_feedback, f.last_score,

    coalesce(e.n_referrals_30d, 0) AS n_referrals_30d,
    coalesce(e.n_referrals_90d, 0) AS n_referrals_90d,
    coalesce(e.n_referrals_180d, 0) AS n_referrals_180d,
    coalesce(e.n_referrals_365d, 0) AS n_referrals_365d,
    e.days_since_last_referrals, e.days_since_first_referrals,

    coalesce(g.n_campaigns_30d, 0) AS n_campaigns_30d,
    coalesce(g.n_campaigns_90d, 0) AS n_campaigns_90d,
    coalesce(g.n_campaigns_180d, 0) AS n_campaigns_180d,
    coalesce(g.n_campaigns_365d, 0) AS n_campaigns_365d,
    coalesce(g.n_treated_30d, 0) AS n_treated_30d,
    coalesce(g.sum_campaign_cost_30d, 0) AS sum_campaign_cost_30d,
    coalesce(g.n_treated_90d, 0) AS n_treated_90d,
    coalesce(g.sum_campaign_cost_90d, 0) AS sum_campaign_cost_90d,
    coalesce(g.n_treated_180d, 0) AS n_treated_180d,
    coalesce(g.sum_campaign_cost_180d, 0) AS sum_campaign_cost_180d,
    coalesce(g.n_treated_365d, 0) AS n_treated_365d,
    coalesce(g.sum_campaign_cost_365d, 0) AS sum_campaign_cost_365d,
    g.days_since_last_campaigns, g.days_since_first_campaigns
FROM labels AS l
LEFT JOIN customers AS c USING (customer_id)
LEFT JOIN contract_history AS h USING (customer_id)
LEFT JOIN running_terms AS r USING (customer_id)
LEFT JOIN stages AS s USING (customer_id)
LEFT JOIN order_sums AS o USING (customer_id)
LEFT JOIN order_days AS od USING (customer_id)
LEFT JOIN usage_sums AS u USING (customer_id)
LEFT JOIN usage_days AS ud USING (customer_id)
LEFT JOIN contact_features AS k USING (customer_id)
LEFT JOIN feedback_features AS f USING (customer_id)
LEFT JOIN referral_features AS e USING (customer_id)
LEFT JOIN campaign_features AS g USING (customer_id)
ORDER BY customer_id

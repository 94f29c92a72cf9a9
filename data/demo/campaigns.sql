SELECT customer_id, campaign, assigned_at, arm, cost, propensity
FROM raw_campaigns

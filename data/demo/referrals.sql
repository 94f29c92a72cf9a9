SELECT customer_id, referred_at
FROM raw_referrals

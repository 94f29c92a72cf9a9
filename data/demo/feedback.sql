SELECT customer_id, given_at, kind, score, score_max, text
FROM raw_feedback

SELECT customer_id, given_at, kind, score, score_max, text, known_at
FROM raw_feedback

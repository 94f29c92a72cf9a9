-- One row per student and day with at least one lecture watched.
SELECT student_id AS customer_id, date_watched AS used_at, 'lecture_day' AS kind
FROM raw_engagement

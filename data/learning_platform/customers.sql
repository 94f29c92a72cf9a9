-- One row per registered student.
SELECT student_id AS customer_id, date_registered AS joined_at
FROM raw_students

SELECT customer_id, contacted_at, channel, topic, complaint, resolved_at, known_at
FROM raw_contacts

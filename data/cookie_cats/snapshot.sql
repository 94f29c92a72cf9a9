-- One row per player. There is no pre-treatment data: sum_gamerounds counts the two weeks after the
-- assignment and is left out.
SELECT
    userid AS customer_id,
    NOT retention_7 AS churned,
    CASE test_version WHEN 'gate_30' THEN 'control' ELSE test_version END AS arm,
    CAST(retention_1 AS INTEGER) AS outcome
FROM raw_players

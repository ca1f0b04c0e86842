-- The processes that serve front nodes' connections: those of "tranched" and "tranched-commit", not those of
-- "tranche-worker", which has the same role.
SELECT a.pid FROM pg_stat_activity a WHERE a.application_name LIKE 'tranched%';

-- The page of a verification that is being checked now: its server process, and for how many seconds.
SELECT a.pid, extract(epoch FROM clock_timestamp() - a.query_start)
FROM pg_stat_activity a WHERE a.application_name = 'tranched-verify' AND a.state = 'active';

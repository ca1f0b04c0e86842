-- Our servers are let in no more, and lose their connections.
ALTER ROLE tranche_node NOLOGIN;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tranche_node';

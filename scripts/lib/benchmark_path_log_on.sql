-- The server's log has every statement that it is sent, without values.
ALTER SYSTEM SET log_statement = 'all';
ALTER SYSTEM SET log_parameter_max_length = 0;
SELECT pg_reload_conf();

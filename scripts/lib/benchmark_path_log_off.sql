ALTER SYSTEM RESET log_statement;
ALTER SYSTEM RESET log_parameter_max_length;
SELECT pg_reload_conf();

-- Calls of procedures are counted.
ALTER SYSTEM SET track_functions = 'pl';
SELECT pg_reload_conf();

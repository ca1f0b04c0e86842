ALTER SYSTEM RESET track_functions;
SELECT pg_reload_conf();

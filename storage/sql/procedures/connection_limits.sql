-- How many connections the server gives, and how many are taken, at each of its limits that this session counts against:
-- the whole server's (without those kept for superusers), its role's and its database's. No row for what is unlimited.
-- Also which of the server's processes serves this session.
CREATE OR REPLACE FUNCTION tranche.connection_limits()
RETURNS TABLE (scope text, name text, bound integer, used integer, backend integer)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT l.scope, l.name, l.bound::integer, l.used::integer, pg_backend_pid()
  FROM (SELECT 'server', 'max_connections',
               current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer,
               (SELECT count(*) FROM pg_stat_activity a WHERE a.usename IS NOT NULL AND a.datname IS NOT NULL)
        UNION ALL
        SELECT 'role', r.rolname, r.rolconnlimit,
               (SELECT count(*) FROM pg_stat_activity a WHERE a.usename = r.rolname AND a.datname IS NOT NULL)
        FROM pg_roles r WHERE r.rolname = session_user AND NOT r.rolsuper
        UNION ALL
        SELECT 'database', d.datname, d.datconnlimit,
               (SELECT count(*) FROM pg_stat_activity a WHERE a.datname = d.datname AND a.usename IS NOT NULL)
        FROM pg_database d WHERE d.datname = current_database()) AS l (scope, name, bound, used)
  WHERE l.bound >= 0
$$;

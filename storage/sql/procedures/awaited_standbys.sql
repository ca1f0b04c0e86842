-- For how many standbys a commit waits, by the setting synchronous_standby_names: 0 if it is empty, the number in
-- 'FIRST 2 (a, b)', 'ANY 2 (a, b)' and '2 (a, b)', and 1 for a list of names alone.
CREATE OR REPLACE FUNCTION tranche.awaited_standbys(p_names text)
RETURNS integer
LANGUAGE sql IMMUTABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT CASE WHEN btrim(p_names, E' \t\r\n') = '' THEN 0
              ELSE coalesce(substring(p_names FROM '(?i)^\s*(?:(?:first|any)\s+)?(\d{1,6})\s*\(')::integer, 1) END
$$;

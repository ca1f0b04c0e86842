-- For those who keep a copy of the front door's access list: what has changed after the version p_since, also what was removed; all
-- entries, without those whose time is over, if that is NULL. After (p_after_kind, p_after_value), by kind and value.
--
-- Few entries change between two reads, so these are found by their versions, and then sorted.
CREATE OR REPLACE FUNCTION tranche.read_access_changes(p_since bigint, p_after_kind text, p_after_value text, p_limit integer)
RETURNS TABLE (kind text, value text, allow boolean, expires_us bigint, reason text, removed boolean, changed_us bigint,
               changed_by text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
BEGIN
  IF p_since IS NULL THEN
    RETURN QUERY
    SELECT e.kind::text, e.value::text, e.allow, (extract(epoch FROM e.expires_at) * 1000000)::bigint, e.reason, e.removed,
           (extract(epoch FROM e.changed_at) * 1000000)::bigint, e.changed_by
    FROM access_entry e
    WHERE (e.kind, e.value) > (p_after_kind, p_after_value)
      AND NOT e.removed AND (e.expires_at IS NULL OR e.expires_at > now())
    ORDER BY e.kind, e.value
    LIMIT p_limit;
    RETURN;
  END IF;
  RETURN QUERY
  WITH changed AS MATERIALIZED (SELECT x.* FROM access_entry x WHERE x.version > p_since)
  SELECT e.kind::text, e.value::text, e.allow, (extract(epoch FROM e.expires_at) * 1000000)::bigint, e.reason, e.removed,
         (extract(epoch FROM e.changed_at) * 1000000)::bigint, e.changed_by
  FROM changed e
  WHERE (e.kind, e.value) > (p_after_kind, p_after_value)
  ORDER BY e.kind, e.value
  LIMIT p_limit;
END
$$;

-- Entries of the front door's access list after (p_after_kind, p_after_value), by kind and value, with p_allow and about the subject
-- (p_kind, p_value) if these are given. Those whose time is over are left out. It is planned for the arguments of each call.
CREATE OR REPLACE FUNCTION tranche.list_access_entries(p_allow boolean, p_kind text, p_value text, p_after_kind text,
                                                       p_after_value text, p_limit integer)
RETURNS TABLE (kind text, value text, allow boolean, expires_us bigint, reason text, removed boolean, changed_us bigint,
               changed_by text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT e.kind::text, e.value::text, e.allow, (extract(epoch FROM e.expires_at) * 1000000)::bigint, e.reason, e.removed,
         (extract(epoch FROM e.changed_at) * 1000000)::bigint, e.changed_by
  FROM access_entry e
  WHERE (e.kind, e.value) > (p_after_kind, p_after_value)
    AND (p_kind IS NULL OR (e.kind = p_kind AND e.value = p_value))
    AND (p_allow IS NULL OR e.allow = p_allow)
    AND NOT e.removed AND (e.expires_at IS NULL OR e.expires_at > now())
  ORDER BY e.kind, e.value
  LIMIT p_limit;
END
$$;

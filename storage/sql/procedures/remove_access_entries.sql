-- Removes the entries about these subjects, at most 1000, from the front door's access list. The arrays are parallel. Returns how many
-- there were, and how many entries are left. If there was none, it changes and audits nothing. If p_preview, it only counts what it
-- would do.
CREATE OR REPLACE FUNCTION tranche.remove_access_entries(p_kinds text[], p_values text[], p_preview boolean, p_actor text)
RETURNS TABLE (removed bigint, entries bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
-- A change that waits for a synchronous standby has the door locked: rather fail than hold a connection for as long.
SET lock_timeout = '2s'
AS $$
#variable_conflict use_column
DECLARE
  c_batch   constant integer := 1000;
  v_now     timestamptz;
  v_before  bigint;
  v_found   bigint;
  v_subject text[];
  v_version bigint;
BEGIN
  IF cardinality(p_kinds) > c_batch THEN
    RAISE EXCEPTION 'at most % entries', c_batch USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- Who only looks locks nothing.
  IF NOT p_preview THEN
    PERFORM FROM front_door FOR UPDATE;
  END IF;
  v_now := clock_timestamp();
  v_before := count_access_entries(v_now);
  SELECT count(*), array_agg(CASE e.kind WHEN 'BUYER' THEN 'user ' ELSE 'address ' END || e.value ORDER BY u.nth)
  INTO v_found, v_subject
  FROM (SELECT d.kind, d.value, min(d.nth) AS nth FROM unnest(p_kinds, p_values) WITH ORDINALITY AS d (kind, value, nth)
        GROUP BY d.kind, d.value) AS u
  JOIN access_entry e ON e.kind = u.kind AND e.value = u.value AND NOT e.removed AND (e.expires_at IS NULL OR e.expires_at > v_now);
  IF v_found > 0 AND NOT p_preview THEN
    v_version := next_front_version();
    UPDATE access_entry e
    SET removed = true, version = v_version, changed_at = v_now, changed_by = split_part(p_actor, E'\n', 1)
    FROM unnest(p_kinds, p_values) AS u (kind, value)
    WHERE e.kind = u.kind AND e.value = u.value AND NOT e.removed AND (e.expires_at IS NULL OR e.expires_at > v_now);
    INSERT INTO audit_log (actor, action, sku_id, before, after)
    VALUES (p_actor, 'remove_access_entries', NULL, jsonb_build_object('entries', v_before),
            jsonb_build_object('removed', v_found, 'entries', v_before - v_found, 'subjects', to_jsonb(v_subject[1:10])));
  END IF;
  RETURN QUERY SELECT v_found, v_before - v_found;
END
$$;

-- Makes the next key the current one, the current one the previous one, and a new next one; or makes three new keys, if p_replace_all.
-- Returns the keys as they are then, with `outcome` DONE; or one row with the outcome TOO_SOON and how long to wait, if the current key
-- is younger than 15 minutes: longer than a token of the previous one lives. It changes nothing then. Error TR001 if p_expected_id is
-- given, and the current key is another one.
CREATE OR REPLACE FUNCTION tranche.rotate_front_keys(p_replace_all boolean, p_expected_id bigint, p_actor text)
RETURNS TABLE (outcome text, wait_us bigint, key_id bigint, use text, since_us bigint, secret text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
-- A change that waits for a synchronous standby has the door locked: rather fail than hold a connection for as long.
SET lock_timeout = '2s'
AS $$
#variable_conflict use_column
DECLARE
  c_least  constant interval := interval '15 minutes';
  v_before front_key%ROWTYPE;
  v_now    timestamptz;
  v_last   bigint;
BEGIN
  PERFORM FROM front_door FOR UPDATE;
  v_now := clock_timestamp();
  SELECT k.* INTO v_before FROM front_key k WHERE k.use = 'CURRENT';
  IF p_expected_id IS DISTINCT FROM v_before.key_id AND p_expected_id IS NOT NULL THEN
    RAISE EXCEPTION 'the current key is %, not %', v_before.key_id, p_expected_id USING ERRCODE = 'TR001';
  END IF;
  IF NOT p_replace_all AND v_before.since > v_now - c_least THEN
    RETURN QUERY SELECT 'TOO_SOON'::text, (extract(epoch FROM v_before.since + c_least - v_now) * 1000000)::bigint, NULL::bigint,
                        NULL::text, NULL::bigint, NULL::text;
    RETURN;
  END IF;
  PERFORM next_front_version();
  SELECT max(k.key_id) INTO v_last FROM front_key k;
  IF p_replace_all THEN
    DELETE FROM front_key;
    INSERT INTO front_key (key_id, use, secret, since)
    VALUES (coalesce(v_last, 0) + 1, 'PREVIOUS', random_key(), v_now), (coalesce(v_last, 0) + 2, 'CURRENT', random_key(), v_now),
           (coalesce(v_last, 0) + 3, 'NEXT', random_key(), v_now);
  ELSE
    DELETE FROM front_key k WHERE k.use = 'PREVIOUS';
    UPDATE front_key k SET use = 'PREVIOUS', since = v_now WHERE k.use = 'CURRENT';
    UPDATE front_key k SET use = 'CURRENT', since = v_now WHERE k.use = 'NEXT';
    INSERT INTO front_key (key_id, use, secret, since) VALUES (coalesce(v_last, 0) + 1, 'NEXT', random_key(), v_now);
  END IF;
  -- The ids, never the keys.
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  SELECT p_actor, CASE WHEN p_replace_all THEN 'replace_front_keys' ELSE 'rotate_front_keys' END, NULL,
         jsonb_build_object('current', v_before.key_id), jsonb_object_agg(lower(k.use), k.key_id)
  FROM front_key k;
  RETURN QUERY SELECT 'DONE'::text, NULL::bigint, l.* FROM list_front_keys() AS l;
END
$$;

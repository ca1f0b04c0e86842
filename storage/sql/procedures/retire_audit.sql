-- Deletes up to p_limit entries of the audit log that are older than p_age_seconds, the oldest first. Returns how many. Those that
-- another worker deletes at the same moment are passed over.
--
-- p_now_us is the worker's clock; workers of before pass none. The earlier of the two clocks counts: if one is ahead, for a moment or for
-- good, nothing is deleted too soon.
CREATE OR REPLACE FUNCTION tranche.retire_audit(p_age_seconds bigint, p_limit integer, p_now_us bigint DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  v_before  timestamptz := least(clock_timestamp(), 'epoch'::timestamptz + p_now_us * interval '1 microsecond')
                           - make_interval(secs => p_age_seconds);
  v_retired bigint;
BEGIN
  IF p_age_seconds IS NULL OR p_age_seconds < 86400 THEN
    RAISE EXCEPTION 'the audit log is kept for at least 86400 seconds' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  WITH old AS MATERIALIZED (
    SELECT a.audit_id FROM audit_log a WHERE a.at < v_before ORDER BY a.at LIMIT p_limit FOR UPDATE SKIP LOCKED
  ), gone AS (
    DELETE FROM audit_log a USING old o WHERE a.audit_id = o.audit_id RETURNING a.audit_id
  )
  SELECT count(*) INTO v_retired FROM gone;
  RETURN v_retired;
END
$$;

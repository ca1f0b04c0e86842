-- A balancer or a worker runs: makes its row, or notes that it still runs, by this database's clock. p_details: see
-- list_heartbeats. Forgets rows of its kind that are older than a day, and all but the newest hundred.
--
-- It does not wait for the disk or for the synchronous standby: to lose the last beats costs nothing, and while the
-- standby is gone, it should still be seen who runs.
CREATE OR REPLACE FUNCTION tranche.beat(p_kind text, p_instance uuid, p_name text, p_version text, p_details jsonb)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_now    timestamptz := clock_timestamp();
  v_oldest timestamptz;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  INSERT INTO heartbeat AS h (kind, instance, name, version, started_at, beat_at, details)
  VALUES (p_kind, p_instance, p_name, p_version, v_now, v_now, p_details)
  ON CONFLICT (kind, instance) DO UPDATE SET beat_at = excluded.beat_at, details = excluded.details, ended_at = NULL;

  SELECT h.beat_at INTO v_oldest FROM heartbeat h WHERE h.kind = p_kind ORDER BY h.beat_at DESC OFFSET 99 LIMIT 1;
  -- A row that is locked is of one that runs.
  DELETE FROM heartbeat h
  WHERE h.kind = p_kind AND h.instance IN (
    SELECT o.instance FROM heartbeat o
    WHERE o.kind = p_kind AND (o.beat_at < v_now - interval '1 day' OR o.beat_at < v_oldest)
    FOR UPDATE SKIP LOCKED);
END
$$;

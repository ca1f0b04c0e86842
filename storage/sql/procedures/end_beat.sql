-- A balancer or a worker has ended in an orderly way: nobody misses it. Its row stays for a day, so that it is known
-- since when it is gone.
CREATE OR REPLACE FUNCTION tranche.end_beat(p_kind text, p_instance uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  UPDATE heartbeat SET beat_at = clock_timestamp(), ended_at = clock_timestamp()
  WHERE kind = p_kind AND instance = p_instance;
END
$$;

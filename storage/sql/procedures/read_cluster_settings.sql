-- What set_cluster_frozen has set, and when and by whom; and what set_claim_queues_paused has set. One row.
CREATE OR REPLACE FUNCTION tranche.read_cluster_settings()
RETURNS TABLE (frozen boolean, changed_us bigint, changed_by text, claims_paused boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT c.frozen, (extract(epoch FROM c.changed_at) * 1000000)::bigint, c.changed_by, c.claims_paused FROM cluster_setting c
$$;

-- Counts a change of the front door, and returns its version. The caller has locked front_door's row before it looked at anything.
--
-- Forgets changes but for the newest 1,000, and what readers who know one of these need not be told any more: entries and policies
-- that were removed before. Of each so many at a time, that it keeps up with changes: one of these marks at most 3000 entries as removed.
CREATE OR REPLACE FUNCTION tranche.next_front_version()
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
  c_kept    constant integer := 1000;
  v_version bigint;
  v_oldest  bigint;
BEGIN
  UPDATE front_door SET version = version + 1, stamp = gen_random_uuid() RETURNING version INTO v_version;
  INSERT INTO front_change (version, stamp) SELECT d.version, d.stamp FROM front_door d;
  DELETE FROM front_change c
  WHERE c.version IN (SELECT o.version FROM front_change o WHERE o.version <= v_version - c_kept ORDER BY o.version LIMIT 100);
  SELECT min(c.version) INTO v_oldest FROM front_change c;
  DELETE FROM front_policy p
  WHERE p.sku_id IN (SELECT o.sku_id FROM front_policy o WHERE o.document IS NULL AND o.version < v_oldest LIMIT 100);
  DELETE FROM access_entry e
  USING (SELECT o.kind, o.value FROM access_entry o WHERE o.removed AND o.version < v_oldest ORDER BY o.version LIMIT 3000) AS g
  WHERE e.kind = g.kind AND e.value = g.value;
  RETURN v_version;
END
$$;

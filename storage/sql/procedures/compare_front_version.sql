-- The newest change of the front door, and whether a reader that knows p_version with p_stamp has to read everything: it is of
-- another history, or too old, or more than 5000 entries have changed since. One row.
--
-- What has changed is sorted again for each page of it; all entries are in their order already. So for many, all is cheaper.
CREATE OR REPLACE FUNCTION tranche.compare_front_version(p_version bigint, p_stamp text)
RETURNS TABLE (version bigint, stamp text, complete boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
  SELECT d.version, d.stamp::text,
         NOT EXISTS (SELECT FROM front_change c WHERE c.version = p_version AND c.stamp::text = p_stamp)
         OR (SELECT count(*) FROM (SELECT FROM access_entry e WHERE e.version > p_version LIMIT 5001) AS x) > 5000
  FROM front_door d
$$;

-- The newest change of the front door, and whether a reader that knows p_version with p_stamp has to read everything: it is of
-- another history, or too old. One row.
CREATE OR REPLACE FUNCTION tranche.compare_front_version(p_version bigint, p_stamp text)
RETURNS TABLE (version bigint, stamp text, complete boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT d.version, d.stamp::text,
         NOT EXISTS (SELECT FROM front_change c WHERE c.version = p_version AND c.stamp::text = p_stamp)
  FROM front_door d
$$;

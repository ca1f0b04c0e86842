-- The schema's version, and that of the oldest servers that it serves: servers of a version need its schema or a newer one, and
-- ask here at their start. A migration after which servers from before it fail raises the second number.
--
-- Servers from before schema 20 know no front door and would let everybody in, so they are not served while there is one: a
-- policy, or an entry of the access list whose time is not over. Those from before schema 21 know no draws and would sell a SKU whose
-- units go to winners, so they are not served while a policy has a draw, or a draw is not over. Those from before schema 22 know no
-- service mode and would go on selling, so they are not served while one other than NORMAL is set. Those from before schema 23 know
-- no queue and decide every claim at once: that sells nothing twice, so they are served.
CREATE OR REPLACE FUNCTION tranche.schema_range()
RETURNS TABLE (version integer, oldest_server integer)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT schema_version(),
         CASE WHEN EXISTS (SELECT FROM service_mode m WHERE m.mode <> 'NORMAL')
              THEN 22
              WHEN EXISTS (SELECT FROM front_policy p WHERE p.document::jsonb ? 'draw')
                OR EXISTS (SELECT FROM draw d WHERE d.finished_at IS NULL)
              THEN 21
              WHEN EXISTS (SELECT FROM front_policy p WHERE p.document IS NOT NULL)
                OR EXISTS (SELECT FROM access_entry e WHERE NOT e.removed AND (e.expires_at IS NULL OR e.expires_at > now()))
              THEN 20 ELSE 9 END
$$;

-- Incarnations besides p_serving that still matter: those that have not ended here, those that ended within the last
-- hour, and those that have ended and still hold units. ended_us is NULL for the first. The newest first, p_limit of
-- them. Of each, the units of 10000 slots at most are counted.
CREATE OR REPLACE FUNCTION tranche.gone_incarnations(p_serving bigint[], p_limit integer)
RETURNS TABLE (incarnation_id bigint, node_name text, address text, started_us bigint, ended_us bigint, units bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  SELECT i.incarnation_id, i.node_name, i.address, (extract(epoch FROM i.started_at) * 1000000)::bigint,
         (extract(epoch FROM i.reclaimed_at) * 1000000)::bigint,
         (SELECT coalesce(sum(x.remaining), 0)::bigint
          FROM (SELECT sl.remaining FROM stock_slot sl WHERE sl.holder = i.incarnation_id LIMIT 10000) AS x)
  FROM incarnation i
  WHERE i.incarnation_id IN (
    SELECT l.incarnation_id FROM incarnation l WHERE l.reclaimed_at IS NULL AND l.incarnation_id <> ALL (p_serving)
    UNION ALL
    -- No index has the time: the latest thousand runs are enough for an hour.
    SELECT r.incarnation_id
    FROM (SELECT e.incarnation_id, e.reclaimed_at FROM incarnation e ORDER BY e.incarnation_id DESC LIMIT 1000) AS r
    WHERE r.reclaimed_at > clock_timestamp() - interval '1 hour'
    UNION ALL
    SELECT h.incarnation_id FROM ended_holders(10000) AS h
  )
  ORDER BY i.incarnation_id DESC
  LIMIT p_limit
$$;

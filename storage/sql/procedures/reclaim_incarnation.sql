-- Ends an incarnation: its units go to the pools, its slots are deleted, and no later commit or deposit of it succeeds.
-- Safe at any moment and any number of times, whatever the process still does. Returns the SKUs that changed.
--
-- Slots of SKUs that are on their way to another shard stay as they are: nothing is sold from those. The move puts
-- their units into the pool at the target; if a move is given up, call this again.
CREATE OR REPLACE FUNCTION tranche.reclaim_incarnation(p_incarnation bigint)
RETURNS TABLE (sku_id text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  v_skus text[];
BEGIN
  -- Waits for moves that are about to deposit to it; later ones see that it has ended.
  UPDATE incarnation SET reclaimed_at = now() WHERE incarnation_id = p_incarnation AND reclaimed_at IS NULL;

  SELECT array_agg(l.sku_id) INTO v_skus
  FROM (SELECT s.sku_id FROM sku s
        WHERE s.sku_id IN (SELECT sl.sku_id FROM stock_slot sl WHERE sl.holder = p_incarnation) AND s.whereabouts = 'HERE'
        ORDER BY s.sku_id FOR UPDATE) AS l;
  PERFORM FROM stock_slot sl
  WHERE sl.sku_id = ANY (v_skus) AND (sl.slot_no = 0 OR sl.holder = p_incarnation)
  ORDER BY sl.sku_id, sl.slot_no FOR UPDATE;

  RETURN QUERY
  WITH freed AS (
    DELETE FROM stock_slot sl WHERE sl.holder = p_incarnation AND sl.sku_id = ANY (v_skus)
    RETURNING sl.sku_id, sl.remaining
  ), per_sku AS (
    SELECT f.sku_id, sum(f.remaining) AS units FROM freed f GROUP BY f.sku_id
  ), versions AS (
    UPDATE sku s SET quota_version = s.quota_version + 1, pool_waiting = s.pool_waiting OR p.units > 0
    FROM per_sku p WHERE s.sku_id = p.sku_id
    RETURNING s.sku_id, s.quota_version
  ), pools AS (
    UPDATE stock_slot sl
    SET allotted = sl.allotted + p.units, remaining = sl.remaining + p.units, version = v.quota_version
    FROM per_sku p JOIN versions v ON v.sku_id = p.sku_id
    WHERE sl.sku_id = p.sku_id AND sl.slot_no = 0
    RETURNING sl.sku_id, sl.remaining AS pool, p.units
  ), audited AS (
    INSERT INTO audit_log (actor, action, automatic, sku_id, incarnation_id, before, after)
    SELECT 'reclaim', 'reclaim_incarnation', true, p.sku_id, p_incarnation,
           jsonb_build_object('0', p.pool - p.units, p_incarnation::text, p.units), jsonb_build_object('0', p.pool)
    FROM pools p
  )
  SELECT p.sku_id FROM pools p ORDER BY p.sku_id;
END
$$;

-- The draws of this shard that workers have something to do for: lists to seal, entries to rank, places to give.
CREATE OR REPLACE FUNCTION tranche.list_draw_work()
RETURNS SETOF tranche.draw_told
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT 'DONE', d.*
  FROM draw_fields d JOIN sku s ON s.sku_id = d.sku_id AND s.whereabouts = 'HERE'
  WHERE d.draw_id IN (SELECT x.draw_id FROM draw x WHERE x.finished_at IS NULL AND x.state IN ('CLOSING', 'SEEDED', 'DRAWN'))
  ORDER BY d.draw_id
$$;

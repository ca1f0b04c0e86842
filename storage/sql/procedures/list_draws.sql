-- The draws of a SKU, or of all SKUs of this shard for '', the newest first, at most 100, with the exact number of entries so far. If
-- the SKU is not here, one row that says so.
CREATE OR REPLACE FUNCTION tranche.list_draws(p_sku_id text)
RETURNS SETOF tranche.draw_told
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT 'SKU_NOT_FOUND', (NULL::draw_fields).*
  WHERE p_sku_id <> ''
    AND NOT EXISTS (SELECT FROM sku s WHERE s.sku_id = p_sku_id AND s.whereabouts IN ('HERE', 'LEAVING'))
  UNION ALL
  SELECT 'DONE', d.draw_id, d.sku_id, d.number, d.state, d.winners, d.quantity, d.seed_commitment, d.public_source,
         coalesce(d.entries, (SELECT sum(t.entries)::bigint FROM draw_tally t WHERE t.draw_id = d.draw_id), 0::bigint),
         d.merkle_root, d.seed, d.cutoff, d.pending, d.confirmed, d.lapsed, d.created_us, d.closed_us, d.seeded_us,
         d.finished_us
  FROM (SELECT x.draw_id, row_number() OVER (ORDER BY x.created_at DESC, x.draw_id DESC) AS nth
        FROM draw x JOIN sku s ON s.sku_id = x.sku_id AND s.whereabouts IN ('HERE', 'LEAVING')
        WHERE x.removed_at IS NULL AND (p_sku_id = '' OR x.sku_id = p_sku_id)
        ORDER BY nth LIMIT 100) AS newest
  JOIN draw_fields d ON d.draw_id = newest.draw_id
  ORDER BY created_us DESC, draw_id DESC
$$;

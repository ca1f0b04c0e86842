-- At home: notes where a SKU that is on another shard is now.
CREATE OR REPLACE FUNCTION tranche.note_whereabouts(p_sku_id text, p_shard text)
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  UPDATE sku SET other_shard = p_shard WHERE sku_id = p_sku_id AND whereabouts = 'GONE' AND other_shard <> p_shard
$$;

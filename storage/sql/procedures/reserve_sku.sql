-- Notes at home that p_shard has a SKU with this id, or will soon: ids are unique over all shards. False if a SKU
-- elsewhere has the id. A repeated call for the same shard is true: the shard itself refuses a second SKU.
CREATE OR REPLACE FUNCTION tranche.reserve_sku(p_sku_id text, p_shard text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM shard WHERE name = p_shard) THEN
    RAISE EXCEPTION 'there is no shard %', p_shard USING ERRCODE = 'TR002';
  END IF;
  INSERT INTO sku (sku_id, title, price_minor, currency, stock, per_user_limit, hold_seconds, pool_waiting, whereabouts,
                   other_shard, only_reserved)
  VALUES (p_sku_id, '', 0, 'XXX', 0, 1, 1, false, 'GONE', p_shard, true)
  ON CONFLICT DO NOTHING;
  RETURN EXISTS (SELECT FROM sku WHERE sku_id = p_sku_id AND whereabouts = 'GONE' AND other_shard = p_shard);
END
$$;

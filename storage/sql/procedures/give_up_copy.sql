-- After this database was restored to before a move of the SKU: p_shard has the newer copy, and the one here is void. From
-- this commit on it sells nothing; its rows wait for purge_departed, like those of a SKU that has gone. For the schema's
-- owner, who decides that; give_up_older_copy decides it by the number of moves. Error TR002 if no copy is here, or if p_shard
-- is this database or unknown at home.
CREATE OR REPLACE FUNCTION tranche.give_up_copy(p_sku_id text, p_shard text, p_actor text)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
  v_here text;
  v_sku  sku%ROWTYPE;
BEGIN
  SELECT i.name INTO v_here FROM shard_identity i;
  IF p_shard = v_here THEN
    RAISE EXCEPTION 'this database is %: call it where the older copy is', p_shard USING ERRCODE = 'TR002';
  ELSIF v_here = 'home' AND NOT EXISTS (SELECT FROM shard WHERE name = p_shard) THEN
    RAISE EXCEPTION 'there is no shard %', p_shard USING ERRCODE = 'TR002';
  END IF;
  -- As in begin_leave: what is under way ends first, entries into its draws, too.
  PERFORM pin_skus(ARRAY[p_sku_id], true);
  PERFORM pin_draws(array_agg(draw_id), true, true) FROM draw WHERE sku_id = p_sku_id AND finished_at IS NULL;
  PERFORM FROM draw WHERE sku_id = p_sku_id ORDER BY draw_id FOR UPDATE;
  SELECT * INTO v_sku FROM sku WHERE sku_id = p_sku_id FOR UPDATE;
  IF v_sku.whereabouts IS NULL OR v_sku.whereabouts NOT IN ('HERE', 'LEAVING') THEN
    RAISE EXCEPTION 'no copy of SKU % is here', p_sku_id USING ERRCODE = 'TR002';
  END IF;
  PERFORM FROM stock_slot WHERE sku_id = p_sku_id ORDER BY slot_no FOR UPDATE;
  UPDATE sku SET whereabouts = 'GONE', other_shard = p_shard, move_token = NULL, pool_waiting = false,
                 units_returned = false
  WHERE sku_id = p_sku_id;
  DELETE FROM stock_slot WHERE sku_id = p_sku_id;
  -- Its draws are void, too: they are removed, and those that were not over are called off.
  UPDATE draw d
  SET state = CASE WHEN d.finished_at IS NULL THEN 'CANCELLED' ELSE d.state END,
      finished_at = coalesce(d.finished_at, clock_timestamp()), removed_at = clock_timestamp()
  WHERE d.sku_id = p_sku_id AND d.removed_at IS NULL;
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, 'give_up_copy', p_sku_id, jsonb_build_object('whereabouts', v_sku.whereabouts, 'stock', v_sku.stock),
          jsonb_build_object('whereabouts', 'GONE', 'to', p_shard));
END
$$;

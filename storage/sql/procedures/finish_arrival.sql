-- The decision: from this commit on the SKU is here, complete and for sale, and nowhere else (its source has been
-- fenced off before, and stays so until it is told). Slots keep their holders, so that selling goes on without new
-- shares; slots of incarnations that have ended here go to the pool. Error TR002 if the attempt is over, or if the copy
-- is not complete.
CREATE OR REPLACE FUNCTION tranche.finish_arrival(
  p_row tranche.sku, p_token uuid, p_slots tranche.stock_slot[], p_incarnations tranche.incarnation[],
  p_retired tranche.retired_units[], p_totals text, p_actor text
)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_row    sku%ROWTYPE := p_row;
  v_source text;
BEGIN
  INSERT INTO incarnation OVERRIDING SYSTEM VALUE SELECT i.* FROM unnest(p_incarnations) AS i ORDER BY i.incarnation_id
  ON CONFLICT DO NOTHING;
  PERFORM FROM incarnation i
  WHERE i.incarnation_id IN (SELECT s.holder FROM unnest(p_slots) AS s) ORDER BY i.incarnation_id FOR SHARE;

  SELECT other_shard INTO v_source FROM sku
  WHERE sku_id = p_row.sku_id AND whereabouts = 'ARRIVING' AND move_token = p_token FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'SKU % is not arriving by this attempt', p_row.sku_id USING ERRCODE = 'TR002';
  END IF;
  IF sku_totals(p_row.sku_id) <> p_totals THEN
    RAISE EXCEPTION 'the copy of SKU % is not complete: % here, % there', p_row.sku_id, sku_totals(p_row.sku_id), p_totals
      USING ERRCODE = 'TR002';
  END IF;

  v_row.whereabouts := 'HERE';
  v_row.other_shard := NULL;
  v_row.move_token := NULL;
  v_row.quota_version := p_row.quota_version + 1;
  v_row.moves := p_row.moves + 1;
  DELETE FROM sku WHERE sku_id = p_row.sku_id;
  INSERT INTO sku SELECT (v_row).*;
  INSERT INTO stock_slot SELECT s.* FROM unnest(p_slots) AS s WHERE s.sku_id = p_row.sku_id;
  INSERT INTO retired_units SELECT r.* FROM unnest(p_retired) AS r WHERE r.sku_id = p_row.sku_id;
  PERFORM pool_ended_slots(p_row.sku_id, v_row.quota_version);
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, 'move_sku', p_row.sku_id, jsonb_build_object('from', v_source),
          jsonb_build_object('whereabouts', 'HERE', 'stock', v_row.stock));
END
$$;

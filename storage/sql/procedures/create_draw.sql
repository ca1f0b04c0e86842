-- Begins a draw of a SKU: buyers may enter from now on. p_commitment (64 hexadecimal digits) or p_public_source; the other one is ''.
-- One row: DONE with the draw; SKU_NOT_FOUND; STATE if one of this SKU is not over, which it tells then, or if p_expected_number is
-- given and it would have another number. A draw that has the expected number, and is as asked for, changes and audits nothing. Error
-- TR004 while the SKU moves to another shard.
--
-- Locks the SKU's row, so that it does not begin to move meanwhile. It locks no draw: only one of a SKU that is over can make room for
-- another, and none comes back from that.
CREATE OR REPLACE FUNCTION tranche.create_draw(p_sku_id text, p_winners integer, p_quantity integer, p_commitment text,
                                               p_public_source text, p_expected_number bigint, p_actor text)
RETURNS SETOF tranche.draw_told
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
  v_commitment bytea := decode(nullif(p_commitment, ''), 'hex');
  v_source     text := nullif(p_public_source, '');
  v_sku        sku%ROWTYPE;
  v_present    draw%ROWTYPE;
  v_outcome    text := 'DONE';
  v_id         bigint;
BEGIN
  SELECT * INTO v_sku FROM lock_sku(p_sku_id);
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'SKU_NOT_FOUND', d.* FROM (SELECT) AS one LEFT JOIN draw_fields d ON false;
    RETURN;
  END IF;
  SELECT d.* INTO v_present FROM draw d
  WHERE d.sku_id = p_sku_id AND d.number = p_expected_number AND d.removed_at IS NULL;
  IF NOT FOUND THEN
    SELECT d.* INTO v_present FROM draw d WHERE d.sku_id = p_sku_id AND d.finished_at IS NULL;
  ELSIF v_present.winners = p_winners AND v_present.quantity = p_quantity
        AND v_present.seed_commitment IS NOT DISTINCT FROM v_commitment
        AND v_present.public_source IS NOT DISTINCT FROM v_source THEN
    -- A repeat is the way to find out whether it was begun.
    PERFORM await_standby();
    RETURN QUERY SELECT 'DONE', d.* FROM draw_fields d WHERE d.draw_id = v_present.draw_id;
    RETURN;
  END IF;
  IF v_present.draw_id IS NOT NULL OR p_expected_number <> v_sku.draws + 1 THEN
    v_outcome := 'STATE';
    v_id := v_present.draw_id;
  ELSIF p_quantity > v_sku.per_user_limit THEN
    RAISE EXCEPTION 'a buyer may have % of %', v_sku.per_user_limit, p_sku_id USING ERRCODE = 'invalid_parameter_value';
  ELSE
    UPDATE sku SET draws = v_sku.draws + 1 WHERE sku_id = p_sku_id;
    INSERT INTO draw AS d (sku_id, number, winners, quantity, seed_commitment, public_source, created_at)
    VALUES (p_sku_id, v_sku.draws + 1, p_winners, p_quantity, v_commitment, v_source, clock_timestamp())
    RETURNING d.draw_id INTO v_id;
    INSERT INTO audit_log (actor, action, sku_id, before, after)
    VALUES (p_actor, 'create_draw', p_sku_id, '{}',
            jsonb_strip_nulls(jsonb_build_object('draw', v_sku.draws + 1, 'winners', p_winners, 'quantity', p_quantity,
                                                 'seed_commitment', encode(v_commitment, 'hex'), 'public_source', v_source)));
  END IF;
  RETURN QUERY SELECT v_outcome, d.* FROM (SELECT) AS one LEFT JOIN draw_fields d ON d.draw_id = v_id;
END
$$;

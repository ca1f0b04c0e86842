-- Puts :rows entries into the open draw of :sku, as enter_draws does: those of "buyer-1", "buyer-2" and so on. Says how
-- far it is.
CREATE PROCEDURE pg_temp.fill(p_sku_id text, p_rows bigint) LANGUAGE plpgsql AS $$
DECLARE
  v_step CONSTANT bigint := 250000;
  v_draw bigint;
  v_last bigint := 0;
  v_next bigint;
BEGIN
  SELECT d.draw_id INTO STRICT v_draw FROM tranche.draw d WHERE d.sku_id = p_sku_id AND d.state = 'OPEN';
  WHILE v_last < p_rows LOOP
    v_next := least(v_last + v_step, p_rows);
    INSERT INTO tranche.draw_entry (draw_id, entry_id, user_id)
    SELECT v_draw, gen_random_uuid(), 'buyer-' || i FROM generate_series(v_last + 1, v_next) AS i;
    INSERT INTO tranche.draw_tally AS t (draw_id, part, entries) VALUES (v_draw, 0, v_next - v_last)
    ON CONFLICT ON CONSTRAINT draw_tally_pkey DO UPDATE SET entries = t.entries + excluded.entries;
    COMMIT;
    v_last := v_next;
    RAISE INFO 'entered % of % buyers', v_last, p_rows;
  END LOOP;
END
$$;
CALL pg_temp.fill(:'sku', :rows);
-- As after hours of entries: neither is left to be done while something is measured.
VACUUM ANALYZE tranche.draw_entry;
CHECKPOINT;

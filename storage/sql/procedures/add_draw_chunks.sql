-- Stores chunks of a draw's list that is being sealed; those that are there already are left as they are. Parallel arrays; hashes are
-- hexadecimal. One row: DONE, also for a list that is sealed, where nothing is stored; SKU_NOT_FOUND; NO_DRAW; STATE with the draw
-- whose state forbids it.
--
-- Locks the draw's row so that it is not sealed meanwhile. Several workers may do the same side by side.
CREATE OR REPLACE FUNCTION tranche.add_draw_chunks(p_sku_id text, p_number bigint, p_numbers bigint[], p_firsts uuid[],
                                                   p_lasts uuid[], p_entries integer[], p_hashes text[])
RETURNS TABLE (outcome text, number bigint, state text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  v_outcome text;
  v_id      bigint;
  v_draw    draw%ROWTYPE;
BEGIN
  SELECT f.outcome, f.draw_id INTO v_outcome, v_id FROM find_draw(p_sku_id, p_number) AS f;
  SELECT d.* INTO v_draw FROM draw d WHERE d.draw_id = v_id AND d.removed_at IS NULL FOR SHARE;
  IF NOT FOUND THEN
    v_outcome := CASE WHEN v_outcome = 'DONE' THEN 'NO_DRAW' ELSE v_outcome END;
  ELSIF v_draw.state = 'CLOSING' THEN
    INSERT INTO draw_chunk (draw_id, chunk_no, first_id, last_id, entries, hash)
    SELECT v_id, c.chunk_no, c.first_id, c.last_id, c.entries, decode(c.hash, 'hex')
    FROM unnest(p_numbers, p_firsts, p_lasts, p_entries, p_hashes) AS c (chunk_no, first_id, last_id, entries, hash)
    ORDER BY c.chunk_no
    ON CONFLICT DO NOTHING;
  ELSIF v_draw.merkle_root IS NULL THEN
    v_outcome := 'STATE';
  END IF;
  RETURN QUERY SELECT v_outcome, v_draw.number, v_draw.state;
END
$$;

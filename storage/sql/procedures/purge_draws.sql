-- Deletes up to p_limit rows of removed draws, of one draw at a time, the draw's own row last. Returns how many; 0 also while another
-- worker deletes the last of them. When there is nothing to delete, it notes what has become of awards that were pending when an
-- operator finished their draw: award_draw does not come back to those. It looks at c_looks of them, of draws in a random order, so
-- that in time each draw has its turn.
--
-- Locks rows of draws without waiting, and nothing else that anybody wants.
CREATE OR REPLACE FUNCTION tranche.purge_draws(p_limit integer)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
  -- Each costs a look at its reservation.
  c_looks   constant integer := 10000;
  v_left    integer := c_looks;
  v_id      bigint;
  v_pending integer;
  v_rows    bigint;
  v_gone    bigint := 0::bigint;
BEGIN
  IF p_limit < 1 THEN
    RAISE EXCEPTION 'the limit must be at least 1' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT d.draw_id INTO v_id FROM draw d WHERE d.removed_at IS NOT NULL ORDER BY d.draw_id LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    FOR v_id, v_pending IN
      SELECT d.draw_id, d.pending FROM draw d
      WHERE d.state = 'FINISHED' AND d.pending > 0 AND d.removed_at IS NULL
      ORDER BY random() FOR UPDATE SKIP LOCKED
    LOOP
      PERFORM settle_awards(v_id, v_left);
      v_left := v_left - v_pending;
      EXIT WHEN v_left <= 0;
    END LOOP;
    RETURN 0::bigint;
  END IF;
  DELETE FROM draw_award WHERE ctid = ANY (ARRAY(SELECT x.ctid FROM draw_award x WHERE x.draw_id = v_id LIMIT p_limit));
  GET DIAGNOSTICS v_gone = ROW_COUNT;
  DELETE FROM draw_rank WHERE ctid = ANY (ARRAY(SELECT x.ctid FROM draw_rank x WHERE x.draw_id = v_id LIMIT p_limit - v_gone));
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  v_gone := v_gone + v_rows;
  DELETE FROM draw_entry WHERE ctid = ANY (ARRAY(SELECT x.ctid FROM draw_entry x WHERE x.draw_id = v_id LIMIT p_limit - v_gone));
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  v_gone := v_gone + v_rows;
  DELETE FROM draw_chunk WHERE ctid = ANY (ARRAY(SELECT x.ctid FROM draw_chunk x WHERE x.draw_id = v_id LIMIT p_limit - v_gone));
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  v_gone := v_gone + v_rows;
  DELETE FROM draw_tally WHERE ctid = ANY (ARRAY(SELECT x.ctid FROM draw_tally x WHERE x.draw_id = v_id LIMIT p_limit - v_gone));
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  v_gone := v_gone + v_rows;
  IF v_gone < p_limit THEN
    DELETE FROM draw WHERE draw_id = v_id;
    v_gone := v_gone + 1;
  END IF;
  RETURN v_gone;
END
$$;

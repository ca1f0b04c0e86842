-- Deletes up to p_limit rows of removed draws, of one draw at a time, the draw's own row last. Returns how many; 0 also while another
-- worker deletes the last of them. It also notes what has become of awards that were pending when an operator finished their draw:
-- award_draw does not come back to those.
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
  c_looks constant integer := 10000;
  v_id    bigint;
  v_rows  bigint;
  v_gone  bigint := 0::bigint;
BEGIN
  IF p_limit < 1 THEN
    RAISE EXCEPTION 'the limit must be at least 1' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  FOR v_id IN
    SELECT d.draw_id FROM draw d
    WHERE d.state = 'FINISHED' AND d.pending > 0 AND d.removed_at IS NULL
    ORDER BY d.draw_id FOR UPDATE SKIP LOCKED
  LOOP
    PERFORM settle_awards(v_id, c_looks);
  END LOOP;

  SELECT d.draw_id INTO v_id FROM draw d WHERE d.removed_at IS NOT NULL ORDER BY d.draw_id LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
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

-- CLOSING -> CLOSED: from now on p_root (hexadecimal) stands for the list of p_entries entries. One row: DONE, also if it is sealed so
-- already; SKU_NOT_FOUND; NO_DRAW; STATE with the draw whose state forbids it, or which is sealed otherwise; INCOMPLETE if these are
-- not all entries, or their chunks are not complete.
--
-- Locks the draw's row, and nothing else.
CREATE OR REPLACE FUNCTION tranche.seal_draw(p_sku_id text, p_number bigint, p_entries bigint, p_root text)
RETURNS TABLE (outcome text, number bigint, state text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  -- Entries of a whole chunk.
  c_chunk   constant integer := 1024;
  v_outcome text;
  v_id      bigint;
  v_draw    draw%ROWTYPE;
  v_entered bigint;
  v_listed  bigint;
  v_whole   boolean;
BEGIN
  SELECT f.outcome, f.draw_id INTO v_outcome, v_id FROM find_draw(p_sku_id, p_number) AS f;
  SELECT d.* INTO v_draw FROM draw d WHERE d.draw_id = v_id AND d.removed_at IS NULL FOR UPDATE;
  IF NOT FOUND THEN
    v_outcome := CASE WHEN v_outcome = 'DONE' THEN 'NO_DRAW' ELSE v_outcome END;
  ELSIF v_draw.state = 'CLOSING' THEN
    SELECT coalesce(sum(t.entries), 0)::bigint INTO v_entered FROM draw_tally t WHERE t.draw_id = v_id;
    SELECT coalesce(sum(c.entries), 0)::bigint,
           coalesce(bool_and(c.chunk_no = c.nth - 1 AND (c.entries = c_chunk OR c.is_last)
                             AND (c.before IS NULL OR c.before < c.first_id)), true)
    INTO v_listed, v_whole
    FROM (SELECT x.chunk_no, x.entries, x.first_id, row_number() OVER w AS nth, lag(x.last_id) OVER w AS before,
                 lead(x.chunk_no) OVER w IS NULL AS is_last
          FROM draw_chunk x WHERE x.draw_id = v_id WINDOW w AS (ORDER BY x.chunk_no)) AS c;
    IF p_entries <> v_entered OR v_listed <> v_entered OR NOT v_whole THEN
      v_outcome := 'INCOMPLETE';
    ELSE
      UPDATE draw d SET state = 'CLOSED', entries = p_entries, merkle_root = decode(p_root, 'hex') WHERE d.draw_id = v_id;
    END IF;
  ELSIF v_draw.entries IS DISTINCT FROM p_entries OR v_draw.merkle_root IS DISTINCT FROM decode(p_root, 'hex') THEN
    v_outcome := 'STATE';
  ELSE
    -- A repeat may be the way to find out whether it is sealed: the root is published then.
    PERFORM await_standby();
  END IF;
  RETURN QUERY SELECT v_outcome, v_draw.number, v_draw.state;
END
$$;

-- Computes the ranks of the next p_limit entries, in the order of their ids: HMAC-SHA256 of the id's 16 bytes, of whose key p_inner and
-- p_outer are the two blocks (RFC 2104; hexadecimal). SEEDED -> DRAWN after the last.
--
-- One row: DONE with how many were ranked, and whether all are (`drawn`), also if they were before; SKU_NOT_FOUND; NO_DRAW; STATE with
-- the draw whose state forbids it. Nothing is ranked while another worker does it: one at a time.
--
-- Locks the draw's row without waiting, and nothing else.
CREATE OR REPLACE FUNCTION tranche.rank_draw(p_sku_id text, p_number bigint, p_inner text, p_outer text, p_limit integer)
RETURNS TABLE (outcome text, number bigint, state text, ranked bigint, drawn boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
-- Only an index scan in order: without statistics PostgreSQL would read and sort all that follow.
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
  c_nil     constant uuid := '00000000-0000-0000-0000-000000000000'::uuid;
  v_inner   bytea := decode(p_inner, 'hex');
  v_outer   bytea := decode(p_outer, 'hex');
  v_outcome text;
  v_id      bigint;
  v_draw    draw%ROWTYPE;
  v_ids     uuid[];
  v_last    uuid;
  v_ranked  bigint := 0::bigint;
  v_drawn   boolean := false;
BEGIN
  IF octet_length(v_inner) <> 64 OR octet_length(v_outer) <> 64 OR p_limit NOT BETWEEN 1 AND 50000 THEN
    RAISE EXCEPTION 'a block has 64 bytes, and a call ranks 1 to 50,000 entries' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT f.outcome, f.draw_id INTO v_outcome, v_id FROM find_draw(p_sku_id, p_number) AS f;
  SELECT d.* INTO v_draw FROM draw d WHERE d.draw_id = v_id AND d.removed_at IS NULL FOR UPDATE SKIP LOCKED;
  IF v_draw.state = 'SEEDED' THEN
    v_last := coalesce(v_draw.ranked_to, c_nil);
    SELECT array_agg(p.entry_id ORDER BY p.entry_id) INTO v_ids
    FROM (SELECT e.entry_id FROM draw_entry e WHERE e.draw_id = v_id AND e.entry_id > v_last
          ORDER BY e.entry_id LIMIT p_limit) AS p;
    IF v_ids IS NOT NULL THEN
      v_ranked := cardinality(v_ids)::bigint;
      v_last := v_ids[cardinality(v_ids)];
      INSERT INTO draw_rank (draw_id, rank, entry_id)
      SELECT v_id, sha256(v_outer || sha256(v_inner || uuid_send(p.entry_id))), p.entry_id FROM unnest(v_ids) AS p (entry_id);
    END IF;
    v_drawn := NOT EXISTS (SELECT FROM draw_entry e WHERE e.draw_id = v_id AND e.entry_id > v_last);
    UPDATE draw d SET ranked_to = v_last, state = CASE WHEN v_drawn THEN 'DRAWN' ELSE d.state END WHERE d.draw_id = v_id;
  ELSIF v_draw.state IN ('DRAWN', 'FINISHED') THEN
    v_drawn := true;
  ELSIF v_draw.state IS NOT NULL THEN
    v_outcome := 'STATE';
  END IF;
  RETURN QUERY SELECT v_outcome, v_draw.number, v_draw.state, v_ranked, v_drawn;
END
$$;

-- Notes which awards of a draw were paid or have lapsed, and gives the free places to the next entries by rank: pending reservations
-- as any other, in this transaction. At most p_limit entries have their turn, those included that are passed over. DRAWN -> FINISHED
-- when all places are paid, or when no entry is left and none is pending.
--
-- One row: DONE with what book_awards says, how many places are free then, and whether entries are left, also if it is finished;
-- SKU_NOT_FOUND; NO_DRAW; STATE with the draw whose state forbids it. Several workers may do it side by side: one waits for the other,
-- and never are there more pending and paid awards than winners.
--
-- Locks: the draw's row; then those of claims and changes in the common order: the SKU's row, its pool slot, the buyers, reservations
-- in the order of buyers. Draws come before SKUs for everybody who locks both (give_up_copy); create_draw has the SKU's row and locks
-- no draw. From the SKU on the locks are those of confirm_late, which says why they close no cycle: whoever wants the pool slot has
-- the SKU's row, sales lock slots of nodes only, and who holds a buyer or a reservation wants neither our row nor the pool.
CREATE OR REPLACE FUNCTION tranche.award_draw(p_sku_id text, p_number bigint, p_limit integer)
RETURNS TABLE (outcome text, number bigint, state text, awarded integer, passed_over integer, open_places integer,
               entries_left boolean, waits_for text, finished boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
-- A worker has other draws to look after.
SET lock_timeout = '500ms'
AS $$
#variable_conflict use_column
DECLARE
  -- Of pending awards, for each call: each costs a look at its reservation.
  c_looks   constant integer := 10000;
  v_outcome text;
  v_id      bigint;
  v_draw    draw%ROWTYPE;
  v_open    integer := 0;
  v_awarded integer := 0;
  v_passed  integer := 0;
  v_waits   text := '';
  v_left    boolean := false;
BEGIN
  IF p_limit NOT BETWEEN 1 AND 1024 THEN
    RAISE EXCEPTION 'a call gives a turn to 1 to 1,024 entries' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT f.outcome, f.draw_id INTO v_outcome, v_id FROM find_draw(p_sku_id, p_number) AS f;
  SELECT d.* INTO v_draw FROM draw d WHERE d.draw_id = v_id AND d.removed_at IS NULL FOR UPDATE;
  IF NOT FOUND THEN
    v_outcome := CASE WHEN v_outcome = 'DONE' THEN 'NO_DRAW' ELSE v_outcome END;
  ELSIF v_draw.state = 'DRAWN' THEN
    PERFORM settle_awards(v_id, c_looks);
    SELECT d.* INTO v_draw FROM draw d WHERE d.draw_id = v_id;
    v_open := v_draw.winners - v_draw.pending - v_draw.confirmed;
    IF v_open > 0 THEN
      SELECT b.awarded, b.passed_over, b.waits_for INTO v_awarded, v_passed, v_waits
      FROM book_awards(v_id, p_limit) AS b;
      v_open := v_open - v_awarded;
      SELECT d.* INTO v_draw FROM draw d WHERE d.draw_id = v_id;
    END IF;
    v_left := EXISTS (SELECT FROM draw_rank r WHERE r.draw_id = v_id AND r.rank > coalesce(v_draw.cutoff, ''::bytea));
    IF v_draw.confirmed >= v_draw.winners OR (NOT v_left AND v_draw.pending = 0) THEN
      UPDATE draw d SET state = 'FINISHED', finished_at = clock_timestamp() WHERE d.draw_id = v_id;
      v_draw.state := 'FINISHED';
    END IF;
  ELSIF v_draw.state <> 'FINISHED' THEN
    v_outcome := 'STATE';
  END IF;
  RETURN QUERY
  SELECT v_outcome, v_draw.number, v_draw.state, v_awarded, v_passed, v_open, v_left, v_waits,
         coalesce(v_draw.state = 'FINISHED', false);
END
$$;

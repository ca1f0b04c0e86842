-- Takes a step with a draw: CLOSE, SEED (with p_seed, hexadecimal), FINISH, CANCEL or REMOVE. One row: DONE with the draw as it is then
-- (after REMOVE as it was); SKU_NOT_FOUND; NO_DRAW; STATE with the draw whose state forbids the step; SEED. A step that was taken
-- already changes and audits nothing; the removal of one that was removed, as long as its row is not purged.
--
-- A close waits for the entries that are under way, and has all of them in the list (pin_draws). A removed draw is seen by nobody from
-- this commit on; purge_draws deletes its rows, a few at a time.
--
-- Locks: the pin of the draw, then its row, and nothing else.
CREATE OR REPLACE FUNCTION tranche.change_draw(p_sku_id text, p_number bigint, p_step text, p_seed text, p_actor text)
RETURNS SETOF tranche.draw_told
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
-- Buyers who enter queue behind a close: rather fail, and be called again.
SET lock_timeout = '2s'
AS $$
DECLARE
  v_outcome text;
  v_id      bigint;
  v_before  draw%ROWTYPE;
  v_to      text;
  v_seed    bytea := CASE WHEN p_step = 'SEED' THEN decode(p_seed, 'hex') END;
  v_now     timestamptz;
BEGIN
  IF p_step NOT IN ('CLOSE', 'SEED', 'FINISH', 'CANCEL', 'REMOVE') THEN
    RAISE EXCEPTION 'no step %', p_step USING ERRCODE = 'invalid_parameter_value';
  ELSIF octet_length(v_seed) NOT BETWEEN 16 AND 64 THEN
    RAISE EXCEPTION 'a seed has 16 to 64 bytes' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT f.outcome, f.draw_id INTO v_outcome, v_id FROM find_draw(p_sku_id, p_number) AS f;
  IF p_step IN ('CLOSE', 'CANCEL') THEN
    PERFORM pin_draws(ARRAY[v_id], true, true) WHERE v_id IS NOT NULL;
  END IF;
  SELECT d.* INTO v_before FROM draw d WHERE d.draw_id = v_id AND d.removed_at IS NULL FOR UPDATE;
  IF NOT FOUND THEN
    v_outcome := CASE WHEN v_outcome = 'DONE' THEN 'NO_DRAW' ELSE v_outcome END;
    SELECT d.draw_id INTO v_id FROM draw d
    WHERE v_outcome = 'NO_DRAW' AND p_step = 'REMOVE'
      AND d.sku_id = p_sku_id AND d.number = p_number AND d.removed_at IS NOT NULL
    ORDER BY d.draw_id DESC LIMIT 1;
    IF v_id IS NOT NULL THEN
      PERFORM await_standby();
    END IF;
    RETURN QUERY
    SELECT CASE WHEN v_id IS NOT NULL THEN 'DONE' ELSE v_outcome END, d.*
    FROM (SELECT) AS one LEFT JOIN draw_fields d ON d.draw_id = v_id;
    RETURN;
  END IF;

  -- The state after the step; NULL if it must not be taken.
  v_to := CASE
            WHEN p_step = 'CLOSE' AND v_before.state = 'OPEN' THEN 'CLOSING'
            WHEN p_step = 'CLOSE' AND v_before.state <> 'CANCELLED' THEN v_before.state
            WHEN p_step = 'SEED' AND v_before.state = 'CLOSED' THEN 'SEEDED'
            WHEN p_step = 'SEED' AND v_before.state IN ('SEEDED', 'DRAWN', 'FINISHED') THEN v_before.state
            WHEN p_step = 'FINISH' AND v_before.state IN ('DRAWN', 'FINISHED') THEN 'FINISHED'
            WHEN p_step = 'CANCEL' AND v_before.state IN ('OPEN', 'CLOSING', 'CLOSED', 'SEEDED', 'CANCELLED') THEN 'CANCELLED'
            WHEN p_step = 'REMOVE' AND v_before.state IN ('FINISHED', 'CANCELLED') THEN v_before.state
          END;
  IF v_to IS NULL THEN
    v_outcome := 'STATE';
  ELSIF v_before.seed_commitment <> sha256(v_seed) THEN
    v_outcome := 'SEED';
  ELSIF v_before.seed <> v_seed THEN
    -- A public value does not change.
    v_outcome := 'STATE';
  ELSIF v_to <> v_before.state OR p_step = 'REMOVE' THEN
    v_now := clock_timestamp();
    UPDATE draw d
    SET state = v_to,
        closed_at = CASE WHEN p_step = 'CLOSE' THEN v_now ELSE d.closed_at END,
        seed = CASE WHEN p_step = 'SEED' THEN v_seed ELSE d.seed END,
        seeded_at = CASE WHEN p_step = 'SEED' THEN v_now ELSE d.seeded_at END,
        finished_at = CASE WHEN p_step IN ('FINISH', 'CANCEL') THEN v_now ELSE d.finished_at END,
        removed_at = CASE WHEN p_step = 'REMOVE' THEN v_now END
    WHERE d.draw_id = v_id;
    INSERT INTO audit_log (actor, action, sku_id, before, after)
    VALUES (p_actor,
            CASE WHEN p_step = 'CLOSE' THEN 'close_draw' WHEN p_step = 'SEED' THEN 'seed_draw'
                 WHEN p_step = 'FINISH' THEN 'finish_draw' WHEN p_step = 'CANCEL' THEN 'cancel_draw' ELSE 'remove_draw' END,
            p_sku_id, jsonb_build_object('draw', v_before.number, 'state', v_before.state),
            jsonb_strip_nulls(jsonb_build_object('draw', v_before.number,
                                                 'state', CASE WHEN p_step <> 'REMOVE' THEN v_to END,
                                                 'seed', encode(v_seed, 'hex'))));
  ELSE
    -- A repeat is the way to find out whether the step was taken.
    PERFORM await_standby();
  END IF;
  RETURN QUERY SELECT v_outcome, d.* FROM draw_fields d WHERE d.draw_id = v_id;
END
$$;

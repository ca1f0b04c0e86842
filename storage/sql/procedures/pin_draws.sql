-- Keeps draws from closing until the transaction ends: a close waits for all entries that are under way. p_exclusive: the side of the
-- close, or of who calls the draw off; it waits for everybody who has pinned the draw, and everybody who comes later waits for it.
-- Returns which are pinned: all, or, of one that others pin exclusively, without p_wait none.
--
-- An advisory lock, not a lock of the row: shared locks of a row are given while an exclusive one is waited for, so a draw that is
-- entered all the time would never close. Here who comes later queues behind the close.
--
-- For other procedures, which lock nothing before, save pins of SKUs: nobody who has pinned a draw waits for one of those. Draws are
-- locked ascending, so there is no cycle.
CREATE OR REPLACE FUNCTION tranche.pin_draws(p_draws bigint[], p_exclusive boolean, p_wait boolean)
RETURNS bigint[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  -- Beside that of pin_skus, in the same keyspace.
  c_class  constant integer := 1414418244;
  v_draw   bigint;
  v_key    integer;
  v_pinned bigint[] := '{}'::bigint[];
BEGIN
  FOR v_draw IN SELECT DISTINCT d AS draw_id FROM unnest(p_draws) AS d ORDER BY draw_id LOOP
    v_key := (v_draw % 2147483647)::integer;
    IF p_exclusive THEN
      PERFORM pg_advisory_xact_lock(c_class, v_key);
    ELSIF p_wait THEN
      PERFORM pg_advisory_xact_lock_shared(c_class, v_key);
    ELSIF NOT pg_try_advisory_xact_lock_shared(c_class, v_key) THEN
      CONTINUE;
    END IF;
    v_pinned := v_pinned || v_draw;
  END LOOP;
  RETURN v_pinned;
END
$$;

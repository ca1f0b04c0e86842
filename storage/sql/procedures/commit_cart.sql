-- Commits a buyer's cart for one incarnation: all lines, or none. Lines of one SKU count together.
--
-- Returns whether it is committed, and what commit_reservations says about each line. Committed means that all lines
-- are CREATED, or that all are REPLAYED. Otherwise nothing has happened, and each line has its own outcome: CREATED,
-- with NULL for the reservation, if this line was not the obstacle. Without p_wait, lines whose slots are locked are
-- BUSY, and nothing is decided about the cart. NULL: wait for as long as the session waits, as servers from before
-- p_wait expect.
--
-- The block rolls back to its own start: one subtransaction per call, whatever the cart. With p_wait it waits for slots,
-- all of them in (sku, slot) order, so that carts that share SKUs close no cycle, whatever the order of their lines.
CREATE OR REPLACE FUNCTION tranche.commit_cart(p_incarnation bigint, p_ids uuid[], p_skus text[], p_users text[],
                                               p_quantities integer[], p_references text[] DEFAULT NULL,
                                               p_wait boolean DEFAULT NULL)
RETURNS SETOF tranche.cart_answer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_committed boolean;
  v_lines     jsonb;
BEGIN
  -- Who says whether to wait has few threads, and goes on without waiting after this. Servers of before do not.
  IF p_wait THEN
    PERFORM set_config('lock_timeout', '200ms', true);
  END IF;
  BEGIN
    SELECT coalesce(bool_and(c.outcome = 'CREATED') OR bool_and(c.outcome = 'REPLAYED'), false), jsonb_agg(c)
    INTO v_committed, v_lines
    FROM commit_reservations(p_incarnation, nullif(coalesce(p_wait, true), false), p_ids, p_skus, p_users, p_quantities, p_references,
                             '{}'::uuid[]) AS c;
    IF NOT v_committed THEN
      RAISE EXCEPTION 'not all lines' USING ERRCODE = 'TR005';
    END IF;
  EXCEPTION WHEN SQLSTATE 'TR005' THEN
    NULL;
  END;
  RETURN QUERY
  SELECT v_committed, l.*
  FROM jsonb_array_elements(v_lines) AS x (line),
       jsonb_populate_record(NULL::claim_answer,
                             CASE WHEN v_committed OR x.line->>'outcome' <> 'CREATED' THEN x.line
                                  ELSE jsonb_build_object('idx', x.line->'idx', 'outcome', 'CREATED') END) AS l;
END
$$;

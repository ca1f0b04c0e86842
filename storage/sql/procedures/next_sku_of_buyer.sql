-- The first SKU from p_from on that a buyer has reservations of; sku_id is NULL if there is none. Not every SKU is looked
-- into: an index finds those with reservations that are paid or have lapsed, and only SKUs with unpaid holds, of whomever,
-- are looked into for the buyer's. Without p_held, holds do not count.
--
-- At most p_looks SKUs are looked into; `looks` are left. When none are left, sku_id is where to go on, and has_some is
-- false: the buyer need not have anything there.
CREATE OR REPLACE FUNCTION tranche.next_sku_of_buyer(
  p_user text, p_from text, p_held boolean, p_looks integer, OUT sku_id text, OUT has_some boolean, OUT looks integer
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
AS $$
DECLARE
  v_finished text;
  v_held     text := CASE WHEN p_held THEN p_from END;
BEGIN
  has_some := false;
  looks := p_looks;
  SELECT r.sku_id INTO v_finished
  FROM reservation r
  WHERE r.user_id = p_user AND r.finished_at IS NOT NULL AND r.sku_id >= p_from
  ORDER BY r.sku_id
  LIMIT 1;
  LOOP
    -- Written as reservation_pending has it, so that nothing else can serve this.
    SELECT r.sku_id || '' INTO v_held
    FROM reservation r
    WHERE r.finished_at IS NULL AND r.sku_id || '' >= v_held
    ORDER BY r.sku_id || ''
    LIMIT 1;
    sku_id := least(v_held COLLATE "C", v_finished);
    EXIT WHEN sku_id IS NULL OR looks = 0;
    looks := looks - 1;
    has_some := sku_id IS NOT DISTINCT FROM v_finished
      OR EXISTS (SELECT FROM reservation r WHERE r.sku_id = v_held AND r.user_id = p_user
                                             AND r.state IN ('PENDING', 'CONFIRMED') OFFSET 0);
    EXIT WHEN has_some;
    -- A space sorts before every character of an id.
    v_held := v_held || ' ';
  END LOOP;
END
$$;

-- For expire_groups: locks groups of due_groups, with the rows and the pool slots of their SKUs. Returns which; NULL for none. As many as
-- together have p_limit paid members, where one without any counts as one, or one more.
--
-- The SKU of the group that is overdue for longest is waited for, but only for a moment (see await_pool): whoever only ever skips what is
-- locked may never get a row that one short transaction after the other locks. Groups of SKUs that others have locked are passed over, so
-- that the lock stops those only.
--
-- Locks: that SKU's row and pool slot; then, without waiting, those of the others, and the groups, FOR UPDATE: a join that is under way has
-- its group FOR KEY SHARE, so the hold that it adds is seen by the call that gets the lock. It waits for nobody while it holds a lock, so
-- it is part of no cycle. While it has a SKU's row, the SKU stays on this shard: so it needs no pin.
CREATE OR REPLACE FUNCTION tranche.lock_due_groups(p_now timestamptz, p_limit integer)
RETURNS uuid[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_sku      text := (SELECT d.sku_id FROM due_groups(p_now, '{}'::text[], 1) AS d LIMIT 1);
  v_free     text[] := '{}'::text[];  -- SKUs that we have locked
  v_locked   text[] := '{}'::text[];  -- SKUs that others have
  v_ids      uuid[];
  v_ids_skus text[];
  v_skus     text[];
  v_got      text[];
BEGIN
  IF v_sku IS NULL THEN
    RETURN NULL;
  ELSIF await_pool(v_sku) THEN
    v_free := ARRAY[v_sku];
  ELSE
    v_locked := ARRAY[v_sku];
  END IF;
  -- One round, or two if there are other SKUs; others if something is locked.
  FOR v_round IN 1..10 LOOP
    SELECT array_agg(d.group_id), array_agg(d.sku_id) INTO v_ids, v_ids_skus
    FROM (SELECT x.group_id, x.sku_id,
                 sum(greatest(1, x.paid)) OVER (ORDER BY x.nth) - greatest(1, x.paid) AS before
          FROM due_groups(p_now, v_locked, p_limit) WITH ORDINALITY AS x (group_id, sku_id, paid, nth)) AS d
    WHERE d.before < p_limit;
    SELECT array_agg(DISTINCT s) INTO v_skus FROM unnest(v_ids_skus) AS s WHERE s <> ALL (v_free);
    EXIT WHEN v_skus IS NULL;
    SELECT array_agg(l.sku_id) INTO v_got
    FROM (SELECT s.sku_id::text FROM sku s
          WHERE s.sku_id = ANY (v_skus) AND s.whereabouts = 'HERE'
          ORDER BY s.sku_id FOR UPDATE SKIP LOCKED) AS l;
    SELECT array_agg(l.sku_id) INTO v_got
    FROM (SELECT sl.sku_id::text FROM stock_slot sl
          WHERE sl.sku_id = ANY (v_got) AND sl.slot_no = 0
          ORDER BY sl.sku_id FOR UPDATE SKIP LOCKED) AS l;
    v_free := v_free || v_got;
    EXIT WHEN v_skus <@ v_free;
    SELECT v_locked || array_agg(s) INTO v_locked FROM unnest(v_skus) AS s WHERE s <> ALL (v_free);
  END LOOP;
  -- It may have changed since: one that does not form any more, and is settled, is nobody's concern.
  SELECT array_agg(l.group_id) INTO v_ids
  FROM (SELECT g.group_id FROM group_buy g
        WHERE g.group_id = ANY (v_ids) AND g.sku_id = ANY (v_free) AND (g.state = 'FORMING' OR g.unsettled)
        FOR UPDATE SKIP LOCKED) AS l;
  RETURN v_ids;
END
$$;

-- move_units for many SKUs in one transaction and one round trip; each SKU is moved or refused by itself. Delta i is of
-- the SKU p_skus[p_delta_skus[i]].
--
-- Returns a row per SKU, ascending by id: whether it was MOVED, is NOT_FOUND or has another VERSION than the expected
-- one, and read_quotas of it after the whole batch. NULL in its columns if there is no such SKU.
--
-- Locks in one order: all incarnations of the batch, ascending; then SKU after SKU, ascending, its row before its
-- slots, by slot number. Why no cycle with anybody else results:
--   commit_reservations  locks no SKU row and no incarnation; slots in (sku, slot) order, all of them before it waits for
--                        anything else. So a commit that holds what a batch wants waits for slots above it, or for other
--                        commits that have all their slots.
--   add_stock, reduce_stock, close_sku, reopen_sku, set_quota_frozen, set_sku_paused, update_sku
--                        lock one SKU's row and then its slots: this order, cut to one SKU.
--   cancel_reservations, confirm_late
--                        lock SKUs' rows, ascending, before any slot, and before rows of SKUs only pins, which nobody waits
--                        for who holds a row. The slots that they want are pools, guarded by rows that they hold by then,
--                        and for confirm_late those of one SKU, locked otherwise by commits.
--   expire_due           waits for no lock while it holds one.
--   set_draining         locks one incarnation and nothing else.
--   reclaim_incarnation  locks its incarnation, then all its SKUs' rows, ascending, and only then their slots: so it may
--                        take row b before the slots of a, where this takes them after. It does no harm. The slots that it
--                        wants are pools, guarded by rows that it holds by then, and its own incarnation's: these are
--                        locked by commits of that incarnation, and otherwise by those who hold the SKU's row. A commit
--                        that it waits for can thus wait for another commit, never for a batch.
-- Batches and moves among themselves follow that order. The incarnations are locked first, for all SKUs: if they were
-- locked SKU by SKU, we would already hold rows that the reclaim of the incarnation wants.
CREATE OR REPLACE FUNCTION tranche.move_units_batch(
  p_skus text[], p_expected_versions bigint[], p_delta_skus integer[], p_holders bigint[], p_deltas bigint[],
  p_actor text
)
RETURNS TABLE (outcome text, sku_id text, title text, price_minor bigint, currency text, stock bigint,
               per_user_limit integer, hold_seconds integer, opens_us bigint, closes_us bigint, closed boolean,
               slots_per_slice integer, unsold bigint, quota_version bigint, holds_may_lapse boolean, presplit boolean,
               quota_frozen boolean, holders bigint[], allotted bigint[], remaining bigint[], versions bigint[],
               max_extensions integer, max_hold_seconds integer, paused boolean, pause_reason text, terms_version bigint,
               claim_path text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  v_skus     text[] := '{}'::text[];
  v_outcomes text[] := '{}'::text[];
  v_moved    boolean;
  v_move     record;
BEGIN
  IF cardinality(p_skus) > 64 OR (SELECT count(DISTINCT s) FROM unnest(p_skus) AS s) <> cardinality(p_skus) THEN
    RAISE EXCEPTION 'SKUs of a batch must be distinct, and 64 at most' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM FROM incarnation i
  WHERE i.incarnation_id = ANY (p_holders) AND i.reclaimed_at IS NULL
  ORDER BY i.incarnation_id FOR SHARE;

  FOR v_move IN
    SELECT m.sku_id, m.expected, d.holders, d.deltas
    FROM unnest(p_skus, p_expected_versions) WITH ORDINALITY AS m (sku_id, expected, nth)
    LEFT JOIN (SELECT x.nth, array_agg(x.holder ORDER BY x.idx) AS holders, array_agg(x.units ORDER BY x.idx) AS deltas
               FROM unnest(p_delta_skus, p_holders, p_deltas) WITH ORDINALITY AS x (nth, holder, units, idx)
               GROUP BY x.nth) AS d ON d.nth = m.nth
    ORDER BY m.sku_id COLLATE "C"
  LOOP
    v_moved := move_units(v_move.sku_id, coalesce(v_move.holders, '{}'), coalesce(v_move.deltas, '{}'),
                          v_move.expected, p_actor);
    v_skus := v_skus || v_move.sku_id;
    v_outcomes := v_outcomes || CASE WHEN v_moved THEN 'MOVED' WHEN v_moved IS NULL THEN 'NOT_FOUND' ELSE 'VERSION' END;
  END LOOP;

  RETURN QUERY
  SELECT o.outcome, o.sku_id, q.title, q.price_minor, q.currency, q.stock, q.per_user_limit, q.hold_seconds, q.opens_us,
         q.closes_us, q.closed, q.slots_per_slice, q.unsold, q.quota_version, q.holds_may_lapse, q.presplit,
         q.quota_frozen, q.holders, q.allotted, q.remaining, q.versions, q.max_extensions, q.max_hold_seconds,
         q.paused, q.pause_reason, q.terms_version, q.claim_path
  FROM unnest(v_outcomes, v_skus) WITH ORDINALITY AS o (outcome, sku_id, nth)
  LEFT JOIN read_quotas(v_skus) AS q ON q.sku_id = o.sku_id
  ORDER BY o.nth;
END
$$;

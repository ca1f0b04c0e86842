-- Moves units of one SKU from its pool to the slice of an incarnation that has run dry: at least p_wanted, or none. It
-- gets a lot, if that is more: the pool divided by twice the number of live incarnations. So nodes that run dry together
-- all find something, and a node does not come back for each buyer.
--
-- Nothing is taken while the SKU is closed, frozen or on its way to another shard, nor by an incarnation that drains or
-- has ended.
--
-- Returns how many were taken, whether the incarnation has ended, its slice, and the SKU as list_skus does: all as of
-- afterwards. No row if the SKU is not on this shard. An incarnation that is not known here has not ended: a shard hears
-- of a new one a moment after home.
--
-- If the pool has too few units, it locks nothing: nodes that find it empty are in nobody's way. Otherwise it locks in
-- the order of move_units, cut to one incarnation: the incarnation, the SKU, its slots. The pool changes only while its
-- SKU's row is locked.
CREATE OR REPLACE FUNCTION tranche.take_from_pool(p_sku_id text, p_incarnation bigint, p_wanted bigint)
RETURNS TABLE (sku_id text, title text, price_minor bigint, currency text, stock bigint, per_user_limit integer,
               hold_seconds integer, opens_us bigint, closes_us bigint, closed boolean, slots_per_slice integer,
               unsold bigint, quota_version bigint, holds_may_lapse boolean, presplit boolean, quota_frozen boolean,
               max_extensions integer, max_hold_seconds integer,
               taken bigint, ended boolean, slice_allotted bigint, slice_remaining bigint, slice_version bigint,
               paused boolean, pause_reason text, terms_version bigint, claim_path text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
-- Callers have other SKUs to ask for, on few threads.
SET lock_timeout = '250ms'
AS $$
#variable_conflict use_column
DECLARE
  v_pool  bigint;
  v_taken bigint := 0::bigint;
BEGIN
  IF p_wanted < 1 THEN
    RAISE EXCEPTION 'units must be at least 1' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT sl.remaining INTO v_pool FROM stock_slot sl WHERE sl.sku_id = p_sku_id AND sl.slot_no = 0;
  IF v_pool >= p_wanted THEN
    -- Two statements: each keeps its rows as they are from then on.
    PERFORM FROM incarnation i
    WHERE i.incarnation_id = p_incarnation AND i.reclaimed_at IS NULL AND NOT i.draining FOR SHARE;
    IF FOUND THEN
      PERFORM FROM sku s
      WHERE s.sku_id = p_sku_id AND s.state = 'OPEN' AND NOT s.quota_frozen AND s.whereabouts = 'HERE' FOR UPDATE;
    END IF;
    IF FOUND THEN
      SELECT sl.remaining INTO v_pool FROM stock_slot sl WHERE sl.sku_id = p_sku_id AND sl.slot_no = 0;
      IF v_pool >= p_wanted THEN
        v_taken := greatest(p_wanted, v_pool / (2 * (SELECT count(*) FROM incarnation i WHERE i.reclaimed_at IS NULL)));
        PERFORM move_units(p_sku_id, ARRAY[p_incarnation], ARRAY[v_taken], NULL, '');
      END IF;
    END IF;
  END IF;

  RETURN QUERY
  SELECT s.sku_id, s.title, s.price_minor, s.currency, s.stock, s.per_user_limit, s.hold_seconds, s.opens_us, s.closes_us,
         s.closed, s.slots_per_slice, s.unsold, s.quota_version, s.holds_may_lapse, s.presplit, s.quota_frozen,
         s.max_extensions, s.max_hold_seconds,
         v_taken, EXISTS (SELECT FROM incarnation i WHERE i.incarnation_id = p_incarnation AND i.reclaimed_at IS NOT NULL),
         coalesce(h.allotted, 0), coalesce(h.remaining, 0), coalesce(h.version, 0),
         s.paused, s.pause_reason, s.terms_version, s.claim_path
  FROM sku_state s
  CROSS JOIN LATERAL (
    SELECT sum(sl.allotted)::bigint AS allotted, sum(sl.remaining)::bigint AS remaining, max(sl.version) AS version
    FROM stock_slot sl WHERE sl.sku_id = s.sku_id AND sl.holder = p_incarnation) AS h
  WHERE s.sku_id = p_sku_id;
END
$$;

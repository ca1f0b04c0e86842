-- Books units again for a lapsed reservation that was paid late: a new reservation, confirmed at once. Returns its id,
-- or NULL if that is impossible: the SKU is closed or paused, too few units are unsold, or the buyer's limit is reached, or
-- cannot be judged: retention has removed confirmed reservations of the SKU, which may have been this buyer's. Or the SKU has a
-- draw that is not over: then its units are for those whose turn it is, and the place of a winner who paid late goes to the next.
--
-- For confirm_late, which has locked the SKU's row and explains why the locks here close no cycle.
CREATE OR REPLACE FUNCTION tranche.rebook_reservation(p_old tranche.reservation, p_sku tranche.sku, p_reference text,
                                                      p_trace text DEFAULT NULL)
RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_id    uuid := gen_random_uuid();
  v_slots integer[];
  v_now   timestamptz;
BEGIN
  IF p_sku.state <> 'OPEN' OR p_sku.paused
     OR EXISTS (SELECT FROM draw d WHERE d.sku_id = p_sku.sku_id AND d.finished_at IS NULL) THEN
    RETURN NULL;
  END IF;
  -- Before any lock: a buyer whose limit is used up should block no sale. Checked again below.
  IF (SELECT coalesce(sum(r.quantity), 0) FROM reservation r
      WHERE r.sku_id = p_old.sku_id AND r.user_id = p_old.user_id AND r.state IN ('PENDING', 'CONFIRMED'))
     + p_old.quantity > p_sku.per_user_limit
     OR EXISTS (SELECT FROM retired_units u WHERE u.sku_id = p_old.sku_id AND u.live_units > 0) THEN
    RETURN NULL;
  END IF;
  v_slots := lock_units(p_sku.sku_id, p_old.quantity);
  IF v_slots IS NULL THEN
    RETURN NULL;
  END IF;

  IF coalesce(p_sku.highest_limit, p_sku.per_user_limit) > 1 THEN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_old.user_id, hashtextextended(p_sku.sku_id, 0)));
  END IF;
  v_now := clock_timestamp();
  INSERT INTO reservation (reservation_id, sku_id, user_id, quantity, ordinal, amount_minor, currency, incarnation_id,
                           created_at, expires_at, rebooked_from, order_reference)
  SELECT v_id, p_old.sku_id, p_old.user_id, p_old.quantity,
         (SELECT min(g) FROM generate_series(1, p_sku.per_user_limit) AS g WHERE g <> ALL (live.ordinals)),
         p_old.amount_minor, p_old.currency, 0, v_now, v_now + make_interval(secs => p_sku.hold_seconds),
         p_old.reservation_id, p_old.order_reference
  FROM (SELECT coalesce(sum(r.quantity), 0) AS units, coalesce(array_agg(r.ordinal), '{}') AS ordinals
        FROM reservation r
        WHERE r.sku_id = p_old.sku_id AND r.user_id = p_old.user_id AND r.state IN ('PENDING', 'CONFIRMED')) AS live
  WHERE live.units + p_old.quantity <= p_sku.per_user_limit
    -- In the same snapshot as the sum: what is retired leaves the one and comes into the other.
    AND NOT EXISTS (SELECT FROM retired_units u WHERE u.sku_id = p_old.sku_id AND u.live_units > 0)
  ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;

  PERFORM take_units(p_sku.sku_id, p_old.quantity, v_slots);
  -- It must be announced again: a slice may have become smaller.
  UPDATE sku SET units_returned = true WHERE sku_id = p_sku.sku_id;
  WITH confirmed AS (
    UPDATE reservation r
    SET state = 'CONFIRMED', payment_reference = p_reference, finished_at = v_now, revision = r.revision + 1
    WHERE r.reservation_id = v_id
    RETURNING r AS changed
  ), batch AS (
    SELECT array_agg(c.changed) AS changed FROM confirmed c
  )
  SELECT (b.changed[1]).reservation_id INTO v_id
  FROM batch b, write_outbox('reservation.rebooked', b.changed, v_now, p_traces => ARRAY[p_trace]);
  RETURN v_id;
END
$$;

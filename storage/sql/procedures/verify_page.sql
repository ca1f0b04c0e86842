-- Recomputes the invariants of a range of SKUs from scratch, in one snapshot: of the SKU p_sku_id, or, if that is '', of the
-- first p_limit SKUs after p_after. Rows of no SKU belong to the range by their sku_id. Returns at most 1000 violations, and
-- always a last row with rule NULL: its detail is '<SKUs checked> <reservations checked> <SKUs left>', and its sku_id the
-- last SKU of the range, from which the next page goes on, or NULL if nothing is left. Rules about single reservations
-- name their ids.
--
-- A SKU that is GONE or ARRIVING is checked on another shard. Retired reservations count with the sums that are left of
-- them.
--
-- Each call plans anew, since a range of few SKUs wants the indexes, and the whole ledger one pass over it. No index has
-- all reservations of a SKU; the live ones have one, and the lapsed ones another. Callers give it a statement timeout of
-- its own: a SKU with 5,000,000 reservations takes two and a half minutes beside a sale.
CREATE OR REPLACE FUNCTION tranche.verify_page(p_sku_id text, p_after text, p_limit integer)
RETURNS TABLE (rule text, sku_id text, detail text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
  v_first text := p_sku_id;
  v_last text := p_sku_id;
  v_left bigint := 0::bigint;
BEGIN
  IF p_sku_id = '' THEN
    -- Above p_after and below all longer ids that begin with it.
    v_first := p_after || E'\x01';
    SELECT s.sku_id INTO v_last FROM sku s WHERE s.sku_id > p_after ORDER BY s.sku_id OFFSET p_limit - 1 LIMIT 1;
    IF v_last IS NOT NULL THEN
      SELECT count(*) INTO v_left FROM sku s WHERE s.sku_id > v_last;
    END IF;
    IF v_left = 0 THEN
      -- The last page. No UTF-8 text is above this one.
      v_last := chr(1114111);
    END IF;
  END IF;

  RETURN QUERY
  WITH elsewhere AS (
    SELECT s.sku_id FROM sku s WHERE s.whereabouts IN ('GONE', 'ARRIVING')
  ), skus AS (
    -- What buyers have from before the limit was lowered, they keep.
    SELECT s.*, coalesce(s.highest_limit, s.per_user_limit) AS buyer_limit
    FROM sku s WHERE s.sku_id BETWEEN v_first AND v_last AND s.whereabouts IN ('HERE', 'LEAVING')
  ), slots AS (
    SELECT sl.* FROM stock_slot sl
    WHERE sl.sku_id BETWEEN v_first AND v_last AND sl.sku_id NOT IN (SELECT e.sku_id FROM elsewhere e)
  ), reservations AS NOT MATERIALIZED (
    SELECT r.* FROM reservation r
    WHERE r.state IN ('PENDING', 'CONFIRMED')
      AND r.sku_id BETWEEN v_first AND v_last AND r.sku_id NOT IN (SELECT e.sku_id FROM elsewhere e)
    UNION ALL
    SELECT r.* FROM reservation r
    WHERE r.state IN ('CANCELLED', 'EXPIRED')
      AND r.sku_id BETWEEN v_first AND v_last AND r.sku_id NOT IN (SELECT e.sku_id FROM elsewhere e)
  ), rebooked AS (
    -- Few of them: all other tables are looked up by their primary keys. A join by SKU would compare each payment with
    -- all reservations of its SKU.
    SELECT r.* FROM reservations r WHERE r.rebooked_from IS NOT NULL
  ), payments AS (
    SELECT p.* FROM late_payment p
    WHERE p.sku_id BETWEEN v_first AND v_last AND p.sku_id NOT IN (SELECT e.sku_id FROM elsewhere e)
  ), messages AS NOT MATERIALIZED (
    SELECT o.* FROM outbox o
    WHERE o.sku_id BETWEEN v_first AND v_last AND o.sku_id NOT IN (SELECT e.sku_id FROM elsewhere e)
  ), retired AS (
    SELECT u.* FROM retired_units u
    WHERE u.sku_id BETWEEN v_first AND v_last AND u.sku_id NOT IN (SELECT e.sku_id FROM elsewhere e)
  ), present AS (
    SELECT r.sku_id, r.incarnation_id, sum(r.quantity) AS units,
           coalesce(sum(r.quantity) FILTER (WHERE r.state IN ('PENDING', 'CONFIRMED')), 0) AS live_units,
           count(*) AS reservations
    FROM reservations r GROUP BY r.sku_id, r.incarnation_id
  ), sold AS (
    SELECT x.sku_id, x.incarnation_id, sum(x.units) AS units, sum(x.live_units) AS live_units
    FROM (SELECT p.sku_id, p.incarnation_id, p.units, p.live_units FROM present p
          UNION ALL SELECT u.sku_id, u.incarnation_id, u.units, u.live_units FROM retired u) AS x
    GROUP BY x.sku_id, x.incarnation_id
  ), violations AS (
    SELECT 'conservation' AS rule, s.sku_id,
           format('stock %s <> unsold %s + reserved %s', s.stock, coalesce(u.units, 0), coalesce(l.units, 0)) AS detail
    FROM skus s
    LEFT JOIN (SELECT sl.sku_id, sum(sl.remaining) AS units FROM slots sl GROUP BY sl.sku_id) u ON u.sku_id = s.sku_id
    LEFT JOIN (SELECT so.sku_id, sum(so.live_units) AS units FROM sold so GROUP BY so.sku_id) l ON l.sku_id = s.sku_id
    WHERE s.stock <> coalesce(u.units, 0) + coalesce(l.units, 0)
    UNION ALL
    SELECT 'slice_spent', sl.sku_id,
           format('incarnation %s: allotted - remaining = %s, reservations %s', sl.holder, sl.spent,
                  coalesce(so.units, 0))
    FROM (SELECT x.sku_id, x.holder, sum(x.allotted - x.remaining) AS spent FROM slots x
          WHERE x.holder IS NOT NULL GROUP BY x.sku_id, x.holder) AS sl
    LEFT JOIN sold so ON so.sku_id = sl.sku_id AND so.incarnation_id = sl.holder
    WHERE sl.spent <> coalesce(so.units, 0)
    UNION ALL
    SELECT 'pool_slot', s.sku_id, 'no pool slot' FROM skus s
    WHERE NOT EXISTS (SELECT FROM slots sl WHERE sl.sku_id = s.sku_id AND sl.slot_no = 0)
    UNION ALL
    SELECT 'pool_waiting', s.sku_id, format('the flag says %s, the pool has %s', s.pool_waiting, sl.remaining)
    FROM skus s JOIN slots sl ON sl.sku_id = s.sku_id AND sl.slot_no = 0 WHERE s.pool_waiting <> (sl.remaining > 0)
    UNION ALL
    SELECT 'slot_sku', sl.sku_id, format('slot %s of no SKU', sl.slot_no) FROM slots sl
    WHERE NOT EXISTS (SELECT FROM sku s WHERE s.sku_id = sl.sku_id)
    UNION ALL
    SELECT 'live_holder', sl.sku_id, format('slot %s held by ended incarnation %s', sl.slot_no, sl.holder) FROM slots sl
    LEFT JOIN incarnation i ON i.incarnation_id = sl.holder
    WHERE sl.holder IS NOT NULL AND (i.incarnation_id IS NULL OR i.reclaimed_at IS NOT NULL)
    UNION ALL
    SELECT 'slot_version', sl.sku_id, format('slot %s has version %s above %s', sl.slot_no, sl.version, s.quota_version)
    FROM slots sl JOIN skus s ON s.sku_id = sl.sku_id WHERE sl.version > s.quota_version
    UNION ALL
    SELECT 'reservation_sku', p.sku_id, format('%s reservations of no SKU', sum(p.reservations)) FROM present p
    WHERE NOT EXISTS (SELECT FROM sku s WHERE s.sku_id = p.sku_id) GROUP BY p.sku_id
    UNION ALL
    -- One pass for all rules about buyers.
    SELECT x.rule, b.sku_id, x.detail
    FROM (SELECT r.sku_id, r.user_id, s.buyer_limit AS per_user_limit, sum(r.quantity) AS units, count(*) AS live,
                 count(DISTINCT r.ordinal) AS ordinals, max(r.ordinal) AS ordinal,
                 (array_agg(r.reservation_id ORDER BY r.ordinal))[1:20] AS ids
          FROM reservations r JOIN skus s ON s.sku_id = r.sku_id
          WHERE r.state IN ('PENDING', 'CONFIRMED')
          GROUP BY r.sku_id, r.user_id, s.buyer_limit
          HAVING sum(r.quantity) > s.buyer_limit OR max(r.ordinal) > s.buyer_limit
              OR count(DISTINCT r.ordinal) < count(*)) AS b
    CROSS JOIN LATERAL (
      VALUES ('user_limit', b.units > b.per_user_limit,
              format('user %s has %s units, limit %s: %s', b.user_id, b.units, b.per_user_limit,
                     array_to_string(b.ids, ' '))),
             ('live_ordinal', b.ordinal > b.per_user_limit OR b.ordinals < b.live,
              format('user %s has %s live reservations with %s ordinals up to %s, limit %s: %s', b.user_id, b.live,
                     b.ordinals, b.ordinal, b.per_user_limit, array_to_string(b.ids, ' ')))
    ) AS x (rule, violated, detail)
    WHERE x.violated
    UNION ALL
    -- One pass for all rules about single reservations.
    SELECT x.rule, r.sku_id, x.detail
    FROM reservations r
    CROSS JOIN LATERAL (
      VALUES ('confirmed_payment', r.state = 'CONFIRMED' AND (r.payment_reference IS NULL OR r.finished_at IS NULL),
              format('%s is CONFIRMED without payment reference or time', r.reservation_id)),
             ('finished_at', (r.state = 'PENDING') <> (r.finished_at IS NULL) OR r.finished_at < r.created_at,
              format('%s is %s, made at %s, finished at %s', r.reservation_id, r.state, r.created_at,
                     coalesce(r.finished_at::text, 'no time')))
    ) AS x (rule, violated, detail)
    WHERE x.violated
    UNION ALL
    -- No reservation is retired within its first day, nor dropped without adding to a sum.
    SELECT 'late_rebooked', p.sku_id,
           format('%s paid by %s was rebooked as %s, which is %s', p.reservation_id, p.payment_reference, p.rebooked_as,
                  CASE WHEN n.reservation_id IS NULL THEN 'not there'
                       ELSE format('%s by %s, rebooked from %s', n.state, coalesce(n.payment_reference, 'nothing'),
                                   coalesce(n.rebooked_from::text, 'none')) END)
    FROM payments p
    LEFT JOIN LATERAL (SELECT r.reservation_id, r.state, r.payment_reference, r.rebooked_from
                       FROM reservation r WHERE r.reservation_id = p.rebooked_as
                       UNION ALL
                       SELECT a.reservation_id, a.state, a.payment_reference, a.rebooked_from
                       FROM reservation_archive a WHERE a.reservation_id = p.rebooked_as
                       LIMIT 1) AS n ON true
    WHERE p.outcome = 'REBOOKED'
      AND CASE WHEN n.reservation_id IS NULL
               THEN p.received_at > now() - interval '1 day'
                    OR NOT EXISTS (SELECT FROM retired u WHERE u.sku_id = p.sku_id AND u.live_units > 0)
               ELSE n.state <> 'CONFIRMED' OR n.payment_reference IS DISTINCT FROM p.payment_reference
                    OR n.rebooked_from IS DISTINCT FROM p.reservation_id END
    UNION ALL
    SELECT 'late_unfulfilled', p.sku_id,
           format('%s paid by %s counts as unfulfilled, but confirmed %s', p.reservation_id, p.payment_reference,
                  p.confirmed)
    FROM (SELECT p.*, r.reservation_id AS confirmed
          FROM payments p
          JOIN reservation r ON r.reservation_id = p.reservation_id AND r.state = 'CONFIRMED'
                            AND r.payment_reference = p.payment_reference
          UNION ALL
          SELECT p.*, r.reservation_id
          FROM rebooked r
          JOIN late_payment p ON p.reservation_id = r.rebooked_from AND p.payment_reference = r.payment_reference
          WHERE r.state = 'CONFIRMED') AS p
    WHERE p.outcome = 'PAID_UNFULFILLED'
    UNION ALL
    SELECT 'rebooked_from', r.sku_id,
           format('%s was rebooked from %s, of which there is no such payment', r.reservation_id, r.rebooked_from)
    FROM rebooked r
    WHERE NOT EXISTS (SELECT FROM late_payment p
                      WHERE p.reservation_id = r.rebooked_from AND p.rebooked_as = r.reservation_id)
    UNION ALL
    SELECT 'outbox_sink', o.sku_id, format('message %s of %s to %s, which is no sink', o.revision, o.reservation_id, o.sink)
    FROM messages o WHERE NOT EXISTS (SELECT FROM outbox_sink k WHERE k.name = o.sink)
    UNION ALL
    -- A refund may be requested for an archived reservation: the archive does not move with the SKU, but the payment
    -- does.
    SELECT 'outbox_reservation', o.sku_id,
           format('message %s to %s of %s, which is %s', o.revision, o.sink, o.reservation_id,
                  coalesce('at revision ' || r.revision, 'not there'))
    FROM messages o LEFT JOIN reservation r ON r.reservation_id = o.reservation_id
    WHERE CASE WHEN o.kind = 'payment.refund_requested'
                    AND EXISTS (SELECT FROM late_payment p WHERE p.reservation_id = o.reservation_id
                                                             AND p.payment_reference = o.payload->>'payment_reference')
               THEN false
               ELSE r.reservation_id IS NULL OR r.revision < o.revision END
      AND NOT EXISTS (SELECT FROM reservation_archive a
                      WHERE a.reservation_id = o.reservation_id AND a.revision >= o.revision)
    UNION ALL
    SELECT 'retired_units', u.sku_id,
           format('incarnation %s: units %s, of these live %s, reservations %s%s', u.incarnation_id, u.units, u.live_units,
                  u.reservations, CASE WHEN s.sku_id IS NULL THEN ', of no SKU' END)
    FROM retired u LEFT JOIN sku s ON s.sku_id = u.sku_id
    WHERE s.sku_id IS NULL OR u.live_units NOT BETWEEN 0 AND u.units OR u.reservations NOT BETWEEN 0 AND u.units
    UNION ALL
    SELECT g.rule, g.sku_id, g.detail FROM verify_groups(v_first, v_last) AS g
  )
  (SELECT v.rule, v.sku_id, v.detail FROM violations v ORDER BY v.rule, v.sku_id LIMIT 1000)
  UNION ALL
  SELECT NULL, CASE WHEN v_left > 0 THEN v_last END,
         format('%s %s %s', (SELECT count(*) FROM skus), (SELECT coalesce(sum(p.reservations), 0) FROM present p), v_left);
END
$$;

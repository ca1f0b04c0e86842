-- For verify_page: what is broken about the groups of SKUs from p_first to p_last that are on this shard, in the caller's snapshot.
--   group_offer    it is not of an offer of its SKU, or was sold in part against that
--   group_seats    its seats are not counted right
--   group_payment  what a seat was paid for has not come: a hold while the group forms; a reservation that this payment has confirmed once
--                  it is filled; a record of the payment, to be refunded, when it has failed or was cancelled
--   group_member   a live reservation that was made for it is no membership, or is confirmed without a seat
--   group_settled  it is over, and counts as settled, and a member still holds units
--
-- That a full group is filled, and a filled one full or sold in part, the table itself sees to. Reservations may be retired a day after
-- their end, and the archive does not move with the SKU.
CREATE OR REPLACE FUNCTION tranche.verify_groups(p_first text, p_last text)
RETURNS TABLE (rule text, sku_id text, detail text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
  WITH elsewhere AS (
    SELECT s.sku_id FROM sku s WHERE s.whereabouts IN ('GONE', 'ARRIVING')
  ), groups AS NOT MATERIALIZED (
    SELECT g.* FROM group_buy g
    WHERE g.sku_id BETWEEN p_first AND p_last AND g.sku_id NOT IN (SELECT e.sku_id FROM elsewhere e)
  ), seats AS (
    SELECT g.sku_id, g.group_id, g.state, g.finished_at, m.reservation_id, m.payment_reference, r.state AS reservation_state,
           r.payment_reference AS confirmed_by
    FROM groups g
    JOIN group_member m ON m.group_id = g.group_id AND m.seat_no IS NOT NULL
    LEFT JOIN LATERAL (SELECT x.state, x.payment_reference FROM reservation x WHERE x.reservation_id = m.reservation_id
                       UNION ALL
                       SELECT a.state, a.payment_reference FROM reservation_archive a WHERE a.reservation_id = m.reservation_id
                       LIMIT 1) AS r ON true
  ), members AS (
    -- Of a confirmed one, the group may have been retired.
    SELECT r.sku_id, r.group_id, g.state, g.unsettled, r.reservation_id, r.state AS reservation_state,
           coalesce(m.group_id = g.group_id AND m.user_id = r.user_id AND g.sku_id = r.sku_id, false) AS is_member, m.seat_no
    FROM reservation r
    LEFT JOIN group_buy g ON g.group_id = r.group_id
    LEFT JOIN group_member m ON m.reservation_id = r.reservation_id
    WHERE r.group_id IS NOT NULL AND r.state IN ('PENDING', 'CONFIRMED')
      AND r.sku_id BETWEEN p_first AND p_last AND r.sku_id NOT IN (SELECT e.sku_id FROM elsewhere e)
      AND (g.group_id IS NOT NULL OR r.state = 'PENDING')
  )
  SELECT 'group_offer', g.sku_id,
         format('group %s with %s seats, %s taken%s, is not of the offer %s', g.group_id, g.seats, g.seats_taken,
                CASE WHEN g.partial THEN ', sold in part' ELSE '' END, g.offer_id)
  FROM groups g LEFT JOIN group_offer o ON o.sku_id = g.sku_id AND o.offer_id = g.offer_id
  WHERE o.offer_id IS NULL OR o.seats <> g.seats OR (g.partial AND (o.on_timeout <> 'PARTIAL' OR g.seats_taken < o.min_members))
  UNION ALL
  SELECT 'group_seats', g.sku_id,
         format('group %s: %s seats are taken, and %s members have one', g.group_id, g.seats_taken, count(s.group_id))
  FROM groups g LEFT JOIN seats s ON s.group_id = g.group_id
  GROUP BY g.sku_id, g.group_id, g.seats_taken HAVING g.seats_taken <> count(s.group_id)
  UNION ALL
  SELECT 'group_payment', s.sku_id,
         format('%s paid by %s has a seat of group %s, which is %s, and is %s', s.reservation_id, s.payment_reference, s.group_id, s.state,
                CASE WHEN s.reservation_state IS NULL THEN 'not there'
                     WHEN s.reservation_state = 'CONFIRMED' THEN 'CONFIRMED by ' || coalesce(s.confirmed_by, 'nothing')
                     WHEN s.state = 'FILLED' OR s.reservation_state = 'PENDING' THEN s.reservation_state
                     ELSE s.reservation_state || ' without a refund' END)
  FROM seats s
  WHERE CASE WHEN s.state = 'FORMING' THEN s.reservation_state IS DISTINCT FROM 'PENDING'
             WHEN s.reservation_state IS NULL AND s.finished_at < now() - interval '1 day' THEN false
             WHEN s.state = 'FILLED'
             THEN s.reservation_state IS DISTINCT FROM 'CONFIRMED' OR s.confirmed_by IS DISTINCT FROM s.payment_reference
             ELSE s.reservation_state IS DISTINCT FROM 'CANCELLED'
                  OR NOT EXISTS (SELECT FROM late_payment p
                                 WHERE p.reservation_id = s.reservation_id AND p.payment_reference = s.payment_reference
                                   AND p.outcome = 'PAID_UNFULFILLED') END
  UNION ALL
  SELECT 'group_member', m.sku_id,
         format('%s is %s, %s of group %s', m.reservation_id, m.reservation_state,
                CASE WHEN m.is_member THEN 'without a seat' ELSE 'and no member' END, m.group_id)
  FROM members m
  WHERE NOT m.is_member OR (m.reservation_state = 'CONFIRMED' AND m.seat_no IS NULL)
  UNION ALL
  SELECT 'group_settled', m.sku_id, format('%s is PENDING, and group %s is %s and settled', m.reservation_id, m.group_id, m.state)
  FROM members m
  WHERE m.reservation_state = 'PENDING' AND m.state <> 'FORMING' AND NOT m.unsettled
$$;

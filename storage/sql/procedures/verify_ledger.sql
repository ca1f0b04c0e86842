-- Recomputes the ledger's invariants from scratch in one snapshot. Returns at most 1000 violations, and always a last
-- row with rule NULL whose detail is '<SKUs checked> <reservations checked>'. p_sku_id '' means every SKU.
CREATE OR REPLACE FUNCTION tranche.verify_ledger(p_sku_id text)
RETURNS TABLE (rule text, sku_id text, detail text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  WITH skus AS (
    SELECT s.* FROM sku s WHERE p_sku_id = '' OR s.sku_id = p_sku_id
  ), slots AS (
    SELECT sl.* FROM stock_slot sl WHERE p_sku_id = '' OR sl.sku_id = p_sku_id
  ), reservations AS (
    SELECT r.* FROM reservation r WHERE p_sku_id = '' OR r.sku_id = p_sku_id
  ), sold AS (
    SELECT r.sku_id, r.incarnation_id, sum(r.quantity) AS units,
           sum(r.quantity) FILTER (WHERE r.state IN ('PENDING', 'CONFIRMED')) AS live_units, count(*) AS reservations
    FROM reservations r GROUP BY r.sku_id, r.incarnation_id
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
    SELECT 'reservation_sku', so.sku_id, format('%s reservations of no SKU', sum(so.reservations)) FROM sold so
    WHERE NOT EXISTS (SELECT FROM sku s WHERE s.sku_id = so.sku_id) GROUP BY so.sku_id
    UNION ALL
    SELECT 'user_limit', r.sku_id, format('user %s has %s units, limit %s', r.user_id, sum(r.quantity), s.per_user_limit)
    FROM reservations r JOIN skus s ON s.sku_id = r.sku_id
    WHERE r.state IN ('PENDING', 'CONFIRMED')
    GROUP BY r.sku_id, r.user_id, s.per_user_limit HAVING sum(r.quantity) > s.per_user_limit
  )
  (SELECT v.rule, v.sku_id, v.detail FROM violations v ORDER BY v.rule, v.sku_id LIMIT 1000)
  UNION ALL
  SELECT NULL, NULL, format('%s %s', (SELECT count(*) FROM skus), (SELECT coalesce(sum(reservations), 0) FROM sold))
$$;

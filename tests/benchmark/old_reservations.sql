-- Fills a new ledger with :rows reservations of sales that are over: half of the rows in one SKU, the others in 500.
-- Half are confirmed, a quarter cancelled, a quarter expired; of those that expired, one in 256 was paid late, and paid
-- back. Of each SKU, 1000 reservations more are retired. The books balance. Version 7 ids of the past, so that they lie
-- before every new one, as they would; too young for a worker to retire them. Says how far it is.
CREATE PROCEDURE pg_temp.fill(p_rows bigint) LANGUAGE plpgsql AS $$
DECLARE
  v_step CONSTANT bigint := 500000;
  v_last bigint := 0;
BEGIN
  WHILE v_last < p_rows LOOP
    INSERT INTO tranche.reservation (reservation_id, sku_id, user_id, quantity, ordinal, state, amount_minor, currency,
                                     incarnation_id, created_at, expires_at, revision, finished_at, payment_reference,
                                     cancel_reason)
    SELECT (lpad(to_hex(1600000000000 + i), 12, '0') || '70008000' || lpad(to_hex(i), 12, '0'))::uuid,
           CASE WHEN i / 4 % 2 = 0 THEN 'old-hot' ELSE 'old-' || i / 8 % 500 END, 'user-' || md5(i::text), 1, 1,
           (ARRAY['CONFIRMED', 'CONFIRMED', 'CANCELLED', 'EXPIRED'])[i % 4 + 1], 1999, 'EUR', 0,
           now() - interval '10 days', now() - interval '10 days' + interval '15 minutes', 2,
           now() - interval '10 days' + interval '5 minutes',
           CASE WHEN i % 4 < 2 THEN 'pay-' || i END, CASE WHEN i % 4 = 2 THEN 'changed my mind' END
    FROM generate_series(v_last + 1, least(v_last + v_step, p_rows)) AS i;
    COMMIT;
    v_last := least(v_last + v_step, p_rows);
    RAISE INFO 'filled % of % old reservations', v_last, p_rows;
  END LOOP;
END
$$;
CALL pg_temp.fill(:rows);

INSERT INTO tranche.late_payment (reservation_id, payment_reference, sku_id, amount_minor, currency, outcome,
                                  received_at, refunded_at)
SELECT r.reservation_id, 'late', r.sku_id, r.amount_minor, r.currency, 'PAID_UNFULFILLED', r.finished_at, r.finished_at
FROM tranche.reservation r WHERE r.state = 'EXPIRED' AND r.user_id LIKE 'user-00%';
INSERT INTO tranche.sku (sku_id, title, price_minor, currency, stock, per_user_limit, hold_seconds, state, pool_waiting)
SELECT r.sku_id, 'An old thing', 1999, 'EUR', count(*) FILTER (WHERE r.state = 'CONFIRMED') + 500, 1, 900, 'CLOSED',
       false
FROM tranche.reservation r GROUP BY r.sku_id;
INSERT INTO tranche.stock_slot (sku_id, slot_no, holder, allotted, remaining, version)
SELECT s.sku_id, 0, NULL, 0, 0, 1 FROM tranche.sku s;
INSERT INTO tranche.retired_units (sku_id, incarnation_id, units, live_units, reservations)
SELECT s.sku_id, 0, 1000, 500, 1000 FROM tranche.sku s;
VACUUM ANALYZE tranche.reservation;
CHECKPOINT;

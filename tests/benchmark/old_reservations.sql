-- Fills a ledger with :rows old reservations over 100 SKUs that are sold: half confirmed, a quarter cancelled, a quarter
-- expired. The books balance. Version 7 ids of the past, so that they lie before every new one, as they would.
INSERT INTO tranche.sku (sku_id, title, price_minor, currency, stock, per_user_limit, hold_seconds, state, pool_waiting)
SELECT 'old-' || n, 'An old thing', 1999, 'EUR', (SELECT count(*) FROM generate_series(n, :rows, 100) AS i WHERE i % 4 < 2), 1,
       900, 'CLOSED', false
FROM generate_series(1, 100) AS n;
INSERT INTO tranche.stock_slot (sku_id, slot_no, holder, allotted, remaining, version)
SELECT 'old-' || n, 0, NULL, 0, 0, 1 FROM generate_series(1, 100) AS n;

INSERT INTO tranche.reservation (reservation_id, sku_id, user_id, quantity, ordinal, state, amount_minor, currency,
                                 incarnation_id, created_at, expires_at, revision, finished_at, payment_reference,
                                 cancel_reason)
SELECT (lpad(to_hex(1600000000000 + i), 12, '0') || '70008000' || lpad(to_hex(i), 12, '0'))::uuid,
       'old-' || ((i - 1) % 100 + 1), 'user-' || md5(i::text), 1, 1,
       (ARRAY['CONFIRMED', 'CONFIRMED', 'CANCELLED', 'EXPIRED'])[i % 4 + 1], 1999, 'EUR', 0,
       now() - interval '60 days', now() - interval '60 days' + interval '15 minutes', 2,
       now() - interval '60 days' + interval '5 minutes',
       CASE WHEN i % 4 < 2 THEN 'pay-' || i END, CASE WHEN i % 4 = 2 THEN 'changed my mind' END
FROM generate_series(1, :rows) AS i;
VACUUM ANALYZE tranche.reservation;
CHECKPOINT;

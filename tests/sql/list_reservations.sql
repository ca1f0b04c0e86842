\ir helpers.psql
SELECT no_plan();

-- Of users a, b, c of two SKUs: a live and a lapsed one each, of b two live ones.
CREATE FUNCTION reserve(n integer, p_sku text, p_user text, p_ordinal integer, p_state text DEFAULT 'PENDING') RETURNS void
LANGUAGE sql AS
$$ INSERT INTO tranche.reservation (reservation_id, sku_id, user_id, quantity, ordinal, state, amount_minor, currency,
                                    incarnation_id, created_at, expires_at, finished_at, payment_reference, cancel_reason)
   VALUES (uid(n), p_sku, p_user, 1, p_ordinal, p_state, 500, 'EUR', 7, '2030-01-01 00:00Z', '2030-01-01 00:01Z',
           CASE WHEN p_state <> 'PENDING' THEN timestamptz '2030-01-01 00:00:30Z' END,
           CASE WHEN p_state = 'CONFIRMED' THEN 'ref' || n END, CASE WHEN p_state = 'CANCELLED' THEN 'why' END) $$;
SELECT sku('radio', 10, 2), sku('tv', 10, 2), sku('void', 10, 2);
SELECT reserve(1, 'tv', 'a', 1), reserve(2, 'tv', 'b', 2), reserve(3, 'tv', 'b', 1, 'CONFIRMED'), reserve(4, 'tv', 'c', 1);
SELECT reserve(6, 'tv', 'a', 1, 'EXPIRED'), reserve(5, 'tv', 'b', 1, 'CANCELLED'), reserve(7, 'tv', 'b', 1, 'EXPIRED');
SELECT reserve(8, 'radio', 'b', 1), reserve(9, 'radio', 'b', 1, 'CANCELLED'), reserve(10, 'radio', 'd', 1);

-- All pages of a list, separated by ' | '.
CREATE FUNCTION listed(p_sku text, p_user text, p_states text[] DEFAULT NULL, p_limit integer DEFAULT 100) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_at   record;
  v_page text;
  v_all  text := '';
BEGIN
  SELECT '' AS sku_id, false AS lapsed, '' AS user_id, 0 AS ordinal, uid(0) AS rebooked_from INTO v_at;
  FOR i IN 1..100 LOOP
    CREATE TEMPORARY TABLE page ON COMMIT DROP AS
      SELECT * FROM tranche.list_reservations(p_sku, p_user, p_states, v_at.sku_id, v_at.lapsed, v_at.user_id,
                                              v_at.ordinal, v_at.rebooked_from, p_limit) WITH ORDINALITY AS l;
    SELECT string_agg(num(reservation_id)::text, ' ' ORDER BY ordinality)
      FILTER (WHERE reservation_id IS NOT NULL) INTO v_page FROM page;
    SELECT sku_id, lapsed, user_id, ordinal, rebooked_from INTO v_at FROM page WHERE reservation_id IS NULL;
    v_all := v_all || coalesce(v_page, '') || CASE WHEN FOUND THEN ' | ' ELSE '' END;
    DROP TABLE page;
    EXIT WHEN v_at IS NULL;
  END LOOP;
  RETURN v_all;
END $$;

SELECT is(listed('tv', ''), '1 3 2 4 6 5 7', 'live by buyer and number, then lapsed by buyer and id');
SELECT is(listed('tv', 'b'), '3 2 5 7', 'a buyer of a SKU');
SELECT is(listed('', 'b'), '8 9 3 2 5 7', 'a buyer');
SELECT is(listed('', ''), '8 10 9 1 3 2 4 6 5 7', 'all');
SELECT is(listed('none', ''), '');
SELECT is(listed('', 'none'), '');
SELECT is(listed('tv', 'd'), '');
SELECT is(listed('void', 'b'), '');

-- Pages: each list comes whole, whatever the size.
SELECT is(listed('tv', '', NULL, 3), '1 3 2 | 4 6 5 | 7');
SELECT is(listed('tv', '', NULL, 1), '1 | 3 | 2 | 4 | 6 | 5 | 7');
SELECT is(listed('tv', '', NULL, 7), '1 3 2 4 6 5 7', 'no empty page at the end');
SELECT is(listed('', 'b', NULL, 1), '8 | 9 | 3 | 2 | 5 | 7');
SELECT is(listed('', 'b', NULL, 2), '8 9 | 3 2 | 5 7');
SELECT is(listed('', '', NULL, 4), '8 10 9 1 | 3 2 4 6 | 5 7');

-- States.
SELECT is(listed('tv', '', '{}'), '1 3 2 4 6 5 7', 'none asked for: all');
SELECT is(listed('tv', '', '{PENDING}'), '1 2 4');
SELECT is(listed('tv', '', '{CONFIRMED,CANCELLED}'), '3 5');
SELECT is(listed('tv', '', '{EXPIRED}', 1), '6 | 7');
SELECT is(listed('', 'b', '{CANCELLED}'), '9 5');
SELECT is(listed('', 'b', '{CONFIRMED}'), '3');
SELECT is(listed('', 'd', '{PENDING}'), '10');
SELECT is(listed('', 'd', '{CONFIRMED,CANCELLED,EXPIRED}'), '');

-- A row in full, and the place to go on.
SELECT results_eq($$ SELECT reservation_id, sku_id COLLATE "default", user_id COLLATE "default", quantity, state, amount_minor, currency,
                            incarnation_id, created_us, expires_us, finished_us, payment_reference, cancel_reason, extensions, revision,
                            rebooked_from, ordinal, lapsed
                     FROM tranche.list_reservations('tv', 'b', NULL, '', false, '', 0, uid(0), 1) $$,
                  $$ VALUES (uid(3), 'tv', 'b', 1, 'CONFIRMED', 500::bigint, 'EUR', 7::bigint, 1893456000000000,
                             1893456060000000, 1893456030000000, 'ref3', NULL::text, 0, 1, NULL::uuid, 1, false),
                            (NULL, 'tv', 'b', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                             '00000000-0000-0000-0000-000000000000', 1, false) $$);
SELECT results_eq($$ SELECT reservation_id, sku_id COLLATE "default", user_id COLLATE "default", ordinal, lapsed, rebooked_from
                     FROM tranche.list_reservations('tv', '', NULL, 'tv', true, 'a', 0, uid(6), 1) $$,
                  $$ VALUES (uid(5), 'tv', 'b', 1, true, NULL::uuid), (NULL, 'tv', 'b', 0, true, uid(5)) $$);

-- A SKU that is elsewhere is not listed; one that leaves still is.
UPDATE tranche.sku SET whereabouts = 'GONE', other_shard = 'x' WHERE sku_id = 'radio';
UPDATE tranche.sku SET whereabouts = 'LEAVING', other_shard = 'x' WHERE sku_id = 'tv';
SELECT is(listed('', 'b'), '3 2 5 7');
SELECT is(listed('radio', ''), '');
UPDATE tranche.sku SET whereabouts = 'ARRIVING' WHERE sku_id = 'tv';
SELECT is(listed('', 'b'), '');
UPDATE tranche.sku SET whereabouts = 'HERE', other_shard = NULL;

-- SKUs in which nobody has a hold, and the buyer nothing else, are not looked into.
SELECT sku('many-' || lpad(i::text, 4, '0'), 1) FROM generate_series(1, 2500) AS i;
INSERT INTO tranche.reservation (reservation_id, sku_id, user_id, quantity, ordinal, state, amount_minor, currency,
                                 incarnation_id, created_at, expires_at, finished_at, payment_reference)
SELECT uid(200000 + i), 'many-' || lpad(i::text, 4, '0'), 'z', 1, 1, 'CONFIRMED', 500, 'EUR', 7, now(), now(), now(), 'r'
FROM generate_series(1, 2500) AS i;
ANALYZE tranche.reservation;
SELECT is(listed('', 'b'), '8 9 3 2 5 7');
SELECT cmp_ok(rows_read('reservation', $$ SELECT * FROM tranche.list_reservations('', 'b', NULL, '', false, '', 0, uid(0), 10) $$),
              '<=', 100::bigint);

-- A bounded number of SKUs per call. Somebody has a hold in each.
INSERT INTO tranche.reservation (reservation_id, sku_id, user_id, quantity, ordinal, amount_minor, currency, incarnation_id,
                                 created_at, expires_at)
SELECT uid(300000 + i), 'many-' || lpad(i::text, 4, '0'), 'y', 1, 1, 500, 'EUR', 7, now(), now() FROM generate_series(1, 2500) AS i;
SELECT is(listed('', 'b'), ' |  | 8 9 3 2 5 7', 'empty pages, and not the last');
SELECT is(listed('', 'b', '{CONFIRMED,CANCELLED,EXPIRED}'), '9 3 5 7', 'holds are not asked for');
SELECT is(listed('', 'z', '{EXPIRED}'), ' |  | ', 'a buyer with much that is not asked for');
SELECT reserve(11, 'many-1000', 'b', 1), reserve(12, 'many-1001', 'b', 1), reserve(13, 'many-2001', 'b', 1);
SELECT is(listed('', 'b'), '11 | 12 | 13 8 9 3 2 5 7');
SELECT is(listed('', 'b', NULL, 2), '11 | 12 | 13 8 | 9 3 | 2 5 | 7');

DELETE FROM tranche.reservation WHERE user_id IN ('y', 'z');
VACUUM tranche.reservation;

-- A bounded number of reservations per call: 25,000 of which none is asked for.
SELECT sku('big', 30000);
INSERT INTO tranche.reservation (reservation_id, sku_id, user_id, quantity, ordinal, amount_minor, currency, incarnation_id,
                                 created_at, expires_at)
SELECT uid(100000 + i), 'big', 'u' || lpad(i::text, 6, '0'), 1, 1, 500, 'EUR', 7, now(), now() FROM generate_series(1, 25000) AS i;
SELECT reserve(14, 'big', 'v', 1, 'CONFIRMED');
ANALYZE tranche.reservation;
SELECT is(listed('big', '', '{CONFIRMED}'), ' |  | 14');

-- A page costs in proportion to what it reads.
SELECT cmp_ok(rows_read('reservation', $$ SELECT * FROM tranche.list_reservations('big', '', NULL, 'big', false, 'u012345', 1, uid(0), 10) $$),
              '<=', 100::bigint);
SELECT cmp_ok(rows_read('reservation', $$ SELECT * FROM tranche.list_reservations('big', 'u020000', NULL, '', false, '', 0, uid(0), 10) $$),
              '<=', 10::bigint);
SELECT cmp_ok(rows_read('reservation', $$ SELECT * FROM tranche.list_reservations('', 'd', NULL, '', false, '', 0, uid(0), 10) $$),
              '<=', 10::bigint);
SELECT * FROM finish();

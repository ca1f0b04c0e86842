-- Each rule is broken by hand, and found.
\ir helpers.psql
SELECT no_plan();

SELECT sku('tv', 10, 2), sku('radio', 5);
SELECT holder('tv', 6) AS node \gset
SELECT is(outcome(:node, 1, 'tv', 'u1'), 'CREATED');
SELECT results_eq($$ SELECT * FROM tranche.verify_ledger('') $$, $$ VALUES (NULL::text, NULL::text, '2 1') $$);
SELECT results_eq($$ SELECT * FROM tranche.verify_ledger('radio') $$, $$ VALUES (NULL::text, NULL::text, '1 0') $$);
SELECT results_eq($$ SELECT * FROM tranche.verify_ledger('none') $$, $$ VALUES (NULL::text, NULL::text, '0 0') $$);

-- Page by page; the last page has no next one, also if it is full.
SELECT results_eq($$ SELECT * FROM tranche.verify_page('', '', 1) $$, $$ VALUES (NULL::text, 'radio'::text, '1 0 1'::text) $$);
SELECT results_eq($$ SELECT * FROM tranche.verify_page('', 'radio', 1) $$, $$ VALUES (NULL::text, NULL::text, '1 1 0') $$);
SELECT results_eq($$ SELECT * FROM tranche.verify_page('', '', 2) $$, $$ VALUES (NULL::text, NULL::text, '2 1 0') $$);
SELECT results_eq($$ SELECT * FROM tranche.verify_page('', 'tv', 1) $$, $$ VALUES (NULL::text, NULL::text, '0 0 0') $$);

-- The rules that page by page are found while `p_damage` is done. It is undone at the end.
CREATE FUNCTION found_in_pages(p_damage text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  v_rules text[] := '{}';
  v_after text := '';
BEGIN
  BEGIN
    EXECUTE p_damage;
    WHILE v_after IS NOT NULL LOOP
      v_rules := v_rules || ARRAY(SELECT rule || ' ' || sku_id FROM tranche.verify_page('', v_after, 1)
                                  WHERE rule IS NOT NULL ORDER BY rule, sku_id);
      SELECT sku_id INTO v_after FROM tranche.verify_page('', v_after, 1) WHERE rule IS NULL;
    END LOOP;
    RAISE EXCEPTION 'undo' USING ERRCODE = 'P0099';
  EXCEPTION WHEN SQLSTATE 'P0099' THEN
    RETURN v_rules;
  END;
END $$;
SELECT is(found_in_pages('SELECT 1'), '{}');
SELECT is(found_in_pages('UPDATE tranche.sku SET stock = stock + 1'), '{conservation radio,conservation tv}');
SELECT is(found_in_pages($$INSERT INTO tranche.stock_slot
                           SELECT g, 0, NULL, 1, 1, 1 FROM unnest(ARRAY['a', 'radio.', 'zz', 'ü']) AS g$$),
          '{slot_sku a,slot_sku radio.,slot_sku zz,slot_sku ü}', 'what belongs to no SKU lies in one page');

-- The rules that are violated while `p_damage` is done. It is undone at the end.
CREATE FUNCTION found(p_damage text, p_sku text DEFAULT '') RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  v_rules text[];
BEGIN
  BEGIN
    EXECUTE p_damage;
    SELECT array_agg(rule || ' ' || sku_id ORDER BY rule, sku_id) INTO v_rules
    FROM tranche.verify_ledger(p_sku) WHERE rule IS NOT NULL;
    RAISE EXCEPTION 'undo' USING ERRCODE = 'P0099';
  EXCEPTION WHEN SQLSTATE 'P0099' THEN
    RETURN v_rules;
  END;
END $$;

SELECT is(found('SELECT 1'), NULL);
SELECT is(found($$UPDATE tranche.sku SET stock = stock + 1 WHERE sku_id = 'radio'$$), '{conservation radio}');
SELECT is(found($$UPDATE tranche.sku SET stock = stock + 1 WHERE sku_id = 'radio'$$, 'tv'), NULL, 'only the SKU asked for');
SELECT is(found($$UPDATE tranche.stock_slot SET remaining = remaining - 1 WHERE slot_no > 0$$),
          '{conservation tv,slice_spent tv}');
SELECT is(found($$UPDATE tranche.stock_slot SET remaining = remaining - 1 WHERE slot_no = 0 AND sku_id = 'tv'$$),
          '{conservation tv}');
SELECT is(found('DELETE FROM tranche.reservation'), '{conservation tv,slice_spent tv}');
SELECT is(found($$UPDATE tranche.reservation SET state = 'CANCELLED', finished_at = now()$$), '{conservation tv}');
SELECT is(found($$UPDATE tranche.reservation SET quantity = 2$$), '{conservation tv,slice_spent tv}');
SELECT is(found($$DELETE FROM tranche.stock_slot WHERE slot_no = 0 AND sku_id = 'radio'$$),
          '{conservation radio,pool_slot radio}');
SELECT is(found($$INSERT INTO tranche.stock_slot VALUES ('ghost', 0, NULL, 1, 1, 1)$$), '{slot_sku ghost}');
SELECT is(found($$UPDATE tranche.sku SET pool_waiting = NOT pool_waiting WHERE sku_id = 'tv'$$), '{pool_waiting tv}');
SELECT is(found($$UPDATE tranche.incarnation SET reclaimed_at = now()$$), '{live_holder tv}');
SELECT is(found($$DELETE FROM tranche.incarnation$$), '{live_holder tv}');
SELECT is(found($$UPDATE tranche.stock_slot SET version = 99 WHERE slot_no > 0$$), '{slot_version tv}');
SELECT is(found($$UPDATE tranche.reservation SET sku_id = 'ghost'$$),
          '{conservation tv,reservation_sku ghost,slice_spent tv}');
SELECT is(found($$INSERT INTO tranche.reservation
                  SELECT gen_random_uuid(), 'tv', 'u1', 2, 2, 'PENDING', 1, 'EUR', 0, now(), now();
                  UPDATE tranche.stock_slot SET remaining = remaining - 2 WHERE slot_no = 0 AND sku_id = 'tv'$$),
          '{user_limit tv}');
SELECT is((SELECT cardinality(found($$INSERT INTO tranche.stock_slot
                                      SELECT 'ghost' || i, 0, NULL, 1, 1, 1 FROM generate_series(1, 1500) AS i$$))), 1000,
          'no more than 1000');

-- Violations about single reservations name them.
CREATE FUNCTION named(p_damage text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_details text;
BEGIN
  BEGIN
    EXECUTE p_damage;
    SELECT string_agg(rule || ': ' || detail, '; ' ORDER BY rule, detail) INTO v_details
    FROM tranche.verify_ledger('') WHERE rule IS NOT NULL;
    RAISE EXCEPTION 'undo' USING ERRCODE = 'P0099';
  EXCEPTION WHEN SQLSTATE 'P0099' THEN
    RETURN v_details;
  END;
END $$;
SELECT is(named(format($$UPDATE tranche.reservation SET quantity = 3;
                         UPDATE tranche.stock_slot SET remaining = remaining - 2 WHERE holder = %s$$, :node)),
          format('user_limit: user u1 has 3 units, limit 2: %s', uid(1)));
SELECT is(named('UPDATE tranche.reservation SET ordinal = 3'),
          format('live_ordinal: user u1 has 1 live reservations with 1 ordinals up to 3, limit 2: %s', uid(1)));
SELECT is(named(format($$DROP INDEX tranche.reservation_live_buyer;
                         INSERT INTO tranche.reservation
                         SELECT uid(2), 'tv', 'u1', 1, 1, 'PENDING', 1, 'EUR', %s, now(), now();
                         UPDATE tranche.stock_slot SET remaining = remaining - 1 WHERE holder = %1$s$$, :node)),
          format('live_ordinal: user u1 has 2 live reservations with 1 ordinals up to 1, limit 2: %s %s', uid(1), uid(2)));

-- Payment. The schema refuses all of it, so the damage starts there.
CREATE FUNCTION unchecked() RETURNS text LANGUAGE sql AS
$$ SELECT string_agg('ALTER TABLE tranche.reservation DROP CONSTRAINT ' || conname || ';', '')
   FROM pg_constraint WHERE conrelid = 'tranche.reservation'::regclass AND contype = 'c' $$;
SELECT is(named(unchecked() || $$UPDATE tranche.reservation SET state = 'CONFIRMED', finished_at = now()$$),
          format('confirmed_payment: %s is CONFIRMED without payment reference or time', uid(1)));
SELECT is(found(unchecked() || $$UPDATE tranche.reservation SET state = 'CONFIRMED', payment_reference = 'p1'$$),
          '{confirmed_payment tv,finished_at tv}');
SELECT is(found(unchecked() || $$UPDATE tranche.reservation SET finished_at = now()$$), '{finished_at tv}');
SELECT matches(named($$UPDATE tranche.reservation SET state = 'CONFIRMED', payment_reference = 'p1',
                                                     finished_at = created_at - interval '1 hour'$$),
               format('^finished_at: %s is CONFIRMED, made at .*, finished at 20', uid(1)));

-- Late payments: 1 lapsed, and was rebooked as 2.
SELECT is(outcome(:node, 2, 'tv', 'u1'), 'CREATED');
UPDATE tranche.reservation SET state = 'EXPIRED', finished_at = now() WHERE reservation_id = uid(1);
UPDATE tranche.stock_slot SET allotted = allotted + 1, remaining = remaining + 1 WHERE sku_id = 'tv' AND slot_no = 0;
UPDATE tranche.reservation SET state = 'CONFIRMED', finished_at = now(), payment_reference = 'p1', rebooked_from = uid(1)
WHERE reservation_id = uid(2);
INSERT INTO tranche.late_payment VALUES (uid(1), 'p1', 'tv', 500, 'EUR', 'REBOOKED', uid(2), now()),
                                        (uid(1), 'p2', 'tv', 500, 'EUR', 'PAID_UNFULFILLED', NULL, now());
SELECT conserved();
SELECT is(named($$UPDATE tranche.late_payment SET rebooked_as = uid(3) WHERE payment_reference = 'p1'$$),
          format('late_rebooked: %s paid by p1 was rebooked as %s, which is not there; '
                 'rebooked_from: %s was rebooked from %1$s, of which there is no such payment', uid(1), uid(3), uid(2)));
SELECT is(named('UPDATE tranche.reservation SET rebooked_from = NULL'),
          format('late_rebooked: %s paid by p1 was rebooked as %s, which is CONFIRMED by p1, rebooked from none',
                 uid(1), uid(2)));
SELECT is(found($$UPDATE tranche.reservation SET payment_reference = 'p3' WHERE reservation_id = uid(2)$$),
          '{late_rebooked tv}');
SELECT is(found($$DELETE FROM tranche.late_payment WHERE payment_reference = 'p1'$$), '{rebooked_from tv}');
SELECT is(named($$DELETE FROM tranche.late_payment WHERE payment_reference = 'p2';
                  UPDATE tranche.late_payment SET outcome = 'PAID_UNFULFILLED', rebooked_as = NULL;
                  UPDATE tranche.reservation SET rebooked_from = NULL;
                  UPDATE tranche.late_payment SET reservation_id = uid(2)$$),
          format('late_unfulfilled: %s paid by p1 counts as unfulfilled, but confirmed %1$s', uid(2)));
SELECT is(named($$UPDATE tranche.late_payment SET outcome = 'PAID_UNFULFILLED', rebooked_as = NULL
                  WHERE payment_reference = 'p1'$$),
          format('late_unfulfilled: %s paid by p1 counts as unfulfilled, but confirmed %s; '
                 'rebooked_from: %2$s was rebooked from %1$s, of which there is no such payment', uid(1), uid(2)));

-- What a SKU costs grows with its reservations and its payments, not with their product: each row of a reservation is
-- read a few times, also if every lapsed one was paid late. By the statistics, SKUs have few reservations; this one has
-- many.
CREATE FUNCTION reads() RETURNS numeric LANGUAGE sql AS
$$ SELECT sum(pg_stat_get_xact_tuples_returned(x.oid) + pg_stat_get_xact_tuples_fetched(x.oid))
   FROM (SELECT 'tranche.reservation'::regclass AS oid
         UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid = 'tranche.reservation'::regclass) AS x $$;
BEGIN;
INSERT INTO tranche.reservation (reservation_id, sku_id, user_id, quantity, ordinal, state, amount_minor, currency,
                                 incarnation_id, created_at, expires_at, finished_at, payment_reference)
SELECT uid(1000 + i), CASE WHEN i <= 4000 THEN 'radio' ELSE 'other-' || i END, 'buyer-' || i, 1, 1,
       CASE WHEN i % 2 = 0 THEN 'CONFIRMED' ELSE 'EXPIRED' END, 500, 'EUR', 0, now(), now(), now(),
       CASE WHEN i % 2 = 0 THEN 'pay-' || i END
FROM generate_series(1, 8000) AS i;
ANALYZE tranche.reservation;
INSERT INTO tranche.late_payment
SELECT r.reservation_id, 'late', r.sku_id, 500, 'EUR', 'PAID_UNFULFILLED', NULL, now()
FROM tranche.reservation r WHERE r.sku_id = 'radio' AND r.state = 'EXPIRED';
SELECT reads() AS before \gset
SELECT count(*) AS violations FROM tranche.verify_ledger('radio') WHERE rule IS NOT NULL \gset
SELECT reads() - :before AS reads \gset
ROLLBACK;
SELECT is(:violations, 1, 'only the stock does not fit');
SELECT cmp_ok(:reads, '<', 20 * 8000, 'reads of reservations');

-- Retired, the books still balance; without the sums they do not.
CREATE FUNCTION retire(p_archive boolean) RETURNS text LANGUAGE sql AS
$$ SELECT 'WITH gone AS (DELETE FROM tranche.reservation RETURNING *)'
          || CASE WHEN p_archive THEN ', kept AS (INSERT INTO tranche.reservation_archive
               SELECT reservation_id, sku_id, user_id, quantity, state, amount_minor, currency, incarnation_id, created_at,
                      expires_at, revision, extensions, finished_at, payment_reference, cancel_reason, rebooked_from, now()
               FROM gone)' ELSE '' END
          || $q$ INSERT INTO tranche.retired_units
                 SELECT sku_id, incarnation_id, sum(quantity), sum(quantity) FILTER (WHERE state = 'CONFIRMED'), count(*)
                 FROM gone GROUP BY sku_id, incarnation_id; $q$ $$;
SELECT is(found(retire(true)), NULL);
SELECT is(found(retire(true) || 'DELETE FROM tranche.retired_units'), '{conservation tv,slice_spent tv}');
SELECT is(found(retire(true) || $$UPDATE tranche.retired_units SET units = units + 1$$), '{slice_spent tv}');
SELECT is(found(retire(true) || $$UPDATE tranche.retired_units SET live_units = 0$$), '{conservation tv}');
SELECT is(found(retire(true) || $$UPDATE tranche.reservation_archive SET rebooked_from = NULL$$), '{late_rebooked tv}');
SELECT is(found(retire(false)), '{late_rebooked tv}', 'so soon nothing is retired');
SELECT is(found(retire(false) || $$UPDATE tranche.late_payment SET received_at = now() - interval '2 days'$$), NULL);
SELECT is(found($$INSERT INTO tranche.retired_units VALUES ('ghost', 1, 0, 0, 0)$$), '{retired_units ghost}');
SELECT is(found($$INSERT INTO tranche.retired_units VALUES ('radio', 1, 1, 0, 2)$$), '{retired_units radio}');

-- Messages.
INSERT INTO tranche.outbox (reservation_id, revision, sink, sku_id, kind, payload) VALUES (uid(2), 1, 'default', 'tv', 'k', '{}');
SELECT conserved();
SELECT is(named($$UPDATE tranche.outbox SET sink = 'none'$$),
          format('outbox_sink: message 1 of %s to none, which is no sink', uid(2)));
SELECT is(named($$UPDATE tranche.outbox SET reservation_id = uid(9)$$),
          format('outbox_reservation: message 1 to default of %s, which is not there', uid(9)));
SELECT is(named($$UPDATE tranche.outbox SET revision = 2$$),
          format('outbox_reservation: message 2 to default of %s, which is at revision 1', uid(2)));

-- A SKU of another shard is not checked, whatever is left of it here.
SELECT is(found($$UPDATE tranche.sku SET stock = stock + 1, whereabouts = 'GONE', other_shard = 'x' WHERE sku_id = 'tv';
                  DELETE FROM tranche.stock_slot WHERE slot_no = 0 AND sku_id = 'tv';
                  UPDATE tranche.outbox SET sink = 'none'$$), NULL);
SELECT is(found($$UPDATE tranche.sku SET stock = stock + 1, whereabouts = 'ARRIVING', other_shard = 'x'
                  WHERE sku_id = 'tv'$$), NULL);
SELECT is(found($$UPDATE tranche.sku SET stock = stock + 1, whereabouts = 'LEAVING', other_shard = 'x'
                  WHERE sku_id = 'tv'$$), '{conservation tv}');
UPDATE tranche.sku SET whereabouts = 'GONE', other_shard = 'x' WHERE sku_id = 'tv';
SELECT results_eq($$ SELECT * FROM tranche.verify_ledger('') $$, $$ VALUES (NULL::text, NULL::text, '1 0') $$);
UPDATE tranche.sku SET whereabouts = 'HERE', other_shard = NULL WHERE sku_id = 'tv';

-- The schema itself refuses what no procedure may do.
SELECT throws_ok($$UPDATE tranche.stock_slot SET remaining = -1$$, '23514', NULL, 'no slot below zero');
SELECT throws_ok($$UPDATE tranche.stock_slot SET holder = 1 WHERE slot_no = 0$$, '23514', NULL, 'nobody holds the pool');
SELECT throws_ok($$INSERT INTO tranche.reservation
                   SELECT gen_random_uuid(), 'tv', 'u1', 1, 2, 'PENDING', 1, 'EUR', 0, now(), now()$$, '23505', NULL,
                 'one live reservation per buyer and ordinal');
SELECT * FROM finish();

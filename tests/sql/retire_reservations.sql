\ir helpers.psql
\ir retire_helpers.psql
SELECT no_plan();

SELECT throws_ok('SELECT tranche.retire_reservations(86399, 10, true)', '22023', NULL, 'an id is kept for a day');
SELECT throws_ok('SELECT tranche.retire_reservations(NULL, 10, true)', '22023');
SELECT is(retire(), 0::bigint, 'nothing there');

-- By state and age, while the sale runs.
SELECT sku('tv', 100, 5);
SELECT holder('tv', 50) AS node \gset
SELECT is(outcome(:node, i, 'tv', 'u' || i), 'CREATED') FROM generate_series(1, 9) AS i;
SELECT ended(1, 'EXPIRED'), ended(2, 'CANCELLED'), ended(3, 'CONFIRMED'), ended(4, 'EXPIRED', '23 hours');
SELECT ended(5, 'CANCELLED', '23 hours', '10 days');
SELECT is(retire(), 2::bigint);
SELECT is(here(), '3 4 5 6 7 8 9', 'lapsed ones a day after their end, and no others');
SELECT is(archived(), '1 2');
SELECT is(retire(), 0::bigint, 'once more');
SELECT is(tranche.retire_reservations(86400 * 30, 10, true), 0::bigint);
SELECT results_eq($$ SELECT sku_id COLLATE "default", incarnation_id, units, live_units, reservations FROM tranche.retired_units $$,
                  format($$ VALUES ('tv', %s::bigint, 2::bigint, 0::bigint, 2::bigint) $$, :node));
SELECT conserved();

-- What the archive keeps.
SELECT ended(4, 'EXPIRED');
UPDATE tranche.stock_slot SET allotted = allotted - 1, remaining = remaining - 1 WHERE sku_id = 'tv' AND slot_no = 0;
UPDATE tranche.reservation SET extensions = 2, revision = 3, cancel_reason = 'why', order_reference = 'A-1' WHERE reservation_id = uid(4);
CREATE TEMPORARY TABLE before AS SELECT * FROM tranche.reservation WHERE reservation_id = uid(4);
SELECT is(retire(), 1::bigint);
SELECT is((SELECT to_jsonb(a) - 'archived_at' FROM tranche.reservation_archive a WHERE reservation_id = uid(4)),
          (SELECT to_jsonb(b) - 'ordinal' FROM before b));
SELECT conserved();

-- Without the archive, they are gone.
SELECT ended(6, 'EXPIRED'), ended(7, 'EXPIRED', '26 hours'), ended(8, 'EXPIRED', '25 hours');
SELECT is(retire(1, false), 1::bigint, 'no more than asked for');
SELECT is(here(), '3 5 6 8 9', 'the oldest first');
SELECT is(retire(100, false), 2::bigint);
SELECT is(archived(), '1 2 4');
SELECT results_eq('SELECT units, live_units, reservations FROM tranche.retired_units',
                  'VALUES (6::bigint, 0::bigint, 6::bigint)', 'added up');
SELECT conserved();

-- Not while a message waits, dead or not.
SELECT ended(9, 'EXPIRED');
INSERT INTO tranche.outbox (reservation_id, revision, sink, sku_id, kind, payload) VALUES (uid(9), 1, 'default', 'tv', 'k', '{}');
SELECT is(retire(), 0::bigint);
UPDATE tranche.outbox SET state = 'DEAD';
SELECT is(retire(), 0::bigint);
DELETE FROM tranche.outbox;
-- Nor while the SKU moves.
UPDATE tranche.sku SET whereabouts = 'LEAVING', other_shard = 'x';
SELECT is(retire(), 0::bigint);
UPDATE tranche.sku SET whereabouts = 'GONE';
SELECT is(retire(), 0::bigint);
UPDATE tranche.sku SET whereabouts = 'HERE', other_shard = NULL;
SELECT is(retire(), 1::bigint);
SELECT conserved();

-- Confirmed ones, once the sale is over: 3 and 20 are old enough, 21 is not, 22 is unpaid.
SELECT is(outcome(:node, i, 'tv', 'v' || i), 'CREATED') FROM generate_series(20, 22) AS i;
SELECT ended(20, 'CONFIRMED'), ended(21, 'CONFIRMED', '23 hours');
SELECT is(retire(), 0::bigint, 'the sale runs');
UPDATE tranche.sku SET whereabouts = 'LEAVING', other_shard = 'x', state = 'CLOSED';
SELECT is(retire(), 0::bigint, 'closed, but on its way');
UPDATE tranche.sku SET whereabouts = 'HERE', other_shard = NULL;
INSERT INTO tranche.outbox (reservation_id, revision, sink, sku_id, kind, payload) VALUES (uid(3), 1, 'default', 'tv', 'k', '{}');
SELECT is(retire(), 1::bigint);
SELECT is(here(), '3 5 21 22', 'not the one with a message');
DELETE FROM tranche.outbox;
SELECT is(retire(), 1::bigint);
SELECT is(here(), '5 21 22');
SELECT results_eq('SELECT units, live_units, reservations FROM tranche.retired_units',
                  'VALUES (9::bigint, 2::bigint, 9::bigint)');
SELECT conserved();

-- The sale's window is past, which also counts; several SKUs, one of which still sells, in bounded batches.
SELECT sku('a', 10, 5), sku('b', 10, 5), sku('c', 10, 5);
SELECT tranche.move_units(s, ARRAY[:node], ARRAY[8], NULL, 'test') FROM unnest('{a,b,c}'::text[]) AS s;
SELECT is(outcome(:node, 30 + i, (ARRAY['a', 'b', 'c'])[i % 3 + 1], 'u' || i), 'CREATED') FROM generate_series(0, 8) AS i;
SELECT ended(30 + i, 'CONFIRMED') FROM generate_series(0, 8) AS i;
UPDATE tranche.sku SET closes_at = now() WHERE sku_id IN ('a', 'c');
SELECT is(retire(2), 2::bigint);
SELECT is(here(), '5 21 22 31 32 34 35 36 37 38', 'the first SKU first');
SELECT is(retire(2), 2::bigint, 'of two SKUs');
SELECT is(retire(5), 2::bigint);
SELECT is(here(), '5 21 22 31 34 37');
SELECT conserved();

-- Lapsed and confirmed ones share a batch; both halves count against its size.
UPDATE tranche.sku SET closes_at = now() WHERE sku_id = 'b';
SELECT ended(5, 'CANCELLED');
UPDATE tranche.stock_slot SET allotted = allotted - 1, remaining = remaining - 1 WHERE sku_id = 'tv' AND slot_no = 0;
SELECT is(retire(3), 3::bigint);
SELECT is(here(), '21 22 37');
SELECT conserved();

SELECT is(retire(), 1::bigint);

-- Reservations that must stay take no place in a batch: 40 is too young, 41 has a message, 43 and 44 are moving.
SELECT sku('d', 10, 5), sku('e', 10, 5);
SELECT tranche.move_units(s, ARRAY[:node], ARRAY[8], NULL, 'test') FROM unnest('{d,e}'::text[]) AS s;
SELECT is(outcome(:node, 40 + i, CASE WHEN i < 3 THEN 'e' ELSE 'd' END, 'u' || i), 'CREATED') FROM generate_series(0, 4) AS i;
SELECT ended(40, 'CONFIRMED', '23 hours'), ended(41, 'CONFIRMED'), ended(42, 'CONFIRMED'), ended(43, 'CONFIRMED');
SELECT ended(44, 'EXPIRED');
INSERT INTO tranche.outbox (reservation_id, revision, sink, sku_id, kind, payload) VALUES (uid(41), 1, 'default', 'e', 'k', '{}');
UPDATE tranche.sku SET closes_at = now() WHERE sku_id IN ('d', 'e');
UPDATE tranche.sku SET whereabouts = 'LEAVING', other_shard = 'x' WHERE sku_id = 'd';
SELECT is(retire(1), 1::bigint);
SELECT is((SELECT count(*) FROM tranche.reservation WHERE reservation_id = uid(42)), 0::bigint);
DELETE FROM tranche.outbox;
SELECT conserved();

-- A SKU that ended today is read no further than its first ten.
SELECT sku('big', 2000, 1);
SELECT tranche.move_units('big', ARRAY[:node], ARRAY[2000], NULL, 'test');
SELECT is((SELECT count(*) FROM tranche.commit_reservations(:node, true,
             ARRAY(SELECT uid(1000 + i) FROM generate_series(1, 2000) AS i), array_fill('big'::text, ARRAY[2000]),
             ARRAY(SELECT 'u' || i FROM generate_series(1, 2000) AS i), array_fill(1, ARRAY[2000])) WHERE outcome = 'CREATED'),
          2000::bigint);
UPDATE tranche.reservation SET state = 'CONFIRMED', finished_at = now(), payment_reference = 'r' WHERE sku_id = 'big';
UPDATE tranche.sku SET state = 'CLOSED' WHERE sku_id = 'big';
ANALYZE tranche.reservation;
VACUUM tranche.reservation;
SELECT cmp_ok(rows_read('reservation', 'SELECT retire()'), '<=', 200::bigint);

-- The id of a retired reservation is free again, and the archive does not forget which one was paid.
UPDATE tranche.sku SET state = 'OPEN' WHERE sku_id = 'tv';
SELECT is(outcome(:node, 3, 'tv', 'again'), 'CREATED');
SELECT is(outcome(:node, 1, 'tv', 'again'), 'CREATED');
SELECT ended(3, 'EXPIRED'), ended(1, 'CANCELLED');
SELECT is(retire(), 2::bigint);
SELECT results_eq($$ SELECT user_id COLLATE "default", state FROM tranche.reservation_archive WHERE reservation_id = ANY (uids(1, 3))
                     ORDER BY reservation_id $$, $$ VALUES ('again', 'CANCELLED'), ('u3', 'CONFIRMED') $$);
SELECT conserved();

-- Many that have to stay: a call reads a bounded number of them, and the next call continues after them.
DELETE FROM tranche.reservation;
DELETE FROM tranche.stock_slot WHERE slot_no > 0;
UPDATE tranche.sku SET state = 'CLOSED' WHERE sku_id = 'd';
UPDATE tranche.sku SET whereabouts = 'HERE', other_shard = NULL, state = 'CLOSED' WHERE sku_id = 'd';
INSERT INTO tranche.reservation (reservation_id, sku_id, user_id, quantity, ordinal, state, amount_minor, currency,
                                 incarnation_id, created_at, expires_at, finished_at, payment_reference)
SELECT uid(10000 + i), 'd', 'u' || lpad(i::text, 6, '0'), 1, 1, x.state, 1, 'EUR', 0, now() - interval '3 days',
       now() - interval '3 days', now() - interval '2 days' + (i / 100) * interval '1 second',
       CASE WHEN x.state = 'CONFIRMED' THEN 'p' END
FROM generate_series(0, 3999) AS i, LATERAL (SELECT CASE WHEN i < 2000 THEN 'EXPIRED' ELSE 'CONFIRMED' END AS state) AS x;
INSERT INTO tranche.outbox (reservation_id, revision, sink, sku_id, kind, payload, state)
SELECT r.reservation_id, 1, 'default', 'd', 'k', '{}', 'DEAD' FROM tranche.reservation r
WHERE r.reservation_id NOT IN (uid(11999), uid(13999));
VACUUM ANALYZE tranche.reservation;
CREATE FUNCTION calls(p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..1000 LOOP
    IF retire(p_limit) > 0 THEN
      RETURN i;
    END IF;
  END LOOP;
  RETURN NULL;
END $$;
SELECT cmp_ok(rows_read('reservation', 'SELECT retire(10)'), '<=', 700::bigint, 'of 4000');
SELECT is(calls(10), 19, 'it comes to the one behind them, and to that of the other kind');
SELECT is(here() ~ '11999|13999', false);
-- After the end it starts again.
DELETE FROM tranche.outbox WHERE reservation_id IN (uid(10000), uid(12000));
SELECT is(calls(10), 2);
SELECT is(here() ~ '10000|12000', false);
SELECT * FROM finish();

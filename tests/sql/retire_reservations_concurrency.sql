-- retire_reservations against other sessions: a running sale and changes of what it retires.
\ir helpers.psql
\ir retire_helpers.psql
SELECT no_plan();
SELECT open_session('a'), open_session('b');
SELECT pid('a') AS a_pid, pid('b') AS b_pid \gset

SELECT sku('tv', 100, 5);
SELECT holder('tv', 90) AS node \gset
SELECT is(outcome(:node, i, 'tv', 'u' || i), 'CREATED') FROM generate_series(1, 6) AS i;
SELECT ended(i, 'EXPIRED') FROM generate_series(1, 4) AS i;

-- While it is under way sales go on, of the same SKU and the same buyers, and so do changes of other reservations.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT retire(2)::text'), '2');
SET lock_timeout = '5s';
SELECT is(outcome(:node, 11, 'tv', 'u1'), 'CREATED', 'a buyer whose reservation is being retired');
SELECT is(outcome(:node, 12, 'tv', 'u9', false), 'CREATED', 'without waiting for the slot');
SELECT lives_ok($$ SELECT tranche.add_stock('tv', 5, 'test') $$, 'nor for the SKU');
SELECT lives_ok($$ UPDATE tranche.reservation SET state = 'CONFIRMED', finished_at = now(), payment_reference = 'r5'
                   WHERE reservation_id = uid(5) $$, 'a confirmation');
SELECT is(ask('b', 'SELECT retire(4)::text'), '0', 'another worker: one at a time');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(here(), '3 4 5 6 11 12');
SELECT conserved();

-- A sale under way does not block it either.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT outcome(%s, 13, 'tv', 'u3')$$, :node)), 'CREATED');
SELECT is(retire(1), 1::bigint);
SELECT dblink_exec('a', 'COMMIT');
SELECT conserved();

-- A change of a reservation that it would retire is left alone ...
SELECT is((SELECT count(*) FROM tranche.reservation WHERE state = 'EXPIRED'), 1::bigint);
SELECT dblink_exec('a', 'BEGIN');
SELECT dblink_exec('a', $$ UPDATE tranche.reservation SET revision = revision + 1 WHERE state = 'EXPIRED' $$);
SELECT is(retire(), 0::bigint, 'skipped, without waiting');
-- ... and the message that it wrote keeps the reservation here.
SELECT dblink_exec('a', $$ INSERT INTO tranche.outbox (reservation_id, revision, sink, sku_id, kind, payload)
                           SELECT reservation_id, revision, 'default', 'tv', 'payment.refund_requested', '{}'
                           FROM tranche.reservation WHERE state = 'EXPIRED' $$);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(retire(), 0::bigint);
SELECT conserved();
DELETE FROM tranche.outbox;

-- A change that commits between choosing and locking: the batch waits for the pin of a SKU that a mover has, and meanwhile
-- a late payment writes a message.
SELECT sku('radio', 10, 5);
SELECT tranche.move_units('radio', ARRAY[:node], ARRAY[9], NULL, 'test');
SELECT is(outcome(:node, 20 + i, 'radio', 'u' || i), 'CREATED') FROM generate_series(1, 3) AS i;
SELECT ended(20 + i, 'EXPIRED', '2 days') FROM generate_series(1, 3) AS i;
SELECT dblink_exec('a', 'BEGIN');
SELECT ask('a', $$SELECT tranche.pin_skus('{radio}', true)::text$$);
SELECT send('b', 'SELECT retire(3)::text');
SELECT is(blocks(:'b_pid'), true, 'a batch waits for the mover');
UPDATE tranche.reservation SET revision = 2 WHERE reservation_id = uid(21);
INSERT INTO tranche.outbox (reservation_id, revision, sink, sku_id, kind, payload)
VALUES (uid(21), 2, 'default', 'radio', 'payment.refund_requested', '{}');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), '2', 'all but the one with the message');
SELECT is((SELECT count(*) FROM tranche.reservation WHERE reservation_id = uid(21)), 1::bigint);
SELECT conserved();

-- The mover takes the SKU away meanwhile: nothing of it is retired here.
DELETE FROM tranche.outbox;
SELECT dblink_exec('a', 'BEGIN');
SELECT ask('a', $$SELECT tranche.pin_skus('{radio}', true)::text$$);
SELECT send('b', 'SELECT retire(1)::text');
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', $$ UPDATE tranche.sku SET whereabouts = 'LEAVING', other_shard = 'x' WHERE sku_id = 'radio' $$);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), '0');
UPDATE tranche.sku SET whereabouts = 'HERE', other_shard = NULL WHERE sku_id = 'radio';
SELECT is(retire(), 2::bigint);
SELECT conserved();

-- A confirmation of a SKU whose sale is over, at the same time: whichever commits first, the row is not lost.
SELECT tranche.close_sku('tv', 'test');
SELECT ended(5, 'CONFIRMED'), ended(11, 'CONFIRMED');
SELECT dblink_exec('a', 'BEGIN');
SELECT dblink_exec('a', $$ UPDATE tranche.reservation SET state = 'CONFIRMED', finished_at = now(), payment_reference = 'r6'
                           WHERE reservation_id = uid(6) $$);
SELECT is(retire(), 2::bigint, 'the others');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(here(), '6 12 13');
SELECT is((SELECT payment_reference FROM tranche.reservation WHERE reservation_id = uid(6)), 'r6');
SELECT conserved();
SELECT * FROM finish();

-- The changes of reservations against each other and against sales, from several sessions.
\ir helpers.psql
SELECT no_plan();
SELECT open_session('a'), open_session('b'), open_session('c');
SELECT pid('a') AS a_pid, pid('b') AS b_pid, pid('c') AS c_pid \gset

SELECT sku('tv', 100);
SELECT holder('tv', 50) AS node \gset
SELECT is((SELECT count(*) FROM tranche.commit_reservations(:node, true, (SELECT array_agg(uid(i)) FROM generate_series(1, 30) AS i),
             array_fill('tv'::text, ARRAY[30]), (SELECT array_agg('u' || i) FROM generate_series(1, 30) AS i),
             array_fill(1, ARRAY[30])) WHERE outcome = 'CREATED'), 30::bigint);

-- Confirm, then expire: what is being confirmed is skipped.
SELECT make_due(1, 2);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT (confirm(uids(1)))[1]'), 'DONE CONFIRMED 2');
SELECT is(expire(), '1 true', 'the other one is expired meanwhile');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(expire(), '0 false');
SELECT is(state(1) || ' ' || state(2), 'CONFIRMED EXPIRED');
-- ... or not confirmed after all.
SELECT make_due(3);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT (confirm(uids(3)))[1]'), 'DONE CONFIRMED 2');
SELECT is(expire(), '0 true');
SELECT dblink_exec('a', 'ROLLBACK');
SELECT is(expire(), '1 false');
-- Expire, then confirm.
SELECT make_due(4);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT expire()'), '1 false');
SELECT send('b', 'SELECT (confirm(uids(4)))[1]');
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'STATE EXPIRED 2');
SELECT is(messages(4), '4:reservation.expired:2');

-- Confirm, then cancel; cancel, then confirm; and not cancelled after all.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT (confirm(uids(5)))[1]'), 'DONE CONFIRMED 2');
SELECT send('b', 'SELECT (cancel(uids(5)))[1]');
SELECT is(blocks(:'b_pid'), true);
SELECT slices('tv') AS before \gset
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'STATE CONFIRMED 2');
SELECT is(slices('tv'), :'before', 'what is paid stays sold');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT (cancel(uids(6)))[1]'), 'DONE CANCELLED 2');
SELECT send('b', 'SELECT (confirm(uids(6)))[1]');
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'STATE CANCELLED 2');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT (cancel(uids(7)))[1]'), 'DONE CANCELLED 2');
SELECT send('b', 'SELECT (confirm(uids(7)))[1]');
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'ROLLBACK');
SELECT is(receive('b'), 'DONE CONFIRMED 2');

-- Without waiting: what is locked is busy, and nothing else.
SELECT sku('own', 10);
SELECT tranche.move_units('own', ARRAY[:node], ARRAY[10], NULL, 'test');
SELECT is(outcomes(:node, true, uids(190, 191, 192, 193), '{own,own,own,own}', '{b0,b1,b2,b3}', '{1,1,1,1}'),
          '{CREATED,CREATED,CREATED,CREATED}');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT (confirm(uids(190)))[1]'), 'DONE CONFIRMED 2');
SELECT is((SELECT array_agg(outcome ORDER BY idx)
           FROM tranche.confirm_reservations(uids(190, 191, 999), '{p,p,p}', '{500,500,500}', '{EUR,EUR,EUR}', false)),
          '{BUSY,DONE,NOT_FOUND}');
SELECT is((SELECT array_agg(outcome ORDER BY idx) FROM tranche.extend_reservations(uids(190, 192), '{1,1}', '{60,60}', false)),
          '{BUSY,DONE}');
SELECT is((SELECT array_agg(outcome ORDER BY idx) FROM tranche.cancel_reservations(uids(190, 193), '{w,w}', false)),
          '{BUSY,DONE}');
SELECT dblink_exec('a', 'COMMIT');
SELECT is((SELECT outcome FROM tranche.cancel_reservations(uids(190), '{w}', false)), 'STATE');
-- ... units come back into the pool: its slot or the SKU's row is enough to be in the way, unless nothing comes back.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$SELECT sku_id FROM tranche.stock_slot WHERE sku_id = 'own' AND slot_no = 0 FOR UPDATE$$), 'own');
SELECT is((SELECT array_agg(outcome ORDER BY idx) FROM tranche.cancel_reservations(uids(192, 193, 190), '{w,w,w}', false)),
          '{BUSY,REPLAYED,STATE}');
SELECT dblink_exec('a', 'COMMIT');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$SELECT sku_id FROM tranche.sku WHERE sku_id = 'own' FOR UPDATE$$), 'own');
SELECT is((SELECT outcome FROM tranche.cancel_reservations(uids(192), '{w}', false)), 'BUSY');
SELECT dblink_exec('a', 'COMMIT');
SELECT is((SELECT outcome FROM tranche.cancel_reservations(uids(192), '{w}', false)), 'DONE');

-- Two payments of one hold: one confirms it. The same one twice: once.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$SELECT (confirm(uids(8), 'first'))[1]$$), 'DONE CONFIRMED 2');
SELECT send('b', $$SELECT (confirm(uids(8), 'second'))[1]$$);
SELECT is(blocks(:'b_pid'), true);
SELECT send('c', $$SELECT (confirm(uids(8), 'first'))[1]$$);
SELECT is(blocks(:'c_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'STATE CONFIRMED 2');
SELECT is(receive('c'), 'REPLAYED CONFIRMED 2');
SELECT is((SELECT payment_reference FROM tranche.find_reservations(uids(8))), 'first');
SELECT is(messages(8), '8:reservation.confirmed:2');

-- Two cancellations: the units come back once.
SELECT slices('tv') AS before \gset
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$SELECT (cancel(uids(9), 'a'))[1]$$), 'DONE CANCELLED 2');
SELECT send('b', $$SELECT array_to_string(cancel(uids(10, 9), 'b'), ', ')$$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'DONE CANCELLED 2, REPLAYED CANCELLED 2');
SELECT is((SELECT cancel_reason FROM tranche.find_reservations(uids(9))), 'a');
SELECT is(slices('tv'), format('0:%s %s:20', split_part(split_part(:'before', ' ', 1), ':', 2)::integer + 2, :node));
-- Cancel, then expire.
SELECT make_due(11);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT (cancel(uids(11)))[1]'), 'DONE CANCELLED 2');
SELECT is(ask('b', 'SELECT expire()'), '0 false', 'it passes over the SKU');
SELECT is(ask('b', 'SELECT locked FROM tranche.expire_due(10)'), 'tv');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(expire(), '0 false');

-- Two expirers: each hold is expired once, and the second passes over the SKU.
SELECT make_due(12, 13, 14, 15);
SELECT slices('tv') AS before \gset
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT expire(2)'), '2 true');
SELECT is(ask('b', 'SELECT expire(2)'), '0 false');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(expire(2), '2 false');
SELECT is(slices('tv'), format('0:%s %s:20', split_part(split_part(:'before', ' ', 1), ':', 2)::integer + 4, :node));
SELECT conserved();

-- Extend, then expire: extended in time, whenever that commits.
UPDATE tranche.reservation SET expires_at = clock_timestamp() + interval '2 s' WHERE reservation_id = uid(16);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT extend(16, 1)'), 'DONE PENDING 1');
SELECT pg_sleep_until(expires_at) FROM tranche.reservation WHERE reservation_id = uid(16);
SELECT is(expire(), '0 true', 'it is in another''s hands');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(expire(), '0 false');
SELECT is(state(16), 'PENDING');
-- Expire, then extend.
SELECT make_due(16);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT expire()'), '1 false');
SELECT send('b', 'SELECT extend(16, 2)');
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'STATE EXPIRED 1');
-- The same extension twice.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT extend(18, 1)'), 'DONE PENDING 1');
SELECT send('b', 'SELECT extend(18, 1)');
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'REPLAYED PENDING 1');

-- Batches that share reservations, each in an order of its own, do not close a cycle.
SELECT dblink_exec('c', 'BEGIN');
SELECT is(ask('c', 'SELECT (confirm(uids(20)))[1]'), 'DONE CONFIRMED 2');
SELECT send('a', $$SELECT array_to_string(confirm(uids(19, 20, 21)), ', ')$$);
SELECT is(blocks(:'a_pid'), true);
SELECT send('b', $$SELECT array_to_string(cancel(uids(21, 20, 19)), ', ')$$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('c', 'COMMIT');
SELECT is(receive('a'), 'DONE CONFIRMED 2, REPLAYED CONFIRMED 2, DONE CONFIRMED 2');
SELECT is(receive('b'), 'STATE CONFIRMED 2, STATE CONFIRMED 2, STATE CONFIRMED 2');

-- The order of locks: the SKU's row, its pool, then reservations by buyer, whatever order they were asked for or lie in.
SELECT is(outcomes(:node, true, uids(31, 32, 33), '{tv,tv,tv}', ARRAY['z', 'm', 'a'], '{1,1,1}'), '{CREATED,CREATED,CREATED}');
SELECT make_due(31, 32, 33);
SELECT dblink_exec('a', 'BEGIN');
SELECT ask('a', $$SELECT sku_id FROM tranche.stock_slot WHERE sku_id = 'tv' AND slot_no = 0 FOR UPDATE$$);
SELECT send('b', 'SELECT (cancel(uids(31, 32, 33)))[1]');
SELECT is(blocks(:'b_pid'), true);
SELECT is(is_free('sku', $$sku_id = 'tv'$$), false);
SELECT is(is_free('reservation', 'reservation_id = uid(33)'), true);
SELECT dblink_exec('c', 'BEGIN');
SELECT ask('c', 'SELECT state FROM tranche.reservation WHERE reservation_id = uid(32) FOR UPDATE');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(blocks(:'b_pid'), true);
SELECT is(is_free('stock_slot', $$sku_id = 'tv' AND slot_no = 0$$), false);
SELECT send('a', 'SELECT (confirm(uids(31, 32, 33)))[1]');
SELECT is(blocks(:'a_pid'), true);
SELECT is(is_free('reservation', 'reservation_id = uid(31)'), true, 'z comes after m');
SELECT dblink_exec('c', 'COMMIT');
SELECT is(receive('b'), 'DONE CANCELLED 2');
SELECT is(receive('a'), 'STATE CANCELLED 2');
-- One by one, so that they lie in the order of the calls.
SELECT is(outcome(:node, 34, 'tv', 'z'), 'CREATED');
SELECT is(outcome(:node, 35, 'tv', 'm'), 'CREATED');
SELECT is(outcome(:node, 36, 'tv', 'a'), 'CREATED');
SELECT dblink_exec('c', 'BEGIN');
SELECT ask('c', 'SELECT state FROM tranche.reservation WHERE reservation_id = uid(35) FOR UPDATE');
SELECT send('a', 'SELECT (confirm(uids(34, 35, 36)))[1]');
SELECT is(blocks(:'a_pid'), true);
SELECT is(is_free('reservation', 'reservation_id = uid(34)'), true);
SELECT is(is_free('reservation', 'reservation_id = uid(36)'), false, 'a comes before m');
SELECT dblink_exec('c', 'COMMIT');
SELECT is(receive('a'), 'DONE CONFIRMED 2');
SELECT make_due(22, 23);
SELECT dblink_exec('a', 'BEGIN');
SELECT ask('a', $$SELECT sku_id FROM tranche.stock_slot WHERE sku_id = 'tv' AND slot_no = 0 FOR UPDATE$$);
SELECT is(ask('b', 'SELECT expire()'), '0 false', 'the pool is as good as the SKU');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(expire(), '2 false');
SELECT conserved();

-- A buyer's next try waits for their cancellation under way, and then the limit allows it.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT (cancel(uids(24)))[1]'), 'DONE CANCELLED 2');
SELECT send('b', format($$SELECT outcome(%s, 40, 'tv', 'u24')$$, :node));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'CREATED');

-- Two late payments and one unit: one gets the unit, the other a refund.
SELECT sku('last', 2);
SELECT tranche.move_units('last', ARRAY[:node], ARRAY[2], NULL, 'test');
SELECT is(outcomes(:node, true, uids(50, 51), '{last,last}', '{u50,u51}', '{1,1}'), '{CREATED,CREATED}');
SELECT make_due(50, 51);
SELECT is(expire(), '2 false');
SELECT is(tranche.reduce_stock('last', 1, 'test'), 1::bigint);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT pay_late(50)'), 'REBOOKED f EXPIRED -> u50 1 CONFIRMED 2');
SELECT send('b', 'SELECT pay_late(51)');
SELECT is(blocks(:'b_pid'), true);
-- The same payment twice is one.
SELECT send('c', 'SELECT pay_late(50)');
SELECT is(blocks(:'c_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'PAID_UNFULFILLED f EXPIRED');
SELECT is(receive('c'), 'REBOOKED t EXPIRED -> u50 1 CONFIRMED 2');
SELECT is(slices('last'), '0:0 ' || :node || ':0');
SELECT conserved();

-- A late payment and a sale of the last unit, which is in a slice: the sale first, and the payment first.
SELECT sku('sale', 3);
SELECT tranche.move_units('sale', ARRAY[:node], ARRAY[3], NULL, 'test');
SELECT is(outcomes(:node, true, uids(52, 53), '{sale,sale}', '{u52,u53}', '{1,1}'), '{CREATED,CREATED}');
SELECT make_due(52, 53);
SELECT is(expire(), '2 false');
SELECT is(tranche.reduce_stock('sale', 2, 'test'), 2::bigint);
SELECT is(slices('sale'), '0:0 ' || :node || ':1');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT outcome(%s, 54, 'sale', 'other')$$, :node)), 'CREATED');
SELECT send('b', 'SELECT pay_late(52)');
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'PAID_UNFULFILLED f EXPIRED');
SELECT tranche.add_stock('sale', 1, 'test'), tranche.move_units('sale', ARRAY[:node], ARRAY[1], NULL, 'test');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT pay_late(53)'), 'REBOOKED f EXPIRED -> u53 1 CONFIRMED 2');
SELECT is(outcome(:node, 55, 'sale', 'another', false), 'BUSY');
SELECT send('b', format($$SELECT outcome(%s, 55, 'sale', 'another')$$, :node));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'SHORT');
SELECT conserved();

-- A late payment and the same buyer's next claim, limit 1: the claim first, whether it stays or not; the payment first.
SELECT sku('one', 10), sku('many', 10, 3);
SELECT tranche.move_units(s, ARRAY[:node], ARRAY[7], NULL, 'test') FROM unnest(ARRAY['one', 'many']) AS s;
SELECT is(outcomes(:node, true, uids(60, 61, 62, 63), '{one,one,one,many}', '{x,y,z,w}', '{1,1,1,2}'),
          '{CREATED,CREATED,CREATED,CREATED}');
SELECT make_due(60, 61, 62, 63);
SELECT is(expire(), '4 false');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT outcome(%s, 64, 'one', 'x')$$, :node)), 'CREATED');
SELECT send('b', 'SELECT pay_late(60)');
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'PAID_UNFULFILLED f EXPIRED');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT outcome(%s, 65, 'one', 'y')$$, :node)), 'CREATED');
SELECT send('b', 'SELECT pay_late(61)');
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'ROLLBACK');
SELECT is(receive('b'), 'REBOOKED f EXPIRED -> y 1 CONFIRMED 2');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT pay_late(62)'), 'REBOOKED f EXPIRED -> z 1 CONFIRMED 2');
SELECT send('b', format($$SELECT outcome(%s, 66, 'one', 'z')$$, :node));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'USER_LIMIT_REACHED');
-- ... limit 3: all of the buyer's units count.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT (outcomes(%s, true, uids(67), '{many}', '{w}', '{2}'))[1]$$, :node)), 'CREATED');
SELECT send('b', $$SELECT pay_late(63, 'late', 1000)$$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'PAID_UNFULFILLED f EXPIRED');
SELECT is(cancel(uids(67)), '{"DONE CANCELLED 2"}');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT (outcomes(%s, true, uids(68), '{many}', '{w}', '{1}'))[1]$$, :node)), 'CREATED');
SELECT send('b', $$SELECT pay_late(63, 'next', 1000)$$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'REBOOKED f EXPIRED -> w 2 CONFIRMED 2', '1 and 2 are not above 3');
SELECT conserved();

-- Carts that share SKUs in opposite orders: slots are locked in one order, whatever that of the lines.
SELECT sku('x', 10, 3), sku('y', 10, 3);
SELECT tranche.move_units(s, ARRAY[:node], ARRAY[5], NULL, 'test') FROM unnest(ARRAY['x', 'y']) AS s;
SELECT dblink_exec('c', 'BEGIN');
SELECT is(ask('c', format($$SELECT outcome(%s, 70, 'y', 'p')$$, :node)), 'CREATED');
SELECT send('a', format($$SELECT cart(%s, uids(71, 72), '{y,x}', '{1,1}', 'q')$$, :node));
SELECT is(blocks(:'a_pid'), true);
SELECT send('b', format($$SELECT cart(%s, uids(73, 74), '{x,y}', '{1,1}', 'r')$$, :node));
SELECT is(blocks(:'b_pid'), true);
SELECT is(outcome(:node, 78, 'x', 'p', false), 'BUSY', 'the first has x, and waits for y');
SELECT is(pg_blocking_pids(:b_pid), ARRAY[:a_pid], 'the second waits for the first, at the first SKU');
SELECT dblink_exec('c', 'COMMIT');
SELECT is(receive('a'), 'true CREATED CREATED');
SELECT is(receive('b'), 'true CREATED CREATED');
-- One that is not committed leaves nothing locked, though its transaction goes on.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT cart(%s, uids(75, 76), '{x,none}', '{1,1}', 'q')$$, :node)), 'false CREATED SKU_NOT_FOUND');
SELECT is(outcome(:node, 77, 'x', 'q', false), 'CREATED');
SELECT dblink_exec('a', 'COMMIT');
SELECT conserved();

-- A cart and a claim of the same buyer at another node: together they are above the limit of 3. Either may be first.
SELECT holder('x', 5) AS other \gset
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT cart(%s, uids(80, 81), '{x,y}', '{2,2}', 's')$$, :node)), 'true CREATED CREATED');
SELECT send('b', format($$SELECT array_to_string(outcomes(%s, true, uids(82), '{x}', '{s}', '{2}'), ' ')$$, :other));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'USER_LIMIT_REACHED');
SELECT tranche.move_units(s, ARRAY[:node], ARRAY[5], NULL, 'test') FROM unnest(ARRAY['x', 'y']) AS s;
SELECT tranche.add_stock('x', 9, 'test'), tranche.move_units('x', ARRAY[:node], ARRAY[5], NULL, 'test');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT array_to_string(outcomes(%s, true, uids(83), '{x}', '{t}', '{2}'), ' ')$$, :other)), 'CREATED');
SELECT send('b', format($$SELECT cart(%s, uids(84, 85), '{y,x}', '{2,2}', 't')$$, :node));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'false CREATED USER_LIMIT_REACHED');
SELECT is_empty('SELECT FROM tranche.reservation WHERE reservation_id = ANY (uids(84, 85))');
SELECT conserved();

-- One buyer at three nodes at once, limit 5, several units at a time: never above it, and up to it.
SELECT sku('wide', 30, 5);
SELECT holder('wide', 10) AS n1 \gset
SELECT holder('wide', 10) AS n2 \gset
SELECT holder('wide', 10) AS n3 \gset
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT array_to_string(outcomes(%s, true, uids(90), '{wide}', '{v}', '{3}'), ' ')$$, :n1)), 'CREATED');
SELECT send('b', format($$SELECT array_to_string(outcomes(%s, true, uids(91, 92), '{wide,wide}', '{v,v}', '{3,1}'), ' ')$$, :n2));
SELECT is(blocks(:'b_pid'), true);
SELECT send('c', format($$SELECT array_to_string(outcomes(%s, true, uids(93, 94), '{wide,wide}', '{v,v}', '{2,1}'), ' ')$$, :n3));
SELECT is(blocks(:'c_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b') || ', ' || receive('c'), 'USER_LIMIT_REACHED CREATED, USER_LIMIT_REACHED CREATED');
SELECT is((SELECT sum(quantity) FROM tranche.reservation WHERE user_id = 'v' AND state = 'PENDING'), 5::bigint);
-- A cancellation under way makes no room before it commits, and then it does.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT (cancel(uids(90)))[1]'), 'DONE CANCELLED 2');
SELECT is(outcomes(:n2, true, uids(95), '{wide}', '{v}', '{3}'), '{USER_LIMIT_REACHED}');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(outcomes(:n2, true, uids(95), '{wide}', '{v}', '{3}'), '{CREATED}');
SELECT conserved();

-- A late payment locks no more of a sale than it takes. Slices: 1 unit, 4 units, 2 units.
SELECT sku('narrow', 12, 3, 3);
SELECT node() AS n3 \gset
SELECT tranche.move_units('narrow', ARRAY[:n3], ARRAY[12], NULL, 'test');
SELECT is(outcomes(:n3, true, uids(110, 111, 112), '{narrow,narrow,narrow}', '{p,q,r}', '{1,2,1}'),
          '{CREATED,CREATED,CREATED}');
SELECT make_due(110, 111, 112);
SELECT is(expire(), '3 false');
SELECT tranche.reduce_stock('narrow', 4, 'test');
UPDATE tranche.stock_slot sl SET allotted = sl.allotted - sl.remaining + x.units, remaining = x.units
FROM (VALUES (1, 1), (2, 4), (3, 2)) AS x (slot_no, units) WHERE sl.sku_id = 'narrow' AND sl.slot_no = x.slot_no;
UPDATE tranche.sku SET stock = 7 WHERE sku_id = 'narrow';
CREATE FUNCTION narrow() RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(remaining::text, ' ' ORDER BY slot_no) FROM tranche.stock_slot WHERE sku_id = 'narrow' AND slot_no > 0 $$;
SELECT is(narrow(), '1 4 2');
SELECT conserved();
SET lock_timeout = '5s';
SELECT dblink_exec('a', 'BEGIN');
SELECT dblink_exec('a', $$ DO 'BEGIN PERFORM FROM tranche.stock_slot WHERE sku_id = ''narrow'' AND slot_no IN (1, 3) FOR UPDATE; END' $$);
SELECT is(pay_late(110), 'REBOOKED f EXPIRED -> p 1 CONFIRMED 2', 'from the fullest, whoever has the others');
SELECT is(narrow(), '1 3 2');
-- A payment that books nothing anyway locks nothing: the limit is used up, or too few units are left.
SELECT dblink_exec('a', $$ DO 'BEGIN PERFORM FROM tranche.stock_slot WHERE sku_id = ''narrow'' FOR UPDATE; END' $$);
UPDATE tranche.sku SET per_user_limit = 1 WHERE sku_id = 'narrow';
SELECT is(pay_late(111, 'limit', 1000), 'PAID_UNFULFILLED f EXPIRED');
UPDATE tranche.sku SET per_user_limit = 3 WHERE sku_id = 'narrow';
UPDATE tranche.reservation SET quantity = 8 WHERE reservation_id = uid(112);
SELECT is(pay_late(112, 'much'), 'PAID_UNFULFILLED f EXPIRED');
UPDATE tranche.reservation SET quantity = 1 WHERE reservation_id = uid(112);
SELECT dblink_exec('a', 'COMMIT');
-- The fullest one is sold while it is waited for: then any.
SELECT dblink_exec('a', 'BEGIN');
SELECT dblink_exec('a', $$ UPDATE tranche.stock_slot SET remaining = 0, allotted = allotted - 3 WHERE sku_id = 'narrow' AND slot_no = 2 $$);
SELECT send('b', $$SELECT pay_late(112)$$);
SELECT is(blocks(:'b_pid'), true);
UPDATE tranche.stock_slot SET version = version WHERE sku_id = 'narrow' AND slot_no IN (1, 3);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'REBOOKED f EXPIRED -> r 1 CONFIRMED 2');
SELECT is(narrow(), '1 0 1');
UPDATE tranche.sku SET stock = 4 WHERE sku_id = 'narrow';
SELECT conserved();

-- Retention takes the reservation while its late payment is decided: archived first, and dropped first.
SELECT sku('gone', 10);
SELECT tranche.move_units('gone', ARRAY[:n3], ARRAY[10], NULL, 'test');
SELECT is(outcomes(:n3, true, uids(120, 121), '{gone,gone}', '{x,y}', '{1,1}'), '{CREATED,CREATED}');
SELECT make_due(120, 121);
SELECT is(expire(), '2 false');
SELECT tranche.close_sku('gone', 'test');
DELETE FROM tranche.outbox WHERE sku_id = 'gone';
UPDATE tranche.reservation SET created_at = now() - interval '3 days', finished_at = now() - interval '2 days',
                               expires_at = now() - interval '2 days' WHERE reservation_id = uid(120);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT tranche.retire_reservations(86400, 10, true)::text'), '1');
SELECT send('b', 'SELECT pay_late(120)');
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'PAID_UNFULFILLED f EXPIRED');
SELECT is(messages(120), '120:payment.refund_requested:3');
UPDATE tranche.reservation SET created_at = now() - interval '3 days', finished_at = now() - interval '2 days',
                               expires_at = now() - interval '2 days' WHERE reservation_id = uid(121);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT tranche.retire_reservations(86400, 10, false)::text'), '1');
SELECT send('b', 'SELECT pay_late(121)');
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT throws_ok($$SELECT receive('b')$$, '40001', NULL, 'to be tried again');
SELECT is(pay_late(121), 'NOT_FOUND f');
SELECT conserved();

SELECT * FROM finish();

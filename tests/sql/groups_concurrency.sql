-- Groups in several sessions: payments for the last seat, joins beside them, and what else may happen to a hold meanwhile.
\ir helpers.psql
\ir group_helpers.psql
SELECT no_plan();
SELECT open_session('a'), open_session('b'), open_session('c');
SELECT pid('a') AS a_pid, pid('b') AS b_pid, pid('c') AS c_pid \gset

SELECT sku('tv', 1000), sku('cam', 1000, 5);
SELECT offer('tv', 'duo', 2), offer('cam', 'duo', 2), offer('cam', 'trio', 3);
SELECT holder('tv', 300) AS node \gset
SELECT tranche.move_units('cam', ARRAY[:node], ARRAY[300], NULL, 'test');
SELECT holder('tv', 300) AS other \gset
SELECT tranche.move_units('cam', ARRAY[:other], ARRAY[300], NULL, 'test');

-- Two payments for the last seat: one gets it, whoever waited finds the group full.
SELECT is(joins(:node, true, '{1,2,3,4}', '{tv,tv,tv,tv}', '{u1,u2,u3,u4}', '{1,1,1,2}', '{duo,duo,duo,duo}'), '{CREATED,CREATED,CREATED,CREATED}');
SELECT is(pay('{1}'), '{"DONE PENDING 2"}');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT (pay('{2}'))[1] $$), 'DONE CONFIRMED 2');
SELECT send('b', $$ SELECT (pay('{3}'))[1] $$);
SELECT is(blocks(:'b_pid'), true);
SELECT is(pay('{3,4}', false), '{BUSY,"DONE PENDING 2"}', 'other groups do not wait');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'GROUP_OVER PENDING 1');
SELECT is(members(1), 'u1 1 pay-1 CONFIRMED, u2 2 pay-2 CONFIRMED, u3 PENDING');
-- If the first one fails, the other has it.
SELECT is(joins(:node, true, '{5,6,7}', '{tv,tv,tv}', '{u5,u6,u7}', '{3,3,3}', '{duo,duo,duo}'), '{CREATED,CREATED,CREATED}');
SELECT is(pay('{5}'), '{"DONE PENDING 2"}');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT (pay('{6}'))[1] $$), 'DONE CONFIRMED 2');
SELECT send('b', $$ SELECT (pay('{7}'))[1] $$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'ROLLBACK');
SELECT is(receive('b'), 'DONE CONFIRMED 2');
SELECT is(members(3), 'u5 1 pay-5 CONFIRMED, u7 2 pay-7 CONFIRMED, u6 PENDING');
-- The same payment twice is one.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT pay_late_seat(6) $$), 'PAID_UNFULFILLED f CANCELLED');
SELECT send('b', $$ SELECT pay_late_seat(6) $$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'PAID_UNFULFILLED t CANCELLED');
SELECT conserved();

-- Payments of two groups that cross: they lock the groups in one order.
SELECT is(joins(:node, true, '{10,11,12,13}', '{cam,cam,cam,cam}', '{a,b,c,d}', '{10,11,10,11}', '{trio,trio,trio,trio}'),
          '{CREATED,CREATED,CREATED,CREATED}');
SELECT dblink_exec('c', 'BEGIN');
SELECT ask('c', 'SELECT state FROM tranche.group_buy WHERE group_id = gid(11) FOR UPDATE');
SELECT send('a', $$ SELECT array_to_string(pay('{11,10}'), ',') $$);
SELECT is(blocks(:'a_pid'), true);
SELECT send('b', $$ SELECT array_to_string(pay('{12,13}'), ',') $$);
SELECT is(blocks(:'b_pid'), true);
SELECT is(pg_blocking_pids(:b_pid), ARRAY[:a_pid], 'at the first group');
SELECT dblink_exec('c', 'COMMIT');
SELECT is(receive('a'), 'DONE PENDING 2,DONE PENDING 2');
SELECT is(receive('b'), 'DONE PENDING 2,DONE PENDING 2');

-- The last payment needs the reservations of those who have paid: it waits for one that is locked, or leaves the group alone.
SELECT is(join_one(:node, 14, 'cam', 'e', 10), 'CREATED');
SELECT dblink_exec('c', 'BEGIN');
SELECT ask('c', 'SELECT state FROM tranche.reservation WHERE reservation_id = uid(10) FOR UPDATE');
SELECT is(pay('{14}', false), '{BUSY}');
SELECT is(pay('{10}', false), '{BUSY}');
SELECT is(pay('{12}', false), '{"REPLAYED PENDING 2"}');
SELECT send('a', $$ SELECT (pay('{14}'))[1] $$);
SELECT is(blocks(:'a_pid'), true);
SELECT is(is_free('sku', $$ sku_id = 'cam' $$) AND is_free('stock_slot', $$ sku_id = 'cam' $$), true, 'without stopping a sale');
SELECT dblink_exec('c', 'COMMIT');
SELECT is(receive('a'), 'DONE CONFIRMED 2');
SELECT is(group_is(10), 'FILLED 3/3 4 unsettled');
SELECT conserved();

-- A join and the last payment do not wait for each other, in whatever order. A join that was first is a member of the filled group.
SELECT is(joins(:node, true, '{20,21,22,23}', '{cam,cam,cam,cam}', '{a,b,c,d}', '{20,20,21,21}', '{duo,duo,duo,duo}'),
          '{CREATED,CREATED,CREATED,CREATED}');
SELECT is(pay('{20,22}'), '{"DONE PENDING 2","DONE PENDING 2"}');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT (pay('{21}'))[1] $$), 'DONE CONFIRMED 2');
SELECT is(join_one(:node, 24, 'cam', 'e', 20, NULL, false), 'CREATED', 'the payment is not committed');
SELECT is(join_one(:node, 25, 'cam', 'f', 20), 'CREATED');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(join_one(:node, 26, 'cam', 'g', 20), 'GROUP_FULL');
SELECT is(group_is(20) || '; ' || members(20), 'FILLED 2/2 3 unsettled; a 1 pay-20 CONFIRMED, b 2 pay-21 CONFIRMED, e PENDING, f PENDING');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$ SELECT join_one(%s, 26, 'cam', 'g', 21, NULL, false) $$, :node)), 'CREATED');
SELECT is(pay('{23}'), '{"DONE CONFIRMED 2"}');
SELECT is(is_free('group_buy', 'group_id = gid(21)'), false, 'who settles the group waits for the join');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(group_is(21) || '; ' || members(21), 'FILLED 2/2 3 unsettled; c 1 pay-22 CONFIRMED, d 2 pay-23 CONFIRMED, g PENDING');
SELECT is(pay_late_seat(26), 'PAID_UNFULFILLED f CANCELLED');
SELECT conserved();

-- A join that has looked, and waits for its slot while the group is filled, fails as a whole. Its repeat is refused.
SELECT is(joins(:node, true, '{30,31}', '{cam,cam}', '{a,b}', '{30,30}', '{duo,duo}'), '{CREATED,CREATED}');
SELECT dblink_exec('c', 'BEGIN');
SELECT ask('c', format($$ SELECT sku_id FROM tranche.stock_slot WHERE sku_id = 'cam' AND holder = %s FOR UPDATE $$, :node));
SELECT send('b', format($$ SELECT array_to_string(joins(%s, true, '{32,33}', '{cam,cam}', '{c,d}', '{30,0}', '{NULL,NULL}'), ',') $$, :node));
SELECT is(blocks(:'b_pid'), true);
SELECT is(pay('{30,31}'), '{"DONE CONFIRMED 2","DONE CONFIRMED 2"}');
SELECT dblink_exec('c', 'COMMIT');
SELECT is(receive_error('b'), '40001');
SELECT is(joins(:node, true, '{32,33}', '{cam,cam}', '{c,d}', '{30,0}', '{NULL,NULL}'), '{GROUP_FULL,CREATED}');
-- Without waiting the group is locked before the look. So a join that waits, for another claim of its buyer, is not disturbed.
SELECT is(joins(:node, true, '{34,35}', '{tv,tv}', '{a,b}', '{31,31}', '{duo,duo}'), '{CREATED,CREATED}');
SELECT dblink_exec('c', 'BEGIN');
SELECT is(ask('c', format($$ SELECT outcome(%s, 36, 'tv', 'c') $$, :other)), 'CREATED');
SELECT send('b', format($$ SELECT join_one(%s, 37, 'tv', 'c', 31, NULL, false) $$, :node));
SELECT is(blocks(:'b_pid'), true);
SELECT is(pay('{34,35}'), '{"DONE CONFIRMED 2","DONE CONFIRMED 2"}');
SELECT dblink_exec('c', 'ROLLBACK');
SELECT is(receive('b'), 'CREATED');
SELECT is(group_is(31) || '; ' || members(31), 'FILLED 2/2 2 unsettled; a 1 pay-34 CONFIRMED, b 2 pay-35 CONFIRMED, c PENDING');
SELECT conserved();

-- Who ends a group has its row alone: a join waits for it, or says that it is busy, and sells nothing.
SELECT is(join_one(:node, 40, 'cam', 'a', 40, 'duo'), 'CREATED');
SELECT dblink_exec('c', 'BEGIN');
SELECT ask('c', 'SELECT state FROM tranche.group_buy WHERE group_id = gid(40) FOR UPDATE');
SELECT is(joins(:node, w, '{41,42}', '{cam,cam}', '{b,b}', '{40,0}', '{NULL,NULL}'), ARRAY['BUSY', x])
FROM (VALUES (false, 'CREATED'), (NULL, 'REPLAYED')) AS t (w, x);
SELECT send('b', format($$ SELECT join_one(%s, 41, 'cam', 'b', 40) $$, :node));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('c', $$ UPDATE tranche.group_buy SET state = 'FAILED', finished_at = now(), unsettled = true WHERE group_id = gid(40) $$);
SELECT dblink_exec('c', 'COMMIT');
SELECT is(receive_error('b'), '40001');
SELECT is(join_one(:node, 41, 'cam', 'b', 40), 'GROUP_OVER');
SELECT conserved();

-- A group that is due is not locked by those who still try to join it, so whoever ends it finds it free.
SELECT is(join_one(:node, 45, 'cam', 'h', 41, 'duo'), 'CREATED');
SELECT end_time(41);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$ SELECT join_one(%s, 46, 'cam', 'i', 41, NULL, false) $$, :node)), 'GROUP_OVER');
SELECT is(is_free('group_buy', 'group_id = gid(41)'), true);
SELECT dblink_exec('a', 'COMMIT');

-- Two buyers open a group of the same id: the first opens it, and the other joins it, or is told if the offers differ.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$ SELECT join_one(%s, 50, 'cam', 'm', 50, 'duo') $$, :node)), 'CREATED');
SELECT send('b', format($$ SELECT join_one(%s, 51, 'cam', 'n', 50, 'duo') $$, :other));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'CREATED');
SELECT is(members(50), 'm PENDING, n PENDING');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$ SELECT join_one(%s, 52, 'cam', 'm', 51, 'trio') $$, :node)), 'CREATED');
SELECT send('b', format($$ SELECT join_one(%s, 53, 'cam', 'o', 51, 'duo') $$, :other));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive_error('b'), '40001');
SELECT is(join_one(:other, 53, 'cam', 'o', 51, 'duo'), 'GROUP_NOT_FOUND');

-- One buyer at two nodes: one group of an offer, one membership of a group.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$ SELECT join_one(%s, 60, 'cam', 'q', 60, 'duo') $$, :node)), 'CREATED');
SELECT send('b', format($$ SELECT join_one(%s, 61, 'cam', 'q', 61, 'duo', false) $$, :other));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive_error('b'), '40001');
SELECT is(join_one(:other, 61, 'cam', 'q', 61, 'duo', false), 'TOO_MANY_GROUPS');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$ SELECT join_one(%s, 62, 'cam', 'r', 60) $$, :node)), 'CREATED');
SELECT send('b', format($$ SELECT join_one(%s, 63, 'cam', 'r', 60, NULL, false) $$, :other));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive_error('b'), '40001');
SELECT is(join_one(:other, 63, 'cam', 'r', 60, NULL, false), 'ALREADY_IN_GROUP');
SELECT is(members(60), 'q PENDING, r PENDING');
SELECT conserved();

-- A payment and the expiry of its hold: whoever has the group first.
SELECT is(joins(:node, true, '{70,71}', '{cam,cam}', '{s,t}', '{70,70}', '{duo,duo}'), '{CREATED,CREATED}');
SELECT make_due(70, 71);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT (pay(ARRAY[70]))[1]'), 'DONE PENDING 2');
SELECT is(ask('b', 'SELECT expire()'), '0 true', 'of no member while the group is locked');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(expire(), '1 false', 'the other one');
SELECT is(state(70) || ' ' || state(71), 'PENDING EXPIRED');
SELECT is(join_one(:node, 72, 'cam', 't', 70), 'CREATED');
SELECT make_due(72);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT expire()'), '1 false');
SELECT send('b', $$ SELECT (pay('{72}'))[1] $$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'STATE EXPIRED 2');
SELECT is(group_is(70), 'FORMING 1/2 2');

-- A SKU that begins to move waits for payments under way, and who pays then hears of it.
SELECT tranche.add_shard('hot', 'host=a dbname=t', 'alice');
SELECT is(join_one(:node, 80, 'tv', 's', 80, 'duo'), 'CREATED');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT (pay(ARRAY[80]))[1]'), 'DONE PENDING 2');
SELECT send('b', format($$ SELECT since FROM tranche.prepare_leave('tv', %L) $$, uid(900)));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT isnt(receive('b'), NULL);
SELECT conserved();
SELECT * FROM finish();

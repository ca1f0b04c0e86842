-- Ends of groups beside others, in several sessions: what is locked is passed over, and nobody waits in a circle.
\ir helpers.psql
\ir group_end_helpers.psql
SELECT no_plan();
SELECT open_session('a'), open_session('b');
SELECT pid('a') AS a_pid, pid('b') AS b_pid \gset

SELECT sku('tv', 100), sku('radio', 100);
SELECT holder('tv', 50) AS node \gset
SELECT tranche.move_units('radio', ARRAY[:node], ARRAY[50], NULL, 'test');
SELECT is(offer('tv', 'o', 5) || offer('radio', 'o', 5), 'DONEDONE');
SELECT form(1, 'tv'), form(2, 'radio'), form(3, 'tv');
SELECT is(join_group(1, :node, 11, 12) || join_group(2, :node, 21, 22) || join_group(3, :node, 31, 32), 'CREATEDCREATEDCREATED');
SELECT pay_seats(11, 21, 31);

-- A SKU that somebody keeps locked stops its own groups only.
SELECT make_over(1, 2);
SELECT dblink_exec('a', 'BEGIN');
SELECT ask('a', $$ SELECT sku_id FROM tranche.sku WHERE sku_id = 'tv' FOR UPDATE $$);
SELECT is(expire_groups(), '0 1 2 true', 'others are still due');
SELECT results_eq('SELECT filled, failed, ended, more, next_us < 0, settled FROM tranche.expire_groups(10)',
                  $$ VALUES (0::bigint, 0::bigint, 0::bigint, true, true, 0::bigint) $$, 'also if that is all, and late');
SELECT is(leave_now(12), '{BUSY}');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(group_is(1) || ', ' || group_is(2), 'FORMING 1/5 2, FAILED 1/5 3');
SELECT is(expire_groups(), '0 1 2 false');
SELECT conserved();

-- A group that somebody has locked, as a payment does, is left for another call; so is one of which a paid hold is locked.
SELECT make_over(3);
SELECT dblink_exec('a', 'BEGIN');
SELECT ask('a', $$ SELECT group_id::text FROM tranche.group_buy WHERE group_id = gid(3) FOR UPDATE $$);
SELECT is(expire_groups(), '0 0 0 true');
SELECT is(leave_now(32), '{BUSY}');
SELECT dblink_exec('a', 'COMMIT');
SELECT dblink_exec('a', 'BEGIN');
SELECT ask('a', $$ SELECT reservation_id::text FROM tranche.reservation WHERE reservation_id = uid(31) FOR UPDATE $$);
SELECT is(expire_groups(), '0 0 0 true');
SELECT is(holds(31, 32), '31 PENDING, 32 PENDING', 'none of its holds is ended alone');
SELECT dblink_exec('a', 'COMMIT');
-- Of an unpaid one, only that one.
SELECT dblink_exec('a', 'BEGIN');
SELECT ask('a', $$ SELECT reservation_id::text FROM tranche.reservation WHERE reservation_id = uid(32) FOR UPDATE $$);
SELECT is(expire_groups(), '0 1 1 true');
SELECT is(group_is(3), 'FAILED 1/5 3 unsettled');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(expire_groups(), '0 0 1 false');
SELECT is(group_is(3), 'FAILED 1/5 3');
SELECT conserved();

-- Two workers at once: each group ends once.
SELECT form(4, 'tv');
SELECT is(join_group(4, :node, 41), 'CREATED');
SELECT pay_seats(41);
SELECT make_over(4);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT expire_groups()'), '0 1 1 false');
SELECT is(ask('b', 'SELECT expire_groups()'), '0 0 0 true');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(expire_groups(), '0 0 0 false');
SELECT is(refunds(41), '41 p41');

-- A payment that has the group, and then wants the reservation; somebody who leaves waits behind it with the SKU locked.
SELECT form(5, 'tv');
SELECT is(join_group(5, :node, 51, 52), 'CREATED');
SELECT dblink_exec('a', 'BEGIN');
SELECT ask('a', $$ SELECT group_id::text FROM tranche.group_buy WHERE group_id = gid(5) FOR UPDATE $$);
SELECT send('b', 'SELECT leave(51)::text');
SELECT is(blocks(:'b_pid'), true);
SELECT ask('a', $$ SELECT pay_seats(51)::text $$);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), '{"DONE CANCELLED 4"}', 'and gives the seat up that was paid meanwhile');
SELECT is(group_is(5), 'FORMING 0/5 3');
SELECT is(refunds(51), '51 p51');

-- A hold whose time is over, and that is paid while the expirer comes for it.
SELECT make_due(52);
SELECT dblink_exec('a', 'BEGIN');
SELECT ask('a', $$ SELECT reservation_id::text FROM tranche.reservation WHERE reservation_id = uid(52) FOR UPDATE $$);
SELECT is(expire(), '0 true');
SELECT ask('a', $$ SELECT pay_seats(52)::text $$);
SELECT dblink_exec('a', 'COMMIT');
SELECT make_over(5);
SELECT is(expire(), '0 false', 'it is the group''s now');
SELECT is(expire_groups(), '0 1 1 false');
SELECT is(refunds(52), '52 p52');
SELECT conserved();

-- Whether somebody is still in a group is only looked at if one of its holds has expired.
SELECT form(6, 'tv');
INSERT INTO tranche.group_member (group_id, user_id, reservation_id, joined_at)
SELECT gid(6), 'gone' || i, gen_random_uuid(), now() FROM generate_series(1, 500) AS i;
SELECT is(join_group(6, :node, 61), 'CREATED');
SELECT make_due(61);
SELECT dblink_exec('a', 'BEGIN');
SELECT ask('a', $$ SELECT reservation_id::text FROM tranche.reservation WHERE reservation_id = uid(61) FOR UPDATE $$);
SELECT cmp_ok(rows_read('group_member', 'SELECT expire()'), '<', 50::bigint);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(expire(), '1 false');
SELECT is(group_is(6), 'FAILED 0/5 2 unsettled');
SELECT conserved();
SELECT * FROM finish();

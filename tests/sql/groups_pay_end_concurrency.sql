-- Payments for seats in one session, and in another who ends the hold or the group: a member who leaves, the deadline, an operator.
\ir helpers.psql
\ir group_helpers.psql
SELECT no_plan();
SELECT open_session('a'), open_session('b');
SELECT pid('a') AS a_pid, pid('b') AS b_pid \gset
CREATE FUNCTION expire_grps() RETURNS text LANGUAGE sql AS
$$ SELECT format('%s filled %s failed %s ended', filled, failed, ended) FROM tranche.expire_groups(100) $$;
CREATE FUNCTION cancel_grp(p_group integer) RETURNS text LANGUAGE sql AS
$$ SELECT outcome || ' ' || state FROM tranche.cancel_group(gid(p_group), 'why', false, 'alice') $$;

SELECT sku('tv', 1000, 9);
SELECT offer('tv', 'duo', 2);
SELECT holder('tv', 500) AS node \gset
SELECT is(joins(:node, true, '{1,2,3,4,5,6,7,8,9,10,11,12}', '{tv,tv,tv,tv,tv,tv,tv,tv,tv,tv,tv,tv}', '{a,b,c,d,e,f,g,h,i,j,k,l}',
                '{1,1,2,2,3,3,4,4,5,5,6,6}', '{duo,duo,duo,duo,duo,duo,duo,duo,duo,duo,duo,duo}'),
          array_fill('CREATED'::text, ARRAY[12]));

-- One who has paid leaves while another pays the last seat. The payment first: nobody leaves a filled group.
SELECT is(pay('{1,3}'), '{"DONE PENDING 2","DONE PENDING 2"}');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT (pay('{2}'))[1] $$), 'DONE CONFIRMED 2');
SELECT is(leave_now(1), '{BUSY}');
SELECT send('b', $$ SELECT (leave(1))[1] $$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'STATE CONFIRMED 3');
-- The other way round: the seat is free again when the payment comes, and the group is not full.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT (leave(3))[1] $$), 'DONE CANCELLED 4');
SELECT is(pay('{4}', false), '{BUSY}');
SELECT send('b', $$ SELECT (pay('{4}'))[1] $$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'DONE PENDING 2');
SELECT is(group_is(2) || '; ' || members(2), 'FORMING 1/2 4; d 1 pay-4 PENDING, c CANCELLED');
-- Who leaves, and pays.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT (leave(5))[1] $$), 'DONE CANCELLED 2');
SELECT send('b', $$ SELECT (pay('{5}'))[1] $$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'STATE CANCELLED 2');
SELECT conserved();

-- The deadline: who pays before it is sold or refunded, and nothing between.
SELECT is(pay('{7}'), '{"DONE PENDING 2"}');
UPDATE tranche.group_buy SET deadline_at = clock_timestamp() + interval '2 s' WHERE group_id = gid(4);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT (pay('{8}'))[1] $$), 'DONE CONFIRMED 2');
SELECT pg_sleep(2);
SELECT is(expire_grps(), '0 filled 0 failed 0 ended', 'it is passed over while it is paid');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(expire_grps(), '0 filled 0 failed 0 ended', 'nobody else holds units for it');
SELECT is(group_is(4), 'FILLED 2/2 3');
SELECT is(pay('{9}'), '{"DONE PENDING 2"}');
SELECT end_time(5);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT expire_grps()'), '0 filled 1 failed 2 ended');
SELECT is(pay('{10}', false), '{BUSY}');
SELECT send('b', $$ SELECT (pay('{10}'))[1] $$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'STATE CANCELLED 2');
SELECT is(pay_late_seat(10), 'PAID_UNFULFILLED f CANCELLED');
SELECT is(pay_late_seat(9), 'PAID_UNFULFILLED t CANCELLED', 'its refund has been asked for');
SELECT conserved();

-- An operator cancels the group while its last seat is paid.
SELECT is(pay('{11}'), '{"DONE PENDING 2"}');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT cancel_grp(6)'), 'DONE CANCELLED');
SELECT send('b', $$ SELECT (pay('{12}'))[1] $$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'STATE CANCELLED 2');
SELECT is(joins(:node, true, '{13,14}', '{tv,tv}', '{m,n}', '{7,7}', '{duo,duo}'), '{CREATED,CREATED}');
SELECT is(pay('{13}'), '{"DONE PENDING 2"}');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT (pay('{14}'))[1] $$), 'DONE CONFIRMED 2');
SELECT send('b', 'SELECT cancel_grp(7)');
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'GROUP_OVER FILLED');

-- A join under way when an operator cancels the group, which does not wait for it: its hold ends after it.
SELECT expire_grps();
SELECT is(join_one(:node, 15, 'tv', 'o', 8, 'duo'), 'CREATED');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$ SELECT join_one(%s, 16, 'tv', 'p', 8, NULL, false) $$, :node)), 'CREATED');
SET lock_timeout = '1s';
SELECT is(cancel_grp(8), 'DONE CANCELLED');
RESET lock_timeout;
SELECT is(expire_grps(), '0 filled 0 failed 0 ended');
SELECT is(group_is(8), 'CANCELLED 0/2 2 unsettled', 'as long as there may be others');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(expire_grps(), '0 filled 0 failed 1 ended');
SELECT is(group_is(8) || '; ' || members(8), 'CANCELLED 0/2 2; o CANCELLED, p CANCELLED');
SELECT conserved();
-- A join that comes while the group is being cancelled is not stopped either.
SELECT is(join_one(:node, 20, 'tv', 't', 10, 'duo'), 'CREATED');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT cancel_grp(10)'), 'DONE CANCELLED');
SELECT is(join_one(:node, 21, 'tv', 'u', 10), 'CREATED');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(join_one(:node, 22, 'tv', 'v', 10), 'GROUP_OVER');
SELECT is(expire_grps(), '0 filled 0 failed 1 ended');
SELECT is(members(10), 't CANCELLED, u CANCELLED');
SELECT conserved();
-- A join under way when the last member leaves: the group is over for it, too.
SELECT is(join_one(:node, 30, 'tv', 'w', 11, 'duo'), 'CREATED');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$ SELECT join_one(%s, 31, 'tv', 'x', 11, NULL, false) $$, :node)), 'CREATED');
SELECT is(leave(30), '{"DONE CANCELLED 2"}');
SELECT is(join_one(:node, 32, 'tv', 'y', 11), 'GROUP_OVER');
SELECT is(expire_grps(), '0 filled 0 failed 0 ended');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(expire_grps(), '0 filled 0 failed 1 ended');
SELECT is(group_is(11) || '; ' || members(11), 'FAILED 0/2 2; w CANCELLED, x CANCELLED');
SELECT is(join_one(:node, 33, 'tv', 'w', 12, 'duo'), 'CREATED', 'who had opened it may open another one');
SELECT conserved();
-- A join under way when the group is filled: its hold ends after it, and not before.
SELECT is(joins(:node, true, '{17,18}', '{tv,tv}', '{q,r}', '{9,9}', '{duo,duo}'), '{CREATED,CREATED}');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$ SELECT join_one(%s, 19, 'tv', 's', 9, NULL, false) $$, :node)), 'CREATED');
SELECT is(pay('{17,18}'), '{"DONE CONFIRMED 2","DONE CONFIRMED 2"}');
SELECT expire_grps();
SELECT is(group_is(9), 'FILLED 2/2 2 unsettled');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(expire_grps(), '0 filled 0 failed 1 ended');
SELECT is(group_is(9) || '; ' || members(9), 'FILLED 2/2 2; q 1 pay-17 CONFIRMED, r 2 pay-18 CONFIRMED, s CANCELLED');
SELECT conserved();
SELECT * FROM finish();

-- Who leaves a group, deadlines, and an operator's end of one.
\ir helpers.psql
\ir group_end_helpers.psql
SELECT no_plan();

SELECT results_eq('SELECT * FROM tranche.expire_groups(10)',
                  $$ VALUES (0::bigint, 0::bigint, 0::bigint, false, NULL::bigint, 0::bigint) $$, 'no group at all');
SELECT throws_ok('SELECT tranche.expire_groups(0)', '22023');
SELECT sku('tv', 100);
SELECT holder('tv', 90) AS node \gset
SELECT is(offer('tv', 'o', 3), 'DONE');
SELECT is(offer('tv', 'part', 4, 'PARTIAL', 2), 'DONE');

-- Leaving.
SELECT form(1, 'tv');
SELECT is(join_group(1, :node, 1, 2, 3), 'CREATED');
SELECT pay_seats(1, 2);
SELECT is(outcome(:node, 4, 'tv', 'u4'), 'CREATED', 'an ordinary one');
SELECT is(group_is(1), 'FORMING 2/3 3');
SELECT results_eq('SELECT filled, failed, ended, more, next_us BETWEEN 3500000000 AND 3601000000 FROM tranche.expire_groups(10)',
                  $$ VALUES (0::bigint, 0::bigint, 0::bigint, false, true) $$, 'it is not due');
SELECT is(leave(3, 1, 4, 9), '{"DONE CANCELLED 2","DONE CANCELLED 4",NOT_FOUND,NOT_FOUND}', 'members only');
SELECT is(slices('tv'), format('0:12 %s:86', :node), 'the units are in the pool');
SELECT is(group_is(1), 'FORMING 1/3 4', 'who had no seat frees none');
SELECT results_eq('SELECT user_id COLLATE "default", seat_no FROM tranche.group_member ORDER BY 1',
                  $$ VALUES ('u1', NULL::integer), ('u2', 2), ('u3', NULL) $$);
SELECT is(refunds(1, 2, 3), '1 p1');
SELECT is(messages(1, 3), '1:reservation.cancelled:3 1:payment.refund_requested:4 3:reservation.cancelled:2');
SELECT results_eq($$ SELECT payload ->> 'payment_reference', payload ->> 'state', payload ->> 'cancel_reason', payload ->> 'amount_minor'
                     FROM tranche.outbox WHERE reservation_id = uid(1) ORDER BY revision $$,
                  $$ VALUES (NULL, 'CANCELLED', 'why', '400'), ('p1', 'CANCELLED', 'why', '400') $$);
SELECT is(leave(1, 3), '{"REPLAYED CANCELLED 4","REPLAYED CANCELLED 2"}');
SELECT throws_ok('SELECT leave(1, 1)', '22023');
SELECT conserved();
-- They may come back, and take the seat that is free.
UPDATE tranche.group_member SET reservation_id = uid(5) WHERE reservation_id = uid(1);
SELECT is(outcome(:node, 5, 'tv', 'u1'), 'CREATED');
UPDATE tranche.reservation SET group_id = gid(1), amount_minor = 400 WHERE reservation_id = uid(5);
SELECT pay_seats(5);
SELECT results_eq('SELECT seat_no FROM tranche.group_member WHERE reservation_id = uid(5)', 'VALUES (1)');
-- Of a filled group, nobody leaves who has paid. Others may.
SELECT is(join_group(1, :node, 6, 7), 'CREATED');
SELECT fill(1, 7, true);
SELECT is(leave(5, 6), '{"STATE CONFIRMED 3","DONE CANCELLED 2"}');
SELECT is(expire_groups(), '0 0 0 false', 'nothing is left to end');
SELECT is(group_is(1), 'FILLED 3/3 6');
SELECT conserved();

-- At the deadline the group is decided, and not by who leaves in time before a worker comes.
SELECT form(2, 'tv');
SELECT is(join_group(2, :node, 21, 22, 23), 'CREATED');
SELECT pay_seats(21, 22);
SELECT make_over(2);
SELECT is(leave(21), '{"STATE PENDING 2"}');
SELECT is(expire(), '0 false', 'not the expirer''s');
SELECT results_eq('SELECT filled, failed, ended, more, next_us FROM tranche.expire_groups(10)',
                  $$ VALUES (0::bigint, 1::bigint, 3::bigint, false, NULL::bigint) $$);
SELECT is(group_is(2), 'FAILED 2/3 4', 'by how many it was paid');
SELECT is(holds(21, 22, 23), '21 CANCELLED GROUP_FAILED, 22 CANCELLED GROUP_FAILED, 23 CANCELLED GROUP_FAILED');
SELECT is(refunds(21, 22, 23), '21 p21, 22 p22');
SELECT is(messages(21, 23), '21:reservation.cancelled:3 21:payment.refund_requested:4 23:reservation.cancelled:2');
SELECT is((SELECT count(*) FROM tranche.group_member WHERE group_id = gid(2) AND seat_no IS NOT NULL), 2::bigint);
SELECT is(leave(21), '{"REPLAYED CANCELLED 4"}');
SELECT throws_ok($$ UPDATE tranche.group_buy SET state = 'FORMING', finished_at = NULL WHERE group_id = gid(2) $$, 'TR003');
SELECT conserved();

-- In part: with enough seats it is sold to those who have paid.
SELECT form(3, 'tv', 'part'), form(4, 'tv', 'part'), form(5, 'tv', 'part');
SELECT is(join_group(3, :node, 31, 32, 33) || join_group(4, :node, 41), 'CREATEDCREATED');
SELECT pay_seats(31, 32, 41);
SELECT make_over(3, 4, 5);
SELECT is(expire_groups(), '1 2 2 false');
SELECT is(group_is(3), 'FILLED 2/4 4 partial');
SELECT is(holds(31, 32, 33), '31 CONFIRMED p31, 32 CONFIRMED p32, 33 CANCELLED GROUP_FULL');
SELECT is(messages(31, 33), '31:reservation.confirmed:3 33:reservation.cancelled:2');
SELECT is(group_is(4) || ', ' || group_is(5), 'FAILED 1/4 3, FAILED 0/4 2');
SELECT is(refunds(31, 32, 33, 41), '41 p41');
SELECT is(expire_groups(), '0 0 0 false');
SELECT conserved();

-- In batches: all paid members of a group at once, the others when their turn comes.
SELECT form(6, 'tv'), form(7, 'tv');
SELECT is(join_group(6, :node, 61, 62, 63, 64, 65) || join_group(7, :node, 71, 72), 'CREATEDCREATED');
SELECT pay_seats(64, 65, 71);
SELECT make_over(6, 7);
SELECT results_eq('SELECT filled, failed, ended, more, next_us BETWEEN -600000000 AND -1 FROM tranche.expire_groups(1)',
                  $$ VALUES (0::bigint, 1::bigint, 2::bigint, true, true) $$, 'how long ago the other one was due');
SELECT is(group_is(6), 'FAILED 2/3 4 unsettled');
SELECT is(holds(61, 62, 63, 64, 65), '61 PENDING, 62 PENDING, 63 PENDING, 64 CANCELLED GROUP_FAILED, 65 CANCELLED GROUP_FAILED');
SELECT conserved();
SELECT results_eq('SELECT filled, failed, ended, more, next_us FROM tranche.expire_groups(1)',
                  $$ VALUES (0::bigint, 1::bigint, 1::bigint, true, NULL::bigint) $$, 'both are only to be settled');
SELECT is(group_is(7), 'FAILED 1/3 3 unsettled');
SELECT is(expire_groups(2), '0 0 2 true');
SELECT is(expire_groups(2), '0 0 2 false');
SELECT is(group_is(6) || ', ' || group_is(7), 'FAILED 2/3 4, FAILED 1/3 3');
-- Those of a group that was filled, too, and those whose hold has lapsed meanwhile are no work.
SELECT form(8, 'tv');
SELECT is(join_group(8, :node, 81, 82, 83, 84, 85), 'CREATED');
SELECT pay_seats(81, 82);
SELECT fill(8, 85, true);
SELECT make_due(84);
SELECT is(expire(), '1 false');
SELECT is(expire_groups(), '0 0 1 false');
SELECT is(holds(81, 82, 83, 84), '81 CONFIRMED p81, 82 CONFIRMED p82, 83 CANCELLED GROUP_FULL, 84 EXPIRED');
SELECT is(group_is(8), 'FILLED 3/3 4');
SELECT conserved();

-- An operator's end.
SELECT form(9, 'tv');
SELECT is(join_group(9, :node, 91, 92, 93), 'CREATED');
SELECT pay_seats(91, 92);
SELECT is(cancel_group(9, true), 'DONE CANCELLED 4', 'as it would be');
SELECT is(group_is(9), 'FORMING 2/3 3');
SELECT is(cancel_group(99), 'GROUP_NOT_FOUND');
SELECT is((SELECT outcome FROM tranche.cancel_group(gid(9), 'sold out', p_preview, 'alice', 'radio')), 'GROUP_NOT_FOUND',
          'another SKU''s group of this id is on another shard')
FROM (VALUES (true), (false)) AS x (p_preview);
SELECT is(group_is(9), 'FORMING 2/3 3');
SELECT is((SELECT concat_ws(' ', outcome, state) FROM tranche.cancel_group(gid(9), 'sold out', true, 'alice', 'tv')), 'DONE CANCELLED');
SELECT is(cancel_group(8), 'GROUP_OVER FILLED 4');
SELECT is(cancel_group(8, true), 'GROUP_OVER FILLED 4');
SELECT is_empty($$ SELECT FROM tranche.audit_log WHERE action = 'cancel_group' $$);
SELECT move_sku('tv', 'LEAVING');
SELECT throws_ok('SELECT cancel_group(9)', 'TR004');
SELECT is(leave(91, 93), '{MOVING,MOVING}');
SELECT make_over(9);
SELECT is(expire_groups(), '0 0 0 false', 'not here any more');
SELECT move_sku('tv', 'GONE');
SELECT is(cancel_group(9), 'GROUP_NOT_FOUND');
SELECT move_sku('tv', 'HERE');
SELECT results_eq($$ SELECT outcome, state, reason, seats_taken, price_minor, currency, finished_us > created_us, revision
                     FROM tranche.cancel_group(gid(9), 'sold out', false, 'alice') $$,
                  $$ VALUES ('DONE', 'CANCELLED', 'sold out', 2, 400::bigint, 'EUR', true, 4) $$);
SELECT is(holds(91, 92, 93), '91 CANCELLED GROUP_CANCELLED, 92 CANCELLED GROUP_CANCELLED, 93 CANCELLED GROUP_CANCELLED');
SELECT is(refunds(91, 92, 93), '91 p91, 92 p92');
SELECT is(group_is(9), 'CANCELLED 2/3 4 unsettled', 'until nobody can be joining it any more');
SELECT is(expire_groups(), '0 0 0 false');
SELECT is(group_is(9), 'CANCELLED 2/3 4');
SELECT is(cancel_group(9), 'DONE CANCELLED 4');
SELECT results_eq($$ SELECT actor, sku_id COLLATE "default", before, after FROM tranche.audit_log WHERE action = 'cancel_group' $$,
                  $$ SELECT 'alice', 'tv', jsonb_build_object('group', gid(9), 'state', 'FORMING', 'seats_taken', 2),
                            jsonb_build_object('group', gid(9), 'state', 'CANCELLED', 'seats_taken', 2, 'reason', 'sold out') $$, 'once');
SELECT conserved();

-- One of many unpaid members: a thousand of these at once.
SELECT sku('wide', 2000);
SELECT holder('wide', 2000) AS wide \gset
SELECT is(offer('wide', 'o', 3), 'DONE');
SELECT form(10, 'wide');
SELECT count(*) FROM tranche.commit_reservations(:wide, true, (SELECT array_agg(uid(i)) FROM generate_series(2000, 3009) AS i),
         array_fill('wide'::text, ARRAY[1010]), (SELECT array_agg('u' || i) FROM generate_series(2000, 3009) AS i),
         array_fill(1, ARRAY[1010]));
UPDATE tranche.reservation SET group_id = gid(10), amount_minor = 400 WHERE sku_id = 'wide';
INSERT INTO tranche.group_member (group_id, user_id, reservation_id, joined_at)
SELECT gid(10), user_id, reservation_id, now() FROM tranche.reservation WHERE sku_id = 'wide';
SELECT pay_seats(3009, 3008);
SELECT is(cancel_group(10), 'DONE CANCELLED 4');
SELECT is(group_is(10), 'CANCELLED 2/3 4 unsettled');
SELECT is(refunds(3008, 3009), '3008 p3008, 3009 p3009');
SELECT results_eq('SELECT ended, settled, more FROM tranche.expire_groups(100)', $$ VALUES (0::bigint, 1::bigint, true) $$,
                  'it has looked at a thousand: the next call goes on from there');
SELECT is(expire_groups(), '0 0 8 false');
SELECT is((SELECT count(*) FROM tranche.reservation WHERE sku_id = 'wide' AND cancel_reason = 'GROUP_CANCELLED'), 1010::bigint);
SELECT is(slices('wide'), format('0:1010 %s:990', :wide));
SELECT conserved();

-- A group in which nobody is any more ends at once: the last member leaves, or has not paid in time.
SELECT sku('few', 20);
SELECT holder('few', 20) AS few \gset
SELECT is(offer('few', 'o', 3), 'DONE');
SELECT form(20, 'few'), form(21, 'few');
SELECT is(join_group(20, :few, 201, 202, 203) || join_group(21, :few, 211, 212), 'CREATEDCREATED');
SELECT pay_seats(201);
SELECT is(leave(202), '{"DONE CANCELLED 2"}');
SELECT is(leave(201), '{"DONE CANCELLED 4"}');
SELECT is(group_is(20), 'FORMING 0/3 3', 'somebody is left');
SELECT make_due(203);
SELECT is(expire(), '1 false');
SELECT is(group_is(20), 'FAILED 0/3 4 unsettled', 'until nobody can be joining it any more');
SELECT results_eq('SELECT reason, finished_at >= created_at FROM tranche.group_buy WHERE group_id = gid(20)',
                  $$ VALUES ('nobody was in it any more', true) $$);
SELECT is(leave(211, 212), '{"DONE CANCELLED 2","DONE CANCELLED 2"}');
SELECT is(group_is(21), 'FAILED 0/3 2 unsettled', 'once, however many leave');
SELECT results_eq('SELECT failed, ended, settled, more FROM tranche.expire_groups(10)', $$ VALUES (0::bigint, 0::bigint, 2::bigint, false) $$,
                  'that is done, although no hold was left');
SELECT results_eq('SELECT failed, ended, settled, more FROM tranche.expire_groups(10)', $$ VALUES (0::bigint, 0::bigint, 0::bigint, false) $$);
SELECT is(group_is(20) || ', ' || group_is(21), 'FAILED 0/3 4, FAILED 0/3 2');
SELECT conserved();
-- If very many have left, it ends at its deadline only: so many are not looked at.
SELECT form(22, 'few');
INSERT INTO tranche.group_member (group_id, user_id, reservation_id, joined_at)
SELECT gid(22), 'gone' || i, gen_random_uuid(), now() FROM generate_series(1, 1001) AS i;
SELECT is(join_group(22, :few, 221), 'CREATED');
SELECT is(leave(221), '{"DONE CANCELLED 2"}');
SELECT is(group_is(22), 'FORMING 0/3 1');
SELECT make_over(22);
SELECT is(expire_groups(), '0 1 0 true');
SELECT is(expire_groups(), '0 0 0 false');
SELECT is(group_is(22), 'FAILED 0/3 2');
SELECT conserved();

-- It only reads what is due, among 20,000 groups that form and as many that are over.
SELECT form(11, 'tv');
SELECT is(join_group(11, :node, 101, 102, 103), 'CREATED');
SELECT pay_seats(101, 102);
INSERT INTO tranche.group_buy (group_id, sku_id, offer_id, seats, state, opened_by, created_at, deadline_at, finished_at)
SELECT gen_random_uuid(), 'tv', 'o', 3, CASE WHEN i % 2 = 0 THEN 'FORMING' ELSE 'FAILED' END, 'x' || i, now(),
       now() + CASE WHEN i % 2 = 0 THEN interval '1 hour' ELSE interval '-1 hour' END, CASE WHEN i % 2 = 1 THEN now() END
FROM generate_series(1, 40000) AS i;
SELECT cmp_ok(rows_read('group_buy', 'SELECT tranche.expire_groups(100)'), '<', 20::bigint, 'a table not analyzed');
SELECT make_over(11);
SELECT cmp_ok(rows_read('group_buy', 'SELECT tranche.expire_groups(100)'), '<', 60::bigint);
SELECT is(group_is(11), 'FAILED 2/3 4');
-- A group with 3,000 members whose holds have lapsed, among 20,000 live holds, in tables that are not analyzed: each member is read once.
SELECT form(12, 'wide');
INSERT INTO tranche.reservation (reservation_id, sku_id, user_id, quantity, ordinal, state, amount_minor, currency, incarnation_id,
                                 created_at, expires_at, finished_at, group_id)
SELECT uid(100000 + i), 'wide', 'a' || i, 1, 1, CASE WHEN i > 3000 THEN 'PENDING' ELSE 'EXPIRED' END, 400, 'EUR', :wide,
       now(), now() + interval '1 hour', CASE WHEN i <= 3000 THEN now() END, CASE WHEN i <= 3000 THEN gid(12) END
FROM generate_series(1, 23000) AS i;
INSERT INTO tranche.group_member (group_id, user_id, reservation_id, joined_at)
SELECT gid(12), user_id, reservation_id, now() FROM tranche.reservation WHERE group_id = gid(12);
SELECT is(join_group(12, :wide, 4001, 4002, 4003), 'CREATED');
SELECT pay_seats(4001);
SELECT make_over(12);
CREATE FUNCTION read_by_expiry(p_limit integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_before bigint := 0;
BEGIN
  FOR i IN 1..100 LOOP
    v_before := v_before + rows_read('group_member', format('SELECT expire_groups(%s)', p_limit));
    EXIT WHEN group_is(12) NOT LIKE '%unsettled' AND group_is(12) NOT LIKE 'FORMING%';
  END LOOP;
  RETURN CASE WHEN v_before < 15000 THEN 'few' ELSE v_before::text END;
END $$;
SELECT cmp_ok(rows_read('reservation', 'SELECT tranche.expire_groups(10)'), '<', 1000::bigint, 'only those of the members');
SELECT is(group_is(12), 'FAILED 1/3 3 unsettled');
SELECT is(holds(4001, 4002, 4003), '4001 CANCELLED GROUP_FAILED, 4002 PENDING, 4003 PENDING', 'who has paid comes first');
SELECT is(read_by_expiry(10), 'few');
SELECT is(group_is(12), 'FAILED 1/3 3');
SELECT is(holds(4001, 4002, 4003), '4001 CANCELLED GROUP_FAILED, 4002 CANCELLED GROUP_FAILED, 4003 CANCELLED GROUP_FAILED');
ANALYZE tranche.group_buy;
SELECT cmp_ok(rows_read('group_buy', 'SELECT tranche.expire_groups(100)'), '<', 20::bigint, 'a table analyzed');
SELECT * FROM finish();

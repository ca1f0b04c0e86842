\ir helpers.psql
\ir group_helpers.psql
SELECT no_plan();

SELECT sku('tv', 1000, 3), sku('radio', 100);
SELECT offer('tv'), offer('tv', 'duo', 2), offer('tv', 'brief', 2, 30, 600, 'PARTIAL'), offer('radio');
SELECT holder('tv', 500) AS node \gset
SELECT tranche.move_units('radio', ARRAY[:node], ARRAY[50], NULL, 'test');

-- Opening a group: a reservation at the offer's price, a group and a member.
SELECT results_eq(format($$ SELECT idx, outcome, state, amount_minor, currency, incarnation_id, expires_us - created_us, slice_version,
                                   extensions, revision
                            FROM tranche.join_groups(%s, false, uids(1), '{tv}', '{u1}', '{2}', '{order}', gids(1), '{trio}') $$, :node),
                  format($$ VALUES (1, 'CREATED', 'PENDING', 800::bigint, 'EUR', %s::bigint, 600000000::bigint, NULL::bigint,
                                    NULL::integer, NULL::integer) $$, :node));
SELECT results_eq($$ SELECT group_id, amount_minor, quantity, expires_at - created_at, revision, order_reference, state
                     FROM tranche.reservation $$,
                  $$ VALUES (gid(1), 800::bigint, 2, interval '600 s', 1, 'order', 'PENDING') $$);
SELECT results_eq($$ SELECT sku_id COLLATE "default", offer_id COLLATE "default", seats, seats_taken, state, opened_by COLLATE "default",
                            deadline_at - created_at, finished_at, revision
                     FROM tranche.group_buy WHERE group_id = gid(1) $$,
                  $$ VALUES ('tv', 'trio', 3, 0, 'FORMING', 'u1', interval '1 h', NULL::timestamptz, 1) $$);
SELECT results_eq($$ SELECT m.user_id COLLATE "default", m.reservation_id, m.seat_no, r.created_at = m.joined_at
                     FROM tranche.group_member m JOIN tranche.reservation r ON r.reservation_id = m.reservation_id $$,
                  $$ VALUES ('u1', uid(1), NULL::integer, true) $$);
SELECT is(slices('tv'), format('0:500 %s:498', :node));
SELECT is_empty('SELECT FROM tranche.outbox', 'the caller has the answer');

-- Joining it, and repeats.
SELECT is(join_one(:node, 2, 'tv', 'u2', 1), 'CREATED');
SELECT is(join_one(:node, 3, 'tv', 'u3', 1, 'trio'), 'CREATED', 'who would open a group that is there joins it');
SELECT is(group_is(1), 'FORMING 0/3 1');
SELECT is(members(1), 'u1 PENDING, u2 PENDING, u3 PENDING');
SELECT results_eq(format($$ SELECT outcome, state, amount_minor, expires_us - created_us, revision
                            FROM tranche.join_groups(%s, %s, uids(1), '{tv}', '{u1}', '{2}', '{order}', gids(1), '{trio}') $$, :node, w),
                  $$ VALUES ('REPLAYED', 'PENDING', 800::bigint, 600000000::bigint, 1) $$)
FROM unnest(ARRAY['true', 'false', 'NULL']) AS w;
SELECT is(join_one(:node, 2, 'tv', 'u2', 1, 'trio'), 'REPLAYED');
SELECT is(join_one(:node, 2, 'tv', 'u2', 2), 'CONFLICT', 'another group');
SELECT is(join_one(:node, 2, 'tv', 'u1', 1), 'CONFLICT', 'another buyer');
SELECT is(outcome(:node, 4, 'tv', 'u4'), 'CREATED');
SELECT is(join_one(:node, 4, 'tv', 'u4', 1), 'CONFLICT', 'it was for no group');
SELECT is((SELECT c.outcome FROM tranche.commit_reservations(:node, true, uids(2), '{tv}', '{u2}', '{1}', '{}', '{}') AS c), 'CONFLICT',
          'it was for a group');
SELECT is(cart(:node, uids(2, 5), '{tv,radio}', '{1,1}', 'u2'), 'false CONFLICT CREATED');
SELECT is((SELECT c.outcome FROM tranche.commit_reservations(:node, true, uids(2), '{tv}', '{u2}', '{1}', '{}') AS c), 'REPLAYED',
          'for a caller who knows of no groups');
SELECT results_eq('SELECT reservation_id, group_id FROM tranche.find_replicated(uids(1, 4)) ORDER BY 1',
                  'VALUES (uid(1), gid(1)), (uid(4), NULL)');
SELECT is((SELECT array_agg(group_id ORDER BY reservation_id) FROM tranche.list_reservations('tv', '', NULL, '', false, '', 0, uid(0), 10)
           WHERE reservation_id IS NOT NULL), ARRAY[gid(1), gid(1), gid(1), NULL]);
SELECT is((SELECT count(*) FROM tranche.group_buy), 1::bigint);
SELECT throws_ok(format($$ SELECT joins(%s, true, '{5,5}', '{tv,tv}', '{u5,u6}', '{1,1}', '{NULL,NULL}') $$, :node), '22023');
SELECT is_empty(format($$ SELECT FROM tranche.join_groups(%s, true, '{}', '{}', '{}', '{}', '{}', '{}', '{}') $$, :node));

-- Refusals, and what is refused by the sale.
SELECT is(join_one(:node, 10, 'tv', 'u5', 9), 'GROUP_NOT_FOUND');
SELECT is(join_one(:node, 10, 'radio', 'u5', 1), 'GROUP_NOT_FOUND', 'of another SKU');
SELECT is(join_one(:node, 10, 'radio', 'u5', 1, 'trio'), 'GROUP_NOT_FOUND', 'the id is taken');
SELECT is(join_one(:node, 10, 'tv', 'u5', 1, 'duo'), 'GROUP_NOT_FOUND', 'not with this offer');
SELECT is(join_one(:node, 10, 'tv', 'u1', 1), 'ALREADY_IN_GROUP');
SELECT is(join_one(:node, 10, 'tv', 'u1', 2, 'trio'), 'TOO_MANY_GROUPS');
SELECT is(join_one(:node, 10, 'tv', 'u1', 2, 'duo'), 'CREATED', 'one for each offer');
SELECT is(join_one(:node, 11, 'tv', 'u5', 3, 'none'), 'OFFER_NOT_FOUND');
UPDATE tranche.group_offer SET closed_at = now() WHERE offer_id = 'duo';
SELECT is(join_one(:node, 11, 'tv', 'u5', 3, 'duo'), 'OFFER_CLOSED');
SELECT is(join_one(:node, 11, 'tv', 'u5', 2, 'duo'), 'CREATED', 'groups that form go on');
UPDATE tranche.group_offer SET closed_at = NULL WHERE offer_id = 'duo';
SELECT is(join_one(:node, 12, 'tv', 'u1', 3, 'brief'), 'USER_LIMIT_REACHED');
SELECT is((SELECT count(*) FROM tranche.group_buy WHERE group_id = gid(3)), 0::bigint, 'nobody has opened it');
SELECT is(joins(:node, true, '{12}', '{tv}', '{u6}', '{3}', '{brief}', '{4}'), '{QUANTITY_ABOVE_LIMIT}');
SELECT is(join_one(:node, 12, 'nothing', 'u6', 1), 'SKU_NOT_FOUND');
SELECT is(join_one(node(), 12, 'tv', 'u6', 1), 'NOT_HELD');
SELECT move_sku('tv', 'LEAVING');
SELECT is(join_one(:node, 12, 'tv', 'u6', 1), 'MOVING');
SELECT move_sku('tv', 'GONE');
SELECT is(join_one(:node, 12, 'tv', 'u6', 1, 'trio'), 'MOVING');
SELECT move_sku('tv', 'HERE');
SELECT conserved();

-- A hold ends with its group.
SELECT is(join_one(:node, 12, 'tv', 'u6', 3, 'brief'), 'CREATED');
SELECT is((SELECT r.expires_at - r.created_at FROM tranche.reservation r WHERE r.reservation_id = uid(12)), interval '30 s');
UPDATE tranche.group_buy SET deadline_at = now() + interval '10 s' WHERE group_id = gid(3);
SELECT is(join_one(:node, 13, 'tv', 'u7', 3), 'CREATED');
SELECT is((SELECT r.expires_at = g.deadline_at FROM tranche.reservation r JOIN tranche.group_buy g ON g.group_id = r.group_id
           WHERE r.reservation_id = uid(13)), true);
SELECT end_time(3);
SELECT is(join_one(:node, 14, 'tv', 'u8', 3, 'brief'), 'GROUP_OVER', 'nobody has ended it yet');
SELECT is(join_one(:node, 14, 'tv', 'u6', 4, 'brief'), 'TOO_MANY_GROUPS', 'it counts until it is ended');
UPDATE tranche.group_buy SET state = 'FAILED', finished_at = now(), unsettled = true WHERE group_id = gid(3);
SELECT is(join_one(:node, 14, 'tv', 'u8', 3), 'GROUP_OVER');
SELECT is(join_one(:node, 14, 'tv', 'u6', 4, 'brief'), 'CREATED');
SELECT is(pay('{10,11}'), '{"DONE CONFIRMED 2","DONE CONFIRMED 2"}');
SELECT is(join_one(:node, 15, 'tv', 'u8', 2), 'GROUP_FULL');
SELECT is(pay('{14}'), '{"DONE PENDING 2"}');
UPDATE tranche.reservation SET state = 'CONFIRMED', payment_reference = 'pay-14', finished_at = now() WHERE reservation_id = uid(14);
UPDATE tranche.group_buy SET state = 'FILLED', partial = true, finished_at = now() WHERE group_id = gid(4);
SELECT is(join_one(:node, 15, 'tv', 'u8', 4), 'GROUP_OVER', 'sold in part');
SELECT conserved();

-- A batch in which everything occurs. Only what passes is sold, and each has its own answer.
SELECT sku('cam', 100, 2), offer('cam'), tranche.move_units('cam', ARRAY[:node], ARRAY[8], NULL, 'test');
SELECT is(joins(:node, true, '{20,21,22,23,24,25,26,27,28,29}', '{cam,cam,cam,tv,cam,cam,none,cam,cam,tv}',
                '{a,b,a,c,d,e,f,g,b,u2}', '{10,10,10,0,99,11,0,0,10,1}', '{trio,trio,"",NULL,"",none,NULL,NULL,trio,""}',
                '{1,2,1,1,1,1,1,2,1,1}'),
          '{CREATED,CREATED,BUSY,CREATED,GROUP_NOT_FOUND,OFFER_NOT_FOUND,SKU_NOT_FOUND,CREATED,BUSY,ALREADY_IN_GROUP}',
          'a group that the batch opens is not there yet for who does not open it');
SELECT results_eq($$ SELECT num(reservation_id), user_id COLLATE "default", quantity, amount_minor, group_id
                     FROM tranche.reservation WHERE num(reservation_id) BETWEEN 20 AND 29 ORDER BY 1 $$,
                  $$ VALUES (20, 'a', 1, 400::bigint, gid(10)), (21, 'b', 2, 800, gid(10)), (23, 'c', 1, 500, NULL::uuid),
                            (27, 'g', 2, 1000, NULL) $$);
SELECT is((SELECT opened_by::text FROM tranche.group_buy WHERE group_id = gid(10)), 'a', 'the first opens it');
SELECT results_eq(format($$ SELECT idx, outcome, amount_minor
                            FROM tranche.join_groups(%s, true, uids(30, 27, 24, 20, 31), '{cam,cam,cam,cam,cam}', '{h,g,d,a,i}', '{1,2,1,1,1}',
                                                     '{"","","","",""}', ARRAY[gid(10), NULL, gid(99), gid(10), gid(10)],
                                                     '{"",NULL,"",trio,trio}') ORDER BY idx $$, :node),
                  $$ VALUES (1, 'CREATED', 400::bigint), (2, 'REPLAYED', 1000), (3, 'GROUP_NOT_FOUND', NULL), (4, 'REPLAYED', 400),
                            (5, 'CREATED', 400) $$);
SELECT is(joins(:node, true, '{32,33}', '{cam,cam}', '{j,k}', '{10,0}', '{"",NULL}', '{1,2}'), '{CREATED,SHORT}');
SELECT is(joins(:node, true, '{34}', '{cam}', '{l}', '{0}', '{NULL}'), '{SHORT}');
SELECT is(joins(:node, true, '{34,35}', '{cam,tv}', '{l,a}', '{12,1}', '{trio,NULL}'), '{SHORT,CREATED}');
SELECT is(group_is(12), NULL);
SELECT is(slices('cam'), format('0:92 %s:0', :node));
SELECT conserved();

-- Within a batch the first counts; what depends on it is judged once it is known.
CREATE FUNCTION of_one_batch(p_node bigint) RETURNS text[] LANGUAGE sql AS
$$ SELECT joins(p_node, true, '{49,40,41,42,43,44,149}', '{tv,tv,tv,tv,tv,tv,tv}', '{l,m,m,m,n,o,l}', '{20,20,21,20,20,22,20}',
                '{"",trio,trio,trio,duo,duo,""}') $$;
SELECT is(of_one_batch(:node), '{GROUP_NOT_FOUND,CREATED,BUSY,BUSY,BUSY,CREATED,BUSY}');
SELECT is(of_one_batch(:node), '{CREATED,REPLAYED,TOO_MANY_GROUPS,ALREADY_IN_GROUP,GROUP_NOT_FOUND,REPLAYED,BUSY}');
SELECT is(join_one(:node, 149, 'tv', 'l', 20), 'ALREADY_IN_GROUP');
-- It may be refused itself.
SELECT is(joins(:node, w, '{140,141,142,143}', '{tv,tv,tv,tv}', '{z,z,z,y}', '{24,24,25,24}', '{trio,trio,trio,""}', '{4,1,1,1}'),
          '{QUANTITY_ABOVE_LIMIT,BUSY,BUSY,BUSY}')
FROM unnest(ARRAY[true, false, NULL]) AS w;
SELECT is(joins(:node, true, '{141,142,143}', '{tv,tv,tv}', '{z,z,y}', '{24,25,24}', '{trio,trio,""}'), '{CREATED,BUSY,BUSY}');
SELECT is(join_one(:node, 143, 'tv', 'y', 24), 'CREATED');
SELECT is((SELECT opened_by::text FROM tranche.group_buy WHERE group_id = gid(24)), 'z');
-- Who has opened a group may join another one once the batch has opened it.
SELECT is(joins(:node, true, '{420,421}', '{tv,tv}', '{x,z}', '{29,29}', '{trio,trio}'), '{CREATED,BUSY}');
SELECT is(join_one(:node, 421, 'tv', 'z', 29, 'trio'), 'CREATED');
SELECT is(joins(:node, true, '{422,423}', '{tv,tv}', '{w,z}', '{39,39}', '{trio,trio}', '{4,1}'), '{QUANTITY_ABOVE_LIMIT,BUSY}');
SELECT is(join_one(:node, 423, 'tv', 'z', 39, 'trio'), 'TOO_MANY_GROUPS');
-- If the first is not sold a unit, the next opens it.
SELECT sku('pen', 10), offer('pen'), tranche.move_units('pen', ARRAY[:node], ARRAY[3], NULL, 'test');
SELECT is(outcome(:node, 45, 'pen', 'p'), 'CREATED');
SELECT is(joins(:node, true, '{46,47,48}', '{pen,pen,pen}', '{p,q,r}', '{23,23,23}', '{trio,trio,trio}'),
          '{USER_LIMIT_REACHED,CREATED,CREATED}');
SELECT is((SELECT opened_by::text FROM tranche.group_buy WHERE group_id = gid(23)), 'q');
-- What its buyer was refused holds for what asks for no less: not each of them needs a batch.
SELECT is(joins(:node, w, '{400,401,402,403}', '{pen,pen,pen,pen}', '{p,p,p,t}', '{26,26,27,26}', '{trio,trio,trio,""}'),
          '{USER_LIMIT_REACHED,USER_LIMIT_REACHED,USER_LIMIT_REACHED,BUSY}')
FROM unnest(ARRAY[true, false, NULL]) AS w;
SELECT is((SELECT string_agg(concat_ws(' ', idx, outcome, slice_version > 0, cancel_reason), ', ' ORDER BY idx)
           FROM tranche.join_groups(:node, w, uids(410, 411, 412, 413), '{pen,pen,pen,pen}', '{s,s,t,s}', '{1,1,1,2}', '{"","","",""}',
                                    gids(28, 28, 28, 28), '{trio,trio,"",trio}')), x)
FROM (VALUES (true, '1 SHORT t, 2 SHORT t, 3 BUSY batch, 4 SHORT t'), (false, '1 BUSY t, 2 BUSY batch, 3 BUSY batch, 4 BUSY batch')) AS m (w, x);
SELECT is((SELECT string_agg(outcome || ' ' || n, ', ')
           FROM (SELECT outcome, count(*) AS n
                 FROM tranche.join_groups(:node, true, (SELECT array_agg(uid(5000 + i)) FROM generate_series(1, 512) AS i),
                                          array_fill('pen'::text, ARRAY[512]), array_fill('p'::text, ARRAY[512]), array_fill(1, ARRAY[512]),
                                          array_fill(''::text, ARRAY[512]), array_fill(gid(26), ARRAY[512]),
                                          array_fill('trio'::text, ARRAY[512]))
                 GROUP BY outcome) AS o), 'USER_LIMIT_REACHED 512');
SELECT is((SELECT count(*) FROM tranche.group_buy WHERE group_id = ANY (gids(26, 27, 28))), 0::bigint);

-- Who has lapsed, or left, may join again.
SELECT make_due(2);
UPDATE tranche.reservation SET state = 'EXPIRED', finished_at = now() WHERE reservation_id = uid(2);
UPDATE tranche.stock_slot SET remaining = remaining + 1, allotted = allotted + 1 WHERE sku_id = 'tv' AND slot_no = 0;
SELECT is(join_one(:node, 50, 'tv', 'u2', 1), 'CREATED');
SELECT is(join_one(:node, 2, 'tv', 'u2', 1), 'REPLAYED', 'as it is now');
SELECT is((SELECT reservation_id FROM tranche.group_member WHERE group_id = gid(1) AND user_id = 'u2'), uid(50));
SELECT conserved();
-- Retention has dropped the reservation of a member: for them its id is free, and for nobody else.
DELETE FROM tranche.reservation WHERE reservation_id = uid(3);
UPDATE tranche.stock_slot SET remaining = remaining + 1, allotted = allotted + 1 WHERE sku_id = 'tv' AND slot_no = 0;
INSERT INTO tranche.retired_units VALUES ('tv', :node, 1, 0, 1);
SELECT is(join_one(:node, 3, 'tv', 'u9', 1), 'CONFLICT');
SELECT is(join_one(:node, 3, 'tv', 'u3', 20), 'CONFLICT');
SELECT is(join_one(:node, 3, 'tv', 'u3', 1), 'CREATED');
SELECT conserved();

-- A claim that is refused apart from its caller: the row of a member is that of a claim for its group only.
CREATE FUNCTION refuse_one(p_user text, p_id integer, p_group uuid) RETURNS text LANGUAGE sql AS
$$ SELECT outcome FROM tranche.refuse_claims(uids(p_id), '{tv}', ARRAY[p_user], '{1}', '{}', '{SOLD_OUT}', ARRAY[p_group]) $$;
SELECT is(refuse_one('u2', 50, gid(1)), 'SOLD');
SELECT is(refuse_one('u2', 50, gid(2)), 'CONFLICT');
SELECT is(refuse_one('u2', 50, NULL), 'CONFLICT');
SELECT is((SELECT r.outcome FROM tranche.refuse_claims(uids(50), '{tv}', '{u2}', '{1}', '{}', '{SOLD_OUT}') AS r), 'SOLD',
          'for a caller who knows of no groups');
SELECT is(refuse_one('u4', 4, gid(1)), 'CONFLICT', 'it was bought alone');
SELECT is(refuse_one('u99', 150, gid(1)), 'REFUSED');
SELECT is(refuse_one('u99', 150, gid(1)), 'REPLAYED');
SELECT is(join_one(:node, 150, 'tv', 'u99', 1), 'REPLAYED', 'the row says that it is refused');
SELECT is((SELECT count(*) FROM tranche.group_member WHERE reservation_id = uid(150)), 0::bigint);
SELECT conserved();

-- Who has opened a group in which nobody is any more may open another one.
SELECT is(join_one(:node, 160, 'radio', 'v1', 40, 'trio'), 'CREATED');
SELECT is(join_one(:node, 161, 'radio', 'v1', 41, 'trio'), 'TOO_MANY_GROUPS');
SELECT is((SELECT outcome FROM tranche.leave_groups(uids(160), '{why}')), 'DONE');
SELECT is(group_is(40), 'FAILED 0/3 2 unsettled');
SELECT is(join_one(:node, 162, 'radio', 'v2', 40), 'GROUP_OVER');
SELECT is(join_one(:node, 161, 'radio', 'v1', 41, 'trio'), 'CREATED');
SELECT conserved();

-- As many groups as a SKU may have. What a join reads does not grow with them.
SELECT sku('much', 100), offer('much'), tranche.move_units('much', ARRAY[:node], ARRAY[50], NULL, 'test');
SELECT is(join_one(:node, 60, 'much', 'u1', 30, 'trio'), 'CREATED');
INSERT INTO tranche.group_buy (group_id, sku_id, offer_id, seats, opened_by, created_at, deadline_at)
SELECT gid(1000 + n), 'much', 'trio', 3, 'opener' || n, now(), now() + interval '1 h' FROM generate_series(1, 9998) AS n;
SELECT is(join_one(:node, 61, 'much', 'u2', 31, 'trio'), 'CREATED', 'the 10,000th');
SELECT is(join_one(:node, 62, 'much', 'u3', 32, 'trio'), 'TOO_MANY_GROUPS');
SELECT results_eq(format($$ SELECT outcome, state, cancel_reason
                            FROM tranche.join_groups(%s, true, uids(62, 65, 66), '{much,much,much}', '{u3,u1,u3}', '{1,1,1}', '{"","",""}',
                                                     gids(32, 33, 99), '{trio,trio,""}') ORDER BY idx $$, :node),
                  $$ VALUES ('TOO_MANY_GROUPS', NULL::text, 'sku'), ('TOO_MANY_GROUPS', NULL, 'user'), ('GROUP_NOT_FOUND', NULL, NULL) $$);
SELECT is(join_one(:node, 62, 'radio', 'u3', 32, 'trio'), 'CREATED', 'of another SKU');
SELECT cmp_ok(rows_read('group_buy', format($$ SELECT join_one(%s, 63, 'much', 'u4', 30) $$, :node)), '<', 20::bigint);
SELECT cmp_ok(rows_read('group_member', format($$ SELECT join_one(%s, 64, 'much', 'u5', 30) $$, :node)), '<', 20::bigint);
SELECT is(members(30), 'u1 PENDING, u4 PENDING, u5 PENDING');
SELECT conserved();
SELECT * FROM finish();

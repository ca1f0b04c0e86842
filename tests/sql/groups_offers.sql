-- What operators offer, and what is told of groups.
\ir helpers.psql
\ir group_end_helpers.psql
SELECT no_plan();
SELECT sku('tv', 100), sku('radio', 10);
SELECT holder('tv', 50) AS node \gset

-- Offers are made once, and do not change.
SELECT results_eq($$ SELECT outcome, sku_id COLLATE "default", offer_id COLLATE "default", seats, price_minor, currency, open_seconds,
                            pay_seconds, on_timeout, min_members, abs(created_us / 1000000 - extract(epoch FROM now())) < 60, closed_us
                     FROM tranche.create_group_offer('tv', 'three', 3, 400, 3600, 600, 'PARTIAL', 2, true, 'alice') $$,
                  $$ VALUES ('DONE', 'tv', 'three', 3, 400::bigint, 'EUR', 3600, 600, 'PARTIAL', 2, true, NULL::bigint) $$);
SELECT is_empty('SELECT FROM tranche.group_offer', 'that was a preview');
SELECT is(offer('tv', 'three', 3), 'DONE');
SELECT is(offer('tv', 'three', 3), 'DONE', 'again');
SELECT is(offer('tv', 'three', 4), 'OFFER_EXISTS');
SELECT is((SELECT concat_ws(' ', outcome, seats) FROM tranche.create_group_offer('tv', 'three', 4, 400, 3600, 1800, 'REFUND', 1, true, 'alice')),
          'OFFER_EXISTS 3');
SELECT is(offer('none', 'three', 3), 'SKU_NOT_FOUND');
SELECT is((SELECT outcome FROM tranche.create_group_offer('none', 'three', 3, 400, 3600, 1800, 'REFUND', 1, true, 'alice')), 'SKU_NOT_FOUND');
SELECT throws_ok(format($$ SELECT * FROM tranche.create_group_offer('tv', %L, %s, %s, %s, %s, %L, %s, true, 'alice') $$,
                        x.name, x.seats, x.price, x.open, x.pay, x.on_timeout, x.least), '22023', NULL, x::text)
FROM (VALUES ('a b', 3, 1, 1, 1, 'REFUND', 1), ('', 3, 1, 1, 1, 'REFUND', 1), ('a', 1, 1, 1, 1, 'REFUND', 1),
             ('a', 101, 1, 1, 1, 'REFUND', 1), ('a', 3, -1, 1, 1, 'REFUND', 1), ('a', 3, 1, 0, 1, 'REFUND', 1),
             ('a', 3, 1, 604801, 1, 'REFUND', 1), ('a', 3, 1, 1, 0, 'REFUND', 1), ('a', 3, 1, 1, 1, 'KEEP', 1),
             ('a', 3, 1, 1, 1, 'PARTIAL', 4), ('a', 3, 1, 1, 1, 'PARTIAL', 0)) AS x (name, seats, price, open, pay, on_timeout, least);
SELECT is(offer('tv', 'o', 2), 'DONE');

-- Closed once, for good.
SELECT is((SELECT concat_ws(' ', outcome, closed_us IS NOT NULL) FROM tranche.close_group_offer('tv', 'o', true, 'bob')), 'DONE t');
SELECT is((SELECT closed_at FROM tranche.group_offer WHERE offer_id = 'o'), NULL);
SELECT is((SELECT concat_ws(' ', outcome, closed_us IS NOT NULL) FROM tranche.close_group_offer('tv', 'o', false, 'bob')), 'DONE t');
SELECT closed_us FROM tranche.list_group_offers('tv') WHERE offer_id = 'o' \gset
SELECT is((SELECT closed_us FROM tranche.close_group_offer('tv', 'o', false, 'bob')), :closed_us::bigint, 'as before');
SELECT is((SELECT closed_us FROM tranche.create_group_offer('tv', 'o', 2, 400, 3600, 1800, 'REFUND', 1, false, 'alice')),
          :closed_us::bigint, 'it stays closed');
SELECT is((SELECT outcome FROM tranche.close_group_offer('tv', 'none', false, 'bob')), 'OFFER_NOT_FOUND');
SELECT is((SELECT outcome FROM tranche.close_group_offer('none', 'o', false, 'bob')), 'SKU_NOT_FOUND');
SELECT results_eq($$ SELECT actor, action, after FROM tranche.audit_log WHERE action LIKE '%group_offer' ORDER BY audit_id $$,
                  $$ VALUES ('alice', 'create_group_offer', '{"offer": "three", "seats": 3, "price_minor": 400, "open_seconds": 3600,
                              "pay_seconds": 1800, "on_timeout": "REFUND", "min_members": 1}'::jsonb),
                            ('alice', 'create_group_offer', '{"offer": "o", "seats": 2, "price_minor": 400, "open_seconds": 3600,
                              "pay_seconds": 1800, "on_timeout": "REFUND", "min_members": 1}'),
                            ('bob', 'close_group_offer', '{"offer": "o", "closed": true}') $$);

SELECT is(offer('radio', 'x', 2), 'DONE');
CREATE FUNCTION offers(p_sku text) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(concat_ws(' ', outcome, sku_id, offer_id, currency), ', ') FROM tranche.list_group_offers(p_sku) $$;
SELECT is(offers('tv'), 'DONE tv o EUR, DONE tv three EUR', 'by name');
SELECT is(offers(''), 'DONE radio x EUR, DONE tv o EUR, DONE tv three EUR');
SELECT is(offers('none'), 'SKU_NOT_FOUND');
SELECT move_sku('radio', 'LEAVING');
SELECT throws_ok($$ SELECT offer('radio', 'y', 2) $$, 'TR004');
SELECT throws_ok($$ SELECT tranche.close_group_offer('radio', 'x', false, 'bob') $$, 'TR004');
SELECT is(offers('radio'), 'DONE radio x EUR');
SELECT move_sku('radio', 'GONE');
SELECT is(offer('radio', 'y', 2) || ' ' || offers('radio') || ' ' || offers(''),
          'SKU_NOT_FOUND SKU_NOT_FOUND DONE tv o EUR, DONE tv three EUR');
SELECT move_sku('radio', 'HERE');
SELECT is((SELECT string_agg(DISTINCT offer('radio', 'x' || n, 2), ' ') FROM generate_series(1, 99) AS n), 'DONE');
SELECT is(offer('radio', 'y', 2), 'TOO_MANY_OFFERS');
SELECT is(offer('radio', 'x', 2), 'DONE', 'this one is there');

-- One group.
SELECT form(1, 'tv', 'three');
SELECT is(join_group(1, :node, 12, 11, 13), 'CREATED');
UPDATE tranche.group_member m SET joined_at = now() + x.nth * interval '1 second'
FROM (VALUES (12, 1), (11, 2), (13, 3)) AS x (n, nth) WHERE m.reservation_id = uid(x.n);
SELECT pay_seats(11);
SELECT results_eq($$ SELECT outcome, group_id, sku_id COLLATE "default", offer_id COLLATE "default", seats, seats_taken, price_minor, currency,
                            state, partial, opened_by COLLATE "default", reason, deadline_us > created_us, finished_us, revision,
                            reservation_id
                     FROM tranche.get_group(gid(1), 10) LIMIT 1 $$,
                  $$ VALUES ('DONE', gid(1), 'tv', 'three', 3, 1, 400::bigint, 'EUR', 'FORMING', false, 'opener 1', NULL::text, true,
                             NULL::bigint, 2, NULL::uuid) $$);
SELECT results_eq($$ SELECT outcome, group_id, user_id, num(reservation_id), quantity, reservation_state, seat_no, paid_us IS NOT NULL,
                            payment_reference
                     FROM tranche.get_group(gid(1), 10) OFFSET 1 $$,
                  $$ VALUES (NULL::text, NULL::uuid, 'u11', 11, 1, 'PENDING', 1, true, 'p11'),
                            (NULL, NULL, 'u12', 12, 1, 'PENDING', NULL::integer, false, NULL::text),
                            (NULL, NULL, 'u13', 13, 1, 'PENDING', NULL, false, NULL) $$, 'a seat first, then in the order of joining');
SELECT is((SELECT count(*) FROM tranche.get_group(gid(1), 2)), 3::bigint, 'no more than asked for');
SELECT results_eq('SELECT outcome, num(group_id), user_id FROM tranche.get_group(gid(1), 0)', $$ VALUES ('DONE', 1, NULL::text) $$,
                  'the group alone');
SELECT results_eq($$ SELECT num(reservation_id), seat_no, payment_reference FROM tranche.get_group(gid(1), 1, 'u11') OFFSET 1 $$,
                  $$ VALUES (11, 1, 'p11') $$);
SELECT results_eq($$ SELECT user_id, num(reservation_id), seat_no FROM tranche.get_group(gid(1), 1, 'u13') OFFSET 1 $$,
                  $$ VALUES ('u13', 13, NULL::integer) $$, 'however many joined before');
SELECT results_eq($$ SELECT outcome, user_id FROM tranche.get_group(gid(1), 1, 'nobody') $$, $$ VALUES ('DONE', NULL::text) $$);
SELECT is((SELECT outcome FROM tranche.get_group(gid(1), 0, NULL, 'tv')), 'DONE');
SELECT is((SELECT outcome FROM tranche.get_group(gid(1), 0, NULL, 'radio')), 'GROUP_NOT_FOUND', 'of another SKU');
SELECT is((SELECT string_agg(outcome, ' ') FROM tranche.get_group(gid(1), 1, 'u11', 'radio')), 'GROUP_NOT_FOUND');
SELECT is((SELECT string_agg(outcome, ' ') FROM tranche.get_group(gid(2), 10)), 'GROUP_NOT_FOUND');
SELECT is(leave(13), '{"DONE CANCELLED 2"}');
DELETE FROM tranche.reservation WHERE reservation_id = uid(13);
SELECT results_eq($$ SELECT quantity, reservation_state FROM tranche.get_group(gid(1), 10) WHERE user_id = 'u13' $$,
                  $$ VALUES (0, NULL::text) $$, 'retention has taken it');
-- Those who have left do not push out those who have not, however many they are.
UPDATE tranche.group_member SET joined_at = now() - interval '1 hour' WHERE reservation_id = uid(13);
INSERT INTO tranche.group_member (group_id, user_id, reservation_id, joined_at)
SELECT gid(1), 'left ' || n, uid(20000 + n), now() - interval '1 hour' FROM generate_series(1, 2000) AS n;
SELECT results_eq('SELECT user_id FROM tranche.get_group(gid(1), 2) OFFSET 1', $$ VALUES ('u11'), ('u12') $$);
-- A public read, and that of one buyer, read no other members.
SELECT is(rows_read('group_member', $$ SELECT * FROM tranche.get_group(gid(1), 0) $$), 0::bigint);
SELECT is(rows_read('reservation', $$ SELECT * FROM tranche.get_group(gid(1), 0) $$), 0::bigint);
SELECT cmp_ok(rows_read('group_member', $$ SELECT * FROM tranche.get_group(gid(1), 1, 'u12') $$), '<', 10::bigint);
ANALYZE tranche.group_member;
SELECT cmp_ok(rows_read('group_member', $$ SELECT * FROM tranche.get_group(gid(1), 1, 'u12') $$), '<', 10::bigint, 'analyzed');
DELETE FROM tranche.group_member WHERE user_id LIKE 'left %';
SELECT move_sku('tv', 'ARRIVING');
SELECT is((SELECT outcome FROM tranche.get_group(gid(1), 10)), 'GROUP_NOT_FOUND');
SELECT is((SELECT outcome FROM tranche.list_groups('tv', '', NULL, NULL, NULL, 10)), 'SKU_NOT_FOUND');
SELECT move_sku('tv', 'HERE');

-- Lists: by deadline, over the states.
DELETE FROM tranche.group_member;
DELETE FROM tranche.group_buy;
SELECT form(n, 'tv', CASE WHEN n % 5 = 0 THEN 'o' ELSE 'three' END) FROM generate_series(1, 20) AS n;
UPDATE tranche.group_buy SET state = 'FAILED', finished_at = now() WHERE group_id IN (gid(2), gid(4), gid(5));
UPDATE tranche.group_buy SET state = 'CANCELLED', finished_at = now(), reason = 'why' WHERE group_id = gid(3);
-- The numbers of a page; '>' and the number of the place to go on after.
CREATE FUNCTION page(p_offer text, p_states text[], p_after integer, p_limit integer) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(CASE WHEN outcome = 'NEXT' THEN '>' ELSE '' END || num(group_id), ' ' ORDER BY nth)
   FROM tranche.list_groups('tv', p_offer, p_states,
          (SELECT (extract(epoch FROM deadline_at) * 1000000)::bigint FROM tranche.group_buy WHERE group_id = gid(p_after)),
          gid(p_after), p_limit) WITH ORDINALITY
        AS g (outcome, group_id, sku_id, offer_id, seats, seats_taken, price_minor, currency, state, partial, opened_by, reason, created_us,
              deadline_us, finished_us, revision, nth) $$;
SELECT is(page('', NULL, 0, 6), '1 2 3 4 5 6 >6');
SELECT is(page('', '{}', 6, 14), '7 8 9 10 11 12 13 14 15 16 17 18 19 20', 'the last page');
SELECT is(page('', '{FORMING}', 0, 3), '1 6 7 >7');
SELECT is(page('', '{FAILED,CANCELLED}', 2, 10), '3 4 5');
SELECT is(page('', '{FAILED,FAILED}', 0, 10), '2 4 5');
SELECT is(page('', '{FILLED}', 0, 10), NULL);
SELECT is(page('', NULL, 20, 10), NULL);
SELECT is(page('o', NULL, 0, 10), '5 10 15 20');
SELECT is(page('o', NULL, 0, 1), '5 >5');
SELECT is(page('o', '{FORMING}', 5, 1), '10 >10');
SELECT is(page('none', NULL, 0, 1), '>15', 'it has looked at eleven of a state, and found none');
SELECT is(page('none', NULL, 15, 1), NULL);
SELECT results_eq($$ SELECT outcome, state, reason FROM tranche.list_groups('tv', '', '{CANCELLED}', NULL, NULL, 10) $$,
                  $$ VALUES ('DONE', 'CANCELLED', 'why') $$);
SELECT is((SELECT outcome FROM tranche.list_groups('none', '', NULL, NULL, NULL, 10)), 'SKU_NOT_FOUND');
SELECT is_empty($$ SELECT * FROM tranche.list_groups('radio', '', NULL, NULL, NULL, 10) $$);
-- A page reads no more than it may hold, among 20,000 groups.
INSERT INTO tranche.group_buy (group_id, sku_id, offer_id, seats, state, opened_by, created_at, deadline_at, finished_at)
SELECT gen_random_uuid(), 'tv', 'three', 3, 'FAILED', 'x' || i, now(), now() - i * interval '1 second', now()
FROM generate_series(1, 20000) AS i;
SELECT cmp_ok(rows_read('group_buy', $$ SELECT * FROM tranche.list_groups('tv', '', NULL, NULL, NULL, 10) $$), '<', 100::bigint);
SELECT cmp_ok(rows_read('group_buy', $$ SELECT * FROM tranche.list_groups('tv', 'o', '{FAILED}', NULL, NULL, 10) $$), '<', 300::bigint);
ANALYZE tranche.group_buy;
SELECT cmp_ok(rows_read('group_buy', $$ SELECT * FROM tranche.list_groups('tv', '', NULL, NULL, NULL, 10) $$), '<', 100::bigint, 'analyzed');
DELETE FROM tranche.group_buy WHERE opened_by ~ '^x';

-- Counts, for those who watch.
SELECT results_eq('SELECT * FROM tranche.count_groups(10000000)', 'VALUES (16::bigint, 0::bigint)');
UPDATE tranche.group_buy SET deadline_at = now() - interval '11 s' WHERE group_id IN (gid(6), gid(7));
UPDATE tranche.group_buy SET deadline_at = now() - interval '5 s' WHERE group_id = gid(8);
UPDATE tranche.group_buy SET unsettled = true, finished_at = now() - interval '11 s' WHERE group_id = gid(2);
UPDATE tranche.group_buy SET unsettled = true WHERE group_id = gid(3);
SELECT results_eq('SELECT * FROM tranche.count_groups(10000000)', 'VALUES (16::bigint, 3::bigint)');
INSERT INTO tranche.group_buy (group_id, sku_id, offer_id, seats, opened_by, created_at, deadline_at)
SELECT gen_random_uuid(), 'tv', 'three', 3, 'x' || i, now() - interval '1 hour', now() - interval '1 minute' FROM generate_series(1, 10010) AS i;
SELECT results_eq('SELECT * FROM tranche.count_groups(10000000)', 'VALUES (10000::bigint, 10000::bigint)', 'so many, or more');
DELETE FROM tranche.group_buy WHERE opened_by ~ '^x';
SELECT move_sku('tv', 'LEAVING');
SELECT results_eq('SELECT * FROM tranche.count_groups(10000000)', 'VALUES (0::bigint, 0::bigint)', 'nobody may end them');
SELECT move_sku('tv', 'HERE');

-- Retention.
SELECT throws_ok('SELECT tranche.retire_groups(86399, 10)', '22023', NULL, 'groups are kept for a day');
SELECT throws_ok('SELECT tranche.retire_groups(NULL, 10)', '22023');
INSERT INTO tranche.group_member (group_id, user_id, reservation_id, joined_at)
SELECT gid(n), 'u', uid(100 + n), now() FROM generate_series(1, 5) AS n;
UPDATE tranche.group_buy SET finished_at = now() - interval '25 hours' - num(group_id) * interval '1 second' WHERE state <> 'FORMING';
SELECT is(tranche.retire_groups(86400 * 2, 10), 0::bigint);
SELECT tranche.prepare_leave('tv', uid(900));
SELECT is(tranche.retire_groups(86400, 10), 0::bigint, 'it is being copied');
SELECT tranche.cancel_leave('tv', uid(900), 'alice');
SELECT is(tranche.retire_groups(86400, 1), 1::bigint);
SELECT is_empty('SELECT FROM tranche.group_buy WHERE group_id = gid(5)', 'the oldest first');
SELECT is(tranche.retire_groups(86400, 10), 1::bigint, 'the unsettled ones stay');
SELECT results_eq('SELECT num(group_id) FROM tranche.group_member ORDER BY 1', 'VALUES (1), (2), (3)');
SELECT results_eq($$ SELECT num(group_id) FROM tranche.group_buy WHERE state <> 'FORMING' ORDER BY 1 $$, 'VALUES (2), (3)');
-- Many members: so many at a time, and the group with the last of them.
UPDATE tranche.group_buy SET unsettled = false WHERE group_id = gid(2);
INSERT INTO tranche.group_member (group_id, user_id, reservation_id, joined_at)
SELECT gid(2), 'm' || n, uid(1000 + n), now() FROM generate_series(1, 15) AS n;
SELECT is(tranche.retire_groups(86400, 1), 0::bigint);
SELECT is((SELECT count(*) FROM tranche.group_member WHERE group_id = gid(2)), 6::bigint);
SELECT is(tranche.retire_groups(86400, 1), 1::bigint);
SELECT is_empty('SELECT FROM tranche.group_member WHERE group_id = gid(2)');
SELECT * FROM finish();

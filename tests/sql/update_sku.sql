\ir helpers.psql
SELECT no_plan();

CREATE FUNCTION change(p_version bigint, p_price bigint DEFAULT 500, p_limit integer DEFAULT 1, p_hold integer DEFAULT 60,
                       p_title text DEFAULT 'A thing', p_opens bigint DEFAULT NULL) RETURNS boolean LANGUAGE sql AS
$$ SELECT tranche.update_sku('tv', p_version, p_title, p_price, p_limit, p_hold, 3, NULL, p_opens, NULL, true, 'alice') $$;

SELECT sku('tv', 10);
SELECT holder('tv', 10) AS node \gset
SELECT is(outcome(:node, 1, 'tv', 'u1'), 'CREATED');
SELECT is(change(1), true);
SELECT is(version('tv'), 2::bigint, 'it is so already');

-- The price is that of later claims.
SELECT is(change(1, 700), true);
SELECT is(version('tv'), 3::bigint, 'nodes hear of it');
SELECT is((SELECT terms_version FROM tranche.list_skus('', 9)), 2::bigint);
SELECT is((SELECT amount_minor FROM tranche.commit_reservations(:node, true, uids(2), '{tv}', '{u2}', '{1}')), 700::bigint);
SELECT results_eq($$ SELECT amount_minor FROM tranche.reservation ORDER BY reservation_id $$,
                  $$ VALUES (500::bigint), (700) $$);
SELECT is((SELECT amount_minor FROM tranche.commit_reservations(:node, true, uids(1), '{tv}', '{u1}', '{1}')), 500::bigint,
          'a repeat gets the first answer');
SELECT is(confirm(uids(1)), '{DONE CONFIRMED 2}', 'it is paid as it was reserved');

-- Somebody else was faster.
SELECT throws_ok($$ SELECT change(1, 800) $$, 'TR001');
SELECT is(change(1, 700), true, 'a repeated call finds it done');
SELECT results_eq($$ SELECT actor, before, after FROM tranche.audit_log WHERE action = 'update_sku' $$,
                  $$ VALUES ('alice', '{"price_minor": 500}'::jsonb, '{"price_minor": 700}'::jsonb) $$);

-- A limit that was higher once: buyers keep what they have, and get no more.
SELECT is(change(2, 700, 3), true);
SELECT is(outcome(:node, 3, 'tv', 'u3'), 'CREATED');
SELECT is(outcome(:node, 4, 'tv', 'u3'), 'CREATED');
SELECT is(outcome(:node, 5, 'tv', 'u3'), 'CREATED');
SELECT is(outcome(:node, 6, 'tv', 'u3'), 'USER_LIMIT_REACHED');
SELECT is(change(3, 700, 1), true);
SELECT conserved();
SELECT is(outcome(:node, 6, 'tv', 'u3'), 'USER_LIMIT_REACHED');
SELECT is(cancel(uids(3)), '{DONE CANCELLED 2}');
SELECT is(outcome(:node, 6, 'tv', 'u3'), 'USER_LIMIT_REACHED', 'the first ordinal is free, and two are taken');
SELECT is(cancel(uids(4, 5)), '{DONE CANCELLED 2,DONE CANCELLED 2}');
SELECT is(outcomes(:node, true, uids(6, 7), '{tv,tv}', '{u3,u3}', '{1,1}'), '{CREATED,USER_LIMIT_REACHED}');

-- The hold is that of later claims, too.
SELECT is(change(4, 700, 1, 600), true);
SELECT is(outcome(:node, 8, 'tv', 'u8'), 'CREATED');
SELECT results_eq($$ SELECT extract(epoch FROM expires_at - created_at)::integer FROM tranche.reservation
                     WHERE reservation_id IN (uid(2), uid(8)) ORDER BY reservation_id $$, $$ VALUES (60), (600) $$);

-- The window.
SELECT is(change(5, 700, 1, 600, 'A thing', 4000000000123456), true);
SELECT is(outcome(:node, 9, 'tv', 'u9'), 'NOT_OPEN');
SELECT is((SELECT opens_us FROM tranche.list_skus('', 9)), 4000000000123456);
SELECT is(change(6, 700, 1, 600), true);
SELECT is(outcome(:node, 9, 'tv', 'u9'), 'CREATED');
SELECT results_eq($$ SELECT title, closed, terms_version FROM tranche.list_skus('', 9) $$,
                  $$ VALUES ('A thing', false, 7::bigint) $$);

-- The path of its claims. Servers of before know none, and leave it.
CREATE FUNCTION path(p_version bigint, p_path text) RETURNS boolean LANGUAGE sql AS
$$ SELECT tranche.update_sku('tv', p_version, 'A thing', 700, 1, 600, 3, NULL, NULL, NULL, true, 'alice', p_path) $$;
SELECT is(path(7, 'QUEUE'), true);
SELECT is(change(8, 700, 1, 600), true, 'nothing changes');
SELECT results_eq($$ SELECT claim_path, terms_version FROM tranche.list_skus('', 9) $$, $$ VALUES ('QUEUE', 8::bigint) $$);
SELECT results_eq($$ SELECT before, after FROM tranche.audit_log WHERE action = 'update_sku' ORDER BY audit_id DESC LIMIT 1 $$,
                  $$ VALUES ('{"claim_path": "DIRECT"}'::jsonb, '{"claim_path": "QUEUE"}'::jsonb) $$);
SELECT throws_ok($$ SELECT path(8, 'LATER') $$, '23514');
SELECT is(path(8, 'AUTO'), true);
SELECT results_eq($$ SELECT claim_path FROM tranche.read_quotas('{tv}')
                     UNION ALL SELECT claim_path FROM tranche.take_from_pool('tv', 999, 1)
                     UNION ALL SELECT claim_path FROM tranche.move_units_batch('{tv}', '{NULL}', '{}', '{}', '{}', 'test') $$,
                  $$ VALUES ('AUTO'), ('AUTO'), ('AUTO') $$);
SELECT is(path(9, 'DIRECT'), true);

SELECT throws_ok($$ SELECT change(10, 700, 0) $$, '23514', NULL, 'what cannot be created cannot be set');
SELECT is(tranche.update_sku('none', 1, 't', 1, 1, 60, 3, NULL, NULL, NULL, true, 'alice'), false, 'no such SKU');
SELECT move_sku('tv', 'LEAVING');
SELECT throws_ok($$ SELECT change(10, 800) $$, 'TR004');
SELECT move_sku('tv', 'HERE');
SELECT conserved();
SELECT * FROM finish();

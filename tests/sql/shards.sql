-- Which shard a database is, which others home knows, and rules that hold on all of them.
\ir helpers.psql
SELECT no_plan();

-- As home.
SELECT results_eq($$ SELECT name COLLATE "default", home_id, used FROM tranche.shard_identity() $$,
                  $$ VALUES ('home', NULL::uuid, false) $$);
SELECT ledger_id AS home FROM tranche.shard_identity() \gset
SELECT is(tranche.add_shard('hot', 'host=a dbname=t', 'alice'), true);
SELECT is(tranche.add_shard('hot', 'host=a dbname=t', 'alice'), false, 'it is there');
SELECT is(tranche.add_shard('hot', 'host=b dbname=t', 'alice'), true, 'it has moved house');
SELECT is(tranche.add_shard('cold', 'host=c dbname=t', 'alice'), true);
SELECT results_eq($$ SELECT name COLLATE "default", dsn FROM tranche.list_shards() $$,
                  $$ VALUES ('cold', 'host=c dbname=t'), ('hot', 'host=b dbname=t') $$);
SELECT throws_ok($$ SELECT tranche.add_shard('home', 'host=d', 'alice') $$, '23514');
SELECT throws_ok($$ SELECT tranche.add_shard('-x', 'host=d', 'alice') $$, '23514');
SELECT results_eq($$ SELECT before, after FROM tranche.audit_log WHERE action = 'add_shard' ORDER BY audit_id LIMIT 2 $$,
                  $$ VALUES ('{"shard": "hot"}'::jsonb, '{"dsn": "host=a dbname=t", "shard": "hot"}'::jsonb),
                            ('{"dsn": "host=a dbname=t", "shard": "hot"}', '{"dsn": "host=b dbname=t", "shard": "hot"}') $$);
SELECT throws_ok(format($$ SELECT tranche.adopt_shard('hot', %L, '{}', 'alice') $$, :'home'), 'TR002', NULL, 'home itself');
SELECT throws_ok($$ SELECT tranche.adopt_shard('hot', gen_random_uuid(), '{}', 'alice') $$, 'TR002', NULL,
                 'a home has been used');
SELECT throws_ok($$ SELECT tranche.register_incarnation_as(1, 'n', 'a:1', false) $$, 'TR002');

-- An id is one SKU's over all shards.
SELECT is(tranche.reserve_sku('tv', 'hot'), true);
SELECT is(tranche.reserve_sku('tv', 'hot'), true, 'again');
SELECT is(tranche.reserve_sku('tv', 'cold'), false);
SELECT is(sku('tv', 5), false);
SELECT is(sku('radio', 5), true);
SELECT is(tranche.reserve_sku('radio', 'hot'), false);
SELECT throws_ok($$ SELECT tranche.reserve_sku('x', 'nowhere') $$, 'TR002');
SELECT is_empty($$ SELECT * FROM tranche.list_skus('', 10, 'tv') $$);
SELECT lives_ok($$ SELECT tranche.note_whereabouts('tv', 'cold') $$);
SELECT is((SELECT other_shard FROM tranche.sku_whereabouts('tv')), 'cold');
SELECT lives_ok($$ SELECT tranche.note_whereabouts('radio', 'cold') $$);
SELECT is((SELECT whereabouts FROM tranche.sku_whereabouts('radio')), 'HERE');
SELECT is_empty($$ SELECT * FROM tranche.sku_whereabouts('never') $$);
SELECT conserved();

-- What home says about all of them, page by page.
SELECT is(sku('cam', 5), true);
UPDATE tranche.sku SET whereabouts = 'GONE', other_shard = 'hot', quota_version = 7, pool_waiting = false WHERE sku_id = 'cam';
CREATE FUNCTION listed(p_after text, p_limit integer) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(concat_ws(' ', l.sku_id, l.whereabouts, l.other_shard, l.quota_version,
                               CASE WHEN l.only_reserved THEN 'only reserved' END), ', ')
   FROM tranche.list_whereabouts(p_after, p_limit) l $$;
SELECT is(listed('', 9), 'cam GONE hot 7, radio HERE 1, tv GONE cold 1 only reserved');
SELECT is(listed('', 2), 'cam GONE hot 7, radio HERE 1');
SELECT is(listed('radio', 2), 'tv GONE cold 1 only reserved');
SELECT is(listed('tv', 2), NULL);
SELECT is(tranche.reserve_sku('cam', 'hot'), true, 'it may be created there again');
SELECT is(listed('', 1), 'cam GONE hot 7', 'and stays what it was');

-- As a shard.
DELETE FROM tranche.shard; DELETE FROM tranche.stock_slot; DELETE FROM tranche.sku; DELETE FROM tranche.incarnation;
SELECT throws_ok($$ SELECT tranche.adopt_shard('home', gen_random_uuid(), '{}', 'alice') $$, '22023');
SELECT is(tranche.adopt_shard('hot', uid(1), '{default,crm}', 'alice'), true);
SELECT is(tranche.adopt_shard('hot', uid(1), '{}', 'alice'), false, 'it is it');
SELECT results_eq($$ SELECT name COLLATE "default", home_id FROM tranche.shard_identity() $$, $$ VALUES ('hot', uid(1)) $$);
SELECT is((SELECT string_agg(name, ' ' ORDER BY name) FROM tranche.outbox_sink), 'crm default');
SELECT throws_ok($$ SELECT tranche.adopt_shard('cold', uid(1), '{}', 'alice') $$, 'TR002', NULL, 'under another name');
SELECT throws_ok($$ SELECT tranche.adopt_shard('hot', uid(2), '{}', 'alice') $$, 'TR002', NULL, 'to another home');
SELECT throws_ok($$ SELECT tranche.add_shard('x', 'host=d', 'alice') $$, 'TR002');
SELECT throws_ok($$ SELECT tranche.register_incarnation('n', 'a:1') $$, 'TR002', NULL, 'home numbers them');
SELECT is(tranche.register_incarnation_as(17, 'n', 'a:1', true), true);
SELECT is(tranche.register_incarnation_as(17, 'n', 'a:1', true), true, 'again');
SELECT results_eq($$ SELECT incarnation_id, node_name, draining FROM tranche.incarnation $$, $$ VALUES (17::bigint, 'n', true) $$);
SELECT is_empty($$ SELECT * FROM tranche.reclaim_incarnation(17) $$);
SELECT is(tranche.register_incarnation_as(17, 'n', 'a:1', true), false, 'it has ended here');
SELECT * FROM finish();

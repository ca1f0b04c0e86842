\ir helpers.psql
SELECT plan(23);

SELECT is(tranche.create_sku('tv', 'A "TV"', 19900, 'EUR', 1000, 2, 900, 1700000000123456, NULL, 4, 'alice'), true);
SELECT results_eq($$ SELECT title, price_minor, currency, stock, per_user_limit, hold_seconds, state, slots_per_slice,
                            quota_version, opens_at = to_timestamp(1700000000.123456), closes_at = 'infinity'
                     FROM tranche.sku $$,
                  $$ VALUES ('A "TV"', 19900::bigint, 'EUR', 1000::bigint, 2, 900, 'OPEN', 4, 1::bigint, true, true) $$);
SELECT results_eq($$ SELECT slot_no, holder, allotted, remaining, version FROM tranche.stock_slot $$,
                  $$ VALUES (0, NULL::bigint, 1000::bigint, 1000::bigint, 1::bigint) $$, 'all stock is in the pool');
SELECT results_eq($$ SELECT actor, action, sku_id COLLATE "default", before, after FROM tranche.audit_log $$,
                  $$ VALUES ('alice', 'create_sku', 'tv', '{}'::jsonb,
                             '{"stock": 1000, "price_minor": 19900, "presplit": true}'::jsonb) $$, 'it is audited');
SELECT results_eq($$ SELECT presplit, quota_frozen, pool_waiting FROM tranche.sku $$, $$ VALUES (true, false, true) $$);

SELECT is(sku('tv', 5), false, 'an id is taken once');
SELECT is((SELECT sum(remaining) FROM tranche.stock_slot), 1000::numeric, '... and the second try adds nothing');
SELECT is((SELECT count(*) FROM tranche.audit_log), 1::bigint);

SELECT throws_ok($$ SELECT sku('a b', 1) $$, '23514', NULL, 'no blanks in ids');
SELECT throws_ok($$ SELECT sku('', 1) $$, '23514', NULL, 'no empty id');
SELECT throws_ok($$ SELECT sku('x', -1) $$, '23514', NULL, 'no negative stock');
SELECT throws_ok($$ SELECT sku('x', 1, 0) $$, '23514', NULL, 'no limit 0');
SELECT throws_ok($$ SELECT sku('x', 1, 1, 65) $$, '23514', NULL, 'no more than 64 slots');
SELECT throws_ok($$ SELECT tranche.create_sku('x', 't', 1, 'EUR', 1, 1, 60, 2000, 2000, 1, 'test') $$, '23514', NULL,
                 'no empty window');

SELECT is(tranche.create_sku('tail', 't', 1, 'EUR', 0, 1, 60, NULL, NULL, 1, 'test', false), true);
SELECT results_eq($$ SELECT presplit FROM tranche.sku WHERE sku_id = 'tail' $$, $$ VALUES (false) $$);
SELECT is(waiting('tail'), false, 'an empty pool waits for nobody');
SELECT is(tranche.create_sku('old', 't', 1, 'EUR', 1, 1, 60, NULL, NULL, 1, 'test', p_presplit => true), true);
-- The path of its claims.
SELECT is((SELECT claim_path FROM tranche.list_skus('', 9, 'old')), 'DIRECT');
SELECT is(tranche.create_sku('queued', 't', 1, 'EUR', 1, 1, 60, NULL, NULL, 1, 'test', p_claim_path => 'QUEUE'), true);
SELECT results_eq($$ SELECT s.claim_path, a.after->>'claim_path' FROM tranche.list_skus('', 9, 'queued') s
                     JOIN tranche.audit_log a ON a.sku_id = s.sku_id $$, $$ VALUES ('QUEUE', 'QUEUE') $$);
SELECT throws_ok($$ SELECT tranche.create_sku('x', 't', 1, 'EUR', 1, 1, 60, NULL, NULL, 1, 'test', p_claim_path => 'LATER') $$,
                 '23514', NULL, 'no such path');
SELECT conserved();
SELECT * FROM finish();

\ir helpers.psql
SELECT plan(8);

SELECT tranche.register_incarnation('front-1', 'host:7000') AS a \gset
SELECT tranche.register_incarnation('front-1', 'host:7000') AS b \gset
SELECT cmp_ok(:a, '>', 0);
SELECT cmp_ok(:b, '>', :a, 'every run has a number of its own');
SELECT results_eq($$ SELECT node_name, address, reclaimed_at IS NULL FROM tranche.incarnation LIMIT 1 $$,
                  $$ VALUES ('front-1', 'host:7000', true) $$);
SELECT throws_ok($$ SELECT tranche.register_incarnation('', 'host:7000') $$, '23514', NULL, 'a node has a name');
SELECT throws_ok($$ SELECT tranche.register_incarnation('n', '') $$, '23514', NULL, 'a node has an address');
SELECT is((SELECT count(*) FROM tranche.audit_log), 0::bigint, 'nothing that an operator would have done');
SELECT tranche.register_incarnation('front-2', 'host:7000', true) AS c \gset
SELECT is((SELECT draining FROM tranche.incarnation WHERE incarnation_id = :c), true);
SELECT results_eq($$ SELECT actor, action, sku_id, incarnation_id, before, after FROM tranche.audit_log $$,
                  format($$ VALUES ('front-2', 'register_incarnation', NULL, %s::bigint, '{}'::jsonb,
                                    '{"draining": true}'::jsonb) $$, :c));
SELECT * FROM finish();

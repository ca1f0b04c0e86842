\ir helpers.psql
SELECT no_plan();

SELECT sku('a', 10), sku('b', 10);
SELECT node() AS node \gset
SELECT tranche.add_stock('a', 1, 'alice');
SELECT tranche.set_draining(:node, true, 'bob');
SELECT tranche.move_units('b', ARRAY[:node], ARRAY[2], NULL, 'balancer');
SELECT tranche.close_sku('a', 'alice');

SELECT results_eq($$ SELECT actor, action, sku_id, incarnation_id, before, after FROM tranche.list_audit('', 0, 100) $$,
                  format($$ VALUES
  ('alice', 'close_sku', 'a', 0::bigint, '{"state": "OPEN"}', '{"state": "CLOSED"}'),
  ('balancer', 'move_units', 'b', 0, '{"0": 10}', '{"0": 8, "%1$s": 2}'),
  ('bob', 'drain_incarnation', '', %1$s, '{"draining": false}', '{"draining": true}'),
  ('alice', 'add_stock', 'a', 0, '{"stock": 10}', '{"stock": 11}'),
  ('test', 'create_sku', 'b', 0, '{}', '{"stock": 10, "presplit": true, "price_minor": 500}'),
  ('test', 'create_sku', 'a', 0, '{}', '{"stock": 10, "presplit": true, "price_minor": 500}') $$, :node),
  'the newest first');
SELECT is((SELECT bool_and(abs(at_us / 1000000 - extract(epoch FROM now())) < 60)
           FROM tranche.list_audit('', 0, 100)), true);
SELECT results_eq($$ SELECT action FROM tranche.list_audit('a', 0, 100) $$,
                  $$ VALUES ('close_sku'), ('add_stock'), ('create_sku') $$, 'of one SKU');
SELECT results_eq($$ SELECT action FROM tranche.list_audit('a', 0, 2) $$, $$ VALUES ('close_sku'), ('add_stock') $$, 'a page');
SELECT results_eq($$ SELECT l.action FROM tranche.list_audit('a', (SELECT min(audit_id) FROM tranche.list_audit('a', 0, 2)),
                                                             2) AS l $$,
                  $$ VALUES ('create_sku') $$, 'the next page');
SELECT is_empty($$ SELECT * FROM tranche.list_audit('none', 0, 10) $$);
SELECT is_empty($$ SELECT * FROM tranche.list_audit('', 1, 10) $$);

-- A page costs a page, however long the log.
INSERT INTO tranche.audit_log (actor, action, sku_id, before, after)
SELECT 'test', 'move_units', 'sku-' || i % 100, '{}', '{}' FROM generate_series(1, 20000) AS i;
ANALYZE tranche.audit_log;
SELECT cmp_ok(rows_read('audit_log', $$ SELECT * FROM tranche.list_audit('', 0, 10) $$), '<=', 12::bigint);
SELECT cmp_ok(rows_read('audit_log', $$ SELECT * FROM tranche.list_audit('', 500, 10) $$), '<=', 12::bigint);
SELECT cmp_ok(rows_read('audit_log', $$ SELECT * FROM tranche.list_audit('sku-7', 0, 10) $$), '<=', 12::bigint);
SELECT cmp_ok(rows_read('audit_log', $$ SELECT * FROM tranche.list_audit('a', 10000, 10) $$), '<=', 12::bigint);
SELECT * FROM finish();

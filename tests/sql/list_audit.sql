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

-- Filters.
SELECT tranche.register_incarnation('node-2', 'host:2') AS other \gset
SELECT tranche.add_stock('b', 1, E'carol@desk\nfound one');
SELECT tranche.raise_version('b', 100, E'balancer\n\nautomatic');
SELECT tranche.move_units('b', ARRAY[:other], ARRAY[1], NULL, 'carol@laptop');
SELECT tranche.reclaim_incarnation(:other);
SELECT results_eq($$ SELECT actor, reason, automatic FROM tranche.list_audit('b', 0, 4) $$,
                  $$ VALUES ('reclaim', '', true), ('carol@laptop', '', false), ('balancer', '', true), ('carol@desk', 'found one', false) $$,
                  'an actor has a reason, and may be a process');
SELECT results_eq($$ SELECT action FROM tranche.list_audit('b', 0, 100, p_automatic => false) $$,
                  $$ VALUES ('move_units'), ('add_stock'), ('move_units'), ('create_sku') $$, 'of people');
SELECT results_eq($$ SELECT action FROM tranche.list_audit('', 0, 100, 'carol') $$, $$ VALUES ('move_units'), ('add_stock') $$, 'at any host');
SELECT results_eq($$ SELECT action FROM tranche.list_audit('', 0, 100, 'carol@desk') $$, $$ VALUES ('add_stock') $$, 'at one');
SELECT is_empty($$ SELECT action FROM tranche.list_audit('', 0, 100, 'car') $$);
INSERT INTO tranche.audit_log (actor, action, before, after) VALUES
  ('ada', 'one', '{}', '{}'), ('ada as alice@laptop', 'two', '{}', '{}'), ('ada as dan', 'three', '{}', '{}'),
  ('ada@shop.example as dan', 'four', '{}', '{}'), ('adam', 'other', '{}', '{}'), ('dan as ada', 'other', '{}', '{}');
SELECT results_eq($$ SELECT action FROM tranche.list_audit('', 0, 100, 'ada') $$, $$ VALUES ('four'), ('three'), ('two'), ('one') $$,
                  'whomever they acted for');
SELECT results_eq($$ SELECT action FROM tranche.list_audit('', 0, 100, 'ada as alice') $$, $$ VALUES ('two') $$, 'for one person');
SELECT results_eq($$ SELECT action FROM tranche.list_audit('', 0, 100, 'ada as alice@laptop') $$, $$ VALUES ('two') $$);
SELECT is_empty($$ SELECT action FROM tranche.list_audit('', 0, 100, 'ada as alice@desk') $$);
SELECT results_eq($$ SELECT action FROM tranche.list_audit('', 0, 100, 'ada@shop.example') $$, $$ VALUES ('four') $$, 'names may have an @');
DELETE FROM tranche.audit_log WHERE action IN ('one', 'two', 'three', 'four', 'other');
SELECT results_eq($$ SELECT sku_id FROM tranche.list_audit('', 0, 100, '', 'add_stock') $$, $$ VALUES ('b'), ('a') $$, 'one action');
SELECT results_eq($$ SELECT actor FROM tranche.list_audit('a', 0, 100, 'alice', 'add_stock') $$, $$ VALUES ('alice') $$, 'all together');
SELECT results_eq($$ SELECT nodes FROM tranche.list_audit('b', 0, 100, 'carol@laptop') $$, format($$ VALUES ('%s node-2') $$, :other),
                  'the name of a node that has ended');
SELECT is((SELECT nodes FROM tranche.list_audit('', 0, 1, '', 'drain_incarnation')), :node || ' node');

-- What somebody else wrote there does not break the list.
INSERT INTO tranche.audit_log (actor, action, before, after) VALUES ('nobody', 'nothing', '[1]', '"x"');
SELECT results_eq($$ SELECT before, nodes FROM tranche.list_audit('', 0, 100, 'nobody') $$, $$ VALUES ('[1]', NULL) $$);
DELETE FROM tranche.audit_log WHERE actor = 'nobody';

-- Times. Ids follow them only nearly.
UPDATE tranche.audit_log SET at = at - interval '2 days' WHERE action = 'create_sku';
SELECT is((SELECT count(*) FROM tranche.list_audit('', 0, 100, p_until_us => (extract(epoch FROM now() - interval '1 day') * 1000000)::bigint)), 2::bigint);
SELECT is((SELECT count(*) FROM tranche.list_audit('', 0, 100, p_since_us => (extract(epoch FROM now() - interval '1 day') * 1000000)::bigint)), 8::bigint);

-- A page costs a page, however long the log.
INSERT INTO tranche.audit_log (actor, action, sku_id, before, after)
SELECT 'test', 'move_units', 'sku-' || i % 100, '{}', '{}' FROM generate_series(1, 20000) AS i;
ANALYZE tranche.audit_log;
SELECT cmp_ok(rows_read('audit_log', $$ SELECT * FROM tranche.list_audit('', 0, 10) $$), '<=', 20::bigint);
SELECT cmp_ok(rows_read('audit_log', $$ SELECT * FROM tranche.list_audit('', 500, 10) $$), '<=', 20::bigint);
SELECT cmp_ok(rows_read('audit_log', $$ SELECT * FROM tranche.list_audit('sku-7', 0, 10) $$), '<=', 20::bigint);
SELECT cmp_ok(rows_read('audit_log', $$ SELECT * FROM tranche.list_audit('a', 10000, 10) $$), '<=', 20::bigint);
SELECT cmp_ok(rows_read('audit_log', $$ SELECT * FROM tranche.list_audit('', 0, 10, 'carol', p_automatic => false) $$), '<=', 20::bigint);
SELECT cmp_ok(rows_read('audit_log', $$ SELECT * FROM tranche.list_audit('', 0, 10, '', 'drain_incarnation') $$), '<=', 20::bigint);
INSERT INTO tranche.audit_log (actor, action, automatic, before, after)
SELECT 'balancer', 'raise_version', true, '{}', '{}' FROM generate_series(1, 30000) AS i;
ANALYZE tranche.audit_log;
SELECT cmp_ok(rows_read('audit_log', $$ SELECT * FROM tranche.list_audit('', 0, 5, p_automatic => false) $$), '<=', 15::bigint);
-- Of people there is nothing of this, or little: what else they did is not read to find that out.
SELECT cmp_ok(rows_read('audit_log', $$ SELECT * FROM tranche.list_audit('', 0, 10, '', 'raise_version', p_automatic => false) $$), '<=', 10::bigint);
SELECT cmp_ok(rows_read('audit_log', $$ SELECT * FROM tranche.list_audit('', 0, 10, 'balancer', p_automatic => false) $$), '<=', 10::bigint);
-- Nor to come to a later page.
SELECT cmp_ok(rows_read('audit_log', $$ SELECT * FROM tranche.list_audit('', 10000, 10, 'test', p_automatic => false) $$), '<=', 20::bigint);
SELECT cmp_ok(rows_read('audit_log', $$ SELECT * FROM tranche.list_audit('', 10000, 10, '', 'move_units', p_automatic => false) $$), '<=', 20::bigint);
SELECT cmp_ok(rows_read('audit_log', $$ SELECT * FROM tranche.list_audit('', 10000, 10, '', 'move_units') $$), '<=', 20::bigint);
SELECT is((SELECT array_agg(audit_id) FROM tranche.list_audit('', 500, 3, 'test', 'move_units')), '{499,498,497}', 'in order');
-- What is older than the newest 5000: these are not read to get there.
INSERT INTO tranche.audit_log (at, actor, action, before, after)
SELECT now() + interval '9 days' + i * interval '1 second', 'test', 'move_units', '{}', '{}' FROM generate_series(1, 5000) AS i;
ANALYZE tranche.audit_log;
SELECT cmp_ok(rows_read('audit_log', $$ SELECT * FROM tranche.list_audit('', 0, 10,
                p_until_us => (extract(epoch FROM now() + interval '8 days') * 1000000)::bigint) $$), '<=', 20::bigint);
SELECT * FROM finish();

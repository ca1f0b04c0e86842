\ir helpers.psql
SELECT no_plan();

SELECT sku('tv', 10);
SELECT holder('tv', 4) AS node \gset
SELECT results_eq(format($$ SELECT incarnation_id, node_name, address, draining
                            FROM tranche.set_draining(%s, true, 'alice') $$, :node),
                  format($$ VALUES (%s::bigint, 'node', 'host:1', true) $$, :node));
SELECT results_eq(format($$ SELECT draining FROM tranche.set_draining(%s, true, 'bob') $$, :node), $$ VALUES (true) $$,
                  'once more changes nothing');
SELECT is(outcome(:node, 1, 'tv', 'u1'), 'CREATED', 'what it has accepted it may commit');
SELECT results_eq(format($$ SELECT draining FROM tranche.set_draining(%s, false, 'carol') $$, :node),
                  $$ VALUES (false) $$);
SELECT results_eq($$ SELECT actor, action, sku_id, incarnation_id, before, after FROM tranche.audit_log
                     WHERE action LIKE '%drain%' ORDER BY audit_id $$,
                  format($$ VALUES ('alice', 'drain_incarnation', NULL, %1$s::bigint, '{"draining": false}'::jsonb,
                                    '{"draining": true}'::jsonb),
                                   ('carol', 'undrain_incarnation', NULL, %1$s, '{"draining": true}',
                                    '{"draining": false}') $$, :node));
-- Whether its process is to end then: also of a node that drains already.
SELECT tranche.set_draining(:node, true, 'dave', false, NULL), tranche.set_draining(:node, true, 'dave', false, false),
       tranche.set_draining(:node, true, 'erin', true, false), tranche.set_draining(:node, true, 'erin', true, true),
       tranche.set_draining(:node, false, 'dave');
SELECT results_eq($$ SELECT actor, action, before, after FROM tranche.audit_log
                     WHERE actor IN ('dave', 'erin') ORDER BY audit_id $$,
                  $$ VALUES ('dave', 'drain_incarnation', '{"draining": false}'::jsonb, '{"draining": true, "exit": false}'::jsonb),
                            ('erin', 'drain_incarnation', '{"draining": true, "exit": false}', '{"draining": true, "exit": true}'),
                            ('dave', 'undrain_incarnation', '{"draining": true}', '{"draining": false}') $$);
SELECT is_empty($$ SELECT * FROM tranche.set_draining(999, true, 'frank') $$, 'unknown');
SELECT is_empty($$ SELECT * FROM tranche.set_draining(999, true, 'frank', true, false) $$, 'unknown');
SELECT is_empty($$ SELECT FROM tranche.audit_log WHERE actor = 'frank' $$);
SELECT tranche.reclaim_incarnation(:node);
SELECT is_empty(format($$ SELECT * FROM tranche.set_draining(%s, true, 'alice') $$, :node), 'ended');

-- Two at once: one does it.
SELECT node() AS b \gset
SELECT open_session('s'), open_session('t');
SELECT pid('t') AS t_pid \gset
SELECT dblink_exec('s', 'BEGIN');
SELECT is(ask('s', format($$SELECT draining::text FROM tranche.set_draining(%s, true, 's')$$, :b)), 'true');
SELECT send('t', format($$SELECT draining::text FROM tranche.set_draining(%s, true, 't')$$, :b));
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT is(receive('t'), 'true');
SELECT is((SELECT array_agg(actor) FROM tranche.audit_log WHERE incarnation_id = :b), '{s}');

SELECT conserved();
SELECT * FROM finish();

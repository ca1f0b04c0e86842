\ir helpers.psql
SELECT no_plan();

SELECT sku('tv', 10);
SELECT is(tranche.set_quota_frozen('tv', true, 'alice'), true);
SELECT is((SELECT quota_frozen FROM tranche.sku), true);
SELECT is(version('tv'), 2::bigint, 'a move that was planned before is refused');
SELECT is(tranche.set_quota_frozen('tv', true, 'bob'), true);
SELECT is(version('tv'), 2::bigint, 'once more changes nothing');
SELECT holder('tv', 3) AS node \gset
SELECT is(slices('tv'), '0:7 ' || :node || ':3', 'operators move on');
SELECT is(tranche.set_quota_frozen('tv', false, 'carol'), true);
SELECT is((SELECT quota_frozen FROM tranche.sku), false);
SELECT results_eq($$ SELECT actor, action, before, after FROM tranche.audit_log WHERE action LIKE '%\_quota'
                     ORDER BY audit_id $$,
                  $$ VALUES ('alice', 'freeze_quota', '{"quota_frozen": false}'::jsonb, '{"quota_frozen": true}'::jsonb),
                            ('carol', 'thaw_quota', '{"quota_frozen": true}', '{"quota_frozen": false}') $$);
SELECT is(tranche.set_quota_frozen('none', true, 'alice'), false, 'no such SKU');

-- A freeze and a move that was planned before it: the move comes too late.
SELECT version('tv') AS v \gset
SELECT open_session('s'), open_session('t');
SELECT pid('t') AS t_pid \gset
SELECT dblink_exec('s', 'BEGIN');
SELECT is(ask('s', $$SELECT tranche.set_quota_frozen('tv', true, 's')::text$$), 'true');
SELECT send('t', format($$SELECT tranche.move_units('tv', ARRAY[%s], ARRAY[1], %s, 'balancer')::text$$, :node, :v));
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT is(receive('t'), 'false');

SELECT conserved();
SELECT * FROM finish();

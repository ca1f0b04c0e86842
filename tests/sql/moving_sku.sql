-- Nothing about a SKU that is on its way to another shard changes.
\ir helpers.psql
SELECT no_plan();

SELECT sku('tv', 10, 3), sku('radio', 10);
SELECT holder('tv', 6) AS node \gset
SELECT tranche.move_units('radio', ARRAY[:node], ARRAY[4], NULL, 'test');
SELECT is(outcome(:node, 1, 'tv', 'u1'), 'CREATED');
CREATE FUNCTION tv() RETURNS text LANGUAGE sql AS
$$ SELECT slices('tv') || ' ' || (SELECT (to_jsonb(s) - 'whereabouts' - 'other_shard')::text FROM tranche.sku s
                                  WHERE s.sku_id = 'tv') $$;
SELECT tv() AS before \gset

SELECT move_sku('tv', 'LEAVING');
SELECT is(outcomes(:node, true, uids(1, 2, 3), '{tv,tv,radio}', '{u1,u2,u2}', '{1,1,1}'), '{REPLAYED,MOVING,CREATED}');
SELECT is(outcomes(:node, false, uids(1, 2, 3), '{tv,tv,radio}', '{u1,u2,u2}', '{1,1,1}'), '{REPLAYED,MOVING,REPLAYED}');
SELECT throws_ok($$ SELECT tranche.add_stock('tv', 1, 'x') $$, 'TR004', 'the SKU tv is moving to another shard');
SELECT throws_ok($$ SELECT tranche.reduce_stock('tv', 1, 'x') $$, 'TR004');
SELECT throws_ok($$ SELECT tranche.close_sku('tv', 'x') $$, 'TR004');
SELECT throws_ok($$ SELECT tranche.set_quota_frozen('tv', true, 'x') $$, 'TR004');
SELECT is(tranche.move_units('tv', ARRAY[:node], ARRAY[1], NULL, 'x'), false);
SELECT is((SELECT outcome FROM tranche.move_units_batch('{tv}', '{NULL}', '{1}', ARRAY[:node], '{1}', 'x')), 'VERSION');
SELECT is_empty($$ SELECT FROM tranche.list_pooled_skus('', 9) WHERE sku_id = 'tv' $$);
SELECT is((SELECT count(*) FROM tranche.list_skus('', 9)), 2::bigint, 'it can be read');
SELECT is((SELECT count(*) FROM tranche.read_quotas('{tv,radio}')), 2::bigint);
SELECT is((SELECT count(*) FROM tranche.find_reservations(uids(1, 3))), 2::bigint);

-- When a node ends, its units of the SKU stay, and are taken when reclaim is called again.
SELECT results_eq(format('SELECT * FROM tranche.reclaim_incarnation(%s)', :node), $$ VALUES ('radio') $$);
SELECT isnt((SELECT reclaimed_at FROM tranche.incarnation WHERE incarnation_id = :node), NULL);
SELECT is_empty(format('SELECT * FROM tranche.reclaim_incarnation(%s)', :node));
SELECT is(tv(), :'before', 'nothing has changed');
SELECT is(slices('radio'), '0:9');

SELECT move_sku('tv', 'GONE');
SELECT is(outcome(:node, 4, 'tv', 'u4'), 'MOVING');
SELECT move_sku('tv', 'ARRIVING');
SELECT is(outcome(:node, 4, 'tv', 'u4'), 'MOVING');
SELECT is(outcome(:node, 1, 'tv', 'u1'), 'MOVING', 'what is on the way may be half there');
SELECT is(tranche.add_stock('tv', 1, 'x'), false, 'no such SKU here');
SELECT is(tranche.reduce_stock('tv', 1, 'x'), NULL);
SELECT is(tranche.close_sku('tv', 'x'), false);
SELECT is(tranche.set_quota_frozen('tv', true, 'x'), false);
SELECT is(tranche.move_units('tv', ARRAY[:node], ARRAY[1], NULL, 'x'), NULL);
SELECT is((SELECT count(*) FROM tranche.list_skus('', 9)), 1::bigint);
SELECT is((SELECT count(*) FROM tranche.read_quotas('{tv,radio}')), 1::bigint);
SELECT is((SELECT count(*) FROM tranche.find_reservations(uids(1, 3))), 1::bigint);
SELECT is_empty(format('SELECT * FROM tranche.reclaim_incarnation(%s)', :node));
SELECT is(tv(), :'before');

-- The move was given up.
SELECT move_sku('tv', 'HERE');
SELECT results_eq(format('SELECT * FROM tranche.reclaim_incarnation(%s)', :node), $$ VALUES ('tv') $$);
SELECT is(slices('tv'), '0:9');
SELECT is(outcome(:node, 5, 'tv', 'u5'), 'NOT_HELD');
SELECT conserved();

-- A move waits for the changes under way, and those that come meanwhile wait for it and find the SKU leaving.
SELECT holder('tv', 9) AS node \gset
SELECT is(outcomes(:node, true, uids(11, 12, 13, 14), '{tv,tv,tv,tv}', '{a,b,c,d}', '{1,1,1,1}'),
          '{CREATED,CREATED,CREATED,CREATED}');
SELECT open_session('a'), open_session('b'), open_session('c');
SELECT pid('b') AS b_pid, pid('c') AS c_pid \gset
SELECT dblink_exec('a', 'BEGIN');
SELECT dblink_exec('b', 'BEGIN');
SELECT is(ask('a', 'SELECT (confirm(uids(11)))[1]'), 'DONE CONFIRMED 2');
SELECT send('b', $$SELECT tranche.pin_skus('{tv}', true)::text || move_sku('tv', 'LEAVING')::text$$);
SELECT is(blocks(:'b_pid'), true);
SELECT send('c', 'SELECT (extend(12, 1))');
SELECT is(blocks(:'c_pid'), true, 'who comes later waits behind the move');
SELECT dblink_exec('a', 'COMMIT');
SELECT receive('b');
SELECT is(blocks(:'c_pid'), true);
SELECT dblink_exec('b', 'COMMIT');
SELECT is(receive('c'), 'MOVING');
SELECT is(state(11), 'CONFIRMED');
-- Back, with an expirer and a cancellation that have read it before.
SELECT make_due(13);
SELECT move_sku('tv', 'HERE');
SELECT dblink_exec('b', 'BEGIN');
SELECT ask('b', $$SELECT tranche.pin_skus('{tv}', true)::text || move_sku('tv', 'LEAVING')::text$$);
SELECT send('a', 'SELECT (cancel(uids(14)))[1]');
SELECT is(ask('c', 'SELECT expire()'), '0 false', 'an expirer passes over it');
SELECT dblink_exec('b', 'COMMIT');
SELECT is(receive('a'), 'MOVING');
SELECT is(state(13) || ' ' || state(14), 'PENDING PENDING');
SELECT move_sku('tv', 'HERE');
SELECT is(expire(), '1 false');
SELECT conserved();
SELECT * FROM finish();

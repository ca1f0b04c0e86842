-- A copy of a SKU that a restore brought back is taken out: it sells nothing more, and waits to be purged like what has
-- gone.
\ir helpers.psql
SELECT no_plan();

CREATE FUNCTION where_is(p_sku text) RETURNS text LANGUAGE sql AS
$$ SELECT concat_ws(' ', whereabouts, other_shard, move_token, CASE WHEN leftovers THEN 'leftovers' END)
   FROM tranche.sku_whereabouts(p_sku) $$;

SELECT is(tranche.add_shard('hot', 'host=a dbname=t', 'alice'), true);
SELECT sku('tv', 10, 2), sku('radio', 5);
SELECT holder('tv', 6) AS node \gset
SELECT tranche.move_units('radio', ARRAY[:node], ARRAY[4], NULL, 'test');
SELECT is(outcome(:node, 1, 'tv', 'u1'), 'CREATED');

-- Not by mistake.
SELECT throws_ok($$ SELECT tranche.give_up_copy('tv', 'home', 'alice') $$, 'TR002',
                 'this database is home: call it where the older copy is');
SELECT throws_ok($$ SELECT tranche.give_up_copy('tv', 'hott', 'alice') $$, 'TR002', 'there is no shard hott');
SELECT throws_ok($$ SELECT tranche.give_up_copy('none', 'hot', 'alice') $$, 'TR002', 'no copy of SKU none is here');
SELECT is(where_is('tv'), 'HERE');
SELECT is(outcome(:node, 2, 'tv', 'u2'), 'CREATED');

SELECT lives_ok($$ SELECT tranche.give_up_copy('tv', 'hot', 'alice') $$);
SELECT is(where_is('tv'), 'GONE hot leftovers');
SELECT is(outcome(:node, 3, 'tv', 'u3'), 'MOVING');
SELECT is_empty($$ SELECT * FROM tranche.find_reservations(uids(1, 2)) $$);
SELECT is_empty($$ SELECT * FROM tranche.list_skus('', 10, 'tv') $$);
SELECT is((SELECT count(*) FROM tranche.stock_slot WHERE sku_id = 'tv'), 0::bigint);
SELECT is(outcome(:node, 4, 'radio', 'u1'), 'CREATED', 'other SKUs sell on');
SELECT conserved();
SELECT results_eq($$ SELECT actor, before, after FROM tranche.audit_log WHERE action = 'give_up_copy' $$,
                  $$ VALUES ('alice', '{"stock": 10, "whereabouts": "HERE"}'::jsonb,
                             '{"to": "hot", "whereabouts": "GONE"}'::jsonb) $$);
SELECT throws_ok($$ SELECT tranche.give_up_copy('tv', 'hot', 'alice') $$, 'TR002', 'no copy of SKU tv is here');
SELECT is(tranche.purge_departed('tv', 100), 2::bigint);
SELECT is(tranche.purge_departed('tv', 100), 0::bigint);
SELECT is(where_is('tv'), 'GONE hot');

-- A copy from within a move.
SELECT lives_ok(format($$ SELECT * FROM tranche.prepare_leave('radio', %L) $$, uid(900)));
SELECT lives_ok(format($$ SELECT tranche.begin_leave('radio', %L, 'cold', 'alice') $$, uid(900)));
SELECT lives_ok($$ SELECT tranche.give_up_copy('radio', 'hot', 'alice') $$);
SELECT is(where_is('radio'), 'GONE hot leftovers');
SELECT is(tranche.cancel_leave('radio', uid(900), 'alice'), false, 'that attempt is over');
SELECT conserved();

-- What is under way ends first.
SELECT sku('cam', 5);
SELECT holder('cam', 5) AS cam \gset
SELECT open_session('s'), open_session('t');
SELECT pid('t') AS t_pid \gset
SELECT dblink_exec('s', 'BEGIN');
SELECT is(ask('s', format($$SELECT outcome(%s, 9, 'cam', 'u1')$$, :cam)), 'CREATED');
SELECT send('t', $$SELECT tranche.give_up_copy('cam', 'hot', 'alice')::text$$);
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT receive('t');
SELECT is(where_is('cam'), 'GONE hot leftovers');
SELECT conserved();

-- A shard that has forgotten a SKU, but says that it had it once before, can have it again.
SELECT is(sku('tv', 3), false);
DELETE FROM tranche.sku WHERE sku_id = 'tv' AND whereabouts = 'GONE';
SELECT is(sku('tv', 3), true);
SELECT conserved();
SELECT * FROM finish();

\ir helpers.psql
SELECT no_plan();

-- 'taken ended allotted/remaining/version unsold' of a call.
CREATE FUNCTION take(p_sku text, p_node bigint, p_wanted bigint) RETURNS text LANGUAGE sql AS
$$ SELECT format('%s %s %s/%s/%s %s', taken, ended, slice_allotted, slice_remaining, slice_version, unsold)
   FROM tranche.take_from_pool(p_sku, p_node, p_wanted) $$;

SELECT sku('tv', 100, 4);
SELECT node() AS a, node() AS b, node() AS dead \gset
SELECT tranche.reclaim_incarnation(:dead);

-- A lot: the pool divided by twice the number of live incarnations; or what is wanted, if that is more.
SELECT is(take('tv', :a, 1), '25 f 25/25/2 100');
SELECT is(slices('tv'), format('0:75 %s:25', :a));
SELECT is(take('tv', :b, 60), '60 f 60/60/3 100');
SELECT is(slices('tv'), format('0:15 %s:25 %s:60', :a, :b));
SELECT is(version('tv'), 3::bigint);
SELECT conserved();

-- All or nothing: fewer than are wanted are of no use.
SELECT is(take('tv', :a, 16), '0 f 25/25/2 100', 'says what there is anywhere');
SELECT is(take('tv', :a, 15), '15 f 40/40/4 100');
SELECT is(take('tv', :a, 1), '0 f 40/40/4 100', 'an empty pool');
SELECT is((SELECT pool_waiting FROM tranche.sku WHERE sku_id = 'tv'), false);
SELECT conserved();

-- The whole SKU comes with the answer.
SELECT results_eq($$ SELECT title, price_minor, currency, stock, per_user_limit, closed, presplit, quota_frozen, quota_version, holds_may_lapse
                     FROM tranche.take_from_pool('tv', 1, 1) $$,
                  $$ VALUES ('A thing', 500::bigint, 'EUR', 100::bigint, 4, false, true, false, 4::bigint, false) $$);

-- Nobody has asked for these moves: no audit row.
SELECT is_empty($$ SELECT * FROM tranche.audit_log WHERE action = 'move_units' $$);

-- Slots of one slice get their share each.
SELECT sku('wide', 80, 4, 4);
SELECT is(take('wide', :a, 1), '20 f 20/20/2 80');
SELECT results_eq($$ SELECT remaining FROM tranche.stock_slot WHERE sku_id = 'wide' AND slot_no > 0 ORDER BY slot_no $$,
                  $$ VALUES (5::bigint), (5), (5), (5) $$);

-- Not for whom it may not be.
SELECT sku('radio', 10);
SELECT is(take('radio', :dead, 1), '0 t 0/0/0 10', 'it has ended');
SELECT is(take('radio', 999, 1), '0 f 0/0/0 10', 'not known here, or not yet');
SELECT tranche.set_draining(:b, true, 'test');
SELECT is(take('radio', :b, 1), '0 f 0/0/0 10', 'it drains');
SELECT tranche.set_draining(:b, false, 'test');
SELECT tranche.set_quota_frozen('radio', true, 'test');
SELECT is(take('radio', :b, 1), '0 f 0/0/0 10', 'frozen');
SELECT tranche.set_quota_frozen('radio', false, 'test');
SELECT is(take('radio', :b, 1), '2 f 2/2/4 10');
SELECT tranche.close_sku('radio', 'test');
SELECT is(take('radio', :b, 1), '0 f 2/2/4 10', 'closed');
SELECT is_empty($$ SELECT * FROM tranche.take_from_pool('none', 1, 1) $$, 'no such SKU');
SELECT throws_ok($$ SELECT * FROM tranche.take_from_pool('tv', 1, 0) $$, '22023');
SELECT move_sku('wide', 'LEAVING');
SELECT is(take('wide', :b, 1), '0 f 0/0/0 80', 'it is leaving for another shard');
SELECT move_sku('wide', 'HERE');

-- What was sold out of the slice stays spent.
SELECT is(outcome(:a, 1, 'wide', 'u1'), 'CREATED');
SELECT is(take('wide', :a, 1), '15 f 35/34/3 79');
SELECT conserved();

-- Two sessions. A node that finds the pool empty waits for nobody, whoever has locked the SKU.
SELECT open_session('s'), open_session('t');
SELECT pid('t') AS t_pid \gset
SELECT dblink_exec('s', 'BEGIN');
SELECT ask('s', $$SELECT sku_id FROM tranche.sku WHERE sku_id = 'tv' FOR UPDATE$$);
SET lock_timeout = '1ms';
SELECT is(take('tv', :b, 1), '0 f 60/60/3 100');
RESET lock_timeout;
SELECT dblink_exec('s', 'COMMIT');

-- Two nodes take one after the other: the second gets of what the first has left.
SELECT sku('lamp', 10);
SELECT dblink_exec('s', 'BEGIN');
SELECT is(ask('s', format($$SELECT taken::text FROM tranche.take_from_pool('lamp', %s, 8)$$, :a)), '8');
SELECT send('t', format($$SELECT taken::text FROM tranche.take_from_pool('lamp', %s, 3)$$, :b));
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT is(receive('t'), '0', 'two are left');
SELECT is(slices('lamp'), format('0:2 %s:8', :a));

-- And with a reclaim of the one that takes: it gets nothing any more, or what it got is reclaimed.
SELECT dblink_exec('s', 'BEGIN');
SELECT ask('s', format($$SELECT count(*)::text FROM tranche.reclaim_incarnation(%s)$$, :a));
SELECT send('t', format($$SELECT taken || ' ' || ended FROM tranche.take_from_pool('lamp', %s, 1)$$, :a));
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT is(receive('t'), '0 true');
SELECT dblink_exec('s', 'BEGIN');
SELECT is(ask('s', format($$SELECT taken::text FROM tranche.take_from_pool('lamp', %s, 4)$$, :b)), '5');
SELECT send('t', format($$SELECT string_agg(sku_id, ' ') FROM tranche.reclaim_incarnation(%s)$$, :b));
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT isnt(receive('t'), NULL);
SELECT is(slices('lamp'), '0:10');
SELECT conserved();
SELECT * FROM finish();

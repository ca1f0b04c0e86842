-- set_sku_paused against sales in other sessions.
\ir helpers.psql
SELECT no_plan();
SELECT open_session('a'), open_session('b'), open_session('c');
SELECT pid('b') AS b_pid, pid('c') AS c_pid \gset

SELECT sku('tv', 10);
SELECT holder('tv', 10) AS node \gset
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT outcome(%s, 1, 'tv', 'u1')$$, :node)), 'CREATED', 'it has read that nothing is paused');
SELECT send('b', $$SELECT tranche.set_sku_paused('tv', true, '', 'alice')::text$$);
SELECT is(blocks(:'b_pid'), true, 'so it must end first');
SELECT send('c', format($$SELECT outcome(%s, 2, 'tv', 'u2')$$, :node));
SELECT is(blocks(:'c_pid'), true, 'one that comes now waits');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'true');
SELECT is(receive('c'), 'PAUSED', '... and finds it paused');
SELECT is(slices('tv'), '0:0 ' || :node || ':9');
SELECT conserved();
SELECT * FROM finish();

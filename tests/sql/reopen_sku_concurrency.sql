-- reopen_sku against sales in other sessions.
\ir helpers.psql
SELECT no_plan();
SELECT open_session('a'), open_session('b'), open_session('c');
SELECT pid('b') AS b_pid, pid('c') AS c_pid \gset

SELECT sku('tv', 10);
SELECT holder('tv', 10) AS node \gset
SELECT is(tranche.close_sku('tv', 'alice'), true);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT outcome(%s, 1, 'tv', 'u1')$$, :node)), 'CLOSED', 'it has locked the slot');
SELECT send('b', $$SELECT tranche.reopen_sku('tv', 'alice')::text$$);
SELECT is(blocks(:'b_pid'), true, 'so it must end first: none of its statements may see the SKU open');
SELECT send('c', format($$SELECT outcome(%s, 2, 'tv', 'u2')$$, :node));
SELECT is(blocks(:'c_pid'), true, 'one that comes now waits');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'true');
SELECT is(receive('c'), 'CREATED', '... and finds it open');
SELECT is(slices('tv'), '0:0 ' || :node || ':9');
SELECT conserved();
SELECT * FROM finish();

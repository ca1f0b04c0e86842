-- update_sku against sales in other sessions: a sale sees one version of the terms.
\ir helpers.psql
SELECT no_plan();
SELECT open_session('a'), open_session('b'), open_session('c');
SELECT pid('b') AS b_pid, pid('c') AS c_pid \gset

SELECT sku('tv', 10);
SELECT holder('tv', 10) AS node \gset
\set claim 'SELECT amount_minor::text FROM tranche.commit_reservations(%s, true, uids(%s), ''{tv}'', ''{u%s}'', ''{1}'')'
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format(:'claim', :node, 1, 1)), '500');
SELECT send('b', $$SELECT tranche.update_sku('tv', 1, 'A thing', 700, 1, 60, 3, NULL, NULL, NULL, true, 'alice')::text$$);
SELECT is(blocks(:'b_pid'), true, 'a sale under way ends first');
SELECT send('c', format(:'claim', :node, 2, 2));
SELECT is(blocks(:'c_pid'), true, 'one that comes now waits');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'true');
SELECT is(receive('c'), '700', '... and has the new price');
SELECT results_eq($$ SELECT amount_minor FROM tranche.reservation ORDER BY reservation_id $$,
                  $$ VALUES (500::bigint), (700) $$, 'as it was told');
SELECT conserved();
SELECT * FROM finish();

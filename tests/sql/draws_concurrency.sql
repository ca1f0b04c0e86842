-- Draws in several sessions: a close and entries, two workers that award, and a sale beside them.
\ir helpers.psql
\ir draw_helpers.psql
SELECT no_plan();
SELECT open_session('a'), open_session('b'), open_session('c');
SELECT pid('a') AS a_pid, pid('b') AS b_pid, pid('c') AS c_pid \gset

-- A close waits for entries that are under way; who comes later waits behind the close, and finds the draw closed.
SELECT sku('tv', 10);
SELECT is(new_draw('tv', 2), 'DONE 1 OPEN');
SELECT is(enter('tv', 'u2'), 'ENTERED');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT enter('tv', 'u1') $$), 'ENTERED');
SELECT CASE WHEN pg_backend_pid() & 63 = :a_pid & 63 THEN skip('the two sessions count in the same part', 1)
            ELSE is(enter('tv', 'u5'), 'ENTERED', 'entries do not wait for each other') END;
SELECT send('b', $$ SELECT step('tv', 'CLOSE') $$);
SELECT is(blocks(:'b_pid'), true);
SELECT send('c', $$ SELECT enter('tv', 'u3') $$);
SELECT is(blocks(:'c_pid'), true);
SELECT is((SELECT string_agg(outcome, ' ' ORDER BY idx) FROM tranche.enter_draws(NULL, '{tv,tv}', '{u4,u2}')), 'BUSY ENTERED',
          'without waiting');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'DONE CLOSING');
SELECT is(receive('c'), 'NO_OPEN_DRAW CLOSING');
SELECT is((SELECT count(*) FROM tranche.draw_entry WHERE user_id IN ('u1', 'u2')), 2::bigint, 'each that was acknowledged is in the list');
SELECT is((SELECT count(*) FROM tranche.draw_entry WHERE user_id IN ('u3', 'u4')), 0::bigint);
SELECT is((SELECT sum(entries)::bigint FROM tranche.draw_tally), (SELECT count(*) FROM tranche.draw_entry));
SELECT is(step('tv', 'CANCEL'), 'DONE CANCELLED');

-- The same buyer twice: one entry, and both hear of it.
SELECT sku('radio', 10);
SELECT is(new_draw('radio', 2), 'DONE 1 OPEN');
SELECT dblink_exec('a', 'BEGIN');
SELECT ask('a', $$ SELECT entry_id::text FROM tranche.enter_draws(true, '{radio}', '{u1}') $$) AS id \gset
SELECT send('b', $$ SELECT format('%s %s', entry_id, replayed) FROM tranche.enter_draws(true, '{radio}', '{u1}') $$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), :'id' || ' t');
-- Two who cross: batches insert in one order, so they do not block each other for ever.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT enter('radio', 'u3', 'u2') $$), 'ENTERED, ENTERED');
SELECT send('b', $$ SELECT enter('radio', 'u2', 'u3') $$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'ROLLBACK');
SELECT is(receive('b'), 'ENTERED, ENTERED');

-- Two workers give awards: one after the other, each place once.
SELECT sku('lamp', 10);
SELECT is(drawn('lamp', 2, 12), 'DONE 12 t');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT award('lamp', 1) $$), '1+0 open 1 left t waits  finished f');
SELECT send('b', $$ SELECT award('lamp', 9) $$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), '1+0 open 0 left t waits  finished f');
SELECT is(awards('lamp'), '6 PENDING, 10 PENDING');

-- A sale of the same buyer is under way: the award waits for it, and passes the buyer over. The units stay in the pool.
SELECT is(cancel(of_buyer('lamp', 'u10')), '{DONE CANCELLED 2}');
SELECT holder('lamp', 2) AS node \gset
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$ SELECT outcome(%s, 80, 'lamp', 'u12') $$, :node)), 'CREATED');
SELECT send('b', $$ SELECT award('lamp') $$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), '0+1 open 1 left t waits  finished f');
SELECT is(slices('lamp'), format('0:7 %s:1', :node));
SELECT is(award('lamp'), '1+0 open 0 left t waits  finished f');
SELECT is(awards('lamp'), '6 PENDING, 10 LAPSED, 12 PASSED_OVER, 4 PENDING');
SELECT conserved();

-- A worker does not wait for another that ranks, and deletes what nobody has locked.
SELECT sku('cam', 10);
SELECT new_draw('cam', 2), put_entries('cam', 3), step('cam', 'CLOSE'), seal('cam', 3), step('cam', 'SEED');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT rank_next('cam', 2) $$), 'DONE 2 f');
SELECT is(rank_next('cam', 2), 'DONE 0 f');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(rank_next('cam', 2), 'DONE 1 t');
SELECT is(step('tv', 'REMOVE'), 'DONE CANCELLED');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT tranche.purge_draws(1)::text'), '1');
SELECT is(tranche.purge_draws(1), 0::bigint);
SELECT dblink_exec('a', 'ROLLBACK');

-- A draw that is created while the SKU begins to move: one of them is refused.
SELECT sku('mixer', 10);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT new_draw('mixer', 1) $$), 'DONE 1 OPEN');
SELECT send('b', format($$ SELECT since FROM tranche.prepare_leave('mixer', %L) $$, uid(900)));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT throws_ok($$ SELECT receive('b') $$, 'TR002');

-- An older copy is given up when the entries that are under way have ended, with its draws.
SELECT tranche.add_shard('hot', 'host=a dbname=t', 'alice');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$ SELECT enter('mixer', 'u1') $$), 'ENTERED');
SELECT send('c', $$ SELECT tranche.give_up_copy('mixer', 'hot', 'alice')::text $$);
SELECT is(blocks(:'c_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('c'), '');
SELECT is(enter('mixer', 'u2'), 'SKU_NOT_FOUND');
SELECT is((SELECT state FROM tranche.draw WHERE sku_id = 'mixer'), 'CANCELLED');
SELECT * FROM finish();

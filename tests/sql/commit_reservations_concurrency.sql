-- commit_reservations against other sessions.
\ir helpers.psql
SELECT plan(40);
SELECT open_session('a'), open_session('b');
SELECT pid('a') AS a_pid, pid('b') AS b_pid \gset

-- A locked slot: skipped, or waited for.
SELECT sku('tv', 10);
SELECT holder('tv', 10) AS node \gset
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT outcome(%s, 1, 'tv', 'u1')$$, :node)), 'CREATED');
SELECT is(outcome(:node, 2, 'tv', 'u2', false), 'BUSY', 'skipping: decides nothing');
SELECT is(send('b', format($$SELECT outcome(%s, 2, 'tv', 'u2')$$, :node)), 1);
SELECT is(blocks(:'b_pid'), true, 'waiting');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'CREATED');
SELECT is(slices('tv'), '0:0 ' || :node || ':8', 'it saw what the other took');

-- Without waiting: a locked slot makes its SKU busy, and no other; a repeat needs no slot.
SELECT sku('free', 10), sku('both', 10, 3, 2);
SELECT tranche.move_units(s, ARRAY[:node], ARRAY[4], NULL, 'test') FROM unnest(ARRAY['free', 'both']) AS s;
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT outcome(%s, 3, 'tv', 'u3')$$, :node)), 'CREATED');
SELECT is(outcomes(:node, NULL, uids(4, 5, 1), '{tv,free,tv}', '{u4,u5,u1}', '{1,1,1}'), '{BUSY,CREATED,REPLAYED}');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(outcome(:node, 4, 'tv', 'u4', NULL), 'CREATED', 'free again');
-- ... of several slots: one that is free does not help, and it is left alone.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT 'locked' FROM tranche.stock_slot WHERE sku_id = 'both' AND holder = %s
                            ORDER BY slot_no LIMIT 1 FOR UPDATE$$, :node)), 'locked');
SELECT is(outcome(:node, 6, 'both', 'u6', NULL), 'BUSY');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(outcomes(:node, NULL, uids(6, 7), '{both,both}', '{u6,u7}', '{3,2}'), '{SHORT,CREATED}', 'all slots count');
SELECT is(outcome(999, 8, 'both', 'u8', NULL), 'NOT_HELD');
SELECT is(slices('both'), '0:6 ' || :node || ':2');

-- The last unit goes to one of two.
SELECT sku('last', 1);
SELECT tranche.move_units('last', ARRAY[:node], ARRAY[1], NULL, 'test');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT outcome(%s, 10, 'last', 'u1')$$, :node)), 'CREATED');
SELECT send('b', format($$SELECT outcome(%s, 11, 'last', 'u2')$$, :node));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'SHORT');

-- ... or to the second when the first rolls back.
SELECT tranche.add_stock('last', 1, 'test'), tranche.move_units('last', ARRAY[:node], ARRAY[1], NULL, 'test');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT outcome(%s, 12, 'last', 'u3')$$, :node)), 'CREATED');
SELECT send('b', format($$SELECT outcome(%s, 13, 'last', 'u4')$$, :node));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'ROLLBACK');
SELECT is(receive('b'), 'CREATED');

-- Several slots: the free one serves while the other is locked.
SELECT sku('two', 10, 1, 2);
SELECT tranche.move_units('two', ARRAY[:node], ARRAY[10], NULL, 'test');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT outcome(%s, 20, 'two', 'u1', false)$$, :node)), 'CREATED');
SELECT is(outcome(:node, 21, 'two', 'u2', false), 'CREATED', 'from the other slot');
SELECT dblink_exec('a', 'COMMIT');
SELECT results_eq($$ SELECT remaining FROM tranche.stock_slot WHERE sku_id = 'two' AND slot_no > 0 $$,
                  $$ VALUES (4::bigint), (4) $$);

-- One buyer at two nodes, limit 1: the second waits for the first, then the limit is reached.
SELECT holder('tv', 0) AS other \gset
SELECT tranche.move_units('tv', ARRAY[:node, :other], ARRAY[-4, 4], NULL, 'test');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT outcome(%s, 30, 'tv', 'same')$$, :node)), 'CREATED');
SELECT send('b', format($$SELECT array_to_string(outcomes(%s, true, uids(31, 32, 33, 34, 35),
                       '{tv,tv,tv,tv,tv}', '{same,x1,x2,x3,x4}', '{1,1,1,1,1}'), ' ')$$, :other));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'USER_LIMIT_REACHED CREATED CREATED CREATED CREATED',
          'the unit planned for this buyer went to another');

-- ... and gets it when the first rolls back.
SELECT tranche.add_stock('tv', 1, 'test'), tranche.move_units('tv', ARRAY[:other], ARRAY[1], NULL, 'test');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT outcome(%s, 40, 'tv', 'undecided')$$, :node)), 'CREATED');
SELECT send('b', format($$SELECT outcome(%s, 41, 'tv', 'undecided')$$, :other));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'ROLLBACK');
SELECT is(receive('b'), 'CREATED');

-- One buyer at two nodes, limit above 1: all claims are counted, whichever is first. The unique index alone would let
-- the second of the two in.
SELECT sku('pair', 10, 3);
SELECT tranche.move_units('pair', ARRAY[:node, :other], ARRAY[5, 5], NULL, 'test');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT (outcomes(%s, true, uids(50), '{pair}', '{u1}', '{3}'))[1]$$, :node)), 'CREATED');
SELECT send('b', format($$SELECT array_to_string(outcomes(%s, true, uids(51, 52), '{pair,pair}', '{u1,u1}', '{1,1}'),
                                                 ' ')$$, :other));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'USER_LIMIT_REACHED USER_LIMIT_REACHED');

-- The same id at two nodes: created once, and the other is told the truth.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT outcome(%s, 60, 'pair', 'u2')$$, :node)), 'CREATED');
SELECT send('b', format($$SELECT outcome || ' by ' || incarnation_id
                       FROM tranche.commit_reservations(%s, true, uids(60), '{pair}', '{u2}', '{1}')$$, :other));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'REPLAYED by ' || :node);

-- A reclaim waits for the commit under way; the commit after it holds nothing.
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', format($$SELECT outcome(%s, 70, 'pair', 'u3')$$, :node)), 'CREATED');
SELECT send('b', format($$SELECT string_agg(sku_id, ' ') FROM tranche.reclaim_incarnation(%s)$$, :node));
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'both free last pair tv two');
SELECT is(outcome(:node, 71, 'pair', 'u4'), 'NOT_HELD');

SELECT conserved();
SELECT * FROM finish();

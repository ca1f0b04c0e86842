-- A copy of a SKU that a restore brought back is given up for one to which more moves have brought the SKU, and for no
-- other.
\ir helpers.psql
SELECT no_plan();

CREATE FUNCTION where_is(p_sku text) RETURNS text LANGUAGE sql AS
$$ SELECT concat_ws(' ', whereabouts, other_shard, move_token, CASE WHEN leftovers THEN 'leftovers' END)
   FROM tranche.sku_whereabouts(p_sku) $$;
CREATE FUNCTION gave_up(p_sku text, p_shard text, p_moves bigint) RETURNS boolean LANGUAGE sql AS
$$ SELECT tranche.give_up_older_copy(p_sku, p_shard, p_moves, 'balancer') $$;
CREATE FUNCTION given_up() RETURNS bigint LANGUAGE sql AS
$$ SELECT count(*) FROM tranche.audit_log WHERE action = 'give_up_copy' $$;

SELECT is(tranche.add_shard('hot', 'host=a dbname=t', 'alice'), true);
SELECT sku('tv', 10, 2), sku('radio', 5), sku('cam', 5);
SELECT holder('tv', 6) AS node \gset
SELECT is(outcome(:node, 1, 'tv', 'u1'), 'CREATED');
SELECT is((SELECT moves FROM tranche.sku_whereabouts('tv')), 0::bigint);
UPDATE tranche.sku SET moves = 4 WHERE sku_id = 'tv';

-- Not for an older copy, nor for one of which the number does not say it.
SELECT is(gave_up('tv', 'hot', 3), false);
SELECT is(gave_up('tv', 'hot', 4), false);
SELECT is(gave_up('none', 'hot', 9), false);
SELECT is(where_is('tv'), 'HERE');
SELECT is(outcome(:node, 2, 'tv', 'u2'), 'CREATED');
SELECT throws_ok($$ SELECT gave_up('tv', 'home', 9) $$, 'TR002');
SELECT throws_ok($$ SELECT gave_up('tv', 'hott', 9) $$, 'TR002');
SELECT is(given_up(), 0::bigint);

SET ROLE tranche_node;
SELECT is(tranche.give_up_older_copy('tv', 'hot', 5, 'balancer'), true);
RESET ROLE;
SELECT is(where_is('tv'), 'GONE hot leftovers');
SELECT is(outcome(:node, 3, 'tv', 'u3'), 'MOVING');
SELECT is((SELECT count(*) FROM tranche.stock_slot WHERE sku_id = 'tv'), 0::bigint);
SELECT is(outcome(:node, 4, 'radio', 'u1'), 'NOT_HELD', 'other SKUs are as they were');
SELECT is(gave_up('tv', 'hot', 6), false, 'again');
SELECT results_eq($$ SELECT actor, before, after FROM tranche.audit_log WHERE action = 'give_up_copy' $$,
                  $$ VALUES ('balancer', '{"stock": 10, "whereabouts": "HERE"}'::jsonb,
                             '{"to": "hot", "whereabouts": "GONE"}'::jsonb) $$);
SELECT conserved();

-- One that is leaving: for the shard that has it, the move only has to be finished; for another one, it is old.
SELECT lives_ok(format($$ SELECT * FROM tranche.prepare_leave('radio', %L) $$, uid(900)));
SELECT lives_ok(format($$ SELECT tranche.begin_leave('radio', %L, 'hot', 'alice') $$, uid(900)));
SELECT is(gave_up('radio', 'hot', 1), false);
SELECT lives_ok(format($$ SELECT tranche.finish_leave('radio', 'hot', %L, 'alice') $$, uid(900)));
SELECT is(where_is('radio'), 'GONE hot');
SELECT lives_ok(format($$ SELECT * FROM tranche.prepare_leave('cam', %L) $$, uid(901)));
SELECT lives_ok(format($$ SELECT tranche.begin_leave('cam', %L, 'cold', 'alice') $$, uid(901)));
SELECT is(gave_up('cam', 'hot', 1), true);
SELECT is(where_is('cam'), 'GONE hot');
SELECT is(tranche.cancel_leave('cam', uid(901), 'alice'), false, 'that attempt is over');
SELECT conserved();

-- What is under way ends first, and then it is looked at: here a move that had just begun.
SELECT sku('mixer', 5);
SELECT holder('mixer', 5) AS mixer \gset
SELECT open_session('s'), open_session('t');
SELECT pid('t') AS t_pid \gset
SELECT dblink_exec('s', 'BEGIN');
SELECT ask('s', format($$SELECT since FROM tranche.prepare_leave('mixer', %L)$$, uid(902)));
SELECT ask('s', format($$SELECT tranche.begin_leave('mixer', %L, 'hot', 'alice')::text$$, uid(902)));
SELECT send('t', $$SELECT tranche.give_up_older_copy('mixer', 'hot', 1, 'balancer')$$);
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT is(receive('t'), 'f');
SELECT is(split_part(where_is('mixer'), ' ', 1), 'LEAVING');
SELECT conserved();
SELECT * FROM finish();

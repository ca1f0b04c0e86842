-- A SKU's way to another shard and back, by the procedures of both sides: here one database plays both, one after the
-- other, with the pages kept in between.
\ir helpers.psql
SELECT no_plan();

CREATE FUNCTION where_is(p_sku text) RETURNS text LANGUAGE sql AS
$$ SELECT concat_ws(' ', whereabouts, other_shard, CASE WHEN leftovers THEN 'leftovers' END)
   FROM tranche.sku_whereabouts(p_sku) $$;
CREATE FUNCTION token(n integer) RETURNS uuid LANGUAGE sql AS $$ SELECT uid(900 + n) $$;
CREATE FUNCTION reserved(p_sku text) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(concat_ws('/', user_id, state, ordinal, revision), ' ' ORDER BY user_id, reservation_id)
   FROM tranche.reservation WHERE sku_id = p_sku $$;

SELECT sku('tv', 100, 2, 2), sku('radio', 50);
SELECT holder('tv', 60) AS x \gset
SELECT node() AS y \gset
SELECT is(outcome(:x, n, 'tv', 'u' || n), 'CREATED') FROM generate_series(1, 6) AS n;
SELECT is((SELECT outcome FROM tranche.confirm_reservations(uids(1), '{p1}', '{500}', '{EUR}')), 'DONE');
SELECT is((SELECT outcome FROM tranche.cancel_reservations(uids(2), '{"no, \"thanks\""}')), 'DONE');
SELECT is(tranche.retire_reservations(86400, 10, false), 0::bigint);
INSERT INTO tranche.retired_units VALUES ('tv', 77, 3, 0, 2);
INSERT INTO tranche.late_payment VALUES (uid(2), 'late', 'tv', 500, 'EUR', 'PAID_UNFULFILLED', NULL, now(), NULL);

-- Copied while it sells.
SELECT sku_row, since FROM tranche.prepare_leave('tv', token(1)) \gset
SELECT is(where_is('tv'), 'HERE');
SELECT page AS lapsed FROM tranche.export_reservations('tv', false, NULL, '', uid(0), 100) \gset
SELECT page AS live1, last_user FROM tranche.export_reservations('tv', true, NULL, '', uid(0), 3) \gset
SELECT is(:'last_user'::text, 'u4', 'a page ends with a buyer');
SELECT page AS live2 FROM tranche.export_reservations('tv', true, NULL, :'last_user', uid(0), 3) \gset
-- Meanwhile one is sold, one is cancelled and its buyer buys again.
SELECT is(outcome(:x, 7, 'tv', 'u7'), 'CREATED');
SELECT is((SELECT outcome FROM tranche.cancel_reservations(uids(3), '{x}')), 'DONE');
SELECT is(outcome(:x, 8, 'tv', 'u3'), 'CREATED');
SELECT is((SELECT count(*) FROM tranche.retired_units WHERE sku_id = 'tv'), 1::bigint);
SELECT throws_ok(format($$ SELECT tranche.begin_leave('tv', %L, 's1', 'alice') $$, token(2)), 'TR002');

-- Fenced off.
SELECT lives_ok(format($$ SELECT tranche.begin_leave('tv', %L, 's1', 'alice') $$, token(1)));
SELECT lives_ok(format($$ SELECT tranche.begin_leave('tv', %L, 's1', 'alice') $$, token(1)), 'again');
SELECT is(where_is('tv'), 'LEAVING s1');
SELECT is(outcome(:x, 9, 'tv', 'u9'), 'MOVING');
SELECT is((SELECT outcome FROM tranche.confirm_reservations(uids(4), '{p}', '{500}', '{EUR}')), 'MOVING');
SELECT is((SELECT outcome FROM tranche.cancel_reservations(uids(4), '{x}')), 'MOVING');
SELECT throws_ok($$ SELECT tranche.add_stock('tv', 1, 'bob') $$, 'TR004');
SELECT is((SELECT count(*) FROM tranche.find_reservations(uids(4))), 1::bigint, 'still to be read');
SELECT is(outcome(:x, 10, 'radio', 'u1'), 'NOT_HELD', 'other SKUs sell on');
SELECT is_empty(format($$ SELECT * FROM tranche.reclaim_incarnation(%s) $$, :y));
SELECT conserved();
SELECT page AS lapsed_delta, exported AS lapsed_count
FROM tranche.export_reservations('tv', false, :'since', '', uid(0), 100) \gset
SELECT page AS live_delta, exported AS live_count
FROM tranche.export_reservations('tv', true, :'since', '', uid(0), 100) \gset
SELECT is(concat_ws(' ', :lapsed_count, :live_count), '1 2', 'no more than what has changed');
SELECT page AS late, exported FROM tranche.export_late_payments('tv', uid(0), 100) \gset
SELECT is(:exported, 1);
SELECT page AS messages, exported FROM tranche.export_outbox('tv', uid(0), 1) \gset
SELECT is(:exported, 1, 'a page');
SELECT page AS messages FROM tranche.export_outbox('tv', uid(0), 100) \gset
SELECT is_empty(format($$ SELECT * FROM tranche.export_sku('tv', %L) $$, token(2)));
SELECT sku_row, slots, incarnations, retired, totals FROM tranche.export_sku('tv', token(1)) \gset
SELECT reserved('tv') AS reserved, slices('tv') AS slices, version('tv') AS version \gset

-- Gone.
SELECT throws_ok(format($$ SELECT tranche.begin_arrival(%L::tranche.sku, 'home', %L) $$, :'sku_row', token(3)), 'TR002');
SELECT lives_ok(format($$ SELECT tranche.finish_leave('tv', 's1', %L, 'alice') $$, token(2)), 'another attempt');
SELECT is(where_is('tv'), 'LEAVING s1', 'does nothing');
SELECT lives_ok(format($$ SELECT tranche.finish_leave('tv', 's1', %L, 'alice') $$, token(1)));
SELECT is(where_is('tv'), 'GONE s1 leftovers');
SELECT is(outcome(:x, 9, 'tv', 'u9'), 'MOVING');
SELECT is_empty($$ SELECT * FROM tranche.find_reservations(uids(1, 4)) $$);
SELECT is_empty($$ SELECT * FROM tranche.list_skus('', 10, 'tv') $$);
SELECT is(tranche.add_stock('tv', 1, 'bob'), false);
SELECT conserved();
SELECT is(tranche.purge_departed('tv', 3), 3::bigint);
SELECT is(tranche.purge_departed('tv', 100) + tranche.purge_departed('tv', 100) + tranche.purge_departed('tv', 100),
          (8 - 3 + 1 + 3)::bigint, 'reservations, then the late payment and the messages');
SELECT is(where_is('tv'), 'GONE s1');
SELECT is(tranche.purge_departed('radio', 10), 0::bigint, 'nothing of a SKU that is here');

-- Arriving.
SELECT tranche.begin_arrival(:'sku_row'::tranche.sku, 'home', token(3));
SELECT is(where_is('tv'), 'ARRIVING home');
SELECT is((SELECT moves FROM tranche.sku_whereabouts('tv')), 0::bigint, 'it has not arrived');
SELECT throws_ok(format($$ SELECT tranche.import_reservations('tv', %L, '{}') $$, token(1)), 'TR002');
SELECT tranche.import_reservations('tv', token(3), :'lapsed'), tranche.import_reservations('tv', token(3), :'live1'),
       tranche.import_reservations('tv', token(3), :'live2');
SELECT is(outcome(:x, 9, 'tv', 'u9'), 'MOVING');
SELECT is_empty($$ SELECT * FROM tranche.find_reservations(uids(1, 4)) $$, 'nobody''s to see');
SELECT is((SELECT outcome FROM tranche.cancel_reservations(uids(4), '{x}')), 'NOT_FOUND');
SELECT conserved();
PREPARE finish(uuid) AS SELECT tranche.finish_arrival(:'sku_row', $1, :'slots', :'incarnations', :'retired', :'totals', 'alice');
SELECT throws_ok(format('EXECUTE finish(%L)', token(3)), 'TR002', NULL, 'the changes are missing');
SELECT tranche.import_reservations('tv', token(3), :'lapsed_delta'), tranche.import_reservations('tv', token(3), :'live_delta');
SELECT tranche.import_late_payments('tv', token(3), :'late'), tranche.import_outbox('tv', token(3), :'messages');
SELECT throws_ok(format('EXECUTE finish(%L)', token(1)), 'TR002', NULL, 'another attempt');
SELECT lives_ok(format('EXECUTE finish(%L)', token(3)));
SELECT is(where_is('tv'), 'HERE');
SELECT is(reserved('tv'), :'reserved'::text);
SELECT is(slices('tv'), :'slices'::text, 'with the slices of before');
SELECT is(version('tv'), (:version + 1)::bigint);
SELECT is((SELECT moves FROM tranche.sku_whereabouts('tv')), 1::bigint);
SELECT is((SELECT count(*) FROM tranche.outbox WHERE sku_id = 'tv'), 3::bigint);
SELECT is(tranche.cancel_arrival('tv'), false, 'it was decided');
SELECT is(outcome(:x, 9, 'tv', 'u9'), 'CREATED');
SELECT is((SELECT outcome FROM tranche.confirm_reservations(uids(4), '{p}', '{500}', '{EUR}')), 'DONE');
SELECT conserved();
SELECT results_eq($$ SELECT actor, action FROM tranche.audit_log WHERE action LIKE '%move_sku' ORDER BY audit_id $$,
                  $$ VALUES ('alice', 'begin_move_sku'), ('alice', 'move_sku'), ('alice', 'move_sku') $$);

-- Undone: units of incarnations that ended meanwhile go to the pool.
SELECT lives_ok(format($$ SELECT * FROM tranche.prepare_leave('tv', %L) $$, token(4)));
SELECT lives_ok(format($$ SELECT tranche.begin_leave('tv', %L, 's1', 'alice') $$, token(4)));
SELECT is_empty(format($$ SELECT * FROM tranche.reclaim_incarnation(%s) $$, :x), 'nothing changes of one that leaves');
SELECT is(tranche.cancel_leave('tv', token(1), 'alice'), false, 'another attempt');
SELECT is(tranche.cancel_leave('tv', token(4), 'alice'), true);
SELECT is(tranche.cancel_leave('tv', token(4), 'alice'), false, 'that attempt is over');
SELECT is(where_is('tv'), 'HERE');
SELECT is((SELECT moves FROM tranche.sku_whereabouts('tv')), 1::bigint, 'nor has it moved');
SELECT is((SELECT count(*) FROM tranche.stock_slot WHERE sku_id = 'tv'), 1::bigint);
SELECT is(waiting('tv'), true);
SELECT conserved();

-- Also while it is only being copied, an abort is somebody's decision.
SELECT lives_ok(format($$ SELECT * FROM tranche.prepare_leave('tv', %L) $$, token(6)));
SELECT is(tranche.cancel_leave('tv', token(6), 'bob'), true);
SELECT results_eq($$ SELECT actor, before, after FROM tranche.audit_log WHERE action = 'abort_move_sku' ORDER BY audit_id $$,
                  $$ VALUES ('alice', '{"whereabouts": "LEAVING", "to": "s1", "moving": true}'::jsonb,
                             '{"whereabouts": "HERE", "moving": false}'::jsonb),
                            ('bob', '{"whereabouts": "HERE", "moving": true}', '{"whereabouts": "HERE", "moving": false}') $$);

-- The advisory lock: changes that are under way are waited for.
SELECT open_session('s'), open_session('t');
SELECT pid('t') AS t_pid \gset
SELECT dblink_exec('s', 'BEGIN');
SELECT ask('s', $$SELECT outcome FROM tranche.cancel_reservations(uids(5), '{x}')$$);
SELECT send('t', format($$SELECT since FROM tranche.prepare_leave('tv', %L)$$, token(5)));
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT isnt(receive('t'), NULL::text);
SELECT * FROM finish();

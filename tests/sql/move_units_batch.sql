\ir helpers.psql
SELECT no_plan();

-- 'outcome sku holder:remaining ...' of each SKU, in the order of the answer.
CREATE FUNCTION batch(p_skus text[], p_expected bigint[], p_delta_skus integer[], p_holders bigint[], p_deltas bigint[])
RETURNS text[] LANGUAGE sql AS
$$ SELECT array_agg(concat_ws(' ', m.outcome, m.sku_id,
                              (SELECT string_agg(h || ':' || r, ' ') FROM unnest(m.holders, m.remaining) AS x (h, r)))
                    ORDER BY m.nth)
   FROM ROWS FROM (tranche.move_units_batch(p_skus, p_expected, p_delta_skus, p_holders, p_deltas, 'alice'))
        WITH ORDINALITY AS m (outcome, sku_id, title, price_minor, currency, stock, per_user_limit, hold_seconds, opens_us,
                              closes_us, closed, slots_per_slice, unsold, quota_version, holds_may_lapse, presplit,
                              quota_frozen, holders, allotted, remaining, versions, max_extensions, max_hold_seconds,
                              nth) $$;

SELECT sku('b', 100, 1, 3), sku('a', 10), sku('c', 5);
SELECT node() AS x, node() AS y \gset
SELECT is(batch('{b,none,a,c}', '{1,NULL,NULL,7}', '{1,3,1,4,2}', ARRAY[:x, :y, :y, :x, :x], ARRAY[60, 4, 30, 1, 1]),
          ARRAY[format('MOVED a 0:6 %s:4', :y), format('MOVED b 0:10 %s:60 %s:30', :x, :y), 'VERSION c 0:5',
                'NOT_FOUND none'],
          'each by itself, and read after the move');
SELECT is(slices('c'), '0:5', 'a refused one is as it was');
SELECT is(version('c'), 1::bigint);
SELECT results_eq($$ SELECT actor, sku_id COLLATE "default", before, after FROM tranche.audit_log
                     WHERE action = 'move_units' ORDER BY audit_id $$,
                  format($$ VALUES ('alice', 'a', '{"0": 10}'::jsonb, '{"0": 6, "%2$s": 4}'::jsonb),
                                   ('alice', 'b', '{"0": 100}', '{"0": 10, "%1$s": 60, "%2$s": 30}') $$, :x, :y));
SELECT results_eq($$ SELECT sku_id, title, stock, unsold, quota_version, presplit, quota_frozen, closed, versions
                     FROM tranche.move_units_batch('{a}', '{2}', '{}', '{}', '{}', 'test') $$,
                  $$ VALUES ('a', 'A thing', 10::bigint, 10::bigint, 3::bigint, true, false, false, '{3,2}'::bigint[]) $$,
                  'no deltas: only the version');
-- Deposits of one SKU are served in the order given.
SELECT is(batch('{c}', '{NULL}', '{1,1}', ARRAY[:y, :x], ARRAY[4, 4]), ARRAY[format('MOVED c 0:0 %s:1 %s:4', :x, :y)]);
SELECT is(waiting('c'), false);
SELECT is_empty($$ SELECT * FROM tranche.move_units_batch('{}', '{}', '{}', '{}', '{}', 'test') $$);

-- All or nothing, where a value is refused.
SELECT throws_ok(format($$ SELECT * FROM tranche.move_units_batch('{a,c}', '{NULL,NULL}', '{1,2,2}',
                           ARRAY[%1$s, %1$s, %1$s], ARRAY[1, 1, 1], 'test') $$, :x), '22023');
SELECT throws_ok($$ SELECT * FROM tranche.move_units_batch('{a,a}', '{NULL,NULL}', '{}', '{}', '{}', 'test') $$, '22023');
SELECT throws_ok($$ SELECT * FROM tranche.move_units_batch((SELECT array_agg('s' || i) FROM generate_series(1, 65) AS i),
                    array_fill(NULL::bigint, ARRAY[65]), '{}', '{}', '{}', 'test') $$, '22023');
SELECT is(version('a'), 3::bigint);
SELECT conserved();

-- SKUs are locked ascending, whatever the order of the call: waiting for b, it holds a and not yet c.
SELECT open_session('s'), open_session('t'), open_session('u');
SELECT pid('t') AS t_pid, pid('u') AS u_pid \gset
SELECT dblink_exec('s', 'BEGIN');
SELECT is(ask('s', $$SELECT tranche.set_quota_frozen('b', true, 's')::text$$), 'true');
SELECT send('t', format($$SELECT array_to_string(batch('{c,b,a}', '{NULL,NULL,NULL}', '{1,2,3}', ARRAY[%1$s, %1$s, %1$s],
                                                       ARRAY[-1, -1, 1]), ',')$$, :x));
SELECT is(blocks(:'t_pid'), true);
SELECT is(is_free('sku', $$sku_id = 'a'$$), false, 'a comes first');
SELECT is(is_free('sku', $$sku_id = 'c'$$), true, 'c comes last');
-- The receivers are locked before any SKU: a reclaim waits, and finds what was moved.
SELECT is(is_free('incarnation', 'incarnation_id = ' || :x), false);
SELECT send('u', format($$SELECT string_agg(sku_id, ' ') FROM tranche.reclaim_incarnation(%s)$$, :x));
SELECT is(blocks(:'u_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT is(receive('t'), format('MOVED a 0:5 %1$s:1 %2$s:4,MOVED b 0:11 %1$s:59 %2$s:30,MOVED c 0:1 %1$s:0 %2$s:4', :x, :y));
SELECT is(receive('u'), 'a b c');
SELECT is(slices('a') || ' ' || slices('b') || ' ' || slices('c'), format('0:6 %1$s:4 0:70 %1$s:30 0:1 %1$s:4', :y));

-- And while a reclaim is under way, a batch that names its incarnation for its last SKU waits with no SKU locked.
SELECT node() AS z \gset
SELECT dblink_exec('s', 'BEGIN');
SELECT ask('s', format($$SELECT count(*)::text FROM tranche.reclaim_incarnation(%s)$$, :z));
SELECT send('t', format($$SELECT array_to_string(batch('{a,b}', '{NULL,NULL}', '{1,2}', ARRAY[%s, %s], ARRAY[1, 1]),
                                                 ',')$$, :y, :z));
SELECT is(blocks(:'t_pid'), true);
SELECT is(is_free('sku', $$sku_id = 'a'$$), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT is(receive('t'), format('MOVED a 0:5 %1$s:5,MOVED b 0:70 %1$s:30', :y), 'the ended one gets nothing');

SELECT conserved();
SELECT * FROM finish();

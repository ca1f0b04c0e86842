\ir helpers.psql
SELECT no_plan();

-- A created row is what the answer says.
SELECT sku('tv', 10, 3);
SELECT holder('tv', 10) AS node \gset
SELECT results_eq(format($$ SELECT idx, outcome, state, amount_minor, currency, incarnation_id, expires_us - created_us
                            FROM tranche.commit_reservations(%s, true, uids(1), '{tv}', '{u1}', '{2}') $$, :node),
                  format($$ VALUES (1, 'CREATED', 'PENDING', 1000::bigint, 'EUR', %s::bigint, 60000000::bigint) $$, :node));
SELECT results_eq($$ SELECT sku_id COLLATE "default", user_id COLLATE "default", quantity, ordinal, state, amount_minor, currency, incarnation_id,
                            expires_at - created_at FROM tranche.reservation $$,
                  format($$ VALUES ('tv', 'u1', 2, 1, 'PENDING', 1000::bigint, 'EUR', %s::bigint, interval '60 s') $$,
                         :node));
SELECT results_eq(format($$ SELECT outcome, created_us, expires_us
                            FROM tranche.commit_reservations(%s, true, uids(1), '{tv}', '{u1}', '{2}') $$, :node),
                  $$ SELECT 'REPLAYED', (extract(epoch FROM created_at) * 1000000)::bigint,
                            (extract(epoch FROM expires_at) * 1000000)::bigint FROM tranche.reservation $$,
                  'a replay tells the same to the microsecond');
SELECT is((SELECT remaining FROM tranche.stock_slot WHERE holder = :node), 8::bigint);
SELECT is((SELECT allotted FROM tranche.stock_slot WHERE holder = :node), 10::bigint, 'sales leave allotted alone');

-- Ids.
SELECT is(outcomes(:node, true, uids(1, 1 + 1), '{tv,tv}', '{u2,u1}', '{2,1}'), '{CONFLICT,CREATED}');
SELECT is(outcomes(:node, true, uids(1), '{tv}', '{u1}', '{1}'), '{CONFLICT}', 'another quantity');
SELECT is(outcomes(:node, true, uids(1), '{other}', '{u1}', '{2}'), '{CONFLICT}', 'another SKU');
SELECT throws_ok(format('SELECT outcomes(%s, true, uids(3, 3), ''{tv,tv}'', ''{u3,u4}'', ''{1,1}'')', :node), '22023', NULL,
                 'a repeated id');
SELECT is(outcomes(:node, true, '{}', '{}', '{}', '{}'), NULL, 'an empty batch');

-- Limits count units of live reservations.
SELECT is(outcomes(:node, true, uids(10, 11, 12), '{tv,tv,tv}', '{u5,u5,u5}', '{2,2,1}'),
          '{CREATED,USER_LIMIT_REACHED,CREATED}', 'the smaller go first');
SELECT results_eq($$ SELECT ordinal FROM tranche.reservation WHERE user_id = 'u5' ORDER BY 1 $$, $$ VALUES (1), (2) $$);
UPDATE tranche.reservation SET state = 'CANCELLED', finished_at = now() WHERE reservation_id = uid(12);
UPDATE tranche.stock_slot SET remaining = remaining + 1, allotted = allotted + 1 WHERE slot_no = 0;
SELECT is(outcomes(:node, true, uids(13, 14), '{tv,tv}', '{u5,u5}', '{1,1}'), '{CREATED,USER_LIMIT_REACHED}',
          'a cancelled one leaves room');
SELECT results_eq($$ SELECT ordinal FROM tranche.reservation WHERE user_id = 'u5' AND state = 'PENDING' ORDER BY 1 $$,
                  $$ VALUES (1), (2) $$, '... and its ordinal');

-- What the SKU forbids.
SELECT sku('later', 5), sku('over', 5), sku('closed', 5);
UPDATE tranche.sku SET opens_at = now() + interval '1 h' WHERE sku_id = 'later';
UPDATE tranche.sku SET closes_at = now() - interval '1 h' WHERE sku_id = 'over';
SELECT tranche.move_units(s, ARRAY[:node], ARRAY[5], NULL, 'test') FROM unnest(ARRAY['later', 'over', 'closed']) AS s;
SELECT tranche.close_sku('closed', 'test');
SELECT is(outcomes(:node, w, uids(20, 21, 22, 23, 24, 25), '{later,over,closed,none,tv,tv}', '{a,a,a,a,a,a}',
                   '{1,1,1,1,4,0}'),
          '{NOT_OPEN,CLOSED,CLOSED,SKU_NOT_FOUND,QUANTITY_ABOVE_LIMIT,QUANTITY_ABOVE_LIMIT}', 'wait ' || w)
FROM unnest(ARRAY[true, false]) AS w;

-- Ownership.
SELECT holder('tv', 1) AS empty \gset
SELECT tranche.move_units('tv', ARRAY[:empty], ARRAY[-1], NULL, 'test');
SELECT is(outcome(:empty, 30, 'tv', 'u6', w), CASE WHEN w THEN 'SHORT' ELSE 'BUSY' END, 'a slice without units')
FROM unnest(ARRAY[true, false]) AS w;
SELECT is(outcome(999, 30, 'tv', 'u6', w), 'NOT_HELD', 'a stranger') FROM unnest(ARRAY[true, false]) AS w;
SELECT is(outcome(0, 30, 'tv', 'u6', w), 'NOT_HELD', 'the pool sells nothing') FROM unnest(ARRAY[true, false]) AS w;

-- Slots.
SELECT sku('multi', 10, 8, 4);
SELECT tranche.move_units('multi', ARRAY[:node], ARRAY[10], NULL, 'test');
SELECT is(outcomes(:node, false, uids(40), '{multi}', '{u1}', '{4}'), '{BUSY}', 'one slot has 3');
SELECT is(outcomes(:node, false, uids(41), '{multi}', '{u1}', '{3}'), '{CREATED}');
SELECT is(outcomes(:node, true, uids(42), '{multi}', '{u2}', '{5}'), '{CREATED}', 'over several slots');
SELECT is(outcomes(:node, true, uids(43, 44), '{multi,multi}', '{u3,u4}', '{3,2}'), '{SHORT,CREATED}',
          'what does not fit keeps nothing from what does');
SELECT is((SELECT sum(remaining) FROM tranche.stock_slot WHERE sku_id = 'multi'), 0::numeric);

-- Repeats take no units from new claims.
SELECT sku('few', 3);
SELECT tranche.move_units('few', ARRAY[:node], ARRAY[3], NULL, 'test');
SELECT is(outcome(:node, 50, 'few', 'u1'), 'CREATED');
SELECT is(outcomes(:node, true, uids(50, 51, 52, 53, 54), '{few,few,few,few,few}', '{u1,u1,u2,u3,u4}', '{1,1,1,1,1}'),
          '{REPLAYED,USER_LIMIT_REACHED,CREATED,CREATED,SHORT}');

-- A malformed row fails the batch whole.
SELECT throws_ok(format('SELECT outcomes(%s, true, uids(60, 61), ''{tv,tv}'', ARRAY[''ok'', ''''], ''{1,1}'')', :node),
                 '23514', NULL, 'a buyer without a name');
SELECT is_empty('SELECT FROM tranche.reservation WHERE reservation_id = uid(60)');

SELECT conserved();

-- Access by index, however large the table is. The plans are made while it is still small.
INSERT INTO tranche.reservation
SELECT gen_random_uuid(), 'old', 'u' || i, 1, 1, 'PENDING', 1, 'EUR', 0, now(), now() FROM generate_series(1, 50000) AS i;
ANALYZE tranche.reservation;
CREATE FUNCTION scans() RETURNS bigint LANGUAGE sql AS
$$ SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot();
   SELECT sum(seq_scan) FROM pg_stat_all_tables
   WHERE schemaname = 'tranche' AND relname IN ('reservation', 'stock_slot', 'sku') $$;
SELECT sku('large', 2000);
SELECT tranche.move_units('large', ARRAY[:node], ARRAY[2000], NULL, 'test');
SELECT pg_stat_force_next_flush();
SELECT scans() AS before \gset
SELECT is((SELECT count(*) FROM tranche.commit_reservations(:node, true,
             (SELECT array_agg(uid(i)) FROM generate_series(1001, 1500) AS i), array_fill('large'::text, ARRAY[500]),
             (SELECT array_agg('u' || i) FROM generate_series(1001, 1500) AS i), array_fill(1, ARRAY[500]))
           WHERE outcome = 'CREATED'), 500::bigint);
SELECT is(outcome(:node, 1001, 'large', 'u1001', w), 'REPLAYED') FROM unnest(ARRAY[true, false]) AS w;
SELECT pg_stat_force_next_flush();
SELECT is(scans(), :before::bigint, 'no table is scanned');

SELECT * FROM finish();

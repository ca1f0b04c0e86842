\ir helpers.psql
SELECT plan(3);

SELECT sku('b', 10, 1, 3), sku('a', 10), sku('c', 10);
SELECT holder('b', 7) AS node \gset
SELECT tranche.move_units('a', ARRAY[:node], ARRAY[2], NULL, 'test');
SELECT holder('c', 1);
SELECT is(outcome(:node, 1, 'b', 'u1'), 'CREATED');
SELECT results_eq(format('SELECT * FROM tranche.list_slices(%s)', :node),
                  $$ VALUES ('a', 2::bigint, 2::bigint, 2::bigint), ('b', 7::bigint, 6::bigint, 2::bigint) $$,
                  'its slots are summed, those of others are not there');
SELECT is_empty($$ SELECT * FROM tranche.list_slices(999) $$);
SELECT * FROM finish();

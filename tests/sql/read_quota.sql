\ir helpers.psql
SELECT plan(3);

SELECT sku('tv', 100, 1, 4);
SELECT holder('tv', 30) AS a \gset
SELECT holder('tv', 7) AS b \gset
SELECT results_eq($$ SELECT * FROM tranche.read_quota('tv') $$,
                  format($$ VALUES (3::bigint, false, 0::bigint, 63::bigint, 63::bigint, 3::bigint),
                                   (3, false, %s, 30, 30, 2), (3, false, %s, 7, 7, 3) $$, :a, :b),
                  'the pool first; each slice has the version of its own last move');
SELECT is_empty($$ SELECT * FROM tranche.read_quota('none') $$);
SELECT tranche.close_sku('tv', 'test');
SELECT is((SELECT bool_and(closed) FROM tranche.read_quota('tv')), true);
SELECT * FROM finish();

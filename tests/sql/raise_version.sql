\ir helpers.psql
SELECT no_plan();

SELECT sku('tv', 10, 1, 2);
SELECT holder('tv', 4) AS a \gset
SELECT is(outcome(:a, 1, 'tv', 'u1'), 'CREATED');
SELECT is(version('tv'), 2::bigint);

-- All slots get the version, and no unit moves.
SELECT is(tranche.raise_version('tv', 1000, 'alice'), true);
SELECT is(version('tv'), 1001::bigint);
SELECT is((SELECT array_agg(DISTINCT version) FROM tranche.stock_slot), ARRAY[1001::bigint], 'every slot is stamped');
SELECT is(slices('tv'), '0:6 ' || :a || ':3');
SELECT is((SELECT sum(allotted)::bigint FROM tranche.stock_slot WHERE holder = :a), 4::bigint);

-- An announcement may be below the SKU's version and above its slice's: the stamp is new in any case.
SELECT is(tranche.raise_version('tv', 7, 'bob'), true);
SELECT is(version('tv'), 1002::bigint);
SELECT results_eq($$ SELECT actor, before, after FROM tranche.audit_log WHERE action = 'raise_version' ORDER BY audit_id $$,
                  $$ VALUES ('alice', '{"quota_version": 2}'::jsonb, '{"quota_version": 1001}'::jsonb),
                            ('bob', '{"quota_version": 1001}', '{"quota_version": 1002}') $$);

-- A move that was planned before is refused; moves and sales go on from there.
SELECT is(tranche.move_units('tv', ARRAY[:a], ARRAY[1], 1001, 'test'), false);
SELECT is(tranche.move_units('tv', ARRAY[:a], ARRAY[1], 1002, 'test'), true);
SELECT is(version('tv'), 1003::bigint);
SELECT is(outcome(:a, 2, 'tv', 'u2'), 'CREATED');

-- There is always room for later versions.
SELECT throws_ok($$ SELECT tranche.raise_version('tv', (1::bigint << 61) + 1, 'mallory') $$, '22023');
SELECT is(version('tv'), 1003::bigint);
SELECT is(tranche.raise_version('tv', 1::bigint << 61, 'alice'), true);
SELECT is(tranche.move_units('tv', ARRAY[:a], ARRAY[1], NULL, 'test'), true);
SELECT is(tranche.raise_version('tv', (1::bigint << 61) + 1000, 'alice'), true, 'by a small step');
SELECT throws_ok($$ SELECT tranche.raise_version('tv', 1::bigint << 62, 'mallory') $$, '22023');
SELECT is(tranche.raise_version('none', 5, 'alice'), false, 'no such SKU');

SELECT conserved();
SELECT * FROM finish();

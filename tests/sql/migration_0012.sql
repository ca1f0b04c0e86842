-- Which rows of SKUs are only reserved ids was a guess before; the migration takes it over.
\ir helpers.psql
SELECT no_plan();

\set migration `cat ../../storage/sql/migrations/0012_moves_of_a_sku.sql`
\set list `cat ../../storage/sql/procedures/list_whereabouts.sql`
\set whereabouts `cat ../../storage/sql/procedures/sku_whereabouts.sql`
SELECT is(tranche.add_shard('hot', 'host=a dbname=t', 'alice'), true);
SELECT sku('tv', 10), sku('radio', 5);
SELECT is(tranche.reserve_sku('cam', 'hot'), true);
UPDATE tranche.sku SET whereabouts = 'GONE', other_shard = 'hot', pool_waiting = false WHERE sku_id = 'radio';
ALTER TABLE tranche.sku DROP COLUMN moves, DROP COLUMN only_reserved;

SELECT lives_ok(:'migration');
SELECT lives_ok(:'list');
SELECT lives_ok(:'whereabouts');
SELECT results_eq($$ SELECT sku_id COLLATE "default", whereabouts, only_reserved, moves FROM tranche.list_whereabouts('', 9) $$,
                  $$ VALUES ('cam', 'GONE', true, 0::bigint), ('radio', 'GONE', false, 0), ('tv', 'HERE', false, 0) $$);
SELECT is((SELECT only_reserved FROM tranche.sku_whereabouts('cam')), true);
SELECT * FROM finish();

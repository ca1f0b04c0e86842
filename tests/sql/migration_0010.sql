-- The index is built by the migration, or was built before without stopping sales.
\ir helpers.psql
SELECT no_plan();

\set migration `cat ../../storage/sql/migrations/0010_buyers_list.sql`
CREATE FUNCTION built() RETURNS bigint LANGUAGE sql AS
$$ SELECT count(*) FROM pg_index WHERE indrelid = 'tranche.reservation'::regclass AND indisvalid
                                   AND indexrelid = to_regclass('tranche.reservation_finished_buyer') $$;
SELECT is(built(), 1::bigint);
SELECT lives_ok(:'migration', 'it is there');
DROP INDEX tranche.reservation_finished_buyer;
SELECT lives_ok(:'migration', 'it is not there');
SELECT is(built(), 1::bigint);

-- As CREATE INDEX CONCURRENTLY leaves it when it fails, and has it while it runs: no query would use it.
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'tranche.reservation_finished_buyer'::regclass;
SELECT throws_like(:'migration', '%is not complete%');
SELECT * FROM finish();

-- Indexes that are there are taken over; what servers of before call is still there.
\ir helpers.psql
SELECT no_plan();

\set migration `cat ../../storage/sql/migrations/0018_audit_of_people_by_filter.sql`
\set draining `cat ../../storage/sql/procedures/set_draining.sql`
\set retire `cat ../../storage/sql/procedures/retire_audit.sql`
DROP INDEX tranche.audit_log_people_action;
DROP FUNCTION tranche.retire_audit(bigint, integer, bigint);
CREATE FUNCTION tranche.retire_audit(bigint, integer) RETURNS bigint LANGUAGE sql AS 'SELECT 7::bigint';
PREPARE retire(bigint, integer) AS SELECT * FROM tranche.retire_audit($1, $2);
SELECT results_eq('EXECUTE retire(86400, 10)', 'VALUES (7::bigint)');

SELECT lives_ok(:'migration');
SELECT lives_ok(:'draining');
SELECT lives_ok(:'retire');
SELECT is((SELECT count(*) FROM pg_indexes WHERE schemaname = 'tranche' AND tablename = 'audit_log'), 9::bigint);
SELECT results_eq('EXECUTE retire(86400, 10)', 'VALUES (0::bigint)', 'what a worker of before has prepared goes on');
SELECT is_empty($$ SELECT * FROM tranche.set_draining(999, true, 'alice') $$);
SELECT * FROM finish();

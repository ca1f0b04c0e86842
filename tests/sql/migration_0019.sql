-- An index that is there is taken over; those that are not used any more go.
\ir helpers.psql
SELECT no_plan();

\set migration `cat ../../storage/sql/migrations/0019_audit_of_principals.sql`
DROP INDEX tranche.audit_log_people_principal;
CREATE INDEX audit_log_actor ON tranche.audit_log (split_part(actor, '@', 1), audit_id);
CREATE INDEX audit_log_people_actor ON tranche.audit_log (split_part(actor, '@', 1), audit_id) WHERE NOT automatic;

SELECT lives_ok(:'migration');
SELECT is((SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'tranche'
           AND tablename = 'audit_log' AND indexdef LIKE '%split_part%'), 'audit_log_people_principal audit_log_principal');
SELECT * FROM finish();

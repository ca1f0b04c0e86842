-- Entries of processes are told from those of people, also those that were there before; indexes that are there are taken over.
\ir helpers.psql
SELECT no_plan();

\set migration `cat ../../storage/sql/migrations/0016_audit_of_people.sql`
\set list `cat ../../storage/sql/procedures/list_audit.sql`
DROP TRIGGER audit_entry ON tranche.audit_log;
DROP FUNCTION tranche.audit_entry();
DROP INDEX tranche.audit_log_people, tranche.audit_log_action, tranche.audit_log_at;
ALTER TABLE tranche.audit_log DROP COLUMN reason, DROP COLUMN automatic;
INSERT INTO tranche.audit_log (actor, action, before, after) VALUES
  ('reclaim', 'reclaim_incarnation', '{}', '{}'), ('balancer', 'raise_version', '{}', '{}'), ('alice', 'add_stock', '{}', '{}'),
  ('tranche-worker', 'add_outbox_sink', '{}', '{}'), ('node-1', 'register_incarnation', '{}', '{}');

SELECT lives_ok(:'migration');
SELECT lives_ok(:'list');
SELECT results_eq($$ SELECT actor FROM tranche.list_audit('', 0, 100, p_automatic => false) $$, $$ VALUES ('alice') $$, 'of people');
SELECT is((SELECT count(*) FROM tranche.list_audit('', 0, 100)), 5::bigint);
SELECT is((SELECT count(*) FROM pg_indexes WHERE schemaname = 'tranche' AND tablename = 'audit_log'), 7::bigint);

-- Servers of before pass a name alone; others a name that has no lines of its own.
INSERT INTO tranche.audit_log (actor, action, before, after) VALUES
  ('bob', 'close_sku', '{}', '{}'), (E'carol\nwhy', 'close_sku', '{}', '{}'), (E'balancer\n\nautomatic', 'close_sku', '{}', '{}');
SELECT results_eq($$ SELECT actor, reason, automatic FROM tranche.list_audit('', 0, 3) $$,
                  $$ VALUES ('balancer', '', true), ('carol', 'why', false), ('bob', '', false) $$);
SELECT * FROM finish();

-- Messages that wait before the migration have no trace, and none of the procedures of before stays beside its successor: calls with
-- the parameters of before could mean either.
\ir helpers.psql
SELECT no_plan();

\set migration `cat ../../storage/sql/migrations/0017_trace_of_messages.sql`
\set claim `cat ../../storage/sql/procedures/claim_outbox.sql`
ALTER TABLE tranche.outbox DROP COLUMN trace;
INSERT INTO tranche.outbox (reservation_id, revision, sink, sku_id, kind, payload) VALUES (uid(1), 2, 'default', 'tv', 'k', '{}');
CREATE FUNCTION tranche.confirm_reservations(uuid[], text[], bigint[], text[], boolean DEFAULT true)
RETURNS SETOF tranche.change_answer LANGUAGE sql AS $$ SELECT * FROM tranche.change_answer $$;
DROP FUNCTION tranche.claim_outbox(text, integer, bigint, boolean);
CREATE FUNCTION tranche.claim_outbox(text, integer, bigint, boolean DEFAULT false)
RETURNS TABLE (reservation_id uuid, revision integer) LANGUAGE sql AS $$ SELECT o.reservation_id, o.revision FROM tranche.outbox o $$;

SELECT lives_ok(:'migration');
SELECT lives_ok(:'claim');
SELECT results_eq($$ SELECT reservation_id, trace FROM tranche.claim_outbox('default', 10, 1000) $$, $$ VALUES (uid(1), NULL) $$);
SELECT is(confirm('{}'), NULL, 'called as before');
-- A call that waited for a row while this was migrated goes on with the body that it had, and its calls of before.
SELECT lives_ok(format('EXPLAIN SELECT tranche.%s', call), call) FROM (VALUES
  ('request_refund(uid(1), ''ref'', ''tv'', 1, ''EUR'')'),
  ('rebook_reservation(NULL::tranche.reservation, NULL::tranche.sku, ''ref'')'),
  ('confirm_retired(uid(1), ''ref'', 1, ''EUR'')'),
  ('confirm_late(uid(1), ''ref'', 1, ''EUR'')'),
  ('write_outbox(''kind'', NULL::tranche.reservation[], now())')) AS before (call);
SELECT is_empty($$ SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'tranche'::regnamespace GROUP BY 1 HAVING count(*) > 1 $$);
SELECT * FROM finish();

\ir helpers.psql
SELECT no_plan();

SELECT throws_ok('SELECT tranche.retire_audit(86399, 10)', '22023', NULL, 'the last day stays');
SELECT throws_ok('SELECT tranche.retire_audit(NULL, 10)', '22023');
SELECT is(tranche.retire_audit(86400, 10), 0::bigint, 'nothing there');
INSERT INTO tranche.audit_log (at, actor, action, before, after)
SELECT now() - i * interval '1 hour', 'a' || i, 'add_stock', '{}', '{}' FROM generate_series(1, 30) AS i;
SELECT is(tranche.retire_audit(86400, 4), 4::bigint, 'no more than asked for');
SELECT is((SELECT max(substr(actor, 2)::integer) FROM tranche.audit_log), 26, 'the oldest first');
SELECT is(tranche.retire_audit(86400, 100), 3::bigint, 'all that are older than a day');
SELECT is((SELECT count(*) FROM tranche.audit_log), 23::bigint);
SELECT is(tranche.retire_audit(86400, 100), 0::bigint);

-- The earlier of the two clocks counts.
CREATE FUNCTION micros(p_at timestamptz) RETURNS bigint LANGUAGE sql AS $$ SELECT (extract(epoch FROM p_at) * 1000000)::bigint $$;
INSERT INTO tranche.audit_log (at, actor, action, before, after) VALUES (now() - interval '2 days', 'x', 'add_stock', '{}', '{}');
SELECT is(tranche.retire_audit(86400, 100, micros(now() - interval '2 days')), 0::bigint, 'the database is ahead');
SELECT is(tranche.retire_audit(86400, 100, micros(now() + interval '400 days')), 1::bigint, 'the worker is ahead');
SELECT is((SELECT count(*) FROM tranche.audit_log), 23::bigint);

-- A batch costs a batch.
INSERT INTO tranche.audit_log (at, actor, action, before, after)
SELECT now() - interval '3 days' - i * interval '1 second', 'x', 'add_stock', '{}', '{}' FROM generate_series(1, 20000) AS i;
ANALYZE tranche.audit_log;
SELECT cmp_ok(rows_read('audit_log', $$ SELECT tranche.retire_audit(86400, 10) $$), '<=', 40::bigint);
SELECT * FROM finish();

\ir helpers.psql
\ir outbox_helpers.psql
SELECT no_plan();

SELECT message(1, r) FROM generate_series(2, 4) AS r;
SELECT message(2, 2), message(2, 2, 'other');
SELECT is(claimed(), '1/2 2/2');
SELECT cmp_ok(due_in(1, 3), '>=', 59, 'put off');
SELECT is(tranche.finish_outbox(uids(1, 2, 7), '{2,2,2}', '{default,default,default}'), 2::bigint, 'unknown ones are ignored');
SELECT is(left_over(), '1/3 PENDING 0, 1/4 PENDING 0, 2/2 PENDING 0', 'deleted, of this sink');
SELECT is(due_in(1, 3), 0, 'the next one is due');
SELECT cmp_ok(due_in(1, 4), '>=', 59, 'the one behind it is not');
SELECT is(finished(1, 2), 0::bigint, 'once more');
SELECT is(tranche.finish_outbox('{}', '{}', '{}'), 0::bigint);
-- Delivered after it was given up.
SELECT failed(1, 3, NULL);
SELECT is(finished(1, 3), 1::bigint);
SELECT is(left_over(), '1/4 PENDING 0, 2/2 PENDING 0');
SELECT * FROM finish();

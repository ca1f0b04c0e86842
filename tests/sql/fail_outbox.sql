\ir helpers.psql
\ir outbox_helpers.psql
SELECT no_plan();

SELECT message(1, 2), message(1, 3), message(2, 2), message(2, 3), message(3, 2);
SELECT is(claimed(), '1/2 2/2 3/2');
SELECT is(tranche.fail_outbox(uids(1, 2, 9), '{2,2,2}', '{default,default,default}', ARRAY['refused', repeat('x', 2000), 'y'],
                              ARRAY[90000, NULL, 1]), 2::bigint, 'unknown ones are ignored');
SELECT is(left_over(), '1/2 PENDING 1, 1/3 PENDING 0, 2/2 DEAD 1, 2/3 PENDING 0, 3/2 PENDING 1');
SELECT is(due_in(1, 2), 90);
SELECT is((SELECT array_agg(length(last_error) ORDER BY reservation_id, revision) FROM tranche.outbox),
          ARRAY[7, NULL, 1000, NULL, NULL], 'why, not at any length');
SELECT is(due_in(2, 3), 0, 'what waited for the dead one is due');
SELECT cmp_ok(due_in(1, 3), '>=', 59, 'what waits for one that is tried again is not');
SELECT is(claimed(), '2/3');
SELECT is(failed(2, 2, 1), 0::bigint, 'a dead one stays dead');
SELECT is(failed(1, 2, 0), 1::bigint);
SELECT is(claimed(), '1/2', 'at once, if so wished');
SELECT is(tranche.fail_outbox('{}', '{}', '{}', '{}', '{}'), 0::bigint);
SELECT * FROM finish();

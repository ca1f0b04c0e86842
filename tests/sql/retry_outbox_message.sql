\ir helpers.psql
\ir outbox_helpers.psql
SELECT no_plan();

SELECT message(1, 2), message(2, 2), message(2, 2, 'other');
SELECT is(claimed(), '1/2 2/2');
SELECT failed(1, 2, NULL), failed(2, 2, 90000);
SELECT is(tranche.retry_outbox_message(uid(1), 2, 'default', 'alice'), 1::bigint);
SELECT is(left_over(), '1/2 PENDING 0, 2/2 PENDING 1, 2/2 PENDING 0', 'with all attempts before it');
SELECT is(due_in(1, 2), 0);
SELECT is(due_in(2, 2), 90, 'only this one');
SELECT is(tranche.retry_outbox_message(uid(2), 2, 'default', 'bob'), 1::bigint, 'one that waits for its time');
SELECT is(due_in(2, 2), 0);
SELECT is(left_over(), '1/2 PENDING 0, 2/2 PENDING 1, 2/2 PENDING 0');
SELECT is(tranche.retry_outbox_message(uid(9), 2, 'default', 'bob'), 0::bigint);
SELECT is(tranche.retry_outbox_message(uid(1), 3, 'default', 'bob'), 0::bigint);
SELECT is(tranche.retry_outbox_message(uid(1), 2, 'none', 'bob'), 0::bigint);
SELECT results_eq($$ SELECT actor, sku_id COLLATE "default", before - 'created_at' - 'next_attempt_at', after - 'next_attempt_at'
                     FROM tranche.audit_log WHERE action = 'retry_outbox_message' ORDER BY audit_id $$,
                  $$ VALUES ('alice', 'tv', jsonb_build_object('reservation_id', uid(1), 'revision', 2, 'sink', 'default',
                                                               'state', 'DEAD', 'attempts', 1),
                             jsonb_build_object('reservation_id', uid(1), 'revision', 2, 'sink', 'default',
                                                'state', 'PENDING', 'attempts', 0)),
                            ('bob', 'tv', jsonb_build_object('reservation_id', uid(2), 'revision', 2, 'sink', 'default',
                                                             'state', 'PENDING', 'attempts', 1),
                             jsonb_build_object('reservation_id', uid(2), 'revision', 2, 'sink', 'default',
                                                'state', 'PENDING', 'attempts', 1)) $$,
                  'both sides name the message, and have nothing else that differs');
SELECT is((SELECT count(*) FROM tranche.audit_log
           WHERE action = 'retry_outbox_message' AND before ? 'next_attempt_at' AND after ? 'next_attempt_at'), 2::bigint);
SELECT * FROM finish();

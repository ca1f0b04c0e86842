\ir helpers.psql
\ir outbox_helpers.psql
SELECT no_plan();

SELECT message(1, 2), message(1, 3), message(1, 2, 'other'), message(2, 2);
SELECT is(claimed(), '1/2 2/2');
SELECT failed(1, 2, 90000), failed(2, 2, NULL);
SELECT is(tranche.discard_outbox_message(uid(1), 2, 'default', 'alice'), 1::bigint);
SELECT is(left_over(), '1/2 PENDING 0, 1/3 PENDING 0, 2/2 DEAD 1', 'this sink''s only');
SELECT is(claimed(), '1/3', 'what waited for it is due');
SELECT is(tranche.discard_outbox_message(uid(2), 2, 'default', 'bob'), 1::bigint, 'a dead one');
SELECT is(tranche.discard_outbox_message(uid(2), 2, 'default', 'bob'), 0::bigint);
SELECT is(tranche.discard_outbox_message(uid(1), 4, 'default', 'bob'), 0::bigint);
SELECT is(left_over(), '1/2 PENDING 0, 1/3 PENDING 1');
SELECT results_eq($$ SELECT actor, sku_id COLLATE "default", before - 'created_at' - 'next_attempt_at', after
                     FROM tranche.audit_log WHERE action = 'discard_outbox_message' ORDER BY audit_id $$,
                  $$ VALUES ('alice', 'tv', jsonb_build_object('reservation_id', uid(1), 'revision', 2, 'sink', 'default',
                               'kind', 'reservation.confirmed', 'state', 'PENDING', 'attempts', 1, 'last_error', 'refused', 'trace', NULL,
                               'payload', '{"n": 1}'::jsonb), '{}'::jsonb),
                            ('bob', 'tv', jsonb_build_object('reservation_id', uid(2), 'revision', 2, 'sink', 'default',
                               'kind', 'reservation.confirmed', 'state', 'DEAD', 'attempts', 1, 'last_error', 'refused', 'trace', NULL,
                               'payload', '{"n": 2}'::jsonb), '{}') $$);
SELECT * FROM finish();

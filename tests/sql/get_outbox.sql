\ir helpers.psql
\ir outbox_helpers.psql
SELECT no_plan();

SELECT message(1, 2), message(1, 2, 'other');
SELECT failed(1, 2, 90000);
SELECT results_eq($$ SELECT reservation_id, revision, sink, sku_id, kind, payload, state, attempts, last_error,
                            round(created_us / 1000000.0 - extract(epoch FROM now())),
                            round(next_us / 1000000.0 - extract(epoch FROM now()))
                     FROM tranche.get_outbox(uid(1), 2, 'default') $$,
                  $$ VALUES (uid(1), 2, 'default', 'tv', 'reservation.confirmed', '{"n": 1}', 'PENDING', 0, 'refused',
                             -3600::numeric, 90::numeric) $$);
SELECT is((SELECT last_error FROM tranche.get_outbox(uid(1), 2, 'other')), NULL);
SELECT is_empty($$ SELECT * FROM tranche.get_outbox(uid(1), 3, 'default') $$);
SELECT is_empty($$ SELECT * FROM tranche.get_outbox(uid(2), 2, 'default') $$);
SELECT * FROM finish();

\ir helpers.psql
\ir outbox_helpers.psql
SELECT no_plan();

-- All columns of a message that is handed out.
SELECT message(1, 2);
SELECT results_eq($$ SELECT reservation_id, revision, sink, sku_id, kind, payload, state, attempts, last_error,
                            round((next_us / 1000000.0 - extract(epoch FROM now())))
                     FROM tranche.claim_outbox('default', 10, 30000) $$,
                  $$ VALUES (uid(1), 2, 'default', 'tv', 'reservation.confirmed', '{"n": 1}', 'PENDING', 1, NULL::text,
                             30::numeric) $$);
SELECT is(claimed(), NULL, 'leased');
SELECT elapse(1, 2);
SELECT is(claimed(), '1/2', 'its relay is taken for dead');
SELECT is(left_over(), '1/2 PENDING 2', 'attempts that were begun');
SELECT is(claimed(p_sink => 'none'), NULL, 'of no sink');
DELETE FROM tranche.outbox;

-- In order per reservation.
SELECT message(1, 2), message(1, 3), message(1, 4), message(2, 2);
SELECT is(claimed(), '1/2 2/2', 'only the first of a reservation');
SELECT is(claimed(), NULL, 'the next one waits, leased or not');
SELECT finished(1, 2);
SELECT is(claimed(), '1/3', 'until the first is delivered');
SELECT failed(1, 3, 3600000);
SELECT is(claimed(), NULL, 'one that failed is still the first');
SELECT elapse(1, 3);
SELECT is(claimed(), '1/3');
SELECT failed(1, 3, NULL);
SELECT is(claimed(), '1/4', 'a dead one is out of the way');
DELETE FROM tranche.outbox;

-- ... even if the first is due last.
SELECT message(1, 2, p_since => '1 minute'), message(1, 3, p_since => '2 minutes');
SELECT is(claimed(1), '1/2');
DELETE FROM tranche.outbox;
SELECT message(1, 2, p_since => '-1 hour'), message(1, 3);
SELECT is(claimed(), NULL, 'the first is not due, so neither is the next');
SELECT cmp_ok(due_in(1, 3), '>', 3500, '... and is put off as long');
DELETE FROM tranche.outbox;

-- ... per sink.
SELECT tranche.add_outbox_sink('other', 'somebody');
SELECT message(1, 2), message(1, 2, 'other'), message(1, 3), message(1, 3, 'other');
SELECT is(claimed(), '1/2');
SELECT is(claimed(p_sink => 'other'), '1/2');
SELECT finished(1, 2);
SELECT is(claimed(p_sink => 'other'), NULL, 'what one sink got is no matter of the other''s');
SELECT is(claimed(), '1/3');
DELETE FROM tranche.outbox;

-- The longest due first, and no more than asked for.
SELECT message(i, 2, p_since => make_interval(secs => i)) FROM generate_series(1, 9) AS i;
SELECT is(claimed(3), '7/2 8/2 9/2');
SELECT is(claimed(2), '5/2 6/2');
SELECT is(claimed(0), NULL);
SELECT is(claimed(), '1/2 2/2 3/2 4/2');
DELETE FROM tranche.outbox;

-- Only those that were never handed out, the newest first.
SELECT message(i, 2, p_since => make_interval(secs => i)) FROM generate_series(1, 9) AS i;
SELECT is(claimed(3), '7/2 8/2 9/2');
SELECT failed(i, 2, 0) FROM generate_series(7, 9) AS i;
SELECT message(10, 2, p_since => '1 hour'), message(10, 3);
SELECT is(claimed_fresh(2), '1/2 2/2', 'and none that waits for another one of its reservation');
SELECT is(claimed_fresh(100), '3/2 4/2 5/2 6/2 10/2');
SELECT is(claimed_fresh(100), NULL);
SELECT is(claimed(), '7/2 8/2 9/2', 'those that failed are due as before');
DELETE FROM tranche.outbox;

-- Skips many that only wait for others: these are read once.
SELECT message(i, 2, p_since => '-1 hour'), message(i, 3, p_since => '1 hour') FROM generate_series(1, 400) AS i;
SELECT message(1000, 2);
SELECT is(claimed(50), '1000/2', 'found behind 400 that wait');
SELECT is((SELECT count(*) FROM tranche.outbox WHERE next_attempt_at <= now()), 0::bigint, 'which are out of the way now');

-- A claim costs what it returns, however many wait: it reads no more of the index.
INSERT INTO tranche.outbox (reservation_id, revision, sink, sku_id, kind, payload, next_attempt_at)
SELECT gen_random_uuid(), 2, 'default', 'tv', 'reservation.confirmed', '{}', now() + interval '1 hour'
FROM generate_series(1, 30000);
SELECT message(i, 2) FROM generate_series(2001, 2100) AS i;
ANALYZE tranche.outbox;
SELECT claimed(10);  -- the last to meet the index entries of what was put off
SELECT cmp_ok(rows_read('outbox', 'SELECT claimed(10)'), '<=', 60::bigint);
SELECT cmp_ok(rows_read('outbox', 'SELECT claimed(10)'), '<=', 60::bigint);
SELECT cmp_ok(rows_read('outbox', 'SELECT claimed_fresh(10)'), '<=', 60::bigint);
SELECT * FROM finish();

\ir helpers.psql
\ir outbox_helpers.psql
SELECT no_plan();

SELECT tranche.add_outbox_sink('other', 'somebody');
SELECT message(1, 2), message(1, 3), message(2, 2), message(2, 2, 'other');
UPDATE tranche.outbox SET created_at = now() - interval '2 hours' WHERE reservation_id = uid(2);
SELECT failed(2, 2, NULL), failed(2, 2, NULL, 'other');
SELECT results_eq($$ SELECT sink, pending, dead, round(oldest_us / 1000000.0) FROM tranche.outbox_depths() $$,
                  $$ VALUES ('default', 2::bigint, 1::bigint, 3600::numeric), ('other', 0, 1, 0) $$,
                  'the age is that of one that still waits');
DELETE FROM tranche.outbox;
SELECT results_eq($$ SELECT * FROM tranche.outbox_depths() $$,
                  $$ VALUES ('default', 0::bigint, 0::bigint, 0::bigint), ('other', 0, 0, 0) $$);
SELECT * FROM finish();

\ir helpers.psql
\ir outbox_helpers.psql
SELECT no_plan();

SELECT message(1, r, p_since => '-1 hour') FROM generate_series(2, 4) AS r;
SELECT message(2, 2, p_since => '-1 hour'), message(3, 2, p_since => '-1 hour'), message(3, 3, p_since => '-1 hour');
SELECT message(1, 2, 'other', '-1 hour');
UPDATE tranche.outbox SET attempts = 1 WHERE reservation_id = uid(3) AND revision = 2;
SELECT lives_ok($$ SELECT tranche.wake_outbox(uids(1, 1, 3, 9), '{default,default,default,default}') $$);
SELECT is(due_in(1, 2), 0, 'the next one of the reservation');
SELECT is(due_in(1, 3), 3600, 'not those behind it');
SELECT is(due_in(1, 2, 'other'), 3600, 'nor another sink''s');
SELECT is(due_in(2, 2), 3600, 'nor another reservation''s');
SELECT is(due_in(3, 2), 3600, 'one that was tried keeps its time');
SELECT is(due_in(3, 3), 3600, '... and still holds up the one behind it');

UPDATE tranche.outbox SET state = 'DEAD' WHERE reservation_id = uid(3) AND revision = 2;
SELECT tranche.wake_outbox(uids(3), '{default}');
SELECT is(due_in(3, 3), 0, 'past a dead one');
SELECT lives_ok($$ SELECT tranche.wake_outbox('{}', '{}') $$);
SELECT * FROM finish();

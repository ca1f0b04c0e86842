-- Relays side by side.
\ir helpers.psql
\ir outbox_helpers.psql
SELECT no_plan();
SELECT open_session('a'), open_session('b');
SELECT pid('a') AS a_pid, pid('b') AS b_pid \gset

-- Two relays at once get different messages without waiting; a message whose predecessor the other has is not handed out.
SELECT message(i, r, p_since => make_interval(secs => 100 - i)) FROM generate_series(1, 4) AS i, generate_series(2, 3) AS r;
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT claimed(2)'), '1/2 2/2');
SELECT is(ask('b', 'SELECT claimed(100)'), '3/2 4/2', 'disjoint');
SELECT is(ask('b', 'SELECT claimed(100)'), NULL);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(claimed(100), NULL, 'nor afterwards');
-- Whichever call had put it off, each message is due when it is its turn.
SELECT finished(1, 2), finished(2, 2), finished(3, 2), finished(4, 2);
SELECT is(claimed(100), '1/3 2/3 3/3 4/3');
DELETE FROM tranche.outbox;

-- A claim that is rolled back, as when its relay's connection breaks, leaves them to the others.
SELECT message(1, 2);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT claimed()'), '1/2');
SELECT dblink_exec('a', 'ROLLBACK');
SELECT is(claimed(), '1/2');
DELETE FROM tranche.outbox;

-- A relay dies in mid-delivery: nothing of the reservation is handed out until its lease has ended, then the same message.
SELECT message(1, 2), message(1, 3);
SELECT is(ask('a', 'SELECT claimed()'), '1/2');
SELECT is(ask('b', 'SELECT claimed()'), NULL);
SELECT elapse(1, 2), elapse(1, 3);
SELECT is(ask('b', 'SELECT claimed()'), '1/2', 'again, and not the one behind it');
-- The relay was only slow: its delivery counts, and the next message may go.
SELECT is(ask('a', 'SELECT finished(1, 2)::text'), '1');
SELECT is(ask('a', 'SELECT claimed()'), '1/3');
SELECT is(ask('b', 'SELECT finished(1, 2)::text'), '0', 'the other says the same later');
SELECT is(ask('b', 'SELECT failed(1, 2, 1000)::text'), '0', '... or that it failed: that is past');
SELECT is(left_over(), '1/3 PENDING 1');
DELETE FROM tranche.outbox;

-- One relay gave the message up, and the other delivered it.
SELECT message(1, 2), message(1, 3);
SELECT is(ask('a', 'SELECT claimed()'), '1/2');
SELECT elapse(1, 2);
SELECT is(ask('b', 'SELECT claimed()'), '1/2');
SELECT is(ask('a', 'SELECT failed(1, 2, NULL)::text'), '1');
SELECT is(ask('b', 'SELECT finished(1, 2)::text'), '1');
SELECT is(left_over(), '1/3 PENDING 0');
DELETE FROM tranche.outbox;

-- A claim meets a message whose predecessor is being finished: it neither hands it out nor puts it off unseen.
SELECT message(1, 2), message(1, 3);
SELECT is(claimed(), '1/2');
SELECT elapse(1, 3);
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT finished(1, 2)::text'), '1');
SELECT is(ask('b', 'SELECT claimed()'), NULL);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(ask('b', 'SELECT claimed()'), '1/3');
DELETE FROM tranche.outbox;

-- ... and one that was written after the finisher had looked for it.
SELECT message(1, 2);
SELECT is(claimed(), '1/2');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT finished(1, 2)::text'), '1');
SELECT message(1, 3);
SELECT is(ask('b', 'SELECT claimed()'), NULL);
SELECT is(due_in(1, 3), 0, 'not put off, for nobody would wake it');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(ask('b', 'SELECT claimed()'), '1/3');
DELETE FROM tranche.outbox;
SELECT message(1, 2);
SELECT is(claimed(), '1/2');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT failed(1, 2, NULL)::text'), '1', 'the same with one that is given up');
SELECT message(1, 3);
SELECT is(ask('b', 'SELECT claimed()'), NULL);
SELECT is(due_in(1, 3), 0);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(ask('b', 'SELECT claimed()'), '1/3');
DELETE FROM tranche.outbox;

-- A claim puts a message off; the finisher of the one before waits for it, and then wakes it.
SELECT message(1, 2), message(1, 3);
SELECT is(claimed(1), '1/2');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', 'SELECT claimed()'), NULL);
SELECT send('b', 'SELECT finished(1, 2)::text');
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), '1');
SELECT is(claimed(), '1/3');
DELETE FROM tranche.outbox;

-- Many relays, each delivering what it gets, some of them badly: every reservation's messages go in order.
CREATE TABLE delivery (nth bigint GENERATED ALWAYS AS IDENTITY, reservation_id uuid, revision integer);
CREATE PROCEDURE relay(p_seed double precision) LANGUAGE plpgsql AS $$
DECLARE
  v_ids       uuid[];
  v_revisions integer[];
BEGIN
  PERFORM setseed(p_seed);
  WHILE EXISTS (SELECT FROM tranche.outbox) LOOP
    SELECT array_agg(reservation_id), array_agg(revision) INTO v_ids, v_revisions
    FROM tranche.claim_outbox('default', 7, 60000);
    COMMIT;
    FOR i IN 1..coalesce(cardinality(v_ids), 0) LOOP
      IF random() < 0.2 THEN
        PERFORM tranche.fail_outbox(ARRAY[v_ids[i]], ARRAY[v_revisions[i]], '{default}', '{no}', '{0}');
      ELSE
        INSERT INTO delivery (reservation_id, revision) VALUES (v_ids[i], v_revisions[i]);
        PERFORM tranche.finish_outbox(ARRAY[v_ids[i]], ARRAY[v_revisions[i]], '{default}');
      END IF;
      COMMIT;
    END LOOP;
  END LOOP;
END $$;
SELECT message(i, r) FROM generate_series(1, 100) AS i, generate_series(2, 5) AS r;
SELECT open_session('c');
SELECT dblink_send_query(s, format('CALL relay(%s)', seed))
FROM (VALUES ('a', 0.1), ('b', 0.2), ('c', 0.3)) AS x (s, seed);
SELECT is((SELECT count(*) FROM dblink_get_result(s) AS t (r text)), 1::bigint, 'relay ' || s || ' came to an end')
FROM unnest('{a,b,c}'::text[]) AS s;
SELECT is((SELECT count(*) FROM delivery), 400::bigint, 'each once');
SELECT is_empty($$ SELECT * FROM (SELECT reservation_id, revision, row_number() OVER (PARTITION BY reservation_id ORDER BY nth)
                                  FROM delivery) AS d WHERE revision <> row_number + 1 $$, 'in order');
SELECT * FROM finish();

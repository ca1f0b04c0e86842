\ir helpers.psql
\ir outbox_helpers.psql
SELECT no_plan();

SELECT tranche.add_outbox_sink('other', 'somebody');
SELECT message(i, r, s) FROM generate_series(1, 2) AS i, generate_series(2, 3) AS r, unnest('{default,other}'::text[]) AS s;
SELECT failed(1, 2, NULL, 'other');
SELECT is(tranche.remove_outbox_sink('none', 'somebody'), false);
SELECT is(tranche.remove_outbox_sink('other', 'somebody'), true);
SELECT results_eq($$ SELECT name FROM tranche.list_outbox_sinks() $$, $$ VALUES ('default') $$);
SELECT is((SELECT array_agg(sink || ' ' || n) FROM (SELECT sink, count(*) AS n FROM tranche.outbox GROUP BY sink) AS x),
          '{default 4}', 'what waited for it is gone, dead or not, and nothing else');
SELECT is(tranche.remove_outbox_sink('other', 'somebody'), false, 'once more');
SELECT results_eq($$ SELECT actor, before FROM tranche.audit_log WHERE action = 'remove_outbox_sink' $$,
                  $$ VALUES ('somebody', '{"sink": "other", "messages": 4}'::jsonb) $$, 'audited, when there was one');
DELETE FROM tranche.outbox;

-- A change that had seen the sink writes its message meanwhile: no message is left without a sink.
SELECT tranche.add_outbox_sink('other', 'somebody');
SELECT open_session('a'), open_session('b');
SELECT ask('b', 'SELECT pg_backend_pid()::text') AS b_pid \gset
SELECT dblink_exec('a', 'BEGIN');
SELECT dblink_exec('a', $$ INSERT INTO tranche.outbox (reservation_id, revision, sink, sku_id, kind, payload)
                           SELECT uid(1), 2, name, 'tv', 'k', '{}' FROM tranche.outbox_sink $$);
SELECT send('b', $$SELECT tranche.remove_outbox_sink('other', 'somebody')::text$$);
SELECT is(blocks(:'b_pid'), true);
-- One that comes now waits, and then sees that the sink is gone.
SELECT open_session('c');
SELECT ask('c', 'SELECT pg_backend_pid()::text') AS c_pid \gset
CREATE FUNCTION write_one() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO tranche.outbox (reservation_id, revision, sink, sku_id, kind, payload)
  SELECT uid(2), 2, name, 'tv', 'k', '{}' FROM tranche.outbox_sink;
  RETURN 'written';
END $$;
SELECT send('c', 'SELECT write_one()');
SELECT is(blocks(:'c_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'true');
SELECT is(receive('c'), 'written');
SELECT is(left_over(), '1/2 PENDING 0, 2/2 PENDING 0');
SELECT is((SELECT count(*) FROM tranche.outbox WHERE sink = 'other'), 0::bigint);

-- It does not hold up the changes for long.
SELECT tranche.add_outbox_sink('other', 'somebody');
SELECT message(3, 2, 'other');
SELECT dblink_exec('a', 'BEGIN');
SELECT dblink_exec('a', $$ INSERT INTO tranche.outbox (reservation_id, revision, sink, sku_id, kind, payload)
                           VALUES (uid(4), 2, 'other', 'tv', 'k', '{}') $$);
SELECT throws_ok($$ SELECT tranche.remove_outbox_sink('other', 'somebody') $$, '55P03', NULL, 'given up');
SELECT dblink_exec('a', 'ROLLBACK');
SELECT is((SELECT count(*) FROM tranche.outbox WHERE sink = 'other'), 1::bigint, 'and nothing has changed');
SELECT is((SELECT count(*) FROM tranche.list_outbox_sinks()), 2::bigint);
SELECT * FROM finish();

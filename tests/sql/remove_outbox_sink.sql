\ir helpers.psql
\ir outbox_helpers.psql
SELECT no_plan();

SELECT tranche.add_outbox_sink('other', 'somebody');
SELECT message(i, r, s) FROM generate_series(1, 2) AS i, generate_series(2, 3) AS r, unnest('{default,other}'::text[]) AS s;
SELECT failed(1, 2, NULL, 'other');
SELECT is(tranche.remove_outbox_sink('none', 'somebody'), false);
SELECT is(tranche.remove_outbox_sink('other', 'somebody'), true);
SELECT results_eq($$ SELECT name FROM tranche.list_outbox_sinks() $$, $$ VALUES ('default') $$, 'at first');
SELECT is((SELECT count(*) FROM tranche.outbox WHERE sink = 'other'), 4::bigint, 'its messages go later');
SELECT results_eq($$ SELECT sink, pending, dead FROM tranche.outbox_depths() $$,
                  $$ VALUES ('default', 4::bigint, 0::bigint), ('other', 3, 1) $$, 'and are not forgotten');
-- Removes the rest: what each call says.
CREATE FUNCTION removed(p_name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_calls text := '';
  v_more  boolean;
BEGIN
  FOR i IN 1..100 LOOP
    v_more := tranche.remove_outbox_sink(p_name, 'somebody');
    v_calls := v_calls || left(v_more::text, 1);
    EXIT WHEN NOT v_more;
  END LOOP;
  RETURN v_calls;
END $$;
SELECT is(removed('other'), 'ttf');
SELECT is((SELECT array_agg(sink || ' ' || n) FROM (SELECT sink, count(*) AS n FROM tranche.outbox GROUP BY sink) AS x),
          '{default 4}', 'what waited for it is gone, dead or not, and nothing else');
SELECT is(tranche.remove_outbox_sink('other', 'somebody'), false, 'once more');
SELECT results_eq($$ SELECT actor, before FROM tranche.audit_log WHERE action = 'remove_outbox_sink' ORDER BY audit_id $$,
                  $$ VALUES ('somebody', '{"sink": "other"}'::jsonb), ('somebody', '{"sink": "other", "messages": 3}'),
                            ('somebody', '{"sink": "other", "messages": 1}') $$, 'audited, where something was done');

-- Somebody must get the refund requests.
SELECT throws_ok($$ SELECT tranche.remove_outbox_sink('default', 'somebody') $$, '22023',
                 'default is the only sink: add another first');
DELETE FROM tranche.outbox;

-- However much waits, a call takes a bounded part of it.
INSERT INTO tranche.outbox (reservation_id, revision, sink, sku_id, kind, payload)
SELECT uid(i), 2, 'left', 'tv', 'k', '{}' FROM generate_series(1, 20001) AS i;
SELECT is(removed('left'), 'ttf', 'also of a sink that is gone already');

-- A relay has some of them: the others go first, then it is waited for. Nobody waits for the removal.
SELECT tranche.add_outbox_sink('other', 'somebody');
SELECT message(1, 2, 'other'), message(2, 2, 'other');
SELECT open_session('a'), open_session('b');
SELECT pid('b') AS b_pid \gset
SELECT dblink_exec('a', 'BEGIN');
SELECT ask('a', $$ SELECT claimed(1, 'other') $$);
SET lock_timeout = '5s';
SELECT is(tranche.remove_outbox_sink('other', 'somebody'), true);
SELECT is(tranche.remove_outbox_sink('other', 'somebody'), true);
SELECT is((SELECT count(*) FROM tranche.outbox), 1::bigint);
SELECT send('b', $$SELECT tranche.remove_outbox_sink('other', 'somebody')::text$$);
SELECT is(blocks(:'b_pid'), true);
SELECT message(3, 2, 'default');
SELECT dblink_exec('a', 'COMMIT');
SELECT is(receive('b'), 'true');
SELECT is(left_over(), '3/2 PENDING 0');

-- Two that are removed at once: one stays.
SELECT tranche.add_outbox_sink('other', 'somebody');
SELECT dblink_exec('a', 'BEGIN');
SELECT is(ask('a', $$SELECT tranche.remove_outbox_sink('other', 'somebody')::text$$), 'true');
SELECT send('b', $$SELECT tranche.remove_outbox_sink('default', 'somebody')::text$$);
SELECT is(blocks(:'b_pid'), true);
SELECT dblink_exec('a', 'COMMIT');
SELECT throws_ok($$SELECT receive('b')$$, '22023');
SELECT results_eq($$ SELECT name FROM tranche.list_outbox_sinks() $$, $$ VALUES ('default') $$);
SELECT * FROM finish();

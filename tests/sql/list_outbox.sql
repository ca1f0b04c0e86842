\ir helpers.psql
\ir outbox_helpers.psql
SELECT no_plan();

CREATE FUNCTION listed(p_state text, p_sink text DEFAULT '', n integer DEFAULT 0, p_revision integer DEFAULT 0,
                       p_after_sink text DEFAULT '', p_limit integer DEFAULT 100) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(format('%s/%s %s', num(reservation_id), revision, sink), ', ')
   FROM tranche.list_outbox(p_sink, p_state, uid(n), p_revision, p_after_sink, p_limit) $$;

SELECT tranche.add_outbox_sink('other', 'somebody');
SELECT message(i, r, s) FROM generate_series(1, 2) AS i, generate_series(2, 3) AS r, unnest('{default,other}'::text[]) AS s;
SELECT failed(1, 3, NULL), failed(1, 3, NULL, 'other'), failed(2, 2, NULL);
SELECT is(listed('PENDING'), '1/2 default, 1/2 other, 2/2 other, 2/3 default, 2/3 other');
SELECT is(listed('DEAD'), '1/3 default, 1/3 other, 2/2 default');
SELECT is(listed('PENDING', 'other'), '1/2 other, 2/2 other, 2/3 other');
SELECT is(listed('DEAD', 'default'), '1/3 default, 2/2 default');
SELECT is(listed('DEAD', 'none'), NULL);
SELECT is(listed('PENDING', '', 1, 2, 'default', 2), '1/2 other, 2/2 other', 'a page');
SELECT is(listed('PENDING', '', 2, 2, 'other'), '2/3 default, 2/3 other', 'the next page');
SELECT is(listed('DEAD', p_limit => 2), '1/3 default, 1/3 other');
SELECT is(listed('DEAD', '', 1, 3, 'default', 1), '1/3 other');
SELECT is(listed('DEAD', '', 1, 3, 'other'), '2/2 default');
SELECT is(listed('DEAD', 'default', 1, 3, 'default'), '2/2 default');
SELECT is(listed('DEAD', '', 2, 2, 'default'), NULL);
SELECT results_eq($$ SELECT sku_id, kind, payload, state, attempts, last_error,
                            round(created_us / 1000000.0 - extract(epoch FROM now())), next_us > created_us
                     FROM tranche.list_outbox('default', 'DEAD', uid(0), 0, '', 1) $$,
                  $$ VALUES ('tv', 'reservation.confirmed', '{"n": 1}', 'DEAD', 0, 'refused', -3600::numeric, true) $$);
SELECT * FROM finish();

\ir helpers.psql
SELECT no_plan();

-- 'reminded more' of a call.
CREATE FUNCTION remind(p_seconds bigint, p_limit integer DEFAULT 100) RETURNS text LANGUAGE sql AS
$$ SELECT reminded || ' ' || more FROM tranche.remind_holds(p_seconds * 1000000, p_limit) $$;
-- The hold has lasted for 100 s, and lapses in so many seconds.
CREATE FUNCTION lapse_in(p_id integer, p_seconds integer) RETURNS void LANGUAGE sql AS
$$ UPDATE tranche.reservation SET created_at = now() - interval '100 s', expires_at = now() + p_seconds * interval '1 s'
   WHERE reservation_id = uid(p_id) $$;

SELECT throws_ok('SELECT remind(0)', '22023');
SELECT throws_ok('SELECT remind(30, 0)', '22023');
SELECT is(remind(30), '0 false', 'no hold at all');
SELECT sku('tv', 20, 1), sku('radio', 5);
SELECT holder('tv', 20) AS node \gset
SELECT tranche.move_units('radio', ARRAY[:node], ARRAY[5], NULL, 'test');
SELECT is(outcomes(:node, true, uids(1, 2, 3, 4), '{tv,radio,tv,tv}', '{u1,u2,u3,u4}', '{1,1,1,1}'),
          '{CREATED,CREATED,CREATED,CREATED}');
SELECT is(confirm(uids(3)), '{"DONE CONFIRMED 2"}');
SELECT lapse_in(1, 20), lapse_in(2, 10);
SELECT is(remind(5), '0 false', 'none lapses so soon');
SELECT is(remind(30), '2 false');
SELECT is(remind(30), '0 false', 'once');
SELECT is(messages(1, 2, 3, 4), '1:reservation.lapses_soon:2 2:reservation.lapses_soon:2 3:reservation.confirmed:2');
SELECT results_eq($$ SELECT payload - 'occurred_at' FROM tranche.outbox WHERE reservation_id = uid(1) $$,
                  $$ SELECT jsonb_build_object('kind', 'reservation.lapses_soon', 'reservation_id', uid(1), 'revision', 2,
                       'sku_id', 'tv', 'user_id', 'u1', 'quantity', 1, 'amount_minor', 500, 'currency', 'EUR',
                       'state', 'PENDING', 'expires_at', to_char(expires_at AT TIME ZONE 'UTC',
                                                                 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
                     FROM tranche.reservation WHERE reservation_id = uid(1) $$);

-- A new end is told of again. Number 4 lasts no longer than is asked about.
SELECT is(extend(1, 1), 'DONE PENDING 1');
SELECT is(remind(30), '0 false');
SELECT is(remind(90), '1 false');
SELECT is(messages(1, 4), '1:reservation.lapses_soon:2 1:reservation.extended:3 1:reservation.lapses_soon:4');

-- The next to lapse first, up to the limit.
SELECT is(outcomes(:node, true, uids(5, 6), '{tv,tv}', '{u5,u6}', '{1,1}'), '{CREATED,CREATED}');
SELECT lapse_in(5, 88), lapse_in(6, 87);
SELECT is(remind(90, 1), '1 true');
SELECT is(messages(5, 6), '6:reservation.lapses_soon:2');
SELECT is(remind(90, 1), '1 true');
SELECT is(remind(90, 1), '0 false');

-- Holds whose time is over are the expirer's; those of SKUs on their way to another shard, that shard's.
SELECT is(outcomes(:node, true, uids(7, 8), '{tv,tv}', '{u7,u8}', '{1,1}'), '{CREATED,CREATED}');
SELECT make_due(7);
SELECT lapse_in(8, 89);
SELECT move_sku('tv', 'LEAVING');
SELECT is(remind(90), '0 false');
SELECT move_sku('tv', 'HERE');
SELECT is(remind(90), '1 false');
SELECT is(messages(7, 8), '8:reservation.lapses_soon:2');
SELECT is(expire(), '1 false');
SELECT conserved();

-- It only reads what lapses soon, among 20,000 live holds and as many finished reservations.
UPDATE tranche.hold_reminder SET at_due = '-infinity';
INSERT INTO tranche.reservation (reservation_id, sku_id, user_id, quantity, ordinal, state, amount_minor, currency,
                                 incarnation_id, created_at, expires_at, finished_at)
SELECT gen_random_uuid(), 'radio', 'x' || i, 1, 1, CASE WHEN i % 2 = 0 THEN 'PENDING' ELSE 'EXPIRED' END, 1, 'EUR', 0,
       now() - interval '1 d', now() + CASE WHEN i % 2 = 0 THEN interval '1 h' ELSE interval '-1 h' END,
       CASE WHEN i % 2 = 1 THEN now() END
FROM generate_series(1, 40000) AS i;
ANALYZE tranche.reservation;
SELECT cmp_ok(rows_read('reservation', 'SELECT tranche.remind_holds(90000000, 1000)'), '<', 200::bigint);
SELECT * FROM finish();
